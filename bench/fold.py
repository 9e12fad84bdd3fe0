"""The agents: how fast they fold a full topic, against others who write the same rows, and against the SQL alone.

A side's rate counts from the first of its rows that is seen, so that neither its start nor its joining the group is in
it. Every side starts with empty tables, in a group of its own, and reads the same topic from its beginning.
"""

import asyncio
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import psutil
from uuid_utils.compat import uuid7

from agents.volume import PART, decode
from analytics.volume import fold
from bench.material import USERS, bodies, run
from bench.peers.debezium import superuser
from bench.relay import drain
from bench.results import Measurement, Target
from bench.stage import Stage
from embedded.process import Child, free_port
from models.metrics import FoldedTraining
from models.trainings import TrainingCreate, exercises_json
from outbox.producer import KafkaProducer
from settings import Settings
from storage.database import Database
from storage.exercises import read_catalogue
from storage.trainings import Author, Trainings
from storage.volume import fold_into
from tests.support.databases import DatabaseUrls

EVENTS = 40_000
ROUNDS = 3
_WRITTEN = 1000  # of the events, by POST's own statement; the others are copies of these
_SECONDS = 8.0  # after which a slow side has shown its rate
_PATIENCE = 60.0  # seconds until the first rows are seen

AGENT = "fold, our agent"
CAUGHT_UP = "fold, our agent: until every user's load and records stand, too"
BARE = "fold, a bare aiokafka consumer"
UPSTREAM = "fold, an upstream Faust agent"
EMPTY = "an upstream Faust agent that only decodes"
READY = "the fold's SQL alone, rows ready"
VALUES = "the fold's SQL alone, from Python values"
MEMORY = "memory of the worker that folds"
NOTES = {
    AGENT: "a worker that does not relay; its agent of load and records gives way to the fold, and works beside it",
    CAUGHT_UP: "events divided by the seconds from the first row until no user is marked any more",
    BARE: "fetch, fold, store, commit, one after another; the same statements",
    UPSTREAM: f"one record at a time, the same statements; for {_SECONDS:g} s at most",
    EMPTY: "writes nothing",
    READY: f"one connection, {PART} events a statement, whose text is made before",
    VALUES: f"one connection, {PART} events a statement",
}
TARGETS = (
    Target("fold: 5,000 events/s", AGENT, 5000),
    Target("load and records of all users: 2,500 events/s", CAUGHT_UP, 2500),
    Target("fold: 0.8 of its SQL alone, from Python values", AGENT, 0.8, VALUES),
    Target("fold: 0.8 of its SQL alone, rows ready", AGENT, 0.8, READY),
    Target("fold: as fast as an upstream Faust agent that only decodes", AGENT, 1.0, EMPTY),
    Target("worker that folds: 150 MB", MEMORY, 150, at_least=False),
)

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
_CLEAR = """
TRUNCATE analytics.folded_trainings, analytics.exercise_volume, analytics.daily_volume, analytics.users,
    analytics.stale_users, analytics.daily_load, analytics.personal_records;
UPDATE analytics.fold_state SET folded_seq = (SELECT max(seq) FROM outbox), generation = 1
"""


@dataclass(frozen=True)
class Followed:
    """A process that was followed: events a second, seconds of its processor time for 10,000, its memory in MB.

    `began` is when the first of its rows was seen, by `time.perf_counter`.
    """

    rate: float
    processor: float
    resident: float
    began: float


