"""The pool of connections to PostgreSQL, and the one place where statements are run."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import aiopg
import aiopg.connection
import orjson
import psycopg2
import psycopg2.errors
from psycopg2 import extensions, extras

from models.errors import DatabaseUnavailable, StatementEnded, UserErased

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
# A statement that waits for a lock ends when its client is gone. Else the server would go on with it while the pool
# makes another connection in its place, and another.
_CHECK_CLIENT = "SET client_connection_check_interval = '1s'"
# What psycopg2 raises when the server is away, too busy, shutting down, out of disk, or no longer the primary.
_AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.errors.ReadOnlySqlTransaction)

_ERASED = "TS003"  # SQLSTATE of refuse_erased()

READ = "BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ"
_PARAMETER = re.compile(r"%\((\w+)\)s")
_OPTION = re.compile(r"-c (\w+)=(\S+)")

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

    `sql` has psycopg2's named parameters; `types` names the types of those that are not text. Behind a pooler, where a
    transaction may meet a server that prepared nothing, or another statement of this name, it is sent whole: `plain`.
    """

    def __init__(self, name: str, sql: str, types: Mapping[str, str]) -> None:
        names = list(dict.fromkeys(_PARAMETER.findall(sql)))
        numbered = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", sql)
        self.name, self.sql, self.types = name, sql, types
        self.prepare = f"PREPARE {name} ({', '.join(types.get(name, 'text') for name in names)}) AS {numbered}"
        self.execute = f"EXECUTE {name} ({', '.join(f'%({name})s' for name in names)})"
        self.plain = _PARAMETER.sub(lambda match: f"{match[0]}::{types.get(match[1], 'text')}", sql)


class Runner(Protocol):
    """What runs statements: a `Database`, each on its own, or a `Cursor`, within its transaction."""

    async def all(self, sql: str | Prepared, parameters: Parameters | None = None) -> list[Row]:
        """Run a statement; return all its rows."""
        ...

    async def one(self, sql: str | Prepared, parameters: Parameters | None = None) -> Row | None:
        """Run a statement; return its first row, or None."""
        ...


