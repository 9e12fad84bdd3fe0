"""What users mean by names of exercises, as it is computed with: the fold of what `models.events` tells of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from models.events import ExercisePayload
from models.exercises import UNKNOWN, Facts, is_of_implement


class Meaning(NamedTuple):
    """What a name stands for, and the version of the user's names that said so last. All None: nothing any more.

    Either `exercise`, a slug of the catalogue's, or `own_exercise`, one of the user's own. `facts` are the movement's.
    """

    version: int
    exercise: str | None = None
    exercise_revision: int | None = None
    own_exercise: str | None = None
    facts: Facts = UNKNOWN


@dataclass(frozen=True, slots=True)
class Names:
    """A user's names as they were at one version of them; 0: the user has said nothing."""

    version: int = 0
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    """By the folded name, those that mean nothing any more included."""


NO_NAMES = Names()


def newest_of_each(told: Iterable[ExercisePayload]) -> dict[str, ExercisePayload]:
    """What was told last of each of a user's names. It may come in any order."""
    newest: dict[str, ExercisePayload] = {}
    for payload in sorted(told, key=lambda payload: payload.version):
        newest |= dict.fromkeys(payload.names, payload)
    return newest


def names_at(told: Iterable[ExercisePayload], version: int) -> Names:
    """A user's names at that version: what was told later has no part in it."""
    newest = newest_of_each(payload for payload in told if payload.version <= version)
    return Names(version, {name: meaning(payload) for name, payload in newest.items()})


def meaning(told: ExercisePayload) -> Meaning:
    """What the names of which this was told mean."""
    movement = told.exercise
    if movement is None:
        return Meaning(told.version)
    fraction = movement.bw_fraction
    return Meaning(
        told.version,
        None if movement.own else movement.slug,
        movement.revision,
        movement.slug if movement.own else None,
        Facts(
            None if fraction is None else Decimal(repr(fraction)),  # the shortest text of a double is what was entered
            movement.category,
            movement.family,
            movement.difficulty,
            is_of_implement(movement.equipment),
        ),
    )
