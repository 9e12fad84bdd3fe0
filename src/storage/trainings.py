"""Trainings: one SQL statement a write, which stores the training, its children, its idempotency key and its event.

Every statement names one user. Two traps are closed here (design, D4). A statement that waited for the row's lock still
sees the children by its old snapshot: so UPDATE and DELETE ask that the version under the lock is the version of the
snapshot, and are run again where it is not. And an Idempotency-Key is claimed in the same statement: a second one waits
for the first, finds the key taken, and answers from the log what the first was answered.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
import psycopg2
import psycopg2.errors
from uuid_utils.compat import uuid7

from models.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    IdentityConflict,
    NotFound,
    PreconditionFailed,
    StatusConflict,
    UnknownExercise,
    Unprocessable,
)
from models.events import MAX_EVENT_BYTES, EventType
from models.trainings import (
    Status,
    TrainingBody,
    TrainingCreate,
    TrainingUpdate,
    document_json,
    training_fields,
)
from storage.database import Database, Prepared, Row
from storage.training_statements import HISTORY, KEYED, LIST, PLAIN, READ, REPLAY, Writes

_REFUSED = "TS001"  # SQLSTATE of refuse_write()
_CREATE = attrgetter("create")
_UPDATE = attrgetter("update")
_DELETE = attrgetter("delete")
_ATTEMPTS = 50  # each that is lost to contention was another write's success


@dataclass(frozen=True, slots=True)
class Author:
    """Who asks for a change: the user whose data it is, the token's subject, and the request's id."""

    user_id: UUID
    actor: str
    request_id: str | None = None


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
    """What a write did. `document` is the training as clients read it, None after a delete.

    `created` tells a new training from one that was there already; `replayed` that an Idempotency-Key was answered from
    what it did before.
    """

    id: UUID
    version: int
    document: bytes | None
    created: bool = False
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A training as it is stored now."""

    id: UUID
    version: int
    date: dt.datetime
    document: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the log: a change of a training, with the exact event that was published."""

    version: int
    event_type: str
    actor: str
    request_id: str | None
    created_at: dt.datetime
    event: str


class Trainings:
    """The trainings of all users. `topic` is where their events go.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away; a write that was under way then may or may not
    have been done.
    """

    def __init__(self, database: Database, topic: str) -> None:
        self._database = database
        self._topic = topic

    async def create(
        self, author: Author, id_: UUID, body: TrainingCreate, exercises: str, *, key: IdempotencyKey | None = None
    ) -> Written:
        """Store a new training with its event, under the client's `id` or a new one (`id_`).

        `exercises` is what `models.trainings.exercises_json` made of the body.

        An `id` or `source_id` that names a training created with the same body creates nothing, and answers what is
        stored now. Raises `IdentityConflict` where the body was another, `IdempotencyKeyReused`, and `Unprocessable`
        where the event would be too large.
        """
        write = self._write(author, id_, EventType.TRAINING_CREATED, body, exercises)
        # Without an id of the client's nobody can send the same again.
        named = body.id is not None or body.source_id is not None
        write |= {"source_id": body.source_id, "digest": body.digest() if named else b""}
        for _ in range(_ATTEMPTS):
            try:
                rows = await self._run(_CREATE, write, key)
            except _Refused:  # there is such a training: nothing new happens under this key
                rows = await self._run(_CREATE, write, None)
            replayed = await self._replayed(rows[0], author)
            if replayed is not None:
                return replayed
            created_at, *_ = existing = rows[0][5:]
            if created_at is not None:
                document = document_json(
                    id=id_,
                    user_id=author.user_id,
                    source_id=body.source_id,
                    version=1,
                    fields=write["fields"],
                    created_at=created_at,
                    updated_at=created_at,
                )
                return Written(id_, 1, document, created=True)
            same = existing[1]
            if same is not None:
                if len(rows) > 1 or not same:
                    raise IdentityConflict("A training with this `id` or `source_id` was created with another body.")
                stored = _stored(author.user_id, existing[2:])
                return Written(stored.id, stored.version, stored.document)
            # Another statement created it after this one's snapshot was taken: the next one sees it.
        raise DatabaseUnavailable("Too many writes of this training at once.")

    async def update(
        self,
        author: Author,
        id_: UUID,
        body: TrainingUpdate,
        exercises: str,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Store the training anew, as its next version, with its event. `if_match` are the versions it may be at.

        `exercises` is what `models.trainings.exercises_json` made of the body. Raises `NotFound`, `StatusConflict`,
        `PreconditionFailed`, `IdempotencyKeyReused`, and `Unprocessable` where the event would be too large.
        """
        write = self._write(author, id_, EventType.TRAINING_UPDATED, body, exercises)
        version, source_id, created_at, updated_at, replayed = await self._change(_UPDATE, author, write, if_match, key)
        if replayed is not None:
            return replayed
        document = document_json(
            id=id_,
            user_id=author.user_id,
            source_id=source_id,
            version=version,
            fields=write["fields"],
            created_at=created_at,
            updated_at=updated_at,
        )
        return Written(id_, version, document)

    async def delete(
        self,
        author: Author,
        id_: UUID,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Mark the training as deleted, with its event; its history stays. `if_match` are the versions it may be at.

        Raises `NotFound`, `PreconditionFailed` and `IdempotencyKeyReused`.
        """
        write = self._event(author, id_, EventType.TRAINING_DELETED)
        version, *_, replayed = await self._change(_DELETE, author, write, if_match, key)
        return replayed or Written(id_, version, None)

    async def read(self, user_id: UUID, id_: UUID) -> Stored:
        """The training as it is now. Raises `NotFound`, for a deleted one and for another user's too."""
        row = await self._database.one(READ, {"user_id": user_id, "id": id_})
        if row is None:
            raise NotFound("There is no such training.")
        return _stored(user_id, row)

    async def page(
        self,
        user_id: UUID,
        *,
        first: dt.date | None = None,
        last: dt.date | None = None,
        status: Status | None = None,
        after: tuple[dt.datetime, UUID] | None = None,
        limit: int,
    ) -> list[Stored]:
        """At most `limit` of the user's trainings, newest first, that lie on the local days `first` to `last`.

        `after` is the date and id of the last training of the page before.
        """
        after_date, after_id = after or (None, None)
        parameters = {
            "user_id": user_id,
            "first": first,
            "last": last,
            "status": status,
            "after_date": after_date,
            "after_id": after_id,
            "limit": limit,
        }
        return [_stored(user_id, row) for row in await self._database.all(LIST, parameters)]

    async def history(self, user_id: UUID, id_: UUID, *, after: int = 0, limit: int) -> list[Change]:
        """At most `limit` changes of the training, oldest first, from the one after version `after` on.

        A deleted training's history stays. Raises `NotFound` when the user never had such a training.
        """
        parameters = {"user_id": user_id, "id": id_, "after": after, "limit": limit}
        rows = await self._database.all(HISTORY, parameters)
        if not rows:
            raise NotFound("There is no such training.")
        return [Change(*row) for row in rows]

    async def _change(
        self,
        statement: Callable[[Writes], Prepared],
        author: Author,
        write: dict[str, Any],
        if_match: Sequence[int] | None,
        key: IdempotencyKey | None,
    ) -> tuple[int, str | None, dt.datetime, dt.datetime, Written | None]:
        write["if_match"] = None if if_match is None else list(if_match)
        for _ in range(_ATTEMPTS):
            try:
                row = (await self._run(statement, write, key))[0]
            except _Refused as refused:
                now = refused.reason
            else:
                replayed = await self._replayed(row, author)
                version, source_id, created_at, updated_at, *now = row[5:]
                if replayed is not None or version is not None:
                    return version, source_id, created_at, updated_at, replayed
            version, status, deleted, seen = now
            if version is None or deleted:
                raise NotFound("There is no such training.")
            if if_match is not None and version not in if_match:
                raise PreconditionFailed(version)
            if version == seen:
                raise StatusConflict(f"The training is {status}: its status never goes backwards.")
            # It was changed after this statement's snapshot was taken, so its children are not known: look again.
        raise DatabaseUnavailable("Too many writes of this training at once.")

    async def _run(
        self, write: Callable[[Writes], Prepared], parameters: dict[str, Any], key: IdempotencyKey | None
    ) -> list[Row]:
        try:
            if key is None:
                return await self._database.all(write(PLAIN), parameters)
            claim = {"route": key.route, "key": key.key, "key_digest": key.digest}
            return await self._database.all(write(KEYED), parameters | claim)
        except psycopg2.errors.ForeignKeyViolation as error:
            raise UnknownExercise("The catalogue has no such revision of a movement.", "/exercises") from error
        except psycopg2.errors.CheckViolation as error:
            # The only check that a validated document can meet: the log has no partition for this month.
            raise DatabaseUnavailable("The log has no room for this month yet.") from error
        except psycopg2.DatabaseError as error:
            if error.pgcode == _REFUSED:
                raise _Refused(error.diag.message_primary or "") from error
            raise

    async def _replayed(self, row: Row, author: Author) -> Written | None:
        """What the Idempotency-Key was answered before, where it was used before."""
        taken, same, id_, event_id = row[:4]
        if not taken:
            return None
        if not same:
            raise IdempotencyKeyReused("The Idempotency-Key was used before with another request.")
        parameters = {"user_id": author.user_id, "id": id_, "event_id": event_id}
        logged = await self._database.one(REPLAY, parameters)
        if logged is None:
            raise DatabaseUnavailable("The log no longer holds what this Idempotency-Key did.")
        version, event_type, payload, source_id, created_at, updated_at = logged
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

    def _event(self, author: Author, id_: UUID, event_type: EventType) -> dict[str, Any]:
        event_id = uuid7()
        return {
            "user_id": author.user_id,
            "id": id_,
            "event_id": event_id,
            "event_type": event_type,
            "topic": self._topic,
            "actor": author.actor,
            "request_id": author.request_id,
            "event_head": f'{{"event_id":"{event_id}","event_type":"{event_type}","timestamp":"',
            "payload_head": f'","payload":{{"training_id":"{id_}","user_id":"{author.user_id}",',
        }

    def _write(
        self, author: Author, id_: UUID, event_type: EventType, body: TrainingBody, exercises: str
    ) -> dict[str, Any]:
        fields = training_fields(body, exercises)
        if len(fields.encode()) > MAX_EVENT_BYTES:
            raise Unprocessable(f"The training's event would be larger than {MAX_EVENT_BYTES:,} bytes.")
        return self._event(author, id_, event_type) | {
            "status": body.status,
            "date": body.date,
            "timezone": body.timezone,
            "day": body.local_day(),
            "title": body.title,
            "duration_seconds": body.duration_seconds,
            "session_rpe": body.session_rpe,
            "bodyweight_kg": body.bodyweight_kg,
            "notes": body.notes,
            "exercises": exercises,
            "fields": fields,
        }


class _Refused(Exception):
    """A write with an Idempotency-Key changed nothing, so nothing was kept. `reason` says how things stand."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.reason: list[Any] = orjson.loads(message) if message.startswith("[") else []


def _stored(user_id: UUID, row: Sequence[Any]) -> Stored:
    id_, source_id, version, date, created_at, updated_at, deleted_at, fields = row
    document = document_json(
        id=id_,
        user_id=user_id,
        source_id=source_id,
        version=version,
        fields=fields[1:-1],
        created_at=created_at,
        updated_at=updated_at,
        deleted_at=deleted_at,
    )
    return Stored(id_, version, date, document)
