"""A whole log in Strong's form, through storage and fold: months, weeks and totals to the last digit.

A made-up log stands in the repository; a real one and its known totals are taken as well where they lie beside it.
"""

import csv
import datetime as dt
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agents.volume import VolumeFold
from agents.volume_audit import verify
from models.exercises import Catalogue
from models.strong import Session, read_strong
from models.trainings import Unit
from storage.database import Database
from tests.support.athletes import TOPIC, Athlete
from tests.support.strong import strong_file

REAL = Path(__file__).parents[3] / "shared" / "data" / "strong_export.csv"


def made_up(folder: Path) -> Path:
    """A log whose weights have digits, over a turn of the year, with rows that are no sets."""
    path = strong_file(folder / "log.csv", sessions=400)
    with path.open("a") as file:
        for order, weight, reps in (("1", "62.5", 8), ("2", "1.25", 7), ("D", "0.0001", 1), ("Rest Timer", "0", 0)):
            file.write(f'2023-01-01 09:00:00,"Sunday",45m,"Row ",{order},{weight},{reps},0,0,"","",\n')
        file.write('2023-01-01 09:00:00,"Sunday",45m,"Plank",1,0,0,0,90,"","",\n')
    return path


def totals(path: Path) -> dict[str, Any]:
    """What a reader of the file alone would add up."""
    found: dict[str, Any] = {"months": defaultdict(Decimal), "weeks": defaultdict(Decimal), "names": defaultdict(int)}
    found |= {"sets": 0, "reps": 0, "sessions": set(), "hold": Decimal()}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["Set Order"] in ("Rest Timer", "Note"):
                continue
            day = dt.date.fromisoformat(row["Date"][:10])
            load = Decimal(row["Weight"]) * int(float(row["Reps"]))
            year, week, _ = day.isocalendar()
            found["months"][f"{day:%Y-%m}"] += load
            found["weeks"][f"{year}-W{week:02}"] += load
            found["names"][row["Exercise Name"].strip()] += 1
            found["sets"] += 1
            found["reps"] += int(float(row["Reps"]))
            found["sessions"].add((row["Date"], row["Workout Name"]))
            found["hold"] += Decimal(row["Seconds"]) if row["Reps"] == "0" else 0
    return found


def sessions(path: Path) -> tuple[Session, ...]:
    log = read_strong(path.read_bytes(), unit=Unit.KG, timezone="Europe/Berlin")
    assert log.errors == ()
    return log.sessions


async def loads(database: Database, sql: str) -> dict[str, Decimal]:
    return dict(await database.all(sql))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [None, *([REAL] if REAL.exists() else [])], ids=lambda path: path.stem if path else "")
async def test_the_tables_are_what_the_file_adds_up_to(db: Database, path: Path | None, tmp_path: Path) -> None:
    path = path or made_up(tmp_path)
    athlete = Athlete(db, Catalogue({}, {}))
    for session in sessions(path):
        await athlete.create_body(session.body)
    await VolumeFold(db, TOPIC).fold_log()
    assert (await verify(db)).ok
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
    if path == REAL:
        await assert_known(db, json.loads(path.with_suffix(".expected.json").read_text()))


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
