"""A phase of training: a stretch of days and the workouts that are laid on its weeks; and what a change of it does."""

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationInfo,
    field_validator,
    model_validator,
)

from models.fields import Day, Name, Text, TimeOfDay, TimeZone, wrong
from models.reports import Method
from models.sets import Document, known

MOST_DAYS = 366  # of one phase
MOST_WEEKS = 53  # that these days touch
MOST_TRAININGS = 1_000  # that one phase plans, and that all phases of one change have planned, or plan then
MOST_SLOTS = 200


class PhaseKind(StrEnum):
    """A mesocycle is a block of some weeks with one goal; a microcycle is a part of it, as a rule a week."""

    MESOCYCLE = "mesocycle"
    MICROCYCLE = "microcycle"


class Slot(Document):
    """A workout that takes place on one day of the phase's weeks."""

    workout_id: UUID
    """The workout that the trainings are made from."""
    weekday: Annotated[int, Field(ge=1, le=7)]
    """1 is Monday, 7 is Sunday."""
    time: TimeOfDay = "12:00"
    """Local time of day, `HH:MM`."""
    weeks: (
        Annotated[list[Annotated[int, Field(ge=1, le=MOST_WEEKS)]], Field(min_length=1, max_length=MOST_WEEKS)] | None
    ) = None
    """In which weeks of the phase: week 1 are its first seven days. All of them by default."""

    @field_validator("weeks")
    @classmethod
    def _ascending(cls, weeks: list[int] | None) -> list[int] | None:
        if weeks is not None and any(week >= after for week, after in pairwise(weeks)):
            raise ValueError("must ascend, each week once")
        return weeks


class PhaseTraining(BaseModel):
    """A training that a phase has laid, and where in its schedule."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    training_id: UUID
    week: int
    """Week of the phase, from 1."""
    slot: int
    """Place in the schedule, from 0."""


class PhaseBody(Document):
    """What clients say of a phase, whether they create or change it."""

    name: Name
    kind: PhaseKind = PhaseKind.MESOCYCLE
    first: Day
    """First local day."""
    last: Day
    """Last local day, at most 366 days from the first one on, both counted."""
    parent_id: UUID | None = None
    """The mesocycle that a microcycle is a part of; its days lie within that one's."""
    timezone: TimeZone = "UTC"
    """IANA zone in which the trainings take place."""
    goal: Text | None = None
    """What it is for, in words."""
    goal_id: UUID | None = None
    """The goal that it is for."""
    deload: bool = False
    """Trainings that phases lay on its days have half the sets, rounded up, and stand outside progression."""
    notes: Text | None = None
    schedule: Annotated[list[Slot], Field(max_length=MOST_SLOTS)] = Field(default=[])
    """Which workouts take place when."""

    @field_validator("first", "last")
    @classmethod
    def _in_range(cls, day: dt.date) -> dt.date:
        if not 1901 < day.year < 2198:  # its moments are a day off at most
            raise ValueError("must lie between the years 1902 and 2197")
        return day

    @field_validator("last")
    @classmethod
    def _after_first(cls, last: dt.date, info: ValidationInfo) -> dt.date:
        first = info.data.get("first")
        if first is not None and last < first:
            raise ValueError("must not lie before `first`")
        if first is not None and (last - first).days >= MOST_DAYS:
            raise ValueError(f"must lie at most {MOST_DAYS - 1} days after `first`")
        return last

    @field_validator("parent_id")
    @classmethod
    def _of_a_microcycle(cls, parent_id: UUID | None, info: ValidationInfo) -> UUID | None:
        if parent_id is not None and info.data.get("kind") == PhaseKind.MESOCYCLE:
            raise ValueError("is of a microcycle only")
        return parent_id

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({(slot.workout_id, slot.weekday, slot.time) for slot in self.schedule}) < len(self.schedule):
            raise wrong(("schedule", "must have each workout once at one time of one weekday"))
        return self

    def content(self) -> dict[str, Any]:
        """What the body says, defaults included, as the members of a JSON object."""
        said: dict[str, Any] = {name: getattr(self, name) for name in PhaseBody.model_fields if name != "schedule"}
        return known(said) | {"schedule": [known(dict(slot)) for slot in self.schedule]}

    def columns(self) -> dict[str, Any]:
        """Its members that have a column of their own."""
        return {"first": self.first, "last": self.last, "deload": self.deload}

    def moved(self, by: dt.timedelta) -> "PhaseBody":
        """The same phase, so much later."""
        return self.model_copy(update={"first": self.first + by, "last": self.last + by})

    def content_json(self, trainings: Iterable[PhaseTraining] = ()) -> str:
        """`content` and the trainings that it has laid then, as text: what is stored and published."""
        return orjson.dumps(self.content() | {"trainings": [dict(training) for training in trainings]}).decode()


