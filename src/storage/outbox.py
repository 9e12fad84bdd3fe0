"""The log as it is read, and the one row that says how far.

A *window* is the set of rows that one snapshot (`hi`) sees and an earlier one (`lo`) does not, in order of `seq`. It
loses no row, whatever order transactions got their ids, their seqs and their commits in, and an open transaction holds
up nobody else's rows. What lo does not see lies beyond the largest seq that lo sees (`top_seq`), and is read along the
index on seq, or belongs to a transaction that was under way: few rows, which are read by transaction id.

Every statement that moves the cursor names the fence, and touches no row once another relay has raised it.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg2
import psycopg2.errors

from models.errors import DatabaseUnavailable, UserErased
from models.events import WorkoutEventType
from models.outbox import Acquired, Adopted, Batch, Held, Lease, LeaseLost, LogRow, OutboxStatus, TopicMark
from models.workouts import plan_json
from storage.archives import read_published
from storage.database import Database, Parameters, Prepared, Row
from storage.outbox_statements import (
    ACQUIRE,
    ADOPT,
    ADVANCE,
    ASK,
    ASKED,
    CHANNEL,
    FILTERS,
    HELD_NOW,
    LAST_SEQ,
    MONTHS_AHEAD,
    PASSED,
    PUBLISHED,
    QUARANTINE,
    READ,
    REBASE,
    RECOVER,
    RECOVERED,
    RECOVERED_ALL,
    RELEASE,
    SETTLE,
    STATUS,
    STEP,
    bounded,
)

log = logging.getLogger(__name__)

BATCH_BYTES = 16 * 2**20  # of payload that one batch holds, and one event more at most
STRETCH = 50_000  # seqs looked through by one statement after a move to another cluster


class OutboxStore:
    """The relay's store. `owner` names the relay, unlike any other that ever was; `lease` is in seconds.

    Methods that take a lease raise `LeaseLost` when it is another's. All raise `DatabaseUnavailable`: nothing is known
    of the lease then, and it is acquired again, whereby what may still be under way meets another fence.
    """

    def __init__(self, database: Database, owner: str, *, lease: float, batch: int) -> None:
        self._database = database
        self._owner = owner
        self._lease = lease
        self._batch = batch

    async def acquire(self) -> Acquired | None:
        """Take the lease if it is free, ran out by the database's clock, or is this relay's own; else None."""
        row = await self._database.one(ACQUIRE, {"owner": self._owner, "lease": self._lease})
        if row is None:
            return None
        *place, topics, moved, strange = row
        held = [Held(*found) for found in await self._database.all(HELD_NOW)]
        return Acquired(
            Lease(*place),
            topics,
            {(each.user_id, each.aggregate_id): each.seq for each in held},
            moved or strange,
            strange,
        )

    async def release(self, lease: Lease, topics: dict[str, TopicMark]) -> None:
        """Store what is acknowledged, and let another relay take over at once. Raises no `LeaseLost`."""
        row = {"fence": lease.fence, "hi": lease.hi, "done": lease.done_seq, "topics": orjson.dumps(topics).decode()}
        await self._database.execute(RELEASE, row)

    async def step(self, lease: Lease, topics: dict[str, TopicMark], *, move: bool) -> tuple[Lease, Batch, bool]:
        """The window of `lease` is published. Opens the next one and returns its first batch.

        Where nothing was committed since, nothing is written, unless `move` asks that the end of the window, and the
        lease's renewal, be stored. The last of what is returned: whether a retry or skip is asked for.
        """
        window = self._place(lease.hi, top=lease.last_seq, after=lease.floor_seq)
        row = {
            "fence": lease.fence,
            "hi": lease.hi,
            "move": move,
            "topics": orjson.dumps(topics).decode(),
            "lease": self._lease,
        }
        rows = await self._database.all(STEP, window | row)
        if not rows:
            raise LeaseLost
        asked, hi = rows[0][:2]
        found = [found[2:] for found in rows if found[2] is not None]
        if hi is None:
            if move or found:  # taken over after the snapshot
                raise LeaseLost
            return lease, Batch([], more=False), asked
        moved = replace(lease, lo=lease.hi, hi=hi, top_seq=lease.last_seq, done_seq=0)
        return moved, self._as_batch(found), asked

    async def read(self, lease: Lease, after: int) -> Batch:
        """The next rows of the window, beyond the seq `after`."""
        window = self._place(lease.lo, top=lease.top_seq, after=max(after, lease.floor_seq))
        return self._as_batch(await self._database.all(READ, window | {"hi": lease.hi}))

    async def advance(self, lease: Lease, topics: dict[str, TopicMark]) -> None:
        """Store that the rows of the window are acknowledged up to the lease's `done_seq`, and renew the lease."""
        row = {
            "fence": lease.fence,
            "hi": lease.hi,
            "done": lease.done_seq,
            "topics": orjson.dumps(topics).decode(),
            "lease": self._lease,
        }
        await self._move(ADVANCE, row)

    async def adopt(self, lease: Lease, rows: Sequence[LogRow]) -> tuple[Lease, Adopted]:
        """Take back into the log, and into trainings and workouts, those of `rows` that are not there: the database
        lost them.

        Their places in the log are new, and count as published. A write of the same training or workout that was taken
        since then and is not published gets the next version. One that no table can hold counts as strange.
        """
        found = [row._asdict() | {"plan": _plan(row)} for row in rows]
        try:
            row = await self._database.one(ADOPT, {"fence": lease.fence, "found": orjson.dumps(found).decode()})
        except (psycopg2.DataError, psycopg2.IntegrityError) as error:
            return await self._adopt_apart(lease, rows, error)
        if row is None or row[0] is None:
            raise LeaseLost
        events, renumbered, strange, top, generation = row
        if events:
            top = max(lease.last_seq, top)
            lease = replace(lease, epoch=lease.epoch + 1, top_seq=top, last_seq=top)
        return lease, Adopted(events, renumbered, strange, generation)

    async def _adopt_apart(
        self, lease: Lease, rows: Sequence[LogRow], error: psycopg2.DatabaseError
    ) -> tuple[Lease, Adopted]:
        """One of `rows` caused `error`: look for it by halves, and leave it alone where no table can hold it."""
        if error.diag.table_name == "outbox":  # without a partition for the month; the operator's to make
            raise error
        if len(rows) == 1:
            if isinstance(error, psycopg2.errors.UniqueViolation):
                raise DatabaseUnavailable("A write came between what is taken back: once more.") from error
            # Without the error's text, which may hold values: they are personal data.
            extra = {"sqlstate": error.pgcode, "aggregate_id": rows[0].aggregate_id, "event_id": rows[0].event_id}
            log.warning("no table can hold an event that stands on the topic", extra=extra)
            return lease, Adopted(0, 0, 1, None)
        middle = len(rows) // 2
        lease, first = await self.adopt(lease, rows[:middle])
        lease, second = await self.adopt(lease, rows[middle:])
        both = Adopted(
            first.events + second.events,
            first.renumbered + second.renumbered,
            first.strange + second.strange,
            second.generation or first.generation,
        )
        return lease, both

    async def rebase(self, lease: Lease) -> Lease:
        """Begin a new epoch in a cluster that the log was restored into. Waits 2 s at most for open writers."""
        row = await self._database.one(REBASE, {"fence": lease.fence})
        if row is None or row[0] is None:
            raise LeaseLost
        return replace(lease, epoch=lease.epoch + 1, floor_seq=row[0], recovered_seq=0)

    async def recover(self, lease: Lease) -> tuple[list[LogRow], int]:
        """After `rebase`: the next rows from before that were not published, and the seq up to which was looked."""
        after = lease.recovered_seq or 0
        last = min(after + STRETCH, lease.floor_seq)
        row = {"after": after, "last": last, "batch": self._batch, "bytes": BATCH_BYTES}
        batch = self._as_batch(await self._database.all(RECOVER, row))
        return batch.rows, batch.rows[-1].seq if batch.more else last

    async def recovered(self, lease: Lease, done: int) -> Lease:
        """Store how far `recover` and publishing came; at the end of the old rows, ordinary windows begin."""
        row = {"fence": lease.fence, "done": done, "lease": self._lease}
        if done < lease.floor_seq:
            await self._move(RECOVERED, row)
            return replace(lease, recovered_seq=done)
        base = await self._database.one(RECOVERED_ALL, row)
        if base is None:
            raise LeaseLost
        top = max(lease.floor_seq, lease.top_seq)
        return replace(lease, lo=base[0], hi=base[0], top_seq=top, last_seq=top, done_seq=0, recovered_seq=None)

    async def quarantine(self, lease: Lease, row: LogRow, error: str) -> None:
        """Keep an event that the broker refuses for good; its aggregate's later events wait behind it."""
        fields = {name: getattr(row, name) for name in ("seq", "user_id", "aggregate_id", "version", "topic")}
        with suppress(UserErased):  # the row is on its way out of the log
            await self._move(QUARANTINE, fields | {"fence": lease.fence, "error": error})

    async def asked(self) -> Held | None:
        """The first refused event that somebody asks to retry or to skip."""
        row = await self._database.one(ASKED)
        return Held(*row) if row else None

    async def passed(self, lease: Lease, held: Held) -> list[LogRow]:
        """What waits behind a refused event: its aggregate's rows in the windows so far, with it but for a skip."""
        after = held.seq if held.state == "skip" else held.seq - 1
        place = {"user_id": held.user_id, "aggregate_id": held.aggregate_id, "after": after}
        rows = await self._database.all(PASSED, place | {"floor": lease.floor_seq, "hi": lease.hi})
        return [LogRow(*row) for row in rows]

    async def settle(self, lease: Lease, held: Held) -> None:
        """What waited behind a refused event is published, or behind another refused one; nothing waits for this."""
        await self._move(SETTLE, {"fence": lease.fence, "seq": held.seq})

    async def _move(self, statement: str | Prepared, row: Parameters) -> None:
        if await self._database.execute(statement, row) == 0:
            raise LeaseLost

    def _place(self, snapshot: str, *, top: int, after: int) -> dict[str, object]:
        """The parameters of a window whose `lo` is `snapshot`: xmin:xmax:xip,xip…"""
        _, xmax, xip = snapshot.split(":")
        place = {"xmax": xmax, "xip": f"{{{xip}}}", "top": top, "after": after, "late": after < top}
        return place | {"batch": self._batch, "bytes": BATCH_BYTES}

    def _as_batch(self, rows: list[Row]) -> Batch:
        more = len(rows) == self._batch or (bool(rows) and rows[-1][-1] >= BATCH_BYTES)
        return Batch([LogRow._make(row[:-1]) for row in rows], more)


