"""Four relays that are wrong, as people write them, and the right one, behind one face."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from chaos.controls.world import PARTITIONS, World
from models.outbox import Found, LogRow
from outbox.producer import KafkaProducer
from outbox.records import headers, partition_of
from outbox.relay import Outcome, Relay
from storage.database import Cursor, Database
from storage.outbox import OutboxStore, status
from storage.outbox_statements import PLANNER
from tests.support.outbox import settings_for

LEASE = 1.5  # seconds: so long a relay waits for one that was killed
BATCH = 10

_ROWS = """
SELECT o.seq, o.topic, o.user_id::text, o.aggregate_id::text, o.version::text, o.event_id::text, o.event_type,
       rfc3339(o.created_at), o.request_id, o.payload
FROM outbox o"""

Pause = Callable[[], Awaitable[None]]


class Killed(BaseException):
    """The process is dead: nothing catches it, nothing is tidied up."""


async def at_once() -> None:
    """No pause."""


class Publisher(Protocol):
    """A relay, right or wrong."""

    async def wrote(self, transaction: Cursor, /) -> None:
        """A transaction has written to the log and is still open."""

    async def drain(self) -> None:
        """Publish what is to be published, as far as it goes now."""

    async def settle(self) -> None:
        """Publish until nothing is left, as far as it can tell."""

    async def close(self) -> None:
        """End, or be buried where it was killed."""


class Naive:
    """What the wrong relays have in common. `before_send` is awaited before records are sent."""

    # Where they remember what they have published: their own, as everybody's is.
    TABLES = """
    CREATE TABLE IF NOT EXISTS naive_cursor AS SELECT 0::bigint AS seq;
    CREATE TABLE IF NOT EXISTS naive_published (seq bigint PRIMARY KEY);
    """

    def __init__(self, world: World, before_send: Pause = at_once) -> None:
        self._world = world
        self._before_send = before_send
        self._producer: AIOKafkaProducer | None = None

    async def wrote(self, _transaction: Cursor, /) -> None:
        """It hears of nothing."""

    async def drain(self) -> None:
        """Until nothing is found."""
        await self._world.owner.execute(self.TABLES)
        while await self._publish_some():
            pass

    async def settle(self) -> None:
        """It knows of nothing else to do."""
        await self.drain()

    async def close(self) -> None:
        """Let go of the broker."""
        if self._producer is not None:
            await self._producer.stop()

    async def _publish_some(self) -> bool:
        raise NotImplementedError

    async def _rows(self, database: Database | Cursor, condition: str, *parameters: object) -> list[LogRow]:
        return [LogRow(*row) for row in await database.all(f"{_ROWS} {condition}", parameters)]

    async def _send(self, rows: Sequence[LogRow]) -> None:
        await self._before_send()
        if self._producer is None:
            self._producer = AIOKafkaProducer(bootstrap_servers=self._world.kafka.bootstrap, acks="all")
            await self._producer.start()
        for row in rows:
            key = row.user_id.encode()
            await self._producer.send_and_wait(
                row.topic,
                row.payload.encode(),
                key,
                partition=partition_of(key, PARTITIONS),
                headers=headers(row),
            )


class CursorOverSeq(Naive):
    """Reads `seq > cursor`: what commits after a larger seq was read is never seen."""

    async def _publish_some(self) -> bool:
        rows = await self._next()
        if rows:
            await self._send(rows)
            await self._move(rows)
        return bool(rows)

    async def _next(self) -> list[LogRow]:
        after = "WHERE o.seq > (SELECT seq FROM naive_cursor) ORDER BY o.seq LIMIT %s"
        return await self._rows(self._world.owner, after, BATCH)

    async def _move(self, rows: Sequence[LogRow]) -> None:
        await self._world.owner.execute("UPDATE naive_cursor SET seq = %s", [rows[-1].seq])


class AckBeforeSend(CursorOverSeq):
    """Moves its cursor before the broker has acknowledged: a crash between the two loses the batch."""

    async def _publish_some(self) -> bool:
        rows = await self._next()
        if rows:
            await self._move(rows)
            await self._send(rows)
        return bool(rows)


class SkipLocked(Naive):
    """Takes rows as from a queue of jobs, with any number of its kind: who took a training's first event may be slower
    than who took its second."""

    async def _publish_some(self) -> bool:
        async with self._world.owner.transaction() as cursor:
            rows = await self._rows(
                cursor,
                """WHERE NOT EXISTS (SELECT FROM naive_published p WHERE p.seq = o.seq)
                ORDER BY o.seq LIMIT 1 FOR UPDATE OF o SKIP LOCKED""",
            )
            if rows:
                await self._send(rows)
                await cursor.execute("INSERT INTO naive_published VALUES (%s)", [rows[0].seq])
        return bool(rows)


class PublishBeforeCommit(Naive):
    """Writes twice: whoever writes also publishes, before the transaction ends, and so what never was."""

    async def wrote(self, transaction: Cursor, /) -> None:
        """Publish what the transaction wrote."""
        await self._send(await self._rows(transaction, "WHERE o.xid = pg_current_xact_id() ORDER BY o.seq"))

    async def _publish_some(self) -> bool:
        return False  # all is published


class _AfterPause:
    """`outbox.relay.Producer`: another one, after a pause."""

    def __init__(self, producer: KafkaProducer, pause: Pause) -> None:
        self._producer = producer
        self._pause = pause

    async def publish(self, rows: Sequence[LogRow], may_send: Callable[[], bool]) -> Outcome:
        if rows:
            await self._pause()
        return await self._producer.publish(rows, may_send)

    async def beyond(self, topic: str, offsets: Mapping[str, int] | None) -> Found:
        return await self._producer.beyond(topic, offsets)

    async def close(self) -> None:
        await self._producer.close()


class Right:
    """The service's own relay, on its real store and producer."""

    def __init__(self, world: World, before_send: Pause = at_once) -> None:
        self._world = world
        self._database = Database(world.urls.worker, pool_size=3, options=PLANNER)
        store = OutboxStore(self._database, f"relay {uuid4()}", lease=LEASE, batch=BATCH)
        producer = KafkaProducer.of(settings_for(world.urls, world.kafka, world.topic))
        self._relay = Relay(store, _AfterPause(producer, before_send), lease=LEASE)

    async def wrote(self, _transaction: Cursor, /) -> None:
        """Look at once, as a worker's relay may do at any time."""
        await self.drain()

    async def drain(self) -> None:
        """Whatever is to be published, where it leads."""
        await self._relay.drain()

    async def settle(self) -> None:
        """Until nothing waits; the lease of a relay that was killed has to run out first."""
        await self._relay.drain()
        while (await status(self._world.worker)).depth:
            await asyncio.sleep(0.02)
            await self._relay.drain()

    async def close(self) -> None:
        """Let go of the broker and the lease."""
        await self._relay.stop()
        await self._database.close()