async def measure(stage: Stage) -> list[Measurement]:
    """All sides, by turns. The events are trainings of 3 exercises with 4 sets each, of many users."""
    urls = stage.urls()
    settings = stage.settings(urls, relay_enabled=False)
    count = EVENTS // 8 if stage.quick else EVENTS
    await write(urls, settings, min(_WRITTEN, count))
    await drain(settings, KafkaProducer.of(settings), [partial(fill_log, urls, count)])
    trainings = _folded(urls)
    rates: defaultdict[str, list[float]] = defaultdict(list)
    sides: dict[str, Callable[[], Awaitable[Followed]]] = {
        AGENT: partial(_agent, stage, urls, settings, count, rates[CAUGHT_UP]),
        BARE: partial(_bare_consumer, stage, urls, settings, count),
        UPSTREAM: partial(_upstream, stage, urls, settings, count),
        EMPTY: partial(_upstream, stage, urls, settings, count, empty=True),
    }
    processor: defaultdict[str, list[float]] = defaultdict(list)
    resident = []
    for _ in range(min(stage.rounds, ROUNDS)):
        for name, side in sides.items():
            clear(urls)
            followed = await side()
            rates[name].append(followed.rate)
            processor[name].append(followed.processor)
            if name == AGENT:
                resident.append(followed.resident)
        clear(urls)
        rates[READY].append(await _ready(urls, trainings))
        clear(urls)
        rates[VALUES].append(await _from_values(urls, trainings))
    return [
        *(Measurement("fold", name, "events/s", tuple(values), NOTES[name]) for name, values in rates.items()),
        *(
            Measurement("fold", f"processor time for 10,000 events: {name}", "s", tuple(values), "of its process")
            for name, values in processor.items()
        ),
        Measurement("fold", MEMORY, "MB", tuple(resident), "resident, at the end"),
    ]


async def write(urls: DatabaseUrls, settings: Settings, count: int) -> None:
    """The first trainings, as POST stores them."""
    database = Database(urls.worker)
    try:
        trainings, catalogue = Trainings(database, settings.events_topic), await read_catalogue(database)
        given = [TrainingCreate.model_validate_json(body) for body in bodies()]
        for n in range(count):
            user, body, id_ = USERS[n % len(USERS)], given[n % len(given)], uuid7()
            await trainings.create(Author(user, str(user)), id_, body, exercises_json(id_, body.exercises, catalogue))
    finally:
        await database.close()


