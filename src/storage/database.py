"""The pool of connections to PostgreSQL, and the one place where statements are run."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiopg
import aiopg.connection
import orjson
import psycopg2
import psycopg2.errors
from psycopg2 import extensions, extras

from models.errors import DatabaseUnavailable

Row = tuple[Any, ...]
Parameters = Mapping[str, object] | Sequence[object]

# A frozen or vanished server is noticed by the kernel: probes after 5 s of silence, unsent data given up after 10 s.
_KEEPALIVE = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
# What psycopg2 raises when the server is away, too busy, shutting down, out of disk, or no longer the primary.
_AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.errors.ReadOnlySqlTransaction)

_PARAMETER = re.compile(r"%\((\w+)\)s")

extras.register_uuid()  # type: ignore[no-untyped-call]


class _Connection(aiopg.Connection):
    """aiopg's, whose writer is removed with its reader when libpq has closed the socket (a refused connection).

    Upstream (aiopg/connection.py, `_ready`) leaves it; uvloop then refuses the next connection on the same descriptor
    with a RuntimeError, for as long as the process lives.
    """

    @staticmethod
    def _ready(weak_self: Any) -> None:
        connection = weak_self()
        descriptor = None if connection is None else connection._fileno
        aiopg.Connection._ready(weak_self)
        if descriptor is not None and connection._fileno is None:
            connection._loop.remove_writer(descriptor)


aiopg.connection.Connection = _Connection  # type: ignore[misc] # the pool makes its connections by this name


class Prepared:
    """A statement that each connection plans once: for the main path, whose planning takes as long as its work.

    `sql` has psycopg2's named parameters; `types` names the types of those that are not text.
    """

    def __init__(self, name: str, sql: str, types: Mapping[str, str]) -> None:
        names = list(dict.fromkeys(_PARAMETER.findall(sql)))
        numbered = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", sql)
        self.name = name
        self.prepare = f"PREPARE {name} ({', '.join(types.get(name, 'text') for name in names)}) AS {numbered}"
        self.execute = f"EXECUTE {name} ({', '.join(f'%({name})s' for name in names)})"


class Cursor:
    """Runs statements on one connection."""

    def __init__(self, database: "Database", cursor: Any, timeout: float) -> None:
        self._database = database
        self._cursor = cursor
        self._timeout = timeout

    async def execute(self, sql: str | Prepared, parameters: Parameters | None = None) -> int:
        """Run a statement; return the number of rows that it touched (-1 where that has no meaning)."""
        if isinstance(sql, Prepared):
            prepared: set[str] = self._cursor.connection.__dict__.setdefault("prepared", set())
            if sql.name not in prepared:
                await self.execute(sql.prepare)
                prepared.add(sql.name)
            sql = sql.execute
        self._database.statements += 1
        await self._cursor.execute(sql, parameters, timeout=self._timeout)
        return int(self._cursor.rowcount)

    async def all(self, sql: str | Prepared, parameters: Parameters | None = None) -> list[Row]:
        """Run a statement; return all its rows."""
        await self.execute(sql, parameters)
        rows: list[Row] = await self._cursor.fetchall()
        return rows

    async def one(self, sql: str | Prepared, parameters: Parameters | None = None) -> Row | None:
        """Run a statement; return its first row, or None."""
        await self.execute(sql, parameters)
        row: Row | None = await self._cursor.fetchone()
        return row

    @property
    def broken(self) -> bool:
        """Whether the connection is gone: nothing can be rolled back on it."""
        return bool(self._cursor.connection.closed)

    @property
    def notifications(self) -> Any:
        """The queue of this connection's NOTIFYs; `get()` raises psycopg2's error when the connection breaks."""
        return self._cursor.connection.notifies


class Database:
    """A pool of autocommitting connections.

    Guarantees: every way in which PostgreSQL can be away (refused, cut, frozen, out of connections, a statement ended
    by its time limit) becomes `DatabaseUnavailable`; a caller that is cancelled never hands a connection inside a
    transaction to the next one; the pool heals by itself when PostgreSQL is back.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_timeout: float = 5.0,
        statement_timeout: float = 15.0,
        name: str = "training",
        options: str = "",
    ) -> None:
        """PostgreSQL need not be there yet: connections are made when they are wanted.

        `url` is libpq's URL or key=value string; `pool_timeout` (to get a connection) and `statement_timeout` (of one
        statement, kept by PostgreSQL and by the client) are in seconds; `options` are more of libpq's options.
        """
        every = (
            f"-c statement_timeout={int(statement_timeout * 1000)} "
            f"-c idle_in_transaction_session_timeout=60000 -c timezone=UTC -c jit=off {options}"
        )
        self._conninfo = conninfo(url, options=every, application_name=name, **_KEEPALIVE)
        self._pool_size = pool_size
        self._pool_timeout = pool_timeout
        self._statement_timeout = statement_timeout
        self._open_pool: Any = None
        self.statements = 0  # sent so far: one round trip each; the tests of counts read it

    @property
    def _pool(self) -> Any:
        """The pool belongs to the event loop in which it is used first."""
        if self._open_pool is None:
            self._open_pool = aiopg.Pool(
                self._conninfo,
                minsize=0,
                maxsize=self._pool_size,
                timeout=self._pool_timeout,
                enable_json=False,
                enable_hstore=False,
                enable_uuid=False,
                echo=False,
                on_connect=_on_connect,
                pool_recycle=-1,
            )
        return self._open_pool

    async def close(self) -> None:
        """Close every connection; statements under way are waited for."""
        pool, self._open_pool = self._open_pool, None
        if pool is not None:
            pool.close()
            await pool.wait_closed()

    @property
    def size(self) -> int:
        """Connections open now."""
        return int(self._open_pool.size) if self._open_pool is not None else 0

    @property
    def idle(self) -> int:
        """Open connections that nobody uses now."""
        return int(self._open_pool.freesize) if self._open_pool is not None else 0

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        connection = None
        while connection is None:
            # A free connection that broke while the pool made another one: the pool drops it, and asserts that it is
            # not closed (aiopg/pool.py, `_acquire`).
            with suppress(AssertionError):
                connection = await self._pool.acquire()
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def session(self, *, statement_timeout: float | None = None) -> AsyncIterator[Cursor]:
        """One autocommitting connection. Raises `DatabaseUnavailable`.

        A longer `statement_timeout` (seconds) is the client's: the session sets PostgreSQL's own with `SET LOCAL`.
        """
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        # PostgreSQL ends a statement first; the client's own limit is for a server that answers nothing at all.
        timeout = (statement_timeout or self._statement_timeout) + 1.0
        try:
            async with self._connection() as connection:
                cursor = await connection.cursor()
                try:
                    yield Cursor(self, cursor, timeout)
                finally:
                    cursor.close()
        except asyncio.CancelledError:
            # F9: aiopg reports a statement that PostgreSQL itself ended as a cancellation of the task
            # (aiopg/connection.py, Connection._poll; https://github.com/aio-libs/aiopg/issues/537).
            if task is not None and task.cancelling() > cancels:
                raise
            raise DatabaseUnavailable("PostgreSQL ended the statement before it was done.") from None
        except (TimeoutError, *_AWAY) as error:
            raise DatabaseUnavailable("PostgreSQL cannot be reached right now.") from error

    @asynccontextmanager
    async def transaction(
        self, *, begin: str = "BEGIN", statement_timeout: float | None = None
    ) -> AsyncIterator[Cursor]:
        """One transaction: committed when the block ends, rolled back when it raises. Raises `DatabaseUnavailable`.

        `statement_timeout` (seconds) replaces the pool's within this transaction.
        """
        if statement_timeout is not None:
            begin = f"{begin}; SET LOCAL statement_timeout = {int(statement_timeout * 1000)}"
        async with self.session(statement_timeout=statement_timeout) as cursor:
            await cursor.execute(begin)
            try:
                yield cursor
            except BaseException:
                if not cursor.broken:
                    await cursor.execute("ROLLBACK")
                raise
            await cursor.execute("COMMIT")

    async def execute(self, sql: str | Prepared, parameters: Parameters | None = None) -> int:
        """Run one statement of its own; return the number of rows that it touched."""
        async with self.session() as cursor:
            return await cursor.execute(sql, parameters)

    async def all(self, sql: str | Prepared, parameters: Parameters | None = None) -> list[Row]:
        """Run one statement of its own; return all its rows."""
        async with self.session() as cursor:
            return await cursor.all(sql, parameters)

    async def one(self, sql: str | Prepared, parameters: Parameters | None = None) -> Row | None:
        """Run one statement of its own; return its first row, or None."""
        async with self.session() as cursor:
            return await cursor.one(sql, parameters)


def conninfo(url: str, **more: str) -> str:
    """libpq's key=value form of a URL (SQLAlchemy's driver suffix is dropped) or key=value string, with `more`."""
    return str(extensions.make_dsn(url.replace("postgresql+psycopg2://", "postgresql://", 1), **more))


async def _on_connect(connection: Any) -> None:
    extras.register_default_json(connection.raw, loads=orjson.loads)
    extras.register_default_jsonb(connection.raw, loads=orjson.loads)
