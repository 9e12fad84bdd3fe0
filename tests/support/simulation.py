"""A world for the relay's core: a log with transactions, a cursor, a broker, processes that die or freeze.

The model states what is meant, not how PostgreSQL and Kafka do it: a window is what one snapshot sees and another does
not, found by looking at every row. It judges as it goes: each record when it reaches the topic, and each right to send
at the moment at which the relay claims it.
"""

import asyncio
import random
import selectors
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from models.errors import DatabaseUnavailable
from models.outbox import Acquired, Adopted, Batch, Found, Held, Lease, LeaseLost, LogRow, TopicMark
from outbox.records import headers, partition_of
from outbox.relay import Outcome, Relay, TopicUnreadable, end

T = TypeVar("T")
Record = tuple[int, bytes, bytes, tuple[tuple[str, bytes], ...]]  # partition, key, value, headers

PARTITIONS = 2
USERS = 3
LATE = 3.0  # seconds after which nothing that is under way takes effect any more


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
        self.set_exception_handler(_but_killed)

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


class Process:
    """A process that can be killed, or frozen for a while."""

    def __init__(self) -> None:
        self.dead = False
        self._awake = asyncio.Event()
        self._awake.set()
        self._fate: Callable[[], None] | None = None
        self._fate_in = 0

    @property
    def frozen(self) -> bool:
        """SIGSTOP, until it is set to False: SIGCONT."""
        return not self._awake.is_set()

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        (self._awake.clear if frozen else self._awake.set)()

    def doom(self, gates: int, fate: Callable[[], None]) -> None:
        """At the gate after that many, `fate` happens to it."""
        self._fate_in, self._fate = gates, fate

    async def gate(self) -> None:
        """Where a process can be caught by its fate: before and after everything that it does to the world."""
        if self._fate is not None:
            self._fate_in -= 1
            if self._fate_in < 0:
                fate, self._fate = self._fate, None
                fate()
        if not self.dead:
            await self._awake.wait()
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
        self.calls = 0  # statements and record batches, of all processes
        self.violations: list[str] = []
        # The log
        self.rows: list[tuple[int, LogRow]] = []  # xid, row
        self.next_xid, self.next_seq = 10, 1
        self.completed = 9  # the largest xid that has ended
        self.under_way: set[int] = set()
        self.committed: set[int] = set()
        self.versions: dict[str, int] = defaultdict(int)
        self._windows: dict[tuple[str, str], list[LogRow]] = {}
        # The cursor
        self.lo = self.hi = "3:"
        self.done, self.fence, self.owner, self.lease_until = 0, 0, "", -1.0
        self.topics: dict[str, TopicMark] = {}
        self.quarantine: dict[int, Held] = {}
        self.skipped: set[tuple[str, int]] = set()  # aggregate and version that an operator once gave up
        # The broker
        self.topic: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.there = True  # whether the topic is
        self.made = 0  # times that it was made anew
        self.poison: set[str] = set()  # aggregates and events that are refused
        self.broker = "well"  # well, away, deaf (takes, and nobody hears of it), late, slow, moody (any of these)
        self.database = "well"  # the same
        # What readers have seen
        self.first: dict[bytes, Record] = {}  # event id -> its first record
        self.order: dict[bytes, int] = defaultdict(int)  # training -> the version that came last
        self._acknowledged: tuple[int, int, set[int]] = (0, 0, set())  # fence, made, seqs

    # Writers

    def write(self, transaction: Transaction, aggregate: int, *, seq_first: bool) -> LogRow:
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
            str(UUID(int=2**64 + seq)),  # like no aggregate's
            "training_updated",
            f"at {seq}",
            None,
            f"{training} {version}",
        )
        transaction.rows.append(row)
        self.rows.append((transaction.xid, row))
        return row

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

    # Operators

    def ask(self, state: str, seq: int | None = None) -> None:
        """Ask for a retry or a skip of one refused event, or of all."""
        for held in self.quarantine.values():
            if held.state == "held" and seq in (None, held.seq):
                self.quarantine[held.seq] = held._replace(state=state)
                if state == "skip":
                    self.skipped.add((held.aggregate_id, held.version))

    def lose_topic(self) -> None:
        """Somebody deletes the topic."""
        self.there = False

    # Snapshots

    def snapshot(self) -> str:
        """PostgreSQL's pg_current_snapshot(): xmax, and those under way below it."""
        xmax = self.completed + 1
        return f"{xmax}:{','.join(str(xid) for xid in sorted(self.under_way) if xid < xmax)}"

    def seen(self, snapshot: str) -> list[LogRow]:
        """The committed rows that a snapshot sees, by seq."""
        xmax, _, under_way = snapshot.partition(":")
        xip = {int(xid) for xid in under_way.split(",") if xid}
        return sorted(row for xid, row in self.rows if xid in self.committed and xid < int(xmax) and xid not in xip)

    def window(self, lo: str, hi: str) -> list[LogRow]:
        """The rows that `hi` sees and `lo` does not: ever the same, since what a snapshot sees has ended."""
        if lo == hi:
            return []
        if (lo, hi) not in self._windows:
            before = {row.seq for row in self.seen(lo)}
            self._windows[lo, hi] = [row for row in self.seen(hi) if row.seq not in before]
        return self._windows[lo, hi]

    def part(self, lo: str, hi: str, after: int) -> Batch:
        """The first rows of a window beyond `after`."""
        window = self.window(lo, hi)
        begin = bisect_right(window, after, key=_seq)
        rows = window[begin : begin + self.batch]
        return Batch(rows, len(rows) == self.batch)

    # Judgement

    def judge_right(self, owner: str, rows: Sequence[LogRow]) -> int:
        """A relay claims the right to send `rows` now. Returns the fence.

        It must hold the lease. The rows must be of the first batch beyond the stored cursor, in the stored window:
        more than one batch is never repeated, whenever the relay dies. None may be acknowledged under this fence, and
        none may wait behind a refused event; but what an operator asks for is published as a whole.
        """
        if self.owner != owner or self.lease_until < self.loop.time():
            self.violations.append(f"fence: {owner} sends while the lease is of {self.owner!r}")
            return self.fence
        if self._acknowledged[:2] != (self.fence, self.made):
            self._acknowledged = self.fence, self.made, set()
        first = {row.seq for row in self.part(self.lo, self.hi, self.done).rows}
        states = defaultdict(list)
        for held in self.quarantine.values():
            states[held.aggregate_id].append(held)
        for row in rows:
            held_here = states.get(row.aggregate_id, [])
            if any(held.state in ("retry", "skip") for held in held_here):
                continue
            if row.seq not in first:
                self.violations.append(f"bound: {row.seq} is not of the batch beyond {self.done}: {sorted(first)}")
            if row.seq in self._acknowledged[2]:
                self.violations.append(f"again: {row.seq} is acknowledged under fence {self.fence}")
            if any(held.state == "held" and held.seq <= row.seq for held in held_here):
                self.violations.append(f"held: {row.seq} waits behind a refused event")
        return self.fence

    def acknowledge(self, fence: int, made: int, rows: Sequence[LogRow]) -> None:
        """A relay hears that `rows` are in the topic."""
        if self._acknowledged[:2] == (fence, made):
            self._acknowledged[2].update(row.seq for row in rows)

    def append(self, partition: int, rows: Sequence[LogRow]) -> int:
        """Records reach the topic; returns the first one's offset."""
        first = len(self.topic[partition])
        for row in rows:
            record = partition, row.user_id.encode(), row.payload.encode(), tuple(headers(row))
            self.topic[partition].append(record)
            self._judge(record)
        return first

    def _judge(self, record: Record) -> None:
        """No phantom (I2), the order of first occurrences (I3), copies alike (I4)."""
        fields = dict(record[3])
        event_id, training, version = fields["ce_id"], fields["ce_subject"], int(fields["ce_sequence"])
        if event_id in self.first:
            if self.first[event_id] != record:
                self.violations.append(f"I4: {event_id!r}")
            return
        self.first[event_id] = record
        if not any(xid in self.committed and row.event_id.encode() == event_id for xid, row in reversed(self.rows)):
            self.violations.append(f"I2: {event_id!r} was never committed")
        if (training.decode(), version) in self.skipped:
            return
        due = self.order[training] + 1
        while (training.decode(), due) in self.skipped:
            due += 1
        if version != due:
            self.violations.append(f"I3: {training!r} has {version} where {due} is due")
        self.order[training] = version

    def committed_rows(self) -> list[LogRow]:
        """The log."""
        return sorted(row for xid, row in self.rows if xid in self.committed)

    def lost(self) -> set[str]:
        """Event ids that were committed, that nobody gave up, and that no reader ever saw (I1)."""
        rows = [row for row in self.committed_rows() if (row.aggregate_id, int(row.version)) not in self.skipped]
        return {row.event_id for row in rows if row.event_id.encode() not in self.first}

    def mood(self, mood: str, moods: list[str]) -> str:
        """What happens to the next statement or record batch."""
        return self.random.choice(moods) if mood == "moody" else mood

    def later(self, effect: Callable[[], object]) -> None:
        """What is under way, and nobody hears of, takes effect."""
        self.loop.call_later(self.random.random() * LATE, _quietly, effect)


