"""Plans: many PLANNED trainings read, made, changed or deleted at once, within a transaction (`in_transaction`).

Each kind of write is one statement, however many trainings it is about, and writes an event for each. It writes what is
still as it was read, or raises `Stale`: then the transaction is to be rolled back, and all read and computed anew.
What is written is the athlete's own doing: a coach's request has no transactions.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import orjson

from models.errors import DatabaseUnavailable, Unprocessable
from models.events import MAX_EVENT_BYTES, EventType
from models.trainings import Status
from storage.database import Cursor, Database, Runner
from storage.plan_statements import CHANGE_MANY, CREATE_MANY, DELETE_MANY, LOCK, READ
from storage.training_writes import Author, TrainingWriter

MOST_BYTES = 16_000_000  # that the events of one write may have together, and what is read of trainings at once
ATTEMPTS = 10  # of a transaction, each of which is lost to another write's success

T = TypeVar("T")

# What a training says that is planned and not skipped, in the order of its events.
_MEMBERS = (
    "status",
    "date",
    "timezone",
    "day",
    "title",
    "duration_seconds",
    "session_rpe",
    "bodyweight_kg",
    "notes",
    "workout_id",
    "workout_version",
    "group_external_id",
    "exercises",
)
_UNNAMED = b"unnamed"  # as `training_writes.identity` has it of what has the service's own id


class Stale(Exception):
    """A training is not as it was read: somebody changed, began, skipped or deleted it since. Read anew."""


@dataclass(frozen=True, slots=True)
class PlannedTraining:
    """A training that nobody has begun, skipped or deleted, as it is stored now.

    `fields` are the members of a `TrainingDocument` that the client says: status, date, timezone, day, title, …,
    exercises, as JSON has them.
    """

    id: UUID
    version: int
    source_id: str | None
    created_at: dt.datetime
    fields: dict[str, Any]

    @property
    def day(self) -> dt.date:
        """The athlete's local day."""
        return dt.date.fromisoformat(self.fields["day"])

    @property
    def date(self) -> dt.datetime:
        """The moment, in UTC."""
        return dt.datetime.fromisoformat(self.fields["date"])


async def in_transaction(database: Database, user_id: UUID, write: Callable[[Cursor], Awaitable[T]]) -> T:
    """What `write` returns within a transaction, in which it is begun anew where it raises `Stale`.

    The transaction is the only one that changes plans of this user: what it reads is what the others left, and none
    does so until it ends. Those that wait for it are few (`Database.waiting`), so that others have connections. Raises
    `DatabaseUnavailable`, also where others changed the trainings each time.
    """
    async with database.waiting():
        for _ in range(ATTEMPTS):
            try:
                async with database.transaction() as cursor:
                    await cursor.execute(LOCK, {"user_id": user_id})
                    return await write(cursor)
            except Stale:
                continue
    raise DatabaseUnavailable("These trainings are being changed by others all the time.")


async def read_planned(runner: Runner, user_id: UUID, ids: Sequence[UUID]) -> list[PlannedTraining]:
    """Those of these trainings that are the user's, PLANNED, and neither skipped nor deleted nor hidden, by date.

    Raises `Unprocessable` where they would be too large together to be changed at once.
    """
    if not ids:
        return []
    rows = await runner.all(READ, {"user_id": user_id, "ids": list(ids), "most": MOST_BYTES})
    return await asyncio.to_thread(lambda: [_planned(row) for row in rows])  # megabytes of JSON, where there are many


def _planned(row: Sequence[Any]) -> PlannedTraining:
    id_, version, source_id, created_at, fields = row
    if fields is None:
        raise _too_large()
    return PlannedTraining(id_, version, source_id, created_at, orjson.loads(fields))


async def create_planned(
    cursor: Cursor, author: Author, topic: str, items: Sequence[tuple[UUID, Mapping[str, Any]]]
) -> dict[UUID, int]:
    """Make PLANNED trainings, each with its event: new ids, and the members that each begins with. The versions by ids.

    Raises `Unprocessable` where the events would be too large.
    """
    rows = [(id_, None, fields) for id_, fields in items]
    return await _write(cursor, author, topic, EventType.TRAINING_CREATED, statement=CREATE_MANY, rows=rows)


async def change_planned(
    cursor: Cursor, author: Author, topic: str, changed: Sequence[tuple[PlannedTraining, dict[str, Any]]]
) -> dict[UUID, int]:
    """Store trainings anew, as their next versions, with their events: what was read of each, and its members then.

    They stay PLANNED. The versions by ids. Raises `Stale`, and `Unprocessable` where the events would be too large.
    """
    rows = [(training.id, training.version, fields) for training, fields in changed]
    anew = [t.id for t, fields in changed if t.fields["exercises"] != fields["exercises"]]
    return await _write(cursor, author, topic, EventType.TRAINING_UPDATED, statement=CHANGE_MANY, rows=rows, anew=anew)


async def delete_planned(
    cursor: Cursor, author: Author, topic: str, versions: Sequence[tuple[UUID, int]]
) -> dict[UUID, int]:
    """Mark trainings as deleted, each with its event, at the versions that were read; their histories stay.

    The versions by ids. Raises `Stale`.
    """
    nothing: dict[str, Any] = {}
    rows = [(id_, version, nothing) for id_, version in versions]
    return await _write(cursor, author, topic, EventType.TRAINING_DELETED, statement=DELETE_MANY, rows=rows)


def check_size(many: Iterable[Mapping[str, Any]]) -> None:
    """Raises `Unprocessable` where trainings that say this would be too large to be written at once."""
    for _ in _texts(many):
        pass


async def _write(
    cursor: Cursor,
    author: Author,
    topic: str,
    event_type: EventType,
    *,
    statement: str,
    rows: Sequence[tuple[UUID, int | None, Mapping[str, Any]]],
    **more: object,
) -> dict[UUID, int]:
    if not rows:
        return {}
    writer = TrainingWriter(cursor, topic)

    def items() -> str:
        texts = _texts(fields for _, _, fields in rows)
        return orjson.dumps(
            [
                {"id": id_, "seen": seen, "fields": orjson.Fragment(text)}
                | {name: event[name] for name in ("event_id", "event_head", "payload_head")}
                for (id_, seen, _), text in zip(rows, texts, strict=True)
                for event in (writer.event(author, id_, event_type),)
            ]
        ).decode()

    parameters = writer.event(author, author.user_id, event_type) | {
        "items": await asyncio.to_thread(items),
        "digest": _UNNAMED,
        **more,
    }
    written: dict[UUID, int] = dict(await writer.ask(statement, parameters))
    if len(written) < len(rows):
        raise Stale
    return {id_: written[id_] for id_, _, _ in rows}


def _texts(many: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """What trainings say, as their events have it. Raises `Unprocessable` where these would be too large."""
    size = 0
    for fields in many:
        text = orjson.dumps(_in_order(fields) if fields else {})
        if len(text) > MAX_EVENT_BYTES:
            raise Unprocessable(f"The event of a training would be larger than {MAX_EVENT_BYTES:,} bytes.")
        size += len(text)
        if size > MOST_BYTES:
            raise _too_large()
        yield text


def _too_large() -> Unprocessable:
    return Unprocessable(f"The trainings would have more than {MOST_BYTES:,} bytes together: change fewer at once.")


def _in_order(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The members in the order in which every event has them."""
    if fields["status"] != Status.PLANNED or not fields.keys() <= set(_MEMBERS):
        raise ValueError("a plan holds PLANNED trainings only, which say nothing else")
    return {name: fields[name] for name in _MEMBERS if name in fields}
