"""A goal: what an athlete wants to reach and by when. How far it is: see `models.goal_reports`."""

import datetime as dt
from collections.abc import Iterator, Mapping, Set
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from models.errors import Unprocessable
from models.exercises import Catalogue, Mode, folded, is_of_implement
from models.fields import CountedDay, Name, Quantity, Text, Weight, number, wrong
from models.record_reports import MovementKey
from models.reports import ReportQuery
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
_NOT_OF: Mapping[str, Set[GoalMetric]] = {
    Mode.REPS: {GoalMetric.HOLD_SECONDS},
    Mode.HOLD: {GoalMetric.E1RM_KG, GoalMetric.REPS, GoalMetric.SESSION_VOLUME_KG},
}
# Beyond what anybody does: ten trainings a day, a hold of a day. Volumes have the bound of `Quantity` alone.
_MOST: Mapping[GoalMetric, int] = {
    **dict.fromkeys((GoalMetric.E1RM_KG, GoalMetric.WEIGHT_KG, GoalMetric.REPS), 10_000),
    GoalMetric.HOLD_SECONDS: 86_400,
    GoalMetric.WEEKLY_TRAININGS: 70,
    GoalMetric.WEEKLY_HARD_SETS: 1_000,
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
    """The value to reach, in the metric's unit. A weight may be negative: assistance, of which less is more. At most
    10,000 kg or repetitions, a hold of 86,400 s, and in a week 70 trainings or 1,000 sets."""
    at_weight_kg: Weight | None = None
    """Of `reps` alone: the repetitions are at this weight or more; 0 by default, so that help does not count."""
    start_day: CountedDay
    """The local day from which on the target may be reached."""
    due: CountedDay
    """The local day by which it is to be reached, after `start_day` and at most ten years."""
    notes: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if faults := list(self._faults()):
            raise wrong(*faults)
        return self

    def _faults(self) -> Iterator[tuple[str, str]]:
        """What does not go together: the member to change, and what is wrong with it."""
        if self.metric.weekly and self.movement is not None:
            yield "movement", f"does not go with `{self.metric}`, which is of all training"
        if not self.metric.weekly and self.movement is None:
            yield "movement", f"is required by `{self.metric}`"
        if self.at_weight_kg is not None and self.metric is not GoalMetric.REPS:
            yield "at_weight_kg", "goes with `reps` alone"
        if self.target <= 0 and not self.metric.signed:
            yield "target", "must be more than 0"
        elif self.metric in _COUNTS and not self.target.is_integer():
            yield "target", "must be a whole number"
        elif self.target > (most := _MOST.get(self.metric, self.target)):
            yield "target", f"must be at most {most:,}"
        if not 0 < (self.due - self.start_day).days <= MOST_DAYS:
            yield "due", f"must be 1 to {MOST_DAYS:,} days after `start_day`"

    def content(self) -> str:
        """What is stored and published of it: a JSON object."""
        said = self.model_dump(mode="json", exclude_none=True, include=set(GoalBody.model_fields))
        said |= {name: number(said[name]) for name in ("target", "at_weight_kg") if name in said}
        return orjson.dumps(said).decode()

    def check_movement(self, catalogue: Catalogue) -> None:
        """Raises `UnknownExercise` where the movement is a slug that the catalogue lacks, and `Unprocessable` where it
        is one that is measured in something else, or has no e1RM of 0 or less, as it lifts no part of the body. Of own
        exercises and names neither is known."""
        slug = self.movement
        if slug is None or ":" in slug:
            return
        revision = catalogue.latest.get(slug)
        if revision is None:
            raise catalogue.unknown(slug, "/movement")
        movement = catalogue.revisions[slug, revision]
        mode = movement.mode
        if self.metric in _NOT_OF[mode]:
            others = [f"`{metric}`" for metric in GoalMetric if not metric.weekly and metric not in _NOT_OF[mode]]
            measure = "seconds" if mode == Mode.HOLD else "repetitions"
            message = f"`{slug}` is measured in {measure}, so a goal of it is one of {', '.join(others)}."
            raise Unprocessable(message, "/metric")
        alone = movement.bw_fraction == 0 or is_of_implement(movement.equipment)
        if self.metric is GoalMetric.E1RM_KG and self.target <= 0 and alone:
            message = f"An e1RM of `{slug}` is of its load alone, so the target must be more than 0."
            raise Unprocessable(message, "/target")


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
    deleted_at: dt.datetime | None = None
    """When it was deleted: only in the answer to a creation that is sent again since."""


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
    at_weight_kg: Decimal = Decimal(0)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Goal":
        """The goal that a `GoalDocument` tells of."""
        return cls(
            GoalMetric(document["metric"]),
            Decimal(str(document["target"])),
            dt.date.fromisoformat(document["start_day"]),
            dt.date.fromisoformat(document["due"]),
            Decimal(str(document.get("at_weight_kg", 0))),
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
    the zone of the latest completed training; before there is one, in that of the latest that is planned, and without
    any in UTC."""
