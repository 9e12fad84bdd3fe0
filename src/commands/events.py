"""`training events`: the records of the topics, as they come."""

import argparse
import asyncio
import sys
from collections.abc import Iterable

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from commands.environment import CommandError, one_line, service_settings
from kafka_access import KafkaAccess
from settings import Settings

_TOPIC_INTERVAL = 1.0  # seconds between two looks for a topic that is not there yet


def events(args: argparse.Namespace) -> int:
    """`training events`: print every record as one line of JSON until Ctrl-C; `value` is the event, unchanged."""
    settings = service_settings()
    access = KafkaAccess.of(settings)
    try:
        asyncio.run(_follow(settings, access, args))
    except KafkaConnectionError as error:
        reason = one_line(access.explain(error))
        raise CommandError(f"No broker answers at {settings.kafka_bootstrap}: {reason}") from None
    return 0


async def _follow(settings: Settings, access: KafkaAccess, args: argparse.Namespace) -> None:
    topics = settings.topics
    await _wait_for_topics(settings, access, topics)
    # Without a group: whoever watches takes no partition from an agent and leaves no offsets behind.
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=settings.kafka_bootstrap,
        **access.options,
        group_id=None,
        auto_offset_reset="earliest" if args.from_beginning else "latest",
        metadata_max_age_ms=10_000,
    )
    await consumer.start()
    user = str(args.user).encode() if args.user else None
    try:
        print(f"Following {', '.join(topics[:-1])} and {topics[-1]}; Ctrl-C ends it.", file=sys.stderr)
        async for record in consumer:
            if user in (None, record.key):
                sys.stdout.buffer.write(line(record))
                sys.stdout.buffer.flush()
    finally:
        await consumer.stop()


async def _wait_for_topics(settings: Settings, access: KafkaAccess, topics: Iterable[str]) -> None:
    # Asked for by name, a topic that is missing would be made by a broker that may, with partitions of its choosing.
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **access.options)
    await admin.start()
    try:
        said: set[str] = set()
        while missing := set(topics).difference(await admin.list_topics()):
            for topic in sorted(missing - said):
                print(f"There is no topic {topic} yet; waiting for it.", file=sys.stderr)
            said |= missing
            await asyncio.sleep(_TOPIC_INTERVAL)
    finally:
        await admin.close()


def line(record: "ConsumerRecord[bytes, bytes]") -> bytes:
    """A record as one line of JSON: where it stands, its key, its headers, its value (as text where it is no JSON)."""
    return orjson.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": _text(record.key),
            "headers": {name: _text(content) for name, content in record.headers},
            "value": _value(record.value),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="replace")


def _value(content: bytes | None) -> object:
    try:
        orjson.loads(content or b"")
    except orjson.JSONDecodeError:
        return _text(content)
    return orjson.Fragment(content or b"")
