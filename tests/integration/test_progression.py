"""Progression over HTTP: what comes next, how it came about, and what a rule would have prescribed."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from analytics.words import named
from models.progression import DryRunReport, NextReport, ProgressionReport
from models.trainings import TrainingCreate
from storage.database import Database
from storage.progression import read_histories_ahead, read_histories_on
from tests.support.coaches import Person
from tests.support.own_exercises import Namer
from tests.support.web import Client, serve
from web.api import ALL_ROUTES

TRAININGS = "/api/v1/trainings"
DOUBLE = {"kind": "double", "increment": 2.5, "deload": {"after": 2, "percent": 10}, "rounding": 2.5}
CURLS = {"name": "Curl", "sets": 2, "reps": {"min": 8, "max": 12}, "weight": 20, "progression": DOUBLE}
CLIMB = {"kind": "harder", "sessions": 1}
PUSH_UPS = {"name": "Push-ups", "exercise": "push-up", "sets": 2, "reps": {"min": 5, "max": 10}, "progression": CLIMB}
STRETCH = {"name": "Stretch", "sets": 1, "hold_seconds": 30}


class Lifter(Person):
    """An athlete with one workout."""

    workout: dict[str, Any]

    async def save(self, *exercises: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Create the workout."""
        body = {"name": "Arms", "exercises": exercises} | fields
        self.workout = await self.told("POST", self.address("/workouts"), body)
        return self.workout

    async def change(self, **fields: Any) -> dict[str, Any]:
        """PUT the workout, changed."""
        self.workout = await self.told("PUT", self.at(), self.workout | fields)
        return self.workout

    def at(self, path: str = "") -> str:
        """An address behind the workout."""
        return self.address(f"/workouts/{self.workout['id']}{path}")

    async def next(self, day: str = "2016-03-01") -> dict[str, Any]:
        """What the next session prescribes."""
        report: dict[str, Any] = await self.told("GET", self.at(f"/next?day={day}"))
        NextReport.model_validate(report)
        return report

    async def walks(self) -> list[dict[str, Any]]:
        """How the exercises went on."""
        report = await self.told("GET", self.at("/progression"))
        ProgressionReport.model_validate(report)
        items: list[dict[str, Any]] = report["items"]
        return items

    async def train(self, day: int, *reps: int, weight: float = 20, place: int = 0, **fields: Any) -> dict[str, Any]:
        """Do the exercise of that place as it comes next, with these repetitions."""
        told = await self.next()
        exercises = told["exercises"]
        done = {"weight": weight, "done": True}
        sets = [set_ | done | {"reps": count} for set_, count in zip(exercises[place]["sets"], reps, strict=True)]
        exercises[place] = exercises[place] | {"sets": sets}
        of = {"workout_id": told["workout_id"], "workout_version": told["workout_version"], "exercises": exercises}
        body = {"status": "COMPLETED", "date": f"2016-01-{day:02}T12:00:00Z"} | of | fields
        created: dict[str, Any] = await self.told("POST", TRAININGS, body)
        return created

    async def tried(self, **body: Any) -> dict[str, Any]:
        """A dry run."""
        report: dict[str, Any] = await self.told("POST", self.address("/progression/dry-run"), body)
        DryRunReport.model_validate(report)
        return report


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@pytest.fixture
def lifter(client: Client) -> Lifter:
    return Lifter(client)


