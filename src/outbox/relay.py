"""The relay: publishes the log, in order, one relay at a time.

It knows neither PostgreSQL nor Kafka: store, producer and clock are given to it. What it holds to:

- A window is stored before any of it is published, so that whoever comes next publishes the same batches again.
- A row is handed to the producer only while the lease holds by the local clock, and, by the producer's contract, only
  when every earlier row of its partition is acknowledged. So the first occurrences of a training's events are in order
  whatever a relay that lost its lease still has under way.
- `done` moves over acknowledged rows without a gap, in a statement that finds the fence unchanged or does nothing.
- Before anything is published under a lease, what the topic holds beyond what the database remembers is compared with
  the log: a database that was restored, or promoted without its tail, takes back what it lost.
- When the database does not answer, nothing is known of the lease, and it is given up for lost.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeVar

from models.errors import DatabaseUnavailable
from models.outbox import Acquired, Adopted, Batch, Found, Held, Lease, LeaseLost, LogRow, TopicMark

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_DELAY = 0.05  # seconds before the first retry; doubled until
LONGEST_DELAY = 2.0  # seconds
ADOPTED_AT_ONCE = 200  # events of one statement, which holds up writers of the same trainings


class TopicUnreadable(Exception):
    """What stands on a topic could not be read now; says why."""


class CannotPublish(Exception):
    """The broker took nothing for so long that another worker shall try."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the rows given to a producer.

    `left` are the rows that were not acknowledged, in order; where there are any, `error` says why. `refused` is one of
    them that the broker will never take; `narrowed` says that it refused several at once, which will be sent apart.
    `offsets` holds, by topic and partition, the first offset that was acknowledged and the last; `made` the topics that
    were missing and were made.
    """

    left: Sequence[LogRow] = ()
    error: Exception | None = None
    refused: LogRow | None = None
    narrowed: bool = False
    offsets: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    made: frozenset[str] = frozenset()


class Producer(Protocol):
    """Hands rows to the broker."""

    async def publish(self, rows: Sequence[LogRow], may_send: Callable[[], bool]) -> Outcome:
        """Publish `rows`; returns when each is acknowledged or given up, within a bounded time.

        A row is sent only when every earlier one of its partition is acknowledged, or with it in one record batch, and
        `may_send()` is true at that moment. When cancelled, nothing more is sent. With no rows it makes sure that the
        broker is there, and its topics.
        """

    async def beyond(self, topic: str, offsets: Mapping[str, int] | None) -> Found:
        """What the topic holds beyond the last `offsets` of its partitions; of a partition that has none, all.

        With None only where they end. A topic that is missing holds nothing. Takes a bounded time.
        Raises `TopicUnreadable`.
        """

    async def close(self) -> None:
        """Send nothing more, flush nothing, let go of the broker."""


class Store(Protocol):
    """Where the log and the cursor are: `storage.outbox.OutboxStore`, whose docstrings are the contract."""

    async def acquire(self) -> Acquired | None: ...
    async def release(self, lease: Lease, topics: dict[str, TopicMark]) -> None: ...
    async def step(self, lease: Lease, topics: dict[str, TopicMark], *, move: bool) -> tuple[Lease, Batch, bool]: ...
    async def read(self, lease: Lease, after: int) -> Batch: ...
    async def advance(self, lease: Lease, topics: dict[str, TopicMark]) -> None: ...
    async def adopt(self, lease: Lease, rows: Sequence[LogRow]) -> tuple[Lease, Adopted]: ...
    async def rebase(self, lease: Lease) -> Lease: ...
    async def recover(self, lease: Lease) -> tuple[list[LogRow], int]: ...
    async def recovered(self, lease: Lease, done: int) -> Lease: ...
    async def quarantine(self, lease: Lease, row: LogRow, error: str) -> None: ...
    async def asked(self) -> Held | None: ...
    async def passed(self, lease: Lease, held: Held) -> list[LogRow]: ...
    async def settle(self, lease: Lease, held: Held) -> None: ...


@dataclass(frozen=True, slots=True)
class RelayState:
    """What the relay says of itself. Times are of the relay's clock, in seconds."""

    role: str  # leader, standby, or off
    epoch: int = 0
    last_success: float | None = None  # when something or all was last published, or another relay was seen to lead
    error: str | None = None  # why it cannot go on now
    published: int = 0  # records acknowledged to this worker since it started
    batches: int = 0
    last_batch: int = 0  # records
    held: int = 0  # aggregates whose events wait behind a refused one
    adopted: int = 0  # events that the log had lost and this worker took back from the topic


