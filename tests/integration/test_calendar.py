"""The calendar over HTTP: what was planned, and what became of it."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from models.calendar import Calendar
from storage.database import Database
from tests.support.coaches import Person
from tests.support.web import Client, make_settings, serve
from web import calendar, memberships, phases, progression, trainings, workouts

OF_PLANS = (*calendar.ROUTES, *phases.ROUTES, *workouts.ROUTES, *progression.ROUTES)
ROUTES = (*OF_PLANS, *trainings.ROUTES, *memberships.ROUTES)
TRAININGS = "/api/v1/trainings"
DOUBLE = {"kind": "double", "increment": 2.5, "rounding": 2.5}
CURL = {"name": "Curl", "sets": 3, "reps": {"min": 8, "max": 12}, "weight": 21.25, "progression": DOUBLE}
STRETCH = {"name": "Stretch", "sets": 1, "hold_seconds": 30}
_ACCEPT = """
INSERT INTO advice (user_id, id, day, undone, content, digest) VALUES (%s, %s, %s, %s, %s, '')
"""


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, settings=make_settings(events_topic="t"), database=db) as client:
        yield client


@pytest.fixture
def athlete(client: Client) -> Person:
    return Person(client, groups=["team"])


async def of(person: Person, query: str, athlete: Person | None = None) -> dict[str, Any]:
    """The calendar, whose document is exactly as it is described."""
    document: dict[str, Any] = await person.told("GET", (athlete or person).address(f"/calendar?{query}"))
    Calendar.model_validate_json(orjson.dumps(document), strict=True, extra="forbid")
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
        "prescriptions": None,
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


class Lifter:
    """An athlete with a phase of two weeks from 5 January 2026 on: curls on Mondays and Thursdays, by a rule."""

    def __init__(self, athlete: Person) -> None:
        self.athlete = athlete
        self.workout: dict[str, Any] = {}

    async def begin(self) -> None:
        """Save the workout, and lay it."""
        body = {"name": "Arms", "exercises": [CURL, STRETCH]}
        self.workout = await self.athlete.told("POST", self.athlete.address("/workouts"), body)
        slots = [{"workout_id": self.workout["id"], "weekday": day} for day in (1, 4)]
        phase = {"name": "Base", "first": "2026-01-05", "last": "2026-01-18", "schedule": slots}
        await self.athlete.told("POST", self.athlete.address("/phases"), phase)

    async def items(self, query: str = "from=2026-01-05&to=2026-01-18&day=2026-01-05") -> list[dict[str, Any]]:
        """The trainings of the calendar."""
        found: list[dict[str, Any]] = (await of(self.athlete, query))["items"]
        return found

    async def next(self, day: str) -> list[dict[str, Any]]:
        """What the workout's own report prescribes on a day, without the evidence."""
        path = self.athlete.address(f"/workouts/{self.workout['id']}/next?day={day}")
        items: list[dict[str, Any]] = (await self.athlete.told("GET", path))["items"]
        for item in items:
            item["prescription"].pop("evidence")
        return items

    async def train(self, item: dict[str, Any], weight: float) -> None:
        """Do a planned training, each set with 12 repetitions."""
        training = await self.athlete.told("GET", f"{TRAININGS}/{item['training_id']}")
        for set_ in training["exercises"][0]["sets"]:
            set_ |= {"done": True, "reps": 12, "weight": weight}
        await put(self.athlete, item["training_id"], status="COMPLETED", exercises=training["exercises"])

    async def accept(
        self, db: Database, kind: str, *changes: dict[str, Any], undone: bool = False, exercise_id: str | None = None
    ) -> str:
        """Have advice accepted that did this to trainings, about an exercise or none."""
        id_, content = uuid4(), {"kind": kind, "title": f"Do {kind}", "changes": changes}
        content["subject"] = {"kind": "day"} if exercise_id is None else {"exercise_id": exercise_id}
        said = orjson.dumps(content).decode()
        await db.execute(_ACCEPT, [self.athlete.user_id, id_, dt.date(2026, 1, 5), undone, said])
        return str(id_)


