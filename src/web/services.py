"""What handlers work with, made once and handed in by the application."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from models.errors import DatabaseUnavailable, UnknownExercise
from models.exercises import Catalogue
from models.traces import read as read_traceparent
from settings import Settings
from storage.access import Guarded
from storage.database import Database
from storage.exercises import Mark, read_catalogue, read_mark
from web.limits import RateLimits
from web.measures import Measures
from web.request_log import RequestLog
from web.watch import Watch

T = TypeVar("T")

CATALOGUE_INTERVAL = 2.0  # seconds between two looks whether the catalogue was edited
CATALOGUE_COOLDOWN = 5.0  # seconds between two readings, however many unknown slugs arrive


class CatalogueCache:
    """The catalogue of movements: read on first use, when something names a movement that it lacks, and by `refresh`.

    Revisions are immutable, so a catalogue that was read never becomes wrong, only old: by `CATALOGUE_INTERVAL` where a
    timer calls `refresh`. A movement that was deleted meanwhile is refused by its foreign key. One reading at a time;
    while it is under way, and while PostgreSQL is away, what is known serves.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._catalogue: Catalogue | None = None
        self._read_at = float("-inf")
        self._mark: Mark | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Catalogue:
        """The catalogue as it was read last. Raises `DatabaseUnavailable` when it was never read."""
        return self._catalogue or await self._read(None)

    async def resolve(self, use: Callable[[Catalogue], T]) -> T:
        """What `use` makes of the catalogue; tried once more with a newer one when it raises `UnknownExercise`."""
        catalogue = await self.get()
        try:
            return use(catalogue)
        except UnknownExercise:
            newer = await self._read(catalogue)
            if newer is catalogue:
                raise
            return use(newer)

    async def refresh(self) -> None:
        """Take in what was edited since the last time; where nothing was, one small statement tells."""
        async with self._lock:
            with suppress(DatabaseUnavailable):
                mark = await read_mark(self._database)
                if mark != self._mark:
                    self._catalogue = await read_catalogue(self._database)
                    self._read_at = self._clock()
                    self._mark = mark  # of before the reading, which may hold more: then it is read once more

    async def _read(self, seen: Catalogue | None) -> Catalogue:
        async with self._lock:
            fresh = self._catalogue is not seen or self._clock() - self._read_at < CATALOGUE_COOLDOWN
            if self._catalogue is None or not fresh:
                self._catalogue = await read_catalogue(self._database)
                self._read_at = self._clock()
            return self._catalogue


@dataclass(frozen=True)
class Services:
    """What handlers work with.

    `wake` tells the relay that something was written, `wake_imports` and `wake_erasures` the worker that there is a job
    of that kind; they are called after the commit and never block. `traceparent` says to which trace a request belongs
    that has these headers of that name. `limits` and `requests` are the dispatcher's: where they are None no request is
    limited, and none goes into the log of requests.
    """

    settings: Settings
    database: Database
    catalogue: CatalogueCache
    watch: Watch
    measures: Measures
    wake: Callable[[], None]
    replica: Database | None = None
    wake_imports: Callable[[], None] = lambda: None
    wake_erasures: Callable[[], None] = lambda: None
    traceparent: Callable[[Sequence[str]], str | None] = read_traceparent
    limits: RateLimits | None = None
    requests: RequestLog | None = None

    @property
    def reading(self) -> Database:
        """Where metrics and exports are read: the replica, where there is one, and the primary in its place while it
        cannot be had. What is read may be moments old.

        The primary (`database`) is for who waits for a change of theirs (`at_least`), and it is what a coach is given
        here, whose reads write the log of accesses.
        """
        return self.database if self.replica is None or isinstance(self.database, Guarded) else self.replica
