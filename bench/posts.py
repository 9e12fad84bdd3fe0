"""POST /trainings: the whole service and its REST part alone, beside a mainstream peer and the bare statement.

Sides take turns over the same bodies of the same users, each on a database of its own on one server; nobody but the
side that is measured has anything to do meanwhile.
"""

import asyncio
import json
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import asyncpg
import psutil
from uuid_utils.compat import uuid7

from bench.material import USERS, Run, bodies, percentile, post, run
from bench.results import Measurement, Target
from bench.stage import Stage, settled
from embedded.process import LOOPBACK, Server
from embedded.worker import Worker
from models.exercises import Catalogue
from models.trainings import TrainingCreate, exercises_json
from storage.database import Database
from storage.trainings import Author, Trainings
from tests.support.databases import DatabaseUrls
from tests.support.worker import JWT_SECRET, token

AREA = "posts"
CONNECTIONS = 10  # of the generator, and of the bare statements' pools
_BLOCK = 1_000  # bare statements made at a time

WHOLE = "POST, whole service"
ALONE = "POST, REST alone"
PEER = "POST, FastAPI + SQLAlchemy ORM + asyncpg"
AIOPG = "the bare statement, aiopg"
ASYNCPG = "the bare statement, asyncpg"

TARGETS = (
    Target("POST, REST alone, against the mainstream peer", of=ALONE, per=PEER, bound=3.0),
    Target("POST, whole service, against the mainstream peer, which relays and folds nothing", WHOLE, 3.0, PEER),
    Target("POST, REST alone, against its bare statement by aiopg", of=ALONE, per=AIOPG, bound=0.6),
    Target("POST, whole service, against its bare statement by aiopg", of=WHOLE, per=AIOPG, bound=0.6),
)
_NOTES = {
    WHOLE: "one worker that relays and folds meanwhile, as in production",
    ALONE: "one worker with relay_enabled=false: nothing is published, so nothing is folded",
    PEER: "one uvicorn worker with uvloop and httptools; bench/peers/fastapi_app.py",
    AIOPG: f"made beforehand, {CONNECTIONS} connections, prepared, no HTTP",
    ASYNCPG: f"made beforehand, {CONNECTIONS} connections, prepared, no HTTP",
}
_MADE_ANEW = {"id", "created_at", "updated_at", "event_id", "timestamp", "training_id"}  # in every answer and event

_LOGGED = "SELECT aggregate_id::text, event_type, aggregate_type, version, user_id::text, actor, payload FROM outbox"


class Peer(Server):
    """The mainstream peer, one process."""

    def __init__(self, stage: Stage, urls: DatabaseUrls) -> None:
        super().__init__("the FastAPI peer", stage.folder / "fastapi.log")
        self._environment = {**os.environ, "DATABASE_URL": urls.worker, "JWT_SECRET": JWT_SECRET}

    @property
    def url(self) -> str:
        """Base address of its API."""
        return f"http://{LOOPBACK}:{self.port}"

    def launch(self) -> None:
        app = ["-m", "uvicorn", "bench.peers.fastapi_app:app", "--host", LOOPBACK, "--port", str(self.port)]
        self.spawn([sys.executable, *app], env=self._environment)

    def ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0


class _Over:
    """One side that is asked over HTTP: what its rounds showed."""

    def __init__(self, name: str, server: Worker | Peer, after: Callable[[], Awaitable[None]] | None = None) -> None:
        self.name = name
        self.server = server
        self._after = after
        self._runs: list[Run] = []
        self._processor: list[float] = []

    async def round(self, seconds: float) -> None:
        """Post for so long; then let everything come to rest."""
        process = psutil.Process(self.server.pid)
        before = process.cpu_times()
        done = await post(self.server.url, connections=CONNECTIONS, seconds=seconds)
        after = process.cpu_times()
        self._runs.append(done)
        self._processor.append((after.user + after.system - before.user - before.system) / done.created)
        if self._after is not None:
            await self._after()

    def forget(self) -> None:
        """What was measured was a warm-up."""
        self._runs.clear()
        self._processor.clear()

    def measurements(self) -> list[Measurement]:
        """Rate, latency, and what it took of the processors."""
        name, note, runs = self.name, _NOTES[self.name], self._runs
        over = f"over {CONNECTIONS} connections"

        def latency(share: float) -> tuple[float, ...]:
            return tuple(percentile(done.latencies, share) * 1000 for done in runs)

        return [
            Measurement(AREA, name, "/s", tuple(done.per_second for done in runs), note),
            Measurement(AREA, f"{name}: p50", "ms", latency(0.5), over),
            Measurement(AREA, f"{name}: p99", "ms", latency(0.99), over),
            Measurement(
                AREA,
                f"{name}: processor time of the process, a POST",
                "ms",
                tuple(1000 * seconds for seconds in self._processor),
                "user and system; PostgreSQL, Kafka and the generator are not in it",
            ),
            Measurement(
                AREA,
                f"{name}: the generator's own share",
                "%",
                tuple(100 * done.own_share for done in runs),
                "of one processor",
            ),
        ]


