"""Apache Kafka as a provider gives it: the service may make no topic, and somebody else decides on partitions."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest

from embedded.worker import Worker
from outbox.records import partition_of
from storage.database import Database
from tests.kafka.test_security import post, reasons
from tests.kafka.test_whole_service import flows, folded, topic_of
from tests.support.brokers import KafkaAddress, dispose, new_folder
from tests.support.databases import DatabaseUrls
from tests.support.invariants import judge
from tests.support.kafka import Kafka, Listener
from tests.support.load import until
from tests.support.log import append
from tests.support.outbox import outbox, settings_for
from tests.support.topic import Record, read_topic

pytestmark = pytest.mark.kafka

PASSWORD = "secret"
# Of the broker's protocol: https://kafka.apache.org/protocol.html (CreateAcls)
TOPIC, GROUP = 2, 3
READ, WRITE, DESCRIBE = 3, 4, 8
LITERAL, ALLOW = 3, 3


@pytest.fixture(scope="module")
def strict(server_folder: Path) -> Iterator[Kafka]:
    """A broker that lets `training`, on its second listener, do only what it is allowed to; on the first one all."""
    plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_training="{PASSWORD}";'
    way = Listener("LIMITED", "SASL_PLAINTEXT", {"sasl.enabled.mechanisms": "PLAIN", "plain.sasl.jaas.config": plain})
    more = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    server = Kafka(new_folder(server_folder, "strict"), listeners=[way], more=more)
    server.start(timeout=90.0)
    server.limited = way.bootstrap  # type: ignore[attr-defined]
    yield server
    dispose(server)


async def make(kafka: Kafka | KafkaAddress, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    finally:
        await admin.close()


async def allow(kafka: Kafka, resources: list[tuple[int, str]]) -> None:
    """Let `training` read, write and describe these, and nothing else."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        for kind, name in resources:
            for operation in (READ, WRITE, DESCRIBE) if kind == TOPIC else (READ,):
                rule = CreateAclsRequest(kind, name, LITERAL, "User:training", "*", operation, ALLOW)
                answer = await admin._send_request(rule)
                assert [code for code, _ in answer.creation_responses] == [0]
    finally:
        await admin.close()


async def grow(kafka: KafkaAddress, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(partitions)})
    finally:
        await admin.close()


async def test_a_worker_needs_no_right_to_make_topics(
    strict: Kafka, start_worker: Callable[..., Worker], database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    topic, group, user = f"test_{uuid4().hex}", f"test-{uuid4().hex}", str(uuid4())
    others = {
        name: f"{topic}_{name}" for name in ("workout_events", "exercise_events", "phase_events", "readiness_events")
    } | {"insights": f"{topic}_insights"}
    await allow(strict, [*[(TOPIC, name) for name in (topic, *others.values())], (GROUP, group)])
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    worker = await asyncio.to_thread(
        start_worker,
        kafka=KafkaAddress(strict.limited, idempotent=True),  # type: ignore[attr-defined]
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="training",
        kafka_sasl_password_file=secret,
        events_topic=topic,
        **{f"{name}_topic": other for name, other in others.items()},
        consumer_group=group,
        topic_partitions=4,
    )
    await post(worker, user)
    wanted = "it needs 4 partitions, 1 replicas and retention.ms=2592000000"
    await until(lambda: wanted in reasons(worker).get("relay", ""), 20, "health says what to make")
    assert topic in reasons(worker)["relay"]
    for other in others.values():
        await make(strict, other, 4)
    assert worker.get("/health/ready")[0] == 200
    assert wanted in worker.log.read_text()
    await make(strict, topic, 4)
    await until(lambda: folded(database_urls), 30, "the event is published and folded")
    await until(lambda: flows(worker), 20, "all is well")
    (record,) = await read_topic(strict.bootstrap, topic_of(worker))
    assert record.key == user.encode()


def partitions_of(records: list[Record]) -> dict[bytes, list[int]]:
    """Of every key the partitions of its records, in the order of versions."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for record in sorted(records, key=lambda record: int(record.event["payload"]["version"])):
        found[record.key].append(record.partition)
    return found


async def test_partitions_beyond_the_configured_ones_are_left_alone_until_a_drain_and_switch(
    db: Database,
    database_urls: DatabaseUrls,
    broker: KafkaAddress,
    caplog: pytest.LogCaptureFixture,
) -> None:
    topic = f"test_{uuid4().hex}"
    trainings = {uuid4(): uuid4() for _ in range(30)}
    version = 0

    async def write() -> None:
        nonlocal version
        version += 1
        for user, training in trainings.items():
            await append(db, user_id=user, training_id=training, topic=topic, version=version)

    async def drained() -> bool:
        return len(await read_topic(broker.bootstrap, topic)) == version * len(trainings)

    await make(broker, topic, 4)
    settings = settings_for(database_urls, broker, topic, relay_ack_timeout=10.0, relay_lease=5.0)
    async with outbox(settings) as service:
        await write()
        service.wake()
        await until(drained, 30, "published to 4 partitions")
        await grow(broker, topic, 6)  # too early: nothing changes
        await write()
        service.wake()
        await until(drained, 30, "published to the same 4 partitions")
    async with outbox(settings) as service:
        await write()
        service.wake()
        await until(drained, 30, "and by one that has met 6 from the start")
    warned = [record for record in caplog.records if "more partitions than are used" in record.getMessage()]
    assert len(warned) == 1
    by_four = {str(user).encode(): partition_of(str(user).encode(), 4) for user in trainings}
    for user, partitions in partitions_of(await read_topic(broker.bootstrap, topic)).items():
        assert partitions == [by_four[user]] * version

    # The documented switch: no worker relays any more, writes go on, what was published is read, then all start anew.
    await write()
    async with outbox(settings.model_copy(update={"topic_partitions": 6})) as service:
        service.wake()
        await until(drained, 30, "what was written meanwhile is published by the new number")
        await write()
        service.wake()
        await until(drained, 30, "and so is all that follows")
    by_six = {str(user).encode(): partition_of(str(user).encode(), 6) for user in trainings}
    assert any(by_six[user] > 3 for user in by_six)
    for user, partitions in partitions_of(await read_topic(broker.bootstrap, topic)).items():
        assert partitions == [by_four[user]] * 3 + [by_six[user]] * 2
    verdict = await judge(database_urls.owner, broker.bootstrap, topic)
    assert (verdict.events, verdict.duplicates) == (version * len(trainings), 0)


async def test_a_topic_with_fewer_partitions_is_refused(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress
) -> None:
    topic = f"test_{uuid4().hex}"
    await make(broker, topic, 3)
    async with outbox(settings_for(database_urls, broker, topic)) as service:
        await append(db, user_id=uuid4(), training_id=uuid4(), topic=topic)
        service.wake()
        await until(lambda: "has 3 partitions, 4 are configured" in (service.state.error or ""), 30, "refused")
        assert await read_topic(broker.bootstrap, topic) == []
        await grow(broker, topic, 4)
        await until(lambda: service.state.published == 1, 20, "healed")
