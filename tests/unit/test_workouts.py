"""What a workout says, and the training that it plans."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.errors import UnknownExercise
from models.exercises import Catalogue
from models.trainings import ExerciseBody, ExerciseDocument, exercises_json
from models.workouts import (
    WorkoutDocument,
    WorkoutExerciseDocument,
    WorkoutUpdate,
    plan_json,
    planned_fields,
    workout_exercises_json,
    workout_fields,
)
from tests.support.bodies import create_body, uuid
from tests.support.workouts import create_workout, plan_body, workouts

EMPTY = Catalogue({}, {})
ID = uuid(1)


def exercises_of(*exercises: dict[str, Any], catalogue: Catalogue = EMPTY) -> list[dict[str, Any]]:
    body = create_workout(exercises=exercises)
    found: list[dict[str, Any]] = orjson.loads(workout_exercises_json(ID, body.exercises, catalogue))
    return found


def planned(*exercises: dict[str, Any]) -> list[dict[str, Any]]:
    plan: list[dict[str, Any]] = orjson.loads(plan_json(orjson.dumps(exercises_of(*exercises))))
    return plan


@given(workouts())
def test_a_plan_is_what_a_client_would_write_of_the_workout(said: dict[str, Any]) -> None:
    body = create_workout(**said)
    plan = plan_json(workout_exercises_json(ID, body.exercises, EMPTY))
    sent = orjson.loads(plan)
    for exercise in sent:
        for set_ in exercise["sets"]:
            del set_["id"]  # derived from the place by both
    bodies = [ExerciseBody.model_validate_json(orjson.dumps(exercise)) for exercise in sent]
    assert exercises_json(UUID(int=9), bodies, EMPTY) == plan
    assert [len(exercise["sets"]) for exercise in sent] == [exercise.sets for exercise in body.exercises]
    for document in orjson.loads(plan):
        ExerciseDocument.model_validate(document)


@given(workouts())
def test_what_is_stored_is_what_was_said(said: dict[str, Any]) -> None:
    body = create_workout(**said)
    exercises = workout_exercises_json(ID, body.exercises, EMPTY)
    fields = orjson.loads("{" + workout_fields(body, exercises) + "}")
    again = WorkoutUpdate.model_validate_json(orjson.dumps(fields))
    given_ids = [exercise.id for exercise in body.exercises]
    assert [id_ for id_, given_id in zip((e.id for e in again.exercises), given_ids, strict=True) if given_id] == [
        id_ for id_ in given_ids if id_
    ]
    assert workout_exercises_json(ID, again.exercises, EMPTY) == exercises
    moments = {"created_at": "2026-01-05T12:00:00Z", "updated_at": "2026-01-05T12:00:00Z"}
    document = WorkoutDocument.model_validate(fields | {"id": ID, "user_id": ID, "version": 1} | moments)
    assert document.exercises == [WorkoutExerciseDocument.model_validate(each) for each in orjson.loads(exercises)]


def test_a_target_holds_what_is_prescribed_and_nothing_else() -> None:
    (pulls, hang, bare) = planned(
        {
            "name": "Pull-up",
            "sets": 2,
            "reps": {"min": 5, "max": 8},
            "weight": 10,
            "unit": "lb",
            "rest": 90,
            "rpe": 8.5,
        },
        {"name": "Dead hang", "sets": 1, "hold_seconds": 45, "tempo": "3-0-1-0", "superset": 1, "notes": "Loose"},
        {"name": "Stretch", "sets": 1},
    )
    assert [set_["order"] for set_ in pulls["sets"]] == [1, 2]
    assert len({set_["id"] for set_ in pulls["sets"]}) == 2
    assert [{name: value for name, value in set_.items() if name not in {"id", "order"}} for set_ in pulls["sets"]] == [
        {
            "weight": 0,
            "unit": "lb",
            "reps": 0,
            "done": False,
            "type": "working",
            "target": {"reps": {"min": 5, "max": 8}, "weight": 10, "rpe": 8.5, "rest_seconds": 90},
        }
    ] * 2
    assert hang["sets"][0]["target"] == {"duration_seconds": 45, "tempo": "3-0-1-0"}
    assert (hang["superset"], hang["notes"]) == (1, "Loose")
    assert "target" not in bare["sets"][0]


def test_a_range_of_one_number_is_that_number() -> None:
    (exercise,) = exercises_of({"name": "Pull-up", "sets": 1, "reps": {"min": 5, "max": 5}})
    assert exercise["reps"] == 5


def test_an_empty_workout_plans_an_empty_training() -> None:
    assert planned() == []


@pytest.mark.parametrize(
    "exercise",
    [
        {"name": "x"},
        {"name": "x", "sets": 0},
        {"name": "x", "sets": 101},
        {"name": "x", "sets": "3"},
        {"name": "x", "sets": [{"reps": 5}]},
        {"name": "x", "sets": 1, "reps": {"min": 8, "max": 5}},
        {"name": "x", "sets": 1, "reps": -1},
        {"name": "x", "sets": 1, "rest": 86_401},
        {"name": "x", "sets": 1, "hold_seconds": -1},
        {"name": "x", "sets": 1, "exercise_revision": 1},
        {"name": "", "sets": 1},
        {"name": "x", "sets": 1, "done": True},
    ],
    ids=str,
)
def test_what_is_no_prescription(exercise: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        create_workout(exercises=[exercise])


def test_an_exercise_has_an_id_of_its_own() -> None:
    twice = {"id": str(uuid(7)), "name": "x", "sets": 1}
    with pytest.raises(ValidationError, match="unique"):
        create_workout(exercises=[twice, twice])


def test_an_unknown_movement_is_named_by_its_place() -> None:
    with pytest.raises(UnknownExercise) as refused:
        exercises_of({"name": "x", "sets": 1}, {"name": "y", "sets": 1, "exercise": "no-such"})
    assert refused.value.pointer == "/exercises/1/exercise"


def test_a_digest_tells_what_was_asked_and_of_which_workout() -> None:
    body = plan_body(id=str(uuid(1)))
    assert body.digest_of(uuid(2)) == plan_body(id=str(uuid(1)), timezone="UTC").digest_of(uuid(2))
    assert body.digest_of(uuid(2)) != body.digest_of(uuid(3))
    assert body.digest_of(uuid(2)) != plan_body(id=str(uuid(1)), title="x").digest_of(uuid(2))
    assert create_workout(exercises=[]).digest() == create_workout().digest()


@given(st.sampled_from(["UTC", "Pacific/Kiritimati", "America/Los_Angeles"]), st.integers(0, 23))
def test_the_first_of_a_planned_training_is_what_every_training_says(zone: str, hour: int) -> None:
    date = f"2026-01-05T{hour:02}:30:00.25Z"
    said = orjson.loads("{" + planned_fields(plan_body(date=date, timezone=zone)) + "}")
    training = create_body(date=date, timezone=zone)
    assert said["day"] == training.local_day().isoformat()
    assert said == {"status": "PLANNED", "date": date, "timezone": zone, "day": said["day"]}
