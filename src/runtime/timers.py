"""Timers that outlive what their bodies raise, and that run whether Kafka is there or not."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mode import Service

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TimerHealth:
    """How a timer fares."""

    name: str
    runs: int
    failures: int
    idle: float | None  # seconds since its body last succeeded; None: never yet


class Timer:
    """The body of a timer, guarded.

    F6: whatever escapes a Faust timer ends the whole worker, REST included (mode/services.py, `_execute_task`), and a
    CancelledError that nobody asked for ends the timer silently (F9). Here both are logged and counted, and the timer
    goes on; a genuine cancellation passes.
    """

    def __init__(self, name: str, body: Callable[[], Awaitable[object]]) -> None:
        self.name = name
        self._body = body
        self._runs = 0
        self._failures = 0
        self._succeeded_at: float | None = None

    async def run(self) -> None:
        """Run the body once."""
        self._runs += 1
        try:
            await self._body()
        except asyncio.CancelledError:
            if cancelled():
                raise
            self._failures += 1
            log.exception("timer %s: cancelled by nobody", self.name)
        except Exception:
            self._failures += 1
            log.exception("timer %s failed", self.name)
        else:
            self._succeeded_at = time.monotonic()

    def health(self) -> TimerHealth:
        """Its counters."""
        idle = None if self._succeeded_at is None else time.monotonic() - self._succeeded_at
        return TimerHealth(self.name, self._runs, self._failures, idle)


class Tasks(Service):
    """Runs the app's timers and tasks from the moment that the web server is up, and ends them with the worker.

    Upstream starts them after the first assignment of partitions (faust/app/base.py, `on_started`), so that none runs
    while Kafka is away or a group is being joined. At the stop each may finish what it is doing for `grace` seconds.
    """

    mundane_level = "debug"

    def __init__(self, tasks: Sequence[Callable[[], Awaitable[Any]]], grace: float, **options: Any) -> None:
        self._tasks_to_run = tasks
        self._grace = grace
        super().__init__(**options)

    async def on_start(self) -> None:
        for task in self._tasks_to_run:
            self.add_future(task())

    async def on_stop(self) -> None:
        await self._wait_for_futures(timeout=self._grace)


def cancelled() -> bool:
    """Whether somebody asked this task to end. aiopg raises CancelledError by itself too (F9; aio-libs/aiopg#537)."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
