"""The reports of personal records and of progress: what is asked, and the documents that answer."""

import datetime as dt
from typing import Annotated
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from models.fields import NO_NUL, Flag
from models.records import RecordKind
from models.reports import Method, RangeQuery, Report, ReportQuery
from models.streaks import MilestoneKind

MovementKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300, pattern=NO_NUL),
    Field(examples=["pistol-squat", "own:sandbag-carry", "name:squat (barbell)"]),
]
"""A movement as reports name it: the slug of the catalogue's; `own:` and the slug of the user's own; `name:` and the
name, in lower case, of what names no movement. Records of a family of movements stand under `family:` and its name."""


class RecordsQuery(ReportQuery):
    """Query parameters of the records."""

    movement: MovementKey | None = None
    """The records of one movement: its key, as they and the report of progress name it."""
    kind: RecordKind | None = None
    """The records of one kind."""
    history: Flag = False
    """Those, too, that were beaten since."""


class RecordItem(BaseModel):
    """One time that a record was set. Absent fields do not apply."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    movement: MovementKey
    """The movement's key; of `harder_movement` the family's."""
    name: str
    """The exercise as the training has it."""
    exercise: str | None = None
    """Slug of the catalogue's movement."""
    own_exercise: str | None = None
    """Slug of the user's own."""
    kind: RecordKind
    at_weight_kg: float | None = None
    """Of `reps_at_weight` the weight; negative is assistance."""
    value: float
    """Rounded half up to 4 digits after the point, as are `previous` and `at_weight_kg`."""
    unit: Annotated[str, Field(examples=["kg"])]
    """Of the value: kg, reps, s, or the catalogue's difficulty."""
    previous: float | None = None
    """The record before; of `reps_at_weight` the most repetitions before at this weight or more. Absent where there is
    none: a first performance."""
    training_id: UUID
    day: dt.date
    date: dt.datetime
    superseded_on: dt.date | None = None
    """The local day on which it was beaten; absent where it is in force."""


class RecordsReport(Report):
    """Records of one user, newest first."""

    method: Method
    items: list[RecordItem]


class ProgressQuery(RangeQuery):
    """Query parameters of the report of progress."""

    movement: Annotated[MovementKey | None, Field(validate_default=True)] = None
    """The movement whose days are asked for, by its key; without it the report says which movements there are."""

    @field_validator("movement")
    @classmethod
    def _of_a_range(cls, movement: str | None, info: ValidationInfo) -> str | None:
        if movement is None and (info.data.get("first") or info.data.get("last")):
            raise ValueError("is required with `from` or `to`")
        return movement


class ProgressItem(BaseModel):
    """What was done of a movement on one local day. Absent figures are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    day: dt.date
    sets: int
    reps: int
    external_load_kg: float
    system_load_kg: float | None = None
    e1rm_kg: float | None = None
    """The best estimate of the one-repetition maximum, warm-ups excluded; for bodyweight movements the weight beside
    the body's own."""
    e1rm_weight_kg: float | None = None
    """The weight of the set that the estimate is from; negative is assistance."""
    e1rm_reps: int | None = None
    """Its repetitions."""
    longest_hold_seconds: float | None = None
    """Warm-ups excluded."""


class MovementProgress(Report):
    """One movement, day by day, oldest first."""

    movement: MovementKey
    first: Annotated[dt.date | None, Field(alias="from")] = None
    last: Annotated[dt.date | None, Field(alias="to")] = None
    method: Method
    items: list[ProgressItem]


class StreakDocument(BaseModel):
    """ISO weeks in a row with a completed training."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    weeks: int
    first: dt.date | None = None
    """Monday of the first of them; absent where there is none."""
    last: dt.date | None = None
    """Monday of the last of them."""


class StreaksDocument(BaseModel):
    """Streaks of training weeks."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    current: StreakDocument
    """The one that lasts; the present week does not end it before it is over."""
    longest: StreakDocument


class MilestoneDocument(BaseModel):
    """A round total that was reached."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    kind: MilestoneKind
    value: int
    day: dt.date


class MovementItem(BaseModel):
    """A movement that the user did."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    movement: MovementKey
    name: str
    """The exercise as the latest training has it."""
    exercise: str | None = None
    own_exercise: str | None = None
    sessions: int
    """Completed trainings that hold it."""
    last_day: dt.date
    """The local day of the latest of them."""


class ProgressOverview(Report):
    """How the user keeps at it, and which movements there is a series of, the latest first."""

    today: dt.date | None = None
    """The athlete's present day, in the zone of the latest training; absent where there is none."""
    method: Method
    streaks: StreaksDocument
    milestones: list[MilestoneDocument]
    """In the order in which they were reached."""
    movements: list[MovementItem]


class ProgressReport(RootModel[MovementProgress | ProgressOverview]):
    """The series of a movement; without `movement` the overview."""
