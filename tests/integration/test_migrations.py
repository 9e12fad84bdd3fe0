"""The migrations: idempotent, reversible, and of one mind with what the code expects."""

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
from tests.support.databases import DatabaseUrls

OUTSIDE = {"alembic_version", "outbox_cursor", "outbox_quarantine"}


def test_tables_and_migrations_agree(database_urls: DatabaseUrls) -> None:
    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or (name not in OUTSIDE and not (name or "").startswith("outbox_2"))

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
