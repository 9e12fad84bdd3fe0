"""Coaches' access to athletes' data: no statement without a membership, and none that is not in the athlete's log."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar
from uuid import UUID

import psycopg2

from models.errors import NotFound, UserErased
from models.memberships import Scope
from storage.access_statements import LOG, guarded, guarded_sql
from storage.database import Database, Parameters, Prepared, Row
from storage.erasures import is_erased

NO_USER = "There is no such user."
_STRANGER = "TS002"  # SQLSTATE of admitted()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """One request of a coach for one athlete's data, as the athlete's log tells of it.

    `user_id` is the athlete; `coach_id` and `actor` are the user and the subject of the coach's token, and `groups`
    those that it names in `coach_of`. `operation` is the route's operation id.
    """

    user_id: UUID
    coach_id: UUID
    actor: str
    groups: tuple[str, ...]
    scope: Scope
    operation: str
    request_id: str


class Guarded(Database):
    """The database as a coach meets it, of one request: every statement is about the one athlete, and runs only if the
    athlete is a member of one of the coach's groups with the scope at that moment.

    What was run is in the access log, one row a request, committed with its first statement or before. Every method
    raises `NotFound` where there is no such membership, whatever else is the case, and where the athlete was erased;
    `UserErased` where the coach was. Statements must name the user as
    `%(user_id)s`; groups that they name as `%(coach_of)s` are those whose membership stands. Sessions and transactions
    are not offered: their statements would not be guarded.
    """

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database  # whose pool serves: nothing of this one's own is opened
        self.access = access
        self.admitted = False
        """Whether a statement was run: the athlete's membership stood then, and the access is in the log."""
        self.group: str | None = None
        """The group that is written for: where the coach coaches it, no other's membership will do."""

    async def admit(self) -> None:
        """Have the access in the log, if it is not there yet."""
        if not self.admitted:
            await self._log()

    async def execute(self, sql: str | Prepared, parameters: Parameters | None = None) -> int:
        """Run one statement; return the number of rows that it touched."""
        return await self._run(self._database.execute, sql, parameters)

    async def all(self, sql: str | Prepared, parameters: Parameters | None = None) -> list[Row]:
        """Run one statement; return all its rows."""
        return await self._run(self._database.all, sql, parameters)

    async def one(self, sql: str | Prepared, parameters: Parameters | None = None) -> Row | None:
        """Run one statement; return its first row, or None."""
        return await self._run(self._database.one, sql, parameters)

    @asynccontextmanager
    async def reader(self, sql: str, parameters: Parameters) -> AsyncIterator[Callable[[int], Awaitable[list[Row]]]]:
        """As `Database.reader`. The access is in the log before the first row is read, and stays however it ends."""
        await self.admit()
        try:
            sql = guarded_sql(sql, self.access.scope, logged=False)
            async with self._database.reader(sql, self._parameters(parameters)) as fetch:
                yield fetch
        except psycopg2.DatabaseError as error:
            if error.pgcode == _STRANGER:  # revoked a moment ago
                raise NotFound(NO_USER) from None
            raise

    def session(self, *, statement_timeout: float | None = None) -> NoReturn:
        """Not offered."""
        raise NotImplementedError("a session's statements would not be guarded")

    def transaction(self, *, begin: str = "BEGIN", statement_timeout: float | None = None) -> NoReturn:
        """Not offered."""
        raise NotImplementedError("a transaction's statements would not be guarded")

    def waiting(self) -> NoReturn:
        """Not offered."""
        raise NotImplementedError("a transaction's statements would not be guarded")

    def snapshot(self, *, statement_timeout: float | None = None) -> NoReturn:
        """Not offered."""
        raise NotImplementedError("a snapshot's statements would not be guarded")

    async def _run(
        self,
        run: Callable[[str | Prepared, Parameters], Awaitable[T]],
        sql: str | Prepared,
        parameters: Parameters | None,
    ) -> T:
        statement = guarded(sql, self.access.scope, logged=not self.admitted)
        try:
            return await self._admitted(run, statement, self._parameters(parameters))
        except psycopg2.DatabaseError:
            await self.admit()  # it took its row of the log back; that it was refused tells something too
            raise

    async def _log(self) -> None:
        await self._admitted(self._database.execute, LOG[self.access.scope], self._parameters({}))

    async def _admitted(
        self,
        run: Callable[[str | Prepared, Parameters], Awaitable[T]],
        statement: str | Prepared,
        parameters: Parameters,
    ) -> T:
        try:
            answer = await run(statement, parameters)
        except UserErased:
            if await is_erased(self._database, self.access.coach_id):
                raise
            raise NotFound(NO_USER) from None
        except psycopg2.DatabaseError as error:
            if error.pgcode == _STRANGER:
                raise NotFound(NO_USER) from None
            raise
        self.admitted = True
        return answer

    def _parameters(self, parameters: Parameters | None) -> dict[str, object]:
        given, access = dict(parameters) if isinstance(parameters, Mapping) else {}, self.access
        if given.get("user_id", access.user_id) != access.user_id:
            raise ValueError("the statement is about another user than the access")
        groups = list(access.groups)
        return given | {
            "access_user": access.user_id,
            "access_coach": access.coach_id,
            "access_actor": access.actor,
            "access_groups": [self.group] if self.group in access.groups else groups,
            "access_coached": groups,
            "access_scope": access.scope,
            "access_operation": access.operation,
            "access_request": access.request_id,
        }
