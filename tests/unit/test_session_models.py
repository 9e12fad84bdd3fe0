"""A session's body: both forms of an exercise, and the training that it becomes."""

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from models.sessions import SessionCreate
from models.trainings import Status, TrainingCreate
from web.problems import invalid_body

ID = "0193f1a0-0000-7000-8000-000000000001"


def session(**fields: Any) -> SessionCreate:
    return SessionCreate.model_validate_json(orjson.dumps({"date": "2026-01-05T12:00:00Z"} | fields))


def training(**fields: Any) -> TrainingCreate:
    body = {"date": "2026-01-05T12:00:00Z", "status": "COMPLETED"} | fields
    return TrainingCreate.model_validate_json(orjson.dumps(body))


def test_both_forms_become_the_same_training() -> None:
    short = session(
        id=ID,
        title="Legs",
        exercises=[
            {
                "name": "Squat",
                "sets": 3,
                "actual_reps": [6, 5, 5],
                "weight": 80.5,
                "unit": "lb",
                "rpe": 8,
            },
            {"name": "Plank", "sets": 2, "hold_seconds": 60, "superset": 1, "notes": "x"},
            {
                "name": "P",
                "exercise": "pistol-squat",
                "exercise_revision": 1,
                "sets": 2,
                "actual_reps": 4,
                "id": ID,
            },
            {"name": "Nothing", "sets": 0},
            {"name": "Dip", "sets": [{"reps": 8, "id": ID, "target": {"reps": 8}}]},
        ],
    )
    weight = {"weight": 80.5, "unit": "lb", "rpe": 8}
    full = training(
        id=ID,
        title="Legs",
        exercises=[
            {"name": "Squat", "sets": [{"reps": reps} | weight for reps in (6, 5, 5)]},
            {"name": "Plank", "sets": [{"duration_seconds": 60}] * 2, "superset": 1, "notes": "x"},
            {"name": "P", "exercise": "pistol-squat", "exercise_revision": 1, "sets": [{"reps": 4}] * 2, "id": ID},
            {"name": "Nothing"},
            {"name": "Dip", "sets": [{"reps": 8, "id": ID, "target": {"reps": 8}}]},
        ],
    )
    assert short.training().model_dump() == full.model_dump()
    assert short.training().digest() == full.digest()


def test_a_session_is_completed() -> None:
    assert session().training().status is Status.COMPLETED
    assert session(status="COMPLETED").training() == session().training()


@pytest.mark.parametrize(
    ("fields", "pointer", "message"),
    [
        ({"status": "PLANNED"}, "/status", "must be COMPLETED, or left out"),
        ({"exercises": [{"name": "x", "sets": "3"}]}, "/exercises/0/sets", "must be an array"),
        ({"exercises": [{"name": "x", "sets": 2.5}]}, "/exercises/0/sets", "must be a whole number"),
        ({"exercises": [{"name": "x", "sets": -1}]}, "/exercises/0/sets", "must be at least 0"),
        ({"exercises": [{"name": "x", "sets": 501, "actual_reps": 1}]}, "/exercises/0/sets", "must be at most 500"),
        ({"exercises": [{"name": "x", "actual_reps": 1}]}, "/exercises/0/sets", "is required"),
        (
            {"exercises": [{"name": "x", "sets": 2}]},
            "/exercises/0/actual_reps",
            "must be given, or else `hold_seconds`",
        ),
        (
            {"exercises": [{"name": "x", "sets": 2, "actual_reps": [1, 2, 3]}]},
            "/exercises/0/actual_reps",
            "must have as many items as `sets` says, or be a number",
        ),
        (
            {"exercises": [{"name": "x", "sets": 2, "actual_reps": [1, "2"]}]},
            "/exercises/0/actual_reps/1",
            "must be a whole number",
        ),
        (
            {"exercises": [{"name": "x", "sets": 2, "actual_reps": True}]},
            "/exercises/0/actual_reps",
            "must be a whole number",
        ),
        (
            {"exercises": [{"name": "x", "sets": 1, "actual_reps": -1}]},
            "/exercises/0/actual_reps",
            "must be at least 0",
        ),
        ({"exercises": [{"name": "x", "sets": 1, "actual_reps": 1, "tempo": "x"}]}, "/exercises/0/tempo", None),
        ({"exercises": [{"name": "x", "sets": 1, "actual_reps": 1, "id": "x"}]}, "/exercises/0/id", None),
        (
            {"exercises": [{"name": "x", "sets": 1, "actual_reps": 1, "exercise_revision": 1}]},
            "/exercises/0/exercise",
            "must be given beside `exercise_revision`",
        ),
        ({"exercises": [{"name": "a"}, {"name": "x", "sets": [{"reps": "5"}]}]}, "/exercises/1/sets/0/reps", None),
        ({"exercises": ["x"]}, "/exercises/0", "must be an object"),
        ({"workout_id": ID}, "/workout_version", "must be given beside `workout_id`"),
        ({"skipped_at": "2026-01-05T12:00:00Z"}, "/skipped_at", "is of a PLANNED training only"),
    ],
)
def test_errors_name_the_place_that_was_sent(fields: dict[str, Any], pointer: str, message: str | None) -> None:
    with pytest.raises(ValidationError) as refused:
        session(**fields)
    (error,) = invalid_body(refused.value).errors
    assert error["pointer"] == pointer
    assert message is None or error["message"] == message
