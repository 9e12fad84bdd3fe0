"""The streaming replica, from which is read what may be moments old."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import psycopg2

from models.errors import DatabaseUnavailable
from storage.database import READ, Cursor, Database, Parameters, Prepared, Row

log = logging.getLogger(__name__)

INTERVAL = 2.0  # seconds between two looks at the replica
_BELIEVED = 10.0  # seconds for which a look is believed

# A replica that lags, or stands still, still has a present of its own: what it has of the primary ends with the last
# commit that it replayed.
PRESENT = "(CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() ELSE now() END)"
"""The moment, in SQL, of which a server can tell: every change that was accepted before is there."""

# No row where it is no replica (any more); NULL where it has replayed nothing since it was started.
_BEHIND = "SELECT extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 WHERE pg_is_in_recovery()"
# Also that it lacks a table or column: the migration that made it has not arrived yet.
_NOT_TO_BE_HAD = (DatabaseUnavailable, psycopg2.ProgrammingError)

T = TypeVar("T")


class Replica(Database):
    """A replica's pool, in whose place the primary's serves while the replica cannot be had.

    Offers what reads: `all`, `one`, `reader`, `snapshot`. The replica is read while the last `look` was a moment ago
    and found it there, in recovery, and no more than `lag` seconds behind; a read that it cannot answer is asked of the
    primary, and the next ones too, until a look finds it well again. What breaks a snapshot off once it began (the
    replica ends readers that hold up its replay) is told to the reader, as `DatabaseUnavailable`.
    """

    def __init__(
        self,
        primary: Database,
        url: str,
        *,
        lag: float,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        """`options` are those of `Database`."""
        super().__init__(url, **options)
        self._primary = primary
        self._lag = lag
        self._clock = clock
        self._well = False
        self._seen = float("-inf")

    @property
    def well(self) -> bool:
        """Whether the replica is read now."""
        return self._well and self._clock() - self._seen < _BELIEVED

    async def look(self) -> None:
        """See how the replica is; to be called every `INTERVAL` seconds. Raises nothing that comes of the replica."""
        try:
            found = await super().all(_BEHIND)
        except (DatabaseUnavailable, psycopg2.Error) as error:
            self._note(well=False, why=str(error))
            return
        behind = found[0][0] if found else None
        self._note(
            well=behind is not None and behind <= self._lag,
            why="it is no replica, or has replayed nothing yet" if behind is None else f"{behind:.0f} s behind",
        )

    async def all(self, sql: str | Prepared, parameters: Parameters | None = None) -> list[Row]:
        """Run one statement that reads; return all its rows."""
        return await self._read(super().all, self._primary.all, sql, parameters)

    async def one(self, sql: str | Prepared, parameters: Parameters | None = None) -> Row | None:
        """Run one statement that reads; return its first row, or None."""
        return await self._read(super().one, self._primary.one, sql, parameters)

    @asynccontextmanager
    async def _reading(self, statement_timeout: float | None) -> AsyncIterator[Cursor]:
        async with AsyncExitStack() as stack:
            cursor: Cursor | None = None
            await stack.enter_async_context(self._place(self._readers))
            if self.well:
                try:
                    begun = self.transaction(begin=READ, statement_timeout=statement_timeout)
                    cursor = await stack.enter_async_context(begun)
                except DatabaseUnavailable as error:
                    self._note(well=False, why=str(error))
            if cursor is None:
                cursor = await stack.enter_async_context(self._primary._reading(statement_timeout))
            yield cursor

    async def _read(
        self,
        here: Callable[[str | Prepared, Parameters | None], Awaitable[T]],
        there: Callable[[str | Prepared, Parameters | None], Awaitable[T]],
        sql: str | Prepared,
        parameters: Parameters | None,
    ) -> T:
        if self.well:
            try:
                return await here(sql, parameters)
            except _NOT_TO_BE_HAD as error:
                self._note(well=False, why=str(error))
        return await there(sql, parameters)

    def _note(self, *, well: bool, why: str) -> None:
        if well != self._well:
            if well:
                log.info("replica is read")
            else:
                log.warning("replica is not read, the primary is: %s", why.partition("\n")[0])
        self._well, self._seen = well, self._clock()
