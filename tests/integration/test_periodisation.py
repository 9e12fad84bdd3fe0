"""A phase of six weeks from two workouts with double progression, performed by a simulated athlete over HTTP alone.

What is prescribed is held to the words of the rule (tests/support/simulated_athlete.py), before each session.
"""

import datetime as dt
import os
from collections.abc import AsyncIterator, Mapping
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage.database import Database
from tests.support.coaches import Person
from tests.support.reports import settle
from tests.support.simulated_athlete import Athlete, Did, DoubleProgression, filled, loaded
from tests.support.web import Client, serve
from web.api import ALL_ROUTES

SEED = int(os.environ.get("TRAINING_TEST_PERIODISATION_SEED", "1"))  # another one performs otherwise
FIRST, LAST = dt.date(2025, 1, 6), dt.date(2025, 2, 16)
ZONE = "Europe/Berlin"
DELOAD = dt.date(2025, 1, 27), dt.date(2025, 2, 2)  # the fourth week
TRAININGS = "/api/v1/trainings"
PLATES = Fraction("2.5")
# What a training says of itself; the rest says how often, and when, it was changed.
WHEN = ("version", "updated_at")


def rules() -> dict[str, dict[str, DoubleProgression]]:
    """What each workout prescribes: one goes back by percent, one by weight; one is in pounds, one is helped."""
    return {
        "Legs and push": {
            "Squat": DoubleProgression(3, 5, 8, Fraction(60), Fraction("2.5"), 2, percent=Fraction(10)),
            "Bench press": DoubleProgression(3, 8, 12, Fraction(100), Fraction(5), 2, back=Fraction(10)),
        },
        "Pull": {
            "Assisted pull-up": DoubleProgression(4, 4, 6, Fraction(-20), Fraction("2.5"), 2, back=Fraction(5)),
            "Row": DoubleProgression(2, 6, 10, Fraction("40.25"), Fraction("1.25"), 2, percent=Fraction(10)),
        },
    }


def workout(name: str) -> dict[str, Any]:
    """The workout of that name, as its athlete saves it."""
    return {"name": name, "exercises": [_exercise(*each) for each in rules()[name].items()]}


def _exercise(name: str, rule: DoubleProgression) -> dict[str, Any]:
    deload: dict[str, Any] = {"after": rule.after}
    deload |= {"percent": float(rule.percent)} if rule.percent else {"weight": float(rule.back or 0)}
    progression = {"kind": "double", "increment": float(rule.increment), "deload": deload, "rounding": float(PLATES)}
    return {
        "id": str(uuid4()),
        "name": name,
        "sets": rule.sets,
        "reps": {"min": rule.low, "max": rule.high},
        "weight": float(rule.weight),
        "unit": "lb" if name == "Bench press" else "kg",
        "progression": progression,
    }


