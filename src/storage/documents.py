"""Versioned JSON documents: phases, goals, check-ins, accepted advice, form analyses. One SQL statement a write, which
stores the document, its idempotency key and its event.

A document's content is the text of a JSON object with one member at least: what the client said, defaults included. It
is stored, published and read as it stands, to the byte.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from models.errors import (
    DatabaseUnavailable,
    IdentityConflict,
    NotFound,
    PreconditionFailed,
    Unprocessable,
)
from models.events import (
    MAX_EVENT_BYTES,
    AdviceEventType,
    CheckInEventType,
    GoalEventType,
    InsightEventType,
    PhaseEventType,
)
from models.trainings import document_json
from storage.database import Cursor, Row, Runner
from storage.document_statements import FORGET_KEY, DocumentWrite, statements
from storage.training_writes import ATTEMPTS, Author, IdempotencyKey, Refused, TrainingWriter, Written

_NONE: Mapping[str, object] = {}

# The document as clients read it.
_document = partial(document_json, source_id=None)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of document.

    `noun` is the aggregate's type, and `<noun>_id` the id in its events' payloads; `name` is its noun in words; `table`
    holds it. `events` are the event types of `created`, `updated` and `deleted`: what has none cannot happen to it.
    `columns` are the table's own, with their PostgreSQL types: what statements select by. Each is a member of the
    content too, by the same name: after a restore it is taken from there.
    """

    noun: str
    name: str
    table: str
    events: Mapping[str, StrEnum]
    columns: Mapping[str, str]


