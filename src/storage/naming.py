"""What users' names mean in the derived tables: taking it from the log, and finding what it changes of their past.

Everything runs on a cursor, and on the tables of `schema`: those of the service, or a shadow of them.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import orjson

from models.errors import ArchiveUnavailable
from models.events import ExercisePayload
from models.exercises import Facts
from models.naming import Meaning, Names, meaning
from storage import naming_statements as sql
from storage.archives import logged_events, steady
from storage.database import Cursor
from storage.fold_state import LoggedEvent
from storage.volume_statements import NAME_COLUMNS, SCHEMA


class Standing(NamedTuple):
    """Up to which version a user's names are taken in, and how often they were forgotten before that."""

    naming: int
    forgotten: int


Used = Sequence[tuple[UUID, str, int]]
"""Names as they stand in trainings, each with its user and the version that changed what it means."""


@dataclass(frozen=True, slots=True)
class LoggedNaming:
    """One event about a user's names, as the log has it; `version` is that of the names."""

    user_id: UUID
    version: int
    event: LoggedEvent


async def logged_namings(cursor: Cursor, users: Collection[UUID]) -> list[LoggedNaming]:
    """All that the log says of these users' names, of each user in order."""
    rows = await cursor.all(sql.LOGGED, {"users": list(users), "limit": None})
    return [LoggedNaming(row[4], row[6], LoggedEvent.of(row[:6])) for row in rows]


async def lock_and_read(cursor: Cursor, users: Collection[UUID], limit: int, *, schema: str) -> list[LoggedNaming]:
    """At most `limit` events about these users' names that the tables lack, of each user in order and without a gap.

    The users are locked until the end of the transaction: nothing else of theirs is folded before.
    """
    rows = await cursor.all(sql.LOCK_AND_READ.format(schema=schema), {"users": list(users), "limit": limit})
    return [LoggedNaming(row[4], row[6], LoggedEvent.of(row[:6])) for row in rows]


async def write_names(
    cursor: Cursor, versions: Mapping[UUID, int], newest: Mapping[tuple[UUID, str], ExercisePayload], *, schema: str
) -> None:
    """Store what each name of a user means, and up to which version each user's names are taken in."""
    rows = [dict(zip(NAME_COLUMNS, name_row(name, told), strict=True)) for (_, name), told in newest.items()]
    parameters = {
        "rows": orjson.dumps(rows, default=str).decode(),
        "users": list(versions),
        "versions": list(versions.values()),
    }
    await cursor.execute(sql.WRITE.format(schema=schema), parameters)


def name_row(name: str, told: ExercisePayload) -> tuple[object, ...]:
    """The name's row of `exercise_names`, in the order of `NAME_COLUMNS`. Without a movement it is a guard alone."""
    movement = told.exercise
    facts: tuple[object, ...] = (None,) * 8
    if movement is not None:
        facts = (
            movement.name,
            movement.category,
            movement.family,
            movement.mode,
            movement.difficulty,
            movement.muscles,
            movement.secondary_muscles,
            movement.unilateral,
        )
    *means, known = meaning(told)
    return (told.user_id, name, *means, known.bw_fraction, *facts, known.implement)


async def read_names(cursor: Cursor, users: Collection[UUID], *, schema: str = SCHEMA) -> dict[UUID, Names]:
    """The names of those of these users who have been folded, as they are now."""
    versions: dict[UUID, int] = {}
    meanings: dict[UUID, dict[str, Meaning]] = defaultdict(dict)
    for user_id, version, name, *means in await cursor.all(sql.NAMES.format(schema=schema), {"users": list(users)}):
        versions[user_id] = version
        if name is not None:
            told, exercise, revision, own_exercise, *facts = means
            meanings[user_id][name] = Meaning(told, exercise, revision, own_exercise, Facts(*facts))
    return {user_id: Names(version, meanings[user_id]) for user_id, version in versions.items()}


async def users_behind(cursor: Cursor, after: UUID, limit: int, *, schema: str) -> list[UUID]:
    """At most `limit` users behind `after`, in order, of whose names the tables lack something, or its effect."""
    rows = await cursor.all(sql.BEHIND.format(schema=schema), {"after": after, "limit": limit})
    return [row[0] for row in rows]


async def read_renamed(
    cursor: Cursor, users: Collection[UUID], *, schema: str
) -> tuple[dict[UUID, Standing], dict[tuple[UUID, str], int]]:
    """Those of the users whose trainings may not know all of their names, and which names these are.

    With each name the version that changed its meaning.
    """
    rows = await cursor.all(sql.RENAMED.format(schema=schema), {"users": list(users)})
    standing = {user_id: Standing(*found) for user_id, *found, _, _ in rows}
    return standing, {(user_id, name): version for user_id, _, _, name, version in rows if name is not None}


async def used_names(cursor: Cursor, users: Collection[UUID], *, schema: str) -> list[tuple[UUID, str]]:
    """The names of exercises in the volume of these users, as the athletes wrote them."""
    rows = await cursor.all(sql.USED.format(schema=schema), {"users": list(users)})
    return [(user_id, name) for user_id, name in rows]


async def outdated_trainings(cursor: Cursor, used: Used, *, schema: str) -> list[tuple[UUID, UUID]]:
    """User and id of the trainings that hold such a name and were computed before its meaning changed.

    Also of those that hold it beside a movement that was logged, which does not change.
    """
    users, names, versions = zip(*used, strict=True) if used else ((), (), ())
    parameters = {"users": list(users), "names": list(names), "versions": list(versions)}
    return [(user_id, id_) for user_id, id_ in await cursor.all(sql.OUTDATED.format(schema=schema), parameters)]


async def read_folded(
    cursor: Cursor,
    trainings: Sequence[tuple[UUID, UUID]],
    *,
    schema: str,
    archive_dir: Path | None = None,
    missing: list[ArchiveUnavailable] | None = None,
) -> list[LoggedEvent]:
    """The events that the tables have of these trainings.

    Raises `ArchiveUnavailable` where one is archived and its file cannot be read; where `missing` is given, that is
    noted there, and the event is left out.
    """
    parameters = {"users": [user_id for user_id, _ in trainings], "trainings": [id_ for _, id_ in trainings]}

    async def read() -> list[LoggedEvent]:
        return await logged_events(archive_dir, await cursor.all(sql.FOLDED.format(schema=schema), parameters))

    try:
        return await steady(read)
    except ArchiveUnavailable:
        if missing is None:
            raise
    return await logged_events(archive_dir, await cursor.all(sql.FOLDED.format(schema=schema), parameters), missing)


async def forget_adopted(cursor: Cursor) -> None:
    """Take back the names of users of whom the log has taken something back: so they are folded from its beginning.

    Until that is done their trainings are as they were.
    """
    users = [row[0] for row in await cursor.all(sql.ADOPTED)]
    if users:
        await cursor.execute(sql.FORGET, {"users": users})


async def settle(cursor: Cursor, standing: Mapping[UUID, Standing], *, schema: str) -> None:
    """Note that all trainings of each of these users know the names up to there, unless these were forgotten since."""
    parameters = {
        "users": list(standing),
        "versions": [each.naming for each in standing.values()],
        "forgotten": [each.forgotten for each in standing.values()],
    }
    await cursor.execute(sql.SETTLE.format(schema=schema), parameters)
