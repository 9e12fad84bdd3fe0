"""Goals over REST, and how far the derived tables say that they are, on a real PostgreSQL."""

import datetime as dt
import threading
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import orjson
import pytest
from pydantic import BaseModel

import web.metrics
from analytics import goals as rules
from models.goal_reports import GoalProgressReport, GoalsProgressReport
from models.goals import GoalDocument, GoalPage
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import Athlete
from tests.support.bodies import squat
from tests.support.coaches import Person
from tests.support.names import Namer
from tests.support.reports import settle
from tests.support.web import Client, make_settings, serve
from web import advice_inputs, goals, memberships, phases

ROUTES = (*goals.ROUTES, *phases.ROUTES, *memberships.ROUTES)
BODY: dict[str, Any] = {
    "name": "Squat",
    "metric": "weight_kg",
    "movement": "name:squat",
    "target": 140,
    "start_day": "2026-01-05",
    "due": "2026-06-30",
}
LB = 0.45359237


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, settings=make_settings(phase_events_topic="p"), database=db) as client:
        yield client


@pytest.fixture
def person(client: Client, athlete: Athlete) -> Person:
    return Person(client, athlete.user_id, groups=["team"])


async def told(person: Person, path: str, model: type[BaseModel]) -> dict[str, Any]:
    """The document, which is exactly as its model says."""
    answer = await person.ask("GET", path)
    assert answer.status == 200, await answer.text()
    model.model_validate_json(await answer.read(), strict=True, extra="forbid")
    document: dict[str, Any] = await answer.json()
    return document


async def progress(person: Person, day: str = "2026-02-01", **changed: Any) -> dict[str, Any]:
    """How far such a new goal is on that day."""
    said = {name: value for name, value in (BODY | changed).items() if value is not None}
    made = await person.told("POST", person.address("/goals"), said)
    report = await told(person, person.address(f"/goals/{made['id']}/progress?day={day}"), GoalProgressReport)
    assert (report["day"], report["progress"]["goal"]) == (day, made)
    found: dict[str, Any] = report["progress"]
    return found


async def do(athlete: Athlete, day: str, *exercises: dict[str, Any], **fields: Any) -> UUID:
    return await athlete.create(date=f"{day}T12:00:00Z", exercises=list(exercises), **fields)


# The documents.


async def test_a_goal_from_its_creation_to_its_end(db: Database, person: Person) -> None:
    path = person.address("/goals")
    made = await person.ask("POST", path, BODY, **{"Idempotency-Key": "a"})
    document = await made.json()
    address = f"{path}/{document['id']}"
    assert (made.status, made.headers["ETag"], made.headers["Location"]) == (201, '"1"', address)
    again = await person.ask("POST", path, BODY, **{"Idempotency-Key": "a"})
    assert (again.status, await again.json(), again.headers["Idempotent-Replayed"]) == (201, document, "true")
    assert await told(person, address, GoalDocument) == document
    assert (await person.ask("GET", address, **{"If-None-Match": '"1"'})).status == 304

    changed = await person.ask("PUT", address, document | {"target": 142.5}, **{"If-Match": '"1"'})
    assert (changed.status, changed.headers["ETag"], (await changed.json())["target"]) == (200, '"2"', 142.5)
    late = await person.ask("PUT", address, BODY, **{"If-Match": '"1"'})
    assert (late.status, (await late.json())["version"]) == (412, 2)
    assert await told(person, path, GoalPage) == {"items": [await changed.json()]}
    assert (await person.ask("DELETE", address, **{"If-Match": '"2"'})).status == 204
    for method, where, body in (("GET", address, None), ("PUT", address, BODY), ("GET", f"{address}/progress", None)):
        assert (await person.ask(method, where, body)).status == 404, method
    assert (await told(person, f"{path}/progress", GoalsProgressReport))["items"] == []

    events = await db.all("SELECT topic, aggregate_type, event_type, payload FROM outbox ORDER BY seq")
    assert [row[:3] for row in events] == [("p", "goal", f"goal_{what}") for what in ("created", "updated", "deleted")]
    payload = orjson.loads(events[0][3])["payload"]
    ids = {"goal_id": document["id"], "user_id": str(person.user_id), "version": 1}
    assert orjson.dumps(payload) == orjson.dumps(ids | BODY)


