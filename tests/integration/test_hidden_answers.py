"""What a coach plans and hides changes nothing that the athlete is answered: whatever is computed from the plan is
computed as if it were not there."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from storage.database import Database
from tests.support.coaches import Person
from tests.support.reports import settle
from tests.support.web import Client, serve
from web.api import ALL_ROUTES
from web.form_analyses import ANALYSER

OF_USER = "/api/v1/training/users/{userId}"
DAY, EVE = "2026-01-12", "2026-01-11"  # a Monday, and the day before
QUERIES = {"from": "2026-01-01", "to": "2026-02-15", "day": DAY, "movement": "pull-up"}
EXERCISE = {"id": str(uuid4()), "name": "Pull-up", "exercise": "pull-up"}
RULE = {"sets": 3, "reps": 5, "weight": 10, "progression": {"kind": "linear", "increment": 2.5}}
ANALYSIS = {
    "video_id": "video-1",
    "analyser": {"name": "depth", "version": "2.1"},
    "scores": [{"name": "depth", "value": 0.85}],
    "remarks": [],
    "analysed_at": "2026-01-12T19:00:00Z",
}
# What tells of coaches, and not of the plan; and what streams, which test_hidden reads.
BESIDE = tuple(f"{OF_USER}/{path}" for path in ("accesses", "export", "exports/log", "erasure", "sessions"))


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


class Athlete(Person):
    """Who reads all that there is, beside a coach who plans and hides."""

    workout: dict[str, Any]
    failed: list[dict[str, Any]]
    phase: dict[str, Any]
    goal: dict[str, Any]

    async def begin(self) -> None:
        """A workout with a rule, which was done as prescribed, is in a phase, and is planned again; two that failed
        and are planned no more; and a hard morning."""
        await self.admit("team", "read", "plan")
        self.workout = await self.trained(EXERCISE, (10, 5), (12.5, 5))
        others = [{"id": str(uuid4()), "name": name} for name in ("Press", "Squat")]
        self.failed = [await self.trained(exercise, (10, 2), (10, 2)) for exercise in others]
        slot = {"workout_id": self.workout["id"], "weekday": 1}
        weeks = {"name": "Base", "first": "2026-01-12", "last": "2026-02-08", "timezone": "UTC"}
        self.phase = await self.told("POST", self.address("/phases"), weeks | {"schedule": [slot]})
        for ago in range(29):
            day, bad = dt.date.fromisoformat(DAY) - dt.timedelta(ago), ago == 0
            items = dict.fromkeys(("sleep", "fatigue", "stress", "soreness"), 6 if bad else 3 - ago % 2)
            more = {"sleep_hours": 5 if bad else 8, "hrv_rmssd_ms": 40 if bad else 60}
            await self.told("PUT", self.address(f"/check-ins/{day}"), items | more)
        goal = {"metric": "weight_kg", "movement": "pull-up", "target": 40}
        days = {"name": "40 kg", "start_day": "2026-01-01", "due": "2026-06-30"}
        self.goal = await self.told("POST", self.address("/goals"), days | goal)

    async def trained(self, exercise: dict[str, Any], *sessions: tuple[float, int]) -> dict[str, Any]:
        """A workout of one exercise, done with these weights and repetitions every third day."""
        said = {"name": exercise["name"], "exercises": [exercise | RULE], "group_external_id": "team"}
        workout: dict[str, Any] = await self.told("POST", self.address("/workouts"), said)
        for place, (weight, reps) in enumerate(sessions):
            done = [exercise | {"sets": [{"reps": reps, "weight": weight}] * 3}]
            session = {"date": f"2026-01-{5 + 3 * place:02}T12:00:00Z", **made(workout), "exercises": done}
            await self.told("POST", self.address("/sessions"), session)
        return workout

    async def answers(self) -> dict[str, Any]:
        """What every GET of the user's answers, without what the clock says; advice of two days."""
        names = {"userId": self.user_id, "exercise": EXERCISE["name"], "version": 1}
        names |= {"id": self.workout["id"], "phaseId": self.phase["id"], "goalId": self.goal["id"]}
        found = {}
        for route in ALL_ROUTES:
            plain = set(route.path_parameters) <= names.keys() and route.path.startswith(OF_USER)
            of_workout = "{id}" not in route.path or "/workouts/{id}" in route.path
            if route.method != "GET" or not plain or not of_workout or route.path in BESIDE:
                continue
            fields = {field.alias or name for name, field in (route.query.model_fields if route.query else {}).items()}
            for day in (DAY, EVE) if "day" in fields else (DAY,):
                query = "&".join(
                    f"{name}={value}" for name, value in (QUERIES | {"day": day}).items() if name in fields
                )
                path = f"{route.path.format_map(names)}?{query}"
                found[path] = await self.told("GET", path)
        return {path: timeless(answer) for path, answer in found.items()}


