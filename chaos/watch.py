"""What is measured all the while: lag and throughput over time, and the peaks that I10 bounds."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil
from psycopg2.errors import UndefinedTable

from chaos.history import History, Recovery
from chaos.stack import Stack
from models.errors import DatabaseUnavailable
from storage.database import Database
from storage.fold_state import read_freshness
from storage.outbox import status

EVERY = 0.25  # seconds between two looks
CALM = 1.0  # seconds of lag that a service under load has anyway on a busy machine
PATIENCE = 40.0  # seconds until a recovery counts as none
MEMORY = 150 * 2**20  # bytes that a worker may hold
PYARROW = 60 * 2**20  # more, once it has read an archive

_CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE usename = 'training_worker' AND datname = current_database() AND application_name <> ''
"""

_ERASING = "SELECT count(*) FROM erasures WHERE user_id IS NOT NULL"


@dataclass(frozen=True)
class Look:
    """One look. `at` in seconds since the watch began; the lags in seconds, None while PostgreSQL tells nothing."""

    at: float
    answered: int  # 2xx until then
    unanswered: int  # unknown outcomes until then
    relay_lag: float | None
    fold_lag: float | None

    @property
    def lag(self) -> float | None:
        """The larger of both."""
        if self.relay_lag is None or self.fold_lag is None:
            return None
        return max(self.relay_lag, self.fold_lag)


def memory_of(process: psutil.Process) -> tuple[int, int]:
    """The bytes that a worker holds, and how many it may."""
    held = process.memory_info().rss
    has_read = held > MEMORY and any("libarrow" in mapped.path for mapped in process.memory_maps())
    return held, MEMORY + (PYARROW if has_read else 0)


class Watch:
    """Looks at the stack every `EVERY` seconds until it is left. An async context manager."""

    def __init__(self, stack: Stack, history: History) -> None:
        self._stack = stack
        self._history = history
        self._counted = 0
        self._answered = 0
        self._unanswered = 0
        self._database: Database | None = None
        self._url = ""
        self.began = time.monotonic()
        self.looks: list[Look] = []
        self.marks: list[tuple[float, str]] = []  # seconds since the watch began, and what happened
        self.recoveries: list[Recovery] = []
        self.peak_memory = 0  # bytes
        self.memory = (0, MEMORY)  # `memory_of` the worker that came nearest to its limit, or farthest beyond
        self.peak_connections = 0
        self.outbox_rows = 0
        self.flowed_at: float | None = None  # the end of `flowed`, in monotonic seconds

    async def __aenter__(self) -> "Watch":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if self._database is not None:
            await self._database.close()
        if not self._task.cancelled():
            self._task.result()  # a look that failed for another reason than PostgreSQL's absence

    def mark(self, what: str) -> None:
        """Note that something happens now."""
        self.marks.append((round(time.monotonic() - self.began, 2), what))

    async def recovered(self, fault: str) -> Recovery:
        """Wait until all that was written before now is published and folded, and lag is small again; note how long."""
        healed = time.monotonic()
        self.mark(f"{fault} healed")
        seconds: float | None = None
        while seconds is None and time.monotonic() - healed < PATIENCE:
            await asyncio.sleep(EVERY / 2)
            since = time.monotonic() - healed
            lag = self.looks[-1].lag if self.looks and self.looks[-1].at + self.began > healed else None
            if lag is not None and lag < min(since, CALM):
                seconds = round(since, 2)
        found = Recovery(fault, seconds)
        self.recoveries.append(found)
        return found

    async def flowed(self) -> None:
        """Wait until a change that is answered from now on is published and folded; `PATIENCE` seconds at most."""
        answered, since, end = self._answered, None, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            await asyncio.sleep(EVERY / 2)
            before, look = self.looks[-2:]
            if since is None:
                since = look.at if look.answered > answered else None
            elif look.lag is not None and before.at - look.lag > since:  # the lag was read after `before`
                break
        self.flowed_at = time.monotonic()

    async def rested(self, timeout: float = PATIENCE) -> bool:
        """Whether all is published and folded within `timeout` seconds, when nobody writes any more."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with suppress(DatabaseUnavailable):
                database = await self._open()
                fresh = await read_freshness(database)  # first: what follows from the last trainings is published, too
                ((erasing,),) = await database.all(_ERASING)
                settled = not erasing and not fresh.behind and not fresh.stale_users
                if settled and not (await status(database)).depth:
                    return True
            await asyncio.sleep(EVERY)
        return False

    async def _run(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(EVERY)

    async def _look(self) -> None:
        relay = fold = None
        with suppress(DatabaseUnavailable, UndefinedTable):  # away, or not migrated yet
            database = await self._open()
            log, freshness = await status(database), await read_freshness(database)
            relay, fold = log.lag, freshness.lag_seconds
            self.outbox_rows = max(self.outbox_rows, log.depth)
            ((connections,),) = await database.all(_CONNECTIONS)
            self.peak_connections = max(self.peak_connections, int(connections))
        for worker in self._stack.workers:
            with suppress(psutil.NoSuchProcess):
                memory = memory_of(psutil.Process(worker.pid))
                self.peak_memory = max(self.peak_memory, memory[0])
                self.memory = max(self.memory, memory, key=lambda pair: pair[0] - pair[1])
        calls = self._history.calls[self._counted :]
        self._counted += len(calls)
        self._answered += sum(call.outcome == "ok" for call in calls)
        self._unanswered += sum(call.outcome == "unknown" for call in calls)
        at = round(time.monotonic() - self.began, 2)
        self.looks.append(Look(at, self._answered, self._unanswered, relay, fold))

    async def _open(self) -> Database:
        if self._database is None or self._url != self._stack.owner_url:
            if self._database is not None:
                await self._database.close()
            self._url = self._stack.owner_url
            self._database = Database(self._url, pool_size=2, pool_timeout=2, statement_timeout=4, name="chaos")
        return self._database