async def test_an_id_is_a_goal_for_ever(person: Person) -> None:
    path, body = person.address("/goals"), BODY | {"id": str(uuid4())}
    assert [(await person.ask("POST", path, body)).status for _ in range(2)] == [201, 200]
    assert (await person.ask("POST", path, body | {"target": 1})).status == 409
    assert (await person.ask("DELETE", f"{path}/{body['id']}")).status == 204
    gone = await person.ask("POST", path, body)
    document = GoalDocument.model_validate_json(await gone.read(), strict=True, extra="forbid")
    assert (gone.status, document.version, document.deleted_at) == (200, 2, document.updated_at)


async def test_a_goal_of_a_metric_of_a_later_version_is_read_and_its_progress_left_out(
    db: Database, person: Person
) -> None:
    path = person.address("/goals")
    known, later = [await person.told("POST", path, BODY) for _ in range(2)]
    change = "UPDATE goals SET content = jsonb_set(content::jsonb, '{metric}', '\"pace\"') WHERE id = %s"
    await db.execute(change, [later["id"]])
    assert (await person.told("GET", f"{path}/{later['id']}"))["metric"] == "pace"
    report = await told(person, f"{path}/progress", GoalsProgressReport)
    assert [one["goal"]["id"] for one in report["items"]] == [known["id"]]
    refused = await person.ask("GET", f"{path}/{later['id']}/progress")
    assert (refused.status, "later version" in (await refused.json())["detail"]) == (404, True)


async def test_a_goal_that_is_said_again_stays_as_it_is(db: Database, person: Person) -> None:
    made = await person.told("POST", person.address("/goals"), BODY)
    address = person.address(f"/goals/{made['id']}")
    for body in (BODY, made):
        again = await person.ask("PUT", address, body, **{"If-Match": '"1"'})
        assert (again.status, again.headers["ETag"], await again.json()) == (200, '"1"', made)
    assert (await person.ask("PUT", address, BODY, **{"If-Match": '"2"'})).status == 412
    assert await db.one("SELECT count(*) FROM outbox") == (1,)


async def test_a_phase_whose_goal_is_deleted_stays_as_it_is(person: Person) -> None:
    made = await person.told("POST", person.address("/goals"), BODY)
    body = {"name": "Base", "kind": "mesocycle", "first": "2026-01-05", "last": "2026-01-11", "timezone": "UTC"}
    body |= {"schedule": [], "goal_id": made["id"]}
    phase = await person.told("POST", person.address("/phases"), body)
    assert (await person.ask("DELETE", person.address(f"/goals/{made['id']}"))).status == 204
    address = person.address(f"/phases/{phase['id']}")
    assert await person.told("GET", address) == phase
    changed = await person.told("PUT", address, phase | {"name": "Strength"})
    assert (changed["name"], changed["goal_id"]) == ("Strength", made["id"])
    other = await person.ask("POST", person.address("/phases"), body)
    assert (other.status, (await other.json())["errors"][0]["pointer"]) == (422, "/goal_id")


async def test_the_list_is_paged(person: Person) -> None:
    path = person.address("/goals")
    for number in range(3):
        await person.told("POST", path, BODY | {"name": f"g{number}"})
    first = await told(person, f"{path}?limit=2", GoalPage)
    rest = await told(person, f"{path}?limit=2&cursor={first['next_cursor']}", GoalPage)
    assert [goal["name"] for goal in (*first["items"], *rest["items"])] == ["g2", "g1", "g0"]
    assert "next_cursor" not in rest
    every = await told(person, f"{path}/progress", GoalsProgressReport)
    assert [item["goal"]["name"] for item in every["items"]] == ["g2", "g1", "g0"]


