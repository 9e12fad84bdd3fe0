"""What stands on a topic beyond a place: read apart from any consumer group."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from models.outbox import Found, LogRow
from outbox.records import row_of

LIMIT = 5000  # records of one look, and a fetch more at most
LIMIT_BYTES = 8_000_000  # of their values, likewise
_TURN = 256  # records read before others have a turn on the event loop
_WAIT = 500  # milliseconds that a broker may hold back an answer
_STOP = 2.0  # seconds that letting go of the broker may take


async def read_beyond(
    bootstrap: str, options: Mapping[str, Any], topic: str, offsets: Mapping[str, int] | None, patience: float
) -> Found:
    """The events on `topic` after the last `offsets` of its partitions, up to its present end; None: only that.

    What a partition no longer keeps is passed over. After `patience` seconds it returns with what it has. `options` are
    aiokafka's. Raises aiokafka's `KafkaError`.
    """
    deadline = time.monotonic() + patience
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **options, group_id=None, auto_offset_reset="earliest")
    try:
        await consumer.start()
        # All topics are asked for: asking for one would make it, where the broker makes what it is asked for.
        numbers = (await consumer._client.fetch_all_metadata()).partitions_for_topic(topic)
        partitions = [TopicPartition(topic, number) for number in sorted(numbers or ())]
        ends = await consumer.end_offsets(partitions) if partitions else {}
        if offsets is None:
            return Found([], {str(each.partition): end - 1 for each, end in ends.items() if end}, 0, more=False)
        starts = await consumer.beginning_offsets(partitions) if partitions else {}
        places = {each: max(offsets.get(str(each.partition), -1) + 1, starts[each]) for each in partitions}
        places = {each: place for each, place in places.items() if place < ends[each]}
        records: list[ConsumerRecord[bytes, bytes]] = []
        if places:
            consumer.assign(list(places))
            for each, place in places.items():
                consumer.seek(each, place)
        more, size = bool(places), 0
        while more and len(records) < LIMIT and size < LIMIT_BYTES and time.monotonic() < deadline:
            for fetched in (await consumer.getmany(timeout_ms=_WAIT)).values():
                records += fetched
                size += sum(len(record.value or b"") for record in fetched)
            places = {each: await consumer.position(each) for each in places}
            more = any(place < ends[each] for each, place in places.items())
        rows: list[LogRow] = []
        for count, record in enumerate(records, 1):
            row = row_of(topic, record.key, record.value, record.headers)
            if row is not None:
                rows.append(row)
            if count % _TURN == 0:
                await asyncio.sleep(0)
        reached = {str(each.partition): place - 1 for each, place in places.items()}
        return Found(rows, reached, len(records) - len(rows), more)
    finally:
        # It raises CancelledError by itself when a fetch is about to be tried again (aiokafka/consumer/fetcher.py,
        # `close`), which would end the relay.
        stop = asyncio.gather(consumer.stop(), return_exceptions=True)
        await asyncio.wait({stop}, timeout=_STOP)
        stop.cancel()
