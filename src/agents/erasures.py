"""Takes everything of users out who are to be erased, in every worker: the oldest job that nobody has, step by step.

Each step is one statement, which also counts what it took out, as each transaction about an archive does. So a worker
that dies is followed by one that goes on, and the counts stay right. The last step begins when nobody is left who could
have been told that the user is not erased; what is announced then is the last thing that is ever said of the user.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

from agents.background import Background
from models.errors import ArchiveUnavailable
from storage.database import Database
from storage.erasures import LEASE, Erasures, Work

log = logging.getLogger(__name__)

ROWS = 5_000  # taken out by one statement, so that neither PostgreSQL nor who waits for a row is long at it
LOOK = 5.0  # seconds between two looks for jobs that other workers left, or took in
RETRY = 1.0  # seconds after which PostgreSQL is asked again
STOP = 3.0  # seconds that the step under way may take when the worker stops
WAIT = 0.1  # seconds between two looks whether older transactions have ended
PATIENCE = 5.0  # seconds after which other jobs come first
ARCHIVE_AGAIN = 60.0  # seconds after which a file that could not be rewritten is tried again
_OLDER = "Transactions that were under way when the erasure began have not ended yet."


class ErasureWorker:
    """What a worker runs of erasures.

    `topic` is where their events go, and `wake` tells the relay of one; `relayed` says whether a relay publishes the
    log. An event stays there for `grace_days` after it went out. `archives` takes a user's rows out of archived files,
    and the names by which the user acted for others, and counts the rows; it raises `ArchiveUnavailable` where a file
    that it needs is not there.
    """

    def __init__(
        self,
        database: Database,
        topic: str,
        *,
        archives: Callable[[UUID, Sequence[str]], Awaitable[object]],
        wake: Callable[[], None],
        grace_days: float,
        relayed: bool,
    ) -> None:
        self._erasures = Erasures(database, topic, f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:12]}")
        self._archives = archives
        self._wake_relay = wake
        self._grace_days = grace_days
        self._relayed = relayed
        self._background = Background("erasures", self.work_off, look=LOOK, retry=RETRY)
        self.start = self._background.start
        self.wake = self._background.wake

    async def stop(self) -> None:
        """Finish the step under way and let another worker go on, in `STOP` seconds at most."""
        await self._background.stop(STOP)

    async def work_off(self) -> None:
        """Work off what there is, until there is nothing, or the worker stops. Raises `DatabaseUnavailable`."""
        while not self._background.stopping and (work := await self._erasures.claim()) is not None:
            await self._erase(work)
        await self._erasures.note_published(relayed=self._relayed)
        await self._erasures.forget(self._grace_days)

    async def _erase(self, work: Work) -> None:
        waiting_since: float | None = None
        while not self._background.stopping:
            step = await self._erasures.step(work, ROWS)
            if step is None:
                return
            if not step.more and step.alone:
                await self._finish(work, step.actors)
                return
            if not step.more:
                waiting_since = waiting_since or time.monotonic()
                if time.monotonic() - waiting_since > PATIENCE:
                    await self._erasures.put_off(work, LOOK, _OLDER)
                    return
                await asyncio.sleep(WAIT)
        await self._erasures.put_off(work)

    async def _finish(self, work: Work, actors: Sequence[str]) -> None:
        taking = asyncio.ensure_future(self._archives(work.user_id, actors))
        try:
            while not (await asyncio.wait({taking}, timeout=LEASE / 3))[0]:
                await self._erasures.renew(work)
            taking.result()
        except ArchiveUnavailable as error:
            log.warning("an erasure waits for an archive: %s", error)
            await self._erasures.put_off(work, ARCHIVE_AGAIN, str(error))
            return
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
        await self._erasures.finish(work)
        log.info("a user was erased")  # whose name nothing tells any more
        self._wake_relay()
