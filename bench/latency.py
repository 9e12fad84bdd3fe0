"""From commit to consumer: how long an event takes from the database to a reader of the topic."""

import asyncio
import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer

from bench.material import post
from embedded.worker import Worker
from settings import Settings

RATE = 200.0  # posts a second
SECONDS = 15.0
_WARM_UP = 2.0  # seconds at the beginning that are not counted
_CONNECTIONS = 20
_PATIENCE = 10.0  # seconds to wait for the last event


@dataclass(frozen=True)
class Latency:
    """Seconds, ascending: `events` from the write's transaction to a consumer, `requests` of the POSTs."""

    events: Sequence[float]
    requests: Sequence[float]


async def measure(worker: Worker, settings: Settings, *, seconds: float = SECONDS) -> Latency:
    """Post at a steady rate and read the topic meanwhile.

    An event counts from `ce_time`, when its transaction began: so the figure holds the statement and its commit too,
    and needs no clock but this machine's.
    """
    consumer = AIOKafkaConsumer(settings.events_topic, bootstrap_servers=settings.kafka_bootstrap)
    await consumer.start()
    arrivals: list[tuple[float, float]] = []
    reading: asyncio.Task[None] | None = None
    try:
        await consumer.seek_to_end()
        began = time.time()
        reading = asyncio.create_task(_read(consumer, began, arrivals))
        run = await post(worker.url, connections=_CONNECTIONS, seconds=seconds, rate=RATE)
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
    counted = [arrived - stored for stored, arrived in arrivals if stored - began > _WARM_UP]
    return Latency(sorted(counted), run.latencies)


async def _read(consumer: AIOKafkaConsumer, since: float, arrivals: list[tuple[float, float]]) -> None:
    while True:
        fetched = await consumer.getmany(timeout_ms=1000)
        now = time.time()
        for records in fetched.values():
            for record in records:
                stored = dt.datetime.fromisoformat(dict(record.headers)["ce_time"].decode()).timestamp()
                if stored >= since:
                    arrivals.append((stored, now))
