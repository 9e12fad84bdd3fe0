"""A whole log in Strong's form, through storage and fold: months, weeks and totals to the last digit.

A made-up log stands in the repository; a real one and its known totals are taken as well where they lie beside it.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from agents.volume import VolumeFold
from models.exercises import Catalogue
from models.foreign_logs import Session
from models.sets import Unit
from models.strong import read_strong
from storage.database import Database
from tests.support.athletes import TOPIC, Athlete
from tests.support.insights import verified
from tests.support.strong import log_file, totals


def sessions(path: Path) -> tuple[Session, ...]:
    log = read_strong(path.read_bytes(), unit=Unit.KG, timezone="Europe/Berlin")
    assert log.errors == ()
    return log.sessions


async def loads(database: Database, sql: str) -> dict[str, Decimal]:
    return dict(await database.all(sql))  # type: ignore[arg-type]


async def test_the_tables_are_what_the_file_adds_up_to(db: Database, tmp_path: Path) -> None:
    path = log_file(tmp_path)
    athlete = Athlete(db, Catalogue({}, {}))
    for session in sessions(path):
        await athlete.create_body(session.body)
    await VolumeFold(db, TOPIC).fold_log()
    assert (await verified(db)).ok
    expected = totals(path)
    months = await loads(db, "SELECT month, external_load_kg FROM analytics.monthly_volume")
    weeks = await loads(db, "SELECT week, external_load_kg FROM analytics.weekly_volume")
    assert (months, weeks) == (expected["months"], expected["weeks"])
    assert await db.all(
        """SELECT sum(sets), sum(reps), sum(sessions), sum(hold_seconds), sum(external_load_kg)
        FROM analytics.daily_volume"""
    ) == [
        (expected["sets"], expected["reps"], len(expected["sessions"]), expected["hold"], sum(months.values())),
    ]
    names = await loads(db, "SELECT name, sum(sets) FROM analytics.exercise_volume GROUP BY name")
    assert names == expected["names"]
    known = path.with_suffix(".expected.json")
    if known.exists():
        await assert_known(db, json.loads(known.read_text()))


async def assert_known(db: Database, known: dict[str, Any]) -> None:
    """The totals that came with the real log."""
    months = await loads(db, "SELECT month, external_load_kg FROM analytics.monthly_volume")
    weeks = await loads(db, "SELECT week, external_load_kg FROM analytics.weekly_volume ORDER BY week LIMIT 5")
    assert months == known["tonnage_by_month"]
    assert weeks == known["tonnage_by_iso_week_first5"]
    assert sum(months.values()) == known["tonnage_file_units"]
    assert await db.all(
        "SELECT count(*), sum(sets), sum(reps), min(day)::text, max(day)::text FROM analytics.session_volume"
    ) == [(known["sessions"], known["set_rows"], known["total_reps"], known["first_day"], known["last_day"])]
    lifts = await db.all(
        "SELECT name, sum(sets), max(max_weight_kg) FROM analytics.exercise_volume WHERE name = ANY (%s) GROUP BY name",
        [list(known["top_exercises"])],
    )
    assert {name: (sets, heaviest) for name, sets, heaviest in lifts} == {
        name: (lift["sets"], lift["max_weight"]) for name, lift in known["top_exercises"].items()
    }
    assert await db.all("SELECT count(DISTINCT name) FROM analytics.exercise_volume") == [(known["exercises"],)]
