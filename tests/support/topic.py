"""The whole topic, read from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition


@dataclass(frozen=True)
class Record:
    """One record as it stands in the topic."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = orjson.loads(self.value)
        return event

    @property
    def event_id(self) -> str:
        return str(self.event["event_id"])


async def read_topic(bootstrap: str, topic: str) -> list[Record]:
    """All records of the topic up to its present end, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        numbers = consumer.partitions_for_topic(topic) or set()
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[Record] = []
        for partition in partitions:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            while await consumer.position(partition) < ends[partition]:
                fetched = await consumer.getmany(partition, timeout_ms=1000)
                records += [
                    Record(record.partition, record.offset, record.key, record.value, tuple(record.headers))
                    for record in fetched.get(partition, [])
                ]
        return records
    finally:
        await consumer.stop()


def payloads(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The payloads of the events, in order."""
    return [record.event["payload"] for record in records]
