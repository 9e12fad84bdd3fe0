"""Work beside the requests, in every worker: done when somebody wakes it and now and then, whatever becomes of it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from models.errors import DatabaseUnavailable

log = logging.getLogger(__name__)


class Background:
    """Runs `work` in a task: at once, whenever it was woken since it began, and `look` seconds after it at the latest.

    `work` does what there is to do, and returns. What it raises is logged under `name` and tried again after `retry`
    seconds, so that nothing but `stop` ends it.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], *, look: float, retry: float) -> None:
        self._name = name
        self._work = work
        self._look = look
        self._retry = retry
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.stopping = False
        """Whether it is to stop: `work` then returns as soon as what is under way is whole."""

    def start(self) -> None:
        """Begin, beside the requests."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    async def stop(self, patience: float = 0.0) -> None:
        """Let `work` return by itself for so many seconds, then end it."""
        self.stopping = True
        self._woken.set()
        if self._task is not None:
            if patience:
                await asyncio.wait({self._task}, timeout=patience)
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while not self.stopping:
            self._woken.clear()
            if await self._works():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._look)
            else:
                await asyncio.sleep(self._retry)

    async def _works(self) -> bool:
        try:
            await self._work()
        except DatabaseUnavailable as error:
            log.info("%s wait: %s", self._name, error)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            log.exception("%s were cancelled by nobody", self._name)  # aiopg raises it by itself too
        except Exception:
            log.exception("%s are tried again", self._name)
        else:
            return True
        return False
