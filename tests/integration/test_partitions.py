"""deploy/hash-partitions.sql on a database that is in use: everything is there afterwards, and as it was.

That the service works on it is shown by the tests of storage, which `make test` also runs with
`TRAINING_TEST_PARTITIONS=hash`.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg2
import pytest

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from agents.volume_audit import rebuild, verify
from storage.database import Database
from storage.exercises import read_catalogue
from storage.migrate import migrate
from storage.training_writes import Author
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat
from tests.support.databases import Databases, DatabaseUrls, partition
from tests.support.documents import keep_one_of_each
from tests.support.insights import INSIGHTS
from tests.support.own_exercises import Namer

# Tables with a `user_id` that stay as they are: the log and the requests go by month, `coached` by the coach, and the
# others by what they work off.
STAY = {"outbox", "request_log", "outbox_quarantine", "erasures", "coached"}

_OURS = "('public', 'analytics')"
_TABLES = f"""
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relnamespace::regnamespace::text IN {_OURS} AND c.relkind IN ('r', 'p') AND NOT c.relispartition"""
_OF_USERS = "SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'user_id'"
# What is to be as it was. Partitions, and what stands on them, are in a schema of their own.
_PICTURE = {
    "columns": f"""
SELECT table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type
FROM information_schema.columns WHERE table_schema IN {_OURS}""",
    "comments": f"""
SELECT d.objoid::regclass::text, d.objsubid, d.description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
WHERE d.classoid = 'pg_class'::regclass AND c.relnamespace::regnamespace::text IN {_OURS}""",
    "constraints": f"""
SELECT k.conrelid::regclass::text, k.conname, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.connamespace::regnamespace::text IN {_OURS} AND NOT c.relispartition AND k.conparentid = 0""",
    "indexes": f"""
SELECT replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace::regnamespace::text IN {_OURS} AND NOT c.relispartition""",
    "triggers": f"""
SELECT pg_get_triggerdef(t.oid), t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace::regnamespace::text IN {_OURS}""",
    "rights": f"""
SELECT c.oid::regclass::text, pg_get_userbyid(c.relowner), acl::text FROM pg_class c, unnest(c.relacl) acl
WHERE c.relnamespace::regnamespace::text IN {_OURS}""",
    "views": f"""
SELECT c.oid::regclass::text, pg_get_viewdef(c.oid), c.reloptions FROM pg_class c
WHERE c.relkind = 'v' AND c.relnamespace::regnamespace::text IN {_OURS}""",
}
_ROWS = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {} t"
_PARTITIONED = """
SELECT p.partrelid::regclass::text, count(*) FROM pg_partitioned_table p JOIN pg_inherits i ON i.inhparent = p.partrelid
WHERE p.partstrat = 'h' GROUP BY 1"""


@pytest.fixture(scope="module")
def whole(postgres: str) -> Iterator[Databases]:
    """Maker of databases that are not partitioned yet, whatever those of other tests are."""
    with Databases(postgres) as databases:
        yield databases


@pytest.fixture
def urls(whole: Databases) -> Iterator[DatabaseUrls]:
    """One of them."""
    name = whole.create()
    yield whole.urls(name)
    whole.drop(name)


@pytest.fixture
async def worker(urls: DatabaseUrls) -> AsyncIterator[Database]:
    """Its worker's pool."""
    database = Database(urls.worker)
    yield database
    await database.close()