def _plan(row: LogRow) -> str | None:
    """What a workout's row holds beside what its event tells; None of a training's."""
    if row.event_type not in list(WorkoutEventType):
        return None
    return plan_json(orjson.dumps(orjson.loads(row.payload)["payload"]["exercises"]))


async def status(database: Database) -> OutboxStatus:
    """How far the relay is behind the log, in one statement. Raises `DatabaseUnavailable`."""
    ((*figures, topics),) = await database.all(STATUS)
    return OutboxStatus._make([*figures, {topic: mark["generation"] for topic, mark in topics.items()}])


async def quarantined(database: Database) -> list[Held]:
    """The events that the broker refused and that nobody settled yet, oldest first. Raises `DatabaseUnavailable`."""
    return [Held(*row) for row in await database.all(HELD_NOW)]


async def ask(database: Database, state: str, *, seq: int | None, asked_by: str, reason: str) -> int:
    """Ask the relay to `retry` or `skip` the refused event `seq`, or all of them; returns how many are meant.

    A retry publishes it again, with what waits behind it; a skip gives it up for good and publishes what waits.
    Raises `DatabaseUnavailable`.
    """
    row = {"state": state, "seq": seq, "asked_by": asked_by, "reason": reason}
    ((count, _),) = await database.all(ASK, row)
    return int(count)


