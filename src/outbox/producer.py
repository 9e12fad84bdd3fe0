"""Kafka as the relay's producer: record batches built by partition, and a broker's errors told apart.

Per partition one record batch is under way at a time, the next one follows its acknowledgement: a refused batch can be
followed by nothing that came after it. Whatever fails, the aiokafka producer is thrown away and the rows that were not
acknowledged are published again by a new one: so a producer that wedges (aiokafka#1017) is no case of its own.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NoError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    for_code,
    kafka_errors,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from kafka_access import KafkaAccess
from models.outbox import Found, LogRow
from outbox.reader import read_beyond
from outbox.records import Headers, headers, partition_of
from outbox.relay import Outcome, TopicUnreadable
from settings import Settings

log = logging.getLogger(__name__)

BATCH_BYTES = 1_000_000  # of one record batch; a broker takes 1,048,588 by default
_TURN = 256  # rows built before others have a turn on the event loop
_LOOK = 1.0  # seconds between looks whether the topic is still there


class InvalidRecordError(BrokerResponseError):
    """The broker's validation refused the record."""

    errno = 87
    message = "INVALID_RECORD"


kafka_errors.setdefault(InvalidRecordError.errno, InvalidRecordError)  # aiokafka 0.14 does not know it

# Of one record, and for good: everything else may pass.
PERMANENT = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError)
NOT_ALLOWED = (TopicAuthorizationFailedError.errno, ClusterAuthorizationFailedError.errno)  # of making a topic


class TopicLostError(KafkaError):
    """The topic is gone; the next attempt makes it anew."""


class TopicNotMadeError(KafkaError):
    """The topic is not there, and this client may not make it: heals when somebody else does."""


class TopicTooSmallError(KafkaError):
    """The topic has fewer partitions than configured: events of one user would change their partition."""


class NotAllowedError(KafkaError):
    """The lease ran out before a record batch was sent."""


@dataclass
class _Chain:
    """The rows of one partition, in order, in record batches that are sent one after another."""

    topic: str
    partition: int
    rows: list[LogRow] = field(default_factory=list)
    batches: list[BatchBuilder] = field(default_factory=list)
    acknowledged: int = 0  # rows
    sent: int = 0  # batches
    first_offset: int = -1
    last_offset: int = -1
    error: BaseException | None = None


