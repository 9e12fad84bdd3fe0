"""What must be done now and then, whether Kafka is there or not: partitions ahead, expired Idempotency-Keys removed."""

import asyncio
import logging
import random

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
        pause = EVERY
        try:
            for name in await keep_partitions(database, MONTHS):
                log.info("the log has a new partition", extra={"partition": name})
            removed = await purge_idempotency_keys(database, idempotency_hours)
            log.info("housekeeping is done", extra={"idempotency_keys": removed})
        except DatabaseUnavailable as error:
            log.warning("housekeeping is tried again: %s", error)
            pause = RETRY
        except Exception:
            log.exception("housekeeping failed")
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - it keeps no secret