class Cursor:
    """Runs statements on one connection."""

    def __init__(self, database: "Database", cursor: Any, timeout: float, local: str) -> None:
        self._database = database
        self._cursor = cursor
        self._timeout = timeout
        self._local = local

    async def begin(self, begin: str, settings: str = "") -> None:
        """Begin a transaction, with `SET LOCAL`s of its own; this cursor's later statements belong to it."""
        local, self._local = self._local, ""
        await self._run(f"{begin}; {local}{settings}", None)

    async def execute(self, sql: str | Prepared, parameters: Parameters | None = None) -> int:
        """Run a statement; return the number of rows that it touched (-1 where that has no meaning)."""
        if not isinstance(sql, Prepared):
            return await self._run(self._local + sql, parameters)
        if self.pooled:
            return await self._run(self._local + sql.plain, parameters)
        prepared: set[str] = self._cursor.connection.__dict__.setdefault("prepared", set())
        if sql.name not in prepared:
            await self._run(sql.prepare, None)
            prepared.add(sql.name)
        return await self._run(sql.execute, parameters)

    async def _run(self, sql: str, parameters: Parameters | None) -> int:
        self._database.statements += 1
        try:
            await self._cursor.execute(sql, parameters, timeout=self._timeout)
        except psycopg2.DatabaseError as error:
            if error.pgcode == _ERASED:
                raise UserErased("This user was erased: nothing of theirs is taken any more.") from None
            raise
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

    async def declare(self, sql: str, parameters: Parameters) -> Callable[[int], Awaitable[list[Row]]]:
        """Begin to read a query in this cursor's transaction: `await fetch(count)` gives the next rows."""
        await self.execute(f"DECLARE reader NO SCROLL CURSOR FOR {sql}", parameters)
        return lambda count: self.all(f"FETCH {count} FROM reader")

    @property
    def pooled(self) -> bool:
        """Whether a pooler stands between: what a session would keep (LISTEN, temporary tables) is not kept."""
        return bool(self._cursor.connection.__dict__["pooled"])

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

    A pooler in between (pgbouncer in transaction mode, and the like) is noticed, and nothing is left to the session
    then: settings go with every transaction, and nothing is prepared.
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
        statement, kept by PostgreSQL and by the client) are in seconds; `options` are more settings of PostgreSQL's, as
        libpq's options: `-c name=value …`.
        """
        self._settings = {
            "statement_timeout": str(int(statement_timeout * 1000)),
            "idle_in_transaction_session_timeout": "60000",
            "timezone": "UTC",
            "jit": "off",
            **dict(_OPTION.findall(options)),
        }
        self._local = self._set("SET LOCAL")
        # Of the connection that was made last; None before the first.
        self.pooled: bool | None = None
        self._conninfo = conninfo(url, application_name=name, **_KEEPALIVE)
        self._pool_size = pool_size
        self._pool_timeout = pool_timeout
        self._statement_timeout = statement_timeout
        self._readers = asyncio.Semaphore(max(1, pool_size // 4))  # the rest of the pool is for what is short
        self._waiters = asyncio.Semaphore(max(1, pool_size // 4))
        self._exports = asyncio.Semaphore(1)
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
                on_connect=self._on_connect,
                pool_recycle=-1,
            )
        return self._open_pool

    def _set(self, how: str) -> str:
        return "".join(f"{how} {name} = '{value}'; " for name, value in self._settings.items())

    async def _on_connect(self, connection: Any) -> None:
        extras.register_default_json(connection.raw, loads=orjson.loads)
        extras.register_default_jsonb(connection.raw, loads=orjson.loads)
        try:
            cursor = await connection.cursor()
            await cursor.execute("SELECT pg_backend_pid()")
            (pid,) = await cursor.fetchone()
            # A pooler gives every client a process id of its own making: the server's may be another's tomorrow.
            self.pooled = connection.__dict__["pooled"] = pid != connection.raw.get_backend_pid()
            if not self.pooled:
                await cursor.execute(self._set("SET") + _CHECK_CLIENT)
            cursor.close()
        except BaseException:
            connection.close()
            raise

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
                    yield Cursor(self, cursor, timeout, self._local if connection.__dict__["pooled"] else "")
                finally:
                    cursor.close()
                    # The two hold each other, and the text of the last statement, a megabyte where agents fold, until
                    # garbage is collected: which is seldom (aiopg/connection.py, `Cursor`).
                    cursor._transaction = None
            _heed_cancellation(task, cancels)
        except asyncio.CancelledError:
            # F9: aiopg reports a statement that PostgreSQL itself ended as a cancellation of the task
            # (aiopg/connection.py, Connection._poll; https://github.com/aio-libs/aiopg/issues/537).
            if task is not None and task.cancelling() > cancels:
                raise
            raise StatementEnded("PostgreSQL ended the statement before it was done.") from None
        except (TimeoutError, *_AWAY) as error:
            raise DatabaseUnavailable("PostgreSQL cannot be reached right now.") from error

    @asynccontextmanager
    async def transaction(
        self, *, begin: str = "BEGIN", statement_timeout: float | None = None
    ) -> AsyncIterator[Cursor]:
        """One transaction: committed when the block ends, rolled back when it raises. Raises `DatabaseUnavailable`.

        `statement_timeout` (seconds) replaces the pool's within this transaction.
        """
        more = "" if statement_timeout is None else f"SET LOCAL statement_timeout = {int(statement_timeout * 1000)}"
        async with self.session(statement_timeout=statement_timeout) as cursor:
            await cursor.begin(begin, more)
            try:
                yield cursor
            except BaseException:
                if not cursor.broken:
                    await cursor.execute("ROLLBACK")
                raise
            await cursor.execute("COMMIT")

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """A place for a transaction that waits for others' locks, to be had before it begins: it keeps a connection
        meanwhile, of which a quarter of the pool is for this.

        Raises `DatabaseUnavailable` when no place is free within `pool_timeout` seconds.
        """
        async with self._place(self._waiters, "Too many writes wait for each other."):
            yield

    @asynccontextmanager
    async def reader(self, sql: str, parameters: Parameters) -> AsyncIterator[Callable[[int], Awaitable[list[Row]]]]:
        """The rows of a query as they were when it began, for who cannot hold them all: `await fetch(count)` gives the
        next ones, none at the end. Keeps a connection, of which a quarter of the pool is for this.

        Raises `DatabaseUnavailable`, also when none of these is free within `pool_timeout` seconds.
        """
        async with self._reading(None) as cursor:
            yield await cursor.declare(sql, parameters)

    @asynccontextmanager
    async def snapshot(self, *, statement_timeout: float | None = None) -> AsyncIterator[Cursor]:
        """A transaction that reads, whose statements see one moment: for exports of everything, which may take minutes.

        As `reader`, and one at a time, so that most places of readers stay for what users ask for. `statement_timeout`
        is as in `transaction`.
        """
        async with self._place(self._exports), self._reading(statement_timeout) as cursor:
            yield cursor

    @asynccontextmanager
    async def _reading(self, statement_timeout: float | None) -> AsyncIterator[Cursor]:
        async with (
            self._place(self._readers),
            self.transaction(begin=READ, statement_timeout=statement_timeout) as cursor,
        ):
            yield cursor

    @asynccontextmanager
    async def _place(
        self, places: asyncio.Semaphore, full: str = "Too many long answers are being read at once."
    ) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._pool_timeout):
                await places.acquire()
        except TimeoutError:
            raise DatabaseUnavailable(full) from None
        try:
            yield
        finally:
            places.release()

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


def _heed_cancellation(task: asyncio.Task[Any] | None, before: int) -> None:
    """Python 3.11's `wait_for`, by which aiopg waits, loses a cancellation that comes with the answer: raise it."""
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def conninfo(url: str, **more: str) -> str:
    """libpq's key=value form of a URL (SQLAlchemy's driver suffix is dropped) or key=value string, with `more`."""
    return str(extensions.make_dsn(url.replace("postgresql+psycopg2://", "postgresql://", 1), **more))
