"""Works imports off, in every worker: takes the oldest job that nobody has, and goes on in it batch by batch.

Each batch is one statement (`storage.training_batch`), and one more that stores how far the job is and renews the
lease. A worker that dies between the two is followed by one that does the batch again, which creates nothing: sessions
are known by their source ids, and by the trainings' ids, which are derived from the import's, so the counts stay right.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar
from uuid import uuid4

from models.errors import DatabaseUnavailable, IdentityConflict, UnknownExercise
from models.exercises import Catalogue
from models.foreign_logs import Session
from models.imports import MOST_ERRORS, ImportStatus, read_log, session_error, training_id, with_slugs
from models.trainings import TrainingCreate, exercises_json
from storage.database import Database
from storage.exercises import Exercises
from storage.imports import Imports, Work
from storage.training_batch import Item, Result, TrainingBatches
from storage.training_writes import Written

log = logging.getLogger(__name__)

BATCH = 100  # sessions in one statement, at most
SETS = 1_000  # sets in it, so that neither PostgreSQL nor this process is long at it
LOOK = 5.0  # seconds between two looks for jobs that other workers left, or took in
RETRY = 1.0  # seconds after which PostgreSQL is asked again
STOP = 3.0  # seconds that the batch under way may take when the worker stops
_FAULT = "The import failed by a fault of the service. What it created can be undone."

T = TypeVar("T")


class Resolve(Protocol):
    """`CatalogueCache.resolve`: what a function makes of the catalogue."""

    def __call__(self, use: Callable[[Catalogue], T]) -> Awaitable[T]:
        """Raises `UnknownExercise`."""
        ...


class ImportWorker:
    """What a worker runs of imports. `topic` is where the events of trainings go, `wake` tells the relay of them."""

    def __init__(self, database: Database, topic: str, *, resolve: Resolve, wake: Callable[[], None]) -> None:
        self._imports = Imports(database, topic, f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:12]}")
        self._exercises = Exercises(database)
        self._batches = TrainingBatches(database, topic)
        self._resolve = resolve
        self._wake_relay = wake
        self._woken = asyncio.Event()
        self._halted = False
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work off, beside the requests."""
        self._running = asyncio.create_task(self._run())

    def wake(self) -> None:
        """There is a job."""
        self._woken.set()

    async def stop(self) -> None:
        """Finish the batch under way and let another worker go on, in `STOP` seconds at most."""
        self._halted = True
        self._woken.set()
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=STOP)
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def work_off(self) -> None:
        """Work off what there is, until there is nothing or the worker stops. Raises `DatabaseUnavailable`."""
        while not self._halted and (work := await self._imports.claim()) is not None:
            try:
                await (self._undo(work) if work.job.status == ImportStatus.UNDOING else self._import(work))
            except DatabaseUnavailable:
                raise
            except Exception:
                log.exception("an import failed", extra={"import": str(work.job.id)})
                await self._imports.finish(work, ImportStatus.FAILED, _FAULT)

    async def _run(self) -> None:
        while not self._halted:
            pause = LOOK
            self._woken.clear()
            try:
                await self.work_off()
            except DatabaseUnavailable as error:
                log.info("imports wait: %s", error)
                pause = RETRY
            except Exception:
                log.exception("imports are tried again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)

    async def _import(self, work: Work) -> None:
        job = work.job
        read = partial(read_log, work.file, format=job.format, unit=job.unit, timezone=job.timezone)
        sessions = (await asyncio.to_thread(read)).sessions
        slugs = await self._exercises.slugs()
        while job.worked_off < len(sessions):
            if self._halted:
                await self._imports.release(work)
                return
            part = _batch(sessions[job.worked_off : job.worked_off + BATCH])
            work.dates = []
            for session, result in zip(part, await self._create(work, part, slugs), strict=True):
                _count(work, session, result)
            job.worked_off += len(part)
            self._wake_relay()
            if not await self._imports.step(work):
                return
        await self._imports.finish(work, ImportStatus.DONE)

    async def _create(self, work: Work, sessions: Sequence[Session], slugs: Mapping[str, str]) -> list[Result]:
        """What becomes of each: with its movements' slugs, or as it was imported before names were known."""
        plain = [session.body for session in sessions]
        bodies = [with_slugs(body, slugs) for body in plain]
        results = await self._store(work, bodies)
        again = [
            place
            for place, result in enumerate(results)
            if isinstance(result, (IdentityConflict, UnknownExercise)) and bodies[place] != plain[place]
        ]
        if again:
            for place, result in zip(again, await self._store(work, [plain[place] for place in again]), strict=True):
                results[place] = result
        return results

    async def _store(self, work: Work, bodies: Sequence[TrainingCreate]) -> list[Result]:
        results: dict[int, Result] = {}
        items: dict[int, Item] = {}
        for place, body in enumerate(bodies):
            id_ = training_id(work.job.id, body.source_id or "")
            try:
                items[place] = id_, body, await self._resolve(partial(exercises_json, id_, body.exercises))
            except UnknownExercise as error:
                results[place] = error
        results |= dict(zip(items, await self._batches.create(work.author, list(items.values())), strict=True))
        return [results[place] for place in range(len(bodies))]

    async def _undo(self, work: Work) -> None:
        made = await self._imports.made(work)
        ids = sorted(id_ for id_, version in made if version == 1)
        kept = [id_ for id_, version in made if version > 1]
        for start in range(0, len(ids), BATCH):
            if self._halted:
                await self._imports.release(work)
                return
            part = ids[start : start + BATCH]
            deleted = await self._imports.delete(work, part)
            if deleted is None:
                return
            kept += [id_ for id_ in part if id_ not in deleted]
            self._wake_relay()
        work.job.kept, work.job.kept_trainings = len(kept), sorted(kept)[:MOST_ERRORS]
        await self._imports.finish(work, ImportStatus.UNDONE)


def _batch(sessions: Sequence[Session]) -> Sequence[Session]:
    """As many of these as have no more than `SETS` sets, and one at least."""
    sets = itertools.accumulate(sum(len(exercise.sets) for exercise in session.body.exercises) for session in sessions)
    return sessions[: max(1, sum(number <= SETS for number in sets))]


def _count(work: Work, session: Session, result: Result) -> None:
    job, body = work.job, session.body
    if isinstance(result, Written):
        # One that was created before this worker took over is the import's too.
        if result.id == training_id(job.id, body.source_id or ""):
            job.created += 1
            work.dates.append(body.date)
        else:
            job.unchanged += 1
        return
    if isinstance(result, IdentityConflict):
        job.conflicting += 1
    else:
        job.refused += 1
    if job.errors is not None and len(job.errors) < MOST_ERRORS:
        job.errors.append(session_error(session, result))
