"""Bodies of workouts for tests, and a user who writes them through the storage."""

from typing import Any
from uuid import UUID, uuid4

import orjson
from hypothesis import strategies as st

from models.exercises import Catalogue
from models.sets import Unit
from models.workouts import WorkoutCreate, WorkoutPlan, WorkoutUpdate, workout_exercises_json
from storage.database import Database
from storage.trainings import Author, IdempotencyKey, Trainings, Written
from storage.workouts import WorkoutPlans, Workouts
from tests.support.bodies import _external, _name, _optional, _text, targets

WORKOUTS = "workout_events"
TRAININGS = "training_events"
PULLS: dict[str, Any] = {
    "name": "Pull-up",
    "exercise": "pull-up",
    "sets": 3,
    "reps": {"min": 5, "max": 8},
    "rest": 150,
    "weight": 2.5,
    "rpe": 8,
}


@st.composite
def prescriptions(draw: st.DrawFn, slugs: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a workout prescribes of one exercise."""
    target = draw(targets)
    prescribed = {"duration_seconds": "hold_seconds", "rest_seconds": "rest"}
    exercise = {prescribed.get(name, name): value for name, value in target.items()}
    exercise |= {"name": draw(_name), "sets": draw(st.integers(1, 4))}
    optional = {"notes": _text, "superset": st.integers(0, 9), "unit": st.sampled_from(Unit), "id": st.uuids()}
    if slugs:
        optional["exercise"] = st.sampled_from(slugs)
    return exercise | draw(_optional(**optional))


@st.composite
def workouts(draw: st.DrawFn, slugs: tuple[str, ...] = ()) -> dict[str, Any]:
    """A body that POST and PUT accept."""
    body = {"name": draw(_name)} | draw(_optional(notes=_text, group_external_id=_external))
    unlike = st.lists(prescriptions(slugs), max_size=4, unique_by=lambda exercise: exercise.get("id", object()))
    return body | {"exercises": draw(unlike)}


def create_workout(**fields: Any) -> WorkoutCreate:
    """A body of POST; `name` has a default."""
    return WorkoutCreate.model_validate_json(orjson.dumps({"name": "Pull"} | fields))


def update_workout(**fields: Any) -> WorkoutUpdate:
    """A body of PUT; `name` has a default."""
    return WorkoutUpdate.model_validate_json(orjson.dumps({"name": "Pull"} | fields))


def plan_body(**fields: Any) -> WorkoutPlan:
    """A body of POST …/trainings; `date` has a default."""
    return WorkoutPlan.model_validate_json(orjson.dumps({"date": "2026-01-05T12:00:00Z"} | fields))


class Planner:
    """One user of the storage, who has workouts and trainings."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self.author = Author(uuid4(), "planner", "request-1")
        self.user_id = self.author.user_id
        self.workouts = Workouts(database, WORKOUTS)
        self.trainings = Trainings(database, TRAININGS)
        self.plans = WorkoutPlans(database, TRAININGS)
        self.catalogue = catalogue

    async def create(self, body: WorkoutCreate, key: IdempotencyKey | None = None) -> Written:
        """POST."""
        id_ = body.id or uuid4()
        exercises = workout_exercises_json(id_, body.exercises, self.catalogue)
        return await self.workouts.create(self.author, id_, body, exercises, key=key)

    async def update(
        self, id_: UUID, body: WorkoutUpdate, if_match: list[int] | None = None, key: IdempotencyKey | None = None
    ) -> Written:
        """PUT."""
        exercises = workout_exercises_json(id_, body.exercises, self.catalogue)
        return await self.workouts.update(self.author, id_, body, exercises, if_match=if_match, key=key)

    async def delete(self, id_: UUID, if_match: list[int] | None = None, key: IdempotencyKey | None = None) -> Written:
        """DELETE."""
        return await self.workouts.delete(self.author, id_, if_match=if_match, key=key)

    async def plan(self, id_: UUID, body: WorkoutPlan | None = None, key: IdempotencyKey | None = None) -> Written:
        """POST …/trainings."""
        body = body or plan_body()
        return await self.plans.plan(self.author, id_, body.id or uuid4(), body, key=key)

    async def read(self, id_: UUID) -> dict[str, Any]:
        """GET."""
        document: dict[str, Any] = orjson.loads((await self.workouts.read(self.user_id, id_)).document)
        return document

    async def training(self, id_: UUID) -> dict[str, Any]:
        """GET of a training."""
        document: dict[str, Any] = orjson.loads((await self.trainings.read(self.user_id, id_)).document)
        return document

    async def events(self, id_: UUID) -> list[dict[str, Any]]:
        """What its versions published."""
        changes = await self.workouts.versions(self.user_id, id_, limit=1000)
        return [orjson.loads(change.event) for change in changes]