class Relay:
    """One relay. `lease` and `patience` are seconds: after `patience` without success the lease is let go.

    What stands on `topics` before this log's first event is another's, and not taken for its own. In their order it is
    read what this log may have lost: trainings behind the workouts that they were made from.
    """

    def __init__(
        self,
        store: Store,
        producer: Producer,
        *,
        lease: float = 5.0,
        patience: float = 10.0,
        topics: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        on_topic_made_anew: Callable[[str], None] = lambda _topic: None,
    ) -> None:
        self._store = store
        self._producer = producer
        self._lease_seconds = lease
        self._patience = patience
        self._own_topics = tuple(topics)
        self._clock = clock
        self._jitter = jitter
        self._on_topic_made_anew = on_topic_made_anew
        self._lease: Lease | None = None
        self._deadline = 0.0  # of the lease, by the local clock: counted from before the statement that renewed it
        self._rest_until = 0.0
        self._topics: dict[str, TopicMark] = {}
        self._held: dict[tuple[str, str], int] = {}  # user id, aggregate id -> seq of its refused event
        self._unstored = False  # whether more is acknowledged, or known of topics, than is stored
        self._prepared = False  # whether the broker was met, and its topics, since the lease was taken
        self._prepare_at = 0.0
        self.halted = False
        self.state = RelayState("standby")

    @property
    def leads(self) -> bool:
        """Whether this relay holds the lease, as far as it knows."""
        return self._lease is not None

    async def drain(self) -> None:
        """Publish all that is committed; returns when nothing is left, another relay leads, or it must rest.

        Nothing is raised but the caller's own cancellation, after which the lease is released. Not reentrant.
        """
        if self.halted or self._clock() < self._rest_until:
            return
        try:
            if self._lease is not None or await self._acquire():
                await self._publish_windows()
                if self._prepared or await self._prepare():
                    self._say(error=None, last_success=self._clock())
        except LeaseLost:
            log.warning("the relay's lease was taken over")
            await self._forget(None)
        except DatabaseUnavailable as error:
            await self._forget(error)
            self._rest()
        except CannotPublish as error:
            log.warning("the relay lets another worker try")
            await self._let_go(error)
        except asyncio.CancelledError:
            await self._let_go(None)
            raise
        except Exception as error:  # the boundary: the relay outlives whatever goes wrong
            log.exception("the relay failed")
            await self._let_go(error)

    def halt(self) -> None:
        """Begin nothing more: a drain under way ends after its batch."""
        self.halted = True

    async def stop(self) -> None:
        """Let go of the lease, so that another worker takes over at once, and of the broker."""
        await self._let_go(None)

    # The lease

    async def _acquire(self) -> bool:
        asked = self._clock()
        taken = await self._store.acquire()
        if taken is None:
            self._rest_until = asked + min(1.0, self._lease_seconds / 5)
            self._say(role="standby", error=None, last_success=asked)
            return False
        self._hold(taken.lease, asked)
        self._topics, self._held, self._unstored = taken.topics, dict(taken.held), False
        log.info("this worker relays now", extra={"fence": taken.lease.fence, "epoch": taken.lease.epoch})
        if taken.strange:
            self._hold(await self._store.rebase(self._mine))
            log.error("the log was restored into another cluster: a new epoch begins after what was not published yet")
        elif taken.moved:
            log.error("the database was promoted, or restored on another timeline: a new epoch begins")
        await self._reconcile(restored=self._mine.recovered_seq is not None)
        if taken.moved:
            for topic in self._topics:
                self._on_topic_made_anew(topic)
        self._say(role="leader", epoch=self._mine.epoch, held=len(self._held))
        while self._mine.recovered_seq is not None:
            await self._recover()
        await self._publish_window(await self._store.read(self._mine, self._mine.done_seq))
        return True

    async def _reconcile(self, *, restored: bool) -> None:
        """Take back what the topics hold and the log has lost. `restored`: into another cluster."""
        if met := await self._met():
            self._topics |= met
            await self._renew()  # what is taken back is of a topic that the database knows
        for topic in dict.fromkeys((*self._own_topics, *self._topics)):
            if (mark := self._topics.get(topic)) is None:
                continue
            adopted, more = 0, True
            while more:
                found = await self._patiently(partial(self._producer.beyond, topic, mark["offsets"]))
                if found.foreign:
                    log.warning("records of another make stand on the topic", extra={"count": found.foreign})
                for start in range(0, len(found.rows), ADOPTED_AT_ONCE):
                    adopted += await self._adopt(topic, found.rows[start : start + ADOPTED_AT_ONCE])
                    await self._renew()
                if found.offsets:
                    mark["offsets"].update(found.offsets)
                    self._unstored = True
                more = found.more
            if restored:  # the derived tables went back with the log, their readers did not
                mark["generation"] += 1
                await self._renew()
            if adopted or restored:
                self._on_topic_made_anew(topic)

    async def _met(self) -> dict[str, TopicMark]:
        """The topics that hold anything and that the log does not know.

        To a log that knows none, what stands there came before its first event. One that knows others may be a backup
        that is older than the topic, which has lost what stands there, from the first record on; or the topic is
        another's.
        """
        met: dict[str, TopicMark] = {}
        for topic in self._own_topics:
            if topic in self._topics:
                continue
            found = await self._patiently(partial(self._producer.beyond, topic, None))
            if not found.offsets:
                continue
            lost = bool(self._topics) and await self._lost_whole(topic)
            log.log(
                logging.ERROR if self._topics else logging.WARNING,
                "the topic is new to the log and holds records: %s",
                "it has lost them" if lost else "they are another's, and left alone",
                extra={"topic": topic},
            )
            met[topic] = {"generation": 1, "offsets": {} if lost else dict(found.offsets)}
        return met

    async def _lost_whole(self, topic: str) -> bool:
        """Whether all that stands on the topic may be what this log has lost: then it is of after the backup, and its
        place in the log lies beyond what that had published. Ends at the first sign that it is not."""
        offsets: dict[str, int] = {}
        more = True
        while more:
            found = await self._patiently(partial(self._producer.beyond, topic, offsets))
            if (found.foreign and not found.rows) or any(row.seq <= self._mine.last_seq for row in found.rows):
                return False
            offsets.update(found.offsets)
            more = found.more
        return True

    async def _adopt(self, topic: str, rows: Sequence[LogRow]) -> int:
        lease, outcome = await self._store.adopt(self._mine, rows)
        self._hold(lease)
        if outcome.generation is not None:
            self._topics[topic]["generation"] = outcome.generation
        if outcome.strange:
            log.error("events on the topic contradict the log", extra={"topic": topic, **outcome._asdict()})
        if outcome.events:
            log.error(
                "the database had lost events that were published: they are taken back from the topic",
                extra={"topic": topic, "epoch": lease.epoch, **outcome._asdict()},
            )
            self._say(adopted=self.state.adopted + outcome.events)
        return outcome.events

    async def _patiently(self, look: Callable[[], Awaitable[Found]]) -> Found:
        delay, failing_since = FIRST_DELAY, self._clock()
        while True:
            try:
                return await self._while_renewing(look())
            except TopicUnreadable as error:
                self._say(error=str(error))
                if self._clock() - failing_since > self._patience:
                    raise CannotPublish(str(error)) from error
            await self._while_renewing(asyncio.sleep(delay * (0.5 + self._jitter())))
            delay = min(2 * delay, LONGEST_DELAY)

    def _hold(self, lease: Lease, renewed: float | None = None) -> None:
        self._lease = lease
        if renewed is not None:
            self._deadline = renewed + self._lease_seconds

    @property
    def _mine(self) -> Lease:
        if self._lease is None:
            raise LeaseLost
        return self._lease

    def _may_send(self) -> bool:
        return self._lease is not None and self._clock() < self._deadline

    async def _renew(self) -> None:
        """Renew the lease, and store what is acknowledged."""
        asked = self._clock()
        await self._store.advance(self._mine, self._topics)
        self._hold(self._mine, asked)

    async def _while_renewing(self, work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=self._lease_seconds / 3))[0]:
                await self._renew()
            return task.result()
        finally:
            await end(task)

    async def _forget(self, error: Exception | None) -> None:
        self._lease, self._prepared = None, False
        self._say(role="standby", **({} if error is None else {"error": _text(error)}))
        await self._producer.close()

    async def _let_go(self, error: Exception | None) -> None:
        lease = self._lease
        await self._forget(error)
        self._rest()
        if lease is not None:
            try:
                await self._store.release(lease, self._topics)
            except DatabaseUnavailable:
                log.info("the lease could not be released: it will run out")

    def _rest(self) -> None:
        """Long enough for another worker to look in."""
        self._rest_until = self._clock() + 1.0 + self._jitter()

    # Windows

    async def _publish_windows(self) -> None:
        while not self.halted:  # or the rest of a window that was taken over is not published yet
            asked = self._clock()
            move = self._unstored or asked > self._deadline - self._lease_seconds * 2 / 3
            lease, batch, wanted = await self._store.step(self._mine, self._topics, move=move)
            self._hold(lease, asked if move or batch.rows else None)
            self._unstored = False
            await self._publish_window(batch)
            if wanted:
                await self._settle()
            if not batch.rows or self.halted:
                return

    async def _publish_window(self, batch: Batch) -> None:
        """A window from `batch` on; the next batch is read while one is published."""
        while batch.rows:
            last = batch.rows[-1].seq
            ahead = asyncio.ensure_future(self._store.read(self._mine, last)) if batch.more else None
            try:
                await self._publish(batch.rows, of_window=True)
                self._hold(replace(self._mine, done_seq=last, last_seq=max(self._mine.last_seq, last)))
                self._unstored = True
                if ahead is None or self.halted:
                    return
                await self._renew()
                batch = await ahead
            finally:
                if ahead is not None:
                    await end(ahead)

    async def _recover(self) -> None:
        """After a move to another cluster: some of what was not published in the old one."""
        rows, done = await self._store.recover(self._mine)
        await self._publish(rows)
        asked = self._clock()
        self._hold(await self._store.recovered(self._mine, done), asked)

    async def _settle(self) -> None:
        """Between two windows: what somebody asks of refused events. All that waits behind one is published."""
        while (asked := await self._store.asked()) is not None:
            rows = await self._store.passed(self._mine, asked)
            place = asked.user_id, asked.aggregate_id
            self._held.pop(place, None)
            await self._publish(rows)
            if self._held.get(place) != asked.seq:  # refused again it waits, though somebody may ask anew already
                await self._store.settle(self._mine, asked)
                log.warning("a refused event is settled", extra={"seq": asked.seq, "asked": asked.state})
            await self._renew()
        self._say(held=len(self._held))

    # Records

    async def _publish(self, rows: Sequence[LogRow], *, of_window: bool = False) -> None:
        """Publish `rows`, however long it takes; those of aggregates behind a refused event are passed over."""
        left = self._not_held(rows)
        delay, failing_since = FIRST_DELAY, self._clock()
        while left:
            if of_window:
                self._hold(replace(self._mine, done_seq=left[0].seq - 1))
            outcome = await self._while_renewing(self._producer.publish(left, self._may_send))
            if len(outcome.left) < len(left):
                delay, failing_since = FIRST_DELAY, self._clock()
            self._note(outcome, len(left) - len(outcome.left))
            left = outcome.left
            if outcome.error is None or outcome.narrowed:
                continue
            if outcome.refused is not None:
                await self._quarantine(outcome.refused, outcome.error)
                left = self._not_held(left)
                continue
            self._say(error=_text(outcome.error))
            log.warning("the broker takes nothing: %s", _text(outcome.error))
            if self._clock() - failing_since > self._patience:
                raise CannotPublish(_text(outcome.error))
            await self._renew()
            await self._while_renewing(asyncio.sleep(delay * (0.5 + self._jitter())))
            delay = min(2 * delay, LONGEST_DELAY)

    async def _prepare(self) -> bool:
        """Make the topics before the first event, so that readers need not wait for it; whether that is done."""
        if self._clock() < self._prepare_at:
            return False
        outcome = await self._while_renewing(self._producer.publish((), self._may_send))
        self._note(outcome, 0)
        self._prepared = outcome.error is None  # publishing meets the topics of its events only
        if self._prepared:
            for topic in set(self._own_topics) - set(self._topics):  # somebody else made it, and it is empty
                self._topics[topic] = {"generation": 1, "offsets": {}}
                self._unstored = True
        if outcome.error is not None:
            if self.state.error != _text(outcome.error):
                log.warning("the broker is not ready: %s", _text(outcome.error))
            self._say(error=_text(outcome.error))
            self._prepare_at = self._clock() + LONGEST_DELAY
        return self._prepared

    def _not_held(self, rows: Sequence[LogRow]) -> Sequence[LogRow]:
        if not self._held:
            return rows
        return [row for row in rows if (row.user_id, row.aggregate_id) not in self._held]

    async def _quarantine(self, row: LogRow, error: Exception) -> None:
        await self._store.quarantine(self._mine, row, _text(error))
        self._held[row.user_id, row.aggregate_id] = row.seq
        self._say(held=len(self._held))
        log.error(
            "the broker refuses an event for good: later ones of the same training or workout wait behind it",
            extra={"seq": row.seq, "aggregate_id": row.aggregate_id, "user_id": row.user_id, "error": _text(error)},
        )

    def _note(self, outcome: Outcome, acknowledged: int) -> None:
        if acknowledged:
            state, now = self.state, self._clock()
            count = state.published + acknowledged
            self._say(published=count, batches=state.batches + 1, last_batch=acknowledged, last_success=now)
        for topic in outcome.made:
            self._note_made(topic)
        for (topic, partition), (first, last) in outcome.offsets.items():
            mark = self._topics.setdefault(topic, {"generation": 1, "offsets": {}})
            if first <= mark["offsets"].get(str(partition), -1):  # it begins again: somebody made it anew
                self._note_made(topic)
            self._topics[topic]["offsets"][str(partition)] = last

    def _note_made(self, topic: str) -> None:
        mark = self._topics.get(topic)
        self._topics[topic] = {"generation": mark["generation"] + 1 if mark else 1, "offsets": {}}
        self._unstored = True
        if mark:
            log.error("the topic was lost and made anew", extra={"topic": topic})
            self._on_topic_made_anew(topic)

    def _say(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)


async def end(task: asyncio.Future[Any]) -> None:
    """Cancel what is under way and wait for its end."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})


def _text(error: Exception) -> str:
    name, text = type(error).__name__, str(error)
    return text if text.startswith(name) else f"{name}: {text}"  # aiokafka's errors name themselves
