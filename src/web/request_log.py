"""Every request goes into the log of requests: in batches, beside the requests, and at the latest a second later."""

import asyncio
from contextlib import suppress

import structlog

from models.errors import DatabaseUnavailable
from models.request_log import LoggedRequest
from storage.database import Database
from storage.request_log import write
from web.measures import Measures

log = structlog.get_logger(__name__)

EVERY = 1.0  # seconds between two batches: so many are lost when the worker dies
MOST = 20_000  # requests that wait while PostgreSQL is away: some megabytes
STOP = 1.0  # seconds that the last batch may take when the worker stops


class RequestLog:
    """What is not in the log yet. Nothing here delays a request or makes it fail.

    While PostgreSQL is away requests wait, `MOST` of them; those beyond are dropped, and counted in a measure. A batch
    whose connection breaks is written again, so that its requests may stand in the log twice.
    """

    def __init__(self, database: Database, measures: Measures) -> None:
        self._database = database
        self._measures = measures
        self._waiting: list[LoggedRequest] = []
        self._halted = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def add(self, request: LoggedRequest) -> None:
        """Have this request in the log soon."""
        if len(self._waiting) < MOST:
            self._waiting.append(request)
        else:
            self._measures.unlogged(1)

    def start(self) -> None:
        """Begin to write."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, in `STOP` seconds at most."""
        self._halted.set()
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=STOP)
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def write(self) -> None:
        """Write what waits, in one statement. Raises nothing."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            await write(self._database, batch)
        except DatabaseUnavailable as error:
            log.info("the log of requests waits", error=str(error))
            kept = batch + self._waiting
            self._waiting = kept[:MOST]
            self._measures.unlogged(len(kept) - len(self._waiting))
        except Exception:
            log.exception("requests are not in the log", requests=len(batch))
            self._measures.unlogged(len(batch))

    async def _run(self) -> None:
        while not self._halted.is_set():
            await self.write()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._halted.wait(), EVERY)
        await self.write()
