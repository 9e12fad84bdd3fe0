"""A set of an exercise: what was aimed at and what was done, as clients send it and as it is stored and published."""

import hashlib
from collections.abc import Hashable, Iterable
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from models.fields import Exertion, ExternalId, Metres, Seconds, Tempo, Weight, number, wrong

MAX_SETS = 500  # of one exercise
MAX_ORDER = 10_000
_MAX_REPS = 100_000


class Unit(StrEnum):
    """Unit in which a weight was entered; a pound is 0.45359237 kg."""

    KG = "kg"
    LB = "lb"


class Side(StrEnum):
    """Side of the body that a set trained."""

    LEFT = "left"
    RIGHT = "right"
    BOTH = "both"


class SetType(StrEnum):
    """What a set was for. Warm-ups count in volume and repetitions, not in hard sets and records."""

    WORKING = "working"
    WARMUP = "warmup"
    DROP = "drop"
    FAILURE = "failure"


class Document(BaseModel):
    """Base of what clients send: an unknown field or a wrong type is an error, and what is read never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    def digest(self) -> bytes:
        """SHA-256 of what the client said. Defaults are left out, so that a later version with more fields agrees."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


Place = Annotated[int, Field(ge=0, le=MAX_ORDER)]
RepCount = Annotated[int, Field(ge=0, le=_MAX_REPS)]
RestSeconds = Annotated[int, Field(ge=0, le=86_400)]


class RepRange(Document):
    """Repetitions from `min` to `max`, both included. One number is read, and written, as the range of itself."""

    min: RepCount
    max: RepCount

    @model_validator(mode="before")
    @classmethod
    def _of_a_number(cls, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_REPS:
            return {"min": value, "max": value}
        if isinstance(value, (dict, RepRange)):
            return value
        raise ValueError(f"must be a whole number from 0 to {_MAX_REPS}, or an object with `min` and `max`")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise wrong(("min", "must not be more than `max`"))
        return self

    def said(self) -> int | dict[str, int]:
        """As JSON has it: a number where both ends are the same."""
        return self.min if self.min == self.max else {"min": self.min, "max": self.max}


_REPS = {"type": "integer", "minimum": 0, "maximum": _MAX_REPS}
_RANGE = {
    "type": "object",
    "properties": {"min": _REPS, "max": _REPS},
    "required": ["min", "max"],
    "additionalProperties": False,
}
Reps = Annotated[RepRange, WithJsonSchema({"anyOf": [_REPS, _RANGE]})]


class Target(Document):
    """What a set aims at; at least one member is given."""

    reps: Reps | None = None
    """Repetitions: a number, or a range of which both ends count."""
    weight: Weight | None = None
    """External weight, in the set's `unit`; negative is assistance."""
    duration_seconds: Seconds | None = None
    """Length of a hold."""
    rpe: Exertion | None = None
    """Rate of perceived exertion, 0 to 10."""
    tempo: Tempo | None = None
    """Seconds of eccentric, pause, concentric, pause: `3-0-1-0`; X is explosive."""
    rest_seconds: RestSeconds | None = None

    @model_validator(mode="after")
    def _aims(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("must have one member or more")
        return self


class SetUpdate(Document):
    """One set of an exercise, without its id: body of PUT …/sets/{sid}."""

    order: Place | None = None
    """Place in the exercise, unique in it. By default a new set comes last, and one that is there keeps its place."""
    weight: Weight = 0.0
    """External weight as entered, in `unit`; negative is assistance."""
    unit: Unit = Unit.KG
    reps: RepCount = 0
    """Repetitions; 0 for a hold."""
    duration_seconds: Seconds | None = None
    """Length of a hold."""
    distance_m: Metres | None = None
    side: Side | None = None
    done: bool = True
    """Whether the set was performed; others change no derived figure."""
    rpe: Exertion | None = None
    """Rate of perceived exertion, 0 to 10."""
    tempo: Tempo | None = None
    """Seconds of eccentric, pause, concentric, pause: `3-0-1-0`; X is explosive."""
    rest_seconds: RestSeconds | None = None
    type: SetType = SetType.WORKING
    target: Target | None = None
    """What the set aims at; the fields above say what was done."""
    video_id: ExternalId | None = None
    """A recording of the set, as another service names it."""


class SetBody(SetUpdate):
    """One set of an exercise."""

    id: UUID | None = None
    """The client's own id, unique in its exercise; without it the set's place gives it one."""
    order: Place | None = None
    """Place in the exercise, unique in it; by default 1, 2, 3 …"""


class RepRangeDocument(BaseModel):
    """Repetitions from `min` to `max`, both included."""

    min: int
    max: int


class TargetDocument(BaseModel):
    """What a set aims at, as it is stored and published."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    reps: int | RepRangeDocument | None = None
    weight: float | None = None
    """In the set's `unit`; negative is assistance."""
    duration_seconds: float | None = None
    rpe: float | None = None
    tempo: str | None = None
    rest_seconds: int | None = None


class SetDocument(BaseModel):
    """One set as it is stored and published. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    order: int
    weight: float
    """External weight as entered, in `unit`; negative is assistance."""
    unit: Unit = Unit.KG
    reps: int
    """Repetitions; 0 for a hold."""
    duration_seconds: float | None = None
    distance_m: float | None = None
    side: Side | None = None
    done: bool = True
    rpe: float | None = None
    tempo: str | None = None
    rest_seconds: int | None = None
    type: SetType = SetType.WORKING
    target: TargetDocument | None = None
    """What the set aimed at; the other fields say what was done."""
    video_id: str | None = None
    """A recording of the set, as another service names it."""


def set_fields(id_: str, order: int | None, body: SetUpdate) -> dict[str, Any]:
    """A set as a JSON object: a `SetDocument`, without `order` where that is None."""
    return known(
        {
            "id": id_,
            "order": order,
            "weight": number(body.weight),
            "unit": body.unit,
            "reps": body.reps,
            "duration_seconds": optional_number(body.duration_seconds),
            "distance_m": optional_number(body.distance_m),
            "side": body.side,
            "done": body.done,
            "rpe": optional_number(body.rpe),
            "tempo": body.tempo,
            "rest_seconds": body.rest_seconds,
            "type": body.type,
            "target": None if body.target is None else target_fields(body.target),
            "video_id": body.video_id,
        }
    )


def target_fields(target: Target) -> dict[str, Any]:
    """A target as a JSON object: a `TargetDocument`."""
    return known(
        {
            "reps": None if target.reps is None else target.reps.said(),
            "weight": optional_number(target.weight),
            "duration_seconds": optional_number(target.duration_seconds),
            "rpe": optional_number(target.rpe),
            "tempo": target.tempo,
            "rest_seconds": target.rest_seconds,
        }
    )


def optional_number(value: float | None) -> float | None:
    """`number`, where there is one."""
    return None if value is None else number(value)


def known(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def unique(array: str, member: str, values: Iterable[Hashable | None]) -> None:
    """Raises `wrong` at the first item of the `array` whose `member` another before it has. `values` are theirs."""
    seen: set[Hashable] = set()
    for place, value in enumerate(values):
        if value in seen:
            raise wrong(((array, place, member), "must be unique here"))
        if value is not None:
            seen.add(value)
