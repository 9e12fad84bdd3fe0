"""What the service publishes today is what the newest samples in docs/ show."""

import json
from pathlib import Path
from typing import Any

from storage.database import Database
from tests.support.web import USER, bearer, serve
from web import own_exercises, trainings, workouts

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


async def _as_sampled(database: Database, types: list[str]) -> None:
    rows = await database.all("SELECT event_type, payload FROM outbox ORDER BY seq")
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
