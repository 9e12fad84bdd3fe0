"""What stands on a topic beyond a place: read apart from any consumer group."""

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from models.outbox import Found
from outbox.records import row_of

LIMIT = 5000  # records of one look, and a fetch more at most
_WAIT = 500  # milliseconds that a broker may hold back an answer


async def read_beyond(
    bootstrap: str, options: Mapping[str, Any], topic: str, offsets: Mapping[str, int] | None
) -> Found:
    """The events on `topic` after the last `offsets` of its partitions, up to its present end; None: only that.

    What a partition no longer keeps is passed over. `options` are aiokafka's. Raises aiokafka's `KafkaError`.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **options, group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
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
        while len(records) < LIMIT and any(place < ends[each] for each, place in places.items()):
            for fetched in (await consumer.getmany(timeout_ms=_WAIT)).values():
                records += fetched
            places = {each: await consumer.position(each) for each in places}
        rows = [row_of(topic, record.key, record.value, record.headers) for record in records]
        known = [row for row in rows if row is not None]
        return Found(
            known,
            {str(each.partition): place - 1 for each, place in places.items()},
            len(rows) - len(known),
            more=any(place < ends[each] for each, place in places.items()),
        )
    finally:
        await consumer.stop()
