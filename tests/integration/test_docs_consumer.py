"""The example consumer of docs/subscribers.md, run as its reader would, on real events and their copies."""

import asyncio
import runpy
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from outbox.producer import KafkaProducer
from outbox.relay import Relay
from outbox.replay import replay
from settings import Settings
from storage.database import Database
from storage.erasures import Erasures
from storage.exercises import read_catalogue
from storage.outbox import OutboxStore
from tests.support.athletes import Athlete
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.erasures import eraser
from tests.support.load import until
from tests.support.topic import Record, read_topic
from tests.support.worker import JWT_SECRET

CONSUMER = Path(__file__).parents[2] / "docs" / "examples" / "consumer.py"


@pytest.fixture
def settings(database_urls: DatabaseUrls, broker: KafkaAddress, topic: str) -> Settings:
    return Settings(
        database_url=database_urls.worker,
        jwt_secret=JWT_SECRET,
        kafka_bootstrap=broker.bootstrap,
        kafka_idempotent=broker.idempotent,
        topic_partitions=4,
    )


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


@contextmanager
def running(*arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, str(CONSUMER), *arguments])
    try:
        yield
    finally:
        process.kill()  # wherever it is: nothing may be lost or counted twice
        process.wait()


def query(path: Path, sql: str) -> dict[str, int]:
    if not path.exists():
        return {}
    database = sqlite3.connect(path)
    try:
        return dict(database.execute(sql).fetchall())
    except sqlite3.OperationalError:  # its tables are not there yet, or it is writing
        return {}
    finally:
        database.close()


def counts(path: Path) -> dict[str, int]:
    return query(path, "SELECT user_id, trainings FROM completed")


def versions(path: Path) -> dict[str, int]:
    return query(path, "SELECT training_id, version FROM trainings")


def read_late(path: Path, copies: list[Record]) -> None:
    """As the consumer takes them in."""
    with closing(sqlite3.connect(path)) as database:
        runpy.run_path(str(CONSUMER))["apply"](database, copies)


async def publish(settings: Settings, database: Database, topic: str) -> None:
    producer = KafkaProducer.of(settings, divert=lambda _: topic)
    relay = Relay(OutboxStore(database, uuid4().hex, lease=5, batch=100), producer)
    await relay.drain()
    await relay.stop()


async def test_copies_of_events_and_crashes_change_no_count(
    settings: Settings, db: Database, athlete: Athlete, topic: str, tmp_path: Path
) -> None:
    path = tmp_path / "completed.sqlite"
    arguments = settings.kafka_bootstrap, str(path), topic
    planned = await athlete.create(status="PLANNED")
    completed = [await athlete.create() for _ in range(5)]
    await publish(settings, db, topic)
    with running(*arguments, f"test-{uuid4().hex}"):
        await until(lambda: counts(path) == {str(athlete.user_id): 5}, 30, "the completed ones are counted")
    await athlete.update(planned)  # is completed now
    await athlete.update(completed[0])  # was completed before
    await athlete.delete(completed[1])
    await athlete.delete(completed[2])
    for again in completed[3:]:
        await athlete.delete(again)
        await athlete.restore(again)
    await athlete.delete(completed[4])
    await publish(settings, db, topic)
    done = await replay(settings, db, user_id=athlete.user_id, topic=topic)
    assert done.records == 15
    assert len(await read_topic(settings.kafka_bootstrap, topic)) == 30
    last = [await athlete.create() for _ in range(2)]
    await publish(settings, db, topic)
    stand = dict(zip([planned, *completed, *last], [2, 2, 2, 2, 3, 4, 1, 1], strict=True))
    with running(*arguments, f"test-{uuid4().hex}"):  # a new group begins with the oldest record: all comes again
        await until(lambda: set(map(str, last)) <= versions(path).keys(), 30, "the last event is kept")
        await asyncio.sleep(0.5)
    records = await read_topic(settings.kafka_bootstrap, topic)
    read_late(path, records[:6])  # the creations, behind all that came after them
    assert versions(path) == {str(id_): version for id_, version in stand.items()}
    assert counts(path) == {str(athlete.user_id): 5}  # the planned one, the first, the fourth, and the last two


async def test_of_an_erased_user_no_count_is_kept(
    settings: Settings, db: Database, athlete: Athlete, topic: str, tmp_path: Path
) -> None:
    path, other = tmp_path / "completed.sqlite", Athlete(db, await read_catalogue(db))
    await athlete.create()
    kept = await other.create()
    await publish(settings, db, topic)
    copies = await read_topic(settings.kafka_bootstrap, topic)
    await Erasures(db).begin(athlete.user_id)
    await eraser(db).work_off()
    await publish(settings, db, topic)
    erased = "SELECT user_id, 1 FROM erased"
    with running(settings.kafka_bootstrap, str(path), topic, f"test-{uuid4().hex}"):
        await until(lambda: query(path, erased) == {str(athlete.user_id): 1}, 30, "the erasure is read")
        await until(lambda: counts(path) == {str(other.user_id): 1}, 30, "the other's training is counted")
    assert {copy.key for copy in copies} == {str(user.user_id).encode() for user in (athlete, other)}
    read_late(path, copies)
    assert versions(path) == {str(kept): 1}
