"""Health and measures, with the database there, away, and of another schema."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from importlib.metadata import version
from typing import Any

import psycopg2
import pytest

from storage.database import Database
from storage.schema import schema_trouble
from tests.support.databases import DatabaseUrls
from tests.support.web import Client, serve
from web import health, watch
from web.watch import AgentState, Backlog, Probe, RelayState, Watch

WELL = RelayState(role="leader", silent=0.1, published=12, batches=3)
FOLDING = AgentState("volume", partitions=8, lag=4, folded=12, rebalances=1)
FOLLOWING = AgentState("insights", partitions=None, folded=3)


@pytest.fixture
async def well(db: Database) -> AsyncIterator[Client]:
    async def backlog() -> Backlog:
        return Backlog(depth=5, relay_lag=0.2, leader="worker-1", epoch=1)

    watch = Watch(db, lag_limit=30, relay=lambda: WELL, agents=lambda: [FOLDING, FOLLOWING], backlog=backlog)
    async with serve(health.ROUTES, database=db, watch=watch) as client:
        yield client


async def _get(client: Client, path: str) -> tuple[int, dict[str, Any]]:
    response = await client.get(path)
    assert response.headers["Cache-Control"] == "no-store"
    return response.status, await response.json()


async def test_all_is_well(well: Client) -> None:
    assert await _get(well, "/health/live") == (200, {"ok": True, "reasons": []})
    assert await _get(well, "/health/ready") == (200, {"ok": True, "reasons": [], "degraded": []})
    assert await _get(well, "/health/pipeline") == (200, {"ok": True, "reasons": []})


async def test_the_database_away() -> None:
    async with serve(health.ROUTES) as client:
        status, document = await _get(client, "/health/ready")
        assert status == 503
        assert [reason["part"] for reason in document["reasons"]] == ["database"]
        assert (await _get(client, "/health/live"))[0] == 200
        response = await client.get("/metrics")
        assert response.status == 200
        assert "training_ready 0.0" in (await response.text()).splitlines()


@pytest.mark.parametrize(
    ("relay", "agent", "backlog", "parts"),
    [
        (RelayState(role="leader", silent=1, error="Kafka is away."), FOLDING, Backlog(), ["relay"]),
        (RelayState(role="standby", silent=99), FOLDING, Backlog(), ["relay"]),
        (RelayState(role="standby"), FOLDING, Backlog(), ["relay"]),
        (RelayState(), FOLDING, Backlog(), []),
        (WELL, AgentState("volume", trouble="joining the group"), Backlog(), ["volume"]),
        (WELL, FOLDING, Backlog(depth=7, relay_lag=31), ["relay"]),
        (RelayState(), FOLDING, Backlog(depth=7, relay_lag=31), []),  # off: something else publishes the log
        (WELL, FOLDING, Backlog(depth=7, relay_lag=29, fold_lag=29), []),
        (WELL, FOLDING, Backlog(fold_lag=31), ["fold"]),
        (WELL, FOLDING, Backlog(quarantined=1), ["quarantine"]),
        (WELL, FOLDING, Backlog(dead_letters=1), ["dead letters"]),
        (WELL, FOLDING, Backlog(months_ahead=0), ["log"]),
    ],
)
async def test_what_is_not_well_alarms_and_does_not_keep_rest_from_being_served(
    db: Database, relay: RelayState, agent: AgentState, backlog: Backlog, parts: list[str]
) -> None:
    async def ask() -> Backlog:
        return backlog

    watch = Watch(db, lag_limit=30, relay=lambda: relay, agents=lambda: [agent], backlog=ask)
    async with serve(health.ROUTES, database=db, watch=watch) as client:
        status, document = await _get(client, "/health/pipeline")
        assert status == (503 if parts else 200)
        assert [reason["part"] for reason in document["reasons"]] == parts
        assert await _get(client, "/health/ready") == (
            200,
            {"ok": True, "reasons": [], "degraded": document["reasons"]},
        )
        assert (await _get(client, "/health/live"))[0] == 200


async def test_a_worker_beyond_help(db: Database) -> None:
    watch = Watch(db, lag_limit=30, dead=lambda: "The consumer has not joined for 200 s.")
    async with serve(health.ROUTES, database=db, watch=watch) as client:
        status, document = await _get(client, "/health/live")
        assert status == 503
        assert document["reasons"] == [{"part": "worker", "reason": "The consumer has not joined for 200 s."}]


async def test_measures(well: Client) -> None:
    await well.get("/health/ready")
    text = await (await well.get("/metrics")).text()
    for line in (
        'training_http_request_duration_seconds_count{method="GET",route="/health/ready",status="200"} 1.0',
        "training_relay_leader 1.0",
        "training_relay_published_total 12.0",
        "training_relay_batches_total 3.0",
        'training_agent_lag{agent="volume"} 4.0',
        'training_agent_folded_total{agent="volume"} 12.0',
        'training_agent_folded_total{agent="insights"} 3.0',
        'training_agent_partitions{agent="volume"} 8.0',
        "training_outbox_depth 5.0",
        "training_outbox_lag_seconds 0.2",
        "training_outbox_leader_known 1.0",
        "training_outbox_epoch 1.0",
        "training_database_connections 1.0",
        "training_ready 1.0",
        f'training_build_info{{version="{version("training-service")}"}} 1.0',
    ):
        assert line in text.splitlines()
    # It reads no topic.
    assert not any(f'training_agent_{name}{{agent="insights"}}' in text for name in ("partitions", "lag"))


async def test_two_servers_in_one_process_have_measures_of_their_own(well: Client, db: Database) -> None:
    await well.get("/health/live")
    async with serve(health.ROUTES, database=db) as other:
        assert "/health/live" not in await (await other.get("/metrics")).text()


async def test_the_schema(db: Database, database_urls: DatabaseUrls) -> None:
    def execute(statement: str) -> None:
        connection = psycopg2.connect(database_urls.owner)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()

    assert await schema_trouble(db) is None
    execute("UPDATE alembic_version SET version_num = 'a later one'")
    assert await schema_trouble(db) is None
    execute("UPDATE alembic_version SET version_num = '0001'")
    assert "at revision 0001" in (await schema_trouble(db) or "")
    execute("REVOKE SELECT ON alembic_version FROM training_worker")
    assert "the rights that `training migrate` gives" in (await schema_trouble(db) or "")
    execute("GRANT SELECT ON alembic_version TO training_worker")
    execute("DELETE FROM alembic_version")
    assert "no schema yet" in (await schema_trouble(db) or "")
    execute("DROP TABLE alembic_version")
    assert "no schema yet" in (await schema_trouble(db) or "")


async def test_a_schema_that_lacks_what_is_asked_for(db: Database, database_urls: DatabaseUrls) -> None:
    async def backlog() -> Backlog:
        await db.all("SELECT FROM alembic_version, lacking")
        return Backlog()

    with closing(psycopg2.connect(database_urls.owner)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = '0001'")
    async with serve(health.ROUTES, database=db, watch=Watch(db, lag_limit=30, backlog=backlog)) as client:
        status, document = await _get(client, "/health/ready")
        assert (status, [reason["part"] for reason in document["reasons"]]) == (503, ["schema"])
        status, document = await _get(client, "/health/pipeline")
        assert (status, document["reasons"][-1]["part"]) == (503, "schema")
        metrics = await client.get("/metrics")
        assert metrics.status == 200
        assert "training_ready 0.0" in (await metrics.text()).splitlines()


class Slow:
    """A question whose answer can be held back, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.free = asyncio.Event()
        self.free.set()
        self.error: Exception | None = None

    async def ask(self) -> int:
        self.asked += 1
        answer = self.asked
        await self.free.wait()
        if self.error is not None:
            raise self.error
        return answer


