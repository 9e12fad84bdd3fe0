"""An athlete who is advised something: an exercise was done as prescribed and is planned again."""

from typing import Any
from uuid import uuid4

from tests.support.coaches import Person


async def advised(person: Person, day: str) -> dict[str, Any]:
    """Advice to go on, for `day`: on which a new workout was done in the morning, and is planned for the evening."""
    exercise = {"id": str(uuid4()), "name": f"Squat {uuid4()}"}
    linear = {"sets": 1, "reps": 5, "weight": 100, "progression": {"kind": "linear", "increment": 2.5}}
    said = {"name": "Legs", "exercises": [exercise | linear]}
    workout = await person.told("POST", person.address("/workouts"), said)
    done = exercise | {"sets": [{"reps": 5, "weight": 100}]}
    session = {"date": f"{day}T06:00:00Z", "workout_id": workout["id"], "workout_version": 1, "exercises": [done]}
    await person.told("POST", person.address("/sessions"), session)
    await person.told("POST", person.address(f"/workouts/{workout['id']}/trainings"), {"date": f"{day}T18:00:00Z"})
    given = (await person.told("GET", person.address(f"/advice?day={day}")))["advice"]
    (found,) = (each for each in given if each["subject"].get("workout_id") == workout["id"])
    assert found["kind"] == "progress"
    assert len(found["changes"]) == 1
    advice: dict[str, Any] = found
    return advice
