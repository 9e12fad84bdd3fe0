"""`verify` sees every value that is not what the log says; `rebuild` mends it, with agents running."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

import agents.volume_audit
from agents.volume import VolumeFold
from agents.volume_audit import rebuild, verify
from models.exercises import Catalogue
from models.own_exercises import AliasBody
from storage.database import Database
from storage.erasures import Erasures
from storage.exercises import read_catalogue
from storage.own_exercises import OwnExercises
from storage.trainings import Author
from storage.volume_statements import COLUMNS, KEYS
from tests.support.athletes import TOPIC, Athlete, published
from tests.support.bodies import squat
from tests.support.databases import DatabaseUrls
from tests.support.insights import verified
from tests.support.load import until
from tests.support.log import append

_OTHER = {  # an expression that differs from a value of the type
    "uuid": "gen_random_uuid()",
    "smallint": "coalesce({}, 0) + 1",
    "integer": "coalesce({}, 0) + 1",
    "bigint": "coalesce({}, 0) + 1",
    "numeric": "coalesce({}, 0) + 0.0001",
    "double precision": "coalesce({}, 0) + 1",
    "text": "coalesce({}, '') || '.'",
    "jsonb": "'[[1, 1]]'",
    "text[]": "{} || '.'::text",
    "boolean": "NOT {}",
    "date": "coalesce({}, '2026-01-01') + 1",
    "timestamp with time zone": "{} + interval '1 microsecond'",
}


@pytest.fixture
async def catalogue(db: Database) -> Catalogue:
    return await read_catalogue(db)


@pytest.fixture
def volume(db: Database) -> VolumeFold:
    return VolumeFold(db, TOPIC)


@pytest.fixture
async def athlete(db: Database, catalogue: Catalogue, volume: VolumeFold) -> Athlete:
    """An athlete who has said what a name means, with three trainings, folded; one is deleted."""
    athlete = Athlete(db, catalogue)
    author = Author(athlete.user_id, "athlete")
    await OwnExercises(db, "exercise_events").set_alias(author, "squat", AliasBody(exercise="pistol-squat"))
    lifts = [squat(), {"name": "pistol", "exercise": "pistol-squat", "sets": [{"reps": 3, "tempo": "3-0-1-0"}]}]
    fields = {"exercises": lifts, "bodyweight_kg": 80, "session_rpe": 7, "duration_seconds": 3000}
    for day in (5, 6, 6):
        training = await athlete.create(date=f"2026-01-0{day}T12:00:00Z", **fields)
    await athlete.delete(training)
    await volume.fold_log()
    assert (await verified(db)).ok
    return athlete


async def contents(database: Database) -> list[Any]:
    return [await database.all(f"SELECT * FROM analytics.{table} ORDER BY {', '.join(KEYS[table])}") for table in KEYS]


async def test_nothing_differs(db: Database, athlete: Athlete) -> None:
    seen = await verify(db)
    assert (seen.ok, seen.users, seen.trainings, seen.behind, seen.different) == (True, 1, 3, 0, 0)


@pytest.mark.parametrize("table", list(KEYS))
async def test_every_changed_value_is_seen_and_mended(db: Database, athlete: Athlete, table: str) -> None:
    before = await contents(db)
    row = f"(SELECT ctid FROM analytics.{table} ORDER BY {', '.join(KEYS[table])} DESC LIMIT 1)"
    for column in COLUMNS[table]:
        type_ = (await db.all(f"SELECT pg_typeof({column})::text FROM analytics.{table} LIMIT 1"))[0][0]
        other = _OTHER[type_].format(column)
        assert await db.execute(f"UPDATE analytics.{table} SET {column} = {other} WHERE ctid = {row}") == 1
        seen = await verify(db)
        found = [difference for difference in seen.differences if difference.table == table]
        assert found, column
        assert not seen.ok
        if column not in (*KEYS[table], "version"):
            assert [list(difference.expected or ()) for difference in found] == [[column]]
            assert [list(difference.found or ()) for difference in found] == [[column]]
        assert (await rebuild(db)).changed[table] >= 1
        assert await contents(db) == before
    assert (await verified(db)).ok


@pytest.mark.parametrize("table", list(KEYS))
async def test_a_missing_row_is_seen_and_mended(db: Database, athlete: Athlete, table: str) -> None:
    before = await contents(db)
    await db.execute(f"DELETE FROM analytics.{table}")
    seen = await verify(db)
    if table == "folded_trainings":  # then nothing is known to be folded, and the other rows come from nowhere
        assert seen.behind == 3
    else:
        assert {difference.found for difference in seen.differences} == {None}
    assert not seen.ok
    await rebuild(db)
    assert await contents(db) == before


async def test_a_row_that_no_event_tells_of_is_seen_and_removed(db: Database, athlete: Athlete) -> None:
    await db.execute(
        """INSERT INTO analytics.daily_volume
        SELECT gen_random_uuid(), day + 9, sessions, sets, reps, hard_sets, external_load_kg, system_load_kg,
               system_load_sets, hold_seconds, time_under_tension_seconds, duration_seconds, session_rpe_load,
               source_seq, updated_at, skill_work, strength_work FROM analytics.daily_volume LIMIT 1"""
    )
    (difference,) = (await verify(db)).differences
    assert difference.table == "daily_volume"
    assert difference.expected is None
    assert (await rebuild(db)).changed == {
        "users": 0,
        "exercise_names": 0,
        "folded_trainings": 0,
        "exercise_volume": 0,
        "daily_volume": 1,
        "daily_load": 0,
        "personal_records": 0,
    }
    assert (await verify(db)).ok


async def test_what_is_not_folded_yet_is_behind_and_not_different(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    training = await athlete.create(exercises=[squat()])
    await volume.fold_log()
    await athlete.update(training, exercises=[squat(reps=9)])
    await athlete.create(exercises=[squat()])
    seen = await verify(db)
    assert (seen.behind, seen.different, seen.ok) == (3, 0, False)  # and the athlete, whose days have changed
    assert (await verified(db)).behind == 2
    await volume.fold_log()
    assert (await verified(db)).ok


async def test_a_dead_letter_is_nobodys_difference(db: Database, volume: VolumeFold) -> None:
    await append(db, user_id=uuid4(), training_id=uuid4(), exercises="none")
    assert await volume.fold_log() == 1
    assert await volume.fold_log() == 0
    assert (await verify(db)).ok
    assert (await rebuild(db)).events == 2  # looked at twice, folded never
    assert (await verify(db)).ok


async def test_verify_goes_through_all_users(
    db: Database, catalogue: Catalogue, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.volume_audit, "USERS", 2)
    athletes = [Athlete(db, catalogue) for _ in range(5)]
    for athlete in athletes:
        await athlete.create(exercises=[squat()])
    await volume.fold_log()
    assert (await verified(db)).users == 5
    await db.execute("UPDATE analytics.daily_volume SET reps = reps + 1")
    assert (await verify(db)).different == 5


async def test_the_differences_that_are_kept_are_bounded(
    db: Database, athlete: Athlete, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.volume_audit, "MOST_DIFFERENCES", 1)
    await db.execute("UPDATE analytics.exercise_volume SET reps = reps + 1")
    seen = await verify(db)
    assert (seen.different, len(seen.differences)) == (4, 1)


async def test_a_rebuild_with_an_agent_running_loses_nothing(
    db: Database, catalogue: Catalogue, athlete: Athlete, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written and folded while the shadow is filled, and while it takes over, is there afterwards."""
    await db.execute("UPDATE analytics.daily_volume SET reps = 0; DELETE FROM analytics.exercise_volume")
    running = Athlete(db, catalogue)
    agent = VolumeFold(db, TOPIC)
    stop = asyncio.Event()
    folded = 0

    async def work() -> None:
        nonlocal folded
        while not stop.is_set():
            training = await running.create(exercises=[squat()])
            await running.update(training, exercises=[squat(reps=folded % 7)])
            events = (await published(db))[-2:]
            await agent.fold_records(events)
            folded += 1

    def meanwhile(name: str) -> None:
        step: Callable[..., Awaitable[Any]] = getattr(agents.volume_audit, name)

        async def slow(*arguments: Any) -> Any:
            result = await step(*arguments)
            before = folded
            if name == "hold_folds":  # the agent waits until the end of the transaction
                await asyncio.sleep(0.2)
                assert folded <= before + 1
            else:
                await until(lambda: folded >= before + 3, 10, "the agent folds")
            return result

        monkeypatch.setattr(agents.volume_audit, name, slow)

    meanwhile("make_shadow")
    meanwhile("hold_folds")
    task = asyncio.create_task(work())
    await rebuild(db)
    before = folded
    await until(lambda: folded >= before + 3, 10, "the agent folds")
    stop.set()
    await task
    seen = await verified(db)
    assert seen.ok, seen
    assert seen.trainings == 3 + folded


