"""The database goes back behind the topic, under load, by a promotion that lost the tail; test_drills restores it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from embedded.postgres import Postgres
from embedded.worker import Worker
from tests.kafka.test_whole_service import command, flows, folded, rows, topic_of
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls, OwnPostgres
from tests.support.invariants import judge
from tests.support.load import Load, until
from tests.support.proxy import Proxy
from tests.support.replica import copy_of

pytestmark = pytest.mark.kafka

TAIL = 2.0  # seconds of writes that are lost


@pytest.fixture
def front(own_postgres: OwnPostgres) -> Iterator[Proxy]:
    """Where the worker finds PostgreSQL, whichever server that is."""
    with Proxy(own_postgres.server.port) as proxy:
        yield proxy


def through(urls: DatabaseUrls, proxy: Proxy) -> DatabaseUrls:
    def moved(url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}").geturl()

    return DatabaseUrls(moved(urls.owner), moved(urls.worker))


async def heals(worker: Worker, urls: DatabaseUrls) -> None:
    await until(lambda: flows(worker) and folded(urls), 40, "everything flows, and is folded")


async def judged(worker: Worker, urls: DatabaseUrls, broker: KafkaAddress, load: Load) -> None:
    """I1 to I4 hold, what was lost came back, nothing was doubled, and the derived tables are the log's."""
    verdict = await judge(urls.owner, broker.bootstrap, topic_of(worker))
    assert verdict.violations == ()
    assert rows(urls.owner, "SELECT count(*) > 0 FROM outbox WHERE actor = 'restored'") == [(True,)]
    assert set(load.answers) <= {0, 201, 503}
    checked = command(worker, "analytics", "verify")
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_a_replica_that_lost_the_tail_is_promoted(
    own_postgres: OwnPostgres, front: Proxy, broker: KafkaAddress, start_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    urls = through(own_postgres.urls, front)
    worker = start_worker(urls=urls)
    with Proxy(own_postgres.server.port) as stream:
        standby = copy_of(own_postgres.server, own_postgres.server.datadir.with_name("standby"), primary=stream.port)
        standby.start()
        try:
            async with Load(worker.url, rate=40) as load:
                await asyncio.sleep(2.0)
                stream.refuse()
                await asyncio.sleep(TAIL)
                own_postgres.server.kill()
                front.cut()
                promote(standby)
                front.target = standby.port
                await asyncio.sleep(3.0)
            await heals(worker, urls)
            await judged(worker, urls, broker, load)
        finally:
            worker.stop()
            standby.stop()


def promote(standby: Postgres) -> None:
    connection = psycopg2.connect(standby.url())
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_promote(true, 20)")
    finally:
        connection.close()
