"""What the service publishes today is what the newest samples in docs/ show."""

import json
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from storage.database import Database
from storage.documents import ADVICE
from storage.training_writes import Author
from tests.support.documents import CONTENTS, Keeper
from tests.support.web import USER, bearer, serve
from web import check_ins, form_analyses, goals, own_exercises, phase_writes, phases, trainings, workouts

SAMPLES = Path(__file__).parents[2] / "docs" / "samples"
TRAINING = {
    "date": "2026-01-05T18:30:00+01:00",
    "timezone": "Europe/Berlin",
    "title": "Legs",
    "status": "COMPLETED",
    "duration_seconds": 3600,
    "session_rpe": 7.5,
    "bodyweight_kg": 78.4,
    "notes": "Slept well.",
    "exercises": [
        {
            "name": "Squat",
            "superset": 1,
            "notes": "Belt",
            "sets": [
                {"order": 1, "weight": 60, "reps": 8, "type": "warmup"},
                {
                    "order": 2,
                    "weight": 220.5,
                    "unit": "lb",
                    "reps": 5,
                    "rpe": 8.5,
                    "tempo": "3-0-1-0",
                    "rest_seconds": 180,
                },
                {"order": 3, "weight": 100, "reps": 5, "done": False},
            ],
        },
        {
            "name": "Pistol squat",
            "exercise": "pistol-squat",
            "superset": 1,
            "sets": [{"reps": 6, "side": "left"}, {"reps": 6, "side": "right"}],
        },
        {"name": "Wall sit", "sets": [{"duration_seconds": 45}]},
        {"name": "Sled push", "sets": [{"weight": 80, "distance_m": 20.5}]},
    ],
}
ID = "0193f1a0-0000-7000-8000-00000000000a"
OF_USER = f"/api/v1/training/users/{USER}"
WORKOUT = {
    "name": "Pull",
    "notes": "Stop a set when a repetition slows down.",
    "group_external_id": "team-7",
    "exercises": [
        {
            "name": "Pull-up",
            "exercise": "pull-up",
            "sets": 4,
            "reps": {"min": 5, "max": 8},
            "rest": 150,
            "weight": 5,
            "rpe": 8.5,
            "progression": {"kind": "double", "increment": 2.5, "deload": {"after": 3, "percent": 10}},
            "notes": "Full range",
        },
        {"name": "Row", "superset": 1, "sets": 3, "reps": 10, "weight": 45.5, "unit": "lb", "tempo": "2-0-1-1"},
        {"name": "Dead hang", "superset": 1, "sets": 2, "hold_seconds": 45},
    ],
}
CARRY = {
    "name": "Zercher carry",
    "category": "Legs",
    "mode": "hold",
    "phases": ["isometric"],
    "equipment": ["barbell"],
    "difficulty": 4,
    "muscles": ["quadriceps", "abdominals"],
    "secondary_muscles": ["biceps"],
    "bw_fraction": 1,
    "bw_fraction_basis": "The whole body is carried",
    "family": "carry",
    "image_id": "zercher-carry-1",
}


def _newest(event_type: str) -> dict[str, Any]:
    versions = {int(path.name.split(".")[1]): path for path in SAMPLES.glob(f"{event_type}.*.json")}
    sample: dict[str, Any] = json.loads(versions[max(versions)].read_bytes())
    return sample


async def test_the_events_of_one_training(db: Database) -> None:
    corrected = json.loads(json.dumps(TRAINING))
    corrected["notes"] = "Slept well. The last set counted."
    corrected["exercises"][0]["sets"][2]["done"] = True
    async with serve(trainings.ROUTES, database=db) as client:
        created = TRAINING | {"id": ID, "source_id": "strong:2026-01-05T18:30:00:Legs"}
        address = f"/api/v1/trainings/{ID}"
        assert (await client.post("/api/v1/trainings", json=created, headers=bearer())).status == 201
        assert (await client.put(address, json=corrected, headers=bearer())).status == 200
        assert (await client.delete(address, headers=bearer())).status == 204
    await _as_sampled(db, ["training_created", "training_updated", "training_deleted"])


async def _as_sampled(database: Database, types: list[str], aggregate_type: str | None = None) -> None:
    """These are the events that the log has, of that type of aggregate, and what they say is what the samples say."""
    parameters = {"type": aggregate_type}
    rows = await database.all(
        "SELECT event_type, payload FROM outbox WHERE aggregate_type = coalesce(%(type)s, aggregate_type) ORDER BY seq",
        parameters,
    )
    assert [row[0] for row in rows] == types
    for event_type, payload in rows:
        event = json.loads(payload)
        sample = _newest(event_type)
        assert list(event) == list(sample)
        assert event["event_type"] == sample["event_type"]
        assert event["payload"] == sample["payload"]


async def test_the_events_of_one_workout(db: Database) -> None:
    changed = json.loads(json.dumps(WORKOUT))
    changed["exercises"][0]["sets"] = 5
    address = f"/api/v1/training/users/{USER}/workouts"
    async with serve(workouts.ROUTES, database=db) as client:
        assert (await client.post(address, json=WORKOUT | {"id": ID}, headers=bearer())).status == 201
        assert (await client.put(f"{address}/{ID}", json=changed, headers=bearer())).status == 200
        assert (await client.delete(f"{address}/{ID}", headers=bearer())).status == 204
    await _as_sampled(db, ["workout_created", "workout_updated", "workout_deleted"])