@pytest.fixture
def slow() -> Slow:
    return Slow()


async def test_a_probe_asks_once_for_many(slow: Slow) -> None:
    probe = Probe(slow.ask, lambda: slow.now)
    assert await asyncio.gather(*(probe.get() for _ in range(20))) == [1] * 20
    slow.now = watch.PROBE_KEEP
    assert await probe.get() == 1
    slow.now += 0.01
    assert await probe.get() == 2


async def test_a_probe_is_not_asked_again_while_it_waits(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PROBE_PATIENCE", 0.01)
    slow.free.clear()
    probe = Probe(slow.ask, lambda: slow.now)
    for _ in range(3):
        slow.now += 10
        with pytest.raises(watch.DatabaseUnavailable, match="has not answered"):
            await probe.get()
    assert slow.asked == 1
    slow.free.set()
    assert await probe.get() == 1
    slow.free.clear()
    slow.now += 10
    with pytest.raises(watch.DatabaseUnavailable):
        await probe.get()
    await probe.close()


async def test_a_failure_is_kept_as_long_as_an_answer(slow: Slow) -> None:
    slow.error = watch.DatabaseUnavailable("away")
    probe = Probe(slow.ask, lambda: slow.now)
    for _ in range(5):
        with pytest.raises(watch.DatabaseUnavailable, match="away"):
            await probe.get()
    assert slow.asked == 1
    slow.error = None
    slow.now += watch.PROBE_KEEP + 0.01
    assert await probe.get() == 2
