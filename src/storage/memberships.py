"""Memberships of groups, and the log of what coaches did by them: one statement each."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from models.errors import NotFound
from models.memberships import Scope
from storage.database import Database
from storage.training_writes import Author, TrainingWriter

_SAVE = """
INSERT INTO memberships (user_id, group_external_id, scopes) VALUES (%(user_id)s, %(group)s, %(scopes)s)
ON CONFLICT (user_id, group_external_id) DO UPDATE
SET scopes = excluded.scopes, revoked_at = NULL,
    accepted_at = CASE WHEN memberships.revoked_at IS NULL THEN memberships.accepted_at ELSE now() END
RETURNING group_external_id, scopes, accepted_at
"""
_REVOKE = "SELECT leave_group(%(user_id)s, %(group)s, %(topic)s, %(actor)s, %(request_id)s, %(traceparent)s)"
_STANDING = """
SELECT group_external_id, scopes, accepted_at FROM memberships WHERE user_id = %(user_id)s AND revoked_at IS NULL"""
_READ = f"{_STANDING} AND group_external_id = %(group)s"
_LIST = f"""{_STANDING} AND group_external_id > %(after)s
ORDER BY group_external_id LIMIT %(limit)s"""

_ACCESSES = """
SELECT id, at, actor, coach_id, group_external_id, scope, operation, request_id FROM access_log
WHERE user_id = %(user_id)s
  AND (%(after_at)s::timestamptz IS NULL OR (at, id) < (%(after_at)s::timestamptz, %(after_id)s::uuid))
ORDER BY at DESC, id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Membership:
    """A group whose coaches the user admits."""

    group: str
    scopes: list[Scope]
    accepted_at: dt.datetime


@dataclass(frozen=True, slots=True)
class LoggedAccess:
    """One row of the log of accesses."""

    id: UUID
    at: dt.datetime
    actor: str
    coach_id: UUID
    group: str
    scope: Scope
    operation: str
    request_id: str


class Memberships:
    """The memberships of all users. Every method raises `DatabaseUnavailable` when PostgreSQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, user_id: UUID, group: str, scopes: Sequence[Scope]) -> Membership:
        """Admit the group's coaches to `scopes`, and to no more than these."""
        rows = await self._database.all(_SAVE, {"user_id": user_id, "group": group, "scopes": list(scopes)})
        return Membership(*rows[0])

    async def revoke(self, author: Author, group: str, topic: str) -> None:
        """End the membership: no statement of a coach's is run by it from then on. Raises `NotFound`.

        What the group planned and hid, which nobody would see any more, is deleted in the same statement, with its
        events on the trainings' `topic`.
        """
        ((left,),) = await TrainingWriter(self._database, topic).ask(
            _REVOKE,
            {
                "user_id": author.user_id,
                "group": group,
                "topic": topic,
                "actor": author.actor,
                "request_id": author.request_id,
                "traceparent": author.traceparent,
            },
        )
        if not left:
            raise _not_found()

    async def read(self, user_id: UUID, group: str) -> Membership:
        """The membership as it is now. Raises `NotFound`, for a revoked one too."""
        row = await self._database.one(_READ, {"user_id": user_id, "group": group})
        if row is None:
            raise _not_found()
        return Membership(*row)

    async def page(self, user_id: UUID, *, after: str = "", limit: int) -> list[Membership]:
        """At most `limit` memberships that stand, in order of their groups' names, from the one behind `after` on."""
        rows = await self._database.all(_LIST, {"user_id": user_id, "after": after, "limit": limit})
        return [Membership(*row) for row in rows]

    async def accesses(
        self, user_id: UUID, *, after: tuple[dt.datetime, UUID] | None = None, limit: int
    ) -> list[LoggedAccess]:
        """At most `limit` accesses of coaches to the user's data, newest first; `after` is the last of the page before.

        Those of groups that were left stay.
        """
        after_at, after_id = after or (None, None)
        parameters = {"user_id": user_id, "after_at": after_at, "after_id": after_id, "limit": limit}
        return [LoggedAccess(*row) for row in await self._database.all(_ACCESSES, parameters)]


def _not_found() -> NotFound:
    return NotFound("There is no such membership.")