class Season:
    """One athlete's phase, and what the words of its rules make of what was done so far."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.rules = rules()
        self.performed: list[tuple[str, str, dict[str, list[Did]]]] = []
        """Training, workout and what was done of each exercise, in order."""
        self.workouts: dict[str, dict[str, Any]] = {}
        self.phase: dict[str, Any] = {}
        self.easy: dict[str, Any] = {}
        self.athlete = Athlete(SEED)

    def at(self, path: str) -> str:
        """An address of this athlete's."""
        return self.person.address(path)

    async def begin(self) -> None:
        """Save the workouts, and plan the phase with a week of deload in it."""
        for name in self.rules:
            self.workouts[name] = await self.person.told("POST", self.at("/workouts"), workout(name))
        slots = [
            {"workout_id": self.workouts[name]["id"], "weekday": weekday, "time": "18:30"}
            for name, weekdays in zip(self.rules, ((1, 4), (2, 5)), strict=True)
            for weekday in weekdays
        ]
        body = {"name": "Six weeks", "first": f"{FIRST}", "last": f"{LAST}", "timezone": ZONE, "schedule": slots}
        preview = await self.person.told("POST", self.at("/phases?dry_run=true"), body)
        assert await self.planned() == []
        self.phase = await self.person.told("POST", self.at("/phases"), body)
        items = await self.planned()
        assert [(each["day"], each["workout_id"]) for each in items] == [
            (each["day"], each["workout_id"]) for each in preview["trainings"]
        ]
        assert len(items) == preview["counts"]["create"] == 6 * 4
        first, last = DELOAD
        week = {"name": "Easy", "kind": "microcycle", "parent_id": self.phase["id"], "timezone": ZONE, "deload": True}
        body = week | {"first": f"{first}", "last": f"{last}"}
        self.easy = await self.person.told("POST", self.at("/phases"), body)

    async def planned(self, *states: str) -> list[dict[str, Any]]:
        """The calendar of the phase and the weeks after it; of these states, or all."""
        query = f"from={FIRST}&to={LAST + dt.timedelta(14)}&day={FIRST}"
        items: list[dict[str, Any]] = (await self.person.told("GET", self.at(f"/calendar?{query}")))["items"]
        return [item for item in items if not states or item["state"] in states]

    async def training(self, id_: str) -> dict[str, Any]:
        """A training as its athlete reads it."""
        document: dict[str, Any] = await self.person.told("GET", f"{TRAININGS}/{id_}")
        return document

    async def everything(self) -> dict[str, dict[str, Any]]:
        """All trainings, by id."""
        page = await self.person.told("GET", f"{TRAININGS}?limit=200")
        return {item["id"]: item for item in page["items"]}

    def name_of(self, item: Mapping[str, Any]) -> str:
        """Of which workout a planned training is."""
        return next(name for name, saved in self.workouts.items() if saved["id"] == item["workout_id"])

    async def next(self, name: str, day: str) -> dict[str, Any]:
        """What the next session of a workout prescribes: what the rules' words say, with a reason for each."""
        path = self.at(f"/workouts/{self.workouts[name]['id']}/next?day={day}")
        told: dict[str, Any] = await self.person.told("GET", path)
        assert told["day"] == day
        assert told["method"]["version"] >= 1
        easy = "deload_phase" in told
        for item, exercise in zip(told["items"], told["exercises"], strict=True):
            rule, said = self.rules[name][item["name"]], item["prescription"]
            weight = rule.easy if easy else rule.weight
            assert said["weight"] == float(weight), (day, item["name"])
            assert said["display_weight"] == loaded(weight, PLATES)
            assert said["reps"] == {"min": rule.low, "max": rule.high}
            assert said["sets"] == len(exercise["sets"]) == ((rule.sets + 1) // 2 if easy else rule.sets)
            assert len(said["reason"]) > 10
            assert {set_["target"]["weight"] for set_ in exercise["sets"]} == {said["display_weight"]}
            if rule.history:
                assert said["evidence"], "what it was computed from"
        return told

    async def perform(self, item: Mapping[str, Any]) -> None:
        """One session: as it is prescribed for the day, and as the athlete then can."""
        name = self.name_of(item)
        told = await self.next(name, item["day"])
        did = {exercise["name"]: self.athlete.perform(self.rules[name][exercise["name"]]) for exercise in told["items"]}
        await self.log(item["training_id"], told["exercises"], did)
        if "deload_phase" not in told:
            self.performed.append((item["training_id"], name, did))
            for exercise, sets in did.items():
                self.rules[name][exercise].performed(sets)

    async def log(self, id_: str, exercises: list[dict[str, Any]], did: Mapping[str, list[Did]]) -> None:
        """The training is completed: so many sets of each exercise as are prescribed."""
        done = [filled(exercise, did[exercise["name"]]) for exercise in exercises]
        body = await self.training(id_) | {"status": "COMPLETED", "exercises": done}
        await self.person.told("PUT", f"{TRAININGS}/{id_}", body)

    async def as_in_the_calendar(self, item: Mapping[str, Any]) -> None:
        """On its day the calendar tells of the training what `next` prescribes, and why."""
        day = item["day"]
        found = (await self.person.told("GET", self.at(f"/calendar?from={day}&to={day}&day={day}")))["items"]
        (told,) = (each["prescriptions"] for each in found if each["training_id"] == item["training_id"])
        following = (await self.next(self.name_of(item), day))["items"]
        assert [each["prescription"] | {"evidence": []} for each in told] == [
            each["prescription"] | {"evidence": []} for each in following
        ]

    async def walk(self, name: str) -> dict[str, dict[str, Any]]:
        """How the workout's exercises went on, by their names."""
        path = self.at(f"/workouts/{self.workouts[name]['id']}/progression")
        return {item["name"]: item for item in (await self.person.told("GET", path))["items"]}

    async def advice(self, day: str, kind: str) -> list[dict[str, Any]]:
        """What is advised, of one kind, that would change something."""
        told = await self.person.told("GET", self.at(f"/advice?day={day}"))
        return [each for each in told["advice"] if each["kind"] == kind and each["changes"]]


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@pytest.fixture
async def season(client: Client) -> Season:
    """The phase is planned, and nothing is done."""
    season = Season(Person(client))
    await season.begin()
    return season


async def follow_advice(season: Season, item: Mapping[str, Any]) -> int:
    """Accept what is advised of going on, staying and going back: the plan then has what the rule prescribes. Returns
    how often that was."""
    accepted = [each for kind in ("regress", "hold", "progress") for each in await season.advice(item["day"], kind)]
    for each in accepted:
        assert each["reason"]
        assert each["evidence"]
        assert 0 < each["confidence"] <= 1
        await season.person.told("POST", season.at(f"/advice/{each['id']}/accept?day={item['day']}"))
        for change in each["changes"]:
            training = await season.training(change["training_id"])
            name = season.name_of(training)
            (exercise,) = (one for one in training["exercises"] if one["id"] == each["subject"]["exercise_id"])
            rule = season.rules[name][exercise["name"]]
            assert {set_["target"]["weight"] for set_ in exercise["sets"]} == {loaded(rule.weight, PLATES)}
    return len(accepted)


async def test_six_weeks_are_prescribed_as_the_rules_say(client: Client, season: Season, db: Database) -> None:
    easy = accepted = 0
    for place, item in enumerate(await season.planned()):
        if place % 4 == 0:
            await settle(db)
            accepted += await follow_advice(season, item)
        if DELOAD[0] <= dt.date.fromisoformat(item["day"]) <= DELOAD[1]:
            easy += 1
            assert item["deload"] is True
        await season.as_in_the_calendar(item)
        await season.perform(item)
    assert easy == 4
    assert accepted >= 2
    decisions = {walk["decision"] for name in season.rules for item in (await season.walk(name)).values()
                 for walk in item["sessions"]}  # fmt: skip
    assert {"progress", "hold", "deload"} <= decisions, "the athlete had good days and bad ones"
    await _as_prescribed(season)
    await _the_same_again(client, season)


async def _as_prescribed(season: Season) -> None:
    """Session by session, the walks have what the words of the rules say, and a reason."""
    for name, exercises in season.rules.items():
        walks = await season.walk(name)
        done = [id_ for id_, of, _ in season.performed if of == name]
        for exercise, rule in exercises.items():
            sessions = [each for each in walks[exercise]["sessions"] if each.get("met") is not None]
            assert [each["training_id"] for each in sessions] == done
            assert [each["prescription"]["weight"] for each in sessions] == [float(weight) for weight in rule.history]
            assert all(each["reason"] for each in walks[exercise]["sessions"])
            assert walks[exercise]["next"]["weight"] == float(rule.weight)


async def _the_same_again(client: Client, season: Season) -> None:
    """Another athlete with the same history, told in another order, is prescribed the same to the byte."""
    twin = Season(Person(client))
    twin.workouts = season.workouts
    for name, saved in season.workouts.items():
        await twin.person.told("POST", twin.at("/workouts"), workout(name) | {
            "id": saved["id"], "exercises": saved["exercises"]})  # fmt: skip
    week = {"name": "Easy", "timezone": ZONE, "deload": True, "first": f"{DELOAD[0]}", "last": f"{DELOAD[1]}"}
    await twin.person.told("POST", twin.at("/phases"), week)
    made = ("user_id", "version", "day", "created_at", "updated_at")
    everything = list((await season.everything()).values())
    season.athlete.chance.shuffle(everything)
    for training in everything:
        await twin.person.told("POST", TRAININGS, {name: training[name] for name in training if name not in made})
    for saved in season.workouts.values():
        for path in (f"/workouts/{saved['id']}/progression", f"/workouts/{saved['id']}/next?day={LAST}"):
            texts = []
            for each in (season, season, twin):
                answer = await each.person.ask("GET", each.at(path))
                texts.append((await answer.text()).replace(str(each.person.user_id), "…"))
            assert texts[0] == texts[1] == texts[2]


async def test_a_correction_changes_what_follows_from_it_and_nothing_else(season: Season) -> None:
    for item in (await season.planned())[:12]:
        await season.perform(item)
    name, exercise = "Legs and push", "Squat"
    mine = [each for each in season.performed if each[1] == name]
    place, rule = 1, season.rules[name][exercise]
    before = {name: await season.walk(name) for name in season.rules}
    others = await season.everything()
    id_ = mine[place][0]
    progressed = before[name][exercise]["sessions"][place]["decision"] == "progress"
    did = [Did(rule.history[place], rule.low - 1 if progressed else rule.high)] * rule.sets
    mine[place][2][exercise] = did
    exercises = [filled(each, did) if each["name"] == exercise else each for each in others[id_]["exercises"]]
    await season.person.told("PUT", f"{TRAININGS}/{id_}", others[id_] | {"exercises": exercises})
    again = rules()[name][exercise]
    for _, _, done in mine:
        again.performed(done[exercise])
    after = {name: await season.walk(name) for name in season.rules}
    sessions, told = before[name][exercise]["sessions"], after[name][exercise]["sessions"]
    assert told[:place] == sessions[:place]
    assert told[place]["prescription"] == sessions[place]["prescription"]
    assert told[place]["decision"] != sessions[place]["decision"]
    assert told[place + 1]["prescription"]["weight"] == float(again.history[place + 1])
    assert told[place + 1]["prescription"] != sessions[place + 1]["prescription"]
    for workout_name, walks in after.items():
        for exercise_name, walk in walks.items():
            if (workout_name, exercise_name) != (name, exercise):
                assert walk == before[workout_name][exercise_name]
    now = await season.everything()
    assert {each for each, found in now.items() if found != others[each]} == {id_}


async def test_accepted_advice_is_undone_without_a_trace_in_the_plan(season: Season, everything: Database) -> None:
    items = await season.planned()
    for place, item in enumerate(items):
        if advice := await season.advice(item["day"], "progress"):
            break
        assert place < 12, "the athlete makes progress"
        await season.perform(item)
    before = await season.everything()
    calendar = await season.planned()
    changed = {change["training_id"] for each in advice for change in each["changes"]}
    log = await _log(everything, season)
    for each in advice:
        path = season.at(f"/advice/{each['id']}")
        accepted = await season.person.told("POST", f"{path}/accept?day={item['day']}")
        assert await season.person.told("POST", f"{path}/accept?day={item['day']}") == accepted
    assert {id_ for id_, found in (await season.everything()).items() if found != before[id_]} == changed
    standing = await season.advice(item["day"], "progress")
    assert not {each["id"] for each in standing} & {each["id"] for each in advice}
    for each in reversed(advice):
        undone = await season.person.told("POST", season.at(f"/advice/{each['id']}/undo"))
        assert undone["undone"] is True
    after = await season.everything()
    assert {id_: _said(found) for id_, found in after.items()} == {id_: _said(found) for id_, found in before.items()}
    assert await season.planned() == calendar
    told = (await _log(everything, season))[len(log) :]
    of_trainings = [(type_, id_) for type_, id_, _ in told if type_.startswith("training")]
    changes = [("training_updated", change["training_id"]) for each in advice for change in each["changes"]]
    assert sorted(of_trainings) == sorted(changes * 2)
    assert [(type_, version) for type_, _, version in told if type_.startswith("advice")] == [
        *[("advice_accepted", 1)] * len(advice),
        *[("advice_undone", 2)] * len(advice),
    ]


async def test_a_phase_moves_what_is_not_done(season: Season, everything: Database) -> None:
    items = await season.planned()
    for item in items[:6]:
        await season.perform(item)
    by = dt.timedelta(7)
    body = season.phase | {"first": f"{FIRST + by}", "last": f"{LAST + by}"}
    path = season.at(f"/phases/{season.phase['id']}")
    before = await season.everything()
    preview = await season.person.told("PUT", f"{path}?dry_run=true", body)
    assert await season.everything() == before
    await season.person.told("PUT", path, body)
    after = await season.everything()
    done = {item["training_id"] for item in items[:6]}
    for item in items:
        id_ = item["training_id"]
        day = dt.date.fromisoformat(item["day"]) + (dt.timedelta() if id_ in done else by)
        assert after[id_]["day"] == f"{day}"
        assert after[id_]["version"] == before[id_]["version"] + (id_ not in done)
    moved = {each["training_id"] for each in preview["trainings"] if each["action"] == "move"}
    assert moved == {item["training_id"] for item in items} - done
    assert {item["training_id"] for item in await season.planned("done")} == done
    easy = {item["day"] for item in await season.planned() if item["deload"]}
    assert easy == {f"{dt.date.fromisoformat(item['day']) + by}" for item in items if item["deload"]}
    assert (await season.person.ask("DELETE", path)).status == 409, "it has a week of its own"
    for each in (season.easy, season.phase):
        await season.person.told("DELETE", season.at(f"/phases/{each['id']}"))
    assert set(await season.everything()) == done
    events = [(type_, version) for type_, id_, version in await _log(everything, season) if id_ == season.phase["id"]]
    assert events == [("phase_created", 1), ("phase_updated", 2), ("phase_deleted", 3)]


def _said(training: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in training.items() if name not in WHEN}


async def _log(everything: Database, season: Season) -> list[tuple[str, str, int]]:
    """Type, aggregate and version of the athlete's events, in the order in which they are published."""
    rows = await everything.all(
        "SELECT event_type, aggregate_id, version FROM outbox WHERE user_id = %s ORDER BY seq", [season.person.user_id]
    )
    return [(type_, str(UUID(str(id_))), version) for type_, id_, version in rows]
