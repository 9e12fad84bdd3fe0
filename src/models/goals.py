"""A goal: what an athlete wants to reach and by when; and how far the log says that it is."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from models.errors import UnknownExercise
from models.exercises import Catalogue, folded
from models.fields import CountedDay, Name, Quantity, Text, Weight, number
from models.record_reports import MovementKey
from models.reports import Method, Report, ReportQuery
from models.sets import Document

MOST_DAYS = 3_660  # from a goal's first day to the one that it is due on: ten years


class GoalMetric(StrEnum):
    """What is to reach a value. More is better: of assistance, which is negative weight, that is less of it.

    The first are of one movement, on a local day; the weekly ones of all training in an ISO week.
    """

    E1RM_KG = "e1rm_kg"
    WEIGHT_KG = "weight_kg"
    REPS = "reps"
    HOLD_SECONDS = "hold_seconds"
    SESSION_VOLUME_KG = "session_volume_kg"
    WEEKLY_TRAININGS = "weekly_trainings"
    WEEKLY_HARD_SETS = "weekly_hard_sets"
    WEEKLY_VOLUME_KG = "weekly_volume_kg"

    @property
    def weekly(self) -> bool:
        """Whether it is of all training in a week, rather than of one movement."""
        return self.startswith("weekly_")

    @property
    def signed(self) -> bool:
        """Whether a value may be negative: a weight that is assistance."""
        return self in (GoalMetric.E1RM_KG, GoalMetric.WEIGHT_KG)


UNITS: Mapping[GoalMetric, str] = {
    GoalMetric.E1RM_KG: "kg",
    GoalMetric.WEIGHT_KG: "kg",
    GoalMetric.REPS: "reps",
    GoalMetric.HOLD_SECONDS: "s",
    GoalMetric.SESSION_VOLUME_KG: "kg",
    GoalMetric.WEEKLY_TRAININGS: "trainings",
    GoalMetric.WEEKLY_HARD_SETS: "sets",
    GoalMetric.WEEKLY_VOLUME_KG: "kg",
}
_COUNTS = (GoalMetric.REPS, GoalMetric.WEEKLY_TRAININGS, GoalMetric.WEEKLY_HARD_SETS)


class GoalState(StrEnum):
    """How things stand with a goal."""

    ACHIEVED = "achieved"
    ON_TRACK = "on_track"
    BEHIND = "behind"
    UNKNOWN = "unknown"
    MISSED = "missed"


def _key(value: str) -> str:
    kind, colon, name = value.partition(":")
    if not colon:
        return value
    if kind not in ("own", "name") or not name.strip():
        raise ValueError("must be a slug of the catalogue, `own:` and a slug, or `name:` and a name")
    return f"name:{folded(name)}" if kind == "name" else value


class GoalBody(Document):
    """What clients say of a goal, whether they create or change it."""

    name: Name
    metric: GoalMetric
    """What is to reach the target: of one movement on a local day, or of all training in an ISO week."""
    movement: Annotated[MovementKey, AfterValidator(_key)] | None = None
    """The movement, by its key, as the report of progress names it; required but for the weekly metrics, which have
    none. `name:` names every exercise that is called so, whatever the name means by now."""
    target: Quantity
    """The value to reach, in the metric's unit. A weight may be negative: assistance, of which less is more."""
    at_weight_kg: Weight | None = None
    """Of `reps` alone: the repetitions are at this weight or more; 0 by default, so that help does not count."""
    start_day: CountedDay
    """The local day from which on the target may be reached."""
    due: CountedDay
    """The local day by which it is to be reached, after `start_day` and at most ten years."""
    notes: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.metric.weekly and self.movement is not None:
            raise ValueError(f"`movement` does not go with `{self.metric}`, which is of all training")
        if not self.metric.weekly and self.movement is None:
            raise ValueError(f"`{self.metric}` needs `movement`")
        if self.at_weight_kg is not None and self.metric is not GoalMetric.REPS:
            raise ValueError("`at_weight_kg` goes with `reps` alone")
        if self.target <= 0 and not self.metric.signed:
            raise ValueError(f"the `target` of `{self.metric}` must be more than 0")
        if self.metric in _COUNTS and not self.target.is_integer():
            raise ValueError(f"the `target` of `{self.metric}` must be a whole number")
        if not 0 < (self.due - self.start_day).days <= MOST_DAYS:
            raise ValueError(f"`due` must be 1 to {MOST_DAYS:,} days after `start_day`")
        return self

    def content(self) -> str:
        """What is stored and published of it: a JSON object."""
        said = self.model_dump(mode="json", exclude_none=True, include=set(GoalBody.model_fields))
        said |= {name: number(said[name]) for name in ("target", "at_weight_kg") if name in said}
        return orjson.dumps(said).decode()

    def check_movement(self, catalogue: Catalogue) -> None:
        """Raises `UnknownExercise` where the movement is a slug that the catalogue lacks."""
        if self.movement is not None and ":" not in self.movement and self.movement not in catalogue.latest:
            message = f"The catalogue has no movement `{self.movement}`."
            raise UnknownExercise(message, "/movement")


