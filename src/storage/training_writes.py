"""How a training is written: one SQL statement, run again under contention, and its Idempotency-Key. Workouts, own
exercises, the documents of `storage.documents` and imports are written by the same author, keys and writer.

Every statement names one user. Two traps are closed here (design, D4). A statement that waited for the row's lock still
sees the children by its old snapshot: so every change asks that the version under the lock is the version of the
snapshot, and is run again where it is not. And an Idempotency-Key is claimed in the same statement: a second one waits
for the first, finds the key taken, and answers from the log what the first was answered.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
import psycopg2
import psycopg2.errors
from uuid_utils.compat import uuid7

from models.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    NotFound,
    PreconditionFailed,
    TrainingServiceError,
    UnknownExercise,
    UnknownWorkout,
    Unprocessable,
)
from models.events import MAX_EVENT_BYTES, EventType
from models.traces import CURRENT
from models.trainings import Status, TrainingBody, TrainingCreate, document_json, training_fields
from storage.database import Prepared, Row, Runner
from storage.training_statements import REPLAY, Write

ATTEMPTS = 50  # each that is lost to contention was another write's success
TAKEN = "A training with this `id` or `source_id` was created with another body."
_REFUSED = "TS001"  # SQLSTATE of refuse_write()
_WORKOUT = "trainings_workout_fkey"
_SOURCE = "_user_id_source_id_key"  # behind the name of the table, or of a partition of it
_UNNAMED = b"unnamed"  # not empty: that is a training whose creation is not known, and agrees with any


@dataclass(frozen=True, slots=True)
class Author:
    """Who asks for a change: the user whose data it is, the token's subject, the request's id, and its trace: that of
    the request under way, where nothing else is said.

    `coach_of` are the groups of a coach, who writes for one of their athletes; None for the athlete. A coach makes,
    changes and deletes what is PLANNED for one of these groups: anything else is not there (`NotFound`), and a body
    that says something else, or what only the athlete knows, is `Unprocessable`.
    """

    user_id: UUID
    actor: str
    request_id: str | None = None
    coach_of: tuple[str, ...] | None = None
    traceparent: str | None = field(default_factory=CURRENT.get)

    def event(self, id_: UUID, event_type: StrEnum, topic: str) -> dict[str, Any]:
        """The parameters of the log's row of any aggregate that a write by this author makes, under a new event id."""
        event_id = uuid7()
        return {
            "user_id": self.user_id,
            "id": id_,
            "event_id": event_id,
            "event_type": event_type,
            "topic": topic,
            "actor": self.actor,
            "request_id": self.request_id,
            "traceparent": self.traceparent,
            "coach_of": None if self.coach_of is None else list(self.coach_of),
            "event_head": f'{{"event_id":"{event_id}","event_type":"{event_type}","timestamp":"',
        }

    def check_group(self, group: str | None) -> None:
        """Raises `Unprocessable` where a coach writes for no group of theirs."""
        if self.coach_of is not None and group not in self.coach_of:
            raise Unprocessable("A coach plans for a group of theirs: name it.", "/group_external_id")

    def check_hidden(self, *, hidden: bool) -> None:
        """Raises `Unprocessable` where an athlete would hide a training."""
        if hidden and self.coach_of is None:
            raise Unprocessable("Only a coach hides a training.", "/hidden")

    def check_source(self, source_id: str | None) -> None:
        """Raises `Unprocessable` where a coach names a record of the athlete's: that would take its place for ever."""
        if self.coach_of is not None and source_id is not None:
            raise Unprocessable("Only the athlete says which record of which app a training is.", "/source_id")

    def check_planned(self, body: TrainingBody) -> None:
        """Raises `Unprocessable` where a coach says more than what is planned."""
        if self.coach_of is None:
            return
        if body.status != Status.PLANNED:
            raise Unprocessable("A coach plans: the athlete begins it.", "/status")
        for name in ("session_rpe", "bodyweight_kg", "skipped_at", "skip_reason"):
            if getattr(body, name) is not None:
                raise Unprocessable("A coach plans: this is the athlete's to say.", f"/{name}")
        for i, exercise in enumerate(body.exercises):
            for j, set_ in enumerate(exercise.sets):
                place = f"/exercises/{i}/sets/{j}"
                if set_.done:
                    message = "A coach plans: send `done: false`, and what the set aims at as `target`."
                    raise Unprocessable(message, f"{place}/done")
                for name in ("rpe", "video_id"):
                    if getattr(set_, name) is not None:
                        raise Unprocessable("A coach plans: what was done is the athlete's to say.", f"{place}/{name}")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key that the client sent with a write: `route` is its method and address, `digest` the SHA-256 of its body.

    If-Match is no part of it: the key is judged first.
    """

    route: str
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did. `document` is what was written as clients read it, None after a delete.

    `created` tells a new one from one that was there already; `replayed` that an Idempotency-Key was answered from
    what it did before.
    """

    id: UUID
    version: int
    document: bytes | None
    created: bool = False
    replayed: bool = False


