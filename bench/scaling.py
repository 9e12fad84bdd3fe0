"""Scaling: POSTs, relay and fold by one, two and three workers of this machine, and whose processor time is the limit.

Workers, PostgreSQL, Kafka and the generator share the processors: where one worker has all of these busy, another one
adds nothing here. What it would add on processors of its own follows from what each part takes of one for a POST.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from uuid import uuid4

import psutil
import psycopg2
from aiokafka.admin import AIOKafkaAdminClient

from bench import fold, limits, relay
from bench.material import post
from bench.results import Measurement, Target
from bench.stage import Stage, settled
from embedded.worker import Worker
from outbox.replay import replay
from settings import Settings
from storage.database import Database
from tests.support.databases import DatabaseUrls

AREA = "scaling"
WORKERS = (1, 2, 3)
ROUNDS = 2
CONNECTIONS = 12  # of the generators, to all workers together
_EVENTS = {"relay": 60_000, "fold": 20_000}
_WRITTEN = 1_000  # of the events of the fold, by POST's own statement
_PATIENCE = 60.0  # seconds

STATEMENT = "the statement of POST alone, by pgbench, beside no worker"

TARGETS: tuple[Target, ...] = ()  # how it scales follows from how many processors there are

_PARTS = ("workers", "PostgreSQL", "Kafka", "generator")
_NOTES = {
    "relay": "one of them relays, the others stand by",
    "fold": "they share the partitions; from the first row until the last",
    "processor time of a POST": "user and system, until it is published and folded",
    "processor time in use during the POSTs": f"of {os.cpu_count()} processors",
    "POSTs that the processors allow": "where all of their time is for POSTs: the next limit of this machine",
    "POSTs that PostgreSQL's share of it allows": "with as many processors for PostgreSQL alone, and workers elsewhere",
}

_Figures = defaultdict[tuple[str, str], list[float]]  # by name and unit


async def measure(stage: Stage) -> list[Measurement]:
    """One, two and three workers by turns, for POSTs, relay and fold."""
    scale = 10 if stage.quick else 1
    found: _Figures = defaultdict(list)
    bare, rest, outbox, log = (stage.urls() for _ in range(4))
    of_rest, of_relay, of_fold = (stage.settings(urls) for urls in (rest, outbox, log))
    topic = f"scaling_{uuid4().hex[:8]}"  # none that an agent reads: these rows are no trainings
    await relay.make_topic(stage.broker.bootstrap, topic, of_relay.topic_partitions)
    await fold.write(log, of_fold, _WRITTEN // scale)
    await relay.drain(of_fold, relay.Memory(), [partial(fold.fill_log, log, _EVENTS["fold"] // scale)])
    script = stage.folder / "scaling.sql"
    script.write_text(await limits.post_script())
    for _ in range(ROUNDS):
        alone = await asyncio.to_thread(limits.pgbench, bare, script, 1 if stage.quick else 4)
        found[STATEMENT, "/s"].append(alone)
        for count in WORKERS:
            by = f"{count} worker{'s' * (count > 1)}"
            async with _started(stage, rest, of_rest, count) as workers:
                await _posts(found, by, stage, rest, workers)
            found[f"relay, {by}", "events/s"].append(
                await _relayed(stage, outbox, of_relay, topic, count=count, events=_EVENTS["relay"] // scale)
            )
            found[f"fold, {by}", "events/s"].append(await _folded(stage, log, count))
    return [
        Measurement(AREA, name, unit, tuple(values), _NOTES.get(name.partition(",")[0], ""))
        for (name, unit), values in sorted(found.items(), key=_place)
    ]


def _place(figure: tuple[tuple[str, str], list[float]]) -> int:
    """Rates first, each of all numbers of workers; then what is said of processors."""
    name = figure[0][0]
    order = ("POST,", "relay,", "fold,", "the statement", "POSTs that", "processor time in use", "processor time of")
    return next(place for place, first in enumerate(order) if name.startswith(first))


@asynccontextmanager
async def _started(stage: Stage, urls: DatabaseUrls, settings: Settings, count: int) -> AsyncIterator[list[Worker]]:
    """So many workers of one service, all of them ready."""
    workers = [stage.worker(urls, settings) for _ in range(count)]
    try:
        await asyncio.gather(*(asyncio.to_thread(worker.start) for worker in workers))
        yield workers
    finally:
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in workers))


async def _posts(found: _Figures, by: str, stage: Stage, urls: DatabaseUrls, workers: Sequence[Worker]) -> None:
    async def posted(seconds: float) -> tuple[float, int, float]:
        each = CONNECTIONS // len(workers)
        runs = await asyncio.gather(*(post(worker.url, connections=each, seconds=seconds) for worker in workers))
        return (
            sum(done.per_second for done in runs),
            sum(done.created for done in runs),
            sum(done.processor_seconds for done in runs),
        )

    await posted(0.5)  # a fresh worker has to prepare its statements, and to join its group
    await settled(urls)
    before, began = _spent(stage, urls, workers), time.perf_counter()
    rate, created, generator = await posted(0.5 if stage.quick else 4.0)
    during, seconds = _spent(stage, urls, workers), time.perf_counter() - began
    await settled(urls)
    after = _spent(stage, urls, workers)
    processors = os.cpu_count() or 1
    of_post = {part: 1000 * (after[part] - before[part]) / created for part in after}
    of_post["generator"] = 1000 * generator / created
    used = generator + sum(during[part] - before[part] for part in during)
    found[f"POST, {by}", "/s"].append(rate)
    found[f"processor time in use during the POSTs, {by}", "%"].append(100 * used / seconds / processors)
    for part in _PARTS:
        if part in of_post:
            found[f"processor time of a POST, {by}: {part}", "ms"].append(of_post[part])
    found[f"POSTs that the processors allow, {by}", "/s"].append(1000 * processors / sum(of_post.values()))
    found[f"POSTs that PostgreSQL's share of it allows, {by}", "/s"].append(1000 * processors / of_post["PostgreSQL"])


async def _relayed(
    stage: Stage, urls: DatabaseUrls, settings: Settings, topic: str, *, count: int, events: int
) -> float:
    """Events a second of a full outbox, while so many workers are there."""
    workers = [stage.worker(urls, settings) for _ in range(count)]

    def start() -> None:
        list(threads.map(Worker.start, workers))

    def stop() -> None:
        list(threads.map(Worker.stop, workers))

    fill = partial(relay.fill_outbox, urls, topic)
    reader = relay.Reader(topic, events, fill, start, stop, lambda: workers[0].pid)
    with ThreadPoolExecutor(count) as threads:  # to its end: a child ends with the thread that started it
        return (await relay.drained(stage.broker.bootstrap, reader, events))[0]


async def _folded(stage: Stage, urls: DatabaseUrls, count: int) -> float:
    """Events a second of a log that is published when so many workers have shared an empty topic's partitions."""
    fold.clear(urls)
    settings = stage.settings(urls, relay_enabled=False)
    await relay.make_topic(stage.broker.bootstrap, settings.events_topic, settings.topic_partitions)
    async with _started(stage, urls, settings, count):
        await _joined(stage, settings.consumer_group, count)
        database = Database(urls.worker, pool_size=2)
        try:
            replaying = asyncio.create_task(replay(settings, database, topic=settings.events_topic))
            while not (first := await asyncio.to_thread(fold.stored, urls)):  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.02)
            began = time.perf_counter()
            due = (await replaying).records
            while (done := await asyncio.to_thread(fold.stored, urls)) < due:
                if time.perf_counter() - began > _PATIENCE:
                    raise RuntimeError(f"{done} of {due} events were folded")
                await asyncio.sleep(0.05)
            return (done - first) / (time.perf_counter() - began)
        finally:
            await database.close()


