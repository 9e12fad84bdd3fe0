"""A world for the relay's core: a log with transactions, a cursor, a broker, processes that die or freeze.

The model states what is meant, not how PostgreSQL and Kafka do it: a window is what one snapshot sees and another does
not, read by comparing every row.
"""

import asyncio
import random
import selectors
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from models.errors import DatabaseUnavailable
from models.outbox import Acquired, Batch, Held, Lease, LeaseLost, LogRow, TopicMark
from outbox.records import headers, partition_of
from outbox.relay import Outcome, Relay

T = TypeVar("T")
Snapshot = tuple[int, frozenset[int]]  # xmax, and those under way below it

PARTITIONS = 2
USERS = 3


class _NoWait(selectors.SelectSelector):
    """Time passes by being looked at."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for something that will never happen"
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that is due."""

    def __init__(self) -> None:
        self._selected = _NoWait()
        super().__init__(self._selected)

    def time(self) -> float:
        return self._selected.now

    def end(self) -> None:
        """Cancel what still runs, and close."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Process:
    """A process that can be killed, or frozen for a while."""

    dead: bool = False
    frozen: bool = False

    async def gate(self) -> None:
        """Where a process can be caught by its fate."""
        while self.frozen and not self.dead:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.05)
        if self.dead:
            raise Killed


@dataclass
class Transaction:
    """A writer's. Its id comes with its first write."""

    xid: int | None = None
    rows: list[LogRow] = field(default_factory=list)


