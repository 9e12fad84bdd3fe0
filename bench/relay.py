"""The relay alone: how fast it drains a full outbox, into memory and onto a broker."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from bench.material import run
from models.outbox import LogRow
from outbox.producer import KafkaProducer
from outbox.relay import Outcome, Producer, Relay
from settings import Settings
from storage.database import Database
from storage.outbox import OutboxStore
from storage.outbox_statements import PLANNER
from tests.support.databases import DatabaseUrls

EVENTS = 200_000
PAYLOAD_BYTES = 1000
_USERS = 5000
_WARM_UP = 20_000  # events: a fresh broker and a fresh plan are slow

_FILL = """
INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, payload)
SELECT uuidv7(), %(topic)s, 'training', uuidv7(), 1, 'training_created',
       ('01990000-0000-7000-8000-' || lpad(to_hex(n %% %(users)s), 12, '0'))::uuid, 'bench',
       '{"n": "' || rpad(n::text, %(size)s - 9, '.') || '"}'
FROM generate_series(1, %(count)s) n
"""


@dataclass(frozen=True)
class Drained:
    """Events a second, of `PAYLOAD_BYTES` bytes each."""

    in_memory: float
    on_broker: float


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

    async def close(self) -> None:
        """Nothing is open."""


async def measure(urls: DatabaseUrls, settings: Settings) -> Drained:
    """Measure on a database that nobody else uses; `settings` name the broker."""
    memory = settings.model_copy(update={"events_topic": "bench_memory"})
    return Drained(await _rate(urls, memory, Memory()), await _rate(urls, settings, KafkaProducer.of(settings)))


async def drain(settings: Settings, producer: Producer, fills: Sequence[Callable[[], int]]) -> list[float]:
    """Publish what each of `fills` puts into the outbox and counts; returns the seconds that each of them took."""
    database = Database(settings.database_url, pool_size=3, options=PLANNER)
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


async def _rate(urls: DatabaseUrls, settings: Settings, producer: Producer) -> float:
    def fill(count: int) -> int:
        row = {"topic": settings.events_topic, "users": _USERS, "size": PAYLOAD_BYTES, "count": count}
        run(urls, _FILL, row)
        return count

    _, seconds = await drain(settings, producer, [partial(fill, _WARM_UP), partial(fill, EVENTS)])
    return EVENTS / seconds
