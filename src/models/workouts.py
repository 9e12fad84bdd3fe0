"""A workout: the template of trainings, as clients send it, as it is stored, and the training that it plans."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import uuid_utils
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.exercises import Catalogue
from models.fields import (
    Exertion,
    ExternalId,
    Moment,
    Name,
    Seconds,
    Slug,
    SourceId,
    Tempo,
    Text,
    TimeZone,
    Title,
    Weight,
    moment,
    wrong,
)
from models.progression_rules import Rule, StoredRule, check_movement, check_rule, rule_fields
from models.sets import (
    Document,
    RepRangeDocument,
    Reps,
    RestSeconds,
    SetType,
    Unit,
    known,
    optional_number,
    unique,
)
from models.trainings import ChangeDocument, ExerciseBody, Status, exercises_json


class WorkoutExerciseBody(Document):
    """What a workout prescribes of one exercise."""

    id: UUID | None = None
    """The client's own id, unique in the workout; without it the exercise's place gives it one."""
    name: Name
    """As the athlete calls it."""
    exercise: Slug | None = None
    """Slug of a movement of the catalogue."""
    exercise_revision: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Revision of that movement; the latest by default."""
    superset: Annotated[int, Field(ge=0, le=1_000)] | None = None
    """Exercises with the same number form a superset."""
    sets: Annotated[int, Field(ge=1, le=100)]
    """How many sets, all alike."""
    reps: Reps | None = None
    """Repetitions of each set: a number, or a range of which both ends count."""
    rest: RestSeconds | None = None
    """Seconds of rest after each set."""
    weight: Weight | None = None
    """External weight, in `unit`; negative is assistance."""
    unit: Unit = Unit.KG
    rpe: Exertion | None = None
    """Rate of perceived exertion to aim at, 0 to 10."""
    tempo: Tempo | None = None
    """Seconds of eccentric, pause, concentric, pause: `3-0-1-0`; X is explosive."""
    hold_seconds: Seconds | None = None
    """Seconds that each set is held."""
    progression: Rule | None = None
    """By which rule the next prescription follows from what was done; without one it is always this."""
    notes: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.exercise_revision is not None and self.exercise is None:
            raise wrong(("exercise", "must be given beside `exercise_revision`"))
        check_rule(self.progression, dict(self))
        return self


class WorkoutBody(Document):
    """What clients say of a workout, whether they create or change it."""

    name: Name
    notes: Text | None = None
    group_external_id: ExternalId | None = None
    """The group that it is for, as another service names it; trainings that are made from it belong to it too."""
    exercises: Annotated[list[WorkoutExerciseBody], Field(max_length=200)] = Field(default=[])

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unique("exercises", "id", (exercise.id for exercise in self.exercises))
        return self


class WorkoutCreate(WorkoutBody):
    """Body of POST /workouts."""

    id: UUID | None = None
    """The client's own id, unique per user for ever: sent again with the same body it creates nothing."""


class WorkoutUpdate(WorkoutBody):
    """Body of PUT /workouts/{id}: the whole workout anew. What GET answered may be sent back, changed."""

    id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    user_id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    version: int | None = Field(default=None, json_schema_extra={"readOnly": True})
    created_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})
    updated_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})


class WorkoutPlan(Document):
    """Body of POST /workouts/{id}/trainings: when the planned training takes place."""

    id: UUID | None = None
    """The training's id, unique per user for ever: sent again with the same body it creates nothing."""
    source_id: SourceId | None = None
    """Which record of which app the training is, unique per user for ever."""
    date: Moment
    """When it takes place, RFC 3339 with its offset."""
    timezone: TimeZone = "UTC"
    """IANA zone of the athlete."""
    title: Title | None = None
    """The workout's name by default."""
    hidden: bool = False
    """The athlete does not see it yet: a coach's alone to say."""

    def local_day(self) -> dt.date:
        """The athlete's local day."""
        return self.date.astimezone(ZoneInfo(self.timezone)).date()

    def digest_of(self, workout_id: UUID) -> bytes:
        """SHA-256 of what the client said, and of which workout."""
        return hashlib.sha256(workout_id.bytes + self.digest()).digest()


class WorkoutExerciseDocument(BaseModel):
    """What a workout prescribes of one exercise, as it is stored and published. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    name: str
    exercise: str | None = None
    exercise_revision: int | None = None
    superset: int | None = None
    sets: int
    """How many sets, all alike."""
    reps: int | RepRangeDocument | None = None
    """Repetitions of each set: a number, or a range of which both ends count."""
    rest: int | None = None
    """Seconds of rest after each set."""
    weight: float | None = None
    """External weight, in `unit`; negative is assistance."""
    unit: Unit = Unit.KG
    rpe: float | None = None
    tempo: str | None = None
    hold_seconds: float | None = None
    """Seconds that each set is held."""
    progression: StoredRule = None
    """By which rule the next prescription follows from what was done."""
    notes: str | None = None


class WorkoutDocument(BaseModel):
    """A workout as clients read it. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    user_id: UUID
    version: int
    """Counts its changes from 1; also its ETag."""
    name: str
    notes: str | None = None
    group_external_id: str | None = None
    """The group that it is for, as another service names it."""
    exercises: list[WorkoutExerciseDocument]
    created_at: dt.datetime
    updated_at: dt.datetime
    deleted_at: dt.datetime | None = None


