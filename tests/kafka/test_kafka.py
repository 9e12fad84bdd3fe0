"""Apache Kafka for tests: data and port outlive a crash, and what the service counts on is so."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from tests.support.brokers import KafkaAddress, OwnBroker

pytestmark = pytest.mark.kafka


async def test_records_outlive_a_crash(own_broker: OwnBroker, make_topic: Callable[..., Awaitable[str]]) -> None:
    topic = await make_topic(1, own_broker)
    producer = AIOKafkaProducer(bootstrap_servers=own_broker.bootstrap, enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait(topic, b"kept")
    await producer.stop()
    own_broker.server.kill()
    await asyncio.to_thread(own_broker.server.start)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=own_broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    assert (await asyncio.wait_for(consumer.getone(), 20)).value == b"kept"
    await consumer.stop()


async def test_a_missing_topic_is_not_made(broker: KafkaAddress) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, request_timeout_ms=1000)
    await producer.start()
    with pytest.raises((UnknownTopicOrPartitionError, KafkaTimeoutError)):
        await producer.send_and_wait("nobody_made_this", b"lost")
    await producer.stop()
