"""GET /users/{userId}/metrics/volume, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

import web.metrics
from agents.volume import VolumeFold
from analytics.volume import METHOD_VERSION
from models.volume_reports import (
    CategoryItem,
    DayItem,
    MonthItem,
    MuscleItem,
    PhaseItem,
    SessionItem,
    VolumeReport,
    WeekItem,
)
from storage.database import Database
from storage.exercises import read_catalogue
from storage.trainings import Author
from tests.support.athletes import TOPIC, Athlete, published
from tests.support.bodies import squat
from tests.support.phases import PhasePlanner
from tests.support.reports import METRICS, faults
from tests.support.reports import report as read_report
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
    return await read_report(client, athlete, "volume", VolumeReport, **query)


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
    assert found["day"]["method"]["version"] == METHOD_VERSION


async def test_a_phase_sums_up_its_days(db: Database, client: Client, volume: VolumeFold) -> None:
    """Whoever planned what was done on them. A microcycle's days are its mesocycle's, too."""
    planner = await PhasePlanner.of(db)
    athlete, other = Athlete(db, planner.catalogue), Athlete(db, planner.catalogue)
    planner.author, planner.user_id = Author(athlete.user_id, "athlete"), athlete.user_id
    base = await planner.make(planner.body(name="Base", schedule=[]))
    light = {"first": "2026-01-12", "last": "2026-01-18", "parent_id": str(base.id), "kind": "microcycle"}
    easy = await planner.make(planner.body(name="Easy", schedule=[], deload=True, **light))
    gone = await planner.make(planner.body(name="Gone", schedule=[], first="2026-02-01", last="2026-02-07"))
    await planner.end(gone.id)
    await planner.make(planner.body(name="Idle", schedule=[], first="2026-03-01", last="2026-03-07"))
    for each, day in ((athlete, 4), (athlete, 5), (athlete, 12), (athlete, 18), (athlete, 19), (other, 12)):
        await each.create(date=f"2026-01-{day:02}T12:00:00Z", exercises=[squat(reps=day)])
    await athlete.create(date="2026-02-02T12:00:00Z", exercises=[squat()])
    await volume.fold_log()

    before = db.statements
    items = (await report(client, athlete, period="phase"))["items"]
    assert db.statements - before == 1
    assert [(item.phase_id, item.reps, item.sessions) for item in map(PhaseItem.model_validate, items)] == [
        (base.id, 5 + 12 + 18, 3),
        (easy.id, 12 + 18, 2),
    ]
    ((first, *_), names) = items, [(item["name"], item["kind"], item["deload"]) for item in items]
    assert names == [("Base", "mesocycle", False), ("Easy", "microcycle", True)]
    assert (first["first"], first["last"]) == ("2026-01-05", "2026-01-18")
    cut = await report(client, athlete, period="phase", **{"from": "2026-01-06", "to": "2026-01-17"})
    assert [(item["name"], item["reps"]) for item in cut["items"]] == [("Base", 12), ("Easy", 12)]
    assert (await report(client, other, period="phase"))["items"] == []


async def test_numbers_are_exact_and_what_is_unknown_is_absent(
    client: Client, athlete: Athlete, volume: VolumeFold
) -> None:
    await athlete.create(date="2026-01-05T12:00:00Z", exercises=[squat(weight=102.5, reps=3)])
    await athlete.create(date="2026-01-06T12:00:00Z", exercises=[HALF], bodyweight_kg=80.5, session_rpe=6.5)
    await volume.fold_log()
    url = METRICS.format(athlete.user_id, "volume")
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


# Work: 30 repetitions of strength; of skill 30 s, which are 10 units.
SKILL = [
    {"name": "Push-up", "exercise": "push-up", "sets": [{"reps": 10}, {"reps": 12, "tempo": "1-0-1-0"}, {"reps": 8}]},
    {"name": "Planche", "exercise": "tuck-planche", "sets": [{"duration_seconds": 12}, {"duration_seconds": 18}]},
    {"name": "Carry", "sets": [{"reps": 1, "weight": 40}]},
]


async def test_a_session_has_its_metrics_and_all_periods_the_work(
    db: Database, client: Client, athlete: Athlete, volume: VolumeFold
) -> None:
    for day, more in ((5, {"duration_seconds": 2400}), (6, {})):
        await athlete.create(date=f"2026-01-0{day}T12:00:00Z", exercises=SKILL, **more)
    await volume.fold_log()
    timed, untimed = (await report(client, athlete, period="session"))["items"]
    difficulty = dict(await db.all("SELECT slug, difficulty FROM catalogue WHERE slug IN ('push-up', 'tuck-planche')"))
    intensity = (30 * difficulty["push-up"] + 10 * difficulty["tuck-planche"]) / 40
    assert (
        timed["metrics"]
        == untimed["metrics"]
        == {
            "total_reps": 31,
            "total_time_under_tension": 54,
            "skill_work_volume": 10,
            "strength_volume": 30,
            "estimated_intensity": intensity,
        }
    )
    assert timed["density"] == 41 / 40  # of all work, in 40 minutes
    assert "density" not in untimed
    assert 0.5 <= timed["relative_intensity"] < 1
    for period in ("day", "week", "month"):
        items = (await report(client, athlete, period=period))["items"]
        assert sum(item["skill_work"] for item in items) == 20
        assert sum(item["strength_work"] for item in items) == 60


async def test_weeks_are_told_apart_by_category_and_by_muscle(
    client: Client, athlete: Athlete, volume: VolumeFold
) -> None:
    for day in ("2026-01-05", "2026-01-11", "2026-01-12"):
        await athlete.create(date=f"{day}T12:00:00Z", exercises=SKILL)
    await volume.fold_log()
    found = await report(client, athlete, period="week", by="category")
    assert found["by"] == "category"
    weeks = [CategoryItem.model_validate(item) for item in found["items"]]
    assert [(week.week, week.category, week.sets, week.work) for week in weeks] == [
        ("2026-W02", "Push", 6, 60),
        ("2026-W02", "Skill", 4, 20),
        ("2026-W02", None, 2, 2),
        ("2026-W03", "Push", 3, 30),
        ("2026-W03", "Skill", 2, 10),
        ("2026-W03", None, 1, 1),
    ]
    found = await report(client, athlete, period="week", by="muscle", **{"from": "2026-01-12"})
    sets = {item.muscle: item.sets for item in map(MuscleItem.model_validate, found["items"])}
    # Primary of both; of the push-up alone; and primary of one, secondary of neither.
    assert (sets["chest"], sets["triceps"]) == (5, 3)
    for ends, expected in (
        ({"from": "2026-01-08", "to": "2026-01-09"}, {"2026-W02"}),  # whole weeks that have a day of it
        ({"from": "2026-01-12"}, {"2026-W03"}),
        ({"to": "2026-01-04"}, set()),
    ):
        items = (await report(client, athlete, period="week", by="muscle", **ends))["items"]
        assert {item["week"] for item in items} == expected


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


async def test_a_wrong_query_is_told(client: Client, athlete: Athlete) -> None:
    for parameter, query in (
        ("period", {"period": "year"}),
        ("from", {"from": "yesterday"}),
        ("to", {"to": "2026-02-30"}),
        ("since", {"since": "2026-01-01"}),
        ("by", {"by": "category"}),
        ("by", {"by": "muscle", "period": "month"}),
        ("by", {"by": "family", "period": "week"}),
        ("at_least", {"at_least": "0193f1a0-0000-7000-8000-000000000001:0"}),
        ("to", {"from": "2026-01-02", "to": "2026-01-01"}),
    ):
        assert await faults(client, athlete, "volume", **query) == [parameter]


async def test_the_version_that_is_waited_for_is_asked_for_in_words(client: Client, athlete: Athlete) -> None:
    url = METRICS.format(athlete.user_id, "volume")
    answer = await client.get(f"{url}?at_least=abc", headers=bearer(athlete.user_id))
    assert (await answer.json())["detail"] == "at_least: must be <training id>:<version>."


async def test_a_report_is_bounded(
    client: Client, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (5, 6, 7):
        await athlete.create(date=f"2026-01-0{day}T12:00:00Z", exercises=[squat()])
    await volume.fold_log()
    monkeypatch.setattr(web.metrics, "MOST_ITEMS", 2)
    url = METRICS.format(athlete.user_id, "volume")
    answer = await client.get(f"{url}?from=2026-01-05", headers=bearer(athlete.user_id))
    assert answer.status == 422
    assert (await answer.json())["errors"] == [
        {"parameter": "from", "message": "must be later"},
        {"parameter": "to", "message": "must be given"},
    ]
    assert len((await report(client, athlete, **{"from": "2026-01-06"}))["items"]) == 2
    assert len((await report(client, athlete, period="month"))["items"]) == 1


async def test_a_report_is_one_statement(db: Database, client: Client, athlete: Athlete) -> None:
    for period in ("session", "day", "week", "month"):
        before = db.statements
        await report(client, athlete, period=period)
        assert db.statements - before == 1
