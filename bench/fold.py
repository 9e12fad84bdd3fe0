"""The agent: how fast it folds a topic, against its SQL sent alone."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from agents.volume import decode
from analytics.volume import fold
from bench.material import run
from bench.relay import drain
from embedded.worker import Worker
from models.metrics import FoldedTraining
from outbox.producer import KafkaProducer
from settings import Settings
from storage.database import Database
from storage.volume import fold_into
from tests.support.databases import DatabaseUrls

EVENTS = 40_000  # about as many
_BATCH = 2000  # events in one statement; what the agent joins varies about it
_POLL_INTERVAL = 0.1  # seconds
_PATIENCE = 120.0  # seconds

# As other trainings of other users: the copy's number takes the place of their ids' first digits.
_COPY = """
INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, payload)
SELECT overlay(event_id::text PLACING head FROM 1)::uuid, topic, aggregate_type,
       overlay(aggregate_id::text PLACING head FROM 1)::uuid, version, event_type,
       overlay(user_id::text PLACING head FROM 1)::uuid, actor,
       replace(replace(replace(payload, event_id::text, overlay(event_id::text PLACING head FROM 1)),
                       aggregate_id::text, overlay(aggregate_id::text PLACING head FROM 1)),
               user_id::text, overlay(user_id::text PLACING head FROM 1))
FROM outbox, (SELECT to_hex(3221225472 + n) AS head FROM generate_series(1, %(copies)s) n) copy
"""
# The mark at the log's end says that nothing is to be folded from the log: all of it comes from the topic.
_EMPTY = """
TRUNCATE analytics.folded_trainings, analytics.exercise_volume, analytics.daily_volume, analytics.users;
UPDATE analytics.fold_state SET folded_seq = (SELECT max(seq) FROM outbox), generation = 1;
CHECKPOINT
"""


@dataclass(frozen=True)
class Folded:
    """Events a second, by the agent and by its SQL alone; `events` is how many there were.

    `resident` is the worker's memory at the end, in bytes.
    """

    events: int
    agent: float
    sql: float
    resident: int

    @property
    def ratio(self) -> float:
        """What part of the bare SQL's rate the agent reaches."""
        return self.agent / self.sql


async def measure(worker: Worker, urls: DatabaseUrls, settings: Settings) -> Folded:
    """Fold all events of the topic, which are those of the log: once by a worker, once by the statements alone.

    The log holds what was posted before; it is filled up with copies of that. `worker` is not started, belongs to a new
    consumer group, and does not relay. Its rate counts from the first rows that are seen in the tables, so that neither
    its start nor its joining the group is in it.
    """
    await drain(settings, KafkaProducer.of(settings), [partial(_fill_up, urls)])
    run(urls, _EMPTY)
    events = _events(urls)
    await asyncio.to_thread(worker.start)
    try:
        agent = await _follow(worker, urls, events)
        resident = psutil.Process(worker.pid).memory_info().rss
    finally:
        worker.stop()
    return Folded(events, agent, await _bare(urls), resident)


def _events(urls: DatabaseUrls) -> int:
    return int(run(urls, "SELECT count(*) FROM outbox")[0][0])


def _fill_up(urls: DatabaseUrls) -> int:
    before = _events(urls)
    run(urls, _COPY, {"copies": max(round(EVENTS / before) - 1, 0)})
    return _events(urls) - before


async def _follow(worker: Worker, urls: DatabaseUrls, events: int) -> float:
    deadline = time.monotonic() + _PATIENCE
    first, began = 0, 0.0
    while True:
        folded = int(run(urls, "SELECT count(*) FROM analytics.folded_trainings")[0][0])
        now = time.perf_counter()
        if folded and not first:
            first, began = folded, now
        if folded == events:
            return (events - first) / (now - began)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{events} events were due, {folded} are folded.\n{worker.tail()}")
        await asyncio.sleep(_POLL_INTERVAL)


class _Recorder:
    """Takes the place of a connection: what would be sent is kept."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Any]] = []

    async def execute(self, sql: Any, parameters: Any) -> int:
        self.sent.append((sql, parameters))
        return 0

    async def all(self, sql: Any, parameters: Any) -> list[tuple[int]]:
        return [(await self.execute(sql, parameters),)]

    async def one(self, sql: Any, parameters: Any) -> tuple[int]:
        return (await self.execute(sql, parameters),)


async def _bare(urls: DatabaseUrls) -> float:
    """The same rows by the same statements over one connection, all made beforehand."""
    trainings: list[FoldedTraining] = []
    for seq, payload in run(urls, "SELECT seq, payload FROM outbox ORDER BY seq"):
        event = decode(payload.encode())
        if event is None:
            raise RuntimeError("the log holds an event of another kind")
        trainings.append(fold(event, {}, seq))
    recorder: Any = _Recorder()
    for at in range(0, len(trainings), _BATCH):
        await fold_into(recorder, trainings[at : at + _BATCH])
    run(urls, _EMPTY)
    database = Database(urls.worker, pool_size=2)
    try:
        async with database.session() as cursor:
            await cursor.one("SELECT 1")
            began = time.perf_counter()
            for sql, parameters in recorder.sent:
                await cursor.execute(sql, parameters)
            return len(trainings) / (time.perf_counter() - began)
    finally:
        await database.close()
