"""How much of their limits users have used, in all workers: the table by which these agree."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from storage.arrays import array
from storage.database import Database

# The database's clock alone says which minute it is. In order of the key, so that two workers never wait for each other
# crosswise. A minute that is ahead (the clock went back) is counted on until it has passed, or is purged.
_SETTLE = """
WITH settled AS (
    INSERT INTO rate_usage AS kept (bucket, minute, used)
    SELECT bucket, date_trunc('minute', now()), used
    FROM unnest(%(buckets)s::uuid[], %(used)s::integer[]) AS given (bucket, used) ORDER BY bucket
    ON CONFLICT (bucket) DO UPDATE SET
        minute = greatest(kept.minute, excluded.minute),
        used = excluded.used + CASE WHEN kept.minute < excluded.minute THEN 0 ELSE kept.used END
    RETURNING bucket, minute, used
)
SELECT extract(epoch FROM clock_timestamp())::float8, bucket, extract(epoch FROM minute)::bigint / 60, used
FROM (SELECT) AS always LEFT JOIN settled ON true
"""
# Of minutes that are over for long, or that no clock should have told.
_PURGE = """
DELETE FROM rate_usage WHERE bucket IN (
    SELECT bucket FROM rate_usage
    WHERE minute NOT BETWEEN now() - interval '5 minutes' AND now() + interval '5 minutes'
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)
"""


class Usage(NamedTuple):
    """The database's clock (Unix time, seconds), and of each bucket the minute (Unix time / 60) that it counts, with
    how many requests all workers admitted in it."""

    clock: float
    totals: dict[UUID, tuple[int, int]]


async def settle(database: Database, admitted: Mapping[UUID, int]) -> Usage:
    """Add what a worker admitted to these buckets, and return the totals, in one statement.

    Raises `DatabaseUnavailable`: it is not known then what was added.
    """
    parameters = {"buckets": array(admitted, "uuid"), "used": array(admitted.values(), "integer")}
    rows = await database.all(_SETTLE, parameters)
    return Usage(rows[0][0], {bucket: (minute, used) for _, bucket, minute, used in rows if bucket is not None})


async def purge(database: Database, *, batch: int = 5000) -> int:
    """Remove what counts no more, `batch` rows in each statement; returns how many. Raises `DatabaseUnavailable`."""
    removed = 0
    while count := await database.execute(_PURGE, {"batch": batch}):
        removed += count
    return removed
