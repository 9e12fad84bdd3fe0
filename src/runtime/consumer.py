"""The consumer: it commits no further than what is done, and notices when a topic was lost."""

import asyncio
import logging
import time
from collections import defaultdict, deque
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from faust.types.tuples import ack_lock
from mode import Service
from mode.utils.futures import notify

from runtime.client import ConsumerThread, TopicLostError

log = logging.getLogger(__name__)

CHECK_INTERVAL = 1.0  # seconds
PAUSED_POLL = 0.02  # seconds


class Ledger:
    """F8: what was delivered of one partition, in order, and up to which offset all of it is acknowledged.

    Upstream's may pass a message that is in flight (`_new_offset`: a gap of one is taken for none, and so is any gap
    before the first commit; messages are held weakly; faust-streaming/faust#606, PR #707).
    """

    def __init__(self) -> None:
        self._open: deque[Message] = deque()
        self.done: int | None = None  # the offset after the last message before which none is open

    def deliver(self, message: Message) -> None:
        """A message goes to the agents, after all those before it."""
        self._open.append(message)

    def settle(self) -> None:
        """A message was acknowledged: let go of all that have none open before them."""
        while self._open and self._open[0].acked:
            self.done = self._open.popleft().offset + 1


class Consumer(driver.Consumer):
    """Upstream's (faust/transport/consumer.py) with these departures.

    F8: the offset to commit is `Ledger`'s; a commit that failed is not taken for one that was made. A rebalance, after
    which every partition is read from its committed offset again, forgets what was delivered. Nothing of Faust's
    producer or tables is used in a commit (F10).
    A topic that is lost and made anew is read from its beginning. That is noticed by its committed offsets, so each
    partition has one before it is read.
    """

    mundane_level = "debug"
    _thread: ConsumerThread

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ledgers: defaultdict[TP, Ledger] = defaultdict(Ledger)
        self._stale = False  # whether what is known is of a topic that was lost
        self.acked_at: float | None = None  # monotonic

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def client(self) -> Any:
        """aiokafka's consumer, of another thread: to look at only; None until the brokers are found."""
        return self._thread.client

    async def perform_seek(self) -> None:
        # Upstream's holds a committed offset of 0 for none.
        starts = await self._thread.seek_to_committed()
        self._read_offset.update(starts)
        self._committed_offset.update(starts)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        fetched: Any = await self._thread.getmany(active_partitions, timeout)
        seeks, records = fetched
        return records if seeks == self._thread.seeks else {}  # what was fetched before a seek is fetched again

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        read = self._read_offset[tp]
        if read is not None and record.first_offset < read:
            # The topic was made anew. Upstream drops what lies below the offset that it has read, and its acks.
            log.warning("%s starts again at offset %s, was at %s", tp, record.first_offset, read)
            for known in (self._ledgers, self._read_offset, self._committed_offset):
                known.pop(tp, None)
        message = super()._to_message(tp, record)
        self._ledgers[tp].deliver(message)
        return message

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        """Upstream's wait ends after `timeout` (1 s) whatever is resumed meanwhile, and so does its sleep while all are
        paused: partitions that an agent was slow on (paused, or their buffers full) would stay idle for that long.
        """
        if not self._paused_partitions and not self._buffered_partitions:
            return await super()._wait_next_records(timeout)
        if self.flow_active and not self._get_active_partitions():
            await asyncio.sleep(PAUSED_POLL)
            return {}, set()
        return await super()._wait_next_records(PAUSED_POLL)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """F12: the offsets between two messages are not gaps, they are a fetch."""

    def ack(self, message: Message) -> bool:
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
        if message.tp in self._ledgers:
            self._ledgers[message.tp].settle()
        self.acked_at = time.monotonic()
        notify(self._waiting_for_ack)
        return True

    def done(self, tp: TP) -> int | None:
        """The offset up to which all records of a partition are done; None while that is not known."""
        done = self._ledgers[tp].done
        return self._committed_offset[tp] if done is None else done

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        if self.client is None or self._stale:
            return False
        stored = {tp: offset for tp, offset in self._committed_offset.items() if offset is not None}
        done = {tp: self.done(tp) for tp in self._ledgers}
        offsets = {tp: offset for tp, offset in done.items() if offset is not None and offset != stored.get(tp)}
        if not stored and not offsets:
            return False
        try:
            committed = await self._thread.store(offsets, stored)
        except TopicLostError:
            log.warning("a topic was lost: what is there is read from its beginning")
            self._stale = True
            await self._thread.rejoin()
            return False
        if committed:
            self._committed_offset.update(offsets)
        return committed

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # Upstream forgets the committed offsets first, and then commits.
        self._active_partitions.difference_update(revoked)
        self._paused_partitions.difference_update(revoked)
        await self._on_partitions_revoked(revoked)
        self._forget()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._forget()
        self._stale = False
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget(self) -> None:
        for known in (self._ledgers, self._read_offset, self._committed_offset):
            known.clear()

    async def wait_empty(self) -> None:
        """Let agents finish what they hold, for the app's drain time, and commit.

        F3: upstream waits without end (at full speed when an agent has raised) and holds up the whole group's
        rebalance, or the stop. What is not finished in time is delivered again.
        """
        deadline = time.monotonic() + self.app.drain_timeout  # type: ignore[attr-defined]
        while self._unacked_messages and (left := deadline - time.monotonic()) > 0:
            self._waiting_for_ack = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._waiting_for_ack], timeout=left)
            self._waiting_for_ack = None
        if self._unacked_messages:
            log.warning("%d fetches unfinished, to be delivered again", len(self._unacked_messages))
        await self.maybe_wait_for_commit_to_finish()
        await self.commit()

    async def on_stop(self) -> None:
        """Nothing: the app has drained and committed when it stops its consumer."""

    async def verify_all_partitions_active(self) -> None:
        """Nothing: upstream only logs here, compares two clocks, and fails when a partition is taken away meanwhile."""

    @Service.task
    async def _check_thread(self) -> None:
        while not self.should_stop:
            await self.sleep(CHECK_INTERVAL)
            if self._thread.client is not None and not self.should_stop:
                await self._thread.check()
