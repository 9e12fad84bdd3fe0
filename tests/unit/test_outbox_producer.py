"""A broker's answers told apart, with a stand-in for aiokafka's producer."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    OutOfOrderSequenceNumber,
    for_code,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from models.outbox import LogRow
from outbox import producer as module
from outbox.producer import BATCH_BYTES, InvalidRecordError, KafkaProducer, TopicTooSmallError
from outbox.records import partition_of

Answer = Callable[["Broker", int, int], "BaseException | None"]


class Broker:
    """Remembers what it took. `answer(broker, partition, count)` says what becomes of a record batch."""

    def __init__(self) -> None:
        self.partitions: dict[str, set[int]] = {"events": {0, 1}}
        self.taken: list[tuple[int, int]] = []  # partition, records
        self.ends = [0, 0]
        self.answer: Answer = lambda _broker, _partition, _count: None
        self.start_error: BaseException | None = None
        self.producers = 0

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.partitions.get(topic)


class AioProducer:
    """What is used of `AIOKafkaProducer`."""

    broker: Broker

    def __init__(self, **_: Any) -> None:
        self.broker.producers += 1
        self.client = self
        self.cluster = self.broker

    async def start(self) -> None:
        if self.broker.start_error is not None:
            raise self.broker.start_error

    async def fetch_all_metadata(self) -> Broker:
        return self.broker

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> "asyncio.Future[RecordMetadata]":
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        count = batch.record_count()
        error = self.broker.answer(self.broker, partition, count)
        if isinstance(error, asyncio.CancelledError):  # never answered
            return future
        if error is not None:
            future.set_exception(error)
            return future
        place = TopicPartition(topic, partition)
        future.set_result(RecordMetadata(topic, partition, place, self.broker.ends[partition], 0, 0, 0))
        self.broker.ends[partition] += count
        self.broker.taken.append((partition, count))
        return future


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    AioProducer.broker = Broker()

    async def discard(_producer: object) -> None:
        pass

    monkeypatch.setattr(module, "AIOKafkaProducer", AioProducer)
    monkeypatch.setattr(module, "_discard", discard)
    return AioProducer.broker


def make(**changes: Any) -> KafkaProducer:
    options: dict[str, Any] = {"idempotent": True, "partitions": 2, "replication": 1, "retention": 60, "timeout": 0.2}
    return KafkaProducer("nowhere", **options | changes)


def rows(count: int, *, size: int = 10, first: int = 1) -> list[LogRow]:
    """Rows of partition 0 and of partition 1, in turn."""
    users = {partition_of(str(number).encode(), 2): str(number) for number in range(10)}
    return [
        LogRow(seq, "events", users[seq % 2], "t", "1", f"e{seq}", "training_created", "2026", None, "x" * size)
        for seq in range(first, first + count)
    ]


def always() -> bool:
    return True


async def test_one_record_batch_for_each_partition(broker: Broker) -> None:
    outcome = await make().publish(rows(10), always)
    assert (outcome.left, outcome.error, outcome.refused, outcome.narrowed) == ((), None, None, False)
    assert outcome.offsets == {("events", 0): (0, 4), ("events", 1): (0, 4)}
    assert sorted(broker.taken) == [(0, 5), (1, 5)]


async def test_what_does_not_fit_follows_in_another_batch(broker: Broker) -> None:
    outcome = await make().publish(rows(10, size=300_000), always)
    assert outcome.offsets == {("events", 0): (0, 4), ("events", 1): (0, 4)}
    assert sorted(broker.taken) == [(0, 2), (0, 3), (1, 2), (1, 3)]
    large = await make().publish(rows(2, size=BATCH_BYTES), always)  # larger than a batch: the broker shall judge
    assert large.error is None


@pytest.mark.parametrize(
    "error", [NotEnoughReplicasError(), OutOfOrderSequenceNumber(), KafkaConnectionError(), AssertionError("partition")]
)
async def test_after_a_failure_nothing_later_of_the_partition_is_sent(broker: Broker, error: Exception) -> None:
    batches = 0

    def answer(_broker: Broker, partition: int, _count: int) -> Exception | None:
        nonlocal batches
        batches += partition == 0
        return error if partition == 0 and batches == 2 else None

    broker.answer = answer
    given = rows(12, size=300_000)
    producer = make()
    outcome = await producer.publish(given, always)
    assert outcome.error is error
    assert (outcome.refused, outcome.narrowed) == (None, False)
    assert [row.seq for row in outcome.left] == [8, 10, 12]  # of partition 0, after its first three
    assert broker.taken.count((0, 3)) == 1
    assert outcome.offsets["events", 0] == (0, 2)
    again = await producer.publish(outcome.left, always)
    assert again.error is None
    assert broker.producers == 2


@pytest.mark.parametrize("error", [MessageSizeTooLargeError, InvalidRecordError])
async def test_a_refused_record_is_found_among_others(broker: Broker, error: type[Exception]) -> None:
    poison, sends = 37, 0
    left = rows(200)

    def answer(broker: Broker, partition: int, count: int) -> Exception | None:
        nonlocal sends
        sends += 1
        here = [row.seq for row in rows(200) if row.seq % 2 == partition]
        return error() if poison in here[broker.ends[partition] : broker.ends[partition] + count] else None

    broker.answer = answer
    producer = make()
    for _ in range(20):
        outcome = await producer.publish(left, always)
        left = list(outcome.left)
        if outcome.refused:
            break
        assert outcome.narrowed
    assert outcome.refused is not None
    assert outcome.refused.seq == poison
    assert left[0].seq == poison
    assert sends < 30


def test_the_code_of_an_invalid_record_is_known() -> None:
    assert for_code(87) is InvalidRecordError


async def test_silence_is_given_up(broker: Broker) -> None:
    broker.answer = lambda _broker, partition, _count: asyncio.CancelledError() if partition else None
    outcome = await make().publish(rows(4), always)
    assert isinstance(outcome.error, KafkaError)
    assert [row.seq for row in outcome.left] == [1, 3]


async def test_a_broker_that_is_away(broker: Broker) -> None:
    broker.start_error = KafkaConnectionError("refused")
    given = rows(4)
    outcome = await make().publish(given, always)
    assert outcome.error is broker.start_error
    assert outcome.left == given


async def test_without_the_lease_nothing_is_sent(broker: Broker) -> None:
    given = rows(4)
    outcome = await make().publish(given, lambda: False)
    assert list(outcome.left) == given
    assert outcome.error is not None
    assert broker.taken == []


async def test_a_topic_with_fewer_partitions_is_refused_and_one_with_more_is_used_in_part(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.partitions["events"] = {0}
    outcome = await make().publish(rows(2), always)
    assert isinstance(outcome.error, TopicTooSmallError)
    assert broker.taken == []
    broker.partitions["events"] = {0, 1, 2, 3, 4}
    producer = make()
    for _ in range(3):
        outcome = await producer.publish(rows(200), always)
        assert outcome.error is None
        await producer.close()  # as after a failure: the topic is looked at anew
    assert {partition for partition, _ in broker.taken} == {0, 1}
    assert [record.getMessage() for record in caplog.records] == ["the topic has more partitions than are used"]


async def test_a_topic_that_vanishes_is_noticed(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.01)
    broker.answer = lambda _broker, _partition, _count: asyncio.CancelledError()
    producer = make(timeout=5)
    publishing = asyncio.create_task(producer.publish(rows(2), always))
    await asyncio.sleep(0.03)
    broker.partitions.clear()
    outcome = await publishing
    assert str(outcome.error) == "TopicLostError: events is gone"


async def test_a_cancelled_publish_lets_go_of_the_producer(broker: Broker) -> None:
    broker.answer = lambda _broker, _partition, _count: asyncio.CancelledError()
    producer = make(timeout=5)
    publishing = asyncio.create_task(producer.publish(rows(2), always))
    await asyncio.sleep(0.01)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    broker.answer = lambda _broker, _partition, _count: None
    assert (await producer.publish(rows(2), always)).error is None
    assert broker.producers == 2
