"""Sessions: the completed trainings, each with what was planned for it."""

import datetime as dt
from collections.abc import AsyncGenerator
from typing import NamedTuple
from uuid import UUID

from models.errors import NotFound
from storage.database import Database, Row
from storage.session_statements import READ, STREAM, WORKOUT
from storage.trainings import stored_training

CHUNK = 20  # sessions: the first byte comes soon, and as many of the largest that there may be can be held
CHUNK_BYTES = 2**20  # that a chunk is made to have, where 20 sessions had more before


class Session(NamedTuple):
    """A completed training. `planned` are the exercises of the workout's version that it names, as JSON, where it has
    no target of its own."""

    version: int
    document: bytes
    planned: str | None


class Sessions:
    """The sessions of all users. Every method raises `DatabaseUnavailable` when PostgreSQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, user_id: UUID, id_: UUID) -> Session:
        """The session as it is now. Raises `NotFound`: also for a training that is not COMPLETED."""
        row = await self._database.one(READ, {"user_id": user_id, "id": id_})
        if row is None:
            raise NotFound("There is no such session.")
        return _session(user_id, row)

    async def planned(self, user_id: UUID, workout_id: UUID, version: int) -> str | None:
        """The exercises of one version of a workout, as JSON; None where there is none."""
        parameters = {"user_id": user_id, "workout_id": workout_id, "version": version}
        row = await self._database.one(WORKOUT, parameters)
        return None if row is None else row[0]

    async def stream(
        self, user_id: UUID, first: dt.date | None, last: dt.date | None
    ) -> AsyncGenerator[list[Session], None]:
        """The sessions of the local days `first` to `last`, oldest first, as they were when the reading began.

        They come in chunks, of which one is in memory. To be closed by who does not read to the end.
        """
        parameters = {"user_id": user_id, "first": first, "last": last}
        async with self._database.reader(STREAM, parameters) as fetch:
            count = CHUNK
            while rows := await fetch(count):
                sessions = [_session(user_id, row) for row in rows]
                yield sessions
                if len(rows) < count:
                    return
                size = sum(len(session.document) for session in sessions)
                count = max(1, min(CHUNK, count * CHUNK_BYTES // size))


def _session(user_id: UUID, row: Row) -> Session:
    *columns, planned = row
    found = stored_training(user_id, columns)
    return Session(found.version, found.document, planned)
