"""The report of training load: what is asked, and the document that answers."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.load import Band, Measure, Ratio, Unknown
from models.reports import Method, RangeQuery, Report


class LoadQuery(RangeQuery):
    """Query parameters of a load report. Days after the athlete's present day have no items."""

    measure: Measure | None = None
    """What is taken as the load of a day. By default the measure by which the load is judged: of session RPE times
    minutes, system load, external load and time under tension the first that is known on 80 % of the days with a
    training among the 28 up to the last of them, or else the one known on most of these days."""
    method: Ratio = Ratio.COUPLED
    """How acute and chronic load are set against each other."""


class LoadFigures(BaseModel):
    """The load of one calendar day and of those before it. What is undefined is null."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    day: dt.date
    load: float
    """The sum of the measure over the day's completed trainings; 0 on a day without one."""
    acute: float
    """The mean of the last 7 days, as the method has it."""
    chronic: float | None
    """The mean of the last 28 days, as the method has it; null before the 28th day."""
    acwr: float | None
    """Acute / chronic: an indicator of load, and nothing more."""
    reason: Unknown | None = None
    """Why `acwr` is null; absent where it is not."""
    band: Band | None
    """Where the ratio by the method `coupled` stands to the target zone, whatever the method that was asked for."""
    observed_days_28: int
    """On how many of the last 28 days a training was completed: the others count as 0."""


class LoadItem(LoadFigures):
    """One calendar day."""

    monotony: float | None
    """Mean / standard deviation of the last 7 days; null where they do not differ."""
    strain: float | None
    """The sum of the last 7 days times the monotony."""
    week_change: float | None
    """The sum of the last 7 days over that of the 7 days before them, less 1."""


class LoadMethod(Method):
    """By which rules the figures were computed."""

    name: Ratio


class Judged(BaseModel):
    """How well a measure is known on the days that the load is judged by: those with a completed training among the 28
    up to the last of them."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    known_days: int
    """On how many of them the measure is known: the system load, where that of every set is."""
    days: int
    """How many they are."""


class LoadReport(Report):
    """The load of one user on every calendar day from the first training to the present day, oldest first."""

    measure: Measure | None = None
    """The measure of these figures; absent where none was asked for and none is known on the days that the load is
    judged by."""
    judged: Judged | None = None
    """How well that measure is known lately: the less, the less these figures tell. Absent where there is no measure or
    no training."""
    measures: list[Measure]
    """The measures of which the user has any load."""
    unit: Annotated[str | None, Field(examples=["kg"])] = None
    """The unit of load, acute and chronic load, and strain."""
    first: Annotated[dt.date | None, Field(alias="from")] = None
    """As asked; without that the first day of the items, where there are days before it that the answer leaves out."""
    last: Annotated[dt.date | None, Field(alias="to")] = None
    today: dt.date | None = None
    """The athlete's present day, in the zone of the latest training; absent where there is none."""
    method: LoadMethod
    items: list[LoadItem]
