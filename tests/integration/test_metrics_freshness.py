"""How fresh reports of metrics are, and what `at_least` waits for, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

import web.metrics
from agents.volume import VolumeFold
from models.load_reports import LoadReport
from models.record_reports import ProgressOverview, RecordsReport
from models.volume_reports import VolumeReport
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat
from tests.support.coaches import Person
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.reports import METRICS, report, settle
from tests.support.web import Client, serve
from web.api import ALL_ROUTES

MODELS = {"volume": VolumeReport, "load": LoadReport, "records": RecordsReport, "progress": ProgressOverview}
BOTH_STAGES = ("load", "records")


@pytest.fixture
async def small(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A pool of one connection."""
    database = Database(database_urls.worker, pool_size=1)
    yield database
    await database.close()


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


@pytest.fixture
async def client(small: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=small) as client:
        yield client


async def read(client: Client, athlete: Athlete, name: str, **query: str) -> dict[str, Any]:
    return await report(client, athlete, name, MODELS[name], **query)


async def stale(client: Client, athlete: Athlete, at_least: str) -> set[str]:
    """The reports that lack this version."""
    return {name for name in MODELS if (await read(client, athlete, name, at_least=at_least))["stale"]}


async def test_a_report_says_what_it_lacks_of_both_stages(
    db: Database, client: Client, athlete: Athlete, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.metrics, "PAUSES", ())
    training = await athlete.create(exercises=[squat()])
    for name in MODELS:
        assert "stale" not in await read(client, athlete, name)
    assert await stale(client, athlete, f"{training}:1") == set(MODELS)
    ((accepted,),) = await db.all("SELECT rfc3339(created_at) FROM outbox")
    assert {(await read(client, athlete, name))["as_of"] for name in MODELS} == {accepted}
    await VolumeFold(db, TOPIC).fold_log()
    assert await stale(client, athlete, f"{training}:1") == set(BOTH_STAGES)
    for name in MODELS:
        assert ((await read(client, athlete, name))["as_of"] == accepted) == (name in BOTH_STAGES)
    await settle(db)
    assert await stale(client, athlete, f"{training}:1") == set()
    assert all([(await read(client, athlete, name))["as_of"] > accepted for name in MODELS])
    # A version there never was, a training there never was, and another user's.
    other = await Athlete(db, await read_catalogue(db)).create(exercises=[squat()])
    await settle(db)
    for never in (f"{training}:2", f"{uuid4()}:1", f"{other}:1"):
        assert await stale(client, athlete, never) == set(MODELS)
    # What took a training out of the figures is waited for as well.
    await athlete.delete(training)
    assert await stale(client, athlete, f"{training}:2") == set(MODELS)
    await settle(db)
    assert await stale(client, athlete, f"{training}:2") == set()


async def test_who_waits_holds_no_connection_and_gets_what_comes(
    db: Database, small: Database, client: Client, athlete: Athlete, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.metrics, "PAUSES", (0.01,) * 20_000)
    training = await athlete.create(exercises=[squat()])
    waiting = asyncio.create_task(read(client, athlete, "records", at_least=f"{training}:1"))
    looks = small.statements
    await until(lambda: small.statements >= looks + 3, 20, "it looks again")
    assert (await read(client, athlete, "volume"))["items"] == []  # by the only connection
    assert not waiting.done()
    await settle(db)
    found = await waiting
    assert found["stale"] is False
    assert {item["training_id"] for item in found["items"]} == {str(training)}


async def test_it_waits_for_two_seconds_in_a_few_looks(
    small: Database, client: Client, athlete: Athlete, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sum(web.metrics.PAUSES) == pytest.approx(2)
    assert len(web.metrics.PAUSES) <= 8
    monkeypatch.setattr(web.metrics, "PAUSES", (0.001, 0.001))
    before = small.statements
    assert (await read(client, athlete, "load", at_least=f"{uuid4()}:1"))["stale"]
    assert small.statements - before == 3


async def test_a_hidden_plan_is_waited_for_like_what_never_was(
    db: Database, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.metrics, "PAUSES", ())
    person, coach = Person(client, groups=["team"]), Person(client, coach_of=["team"])
    await person.admit("team", "read", "plan")
    plan = {"date": "2026-01-05T12:00:00Z", "group_external_id": "team", "hidden": True}
    planned = await coach.told("POST", person.address("/trainings"), plan)
    await settle(db)
    address = METRICS.format(person.user_id, "volume") + f"?at_least={planned['id']}:1"
    assert (await person.told("GET", address))["stale"]
    assert not (await coach.told("GET", address))["stale"]


async def test_a_coach_who_waits_is_told_of_once(db: Database, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.metrics, "PAUSES", (0.001, 0.001))
    person, coach = Person(client, groups=["team"]), Person(client, coach_of=["team"])
    await person.admit("team", "read")
    assert (await coach.told("GET", METRICS.format(person.user_id, "load") + f"?at_least={uuid4()}:1"))["stale"]
    assert [access["operation"] for access in await person.accesses()] == ["readLoad"]


async def test_a_coach_reads_all_of_them_and_each_read_is_told(db: Database, client: Client) -> None:
    person, coach = Person(client, groups=["team"]), Person(client, coach_of=["team"])
    body = {"date": "2026-01-05T12:00:00Z", "status": "COMPLETED", "exercises": [squat()]}
    training = await person.told("POST", "/api/v1/trainings", body)
    await settle(db)
    addresses = [METRICS.format(person.user_id, name) for name in MODELS]
    for address in addresses:
        assert (await coach.ask("GET", address)).status == 404
    await person.admit("team", "plan")
    for address in addresses:
        assert (await coach.ask("GET", address)).status == 404
    await person.admit("team", "read")
    for address in (*addresses, METRICS.format(person.user_id, "progress?movement=name:squat")):
        own, found = await person.told("GET", address), await coach.told("GET", address)
        assert found | {"as_of": ""} == own | {"as_of": ""}
    at_least = f"{addresses[1]}?at_least={training['id']}:1"
    assert not (await coach.told("GET", at_least))["stale"]
    told = [access["operation"] for access in await person.accesses()]
    assert told == ["readLoad", "readProgress", "readProgress", "readRecords", "readLoad", "readVolume"]
