"""The outbox of a worker, on PostgreSQL and a broker."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg2
import pytest
from aiokafka.errors import KafkaError

from models.errors import DatabaseUnavailable
from outbox import housekeeping
from outbox.relay import Relay
from outbox.replay import replay
from storage.database import Database
from storage.idempotency import purge_idempotency_keys
from storage.outbox import status
from tests.support.brokers import KafkaAddress, OwnBroker
from tests.support.databases import DatabaseUrls, OwnPostgres
from tests.support.invariants import judge
from tests.support.load import until
from tests.support.log import append
from tests.support.outbox import heard, outbox, settings_for
from tests.support.topic import Record, read_topic

USER = UUID("6f9619ff-8b86-4011-b42d-00c04fc964ff")


async def post(database: Database, topic: str, count: int = 1, **fields: object) -> None:
    for _ in range(count):
        await append(database, **{"user_id": USER, "training_id": uuid4(), "topic": topic} | fields)


async def empty(database: Database) -> bool:
    return (await status(database)).depth == 0


async def test_events_become_records(db: Database, database_urls: DatabaseUrls, broker: KafkaAddress) -> None:
    topic = f"test_{uuid4().hex}"  # missing: the relay makes it
    training = uuid4()
    async with outbox(settings_for(database_urls, broker, topic)) as service:
        await post(db, topic, training_id=training, request_id="r-1")
        await post(db, topic, 20)
        service.wake()
        await until(lambda: empty(db), 10, "it is published")
        assert service.state.role == "leader"
        assert service.state.published == 21
        assert service.state.error is None
        assert service.state.last_success is not None
    verdict = await judge(database_urls.owner, broker.bootstrap, topic)
    assert (verdict.violations, verdict.events, verdict.duplicates) == ((), 21, 0)
    records = await read_topic(broker.bootstrap, topic)
    (record,) = [each for each in records if each.event["payload"]["training_id"] == str(training)]
    stored = await db.one(
        "SELECT seq, event_id::text, rfc3339(created_at), payload FROM outbox WHERE aggregate_id = %s", [training]
    )
    assert stored is not None
    seq, event_id, created_at, payload = stored
    assert record.key == str(USER).encode()
    assert record.value == payload.encode()
    assert record.headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", b"training_created"),
        ("ce_source", b"/training-service"),
        ("ce_time", created_at.encode()),
        ("ce_subject", str(training).encode()),
        ("ce_sequence", b"1"),
        ("ce_logseq", str(seq).encode()),
        ("content-type", b"application/json"),
        ("ce_requestid", b"r-1"),
    )


async def test_a_commit_is_published_at_once_whichever_worker_it_was_in(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    # No timer ticks here, and the relay itself looks every 10 s: only being woken can be this fast.
    settings = settings_for(database_urls, broker, topic, relay_lease=50.0)
    async with outbox(settings) as leader:
        await until(lambda: leader.state.role == "leader", 5, "it leads")
        await post(db, topic)
        leader.wake()
        await until(lambda: leader.state.published == 1, 5, "woken by its own worker")
        async with outbox(settings) as standby:
            await heard(database_urls)
            for number in range(2, 5):
                await post(db, topic)
                standby.wake()
                await until(lambda number=number: leader.state.published == number, 5, "told by the other")  # type: ignore[misc]
            assert standby.state.role == "standby"


async def test_a_tick_publishes_what_woke_nobody(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    async with outbox(settings_for(database_urls, broker, topic, relay_lease=50.0)) as service:
        await until(lambda: service.state.role == "leader", 5, "it leads")
        await post(db, topic)
        await service.tick()
        await until(lambda: service.state.published == 1, 5, "published")


async def test_an_orderly_stop_hands_over_and_repeats_nothing(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    settings = settings_for(database_urls, broker, topic, relay_lease=30.0, relay_batch=1)
    await post(db, topic, 200)
    async with outbox(settings) as first:
        await until(lambda: first.state.published > 0, 5, "it publishes")
        began = time.monotonic()
        await first.stop()
        assert time.monotonic() - began < 3
        assert first.state.published < 200
    async with outbox(settings) as second:
        await until(lambda: empty(db), 10, "the second publishes the rest")
        assert second.state.role == "leader"
    verdict = await judge(database_urls.owner, broker.bootstrap, topic)
    assert (verdict.violations, verdict.events, verdict.duplicates) == ((), 200, 0)


async def test_nothing_waits_for_kafka_or_postgresql(database_urls: DatabaseUrls, broker: KafkaAddress) -> None:
    nowhere = KafkaAddress("127.0.0.1:1", idempotent=True)
    async with outbox(settings_for(database_urls, nowhere, "t")) as service:
        database = Database(database_urls.worker)
        await post(database, "t")
        await database.close()
        service.wake()
        await until(lambda: service.state.error is not None, 5, "it says what is wrong")
        assert "KafkaConnectionError" in (service.state.error or "")
        began = time.monotonic()
    assert time.monotonic() - began < 3.5
    gone = DatabaseUrls(owner="", worker="postgresql://nobody@127.0.0.1:1/nothing")
    async with outbox(settings_for(gone, broker, "t")) as service:
        await until(lambda: service.state.error is not None, 5, "it says what is wrong")
        assert "DatabaseUnavailable" in (service.state.error or "")


async def test_a_relay_that_is_switched_off_leaves_the_log_alone(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    async with outbox(settings_for(database_urls, broker, topic, relay_enabled=False)) as service:
        await post(db, topic)
        service.wake()
        await service.tick()
        await asyncio.sleep(0.3)
        assert service.state.role == "off"
        assert (await status(db)).depth == 1
        assert (await status(db)).owner == ""


async def test_a_broker_that_goes_away_and_forgets_its_topics(
    db: Database, database_urls: DatabaseUrls, own_broker: OwnBroker
) -> None:
    topic = f"test_{uuid4().hex}"
    told = asyncio.Event()

    async def made_anew() -> None:
        told.set()
        raise ZeroDivisionError("what follows must not hurt the relay")

    async with outbox(settings_for(database_urls, own_broker, topic), made_anew) as service:
        await post(db, topic, 5)
        service.wake()
        await until(lambda: empty(db), 10, "published")
        own_broker.server.kill()
        await post(db, topic, 5)
        service.wake()
        await until(lambda: service.state.error is not None, 10, "noticed")
        own_broker.server.start()
        await until(lambda: empty(db), 15, "published when the broker is back")
        if not own_broker.idempotent:  # the embedded broker: it has forgotten the topic
            await asyncio.wait_for(told.wait(), 5)
            await until(lambda: generations(db, topic, 2), 5, "stored")
            return
    verdict = await judge(database_urls.owner, own_broker.bootstrap, topic)
    assert verdict.violations == ()


async def generations(database: Database, topic: str, expected: int) -> bool:
    return (await status(database)).generations.get(topic) == expected


def plain(record: Record) -> tuple[object, ...]:
    return (record.partition, record.key, record.value, record.headers)


async def test_postgresql_that_crashes_and_cuts_connections(own_postgres: OwnPostgres, broker: KafkaAddress) -> None:
    topic = f"test_{uuid4().hex}"
    database = Database(own_postgres.urls.worker)
    trainings = {uuid4(): 0 for _ in range(4)}
    stopped = asyncio.Event()

    async def write(training: UUID) -> None:
        while not stopped.is_set():
            try:
                row = await database.one(
                    "SELECT coalesce(max(version), 0) FROM outbox WHERE user_id = %s AND aggregate_id = %s",
                    [USER, training],
                )
                assert row is not None
                await post(database, topic, training_id=training, version=row[0] + 1)
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)

    async with outbox(settings_for(own_postgres.urls, broker, topic)) as service:
        await until(lambda: service.state.role == "leader", 5, "it leads")
        writers = [asyncio.create_task(write(training)) for training in trainings]
        for _ in range(2):
            await asyncio.sleep(0.5)
            own_postgres.server.kill()
            await asyncio.sleep(0.2)
            own_postgres.server.start()
        connection = psycopg2.connect(own_postgres.server.url())
        connection.autocommit = True
        with connection.cursor() as cursor:
            for _ in range(10):
                await asyncio.sleep(0.1)
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        connection.close()
        await asyncio.sleep(0.3)
        stopped.set()
        await asyncio.gather(*writers)
        await until(lambda: empty(database), 10, "the lag is gone within 10 s")
    await database.close()
    verdict = await judge(own_postgres.urls.owner, broker.bootstrap, topic)
    assert verdict.violations == ()
    assert verdict.events > 100


async def test_a_replay_repeats_records_to_the_byte_and_says_so(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str
) -> None:
    settings = settings_for(database_urls, broker, topic)
    other, training = uuid4(), uuid4()
    async with outbox(settings) as service:
        await post(db, topic, 3)
        await post(db, topic, 2, user_id=other)
        await post(db, topic, training_id=training)
        service.wake()
        await until(lambda: empty(db), 10, "published")
    await post(db, topic)  # not published yet: left to the relay
    records = await read_topic(broker.bootstrap, topic)

    everything = await replay(settings, db)
    assert (everything.topics, everything.records) == ((f"{topic}.replay",), 6)
    replayed = await read_topic(broker.bootstrap, f"{topic}.replay")
    mark = ("replay", str(everything.id).encode())
    assert all(record.headers[-1] == mark for record in replayed)
    assert {(*plain(record)[:3], record.headers[:-1]) for record in replayed} == {plain(each) for each in records}

    assert (await replay(settings, db, user_id=other)).records == 2
    assert (await replay(settings, db, training_id=training)).records == 1
    now = datetime.now(UTC)
    assert (await replay(settings, db, since=now + timedelta(hours=1))).records == 0
    assert (await replay(settings, db, until=now + timedelta(hours=1), topic=f"{topic}.mine")).records == 6
    assert (await replay(settings, db, user_id=other, broadcast=True)).topics == (topic,)
    assert len(await read_topic(broker.bootstrap, topic)) == 8

    with pytest.raises(KafkaError):
        await replay(settings_for(database_urls, KafkaAddress("127.0.0.1:1", idempotent=True), topic), db)


async def test_expired_keys_are_removed_in_batches(db: Database) -> None:
    await db.execute(
        "INSERT INTO idempotency_keys (user_id, route, key, digest, training_id, event_id, created_at) "
        "SELECT %s, 'r', n::text, '', %s, %s, now() - (n + 0.5) * interval '1 hour' FROM generate_series(0, 49) n",
        [USER, uuid4(), uuid4()],
    )
    before = db.statements
    assert await purge_idempotency_keys(db, 24, batch=10) == 26
    assert db.statements - before == 4
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (24,)


async def test_housekeeping_outlives_the_database(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    keep: Callable[[Database, int], Awaitable[list[str]]] = housekeeping.keep_partitions

    async def sometimes(database: Database, ahead: int) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise DatabaseUnavailable("away")
        if calls == 2:
            raise ZeroDivisionError("a mistake")
        return await keep(database, ahead)

    monkeypatch.setattr(housekeeping, "keep_partitions", sometimes)
    monkeypatch.setattr(housekeeping, "RETRY", 0.01)
    monkeypatch.setattr(housekeeping, "EVERY", 0.01)
    task = asyncio.create_task(housekeeping.keep_house(db, idempotency_hours=24))
    await until(lambda: calls >= 4, 5, "it goes on")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_nobody_asked_for_ends_no_relay(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka's consumer and aiopg raise CancelledError by themselves at times."""
    drains = iter([asyncio.CancelledError(), asyncio.CancelledError()])
    drain = Relay.drain

    async def drain_or_not(relay: Relay) -> None:
        for error in drains:
            raise error
        await drain(relay)

    monkeypatch.setattr(Relay, "drain", drain_or_not)
    async with outbox(settings_for(database_urls, broker, topic)) as service:
        await post(db, topic)
        await until(lambda: service.state.published == 1, 10, "it is published")
