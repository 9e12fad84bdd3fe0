"""The outbox's service as a worker has it, without the worker."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from outbox.service import OutboxService
from settings import Settings
from storage.database import Database
from tests.support.brokers import KafkaAddress, OwnBroker
from tests.support.databases import DatabaseUrls
from tests.support.load import until

_LISTENS = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' AND starts_with(query, 'LISTEN ')
"""


def settings_for(urls: DatabaseUrls, kafka: KafkaAddress | OwnBroker, topic: str, **more: object) -> Settings:
    """Settings of a worker with short leases and four partitions."""
    fields: dict[str, object] = {
        "database_url": urls.worker,
        "database_listen_url": urls.listen,
        "kafka_bootstrap": kafka.bootstrap,
        "kafka_idempotent": kafka.idempotent,
        "events_topic": topic,
        "workout_events_topic": f"{topic}_workouts",
        "exercise_events_topic": f"{topic}_exercises",
        "phase_events_topic": f"{topic}_phases",
        "readiness_events_topic": f"{topic}_readiness",
        "insights_topic": f"{topic}_insights",
        "topic_partitions": 4,
        "relay_lease": 1.0,
        "relay_ack_timeout": 2.0,
        "jwt_secret": "a secret of the tests, long enough for HS256",
    }
    return Settings.model_validate(fields | more)


async def heard(urls: DatabaseUrls) -> None:
    """Wait until a worker hears the wake-ups of others: until a session of the database has said LISTEN."""
    database = Database(urls.admin, pool_size=1)

    async def listens() -> bool:
        return await database.one(_LISTENS) is not None

    try:
        await until(listens, 10, "a worker listens")
    finally:
        await database.close()


async def _nothing() -> None:
    pass


@asynccontextmanager
async def outbox(
    settings: Settings, on_topic_made_anew: Callable[[], Awaitable[None]] = _nothing
) -> AsyncIterator[OutboxService]:
    """A started service, stopped in the end."""
    database = Database(settings.worker_url)
    service = OutboxService(settings, database, on_topic_made_anew=on_topic_made_anew)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
        await database.close()
