"""What a drill takes place on: one database, one broker, and workers of one version or another."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import orjson

from drills.previous import Version
from embedded.postgres import Postgres
from embedded.worker import Worker
from tests.support.brokers import KafkaAddress, dispose, is_apache_kafka, new_broker, new_folder
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.worker import new_worker

POSTGRES_OPTIONS = {"max_connections": "120", "wal_level": "replica"}
_READY = 60.0  # seconds, on a busy machine
_FLOW = 60.0  # seconds, likewise
_SHOWN = 300  # characters of an error


class Stack:
    """The workers of a drill. What it starts it ends, when it is closed."""

    def __init__(self, folder: Path, urls: DatabaseUrls, kafka: KafkaAddress) -> None:
        """`urls` are the database's, which may be empty still."""
        name = f"drill_{uuid4().hex[:12]}"
        self.urls = urls
        self.kafka = kafka
        self.topics = {
            "events_topic": name,
            "workout_events_topic": f"{name}_workouts",
            "exercise_events_topic": f"{name}_exercises",
            "phase_events_topic": f"{name}_phases",
            "readiness_events_topic": f"{name}_readiness",
            "insights_topic": f"{name}_insights",
        }
        self._folder = folder
        self._workers: list[Worker] = []

    def worker(self, version: Version) -> Worker:
        """A worker of this version, not started yet."""
        worker = new_worker(
            self._folder,
            urls=self.urls,
            bootstrap=self.kafka.bootstrap,
            idempotent=self.kafka.idempotent,
            consumer_group=self.topics["events_topic"],
            **self.topics,
        )
        worker.environment["PYTHONPATH"] = str(version.source)
        self._workers.append(worker)
        return worker

    async def start(self, version: Version) -> Worker:
        """A worker of this version, which is ready."""
        worker = self.worker(version)
        await asyncio.to_thread(worker.start, _READY)
        return worker

    async def command(self, version: Version, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `training …` of this version, as an operator does."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "cli", *arguments],
            env=self.worker(version).environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    async def migrate(self, version: Version, attempts: int = 1) -> int:
        """Run `training migrate` of this version, again where something held a table; returns the runs that it took.

        Raises `RuntimeError`, with what it said, where so many attempts do not do it.
        """
        for attempt in range(1, attempts + 1):
            done = await self.command(version, "migrate")
            if done.returncode == 0:
                return attempt
        raise RuntimeError(f"training migrate of {version}: exit {done.returncode}\n{done.stdout}{done.stderr}")

    async def flows(self, *workers: Worker) -> None:
        """Wait until events flow through these workers and are folded."""
        for worker in workers:
            await until(lambda worker=worker: _flows(worker), _FLOW, "events flow")

    def errors(self) -> list[str]:
        """What the workers logged as errors, each once."""
        found: dict[str, None] = {}
        for worker in self._workers:
            lines = worker.log.read_bytes().splitlines() if worker.log.exists() else []
            for entry in (orjson.loads(line) for line in lines if line.startswith(b"{")):
                if entry["level"] == "error":
                    found[f"{entry['message']}: {' '.join(entry.get('exception', '').split())[-_SHOWN:]}"] = None
        return list(found)

    def close(self) -> None:
        """End whatever still runs."""
        for worker in self._workers:
            worker.kill()


async def _flows(worker: Worker) -> bool:
    status, _ = await asyncio.to_thread(worker.get, "/health/pipeline")
    return status == 200


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Postgres, KafkaAddress]]:
    """PostgreSQL and Apache Kafka of a drill's own: in Docker where it answers, else on a local JVM."""
    os.environ.setdefault("TRAINING_TEST_BROKER", "kafka")
    postgres = Postgres(new_folder(folder, "postgres") / "data", options=POSTGRES_OPTIONS)
    broker = new_broker(new_folder(folder, "kafka"))
    try:
        postgres.start()
        broker.start()
        yield postgres, KafkaAddress(broker.bootstrap, idempotent=is_apache_kafka())
    finally:
        dispose(broker)
        postgres.stop()
