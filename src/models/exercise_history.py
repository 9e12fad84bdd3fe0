"""What a user did of an exercise: the sessions that hold it, newest first, and the latest of many exercises at once."""

import datetime as dt
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.fields import Name
from models.sets import Document
from models.trainings import ExerciseDocument

MOST_ASKED = 30  # exercises of one request


class ExerciseSession(BaseModel):
    """What one COMPLETED training holds of an exercise. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    training_id: UUID
    date: dt.datetime
    timezone: str
    day: dt.date
    """The athlete's local day."""
    title: str | None = None
    exercises: list[ExerciseDocument]
    """The exercise as the training has it, as often and in the order as it stands there; of its sets those `done`."""


class ExerciseHistory(BaseModel):
    """One page of the sessions that hold an exercise, newest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[ExerciseSession]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class ExercisesAsked(Document):
    """Body of POST /users/{userId}/exercises/last."""

    exercises: Annotated[
        list[Name], Field(min_length=1, max_length=MOST_ASKED, json_schema_extra={"uniqueItems": True})
    ]
    """Slugs of the catalogue, and names as the athlete calls them; none twice."""


class LatestSession(ExerciseSession):
    """The latest session of an exercise."""

    asked: str
    """The slug or name that was asked for."""


class LatestSessions(BaseModel):
    """The latest session of each exercise that was asked for, in that order; without those that have none."""

    items: list[LatestSession]
