"""POST /trainings through the whole service, against its one SQL statement sent by aiopg alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from uuid_utils.compat import uuid7

from bench.material import USERS, Run, bodies, median, post
from embedded.worker import Worker
from models.exercises import Catalogue
from models.trainings import TrainingCreate, exercises_json
from storage.database import Database
from storage.trainings import Author, Trainings
from tests.support.databases import DatabaseUrls

ROUNDS = 3
CONNECTIONS = 10  # of the generator, and of the bare statement's pool
ROUND_SECONDS = 4.0
_WARM_UP_SECONDS = 2.0
_BLOCK = 2_000  # bare statements made at a time


@dataclass(frozen=True)
class Posts:
    """Medians of the rounds, per second; each round of one was followed by a round of the other."""

    service: float
    statement: float
    own_share: float
    latencies: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """What part of the bare statement's rate the whole service reaches."""
        return self.service / self.statement


async def measure(worker: Worker, settled: Callable[[], Awaitable[None]], bare: DatabaseUrls) -> Posts:
    """Measure against a worker, and on the database `bare`, where nobody relays or folds what is written.

    `settled` returns when the worker has nothing left of what was posted.
    """
    await post(worker.url, connections=CONNECTIONS, seconds=_WARM_UP_SECONDS)
    await _bare(bare, _WARM_UP_SECONDS)
    runs: list[Run] = []
    rates: list[float] = []
    for _ in range(ROUNDS):
        runs.append(await post(worker.url, connections=CONNECTIONS, seconds=ROUND_SECONDS))
        await settled()
        rates.append(await _bare(bare, ROUND_SECONDS))
    return Posts(
        median([run.per_second for run in runs]),
        median(rates),
        median([run.own_share for run in runs]),
        tuple(sorted(latency for run in runs for latency in run.latencies)),
    )


class _Recorded(Exception):
    """Ends a write when its statement is known."""


class _Recorder:
    """Takes the place of the database: what would be sent is kept."""

    def __init__(self) -> None:
        self.statements: list[tuple[Any, Any]] = []

    async def all(self, sql: Any, parameters: Any) -> Any:
        self.statements.append((sql, parameters))
        raise _Recorded


async def recorded(count: int) -> list[tuple[Any, Any]]:
    """The statements, with their parameters, that `count` POSTs send."""
    recorder: Any = _Recorder()
    trainings = Trainings(recorder, "training_events")
    catalogue = Catalogue({}, {})
    parsed = [TrainingCreate.model_validate_json(body) for body in bodies()]
    for n in range(count):
        user, body, id_ = USERS[n % len(USERS)], parsed[n % len(parsed)], uuid7()
        try:
            await trainings.create(Author(user, str(user)), id_, body, exercises_json(id_, body.exercises, catalogue))
        except _Recorded:
            continue
    statements: list[tuple[Any, Any]] = recorder.statements
    return statements


async def _bare(urls: DatabaseUrls, seconds: float) -> float:
    """Statements a second, over as many connections as the generator has."""
    database = Database(urls.worker, pool_size=CONNECTIONS)
    try:
        done, spent = 0, 0.0
        while spent < seconds:
            statements = await recorded(_BLOCK)  # made before the clock starts: that is none of the statement's cost
            queue = iter(statements)
            began = time.perf_counter()
            await asyncio.gather(*(_send(database, queue) for _ in range(CONNECTIONS)))
            spent += time.perf_counter() - began
            done += _BLOCK
        return done / spent
    finally:
        await database.close()


async def _send(database: Database, queue: Iterator[tuple[Any, Any]]) -> None:
    for sql, parameters in queue:
        await database.all(sql, parameters)
