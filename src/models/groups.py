"""A group as its coach sees it: who lets the coach read or plan, and what became of a plan for all of them."""

import datetime as dt
from enum import StrEnum
from typing import Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from models.fields import ExternalId, Moment, TimeZone, Title, moment
from models.memberships import Scope
from models.sets import Document
from models.workouts import WorkoutPlan


class GroupWorkout(Document):
    """Body of POST /groups/{group}/workouts."""

    workout_id: UUID
    """One of the coach's own workouts."""


class GroupTraining(Document):
    """Body of POST /groups/{group}/trainings: when each athlete's training takes place."""

    workout_id: UUID
    """One of the coach's own workouts, of which the athletes have copies."""
    date: Moment
    """When it takes place, RFC 3339 with its offset."""
    timezone: TimeZone = "UTC"
    """IANA zone of the athletes."""
    title: Title | None = None
    """The name of each athlete's copy by default."""
    hidden: bool = False
    """The athletes do not see it yet."""
    plan_id: ExternalId | None = None
    """The coach's own name of this plan. Of a workout, at one moment, there is one training for each name, and one
    without: so another name plans once more what was called off."""

    def plan(self) -> WorkoutPlan:
        """What is said of one athlete's training."""
        return WorkoutPlan(date=self.date, timezone=self.timezone, title=self.title, hidden=self.hidden)


class Outcome(StrEnum):
    """What a plan for a group came to for one of its athletes."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    MISSING = "missing"
    REVOKED = "revoked"


class GroupAthlete(BaseModel):
    """An athlete who accepted the group."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    scopes: list[Scope]
    """What the athlete lets the group's coaches do."""


class GroupAthletes(BaseModel):
    """One page of a group's athletes, by their ids."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[GroupAthlete]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class CopyResult(BaseModel):
    """What became of one athlete's copy."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    workout_id: UUID
    """The athlete's copy, which is a workout of the athlete's."""
    outcome: Literal[Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED, Outcome.KEPT, Outcome.REVOKED]
    """`updated`: the coach's workout is newer than it was; `kept`: the copy was changed or deleted since, and stays so;
    `revoked`: the athlete took the scope back meanwhile."""


class CopyResults(BaseModel):
    """What became of the copies of the athletes of one page, by their ids."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[CopyResult]
    next_cursor: str | None = None
    """Where the next athletes begin: send the same request with it. Absent where these were the last."""


class PlanResult(BaseModel):
    """What became of one athlete's training."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    training_id: UUID
    outcome: Literal[Outcome.CREATED, Outcome.UNCHANGED, Outcome.KEPT, Outcome.MISSING, Outcome.REVOKED]
    """`kept`: there was a training of this workout, moment and `plan_id` already, begun, planned otherwise or deleted
    since; `missing`: the athlete has no copy of the workout; `revoked`: the athlete took the scope back meanwhile."""


class PlanResults(BaseModel):
    """What became of the trainings of the athletes of one page, by their ids."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[PlanResult]
    next_cursor: str | None = None
    """Where the next athletes begin: send the same request with it. Absent where these were the last."""


def copy_id(coach: UUID, workout: UUID, group: str, athlete: UUID) -> UUID:
    """The id of the copy of a coach's workout that an athlete has for the group."""
    return uuid5(workout, f"{coach}/{athlete}/{group}")


def planned_id(copy: UUID, date: dt.datetime, plan_id: str | None = None) -> UUID:
    """The id of the training that is planned for a group from such a copy, at that moment, under that name."""
    return uuid5(copy, moment(date) if plan_id is None else f"{moment(date)}/{plan_id}")
