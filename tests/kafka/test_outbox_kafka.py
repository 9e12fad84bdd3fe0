"""The relay on Apache Kafka, whose broker crashes, hangs, refuses and forgets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from storage.database import Database
from storage.outbox import ask, quarantined, status
from tests.support.brokers import KafkaAddress, OwnBroker
from tests.support.databases import DatabaseUrls
from tests.support.invariants import judge
from tests.support.load import until
from tests.support.log import append
from tests.support.outbox import outbox, settings_for
from tests.support.topic import read_topic

pytestmark = pytest.mark.kafka

USERS = [UUID(int=number) for number in range(1, 9)]


def training_of(user: UUID) -> UUID:
    return UUID(int=user.int + 1000)


class Log:
    """Appends versions of one training for each user."""

    def __init__(self, database: Database, topic: str) -> None:
        self.database = database
        self.topic = topic
        self.version = 0

    async def grow(self, versions: int = 1, **more: object) -> None:
        for _ in range(versions):
            self.version += 1
            for user in USERS:
                fields = {"user_id": user, "training_id": training_of(user), "topic": self.topic}
                await append(self.database, version=self.version, **fields, **more)

    @asynccontextmanager
    async def growing(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        """It grows all the time."""
        stopped = False

        async def grow() -> None:
            while not stopped:
                await self.grow()
                wake()
                await asyncio.sleep(0.01)

        task = asyncio.create_task(grow())
        yield
        stopped = True
        await task

    async def published(self) -> bool:
        return (await status(self.database)).depth == 0


@pytest.fixture
def topic() -> str:
    """A topic that is not there yet."""
    return f"test_{uuid4().hex}"


@asynccontextmanager
async def admin_of(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def test_order_holds_while_the_broker_crashes_hangs_and_loses_connections(
    db: Database, database_urls: DatabaseUrls, own_broker: OwnBroker, topic: str
) -> None:
    log = Log(db, topic)
    settings = settings_for(database_urls, own_broker, topic, relay_batch=200, relay_ack_timeout=1.0)
    async with outbox(settings) as service:
        await until(lambda: service.state.role == "leader", 5, "it leads")
        async with log.growing(service.wake):
            for _ in range(2):
                await asyncio.sleep(0.5)
                own_broker.server.kill()
                own_broker.server.start()
            for _ in range(5):
                await asyncio.sleep(0.1)
                own_broker.proxy.cut()
            own_broker.server.freeze()
            await asyncio.sleep(2)  # longer than the relay waits for an acknowledgement
            own_broker.server.thaw()
            own_broker.proxy.refuse()
            await asyncio.sleep(1)
            own_broker.proxy.accept()
            await asyncio.sleep(0.5)
        await until(log.published, 10, "the lag is gone within 10 s")
        # A broker that has just come back may take longer than a second for one more answer.
        await until(lambda: service.state.error is None, 5, "nothing is wrong any more")
    verdict = await judge(database_urls.owner, own_broker.bootstrap, topic)
    assert verdict.violations == ()
    assert verdict.events == log.version * len(USERS)
    assert verdict.events > 500


async def test_a_broker_that_was_absent_from_the_start(
    db: Database, database_urls: DatabaseUrls, own_broker: OwnBroker, topic: str
) -> None:
    log = Log(db, topic)
    own_broker.proxy.refuse()
    async with outbox(settings_for(database_urls, own_broker, topic)) as service:
        await log.grow(5)
        await until(lambda: service.state.error is not None, 5, "it says so")
        await asyncio.sleep(3)
        own_broker.proxy.accept()
        await until(log.published, 10, "published")
    verdict = await judge(database_urls.owner, own_broker.bootstrap, topic)
    assert (verdict.violations, verdict.events, verdict.duplicates) == ((), 40, 0)


async def test_a_record_that_the_broker_finds_too_large(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    async with admin_of(broker.bootstrap) as admin:
        small = {"max.message.bytes": "20000"}
        await admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=1, topic_configs=small)])
    log = Log(db, topic)
    settings = settings_for(database_urls, broker, topic)
    large, training = USERS[3], training_of(USERS[3])
    async with outbox(settings) as service:
        await log.grow(30)  # more in one batch than the broker takes at once
        fields = {"user_id": large, "training_id": training, "topic": topic}
        seq = await append(db, version=31, notes="x" * 30_000, **fields)
        await append(db, version=32, **fields)
        await append(db, version=1, user_id=large, training_id=uuid4(), topic=topic)
        service.wake()
        await until(log.published, 20, "all but the large one's training flows")
        (held,) = await quarantined(db)
        assert (held.seq, held.aggregate_id, held.version) == (seq, str(training), 31)
        assert "MessageSizeTooLarge" in held.error
        assert service.state.held == 1
        assert len(await read_topic(broker.bootstrap, topic)) == 30 * len(USERS) + 1

        await ask(db, "skip", seq=seq, asked_by="me", reason="it is a test's")
        service.wake()

        async def settled() -> bool:
            return await quarantined(db) == []

        await until(settled, 10, "skipped")
    records = await read_topic(broker.bootstrap, topic)
    versions = [
        record.event["payload"]["version"]
        for record in records
        if record.event["payload"]["training_id"] == str(training)
    ]
    assert versions == [*range(1, 31), 32]


async def test_a_topic_that_is_deleted_is_made_anew(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    log = Log(db, topic)
    told = asyncio.Event()

    async def made_anew() -> None:
        told.set()

    async with outbox(settings_for(database_urls, broker, topic), made_anew) as service:
        await log.grow(3)
        service.wake()
        await until(log.published, 10, "published")
        async with admin_of(broker.bootstrap) as admin:
            await admin.delete_topics([topic])
        await log.grow(2)
        service.wake()
        await until(log.published, 10, "published again")
        await asyncio.wait_for(told.wait(), 1)
    records = await read_topic(broker.bootstrap, topic)
    assert len({record.partition for record in records}) > 1
    assert {record.event["payload"]["version"] for record in records} == {4, 5}
    assert (await status(db)).generations == {
        topic: 2,
        f"{topic}_workouts": 1,
        f"{topic}_exercises": 1,
        f"{topic}_phases": 1,
        f"{topic}_readiness": 1,
        f"{topic}_insights": 1,
    }


async def test_a_topic_that_somebody_else_made_anew_is_noticed(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    log = Log(db, topic)
    settings = settings_for(database_urls, broker, topic)
    async with outbox(settings) as service:
        await log.grow(3)
        service.wake()
        await until(log.published, 10, "published")
    async with admin_of(broker.bootstrap) as admin:
        await admin.delete_topics([topic])
        await asyncio.sleep(0.5)
        await admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=1)])
    async with outbox(settings) as service:
        await log.grow()
        service.wake()
        await until(log.published, 10, "published again")
    assert (await status(db)).generations == {
        topic: 2,
        f"{topic}_workouts": 1,
        f"{topic}_exercises": 1,
        f"{topic}_phases": 1,
        f"{topic}_readiness": 1,
        f"{topic}_insights": 1,
    }


async def test_partitions_fewer_and_more_than_configured(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    async with admin_of(broker.bootstrap) as admin:
        await admin.create_topics(
            [
                NewTopic(topic, num_partitions=2, replication_factor=1),
                NewTopic(f"{topic}.wide", num_partitions=6, replication_factor=1),
            ]
        )
    wide = Log(db, f"{topic}.wide")
    await wide.grow(3)
    async with outbox(settings_for(database_urls, broker, topic)) as service:
        await until(wide.published, 10, "published")
        narrow = Log(db, topic)
        await narrow.grow()
        service.wake()
        await until(lambda: service.state.error is not None, 5, "refused")
        assert "2 partitions, 4 are configured" in (service.state.error or "")
    records = await read_topic(broker.bootstrap, f"{topic}.wide")
    assert {record.partition for record in records} <= {0, 1, 2, 3}
    assert await read_topic(broker.bootstrap, topic) == []


async def test_the_topic_is_made_as_configured(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    log = Log(db, topic)
    await log.grow()
    settings = settings_for(database_urls, broker, topic, topic_partitions=5, topic_retention_days=2)
    async with outbox(settings):
        await until(log.published, 10, "published")
    async with admin_of(broker.bootstrap) as admin:
        (found,) = await admin.describe_topics([topic])
        assert len(found["partitions"]) == 5
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        values = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        assert values["retention.ms"] == str(2 * 86_400_000)
