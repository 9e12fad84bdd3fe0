"""The calendar of a plan: what was planned, what became of it, and the phases that the days belong to."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from models.advice import AdviceKind
from models.fields import Day, LastDay
from models.phases import PhaseKind
from models.progression import NextExercise
from models.reports import Method
from models.trainings import Status

MOST_DAYS = 366


class CalendarState(StrEnum):
    """What became of a training until now. The calendar's `day` decides what is missed and what is to come, and nothing
    more: what is begun, completed or skipped by now is that on every `day`."""

    PLANNED = "planned"
    """It is to come, on the day on which its phase lays it, or is of no phase."""
    MOVED = "moved"
    """It is to come, on another day than the one on which its phase lays it."""
    BEGUN = "begun"
    """It is in progress."""
    DONE = "done"
    """It is completed."""
    MISSED = "missed"
    """Its day is over, and it was neither begun nor skipped."""
    SKIPPED = "skipped"
    """The athlete gave it up."""


class CalendarQuery(BaseModel):
    """Query parameters of the calendar."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day; by default the Monday of the week of `day`."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, with `from` only, and at most 365 days after it; by default the Sunday of the fourth week after
    that of the first day."""
    day: Day | None = None
    """The day as of which it is told what is missed and what is to come, and nothing more; by default the present one,
    in the time zone of the athlete's latest completed training, before there is one of the latest planned, else in
    UTC."""

    @field_validator("first", "day")
    @classmethod
    def _in_range(cls, day: dt.date | None) -> dt.date | None:
        if day is not None and not 1 < day.year < 9998:  # weeks reach beyond it
            raise ValueError("must lie between the years 2 and 9997")
        return day

    @field_validator("last")
    @classmethod
    def _of_a_range(cls, last: dt.date | None, info: ValidationInfo) -> dt.date | None:
        if last is not None and "first" in info.data:
            first = info.data["first"]
            if first is None:
                raise ValueError("needs `from`")
            if (last - first).days >= MOST_DAYS:
                raise ValueError(f"must lie at most {MOST_DAYS - 1} days after `from`")
        return last


class CalendarAdvice(BaseModel):
    """Advice that changed a training, and was not undone."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    kind: AdviceKind
    title: str
    from_day: dt.date | None = None
    """The day from which it moved the training; absent where it did not."""


class CalendarItem(BaseModel):
    """One training. Absent fields are unknown, or do not apply."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    day: dt.date
    """The athlete's local day."""
    date: dt.datetime
    timezone: str
    training_id: UUID
    title: str | None = None
    status: Status
    state: CalendarState
    reason: str
    """What the state says, in words: who moved it, as far as that is known, and why it is a light one."""
    laid_day: dt.date | None = None
    """The day on which its phase lays it, as the phase now says: its week, and the weekday of its slot. Absent of what
    is begun, completed or skipped, which stays where it is when its phase moves."""
    phase_id: UUID | None = None
    """The phase that planned it."""
    phase_name: str | None = None
    week: int | None = None
    """Week of that phase, from 1."""
    workout_id: UUID | None = None
    deload: bool
    """Whether it is a light one: its day lies in a phase that is a deload, or advice halved its sets, or it left a
    deload when its workout was there no more, and has half the sets still."""
    skip_reason: str | None = None
    advice: list[CalendarAdvice] | None = None
    """What advice the athlete accepted for it, the earliest first. Coaches are not told of advice."""
    prescriptions: list[NextExercise] | None
    """What its session prescribes by the rules of its workout: the `items` of GET /workouts/{id}/next for its day,
    without the evidence. They follow from what was done until now, so of each workout the training that is planned next
    has them. Nothing follows from light ones: where those come first, each has them, and so has the first after them.
    Null of the later ones, of what is not to come, and of a workout without a rule, whose trainings are as they were
    laid."""
    prescriptions_reason: str | None = None
    """Why there are none yet, of a workout with a rule: the session that they follow from."""


class CalendarPhase(BaseModel):
    """A phase that has days in the range."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    name: str
    kind: PhaseKind
    parent_id: UUID | None = None
    first: dt.date
    last: dt.date
    deload: bool


class CalendarTraining(NamedTuple):
    """A training as a calendar is made from it. What begins with `phase` is of the phase that laid it, if one did."""

    id: UUID
    day: dt.date
    date: str
    timezone: str
    title: str | None
    status: Status
    skipped: bool
    skip_reason: str | None
    workout_id: UUID | None
    phase_id: UUID | None
    phase_name: str | None
    phase_first: dt.date | None
    week: int | None
    weekday: int | None
    """Of the slot that it was laid for; None where the phase has no such slot."""
    halved: bool = False
    """Whether it is planned, has half the sets for a deload by its notes, and its workout is there no more."""


class Ahead(NamedTuple):
    """A training to come of a workout with a rule, whose numbers follow from what was done until now."""

    training_id: UUID
    day: dt.date
    deload: str | None
    """The name of the deload phase that its day lies in."""
    lighter: bool
    """Whether advice halved its sets."""


class Accepted(NamedTuple):
    """What accepted advice did to a training. `title` is None where the reader is not told of advice."""

    id: UUID
    kind: AdviceKind
    title: str | None
    day: dt.date
    """The day of the training before."""
    day_after: dt.date | None
    """The day that it was moved to; None where it stayed."""
    exercise_id: UUID | None = None
    """The exercise that the advice is about."""


class Calendar(BaseModel):
    """The trainings and phases of a range of days; `day` decides what is missed and what is to come."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    first: Annotated[dt.date, Field(alias="from")]
    last: Annotated[dt.date, Field(alias="to")]
    day: dt.date
    """The day as of which it is told what is missed and what is to come."""
    method: Method | None = None
    """The rules that `prescriptions` follow from; absent where there are none."""
    phases: list[CalendarPhase]
    """By their first days."""
    items: list[CalendarItem]
    """By day and moment."""
