"""Servers, databases and topics for tests.

PostgreSQL and the broker are taken, in this order, from the environment (`TRAINING_TEST_DATABASE_URL`, a superuser's;
`TRAINING_TEST_KAFKA_BOOTSTRAP`), from Docker where an engine answers, for `TRAINING_TEST_BROKER=kafka` from Apache
Kafka on a local JVM, else from the wheels of the embedded stack. With `TRAINING_TEST_POOLER=pgbouncer` workers reach
their databases through pgbouncer in transaction mode, with `TRAINING_TEST_PARTITIONS=hash` the tables of users are hash
partitions (deploy/hash-partitions.sql), but for those of servers that a test may break.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from embedded.postgres import Postgres
from storage.database import Database
from storage.roles import WORKER
from tests.support.brokers import (
    BrokerServer,
    KafkaAddress,
    OwnBroker,
    dispose,
    is_apache_kafka,
    new_broker,
    new_folder,
)
from tests.support.containers import DockerPostgres, docker_answers
from tests.support.databases import OWNER, Databases, DatabaseUrls, OwnPostgres
from tests.support.pgbouncer import PgBouncer
from tests.support.proxy import Proxy
from tests.support.worker import Worker, new_worker

TEST_OPTIONS = {"fsync": "off", "wal_level": "logical", "max_connections": "200", "max_prepared_transactions": "2"}
PARTITIONS = 2  # of each table: every database is a copy, and files cost


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for servers. Not pytest's own, which only its user may enter: PostgreSQL may run as another."""
    with tempfile.TemporaryDirectory(prefix="training-tests-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[str]:
    """URL of a superuser on a PostgreSQL 18 that tests share."""
    address = os.environ.get("TRAINING_TEST_DATABASE_URL")
    if address:
        yield address
    elif docker_answers():
        container = DockerPostgres()
        container.start()
        yield container.url
        container.stop()
    else:
        server = Postgres(server_folder / "postgres", options=TEST_OPTIONS)
        server.start()
        yield server.url()
        server.stop()


@pytest.fixture(scope="session")
def pgbouncer(postgres: str, server_folder: Path) -> Iterator[PgBouncer]:
    """A pooler in transaction mode before `postgres`, for the roles of workers and owners."""
    server = PgBouncer(new_folder(server_folder, "pgbouncer"), postgres, [WORKER, OWNER])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def databases(postgres: str, request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Maker of migrated databases."""
    pooled = os.environ.get("TRAINING_TEST_POOLER") == "pgbouncer"
    partitions = PARTITIONS if os.environ.get("TRAINING_TEST_PARTITIONS") == "hash" else None
    with Databases(postgres, request.getfixturevalue("pgbouncer") if pooled else None, partitions=partitions) as maker:
        yield maker


@pytest.fixture
def database_urls(databases: Databases) -> Iterator[DatabaseUrls]:
    """A migrated database of this test's own, as `.owner` and as `.worker`."""
    name = databases.create()
    yield databases.urls(name)
    databases.drop(name)


@pytest.fixture
async def db(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The worker's pool on this test's database."""
    database = Database(database_urls.worker)
    yield database
    await database.close()


@pytest.fixture
async def everything(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The database, for who may read all of it."""
    database = Database(database_urls.admin)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def broker(server_folder: Path) -> Iterator[KafkaAddress]:
    """A broker that tests share."""
    address = os.environ.get("TRAINING_TEST_KAFKA_BOOTSTRAP")
    if address:
        yield KafkaAddress(address, idempotent=True)
        return
    server = _start(server_folder)
    yield KafkaAddress(server.bootstrap, idempotent=is_apache_kafka())
    dispose(server)


@pytest.fixture
def make_topic(broker: KafkaAddress) -> Callable[..., Awaitable[str]]:
    """`await make_topic(partitions)` makes a topic that nobody else uses, and returns its name.

    A second argument names another broker.
    """

    async def make(partitions: int, kafka: KafkaAddress | OwnBroker = broker) -> str:
        name = f"test_{uuid4().hex}"
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])
        finally:
            await admin.close()
        return name

    return make


@pytest.fixture
async def topic(make_topic: Callable[..., Awaitable[str]]) -> str:
    """A topic of this test's own, with 4 partitions."""
    return await make_topic(4)


@pytest.fixture
def start_worker(tmp_path: Path, database_urls: DatabaseUrls, broker: KafkaAddress) -> Iterator[Callable[..., Worker]]:
    """`start_worker(**settings)` starts a real worker on this test's database and topics and waits until it is ready.

    All workers of a test share topic and consumer group. `urls` and `kafka` name other servers; `settings` are those of
    src/settings.py.
    """
    started: list[Worker] = []
    own = uuid4().hex
    shared = {
        "consumer_group": f"test-{own}",
        "events_topic": f"test_{own}",
        "workout_events_topic": f"test_{own}_workouts",
        "exercise_events_topic": f"test_{own}_exercises",
        "phase_events_topic": f"test_{own}_phases",
        "readiness_events_topic": f"test_{own}_readiness",
        "insights_topic": f"test_{own}_insights",
    }

    def start(
        *, urls: DatabaseUrls = database_urls, kafka: KafkaAddress | OwnBroker = broker, **settings: object
    ) -> Worker:
        worker = new_worker(
            tmp_path, urls=urls, bootstrap=kafka.bootstrap, idempotent=kafka.idempotent, **shared | settings
        )
        started.append(worker)
        worker.start()
        return worker

    yield start
    for worker in started:
        worker.kill()
        print(worker.log, worker.tail(50), sep="\n")  # pytest shows it with a test that failed


@pytest.fixture
def own_broker(server_folder: Path) -> Iterator[OwnBroker]:
    """A broker that this test may break, behind a proxy that clients connect to."""
    with Proxy() as proxy:
        server = _start(server_folder, advertised=proxy.port)
        proxy.target = server.port
        yield OwnBroker(proxy, server, idempotent=is_apache_kafka())
        dispose(server)


@pytest.fixture
def own_postgres(server_folder: Path) -> Iterator[OwnPostgres]:
    """A PostgreSQL that this test may break, with a migrated database."""
    server = Postgres(new_folder(server_folder, "postgres") / "data", options=TEST_OPTIONS)
    server.start()
    with Databases(server.url()) as maker:
        urls = maker.urls(maker.create())
    yield OwnPostgres(server, urls)
    server.thaw()
    server.stop()


def _start(server_folder: Path, *, advertised: int | None = None) -> BrokerServer:
    server = new_broker(new_folder(server_folder, "broker"), advertised=advertised)
    server.start()
    return server