def fill_log(urls: DatabaseUrls, count: int) -> int:
    """Fill the log up to `count` events at least; returns how many it holds."""
    run(urls, _COPY, {"copies": -(-count // _logged(urls)) - 1})
    return _logged(urls)


def _logged(urls: DatabaseUrls) -> int:
    return int(run(urls, "SELECT count(*) FROM outbox")[0][0])


def clear(urls: DatabaseUrls) -> None:
    """Empty the derived tables; the log stays, and is not folded."""
    run(urls, _CLEAR)
    run(superuser(urls), "CHECKPOINT")


async def _agent(stage: Stage, urls: DatabaseUrls, settings: Settings, count: int, caught_up: list[float]) -> Followed:
    """The fold's figures; `caught_up` takes the rate at which load and records of all users were done, too."""
    worker = stage.worker(urls, settings, consumer_group=f"bench-{uuid4().hex}")
    worker.start()
    try:
        followed = await _follow(worker, partial(stored, urls), count)
        deadline = time.monotonic() + _PATIENCE
        while run(urls, "SELECT 1 FROM analytics.stale_users LIMIT 1"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"users are still marked.\n{worker.tail()}")
            await asyncio.sleep(0.1)
        caught_up.append(count / (time.perf_counter() - followed.began))
        return followed
    finally:
        worker.stop()


async def _bare_consumer(stage: Stage, urls: DatabaseUrls, settings: Settings, count: int) -> Followed:
    child = _peer(stage, urls, settings, "bare-consumer", (sys.executable, "-m", "bench.peers.bare_consumer"))
    try:
        return await _follow(child, partial(stored, urls), count)
    finally:
        child.kill()


async def _upstream(
    stage: Stage, urls: DatabaseUrls, settings: Settings, count: int, *, empty: bool = False
) -> Followed:
    faust = (sys.executable, "-m", "faust", "-q", "-A", "bench.peers.upstream_agent", "-L", "uvloop", "worker")
    child = _peer(stage, urls, settings, "upstream-agent", (*faust, "-l", "warn"), empty=empty, port=free_port())
    try:
        return await _follow(child, partial(_seen, child) if empty else partial(stored, urls), count)
    finally:
        child.kill()  # a stop of upstream's may take for ever


def _peer(
    stage: Stage, urls: DatabaseUrls, settings: Settings, name: str, command: Sequence[str], **more: object
) -> Child:
    """A process of bench/peers, started; what it needs is in its environment."""
    folder = stage.folder / f"{name}-{uuid4().hex[:8]}"
    folder.mkdir()
    needs = {
        "bootstrap": settings.kafka_bootstrap,
        "topic": settings.events_topic,
        "group": folder.name,
        "database_url": urls.worker,
        "folder": str(folder),
        **more,
    }
    child = Child(name, folder / "log")
    child.spawn(command, env={**os.environ, "BENCH_PEER": json.dumps(needs)})
    return child


async def _follow(child: Child, done: Callable[[], int], count: int) -> Followed:
    """Watch until `done()` is `count`, or for `_SECONDS` where that takes longer than anybody would wait."""
    process, deadline = psutil.Process(child.pid), time.monotonic() + _PATIENCE
    while not (first := done()):
        if not child.running or time.monotonic() > deadline:
            raise RuntimeError(f"{child.name} did nothing.\n{child.tail()}")
        await asyncio.sleep(0.02)
    began, used = time.perf_counter(), process.cpu_times()
    while True:
        now_done, now = done(), time.perf_counter()
        if now_done >= count or (now - began > _SECONDS and now_done < count / 2) or not child.running:
            break
        if now - began > _PATIENCE:
            raise RuntimeError(f"{child.name} has done {now_done} of {count} events.\n{child.tail()}")
        await asyncio.sleep(0.5 if now_done < 0.9 * count else 0.05)  # counting is work, too
    after = process.cpu_times()
    work = now_done - first
    spent = after.user + after.system - used.user - used.system
    return Followed(work / (now - began), spent / work * 10_000, process.memory_info().rss / 1e6, began)


def stored(urls: DatabaseUrls) -> int:
    """How many trainings are folded."""
    return int(run(urls, "SELECT count(*) FROM analytics.folded_trainings")[0][0])


def _seen(child: Child) -> int:
    told = re.findall(r"^seen (\d+)$", child.tail(20), re.MULTILINE)
    return int(told[-1]) if told else 0


def _folded(urls: DatabaseUrls) -> list[FoldedTraining]:
    """What the events of the log leave of their trainings, in its order."""
    trainings = []
    for seq, payload in run(urls, "SELECT seq, payload FROM outbox ORDER BY seq"):
        event = decode(payload.encode())
        if event is None:
            raise RuntimeError("the log holds an event of another kind")
        trainings.append(fold(event, {}, seq))
    return trainings


class _Recorder:
    """Takes the place of a connection: what would be sent is kept."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Any]] = []

    async def all(self, sql: Any, parameters: Any) -> list[Any]:
        self.sent.append((sql, parameters))
        return []


async def _ready(urls: DatabaseUrls, trainings: Sequence[FoldedTraining]) -> float:
    """Events a second by the statements alone, all made before."""
    recorder: Any = _Recorder()
    for part in _parts(trainings):
        await fold_into(recorder, part)
    database = Database(urls.worker, pool_size=2)
    try:
        async with database.session() as cursor:
            await cursor.one("SELECT 1")
            began = time.perf_counter()
            for sql, parameters in recorder.sent:
                await cursor.one(sql, parameters)
            return len(trainings) / (time.perf_counter() - began)
    finally:
        await database.close()


async def _from_values(urls: DatabaseUrls, trainings: Sequence[FoldedTraining]) -> float:
    """Events a second by the statements alone, made of what `analytics.volume` computed before."""
    database = Database(urls.worker, pool_size=2)
    try:
        async with database.session() as cursor:
            await cursor.one("SELECT 1")
            began = time.perf_counter()
            for part in _parts(trainings):
                await fold_into(cursor, part)
            return len(trainings) / (time.perf_counter() - began)
    finally:
        await database.close()


def _parts(trainings: Sequence[FoldedTraining]) -> list[Sequence[FoldedTraining]]:
    return [trainings[at : at + PART] for at in range(0, len(trainings), PART)]
