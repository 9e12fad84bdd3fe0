"""The real stack under test: PostgreSQL, Apache Kafka, worker processes, and a TCP proxy on each leg between them.

Servers outlive a round; each round has a database, a topic and workers of its own.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
from aiokafka.admin import AIOKafkaAdminClient

from chaos.history import Stop, Type
from embedded.postgres import Postgres
from embedded.process import LOOPBACK, Server, ServerError, free_port
from embedded.worker import Worker
from storage.migrate import migrate
from tests.support.brokers import BrokerServer, dispose, new_broker, new_folder
from tests.support.databases import WORKER, DatabaseUrls
from tests.support.load import until
from tests.support.proxy import Proxy
from tests.support.worker import new_worker

POOL_SIZE = 10  # connections of a worker
PARTITIONS = 4
BATCH = 50  # records: little more than a second of load, so that a crash explains few copies (I4)
LEASE = 3.0  # seconds
ACK_TIMEOUT = 3.0  # seconds
_STOP_PATIENCE = 15.0  # seconds until a worker that was asked to stop is killed
_READY = 40.0  # seconds, on a busy machine

POSTGRES_OPTIONS = {"max_connections": "120", "max_wal_size": "1GB", "wal_level": "replica", "shared_buffers": "64MB"}


class Servers:
    """PostgreSQL and Kafka, each behind a proxy. A context manager; what it starts is ended with it.

    `postgres` and `kafka` may be broken and started again by faults: their data and ports stay.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres(new_folder(folder, "postgres") / "data", options=POSTGRES_OPTIONS)
        self._stack = ExitStack()
        self._template: str | None = None

    def __enter__(self) -> "Servers":
        with ExitStack() as stack:
            self.postgres_proxy = stack.enter_context(Proxy())
            self.kafka_proxy = stack.enter_context(Proxy())
            stack.callback(self._end_postgres)
            self.postgres.start()
            self.postgres_proxy.target = self.postgres.port
            self.kafka: BrokerServer = new_broker(new_folder(self.folder, "kafka"), advertised=self.kafka_proxy.port)
            stack.callback(dispose, self.kafka)
            self.kafka.start(timeout=60) if isinstance(self.kafka, Server) else self.kafka.start()
            self.kafka_proxy.target = self.kafka.port
            self._template = self.new_database()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _end_postgres(self) -> None:
        self.postgres.thaw()
        self.postgres.stop()

    def new_database(self, revision: str = "head") -> str:
        """A migrated database; returns its owner's URL. At `head` a copy of one that was migrated once."""
        name = f"chaos_{uuid4().hex[:12]}"
        copied = revision == "head" and self._template is not None
        source = f' TEMPLATE "{urlsplit(self._template).path[1:]}"' if copied and self._template else ""
        run(self.postgres.url(), f'CREATE DATABASE "{name}"{source}')
        url = self.postgres.url(database=name)
        if not copied:
            migrate(url, revision)
        return url

    def drop_database(self, owner_url: str) -> None:
        """Remove a database, ending whatever is connected to it."""
        run(self.postgres.url(), f'DROP DATABASE IF EXISTS "{urlsplit(owner_url).path[1:]}" WITH (FORCE)')

    def heal(self) -> None:
        """Both proxies and both servers do what they should; what had ended is started."""
        for proxy in (self.postgres_proxy, self.kafka_proxy):
            proxy.heal()
        self.postgres_proxy.target, self.kafka_proxy.target = self.postgres.port, self.kafka.port
        self.postgres.thaw()
        self.kafka.thaw()
        if not self.postgres.running:
            self.postgres.start()
        if isinstance(self.kafka, Server) and not self.kafka.running:
            self.kafka.start(timeout=60)


