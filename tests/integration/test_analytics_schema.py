"""Schema `analytics` for those who read it: roles, comments, the dictionary, and what the views say."""

from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import pytest

from agents.volume import VolumeFold
from models.exercises import Catalogue
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat
from tests.support.databases import DatabaseUrls
from tests.support.dictionary import data_dictionary

DICTIONARY = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
RELATIONS = [
    "users",
    "exercise_names",
    "folded_trainings",
    "session_volume",
    "exercise_volume",
    "exercise_progress",
    "daily_volume",
    "weekly_volume",
    "weekly_category_volume",
    "weekly_muscle_sets",
    "monthly_volume",
    "daily_load",
    "judged_measures",
    "personal_records",
    "stale_users",
    "sets",
    "unfolded",
    "freshness",
    "dead_letters",
    "fold_state",
]


def ask(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run the statements on one connection; returns the rows of the last."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_the_dictionary_is_what_the_comments_say(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    """Every table, view and column has a comment, and the page in docs/ has them all."""
    current = data_dictionary(database_urls.owner)
    made = tmp_path / DICTIONARY.name
    made.write_text(current)
    assert DICTIONARY.read_text() == current, f"renew it: cp {made} {DICTIONARY}"


def test_readers_read_all_and_write_nothing(database_urls: DatabaseUrls) -> None:
    as_reader = "SET ROLE analytics_reader"
    found = ask(
        database_urls.owner,
        """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'analytics' AND c.relkind IN ('r', 'v')""",
    )
    assert {row[0] for row in found} == set(RELATIONS)
    for relation in RELATIONS:
        ask(database_urls.admin, as_reader, f"SELECT * FROM analytics.{relation}")
        with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ObjectNotInPrerequisiteState)):
            ask(database_urls.admin, as_reader, f"DELETE FROM analytics.{relation}")
    for table in ("trainings", "training_sets", "outbox"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(database_urls.admin, as_reader, f"SELECT * FROM {table}")


def test_readers_read_tables_that_are_made_later(database_urls: DatabaseUrls) -> None:
    ask(database_urls.owner, "CREATE TABLE analytics.later (a integer)")
    assert ask(database_urls.admin, "SET ROLE analytics_reader", "SELECT * FROM analytics.later") == []


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


async def test_weeks_are_iso_weeks_and_months_are_local(db: Database, athlete: Athlete) -> None:
    for date, timezone in (
        ("2020-12-31T12:00:00Z", "UTC"),
        ("2021-01-03T12:00:00Z", "UTC"),
        ("2021-01-03T23:30:00Z", "Europe/Berlin"),
        ("2021-01-31T23:30:00Z", "Europe/Berlin"),
        ("2021-02-01T05:00:00Z", "America/Los_Angeles"),
    ):
        await athlete.create(date=date, timezone=timezone, exercises=[squat(reps=5)])
    await VolumeFold(db, TOPIC).fold_log()
    weeks = await db.all("SELECT week, monday::text, sessions FROM analytics.weekly_volume ORDER BY monday")
    assert weeks == [
        ("2020-W53", "2020-12-28", 2),
        ("2021-W01", "2021-01-04", 1),
        ("2021-W04", "2021-01-25", 1),
        ("2021-W05", "2021-02-01", 1),
    ]
    months = await db.all("SELECT month, first_day::text, sessions FROM analytics.monthly_volume ORDER BY month")
    assert months == [("2020-12", "2020-12-01", 1), ("2021-01", "2021-01-01", 3), ("2021-02", "2021-02-01", 1)]


async def test_a_period_says_nothing_of_what_no_session_said(db: Database, athlete: Athlete) -> None:
    await athlete.create(exercises=[squat()])
    await VolumeFold(db, TOPIC).fold_log()
    for view in ("session_volume", "daily_volume", "weekly_volume", "monthly_volume"):
        row = await db.one(f"SELECT duration_seconds, session_rpe_load, system_load_kg FROM analytics.{view}")
        assert row == (None, None, None), view


async def test_the_sets_of_an_analyst(db: Database, athlete: Athlete) -> None:
    sets = [
        {"weight": 100, "unit": "lb", "reps": 5, "rpe": 6},
        {"weight": -10, "reps": 3, "type": "drop"},
        {"duration_seconds": 30},
        {"weight": 60, "reps": 5, "done": False},
    ]
    await athlete.create(bodyweight_kg=80, exercises=[{"name": "Pistol", "exercise": "pistol-squat", "sets": sets}])
    await athlete.create(status="PLANNED", exercises=[squat()])
    fraction = (await read_catalogue(db)).revisions["pistol-squat", 1].bw_fraction
    assert fraction is not None
    found = await db.all(
        """SELECT name, exercise, category, set_order, weight_kg, external_load_kg, system_load_kg, hard
        FROM analytics.sets ORDER BY set_order"""
    )
    own = fraction * 80
    pounds = 100 * 0.45359237
    assert [row[:4] for row in found] == [("Pistol", "pistol-squat", "Legs", order) for order in (1, 2, 3)]
    assert [float(row[4]) for row in found] == [pounds, -10, 0]
    assert [float(row[5]) for row in found] == pytest.approx([pounds * 5, 0, 0])
    assert [float(row[6]) for row in found] == pytest.approx([(float(own) + pounds) * 5, float(own - 10) * 3, 0])
    assert [row[7] for row in found] == [False, True, True]


async def test_a_set_whose_system_load_is_unknown_says_so(db: Database) -> None:
    athlete = Athlete(db, Catalogue({}, {}))
    await athlete.create(bodyweight_kg=80, exercises=[squat()])
    assert await db.all("SELECT system_load_kg FROM analytics.sets") == [(None,)]
