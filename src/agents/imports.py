"""Works imports off, in every worker: takes the oldest job that nobody has, and goes on in it batch by batch.

Each batch is one statement (`storage.training_batch`), and one more that stores how far the job is and renews the
lease. A worker that dies between the two is followed by one that does the batch again, which creates nothing: sessions
are known by their source ids, and by the trainings' ids, which are derived from the import's, so the counts stay right.
A job that several workers in a row died of, or lost, is given up.
"""

import asyncio
import itertools
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar
from uuid import uuid4

from agents.background import Background
from models.errors import DatabaseUnavailable, IdentityConflict, UnknownExercise, UserErased
from models.exercises import Catalogue
from models.foreign_logs import Session
from models.imports import MOST_ERRORS, ImportStatus, read_log, session_problem, training_id, with_slugs
from models.trainings import TrainingCreate, exercises_json
from storage.database import Database
from storage.exercises import Exercises
from storage.imports import Imports, Work
from storage.training_batch import Item, NotAllowed, Result
from storage.training_writes import Written

log = logging.getLogger(__name__)

BATCH = 100  # sessions in one statement, at most
SETS = 1_000  # sets in it, so that neither PostgreSQL nor this process is long at it
LOOK = 5.0  # seconds between two looks for jobs that other workers left, or took in
RETRY = 1.0  # seconds after which PostgreSQL is asked again
STOP = 3.0  # seconds that the batch under way may take when the worker stops
CLAIMS = 5  # workers that may have a job one after another before one of them gets a step further
_FAULT = "The import failed by a fault of the service. What it created can be undone."
_GIVEN_UP = f"The import was given up: the service broke off at one place {CLAIMS} times. What it made can be undone."

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
        self._resolve = resolve
        self._wake_relay = wake
        self._background = Background("imports", self.work_off, look=LOOK, retry=RETRY)
        self.start = self._background.start
        self.wake = self._background.wake

    async def stop(self) -> None:
        """Finish the batch under way and let another worker go on, in `STOP` seconds at most."""
        await self._background.stop(STOP)

    async def work_off(self) -> None:
        """Work off what there is, until there is nothing or the worker stops. Raises `DatabaseUnavailable`."""
        while not self._background.stopping and (work := await self._imports.claim()) is not None:
            job = {"import": str(work.job.id)}
            try:
                if work.claims > CLAIMS:
                    log.error("an import is given up: %d workers ended with it", CLAIMS, extra=job)
                    await self._imports.finish(work, ImportStatus.FAILED, _GIVEN_UP)
                else:
                    await (self._undo(work) if work.job.status == ImportStatus.UNDOING else self._import(work))
            except DatabaseUnavailable:
                raise
            except NotAllowed:
                log.info("an import is another worker's now, or is to be undone", extra=job)
            except UserErased as error:
                await self._imports.finish(work, ImportStatus.FAILED, str(error))
            except Exception:
                log.exception("an import failed", extra=job)
                await self._imports.finish(work, ImportStatus.FAILED, _FAULT)

    async def _import(self, work: Work) -> None:
        job = work.job
        read = partial(read_log, work.file, format=job.format, unit=job.unit, timezone=job.timezone)
        sessions = (await asyncio.to_thread(read)).sessions
        slugs = await self._exercises.slugs()
        while job.worked_off < len(sessions):
            if self._background.stopping:
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
        results |= dict(zip(items, await self._imports.store(work, list(items.values())), strict=True))
        return [results[place] for place in range(len(bodies))]

    async def _undo(self, work: Work) -> None:
        made = await self._imports.made(work)
        ids = sorted(id_ for id_, version in made if version == 1)
        kept = [id_ for id_, version in made if version > 1]
        for start in range(0, len(ids), BATCH):
            if self._background.stopping:
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
        job.errors.append(session_problem(session, result))
