"""The agent that keeps what users mean by names of exercises, and has what that changes of their past computed anew.

A record tells whose names have changed; what they mean is read from the log, whole and in order. So a version of a
user's names is what the log says up to it, however often, late, and in whatever order records come, and whichever
worker has them: what a training was computed with can be held to it.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from uuid import UUID

from agents.folding import Batch, Fold, NotAnEvent, Record, dead_letter, read
from models.errors import ArchiveUnavailable
from models.events import ExerciseEvent, ExerciseEventType, ExercisePayload
from models.exercises import folded
from storage.database import Cursor, Database
from storage.fold_state import LoggedEvent
from storage.naming import (
    forget_adopted,
    lock_and_read,
    outdated_trainings,
    read_folded,
    read_renamed,
    settle,
    used_names,
    users_behind,
    write_names,
)
from storage.volume import DeadLetter, fold, fold_into
from storage.volume_statements import SCHEMA

PART = 1000  # events of the log stored by one statement
USERS = 20  # whose names are folded together: all that they ever wrote is looked through
TRAININGS = 500  # computed anew together
_NOBODY = UUID(int=0)

log = logging.getLogger(__name__)

Opened = Callable[[], AbstractAsyncContextManager[Cursor]]
Refold = Callable[[Sequence[LoggedEvent]], Awaitable[None]]


class NameFold(Fold):
    """Folds events about exercises into the tables of names; trainings are computed anew by `refold`.

    Any number of them may run, in any number of workers.
    """

    def __init__(self, database: Database, refold: Refold, archive_dir: Path | None = None) -> None:
        super().__init__()
        self._database = database
        self._refold = refold
        self._archive_dir = archive_dir
        self._waiting = True  # at the start: perhaps since another worker's time

    async def run(self, batches: AsyncIterable[Batch]) -> None:
        """Fold every batch and acknowledge it, once the past is computed anew; ends with the stream.

        Never raises for what PostgreSQL or a record does: what failed is tried again, in place, and a record that is no
        event is set aside as a dead letter.
        """
        async for batch in batches:
            users, letters = _read(batch.records)
            await self._forever(partial(self._fold, users, letters), batch.records)
            await batch.ack()

    async def fold_records(self, records: Sequence[Record]) -> None:
        """Fold these records. Raises `DatabaseUnavailable`; folding them again is harmless."""
        await self._fold(*_read(records))

    async def fold_log(self) -> None:
        """Fold whatever of users' names is in the log and not in the tables. Raises `DatabaseUnavailable`.

        It may be ended and begun again at any time, and runs beside agents.
        """
        await fold_all_names(self._database.transaction, self._fold_names)

    async def look_again(self) -> None:
        """Fold the names of users of whom an archive could not be read; to be called by a slow timer.

        Raises `DatabaseUnavailable`.
        """
        if self._waiting:
            self._waiting = False
            await self.fold_log()

    async def forget_adopted(self) -> None:
        """Begin anew with users of whom the log has taken something back. Raises `DatabaseUnavailable`.

        What was folded of theirs meanwhile may have got another version by that.
        """
        async with self._database.transaction() as cursor:
            await forget_adopted(cursor)

    async def _fold(self, users: Sequence[UUID], letters: Sequence[DeadLetter]) -> None:
        if letters:
            await fold(self._database, (), letters)
        distinct = sorted(set(users))
        for start in range(0, len(distinct), USERS):
            await self._fold_names(distinct[start : start + USERS])
        self._stored(len(users), len(letters))

    async def _fold_names(self, users: Sequence[UUID]) -> None:
        missing: list[ArchiveUnavailable] = []
        await fold_names(self._database.transaction, users, self._refold, self._archive_dir, missing=missing)
        if missing:
            self._waiting = True
            log.error("trainings wait for an archive before they know their user's names: %s", missing[0])


async def fold_all_names(
    opened: Opened, fold: Callable[[Sequence[UUID]], Awaitable[None]], *, schema: str = SCHEMA
) -> None:
    """Call `fold` for all users of whom the tables lack something, some at a time."""
    after = _NOBODY
    while True:
        async with opened() as cursor:
            users = await users_behind(cursor, after, USERS, schema=schema)
        if not users:
            return
        await fold(users)
        after = users[-1]


async def fold_names(
    opened: Opened,
    users: Sequence[UUID],
    refold: Refold,
    archive_dir: Path | None,
    *,
    schema: str = SCHEMA,
    missing: list[ArchiveUnavailable] | None = None,
) -> None:
    """Take in what the log says of these users' names, then compute anew, in parts, the trainings that hold them.

    From the moment at which a name is taken in, no fold with the names before it is stored. What is ended half-way is
    done by the next call: `users.refolded` says how far all trainings know the names. `opened` opens a transaction.
    Raises `ArchiveUnavailable` where an archive is needed that cannot be read; where `missing` is given, that is noted
    there, and its users are left for another call.
    """
    more = True
    while more:
        async with opened() as cursor:
            more = await _take(cursor, users, schema)
    async with opened() as cursor:
        standing, renamed = await read_renamed(cursor, users, schema=schema)
        if not standing:
            return
        used = await used_names(cursor, list(standing), schema=schema)
        changed = [
            (user_id, name, version)
            for user_id, name in used
            if (version := renamed.get((user_id, folded(name)))) is not None
        ]
        trainings = await outdated_trainings(cursor, changed, schema=schema)
    for start in range(0, len(trainings), TRAININGS):
        part = trainings[start : start + TRAININGS]
        async with opened() as cursor:
            events = await read_folded(cursor, part, schema=schema, archive_dir=archive_dir, missing=missing)
        await refold(events)
        # What a database that went back has not taken back yet: once it has, the topic has another generation. Or what
        # is in an archive that cannot be read.
        lacking = Counter(user_id for user_id, _ in part) - Counter(UUID(event.key.decode()) for event in events)
        for user_id in lacking:
            standing.pop(user_id, None)
    async with opened() as cursor:
        await settle(cursor, standing, schema=schema)


async def _take(cursor: Cursor, users: Sequence[UUID], schema: str) -> bool:
    """Returns whether there may be more."""
    logged = await lock_and_read(cursor, users, PART, schema=schema)
    versions: dict[UUID, int] = {}
    newest: dict[tuple[UUID, str], ExercisePayload] = {}
    letters = []
    for each in logged:  # of each user in order
        versions[each.user_id] = each.version
        try:
            event = decode(each.event.value)
        except NotAnEvent as error:
            letters.append(dead_letter(each.event, str(error)))
            continue
        if event is not None:
            newest |= {(each.user_id, name): event.payload for name in event.payload.names}
    if letters:
        await fold_into(cursor, (), letters)
    if versions:
        await write_names(cursor, versions, newest, schema=schema)
    return len(logged) == PART


def _read(records: Sequence[Record]) -> tuple[list[UUID], list[DeadLetter]]:
    """The user of each event, and the records that are none."""
    users, letters = [], []
    for record in records:
        try:
            event = None if record.value is None else decode(record.value)
        except NotAnEvent as error:
            letters.append(dead_letter(record, str(error)))
            continue
        if event is not None:
            users.append(event.payload.user_id)
    return users, letters


def decode(value: bytes) -> ExerciseEvent | None:
    """The event about exercises that a record's value is; None where it is an event of a type that is not known here.

    Raises `NotAnEvent`.
    """
    return read(ExerciseEvent, ExerciseEventType, value)
