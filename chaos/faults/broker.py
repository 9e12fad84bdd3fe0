"""Faults of Apache Kafka and of the topic."""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CommitFailedError

from chaos.client import Request
from chaos.faults.registry import fault
from chaos.history import content_digest
from chaos.load import Load
from chaos.routes.trainings import PATH, body, creation
from chaos.stack import PARTITIONS, Admin, Stack, rows
from embedded.process import Server

_LARGE = 20_000  # bytes


def kill_kafka(stack: Stack) -> None:
    """SIGKILL Kafka."""
    stack.servers.kafka.kill()
    stack.crashes += 1
    stack.kills["broker"] += 1


async def start_kafka(stack: Stack) -> None:
    """Start Kafka again, after a crash of it."""
    kafka = stack.servers.kafka
    if isinstance(kafka, Server):
        await asyncio.to_thread(kafka.start, 60)
    else:
        await asyncio.to_thread(kafka.start)


async def configure(stack: Stack, values: Mapping[str, str]) -> None:
    """Set the topic's own settings to these."""
    async with Admin(stack.bootstrap) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, stack.topic, configs=dict(values))])


@fault("broker-kill", "Kafka is killed and started again", "broker")
async def kill(stack: Stack, load: Load) -> None:
    kill_kafka(stack)
    await asyncio.sleep(stack.random.uniform(0.0, 2.0))
    await start_kafka(stack)


@fault("broker-freeze", "Kafka stops (SIGSTOP) for 40 s with its connections open", "broker")
async def freeze(stack: Stack, load: Load) -> None:
    stack.servers.kafka.freeze()
    stack.crashes += 3
    await asyncio.sleep(40)
    stack.servers.kafka.thaw()


@fault(
    "broker-absent-at-start", "Workers start while Kafka is away; their topic was never made", "broker leg", cold=True
)
async def absent(stack: Stack, load: Load) -> None:
    stack.servers.kafka_proxy.refuse()
    await stack.join(2)
    await asyncio.sleep(5)
    stack.servers.kafka_proxy.accept()


@fault("topic-missing", "The topic is deleted behind the workers' back, before its first event", "topic", cold=True)
async def topic_missing(stack: Stack, load: Load) -> None:
    load.pace = 0.0
    await stack.join(2)
    await stack.flows()
    async with Admin(stack.bootstrap) as admin:

        async def gone() -> bool:
            return (await admin.describe_topics([stack.topic]))[0]["error_code"] != 0

        await admin.delete_topics([stack.topic])
        # Kafka deletes behind its answer, and what it takes meanwhile is deleted with the topic.
        await stack.until(gone, 10, "the topic is gone")
    load.pace = 1.0


@fault(
    "too-few-replicas",
    "The topic asks for two replicas in sync, and there is one (NOT_ENOUGH_REPLICAS)",
    "topic",
    "broker",
    "broker leg",
)
async def too_few_replicas(stack: Stack, load: Load) -> None:
    await configure(stack, {"min.insync.replicas": "2"})
    await asyncio.sleep(6)
    await configure(stack, {})


@fault(
    "record-too-large",
    "The broker refuses a training's event for its size; the operator mends it and has it retried",
    "topic",
    "broker",
    "broker leg",
    "postgres",
    "postgres leg",
)
async def record_too_large(stack: Stack, load: Load) -> None:
    await configure(stack, {"max.message.bytes": str(_LARGE)})
    async with load.client("large") as client:
        sets = [{"weight": 100, "reps": 5}] * 20
        exercises = [{"name": f"Exercise {number}", "sets": sets} for number in range(20)]
        large = body(client.random, id=client.new_id(), exercises=exercises)
        call = await client.ask(creation(large, key="large"))
        assert call.outcome == "ok", call
        small, id_ = body(client.random), large["id"]
        said = content_digest(small)
        await client.ask(Request("correct", "PUT", f"{PATH}/{id_}", small, id_, "small", digest=said))
    held = "SELECT count(*) FROM outbox_quarantine WHERE state = 'held'"
    await stack.until(lambda: rows(stack.owner_url, held) == [(1,)], 20, "the large event is held")
    await configure(stack, {})
    done = await stack.command("outbox", "retry", "--all")
    assert done.returncode == 0, done.stderr


@fault(
    "offsets-reset",
    "The group's offsets are set back: the whole topic is delivered again",
    "workers",
    "broker",
    "broker leg",
)
async def offsets_reset(stack: Stack, load: Load) -> None:
    await asyncio.gather(*(stack.leave(worker) for worker in stack.workers))
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, group_id=stack.name, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(stack.topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        for _ in range(20):
            try:
                await consumer.commit(dict.fromkeys(partitions, 0))
                break
            except CommitFailedError:  # a worker that was killed is a member until its session ends
                await asyncio.sleep(1)
        else:
            raise TimeoutError("the group's offsets could not be set back in 20 s")
    finally:
        await consumer.stop()
    await stack.join(2)


@fault(
    "topic-replayed",
    "The operator has the whole log published again to everybody",
    "log",
    "broker",
    "broker leg",
    "postgres",
    "postgres leg",
)
async def replayed(stack: Stack, load: Load) -> None:
    done = await stack.command("outbox", "replay", "--from", "2020-01-01", "--broadcast")
    assert done.returncode == 0, done.stdout + done.stderr


@fault(
    "poison-event",
    "Somebody else writes records that are no events to the topic",
    "topic",
    "broker",
    "broker leg",
)
async def poison(stack: Stack, load: Load) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap)
    await producer.start()
    try:
        for number in range(PARTITIONS):
            await producer.send_and_wait(stack.topic, b"no json", partition=number)
            stack.poison += 1
    finally:
        await producer.stop()
