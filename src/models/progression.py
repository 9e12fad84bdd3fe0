"""Progression: what the next session prescribes and why, session by session, as clients read it; and what it is
computed from. `models.progression_rules` has the rules.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from models.fields import Day, Exertion, LastDay, Name, Seconds, Slug, Weight, either, number
from models.progression_rules import Rule, check_rule
from models.reports import Method
from models.sets import Document, RepRangeDocument, Reps, Unit
from models.trainings import ExerciseDocument
from models.workouts import WorkoutExerciseDocument

MOST_SESSIONS = 300  # of a workout that walks are computed over, the newest: two years of three a week
MOST_TRIED = 1_000  # that a rule is tried on, the newest
SHOWN_SESSIONS = 200  # of each exercise of a workout: the newest

Number = Annotated[
    float, PlainSerializer(number, return_type=int | float, when_used="json"), WithJsonSchema({"type": "number"})
]


class LoggedSet(NamedTuple):
    """A set of a completed training, as it was entered. `target` is a `TargetDocument` as JSON has it."""

    weight: float
    unit: Unit
    reps: int
    hold_seconds: float
    rpe: float | None
    done: bool
    warm_up: bool
    target: Mapping[str, Any] | None


class LoggedExercise(NamedTuple):
    """An exercise of a completed training. `exercise` is the slug that it was logged with, or that its name means."""

    id: UUID
    name: str
    exercise: str | None
    sets: tuple[LoggedSet, ...]


class LoggedTraining(NamedTuple):
    """A completed training, as far as progression looks at it.

    `workout_version` is that of the workout that it was made from, 0 where there is none. `deload` is the name of
    the deload phase that its day lies in; `lighter` is whether the training itself was made a lighter session.
    `performed` is by when it surely was: its date, or when it became COMPLETED where that came first.
    """

    id: UUID
    day: dt.date
    date: dt.datetime
    workout_version: int
    deload: str | None
    lighter: bool
    performed: dt.datetime
    exercises: tuple[LoggedExercise, ...]


@dataclass(frozen=True, slots=True)
class WorkoutHistory:
    """A workout as it is now, and the completed trainings that were made from it, the newest `MOST_SESSIONS`.

    `since` has for each exercise the version of the workout from which on its prescription is what it is now, and when
    that was saved, in the athlete's zone.
    """

    workout_id: UUID
    version: int
    name: str
    exercises: tuple[WorkoutExerciseDocument, ...]
    since: Mapping[UUID, tuple[int, dt.datetime]]
    trainings: tuple[LoggedTraining, ...]


class Decision(StrEnum):
    """What becomes of a prescription."""

    START = "start"
    """As the workout says: nothing was done of it yet."""
    PROGRESS = "progress"
    HOLD = "hold"
    """As before, or with the weight that the athlete took instead."""
    DELOAD = "deload"
    """Less than before."""
    HARDER = "harder"
    """A harder movement."""
    EASIER = "easier"
    """An easier movement."""
    SCRIPT = "script"
    """What the script says for this session."""


class DoneSet(BaseModel):
    """A set that was done and is no warm-up. Absent fields are unknown."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    weight: Number
    """External weight as entered, in `unit`; negative is assistance."""
    unit: Unit
    reps: int
    hold_seconds: Number | None = None
    rpe: Number | None = None


class DoneSession(BaseModel):
    """What one training has of an exercise."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    training_id: UUID
    day: dt.date
    """The athlete's local day."""
    exercise: str | None = None
    """Slug of the movement that was done."""
    done: tuple[DoneSet, ...]


