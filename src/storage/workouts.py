"""Workouts: one SQL statement a write, which stores the workout, its exercises, its idempotency key and its event; and
one that makes a planned training of a workout. What `storage.training_writes` says of its two traps holds here too.
"""

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from models.errors import (
    DatabaseUnavailable,
    IdentityConflict,
    NotFound,
    PreconditionFailed,
    Unprocessable,
)
from models.events import MAX_EVENT_BYTES, EventType, WorkoutEventType
from models.trainings import document_json
from models.workouts import (
    WorkoutBody,
    WorkoutCreate,
    WorkoutPlan,
    WorkoutUpdate,
    plan_json,
    planned_fields,
    workout_fields,
)
from storage.database import Database, Row
from storage.documents import StoredDocument, stored
from storage.pages import Page, page_of
from storage.training_statements import Write
from storage.training_writes import ATTEMPTS, TAKEN, Author, IdempotencyKey, Refused, TrainingWriter, Written
from storage.trainings import Change, stored_training
from storage.workout_statements import CREATE, DELETE, LIST, PLAN, READ, REPLAY, UPDATE, VERSION, VERSIONS

MAX_PLAN_BYTES = MAX_EVENT_BYTES - 10_000  # the training's title and the like stand beside it

# The workout as clients read it: a `WorkoutDocument`.
_document = partial(document_json, source_id=None)