async def test_a_workout_goes_on_from_what_was_done(lifter: Lifter) -> None:
    saved = await lifter.save(CURLS, STRETCH)
    assert saved["exercises"][0]["progression"] == DOUBLE
    first = await lifter.next()
    curls, stretch = (item["prescription"] for item in first["items"])
    assert (curls["decision"], curls["weight"], curls["reps"]) == ("start", 20, {"min": 8, "max": 12})
    assert (stretch["decision"], stretch["hold_seconds"]) == ("start", 30)
    assert first["day"] == "2016-03-01"
    assert first["method"]["version"] >= 1

    trainings = [await lifter.train(5, 12, 12), await lifter.train(7, 12, 8, weight=22.5)]
    report = await lifter.next()
    curls = report["items"][0]["prescription"]
    assert (curls["decision"], curls["weight"], curls["display_weight"]) == ("hold", 22.5, 22.5)
    assert [one["training_id"] for one in curls["evidence"]] == [trainings[1]["id"]]
    (walk,) = await lifter.walks()
    assert (walk["count"], walk["rule"]) == (2, DOUBLE)
    assert [one["decision"] for one in walk["sessions"]] == ["progress", "hold"]
    assert walk["next"] == curls
    assert report["items"][1]["prescription"]["decision"] == "start", "stretches were planned and not done"


async def test_a_rule_is_part_of_the_workout_its_event_and_its_versions(lifter: Lifter) -> None:
    saved = await lifter.save(CURLS)
    assert (await lifter.told("GET", lifter.at()))["exercises"] == saved["exercises"]
    changed = await lifter.change(name="Arms 2")
    assert changed["exercises"] == saved["exercises"]
    versions = (await lifter.told("GET", lifter.at("/versions")))["items"]
    assert [one["event"]["payload"]["exercises"] for one in versions] == [saved["exercises"]] * 2
    assert await lifter.told("GET", lifter.at("/versions/1")) == saved
    await lifter.told("DELETE", lifter.at())
    versions = (await lifter.told("GET", lifter.at("/versions")))["items"]
    assert versions[-1]["event"]["payload"]["exercises"] == saved["exercises"]


async def test_what_comes_next_is_ready_to_be_planned(lifter: Lifter) -> None:
    await lifter.save(CURLS | {"rest": 90, "notes": "Slowly"}, STRETCH)
    planned = await lifter.told("POST", lifter.at("/trainings"), {"date": "2016-01-05T12:00:00Z"})
    told = await lifter.next()
    assert told["exercises"] == planned["exercises"], "before the first session it is what the workout plans"
    await lifter.train(6, 12, 12)
    told = await lifter.next()
    of = {"workout_id": told["workout_id"], "workout_version": told["workout_version"], "title": told["title"]}
    body = {"date": "2016-01-07T12:00:00Z", "exercises": told["exercises"]} | of
    TrainingCreate.model_validate_json(orjson.dumps(body))
    created = await lifter.told("POST", TRAININGS, body)
    assert created["exercises"] == told["exercises"]
    assert created["exercises"][0]["sets"][0]["target"]["weight"] == 22.5
    ids = [[exercise["id"], *(set_["id"] for set_ in exercise["sets"])] for exercise in planned["exercises"]]
    assert [[exercise["id"], *(set_["id"] for set_ in exercise["sets"])] for exercise in told["exercises"]] == ids


async def test_what_was_planned_long_ago_is_performed_as_the_rule_says(lifter: Lifter) -> None:
    await lifter.save(CURLS)
    plans = [
        await lifter.told("POST", lifter.at("/trainings"), {"date": f"2016-01-{day:02}T12:00:00Z"}) for day in (5, 6, 7)
    ]
    for plan, weight in zip(plans, (20, 22.5, 25), strict=True):
        (exercise,) = plan["exercises"]
        sets = [set_ | {"weight": weight, "reps": 12, "done": True} for set_ in exercise["sets"]]
        body = plan | {"status": "COMPLETED", "exercises": [exercise | {"sets": sets}]}
        await lifter.told("PUT", f"{TRAININGS}/{plan['id']}", body)
    assert (await lifter.next())["items"][0]["prescription"]["weight"] == 27.5


