"""The agent of insights where PostgreSQL is away, slow or refuses, beside a busy fold, and with much to do at once."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg2
import pytest

import agents.folding
import agents.insights
import storage.insights
from agents.insights import BACKLOG, InsightsFold
from agents.volume import VolumeFold
from agents.volume_audit import verify
from models.errors import DatabaseUnavailable
from models.exercises import Catalogue
from storage.database import Database
from storage.exercises import read_catalogue
from storage.insights import mark_days
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat
from tests.support.databases import DatabaseUrls
from tests.support.insights import INSIGHTS

NOW = dt.datetime.now(dt.UTC)
_DUE = """INSERT INTO load_bands (user_id, day, band, version, next_at)
SELECT user_id, current_date - 1, 'target', 1, now() - make_interval(hours => %(hours)s)
FROM unnest(%(users)s::uuid[]) user_id"""


@pytest.fixture
async def catalogue(db: Database) -> Catalogue:
    return await read_catalogue(db)


@pytest.fixture
async def owner(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.owner)
    yield database
    await database.close()


async def marked(db: Database, catalogue: Catalogue, count: int, trainings: int = 1) -> list[UUID]:
    """So many users, in order, whose days are folded and marked."""
    athletes = [Athlete(db, catalogue) for _ in range(count)]
    for athlete in athletes:
        for number in range(trainings):
            date = NOW - dt.timedelta(days=number, hours=1)
            await athlete.create(date=date.isoformat(), exercises=[squat(weight=100)])
    await VolumeFold(db, TOPIC).fold_log()
    return sorted(athlete.user_id for athlete in athletes)


async def marks(db: Database) -> list[UUID]:
    return [row[0] for row in await db.all("SELECT user_id FROM analytics.stale_users ORDER BY user_id")]


async def test_what_failed_is_not_waited_for_once_more(
    db: Database, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.folding, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(agents.insights, "QUIET", 60.0)
    monkeypatch.setattr(agents.insights, "PATIENCE", 0.3)
    monkeypatch.setattr(agents.insights, "SHARE", 1e-6)
    await marked(db, catalogue, 1)
    insights = InsightsFold(db, INSIGHTS)
    read, sleep = insights._read, asyncio.sleep
    waits: list[float] = []
    attempts = 0

    async def away(*place: Any) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise DatabaseUnavailable("away")
        return await read(*place)

    async def at_once() -> None:
        pass

    async def spy(seconds: float) -> None:
        waits.append(seconds)
        await sleep(seconds)

    insights.folded(BACKLOG)
    with monkeypatch.context() as patch:
        patch.setattr(insights, "_settle", at_once)
        patch.setattr(insights, "_read", away)
        patch.setattr(asyncio, "sleep", spy)
        assert await insights.run_due() == 1
    assert max(waits) == pytest.approx(0.08)  # between two attempts

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", spy)
        waits.clear()
        await insights._give_way([])
        assert waits == [0.3]  # at most, however long the work took


@pytest.mark.parametrize(("rate", "busy"), [(20, False), (200, True)])
def test_many_small_folds_are_as_much_as_a_large_one(
    db: Database, monkeypatch: pytest.MonkeyPatch, rate: int, *, busy: bool
) -> None:
    now = 0.0
    monkeypatch.setattr(agents.insights, "time", SimpleNamespace(monotonic=lambda: now))
    insights = InsightsFold(db, INSIGHTS)
    for number in range(3 * rate):
        now = number / rate
        insights.folded(1)
    assert insights._busy is busy
    now += 0.3
    assert not insights._busy


async def test_way_is_given_to_a_backlog_alone_and_not_by_who_waits_for_long(
    db: Database, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep
    insights = InsightsFold(db, INSIGHTS)

    async def at_once() -> None:
        pass

    async def spy(seconds: float) -> None:
        waits.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(agents.insights, "QUIET", 60.0)
    monkeypatch.setattr(agents.insights, "PATIENCE", 0.0123)
    monkeypatch.setattr(agents.insights, "SHARE", 1e-6)
    monkeypatch.setattr(insights, "_settle", at_once)
    for events, since, expected in ((1, "now()", 0), (BACKLOG, "now()", 1), (BACKLOG, "now() - interval '1 min'", 0)):
        insights.folded(events)
        await marked(db, catalogue, 1)
        await db.execute(f"UPDATE analytics.stale_users SET since = {since}")
        waits.clear()
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", spy)
            assert await insights.run_due() == 1
        assert waits.count(0.0123) == expected


async def test_all_whose_day_turned_are_marked_however_many(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents.insights, "JUDGED_AT_ONCE", 2)
    users = [UUID(int=number) for number in range(1, 6)]
    await db.execute(_DUE, {"users": users, "hours": 1})
    await InsightsFold(db, INSIGHTS).judge_days()
    assert await marks(db) == users
    assert await mark_days(db, 2) == 0


async def test_days_are_marked_in_the_order_of_the_fold(db: Database, database_urls: DatabaseUrls) -> None:
    first, second = UUID(int=1), UUID(int=2)
    await db.execute(_DUE, {"users": [first], "hours": 1})
    await db.execute(_DUE, {"users": [second], "hours": 2})  # due before the other one
    mark = "INSERT INTO analytics.stale_users VALUES (%s, current_date, '{}')"
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%load_bands%'"
    fold = psycopg2.connect(database_urls.worker)
    try:
        with fold.cursor() as cursor:
            cursor.execute(mark, [str(first)])
            judging = asyncio.create_task(mark_days(db, 10))
            while await db.one(waits) == (0,):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)
            await asyncio.to_thread(cursor.execute, mark, [str(second)])
            fold.commit()
        assert await judging == 0
    finally:
        fold.close()
    assert await marks(db) == [first, second]


async def test_who_takes_too_long_holds_up_nobody_and_is_tried_again(
    db: Database,
    owner: Database,
    database_urls: DatabaseUrls,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, *others = await marked(db, catalogue, 3)
    await owner.execute(
        f"""CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.4); RETURN NEW; END';
        CREATE TRIGGER slow BEFORE INSERT ON load_bands FOR EACH ROW WHEN (NEW.user_id = '{slow}')
        EXECUTE FUNCTION slow()"""
    )
    hasty = Database(database_urls.worker, statement_timeout=0.5)
    insights = InsightsFold(hasty, INSIGHTS)
    with monkeypatch.context() as patch:
        patch.setattr(agents.insights, "ALONE", 1.0)
        assert await insights.run_due() == len(others)
    assert await marks(db) == [slow]
    assert insights.health.failures == 1
    assert await insights.run_due() == 0  # not at once
    insights._left = {user_id: (mark, 0.0) for user_id, (mark, _) in insights._left.items()}
    assert await insights.run_due() == 1  # alone it has more time
    assert (await verify(db)).ok
    await hasty.close()


async def test_a_fault_that_heals_leaves_nobody_behind(
    db: Database, owner: Database, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = await marked(db, catalogue, 2)
    await owner.execute("REVOKE INSERT ON load_bands FROM training_worker")
    insights = InsightsFold(db, INSIGHTS)
    assert await insights.run_due() == 0
    await owner.execute("GRANT INSERT ON load_bands TO training_worker")
    assert await insights.run_due() == 0
    now = agents.insights.time.monotonic() + agents.insights.SET_ASIDE
    monkeypatch.setattr(agents.insights.time, "monotonic", lambda: now)
    assert await insights.run_due() == len(users)
    assert insights._left == {}
    assert (await verify(db)).ok


async def test_no_more_is_read_at_once_than_some_trainings_and_what_is_much_by_another_thread(
    db: Database, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.insights, "TRAININGS", 2)
    monkeypatch.setattr(agents.insights, "MANY", 0)
    monkeypatch.setattr(storage.insights, "MANY", 0)
    read: list[list[int]] = []
    insights = InsightsFold(db, INSIGHTS)
    look = insights._read

    async def counted(*place: Any) -> Any:
        stale = await look(*place)
        read.append([len(each.history.performances) for each in stale])
        return stale

    monkeypatch.setattr(insights, "_read", counted)
    await marked(db, catalogue, 3, trainings=3)
    await marked(db, catalogue, 2, trainings=1)
    assert await insights.run_due() == 5
    assert all(sum(trainings[:-1]) < 2 for trainings in read)
    assert sorted(count for trainings in read for count in trainings) == [1, 1, 3, 3, 3]
    assert (await verify(db)).ok


async def test_stop_waits_for_the_statement_that_it_ends(
    db: Database, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.Event()
    ended = False

    async def slow(*_: Any, **__: Any) -> Any:
        nonlocal ended
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            ended = True

    monkeypatch.setattr(agents.insights, "write", slow)
    await marked(db, catalogue, 1)
    insights = InsightsFold(db, INSIGHTS)
    insights.start()
    await began.wait()
    await insights.stop()
    assert ended