def identity(body: TrainingCreate) -> bytes:
    """What is kept of a creation, to tell whether another one of its `id` or `source_id` is the same again.

    Without either nobody can send the same again: the service's own id with any body is another.
    """
    return _UNNAMED if body.id is None and body.source_id is None else body.digest()


def checked_fields(body: TrainingBody, exercises: str) -> str:
    """What `training_fields` makes of a body that is to be written now, whoever writes it.

    Raises `Unprocessable` where its event would be too large, and where a training that is done lies in the future.
    """
    body.check_done(dt.datetime.now(dt.UTC))
    fields = training_fields(body, exercises)
    if len(fields.encode()) > MAX_EVENT_BYTES:
        raise Unprocessable(f"The training's event would be larger than {MAX_EVENT_BYTES:,} bytes.")
    return fields


class Refused(Exception):
    """A write with an Idempotency-Key changed nothing, so nothing was kept. `reason` says how things stand."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.reason: list[Any] = orjson.loads(message) if message.startswith("[") else []


class TrainingWriter:
    """Runs the writes of trainings; `run`, `ask` and `logged` are also those of whatever else has Idempotency-Keys.
    `topic` is where the events go.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away; a write that was under way then may or may not
    have been done.
    """

    def __init__(self, database: Runner, topic: str) -> None:
        self._database = database
        self._topic = topic

    async def change(
        self,
        write: Write,
        author: Author,
        parameters: dict[str, Any],
        refusal: Callable[[str, Sequence[Any]], TrainingServiceError],
        *,
        if_match: Sequence[int] | None,
        key: IdempotencyKey | None,
        of_deleted: bool = False,
    ) -> Written:
        """Change a training as its next version; `if_match` are the versions that it may be at.

        `parameters` are those of `event` and the statement's own; with `fields` among them they are the document's,
        else what the statement tells. Where it makes nothing of a training that is there, `refusal` says why, by the
        training's status and the statement's further facts. `of_deleted`: a deleted training is no reason of its own.

        Raises what `refusal` says, `NotFound`, `PreconditionFailed`, `IdempotencyKeyReused`, and what `run` raises.
        """
        parameters["if_match"] = None if if_match is None else list(if_match)
        for _ in range(ATTEMPTS):
            try:
                row = (await self.run(write, parameters, key))[0]
            except Refused as refused:
                now = refused.reason
            except psycopg2.errors.UniqueViolation as error:
                if not (error.diag.constraint_name or "").endswith(_SOURCE):
                    raise
                continue  # the source id that it would take back was taken after its snapshot: the next one sees it
            else:
                replayed = await self.replayed(row, author)
                if replayed is not None:
                    return replayed
                *made, fields = row[5:10]
                now = list(row[10:])
                if made[0] is not None:
                    return _written(author, parameters, made, fields)
            version, status, deleted, seen, *facts = now
            if version is None or (deleted and not of_deleted):
                raise NotFound("There is no such training.")
            if if_match is not None and version not in if_match:
                raise PreconditionFailed(version)
            if version == seen:
                raise refusal(status, [deleted, *facts] if of_deleted else facts)
            # It was changed after this statement's snapshot was taken, so its children are not known: look again.
        raise DatabaseUnavailable("Too many writes of this training at once.")

    async def run(self, write: Write, parameters: dict[str, Any], key: IdempotencyKey | None) -> list[Row]:
        """Run a write once. Raises `Refused`, `UnknownExercise` and `UnknownWorkout`."""
        if key is None:
            return await self.ask(write.plain, parameters)
        claim = {"route": key.route, "key": key.key, "key_digest": key.digest}
        return await self.ask(write.keyed, parameters | claim)

    async def ask(self, statement: str | Prepared, parameters: dict[str, Any]) -> list[Row]:
        """Run a statement that writes. Raises `Refused`, `UnknownExercise` and `UnknownWorkout`."""
        try:
            return await self._database.all(statement, parameters)
        except psycopg2.errors.ForeignKeyViolation as error:
            if error.diag.constraint_name == _WORKOUT:
                raise UnknownWorkout("There is no such workout.", "/workout_id") from error
            raise UnknownExercise("The catalogue has no such revision of a movement.", "/exercises") from error
        except psycopg2.errors.CheckViolation as error:
            if error.diag.constraint_name is not None:  # a validated document breaks none: a fault of ours
                raise
            raise DatabaseUnavailable("The log has no partition for this month yet.") from error
        except psycopg2.DatabaseError as error:
            if error.pgcode == _REFUSED:
                raise Refused(error.diag.message_primary or "") from error
            raise

    async def logged(self, statement: str | Prepared, row: Row, author: Author) -> Row | None:
        """What `statement` tells of the event that the Idempotency-Key led to, where it was used before. `row` is a
        write's.

        Raises `IdempotencyKeyReused`.
        """
        taken, same, id_, event_id = row[:4]
        if not taken:
            return None
        if not same:
            raise IdempotencyKeyReused("The Idempotency-Key was used before with another request.")
        parameters = {"user_id": author.user_id, "id": id_, "event_id": event_id}
        logged = await self._database.one(statement, parameters)
        if logged is None:
            raise DatabaseUnavailable("The log no longer holds what this Idempotency-Key did.")
        return logged

    async def replayed(self, row: Row, author: Author) -> Written | None:
        """What the Idempotency-Key was answered before, where it was used before."""
        logged = await self.logged(REPLAY, row, author)
        if logged is None:
            return None
        id_, (version, event_type, payload, source_id, created_at, updated_at) = row[2], logged
        if event_type == EventType.TRAINING_DELETED:
            return Written(id_, version, None, replayed=True)
        fields = orjson.loads(payload)["payload"]
        for name in ("training_id", "user_id", "source_id", "version", "previous_status"):
            fields.pop(name, None)
        document = document_json(
            id=id_,
            user_id=author.user_id,
            source_id=source_id,
            version=version,
            fields=orjson.dumps(fields).decode()[1:-1],
            created_at=created_at,
            updated_at=updated_at,
        )
        return Written(id_, version, document, created=version == 1, replayed=True)

    def event(self, author: Author, id_: UUID, event_type: EventType) -> dict[str, Any]:
        """The parameters of the log's row that a write makes."""
        return author.event(id_, event_type, self._topic) | {
            "payload_head": f'","payload":{{"training_id":"{id_}","user_id":"{author.user_id}",',
        }

    def training(
        self, author: Author, id_: UUID, event_type: EventType, body: TrainingBody, exercises: str
    ) -> dict[str, Any]:
        """The parameters of a write of a whole training, whose exercises `models.trainings.exercises_json` made.

        Raises `Unprocessable` where the event would be too large, where it is not the author's to write, and where a
        training that is done lies in the future.
        """
        author.check_group(body.group_external_id)
        author.check_hidden(hidden=body.hidden)
        author.check_planned(body)
        if isinstance(body, TrainingCreate):  # a PUT may send back the one that is stored, which nothing changes
            author.check_source(body.source_id)
        fields = checked_fields(body, exercises)
        return self.event(author, id_, event_type) | {
            "status": body.status,
            "date": body.date,
            "timezone": body.timezone,
            "day": body.local_day(),
            "title": body.title,
            "duration_seconds": body.duration_seconds,
            "session_rpe": body.session_rpe,
            "bodyweight_kg": body.bodyweight_kg,
            "notes": body.notes,
            "workout_id": body.workout_id,
            "workout_version": body.workout_version,
            "group_external_id": body.group_external_id,
            "skipped_at": body.skipped_at,
            "skip_reason": body.skip_reason,
            "hidden": body.hidden,
            "exercises": exercises,
            "fields": fields,
        }


def _written(author: Author, parameters: dict[str, Any], made: Sequence[Any], told: str | None) -> Written:
    version, source_id, created_at, updated_at = made
    fields = parameters.get("fields", told)
    if fields is None:
        return Written(parameters["id"], version, None)
    document = document_json(
        id=parameters["id"],
        user_id=author.user_id,
        source_id=source_id,
        version=version,
        fields=fields,
        created_at=created_at,
        updated_at=updated_at,
    )
    return Written(parameters["id"], version, document)