async def test_a_rebuild_waits_for_no_reader_and_keeps_views_and_grants(
    db: Database, athlete: Athlete, database_urls: DatabaseUrls
) -> None:
    owner = Database(database_urls.owner)
    await owner.execute("CREATE VIEW public.of_an_analyst AS SELECT sum(reps) FROM analytics.daily_volume")
    right = await db.all("SELECT * FROM analytics.daily_volume ORDER BY day")
    await db.execute("UPDATE analytics.daily_volume SET reps = 0")
    async with owner.transaction(begin="BEGIN ISOLATION LEVEL REPEATABLE READ") as analyst:
        assert await analyst.one("SELECT sum FROM public.of_an_analyst") == (0,)
        await asyncio.wait_for(rebuild(db), 10)
        assert await analyst.one("SELECT sum FROM public.of_an_analyst") == (0,)
    assert await owner.one("SELECT sum FROM public.of_an_analyst") == (sum(row[4] for row in right),)
    assert await db.all("SELECT * FROM analytics.daily_volume ORDER BY day") == right
    await owner.execute("DROP VIEW public.of_an_analyst")
    await owner.close()


async def test_a_rebuild_and_an_erasure_at_once_wait_for_each_other_and_both_end(
    db: Database, athlete: Athlete, database_urls: DatabaseUrls
) -> None:
    owner = Database(database_urls.owner)
    await db.execute(
        "INSERT INTO analytics.stale_users (user_id, from_day, trainings) VALUES (%s, '2026-01-01', '{}') "
        "ON CONFLICT DO NOTHING",
        [athlete.user_id],
    )
    await Erasures(db).begin(athlete.user_id)

    async def waiting(number: int) -> None:
        locks = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL AND database = ("
        locks += "SELECT oid FROM pg_database WHERE datname = current_database())"
        await until(lambda: one(owner, locks, number), 10, f"{number} wait")

    async def one(database: Database, sql: str, number: int) -> bool:
        return await database.one(sql) == (number,)

    async with owner.transaction() as cursor:
        await cursor.execute("LOCK TABLE analytics.exercise_volume IN SHARE MODE")
        erasure = asyncio.create_task(db.one("SELECT erase_user(%s, 5000)", [athlete.user_id]))
        await waiting(1)
        rebuilding = asyncio.create_task(rebuild(db))
        await waiting(2)
    ended = await asyncio.gather(erasure, rebuilding, return_exceptions=True)
    await owner.close()
    assert not [error for error in ended if isinstance(error, BaseException)]
    assert (await verify(db)).ok


async def test_a_rebuild_that_is_ended_leaves_everything_as_it_was(
    db: Database, athlete: Athlete, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.execute("UPDATE analytics.daily_volume SET reps = 0")
    before = await contents(db)

    async def fail(*_: Any) -> None:
        raise RuntimeError("the end")

    with monkeypatch.context() as patch:
        patch.setattr(agents.volume_audit, "take_over_shadow", fail)
        with pytest.raises(RuntimeError, match="the end"):
            await rebuild(db)
    assert await contents(db) == before
    assert await db.one("SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'") == (0,)
    await rebuild(db)
    assert (await verify(db)).ok
