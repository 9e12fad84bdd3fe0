"""The calendar over HTTP: what was planned, and what became of it."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from models.calendar import Calendar
from storage.database import Database
from tests.support.coaches import Person
from tests.support.web import Client, make_settings, serve
from web import calendar, memberships, phases, trainings, workouts

ROUTES = (*calendar.ROUTES, *phases.ROUTES, *workouts.ROUTES, *trainings.ROUTES, *memberships.ROUTES)
TRAININGS = "/api/v1/trainings"


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, settings=make_settings(events_topic="t"), database=db) as client:
        yield client


@pytest.fixture
def athlete(client: Client) -> Person:
    return Person(client, groups=["team"])


async def of(person: Person, query: str, athlete: Person | None = None) -> dict[str, Any]:
    """The calendar, whose document is as it is described."""
    document: dict[str, Any] = await person.told("GET", (athlete or person).address(f"/calendar?{query}"))
    Calendar.model_validate(document)
    return document


async def planned(athlete: Person) -> tuple[dict[str, Any], list[str]]:
    """A phase of five trainings, Monday to Friday, 5 to 9 January 2026; and their ids."""
    workout = await athlete.told("POST", athlete.address("/workouts"), {"name": "Pull"})
    body = {
        "name": "Base",
        "first": "2026-01-05",
        "last": "2026-01-11",
        "timezone": "Asia/Tokyo",
        "schedule": [{"workout_id": workout["id"], "weekday": day, "time": "07:00"} for day in range(1, 6)],
    }
    phase = await athlete.told("POST", athlete.address("/phases"), body)
    items = (await of(athlete, "from=2026-01-05&to=2026-01-11&day=2026-01-05"))["items"]
    return phase, [item["training_id"] for item in items]


async def put(athlete: Person, id_: str, **fields: Any) -> None:
    """Change a training."""
    document = await athlete.told("GET", f"{TRAININGS}/{id_}")
    await athlete.told("PUT", f"{TRAININGS}/{id_}", document | fields)


async def test_what_became_of_each_training(athlete: Person, db: Database) -> None:
    phase, (done, missed, skipped, moved, begun) = await planned(athlete)
    await put(athlete, done, status="COMPLETED")
    await put(athlete, skipped, skipped_at="2026-01-06T22:00:00Z", skip_reason="A cold.")
    await put(athlete, moved, date="2026-01-10T07:00:00+09:00")
    await put(athlete, begun, status="IN_PROGRESS")
    alone = await athlete.told("POST", TRAININGS, {"date": "2026-01-07T07:00:00Z", "title": "Run"})
    gone = await athlete.told("POST", TRAININGS, {"date": "2026-01-07T07:00:00Z"})
    await athlete.told("DELETE", f"{TRAININGS}/{gone['id']}")
    before = db.statements
    found = await of(athlete, "from=2026-01-05&to=2026-01-11&day=2026-01-07")
    assert db.statements - before == 1
    assert (found["from"], found["to"], found["day"]) == ("2026-01-05", "2026-01-11", "2026-01-07")
    told = ("first", "last", "kind", "name")
    assert [{name: each[name] for name in told} | {"id": each["id"]} for each in found["phases"]] == [
        {name: phase[name] for name in (*told, "id")}
    ]
    states = {item["training_id"]: item["state"] for item in found["items"]}
    assert states == {
        done: "done",
        missed: "missed",
        skipped: "skipped",
        alone["id"]: "planned",
        moved: "moved",
        begun: "begun",
    }
    items = {item["training_id"]: item for item in found["items"]}
    assert [item["day"] for item in found["items"]] == sorted(item["day"] for item in found["items"])
    assert items[moved] == {
        "day": "2026-01-10",
        "date": "2026-01-09T22:00:00Z",
        "timezone": "Asia/Tokyo",
        "training_id": moved,
        "title": "Pull",
        "status": "PLANNED",
        "state": "moved",
        "reason": "It was moved; “Base”, week 1, lays it on Thursday, 8 January 2026.",
        "laid_day": "2026-01-08",
        "phase_id": phase["id"],
        "phase_name": "Base",
        "week": 1,
        "workout_id": phase["schedule"][0]["workout_id"],
        "deload": False,
    }
    assert items[skipped]["skip_reason"] == "A cold."
    assert {"phase_id", "laid_day", "week", "workout_id"}.isdisjoint(items[alone["id"]])
    assert items[alone["id"]]["reason"] == "It is planned."
    # A phase that moves takes the laid days with it: nothing is moved by that.
    address = athlete.address(f"/phases/{phase['id']}")
    await athlete.told("PUT", address, phase | {"first": "2026-01-12", "last": "2026-01-18", "deload": True})
    later = {item["training_id"]: item for item in (await of(athlete, "from=2026-01-12&day=2026-01-07"))["items"]}
    assert {id_: (item["state"], item["day"], item["laid_day"]) for id_, item in later.items()} == {
        missed: ("planned", "2026-01-13", "2026-01-13"),
        moved: ("moved", "2026-01-17", "2026-01-15"),
    }
    assert {item["deload"] for item in later.values()} == {True}
    await athlete.told("DELETE", address)
    left = await of(athlete, "from=2026-01-01&to=2026-02-01&day=2026-01-07")
    assert left["phases"] == []
    assert {item["training_id"] for item in left["items"]} == {done, skipped, begun, alone["id"]}
    assert all("phase_id" not in item for item in left["items"])


async def test_without_a_range_it_is_this_week_and_the_next_four(athlete: Person) -> None:
    found = await of(athlete, "day=2026-01-07")
    assert (found["from"], found["to"], found["items"], found["phases"]) == ("2026-01-05", "2026-02-08", [], [])
    found = await of(athlete, "day=2026-01-07&from=2026-03-04")
    assert (found["from"], found["to"]) == ("2026-03-04", "2026-04-05")
    # Today is the day in the zone of what is planned last, before anything is completed.
    far = "Pacific/Kiritimati"
    await athlete.told("POST", TRAININGS, {"date": "2030-01-07T07:00:00Z", "timezone": far})
    today = dt.datetime.now(dt.UTC) + dt.timedelta(hours=14)
    assert (await of(athlete, ""))["day"] in {str(today.date()), str((today - dt.timedelta(seconds=30)).date())}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("from=2026-01-01&to=2027-01-02", "to"),
        ("to=2026-01-01", "to"),
        ("from=x", "from"),
        ("from=9999-12-31", "from"),
        ("day=0001-01-01", "day"),
        ("week=1", "week"),
    ],
)
async def test_bad_ranges_are_refused_by_name(athlete: Person, query: str, parameter: str) -> None:
    answer = await athlete.ask("GET", athlete.address(f"/calendar?{query}"))
    assert answer.status == 422
    assert (await answer.json())["errors"][0]["parameter"] == parameter
    assert (await athlete.ask("GET", athlete.address("/calendar?from=2026-01-01&to=2027-01-01"))).status == 200


async def test_a_coach_sees_what_the_coach_hides(athlete: Person, client: Client) -> None:
    coach = Person(client, coach_of=["team"])
    _, ids = await planned(athlete)
    await athlete.admit("team", "read", "plan")
    hidden = {"date": "2026-01-05T20:00:00Z", "group_external_id": "team", "hidden": True}
    made = await coach.told("POST", athlete.address("/trainings"), hidden)
    query = "from=2026-01-05&to=2026-01-11"
    seen = {item["training_id"] for item in (await of(coach, query, athlete))["items"]}
    assert seen == {*ids, made["id"]}
    assert {item["training_id"] for item in (await of(athlete, query))["items"]} == set(ids)
    assert (await Person(client).ask("GET", athlete.address("/calendar"))).status == 404
    assert (await coach.ask("GET", athlete.address(f"/calendar?day={uuid4()}"))).status == 422