async def _joined(stage: Stage, group: str, count: int) -> None:
    """Return when the group has so many members, each with its partitions. Raises TimeoutError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.broker.bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                (answer,) = await admin.describe_consumer_groups([group])
                _, _, state, _, _, members, *_ = answer.groups[0]
                if state == "Stable" and len(members) == count:
                    return
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


def _spent(stage: Stage, urls: DatabaseUrls, workers: Sequence[Worker]) -> dict[str, float]:
    """Seconds of a processor that each part has taken ever; Kafka's is not known where it runs in Docker."""
    with closing(psycopg2.connect(urls.owner)) as connection:
        postgres = psutil.Process(connection.info.backend_pid).parent()
    if postgres is None:
        raise RuntimeError("PostgreSQL's own process is not to be seen")
    parts = {"workers": [psutil.Process(worker.pid) for worker in workers], "PostgreSQL": [postgres]}
    broker = getattr(stage.broker, "pid", None)
    if broker is not None:
        parts["Kafka"] = [psutil.Process(broker)]
    return {part: sum(map(_taken, processes)) for part, processes in parts.items()}


def _taken(process: psutil.Process) -> float:
    """By the process, by its children, and by those of them that have ended."""
    times = process.cpu_times()
    seconds = times.user + times.system + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            of_child = child.cpu_times()
            seconds += of_child.user + of_child.system
    return float(seconds)
