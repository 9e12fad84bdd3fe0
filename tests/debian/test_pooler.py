"""Behind pgbouncer in transaction mode: nothing is left to a session. `make test-debian` runs whole suites there."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import psycopg2
import pytest

from agents.volume_audit import rebuild
from models.errors import DatabaseUnavailable
from storage.database import Database, Prepared
from storage.outbox_statements import PLANNER
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.load import Load, until
from tests.support.log import append
from tests.support.outbox import heard, outbox, settings_for
from tests.support.pgbouncer import PgBouncer
from tests.support.worker import Worker

SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name IN ('enable_seqscan', 'jit', 'statement_timeout') ORDER BY 1
"""


@pytest.fixture
def urls(database_urls: DatabaseUrls, pgbouncer: PgBouncer) -> DatabaseUrls:
    """The worker's address leads through the pooler."""
    direct = database_urls.listen or database_urls.worker
    return DatabaseUrls(database_urls.owner, pgbouncer.through(direct), listen=direct, admin=database_urls.admin)


@pytest.fixture
async def pooled(urls: DatabaseUrls) -> AsyncIterator[Database]:
    """More connections than pgbouncer has to the server."""
    database = Database(urls.worker, pool_size=40, statement_timeout=5.0, options=PLANNER)
    # aiopg reports a statement that the server ended to the event loop's exception handler too.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    yield database
    await database.close()


async def test_what_a_session_would_keep_goes_with_every_transaction(pooled: Database, urls: DatabaseUrls) -> None:
    ours = [("enable_seqscan", "off"), ("jit", "off"), ("statement_timeout", "5000")]
    assert await pooled.all(SETTINGS) == ours
    assert pooled.pooled
    async with pooled.transaction(begin="BEGIN ISOLATION LEVEL REPEATABLE READ", statement_timeout=7.0) as transaction:
        assert await transaction.all(SETTINGS) == [*ours[:2], ("statement_timeout", "7000")]
        assert await transaction.one("SHOW transaction_isolation") == ("repeatable read",)
    connection = psycopg2.connect(urls.worker)  # a client that sets nothing finds nothing set
    connection.autocommit = True
    with connection.cursor() as cursor:
        for _ in range(20):
            cursor.execute(SETTINGS)
            assert not set(ours) & set(cursor.fetchall())
            cursor.execute("SELECT count(*) FROM pg_prepared_statements")
            assert cursor.fetchone() == (0,)
    connection.close()


async def test_statements_of_one_name_do_not_meet(pooled: Database) -> None:
    typed = "SELECT %(n)s * 2, %(text)s, pg_typeof(%(n)s)::text, pg_typeof(%(text)s)::text, pg_sleep(0.01)::text"
    kinds = {kind: Prepared("same", typed, {"n": kind}) for kind in ("integer", "bigint", "numeric")}

    async def ask(kind: str, number: int) -> None:
        found = await pooled.one(kinds[kind], {"n": number, "text": "it's 100%"})
        assert found == (number * 2, "it's 100%", kind, "text", "")

    await asyncio.gather(*(ask(kind, number) for number in range(-20, 20) for kind in kinds))
    assert pooled.size > 1


async def test_statements_end_in_time(pooled: Database, urls: DatabaseUrls) -> None:
    quick = Database(urls.worker, statement_timeout=0.2)
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await quick.one("SELECT pg_sleep(5)")
    async with quick.transaction(statement_timeout=2.0) as transaction:
        await transaction.execute("SELECT pg_sleep(0.4)")
    with pytest.raises(DatabaseUnavailable):
        async with quick.transaction() as transaction:
            await transaction.execute("SELECT pg_sleep(5)")
    assert time.monotonic() - began < 4
    assert await quick.one("SELECT 1") == (1,)
    await quick.close()


async def test_the_timer_alone_drains_and_nobody_complains(
    urls: DatabaseUrls, broker: KafkaAddress, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = settings_for(urls, broker, topic, database_listen_url=None, relay_lease=50.0)
    async with outbox(settings) as leader:
        await until(lambda: leader.state.role == "leader", 5, "it leads")
        async with outbox(settings) as standby:
            await until(lambda: said(caplog) == 1, 10, "the leader found that it cannot hear")
            told = Database(urls.worker)
            for number in range(1, 4):
                await append(told, user_id=uuid4(), training_id=uuid4(), topic=topic)
                standby.wake()
                await leader.tick()
                await until(lambda number=number: leader.state.published == number, 5, "published")  # type: ignore[misc]
            await told.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert said(caplog) == 1


def said(caplog: pytest.LogCaptureFixture) -> int:
    """How many times a worker said that it hears no other."""
    return sum("behind a pooler" in record.getMessage() for record in caplog.records)


async def test_an_address_past_the_pooler_is_listened_on(urls: DatabaseUrls, broker: KafkaAddress, topic: str) -> None:
    # No timer ticks here, and the relay itself looks every 10 s: only being woken can be this fast.
    settings = settings_for(urls, broker, topic, relay_lease=50.0)
    async with outbox(settings) as leader:
        await until(lambda: leader.state.role == "leader", 5, "it leads")
        async with outbox(settings) as standby:
            await heard(urls)
            database = Database(urls.worker)
            await append(database, user_id=uuid4(), training_id=uuid4(), topic=topic)
            standby.wake()
            await until(lambda: leader.state.published == 1, 5, "told by the other")
            await database.close()


async def test_a_rebuild_asks_for_an_address_past_the_pooler(urls: DatabaseUrls, pgbouncer: PgBouncer) -> None:
    owner = Database(pgbouncer.through(urls.owner))
    with pytest.raises(DatabaseUnavailable, match="must lead past the pooler"):
        await rebuild(owner)
    await owner.close()


async def test_a_worker_serves_relays_and_folds(start_worker: Callable[..., Worker], urls: DatabaseUrls) -> None:
    worker = await asyncio.to_thread(start_worker, urls=DatabaseUrls(urls.owner, urls.worker))
    database = Database(urls.worker)

    async def folded() -> int:
        row = await database.one("SELECT count(*) FROM analytics.folded_trainings")
        assert row is not None
        return int(row[0])

    async with Load(worker.url, rate=100.0) as load:
        await until(lambda: load.accepted >= 100, 20, "trainings are taken")
    accepted = load.accepted
    assert load.answers == {201: accepted}

    async def all_folded() -> bool:
        return await folded() == accepted

    await until(all_folded, 20, "all of them are folded")
    await database.close()