async def test_a_corrected_set_corrects_the_target(lifter: Lifter) -> None:
    await lifter.save(CURLS)
    first = await lifter.train(5, 12, 12)
    await lifter.train(7, 12, 12, weight=22.5)
    before = (await lifter.walks())[0]
    assert before["next"]["weight"] == 25
    first["exercises"][0]["sets"][1]["reps"] = 7
    await lifter.told("PUT", f"{TRAININGS}/{first['id']}", first)
    after = (await lifter.walks())[0]
    assert after["sessions"][0]["prescription"] == before["sessions"][0]["prescription"]
    assert (after["sessions"][0]["decision"], after["sessions"][1]["prescription"]["weight"]) == ("hold", 20)
    await lifter.told("DELETE", f"{TRAININGS}/{first['id']}")
    assert (await lifter.walks())[0]["count"] == 1


async def test_a_changed_prescription_begins_anew(lifter: Lifter) -> None:
    await lifter.save(CURLS, STRETCH)
    await lifter.train(5, 12, 12)
    (curls, stretch) = lifter.workout["exercises"]
    for beside in ({"notes": "Slowly"}, {"rest": 60}, {"progression": DOUBLE | {"rounding": 1.25}}):
        await lifter.change(exercises=[curls | beside, stretch])
        assert (await lifter.next())["items"][0]["prescription"]["weight"] == 22.5, beside
    await lifter.change(exercises=[curls, stretch | {"hold_seconds": 40}])
    assert (await lifter.next())["items"][0]["prescription"]["weight"] == 22.5, "another exercise was changed"
    for anew in ({"weight": 30}, {"sets": 3}, {"reps": 8}, {"progression": {"kind": "linear", "increment": 5}}):
        await lifter.change(exercises=[curls | anew, stretch])
        prescription = (await lifter.next())["items"][0]["prescription"]
        assert (prescription["decision"], prescription["weight"]) == ("start", anew.get("weight", 20)), anew
        assert f"(version {lifter.workout['version']} of the workout)" in prescription["reason"]
    await lifter.change(exercises=[curls, stretch])
    assert (await lifter.walks())[0]["count"] == 0, "back again is anew as well"
    stretches = (await lifter.next())["items"][1]["prescription"]
    assert stretches["reason"].startswith("Its prescription is new since"), "it was put back to 30 s"
    await lifter.train(8, 12, 12)
    assert (await lifter.next())["items"][0]["prescription"]["weight"] == 22.5


async def test_the_day_of_a_change_is_the_athletes(lifter: Lifter, everything: Database) -> None:
    await lifter.save(CURLS)
    await lifter.train(5, 12, 12, timezone="Pacific/Kiritimati")
    await lifter.change(exercises=[lifter.workout["exercises"][0] | {"weight": 30}])
    saved = "SELECT (created_at AT TIME ZONE 'Pacific/Kiritimati')::date FROM outbox WHERE aggregate_id = %s"
    ((day,),) = await everything.all(f"{saved} AND version = 2", [lifter.workout["id"]])
    reason = (await lifter.next("2099-01-01"))["items"][0]["prescription"]["reason"]
    assert f"new since {named(day)} (version 2 of the workout)" in reason


async def test_what_an_older_version_planned_counts_where_it_was_performed_later(lifter: Lifter) -> None:
    await lifter.save(CURLS)
    now = dt.datetime.now(dt.UTC)
    plans = [
        await lifter.told("POST", lifter.at("/trainings"), {"date": f"{date:%Y-%m-%dT%H:%M:%SZ}"})
        for date in (now - dt.timedelta(1), now + dt.timedelta(hours=1))
    ]
    await lifter.change(exercises=[lifter.workout["exercises"][0] | {"weight": 30}])
    for plan, follows in zip(plans, (30, 32.5), strict=True):
        (exercise,) = plan["exercises"]
        sets = [set_ | {"weight": 30, "reps": 12, "done": True} for set_ in exercise["sets"]]
        body = plan | {"status": "COMPLETED", "exercises": [exercise | {"sets": sets}]}
        await lifter.told("PUT", f"{TRAININGS}/{plan['id']}", body)
        report = await lifter.told("GET", lifter.at("/next"))
        assert report["items"][0]["prescription"]["weight"] == follows


