"""The servers that a run of the bench stands on, and what each area makes there for itself."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg2

from embedded.postgres import Postgres
from embedded.worker import Worker
from settings import Settings
from storage.database import Database
from storage.fold_state import read_freshness
from storage.outbox import status
from tests.support.brokers import BrokerServer, dispose, new_broker, new_folder
from tests.support.databases import OWNER, Databases, DatabaseUrls
from tests.support.worker import JWT_SECRET, new_worker

_QUIET = 120.0  # seconds that relay and agents may take for what is left

# PostgreSQL as somebody would set it up for such a machine; fsync stays on. `wal_level` is what Debezium needs.
POSTGRES = {"max_wal_size": "8GB", "shared_buffers": "1GB", "wal_level": "logical", "max_connections": "200"}


@dataclass(frozen=True)
class Stage:
    """PostgreSQL, a broker, and a folder for files. `quick`: only show that everything runs."""

    folder: Path
    databases: Databases
    broker: BrokerServer
    quick: bool

    @property
    def rounds(self) -> int:
        """How often each side is measured, by turns."""
        return 2 if self.quick else 5

    def urls(self) -> DatabaseUrls:
        """A new database, migrated and empty."""
        return self.databases.urls(self.databases.create())

    def settings(self, urls: DatabaseUrls, **more: object) -> Settings:
        """Settings of a service on that database, with a topic and a consumer group of its own."""
        own = uuid4().hex[:8]
        topics = {
            "events_topic": f"bench_{own}",
            "workout_events_topic": f"bench_{own}_workouts",
            "exercise_events_topic": f"bench_{own}_exercises",
            "phase_events_topic": f"bench_{own}_phases",
            "readiness_events_topic": f"bench_{own}_readiness",
            "insights_topic": f"bench_{own}_insights",
        }
        values = {**topics, "consumer_group": f"bench_{own}", **more}
        return Settings.model_validate(
            {
                "database_url": urls.worker,
                "database_owner_url": urls.owner,
                "jwt_secret": JWT_SECRET,
                "kafka_bootstrap": self.broker.bootstrap,
                **values,
            }
        )

    def worker(self, urls: DatabaseUrls, settings: Settings, **more: object) -> Worker:
        """A worker with those settings, not started; `more` are settings that differ."""
        topics = {name for name in Settings.model_fields if name.endswith("_topic")}
        values = settings.model_dump(include=topics | {"consumer_group", "topic_partitions", "relay_enabled"})
        return new_worker(
            self.folder, urls=urls, bootstrap=self.broker.bootstrap, idempotent=True, **{**values, **more}
        )


@contextmanager
def stage(folder: Path, *, quick: bool) -> Iterator[Stage]:
    """Both servers, running until the block ends."""
    server = Postgres(new_folder(folder, "postgres") / "data", options=POSTGRES)
    server.start()
    try:
        _make_owner(server.url())
        with Databases(server.url(), owner="postgres") as databases:
            broker = new_broker(new_folder(folder, "broker"), steady=True)
            broker.start()
            try:
                yield Stage(folder, databases, broker, quick)
            finally:
                dispose(broker)
    finally:
        server.stop()


def _make_owner(url: str) -> None:
    """The owner of the databases is a superuser here: what is measured is made by SQL that no service may run."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {OWNER} LOGIN SUPERUSER")
    finally:
        connection.close()


async def settled(urls: DatabaseUrls) -> None:
    """Return when everything that was written is published and folded, and what follows from it is computed: nothing is
    left to do that would slow down what is measured next. Raises TimeoutError."""
    database = Database(urls.worker, pool_size=2)
    try:
        async with asyncio.timeout(_QUIET):
            while True:  # other processes do it: there is nothing here to be told by
                fresh = await read_freshness(database)
                if not ((await status(database)).depth or fresh.behind or fresh.stale_users):
                    break
                await asyncio.sleep(0.2)
    finally:
        await database.close()
