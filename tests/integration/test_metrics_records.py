"""GET /users/{userId}/metrics/records and …/progress, on a real PostgreSQL."""

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

import web.metrics
from analytics import streaks
from models.record_reports import MovementProgress, ProgressOverview, RecordsReport
from models.streaks import MilestoneKind
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import Athlete
from tests.support.bodies import squat
from tests.support.names import Namer
from tests.support.reports import faults, report, settle
from tests.support.web import Client, serve
from web.metrics import ROUTES

SQUAT = "name:squat"


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


async def records(client: Client, athlete: Athlete, **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await report(client, athlete, "records", RecordsReport, **query))["items"]
    return items


async def test_records_in_force_and_all_there_were(db: Database, client: Client, athlete: Athlete) -> None:
    first = await athlete.create(date="2026-01-05T12:00:00Z", exercises=[squat(weight=100.5, reps=5)])
    second = await athlete.create(date="2026-01-07T12:00:00Z", exercises=[squat(weight=110, reps=3)])
    await athlete.create(
        date="2026-01-08T12:00:00Z",
        exercises=[{"name": "Plank", "sets": [{"duration_seconds": 90}]}, squat(weight=60, reps=1)],
    )
    await settle(db)
    in_force = await records(client, athlete)
    assert [item["date"] for item in in_force] == sorted((item["date"] for item in in_force), reverse=True)
    assert not any("superseded_on" in item for item in in_force)
    (weight,) = (item for item in in_force if item["movement"] == SQUAT and item["kind"] == "weight")
    assert weight == {
        "movement": SQUAT,
        "name": "Squat",
        "kind": "weight",
        "value": 110,
        "unit": "kg",
        "previous": 100.5,
        "training_id": str(second),
        "day": "2026-01-07",
        "date": "2026-01-07T12:00:00Z",
    }
    whole = await records(client, athlete, history="true")
    assert [item for item in whole if "superseded_on" not in item] == in_force
    weights = await records(client, athlete, history="true", kind="weight", movement=SQUAT)
    assert [(item["value"], item.get("superseded_on")) for item in weights] == [(110, None), (100.5, "2026-01-07")]
    reps = await records(client, athlete, kind="reps_at_weight", movement=SQUAT, history="false")
    assert [(item["at_weight_kg"], item["value"], item["unit"]) for item in reps] == [
        (110, 3, "reps"),
        (100.5, 5, "reps"),
    ]
    (hold,) = await records(client, athlete, kind="hold_seconds")
    assert (hold["movement"], hold["value"], hold["unit"]) == ("name:plank", 90, "s")
    assert await records(client, athlete, movement="name:nothing") == []

    await athlete.delete(second)
    await settle(db)
    (weight,) = await records(client, athlete, kind="weight", movement=SQUAT, history="true")
    assert (weight["value"], weight["training_id"], "previous" in weight) == (100.5, str(first), False)


async def test_pounds_are_told_with_four_digits(db: Database, client: Client, athlete: Athlete) -> None:
    for day, weight in ((5, 215), (6, 225)):
        exercise = {"name": "Squat", "sets": [{"weight": weight, "unit": "lb", "reps": 5}]}
        await athlete.create(date=f"2026-01-0{day}T12:00:00Z", exercises=[exercise])
    await settle(db)
    found = {item["kind"]: (item["value"], item.get("previous")) for item in await records(client, athlete)}
    assert found["weight"] == (102.0583, 97.5224)
    assert found["session_volume"] == (510.2914, 487.6118)
    (reps,) = await records(client, athlete, kind="reps_at_weight")
    assert (reps["at_weight_kg"], reps["value"]) == (102.0583, 5)
    stored = "SELECT value, previous FROM analytics.personal_records WHERE kind = 'weight' AND superseded_on IS NULL"
    assert await db.one(stored) == (Decimal("102.05828325"), Decimal("97.52235955"))


