"""The migrations: idempotent, reversible, and of one mind with what the code expects."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from models.tables import metadata
from storage.database import Database
from storage.migrate import MIGRATIONS, migrate
from tests.support.databases import Databases, DatabaseUrls, partition

OUTSIDE = {"alembic_version", "outbox_cursor", "outbox_quarantine"}


def test_tables_and_migrations_agree(database_urls: DatabaseUrls) -> None:
    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or (name not in OUTSIDE and not (name or "").startswith(("outbox_2", "request_log_2")))

    engine = sa.create_engine(database_urls.owner.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        found = compare_metadata(context, metadata)
    # Comments stand in the migrations only, where people who look at the database are told.
    differences = [difference for difference in found if "comment" not in str(difference)]
    engine.dispose()
    assert differences == []


def test_migrating_again_changes_nothing_and_keeps_the_catalogue(database_urls: DatabaseUrls) -> None:
    migrate(database_urls.owner)
    connection = psycopg2.connect(database_urls.owner)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(bw_fraction), sum(cardinality(easier_slugs)) FROM exercises")
        assert cursor.fetchone() == (323, 225, 281)  # 169 with 189 edges are bodyweight movements
    connection.close()


def test_every_migration_can_be_undone_and_done_again(database_urls: DatabaseUrls) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = database_urls.owner
    command.downgrade(config, "base")
    connection = psycopg2.connect(database_urls.owner)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE nspname IN ('public', 'analytics') AND relkind IN ('r', 'v', 'p') AND relname <> 'alembic_version'"
        )
        assert cursor.fetchone() == (0,)
    connection.close()
    migrate(database_urls.owner)


def test_what_is_undone_leaves_the_comments_as_they_were(database_urls: DatabaseUrls) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = database_urls.owner
    connection = psycopg2.connect(database_urls.owner)
    connection.autocommit = True

    def comments() -> set[tuple[str, int, str]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT objoid::regclass::text, objsubid, description FROM pg_description "
                "JOIN pg_class c ON c.oid = objoid JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE classoid = 'pg_class'::regclass AND nspname IN ('public', 'analytics')"
            )
            return set(cursor.fetchall())

    command.downgrade(config, "base")
    command.upgrade(config, "0013")
    before = comments()
    migrate(database_urls.owner)
    assert not before <= comments()
    command.downgrade(config, "0013")
    assert comments() == before
    connection.close()
    migrate(database_urls.owner)


def test_who_knows_nothing_of_the_newest_migration_works_on(database_urls: DatabaseUrls) -> None:
    """Workers of the version before meet all that they know, and write every row as they did."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = database_urls.owner
    connection = psycopg2.connect(database_urls.owner)
    connection.autocommit = True

    def known(sql: str) -> set[tuple[object, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return set(cursor.fetchall())

    columns = (
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema IN ('public', 'analytics')"
    )
    functions = "SELECT oid::regprocedure::text, prorettype FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    checks = "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'n'"
    needed = columns + " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'"
    command.downgrade(config, "-1")
    before, called, checked = known(columns), known(functions), known(checks)
    command.upgrade(config, "head")
    assert before <= known(columns)
    assert called <= known(functions)
    tables = {name for name, *_ in before}
    assert {row for row in known(needed) - before if row[0] in tables} == set()
    assert {row for row in known(checks) - checked if row[0] in tables} == set()
    connection.close()


def within(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@pytest.mark.parametrize("partitions", [None, 2])
def test_writes_go_on_while_indexes_are_built(databases: Databases, partitions: int | None) -> None:
    """With a transaction under way that has written; and, once, where an earlier build of the index was broken off."""
    name = databases.create_empty()
    owner = databases.urls(name).owner
    migrate(owner, "0016")
    if partitions:
        partition(owner, partitions)
    for revision, table, index in (
        ("0017", "public.access_log", "access_log_by_coach"),
        ("0019", "public.access_log", "access_log_by_time"),
        ("0021", "analytics.folded_trainings", "folded_trainings_outdated"),
    ):
        migrate(owner, f"{int(revision) - 1:04}")
        place = f"partitions.{table.partition('.')[2]}_0" if partitions else table
        write = f"UPDATE {place} SET user_id = user_id WHERE false"
        with (
            ThreadPoolExecutor() as pool,
            closing(psycopg2.connect(owner)) as busy,
            closing(psycopg2.connect(owner)) as other,
            other.cursor() as cursor,
        ):
            other.autocommit = True
            if revision == "0019":
                cursor.execute(f"CREATE INDEX {index}{'_0' if partitions else ''} ON {place} (user_id)")
            busy.cursor().execute(write)
            migrating = pool.submit(migrate, owner, revision)

            def waits(cursor: psycopg2.extensions.cursor = cursor) -> bool:
                cursor.execute(
                    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                return cursor.rowcount > 0

            within(waits, "the migration waits")
            cursor.execute("SET lock_timeout = '1s'")
            cursor.execute(write)
            busy.commit()
            migrating.result(timeout=20)
            cursor.execute(
                "SELECT count(*), bool_and(indisvalid) FROM pg_index WHERE indexrelid = %s::regclass OR indexrelid "
                "IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass)",
                [f"{table.partition('.')[0]}.{index}"] * 2,
            )
            assert cursor.fetchone() == (1 + (partitions or 0), True)
    databases.drop(name)


def test_trainings_are_written_while_the_migration_of_phases_waits_for_a_reader_of_workouts(
    databases: Databases,
) -> None:
    name = databases.create_empty()
    owner = databases.urls(name).owner
    migrate(owner, "0023")
    with (
        ThreadPoolExecutor() as pool,
        closing(psycopg2.connect(owner)) as reading,
        closing(psycopg2.connect(owner)) as other,
        other.cursor() as cursor,
    ):
        other.autocommit = True
        reading.cursor().execute("SELECT FROM workout_exercises")
        migrating = pool.submit(migrate, owner, "0024")

        def waits() -> bool:
            cursor.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return cursor.rowcount > 0

        within(waits, "the migration waits")
        cursor.execute("SET lock_timeout = '1s'")
        cursor.execute("UPDATE trainings SET user_id = user_id WHERE false")
        reading.commit()
        migrating.result(timeout=20)
    databases.drop(name)


def test_the_triggers_of_erasure_come_in_the_order_of_statements(databases: Databases) -> None:
    """Who leaves a group locks memberships and then the log: while the migration waits for the log, both go on."""
    name = databases.create_empty()
    owner = databases.urls(name).owner
    migrate(owner, "0016")
    membership, logged = (f"UPDATE {table} SET user_id = user_id WHERE false" for table in ("memberships", "outbox"))
    with (
        ThreadPoolExecutor() as pool,
        closing(psycopg2.connect(owner)) as busy,
        closing(psycopg2.connect(owner)) as leaving,
        closing(psycopg2.connect(owner)) as other,
        other.cursor() as cursor,
    ):
        other.autocommit = True

        def waiting(number: int) -> Callable[[], bool]:
            def waits() -> bool:
                cursor.execute(
                    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                return cursor.rowcount == number

            return waits

        def leave() -> None:
            leaving.cursor().execute(membership)
            leaving.cursor().execute(logged)
            leaving.commit()

        busy.cursor().execute(logged)
        migrating = pool.submit(migrate, owner, "0017")
        within(waiting(1), "the migration waits")
        left = pool.submit(leave)
        within(waiting(2), "who leaves waits")
        busy.commit()
        left.result(timeout=10)
        migrating.result(timeout=10)
    databases.drop(name)


@pytest.mark.parametrize("statement", ["UPDATE outbox SET payload = ''", "DELETE FROM outbox", "TRUNCATE outbox"])
async def test_workers_only_add_to_the_log(db: Database, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        await db.execute(statement)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        await db.execute("DELETE FROM trainings")
    partition = await db.one("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outbox'::regclass")
    assert partition is not None
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        await db.execute(statement.replace("outbox", partition[0]))
