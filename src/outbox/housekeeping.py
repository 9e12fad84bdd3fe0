"""What must be done now and then, whether Kafka is there or not: partitions ahead, and what has expired removed."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

from models.errors import DatabaseUnavailable
from storage.database import Database
from storage.idempotency import purge_idempotency_keys
from storage.outbox import keep_partitions
from storage.rate_usage import purge as purge_rate_usage
from storage.retention import keep_request_log, purge_access_log, purge_imports

log = logging.getLogger(__name__)

MONTHS = 3  # that partitions of the log, and of the log of requests, stand ahead
EVERY = 3600.0  # seconds; a little more or less, so that workers take turns
DAILY = 86_400.0  # likewise
RETRY = 10.0  # seconds after which what failed is tried again


async def keep_house(database: Database, *, idempotency_hours: float) -> None:
    """At once and then every hour, until cancelled; what PostgreSQL did not do is tried again soon."""
    await _regularly(
        EVERY,
        lambda: _partitions(database),
        lambda: _keys(database, idempotency_hours),
        lambda: _usage(database),
    )


async def keep_days(database: Database, *, request_log_days: int, access_log_days: int, import_days: int) -> None:
    """At once and then every day, likewise: what is kept for so many days is removed when it is older."""
    await _regularly(
        DAILY,
        lambda: _requests(database, request_log_days),
        lambda: _accesses(database, access_log_days),
        lambda: _imports(database, import_days),
    )


async def _regularly(every: float, *chores: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        done = [await _tried(chore()) for chore in chores]
        pause = every if all(done) else RETRY
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - it keeps no secret


async def _partitions(database: Database) -> None:
    for name in await keep_partitions(database, MONTHS):
        log.info("the log has a new partition", extra={"partition": name})


async def _keys(database: Database, hours: float) -> None:
    removed = await purge_idempotency_keys(database, hours)
    log.info("expired keys are removed", extra={"idempotency_keys": removed})


async def _usage(database: Database) -> None:
    await purge_rate_usage(database)


async def _requests(database: Database, days: int) -> None:
    for name, made in await keep_request_log(database, ahead=MONTHS, days=days):
        log.info("the log of requests has %s", "a new partition" if made else "lost one", extra={"partition": name})


async def _accesses(database: Database, days: int) -> None:
    removed = await purge_access_log(database, days=days)
    log.info("old accesses are removed", extra={"accesses": removed})


async def _imports(database: Database, days: int) -> None:
    removed = await purge_imports(database, days=days)
    log.info("old imports are removed", extra={"imports": removed})


async def _tried(work: Coroutine[Any, Any, None]) -> bool:
    """Whether it was done. One chore that fails keeps none of the others from being done."""
    try:
        await work
    except DatabaseUnavailable as error:
        log.warning("housekeeping is tried again: %s", error)
    except Exception:
        log.exception("housekeeping failed")
    else:
        return True
    return False
