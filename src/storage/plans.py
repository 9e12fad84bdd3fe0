"""Plans: many PLANNED trainings read, made, changed or deleted at once, within a transaction of the caller's.

Each kind of write is one statement, however many trainings it is about, and writes an event for each. It writes what is
still as it was read, or raises `Stale`: then the transaction is to be rolled back, and all read and computed anew.
What is written is the athlete's own doing: a coach's request has no transactions.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
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

MOST_PLANNED = 1_000  # that are read where nobody says less
MOST_BYTES = 16_000_000  # that the events of one write may have together
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


async def in_transaction(database: Database, write: Callable[[Cursor], Awaitable[T]]) -> T:
    """What `write` returns within a transaction, in which it is begun anew where it raises `Stale`.

    The transaction is the only one that changes plans of this user, from its first statement here (`hold`) on. Those
    that wait for it are few (`Database.waiting`), so that others have connections. Raises `DatabaseUnavailable`, also
    where others changed the trainings each time.
    """
    async with database.waiting():
        for _ in range(ATTEMPTS):
            try:
                async with database.transaction() as cursor:
                    return await write(cursor)
            except Stale:
                continue
    raise DatabaseUnavailable("These trainings are being changed by others all the time.")


async def hold(cursor: Cursor, user_id: UUID) -> None:
    """Wait until no other transaction changes plans of this user, and let none do so until this one ends.

    What is read after it is what the other ones left. The batches below do this too, each before its first row.
    """
    await cursor.execute(LOCK, {"user_id": user_id})


async def read_planned(
    runner: Runner,
    user_id: UUID,
    *,
    ids: Sequence[UUID] | None = None,
    first: dt.date | None = None,
    last: dt.date | None = None,
    phase_id: UUID | None = None,
    workout_id: UUID | None = None,
    limit: int = MOST_PLANNED,
) -> list[PlannedTraining]:
    """The user's trainings that are PLANNED and neither skipped nor deleted nor hidden, the earliest `limit` of them.

    Each argument that is given narrows them: ids, local days, the phase that laid them, the workout that they were made
    from.
    """
    parameters = {
        "user_id": user_id,
        "ids": None if ids is None else list(ids),
        "first": first,
        "last": last,
        "phase_id": phase_id,
        "workout_id": workout_id,
        "limit": limit,
    }
    return [planned(row) for row in await runner.all(READ, parameters)]


def planned(row: Sequence[Any]) -> PlannedTraining:
    """The training that a row of `plan_statements.TOLD` tells of."""
    id_, version, source_id, created_at, fields = row
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
    cursor: Cursor, author: Author, topic: str, trainings: Sequence[PlannedTraining]
) -> dict[UUID, int]:
    """Mark trainings as deleted, each with its event; their histories stay. The versions by ids. Raises `Stale`."""
    nothing: dict[str, Any] = {}
    rows = [(training.id, training.version, nothing) for training in trainings]
    return await _write(cursor, author, topic, EventType.TRAINING_DELETED, statement=DELETE_MANY, rows=rows)


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
    items, size = [], 0
    for id_, seen, fields in rows:
        text = orjson.dumps(_in_order(fields) if fields else {})
        size += len(text)
        if len(text) > MAX_EVENT_BYTES:
            raise Unprocessable(f"The event of a training would be larger than {MAX_EVENT_BYTES:,} bytes.")
        event = writer.event(author, id_, event_type)
        items.append(
            {"id": id_, "seen": seen, "fields": orjson.Fragment(text)}
            | {name: event[name] for name in ("event_id", "event_head", "payload_head")}
        )
    if size > MOST_BYTES:
        raise Unprocessable(f"The trainings would have more than {MOST_BYTES:,} bytes together.")
    parameters = writer.event(author, author.user_id, event_type) | {
        "items": orjson.dumps(items).decode(),
        "digest": _UNNAMED,
        **more,
    }
    written: dict[UUID, int] = dict(await writer.ask(statement, parameters))
    if len(written) < len(rows):
        raise Stale
    return {id_: written[id_] for id_, _, _ in rows}


def _in_order(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The members in the order in which every event has them."""
    if fields["status"] != Status.PLANNED or not fields.keys() <= set(_MEMBERS):
        raise ValueError("a plan holds PLANNED trainings only, which say nothing else")
    return {name: fields[name] for name in _MEMBERS if name in fields}