class Prescription(BaseModel):
    """What a session prescribes of an exercise, and why. Absent fields are not prescribed."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    sets: int
    reps: int | RepRangeDocument | None = None
    """Repetitions of each set: a number, or a range of which both ends count."""
    weight: Number | None = None
    """External weight, in `unit`, to 4 digits after the point; negative is assistance."""
    unit: Unit
    display_weight: Number | None = None
    """What is loaded: `weight` in the steps that the rule's `rounding` allows, the lighter one between two. To do it
    is to do as prescribed, and a deload takes a step off it at least; nothing else is computed from it."""
    hold_seconds: Number | None = None
    """Seconds that each set is held."""
    rpe: Number | None = None
    """Rate of perceived exertion to aim at, 0 to 10."""
    exercise: str | None = None
    """Slug of the movement."""
    decision: Decision
    reason: str
    """Why it is so, in words."""
    evidence: tuple[DoneSession, ...] = ()
    """The sessions that the decision is computed from, oldest first: at most the last 10 of them. Left out where the
    sessions before it are told themselves."""


class WalkSession(DoneSession):
    """One session of a walk: what was prescribed, what was done, and what follows."""

    prescription: Prescription
    """As it was before the session. Targets of the training that say otherwise are told in `reason`."""
    met: bool | None
    """Whether what the rule waits for was done, like the top of the range on all sets; null where the session does not
    count."""
    missed: bool | None
    """Whether it was less than prescribed: fewer sets, repetitions or seconds, or less weight. A session may be neither
    met nor missed, within a range or where its training had planned less; null where it does not count."""
    decision: Decision
    """What becomes of the prescription."""
    reason: str


class Walk(BaseModel):
    """The fold of a rule over the log: the sessions, oldest first, and what comes next."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    count: int
    """Sessions that it is computed over."""
    counted: int
    """Those of them that say something: neither part of a deload, nor without a set that was done."""
    sessions: tuple[WalkSession, ...]
    """The newest of them."""
    next: Prescription
    light: Prescription
    """What a day in a deload, or a lighter session, prescribes; its reason goes on behind which of the two it is."""


class ExerciseWalk(BaseModel):
    """An exercise of a workout, and its walk. Without a rule the prescription is always what the workout says."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    exercise_id: UUID
    """Id of the exercise in the workout, and in the trainings that are made from it."""
    name: str
    rule: Rule | None = None
    walk: Walk


class NextQuery(BaseModel):
    """Query parameters of what comes next."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    day: Day | None = None
    """The local day; what was done after it is left out. By default the athlete's present one, in the zone of the
    latest completed training, before there is one of the latest planned, else in UTC."""


class NextExercise(BaseModel):
    """What the next session prescribes of an exercise of a workout."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    exercise_id: UUID
    """Id of the exercise in the workout."""
    name: str
    prescription: Prescription


class NextReport(BaseModel):
    """The next session of a workout."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    workout_id: UUID
    workout_version: int
    title: str
    """The workout's name."""
    day: dt.date
    """The local day that it is for."""
    deload_phase: str | None = None
    """Name of the deload phase that the day lies in; absent where it lies in none."""
    lighter: bool
    """Whether the training that is planned for the day was made a lighter session: it prescribes as a deload does."""
    method: Method
    items: list[NextExercise]
    exercises: list[ExerciseDocument]
    """The same as the `exercises` of POST /trainings: sets that are not done, with their targets, which aim at the
    `display_weight`. With `workout_id` and `workout_version` beside them the training counts as a session of the
    workout. They follow from what was done: a planned training that accepted advice changed says more than they do."""


class ExerciseProgression(BaseModel):
    """How an exercise of a workout went on."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    exercise_id: UUID
    """Id of the exercise in the workout."""
    name: str
    rule: Rule
    count: int
    """Sessions that it is computed over."""
    sessions: list[WalkSession]
    """The newest 200 of them, oldest first."""
    next: Prescription


class ProgressionReport(BaseModel):
    """How a workout's exercises went on, by their rules: those that have one."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    workout_id: UUID
    workout_version: int
    most_sessions: int
    """Trainings of the workout that are looked at, at most: the newest."""
    method: Method
    items: list[ExerciseProgression]


class DryRunBody(Document):
    """Body of POST /progression/dry-run: a prescription with its rule, to be tried on what was done."""

    exercise: Slug | None = None
    """Slug of a movement of the catalogue or of the user's own. Either this or `name` is given."""
    name: Name | None = None
    """As the athlete calls it: what was logged under that name."""
    sets: Annotated[int, Field(ge=1, le=100)]
    """How many sets, all alike."""
    reps: Reps | None = None
    """Repetitions of each set: a number, or a range of which both ends count."""
    weight: Weight | None = None
    """External weight, in `unit`; negative is assistance. Without it the first session sets it."""
    unit: Unit = Unit.KG
    rpe: Exertion | None = None
    """Rate of perceived exertion to aim at, 0 to 10."""
    hold_seconds: Seconds | None = None
    """Seconds that each set is held."""
    progression: Rule
    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, inclusive."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        either(self, "exercise", "name")
        check_rule(self.progression, dict(self))
        return self


class DryRunReport(BaseModel):
    """What a rule would have prescribed, session by session, beside what was done."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    exercise: str | None = None
    name: str | None = None
    first: Annotated[dt.date | None, Field(alias="from")] = None
    last: Annotated[dt.date | None, Field(alias="to")] = None
    rule: Rule
    most_sessions: int
    """Trainings that are looked at, at most: the newest."""
    method: Method
    sessions: list[WalkSession]
    """Oldest first."""
    next: Prescription