async def test_what_was_completed_before_a_change_is_not_judged_by_it_though_its_hour_comes_later(
    lifter: Lifter,
) -> None:
    await lifter.save(CURLS)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    plan = await lifter.told("POST", lifter.at("/trainings"), {"date": f"{later:%Y-%m-%dT%H:%M:%SZ}"})
    (exercise,) = plan["exercises"]
    sets = [set_ | {"weight": 20, "reps": 12, "done": True} for set_ in exercise["sets"]]
    done = plan | {"status": "COMPLETED", "exercises": [exercise | {"sets": sets}]}
    done = await lifter.told("PUT", f"{TRAININGS}/{plan['id']}", done)
    await lifter.change(exercises=[lifter.workout["exercises"][0] | {"weight": 30}])
    await lifter.told("PUT", f"{TRAININGS}/{plan['id']}", done | {"notes": "Corrected afterwards"})
    assert (await lifter.walks())[0]["count"] == 0
    report = await lifter.told("GET", lifter.at("/next"))
    assert report["items"][0]["prescription"]["weight"] == 30


async def test_next_is_as_of_the_day_that_is_asked_for(lifter: Lifter) -> None:
    await lifter.save(CURLS)
    await lifter.train(5, 12, 12)
    await lifter.train(7, 12, 12, weight=22.5)
    told = [await lifter.next(f"2016-01-{day:02}") for day in (4, 5, 6, 7)]
    assert [one["items"][0]["prescription"]["weight"] for one in told] == [20, 22.5, 22.5, 25]


async def test_deload_phases_stand_outside_of_progression(lifter: Lifter) -> None:
    await lifter.save(CURLS, STRETCH | {"sets": 3})
    phase = {"name": "Easy", "kind": "microcycle", "first": "2016-01-12", "last": "2016-01-18", "timezone": "UTC"}
    await lifter.train(5, 12, 12)
    easy = await lifter.told("POST", lifter.address("/phases"), phase | {"deload": True})
    before = await lifter.next()
    await lifter.train(13, 12, 12, weight=10)
    after = await lifter.next()
    assert after["items"][0] == before["items"][0]
    told = (await lifter.walks())[0]["sessions"][-1]
    assert (told["met"], told["missed"], "Easy" in told["reason"]) == (None, None, True)
    on_day = await lifter.next("2016-01-14")
    assert on_day["deload_phase"] == "Easy"
    assert [item["prescription"]["sets"] for item in on_day["items"]] == [1, 2]
    assert [len(exercise["sets"]) for exercise in on_day["exercises"]] == [1, 2]
    curls = on_day["items"][0]["prescription"]
    assert (curls["weight"], curls["decision"]) == (20, "deload"), "what was done last, and no progress"
    assert "Tuesday, 5 January 2016" in curls["reason"]
    await lifter.told("DELETE", lifter.address(f"/phases/{easy['id']}"))
    assert "deload_phase" not in await lifter.next("2016-01-14")
    assert (await lifter.walks())[0]["sessions"][-1]["missed"] is True


async def test_a_session_that_advice_made_lighter_is_prescribed_as_one(
    lifter: Lifter, db: Database, everything: Database
) -> None:
    await lifter.save(CURLS | {"sets": 3})
    plan = await lifter.told("POST", lifter.at("/trainings"), {"date": "2016-01-12T12:00:00Z"})
    before = await lifter.next("2016-01-12")
    assert ("deload_phase" in before, before["items"][0]["prescription"]["sets"]) == (False, 3)
    content: dict[str, Any] = {"kind": "deload", "changes": [{"training_id": plan["id"]}]}
    columns = "user_id, id, version, day, undone, content, digest"
    rows = "(%s, gen_random_uuid(), 1, '2016-01-12', %s, %s, '')"
    for undone, stays, light in ((False, False, True), (True, False, False), (True, True, True)):
        (change,) = content["changes"]
        said = orjson.dumps(content | {"changes": [change | ({"stays": "It is done."} if stays else {})]}).decode()
        await everything.all("DELETE FROM advice WHERE user_id = %s RETURNING 1", [lifter.user_id])
        await everything.all(
            f"INSERT INTO advice ({columns}) VALUES {rows} RETURNING 1", [lifter.user_id, undone, said]
        )
        report = await lifter.next("2016-01-12")
        assert ("deload_phase" in report, report["lighter"]) == (False, light), "no deload lies on the day"
        prescription = report["items"][0]["prescription"]
        assert prescription["sets"] == (2 if light else 3)
        assert prescription["reason"].startswith("This training was made a lighter session, so it has") is light
        (on_day,) = await read_histories_on(db, lifter.user_id, {UUID(plan["workout_id"]): dt.date(2016, 1, 12)})
        assert (on_day.deload, on_day.lighter) == (None, light)
    assert (await lifter.next("2016-01-13"))["lighter"] is False
    await everything.all("UPDATE advice SET day = '2015-01-11' WHERE user_id = %s RETURNING 1", [lifter.user_id])
    assert (await lifter.next("2016-01-12"))["lighter"] is False, "advice of more than a year before is not looked at"