class _Bare:
    """One side without HTTP: statements sent by a driver."""

    def __init__(self, name: str, send: Callable[[list[tuple[Any, Any]]], Awaitable[None]]) -> None:
        self.name = name
        self._send = send
        self._rates: list[float] = []

    async def round(self, seconds: float) -> None:
        """Send for so long, not counting what it takes to make the statements."""
        done, spent = 0, 0.0
        while spent < seconds:
            statements = await recorded(_BLOCK)
            began = time.perf_counter()
            await self._send(statements)
            spent += time.perf_counter() - began
            done += _BLOCK
        self._rates.append(done / spent)

    def forget(self) -> None:
        """What was measured was a warm-up."""
        self._rates.clear()

    def measurements(self) -> list[Measurement]:
        """The rate."""
        return [Measurement(AREA, self.name, "/s", tuple(self._rates), _NOTES[self.name])]


async def measure(stage: Stage) -> list[Measurement]:
    """All sides by turns, `stage.rounds` each after a warm-up."""
    seconds = 0.5 if stage.quick else 4.0
    whole, alone, peer, bare, other = (stage.urls() for _ in range(5))
    async with AsyncExitStack() as stack:
        workers = []
        for urls, relays in ((whole, True), (alone, False)):
            worker = stage.worker(urls, stage.settings(urls, relay_enabled=relays))
            await asyncio.to_thread(worker.start)
            stack.callback(worker.stop)
            workers.append(worker)
        app = Peer(stage, peer)
        await asyncio.to_thread(app.start)
        stack.callback(app.stop)
        await _agree(alone, workers[1].url, peer, app.url)
        aiopg_pool = await stack.enter_async_context(_aiopg(bare))
        asyncpg_pool = await stack.enter_async_context(_asyncpg(other))
        sides: list[_Over | _Bare] = [
            _Over(WHOLE, workers[0], partial(settled, whole)),
            _Over(ALONE, workers[1]),
            _Over(PEER, app),
            _Bare(AIOPG, aiopg_pool),
            _Bare(ASYNCPG, asyncpg_pool),
        ]
        for side in sides:
            await side.round(seconds / 2)
            side.forget()
        for _ in range(stage.rounds):
            for side in sides:
                await side.round(seconds)
        return [measurement for side in sides for measurement in side.measurements()]


async def _agree(ours: DatabaseUrls, our_url: str, theirs: DatabaseUrls, their_url: str) -> None:
    """Raises RuntimeError unless the service and its peer answer and log the same, but for what is made anew."""
    body, headers = bodies()[0], {"Authorization": f"Bearer {token(str(USERS[0]))}", "Content-Type": "application/json"}
    said = []
    async with aiohttp.ClientSession(headers=headers) as session:
        for url, urls in ((our_url, ours), (their_url, theirs)):
            async with session.post(f"{url}/api/v1/trainings", data=body) as answer:
                document = await answer.json()
                status, tag = answer.status, answer.headers["ETag"]
            ((id_, *columns, payload),) = run(urls, _LOGGED)
            if id_ != document["id"]:
                raise RuntimeError(f"{url} logged another training than it answered")
            said.append((status, tag, _lasting(document), columns, _lasting(json.loads(payload))))
    if said[0] != said[1]:
        raise RuntimeError(f"the service and its peer do not do the same:\n{said[0]}\n{said[1]}")


def _lasting(document: Any) -> Any:
    """The document without what is made anew every time, and with moments and numbers in one form."""
    if isinstance(document, dict):
        return {name: _lasting(value) for name, value in document.items() if name not in _MADE_ANEW}
    if isinstance(document, list):
        return [_lasting(value) for value in document]
    return float(document) if isinstance(document, int) else document


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


def numbered(statement: Any) -> tuple[str, list[str]]:
    """A `storage.database.Prepared` as the server takes it: `$1::type` …, and the parameters' names in that order."""
    types, sql = re.fullmatch(r"PREPARE \w+ \((.*?)\) AS (.*)", statement.prepare, re.DOTALL).groups()  # type: ignore[union-attr]
    kinds = types.split(", ")
    typed = re.sub(r"\$(\d+)", lambda match: f"{match[0]}::{kinds[int(match[1]) - 1]}", sql)
    return typed, re.findall(r"%\((\w+)\)s", statement.execute)


@asynccontextmanager
async def _aiopg(urls: DatabaseUrls) -> AsyncIterator[Callable[[list[tuple[Any, Any]]], Awaitable[None]]]:
    database = Database(urls.worker, pool_size=CONNECTIONS)

    async def drain(queue: Iterator[tuple[Any, Any]]) -> None:
        for sql, parameters in queue:
            await database.all(sql, parameters)

    async def send(statements: list[tuple[Any, Any]]) -> None:
        queue = iter(statements)
        await asyncio.gather(*(drain(queue) for _ in range(CONNECTIONS)))

    try:
        yield send
    finally:
        await database.close()


@asynccontextmanager
async def _asyncpg(urls: DatabaseUrls) -> AsyncIterator[Callable[[list[tuple[Any, Any]]], Awaitable[None]]]:
    ((statement, _),) = await recorded(1)
    sql, names = numbered(statement)
    connections = [await asyncpg.connect(urls.worker) for _ in range(CONNECTIONS)]
    prepared = [await connection.prepare(sql) for connection in connections]

    async def drain(ready: Any, queue: Iterator[list[Any]]) -> None:
        for arguments in queue:
            await ready.fetch(*arguments)

    async def send(statements: list[tuple[Any, Any]]) -> None:
        queue = iter([[parameters[name] for name in names] for _, parameters in statements])
        await asyncio.gather(*(drain(ready, queue) for ready in prepared))

    try:
        yield send
    finally:
        for connection in connections:
            await connection.close()