class ModelStore:
    """`outbox.relay.Store` over a world, as one process sees it."""

    def __init__(self, world: World, process: Process, owner: str, lease: float) -> None:
        self.world = world
        self.process = process
        self.owner = owner
        self.lease_seconds = lease
        self.cut_off = False  # this process alone cannot reach the database
        self.calls = 0

    async def acquire(self) -> Acquired | None:
        def effect() -> Acquired | None:
            w = self.world
            if w.lease_until >= w.loop.time() and w.owner != self.owner:
                return None
            w.fence, w.owner, w.lease_until = w.fence + 1, self.owner, w.loop.time() + self.lease_seconds
            lease = Lease(w.fence, 1, w.lo, w.hi, 0, 0, w.done, 0, None)
            refused = sorted(each for each in w.quarantine.values() if _open(each))
            held = {(each.user_id, each.aggregate_id): each.seq for each in refused}
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
            batch = w.part(lease.hi, snapshot, 0)
            if not batch.rows and not move:
                return lease, batch, asked
            w.lo, w.hi, w.done, w.topics = w.hi, snapshot, 0, _copy(topics)
            w.lease_until = w.loop.time() + self.lease_seconds
            return replace(lease, lo=w.lo, hi=w.hi, done_seq=0), batch, asked

        return await self._run(effect)

    async def read(self, lease: Lease, after: int) -> Batch:
        return await self._run(lambda: self.world.part(lease.lo, lease.hi, after))

    async def advance(self, lease: Lease, topics: dict[str, TopicMark]) -> None:
        def effect() -> None:
            w = self._mine(lease)
            w.done, w.topics, w.lease_until = lease.done_seq, _copy(topics), w.loop.time() + self.lease_seconds

        await self._run(effect)

    async def quarantine(self, lease: Lease, row: LogRow, error: str) -> None:
        def effect() -> None:
            now = datetime.now(UTC)
            held = Held(row.seq, row.user_id, row.aggregate_id, int(row.version), "held", error, now, row.topic)
            self._mine(lease).quarantine[row.seq] = held

        await self._run(effect)

    async def asked(self) -> Held | None:
        quarantine = self.world.quarantine
        return await self._run(
            lambda: min((held for held in quarantine.values() if held.state in ("retry", "skip")), default=None)
        )

    async def passed(self, lease: Lease, held: Held) -> list[LogRow]:
        first = held.seq + (held.state == "skip")
        return await self._run(
            lambda: [
                row for row in self.world.seen(lease.hi) if row.aggregate_id == held.aggregate_id and row.seq >= first
            ]
        )

    async def settle(self, lease: Lease, held: Held) -> None:
        def effect() -> None:
            w = self._mine(lease)
            if (now := w.quarantine[held.seq]).state in ("retry", "skip"):
                w.quarantine[held.seq] = now._replace(state="skipped" if now.state == "skip" else "published")

        await self._run(effect)

    async def adopt(self, lease: Lease, rows: Sequence[LogRow]) -> tuple[Lease, Adopted]:
        def effect() -> tuple[Lease, Adopted]:
            w = self._mine(lease)
            known = {row.event_id for xid, row in w.rows if xid in w.committed}
            w.violations += [f"I2: {row.event_id} was never committed" for row in rows if row.event_id not in known]
            return lease, Adopted(0, 0, 0, None)

        return await self._run(effect)

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
        """One statement: the process may be caught before or after, the answer lost or slow, the effect late."""
        w = self.world
        self.calls += 1
        w.calls += 1
        await self.process.gate()
        mood = w.mood(w.database, ["well"] * 6 + ["away", "deaf", "late", "slow"])
        try:
            await asyncio.sleep(w.random.choice([0.0005, 0.001, 0.01]))
        except asyncio.CancelledError:  # the connection is cut; PostgreSQL may have the statement
            if not self.process.dead:
                w.random.choice([_nothing, _quietly, w.later])(effect)
            raise
        if mood == "away" or self.cut_off:
            raise DatabaseUnavailable("away")
        if mood == "late":
            w.later(effect)
            raise DatabaseUnavailable("it may still happen")
        await self.process.gate()
        result = effect()
        if mood == "deaf":
            raise DatabaseUnavailable("it has happened")
        await asyncio.sleep(w.random.random() * LATE if mood == "slow" else 0.0)
        await self.process.gate()
        return result