async def test_an_exercise_is_found_by_its_id_else_its_movement_else_its_name(lifter: Lifter) -> None:
    pulls = CURLS | {"name": "Chins", "exercise": "chin-up"}
    await lifter.save(CURLS, pulls)
    of = {"workout_id": lifter.workout["id"], "workout_version": 1}
    sets = [{"weight": 20, "reps": 12}] * 2
    chins = lifter.workout["exercises"][1]["id"]
    found = (
        ({"name": "curl "}, 0, True),
        ({"name": "Underhand pulls", "exercise": "chin-up"}, 1, True),
        ({"id": chins, "name": "Anything"}, 1, True),
        ({"id": chins, "name": "Chins", "exercise": "pistol-squat"}, 1, False),
        ({"name": "Deadlift"}, 0, False),
    )
    for exercise, place, counts in found:
        training = await lifter.told(
            "POST",
            TRAININGS,
            {"status": "COMPLETED", "date": "2016-01-05T12:00:00Z", "exercises": [exercise | {"sets": sets}]} | of,
        )
        assert [walk["count"] for walk in await lifter.walks()] == [counts * (place == 0), counts * (place == 1)], (
            exercise
        )
        await lifter.told("DELETE", f"{TRAININGS}/{training['id']}")
    other = {"status": "COMPLETED", "date": "2016-01-05T12:00:00Z", "exercises": [{"name": "Curl", "sets": sets}]}
    await lifter.told("POST", TRAININGS, other)
    await lifter.told("POST", TRAININGS, other | of | {"status": "IN_PROGRESS"})
    assert [walk["count"] for walk in await lifter.walks()] == [0, 0]


async def test_a_name_may_mean_the_movement(lifter: Lifter, db: Database) -> None:
    await lifter.save(PUSH_UPS)
    await Namer(db, lifter.user_id).set("Floor press-ups", exercise="push-up")
    sets = [{"reps": 10}] * 2
    of = {"workout_id": lifter.workout["id"], "workout_version": 1}
    body = {"status": "COMPLETED", "date": "2016-01-05T12:00:00Z"} | of
    await lifter.told("POST", TRAININGS, body | {"exercises": [{"name": "floor press-ups", "sets": sets}]})
    assert (await lifter.walks())[0]["sessions"][0]["decision"] == "harder"


async def test_the_top_leads_to_the_next_harder_movement(lifter: Lifter) -> None:
    await lifter.save(PUSH_UPS)
    await lifter.train(5, 10, 10, weight=0)
    told = await lifter.next()
    prescription = told["items"][0]["prescription"]
    slug = prescription["exercise"]
    movement = await lifter.told("GET", f"/api/v1/training/exercises/{slug}")
    assert "push-up" in movement["easier_slugs"]
    (exercise,) = told["exercises"]
    assert (exercise["exercise"], exercise["exercise_revision"]) == (slug, movement["revision"])
    assert (exercise["name"], exercise["id"]) == (movement["name"], lifter.workout["exercises"][0]["id"])
    assert movement["name"] in prescription["reason"]
    await lifter.train(7, 10, 10, weight=0)
    (walk,) = await lifter.walks()
    assert [one["exercise"] for one in walk["sessions"]] == ["push-up", slug]
    assert walk["next"]["decision"] == "harder"


