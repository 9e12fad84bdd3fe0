"""What is kept for a time only: the log of requests, the log of coaches' accesses, and finished imports.

Workers may delete nothing of these. Functions of the owner's do it for them, and keep everything of the last 7 days,
whatever they are told.
"""

from storage.database import Database

_BATCH = 5000  # rows that one statement deletes


async def keep_request_log(database: Database, *, ahead: int, days: int) -> list[tuple[str, bool]]:
    """Make partitions for this month and `ahead` more, and drop those whose requests are all older than `days`.

    Returns the name of each, and whether it was made. Raises `DatabaseUnavailable`, also where the log was locked for
    too long: nothing is done then.
    """
    rows = await database.all("SELECT name, made FROM request_log_keep_partitions(%s, %s)", [ahead, days])
    return [(name, made) for name, made in rows]


async def purge_access_log(database: Database, *, days: int, batch: int = _BATCH) -> int:
    """Remove coaches' accesses that are older than `days`, in batches; returns how many. Raises `DatabaseUnavailable`;
    what was removed by then stays removed."""
    return await _purge(database, "SELECT purge_access_log(%s, %s)", days, batch)


async def purge_imports(database: Database, *, days: int, batch: int = _BATCH) -> int:
    """Remove imports that were finished `days` ago, likewise. What they brought in stays."""
    return await _purge(database, "SELECT purge_imports(%s, %s)", days, batch)


async def _purge(database: Database, sql: str, days: int, batch: int) -> int:
    removed = 0
    while (rows := await database.all(sql, [days, batch])) and (count := int(rows[0][0])):
        removed += count
    return removed
