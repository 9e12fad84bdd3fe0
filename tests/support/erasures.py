"""Erasures in tests: a worker of them, and the search for what may be left of a user."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from agents.erasures import ErasureWorker
from storage.database import Database

_TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1
"""
OWNED = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'user_id'
ORDER BY 1
"""
NOT_SWEPT = {"erasures", "archived_trainings"}
"""What holds ids of users and is emptied otherwise: by the end of the erasure, and with the files."""


def eraser(
    database: Database,
    *,
    archives: Callable[[UUID, Sequence[str]], Awaitable[object]] | None = None,
    grace_days: float = 7.0,
    relayed: bool = True,
) -> ErasureWorker:
    """What a worker runs of erasures. Without `archives` nothing is archived."""

    async def none(_user_id: UUID, _actors: Sequence[str]) -> None:
        pass

    return ErasureWorker(
        database,
        "training_events",
        archives=archives or none,
        wake=lambda: None,
        grace_days=grace_days,
        relayed=relayed,
    )


async def found(everything: Database, *texts: object) -> dict[str, int]:
    """How many rows of each table hold one of these texts, in whatever column: as text, and as bytes.

    `everything` is of a role that may read all tables. An erasure's own event is none of them.
    """
    rows = {}
    words = [str(text).lower() for text in texts]
    words += [word.encode().hex() for word in words]
    for (table,) in await everything.all(_TABLES):
        own = "WHERE event_type <> 'user_erased'" if table == "outbox" else ""
        ((count,),) = await everything.all(
            f"SELECT count(*) FROM (SELECT lower(t::text) AS row FROM {table} t {own}) t "
            "WHERE EXISTS (SELECT FROM unnest(%(words)s::text[]) word WHERE strpos(row, word) > 0)",
            {"words": words},
        )
        if count:
            rows[table] = count
    return rows


async def owned(everything: Database, user_id: UUID | str) -> dict[str, int]:
    """How many rows of each table are the user's, of those with a user."""
    tables = [table for (table,) in await everything.all(OWNED)]
    return {
        table: (await everything.all(f"SELECT count(*) FROM {table} WHERE user_id = %s", [user_id]))[0][0]
        for table in tables
        if table not in NOT_SWEPT
    }
