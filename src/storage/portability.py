"""Everything that is kept of one user, for who wants to take it along."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import orjson

from models.archives import ArchivedRow
from models.errors import DatabaseUnavailable
from storage.archives import read_user
from storage.database import Database
from storage.portability_statements import ALL

CHUNK = 20  # items: the first byte comes soon, and as many of the largest that there may be can be held
CHUNK_BYTES = 2**20  # that a chunk is made to have, where 20 items had more before


class Items(NamedTuple):
    """Some items: kinds of `models.portability.KINDS`, in their order, each with JSON text. `as_of` is the moment that
    all of them are of: the same in every chunk."""

    as_of: str
    items: list[tuple[str, str]]


async def read_all(database: Database, archives: Path | None, user_id: UUID) -> AsyncGenerator[Items, None]:
    """What is kept of the user, as it is at one moment; what a coach hides from the user is not in it.

    It comes in chunks, of which one is in memory; there always is a first one, which may have no items. To be closed by
    who does not read to the end. Raises `DatabaseUnavailable`, and `ArchiveUnavailable` where rows of the user are
    archived and cannot be read: before the first chunk, unless files go away meanwhile.
    """
    async with AsyncExitStack() as stack:
        async with database.reader(ALL, {"user_id": user_id}) as fetch:
            asked = CHUNK
            rows = await fetch(asked)
            fetched = len(rows)
            head = orjson.loads(rows.pop(0)[1])
            archived = {UUID(id_): version for id_, version in head["archived"].items()}
            older = await stack.enter_async_context(aclosing(_archived(database, archives, user_id, archived)))
            oldest = await anext(older)
            yield Items(head["as_of"], rows)
            while fetched == asked:
                size = sum(len(line) for _, line in rows)
                asked = max(1, min(CHUNK, len(rows) * CHUNK_BYTES // size))
                rows = await fetch(asked)
                fetched = len(rows)
                yield Items(head["as_of"], rows)
        yield Items(head["as_of"], oldest)
        async for items in older:
            yield Items(head["as_of"], items)


async def _archived(
    database: Database, archives: Path | None, user_id: UUID, first_in_log: Mapping[UUID, int]
) -> AsyncGenerator[list[tuple[str, str]], None]:
    """The user's archived events, in chunks of which there always is a first one.

    Of these trainings alone, up to the first version that was in the log: the others were archived since, and come out
    of the log. Raises `DatabaseUnavailable` where some went back into the log since.
    """
    items: list[tuple[str, str]] = []
    size, missing = 0, set(first_in_log)
    if missing:
        async for row in read_user(database, archives, user_id):
            if row.version < first_in_log.get(row.aggregate_id, 0):
                missing.discard(row.aggregate_id)
                items.append(("events", _event(row)))
                size += len(row.payload)
            if size > CHUNK_BYTES:
                yield items
                items, size = [], 0
    if missing:
        raise DatabaseUnavailable("Archived rows went back into the log while they were read.")
    yield items


def _event(row: ArchivedRow) -> str:
    """As `portability_statements` writes those of the log."""
    told = {"aggregate_type": row.aggregate_type, "aggregate_id": row.aggregate_id, "version": row.version}
    told["actor"] = row.actor
    if row.request_id is not None:
        told["request_id"] = row.request_id
    return orjson.dumps(told | {"event": orjson.Fragment(row.payload)}).decode()