class World:
    """What outlives every process: log, cursor, topic, clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int, batch: int = 4) -> None:
        self.loop = loop
        self.random = random.Random(seed)
        self.batch = batch
        # The log
        self.rows: list[tuple[int, LogRow]] = []  # xid, row
        self.next_xid, self.next_seq = 10, 1
        self.completed = 9  # the largest xid that has ended
        self.under_way: set[int] = set()
        self.committed: set[int] = set()
        self.versions: dict[str, int] = defaultdict(int)
        # The cursor
        self.lo = self.hi = (3, frozenset[int]())
        self.done, self.fence, self.owner, self.lease_until = 0, 0, "", -1.0
        self.topics: dict[str, TopicMark] = {}
        self.quarantine: dict[int, Held] = {}
        # The broker
        self.topic: list[list[tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]]] = [[] for _ in range(PARTITIONS)]
        self.there = True  # whether the topic is
        self.poison: set[str] = set()  # aggregates whose events are refused
        self.broker = "well"  # well, away, deaf (takes, and nobody hears of it), moody (any of these)
        self.database = "well"  # well, away, deaf, moody
        self.faults = 0  # batches of which not all acknowledgements came

    # Writers

    def write(self, transaction: Transaction, aggregate: int, *, seq_first: bool) -> None:
        """Append the next event of an aggregate, whose lock the caller holds."""
        if seq_first:
            seq = self._take_seq()
        if transaction.xid is None:
            transaction.xid, self.next_xid = self.next_xid, self.next_xid + 1
            self.under_way.add(transaction.xid)
        if not seq_first:
            seq = self._take_seq()
        training = str(UUID(int=aggregate))
        version = self.versions[training] = self.versions[training] + 1
        row = LogRow(
            seq,
            "events",
            str(UUID(int=aggregate % USERS)),
            training,
            str(version),
            str(UUID(int=seq)),
            "training_updated",
            datetime.fromtimestamp(seq, UTC).isoformat(),
            None,
            f"{training} {version}",
        )
        transaction.rows.append(row)
        self.rows.append((transaction.xid, row))

    def end(self, transaction: Transaction, *, commit: bool) -> None:
        """Commit or roll back."""
        if transaction.xid is None:
            return
        self.under_way.remove(transaction.xid)
        self.completed = max(self.completed, transaction.xid)
        if commit:
            self.committed.add(transaction.xid)
        else:
            for row in transaction.rows:
                self.versions[row.aggregate_id] -= 1

    def post(self, aggregate: int, count: int = 1) -> None:
        """That many events of an aggregate, each in a transaction of its own."""
        for _ in range(count):
            transaction = Transaction()
            self.write(transaction, aggregate, seq_first=False)
            self.end(transaction, commit=True)

    def _take_seq(self) -> int:
        self.next_seq += 1
        return self.next_seq - 1

    # Snapshots

    def snapshot(self) -> Snapshot:
        """PostgreSQL's pg_current_snapshot()."""
        xmax = self.completed + 1
        return xmax, frozenset(xid for xid in self.under_way if xid < xmax)

    def seen(self, snapshot: Snapshot) -> list[LogRow]:
        """The committed rows that a snapshot sees, by seq."""
        xmax, xip = snapshot
        rows = [row for xid, row in self.rows if xid in self.committed and xid < xmax and xid not in xip]
        return sorted(rows)

    def window(self, lo: Snapshot, hi: Snapshot, after: int) -> Batch:
        """The first rows beyond `after` that `hi` sees and `lo` does not."""
        before = set(self.seen(lo))
        rows = [row for row in self.seen(hi) if row.seq > after and row not in before]
        return Batch(rows[: self.batch], len(rows) >= self.batch)

    # Judgement

    def violations(self) -> list[str]:
        """What is wrong with the topic now: phantoms (I2), order (I3), unlike copies (I4)."""
        found = []
        known = {row.event_id.encode() for row in self.committed_rows()}
        copies: dict[bytes, set[object]] = defaultdict(set)
        versions: dict[bytes, list[int]] = defaultdict(list)
        for number, partition in enumerate(self.topic):
            for key, value, all_headers in partition:
                fields = dict(all_headers)
                event_id = fields["ce_id"]
                if event_id not in known:
                    found.append(f"I2: {event_id!r} was never committed")
                if event_id not in copies:
                    versions[fields["ce_subject"]].append(int(fields["ce_sequence"]))
                copies[event_id].add((number, key, value, all_headers))
        skipped = {held.aggregate_id.encode() for held in self.quarantine.values() if held.state == "skipped"}
        for training, numbers in versions.items():
            if training not in skipped and numbers != list(range(1, len(numbers) + 1)):
                found.append(f"I3: {training!r} {numbers}")
        return found + [f"I4: {event_id!r}" for event_id, forms in copies.items() if len(forms) > 1]

    def committed_rows(self) -> list[LogRow]:
        """The log."""
        return sorted(row for xid, row in self.rows if xid in self.committed)

    def lost(self) -> set[str]:
        """Event ids that were committed and stand nowhere in the topic (I1)."""
        there = {dict(record[2])["ce_id"].decode() for partition in self.topic for record in partition}
        return {row.event_id for row in self.committed_rows()} - there

    @property
    def records(self) -> int:
        """How many records the topic holds."""
        return sum(len(partition) for partition in self.topic)


