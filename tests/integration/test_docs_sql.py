"""Every query of docs/analysts.md, run by the role that analysts have."""

import re
from pathlib import Path

import psycopg2
import pytest

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat
from tests.support.databases import DatabaseUrls

PAGE = (Path(__file__).parents[2] / "docs" / "analysts.md").read_text()
USER = "01990000-0000-7000-8000-000000000001"  # whom the page asks about
BLOCKS = re.findall(r"^```sql(| owner| maybe| copy)\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
QUERIES = [(kind, sql) for kind, sql in BLOCKS if kind in ("", " maybe")]
PISTOLS = {"name": "Pistol", "exercise": "pistol-squat", "sets": [{"reps": 6, "side": "left", "rpe": 8}]}


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    """Two athletes with trainings in several weeks, one of which was deleted; all of it is folded."""
    athlete, other = [Athlete(db, await read_catalogue(db)) for _ in range(2)]
    said = {"bodyweight_kg": 80, "duration_seconds": 3600, "session_rpe": 7}
    for day, weight in (("2026-01-05", 100), ("2026-01-28", 105)):
        await athlete.create(date=f"{day}T12:00:00Z", exercises=[squat(weight=weight), PISTOLS], **said)
    await athlete.create(date="2026-02-02T12:00:00Z", bodyweight_kg=80, exercises=[PISTOLS])
    await athlete.delete(await athlete.create(exercises=[squat()]))
    await other.create(exercises=[squat()])
    await VolumeFold(db, TOPIC).fold_log()
    await InsightsFold(db, "training_insights").run_due()
    return athlete


def test_there_are_queries() -> None:
    assert len(QUERIES) > 15
    assert any(USER in sql for _, sql in QUERIES)
    assert PAGE.count("```sql") == len(BLOCKS)


async def test_each_finds_what_the_page_says(athlete: Athlete, database_urls: DatabaseUrls) -> None:
    connection = psycopg2.connect(database_urls.admin)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE analytics_reader")
            for kind, sql in QUERIES:
                cursor.execute(sql.replace(USER, str(athlete.user_id)))
                assert cursor.fetchall() or kind == " maybe", sql
    finally:
        connection.close()


def test_whoever_is_let_in_may_read(database_urls: DatabaseUrls) -> None:
    connection = psycopg2.connect(database_urls.admin)
    try:
        with connection.cursor() as cursor:
            for sql in (sql for who, sql in BLOCKS if who == " owner"):
                cursor.execute(sql)
            cursor.execute("SET ROLE anna")
            cursor.execute("SELECT count(*) FROM analytics.session_volume")
            assert cursor.fetchall() == [(0,)]
        connection.rollback()  # roles are the whole server's
    finally:
        connection.close()


async def test_a_copy_is_renewed(athlete: Athlete, database_urls: DatabaseUrls) -> None:
    (sql,) = (sql for kind, sql in BLOCKS if kind == " copy")
    table = "SELECT * FROM analytics.daily_load ORDER BY user_id, measure, day"
    connection = psycopg2.connect(database_urls.admin)
    try:
        with connection.cursor() as cursor:
            cursor.execute(table)
            rows = cursor.fetchall()
            cursor.execute(
                f"""
                CREATE TEMPORARY TABLE my_daily_load AS {table};
                UPDATE my_daily_load SET load = -1;
                CREATE TEMPORARY TABLE changes AS SELECT 'row' AS change, * FROM analytics.daily_load;
                INSERT INTO changes (change, user_id) SELECT DISTINCT 'replace', user_id FROM analytics.daily_load;
                """
            )
            cursor.execute(sql)
            cursor.execute(table.replace("analytics.daily", "my_daily"))
            assert cursor.fetchall() == rows
    finally:
        connection.close()