async def test_what_is_wrong_is_named(db: Database, person: Person) -> None:
    for changed, pointer in (
        ({"movement": "no-such"}, "/movement"),
        ({"movement": "l-sit", "metric": "reps"}, "/metric"),
        ({"movement": None}, "/movement"),
        ({"target": "140"}, "/target"),
        ({"metric": "weekly_trainings", "movement": None, "target": 200}, "/target"),
        ({"metric": "e1rm_kg", "movement": "barbell-bench-press", "target": -5}, "/target"),
        ({"due": "2026-01-05"}, "/due"),
        ({"luck": 1}, "/luck"),
    ):
        said = {name: value for name, value in (BODY | changed).items() if value is not None}
        answer = await person.ask("POST", person.address("/goals"), said)
        assert (answer.status, (await answer.json())["errors"][0]["pointer"]) == (422, pointer), changed
    assert await db.one("SELECT count(*) FROM goals") == (0,)


async def test_wrong_addresses_and_parameters(person: Person) -> None:
    made = await person.told("POST", person.address("/goals"), BODY)
    address = person.address(f"/goals/{made['id']}")
    other = await person.ask("PUT", address, BODY | {"id": str(uuid4())})
    assert (other.status, (await other.json())["errors"][0]["pointer"]) == (422, "/id")
    unknown = await person.ask("PUT", address, BODY | {"movement": "no-such"})
    assert (unknown.status, (await unknown.json())["type"]) == (422, "/problems#unknown-exercise")
    for query in ("day=yesterday", "day=0001-01-01", "at_least=1", "from=2026-01-05"):
        answer = await person.ask("GET", f"{address}/progress?{query}")
        assert (answer.status, (await answer.json())["errors"][0]["parameter"]) == (422, query.partition("=")[0])
    assert (await person.ask("GET", person.address(f"/goals/{uuid4()}/progress"))).status == 404


async def test_coaches_read_and_nobody_else_does(client: Client, person: Person) -> None:
    made = await person.told("POST", person.address("/goals"), BODY)
    coach, stranger = Person(client, coach_of=["team"]), Person(client)
    await person.admit("team", "read", "plan")
    path = person.address("/goals")
    places = (path, f"{path}/progress", f"{path}/{made['id']}", f"{path}/{made['id']}/progress")
    for place in places:
        assert await coach.told("GET", place) is not None
        assert (await stranger.ask("GET", place)).status == 404
    for who in (coach, stranger):
        for method, place, body in (("POST", path, BODY), ("PUT", places[2], BODY), ("DELETE", places[2], None)):
            assert (await who.ask(method, place, body)).status == 404, method
    assert (await stranger.ask("GET", stranger.address(f"/goals/{made['id']}/progress"))).status == 404
    assert [entry["operation"] for entry in await person.accesses()] == [
        "readGoalProgress", "readGoal", "readGoalsProgress", "listGoals"
    ]  # fmt: skip


# What is looked at.


