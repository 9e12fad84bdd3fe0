"""Imports: the jobs that bring logs of other apps in, the lease by which one worker has each, and their undo."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import psycopg2.errors

from models.errors import Conflict, DatabaseUnavailable, NotFound, TooManyRequests
from models.events import EventType
from models.foreign_logs import ForeignLog
from models.imports import (
    MOST_ERRORS,
    ImportDocument,
    ImportForm,
    ImportStatus,
    LineProblem,
    LogFormat,
    line_problem,
    training_id,
)
from storage.database import Database, Row
from storage.import_statements import (
    BACKLOG,
    CLAIM,
    COMPARE,
    CREATE,
    CREATE_HELD,
    CREATE_KEYED,
    DELETE_MANY,
    FINISH,
    LIST,
    MADE,
    MEMBERS,
    READ,
    RELEASE,
    STEP,
    UNDO,
)
from storage.training_batch import Item, Result, TrainingBatches
from storage.training_writes import ATTEMPTS, Author, IdempotencyKey, Refused, TrainingWriter

LEASE = 30.0  # seconds that a silent worker keeps a job: longer than any statement may take


@dataclass(slots=True)
class Work:
    """A job that this worker has: whose it is, and the file that is to be imported, where there still is one.

    `claims` is how many workers have taken it, this one included, since the last step that one of them stored.
    """

    job: ImportDocument
    author: Author
    file: bytes
    claims: int
    dates: list[dt.datetime] = field(default_factory=list)
    """When the sessions of the step under way began that the import created."""


class Imports:
    """The imports of all users. `topic` is where the events of trainings go; `worker` tells workers apart.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away.
    """

    def __init__(self, database: Database, topic: str, worker: str = "") -> None:
        self._database = database
        self._topic = topic
        self._worker = worker

    async def create(
        self,
        author: Author,
        id_: UUID,
        form: ImportForm,
        log: ForeignLog,
        format_: LogFormat,
        *,
        most: int,
        key: IdempotencyKey | None = None,
    ) -> tuple[ImportDocument, bool]:
        """Store a file, which is `log` when it is read in this format, as a new import that waits for a worker. And
        whether the key was used before: then it is that import, as it is now.

        Raises `Conflict` while another import of the user's is under way, `TooManyRequests` where there were `most`
        within the hour, and `IdempotencyKeyReused`.
        """
        parameters: dict[str, Any] = {
            "user_id": author.user_id,
            "id": id_,
            "format": format_,
            "timezone": form.timezone,
            "unit": form.unit,
            "file": form.file,
            "actor": author.actor,
            "request_id": author.request_id,
            "traceparent": author.traceparent,
            "sessions": len(log.sessions),
            "held_back": log.held_back,
            "error_lines": log.error_lines,
            "errors": _errors(map(line_problem, log.errors[:MOST_ERRORS])),
            "most": most,
        }
        if key is not None:
            parameters |= {"route": key.route, "key": key.key, "key_digest": key.digest, "event_id": id_}
        writer = TrainingWriter(self._database, self._topic)
        for _ in range(ATTEMPTS):
            try:
                row = (await writer.ask(CREATE if key is None else CREATE_KEYED, parameters))[0]
            except Refused as refused:
                under_way, exhausted, wait = refused.reason
            else:
                before = await writer.logged(READ, row, author)
                if before is not None:
                    return _job(before), True
                under_way, exhausted, wait, *made = row[5:]
                if made[0] is not None:
                    return _job(made), False
            if under_way is not None:
                raise Conflict(f"The import {under_way} is under way. Wait until it is done.")
            if exhausted:
                raise TooManyRequests(f"There were {most} imports within the hour.", wait)
        raise DatabaseUnavailable("Too many imports at once.")

    async def read(self, user_id: UUID, id_: UUID) -> ImportDocument:
        """One import. Raises `NotFound`, for another user's too."""
        row = await self._database.one(READ, {"user_id": user_id, "id": id_})
        if row is None:
            raise NotFound("There is no such import.")
        return _job(row)

    async def page(
        self, user_id: UUID, *, after: tuple[dt.datetime, UUID] | None = None, limit: int
    ) -> list[ImportDocument]:
        """At most `limit` of the user's imports, newest first, from the one after `after` (created_at, id) on."""
        after_at, after_id = after or (None, None)
        parameters = {"user_id": user_id, "after_at": after_at, "after_id": after_id, "limit": limit}
        return [_job(row) for row in await self._database.all(LIST, parameters)]

    async def compare(self, user_id: UUID, items: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
        """How many of these sessions the user has already, and how many of these with the same content; and how many
        of the others begin in the minute of a training of the user's.

        Each has its `source_id`, its `date`, and the digests (hex) of its body with its movements' slugs (`digest`) and
        without (`plain`). They are in order of time.
        """
        parameters = {
            "user_id": user_id,
            "items": _json(items),
            "first": items[0]["date"] if items else None,
            "last": items[-1]["date"] if items else None,
        }
        ((there, same, overlapping),) = await self._database.all(COMPARE, parameters)
        return there, same, overlapping

    async def undo(self, user_id: UUID, id_: UUID) -> ImportDocument:
        """Stop the import where it is under way, and have the trainings that it created deleted, by a worker; an import
        that was undone stays as it is.

        Raises `NotFound`, and `Conflict` while another import of the user's is under way.
        """
        for _ in range(ATTEMPTS):
            try:
                row = await self._database.one(UNDO, {"user_id": user_id, "id": id_})
            except psycopg2.errors.UniqueViolation:
                continue  # another import began after this statement's snapshot was taken
            if row is None:
                raise NotFound("There is no such import.")
            under_way, job = row[0], _job(row[1:])
            if job.status in {ImportStatus.UNDOING, ImportStatus.UNDONE}:
                return job
            if under_way is not None:
                raise Conflict(f"The import {under_way} is under way. Wait until it is done.")
        raise DatabaseUnavailable("Too many imports at once.")

    async def backlog(self) -> tuple[int, float]:
        """How many imports of all users wait or run, and the age of the oldest in seconds; 0 where there is none."""
        ((number, age),) = await self._database.all(BACKLOG, {})
        return number, age

    # What workers do.

    async def claim(self) -> Work | None:
        """The oldest job that no other worker has, for `LEASE` seconds from each step on; None where there is none."""
        row = await self._database.one(CLAIM, {"lease": self._worker, "seconds": LEASE})
        if row is None:
            return None
        *job, user_id, actor, request_id, traceparent, file, claims = row
        author = Author(user_id, actor, request_id, traceparent=traceparent)
        return Work(_job(job), author, b"" if file is None else bytes(file), claims)

    async def store(self, work: Work, items: Sequence[Item]) -> list[Result]:
        """As `TrainingBatches.create`. Raises `NotAllowed` where the job is another's now, or to be undone."""
        batches = TrainingBatches(self._database, self._topic, statement=CREATE_HELD, more=self._held(work))
        return await batches.create(work.author, items)

    async def step(self, work: Work) -> bool:
        """Store how far the import is, count which of `work.dates` overlap, and renew the lease.

        False: it is another's now, or to be undone.
        """
        job = work.job
        parameters = {
            "worked_off": job.worked_off,
            "created": job.created,
            "unchanged": job.unchanged,
            "conflicting": job.conflicting,
            "refused": job.refused,
            "errors": _errors(job.errors or ()),
            "dates": work.dates,
            "first": min(work.dates, default=None),
            "last": max(work.dates, default=None),
        }
        row = await self._database.one(STEP, self._held(work) | parameters)
        return row is not None and bool(row[0])

    async def finish(self, work: Work, status: ImportStatus, failure: str | None = None) -> None:
        """Give the job and its file up: it is done, has failed, or is undone. An import that is to be undone by now
        stays this worker's."""
        parameters = {
            "was": work.job.status,
            "status": status,
            "failure": failure,
            "kept": work.job.kept,
            "kept_trainings": work.job.kept_trainings or [],
        }
        await self._database.execute(FINISH, self._held(work) | parameters)

    async def release(self, work: Work) -> None:
        """Let another worker go on at once."""
        await self._database.execute(RELEASE, self._held(work))

    async def made(self, work: Work) -> list[tuple[UUID, int]]:
        """The trainings that the import created and that are not deleted: ids and versions."""
        parameters = {"user_id": work.author.user_id, "format": work.job.format}
        rows = await self._database.all(MADE, parameters)
        return [(id_, version) for id_, source_id, version in rows if id_ == training_id(work.job.id, source_id)]

    async def delete(self, work: Work, ids: Sequence[UUID]) -> set[UUID] | None:
        """Delete those of these trainings that were not changed since their creation, each with its event, and give
        their source ids free; returns which. None: the job is another's now."""
        items = []
        for id_ in ids:
            event = work.author.event(id_, EventType.TRAINING_DELETED, self._topic)
            items.append(
                {
                    "training_id": id_,
                    "event_id": event["event_id"],
                    "event_head": event["event_head"],
                    "payload_head": f'","payload":{{"training_id":"{id_}","user_id":"{work.author.user_id}",',
                }
            )
        parameters = {
            "items": _json(items),
            "topic": self._topic,
            "event_type": EventType.TRAINING_DELETED,
            "actor": work.author.actor,
            "request_id": work.author.request_id,
            "traceparent": work.author.traceparent,
        }
        row = await self._database.one(DELETE_MANY, self._held(work) | parameters)
        return None if row is None else set(row[0])

    def _held(self, work: Work) -> dict[str, Any]:
        return {"user_id": work.author.user_id, "id": work.job.id, "lease": self._worker, "seconds": LEASE}


def _job(row: Row | list[Any]) -> ImportDocument:
    return ImportDocument.model_validate(dict(zip(MEMBERS, row, strict=True)))


def _errors(problems: Iterable[LineProblem]) -> str:
    return _json([problem.model_dump(exclude_none=True) for problem in problems])


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