class ModelProducer:
    """`outbox.relay.Producer` over a world, as one process sees it."""

    def __init__(self, world: World, process: Process, owner: str) -> None:
        self.world = world
        self.process = process
        self.owner = owner
        self.most = 1000
        self.cut_off = False  # this process alone cannot reach the broker
        self.batches: list[list[int]] = []  # the seqs that were handed to it

    async def publish(self, rows: Sequence[LogRow], may_send: Callable[[], bool]) -> Outcome:
        w = self.world
        await self.process.gate()
        self.batches.append([row.seq for row in rows])
        await asyncio.sleep(0.001)
        if w.broker == "away" or self.cut_off:
            return Outcome(rows, ConnectionError("away"))
        made = frozenset[str]()
        if not w.there:
            w.there, w.topic, w.made, made = True, [[] for _ in range(PARTITIONS)], w.made + 1, frozenset({"events"})
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
        return replace(outcome, left=sorted(left), offsets=offsets, made=made)

    async def _send(self, partition: int, piece: list[LogRow], may_send: Callable[[], bool]) -> tuple[int, Outcome]:
        w, first = self.world, 0
        if not may_send():
            return first, Outcome(error=TimeoutError("the lease ran out"))
        fence, made = w.judge_right(self.owner, piece), w.made
        w.calls += 1
        await self.process.gate()  # frozen between the look at the clock and the send
        if any(not w.poison.isdisjoint((row.aggregate_id, row.event_id)) for row in piece):
            self.most = max(1, len(piece) // 2)
            alone = len(piece) == 1
            return first, Outcome(
                error=ValueError("too large"), refused=piece[0] if alone else None, narrowed=not alone
            )
        mood = w.mood(w.broker, ["well", "well", "well", "lost", "deaf", "late", "slow"])

        def arrive() -> None:
            nonlocal first
            if w.made == made and w.there:
                first = w.append(partition, piece)

        if mood == "late":
            w.later(arrive)
        elif mood != "lost":
            arrive()
        await asyncio.sleep(w.random.random() * LATE if mood == "slow" else 0.002)
        await self.process.gate()
        if mood not in ("well", "slow") or w.made != made or not w.there:
            return first, Outcome(error=TimeoutError("no acknowledgement"))
        w.acknowledge(fence, made, piece)
        return first, Outcome()

    async def beyond(self, topic: str, offsets: Mapping[str, int] | None) -> Found:
        w = self.world
        assert offsets is not None, "the model's topic is the log's from the beginning"
        await self.process.gate()
        await asyncio.sleep(0.001)
        if w.broker == "away" or self.cut_off:
            raise TopicUnreadable("away")
        events = [
            dict(record[3])["ce_id"].decode()
            for number, records in enumerate(w.topic)
            for record in records[offsets.get(str(number), -1) + 1 :]
        ]
        rows = {row.event_id: row for _, row in w.rows}
        ends = {str(number): len(records) - 1 for number, records in enumerate(w.topic)}
        places = {number: end for number, end in ends.items() if end > offsets.get(number, -1)}
        return Found([rows[event] for event in events], places, 0, more=False)

    async def close(self) -> None:
        await self.process.gate()


class Worker:
    """A process that relays."""

    def __init__(
        self, world: World, name: str, *, lease: float = 5.0, patience: float = 10.0, pause: float = 0.1
    ) -> None:
        self.process = Process()
        self.store = ModelStore(world, self.process, name, lease)
        self.producer = ModelProducer(world, self.process, name)
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
        self._pause = pause
        self.task = world.loop.create_task(self._run())

    async def _run(self) -> None:
        with suppress(Killed):
            while not self.relay.halted:
                await self.relay.drain()
                await asyncio.sleep(self._pause)

    async def finish(self, within: float = 1.5) -> None:
        """An orderly stop: what is under way has so many seconds."""
        with suppress(Killed):
            self.relay.halt()
            await asyncio.wait({self.task}, timeout=within)
            await end(self.task)
            await self.relay.stop()

    def kill(self) -> None:
        """kill -9."""
        self.process.dead = True
        self.process.frozen = False
        self.task.cancel()


def _seq(row: LogRow) -> int:
    return row.seq


def _open(held: Held) -> bool:
    return held.state in ("held", "retry", "skip")


def _copy(topics: dict[str, TopicMark]) -> dict[str, TopicMark]:
    return {name: {"generation": mark["generation"], "offsets": dict(mark["offsets"])} for name, mark in topics.items()}


def _nothing(_effect: Callable[[], object]) -> None:
    """It never reached the server."""


def _quietly(effect: Callable[[], object]) -> None:
    with suppress(LeaseLost):  # as it should be
        effect()


def _but_killed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a killed process leaves behind is nobody's concern."""
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)
