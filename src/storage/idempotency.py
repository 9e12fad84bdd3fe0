"""Idempotency-Keys: how those that expired are removed. `storage.trainings` claims them."""

from storage.database import Database

# The row locks of writes under way are passed by: their keys are not old.
_PURGE = """
DELETE FROM idempotency_keys WHERE (user_id, route, key) IN (
    SELECT user_id, route, key FROM idempotency_keys
    WHERE created_at < now() - %(hours)s * interval '1 hour' LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)
"""


async def purge_idempotency_keys(database: Database, hours: float, *, batch: int = 5000) -> int:
    """Remove the keys that are older than `hours`, `batch` in each statement; returns how many there were.

    Raises `DatabaseUnavailable`; what was removed by then stays removed.
    """
    removed = 0
    while count := await database.execute(_PURGE, {"hours": hours, "batch": batch}):
        removed += count
    return removed