async def test_a_weight_from_before_since_and_at_the_target(db: Database, athlete: Athlete, person: Person) -> None:
    before = await do(athlete, "2026-01-01", squat(weight=100), squat(weight=90))
    best = await do(athlete, "2026-01-12", squat(weight=120, sets=2))
    await do(athlete, "2026-01-19", squat(weight=110), status="PLANNED")
    await do(athlete, "2026-01-20", squat(weight=150) | {"sets": [{"weight": 150, "reps": 1, "type": "warmup"}]})
    await settle(db)
    found = await progress(person)
    assert (found["start_value"], found["best_value"], found["share"], found["unit"]) == (100, 120, 0.5, "kg")
    assert (found["achieved_on"], found["state"]) == (None, "unknown")
    assert found["reason"] == found["forecast_reason"] == "A forecast needs 6 values, and there are 2."
    assert found["evidence"] == {
        "start": {"day": "2026-01-01", "value": 100, "training_id": str(before)},
        "best": {"day": "2026-01-12", "value": 120, "training_id": str(best)},
        "achieved": None,
        "points": [
            {"day": "2026-01-01", "value": 100, "training_id": str(before)},
            {"day": "2026-01-12", "value": 120, "training_id": str(best)},
        ],
    }
    reached = await progress(person, target=120)
    assert (reached["state"], reached["achieved_on"], reached["forecast"]) == ("achieved", "2026-01-12", None)
    assert reached["evidence"]["achieved"]["training_id"] == str(best)
    assert (reached["share"], reached["share_reason"]) == (1, None)
    earlier = await progress(person, "2026-01-11", target=120)
    assert (earlier["achieved_on"], earlier["best_value"], earlier["share"]) == (None, None, None)
    assert earlier["share_reason"] == "There is no value since Monday, 5 January 2026."
    assert (await progress(person, metric="hold_seconds"))["reason"] == (
        "Since Sunday, 9 November 2025 it was trained on 3 days, and no set of it that counts was held, with its "
        "seconds and no repetition."
    )

    await athlete.update(best, date="2026-01-12T12:00:00Z", exercises=[squat(weight=115)])
    await settle(db)
    assert ((await progress(person))["share"], (await progress(person, target=120))["achieved_on"]) == (0.375, None)
    await athlete.delete(best)
    await settle(db)
    assert (await progress(person))["best_value"] is None


