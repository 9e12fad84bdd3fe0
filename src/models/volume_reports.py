"""Volume over REST: what is asked, and the document that answers."""

import datetime as dt
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from models.phases import PhaseKind
from models.reports import Method, RangeQuery, Report


class Period(StrEnum):
    """What one item of a report sums up."""

    SESSION = "session"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    PHASE = "phase"


class By(StrEnum):
    """What else than a period a volume report tells apart."""

    CATEGORY = "category"
    MUSCLE = "muscle"


class VolumeQuery(RangeQuery):
    """Query parameters of a volume report."""

    period: Period = Period.DAY
    """What one item sums up; weeks are ISO weeks, and a phase all that was done on its days, planned by it or not."""
    by: By | None = None
    """With `period=week` alone: an item for each category or each muscle of a week. These weeks are whole: `from` and
    `to` choose those that have a day in the range."""

    @field_validator("by")
    @classmethod
    def _of_weeks(cls, by: By | None, info: ValidationInfo) -> By | None:
        if by is not None and info.data.get("period") is not Period.WEEK:
            raise ValueError("needs `period=week`")
        return by


class VolumeFigures(BaseModel):
    """Exact figures of the performed sets of completed trainings. Absent figures are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    sets: int
    reps: int
    hard_sets: int
    """Sets with an RPE of at least 7 or none given; warm-ups excluded."""
    external_load_kg: float
    """Sum of max(weight, 0) times repetitions."""
    system_load_kg: float | None = None
    """Sum of the load with the body's own part, times repetitions, over the sets for which it is known."""
    system_load_sets: int
    """Sets for which the system load is known: it is complete where this equals `sets`."""
    hold_seconds: float
    time_under_tension_seconds: float
    """Of the sets that have a tempo, and of holds."""
    duration_seconds: int | None = None
    session_rpe_load: float | None = None
    """Session RPE times minutes."""
    skill_work: float
    """Work units of movements of the category Skill: repetitions, or seconds of holds / 3."""
    strength_work: float
    """Work units of movements of the categories Push, Pull, Legs and Core."""


class SessionMetrics(BaseModel):
    """The figures of a session that the platform's specification names."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    total_reps: int
    total_time_under_tension: float
    """Seconds."""
    skill_work_volume: float
    """Work units: repetitions, or seconds of holds / 3."""
    strength_volume: float
    """Work units, too."""
    estimated_intensity: float | None = None
    """Mean difficulty (1 to 10) of the movements whose difficulty is known, weighted by work units."""


class SessionItem(VolumeFigures):
    """One training."""

    training_id: UUID
    date: dt.datetime
    timezone: str
    day: dt.date
    session_rpe: float | None = None
    metrics: SessionMetrics
    density: float | None = None
    """Work units a minute of the session."""
    relative_intensity: float | None = None
    """Mean share of the one-repetition maximum, 0 to 1, of sets with repetitions, without warm-ups."""


class DayItem(VolumeFigures):
    """One local day."""

    day: dt.date
    sessions: int


class WeekItem(VolumeFigures):
    """The days of one ISO week."""

    week: Annotated[str, Field(examples=["2021-W06"])]
    monday: dt.date
    sessions: int


class MonthItem(VolumeFigures):
    """The days of one month."""

    month: Annotated[str, Field(examples=["2021-02"])]
    sessions: int


class PhaseItem(VolumeFigures):
    """The days of one phase. Those of a microcycle are also its mesocycle's."""

    phase_id: UUID
    name: str
    kind: PhaseKind
    deload: bool
    first: dt.date
    """First local day of the phase."""
    last: dt.date
    """Its last local day."""
    sessions: int


class CategoryItem(BaseModel):
    """What one ISO week holds of a category of movements."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    week: Annotated[str, Field(examples=["2021-W06"])]
    monday: dt.date
    category: str | None = None
    """Push, Pull, Legs, Core or Skill; absent for what names no movement that is known."""
    sets: int
    reps: int
    work: float
    """Work units: repetitions, or seconds of holds / 3."""
    external_load_kg: float
    system_load_kg: float | None = None


class MuscleItem(BaseModel):
    """What one ISO week holds for a muscle."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    week: Annotated[str, Field(examples=["2021-W06"])]
    monday: dt.date
    muscle: str
    sets: float
    """Hard sets: 1 for a primary muscle of the movement, a half for a secondary one."""


class VolumeReport(Report):
    """Volume of one user by session, day, week, month or phase, oldest first.

    A week, month or phase at the edge of the range holds only its days within the range; with `by` its weeks are whole.
    """

    period: Period
    by: By | None = None
    first: Annotated[dt.date | None, Field(alias="from")] = None
    last: Annotated[dt.date | None, Field(alias="to")] = None
    method: Method
    items: (
        list[SessionItem]
        | list[DayItem]
        | list[WeekItem]
        | list[MonthItem]
        | list[PhaseItem]
        | list[CategoryItem]
        | list[MuscleItem]
    )
