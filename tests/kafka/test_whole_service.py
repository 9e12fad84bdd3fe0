"""The whole service on Apache Kafka, broken in every ordinary way: real workers, seen from outside."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import aiohttp
import psycopg2
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from embedded.worker import Worker
from tests.support.brokers import KafkaAddress, OwnBroker
from tests.support.databases import DatabaseUrls, OwnPostgres
from tests.support.invariants import judge, read_log
from tests.support.load import Load, until
from tests.support.strong import log_file, totals
from tests.support.topic import read_topic
from tests.support.worker import token

pytestmark = pytest.mark.kafka

# What the end of its lease does to the import of a worker that was killed.
ADOPT = "UPDATE imports SET leased_until = NULL RETURNING worked_off"


def topic_of(worker: Worker) -> str:
    return worker.environment["TRAINING_EVENTS_TOPIC"]


def rows(url: str, sql: str) -> list[tuple]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def folded(urls: DatabaseUrls) -> bool:
    """Whether every event of the log stands in the derived tables."""
    return rows(
        urls.owner,
        """SELECT count(*) FROM (SELECT user_id, aggregate_id, max(version) AS version FROM outbox GROUP BY 1, 2) o
        LEFT JOIN analytics.folded_trainings f ON f.user_id = o.user_id AND f.training_id = o.aggregate_id
        WHERE f.version IS DISTINCT FROM o.version""",
    ) == [(0,)]


def flows(worker: Worker) -> bool:
    return worker.get("/health/pipeline")[0] == 200


def command(worker: Worker, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command of the CLI with the worker's settings."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=dict(worker.environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def verified(worker: Worker) -> None:
    done = command(worker, "analytics", "verify", "--wait", "20")
    assert done.returncode == 0, done.stdout + done.stderr


async def call(worker: Worker, method: str, path: str, user: str, **options: object) -> tuple[int, dict]:
    headers = {"Authorization": f"Bearer {token(user)}"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, worker.url + path, headers=headers, **options) as answer,
    ):
        return answer.status, await answer.json(content_type=None) if answer.status != 204 else {}


async def test_an_import_survives_ten_kills(
    start_worker: Callable[..., Worker],
    database_urls: DatabaseUrls,
    broker: KafkaAddress,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The figures are the file's, by SQL and by REST; I1–I4 and I6 hold; a second import changes nothing."""
    monkeypatch.delenv("TRAINING_TEST_STRONG_LOG", raising=False)  # a real log has too few batches for ten kills
    user, path = str(uuid4()), log_file(tmp_path, sessions=2000)
    expected = totals(path)
    sessions = len(expected["sessions"])
    worker = start_worker()
    arguments = ["import", "strong", str(path), "--api", worker.url, "--token", token(user)]
    importer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *arguments),
        env=dict(worker.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    chance = random.Random(7)
    reached = [-1]

    def further() -> bool:
        ((done,),) = rows(database_urls.owner, "SELECT coalesce(max(worked_off), -1) FROM imports")
        return sessions in reached or done not in reached

    for _ in range(10):
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        worker.kill()
        reached.extend(done for (done,) in rows(database_urls.owner, ADOPT))
        worker.start()
        await until(further, 30, "the import goes on")
    output, _ = await asyncio.wait_for(importer.communicate(), 120)
    assert importer.returncode == 0, output.decode()
    assert f"created {sessions:,}, unchanged 0, conflicting 0, refused 0, held back 0" in output.decode()
    assert len(set(reached) - {-1, 0, sessions}) > 1, reached  # kills that met it
    await until(lambda: folded(database_urls), 30, "all folded")
    verified(worker)
    verdict = await judge(database_urls.owner, broker.bootstrap, topic_of(worker))
    assert verdict.violations == ()
    records = await read_topic(broker.bootstrap, topic_of(worker))
    assert {record.event["event_type"] for record in records} == {"training_created"}
    assert verdict.events == sessions
    sql = "SELECT {0}, external_load_kg FROM analytics.{0}ly_volume"
    for period in ("week", "month"):
        assert dict(rows(database_urls.owner, sql.format(period))) == expected[f"{period}s"]
        url = f"/api/v1/training/users/{user}/metrics/volume?period={period}"
        status, report = await call(worker, "GET", url, user)
        assert status == 200
        items = {item[period]: Decimal(str(item["external_load_kg"])) for item in report["items"]}
        assert items == expected[f"{period}s"]
    volume = rows(database_urls.owner, "SELECT count(*), sum(sets), sum(reps) FROM analytics.session_volume")
    assert volume == [(sessions, expected["sets"], expected["reps"])]
    again = command(worker, *arguments)
    assert again.returncode == 0, again.stderr
    assert f"created 0, unchanged {sessions:,}, " in again.stdout
    assert len(read_log(database_urls.owner, topic_of(worker))) == sessions


async def test_rest_lives_while_kafka_is_away(
    start_worker: Callable[..., Worker], database_urls: DatabaseUrls, own_broker: OwnBroker
) -> None:
    """From the start, and again for 30 s under load: every POST answers 201, and all heals without a restart."""
    own_broker.proxy.refuse()
    worker = start_worker(kafka=own_broker)
    async with Load(worker.url, rate=20) as load:
        await asyncio.sleep(4)
        status, body = worker.get("/health/ready")
        assert status == 200
        assert b"degraded" in body
        assert worker.get("/health/pipeline")[0] == 503
        own_broker.proxy.accept()
        await until(lambda: flows(worker), 20, "events flow once the broker is there")
        own_broker.proxy.refuse()
        await until(lambda: not flows(worker), 20, "the outage is said")
        await asyncio.sleep(25)
        assert worker.get("/health/ready")[0] == 200
        own_broker.proxy.accept()
        await until(lambda: flows(worker), 20, "events flow once the broker is back")
        own_broker.server.kill()
        await asyncio.sleep(1)
        own_broker.server.start()
        await until(lambda: flows(worker), 30, "events flow after a crash of the broker")
    assert set(load.answers) == {201}
    await until(lambda: folded(database_urls), 20, "all folded")
    verdict = await judge(database_urls.owner, own_broker.bootstrap, topic_of(worker))
    assert verdict.violations == ()
    assert verdict.events == load.accepted
    assert worker.exit_code is None
    assert worker.stop(10) == 0


async def test_a_restart_of_postgresql_under_load_heals(
    start_worker: Callable[..., Worker], own_postgres: OwnPostgres, broker: KafkaAddress
) -> None:
    """Only 503s while it is away, and no 201 that is not stored (I11)."""
    urls = own_postgres.urls
    worker = start_worker(urls=urls)
    await until(lambda: flows(worker), 20, "events flow")
    async with Load(worker.url, rate=50) as load:
        await asyncio.sleep(1)
        own_postgres.server.stop()
        await asyncio.sleep(3)
        assert worker.get("/health/ready")[0] == 503
        own_postgres.server.start()
        await until(lambda: worker.get("/health/ready")[0] == 200, 10, "ready again")
        own_postgres.server.kill()
        await asyncio.sleep(1)
        own_postgres.server.start()
        await until(lambda: flows(worker), 15, "events flow again")
        await asyncio.sleep(1)
    assert set(load.answers) == {201, 503}
    await until(lambda: folded(urls), 20, "all folded")
    verdict = await judge(urls.owner, broker.bootstrap, topic_of(worker))
    assert verdict.violations == ()
    # A write whose answer was lost with the connection may stand: its client was told 503 and asks again.
    assert load.accepted <= verdict.events <= load.accepted + load.answers[503]
    verified(worker)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_worker_takes_over(
    start_worker: Callable[..., Worker], database_urls: DatabaseUrls, broker: KafkaAddress, end: signal.Signals
) -> None:
    """Two workers serve and fold, one relays; it is killed, or stopped beyond its lease and resumed."""
    workers = [start_worker(), start_worker()]
    await until(lambda: all(flows(worker) for worker in workers), 30, "events flow")

    def leader() -> Worker | None:
        status = command(workers[0], "outbox", "status", "--json")
        owner = rows(database_urls.owner, "SELECT owner FROM outbox_cursor WHERE lease_until > clock_timestamp()")
        assert status.returncode == 0, status.stderr
        return next((w for w in workers if owner and f"/{w.pid}/" in str(owner[0][0])), None)

    async with Load(*(worker.url for worker in workers), rate=40) as load:
        await until(lambda: load.accepted > 40, 10, "load")
        first = leader()
        assert first is not None
        other = next(worker for worker in workers if worker is not first)
        if end is signal.SIGKILL:
            first.kill()
        else:
            first.freeze()
        await until(lambda: leader() is other, 10, "the other takes over within 10 s")
        if end is signal.SIGSTOP:
            first.thaw()
            await asyncio.sleep(2)
            assert leader() is other
    await until(lambda: folded(database_urls), 20, "all folded within 20 s")
    verdict = await judge(database_urls.owner, broker.bootstrap, topic_of(other))
    assert verdict.violations == ()
    assert verdict.events >= load.accepted
    verified(other)
    if end is signal.SIGSTOP:
        await until(lambda: flows(first), 20, "the first has joined again")
        assert all(worker.stop(10) == 0 for worker in workers)


async def test_nothing_comes_back_when_the_log_is_replayed_after_deletes(
    start_worker: Callable[..., Worker], database_urls: DatabaseUrls, broker: KafkaAddress
) -> None:
    worker, user = start_worker(), str(uuid4())
    await until(lambda: flows(worker), 20, "events flow")
    body = {
        "date": "2026-01-05T12:00:00Z",
        "status": "COMPLETED",
        "exercises": [{"name": "Squat", "sets": [{"reps": 5}]}],
    }
    ids = [(await call(worker, "POST", "/api/v1/trainings", user, json=body))[1]["id"] for _ in range(10)]
    await until(lambda: folded(database_urls), 20, "folded")
    for id_ in ids:
        assert (await call(worker, "DELETE", f"/api/v1/trainings/{id_}", user))[0] == 204
    await until(lambda: folded(database_urls), 20, "folded")
    done = command(worker, "outbox", "replay", "--user", user, "--broadcast")
    assert done.returncode == 0, done.stdout + done.stderr
    replayed = [r for r in await read_topic(broker.bootstrap, topic_of(worker)) if "replay" in dict(r.headers)]
    assert len(replayed) == 20
    await asyncio.sleep(2)
    for table in ("session_volume", "exercise_volume", "daily_volume", "weekly_volume", "monthly_volume", "sets"):
        assert rows(database_urls.owner, f"SELECT * FROM analytics.{table}") == [], table
    verified(worker)


async def test_a_topic_lost_and_made_anew_loses_nothing_of_the_tables(
    start_worker: Callable[..., Worker], database_urls: DatabaseUrls, broker: KafkaAddress
) -> None:
    worker = start_worker()
    await until(lambda: flows(worker), 20, "events flow")
    async with Load(worker.url, rate=50) as load:
        await until(lambda: load.accepted > 50, 10, "load")
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        await admin.delete_topics([topic_of(worker)])
        await admin.close()
        await asyncio.sleep(5)
        status = command(worker, "outbox", "status", "--json")
        assert json.loads(status.stdout)["generations"][topic_of(worker)] == 2, status.stdout
    assert set(load.answers) == {201}
    await until(lambda: folded(database_urls), 30, "all folded")
    async with Load(worker.url, rate=50) as more:
        await until(lambda: more.accepted > 20, 10, "load")
    await until(lambda: folded(database_urls), 30, "the fold goes on")
    verified(worker)
