"""Volume: what trainings add up to. The figures that are computed and stored, and the report that clients read."""

import datetime as dt
from collections.abc import Collection, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.fields import Day

ZERO = Decimal(0)
Number = TypeVar("Number", int, Decimal)

# Named tuples, of which many thousands are made a second: a frozen dataclass takes four times as long to make.


class Volume(NamedTuple):
    """What sets add up to: of an exercise, a session, a day. Exact; kilograms and seconds.

    `analytics.volume` defines each figure; every table has them in this order. `system_load_kg` is the sum over the
    `system_load_sets` sets whose system load is known, and None when there is none.
    """

    sets: int = 0
    reps: int = 0
    hard_sets: int = 0
    external_load_kg: Decimal = ZERO
    system_load_kg: Decimal | None = None
    system_load_sets: int = 0
    hold_seconds: Decimal = ZERO
    time_under_tension_seconds: Decimal = ZERO

    @classmethod
    def total(cls, volumes: Collection["Volume"]) -> "Volume":
        """The sum of volumes."""
        if not volumes:
            return cls()
        sets, reps, hard, external, system, known, held, tension = zip(*volumes, strict=True)
        return cls(
            sum(sets), sum(reps), sum(hard), sum(external), known_sum(system), sum(known), sum(held), sum(tension)
        )


class ExerciseVolume(NamedTuple):
    """The volume of one exercise of a training. `position` counts the training's exercises from 1.

    `exercise` is a movement of the catalogue, `own_exercise` one of the user's own: as logged, or else what the name
    means to the user. `exercise_revision` is the revision of either.
    """

    position: int
    name: str
    exercise: str | None
    exercise_revision: int | None
    volume: Volume
    max_weight_kg: Decimal | None
    own_exercise: str | None = None


class SessionVolume(NamedTuple):
    """The volume of one training, and of those of its exercises that have a performed set.

    `naming` is the version of the user's names that last changed what one of these exercises means; 0 where none did.
    """

    volume: Volume = Volume()
    exercises: tuple[ExerciseVolume, ...] = ()
    duration_seconds: int | None = None
    session_rpe: Decimal | None = None
    session_rpe_load: Decimal | None = None
    naming: int = 0


class FoldedTraining(NamedTuple):
    """What one event leaves of a training in the derived tables.

    `counted` is whether it counts at all: COMPLETED and not deleted. `source_seq` is the event's place in the log, None
    where the record did not tell; `updated_at` its timestamp. `names_version` is the version of the user's names that
    it was computed with.
    """

    user_id: UUID
    training_id: UUID
    version: int
    deleted: bool
    counted: bool
    day: dt.date
    date: dt.datetime
    timezone: str
    session: SessionVolume
    source_seq: int | None
    updated_at: dt.datetime
    names_version: int = 0


class DailyVolume(NamedTuple):
    """The sums of the counted trainings of one user on one local day; of what is known, None where nothing is.

    `source_seq` and `updated_at` are those of the latest event that a sum comes from.
    """

    user_id: UUID
    day: dt.date
    sessions: int
    volume: Volume
    duration_seconds: int | None
    session_rpe_load: Decimal | None
    source_seq: int | None
    updated_at: dt.datetime


def known_sum(values: Iterable[Number | None]) -> Number | None:
    """The sum of those that are known; None when none is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


class Period(StrEnum):
    """What one item of a report sums up."""

    SESSION = "session"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class VolumeQuery(BaseModel):
    """Query parameters of a volume report."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    period: Period = Period.DAY
    """What one item sums up; weeks are ISO weeks."""
    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive."""
    last: Annotated[Day | None, Field(alias="to")] = None
    """Last local day, inclusive."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first and self.last and self.first > self.last:
            raise ValueError("`from` must not lie after `to`")
        return self


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


class SessionItem(VolumeFigures):
    """One training."""

    training_id: UUID
    date: dt.datetime
    timezone: str
    day: dt.date
    session_rpe: float | None = None


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


class VolumeMethod(BaseModel):
    """By which rules the figures were computed."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: int
    """Grows with every change of the rules."""
    rules: dict[str, Any]
    """Each figure's definition and the constants in it."""


class VolumeReport(BaseModel):
    """Volume of one user by session, day, week or month, oldest first.

    A week or month at the edge of the range holds only its days within the range.
    """

    model_config = ConfigDict(use_attribute_docstrings=True, serialize_by_alias=True)

    user_id: UUID
    period: Period
    first: Annotated[dt.date | None, Field(alias="from")] = None
    last: Annotated[dt.date | None, Field(alias="to")] = None
    as_of: dt.datetime
    """Every change that was accepted before is in these figures."""
    method: VolumeMethod
    items: list[SessionItem] | list[DayItem] | list[WeekItem] | list[MonthItem]
