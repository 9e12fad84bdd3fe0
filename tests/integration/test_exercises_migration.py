"""The migration to the searchable catalogue, on databases as providers make them."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from psycopg2 import sql

from storage.database import Database
from storage.exercises import Exercises, Wanted
from storage.migrate import migrate
from tests.support.databases import OWNER, Databases, DatabaseUrls

OLD = """
INSERT INTO exercises (slug, revision, name, category, mode, equipment, difficulty, muscles, secondary_muscles, family,
                       unilateral, easier_slugs)
SELECT slug, 1, slug, 'Push', mode, '{}', 1, '{}', '{}', 'x', false, '{}'
FROM (VALUES ('push-up', 'reps'), ('plank', 'hold'), ('negative-dip', 'reps')) old(slug, mode)
"""


def run(url: str, statement: str, *values: object) -> list[Any]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def empty(postgres: str, databases: Databases) -> Iterator[DatabaseUrls]:
    """A database of the owner's that nothing was migrated in."""
    databases.drop(databases.create())  # the roles are there
    name = f"test_{uuid4().hex}"
    with closing(psycopg2.connect(postgres)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER)))
    yield databases.urls(name)
    databases.drop(name)


async def test_an_extension_that_is_there_may_stand_in_any_schema(empty: DatabaseUrls) -> None:
    run(empty.admin, "CREATE SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions")
    run(empty.admin, f"GRANT USAGE ON SCHEMA extensions TO {OWNER}")
    migrate(empty.owner)
    database = Database(empty.worker)
    try:
        found = await Exercises(database).page(Wanted(q="hanstand"), limit=1)
        assert [movement.slug for movement in found] == ["freestanding-handstand"]
    finally:
        await database.close()


def test_a_provider_that_refuses_the_extension_is_told_of_and_nothing_is_done(empty: DatabaseUrls) -> None:
    migrate(empty.owner, "0004")
    name = empty.owner.rpartition("/")[2]
    run(empty.admin, f"ALTER DATABASE {name} OWNER TO CURRENT_USER; ALTER SCHEMA public OWNER TO {OWNER}")
    with pytest.raises(Exception, match="CREATE EXTENSION pg_trgm in this database") as refused:
        migrate(empty.owner)
    assert isinstance(refused.value.orig, psycopg2.errors.InsufficientPrivilege)  # type: ignore[attr-defined]
    assert run(empty.owner, "SELECT version_num FROM alembic_version") == [("0004",)]
    assert run(empty.owner, "SELECT to_regclass('exercise_names'), to_regproc('name_similarity')") == [(None, None)]
    run(empty.admin, "CREATE EXTENSION pg_trgm")
    migrate(empty.owner)


def test_movements_that_were_there_get_their_phases(empty: DatabaseUrls) -> None:
    migrate(empty.owner, "0004")
    run(empty.owner, OLD)
    migrate(empty.owner, "0005")
    assert run(empty.owner, "SELECT slug, phases FROM exercises ORDER BY slug") == [
        ("negative-dip", ["eccentric"]),
        ("plank", ["isometric"]),
        ("push-up", ["concentric", "eccentric"]),
    ]
