"""The derived tables of volume: folding events into them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg2

from models.metrics import ExerciseVolume, FoldedTraining
from storage.arrays import array, columns
from storage.database import Cursor, Database
from storage.volume_statements import (
    BURY,
    EXERCISE_COLUMNS,
    EXERCISE_KEY,
    FOLD,
    LOCK_USERS,
    SCHEMA,
    TRAINING_COLUMNS,
)


class Unfoldable(Exception):
    """PostgreSQL refuses a value of the batch, and will refuse it again: nothing of the batch was stored."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be folded, and why. `partition` is -1 where it was read from the log, at seq `offset`."""

    topic: str
    partition: int
    offset: int
    event_id: UUID | None
    key: bytes | None
    value: bytes | None
    error: str


async def fold(
    database: Database, trainings: Collection[FoldedTraining], dead_letters: Collection[DeadLetter] = ()
) -> frozenset[UUID]:
    """Store what a batch of events leaves of its trainings, in one transaction and one round trip.

    A training that is stored at the same or a newer version stays as it is, so events may come twice, late and in any
    order; the days of the others are summed again. Returns the users whose names are at another version than their
    trainings were computed with: nothing of theirs is stored, and it is to be computed anew. What is of users who were
    erased is passed over. Raises `Unfoldable` and `DatabaseUnavailable`; then nothing, or after a broken connection
    perhaps all, is stored.
    """
    async with database.session() as cursor:
        return await fold_into(cursor, trainings, dead_letters)


async def fold_into(
    cursor: Cursor,
    trainings: Collection[FoldedTraining],
    dead_letters: Collection[DeadLetter] = (),
    *,
    schema: str = SCHEMA,
) -> frozenset[UUID]:
    """As `fold`, on one connection, and into tables of the same names in another schema."""
    sql = ""
    parameters: dict[str, object] = {}
    if dead_letters:
        sql = BURY
        parameters |= _dead_letter_arrays(dead_letters)
    if trainings:
        sql += (LOCK_USERS + FOLD).format(schema=schema)
        parameters |= _training_arrays(trainings)
    try:
        if trainings:
            return frozenset(user_id for (user_id,) in await cursor.all(sql, parameters))
        if dead_letters:
            await cursor.execute(sql, parameters)
    except (psycopg2.DataError, ValueError) as error:  # ValueError: psycopg2 sends no NUL
        raise Unfoldable(str(error).partition("\n")[0]) from error
    return frozenset()


def training_row(training: FoldedTraining) -> tuple[object, ...]:
    """The training's row of `folded_trainings`, in the order of `TRAINING_COLUMNS`."""
    session = training.session
    return (
        training.user_id,
        training.training_id,
        training.version,
        training.deleted,
        training.counted,
        training.day,
        training.date,
        training.timezone,
        *session.volume,
        session.duration_seconds,
        session.session_rpe,
        session.session_rpe_load,
        training.source_seq,
        training.updated_at,
        session.naming,
        session.skill_work,
        session.strength_work,
        session.estimated_intensity,
        session.density,
        session.relative_intensity,
        training.method,
    )


def exercise_row(exercise: ExerciseVolume) -> tuple[object, ...]:
    """The exercise's own part of its row of `exercise_volume`, in the order of `EXERCISE_COLUMNS`."""
    position, name, movement, revision, volume, *rest = exercise  # the names of a named tuple are slow
    return (position, name, movement, revision, *volume, *rest)


def _training_arrays(trainings: Iterable[FoldedTraining]) -> dict[str, object]:
    newest: dict[tuple[int, int], FoldedTraining] = {}  # by the ids as numbers, which hash faster
    for training in trainings:
        key = training.user_id.int, training.training_id.int
        if key not in newest or newest[key].version < training.version:
            newest[key] = training
    # Where one user's were computed with names of two versions, one of these is outdated.
    users = {(user, training.names_version): training.user_id for (user, _), training in newest.items()}
    exercises: list[tuple[object, ...]] = []
    for training in newest.values():
        ids = training.user_id, training.training_id
        exercises += [ids + exercise_row(exercise) for exercise in training.session.exercises]
    return {
        "users": array(users.values(), "uuid"),
        "names_versions": array((version for _, version in users), "integer"),
        **columns("t", TRAINING_COLUMNS, [training_row(training) for training in newest.values()]),
        **columns("x", EXERCISE_KEY | EXERCISE_COLUMNS, exercises),
    }


def _dead_letter_arrays(letters: Iterable[DeadLetter]) -> dict[str, object]:
    arrays: dict[str, list[Any]] = {f"d_{name}": [] for name in (*DeadLetter.__slots__, "user")}
    for letter in letters:
        for name in DeadLetter.__slots__:
            value = getattr(letter, name)
            arrays[f"d_{name}"].append(psycopg2.Binary(value) if isinstance(value, bytes) else value)
        arrays["d_user"].append(_user_of(letter))
    return dict(arrays)


def _user_of(letter: DeadLetter) -> UUID | None:
    try:
        return UUID((letter.key or b"").decode())
    except ValueError:
        return None
