"""Wake-up between workers: one that commits tells the one that relays, by PostgreSQL's NOTIFY.

Never within a write, since notifying transactions commit one after another, cluster-wide. Every message may be lost:
the timer drains as well. So behind a pooler, which keeps no LISTEN, the timer alone will do.
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
    """Tells by `database`, hears by `ear`, which leads past a pooler, or nothing is told and heard.

    `leads` says whether this worker relays, `wake` is called when another committed something.
    """

    def __init__(
        self, database: Database, ear: Database, *, leads: Callable[[], bool], wake: Callable[[], None]
    ) -> None:
        self._database = database
        self._ear = ear
        self._leads = leads
        self._wake = wake
        self._telling: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """Tell the worker that relays, within `PAUSE`."""
        if self._ear.pooled:
            return
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def run(self) -> None:
        """Hear while this worker relays: until cancelled, or until it shows that nothing can be heard."""
        while True:
            if self._leads():
                try:
                    if not await listen(self._ear, self._heard):
                        log.info("behind a pooler nothing wakes the relay but its timer and this worker's own commits")
                        return
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
