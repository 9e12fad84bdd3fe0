"""What must be done now and then, whether Kafka is there or not: partitions ahead, expired Idempotency-Keys removed."""

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import Any

from models.errors import DatabaseUnavailable
from storage.database import Database
from storage.idempotency import purge_idempotency_keys
from storage.outbox import keep_partitions

log = logging.getLogger(__name__)

MONTHS = 3  # that partitions of the log stand ahead
EVERY = 3600.0  # seconds; a little more or less, so that workers take turns
RETRY = 10.0  # seconds after which what failed is tried again


async def keep_house(database: Database, *, idempotency_hours: float) -> None:
    """At once and then every hour, until cancelled; what PostgreSQL did not do is tried again soon."""
    while True:
        done = [await _tried(_partitions(database)), await _tried(_keys(database, idempotency_hours))]
        pause = EVERY if all(done) else RETRY
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - it keeps no secret


async def _partitions(database: Database) -> None:
    for name in await keep_partitions(database, MONTHS):
        log.info("the log has a new partition", extra={"partition": name})


async def _keys(database: Database, hours: float) -> None:
    removed = await purge_idempotency_keys(database, hours)
    log.info("expired keys are removed", extra={"idempotency_keys": removed})


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
