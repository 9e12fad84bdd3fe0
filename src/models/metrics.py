"""Volume: what trainings add up to. The figures that are computed and stored."""

import datetime as dt
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import NamedTuple, TypeVar
from uuid import UUID

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
    means to the user; `logged_exercise` as logged alone. `exercise_revision` is the revision of either; `category`,
    `family` and `difficulty` are that revision's, None where no movement is known. `work` is in work units. `e1rm_kg`
    is the best e1RM, and the two after it the set that it comes from; `rep_maxima` the sets that no other one
    dominates, the heaviest first, as the JSON that PostgreSQL writes: `[[weight_kg, reps], …]`. All are None where no
    set gives them. `volume` and `work` have all performed sets; the greatest weight and the figures
    after `work` leave out warm-ups.
    """

    position: int
    name: str
    exercise: str | None
    exercise_revision: int | None
    volume: Volume
    max_weight_kg: Decimal | None
    own_exercise: str | None = None
    category: str | None = None
    family: str | None = None
    difficulty: int | None = None
    work: Decimal = ZERO
    e1rm_kg: Decimal | None = None
    e1rm_weight_kg: Decimal | None = None
    e1rm_reps: int | None = None
    longest_hold_seconds: Decimal | None = None
    rep_maxima: str | None = None
    relative_intensity: Decimal | None = None
    logged_exercise: str | None = None


class SessionVolume(NamedTuple):
    """The figures of one training, and of those of its exercises that have a performed set.

    `skill_work` and `strength_work` are in work units, `density` in work units a minute; `estimated_intensity` is a
    difficulty, 1 to 10, and `relative_intensity` a share of the one repetition maximum. `naming` is the version of the
    user's names that last changed what one of these exercises means; 0 where none did.
    """

    volume: Volume = Volume()
    exercises: tuple[ExerciseVolume, ...] = ()
    duration_seconds: int | None = None
    session_rpe: Decimal | None = None
    session_rpe_load: Decimal | None = None
    naming: int = 0
    skill_work: Decimal = ZERO
    strength_work: Decimal = ZERO
    estimated_intensity: Decimal | None = None
    density: Decimal | None = None
    relative_intensity: Decimal | None = None


class FoldedTraining(NamedTuple):
    """What one event leaves of a training in the derived tables.

    `counted` is whether it counts at all: COMPLETED and not deleted. `source_seq` is the event's place in the log, None
    where the record did not tell; `updated_at` its timestamp. `names_version` is the version of the user's names that
    it was computed with, `method` the version of the rules.
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
    method: int = 0


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
    skill_work: Decimal
    strength_work: Decimal


def known_sum(values: Iterable[Number | None]) -> Number | None:
    """The sum of those that are known; None when none is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None