async def test_a_rule_is_tried_on_all_that_was_done(lifter: Lifter, db: Database) -> None:
    done = (
        (5, {"name": "Curl"}, 12),
        (6, {"name": " CURL", "exercise": "pistol-squat"}, 12),
        (7, {"name": "Curl"}, 7),
        (9, {"name": "Bizeps"}, 12),
    )
    for day, exercise, reps in done:
        exercises = [
            exercise | {"sets": [{"weight": 17.5 + 2.5 * (day - 4), "reps": reps}] * 2},
            {"name": "Row", "sets": []},
        ]
        body = {"status": "COMPLETED", "date": f"2016-01-{day:02}T12:00:00Z", "exercises": exercises}
        await lifter.told("POST", TRAININGS, body)
    of_curls = {name: CURLS[name] for name in ("sets", "reps", "weight", "progression")}
    tried = await lifter.tried(name="curl", **of_curls)
    assert [one["day"] for one in tried["sessions"]] == ["2016-01-05", "2016-01-06", "2016-01-07"]
    assert [one["decision"] for one in tried["sessions"]] == ["progress", "progress", "hold"]
    assert [one["prescription"]["weight"] for one in tried["sessions"]] == [20, 22.5, 25]
    assert tried["sessions"][0]["done"][0] == {"weight": 20, "unit": "kg", "reps": 12}
    assert (tried["rule"], tried["most_sessions"]) == (DOUBLE, 1000)
    ranged = await lifter.tried(name="curl", **of_curls, **{"from": "2016-01-06", "to": "2016-01-06"})
    assert [one["day"] for one in ranged["sessions"]] == ["2016-01-06"]
    by_slug = await lifter.tried(exercise="pistol-squat", **of_curls)
    assert [one["day"] for one in by_slug["sessions"]] == ["2016-01-06"]
    await Namer(db, lifter.user_id).set("bizeps", exercise="pistol-squat")
    by_slug = await lifter.tried(exercise="pistol-squat", **of_curls)
    assert [one["day"] for one in by_slug["sessions"]] == ["2016-01-06", "2016-01-09"]
    assert (await lifter.tried(name="never done", **of_curls))["sessions"] == []
    assert (await lifter.tried(exercise="push-up", **of_curls))["sessions"] == [], "known, and never done"
    await Namer(db, lifter.user_id).create(slug="sandbag-carry")
    assert (await lifter.tried(exercise="sandbag-carry", **of_curls))["sessions"] == []
    assert await db.all("SELECT count(*) FROM outbox WHERE aggregate_type NOT IN ('training', 'exercise')") == [(0,)]


async def test_a_climb_is_tried_on_all_movements_of_the_way(lifter: Lifter) -> None:
    for day, slug in ((5, "knee-push-up"), (6, "push-up"), (7, "pistol-squat")):
        exercises = [{"name": slug, "exercise": slug, "sets": [{"reps": 10}] * 2}]
        body = {"status": "COMPLETED", "date": f"2016-01-{day:02}T12:00:00Z", "exercises": exercises}
        await lifter.told("POST", TRAININGS, body)
    climb = {name: PUSH_UPS[name] for name in ("sets", "reps", "progression")}
    tried = await lifter.tried(exercise="push-up", **climb)
    assert [one["exercise"] for one in tried["sessions"]] == ["knee-push-up", "push-up"]
    assert [one["decision"] for one in tried["sessions"]] == ["hold", "harder"]


