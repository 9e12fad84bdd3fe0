"""What the volume of a training is computed from: a part of `models.events`, read in less time than the whole.

The ids of exercises and sets, notes and the like are passed over. Every field is the one of the same name there.
"""

import datetime as dt
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.events import EventType
from models.sets import SetType, Unit
from models.trainings import Status


class PerformedSet(BaseModel):
    """Of `SetDocument`."""

    weight: float
    unit: Unit = Unit.KG
    reps: int
    duration_seconds: float | None = None
    distance_m: float | None = None
    done: bool = True
    rpe: float | None = None
    tempo: str | None = None
    type: SetType = SetType.WORKING


class PerformedExercise(BaseModel):
    """Of `ExerciseDocument`."""

    name: str
    exercise: str | None = None
    exercise_revision: int | None = None
    sets: list[PerformedSet]


class PerformedTraining(BaseModel):
    """Of `TrainingPayload`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    training_id: UUID
    user_id: UUID
    status: Status
    exercises: list[PerformedExercise]
    version: Annotated[int, Field(ge=1)]
    date: dt.datetime
    timezone: str
    day: dt.date
    duration_seconds: int | None = None
    session_rpe: float | None = None
    bodyweight_kg: float | None = None


class PerformedEvent(BaseModel):
    """Of `TrainingEvent`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    event_type: EventType
    timestamp: dt.datetime
    payload: PerformedTraining