async def published(
    database: Database,
    *,
    user_id: UUID | None = None,
    training_id: UUID | None = None,
    workout_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    batch: int = 5000,
    archive_dir: Path | None = None,
) -> AsyncIterator[list[LogRow]]:
    """The events that were published before now, in the log's order, in batches: of a user, of a training or workout,
    of a time. Those that are archived come first, training by training.

    `since` is inclusive, `until` exclusive. Raises `DatabaseUnavailable`, and `ArchiveUnavailable`.
    """
    filters = {
        "user_id": user_id,
        "training_id": training_id,
        "workout_id": workout_id,
        "since": since,
        "until": until,
    }
    sql = bounded(PUBLISHED.format(" ".join(FILTERS[name] for name, value in filters.items() if value is not None)))
    if workout_id is None:
        async for archived in read_published(
            database, archive_dir, user_id=user_id, training_id=training_id, since=since, until=until
        ):
            yield archived
    ((last,),) = await database.all(LAST_SEQ)
    place: dict[str, Any] = filters | {"after": 0, "last": last, "batch": batch, "bytes": BATCH_BYTES}
    while rows := await database.all(sql, place):
        yield [LogRow._make(row[:-1]) for row in rows]
        place["after"] = rows[-1][0]


async def keep_partitions(database: Database, ahead: int) -> list[str]:
    """Make the log's missing partitions up to `ahead` months from now; returns their names.

    Raises `DatabaseUnavailable`, also when writers held the table for 2 s: ask again.
    """
    return [str(row[0]) for row in await database.all("SELECT outbox_keep_partitions(%s)", [ahead])]


async def months_ahead(database: Database) -> int:
    """For how many months after this one the log has a partition; without one no write of that month can be taken."""
    ((count,),) = await database.all(MONTHS_AHEAD)
    return int(count)


async def notify(database: Database) -> None:
    """Wake the relay, whichever worker it is in."""
    await database.execute(f"NOTIFY {CHANNEL}")


async def listen(database: Database, heard: Callable[[], bool]) -> bool:
    """Call `heard` for every `notify`, until it returns False. Keeps one connection. Raises `DatabaseUnavailable`.

    Returns whether anything can be heard: not behind a pooler, which keeps no `LISTEN`.
    """
    async with database.session() as cursor:
        if cursor.pooled:
            return False
        await cursor.execute(f"LISTEN {CHANNEL}")
        try:
            while True:
                await cursor.notifications.get()
                if not heard():
                    return True
        finally:
            if not cursor.broken:
                await cursor.execute(f"UNLISTEN {CHANNEL}")
