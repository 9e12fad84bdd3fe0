"""The whole topic, read from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer


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


async def read_topic(bootstrap: str, topic: str, **options: Any) -> list[Record]:
    """All records of the topic up to its present end, partition by partition. `options` are aiokafka's."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", **options
    )
    await consumer.start()
    try:
        partitions = consumer.assignment()
        assert partitions, f"no topic {topic}"
        ends = await consumer.end_offsets(partitions)
        records: list[Record] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for fetched in (await consumer.getmany(timeout_ms=1000)).values():
                records += [
                    Record(record.partition, record.offset, record.key, record.value, tuple(record.headers))
                    for record in fetched
                ]
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


def payloads(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The payloads of the events, in order."""
    return [record.event["payload"] for record in records]