async def test_a_wrong_query_is_told(
    db: Database, client: Client, athlete: Athlete, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await faults(client, athlete, "records", kind="luck") == ["kind"]
    assert await faults(client, athlete, "records", history="yes") == ["history"]
    assert await faults(client, athlete, "records", movement="") == ["movement"]
    assert await faults(client, athlete, "progress", **{"from": "2026-01-05"}) == ["movement"]
    assert await faults(client, athlete, "progress", to="2026-01-05") == ["movement"]
    backwards = {"from": "2026-01-05", "to": "2026-01-04"}
    assert await faults(client, athlete, "progress", movement=SQUAT, **backwards) == ["to"]
    await athlete.create(exercises=[squat(), squat(name="Row")])
    await settle(db)
    monkeypatch.setattr(web.metrics, "MOST_ITEMS", 3)
    assert await faults(client, athlete, "records") == ["movement", "kind"]
    assert await faults(client, athlete, "records", history="true") == ["movement", "kind", "history"]
    monkeypatch.setattr(web.metrics, "MOST_ITEMS", 1)
    assert await faults(client, athlete, "records", kind="weight") == ["movement"]
    monkeypatch.setattr(web.metrics, "MOST_ITEMS", 3)
    assert len(await records(client, athlete, kind="weight")) == 2


async def test_the_progress_of_a_movement_is_a_series_of_days(db: Database, client: Client, athlete: Athlete) -> None:
    sets = [{"weight": 100, "reps": 5}, {"weight": 110, "reps": 2}]
    await athlete.create(
        date="2026-01-05T23:30:00Z", timezone="Europe/Berlin", exercises=[squat(sets=0) | {"sets": sets}]
    )
    await athlete.create(date="2026-01-07T08:00:00Z", exercises=[squat(weight=60, reps=20)])
    await athlete.create(date="2026-01-07T18:00:00Z", exercises=[squat(weight=90, reps=10), squat(name="Row")])
    await settle(db)
    found = await report(client, athlete, "progress", MovementProgress, movement=SQUAT)
    assert found["movement"] == SQUAT
    assert found["items"] == [
        {
            "day": "2026-01-06",
            "sets": 2,
            "reps": 7,
            "external_load_kg": 720,
            "e1rm_kg": 117.3333,
            "e1rm_weight_kg": 110,
            "e1rm_reps": 2,
        },
        {
            "day": "2026-01-07",
            "sets": 2,
            "reps": 30,
            "external_load_kg": 2100,
            "e1rm_kg": 120,
            "e1rm_weight_kg": 90,
            "e1rm_reps": 10,
        },
    ]
    query = {"movement": SQUAT, "from": "2026-01-07", "to": "2026-01-09"}
    found = await report(client, athlete, "progress", MovementProgress, **query)
    assert [item["day"] for item in found["items"]] == ["2026-01-07"]
    assert (await report(client, athlete, "progress", MovementProgress, movement="manna"))["items"] == []


async def test_the_overview_has_streaks_milestones_and_the_movements(
    db: Database, client: Client, athlete: Athlete
) -> None:
    empty = await report(client, athlete, "progress", ProgressOverview)
    assert empty["streaks"] == {"current": {"weeks": 0}, "longest": {"weeks": 0}}
    assert (empty["milestones"], empty["movements"]) == ([], [])
    assert "today" not in empty

    now = dt.datetime.now(dt.UTC)
    for days in (0, 7, 14):  # and two weeks without, and then eight with one more session each
        await athlete.create(date=(now - dt.timedelta(days)).isoformat(), exercises=[squat(name="Row")])
    for week in range(5, 13):
        await athlete.create(date=(now - dt.timedelta(weeks=week)).isoformat(), exercises=[squat(sets=30)])
    await Namer(db, athlete).means("Row", exercise="pistol-squat")
    await settle(db)
    found = await report(client, athlete, "progress", ProgressOverview)
    today = dt.date.fromisoformat(found["today"])
    monday = today - dt.timedelta(today.weekday())
    assert found["streaks"] == {
        "current": {"weeks": 3, "first": str(monday - dt.timedelta(weeks=2)), "last": str(monday)},
        "longest": {
            "weeks": 8,
            "first": str(monday - dt.timedelta(weeks=12)),
            "last": str(monday - dt.timedelta(weeks=5)),
        },
    }
    reached = {item["kind"]: item for item in found["milestones"]}
    assert reached["sessions"] == {"kind": "sessions", "value": 10, "day": str(today - dt.timedelta(7))}
    assert reached["external_load_kg"]["value"] == 100_000
    assert reached["reps"]["value"] == streaks.LEAST_MILESTONES[MilestoneKind.REPS]
    assert found["movements"] == [
        {"movement": "pistol-squat", "name": "Row", "exercise": "pistol-squat", "sessions": 3, "last_day": str(today)},
        {"movement": SQUAT, "name": "Squat", "sessions": 8, "last_day": str(today - dt.timedelta(weeks=5))},
    ]
