"""Events: the values of the records on `training_events` and `workout_events`, and how they are made."""

import datetime as dt
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

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


class WorkoutEvent(BaseModel):
    """The value of one record on `workout_events`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: WorkoutEventType
    timestamp: dt.datetime
    """When the change was stored, UTC."""
    payload: WorkoutPayload