def made(workout: Mapping[str, Any]) -> dict[str, Any]:
    """What a training says that was made from the workout."""
    return {"workout_id": workout["id"], "workout_version": 1}


def timeless(answer: Any) -> Any:
    """The answer without the moment up to which it is known."""
    if isinstance(answer, Mapping):
        return {name: timeless(value) for name, value in answer.items() if name != "as_of"}
    return [timeless(one) for one in answer] if isinstance(answer, list) else answer


async def hide(coach: Person, athlete: Athlete) -> list[str]:
    """Trainings that the athlete does not see: of workouts, on days that are over, on the day and after it; and
    one that no workout is behind. Their ids."""
    sets = [{"done": False, "target": {"reps": 5, "weight": 100}}] * 3
    found = []
    workouts = [*[athlete.workout] * 5, *athlete.failed, None]
    for day, workout in zip((6, 9, 12, 13, 14, 17, 20, 21), workouts, strict=True):
        of = {} if workout is None else made(workout)
        body = {
            "date": f"2026-01-{day:02}T06:00:00Z",
            "status": "PLANNED",
            "hidden": True,
            "title": "the surprise",
            **of,
        }
        exercises = [EXERCISE | {"sets": sets}]
        said = body | {"group_external_id": "team", "exercises": exercises}
        training = await coach.told("POST", athlete.address("/trainings"), said)
        assert training["hidden"] is True
        found.append(training["id"])
    return found


async def test_what_is_hidden_changes_no_answer(client: Client, db: Database) -> None:
    athlete, coach = Athlete(client, groups=["team"]), Person(client, coach_of=["team"])
    await athlete.begin()
    await settle(db)
    before = await athlete.answers()
    asked = {path.partition("?")[0].removeprefix(athlete.address("/")) for path in before}
    workout = f"workouts/{athlete.workout['id']}"
    assert {"advice", "calendar", "readiness", f"{workout}/next", f"{workout}/progression", "goals/progress"} <= asked
    morning, eve = (before[athlete.address(f"/advice?day={day}")] for day in (DAY, EVE))
    assert [one["kind"] for one in morning["advice"]] == ["rest"]
    assert [one["kind"] for one in eve["advice"]] == ["progress"]
    (move,) = morning["advice"][0]["changes"]
    assert move["day_after"] == "2026-01-13"

    hidden = await hide(coach, athlete)
    await settle(db)
    assert await athlete.answers() == before
    # What is accepted passes over it, and so does what undoes that.
    advice = athlete.address(f"/advice/{morning['advice'][0]['id']}")
    assert (await athlete.told("POST", f"{advice}/accept?day={DAY}"))["changes"][0]["training_id"] == move[
        "training_id"
    ]
    await athlete.told("POST", f"{advice}/undo")
    # Nor is another service told of its sets.
    service = Person(client, roles=[ANALYSER])
    (training,) = [await coach.told("GET", athlete.address(f"/trainings/{id_}")) for id_ in hidden[:1]]
    (exercise,) = training["exercises"]
    path = f"/trainings/{training['id']}/exercises/{exercise['id']}/sets/{exercise['sets'][0]['id']}/form-analyses"
    assert (await service.ask("POST", athlete.address(path), ANALYSIS)).status == 404
    assert (await athlete.ask("GET", athlete.address(path))).status == 404