async def test_the_next_session_says_what_it_prescribes_and_later_ones_follow_from_it(
    athlete: Person, db: Database
) -> None:
    lifter = Lifter(athlete)
    await lifter.begin()
    first, *later = await lifter.items()
    assert first["prescriptions"] == await lifter.next("2026-01-05")
    curl, stretch = (one["prescription"] for one in first["prescriptions"])
    assert (curl["weight"], curl["display_weight"], curl["decision"]) == (21.25, 20, "start")
    assert stretch["hold_seconds"] == 30
    assert "prescriptions_reason" not in first
    reason = (
        "The numbers follow from the session of Monday, 5 January 2026, which comes first: they are told when that is "
        "done."
    )
    assert [(one["prescriptions"], one["prescriptions_reason"]) for one in later] == [(None, reason)] * 3
    # What was done moves the numbers on, to the session after it; the training itself stays as it was laid.
    await lifter.train(first, 21.25)
    before = db.statements
    done, second, *_ = await lifter.items()
    assert db.statements - before == 2
    assert (done["prescriptions"], "prescriptions_reason" in done) == (None, False)
    assert second["prescriptions"] == await lifter.next("2026-01-08")
    assert second["prescriptions"][0]["prescription"]["weight"] == 23.75
    laid = await athlete.told("GET", f"{TRAININGS}/{second['training_id']}")
    assert laid["exercises"][0]["sets"][0]["target"]["weight"] == 21.25
    # Where the session that comes first is not in the range, nothing more is read.
    before = db.statements
    beyond = await of(athlete, "from=2026-01-12&to=2026-01-18&day=2026-01-06")
    assert db.statements - before == 1
    assert "method" not in beyond
    assert {one["prescriptions_reason"].split(",")[1] for one in beyond["items"]} == {" 8 January 2026"}
    # One that was given up is not waited for, and neither is one whose day is over.
    await put(athlete, second["training_id"], skipped_at="2026-01-08T12:00:00Z")
    *_, third, fourth = await lifter.items()
    assert third["prescriptions"] == await lifter.next("2026-01-12")
    assert (fourth["prescriptions"], "Monday, 12 January" in fourth["prescriptions_reason"]) == (None, True)
    *_, third, fourth = await lifter.items("from=2026-01-05&to=2026-01-18&day=2026-01-13")
    assert (third["prescriptions"], fourth["prescriptions"]) == (None, await lifter.next("2026-01-15"))


async def test_a_session_of_a_deload_prescribes_half_the_sets_and_says_so(athlete: Person, db: Database) -> None:
    lifter = Lifter(athlete)
    await lifter.begin()
    easy = {"name": "Easy", "kind": "microcycle", "deload": True, "first": "2026-01-05", "last": "2026-01-06"}
    await athlete.told("POST", athlete.address("/phases"), easy)
    before = db.statements
    first, second, third, fourth = await lifter.items()
    assert db.statements - before == 2
    assert first["prescriptions"] == await lifter.next("2026-01-05")
    assert first["prescriptions"][0]["prescription"]["sets"] == 2
    assert (first["deload"], second["deload"]) == (True, False)
    # Nothing follows from it: the first one after it tells its numbers too.
    assert second["prescriptions"] == await lifter.next("2026-01-08")
    assert second["prescriptions"][0]["prescription"]["sets"] == 3
    assert [one["prescriptions"] for one in (third, fourth)] == [None, None]
    assert all("of Thursday, 8 January 2026, which" in one["prescriptions_reason"] for one in (third, fourth))
    # Also where the light one is not shown; and what was done between the two speaks for the later one only.
    shown, *_ = await lifter.items("from=2026-01-08&to=2026-01-18&day=2026-01-05")
    assert shown["prescriptions"] == second["prescriptions"]
    path = athlete.address(f"/workouts/{lifter.workout['id']}/trainings")
    between = await athlete.told("POST", path, {"date": "2026-01-07T12:00:00Z"})
    await lifter.train({"training_id": between["id"]}, 21.25)
    easier, _, further, *_ = await lifter.items()
    assert easier["prescriptions"] == first["prescriptions"] == await lifter.next("2026-01-05")
    assert further["prescriptions"] == await lifter.next("2026-01-08")
    assert further["prescriptions"][0]["prescription"]["weight"] == 23.75
    await athlete.told("DELETE", f"{TRAININGS}/{between['id']}")
    assert first["reason"].endswith("Its day lies in a deload, which prescribes half the sets.")
    await put(athlete, first["training_id"], skipped_at="2026-01-05T12:00:00Z")
    light = {"training_id": second["training_id"], "day": "2026-01-08"}
    moved = {"training_id": second["training_id"], "day": "2026-01-07", "day_after": "2026-01-08"}
    ids = [await lifter.accept(db, "rest", moved), await lifter.accept(db, "deload", light)]
    await lifter.accept(db, "regress", light, undone=True)
    _, second, third, fourth = await lifter.items()
    assert second["prescriptions"] == await lifter.next("2026-01-08")
    assert second["prescriptions"][0]["prescription"]["sets"] == 2
    assert second["deload"]
    assert third["prescriptions"] == await lifter.next("2026-01-12")
    assert "of Monday, 12 January 2026, which" in fourth["prescriptions_reason"]
    assert second["reason"] == (
        "Advice that you accepted (“Do rest”) moved it here from Wednesday, 7 January 2026; “Base”, week 1, lays it on "
        "this day. It was made a lighter session: you accepted “Do deload”."
    )
    assert second["advice"] == [
        {"id": ids[0], "kind": "rest", "title": "Do rest", "from_day": "2026-01-07"},
        {"id": ids[1], "kind": "deload", "title": "Do deload"},
    ]
    # A coach reads what is prescribed, and is not told of advice.
    coach = Person(athlete.client, coach_of=["team"])
    await athlete.admit("team", "read")
    _, seen, *_ = (await of(coach, "from=2026-01-05&to=2026-01-18&day=2026-01-05", athlete))["items"]
    told = "It is planned; “Base”, week 1, lays it on this day. It was made a lighter session."
    words = {name: value for name, value in second.items() if name != "advice"}
    assert seen == words | {"reason": told}


