"""What handlers work with, made once and handed in by the application."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from models.errors import UnknownExercise
from models.exercises import Catalogue
from settings import Settings
from storage.database import Database
from storage.exercises import read_catalogue
from web.measures import Measures
from web.watch import Watch

T = TypeVar("T")

CATALOGUE_COOLDOWN = 5.0  # seconds between two readings, however many unknown slugs arrive


class CatalogueCache:
    """The catalogue of movements, read on first use and again when something names a movement that it lacks.

    Revisions are immutable, so a catalogue that was read never becomes wrong, only old.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._catalogue: Catalogue | None = None
        self._read_at = float("-inf")
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

    `wake` tells the relay that something was written; it is called after the commit and never blocks.
    """

    settings: Settings
    database: Database
    catalogue: CatalogueCache
    watch: Watch
    measures: Measures
    wake: Callable[[], None]
