"""`tests.support.runtime_app` as a real worker process, and what its tests say to a broker."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from embedded.process import LOOPBACK, Server

PARTITIONS = 4


class RuntimeWorker(Server):
    """A worker of the small app; all workers of one `group` share its records."""

    def __init__(self, folder: Path, *, bootstrap: str, topic: str, group: str, **settings: object) -> None:
        super().__init__("the small worker", folder / "log")
        folder.mkdir()
        self._effects = folder / "effects"
        self._settings = {"bootstrap": bootstrap, "topic": topic, "id": group, "web_host": LOOPBACK, **settings}
        self.environment: dict[str, str] = {}

    def launch(self) -> None:
        settings = self._settings | {"web_port": self.port, "effects": str(self._effects)}
        command = [sys.executable, "-m", "faust", "-q", "-A", "tests.support.runtime_app", "-L", "uvloop", "worker"]
        self.spawn(command, env=os.environ | {"RUNTIME_APP": json.dumps(settings)} | self.environment)

    def ready(self) -> bool:
        try:
            return bool(self.get("/state"))
        except OSError:
            return False

    def get(self, path: str, timeout: float = 5.0) -> str:
        """What the worker answers."""
        with urlopen(f"http://{LOOPBACK}:{self.port}{path}", timeout=timeout) as answer:
            return str(answer.read().decode())

    def state(self) -> dict[str, Any]:
        """What /state says."""
        return dict(json.loads(self.get("/state")))

    def effects(self) -> list[tuple[int, int, str]]:
        """Partition, offset and value of each record worked on, in the order of work."""
        lines = self._effects.read_text().splitlines() if self._effects.exists() else []
        parts = [line.split(" ", 2) for line in lines]
        return [(int(partition), int(offset), value) for partition, offset, value in parts]

    def values(self) -> set[str]:
        """The values of the records worked on."""
        return {value for _, _, value in self.effects()}


def eventually(fact: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until `fact()`; an AssertionError after that many seconds."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


class Broker:
    """What tests say to a broker; each method returns when it is done."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def topics(self) -> set[str]:
        """The names of all topics."""
        return asyncio.run(self._topics())

    def create(self, topic: str) -> None:
        """Make a topic of `PARTITIONS` partitions; waits while an earlier one of the name is being deleted."""
        eventually(lambda: asyncio.run(self._create(topic)))

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        asyncio.run(self._delete(topic))

    def send(self, topic: str, values: Sequence[str], partition: int | None = None) -> None:
        """Publish records, in turn to each partition unless one is named."""
        asyncio.run(self._send(topic, values, partition))

    def committed(self, topic: str, group: str) -> dict[int, int]:
        """The group's committed offset of each partition that has one."""
        return asyncio.run(self._committed(topic, group))

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await client.start()
        try:
            yield client
        finally:
            await client.close()

    async def _topics(self) -> set[str]:
        async with self._admin() as client:
            return set(await client.list_topics())

    async def _create(self, topic: str) -> bool:
        async with self._admin() as client:
            answer: Any = await client.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
        return [error[1] for error in answer.topic_errors] == [0]

    async def _delete(self, topic: str) -> None:
        async with self._admin() as client:
            await client.delete_topics([topic])

    async def _send(self, topic: str, values: Sequence[str], partition: int | None) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            sent = [
                await producer.send(topic, value.encode(), partition=n % PARTITIONS if partition is None else partition)
                for n, value in enumerate(values)
            ]
            for future in sent:
                await future
        finally:
            await producer.stop()

    async def _committed(self, topic: str, group: str) -> dict[int, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            offsets = [
                (number, await consumer.committed(TopicPartition(topic, number))) for number in range(PARTITIONS)
            ]
        finally:
            await consumer.stop()
        return {partition: offset for partition, offset in offsets if offset is not None}
