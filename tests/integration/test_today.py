"""The athlete's present day: the same in every answer that tells of it, on a real PostgreSQL."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from storage.database import Database
from storage.exercises import read_catalogue
from storage.today import TODAY
from tests.support.athletes import Athlete
from tests.support.coaches import Person
from tests.support.databases import DatabaseUrls
from tests.support.reports import settle
from tests.support.web import Client, serve
from web import advice, calendar, check_ins, goals, metrics, phases, progression, readiness, workouts

MODULES = (advice, calendar, check_ins, goals, metrics, phases, progression, readiness, workouts)
EAST, WEST = "Pacific/Kiritimati", "Pacific/Pago_Pago"  # 25 hours apart: never on one day


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve([route for module in MODULES for route in module.ROUTES], database=db) as client:
        yield client


def today(zone: str) -> str:
    return str(dt.datetime.now(ZoneInfo(zone)).date())


async def test_every_answer_has_the_same_present_day(db: Database, client: Client) -> None:
    athlete = Athlete(db, await read_catalogue(db))
    person = Person(client, athlete.user_id)
    workout = await person.told("POST", person.address("/workouts"), {"name": "Pull"})
    phase = {"name": "Base", "kind": "mesocycle", "first": "2026-01-05", "last": "2026-01-11", "timezone": "UTC"}
    answers = {
        "/advice": "day",
        "/calendar": "day",
        "/goals/progress": "day",
        "/readiness": "today",
        f"/workouts/{workout['id']}/next": "day",
    }

    async def told() -> set[str | None]:
        found = {(await person.told("GET", person.address(path))).get(name) for path, name in answers.items()}
        return found | {(await person.told("POST", person.address("/phases?dry_run=true"), phase))["day"]}

    async def agree(zone: str) -> None:
        await settle(db)
        found = await told()
        if found != {today(zone)}:
            found = await told()  # the day ended meanwhile
        assert found == {today(zone)}

    await agree("UTC")
    await athlete.create(date="2030-01-07T07:00:00Z", timezone=EAST, status="PLANNED")
    await agree(EAST)
    hidden = await athlete.create(date="2031-01-07T07:00:00Z", timezone=WEST, status="PLANNED")
    await db.execute("UPDATE trainings SET hidden = true WHERE id = %(id)s", {"id": hidden})
    await agree(EAST)
    reports = {"/metrics/load": "today", "/metrics/progress": "today"}  # which have none before a training is completed
    for path, name in reports.items():
        assert name not in await person.told("GET", person.address(path))
    answers |= reports
    for zone, date in ((WEST, "2026-01-05"), (EAST, "2026-01-06"), (WEST, "2026-01-07")):
        await athlete.create(date=f"{date}T12:00:00Z", timezone=zone)
        await agree(zone)
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(1)
    await person.told("PUT", person.address(f"/check-ins/{tomorrow}"), {"sleep": 1})
    await agree(WEST)


# A log of ten years, of which the latest tenth is planned; or all of it.
LOG = """
WITH made AS (
    INSERT INTO trainings (user_id, id, status, date, timezone, day, digest)
    SELECT %(id)s, gen_random_uuid(), CASE WHEN n < %(completed)s THEN 'COMPLETED' ELSE 'PLANNED' END::training_status,
           timestamptz '2020-01-01 12:00Z' + n * interval '8 hours', 'UTC', date '2020-01-01' + n / 3, ''
    FROM generate_series(1, 10000) n
    RETURNING *
)
INSERT INTO analytics.folded_trainings
    (user_id, training_id, version, deleted, counted, day, date, timezone, sets, reps, hard_sets, external_load_kg,
     system_load_sets, hold_seconds, time_under_tension_seconds, updated_at)
SELECT user_id, id, 1, false, status = 'COMPLETED', day, date, timezone, 0, 0, 0, 0, 0, 0, 0, date FROM made"""


@pytest.mark.parametrize("completed", [9_000, 0])
async def test_however_long_the_log_is_a_few_rows_of_indexes_are_read(
    db: Database, database_urls: DatabaseUrls, completed: int
) -> None:
    user = uuid4()
    await db.execute(LOG, {"id": user, "completed": completed})
    owner = Database(database_urls.owner)
    await owner.execute("ANALYZE trainings")
    await owner.close()
    ((plan,),) = await db.all(f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT {TODAY}", {"user_id": user})
    scans = [node for node in nodes(plan[0]["Plan"]) if "Relation Name" in node and node["Actual Loops"]]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    assert sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans) < 200
    assert len(scans) == 1 + (completed == 0)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", ()) for node in nodes(part))]
