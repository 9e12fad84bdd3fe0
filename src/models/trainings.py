"""A training: what clients send, what is stored, what they read."""

import datetime as dt
from collections.abc import Iterable, Iterator
from enum import StrEnum
from operator import itemgetter
from typing import Annotated, Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import uuid_utils
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.errors import UnknownExercise, Unprocessable
from models.exercises import Catalogue
from models.fields import (
    Exertion,
    ExternalId,
    Kilograms,
    Moment,
    Name,
    Slug,
    SourceId,
    Text,
    TimeZone,
    Title,
    both,
    moment,
    wrong,
)
from models.sets import MAX_SETS, Document, SetBody, SetDocument, known, optional_number, set_fields, unique

AHEAD = dt.timedelta(hours=24)  # that what is done may lie in the future: clocks and time zones go wrong


class Status(StrEnum):
    """Where a training stands. It may stay or go forward, and back only where a COMPLETED one is reopened."""

    PLANNED = "PLANNED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"


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
    sets: list[SetBody] = Field(default=[], max_length=MAX_SETS)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unique("sets", "order", (order for order, _ in self._in_places()))
        unique("sets", "id", (set_.id for set_ in self.sets))
        if self.exercise_revision is not None and self.exercise is None:
            raise wrong(("exercise", "must be given beside `exercise_revision`"))
        return self

    def ordered(self) -> list[tuple[int, SetBody]]:
        """The sets by their order, beside it."""
        return sorted(self._in_places(), key=itemgetter(0))

    def _in_places(self) -> Iterator[tuple[int, SetBody]]:
        return ((place if set_.order is None else set_.order, set_) for place, set_ in enumerate(self.sets, 1))


class TrainingBody(Document):
    """What clients say of a training, whether they create or change it."""

    status: Status
    date: Moment
    """When it took or takes place, RFC 3339 with its offset."""
    timezone: TimeZone = "UTC"
    """IANA zone of the athlete: days, weeks and months of derived figures are local. Without it they are those of UTC,
    whatever the offset of `date` is; a PUT without it makes it UTC again."""
    title: Title | None = None
    duration_seconds: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    session_rpe: Exertion | None = None
    """Perceived exertion of the whole session, 0 to 10."""
    bodyweight_kg: Kilograms | None = None
    """Body mass on that day; with it the system load of bodyweight movements is known."""
    notes: Text | None = None
    workout_id: UUID | None = None
    """The workout that it was planned from."""
    workout_version: Annotated[int, Field(ge=1, le=2_000_000_000)] | None = None
    """Version of that workout."""
    group_external_id: ExternalId | None = None
    """The group that it belongs to, as another service names it."""
    skipped_at: Moment | None = None
    """When the athlete gave it up; only of a PLANNED training."""
    skip_reason: Text | None = None
    """Why it was given up."""
    hidden: bool = False
    """The athlete does not see it yet: a coach's alone to say, of a PLANNED training, from its creation on."""
    exercises: list[ExerciseBody] = Field(default=[], max_length=200)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unique("exercises", "id", (exercise.id for exercise in self.exercises))
        both(self, "workout_id", "workout_version")
        if self.skip_reason is not None and self.skipped_at is None:
            raise wrong(("skipped_at", "must be given beside `skip_reason`"))
        if self.skipped_at is not None and self.status != Status.PLANNED:
            raise wrong(("skipped_at", "is of a PLANNED training only"))
        return self

    def check_done(self, now: dt.datetime) -> None:
        """Raises `Unprocessable` where it is done and its date lies too far after `now`."""
        if self.status is Status.COMPLETED:
            check_past(self.date, now, "/date")

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
    workout_id: UUID | None = None
    """The workout that it was planned from."""
    workout_version: int | None = None
    """Version of that workout."""
    group_external_id: str | None = None
    """The group that it belongs to, as another service names it."""
    skipped_at: dt.datetime | None = None
    """When the athlete gave it up; only of a PLANNED training."""
    skip_reason: str | None = None
    hidden: bool | None = None
    """True: the athlete does not see it yet; only of a PLANNED training. Absent where it is shown."""
    exercises: list[ExerciseDocument]
    created_at: dt.datetime
    updated_at: dt.datetime
    deleted_at: dt.datetime | None = None


def check_past(moment: dt.datetime, now: dt.datetime, pointer: str) -> None:
    """Raises `Unprocessable` where a moment at which something was done lies too far after `now`."""
    if moment > now + AHEAD:
        raise Unprocessable("It must not lie more than 24 hours in the future.", pointer)


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
        "session_rpe": optional_number(body.session_rpe),
        "bodyweight_kg": optional_number(body.bodyweight_kg),
        "notes": body.notes,
        "workout_id": body.workout_id,
        "workout_version": body.workout_version,
        "group_external_id": body.group_external_id,
        "skipped_at": None if body.skipped_at is None else moment(body.skipped_at),
        "skip_reason": body.skip_reason,
        "hidden": body.hidden or None,
        "exercises": orjson.Fragment(exercises),
    }
    return orjson.dumps(known(fields)).decode()[1:-1]


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
    return known(
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
    return [set_fields(ids[i], order, set_) for i, (order, set_) in enumerate(ordered)]


def _revision(body: ExerciseBody, catalogue: Catalogue, pointer: str) -> int | None:
    if body.exercise is None:
        return None
    revision = body.exercise_revision or catalogue.latest.get(body.exercise)
    if (body.exercise, revision) not in catalogue.revisions:
        if body.exercise in catalogue.latest:
            raise UnknownExercise(
                f"The catalogue has no revision {revision} of {body.exercise!r}.", f"{pointer}/exercise_revision"
            )
        raise catalogue.unknown(body.exercise, f"{pointer}/exercise")
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
