"""The relay: how fast an outbox that is full is drained, by it, by Debezium, and by one that polls and marks.

Each reader has a table of the same form, in a database of its own, with the same rows, committed a thousand at a time
while it is off. Its rate counts from the first record that is seen on the topic, so that its start is no part of it.
"""

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import psutil
import psycopg2
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.material import run
from bench.peers.debezium import DEFAULT, TUNED, Connect, connected, superuser, told
from bench.results import Measurement, Target
from bench.stage import Stage
from embedded.process import Child
from models.outbox import Found, LogRow
from outbox.relay import Outcome, Producer, Relay
from settings import Settings
from storage.database import Database
from storage.outbox import OutboxStore
from storage.outbox_statements import PLANNER
from tests.support.databases import DatabaseUrls

EVENTS = 200_000
ROUNDS = 3
PAYLOAD_BYTES = 1000
_NAIVE_BATCH = 100  # rows of one of its transactions
_NAIVE_EVENTS = 20_000  # of the one that takes the longest: it is as fast with more
_USERS = 5000
_WARM_UP = 20_000  # events: a fresh broker, plan or JVM is slow
_AT_ONCE = 1000  # rows of one transaction
_PATIENCE = 120.0  # seconds

MEMORY = "relay, into memory"
OURS = "relay, our worker"
DEBEZIUM_DEFAULT = "relay, Debezium by default"
DEBEZIUM_TUNED = "relay, Debezium tuned"
NAIVE = "relay, poll and mark"
WORKER_RSS = "memory of the worker that relays"
CONNECT_RSS = "memory of Kafka Connect with Debezium"
NOTES = {
    MEMORY: "reading the log and moving the cursor; nothing is sent",
    DEBEZIUM_DEFAULT: told(DEFAULT),
    DEBEZIUM_TUNED: told(TUNED),
    NAIVE: f"{_NAIVE_BATCH} rows a transaction; drains {_NAIVE_EVENTS:,}",
    WORKER_RSS: "resident, after a drain",
    CONNECT_RSS: "resident, after a drain; -Xms256M -Xmx2G as its own scripts have it",
}
TARGETS = (
    Target("relay: 50,000 events/s into memory", MEMORY, 50_000),
    Target("relay: 30,000 events/s", OURS, 30_000),
    Target("relay: 2.5 times Debezium by default", OURS, 2.5, DEBEZIUM_DEFAULT),
    Target("relay: 2.5 times Debezium tuned", OURS, 2.5, DEBEZIUM_TUNED),
    Target("worker that relays: 150 MB", WORKER_RSS, 150, at_least=False),
)

_FILL = """
INSERT INTO {table} (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, payload)
SELECT uuidv7(), %(topic)s, 'training', uuidv7(), 1, 'training_created',
       ('01990000-0000-7000-8000-' || lpad(to_hex(n %% %(users)s), 12, '0'))::uuid, 'bench',
       '{{"n": "' || rpad(n::text, %(size)s - 9, '.') || '"}}'
FROM generate_series(%(first)s, %(last)s) n
"""
# What that one needs: the same rows in a table that it may mark.
_NAIVE_TABLE = """
CREATE TABLE naive_outbox (LIKE outbox INCLUDING DEFAULTS INCLUDING IDENTITY);
ALTER TABLE naive_outbox ADD PRIMARY KEY (seq), ADD published_at timestamptz;
CREATE INDEX ON naive_outbox (seq) WHERE published_at IS NULL
"""


class Memory:
    """A producer that acknowledges at once: what is left is reading the log, and moving the cursor."""

    async def publish(
        self,
        rows: Sequence[LogRow],  # noqa: ARG002 - the protocol's name
        may_send: Callable[[], bool],
    ) -> Outcome:
        """Take the rows."""
        if not may_send():
            raise RuntimeError("the lease ran out during the measurement")
        return Outcome()

    async def beyond(self, topic: str, offsets: Mapping[str, int] | None) -> Found:  # noqa: ARG002 - the protocol's names
        """There is no topic, so nothing stands on it."""
        return Found([], {}, 0, False)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Reader:
    """Who drains a table of rows, and how it is started, warm, and stopped."""

    topic: str
    events: int
    fill: Callable[[int], None]
    start: Callable[[], None]
    stop: Callable[[], None]
    pid: Callable[[], int]