def asked(url: str, sql: str) -> list[tuple[Any, ...]]:
    """The rows, in order."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return sorted(cursor.fetchall(), key=str) if cursor.description else []
    finally:
        connection.close()


def picture(urls: DatabaseUrls) -> dict[str, list[tuple[Any, ...]]]:
    """All that is to be as it was: the schema, and the rows."""
    tables = [table for (table,) in asked(urls.admin, _TABLES)]
    return {
        **{noun: asked(urls.admin, sql) for noun, sql in _PICTURE.items()},
        **{table: asked(urls.admin, _ROWS.format(table)) for table in tables},
    }


async def fill(database: Database) -> list[Athlete]:
    """Users with trainings, names, derived tables and what is announced; returns them."""
    catalogue = await read_catalogue(database)
    athletes = [Athlete(database, catalogue) for _ in range(12)]
    for athlete in athletes:
        for day in (1, 2):
            kept = await athlete.create(
                date=f"2026-01-0{day}T12:00:00Z",
                exercises=[squat(reps=5), squat(exercise="pistol-squat"), {"name": "Carry", "sets": [{"reps": 1}]}],
            )
        await athlete.delete(await athlete.create())
        await athlete.update(kept, exercises=[squat(reps=6)])
        await keep_one_of_each(database, Author(athlete.user_id, "athlete"), kept)
    await Namer(database, athletes[0].user_id).set("Squat", exercise="barbell-back-squat")
    await VolumeFold(database, TOPIC).fold_log()
    await InsightsFold(database, INSIGHTS).run_due()
    return athletes


async def test_all_is_as_it_was(urls: DatabaseUrls, worker: Database) -> None:
    athletes = await fill(worker)
    before = picture(urls)
    partition(urls.owner, 4)
    assert picture(urls) == before

    turned = dict(asked(urls.admin, _PARTITIONED))
    of_users = asked(urls.admin, f"{_TABLES} AND EXISTS ({_OF_USERS})")
    assert set(turned) == {table for (table,) in of_users} - STAY
    assert set(turned.values()) == {4}
    # All rows of one user lie in the partitions of one number.
    for athlete in athletes:
        places = set()
        for table in turned:
            sql = f"SELECT DISTINCT right(tableoid::regclass::text, 1) FROM {table} WHERE user_id = '{athlete.user_id}'"
            places |= set(asked(urls.admin, sql))
        assert len(places) == 1

    # Neither it nor the migrations change anything when they are run again.
    partition(urls.owner, 4)
    migrate(urls.owner)
    assert picture(urls) == before
    assert dict(asked(urls.admin, _PARTITIONED)) == turned


async def test_work_goes_on_and_can_be_made_anew(urls: DatabaseUrls, worker: Database) -> None:
    await fill(worker)
    partition(urls.owner, 4)
    for athlete in await fill(worker):
        last = await athlete.create()
        await athlete.delete(last)
    await VolumeFold(worker, TOPIC).fold_log()
    await InsightsFold(worker, INSIGHTS).run_due()
    verified = await verify(worker)
    assert (verified.users, verified.different, verified.behind) == (24, 0, 0), verified.differences
    owner = Database(urls.owner)
    await owner.execute("UPDATE analytics.daily_volume SET sets = sets + 1")
    await owner.execute("DELETE FROM analytics.exercise_volume WHERE position = 1")
    assert (await rebuild(owner)).changed["daily_volume"] == 48
    await owner.close()
    assert (await verify(worker)).different == 0


def test_a_table_that_comes_later_is_turned_when_it_is_run_again(urls: DatabaseUrls) -> None:
    partition(urls.owner, 2)
    asked(
        urls.owner,
        """CREATE TABLE later (user_id uuid, n integer, PRIMARY KEY (user_id, n),
        FOREIGN KEY (user_id, n) REFERENCES later);
        INSERT INTO later SELECT uuidv7(), n FROM generate_series(1, 9) n;
        CREATE VIEW latest AS SELECT max(n) FROM later; CREATE VIEW so_late AS SELECT * FROM latest""",
    )
    before = picture(urls)
    partition(urls.owner, 5)
    assert picture(urls) == before
    turned = dict(asked(urls.admin, _PARTITIONED))
    assert (turned["later"], turned["trainings"]) == (5, 2)


def test_who_is_not_the_owner_changes_nothing(urls: DatabaseUrls) -> None:
    before = picture(urls)
    with pytest.raises(psycopg2.errors.RaiseException, match="belongs to another role"):
        partition(urls.admin, 4)
    # What stands on a table and is not put back is not lost either.
    asked(urls.owner, "CREATE FUNCTION stands(trainings) RETURNS integer LANGUAGE sql RETURN 1")
    with pytest.raises(psycopg2.errors.DependentObjectsStillExist):
        partition(urls.owner, 4)
    assert picture(urls) == before
    assert asked(urls.admin, _PARTITIONED) == []
