"""A training: what clients send, what is stored, what they read."""

import datetime as dt
import hashlib
from collections.abc import Iterable
from enum import StrEnum
from operator import itemgetter
from typing import Annotated, Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import uuid_utils
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.errors import UnknownExercise
from models.exercises import Catalogue
from models.fields import (
    Exertion,
    Kilograms,
    Metres,
    Moment,
    Name,
    Seconds,
    Slug,
    SourceId,
    Tempo,
    Text,
    TimeZone,
    Title,
    Weight,
    moment,
    number,
)


class Status(StrEnum):
    """Where a training stands. It may stay or go forward, never back."""

    PLANNED = "PLANNED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"


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
    """What a set was for. Warm-ups count in volume and repetitions, not in hard sets."""

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


class SetBody(Document):
    """One set of an exercise."""

    id: UUID | None = None
    """The client's own id, unique in its exercise; without it the set's place gives it one."""
    order: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Place in the exercise, unique in it; by default 1, 2, 3 …"""
    weight: Weight = 0.0
    """External weight as entered, in `unit`; negative is assistance."""
    unit: Unit = Unit.KG
    reps: Annotated[int, Field(ge=0, le=100_000)] = 0
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
    rest_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
    type: SetType = SetType.WORKING


class ExerciseBody(Document):
    """One exercise of a training, with its sets in order."""

    id: UUID | None = None
    """The client's own id, unique in the training; without it the exercise's place gives it one."""
    name: Name
    """As the athlete calls it."""
    exercise: Slug | None = None
    """Slug of a movement of the catalogue."""
    exercise_revision: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Revision of that movement; the latest by default."""
    superset: Annotated[int, Field(ge=0, le=1_000)] | None = None
    """Exercises with the same number form a superset."""
    notes: Text | None = None
    sets: Annotated[list[SetBody], Field(max_length=500)] = []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({order for order, _ in self.ordered()}) < len(self.sets):
            raise ValueError("`order` must be unique among the sets of an exercise")
        _unique(set_.id for set_ in self.sets)
        if self.exercise_revision is not None and self.exercise is None:
            raise ValueError("`exercise_revision` needs `exercise`")
        return self

    def ordered(self) -> list[tuple[int, SetBody]]:
        """The sets by their order, beside it."""
        orders = (place if set_.order is None else set_.order for place, set_ in enumerate(self.sets, 1))
        return sorted(zip(orders, self.sets, strict=True), key=itemgetter(0))


class TrainingBody(Document):
    """What clients say of a training, whether they create or change it."""

    status: Status
    date: Moment
    """When it took or takes place, RFC 3339 with its offset."""
    timezone: TimeZone = "UTC"
    """IANA zone of the athlete: days, weeks and months of derived figures are local."""
    title: Title | None = None
    duration_seconds: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    session_rpe: Exertion | None = None
    """Perceived exertion of the whole session, 0 to 10."""
    bodyweight_kg: Kilograms | None = None
    """Body mass on that day; with it the system load of bodyweight movements is known."""
    notes: Text | None = None
    exercises: Annotated[list[ExerciseBody], Field(max_length=200)] = []

    @model_validator(mode="after")
    def _unique_exercises(self) -> Self:
        _unique(exercise.id for exercise in self.exercises)
        return self

    def local_day(self) -> dt.date:
        """The athlete's local day."""
        return self.date.astimezone(ZoneInfo(self.timezone)).date()


class TrainingCreate(TrainingBody):
    """Body of POST /trainings."""

    id: UUID | None = None
    """The client's own id, unique per user for ever: sent again with the same body it creates nothing."""
    source_id: SourceId | None = None
    """Which record of which app this is, unique per user for ever: `strong:2021-02-10T16:46:13:Legs`."""
    status: Status = Status.PLANNED


class TrainingUpdate(TrainingBody):
    """Body of PUT /trainings/{id}: the whole training anew. What GET answered may be sent back, changed."""

    id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    user_id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    source_id: SourceId | None = Field(default=None, json_schema_extra={"readOnly": True})
    version: int | None = Field(default=None, json_schema_extra={"readOnly": True})
    day: dt.date | None = Field(default=None, json_schema_extra={"readOnly": True})
    created_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})
    updated_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})


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


class ExerciseDocument(BaseModel):
    """One exercise of a training as it is stored and published."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    name: str
    exercise: str | None = None
    exercise_revision: int | None = None
    superset: int | None = None
    notes: str | None = None
    sets: list[SetDocument]


class TrainingPage(BaseModel):
    """One page of a user's trainings, newest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list["TrainingDocument"]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class ChangeDocument(BaseModel):
    """One change of a training, as the log has it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: int
    actor: str
    """Subject of the token that asked for the change."""
    request_id: str | None = None
    event: dict[str, Any]
    """The event exactly as it is published."""


class TrainingHistory(BaseModel):
    """The changes of one training, oldest first; they stay when it is deleted."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[ChangeDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class TrainingDocument(BaseModel):
    """A training as clients read it. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    user_id: UUID
    source_id: str | None = None
    version: int
    """Counts its changes from 1; also its ETag."""
    status: Status
    date: dt.datetime
    timezone: str
    day: dt.date
    """The athlete's local day."""
    title: str | None = None
    duration_seconds: int | None = None
    session_rpe: float | None = None
    bodyweight_kg: float | None = None
    notes: str | None = None
    exercises: list[ExerciseDocument]
    created_at: dt.datetime
    updated_at: dt.datetime
    deleted_at: dt.datetime | None = None


