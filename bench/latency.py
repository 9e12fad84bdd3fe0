"""From commit to consumer: how long an event takes from the database to a reader of the topic.

The relay is measured beside Debezium. Trainings are posted at a steady rate, far below what either could take. An event
counts from its timestamp, when its transaction began: so the figure holds the statement and its commit too, and needs
no clock but this machine's.
"""

import asyncio
import datetime as dt
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import orjson
import psycopg2
from aiokafka import AIOKafkaConsumer

from bench.material import percentile, post
from bench.peers.debezium import DEFAULT, TUNED, connected, told
from bench.relay import make_topic
from bench.results import Measurement, Target
from bench.stage import Stage, settled
from tests.support.databases import DatabaseUrls

RATE = 200.0  # posts a second
SECONDS = 12.0
ROUNDS = 3
OPEN = 120.0  # seconds that a writer stays open elsewhere, with posts all the while
_WARM_UP = 2.0  # seconds at the beginning that are not counted
_CONNECTIONS = 20
_PATIENCE = 15.0  # seconds to wait for the last event

OURS = "commit to consumer"
BESIDE = f"commit to consumer, beside a writer open for {OPEN:.0f} s"
DEBEZIUM_DEFAULT = "commit to consumer, Debezium by default"
DEBEZIUM_TUNED = "commit to consumer, Debezium tuned"
REQUESTS = "the POSTs meanwhile"
NOTES = {
    DEBEZIUM_DEFAULT: told(DEFAULT),
    DEBEZIUM_TUNED: told(TUNED),
    BESIDE: "one round",
}
TARGETS = (
    Target("commit to consumer: 10 ms", f"{OURS}, p50", 10, at_least=False),
    Target("commit to consumer: 30 ms for 99 of 100", f"{OURS}, p99", 30, at_least=False),
    Target("commit to consumer: below tuned Debezium", f"{OURS}, p50", 1.0, f"{DEBEZIUM_TUNED}, p50", at_least=False),
    Target(
        "commit to consumer: below tuned Debezium, for 99 of 100",
        f"{OURS}, p99",
        1.0,
        f"{DEBEZIUM_TUNED}, p99",
        at_least=False,
    ),
    Target("an open writer elsewhere: 1.5 times, for 99 of 100", f"{BESIDE}, p99", 1.5, f"{OURS}, p99", at_least=False),
)


@dataclass(frozen=True)
class Latency:
    """Seconds, ascending: `events` from the write's transaction to a consumer, `requests` of the POSTs."""

    events: Sequence[float]
    requests: Sequence[float]


async def measure(stage: Stage) -> list[Measurement]:
    """The relay and Debezium, by turns, each with a worker and a database of its own; then beside an open writer."""
    ours, theirs = stage.urls(), stage.urls()
    our_settings, their_settings = stage.settings(ours), stage.settings(theirs, relay_enabled=False)
    our_worker, their_worker = stage.worker(ours, our_settings), stage.worker(theirs, their_settings)
    seconds = 2 * _WARM_UP if stage.quick else SECONDS
    bootstrap = stage.broker.bootstrap
    watch = partial(observe, bootstrap=bootstrap, topic=our_settings.events_topic)
    found: defaultdict[str, list[Latency]] = defaultdict(list)
    await make_topic(bootstrap, their_settings.events_topic, their_settings.topic_partitions)
    with connected(stage.folder, bootstrap, theirs) as connect:
        try:
            our_worker.start()
            their_worker.start()
            await watch(our_worker.url, seconds=seconds)
            for _ in range(min(stage.rounds, ROUNDS)):
                connect.pause()
                found[OURS].append(await watch(our_worker.url, seconds=seconds))
                for name, settings in ((DEBEZIUM_DEFAULT, DEFAULT), (DEBEZIUM_TUNED, TUNED)):
                    connect.pause()
                    connect.go(settings)
                    found[name].append(
                        await observe(
                            their_worker.url, bootstrap=bootstrap, topic=their_settings.events_topic, seconds=seconds
                        )
                    )
            connect.pause()
            await settled(ours)
            with _open_writer(ours):
                found[BESIDE].append(await watch(our_worker.url, seconds=2 * seconds if stage.quick else OPEN))
        finally:
            our_worker.stop()
            their_worker.stop()
    requests = [run.requests for run in found[OURS]]
    return [
        *(part for name, runs in found.items() for part in _parts(name, [run.events for run in runs])),
        *_parts(REQUESTS, requests),
    ]


def _parts(name: str, runs: Sequence[Sequence[float]]) -> Iterator[Measurement]:
    for part, share in (("p50", 0.5), ("p99", 0.99)):
        values = tuple(percentile(run, share) * 1000 for run in runs)
        yield Measurement("latency", f"{name}, {part}", "ms", values, NOTES.get(name, f"{RATE:.0f} posts a second"))


async def observe(url: str, *, bootstrap: str, topic: str, seconds: float) -> Latency:
    """Post at a steady rate to the worker at `url`, and read the topic meanwhile."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap)
    await consumer.start()
    arrivals: list[tuple[float, float]] = []
    reading: asyncio.Task[None] | None = None
    try:
        await consumer.seek_to_end()
        began = time.time()
        reading = asyncio.create_task(_read(consumer, began, arrivals))
        run = await post(url, connections=_CONNECTIONS, seconds=seconds, rate=RATE)
        deadline = time.monotonic() + _PATIENCE
        while len(arrivals) < run.created and not reading.done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{run.created} events were due, {len(arrivals)} came")
            await asyncio.sleep(0.05)
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
        await consumer.stop()
    warm = min(_WARM_UP, seconds / 2)
    counted = [arrived - stored for stored, arrived in arrivals if stored - began > warm]
    return Latency(sorted(counted), run.latencies)


async def _read(consumer: AIOKafkaConsumer, since: float, arrivals: list[tuple[float, float]]) -> None:
    while True:
        fetched = await consumer.getmany(timeout_ms=1000)
        now = time.time()
        for records in fetched.values():
            for record in records:
                stored = dt.datetime.fromisoformat(orjson.loads(record.value)["timestamp"]).timestamp()
                if stored >= since:
                    arrivals.append((stored, now))


@contextmanager
def _open_writer(urls: DatabaseUrls) -> Iterator[None]:
    """A transaction that has written, and holds its place in every snapshot until the block ends."""
    connection = psycopg2.connect(urls.owner)
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE elsewhere AS SELECT pg_current_xact_id()")
        yield
    finally:
        connection.close()
