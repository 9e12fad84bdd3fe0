"""Trainings: one SQL statement a write, which stores the training, its children, its idempotency key and its event."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from models.archives import ArchiveFile
from models.errors import Conflict, DatabaseUnavailable, IdentityConflict, NotFound, StatusConflict
from models.events import EventType
from models.trainings import (
    Status,
    TrainingCreate,
    TrainingUpdate,
    document_json,
)
from storage.archives import read_training, steady
from storage.database import Database
from storage.pages import Page, page_of
from storage.training_statements import CREATE, DELETE, HISTORY, LIST, READ, REOPEN, RESTORE, UPDATE
from storage.training_writes import (
    ATTEMPTS,
    TAKEN,
    Author,
    IdempotencyKey,
    Refused,
    TrainingWriter,
    Written,
    identity,
)

__all__ = ["Author", "Change", "IdempotencyKey", "Stored", "Trainings", "Written"]


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
        self._writer = TrainingWriter(database, topic)

    async def create(
        self, author: Author, id_: UUID, body: TrainingCreate, exercises: str, *, key: IdempotencyKey | None = None
    ) -> Written:
        """Store a new training with its event, under the client's `id` or a new one (`id_`).

        `exercises` is what `models.trainings.exercises_json` made of the body.

        An `id` or `source_id` that names a training created with the same body creates nothing, and answers what is
        stored now. Raises `IdentityConflict` where the body was another, `UnknownWorkout`, `IdempotencyKeyReused`, and
        `Unprocessable` where the event would be too large, or the body is not the author's to write.
        """
        write = self._writer.training(author, id_, EventType.TRAINING_CREATED, body, exercises)
        write |= {"source_id": body.source_id, "digest": identity(body)}
        for _ in range(ATTEMPTS):
            try:
                rows = await self._writer.run(CREATE, write, key)
            except Refused:  # there is such a training: nothing new happens under this key
                rows = await self._writer.run(CREATE, write, None)
            replayed = await self._writer.replayed(rows[0], author)
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
                    raise IdentityConflict(TAKEN)
                stored = stored_training(author.user_id, existing[2:])
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
        `Conflict` where it would be hidden that was shown, `PreconditionFailed`, `UnknownWorkout`,
        `IdempotencyKeyReused`, and `Unprocessable` as `create` does.
        """
        write = self._writer.training(author, id_, EventType.TRAINING_UPDATED, body, exercises)
        refusal = _shown if body.hidden else _backwards  # a PLANNED body is behind nothing that a coach may write
        return await self._writer.change(UPDATE, author, write, refusal, if_match=if_match, key=key)

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
        write = self._writer.event(author, id_, EventType.TRAINING_DELETED)
        return await self._writer.change(DELETE, author, write, _backwards, if_match=if_match, key=key)

    async def reopen(
        self,
        author: Author,
        id_: UUID,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Make a COMPLETED training IN_PROGRESS again, within 24 hours by PostgreSQL's clock, as its next version.

        The hours count from when its status became COMPLETED. `if_match` are the versions it may be at. Raises
        `NotFound`, `Conflict`, `PreconditionFailed` and `IdempotencyKeyReused`.
        """
        write = self._writer.event(author, id_, EventType.TRAINING_UPDATED)
        return await self._writer.change(REOPEN, author, write, _not_reopened, if_match=if_match, key=key)

    async def restore(
        self,
        author: Author,
        id_: UUID,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Bring a deleted training back as it was, within 30 days by PostgreSQL's clock, as its next version.

        The `source_id` that an undone import gave free comes back with it, where it is free still.
        `if_match` are the versions it may be at. Raises `NotFound`, `Conflict`, `PreconditionFailed` and
        `IdempotencyKeyReused`.
        """
        write = self._writer.event(author, id_, EventType.TRAINING_UPDATED)
        return await self._writer.change(
            RESTORE, author, write, _not_restored, if_match=if_match, key=key, of_deleted=True
        )

    async def read(self, user_id: UUID, id_: UUID) -> Stored:
        """The training as it is now. Raises `NotFound`, for a deleted one and for another user's too.

        One that is hidden is there for who reads on a coach's behalf only, here and below.
        """
        row = await self._database.one(READ, {"user_id": user_id, "id": id_, "coach_of": None})
        if row is None:
            raise NotFound("There is no such training.")
        return stored_training(user_id, row)

    async def page(
        self,
        user_id: UUID,
        *,
        first: dt.date | None = None,
        last: dt.date | None = None,
        status: Status | None = None,
        after: tuple[dt.datetime, UUID] | None = None,
        limit: int,
    ) -> Page[Stored]:
        """At most `limit` of the user's trainings, newest first, that lie on the local days `first` to `last`; fewer
        where they are large (`storage.pages`).

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
            "limit": limit + 1,  # one more tells whether there is a next page
            "coach_of": None,
        }
        page = page_of(await self._database.all(LIST, parameters), limit)
        return Page((stored_training(user_id, row) for row in page), more=page.more)

    async def history(
        self, user_id: UUID, id_: UUID, *, after: int = 0, limit: int, archive_dir: Path | None = None
    ) -> Page[Change]:
        """At most `limit` changes of the training, oldest first, from the one after version `after` on; fewer where
        they are large.

        A deleted training's history stays, and what is archived of it is read in `archive_dir`. Raises `NotFound` when
        the user never had such a training, and `ArchiveUnavailable`.
        """
        parameters = {"user_id": user_id, "id": id_, "after": after, "limit": limit + 1, "coach_of": None}

        async def read() -> Page[Change]:
            rows = await self._database.all(HISTORY, parameters)
            page = page_of([row[1:] for row in rows if row[1] is not None], limit)
            logged = [Change(*row) for row in page]
            files = [ArchiveFile(*file) for file in rows[0][0] or ()]
            if not files:
                return Page(logged, more=page.more)
            older = await read_training(archive_dir, files, user_id, id_, after=after, limit=limit)
            archived = [Change(*(getattr(row, name) for name in _TOLD)) for row in older]
            if older.more:
                return Page(archived, more=True)
            both = archived + logged
            return Page(both[:limit], more=page.more or len(both) > limit)

        changes = await steady(read)
        if not changes:
            raise NotFound("There is no such training.")
        return changes


_TOLD = ("version", "event_type", "actor", "request_id", "created_at", "payload")


def _backwards(status: str, _: Sequence[Any]) -> StatusConflict:
    return StatusConflict(f"The training is {status}: its status never goes backwards.")


def _shown(_status: str, _: Sequence[Any]) -> Conflict:
    return Conflict("The athlete sees the training already: it is hidden from its creation on, or never.")


def _not_reopened(status: str, _: Sequence[Any]) -> Conflict:
    if status == Status.COMPLETED:
        return Conflict("The training was completed more than 24 hours ago: correct it with PUT.")
    return Conflict(f"The training is {status}: only a COMPLETED one is reopened.")


def _not_restored(_: str, facts: Sequence[Any]) -> Conflict:
    deleted = facts[0]
    return Conflict("The training was deleted more than 30 days ago." if deleted else "The training is not deleted.")


def stored_training(user_id: UUID, row: Sequence[Any]) -> Stored:
    """The training that a row of `training_parts.STORED` tells of."""
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