class ModelStore:
    """`outbox.relay.Store` over a world, as one process sees it."""

    def __init__(self, world: World, process: Process, owner: str, lease: float) -> None:
        self.world = world
        self.process = process
        self.owner = owner
        self.lease_seconds = lease
        self.calls = 0

    async def acquire(self) -> Acquired | None:
        def effect() -> Acquired | None:
            w = self.world
            if w.lease_until >= w.loop.time() and w.owner != self.owner:
                return None
            w.fence, w.owner, w.lease_until = w.fence + 1, self.owner, w.loop.time() + self.lease_seconds
            lease = Lease(w.fence, 1, "", "", 0, 0, w.done, 0, None)
            held = {each.aggregate_id: each.seq for each in sorted(w.quarantine.values()) if _open(each)}
            return Acquired(lease, _copy(w.topics), held, moved=False, strange=False)

        return await self._run(effect)

    async def release(self, lease: Lease, topics: dict[str, TopicMark]) -> None:
        def effect() -> None:
            w = self.world
            if w.fence == lease.fence:
                w.done, w.topics, w.owner, w.lease_until = lease.done_seq, _copy(topics), "", -1.0

        await self._run(effect)

    async def step(self, lease: Lease, topics: dict[str, TopicMark], *, move: bool) -> tuple[Lease, Batch, bool]:
        def effect() -> tuple[Lease, Batch, bool]:
            w = self._mine(lease)
            asked = any(held.state in ("retry", "skip") for held in w.quarantine.values())
            snapshot = w.snapshot()
            batch = w.window(w.hi, snapshot, 0)
            if not batch.rows and not move:
                return lease, batch, asked
            w.lo, w.hi, w.done, w.topics = w.hi, snapshot, 0, _copy(topics)
            w.lease_until = w.loop.time() + self.lease_seconds
            return replace(lease, done_seq=0), batch, asked

        return await self._run(effect)

    async def read(self, lease: Lease, after: int) -> Batch:
        return await self._run(lambda: self.world.window(self.world.lo, self.world.hi, after))

    async def advance(self, lease: Lease, topics: dict[str, TopicMark]) -> None:
        def effect() -> None:
            w = self._mine(lease)
            w.done, w.topics, w.lease_until = lease.done_seq, _copy(topics), w.loop.time() + self.lease_seconds

        await self._run(effect)

    async def quarantine(self, lease: Lease, row: LogRow, error: str) -> None:
        def effect() -> None:
            held = Held(row.seq, row.user_id, row.aggregate_id, int(row.version), "held", error, datetime.now(UTC))
            self._mine(lease).quarantine[row.seq] = held

        await self._run(effect)

    async def asked(self) -> Held | None:
        held = sorted(held for held in self.world.quarantine.values() if held.state in ("retry", "skip"))
        return await self._run(lambda: held[0] if held else None)

    async def passed(self, lease: Lease, held: Held) -> list[LogRow]:
        first = held.seq + (held.state == "skip")
        rows = [row for row in self.world.seen(self.world.hi) if row.aggregate_id == held.aggregate_id]
        return await self._run(lambda: [row for row in rows if row.seq >= first])

    async def settle(self, lease: Lease, held: Held) -> None:
        def effect() -> None:
            w = self._mine(lease)
            if (now := w.quarantine[held.seq]).state in ("retry", "skip"):
                w.quarantine[held.seq] = now._replace(state="skipped" if now.state == "skip" else "published")

        await self._run(effect)

    async def rebase(self, lease: Lease) -> Lease:
        raise AssertionError("the model has one cluster")

    async def recover(self, lease: Lease) -> tuple[list[LogRow], int]:
        raise AssertionError("the model has one cluster")

    async def recovered(self, lease: Lease, done: int) -> Lease:
        raise AssertionError("the model has one cluster")

    def _mine(self, lease: Lease) -> World:
        if self.world.fence != lease.fence:
            raise LeaseLost
        return self.world

    async def _run(self, effect: Callable[[], T]) -> T:
        """One statement: the process may be caught before or after, the answer lost, the effect late."""
        w = self.world
        self.calls += 1
        await self.process.gate()
        await asyncio.sleep(w.random.choice([0.0, 0.001, 0.01]))
        mood = w.database if w.database != "moody" else w.random.choice(["well"] * 6 + ["away", "deaf", "late"])
        w.faults += mood != "well"
        if mood == "away":
            raise DatabaseUnavailable("away")
        if mood == "late":
            w.loop.call_later(w.random.random() * 8, _quietly, effect)
            raise DatabaseUnavailable("it may still happen")
        await self.process.gate()
        result = effect()
        if mood == "deaf":
            raise DatabaseUnavailable("it has happened")
        await asyncio.sleep(w.random.choice([0.0, 0.001]))
        await self.process.gate()
        return result


