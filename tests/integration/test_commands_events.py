"""`training events` on a real broker."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from embedded.process import LOOPBACK, free_port
from tests.conftest import KafkaAddress


@asynccontextmanager
async def following(folder: Path, bootstrap: str, topics: Sequence[str], *options: str) -> AsyncIterator[Process]:
    """The command on these topics, in the order of `Settings.topics`."""
    environment = os.environ | {
        "TRAINING_DATABASE_URL": "postgresql://nowhere",
        "TRAINING_JWT_SECRET": "a secret of 32 bytes, or of more.",
        "TRAINING_KAFKA_BOOTSTRAP": bootstrap,
        "TRAINING_EVENTS_TOPIC": topics[0],
        "TRAINING_WORKOUT_EVENTS_TOPIC": topics[1],
        "TRAINING_EXERCISE_EVENTS_TOPIC": topics[2],
        "TRAINING_PHASE_EVENTS_TOPIC": topics[3],
        "TRAINING_READINESS_EVENTS_TOPIC": topics[4],
        "TRAINING_INSIGHTS_TOPIC": topics[5],
    }
    command = [sys.executable, "-m", "cli", "events", *options]
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=folder, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: Process) -> str:
    assert process.stderr is not None
    return (await asyncio.wait_for(process.stderr.readline(), 20)).decode()


async def shown(process: Process) -> dict[str, object]:
    assert process.stdout is not None
    document: dict[str, object] = orjson.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    return document


async def produce(broker: KafkaAddress, topic: str, records: list[tuple[bytes, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    try:
        for key, value in records:
            await producer.send_and_wait(topic, value, key=key, headers=[("ce_type", b"training_created")])
    finally:
        await producer.stop()


async def test_all_records_of_a_user_then_what_comes_until_ctrl_c(
    broker: KafkaAddress, topic: str, make_topic: Callable[[int], Awaitable[str]], tmp_path: Path
) -> None:
    me, other = str(uuid4()).encode(), str(uuid4()).encode()
    others = [await make_topic(4) for _ in range(5)]
    await produce(broker, topic, [(me, b'{"n": 1}'), (other, b'{"n": 2}'), (me, b'{"n": 3}')])
    options = ("--from-beginning", "--user", me.decode())
    topics = (topic, *others)
    async with following(tmp_path, broker.bootstrap, topics, *options) as process:
        assert await said(process) == f"Following {', '.join(topics[:-1])} and {topics[-1]}; Ctrl-C ends it.\n"
        lines = [await shown(process), await shown(process)]
        await produce(broker, topic, [(other, b'{"n": 4}'), (me, b'{"n": 5}')])
        lines.append(await shown(process))
        for number, one in enumerate(others, 6):
            await produce(broker, one, [(other, b'{"n": 0}'), (me, b'{"n": %d}' % number)])
            lines.append(await shown(process))
        process.send_signal(signal.SIGINT)
        out, error = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, out, error) == (130, b"", b"")
    assert [line["value"] for line in lines] == [{"n": n} for n in (1, 3, 5, 6, 7, 8, 9, 10)]
    assert [line["topic"] for line in lines] == [topic, topic, topic, *others]
    assert {line["key"] for line in lines} == {me.decode()}
    assert lines[0]["headers"] == {"ce_type": "training_created"}


async def test_a_topic_that_is_not_there_is_waited_for_and_not_made(
    broker: KafkaAddress, make_topic: Callable[[int], Awaitable[str]], tmp_path: Path
) -> None:
    topic = f"test_{uuid4().hex}"
    topics = (topic, *[await make_topic(3) for _ in range(5)])
    async with following(tmp_path, broker.bootstrap, topics, "--from-beginning") as process:
        assert await said(process) == f"There is no topic {topic} yet; waiting for it.\n"
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        try:
            assert topic not in await admin.list_topics()
            await admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1)])
        finally:
            await admin.close()
        assert await said(process) == f"Following {', '.join(topics[:-1])} and {topics[-1]}; Ctrl-C ends it.\n"
        await produce(broker, topic, [(b"k", b'{"n": 1}')])
        assert (await shown(process))["value"] == {"n": 1}


async def test_a_broker_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    address = f"{LOOPBACK}:{free_port()}"
    async with following(tmp_path, address, [f"topic{number}" for number in range(6)]) as process:
        _, error = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert error.decode().startswith(f"training: No broker answers at {address}: ")
    assert error.count(b"\n") == 1