async def test_what_is_wrong_is_named(lifter: Lifter) -> None:
    dry_run, fine = lifter.address("/progression/dry-run"), CURLS | {"name": "Curl"}
    for body, pointer in (
        (fine | {"progression": {"kind": "no-such"}}, "/progression/kind"),
        (fine | {"progression": DOUBLE | {"increment": 0}}, "/progression/increment"),
        (fine | {"sets": 0}, "/sets"),
        (fine | {"exercise": "push-up"}, "/name"),
        (fine | {"from": "2016-01-02", "to": "2016-01-01"}, "/to"),
        ({**PUSH_UPS, "progression": CLIMB | {"to": "no-such"}} | {"name": None}, "/progression/to"),
        ({**PUSH_UPS, "progression": CLIMB | {"to": "pistol-squat"}} | {"name": None}, "/progression/to"),
        (fine | {"name": None, "exercise": "no-such"}, "/exercise"),
    ):
        answer = await lifter.ask("POST", dry_run, {name: value for name, value in body.items() if value is not None})
        assert (answer.status, (await answer.json())["errors"][0]["pointer"]) == (422, pointer), await answer.text()
    wrong = {"name": "x", "exercises": [STRETCH, PUSH_UPS | {"progression": CLIMB | {"to": "no-such"}}]}
    answer = await lifter.ask("POST", lifter.address("/workouts"), wrong)
    assert (await answer.json())["errors"][0]["pointer"] == "/exercises/1/progression/to"
    no_way = {"name": "x", "exercises": [STRETCH, PUSH_UPS | {"progression": CLIMB | {"to": "pistol-squat"}}]}
    await lifter.save(PUSH_UPS | {"progression": CLIMB | {"to": "one-arm-push-up"}})
    for method, path in (("POST", lifter.address("/workouts")), ("PUT", lifter.at())):
        answer = await lifter.ask(method, path, no_way)
        (error,) = (await answer.json())["errors"]
        assert (answer.status, error["pointer"]) == (422, "/exercises/1/progression/to")
    await lifter.save(CURLS)
    answer = await lifter.ask("GET", lifter.at("/next?day=tomorrow"))
    assert (answer.status, (await answer.json())["errors"][0]["parameter"]) == (422, "day")


async def test_a_workout_that_is_not_there_has_nothing_next(lifter: Lifter, client: Client) -> None:
    await lifter.save(CURLS)
    stranger = Lifter(client)
    stranger.workout = lifter.workout
    missing = lifter.address(f"/workouts/{uuid4()}")
    for path in ("/next", "/progression"):
        assert (await lifter.ask("GET", missing + path)).status == 404
        assert (await stranger.ask("GET", stranger.at(path))).status == 404
        assert (await stranger.ask("GET", lifter.at(path))).status == 404
    assert (await lifter.told("GET", lifter.at("/next")))["day"]


async def test_the_present_day_is_that_of_the_latest_training(lifter: Lifter, db: Database) -> None:
    await lifter.save(CURLS)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        training = await lifter.train(5, 12, 12, timezone=zone)
        (today,) = await db.one(f"SELECT (now() AT TIME ZONE '{zone}')::date::text") or ()
        assert (await lifter.told("GET", lifter.at("/next")))["day"] == today
        await lifter.told("DELETE", f"{TRAININGS}/{training['id']}")


async def test_workouts_with_a_training_ahead_are_read_by_one_statement(lifter: Lifter, db: Database) -> None:
    saved = []
    for name, day in (("A", "2016-03-03"), ("B", "2016-03-02"), ("C", "2016-02-28"), ("D", ""), ("E", "2016-03-01")):
        await lifter.save(STRETCH if name == "E" else CURLS, name=name)
        saved.append(lifter.workout)
        if day:
            await lifter.told("POST", lifter.at("/trainings"), {"date": f"{day}T12:00:00Z"})
    lifter.workout = saved[1]
    done = await lifter.train(5, 12, 12)
    before = db.statements
    found = await read_histories_ahead(db, lifter.user_id, day=dt.date(2016, 3, 1))
    assert db.statements == before + 1
    assert [history.name for history in found.workouts] == ["B", "A"]
    assert [[str(one.id) for one in history.trainings] for history in found.workouts] == [[done["id"]], []]
