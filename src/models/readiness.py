"""Readiness: how a day compares with the athlete's own 28 days before it. What it is computed from, and the report."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.fields import Day, LastDay, Proportion
from models.reports import Method

MOST_DAYS = 366  # of one report
DEFAULT_DAYS = 28  # where no first day is asked for


class CheckInValues(NamedTuple):
    """The values of one day's check-in, each None where it was not given: 1 to 7, kg, hours, beats a minute, ms."""

    day: dt.date
    sleep: int | None = None
    fatigue: int | None = None
    stress: int | None = None
    soreness: int | None = None
    bodyweight_kg: float | None = None
    sleep_hours: float | None = None
    resting_heart_rate: float | None = None
    hrv_rmssd_ms: float | None = None


class PlannedSets(NamedTuple):
    """A training whose sets carry targets: how many do, and how many of these were done and met it.

    Of one that was planned and not begun none was.
    """

    training_id: UUID
    day: dt.date
    planned: int
    met: int


class ComponentName(StrEnum):
    """What readiness is made of."""

    HOOPER = "hooper"
    HRV = "hrv"
    PERFORMANCE = "performance"
    RESTING_HEART_RATE = "resting_heart_rate"
    SLEEP_HOURS = "sleep_hours"
    BODYWEIGHT = "bodyweight"


Score = Annotated[float, Field(ge=0, le=100)]


class ReadinessEvidence(BaseModel):
    """What a component was computed from."""

    model_config = ConfigDict(
        frozen=True, use_attribute_docstrings=True, serialize_by_alias=True, validate_by_name=True
    )

    first: Annotated[dt.date, Field(alias="from")]
    """The first local day whose data count."""
    last: Annotated[dt.date, Field(alias="to")]
    """The last one."""
    trainings: list[UUID] | None = None
    """Of the performance: the trainings of the 7 days before, by day, whose sets carry targets."""
    sets_planned: int | None = None
    """Of these: how many sets carry a target."""
    sets_in_target: int | None = None
    """Of these sets: how many were done and met it. Of a training that was missed or skipped none."""


class ReadinessComponent(BaseModel):
    """One value of the day beside the athlete's own. What is unknown is null, and `reason` says why."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: ComponentName
    value: float | None
    """The day's value; null where there is none."""
    unit: str
    mean: float | None
    """The mean of the 28 days before; null where none of them has a value."""
    spread: float | None
    """Their standard deviation (n - 1): 0 where all are equal; null where fewer than two of them have a value."""
    floor: float
    """What a spread is taken for where it is less."""
    n: int
    """On how many of the 28 days before there is a value."""
    z: float | None
    """How many spreads, each `floor` at least, the value lies on the better (above 0) or the worse side of the mean;
    null where the day has no value, or fewer than 7 of the days before have one."""
    score: Score | None
    """0 to 100; 50 is the athlete's own mean. Null as `z`."""
    weight: float
    """In the score of the day, where all components are known: these weights add up to 1."""
    reason: str
    evidence: ReadinessEvidence


class ReadinessItem(BaseModel):
    """One local day beside the athlete's own 28 days before it. It says nothing about health, and is no diagnosis."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    day: dt.date
    score: Score | None
    """The mean of the known components' scores by their weights, 0 to 100; 50 is the athlete's usual day. Null where no
    component is known."""
    confidence: Proportion
    """How much of what could be known is: 1 where all components, and each on all of the 28 days before, are."""
    reason: str
    hooper: Annotated[int, Field(ge=4, le=28)] | None
    """Sum of the four items of the day, 4 to 28, lower is better; null where one of them is missing."""
    observed_days: int
    """On how many of the 28 days before there is a check-in."""
    components: list[ReadinessComponent]
    """All of them, always in the same order."""


class ReadinessReport(BaseModel):
    """The readiness of one athlete on every local day of a range, oldest first."""

    model_config = ConfigDict(use_attribute_docstrings=True, serialize_by_alias=True, validate_by_name=True)

    user_id: UUID
    first: Annotated[dt.date, Field(alias="from")]
    """As asked, or else that of the first item."""
    last: Annotated[dt.date, Field(alias="to")]
    """As asked, or else the last day that there may be an item of: `today`, or the day of the latest check-in, where
    that is later."""
    today: dt.date
    """The athlete's present day, in the zone of the latest completed training; before there is one, in that of the
    latest that is planned, and without any in UTC."""
    as_of: dt.datetime
    """Every change that was accepted before is in these figures."""
    method: Method
    items: list[ReadinessItem]


class ReadinessQuery(BaseModel):
    """Query parameters of a readiness report: at most 366 days."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive; by default 27 days before the last one."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, inclusive; by default the athlete's present day, or that of the latest check-in, where that is
    later."""