class KafkaProducer:
    """Publishes rows to Kafka; `outbox.relay.Producer`.

    `topics`, and others that rows name, are made where they are missing, with `partitions`, `replication` and
    `retention` (seconds). `timeout` (seconds) bounds one call of `publish`; aiokafka itself never gives up a batch of
    an idempotent producer. `extra` are headers that every record gets at the end; `divert` names the topic that a row
    goes to instead of its own. `access` is what is shown to the brokers.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        idempotent: bool,
        partitions: int,
        replication: int,
        retention: float,
        timeout: float = 10.0,
        topics: Iterable[str] = (),
        extra: Headers | None = None,
        divert: Callable[[LogRow], str] | None = None,
        access: KafkaAccess | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._access = access or KafkaAccess()
        self._topics = frozenset(topics)
        self._idempotent = idempotent
        self._partitions = partitions
        self._replication = replication
        self._retention = retention
        self._timeout = timeout
        self._extra = extra or []
        self._topic_of = divert or attrgetter("topic")
        self._producer: AIOKafkaProducer | None = None
        self._known: set[str] = set()  # topics that are there and large enough
        self._warned: set[str] = set()  # topics that are larger
        self._most: dict[tuple[str, int], int] = {}  # rows in a record batch, where larger ones were refused

    @classmethod
    def of(
        cls, settings: Settings, *, extra: Headers | None = None, divert: Callable[[LogRow], str] | None = None
    ) -> "KafkaProducer":
        """One with the brokers and topics of the settings."""
        return cls(
            settings.kafka_bootstrap,
            idempotent=settings.kafka_idempotent,
            partitions=settings.topic_partitions,
            replication=settings.topic_replication,
            retention=settings.topic_retention_days * 86_400,
            timeout=settings.relay_ack_timeout,
            topics=() if divert else settings.topics,
            extra=extra,
            divert=divert,
            access=KafkaAccess.of(settings),
        )

    async def publish(self, rows: Sequence[LogRow], may_send: Callable[[], bool]) -> Outcome:
        """Publish `rows`; see `outbox.relay.Producer`. Raises nothing but cancellation."""
        chains: list[_Chain] = []
        made: set[str] = set()
        error: BaseException | None = None
        try:
            async with asyncio.timeout(self._timeout):
                producer = await self._started()
                for topic in set(map(self._topic_of, rows)) or self._topics:
                    await self._ensure(producer, topic, made)
                chains = await self._chains(producer, rows)
                await self._send(producer, chains, may_send)
        except TimeoutError:
            error = self._access.explain(KafkaError(f"no acknowledgement within {self._timeout:g} s"))
        except KafkaConnectionError as failure:
            error = self._access.explain(failure)
        except (KafkaError, OSError) as failure:
            error = failure
        except BaseException:
            await self.close()
            raise
        return await self._outcome(rows, chains, made, error)

    async def beyond(self, topic: str, offsets: Mapping[str, int] | None) -> Found:
        """What stands on the topic beyond `offsets`; see `outbox.relay.Producer`."""
        try:
            async with asyncio.timeout(self._timeout):
                return await read_beyond(self._bootstrap, self._access.options, topic, offsets, self._timeout * 0.7)
        except TimeoutError:
            error = self._access.explain(KafkaError(f"no answer within {self._timeout:g} s"))
        except KafkaConnectionError as failure:
            error = self._access.explain(failure)
        except KafkaError as failure:
            error = failure
        raise TopicUnreadable(f"{topic} cannot be read: {error!r}")

    async def close(self) -> None:
        """Throw the aiokafka producer away without a flush: what it has not sent, nobody sends."""
        producer, self._producer = self._producer, None
        self._known.clear()
        if producer is not None:
            await _discard(producer)

    async def _outcome(
        self, rows: Sequence[LogRow], chains: list[_Chain], made: set[str], error: BaseException | None
    ) -> Outcome:
        offsets = {
            (chain.topic, chain.partition): (chain.first_offset, chain.last_offset)
            for chain in chains
            if chain.first_offset >= 0
        }
        failed = [chain for chain in chains if chain.acknowledged < len(chain.rows)]
        if error is None and not failed:
            self._most.clear()
            return Outcome(offsets=offsets, made=frozenset(made))
        await self.close()
        if chains:
            left: Sequence[LogRow] = sorted(row for chain in failed for row in chain.rows[chain.acknowledged :])
        else:
            left = rows
        refused, narrowed = None, False
        for chain in failed:
            error = error or chain.error
            if isinstance(chain.error, PERMANENT):
                count = chain.batches[chain.sent].record_count()
                if count == 1:
                    refused, error = chain.rows[chain.acknowledged], chain.error
                else:
                    narrowed = True
                    self._most[chain.topic, chain.partition] = count // 2
        if not isinstance(error, Exception):
            error = KafkaError("the broker did not acknowledge every record")
        return Outcome(left, error, refused, narrowed, offsets, frozenset(made))

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                **self._access.options,
                client_id="training-relay",
                acks="all",
                enable_idempotence=self._idempotent,
                linger_ms=0,
                max_batch_size=BATCH_BYTES,
                max_request_size=BATCH_BYTES,
                request_timeout_ms=int(self._timeout * 1000),
            )
            try:
                await producer.start()
            except BaseException:
                await _discard(producer)
                raise
            self._producer = producer
        return self._producer

    async def _ensure(self, producer: AIOKafkaProducer, topic: str, made: set[str]) -> None:
        if topic in self._known:
            return
        # All topics are asked for: asking for one would make it, where the broker makes what it is asked for.
        partitions = (await producer.client.fetch_all_metadata()).partitions_for_topic(topic)
        if not partitions:
            await self._make(topic)
            made.add(topic)
        elif len(partitions) < self._partitions:
            raise TopicTooSmallError(f"{topic} has {len(partitions)} partitions, {self._partitions} are configured")
        elif len(partitions) > self._partitions and topic not in self._warned:
            self._warned.add(topic)
            log.warning("the topic has more partitions than are used", extra={"topic": topic, "used": self._partitions})
        self._known.add(topic)

    async def _make(self, topic: str) -> None:
        config = {"retention.ms": str(int(self._retention * 1000))}
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._bootstrap, **self._access.options, request_timeout_ms=int(self._timeout * 1000)
        )
        try:
            await admin.start()
            answer = await admin.create_topics(
                [NewTopic(topic, self._partitions, self._replication, topic_configs=config)]
            )
        finally:
            await admin.close()
        ((_, code, *_),) = answer.topic_errors  # type: ignore[attr-defined] # of every version of the answer
        if code in NOT_ALLOWED:
            wanted = ", ".join(f"{name}={value}" for name, value in config.items())
            raise TopicNotMadeError(
                f"{topic} is not there, or hidden from this client, which may not make it: it needs {self._partitions} "
                f"partitions, {self._replication} replicas and {wanted}, and this client DESCRIBE, READ and WRITE on it"
            )
        if code != NoError.errno:
            raise for_code(code)(topic)
        log.info("the topic is made", extra={"topic": topic, "partitions": self._partitions})

    async def _chains(self, producer: AIOKafkaProducer, rows: Iterable[LogRow]) -> list[_Chain]:
        chains: dict[tuple[str, int], _Chain] = {}
        for count, row in enumerate(rows, 1):
            key, value, all_headers = row.user_id.encode(), row.payload.encode(), headers(row) + self._extra
            place = (self._topic_of(row), partition_of(key, self._partitions))
            chain = chains.get(place)
            if chain is None:
                chain = chains[place] = _Chain(*place)
            chain.rows.append(row)
            batch = chain.batches[-1] if chain.batches else None
            if (
                batch is None
                or batch.record_count() >= self._most.get(place, count)
                or batch.append(timestamp=None, key=key, value=value, headers=all_headers) is None
            ):
                batch = producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=all_headers)  # takes one of any size
                chain.batches.append(batch)
            if count % _TURN == 0:
                await asyncio.sleep(0)
        return list(chains.values())

    async def _send(self, producer: AIOKafkaProducer, chains: list[_Chain], may_send: Callable[[], bool]) -> None:
        sends = asyncio.gather(*(_send_chain(producer, chain, may_send) for chain in chains), return_exceptions=True)
        try:
            while not (await asyncio.wait({sends}, timeout=_LOOK))[0]:
                for topic in self._known:
                    if producer.client.cluster.partitions_for_topic(topic) is None:
                        raise TopicLostError(f"{topic} is gone")
            for chain, error in zip(chains, sends.result(), strict=True):
                chain.error = error
        finally:
            if not sends.done():
                sends.cancel()
                with suppress(asyncio.CancelledError):
                    await sends


async def _send_chain(producer: AIOKafkaProducer, chain: _Chain, may_send: Callable[[], bool]) -> None:
    for batch in chain.batches:
        if not may_send():
            raise NotAllowedError("the lease ran out")
        metadata = await (await producer.send_batch(batch, chain.topic, partition=chain.partition))
        count = batch.record_count()
        chain.acknowledged += count
        chain.sent += 1
        if metadata.offset >= 0:  # unknown of a batch that the broker had already
            chain.first_offset = metadata.offset if chain.first_offset < 0 else chain.first_offset
            chain.last_offset = metadata.offset + count - 1


async def _discard(producer: AIOKafkaProducer) -> None:
    """What `AIOKafkaProducer.stop` does, but for the flush: that waits for the broker without a limit.

    Cut connections make every request under way fail; a request that failed waits for new metadata, which nobody
    fetches any more. https://github.com/aio-libs/aiokafka/blob/v0.14.0/aiokafka/producer/producer.py (stop)
    """
    producer._closed = True
    sender, client = producer._sender.sender_task, producer.client
    if sender is not None:
        sender.cancel()
    await client.close()
    if client._md_update_fut is not None and not client._md_update_fut.done():
        client._md_update_fut.set_result(False)
    if sender is not None:
        await asyncio.wait({sender}, timeout=1.0)