class Workouts:
    """The workouts of all users. `topic` is where their events go.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away; a write that was under way then may or may not
    have been done.
    """

    def __init__(self, database: Database, topic: str) -> None:
        self._database = database
        self._writer = TrainingWriter(database, topic)
        self._topic = topic

    async def create(
        self, author: Author, id_: UUID, body: WorkoutCreate, exercises: str, *, key: IdempotencyKey | None = None
    ) -> Written:
        """Store a new workout with its event, under the client's `id` or a new one (`id_`).

        `exercises` is what `models.workouts.workout_exercises_json` made of the body.

        An `id` that names a workout created with the same body creates nothing, and answers what is stored now. Raises
        `IdentityConflict` where the body was another, `IdempotencyKeyReused`, and `Unprocessable` where an event, its
        own or that of a training made from it, would be too large, or the body is not the author's to write.
        """
        write = self._write(author, id_, WorkoutEventType.WORKOUT_CREATED, body, exercises) | {"digest": body.digest()}
        for _ in range(ATTEMPTS):
            try:
                rows = await self._writer.run(CREATE, write, key)
            except Refused:  # there is such a workout: nothing new happens under this key
                rows = await self._writer.run(CREATE, write, None)
            replayed = await self._replayed(rows[0], author)
            if replayed is not None:
                return replayed
            created_at, same, *existing = rows[0][5:]
            if created_at is not None:
                document = _document(
                    id=id_,
                    user_id=author.user_id,
                    version=1,
                    fields=write["fields"],
                    created_at=created_at,
                    updated_at=created_at,
                )
                return Written(id_, 1, document, created=True)
            if same is not None:
                if not same:
                    raise IdentityConflict("A workout with this `id` was created with another body.")
                found = stored(author.user_id, existing)
                return Written(found.id, found.version, found.document)
            # Another statement created it after this one's snapshot was taken: the next one sees it.
        raise DatabaseUnavailable("Too many writes of this workout at once.")

    async def update(
        self,
        author: Author,
        id_: UUID,
        body: WorkoutUpdate,
        exercises: str,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Store the workout anew, as its next version, with its event. `if_match` are the versions it may be at.

        `exercises` is what `models.workouts.workout_exercises_json` made of the body. Raises `NotFound`,
        `PreconditionFailed`, `IdempotencyKeyReused`, and `Unprocessable` as `create` does.
        """
        write = self._write(author, id_, WorkoutEventType.WORKOUT_UPDATED, body, exercises)
        version, created_at, updated_at, replayed = await self._change(UPDATE, author, write, if_match, key)
        if replayed is not None:
            return replayed
        document = _document(
            id=id_,
            user_id=author.user_id,
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
        """Mark the workout as deleted and remove its exercises, with its event. Its versions stay, and so do the
        trainings that were made from it. `if_match` are the versions it may be at.

        Raises `NotFound`, `PreconditionFailed` and `IdempotencyKeyReused`.
        """
        write = self._event(author, id_, WorkoutEventType.WORKOUT_DELETED)
        version, _, _, replayed = await self._change(DELETE, author, write, if_match, key)
        return replayed or Written(id_, version, None)

    async def read(self, user_id: UUID, id_: UUID) -> StoredDocument:
        """The workout as it is now. Raises `NotFound`, for a deleted one and for another user's too."""
        row = await self._database.one(READ, {"user_id": user_id, "id": id_})
        if row is None:
            raise _not_found()
        return stored(user_id, row)

    async def page(
        self, user_id: UUID, *, after: tuple[dt.datetime, UUID] | None = None, limit: int
    ) -> Page[StoredDocument]:
        """At most `limit` of the user's workouts, those created last first; fewer where they are large
        (`storage.pages`).

        `after` is when the last workout of the page before was created, and its id.
        """
        after_moment, after_id = after or (None, None)
        parameters = {"user_id": user_id, "after_moment": after_moment, "after_id": after_id, "limit": limit + 1}
        page = page_of(await self._database.all(LIST, parameters), limit)
        return Page((stored(user_id, row) for row in page), more=page.more)

    async def versions(self, user_id: UUID, id_: UUID, *, after: int = 0, limit: int) -> Page[Change]:
        """At most `limit` changes of the workout, oldest first, from the one after version `after` on; fewer where they
        are large.

        A deleted workout's stay. Raises `NotFound` when the user never had such a workout.
        """
        parameters = {"user_id": user_id, "id": id_, "after": after, "limit": limit + 1}
        page = page_of(await self._database.all(VERSIONS, parameters), limit)
        if not page:
            raise _not_found()
        return Page((Change(*row) for row in page), more=page.more)

    async def version(self, user_id: UUID, id_: UUID, version: int) -> bytes:
        """The workout as it was at that version, also when it was deleted since. Raises `NotFound`."""
        row = await self._database.one(VERSION, {"user_id": user_id, "id": id_, "version": version})
        if row is None:
            raise NotFound("There is no such version of such a workout.")
        return _logged(user_id, id_, row)

    async def _change(
        self,
        statement: Write,
        author: Author,
        write: dict[str, Any],
        if_match: Sequence[int] | None,
        key: IdempotencyKey | None,
    ) -> tuple[int, dt.datetime, dt.datetime, Written | None]:
        write["if_match"] = None if if_match is None else list(if_match)
        for _ in range(ATTEMPTS):
            try:
                row = (await self._writer.run(statement, write, key))[0]
            except Refused as refused:
                now = refused.reason
            else:
                replayed = await self._replayed(row, author)
                version, created_at, updated_at, *now = row[5:]
                if replayed is not None or version is not None:
                    return version, created_at, updated_at, replayed
            version, deleted = now
            if version is None or deleted:
                raise _not_found()
            if if_match is not None and version not in if_match:
                raise PreconditionFailed(version)
            # It was changed after this statement's snapshot was taken, so its exercises are not known: look again.
        raise DatabaseUnavailable("Too many writes of this workout at once.")

    async def _replayed(self, row: Row, author: Author) -> Written | None:
        """What the Idempotency-Key was answered before, where it was used before."""
        logged = await self._writer.logged(REPLAY, row, author)
        if logged is None:
            return None
        id_, (version, event_type, *_) = row[2], logged
        if event_type == WorkoutEventType.WORKOUT_DELETED:
            return Written(id_, version, None, replayed=True)
        document = _logged(author.user_id, id_, logged)
        return Written(id_, version, document, created=version == 1, replayed=True)

    def _event(self, author: Author, id_: UUID, event_type: WorkoutEventType) -> dict[str, Any]:
        return author.event(id_, event_type, self._topic) | {
            "payload_head": f'","payload":{{"workout_id":"{id_}","user_id":"{author.user_id}",',
        }

    def _write(
        self, author: Author, id_: UUID, event_type: WorkoutEventType, body: WorkoutBody, exercises: str
    ) -> dict[str, Any]:
        author.check_group(body.group_external_id)
        fields, plan = workout_fields(body, exercises), plan_json(exercises)
        if len(fields.encode()) > MAX_EVENT_BYTES:
            raise Unprocessable(f"The workout's event would be larger than {MAX_EVENT_BYTES:,} bytes.")
        if len(plan.encode()) > MAX_PLAN_BYTES:
            raise Unprocessable(f"The trainings made from it would be larger than {MAX_PLAN_BYTES:,} bytes.")
        return self._event(author, id_, event_type) | {
            "name": body.name,
            "notes": body.notes,
            "group_external_id": body.group_external_id,
            "plan": plan,
            "exercises": exercises,
            "fields": fields,
        }


class WorkoutPlans:
    """Trainings that are planned from workouts. `topic` is where the trainings' events go."""

    def __init__(self, database: Database, topic: str) -> None:
        self._writer = TrainingWriter(database, topic)

    async def plan(
        self, author: Author, workout_id: UUID, id_: UUID, body: WorkoutPlan, *, key: IdempotencyKey | None = None
    ) -> Written:
        """Make a PLANNED training of the workout as it is now, with its event, under the client's `id` or `id_`.

        An `id` or `source_id` that names a training made by the same request creates nothing, and answers what is
        stored now. Raises `NotFound` where the user has no such workout, `IdentityConflict`, `IdempotencyKeyReused`,
        `Unprocessable` where an athlete would hide it or a coach names a source, and `DatabaseUnavailable` as
        `Workouts` does.
        """
        author.check_hidden(hidden=body.hidden)
        author.check_source(body.source_id)
        write = self._writer.event(author, id_, EventType.TRAINING_CREATED) | {
            "workout_id": workout_id,
            "source_id": body.source_id,
            "date": body.date,
            "timezone": body.timezone,
            "day": body.local_day(),
            "title": body.title,
            "hidden": body.hidden,
            "digest": body.digest_of(workout_id),
            "planned_fields": planned_fields(body),
        }
        for _ in range(ATTEMPTS):
            try:
                rows = await self._writer.run(PLAN, write, key)
            except Refused:  # there is such a training, or no such workout: nothing new happens under this key
                rows = await self._writer.run(PLAN, write, None)
            replayed = await self._writer.replayed(rows[0], author)
            if replayed is not None:
                return replayed
            created_at, fields, there, same, *existing = rows[0][5:]
            if created_at is not None:
                document = document_json(
                    id=id_,
                    user_id=author.user_id,
                    source_id=body.source_id,
                    version=1,
                    fields=fields,
                    created_at=created_at,
                    updated_at=created_at,
                )
                return Written(id_, 1, document, created=True)
            if same is not None:
                if len(rows) > 1 or not same:
                    raise IdentityConflict(TAKEN)
                found = stored_training(author.user_id, existing)
                return Written(found.id, found.version, found.document)
            if not there:
                raise _not_found()
            # Another statement created it after this one's snapshot was taken: the next one sees it.
        raise DatabaseUnavailable("Too many writes of this training at once.")


def _logged(user_id: UUID, id_: UUID, row: Row) -> bytes:
    """The workout as the event in the log tells of it."""
    version, event_type, payload, created_at, at = row
    fields = orjson.loads(payload)["payload"]
    for name in ("workout_id", "user_id", "version"):
        del fields[name]
    return _document(
        id=id_,
        user_id=user_id,
        version=version,
        fields=orjson.dumps(fields).decode()[1:-1],
        created_at=created_at,
        updated_at=at,
        deleted_at=at if event_type == WorkoutEventType.WORKOUT_DELETED else None,
    )


def _not_found() -> NotFound:
    return NotFound("There is no such workout.")