async def measure(stage: Stage) -> list[Measurement]:
    """All readers, by turns."""
    ours, theirs, naive, memory = (stage.urls() for _ in range(4))
    bootstrap, scale = stage.broker.bootstrap, 10 if stage.quick else 1
    found: defaultdict[str, list[float]] = defaultdict(list)
    resident: defaultdict[str, list[float]] = defaultdict(list)
    found[MEMORY] = await _in_memory(memory, stage.settings(memory), EVENTS // scale, min(stage.rounds, ROUNDS))
    with ExitStack() as stack:
        connect = stack.enter_context(connected(stage.folder, bootstrap, theirs))
        readers = {
            OURS: _ours(stage, stack, ours, EVENTS // scale),
            DEBEZIUM_DEFAULT: _debezium(connect, theirs, DEFAULT, EVENTS // scale),
            DEBEZIUM_TUNED: _debezium(connect, theirs, TUNED, EVENTS // scale),
            NAIVE: _naive(stage, stack, naive, _NAIVE_EVENTS // scale),
        }
        for topic in {reader.topic for reader in readers.values()}:
            await make_topic(bootstrap, topic, stage.settings(ours).topic_partitions)
        for reader in readers.values():
            await drained(bootstrap, reader, min(reader.events, _WARM_UP))
        for _ in range(min(stage.rounds, ROUNDS)):
            for name, reader in readers.items():
                rate, megabytes = await drained(bootstrap, reader, reader.events)
                found[name].append(rate)
                resident[name].append(megabytes)
    return [
        *(Measurement("relay", name, "events/s", tuple(values), NOTES.get(name, "")) for name, values in found.items()),
        Measurement("relay", WORKER_RSS, "MB", tuple(resident[OURS]), NOTES[WORKER_RSS]),
        Measurement(
            "relay", CONNECT_RSS, "MB", (*resident[DEBEZIUM_DEFAULT], *resident[DEBEZIUM_TUNED]), NOTES[CONNECT_RSS]
        ),
    ]


async def drain(settings: Settings, producer: Producer, fills: Sequence[Callable[[], int]]) -> list[float]:
    """Publish what each of `fills` puts into the outbox and counts; returns the seconds that each of them took."""
    database = Database(settings.worker_url, pool_size=3, options=PLANNER)
    relay = Relay(
        OutboxStore(database, f"bench-{uuid4().hex}", lease=settings.relay_lease, batch=settings.relay_batch),
        producer,
        lease=settings.relay_lease,
        patience=settings.relay_ack_timeout,
    )
    seconds = []
    try:
        for fill in fills:
            due, before = fill(), relay.state.published
            began = time.perf_counter()
            await relay.drain()
            seconds.append(time.perf_counter() - began)
            published = relay.state.published - before
            if published != due:
                raise RuntimeError(f"{due} events were due, {published} went out: {relay.state.error}")
    finally:
        await relay.stop()
        await database.close()
    return seconds


async def make_topic(bootstrap: str, topic: str, partitions: int) -> None:
    """Make a topic, for those who do not do it themselves."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def _in_memory(urls: DatabaseUrls, settings: Settings, count: int, rounds: int) -> list[float]:
    def fill(count: int) -> int:
        fill_outbox(urls, settings.events_topic, count)
        return count

    warm, rest = partial(fill, min(count, _WARM_UP)), [partial(fill, count)] * rounds
    return [count / seconds for seconds in (await drain(settings, Memory(), [warm, *rest]))[1:]]


def _ours(stage: Stage, stack: ExitStack, urls: DatabaseUrls, events: int) -> Reader:
    worker = stage.worker(urls, stage.settings(urls))
    stack.callback(worker.stop)
    topic = f"relay_{uuid4().hex[:8]}"  # none that its agent reads: these rows are no trainings
    return Reader(topic, events, partial(fill_outbox, urls, topic), worker.start, worker.stop, lambda: worker.pid)


def _debezium(connect: Connect, urls: DatabaseUrls, settings: Mapping[str, str], events: int) -> Reader:
    topic = f"debezium_{connect.slot}"
    go = partial(connect.go, settings)
    return Reader(topic, events, partial(fill_outbox, urls, topic), go, connect.pause, lambda: connect.pid)


def _naive(stage: Stage, stack: ExitStack, urls: DatabaseUrls, events: int) -> Reader:
    run(urls, _NAIVE_TABLE)
    topic = f"naive_{uuid4().hex[:8]}"
    needs = {"bootstrap": stage.broker.bootstrap, "topic": topic, "database_url": urls.owner, "batch": _NAIVE_BATCH}
    child = Child("the relay that polls and marks", stage.folder / f"{topic}.log")
    command = (sys.executable, "-m", "bench.peers.naive_relay")
    stack.callback(child.kill)
    start = partial(child.spawn, command, env={**os.environ, "BENCH_PEER": json.dumps(needs)})
    fill = partial(fill_outbox, urls, topic, table="naive_outbox")
    return Reader(topic, events, fill, start, child.kill, lambda: child.pid)


async def drained(bootstrap: str, reader: Reader, count: int) -> tuple[float, float]:
    """Let the reader drain `count` rows: how many a second, and its memory at the end in MB."""
    reader.fill(count)
    async with _ends(bootstrap, reader.topic) as ends:
        before, first, began = await ends(), 0, 0.0
        deadline = time.monotonic() + _PATIENCE
        starting = asyncio.create_task(asyncio.to_thread(reader.start))
        try:
            while True:
                done, now = await ends() - before, time.perf_counter()
                if done and not first:
                    first, began = done, now
                if done >= count:
                    break
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{count} records were due on {reader.topic}, {done} came")
                await asyncio.sleep(0.01)
            await starting
            resident = psutil.Process(reader.pid()).memory_info().rss / 1e6
        finally:
            await asyncio.wait({starting})
            await asyncio.to_thread(reader.stop)
    if first >= count:
        raise RuntimeError(f"{count} records are too few: all of them came at once")
    return (count - first) / (now - began), resident


@asynccontextmanager
async def _ends(bootstrap: str, topic: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """How many records were written to the topic."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap)
    await consumer.start()
    try:

        async def ends() -> int:
            return sum((await consumer.end_offsets(consumer.assignment())).values())

        yield ends
    finally:
        await consumer.stop()


def fill_outbox(urls: DatabaseUrls, topic: str, count: int, *, table: str = "outbox") -> None:
    """Add rows, as many small transactions would; what they wrote is then on the disk."""
    connection = psycopg2.connect(urls.owner)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for first in range(1, count + 1, _AT_ONCE):
                last = min(first + _AT_ONCE - 1, count)
                row = {"topic": topic, "users": _USERS, "size": PAYLOAD_BYTES, "first": first, "last": last}
                cursor.execute(_FILL.format(table=table), row)
    finally:
        connection.close()
    run(superuser(urls), "CHECKPOINT")