async def test_what_may_take_seconds_is_computed_beside_the_loop(
    db: Database, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, threads = rules.progress, []

    def recorded(*arguments: Any, **named: Any) -> rules.Progress:
        threads.append(threading.get_ident())
        return compute(*arguments, **named)

    monkeypatch.setattr(rules, "progress", recorded)
    await progress(person)
    await person.told("GET", person.address("/goals/progress?day=2026-02-01"))
    await advice_inputs.read_inputs(db, person.user_id, dt.date(2026, 2, 1), await read_catalogue(db))
    assert len(threads) == 3
    assert threading.get_ident() not in threads


async def test_each_metric_of_a_movement(db: Database, athlete: Athlete, person: Person) -> None:
    sets = [{"weight": 100, "reps": 5}, {"weight": 80, "reps": 10}, {"weight": -10, "reps": 15}]
    done = await do(
        athlete,
        "2026-01-12",
        {"name": "Squat", "sets": sets},
        squat(weight=90, reps=6),
        {"name": "Plank", "sets": [{"duration_seconds": 61.5}, {"duration_seconds": 45}]},
    )
    small = await athlete.create(date="2026-01-12T18:00:00Z", exercises=[squat(weight=105, reps=1)])
    await settle(db)
    for changed, value, training in (
        ({"metric": "e1rm_kg"}, 116.6667, done),
        ({"metric": "weight_kg"}, 105, small),
        ({"metric": "reps"}, 10, done),
        ({"metric": "reps", "at_weight_kg": 85}, 6, done),
        ({"metric": "reps", "at_weight_kg": -10}, 15, done),
        ({"metric": "hold_seconds", "movement": "name:plank"}, 61.5, done),
        ({"metric": "session_volume_kg"}, 500 + 800 + 540, done),
    ):
        found = await progress(person, **changed)
        assert found["evidence"]["best"] == {"day": "2026-01-12", "value": value, "training_id": str(training)}, changed
    assert (await progress(person, metric="reps", at_weight_kg=106))["best_value"] is None
    assert (await progress(person, metric="hold_seconds"))["best_value"] is None


async def test_pounds_reach_the_kilograms_that_they_are_told_as(db: Database, athlete: Athlete, person: Person) -> None:
    await do(athlete, "2026-01-12", {"name": "Squat", "sets": [{"weight": 225, "unit": "lb", "reps": 3}]})
    await settle(db)
    target = round(225 * LB, 4)  # above what 225 pounds are
    assert target > 225 * LB
    assert (await progress(person, target=target))["achieved_on"] == "2026-01-12"
    assert (await progress(person, metric="reps", at_weight_kg=target, target=3))["achieved_on"] == "2026-01-12"


async def test_help_is_no_weight(db: Database, athlete: Athlete, person: Person) -> None:
    """wger's issue 1656, openGym's 176."""
    assisted = {"name": "Pull-up (assisted)", "sets": [{"weight": 30, "reps": 8}]}
    pulls = {"name": "Pull-up", "sets": [{"weight": -20, "reps": 8}]}
    await do(athlete, "2026-01-12", assisted, pulls)
    await settle(db)
    called, own = {"movement": "name:pull-up (assisted)"}, {"movement": "name:pull-up"}
    assert (await progress(person, **called))["best_value"] is None
    assert (await progress(person, **called, metric="session_volume_kg"))["best_value"] is None
    assert (await progress(person, **called, metric="reps", target=8))["achieved_on"] is None
    assert (await progress(person, **own, target=-20))["achieved_on"] == "2026-01-12"
    assert (await progress(person, **own, metric="reps", target=8))["achieved_on"] is None


async def test_an_estimate_that_wants_a_body_mass_says_so(db: Database, athlete: Athlete, person: Person) -> None:
    aim = {"metric": "e1rm_kg", "movement": "pull-up", "target": 20}
    pull = {"name": "Pull-up", "exercise": "pull-up"}
    trained = "Since Sunday, 9 November 2025 it was trained on"
    lacks = (
        "and no set of it that counts has 1 to 12 repetitions with a load (where your body is part of it, log your "
        "body mass with the training)."
    )
    await do(athlete, "2026-01-12", pull | {"sets": [{"weight": 10, "reps": 13}]})
    await settle(db)
    assert (await progress(person, **aim))["reason"] == f"{trained} a day, {lacks}"
    await do(athlete, "2026-01-13", pull | {"sets": [{"weight": 10, "reps": 12}, {"weight": 5, "reps": 13}]})
    await settle(db)
    assert (await progress(person, **aim))["reason"] == (
        f"{trained} 2 days, without a body mass: its e1RM has the body's part of the load in it. Log your body mass "
        "with the training."
    )
    await do(athlete, "2026-01-14", pull | {"sets": [{"weight": 10, "reps": 5}]}, bodyweight_kg=80)
    await settle(db)
    assert (await progress(person, **aim))["best_value"] > 10


async def test_days_are_the_athletes(db: Database, athlete: Athlete, person: Person) -> None:
    """FitTrackee's issue 683."""
    await athlete.create(date="2026-01-05T23:30:00Z", timezone="Europe/Berlin", exercises=[squat(weight=100)])
    await settle(db)
    assert (await progress(person))["evidence"]["best"]["day"] == "2026-01-06"
    assert (await progress(person, "2026-01-05"))["best_value"] is None


async def test_a_name_goes_on_to_name_what_it_did(db: Database, athlete: Athlete, person: Person) -> None:
    await do(athlete, "2026-01-12", squat(weight=100))
    await do(athlete, "2026-01-13", squat(weight=200, exercise="pistol-squat"))
    await Namer(db, athlete).means("Squat", exercise="pistol-squat")
    await settle(db)
    by_name, by_slug = await progress(person), await progress(person, movement="pistol-squat")
    assert [point["value"] for point in by_name["evidence"]["points"]] == [100]
    assert [point["value"] for point in by_slug["evidence"]["points"]] == [100, 200]
    doubled = await progress(person, metric="session_volume_kg", movement="name:SQUAT")
    assert doubled["best_value"] == 500


async def test_weeks_of_all_training(db: Database, athlete: Athlete, person: Person) -> None:
    for day in ("2026-01-04", "2026-01-05", "2026-01-07", "2026-01-11", "2026-01-19"):
        await do(athlete, day, squat(weight=100, sets=2), squat(name="Row", weight=10))
    await settle(db)
    none = {"movement": None}
    found = await progress(person, **none, metric="weekly_trainings", target=3, start_day="2026-01-02")
    assert (found["achieved_on"], found["unit"]) == ("2026-01-11", "trainings")
    assert [(point["day"], point["value"]) for point in found["evidence"]["points"]] == [
        ("2025-12-29", 1), ("2026-01-05", 3), ("2026-01-12", 0), ("2026-01-19", 1), ("2026-01-26", 0)
    ]  # fmt: skip
    assert found["evidence"]["achieved"] == {"day": "2026-01-11", "value": 3}
    assert (await progress(person, **none, metric="weekly_hard_sets"))["best_value"] == 9
    volume = await progress(person, **none, metric="weekly_volume_kg", target=10_000, start_day="2026-01-06")
    assert (volume["start_value"], volume["best_value"], volume["share"]) == (1050, 2100, round(1050 / 8950, 4))


async def test_a_forecast_of_twelve_weeks(db: Database, athlete: Athlete, person: Person) -> None:
    for week in range(12):
        day = dt.date(2026, 1, 5) + dt.timedelta(weeks=week)
        await do(athlete, str(day), squat(weight=100 + 2.5 * week + (-1) ** week))
    await settle(db)
    found = await progress(person, "2026-03-24")
    assert (found["state"], found["forecast"]["observations"]) == ("on_track", 12)
    assert found["forecast"]["low"] < found["forecast"]["value"] < found["forecast"]["high"]
    assert found["forecast"]["coverage"] == 0.8
    assert 2.4 < found["forecast"]["slope_per_week"] < 2.6
    days = found["forecast"]["reached"]
    assert "2026-03-24" < days["earliest"] < days["expected"] < days["latest"] < "2026-06-30"
    (item,) = (await told(person, person.address("/goals/progress?day=2026-03-24"), GoalsProgressReport))["items"]
    assert item["evidence"].pop("points", None) is None
    del found["evidence"]["points"]
    assert item == found
    assert (await progress(person, "2026-03-24", target=200))["state"] == "behind"
    assert (await progress(person, "2026-07-01"))["state"] == "missed"


async def test_without_a_day_it_is_the_present_one_where_the_latest_training_was(
    db: Database, athlete: Athlete, person: Person
) -> None:
    async def day() -> str:
        report = await told(person, person.address("/goals/progress"), GoalsProgressReport)
        return str(report["day"])

    def today(zone: str) -> str:
        return str(dt.datetime.now(ZoneInfo(zone)).date())

    before = today("UTC")
    assert await day() in (before, today("UTC"))
    for date, zone in (("2026-01-05", "Pacific/Kiritimati"), ("2026-01-06", "Pacific/Pago_Pago")):
        await do(athlete, date, squat(), timezone=zone)
        await settle(db)
        before = today(zone)
        assert await day() in (before, today(zone)), zone


async def test_it_says_how_fresh_it_is(
    db: Database, athlete: Athlete, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.metrics, "PAUSES", (0.01,))
    done = await do(athlete, "2026-01-12", squat(weight=150))
    made = await person.told("POST", person.address("/goals"), BODY)
    place = person.address(f"/goals/{made['id']}/progress?at_least={done}:1")
    behind = await told(person, place, GoalProgressReport)
    assert (behind["stale"], behind["progress"]["achieved_on"]) == (True, None)
    assert behind["method"]["version"] == rules.METHOD_VERSION
    await settle(db)
    now = await told(person, place, GoalProgressReport)
    assert (now["stale"], now["progress"]["achieved_on"]) == (False, "2026-01-12")
    assert dt.datetime.fromisoformat(now["as_of"]) > dt.datetime.fromisoformat(behind["as_of"])