PHASES = Kind(
    "phase",
    "phase",
    "phases",
    {
        "created": PhaseEventType.PHASE_CREATED,
        "updated": PhaseEventType.PHASE_UPDATED,
        "deleted": PhaseEventType.PHASE_DELETED,
    },
    {"first": "date", "last": "date", "deload": "boolean"},
)
GOALS = Kind(
    "goal",
    "goal",
    "goals",
    {
        "created": GoalEventType.GOAL_CREATED,
        "updated": GoalEventType.GOAL_UPDATED,
        "deleted": GoalEventType.GOAL_DELETED,
    },
    {},
)
CHECK_INS = Kind(
    "check_in",
    "check-in",
    "check_ins",
    {
        "created": CheckInEventType.CHECK_IN_CREATED,
        "updated": CheckInEventType.CHECK_IN_UPDATED,
        "deleted": CheckInEventType.CHECK_IN_DELETED,
    },
    {"day": "date"},
)
ADVICE = Kind(
    "advice",
    "piece of advice",
    "advice",
    {"created": AdviceEventType.ADVICE_ACCEPTED, "updated": AdviceEventType.ADVICE_UNDONE},
    {"day": "date", "undone": "boolean"},
)
FORM_ANALYSES = Kind(
    "form_analysis",
    "form analysis",
    "form_analyses",
    {"created": InsightEventType.FORM_ANALYSIS_ADDED},
    {"training_id": "uuid", "set_id": "uuid", "video_id": "text"},
)
KINDS = (PHASES, GOALS, CHECK_INS, ADVICE, FORM_ANALYSES)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it is stored now; `document` is JSON as clients read it."""

    id: UUID
    version: int
    created_at: dt.datetime
    document: bytes


class Documents:
    """The documents of one kind, of all users. `topic` is where their events go.

    With a transaction's `Cursor` all of it happens inside that transaction, and whatever is raised is to end it.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away; a write that was under way then may or may not
    have been done.
    """

    def __init__(self, runner: Runner, topic: str, kind: Kind) -> None:
        self._runner = runner
        self._writer = TrainingWriter(runner, topic)
        self._topic = topic
        self._kind = kind
        self._statements = statements(kind.noun, kind.table, tuple(kind.columns.items()))

    async def create(
        self,
        author: Author,
        id_: UUID,
        content: str,
        digest: bytes,
        columns: Mapping[str, object] = _NONE,
        *,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Store a new document with its event. `digest` is that of the body, by which a retry is known.

        An `id` that names a document created with the same digest creates nothing, and answers what is stored now.
        Raises `IdentityConflict` where it was another, `IdempotencyKeyReused`, and `Unprocessable` where the event
        would be too large.
        """
        write = self._event(author, id_, "created") | self._content(content, columns) | {"digest": digest}
        for _ in range(ATTEMPTS):
            written = await self._write(self._statements.create, author, write, key)
            if written is not None:
                return written
            there = await self.created(author.user_id, id_, digest)
            if there is not None:
                return there
        raise self._crowded()

    async def created(self, user_id: UUID, id_: UUID, digest: bytes) -> Written | None:
        """What `create` answers for an `id` that was used before: what is stored now, of a deleted document too. None
        where the `id` is free.

        Raises `IdentityConflict` where the document was created with another digest.
        """
        found = await self._look({"user_id": user_id, "id": id_, "digest": digest})
        if found is None:
            return None
        same, *row = found
        if not same:
            raise IdentityConflict(f"A {self._kind.name} with this `id` was created with another body.")
        there = stored(user_id, row)
        return Written(id_, there.version, there.document)

    async def update(
        self,
        author: Author,
        id_: UUID,
        content: str,
        columns: Mapping[str, object] = _NONE,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Store the document anew, as its next version, with its event. `if_match` are the versions it may be at.

        One that says this already stays as it is, and nothing is written. Raises `NotFound`, `PreconditionFailed`,
        `IdempotencyKeyReused`, and `Unprocessable` as `create` does.
        """
        write = self._event(author, id_, "updated") | self._content(content, columns)
        return await self._change(self._statements.update, author, write, if_match, key)

    async def put(
        self,
        author: Author,
        id_: UUID,
        content: str,
        columns: Mapping[str, object] = _NONE,
        *,
        new: bool = False,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Have the document say this, whether there is one or not: a new one, or the next version, with its event.

        One that was deleted is there again, as its next version. One that says this already stays as it is, and nothing
        is written. With `new` there must be none: raises `PreconditionFailed` where there is, whatever it says. Raises
        `IdempotencyKeyReused`, and `Unprocessable` as `create` does.
        """
        write = self._event(author, id_, "created") | self._content(content, columns)
        write |= {"digest": b"", "updated_type": self._kind.events["updated"], "new": new}
        return await self._change(self._statements.put, author, write, None, key)

    async def delete(
        self, author: Author, id_: UUID, *, if_match: Sequence[int] | None = None, key: IdempotencyKey | None = None
    ) -> Written:
        """Mark the document as deleted, with its event, which tells what it said last. `if_match` is as above.

        Raises `NotFound`, `PreconditionFailed` and `IdempotencyKeyReused`.
        """
        write = self._event(author, id_, "deleted")
        return await self._change(self._statements.delete, author, write, if_match, key)

    async def read(self, user_id: UUID, id_: UUID) -> StoredDocument:
        """The document as it is now. Raises `NotFound`, for a deleted one and for another user's too."""
        row = await self._runner.one(self._statements.read, {"user_id": user_id, "id": id_})
        if row is None:
            raise self._not_found()
        return stored(user_id, row)

    async def page(
        self, user_id: UUID, *, after: tuple[dt.datetime, UUID] | None = None, limit: int
    ) -> list[StoredDocument]:
        """At most `limit` of the user's documents, those created last first.

        `after` is when the last document of the page before was created, and its id.
        """
        after_moment, after_id = after or (None, None)
        parameters = {"user_id": user_id, "after_moment": after_moment, "after_id": after_id, "limit": limit}
        return [stored(user_id, row) for row in await self._runner.all(self._statements.page, parameters)]

    async def _change(
        self,
        statement: DocumentWrite,
        author: Author,
        write: dict[str, Any],
        if_match: Sequence[int] | None,
        key: IdempotencyKey | None,
    ) -> Written:
        write["if_match"] = None if if_match is None else list(if_match)
        putting = "new" in write
        for _ in range(ATTEMPTS):
            written = await self._write(statement, author, write, key)
            if written is not None:
                return written
            found = await self._look(write)
            there = None if found is None or found[5] is not None else stored(author.user_id, found[1:])
            if there is None:
                if putting:
                    continue  # deleted a moment ago
                raise self._not_found()
            if write.get("new") or (if_match is not None and there.version not in if_match):
                raise PreconditionFailed(there.version)
            if found is not None and found[6] == write.get("content"):
                return Written(there.id, there.version, there.document)
            # It became what the write asks for a moment ago.
        raise self._crowded()

    async def _write(
        self, statement: DocumentWrite, author: Author, write: dict[str, Any], key: IdempotencyKey | None
    ) -> Written | None:
        """What was written now, or by this key before; None where nothing was."""
        row = await self._ask(statement, write, key)
        if row is None:
            return None
        replayed = await self._replayed(row, author)
        version, created_at, updated_at = row[5:]
        if replayed is not None or version is None:
            return replayed
        if "content" not in write:
            return Written(write["id"], version, None)
        document = _document(
            id=write["id"],
            user_id=author.user_id,
            version=version,
            fields=write["content"][1:-1],
            created_at=created_at,
            updated_at=updated_at,
        )
        return Written(write["id"], version, document, created=version == 1)

    async def _ask(self, statement: DocumentWrite, write: dict[str, Any], key: IdempotencyKey | None) -> Row | None:
        if key is None:
            return (await self._writer.ask(statement.plain, write))[0]
        claim = write | {"route": key.route, "key": key.key, "key_digest": key.digest}
        if not isinstance(self._runner, Cursor):
            try:
                return (await self._writer.ask(statement.keyed, claim))[0]
            except Refused:
                return None
        row = (await self._writer.ask(statement.within, claim))[0]
        if row[4] is None:
            return row
        await self._runner.execute(FORGET_KEY, claim)
        return None

    async def _replayed(self, row: Row, author: Author) -> Written | None:
        """What the Idempotency-Key was answered before, where it was used before."""
        logged = await self._writer.logged(self._statements.replay, row, author)
        if logged is None:
            return None
        id_, (version, event_type, payload, created_at, at) = row[2], logged
        if event_type == self._kind.events.get("deleted"):
            return Written(id_, version, None, replayed=True)
        document = _document(
            id=id_,
            user_id=author.user_id,
            version=version,
            fields=payload.partition(f'"user_id":"{author.user_id}","version":{version},')[2][:-2],
            created_at=created_at,
            updated_at=at,
        )
        return Written(id_, version, document, created=version == 1, replayed=True)

    async def _look(self, write: dict[str, Any]) -> Row | None:
        """The document as it is now, deleted or not: whether its creation had the digest, and what `stored` reads."""
        return await self._runner.one(self._statements.look, {"digest": None} | write)

    def _event(self, author: Author, id_: UUID, what: str) -> dict[str, Any]:
        head = f'","payload":{{"{self._kind.noun}_id":"{id_}","user_id":"{author.user_id}",'
        return author.event(id_, self._kind.events[what], self._topic) | {"payload_head": head}

    def _content(self, content: str, columns: Mapping[str, object]) -> dict[str, Any]:
        if len(content.encode()) > MAX_EVENT_BYTES:
            raise Unprocessable(f"The event of this {self._kind.name} would be larger than {MAX_EVENT_BYTES:,} bytes.")
        return {"content": content, **columns}

    def _not_found(self) -> NotFound:
        return NotFound(f"There is no such {self._kind.name}.")

    def _crowded(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(f"Too many writes of this {self._kind.name} at once.")


def stored(user_id: UUID, row: Sequence[Any]) -> StoredDocument:
    """The document of a row of `document_statements.STORED`, whatever statement selected it."""
    id_, version, created_at, updated_at, deleted_at, content = row
    document = _document(
        id=id_,
        user_id=user_id,
        version=version,
        fields=content[1:-1],
        created_at=created_at,
        updated_at=updated_at,
        deleted_at=deleted_at,
    )
    return StoredDocument(id_, version, created_at, document)