class GoalCreate(GoalBody):
    """Body of POST /goals."""

    id: UUID | None = None
    """The client's own id, unique per user for ever: sent again with the same body it creates nothing."""


class GoalUpdate(GoalBody):
    """Body of PUT /goals/{goalId}: the whole goal anew. What GET answered may be sent back, changed."""

    id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    user_id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    version: int | None = Field(default=None, json_schema_extra={"readOnly": True})
    created_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})
    updated_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})


class GoalContent(BaseModel):
    """What a goal says, as it is stored and published. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    metric: GoalMetric
    movement: MovementKey | None = None
    """The movement's key; absent of the weekly metrics."""
    target: float
    at_weight_kg: float | None = None
    start_day: dt.date
    due: dt.date
    notes: str | None = None


class GoalDocument(GoalContent):
    """A goal as clients read it. Absent fields are unknown."""

    id: UUID
    user_id: UUID
    version: int
    """Counts its changes from 1; also its ETag."""
    created_at: dt.datetime
    updated_at: dt.datetime


class GoalPage(BaseModel):
    """One page of a user's goals, those created last first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[GoalDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class Goal(NamedTuple):
    """What of a goal its progress is computed from."""

    metric: GoalMetric
    target: Decimal
    start_day: dt.date
    due: dt.date

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Goal":
        """The goal that a `GoalDocument` tells of."""
        return cls(
            GoalMetric(document["metric"]),
            Decimal(str(document["target"])),
            dt.date.fromisoformat(document["start_day"]),
            dt.date.fromisoformat(document["due"]),
        )


class Point(NamedTuple):
    """The metric's value on a local day; of a weekly one in the week that begins on it.

    `training_id` is the training that the value is from, None where it is a sum over several.
    """

    day: dt.date
    value: Decimal
    training_id: UUID | None = None


class GoalProgressQuery(ReportQuery):
    """Query parameters of the progress of goals."""

    day: CountedDay | None = None
    """The local day as of which it is told: what was done later is left out. By default the athlete's present day, in
    the zone of the latest training; without one the day in UTC."""


class PointDocument(BaseModel):
    """A value of the metric, and where it is from."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    day: dt.date
    """The local day; of a weekly metric the Monday of the week."""
    value: float
    training_id: UUID | None = None
    """The training; absent where the value is a sum over several."""


class ReachedDocument(BaseModel):
    """When a day's value is the target, by the forecast. A day that lies beyond what can be told is null."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    earliest: dt.date | None
    """The first day on which the upper end of the interval is at the target or beyond."""
    expected: dt.date | None
    """The first day on which the line is."""
    latest: dt.date | None
    """The first day on which the lower end is."""


class ForecastDocument(BaseModel):
    """What the values so far let expect, if it goes on as before: a straight line through them, and its interval."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    day: dt.date
    """The day that it is about: the one that the goal is due on; of a weekly metric the Monday of its week."""
    value: float
    """The value of the line on that day."""
    low: float | None
    """Lower end of the interval of a day's value; null where the values so far lie on the line exactly, which tells
    nothing of how they scatter."""
    high: float | None
    """Upper end of it."""
    coverage: float
    """The share of such intervals that hold the value, if the assumptions hold."""
    slope_per_week: float
    """By how much the line rises in a week."""
    reached: ReachedDocument
    observations: int
    """Values that the line is put through."""
    first: dt.date
    """The day of the first of them."""
    last: dt.date
    """The day of the last of them."""
    assumes: str
    """What must be true for the interval to hold as often as `coverage` says."""


class GoalEvidence(BaseModel):
    """What the progress of a goal is computed from. What there is none of is null."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    start: PointDocument | None
    """Where the start value is from."""
    best: PointDocument | None
    """Where the best value is from."""
    achieved: PointDocument | None
    """What reached the target first; of a weekly metric the week's value up to the day on which it did."""
    points: list[PointDocument] | None = None
    """Every value that was looked at, oldest first; with the progress of a single goal alone."""


class GoalProgress(BaseModel):
    """How far a goal is. What cannot be told is null."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    goal: GoalDocument
    unit: Annotated[str, Field(examples=["kg"])]
    """Of all its values: kg, reps, s, trainings or sets. They are rounded half up to 4 digits after the point."""
    start_value: float | None
    """The best value of the 28 days before `start_day`; where there is none the first one since."""
    best_value: float | None
    """The best value since `start_day`."""
    share: float | None
    """How much of the way from the start value to the target the best value is, 0 to 1; null where there is no way:
    the start value is at the target or beyond, or a value is missing."""
    achieved_on: dt.date | None
    """The first local day, from `start_day` on, on which the target was reached."""
    state: GoalState
    reason: str
    """Why the state is this one, in words."""
    forecast: ForecastDocument | None
    forecast_reason: str
    """What the forecast says, or why there is none, in words."""
    evidence: GoalEvidence


class GoalProgressReport(Report):
    """How far one goal is."""

    day: dt.date
    """The local day as of which it is told."""
    method: Method
    progress: GoalProgress


class GoalsProgressReport(Report):
    """How far the goals of one user are: of the 100 that were created last, those created last first."""

    day: dt.date
    """The local day as of which it is told."""
    method: Method
    items: list[GoalProgress]