async def test_the_events_of_ones_names(db: Database) -> None:
    address = f"/api/v1/training/users/{USER}/own-exercises"
    alias = f"/api/v1/training/users/{USER}/exercise-aliases/One-leg%20squat"
    async with serve(own_exercises.ROUTES, database=db) as client:
        assert (await client.post(address, json=CARRY, headers=bearer())).status == 201
        renamed = CARRY | {"name": "Front carry"}
        assert (await client.put(f"{address}/zercher-carry", json=renamed, headers=bearer())).status == 200
        assert (await client.delete(f"{address}/zercher-carry", headers=bearer())).status == 204
        assert (await client.put(alias, json={"exercise": "pistol-squat"}, headers=bearer())).status == 200
        assert (await client.delete(alias, headers=bearer())).status == 204
    types = ["created", "updated", "deleted", "alias_set", "alias_removed"]
    await _as_sampled(db, [f"exercise_{type_}" for type_ in types])


async def test_the_events_of_one_phase(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = (UUID(f"0193f1a0-0000-7000-8000-{number:012x}") for number in count(0xC))
    monkeypatch.setattr(phase_writes, "uuid7", lambda: next(ids))
    address, workout = f"{OF_USER}/phases", CONTENTS["phase"]["schedule"][0]["workout_id"]
    phase = CONTENTS["phase"] | {"name": "Base", "goal": "More work", "notes": "Slowly.", "last": "2026-01-18"}
    async with serve([*workouts.ROUTES, *phases.ROUTES], database=db) as client:
        created = await client.post(f"{OF_USER}/workouts", json=WORKOUT | {"id": workout}, headers=bearer())
        assert created.status == 201
        assert (await client.post(address, json=phase | {"id": ID}, headers=bearer())).status == 201
        moved = phase | {"first": "2026-01-12", "last": "2026-01-25"}
        assert (await client.put(f"{address}/{ID}", json=moved, headers=bearer())).status == 200
        assert (await client.delete(f"{address}/{ID}", headers=bearer())).status == 204
    await _as_sampled(db, ["phase_created", "phase_updated", "phase_deleted"], "phase")


async def test_the_events_of_one_goal(db: Database) -> None:
    address, goal = f"{OF_USER}/goals", CONTENTS["goal"] | {"notes": "Before the summer."}
    async with serve(goals.ROUTES, database=db) as client:
        assert (await client.post(address, json=goal | {"id": ID}, headers=bearer())).status == 201
        assert (await client.put(f"{address}/{ID}", json=goal | {"target": 142.5}, headers=bearer())).status == 200
        assert (await client.delete(f"{address}/{ID}", headers=bearer())).status == 204
    await _as_sampled(db, ["goal_created", "goal_updated", "goal_deleted"])


async def test_the_events_of_one_check_in(db: Database) -> None:
    address, said = f"{OF_USER}/check-ins/2026-01-05", {"sleep": 2, "fatigue": 3, "stress": 2, "soreness": 4}
    async with serve(check_ins.ROUTES, database=db) as client:
        assert (await client.put(address, json=said, headers=bearer())).status == 201
        more = said | {"bodyweight_kg": 78.4, "sleep_hours": 7.5, "resting_heart_rate": 52, "hrv_rmssd_ms": 64.2}
        assert (await client.put(address, json=more | {"notes": "A cold."}, headers=bearer())).status == 200
        assert (await client.delete(address, headers=bearer())).status == 204
    await _as_sampled(db, ["check_in_created", "check_in_updated", "check_in_deleted"])


async def test_the_events_of_accepted_advice(db: Database) -> None:
    """Which advice is given is the rules' affair: here it is some that was."""
    keeper = Keeper(db, ADVICE, Author(USER, "athlete"))
    await keeper.create(UUID(ID))
    (change,) = CONTENTS["advice"]["changes"]
    await keeper.update(UUID(ID), undone=True, changes=[change | {"version_restored": 3}])
    await _as_sampled(db, ["advice_accepted", "advice_undone"])


async def test_the_event_of_a_form_analysis(db: Database) -> None:
    said = CONTENTS["form_analysis"]
    training, exercise, set_ = (said[name] for name in ("training_id", "exercise_id", "set_id"))
    lift = {"id": exercise, "name": "Squat", "sets": [{"id": set_, "reps": 5, "video_id": said["video_id"]}]}
    body = TRAINING | {"id": training, "exercises": [lift]}
    address = f"{OF_USER}/trainings/{training}/exercises/{exercise}/sets/{set_}/form-analyses"
    analysis = {name: said[name] for name in ("video_id", "analyser", "scores", "remarks", "analysed_at")}
    async with serve([*trainings.ROUTES, *form_analyses.ROUTES], database=db) as client:
        assert (await client.post("/api/v1/trainings", json=body, headers=bearer())).status == 201
        assert (await client.post(address, json=analysis | {"id": ID}, headers=bearer())).status == 201
    await _as_sampled(db, ["form_analysis_added"], "form_analysis")