class WorkoutPage(BaseModel):
    """One page of a user's workouts, those created last first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[WorkoutDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class WorkoutVersions(BaseModel):
    """The changes of one workout, oldest first; they stay when it is deleted."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[ChangeDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


def workout_exercises_json(workout_id: UUID, exercises: Sequence[WorkoutExerciseBody], catalogue: Catalogue) -> str:
    """The exercises of a workout as they are stored, published and read: an array of `WorkoutExerciseDocument`.

    Ids and revisions that the client left out are found as those of a training are. Raises `UnknownExercise` when the
    catalogue lacks a slug or the named revision of it.
    """
    names = ("id", "name", "exercise", "exercise_revision")
    bodies = [ExerciseBody(**{name: getattr(exercise, name) for name in names}) for exercise in exercises]
    found = orjson.loads(exercises_json(workout_id, bodies, catalogue))
    for place, exercise in enumerate(exercises):
        check_movement(exercise.progression, catalogue, f"/exercises/{place}/progression")
    return orjson.dumps([_exercise(*each) for each in zip(exercises, found, strict=True)]).decode()


def workout_fields(body: WorkoutBody, exercises: str) -> str:
    """What the body says, as the members of a JSON object: `"name":"Legs",…,"exercises":[…]`.

    Both the event's payload and the document that clients read end with it. `exercises` is what
    `workout_exercises_json` made.
    """
    fields = {
        "name": body.name,
        "notes": body.notes,
        "group_external_id": body.group_external_id,
        "exercises": orjson.Fragment(exercises),
    }
    return orjson.dumps(known(fields)).decode()[1:-1]


def plan_json(exercises: str | bytes) -> str:
    """The exercises of the PLANNED training that a workout makes: an array of `ExerciseDocument`.

    Each prescribed set is one that is not done, with the target that the workout prescribes. `exercises` is what
    `workout_exercises_json` made. Ids are unique within one training.
    """
    return orjson.dumps([_planned(exercise) for exercise in orjson.loads(exercises)]).decode()


def planned_fields(body: WorkoutPlan) -> str:
    """The first of what `models.trainings.training_fields` says of the PLANNED training; the workout says the rest."""
    day = body.local_day()
    fields = {"status": Status.PLANNED, "date": moment(body.date), "timezone": body.timezone, "day": day}
    return orjson.dumps(fields).decode()[1:-1]


def _exercise(body: WorkoutExerciseBody, found: dict[str, Any]) -> dict[str, Any]:
    return known(
        {
            "id": found["id"],
            "name": body.name,
            "exercise": body.exercise,
            "exercise_revision": found.get("exercise_revision"),
            "superset": body.superset,
            "sets": body.sets,
            "reps": None if body.reps is None else body.reps.said(),
            "rest": body.rest,
            "weight": optional_number(body.weight),
            "unit": body.unit,
            "rpe": optional_number(body.rpe),
            "tempo": body.tempo,
            "hold_seconds": optional_number(body.hold_seconds),
            "progression": None if body.progression is None else rule_fields(body.progression),
            "notes": body.notes,
        }
    )


def _planned(exercise: dict[str, Any]) -> dict[str, Any]:
    target = {
        "reps": exercise.get("reps"),
        "weight": exercise.get("weight"),
        "duration_seconds": exercise.get("hold_seconds"),
        "rpe": exercise.get("rpe"),
        "tempo": exercise.get("tempo"),
        "rest_seconds": exercise.get("rest"),
    }
    set_ = {"weight": 0, "unit": exercise.get("unit", Unit.KG), "reps": 0, "done": False, "type": SetType.WORKING}
    set_ |= known({"target": known(target) or None})
    namespace = uuid_utils.UUID(exercise["id"])
    return known(
        {
            "id": exercise["id"],
            "name": exercise["name"],
            "exercise": exercise.get("exercise"),
            "exercise_revision": exercise.get("exercise_revision"),
            "superset": exercise.get("superset"),
            "notes": exercise.get("notes"),
            "sets": [
                {"id": str(uuid_utils.uuid5(namespace, str(order))), "order": order} | set_
                for order in range(1, exercise["sets"] + 1)
            ],
        }
    )
