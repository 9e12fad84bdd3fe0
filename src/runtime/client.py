"""The thread in which aiokafka's consumer lives: no call into it lasts for ever, and nothing there dies unseen."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import aiokafka.client
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import (
    KafkaError,
    NoError,
    RebalanceInProgressError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import QueueServiceThread

from kafka_access import KafkaAccess

log = logging.getLogger(__name__)

CONNECT_PAUSE = 1.0  # seconds between attempts to find the brokers
COMMIT_TIMEOUT = 3.0  # seconds; a commit that takes longer is made again
LEAVE_TIMEOUT = 2.0  # seconds that leaving the group may take
COORDINATOR_PAUSE = 0.1  # seconds between two questions to a coordinator that is not ready
PREDECESSOR_TIMEOUT = 3.0  # seconds that taking a dead predecessor out of the group may take
SEEK_TIMEOUT = 10.0  # seconds that asking for the committed offsets may take
FETCH_WAIT = 50  # milliseconds

# A client that asks about a missing topic makes it, with the broker's default number of partitions, on brokers where
# `auto.create.topics.enable` is on, as it is by default. No client of this process does; aiokafka 0.14 (client.py) has
# no setting for it.
aiokafka.client.MetadataRequest = partial(  # type: ignore[assignment,attr-defined]
    MetadataRequest, allow_auto_topic_creation=False
)


class TopicLostError(Exception):
    """Offsets that were committed are not there any more: the topic, or the broker, was made anew."""


class Assignor(RoundRobinPartitionAssignor):
    """aiokafka's, but no two joins of a member look alike.

    The embedded broker (Tansu) takes a member that joins again with the same metadata for one that missed an answer,
    and gives it the old assignment, so that the partitions of a topic made meanwhile would never be assigned.
    """

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), uuid4().bytes)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Upstream's (faust/transport/drivers/aiokafka.py) with these departures.

    F1, F2: the start waits for the brokers; upstream raises, which ends the worker (faust-streaming/faust#324).
    F3: no call into aiokafka lasts for ever. It retries commits without end while the broker is away or the topic gone,
    and each such call holds one of the two workers that serve this thread; upstream crashes on what a commit raises.
    A worker that died and was started again does not wait until its group has noticed the death.
    """

    mundane_level = "debug"
    seeks = 0  # how often all partitions were sought

    async def on_start(self) -> None:
        access: KafkaAccess = self.app.access  # type: ignore[attr-defined] # `runtime.app.App`'s
        while not self.should_stop:
            consumer: Any = self._create_consumer(loop=self.thread_loop)
            consumer._partition_assignment_strategy = (Assignor,)
            for name, value in access.options.items():  # Faust's own credentials are read once for all
                setattr(consumer._client, f"_{name}", value)
            # For so long a broker holds back the answer about partitions that have nothing new, and with it, since one
            # request to it is under way at a time, whatever is asked for next. Upstream's is 1500, and no setting.
            consumer._fetch_max_wait_ms = FETCH_WAIT
            try:
                found = not (await self.wait(consumer.start())).stopped
            except (KafkaError, OSError) as error:
                log.warning("waiting for Kafka: %s", access.refused or error)
                found = False
            if found:
                await self._remove_predecessor(consumer)
                self._consumer = consumer
                self.time_started = time.monotonic()
                return
            await consumer.stop()
            await self.sleep(CONNECT_PAUSE)

    async def on_thread_stop(self) -> None:
        # aiokafka's stop may wait for a broker that is gone, and raises CancelledError when a fetch is about to be
        # tried again (consumer/fetcher.py, `close`), which would leave upstream waiting for this thread for a minute.
        await QueueServiceThread.on_thread_stop(self)
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            stop = asyncio.ensure_future(consumer.stop())
            await asyncio.wait([stop], timeout=LEAVE_TIMEOUT)
            stop.cancel()

    async def _remove_predecessor(self, consumer: Any) -> None:
        """Take a worker that died at this address out of the group, before this one joins it.

        Else the group waits for the dead member for its whole session, and once more if it died while joining, when
        Kafka takes it for joined. Its client id names the address that this process listens at by now, so no other
        process can be that member. A broker that does not know how, answers something else or is away is no reason to
        wait: then the group notices the death by itself.
        """
        coordinator = consumer._coordinator
        try:
            async with asyncio.timeout(PREDECESSOR_TIMEOUT):
                for member_id, client_id, *_ in await self._members(coordinator):
                    if client_id == self.app.conf.broker_client_id:
                        log.info("taking the worker that was here before, %s, out of the group", member_id)
                        await coordinator._send_req(LeaveGroupRequest(coordinator.group_id, member_id))
        except (KafkaError, TimeoutError, ValueError) as error:
            log.info("the group may wait for a worker that was here before: %r", error)

    @staticmethod
    async def _members(coordinator: Any) -> Any:
        """The group's members, as Kafka describes them: member id, client id, and more."""
        while True:
            await coordinator.ensure_coordinator_known()
            answer = await coordinator._send_req(DescribeGroupsRequest([coordinator.group_id]))
            ((code, _, _, _, _, members, *_),) = answer.groups
            error = for_code(code)
            if error is NoError:
                return members
            if not error.retriable:
                raise error
            await asyncio.sleep(COORDINATOR_PAUSE)  # it has just become the group's coordinator

    @property
    def client(self) -> Any:
        """aiokafka's consumer; None until the brokers are found."""
        return self._consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Have every assigned partition read from its committed offset, and answer these.

        One that has none is committed as not read at all first, and read from its beginning. Upstream leaves it where
        it stands (aiokafka/consumer/consumer.py), which may be behind what was fetched and not delivered; and a
        partition of which nothing is committed tells nobody that its topic was made anew (`store`).
        """
        return await self.call_thread(self._seek_to_committed)  # type: ignore[no-any-return]

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        consumer: Any = self._ensure_consumer()
        mine = consumer.assignment()
        if not mine:  # given up meanwhile
            return {}
        coordinator = consumer._coordinator
        membership = coordinator.generation
        async with asyncio.timeout(SEEK_TIMEOUT):
            there = await coordinator.fetch_committed_offsets(list(mine))
            starts = {tp: there[tp].offset for tp in mine if tp in there}
            new = [tp for tp in mine if tp not in there]
            if new:
                begin = await consumer.beginning_offsets(new)
                if not await self._commit_as(coordinator, membership, begin):
                    raise RebalanceInProgressError
                starts |= begin
        for tp, offset in starts.items():
            consumer.seek(tp, offset)
        self.seeks += 1  # with them: nothing is fetched in between
        return starts

    async def store(self, offsets: Mapping[TP, int], stored: Mapping[TP, int]) -> bool:
        """Commit `offsets`, given that the broker still has what it has `stored`; whether that was done.

        Raises `TopicLostError` when it has not. aiokafka's own `commit` would retry until a topic of that name is there
        again, and so leave an offset of the old topic in the new one, whose first records would never be read.
        """
        return await self.call_thread(self._store, offsets, stored)  # type: ignore[no-any-return]

    async def _store(self, offsets: Mapping[TP, int], stored: Mapping[TP, int]) -> bool:
        consumer: Any = self._ensure_consumer()
        coordinator, mine = consumer._coordinator, consumer.assignment()
        membership = coordinator.generation
        wanted = {tp: offset for tp, offset in offsets.items() if tp in mine}
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT):
                there = await coordinator.fetch_committed_offsets(list(stored))
                if any(tp not in there or there[tp].offset < offset for tp, offset in stored.items()):
                    raise TopicLostError
                return await self._commit_as(coordinator, membership, wanted)
        except UnknownTopicOrPartitionError:
            raise TopicLostError from None
        except (KafkaError, TimeoutError) as error:
            log.warning("offsets not committed, to be tried again: %r", error)
            return False

    @staticmethod
    async def _commit_as(coordinator: Any, membership: int, offsets: Mapping[TP, int]) -> bool:
        """Commit as the member of the group that this was in that generation; whether it still is."""
        async with coordinator._commit_lock:
            # One that lost its membership meanwhile would commit as nobody (generation -1), which brokers take from
            # anybody while the group is empty: an offset of a lost topic would stand in the new one.
            if coordinator.generation != membership or membership == OffsetCommitRequest.DEFAULT_GENERATION_ID:
                return False
            await coordinator._do_commit_offsets(
                None, {tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
            )
            return True

    async def rejoin(self) -> None:
        """Join the group anew, and so read every partition from its committed offset."""
        await self.call_thread(self._rejoin)

    async def _rejoin(self) -> None:
        consumer: Any = self._ensure_consumer()
        consumer._coordinator.request_rejoin()

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        """The number of the seek that the records were fetched after, and the records."""
        try:
            async with asyncio.timeout((timeout or 0) + SEEK_TIMEOUT):
                records = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        except TimeoutError:  # a rebalance goes on
            records = {}
        return self.seeks, records

    async def check(self) -> None:
        """Let aiokafka's coordinator go on after an error. Raises when one of its tasks has ended for good.

        It stops and waits until somebody has seen the error (aiokafka/consumer/group_coordinator.py,
        `_push_error_to_user`). Upstream looks at none, and then consumes nothing for ever (faust-streaming/faust#175).
        """
        await self.call_thread(self._check)

    async def _check(self) -> None:
        consumer: Any = self._ensure_consumer()
        if consumer._closed:
            return
        coordinator, fetching = consumer._coordinator, consumer._fetcher.error_future
        try:
            coordinator.check_errors()
        except KafkaError as error:
            if coordinator._coordination_task.done():
                raise
            log.warning("the consumer group, to be tried again: %r", error)
        if fetching.done():
            fetching.result()
