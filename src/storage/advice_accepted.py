"""Advice that users accepted, with the plans that it changes.

Accepting and undoing are one transaction each, in which the accepted advice is written with its event, and each changed
training with its own.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from models.advice import Became
from models.errors import AdviceGone, NotFound, PreconditionFailed
from models.trainings import Status
from storage.advice_statements import BECAME, VERSIONS
from storage.database import Cursor, Database
from storage.documents import ADVICE, Documents
from storage.plans import PlannedTraining, change_planned, in_transaction, read_planned
from storage.training_writes import Author, IdempotencyKey, Written

_VERSIONS = ("version", "version_after")  # of a training that accepting changed

Change = Mapping[str, Any]  # an `AcceptedChange` as JSON has it


@dataclass(frozen=True, slots=True)
class Accepting:
    """What accepting a piece of advice writes: its content, its day, and each training with what it becomes."""

    content: str
    day: dt.date
    changed: Sequence[tuple[PlannedTraining, dict[str, Any]]]


Decide = Callable[[Cursor], Awaitable[Accepting]]
# The content of advice that is undone, from its document, the versions of the trainings that are put back, and what
# became of the others: `analytics.advice_undoing.undone`.
Undoing = Callable[[bytes, Mapping[UUID, int], Mapping[UUID, Became]], str]


class AcceptedAdvices:
    """What users accepted. `topic` is where its events go, `events_topic` where those of trainings do.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away, or others change the same trainings all the time;
    a write that was under way then may or may not have been done.
    """

    def __init__(self, database: Database, topic: str, events_topic: str) -> None:
        self._database = database
        self._topic = topic
        self._events_topic = events_topic

    async def accept(self, author: Author, id_: UUID, decide: Decide, *, key: IdempotencyKey | None = None) -> Written:
        """Write what `decide` finds within the transaction, no other plan of the user being written meanwhile.

        It raises `AdviceGone` where this advice is not given any more. What was accepted already stays, and is answered
        as it is now. Raises `AdviceGone` where it was undone, and `IdempotencyKeyReused`.
        """

        async def write(cursor: Cursor) -> Written:
            documents = Documents(cursor, self._topic, ADVICE)
            # What is there already is not written; the key is judged all the same.
            there = await _is_there(documents, author.user_id, id_)
            accepting = Accepting("{}", dt.date.min, ()) if there else await decide(cursor)
            columns = {"day": accepting.day, "undone": False}
            written = await documents.create(author, id_, accepting.content, id_.bytes, columns, key=key)
            if written.created and not written.replayed:
                await change_planned(cursor, author, self._events_topic, list(accepting.changed))
            return written

        written = await in_transaction(self._database, author.user_id, write)
        if not written.replayed and written.document and orjson.loads(written.document)["undone"]:
            raise AdviceGone("This advice was accepted and undone. Where it is given again it has another id.")
        return written

    async def undo(self, author: Author, id_: UUID, content: Undoing, *, key: IdempotencyKey | None = None) -> Written:
        """Have every training that still is as accepting left it say what it said before, as its next version.

        What was undone already is answered as it is. Raises `NotFound`, `IdempotencyKeyReused`, and what `content`
        raises; then nothing is undone.
        """

        async def write(cursor: Cursor) -> Written:
            documents = Documents(cursor, self._topic, ADVICE)
            document = (await documents.read(author.user_id, id_)).document
            said = orjson.loads(document)
            # What is undone already is not written; the key is judged all the same.
            undone, back = ("{}", []) if said["undone"] else await _undoing(cursor, author.user_id, document, content)
            columns = {"day": dt.date.fromisoformat(said["day"]), "undone": True}
            written = await documents.update(author, id_, undone, columns, if_match=[1], key=key)
            if not written.replayed:
                await change_planned(cursor, author, self._events_topic, back)
            return written

        try:
            return await in_transaction(self._database, author.user_id, write)
        except PreconditionFailed:  # it was undone before
            stored = await Documents(self._database, self._topic, ADVICE).read(author.user_id, id_)
            return Written(id_, stored.version, stored.document)


async def _is_there(documents: Documents, user_id: UUID, id_: UUID) -> bool:
    try:
        await documents.read(user_id, id_)
    except NotFound:
        return False
    return True


async def _undoing(
    cursor: Cursor, user_id: UUID, document: bytes, content: Undoing
) -> tuple[str, list[tuple[PlannedTraining, dict[str, Any]]]]:
    """What undoing writes: the advice's content, and each training that is put back with what it becomes."""
    changes: Sequence[Change] = orjson.loads(document)["changes"]
    back = await _before(cursor, user_id, changes)
    versions = {training.id: training.version for training, _ in back}
    left = [change for change in changes if UUID(change["training_id"]) not in versions]
    became = await _became(cursor, user_id, left) if left else {}
    return content(document, versions, became), back


async def _before(
    cursor: Cursor, user_id: UUID, changes: Sequence[Change]
) -> list[tuple[PlannedTraining, dict[str, Any]]]:
    """The trainings that still are as accepting left them, each with what the log says that it was before.

    Other advice may have been accepted and undone since: what counts is what the training says.
    """
    ids = [UUID(change["training_id"]) for change in changes]
    planned = {training.id: training for training in await read_planned(cursor, user_id, ids)}
    versions = [
        {"id": change["training_id"], "version": change[name]}
        for change, id_ in zip(changes, ids, strict=True)
        if id_ in planned
        for name in _VERSIONS
    ]
    if not versions:
        return []
    rows = await cursor.all(VERSIONS, {"user_id": user_id, "versions": orjson.dumps(versions).decode()})
    logged = {(id_, version): _fields(payload) for id_, version, payload in rows}
    found = []
    for change, id_ in zip(changes, ids, strict=True):
        before, after = (logged.get((id_, change[name])) for name in _VERSIONS)
        if id_ in planned and before is not None and planned[id_].fields == after:
            found.append((planned[id_], before))
    return found


def _fields(payload: str) -> dict[str, Any]:
    """What a training said, by its event."""
    fields: dict[str, Any] = orjson.loads(payload)["payload"]
    for name in ("training_id", "user_id", "source_id", "version", "previous_status"):
        fields.pop(name, None)
    return fields


async def _became(cursor: Cursor, user_id: UUID, left: Sequence[Change]) -> dict[UUID, Became]:
    """What became of these trainings, none of which is as accepting left it. Those that are not there are not in it."""
    changed = [{"id": change["training_id"], "version": change["version_after"]} for change in left]
    rows = await cursor.all(BECAME, {"user_id": user_id, "changed": orjson.dumps(changed).decode()})
    return {id_: Became(Status(status), *facts) for id_, status, *facts in rows}
