"""On a server where one may do no more than a provider gives: own a database, and make no role."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

import cli
import settings
from commands import environment
from embedded.postgres import Postgres
from storage.database import Database
from storage.migrate import migrate as bring_to
from storage.outbox import OutboxStore, keep_partitions
from tests.conftest import TEST_OPTIONS
from tests.support.brokers import new_folder
from tests.support.log import append


@pytest.fixture
def server(server_folder: Path) -> Iterator[Postgres]:
    """A server that has no role but the superuser, `app`, who owns the database `app`, and `stranger`."""
    server = Postgres(new_folder(server_folder, "postgres") / "data", options=TEST_OPTIONS)
    server.start()
    run(server.url(), "CREATE ROLE app LOGIN", "CREATE ROLE stranger LOGIN", "CREATE DATABASE app OWNER app")
    yield server
    server.stop()


def run(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture
def migrate(server: Postgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Migrate":
    monkeypatch.setenv("TRAINING_JWT_SECRET", "a secret of 32 bytes, or of more.")
    monkeypatch.setattr(environment, "settings", settings.Settings)  # not the ones that the process has read
    return Migrate(server, monkeypatch, capsys)


class Migrate:
    """`training migrate` as a role of the server, on the database `app`; returns its exit code and what it wrote."""

    def __init__(self, server: Postgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._server, self._monkeypatch, self._capsys = server, monkeypatch, capsys

    def __call__(self, role: str) -> tuple[int, str]:
        self._monkeypatch.setenv("TRAINING_DATABASE_URL", self._server.url(role, "app"))
        code = cli.main(["migrate"])
        return code, self._capsys.readouterr().err


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


async def relayed(database: Database) -> int:
    """What workers do with the log, its restore into another cluster included; returns the events that were read."""
    for _ in range(3):
        await append(database, user_id=uuid4(), training_id=uuid4())
    await keep_partitions(database, 4)
    store = OutboxStore(database, "worker", lease=5.0, batch=100)
    acquired = await store.acquire()
    assert acquired is not None
    lease, batch, _ = await store.step(acquired.lease, {}, move=False)
    await store.advance(lease, {})
    lease = await store.rebase(lease)
    await store.release(lease, {})
    return len(batch.rows)


def test_one_role_is_owner_and_worker_where_none_can_be_made(server: Postgres, migrate: Migrate) -> None:
    code, said = migrate("app")
    assert code == 0
    assert "The server has no role training_worker and no analytics_reader, and the owner may make none." in said
    assert "CREATE ROLE training_worker LOGIN PASSWORD" in said

    async def work() -> None:
        async with opened(server.url("app", "app")) as database:
            assert await relayed(database) == 3

    asyncio.run(work())

    # Roles that the administrator made later get what they need by the same command, and no more.
    run(server.url(), "CREATE ROLE training_worker LOGIN")
    code, said = migrate("app")
    assert code == 0
    assert "The server has no role analytics_reader, and" in said
    run(server.url(), "CREATE ROLE analytics_reader")
    assert migrate("app") == (0, "")

    async def work_as_worker() -> None:
        async with opened(server.url("training_worker", "app")) as database:
            assert await relayed(database) == 3
            await database.all("SELECT * FROM analytics.daily_volume")
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                await database.execute("DELETE FROM outbox")

    asyncio.run(work_as_worker())
    run(server.url("postgres", "app"), "SET ROLE analytics_reader", "SELECT * FROM analytics.daily_volume")


def test_who_may_not_own_the_schema_is_told_what_to_ask_for(server: Postgres, migrate: Migrate) -> None:
    code, said = migrate("stranger")
    assert code == 1
    assert said.startswith("training: permission denied for schema public")
    assert "ALTER DATABASE … OWNER TO …" in said

    run(server.url("postgres", "app"), "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    code, said = migrate("app")
    assert code == 1
    assert said.startswith("training: permission denied for function pg_control_system")
    assert "pg_control_system() and pg_control_checkpoint()" in said


def test_an_owner_who_may_make_roles_makes_them(server: Postgres, migrate: Migrate) -> None:
    run(server.url(), "ALTER ROLE app CREATEROLE")
    assert migrate("app") == (0, "")

    async def work() -> None:
        async with opened(server.url("training_worker", "app")) as database:
            assert await relayed(database) == 3

    asyncio.run(work())

    code, said = migrate("training_worker")  # which may read that nothing is to be done, and then may not do the rest
    assert code == 1
    assert said.startswith("training: permission denied for table exercise_names")
    assert "Migrations run as the owner of the database" in said


def test_a_server_that_goes_away_after_the_migrations_is_said_in_one_line(
    migrate: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> None:
        raise psycopg2.OperationalError("server closed the connection\n\tunexpectedly\n")

    monkeypatch.setattr("storage.migrate.make_roles", gone)
    assert migrate("app") == (1, "training: server closed the connection unexpectedly\n")


def test_a_migration_gives_up_when_something_holds_a_table(server: Postgres, migrate: Migrate) -> None:
    bring_to(server.url("app", "app"), "0003")
    with closing(psycopg2.connect(server.url("app", "app"))) as reader, reader.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = '30s'; SELECT FROM outbox")
        code, said = migrate("app")
        assert code == 1
        assert said.startswith("training: Nothing was changed, try again: something held a table (")
    assert migrate("app")[0] == 0