class Stack:
    """The workers of one round, with their database and topic.

    Faults act through it; what they do is counted: `crashes`, `stops`, `poison`. `environment` is added to the workers'
    that are started from then on, `settings` (src/settings.py) to their settings.
    """

    def __init__(self, servers: Servers, chance: random.Random, *, revision: str = "head") -> None:
        self.servers = servers
        self.random = chance
        self.owner_url = servers.new_database(revision)
        self.name = f"chaos_{uuid4().hex[:12]}"
        self.members: list[Worker] = []
        self.crashes = 0
        self.kills: Counter[str] = Counter()
        self.stops: list[Stop] = []
        self.poison = 0
        self.moves: list[int] = []  # the rows of the log at each move to another cluster
        self.rewinds: list[float] = []  # when, by the monotonic clock, the database was as it then became again
        self.most_workers = 0
        self.environment: dict[str, str] = {}
        self.settings: dict[str, object] = {}
        self.ending: list[Callable[[], None]] = []  # what a fault wants undone after the judgement
        self.folder = new_folder(servers.folder, "workers")
        self.archive_dir = new_folder(servers.folder, "archive")

    @property
    def topic(self) -> str:
        """The topic of the trainings' events."""
        return self.name

    @property
    def topics(self) -> dict[Type, str]:
        """All topics, by the type of the aggregates whose events they are for; others share them."""
        return {
            "training": self.topic,
            "workout": f"{self.topic}_workouts",
            "exercise": f"{self.topic}_exercises",
            "insight": f"{self.topic}_insights",
            "phase": f"{self.topic}_phases",
            "check_in": f"{self.topic}_readiness",
        }

    @property
    def bootstrap(self) -> str:
        """host:port of Kafka, through the proxy."""
        return self.servers.kafka.bootstrap

    @property
    def urls(self) -> DatabaseUrls:
        """The database as the owner sees it, directly, and as the workers do, through the proxy."""
        address = f"{WORKER}@{LOOPBACK}:{self.servers.postgres_proxy.port}"
        return DatabaseUrls(self.owner_url, urlsplit(self.owner_url)._replace(netloc=address).geturl())

    @property
    def workers(self) -> list[Worker]:
        """The workers that are alive, those that are frozen too."""
        return [worker for worker in self.members if worker.running]

    def targets(self) -> Sequence[str]:
        """The workers' addresses as a load balancer without health checks has them: of the dead ones too."""
        return [worker.url for worker in self.members]

    async def join(self, count: int = 1, *, wait: bool = True) -> list[Worker]:
        """Start more workers; returns when they are ready, or at once."""
        joined = []
        for _ in range(count):
            settings: dict[str, object] = {
                "consumer_group": self.name,
                "events_topic": self.topics["training"],
                "workout_events_topic": self.topics["workout"],
                "exercise_events_topic": self.topics["exercise"],
                "insights_topic": self.topics["insight"],
                "phase_events_topic": self.topics["phase"],
                "readiness_events_topic": self.topics["check_in"],
                "topic_partitions": PARTITIONS,
                "pool_size": POOL_SIZE,
                "relay_batch": BATCH,
                "relay_lease": LEASE,
                "relay_ack_timeout": ACK_TIMEOUT,
                "archive_dir": self.archive_dir,
                "log_format": "console",
                **self.settings,
            }
            worker = new_worker(self.folder, urls=self.urls, bootstrap=self.bootstrap, idempotent=True, **settings)
            worker.environment |= self.environment
            self.members.append(worker)
            joined.append(worker)
        # The port is known after the first start; a worker that waits for nothing gets it from `Server.start` too.
        await asyncio.gather(*(self._start(worker, wait=wait) for worker in joined))
        self.most_workers = max(self.most_workers, len(self.workers))
        return joined

    async def launch(self, worker: Worker, *, wait: bool = True) -> None:
        """Start a worker again, on its port."""
        await self._start(worker, wait=wait)
        self.most_workers = max(self.most_workers, len(self.workers))

    async def _start(self, worker: Worker, *, wait: bool) -> None:
        if wait and not worker.port:
            await asyncio.to_thread(worker.start, _READY)
            return
        worker.port = worker.port or free_port()
        worker.launch()
        if wait:
            await self.ready(worker)

    async def ready(self, worker: Worker, timeout: float = _READY) -> None:
        """Wait until a worker serves. Raises `ServerError` with the end of its log when it ends or takes too long."""
        deadline = time.monotonic() + timeout
        while not await asyncio.to_thread(worker.ready):
            if not worker.running or time.monotonic() > deadline:
                raise ServerError(f"A worker does not serve (exit {worker.exit_code}).\n{worker.tail(40)}")
            await asyncio.sleep(0.1)

    async def serves(self) -> None:
        """Wait until every worker that is alive serves: from then on a crash is healed."""
        for worker in self.workers:
            await self.ready(worker)

    async def flows(self, timeout: float = 30) -> None:
        """Wait until events flow through every worker."""
        for worker in self.workers:
            await until(lambda worker=worker: self._flows(worker), timeout, "events flow")

    @staticmethod
    async def _flows(worker: Worker) -> bool:
        return (await asyncio.to_thread(worker.get, "/health/pipeline"))[0] == 200

    async def leave(self, worker: Worker) -> Stop:
        """SIGTERM a worker and wait for its end; it is no target from then on."""
        began = time.monotonic()
        self.members = [member for member in self.members if member is not worker]
        code = await asyncio.to_thread(worker.stop, _STOP_PATIENCE)
        seconds = time.monotonic() - began
        stop = Stop(None if seconds >= _STOP_PATIENCE else code, seconds)
        if stop.code is None:
            self.crashes += 1
        self.stops.append(stop)
        return stop

    def kill(self, worker: Worker) -> None:
        """SIGKILL a worker; it stays a target."""
        worker.kill()
        self.crashes += 1
        self.kills["worker"] += 1

    def leader(self) -> Worker | None:
        """The worker that relays, by what the database says; None where it says nothing."""
        try:
            found = rows(self.owner_url, "SELECT owner FROM outbox_cursor WHERE lease_until > clock_timestamp()")
        except psycopg2.OperationalError:
            return None
        return next((w for w in self.workers if found and f"/{w.pid}/" in str(found[0][0])), None)

    def some(self) -> Worker:
        """Any worker that is alive, the one that relays twice as likely as another."""
        return self.random.choice([*self.workers, self.leader() or self.workers[0]])

    async def command(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `training …` as an operator does, with the owner's rights."""
        urls = {"TRAINING_DATABASE_URL": self.urls.worker, "TRAINING_DATABASE_OWNER_URL": self.urls.owner}
        environment = dict(self.members[0].environment) | urls
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    async def until(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        """Wait for a fact; an AssertionError says which one did not come true."""
        await until(condition, timeout, what)

    async def end(self) -> None:
        """End the workers by SIGTERM, as an operator does, and forget the database."""
        for worker in self.members:
            worker.thaw()
        await asyncio.gather(*(self.leave(worker) for worker in self.workers))

    def close(self) -> None:
        """Leave nothing behind: workers that still live are killed, faults' own servers ended, the database dropped."""
        for worker in self.members:
            worker.kill()
        for undo in reversed(self.ending):
            undo()
        if urlsplit(self.owner_url).port == self.servers.postgres.port:
            self.servers.drop_database(self.owner_url)


def rows(url: str, sql: str, parameters: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
    """The rows of one statement, in a connection of its own."""
    with closing(psycopg2.connect(url, connect_timeout=2)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def run(url: str, sql: str, parameters: Sequence[object] | None = None) -> None:
    """Run one statement outside of a transaction, in a connection of its own."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)


class Admin:
    """An admin client of Kafka, as an async context manager."""

    def __init__(self, bootstrap: str) -> None:
        self._client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._client.start()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
