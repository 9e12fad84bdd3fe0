"""The view `analytics.judged_measures` and what is judged by it, on a real PostgreSQL."""

import datetime as dt
import json
import random
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from analytics.load import judged_measure, known_days
from models.exercises import Catalogue
from models.load import Measure
from models.metrics import DailyVolume, Volume
from storage.arrays import columns, names, parameters
from storage.database import Database
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat
from tests.support.insights import INSIGHTS, announced

FIRST = dt.date(2026, 1, 1)
MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TYPES = {
    "user_id": "uuid",
    "day": "date",
    "sets": "bigint",
    "external_load_kg": "numeric",
    "system_load_kg": "numeric",
    "system_load_sets": "bigint",
    "time_under_tension_seconds": "numeric",
    "session_rpe_load": "numeric",
}
STORE = f"""
INSERT INTO analytics.daily_volume
    ({names(TYPES)}, sessions, reps, hard_sets, hold_seconds, updated_at)
SELECT {names(TYPES)}, 1, 0, 0, 0, now() FROM unnest({parameters("d", TYPES)}) AS d ({names(TYPES)})"""


def random_days(draw: random.Random, user_id: UUID) -> list[DailyVolume]:
    """Each measure is there more or less often, and every fifth time 0."""
    often = {measure: draw.choice([0, 0.3, 0.8, 0.9, 1]) for measure in Measure}

    def figure(measure: Measure) -> Decimal | None:
        return Decimal(draw.choice([0, 1, 2.5, 400, 1e6])) if draw.random() < often[measure] else None

    days = []
    for place in draw.sample(range(60), draw.choice([1, 2, 5, 10, 25, 60])):
        sets, system = draw.randint(1, 3), figure(Measure.SYSTEM_LOAD)
        known = 0 if system is None else sets - (draw.random() < 0.15)
        loads = [figure(measure) or Decimal(0) for measure in (Measure.EXTERNAL_LOAD, Measure.TIME_UNDER_TENSION)]
        volume = Volume(sets, 0, 0, loads[0], system, known, Decimal(0), loads[1])
        day = FIRST + dt.timedelta(place)
        rpe = figure(Measure.SESSION_RPE)
        days.append(DailyVolume(user_id, day, 1, volume, None, rpe, None, MOMENT, Decimal(0), Decimal(0)))
    return days


async def store(db: Database, days: list[DailyVolume]) -> None:
    rows = []
    for day in days:
        of = day.volume
        known = of.system_load_kg, of.system_load_sets, of.time_under_tension_seconds
        rows.append((day.user_id, day.day, of.sets, of.external_load_kg, *known, day.session_rpe_load))
    await db.execute(STORE, columns("d", TYPES, rows))


async def test_the_view_says_what_the_pure_function_says(db: Database) -> None:
    draw = random.Random(5)
    users = {UUID(int=number): random_days(draw, UUID(int=number)) for number in range(1, 401)}
    await store(db, [day for days in users.values() for day in days])
    found = await db.all("SELECT user_id, measure, known_days, days, judged FROM analytics.judged_measures")
    expected = []
    for user_id, days in users.items():
        known, count = known_days(days)
        judged = judged_measure(days)
        expected += [(user_id, measure, known[measure], count, measure is judged) for measure in Measure]
    assert sorted(found) == sorted(expected)
    seen = {judged_measure(days) for days in users.values()}
    assert seen == {*Measure, None}  # or the days are not random enough


async def test_one_users_is_read_by_the_key(db: Database) -> None:
    """With the user as a parameter, and as another row's."""
    draw = random.Random(6)
    await store(db, [day for number in range(1, 301) for day in random_days(draw, UUID(int=number))])
    await db.execute("ANALYZE analytics.daily_volume")
    by_user = "SELECT measure FROM analytics.judged_measures WHERE user_id = %(user_id)s AND judged"
    lateral = """SELECT (SELECT j.measure FROM analytics.judged_measures j WHERE j.user_id = u.user_id AND j.judged)
        FROM unnest(ARRAY[%(user_id)s]::uuid[]) u (user_id)"""
    for statement in (by_user, lateral):
        ((plan,),) = await db.all(f"EXPLAIN (FORMAT JSON) {statement}", {"user_id": UUID(int=7)})
        scans = [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") == "daily_volume"]
        assert len(scans) == 2
        for scan in scans:
            condition = scan.get("Index Cond") or scan.get("Recheck Cond")
            assert "user_id =" in condition, json.dumps(plan)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", ()) for node in nodes(part))]


@pytest.fixture
def athlete(db: Database) -> Athlete:
    return Athlete(db, Catalogue({}, {}))


NOW = dt.datetime.now(dt.UTC)


def ago(days: float) -> str:
    return (NOW - dt.timedelta(days=days)).isoformat()


async def lift(athlete: Athlete, days: float, **fields: Any) -> UUID:
    return await athlete.create(date=ago(days), exercises=[squat(weight=100)], **fields)


async def judge(db: Database) -> tuple[str | None, str | None, int]:
    """What is stored of the load once all is folded."""
    await VolumeFold(db, TOPIC).fold_log()
    await InsightsFold(db, INSIGHTS).run_due()
    ((band, measure, version),) = await db.all("SELECT band, measure, version FROM load_bands")
    return band, measure, version


async def test_one_session_rpe_among_many_trainings_changes_nothing(db: Database, athlete: Athlete) -> None:
    for days in range(2, 44, 2):
        await lift(athlete, days)
    before = await judge(db)
    assert before == ("target", "external_load", 1)
    training = await lift(athlete, 0.5, session_rpe=7, duration_seconds=3600)
    assert await judge(db) == before
    await athlete.delete(training)
    assert await judge(db) == before
    assert len(await announced(db, "load_band_changed")) == 1


async def test_that_the_measure_is_another_is_no_event(db: Database, athlete: Athlete) -> None:
    trainings = {days: await lift(athlete, days) for days in range(2, 44, 2)}
    assert await judge(db) == ("target", "external_load", 1)

    async def say(hours: int) -> None:
        """The RPE of the last four weeks, with as many hours for each training of the last one."""
        for days, training in trainings.items():
            if days <= 28:
                said = {"session_rpe": 7, "duration_seconds": 3600 * (hours if days <= 6 else 1)}
                await athlete.update(training, date=ago(days), exercises=[squat(weight=100)], **said)

    await say(4)
    assert await judge(db) == ("over", "session_rpe", 1)
    # By the same measure, what follows is told.
    await say(1)
    assert await judge(db) == ("target", "session_rpe", 2)
    # And that there is no load any more.
    for training in trainings.values():
        await athlete.delete(training)
    assert await judge(db) == (None, None, 3)
    told = [
        (each.get("previous_band"), each.get("band"), each.get("measure"))
        for each in await announced(db, "load_band_changed")
    ]
    assert told == [
        (None, "target", "external_load"),
        ("over", "target", "session_rpe"),
        ("target", None, None),
    ]