def exercises_json(training_id: UUID, exercises: Iterable[ExerciseBody], catalogue: Catalogue) -> str:
    """The exercises of a training as they are stored, published and read: a JSON array of `ExerciseDocument`.

    Ids that the client left out are derived from the training and the place, so that they survive a PUT of the same
    document. Raises `UnknownExercise` when the catalogue lacks a slug or the named revision of it.
    """
    bodies = list(exercises)
    ids = _ids(str(training_id), enumerate((body.id for body in bodies), 1))
    return orjson.dumps(
        [_exercise(ids[i], body, catalogue, f"/exercises/{i}") for i, body in enumerate(bodies)]
    ).decode()


def training_fields(body: TrainingBody, exercises: str) -> str:
    """What the body says, as the members of a JSON object: `"status":"COMPLETED",…,"exercises":[…]`.

    Both the event's payload and the document that clients read end with it. `exercises` is what `exercises_json` made.
    """
    fields = {
        "status": body.status,
        "date": moment(body.date),
        "timezone": body.timezone,
        "day": body.local_day(),
        "title": body.title,
        "duration_seconds": body.duration_seconds,
        "session_rpe": _number(body.session_rpe),
        "bodyweight_kg": _number(body.bodyweight_kg),
        "notes": body.notes,
        "exercises": orjson.Fragment(exercises),
    }
    return orjson.dumps(_known(fields)).decode()[1:-1]


def document_json(
    *,
    id: UUID,  # noqa: A002 - the field's name
    user_id: UUID,
    source_id: str | None,
    version: int,
    fields: str,
    created_at: dt.datetime,
    updated_at: dt.datetime,
    deleted_at: dt.datetime | None = None,
) -> bytes:
    """The training as clients read it: a `TrainingDocument`. `fields` is what `training_fields` made."""
    source = "" if source_id is None else f'"source_id":{orjson.dumps(source_id).decode()},'
    deleted = "" if deleted_at is None else f',"deleted_at":"{moment(deleted_at)}"'
    return (
        f'{{"id":"{id}","user_id":"{user_id}",{source}"version":{version},{fields},'
        f'"created_at":"{moment(created_at)}","updated_at":"{moment(updated_at)}"{deleted}}}'
    ).encode()


def _exercise(id_: str, body: ExerciseBody, catalogue: Catalogue, pointer: str) -> dict[str, Any]:
    return _known(
        {
            "id": id_,
            "name": body.name,
            "exercise": body.exercise,
            "exercise_revision": _revision(body, catalogue, pointer),
            "superset": body.superset,
            "notes": body.notes,
            "sets": _sets(id_, body.ordered()),
        }
    )


def _sets(exercise_id: str, ordered: list[tuple[int, SetBody]]) -> list[dict[str, Any]]:
    ids = _ids(exercise_id, [(order, set_.id) for order, set_ in ordered])
    return [_set(ids[i], order, set_) for i, (order, set_) in enumerate(ordered)]


def _set(id_: str, order: int, body: SetBody) -> dict[str, Any]:
    return _known(
        {
            "id": id_,
            "order": order,
            "weight": number(body.weight),
            "unit": body.unit,
            "reps": body.reps,
            "duration_seconds": _number(body.duration_seconds),
            "distance_m": _number(body.distance_m),
            "side": body.side,
            "done": body.done,
            "rpe": _number(body.rpe),
            "tempo": body.tempo,
            "rest_seconds": body.rest_seconds,
            "type": body.type,
        }
    )


def _revision(body: ExerciseBody, catalogue: Catalogue, pointer: str) -> int | None:
    if body.exercise is None:
        return None
    revision = body.exercise_revision or catalogue.latest.get(body.exercise)
    if (body.exercise, revision) not in catalogue.revisions:
        if body.exercise in catalogue.latest:
            raise UnknownExercise(
                f"The catalogue has no revision {revision} of {body.exercise!r}.", f"{pointer}/exercise_revision"
            )
        raise UnknownExercise(f"The catalogue has no movement {body.exercise!r}.", f"{pointer}/exercise")
    return revision


def _ids(parent: str, places: Iterable[tuple[int, UUID | None]]) -> list[str]:
    """The given ids, and for those left out ids derived (UUIDv5) from the place."""
    places = list(places)
    namespace = uuid_utils.UUID(parent)
    taken = {str(id_) for _, id_ in places if id_ is not None}
    return [_derived(namespace, place, taken) if id_ is None else str(id_) for place, id_ in places]


def _derived(namespace: uuid_utils.UUID, place: int, taken: set[str]) -> str:
    id_, attempt = str(uuid_utils.uuid5(namespace, str(place))), 1
    while id_ in taken:  # a client that moved things about gave another one the id of this place
        id_, attempt = str(uuid_utils.uuid5(namespace, f"{place}/{attempt}")), attempt + 1
    taken.add(id_)
    return id_


def _number(value: float | None) -> float | None:
    return None if value is None else number(value)


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _unique(ids: Iterable[UUID | None]) -> None:
    given = [id_ for id_ in ids if id_ is not None]
    if len(set(given)) < len(given):
        raise ValueError("`id` must be unique here")
