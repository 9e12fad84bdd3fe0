"""Relays over the real store, with a broker in memory, that can be killed."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.outbox import Found, LogRow
from outbox.records import headers, partition_of, row_of
from outbox.relay import Outcome, Relay
from storage.database import Database
from storage.outbox import OutboxStore
from storage.outbox_statements import PLANNER
from tests.support.simulation import Killed, Process
from tests.support.topic import Record

PARTITIONS = 4


class MemoryTopic:
    """A topic in memory. `mishaps` is the part of publishes in which some acknowledgements are lost."""

    def __init__(self, mishaps: float = 0.0, seed: int = 0) -> None:
        self.partitions: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.batches: list[list[int]] = []  # the seqs of every batch that somebody published
        self.mishaps = mishaps
        self.random = random.Random(seed)
        self.poison: set[str] = set()  # aggregates, or users, whose events are refused

    @property
    def records(self) -> list[Record]:
        """All of them."""
        return [record for partition in self.partitions for record in partition]

    def seqs(self) -> list[int]:
        """The records' places in the log, by partition."""
        return [int(dict(record.headers)["ce_logseq"]) for record in self.records]

    def append(self, row: LogRow) -> int:
        """Store one record; returns its partition."""
        key = row.user_id.encode()
        number = partition_of(key, PARTITIONS)
        partition = self.partitions[number]
        partition.append(Record(number, len(partition), key, row.payload.encode(), tuple(headers(row))))
        return number


class MemoryProducer:
    """`outbox.relay.Producer` into a `MemoryTopic` of trainings, which has all mishaps, and one of each other kind."""

    def __init__(
        self,
        topic: MemoryTopic,
        process: Process,
        *,
        workouts: MemoryTopic | None = None,
        exercises: MemoryTopic | None = None,
        phases: MemoryTopic | None = None,
        readiness: MemoryTopic | None = None,
        insights: MemoryTopic | None = None,
    ) -> None:
        self.topic = topic
        self.topics = {
            "training_events": topic,
            "workout_events": workouts or MemoryTopic(),
            "exercise_events": exercises or MemoryTopic(),
            "phase_events": phases or MemoryTopic(),
            "readiness_events": readiness or MemoryTopic(),
            "training_insights": insights or MemoryTopic(),
        }
        self.process = process
        self.look = 1_000_000  # records of one look at what stands on the topic
        self.dies_after: int | None = None  # batches of the topic: killed before it hears of the last one

    async def publish(self, rows: Sequence[LogRow], may_send: Callable[[], bool]) -> Outcome:
        await self.process.gate()
        if not rows:
            return Outcome()
        self.topic.batches.append([row.seq for row in rows])
        for row in rows:
            if not self.topic.poison.isdisjoint((row.aggregate_id, row.user_id)):
                return Outcome(rows, ValueError("too large"), refused=row)
        mishap = self.topic.random.random() < self.topic.mishaps
        left, offsets = [], {}
        for row in rows:
            topic = self.topics[row.topic]
            number = topic.append(row)
            last = len(topic.partitions[number]) - 1
            if mishap and number % 2:
                left.append(row)
            else:
                offsets[row.topic, number] = (offsets.get((row.topic, number), (last, 0))[0], last)
        await asyncio.sleep(self.topic.random.random() * 0.004)
        self.process.dead = self.process.dead or len(self.topic.batches) == self.dies_after
        await self.process.gate()
        return Outcome(left, ConnectionError("acknowledgement lost") if left else None, offsets=offsets)

    async def beyond(self, topic: str, offsets: Mapping[str, int] | None) -> Found:
        await self.process.gate()
        ends = {str(number): len(held) - 1 for number, held in enumerate(self.topics[topic].partitions) if held}
        if offsets is None:
            return Found([], ends, 0, more=False)
        stored = self.topics[topic].records
        records = [record for record in stored if record.offset > offsets.get(str(record.partition), -1)]
        more, records = len(records) > self.look, records[: self.look]
        found = [row_of(topic, record.key, record.value, record.headers) for record in records]
        rows = [row for row in found if row is not None]
        reached = {str(record.partition): record.offset for record in records}
        return Found(rows, reached, len(found) - len(rows), more)

    async def close(self) -> None:
        await self.process.gate()


class _Mortal:
    """A store whose process can die before and after every statement."""

    def __init__(self, store: OutboxStore, process: Process) -> None:
        self._store = store
        self._process = process

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            await self._process.gate()
            result = await getattr(self._store, name)(*arguments, **options)
            await self._process.gate()
            return result

        return call


class RelayProcess:
    """A relay of its own, with its own connections, that drains every few milliseconds until it is killed."""

    def __init__(
        self,
        url: str,
        topic: MemoryTopic,
        name: str,
        *,
        workouts: MemoryTopic | None = None,
        exercises: MemoryTopic | None = None,
        phases: MemoryTopic | None = None,
        readiness: MemoryTopic | None = None,
        insights: MemoryTopic | None = None,
        lease: float = 1.0,
        batch: int = 50,
        pause: float = 0.005,
    ) -> None:
        self.database = Database(url, pool_size=3, name=name, options=PLANNER)
        self.store = OutboxStore(self.database, name, lease=lease, batch=batch)
        self.process = Process()
        self.producer = MemoryProducer(
            topic,
            self.process,
            workouts=workouts,
            exercises=exercises,
            phases=phases,
            readiness=readiness,
            insights=insights,
        )
        topics = tuple(self.producer.topics)[::-1]
        self.relay = Relay(_Mortal(self.store, self.process), self.producer, lease=lease, topics=topics)
        self._pause = pause
        self._task: asyncio.Task[None] | None = None

    def start(self) -> "RelayProcess":
        """Drain in the background."""
        self._task = asyncio.create_task(self._run())
        return self

    async def ended(self) -> None:
        """It died."""
        assert self._task is not None
        await self._task

    async def kill(self) -> None:
        """Nothing that it does from now on has an effect."""
        self.process.dead = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self.database.close()

    async def _run(self) -> None:
        try:
            while True:
                await self.relay.drain()
                await asyncio.sleep(self._pause)
        except Killed:
            pass