class ModelProducer:
    """`outbox.relay.Producer` over a world, as one process sees it."""

    def __init__(self, world: World, process: Process) -> None:
        self.world = world
        self.process = process
        self.most = 1000
        self.cut_off = False  # this process alone cannot reach the broker
        self.batches: list[list[int]] = []  # the seqs that were handed to it

    async def publish(self, rows: Sequence[LogRow], may_send: Callable[[], bool]) -> Outcome:
        w = self.world
        await self.process.gate()
        self.batches.append([row.seq for row in rows])
        if w.broker == "away" or self.cut_off:
            await asyncio.sleep(0.01)
            return Outcome(rows, ConnectionError("away"))
        made = frozenset[str]()
        if not w.there:
            w.there, w.topic, made = True, [[] for _ in range(PARTITIONS)], frozenset({"events"})
        chains: dict[int, list[LogRow]] = defaultdict(list)
        for row in rows:
            chains[partition_of(row.user_id.encode(), PARTITIONS)].append(row)
        offsets: dict[tuple[str, int], tuple[int, int]] = {}
        left: list[LogRow] = []
        outcome = Outcome()
        for partition, chain in chains.items():
            while chain and outcome.error is None:
                piece = chain[: min(self.most, w.random.choice([1, 2, 1000]))]
                first, outcome = await self._send(partition, piece, may_send)
                if outcome.error is None:
                    begin = offsets.get(("events", partition), (first, 0))[0]
                    offsets["events", partition] = (begin, first + len(piece) - 1)
                    del chain[: len(piece)]
            left += chain
        if outcome.error is None:
            self.most = 1000
        else:
            w.faults += 1
        return replace(outcome, left=sorted(left), offsets=offsets, made=made)

    async def _send(self, partition: int, piece: list[LogRow], may_send: Callable[[], bool]) -> tuple[int, Outcome]:
        w, first = self.world, 0
        if not may_send():
            return first, Outcome(error=TimeoutError("the lease ran out"))
        await self.process.gate()  # frozen between the look at the clock and the send
        if any(row.aggregate_id in w.poison for row in piece):
            self.most = max(1, len(piece) // 2)
            alone = len(piece) == 1
            return first, Outcome(
                error=ValueError("too large"), refused=piece[0] if alone else None, narrowed=not alone
            )
        mood = w.broker if w.broker != "moody" else w.random.choice(["well", "well", "lost", "deaf", "late"])
        if mood == "lost":
            return first, Outcome(error=TimeoutError("lost"))
        if mood == "late":
            w.loop.call_later(w.random.random() * 8, self._append, partition, piece)
        else:
            first = self._append(partition, piece)
        await asyncio.sleep(0.002)
        await self.process.gate()
        return first, Outcome(error=None if mood == "well" else TimeoutError("no acknowledgement"))

    async def close(self) -> None:
        await self.process.gate()

    def _append(self, partition: int, rows: Sequence[LogRow]) -> int:
        first = len(self.world.topic[partition])
        for row in rows:
            self.world.topic[partition].append((row.user_id.encode(), row.payload.encode(), tuple(headers(row))))
        return first


class Worker:
    """A process that relays."""

    def __init__(self, world: World, name: str, *, lease: float = 5.0, patience: float = 10.0) -> None:
        self.world = world
        self.process = Process()
        self.store = ModelStore(world, self.process, name, lease)
        self.producer = ModelProducer(world, self.process)
        self.made_anew: list[str] = []
        self.relay = Relay(
            self.store,
            self.producer,
            lease=lease,
            patience=patience,
            clock=world.loop.time,
            jitter=world.random.random,
            on_topic_made_anew=self.made_anew.append,
        )
        self.task = world.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            while not self.relay.halted:
                await self.relay.drain()
                await asyncio.sleep(0.1)
        except Killed:
            pass

    async def finish(self) -> None:
        """An orderly stop."""
        self.relay.halt()
        await self.task
        await self.relay.stop()

    def kill(self) -> None:
        """kill -9."""
        self.process.dead = True
        self.task.cancel()


def _open(held: Held) -> bool:
    return held.state in ("held", "retry", "skip")


def _copy(topics: dict[str, TopicMark]) -> dict[str, TopicMark]:
    return {name: {"generation": mark["generation"], "offsets": dict(mark["offsets"])} for name, mark in topics.items()}


def _quietly(effect: Callable[[], object]) -> None:
    with suppress(LeaseLost):  # as it should be
        effect()
