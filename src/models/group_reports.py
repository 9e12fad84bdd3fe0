"""Reports of a group's athletes for their coach: what is asked, and the documents that answer."""

import datetime as dt
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.fields import Day, LastDay
from models.load import Measure
from models.load_reports import LoadFigures, LoadMethod
from models.reports import Method

MOST_ATHLETES = 500  # of one page


class AthletesQuery(BaseModel):
    """Query parameters of a report of a group's athletes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=MOST_ATHLETES)] = MOST_ATHLETES
    """Most athletes at once."""
    cursor: UUID | None = None
    """`next_cursor` of the answer before."""


class Metric(StrEnum):
    """What a leaderboard compares: a sum over the athletes' completed trainings."""

    SESSIONS = "sessions"
    SETS = "sets"
    REPS = "reps"
    HARD_SETS = "hard_sets"
    EXTERNAL_LOAD_KG = "external_load_kg"
    SYSTEM_LOAD_KG = "system_load_kg"
    HOLD_SECONDS = "hold_seconds"
    TIME_UNDER_TENSION_SECONDS = "time_under_tension_seconds"
    DURATION_SECONDS = "duration_seconds"
    SESSION_RPE_LOAD = "session_rpe_load"
    WORK = "work"


class LeaderboardQuery(AthletesQuery):
    """Query parameters of a leaderboard."""

    metric: Metric = Metric.SESSIONS
    """What is compared."""
    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day of each athlete, inclusive."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, inclusive."""


class AthleteTotal(BaseModel):
    """The sum of one athlete."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    value: float | None = None
    """The sum; absent where it is not known, because no training says what it needs."""
    sessions: int
    """Completed trainings in the range."""


class Leaderboard(BaseModel):
    """The athletes of one page, those with the greatest sum first."""

    model_config = ConfigDict(use_attribute_docstrings=True, serialize_by_alias=True)

    metric: Metric
    first: Annotated[dt.date | None, Field(alias="from")] = None
    last: Annotated[dt.date | None, Field(alias="to")] = None
    as_of: dt.datetime
    """Every change that was accepted before is in these figures."""
    method: Method
    items: list[AthleteTotal]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address. Pages follow the athletes'
    ids: to compare more athletes than one page has, sort all pages by `value`."""


class GroupLoadQuery(AthletesQuery):
    """Query parameters of a group's load."""

    measure: Measure | None = None
    """What is taken as the load of a day; by default of each athlete what the athlete's own report takes."""


class AthleteLoad(BaseModel):
    """The load of one athlete."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    measure: Measure | None = None
    """The measure of these figures; absent, as they are, where the athlete has no load of it."""
    latest: LoadFigures | None = None
    """The athlete's present day, in the zone of the latest training."""


class GroupLoad(BaseModel):
    """The present load of the athletes of one page, by their ids."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    as_of: dt.datetime
    """Every change that was accepted before is in these figures."""
    method: LoadMethod
    items: list[AthleteLoad]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""