class PhaseCreate(PhaseBody):
    """Body of POST /phases."""

    id: UUID | None = None
    """The client's own id, unique per user for ever: sent again with the same body it creates nothing."""


class PhaseUpdate(PhaseBody):
    """Body of PUT /phases/{phaseId}: the whole phase anew. What GET answered may be sent back, changed."""

    id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    user_id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    version: int | None = Field(default=None, json_schema_extra={"readOnly": True})
    trainings: Annotated[list[PhaseTraining], Field(max_length=MOST_TRAININGS)] | None = Field(
        default=None, json_schema_extra={"readOnly": True}
    )
    created_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})
    updated_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})


class SlotDocument(BaseModel):
    """A workout that takes place on one day of the phase's weeks."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    workout_id: UUID
    weekday: int
    """1 is Monday, 7 is Sunday."""
    time: str
    """Local time of day, `HH:MM`."""
    weeks: list[int] | None = None
    """In which weeks of the phase: week 1 are its first seven days. Absent: in all."""


class PhaseContent(BaseModel):
    """What a phase says. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    kind: PhaseKind
    first: dt.date
    """First local day."""
    last: dt.date
    """Last local day."""
    parent_id: UUID | None = None
    """The mesocycle that a microcycle is a part of."""
    timezone: str
    """IANA zone in which the trainings take place."""
    goal: str | None = None
    """What it is for, in words."""
    goal_id: UUID | None = None
    """The goal that it is for."""
    deload: bool
    """Trainings that phases lay on its days have half the sets, rounded up, and stand outside progression."""
    notes: str | None = None
    schedule: list[SlotDocument]
    """Which workouts take place when."""


class PhaseDocument(PhaseContent):
    """A phase as clients read it. Absent fields are unknown."""

    id: UUID
    user_id: UUID
    version: int
    """Counts its changes from 1; also its ETag."""
    trainings: list[PhaseTraining]
    """What it has laid, by weeks and slots: also what was begun or done since, and what the athlete has deleted, which
    is not made again."""
    created_at: dt.datetime
    updated_at: dt.datetime
    deleted_at: dt.datetime | None = None
    """When it was deleted: only in the answer to a creation that is sent again since."""


class PhasePage(BaseModel):
    """One page of a user's phases, by their first days."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[PhaseDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class PlanAction(StrEnum):
    """What becomes of a training when its phase changes."""

    CREATE = "create"
    """It is made."""
    MOVE = "move"
    """It goes to another moment."""
    CHANGE = "change"
    """It stays where it is, and becomes a deload training or an ordinary one."""
    DELETE = "delete"
    """It is wanted no more and not begun: it goes."""
    KEEP = "keep"
    """It stays as it is."""


class PlanChange(BaseModel):
    """What becomes of one training when a phase changes. Absent fields do not apply."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    action: PlanAction
    training_id: UUID | None = None
    """Absent where it is to be made."""
    phase_id: UUID | None = None
    """The phase that lays it: this one, a microcycle that moves with it, or one whose training becomes a deload. Absent
    where that is the phase that is to be made and the client named none."""
    day: dt.date
    """The local day on which it lies then; of what is deleted the one on which it lay."""
    date: dt.datetime
    """The moment of that."""
    from_day: dt.date | None = None
    """Where it is moved: the local day on which it lies now."""
    title: str | None = None
    workout_id: UUID | None = None
    week: int
    """Week of its phase, from 1."""
    deload: bool
    """Whether it has half the sets."""
    reason: str
    """Why, in words."""


class PlanCounts(BaseModel):
    """How many trainings there are of each action."""

    create: int
    move: int
    change: int
    delete: int
    keep: int


class PhasePreview(BaseModel):
    """What a request would do: the phase as it would be, and what would become of each training. Nothing is written."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    dry_run: bool = True
    id: UUID | None = None
    """Absent where the phase is to be made and the client named none."""
    phase: PhaseContent | None = None
    """What the phase would say; absent where it would not be there. What was created before stays as it is."""
    day: dt.date
    """The day of the request: a phase that is or was there already makes no training on a day before it."""
    microcycles: list[UUID]
    """Its microcycles, which move with it by as many days."""
    method: Method
    counts: PlanCounts
    trainings: list[PlanChange]
    """By their days. What is made is planned from the workouts as they are at the moment of writing."""


class PhaseAnswer(RootModel[PhaseDocument | PhasePreview]):
    """The phase, or with `dry_run=true` what the request would do."""
