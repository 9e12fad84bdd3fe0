"""A session: a COMPLETED training, as it is logged in one piece, and read with its adherence to what was planned."""

import json
from collections.abc import Callable
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from models.adherence import Adherence
from models.fields import Exertion, Name, Seconds, Slug, Text, Weight, wrong
from models.sets import MAX_SETS, Document, RepCount, SetBody, Unit
from models.trainings import ExerciseBody, ExerciseDocument, Status, TrainingCreate, TrainingDocument

_one_count: TypeAdapter[int] = TypeAdapter(RepCount)


def _for_each_set(value: object, handler: Callable[[object], list[int]], info: ValidationInfo) -> list[int]:
    """One number is every set's."""
    sets = info.data.get("sets")
    if not isinstance(value, list):
        return [_one_count.validate_python(value, strict=True)] * (sets or 0)
    counts = handler(value)
    if sets is not None and len(counts) != sets:
        raise ValueError("must have as many items as `sets` says, or be a number")
    return counts


_RepsOfSets = Annotated[list[RepCount], WrapValidator(_for_each_set, json_schema_input_type=RepCount | list[RepCount])]


class ExerciseSummary(Document):
    """One exercise of a session in short: how many sets, and what was done in them."""

    id: UUID | None = None
    """The client's own id, unique in the training; without it the exercise's place gives it one."""
    name: Name
    """As the athlete calls it."""
    exercise: Slug | None = None
    """Slug of a movement of the catalogue."""
    exercise_revision: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Revision of that movement; the latest by default."""
    superset: Annotated[int, Field(ge=0, le=1_000)] | None = None
    """Exercises with the same number form a superset."""
    notes: Text | None = None
    sets: Annotated[int, Field(ge=0, le=MAX_SETS)]
    """How many sets were done."""
    actual_reps: _RepsOfSets = Field(default=[])
    """Repetitions of every set, or a list with those of each."""
    hold_seconds: Seconds | None = None
    """Length of a hold, of every set."""
    weight: Weight = 0.0
    """External weight of every set as entered, in `unit`; negative is assistance."""
    unit: Unit = Unit.KG
    rpe: Exertion | None = None
    """Rate of perceived exertion of every set, 0 to 10."""

    @model_validator(mode="after")
    def _says_what_was_done(self) -> Self:
        if self.sets and not self.actual_reps and self.hold_seconds is None:
            raise wrong(("actual_reps", "must be given, or else `hold_seconds`"))
        return self

    def exercise_body(self) -> ExerciseBody:
        """The same exercise, set by set."""
        one = SetBody(weight=self.weight, unit=self.unit, rpe=self.rpe, duration_seconds=self.hold_seconds)
        sets = [one.model_copy(update={"reps": reps}) for reps in self.actual_reps or [0] * self.sets]
        return ExerciseBody(
            id=self.id,
            name=self.name,
            exercise=self.exercise,
            exercise_revision=self.exercise_revision,
            superset=self.superset,
            notes=self.notes,
            sets=sets,
        )


def _either_form(value: object, handler: Callable[[object], ExerciseBody]) -> ExerciseBody:
    """An exercise is told in short where `sets` is a number. Errors name the places of the form that was sent."""
    if isinstance(value, dict) and ("actual_reps" in value or isinstance(value.get("sets"), (int, float))):
        return ExerciseSummary.model_validate_json(json.dumps(value)).exercise_body()
    return handler(value)


SessionExercise = Annotated[
    ExerciseBody, WrapValidator(_either_form, json_schema_input_type=ExerciseBody | ExerciseSummary)
]


def _completed(status: Status) -> Status:
    if status is not Status.COMPLETED:
        raise ValueError("must be COMPLETED, or left out")
    return status


_Completed = Annotated[
    Status, AfterValidator(_completed), WithJsonSchema({"type": "string", "const": str(Status.COMPLETED)})
]


class SessionCreate(TrainingCreate):
    """Body of POST /sessions: a training that is done, each exercise set by set or in short."""

    status: _Completed = Status.COMPLETED
    exercises: list[SessionExercise] = Field(default=[], max_length=200)

    def training(self) -> TrainingCreate:
        """The training that it is."""
        return TrainingCreate.model_construct(**dict(self))


class SessionDocument(TrainingDocument):
    """A COMPLETED training as clients read it, with how far it was done as planned."""

    adherence: Adherence | None = None
    """Planned against actual; absent where nothing was planned."""


class SessionPart(BaseModel):
    """What the adherence is made of."""

    exercises: list[ExerciseDocument]


class SessionList(BaseModel):
    """A user's sessions, oldest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[SessionDocument]
