"""GET /users/{userId}/metrics/volume, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

import web.metrics
from agents.volume import VolumeFold
from models.metrics import DayItem, MonthItem, SessionItem, VolumeReport, WeekItem
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import TOPIC, Athlete, published
from tests.support.bodies import squat
from tests.support.web import Client, bearer, serve
from web.metrics import ROUTES

HALF = {"name": "Pistol", "exercise": "pistol-squat", "sets": [{"reps": 3, "weight": 2.5, "unit": "lb"}]}


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


@pytest.fixture
def volume(db: Database) -> VolumeFold:
    return VolumeFold(db, TOPIC)


async def report(client: Client, athlete: Athlete, **query: str) -> dict[str, Any]:
    """The report, checked against its model."""
    url = f"/api/v1/training/users/{athlete.user_id}/metrics/volume"
    answer = await client.get(url, params=query, headers=bearer(athlete.user_id))
    assert answer.status == 200, await answer.text()
    VolumeReport.model_validate_json(await answer.read(), strict=True, extra="forbid")
    document: dict[str, Any] = await answer.json()
    return document


async def test_every_period(client: Client, athlete: Athlete, volume: VolumeFold) -> None:
    for day in (5, 6, 6):
        await athlete.create(date=f"2026-01-0{day}T12:00:00Z", exercises=[squat(weight=102.5)], duration_seconds=60)
    await athlete.create(date="2026-02-01T12:00:00Z", exercises=[HALF], bodyweight_kg=80, session_rpe=6.5)
    await volume.fold_log()
    found = {period: await report(client, athlete, period=period) for period in ("session", "day", "week", "month")}
    items = {period: document["items"] for period, document in found.items()}
    for item in items["session"]:
        SessionItem.model_validate(item)
    assert [item["day"] for item in items["session"]] == ["2026-01-05", "2026-01-06", "2026-01-06", "2026-02-01"]
    assert [(item["day"], item["sessions"]) for item in map(dict, items["day"]) if DayItem.model_validate(item)] == [
        ("2026-01-05", 1),
        ("2026-01-06", 2),
        ("2026-02-01", 1),
    ]
    weeks = [WeekItem.model_validate(item) for item in items["week"]]
    assert [(week.week, str(week.monday), week.sessions) for week in weeks] == [
        ("2026-W02", "2026-01-05", 3),
        ("2026-W05", "2026-01-26", 1),
    ]
    months = [MonthItem.model_validate(item) for item in items["month"]]
    assert [(month.month, month.sessions) for month in months] == [("2026-01", 3), ("2026-02", 1)]
    assert found["day"]["user_id"] == str(athlete.user_id)
    assert found["day"]["method"]["version"] == 2


async def test_numbers_are_exact_and_what_is_unknown_is_absent(
    client: Client, athlete: Athlete, volume: VolumeFold
) -> None:
    await athlete.create(date="2026-01-05T12:00:00Z", exercises=[squat(weight=102.5, reps=3)])
    await athlete.create(date="2026-01-06T12:00:00Z", exercises=[HALF], bodyweight_kg=80.5, session_rpe=6.5)
    await volume.fold_log()
    url = f"/api/v1/training/users/{athlete.user_id}/metrics/volume"
    text = await (await client.get(url, headers=bearer(athlete.user_id))).text()
    assert '"external_load_kg":307.5,' in text
    assert '"external_load_kg":3.401942775,' in text  # 2.5 lb, three times
    first, second = (await report(client, athlete))["items"]
    assert not {"system_load_kg", "duration_seconds", "session_rpe_load"} & first.keys()
    assert second["system_load_sets"] == 1
    assert "session_rpe_load" not in second


async def test_a_range_is_of_local_days_and_cuts_weeks(client: Client, athlete: Athlete, volume: VolumeFold) -> None:
    await athlete.create(date="2026-01-05T23:30:00Z", timezone="Europe/Berlin", exercises=[squat(reps=1)])
    await athlete.create(date="2026-01-07T12:00:00Z", exercises=[squat(reps=2)])
    await volume.fold_log()
    bounds: list[tuple[dict[str, str], list[int]]] = [
        ({"from": "2026-01-05", "to": "2026-01-05"}, []),
        ({"from": "2026-01-06", "to": "2026-01-06"}, [1]),
        ({"from": "2026-01-06"}, [1, 2]),
        ({"to": "2026-01-06"}, [1]),
        ({}, [1, 2]),
    ]
    for query, reps in bounds:
        for period in ("session", "day"):
            found = await report(client, athlete, period=period, **query)
            assert [item["reps"] for item in found["items"]] == reps
            assert {name: found[name] for name in ("from", "to") if name in found} == query
    found = await report(client, athlete, period="week", **{"from": "2026-01-07"})
    assert [(item["week"], item["reps"]) for item in found["items"]] == [("2026-W02", 2)]


async def test_as_of_tells_what_is_not_folded_yet(
    db: Database, client: Client, athlete: Athlete, volume: VolumeFold
) -> None:
    other = Athlete(db, await read_catalogue(db))
    training = await athlete.create(exercises=[squat()])
    await volume.fold_log()
    await other.create(exercises=[squat()])
    await athlete.update(training, exercises=[squat(reps=1)])
    await athlete.update(training, exercises=[squat(reps=2)])
    accepted = await db.all("SELECT rfc3339(created_at) FROM outbox ORDER BY seq")
    assert (await report(client, athlete))["as_of"] == accepted[2][0]
    *_, newest = await published(db)
    await volume.fold_records([newest])  # the version between is settled by it
    fresh = await report(client, athlete)
    assert fresh["as_of"] > accepted[3][0]
    assert fresh["items"][0]["reps"] == 2
    assert (await report(client, other))["as_of"] == accepted[1][0]


async def test_a_user_without_trainings_has_an_empty_report(client: Client, athlete: Athlete) -> None:
    assert (await report(client, athlete, period="week"))["items"] == []


async def test_another_users_report_is_not_there(client: Client, athlete: Athlete) -> None:
    answer = await client.get(f"/api/v1/training/users/{athlete.user_id}/metrics/volume", headers=bearer())
    assert answer.status == 404


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"period": "year"}, "period"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"since": "2026-01-01"}, "since"),
    ],
)
async def test_a_wrong_query_is_told(client: Client, athlete: Athlete, query: dict[str, str], parameter: str) -> None:
    url = f"/api/v1/training/users/{athlete.user_id}/metrics/volume"
    answer = await client.get(url, params=query, headers=bearer(athlete.user_id))
    assert answer.status == 422
    assert [fault["parameter"] for fault in (await answer.json())["errors"]] == [parameter]


async def test_a_range_in_the_wrong_order_is_told(client: Client, athlete: Athlete) -> None:
    url = f"/api/v1/training/users/{athlete.user_id}/metrics/volume?from=2026-01-02&to=2026-01-01"
    assert (await client.get(url, headers=bearer(athlete.user_id))).status == 422


async def test_a_report_is_bounded(
    client: Client, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (5, 6, 7):
        await athlete.create(date=f"2026-01-0{day}T12:00:00Z", exercises=[squat()])
    await volume.fold_log()
    monkeypatch.setattr(web.metrics, "MOST_ITEMS", 2)
    url = f"/api/v1/training/users/{athlete.user_id}/metrics/volume"
    answer = await client.get(url, headers=bearer(athlete.user_id))
    assert answer.status == 422
    assert len((await report(client, athlete, **{"from": "2026-01-06"}))["items"]) == 2
    assert len((await report(client, athlete, period="month"))["items"]) == 1


async def test_a_report_is_one_statement(db: Database, client: Client, athlete: Athlete) -> None:
    for period in ("session", "day", "week", "month"):
        before = db.statements
        await report(client, athlete, period=period)
        assert db.statements - before == 1
