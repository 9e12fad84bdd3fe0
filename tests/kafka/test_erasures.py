"""A user who leaves, on Apache Kafka, while clients write and workers die."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from agents.volume import VolumeFold
from embedded.worker import Worker
from storage.database import Database
from tests.kafka.test_whole_service import call, command, folded, rows, topic_of, verified
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.erasures import found, owned
from tests.support.load import Load, until
from tests.support.strong import log_file
from tests.support.topic import Record, read_topic
from tests.support.worker import token

pytestmark = pytest.mark.kafka

SESSIONS = 2000
KILLS = 4
NOTE = "the left knee aches"
OF_USER = "/api/v1/training/users/{}"
# What the end of its lease does to the erasure of a worker that was killed.
ADOPT = "UPDATE erasures SET leased_until = NULL RETURNING status"


class Writers:
    """Clients of one user, who post trainings until they are stopped, whatever they are answered."""

    def __init__(self, worker: Worker, user: str) -> None:
        self.answers: Counter[int] = Counter()
        self._worker = worker
        self._headers = {"Authorization": f"Bearer {token(user)}"}
        self._stopped = asyncio.Event()
        self.tasks = [asyncio.create_task(self._write()) for _ in range(3)]

    async def stop(self) -> None:
        self._stopped.set()
        await asyncio.gather(*self.tasks)

    async def _write(self) -> None:
        body = {"date": "2026-01-05T12:00:00Z", "notes": NOTE, "exercises": [{"name": NOTE, "sets": [{"reps": 5}]}]}
        url = f"{self._worker.url}/api/v1/trainings"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            while not self._stopped.is_set():
                try:
                    async with session.post(url, json=body, headers=self._headers) as answer:
                        await answer.read()
                        self.answers[answer.status] += 1
                except (aiohttp.ClientError, TimeoutError):
                    await asyncio.sleep(0.05)


async def test_a_user_is_erased_while_clients_write_and_workers_die(
    start_worker: Callable[..., Worker],
    database_urls: DatabaseUrls,
    broker: KafkaAddress,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then no row of any table holds the id or a note, but the one `user_erased`; nothing brings anything back."""
    monkeypatch.delenv("TRAINING_TEST_STRONG_LOG", raising=False)
    user = str(uuid4())
    worker = start_worker()
    path = log_file(tmp_path, sessions=SESSIONS)
    done = command(worker, "import", "strong", str(path), "--api", worker.url, "--token", token(user))
    assert done.returncode == 0, done.stderr
    await until(lambda: folded(database_urls), 60, "all folded")
    writers = Writers(worker, user)
    chance = random.Random(7)
    everything = Database(database_urls.admin)

    async def told() -> dict[str, Any]:
        return (await call(worker, "GET", f"{OF_USER.format(user)}/erasure", user))[1]

    async with Load(worker.url, rate=20) as others:
        await until(lambda: writers.answers[201] > 50, 30, "the user writes")
        assert (await call(worker, "DELETE", OF_USER.format(user), user))[0] == 202
        met = set()
        for number in range(KILLS):
            await asyncio.sleep(chance.uniform(0.0, 0.05 + 0.1 * number))
            worker.kill()
            met |= {status for (status,) in rows(database_urls.owner, ADOPT)}
            worker.start()

        async def erased() -> bool:
            return (await told())["status"] == "done"

        await until(erased, 60, "the erasure is done")
        await until(lambda: writers.answers[410] > 50, 30, "the user is refused")
    await writers.stop()
    assert met & {"erasing", "waiting"}, "a kill met it"
    assert others.accepted > 0
    assert set(writers.answers) <= {201, 410, 503}
    assert await found(everything, user, NOTE) == {}

    # The counts are those of what was written: of the trainings that were answered 201, and of some more where a worker
    # died before it could answer.
    records = await records_of(user, worker, broker)
    ids = {record.event["payload"].get("training_id") for record in records} - {None}
    counts, accepted = (await told())["counts"], SESSIONS + writers.answers[201]
    assert max(accepted, len(ids)) <= counts["trainings"] <= accepted + KILLS * len(writers.tasks)
    assert min(counts["outbox"], counts["training_exercises"]) >= counts["trainings"]

    async def announced() -> bool:
        return "topic_copies_until" in await told()

    await until(announced, 30, "the last event is published")
    types = [record.event["event_type"] for record in await records_of(user, worker, broker)]
    assert (types[-1], types.count("user_erased")) == ("user_erased", 1)
    assert rows(database_urls.owner, f"SELECT event_type FROM outbox WHERE user_id = '{user}'") == [("user_erased",)]

    # Nothing brings anything back: not a topic that is read again, nor a rebuild.
    assert (await call(worker, "POST", "/api/v1/trainings", user, json={"date": "2026-01-05T12:00:00Z"}))[0] == 410
    topic, database = topic_of(worker), Database(database_urls.worker)
    whole = [Redelivered(topic, record) for record in await read_topic(broker.bootstrap, topic)]
    await VolumeFold(database, topic).fold_records(whole)
    await database.close()
    assert command(worker, "analytics", "rebuild").returncode == 0
    verified(worker)
    assert await found(everything, user, NOTE) == {}
    assert sum((await owned(everything, user)).values()) == 1
    await everything.close()


async def records_of(user: str, worker: Worker, broker: KafkaAddress) -> list[Record]:
    """The user's records, in order."""
    found = await read_topic(broker.bootstrap, topic_of(worker))
    return [record for record in found if record.key == user.encode()]


class Redelivered:
    """A record, as the agent's transport has it."""

    def __init__(self, topic: str, record: Record) -> None:
        self.topic, self.partition, self.offset = topic, record.partition, record.offset
        self.key, self.value, self.headers = record.key, record.value, record.headers
