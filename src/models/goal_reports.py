"""How far goals are, and what is to be expected: what is told of it."""

import datetime as dt
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.goals import GoalDocument, GoalState
from models.reports import Method, Report


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
    """The best value since `start_day`, also where that is from after `due`."""
    share: float | None
    """How much of the way from the start value to the target the best value is, 0 to 1; 1 once the target was
    reached."""
    share_reason: str | None
    """Why `share` is null, in words: there is no value since `start_day`, or the start value is at the target or
    beyond. Null where it is known."""
    achieved_on: dt.date | None
    """The first local day, from `start_day` on, on which the target was reached; null where it was not."""
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