async def test_one_that_left_its_deload_when_its_workout_was_deleted_says_that_it_is_half(athlete: Person) -> None:
    lifter = Lifter(athlete)
    await lifter.begin()
    easy = {"name": "Easy", "kind": "microcycle", "deload": True, "first": "2026-01-05", "last": "2026-01-06"}
    easy = await athlete.told("POST", athlete.address("/phases"), easy)
    await athlete.told("DELETE", athlete.address(f"/workouts/{lifter.workout['id']}"))
    await athlete.told("DELETE", athlete.address(f"/phases/{easy['id']}"))
    first, second, *_ = await lifter.items()
    assert (first["deload"], second["deload"]) == (True, False)
    assert first["reason"].endswith(
        "It has half the sets still, of a deload that it left: its workout was deleted, so the others are unknown."
    )
    # What was done by now is done on every day: `day` decides what is missed and what is to come.
    await lifter.train(second, 21.25)
    assert [one["state"] for one in await lifter.items()][:2] == ["planned", "done"]
    later = await lifter.items("from=2026-01-05&to=2026-01-18&day=2026-01-10")
    assert [one["state"] for one in later][:2] == ["missed", "done"]


async def test_a_prescription_names_the_accepted_advice_that_goes_first(athlete: Person, db: Database) -> None:
    lifter = Lifter(athlete)
    await lifter.begin()
    first, *_ = await lifter.items()
    curl, stretch = first["prescriptions"]
    changed = {"training_id": first["training_id"], "day": "2026-01-05"}
    await lifter.accept(db, "balance", changed, exercise_id=curl["exercise_id"])
    first, *_ = await lifter.items()
    reason = f"{curl['prescription']['reason']} You accepted “Do balance” for this training, which goes first."
    assert first["prescriptions"] == [curl | {"prescription": curl["prescription"] | {"reason": reason}}, stretch]


async def test_phases_and_advice_of_kinds_of_a_later_version_are_passed_over(athlete: Person, db: Database) -> None:
    lifter = Lifter(athlete)
    await lifter.begin()
    query = "from=2026-01-05&to=2026-01-18&day=2026-01-05"
    before = await of(athlete, query)
    assert len(before["phases"]) == 1
    await lifter.accept(db, "stretch", {"training_id": before["items"][0]["training_id"], "day": "2026-01-05"})
    await db.execute("UPDATE phases SET content = jsonb_set(content::jsonb, '{kind}', '\"macrocycle\"')")
    after = await of(athlete, query)
    assert (after["phases"], len(after["items"])) == ([], len(before["items"]))
    assert "advice" not in after["items"][0]


async def test_numbers_are_told_of_the_workouts_that_come_first(
    athlete: Person, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.calendar.MOST_PRESCRIBED", 2)
    plain = await athlete.told("POST", athlete.address("/workouts"), {"name": "Plain", "exercises": [STRETCH]})
    saved = [
        await athlete.told("POST", athlete.address("/workouts"), {"name": f"Arms {n}", "exercises": [CURL]})
        for n in range(3)
    ]
    for days, workout in enumerate([plain, *saved], 5):
        body = {"date": f"2026-01-{days:02}T12:00:00Z"}
        await athlete.told("POST", athlete.address(f"/workouts/{workout['id']}/trainings"), body)
    before = db.statements
    items = (await of(athlete, "from=2026-01-05&to=2026-01-18&day=2026-01-05"))["items"]
    assert db.statements - before == 2
    assert [bool(one["prescriptions"]) for one in items] == [False, True, True, False]
    assert ["prescriptions_reason" in one for one in items] == [False, False, False, True]
    assert "2 workouts that come first" in items[-1]["prescriptions_reason"]
    before = db.statements
    await of(athlete, "from=2026-01-05&to=2026-01-05&day=2026-01-05")
    assert db.statements - before == 1, "a workout without a rule asks for nothing more"
    # A workout that was deleted has no rules any more.
    await athlete.told("DELETE", athlete.address(f"/workouts/{saved[0]['id']}"))
    items = (await of(athlete, "from=2026-01-05&to=2026-01-18&day=2026-01-05"))["items"]
    assert [bool(one["prescriptions"]) for one in items] == [False, False, True, True]


async def test_a_hidden_session_is_not_told_of_by_those_that_follow_from_it(athlete: Person) -> None:
    lifter = Lifter(athlete)
    await lifter.begin()
    await athlete.admit("team", "read", "plan")
    coach = Person(athlete.client, coach_of=["team"])
    of_it = {"workout_id": lifter.workout["id"], "workout_version": lifter.workout["version"]}
    hidden = {"date": "2026-01-05T06:00:00Z", "group_external_id": "team", "hidden": True} | of_it
    await coach.told("POST", athlete.address("/trainings"), hidden)
    query = "from=2026-01-05&to=2026-01-18&day=2026-01-05"
    first, second, *_ = (await of(coach, query, athlete))["items"]
    assert first["prescriptions"]
    assert "earlier on this day" in second["prescriptions_reason"]
    assert (await lifter.items(query))[0]["prescriptions"] == first["prescriptions"]
