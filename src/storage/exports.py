"""Exports: derived tables of everybody, as lines, and a user's own log."""

import datetime as dt
from collections.abc import AsyncGenerator
from typing import NamedTuple
from uuid import UUID

from models.exports import Format
from storage.database import Database
from storage.export_statements import NEWEST_FIRST, NEXT, OLDEST_FIRST, export
from storage.trainings import stored_training

CHUNK = 5_000  # lines
LOG_CHUNK = 20  # trainings: as many of the largest that there may be can be held
_SECONDS = 120.0  # that a chunk may take: for the first one PostgreSQL may have to sum up, or pass over, many rows


class Lines(NamedTuple):
    """Lines of an export. `next_changed_since` says what to ask for next time: the same in every chunk."""

    next_changed_since: int
    lines: list[str]


async def read_export(
    database: Database,
    table: str,
    form: Format,
    *,
    first: dt.date | None = None,
    last: dt.date | None = None,
    changed_since: int | None = None,
) -> AsyncGenerator[Lines, None]:
    """The rows of a table of `models.exports.TABLES` on the days `first` to `last`, as they are at one moment.

    With `changed_since`, what events behind that place in the log may have changed: each unit, and then its rows. They
    come in chunks, of which one is in memory; there always is a first one, which may be empty. To be closed by who does
    not read to the end. Raises `DatabaseUnavailable`.
    """
    sql = export(table, form, changes=changed_since is not None)
    parameters = {"first": first, "last": last, "changed_since": changed_since}
    async with database.snapshot(statement_timeout=_SECONDS) as cursor:
        ((following,),) = await cursor.all(NEXT)
        fetch = await cursor.declare(sql, parameters)
        count = CHUNK
        while count == CHUNK:
            rows = await fetch(CHUNK)
            count = len(rows)
            yield Lines(following, [line for (line,) in rows])


async def read_log(database: Database, user_id: UUID, *, newest_first: bool) -> AsyncGenerator[list[bytes], None]:
    """The user's completed trainings as documents, by date, as they are at one moment.

    They come in chunks, as in `read_export`.
    """
    async with database.reader(NEWEST_FIRST if newest_first else OLDEST_FIRST, {"user_id": user_id}) as fetch:
        while rows := await fetch(LOG_CHUNK):
            yield [stored_training(user_id, row).document for row in rows]
            if len(rows) < LOG_CHUNK:
                return
