"""The pool: every way in which PostgreSQL can be away has one name, and all of them heal."""

import asyncio
import gc
from collections.abc import AsyncIterator

import aiopg.connection
import pytest
import uvloop

from models.errors import DatabaseUnavailable
from storage.database import Cursor, Database, Parameters, Prepared
from tests.support.databases import DatabaseUrls, OwnPostgres
from tests.support.load import until


@pytest.fixture
async def quick(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A pool of two connections with short limits."""
    database = Database(database_urls.worker, pool_size=2, pool_timeout=0.3, statement_timeout=0.3)
    # aiopg reports a statement that the server ended to the event loop's exception handler too.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    yield database
    await database.close()


async def test_f9_a_statement_that_the_server_ends_is_no_cancellation(quick: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        await quick.execute("SELECT pg_sleep(5)")
    assert await quick.one("SELECT 1") == (1,)


async def test_a_genuine_cancellation_passes_and_leaves_a_whole_pool(quick: Database) -> None:
    async def work() -> None:
        async with quick.transaction() as transaction:
            await transaction.execute("SELECT pg_sleep(0.2)")

    for _ in range(4):
        task = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await work()
    assert await quick.one("SELECT 1") == (1,)


async def test_a_statement_leaves_nothing_for_the_garbage_collector(quick: Database) -> None:
    """Which runs seldom, while the texts of statements are large."""
    await quick.one("SELECT 1")
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            assert await quick.one("SELECT length(%s)", ["x" * 1000]) == (1000,)
        assert [found for found in gc.get_objects() if isinstance(found, aiopg.connection.Cursor)] == []
    finally:
        gc.enable()


async def test_a_transaction_that_raises_is_rolled_back(quick: Database) -> None:
    key = "INSERT INTO idempotency_keys SELECT gen_random_uuid(), 'r', 'k', '', gen_random_uuid(), gen_random_uuid()"
    with pytest.raises(ValueError, match="mine"):
        async with quick.transaction() as transaction:
            await transaction.execute(key)
            raise ValueError("mine")
    with pytest.raises(Exception, match="syntax"):
        async with quick.transaction() as transaction:
            await transaction.execute(key)
            await transaction.execute("SELEKT")
    assert await quick.one("SELECT count(*) FROM idempotency_keys") == (0,)
    async with quick.transaction(statement_timeout=2.0) as transaction:
        await transaction.execute("SELECT pg_sleep(0.5)")
        await transaction.execute(key)
    assert await quick.one("SELECT count(*) FROM idempotency_keys") == (1,)


async def test_an_exhausted_pool_is_unavailable_and_then_is_not(quick: Database) -> None:
    async with quick.session(), quick.session():
        assert (quick.size, quick.idle) == (2, 0)
        with pytest.raises(DatabaseUnavailable):
            await quick.one("SELECT 1")
    assert await quick.one("SELECT 1") == (1,)


async def test_a_prepared_statement_is_prepared_once_a_connection(quick: Database) -> None:
    double = Prepared("double", "SELECT %(n)s * 2, %(text)s, %(n)s", {"n": "integer"})
    before = quick.statements
    assert await quick.one(double, {"n": 4, "text": "it's 100%"}) == (8, "it's 100%", 4)
    assert await quick.one(double, {"n": 5, "text": ""}) == (10, "", 5)
    assert quick.statements - before == (2 if quick.pooled else 3)  # behind a pooler, whole, and not prepared


def test_refused_connections_leave_nothing_behind_in_uvloop(database_urls: DatabaseUrls) -> None:
    """aiopg leaves a writer on the closed descriptor; the next connection on the same one then raises RuntimeError."""

    async def work() -> None:
        nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
        somewhere = Database(database_urls.worker)
        for _ in range(5):
            with pytest.raises(DatabaseUnavailable):
                await nowhere.one("SELECT 1")
            await asyncio.sleep(0.01)
        assert await somewhere.one("SELECT 1") == (1,)
        await somewhere.close()
        await nowhere.close()

    uvloop.run(work())


async def test_it_heals_when_postgresql_comes_back(own_postgres: OwnPostgres) -> None:
    database = Database(own_postgres.urls.worker, pool_timeout=2.0)
    try:
        for end in (own_postgres.server.kill, own_postgres.server.stop):
            assert await database.one("SELECT 1") == (1,)
            end()
            with pytest.raises(DatabaseUnavailable):
                await database.one("SELECT 1")
            own_postgres.server.start()
            assert await database.one("SELECT 1") == (1,)
    finally:
        await database.close()


async def test_a_server_that_answers_nothing_is_unavailable(own_postgres: OwnPostgres) -> None:
    database = Database(own_postgres.urls.worker, pool_timeout=1.0, statement_timeout=0.5)
    try:
        assert await database.one("SELECT 1") == (1,)
        own_postgres.server.freeze()
        for _ in range(2):  # once on the open connection, once for want of a new one
            with pytest.raises(DatabaseUnavailable):
                await database.one("SELECT 1")
        own_postgres.server.thaw()
        assert await database.one("SELECT 1") == (1,)
    finally:
        await database.close()


async def test_a_statement_that_waits_for_a_lock_ends_with_its_client(
    db: Database, database_urls: DatabaseUrls
) -> None:
    """Else the server would hold a connection for each that the pool has replaced."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    other = Database(database_urls.worker, pool_size=1)
    async with db.transaction() as holder:
        await holder.execute("LOCK TABLE idempotency_keys IN EXCLUSIVE MODE")
        task = asyncio.create_task(other.execute("DELETE FROM idempotency_keys"))
        await until(lambda: _counts(db, waiting, 1), 10, "it waits")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: _counts(db, waiting, 0), 6, "the server gave up")
    await other.close()


async def _counts(database: Database, sql: str, count: int) -> bool:
    return await database.one(sql) == (count,)


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Cursor._run

    async def answered_and_cancelled(cursor: Cursor, sql: str, parameters: Parameters | None) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):  # as `asyncio.wait_for` of Python 3.11 does
            await asyncio.sleep(0)
        return await run(cursor, sql, parameters)

    monkeypatch.setattr(Cursor, "_run", answered_and_cancelled)
    task = asyncio.create_task(db.one("SELECT 1"))
    await asyncio.wait({task})
    assert task.cancelled()
