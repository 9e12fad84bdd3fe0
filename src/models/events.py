"""Events: the values of the records on `training_events`, `workout_events` and `exercise_events`."""

import datetime as dt
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.own_exercises import NamedMovement
from models.trainings import ExerciseDocument, Status
from models.workouts import WorkoutExerciseDocument

# A broker's default limit is 1,048,588 bytes for a record batch; what is larger is refused before it is stored.
MAX_EVENT_BYTES = 900_000


class EventType(StrEnum):
    """Every type of event on `training_events`."""

    TRAINING_CREATED = "training_created"
    TRAINING_UPDATED = "training_updated"
    TRAINING_DELETED = "training_deleted"


class WorkoutEventType(StrEnum):
    """Every type of event on `workout_events`."""

    WORKOUT_CREATED = "workout_created"
    WORKOUT_UPDATED = "workout_updated"
    WORKOUT_DELETED = "workout_deleted"


class ExerciseEventType(StrEnum):
    """Every type of event on `exercise_events`."""

    EXERCISE_CREATED = "exercise_created"
    EXERCISE_UPDATED = "exercise_updated"
    EXERCISE_DELETED = "exercise_deleted"
    EXERCISE_ALIAS_SET = "exercise_alias_set"
    EXERCISE_ALIAS_REMOVED = "exercise_alias_removed"


class TrainingPayload(BaseModel):
    """The training after the change that the event announces. Absent fields are unknown.

    Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    training_id: UUID
    user_id: UUID
    status: Status
    exercises: list[ExerciseDocument]
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this training from 1, without a gap."""
    previous_status: Status | None = None
    """Status before the change; absent when the training was created."""
    source_id: str | None = None
    date: dt.datetime
    timezone: str
    day: dt.date
    """The athlete's local day of `date` in `timezone`."""
    title: str | None = None
    duration_seconds: int | None = None
    session_rpe: float | None = None
    bodyweight_kg: float | None = None
    notes: str | None = None
    workout_id: UUID | None = None
    """The workout that it was planned from."""
    workout_version: int | None = None
    """Version of that workout."""
    group_external_id: str | None = None
    """The group that it belongs to, as another service names it."""
    skipped_at: dt.datetime | None = None
    """When the athlete gave it up; only of a PLANNED training."""
    skip_reason: str | None = None
    hidden: bool | None = None
    """True: a coach planned it and the athlete does not see it yet; absent where it is shown."""

    @property
    def aggregate_id(self) -> UUID:
        """The training's id."""
        return self.training_id


class TrainingEvent(BaseModel):
    """The value of one record on `training_events`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: EventType
    timestamp: dt.datetime
    """When the change was stored, UTC."""
    payload: TrainingPayload


class WorkoutPayload(BaseModel):
    """The workout after the change that the event announces. Absent fields are unknown.

    Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    workout_id: UUID
    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this workout from 1, without a gap."""
    name: str
    notes: str | None = None
    group_external_id: str | None = None
    """The group that it is for, as another service names it."""
    exercises: list[WorkoutExerciseDocument]

    @property
    def aggregate_id(self) -> UUID:
        """The workout's id."""
        return self.workout_id


class WorkoutEvent(BaseModel):
    """The value of one record on `workout_events`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: WorkoutEventType
    timestamp: dt.datetime
    """When the change was stored, UTC."""
    payload: WorkoutPayload


class ExercisePayload(BaseModel):
    """From now on these names, in the user's trainings, mean this movement; without `exercise` nothing any more.

    A training is never rewritten: an exercise of it that has no slug is this movement where its name, in lower case and
    with single spaces, is one of these. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this user's names from 1, without a gap."""
    names: Annotated[list[str], Field(min_length=1)]
    """In lower case, with single spaces. All names of an own exercise that was created, changed or deleted; its own
    name is the first."""
    exercise: NamedMovement | None = None

    @property
    def aggregate_id(self) -> UUID:
        """All names of a user are one aggregate."""
        return self.user_id


class ExerciseEvent(BaseModel):
    """The value of one record on `exercise_events`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: ExerciseEventType
    timestamp: dt.datetime
    """When the change was stored, UTC."""
    payload: ExercisePayload
