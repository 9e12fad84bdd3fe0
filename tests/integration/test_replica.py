"""Reads of metrics and exports by a real streaming replica: it serves, goes away, comes back, lags."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import pytest

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from embedded.postgres import Postgres
from models.errors import DatabaseUnavailable
from storage.database import Database
from storage.exercises import read_catalogue
from storage.replica import PRESENT, Replica
from tests.conftest import TEST_OPTIONS
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat
from tests.support.brokers import new_folder
from tests.support.coaches import Person
from tests.support.databases import Databases, DatabaseUrls, OwnPostgres
from tests.support.load import until
from tests.support.replica import copy_of
from tests.support.web import bearer, serve
from web.api import ALL_ROUTES

GROUP = "team"


def at(server: Postgres, url: str) -> str:
    """The same database on another server."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}@127.0.0.1:{server.port}").geturl()


def told(url: str, sql: str) -> None:
    """Say something to a server."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql)
    connection.close()


@pytest.fixture(scope="module")
def servers(server_folder: Path) -> Iterator[tuple[OwnPostgres, Postgres]]:
    """A primary and its standby, for all of these tests: each leaves both running."""
    server = Postgres(new_folder(server_folder, "postgres") / "data", options=TEST_OPTIONS)
    server.start()
    with Databases(server.url()) as maker:
        urls = maker.urls(maker.create())
    standby = copy_of(server, server.datadir.with_name("standby"), primary=server.port)
    standby.start()
    yield OwnPostgres(server, urls), standby
    standby.stop()
    server.stop()


@pytest.fixture
def standby(servers: tuple[OwnPostgres, Postgres]) -> Postgres:
    return servers[1]


@pytest.fixture
def urls(servers: tuple[OwnPostgres, Postgres]) -> DatabaseUrls:
    """Of the primary's database."""
    return servers[0].urls


@pytest.fixture
async def primary(urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(urls.worker)
    yield database
    await database.close()


@pytest.fixture
async def replica(urls: DatabaseUrls, primary: Database, standby: Postgres) -> AsyncIterator[Replica]:
    database = Replica(primary, at(standby, urls.worker), lag=30.0, pool_timeout=2.0)
    yield database
    await database.close()


@pytest.fixture
async def athlete(primary: Database) -> Athlete:
    athlete = Athlete(primary, await read_catalogue(primary))
    await athlete.create(exercises=[squat()])
    return athlete


async def fold(database: Database) -> None:
    await VolumeFold(database, TOPIC).fold_log()
    await InsightsFold(database, "training_insights").run_due()


async def found_well(replica: Replica) -> None:
    """Look until it is near: it has replayed what was written a moment ago."""

    async def well() -> bool:
        await replica.look()
        return replica.well

    await until(well, 20, "the replica is read")


async def by_replica(replica: Replica) -> bool:
    """Which of the two answers."""
    row = await replica.one("SELECT pg_is_in_recovery()")
    assert row is not None
    return bool(row[0])


async def test_it_serves_and_the_primary_in_its_place(
    primary: Database, standby: Postgres, replica: Replica, athlete: Athlete
) -> None:
    await fold(primary)
    volume = f"/api/v1/training/users/{athlete.user_id}/metrics/volume"
    export, log = "/api/v1/training/exports/session_volume", f"/api/v1/training/users/{athlete.user_id}/exports/log"

    async with serve(ALL_ROUTES, database=primary, replica=replica) as client:

        async def asked() -> bool:
            """Read everything that a replica may serve; whether it was asked."""
            before = replica.statements
            for path in (volume, export, log):
                answer = await client.get(path, headers=bearer(athlete.user_id, roles=["analytics"]))
                assert answer.status == 200, await answer.text()
                assert len(await answer.read()) > 100
            return replica.statements > before

        assert not await asked(), "nobody has looked at it yet"
        await found_well(replica)
        assert await by_replica(replica)
        assert await asked()
        await asyncio.to_thread(standby.stop)
        assert not await asked()
        assert not replica.well
        await replica.look()
        assert not replica.well
        standby.start()  # not in a thread, with whose end it would end
        await athlete.create(exercises=[squat()])
        await found_well(replica)
        assert await by_replica(replica)
        assert await asked()


async def test_what_a_read_meets_when_it_breaks(primary: Database, standby: Postgres, replica: Replica) -> None:
    """Every read that begins is answered; a snapshot that had begun says that it was broken off."""
    await Athlete(primary, await read_catalogue(primary)).create()
    await found_well(replica)
    with pytest.raises(DatabaseUnavailable):
        async with replica.snapshot() as cursor:
            assert await cursor.all("SELECT pg_is_in_recovery()") == [(True,)]
            await asyncio.to_thread(standby.stop)
            await cursor.all("SELECT 1")
    async with replica.reader("SELECT pg_is_in_recovery()", {}) as fetch:
        assert await fetch(1) == [(False,)]
    assert not replica.well
    standby.start()  # not in a thread, with whose end it would end


async def test_what_it_has_not_got_yet_is_asked_of_the_primary(
    urls: DatabaseUrls, primary: Database, standby: Postgres, replica: Replica, athlete: Athlete
) -> None:
    await found_well(replica)
    told(standby.url(), "SELECT pg_wal_replay_pause()")
    ((before,),) = await primary.all("SELECT now()")
    told(urls.owner, "CREATE TABLE analytics.newer AS SELECT 1 AS one")
    ((present,),) = await Database.all(replica, f"SELECT {PRESENT}")
    assert present <= before, "it does not take its own clock for what it has"
    assert await replica.all("SELECT one FROM analytics.newer") == [(1,)]
    assert not replica.well
    told(urls.owner, "DROP TABLE analytics.newer")
    told(standby.url(), "SELECT pg_wal_replay_resume()")


async def test_one_that_lags_or_is_no_replica_is_not_read(
    urls: DatabaseUrls, primary: Database, standby: Postgres, athlete: Athlete
) -> None:
    now = [0.0]
    for url, lag in ((at(standby, urls.worker), -1.0), (urls.worker, 30.0)):
        replica = Replica(primary, url, lag=lag)
        await replica.look()
        assert not replica.well
        await replica.close()
    replica = Replica(primary, at(standby, urls.worker), lag=30.0, clock=lambda: now[0])
    await found_well(replica)
    now[0] += 11.0
    assert not replica.well, "nobody has looked at it for long"
    await replica.close()


async def test_a_coach_reads_the_primary(primary: Database, replica: Replica, athlete: Athlete) -> None:
    await fold(primary)
    await found_well(replica)
    async with serve(ALL_ROUTES, database=primary, replica=replica) as client:
        person = Person(client, athlete.user_id, groups=[GROUP])
        await person.admit(GROUP, "read")
        before = replica.statements
        path = f"/api/v1/training/users/{athlete.user_id}/metrics/volume"
        answer = await client.get(path, headers=bearer(uuid4(), coach_of=[GROUP]))
        assert answer.status == 200
        assert replica.statements == before
        assert [access["operation"] for access in await person.accesses()] == ["readVolume"]
