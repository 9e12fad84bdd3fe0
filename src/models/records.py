"""Personal records: what is compared, and what stands when it was the best so far."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from models.exercises import folded


class RecordKind(StrEnum):
    """What a record is the best of. `analytics.records` defines each."""

    WEIGHT = "weight"
    REPS_AT_WEIGHT = "reps_at_weight"
    E1RM = "e1rm"
    HOLD_SECONDS = "hold_seconds"
    SESSION_VOLUME = "session_volume"
    HARDER_MOVEMENT = "harder_movement"


class Performance(NamedTuple):
    """One exercise of a counted training: a row of the derived exercises with its training's date and day.

    `movement` is the movement's key: the slug of the catalogue's, else `own:` and the slug of the user's own, else
    `name:` and the folded name. `rep_maxima` are (kg, repetitions) of the sets that no other set dominates, the
    heaviest first; weights are signed, assistance is negative. What is a sum has warm-ups, what is a best has none.
    `logged` is the slug of the catalogue's that the training itself names, whatever the name means.
    """

    training_id: UUID
    day: dt.date
    date: dt.datetime
    position: int
    movement: str
    name: str
    exercise: str | None
    own_exercise: str | None
    family: str | None
    difficulty: int | None
    external_load_kg: Decimal
    max_weight_kg: Decimal | None
    e1rm_kg: Decimal | None
    longest_hold_seconds: Decimal | None
    rep_maxima: Sequence[tuple[Decimal, int]]
    source_seq: int | None
    logged: str | None = None


class Record(NamedTuple):
    """One time that a record was set; in force where `superseded_on` is None.

    `at_weight_kg` is 0 but for repetitions at a weight. `previous` is the value that it beat (of these the most
    before at that weight or more), None where there was none. `superseded_on` is the local day on which it was beaten.
    """

    movement: str
    kind: RecordKind
    at_weight_kg: Decimal
    training_id: UUID
    day: dt.date
    date: dt.datetime
    name: str
    exercise: str | None
    own_exercise: str | None
    value: Decimal
    previous: Decimal | None
    superseded_on: dt.date | None
    source_seq: int | None


def movement_key(name: str, exercise: str | None, own_exercise: str | None) -> str:
    """The key of the movement that an exercise is: as logged, or else as the user says that the name means."""
    return exercise or (f"own:{own_exercise}" if own_exercise is not None else f"name:{folded(name)}")
