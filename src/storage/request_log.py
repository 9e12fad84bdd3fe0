"""The log of requests as it is kept: written in batches by workers, who may only add to it, and read by its owner."""

import datetime as dt
import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from models.request_log import LoggedRequest
from storage.arrays import columns
from storage.database import Database
from storage.request_log_statements import READ, TYPES, WRITE


class StoredRequest(NamedTuple):
    """One request as it is stored: as `LoggedRequest`, with its moment."""

    at: dt.datetime
    user_id: UUID | None
    actor: str | None
    method: str
    route: str
    about_user: UUID | None
    status: int
    request_id: str
    ms: float


async def write(database: Database, requests: Sequence[LoggedRequest]) -> None:
    """Add these in one statement; ids of users who are erased are left out. Raises `DatabaseUnavailable`: it is not
    known then whether they were written."""
    now = time.perf_counter()
    rows = [(now - request.began, *request[1:]) for request in requests]
    await database.execute(WRITE, columns("r", TYPES, rows))


async def read(
    database: Database,
    *,
    user_id: UUID | None = None,
    status: int | None = None,
    since: dt.datetime,
    until: dt.datetime | None = None,
    limit: int,
) -> list[StoredRequest]:
    """The newest `limit` requests from `since` until before `until`, by `user_id` or about them, with this status.

    For the schema's owner: workers may not read the log. Raises `DatabaseUnavailable`.
    """
    parameters = {"user_id": user_id, "status": status, "since": since, "until": until, "limit": limit}
    return [StoredRequest(*row) for row in await database.all(READ, parameters)]
