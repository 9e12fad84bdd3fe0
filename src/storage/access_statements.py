"""The SQL of `storage.access`: how a statement about a user becomes one that a coach of theirs may run.

The statement gets two expressions before its own. `standing` are the memberships that stand, with the scope; `access`
writes the access into the log, and is what the statement takes its user from, instead of from a parameter. Without a
membership `admitted` ends it: before it meets a row, because none is of no user. It is one statement still: what it
reads or writes and the log of it come about together or not at all.
"""

import re
from functools import lru_cache

from models.memberships import Scope
from storage.database import Prepared

TYPES = {"access_user": "uuid", "access_coach": "uuid", "access_groups": "text[]", "access_coached": "text[]"}

_USER = "%(user_id)s"
_GROUPS = "%(coach_of)s"
_HEAD = re.compile(r"\s*WITH\s+(RECURSIVE\s+)?", re.IGNORECASE)

# Who has revoked a membership knows that no write is under way by it: each holds the row, one after the other, so that
# none of them can keep the athlete waiting for long. What is read needs no lock: it is of a moment when it was allowed.
_STANDING = """standing AS MATERIALIZED (
    SELECT group_external_id FROM memberships
    WHERE user_id = %(access_user)s AND group_external_id = ANY (%(access_coached)s) AND revoked_at IS NULL
      AND %(access_scope)s = ANY (scopes)
    ORDER BY group_external_id{lock}
)"""
_LOCK: dict[Scope, str] = {"read": "", "plan": " FOR NO KEY UPDATE"}
_ADMITTED = "admitted((SELECT min(group_external_id) FROM standing WHERE group_external_id = ANY (%(access_groups)s)))"
_LOGGED = f"""access AS (
    INSERT INTO access_log (user_id, actor, coach_id, group_external_id, scope, operation, request_id)
    SELECT %(access_user)s, %(access_actor)s, %(access_coach)s,
           {_ADMITTED},
           %(access_scope)s, %(access_operation)s, %(access_request)s
    RETURNING user_id
)"""
_UNLOGGED = f"""access AS MATERIALIZED (
    SELECT %(access_user)s AS user_id,
           {_ADMITTED}
)"""
# What is logged refuses a coach who was erased. What is not, and may write the coach's name, refuses them itself; what
# only reads may be of a standby, where it could not be asked.
_UNLOGGED_WRITE = f"""access AS MATERIALIZED (
    SELECT %(access_user)s AS user_id,
           CASE WHEN erased(ARRAY[%(access_coach)s]::uuid[]) = '{{}}' THEN {_ADMITTED} ELSE admitted(NULL) END
)"""
_UNLOGGED_OF: dict[Scope, str] = {"read": _UNLOGGED, "plan": _UNLOGGED_WRITE}


@lru_cache(maxsize=1024)
def guarded_sql(sql: str, scope: Scope, *, logged: bool = True) -> str:
    """The statement for who may run it by a membership with the scope only; not `logged`, where it may write nothing.

    Raises ValueError where it names no user: what it meets would depend on no membership.
    """
    if _USER not in sql:
        raise ValueError(f"This statement names no user, so a coach may not run it: {sql}")
    head = _HEAD.match(sql)
    recursive = "RECURSIVE " if head and head[1] else ""
    rest = f", {sql[head.end() :]}" if head else f" {sql}"
    rest = rest.replace(_USER, "(SELECT user_id FROM access)")
    rest = rest.replace(_GROUPS, "ARRAY(SELECT group_external_id FROM standing)")
    return f"WITH {recursive}{_STANDING.format(lock=_LOCK[scope])}, {_LOGGED if logged else _UNLOGGED_OF[scope]}{rest}"


@lru_cache(maxsize=1024)
def guarded(statement: str | Prepared, scope: Scope, *, logged: bool = True) -> str | Prepared:
    """`guarded_sql` of the statement; prepared under a name of its own where it is prepared."""
    if isinstance(statement, Prepared):
        sql = guarded_sql(statement.sql, scope, logged=logged)
        name = f"{statement.name}_of_coach_to_{scope}{'' if logged else '_again'}"
        return Prepared(name, sql, {**statement.types, **TYPES})
    return guarded_sql(statement, scope, logged=logged)


# The log alone.
LOG: dict[Scope, str] = {
    scope: f"WITH {_STANDING.format(lock=lock)}, {_LOGGED} SELECT FROM access" for scope, lock in _LOCK.items()
}
