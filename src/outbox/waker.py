"""Wake-up between workers: one that commits tells the one that relays, by PostgreSQL's NOTIFY.

Never within a write, since notifying transactions commit one after another, cluster-wide. Every message may be lost:
the timer drains as well.
"""

import asyncio
import logging
from collections.abc import Callable

from models.errors import DatabaseUnavailable
from storage.database import Database
from storage.outbox import listen, notify

log = logging.getLogger(__name__)

PAUSE = 0.005  # seconds in which this worker tells once at most
LOOK = 1.0  # seconds until a new leader hears, and until a broken connection is replaced


class Waker:
    """Tells and hears. `leads` says whether this worker relays, `wake` is called when another committed something."""

    def __init__(self, database: Database, *, leads: Callable[[], bool], wake: Callable[[], None]) -> None:
        self._database = database
        self._leads = leads
        self._wake = wake
        self._telling: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """Tell the worker that relays, within `PAUSE`."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def run(self) -> None:
        """Hear while this worker relays, until cancelled."""
        while True:
            if self._leads():
                try:
                    await listen(self._database, self._heard)
                except DatabaseUnavailable as error:
                    log.info("wake-ups of other workers are not heard: %s", error)
            await asyncio.sleep(LOOK)

    def _heard(self) -> bool:
        self._wake()
        return self._leads()

    async def _tell(self) -> None:
        await asyncio.sleep(PAUSE)
        try:
            await notify(self._database)
        except DatabaseUnavailable as error:
            log.info("the worker that relays was not told: %s", error)
