"""The fold on a real PostgreSQL: I6 (table == fold of the events), I7 (== recomputed from the tables of record)."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agents.folding
import agents.volume
from agents.volume import VolumeFold
from analytics.volume import fold
from chaos.by_record import BY_RECORD
from models.errors import DatabaseUnavailable, NotFound, StatusConflict
from models.events import TrainingEvent
from models.exercises import Catalogue
from storage.database import Database, Row
from storage.exercises import read_catalogue
from storage.fold_state import LoggedEvent
from storage.volume import fold_into
from tests.support.athletes import TOPIC, Athlete, Batch, published
from tests.support.bodies import squat, trainings
from tests.support.databases import DatabaseUrls
from tests.support.insights import verified

SLUGS = ("knee-push-up", "wall-push-up", "pistol-squat")  # of the second the catalogue knows no fraction
TABLES = ("folded_trainings", "exercise_volume", "daily_volume")

on_one_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
async def catalogue(db: Database) -> Catalogue:
    return await read_catalogue(db)


@pytest.fixture
def volume(db: Database) -> VolumeFold:
    return VolumeFold(db, TOPIC)


@pytest.fixture
def athlete(db: Database, catalogue: Catalogue) -> Athlete:
    return Athlete(db, catalogue)


async def rows(database: Database, table: str) -> list[Row]:
    return await database.all(f"SELECT * FROM analytics.{table} ORDER BY 1, 2, 3")


async def everything(database: Database) -> list[list[Row]]:
    return [await rows(database, table) for table in TABLES]


async def one(database: Database, sql: str) -> Any:
    return (await database.all(sql))[0][0]


async def assert_as_recorded(database: Database) -> None:
    """I7."""
    for name, (by_record, derived) in BY_RECORD.items():
        assert Counter(await database.all(by_record)) == Counter(await database.all(derived)), name


async def assert_folded(database: Database) -> None:
    """I6 and I7, in a system at rest."""
    seen = await verified(database)
    assert seen.differences == []
    assert seen.behind == 0
    await assert_as_recorded(database)


async def stream(*batches: Batch) -> AsyncIterator[Batch]:
    for batch in batches:
        yield batch


def record(value: bytes | None, offset: int = 0, headers: tuple[tuple[str, bytes], ...] = ()) -> LoggedEvent:
    return LoggedEvent(TOPIC, 3, offset, b"key", value, headers)  # type: ignore[arg-type]


# Few days and zones, so that trainings meet on one day, move to another, and one moment lies on two days.
_dates = st.sampled_from(["2026-01-05T23:30:00Z", "2026-01-06T10:00:00Z", "2026-01-31T23:59:59Z"])
_bodies = st.builds(lambda body, date: body | {"date": date}, trainings(SLUGS), _dates)
_numbers = st.integers(0, 2)
_steps = st.one_of(
    st.tuples(st.just("create"), _numbers, _bodies),
    st.tuples(st.just("update"), _numbers, _bodies),
    st.tuples(st.just("delete"), _numbers, st.none()),
)


@on_one_database
@given(st.lists(_steps, min_size=1, max_size=8), st.integers(0, 2**32))
async def test_any_history_delivered_in_any_way(db: Database, steps: list[tuple[str, int, Any]], seed: int) -> None:
    """I6, I7: duplicates, replays, other orders and other batches change nothing."""
    catalogue = await read_catalogue(db)
    await VolumeFold(db, TOPIC).fold_log()  # what an example that failed left behind
    athletes = [Athlete(db, catalogue), Athlete(db, catalogue)]
    mine = {athlete.user_id for athlete in athletes}
    written: list[tuple[Athlete, UUID]] = []
    for action, number, body in steps:
        if action == "create":
            athlete = athletes[number % 2]
            written.append((athlete, await athlete.create(**body)))
        elif written:
            athlete, training = written[number % len(written)]
            with suppress(StatusConflict, NotFound):
                await (athlete.delete(training) if body is None else athlete.update(training, **body))
    events = [event for event in await published(db) if UUID(event.key.decode()) in mine]
    draw = random.Random(seed)
    delivered = events + draw.sample(events, draw.randint(0, len(events)))
    draw.shuffle(delivered)
    volume = VolumeFold(db, TOPIC)
    while delivered:
        size = draw.randint(1, len(delivered))
        await volume.fold_records(delivered[:size])
        delivered = delivered[size:]
    before = await everything(db)
    await assert_folded(db)
    await volume.fold_records(events)
    assert await everything(db) == before


async def test_a_correction_moves_between_days(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    first = await athlete.create(date="2026-01-05T12:00:00Z", exercises=[squat(reps=5)])
    await athlete.create(date="2026-01-05T18:00:00Z", exercises=[squat(reps=3)])
    await volume.fold_log()
    await athlete.update(first, date="2026-01-07T12:00:00Z", exercises=[squat(reps=4)])
    await volume.fold_log()
    days = await db.all("SELECT day::text, sessions, reps FROM analytics.daily_volume ORDER BY day")
    assert days == [("2026-01-05", 1, 3), ("2026-01-07", 1, 4)]
    await assert_folded(db)


async def test_nothing_comes_back_after_all_is_deleted(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    trainings = [await athlete.create(exercises=[squat()]) for _ in range(5)]
    await volume.fold_log()
    for training in trainings:
        await athlete.update(training, exercises=[squat(reps=9)])
        await athlete.delete(training)
    log = await published(db)
    await volume.fold_records(log)
    for replay in (log, log[::-1], log[:5], log[5:10]):
        await volume.fold_records(replay)
        for table in ("session_volume", "exercise_volume", "daily_volume", "weekly_volume", "monthly_volume", "sets"):
            assert await one(db, f"SELECT count(*) FROM analytics.{table}") == 0
    await assert_folded(db)


async def test_late_versions_meet_their_guard(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    """A deletion that arrives first is remembered, though there was nothing to delete."""
    training = await athlete.create(exercises=[squat()])
    await athlete.delete(training)
    created, deleted = await published(db)
    await volume.fold_records([deleted])
    await volume.fold_records([created])
    assert await db.all("SELECT version, deleted, counted, sets FROM analytics.folded_trainings") == [
        (2, True, False, 0)
    ]
    await assert_folded(db)


async def test_a_planned_training_leaves_only_its_guard(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    training = await athlete.create(status="PLANNED", exercises=[squat()])
    await volume.fold_log()
    assert await one(db, "SELECT count(*) FROM analytics.daily_volume") == 0
    assert await one(db, "SELECT count(*) FROM analytics.exercise_volume") == 0
    await athlete.update(training, status="COMPLETED", exercises=[squat()])
    await volume.fold_log()
    assert await one(db, "SELECT sessions FROM analytics.daily_volume") == 1
    await assert_folded(db)


async def test_two_folds_of_the_same_users_at_the_same_time(
    db: Database, catalogue: Catalogue, database_urls: DatabaseUrls
) -> None:
    """Neither a deadlock nor a day that misses what the other fold wrote."""
    other = Database(database_urls.worker)
    athletes = [Athlete(db, catalogue) for _ in range(6)]
    for athlete in athletes:
        for _ in range(8):
            training = await athlete.create(date="2026-01-05T12:00:00Z", exercises=[squat()])
            await athlete.update(training, date="2026-01-06T12:00:00Z", exercises=[squat(reps=3)])
    log = await published(db)
    draw = random.Random(5)
    folds = [VolumeFold(db, TOPIC), VolumeFold(other, TOPIC), VolumeFold(db, TOPIC), VolumeFold(other, TOPIC)]

    async def deliver(fold: VolumeFold) -> None:
        mine = draw.sample(log, len(log))
        while mine:
            size = draw.randint(1, 9)
            await fold.fold_records(mine[:size])
            mine = mine[size:]

    await asyncio.gather(*map(deliver, folds))
    await assert_folded(db)
    assert await one(db, "SELECT count(*) FROM analytics.daily_volume") == 6
    await other.close()


async def test_a_fold_waits_for_another_of_the_same_user(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    """Else the day's sum would miss the training that the other has stored and not yet committed."""
    for _ in range(2):
        await athlete.create(exercises=[squat()])
    first, second = await published(db)
    async with db.transaction() as cursor:
        await fold_into(cursor, [fold(TrainingEvent.model_validate_json(first.value), {}, 1)])
        waiting = asyncio.create_task(volume.fold_records([second]))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    await waiting
    assert await one(db, "SELECT sessions FROM analytics.daily_volume") == 2
    await assert_folded(db)


async def test_a_batch_is_one_statement(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    for _ in range(20):
        await athlete.create(exercises=[squat(), squat(exercise="pistol-squat")])
    log = await published(db)
    await volume.fold_records(log[:1])  # the first event that names a movement has the catalogue read
    before = db.statements
    await volume.fold_records(log)
    assert db.statements - before == 1


async def test_rows_that_should_not_be_there_are_in_nobodys_way(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    """A table that somebody spoilt is no reason to give up events."""
    await athlete.create(exercises=[squat(), squat()])
    await volume.fold_log()
    await db.execute("DELETE FROM analytics.folded_trainings")
    await volume.fold_log()
    assert volume.health.dead_letters == 0
    await assert_folded(db)


async def test_what_is_no_event_is_set_aside_and_the_fold_goes_on(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    await athlete.create(exercises=[squat()])
    (good,) = await published(db)
    event = orjson.loads(good.value)
    training = {"training_id": str(uuid4()), "version": 1}
    unreadable = orjson.dumps({**event, "payload": {**event["payload"], "exercises": "none"}})
    with_nul = {**event, "payload": {**event["payload"], **training, "timezone": "U\0C"}}
    too_late = {**event, "payload": {**event["payload"], **training, "version": 2**31}}
    event_id = uuid4()
    await volume.fold_records(
        [
            record(b"{", 1),
            record(unreadable, 2, (("ce_id", str(event_id).encode()),)),
            record(orjson.dumps(with_nul), 3),
            good,
            record(orjson.dumps(too_late), 4),
            record(None, 5),
            record(orjson.dumps({"event_type": "user_erased"}), 6),
            record(b"[]", 7),
            record(good.value.replace(b'"reps":5', b'"reps":5,"tempo":"slowly"'), 8),
            record(good.value.replace(b'"weight":100', b'"weight":NaN'), 9),
        ]
    )
    letters = await db.all('SELECT topic, partition, "offset", event_id FROM analytics.dead_letters ORDER BY 3')
    assert letters == [(TOPIC, 3, 1, None), (TOPIC, 3, 2, event_id), *((TOPIC, 3, n, None) for n in (3, 4, 7, 8, 9))]
    assert bytes(await one(db, """SELECT value FROM analytics.dead_letters WHERE "offset" = 1""")) == b"{"
    assert await one(db, "SELECT count(*) FROM analytics.session_volume") == 1
    assert volume.health.dead_letters == 7
    await assert_folded(db)


async def test_a_dead_letter_tells_no_personal_data_in_its_error(db: Database, volume: VolumeFold) -> None:
    await volume.fold_records([record(b'{"event_type": "training_created", "timestamp": "secret"}')])
    error = await one(db, "SELECT error FROM analytics.dead_letters")
    assert "secret" not in error
    assert "payload: Field required" in error


async def test_an_event_without_its_place_in_the_log_is_folded(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    await athlete.create(exercises=[squat()])
    (event,) = await published(db)
    await volume.fold_records([replace(event, headers=())])
    assert await db.all("SELECT source_seq, sets FROM analytics.session_volume") == [(None, 1)]


async def test_a_batch_is_acknowledged_once_it_is_stored(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    for _ in range(3):
        await athlete.create(exercises=[squat()])
    seen: list[int] = []

    async def count() -> None:
        seen.append(await one(db, "SELECT count(*) FROM analytics.session_volume"))

    log = await published(db)
    await volume.run(stream(Batch(log[:2], count), Batch(log[2:], count)))
    assert seen == [2, 3]


async def test_the_parts_of_a_large_batch_are_acknowledged_together(
    db: Database, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.volume, "PART", 2)
    for _ in range(5):
        await athlete.create(exercises=[squat()])
    batch = Batch(await published(db))
    await volume.run(stream(batch))
    assert batch.acknowledged
    assert volume.health.events == 5
    await assert_folded(db)


async def test_what_fails_is_tried_again_and_not_acknowledged_before(
    db: Database, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.folding, "FIRST_PAUSE", 0.001)
    await athlete.create(exercises=[squat()])
    batch = Batch(await published(db))
    attempts = 0
    store = agents.volume.fold

    async def failing(*arguments: Any) -> Any:
        nonlocal attempts
        attempts += 1
        assert not batch.acknowledged
        if attempts == 1:
            raise DatabaseUnavailable("PostgreSQL cannot be reached right now.")
        if attempts == 2:
            raise RuntimeError("a fault of ours")
        return await store(*arguments)

    monkeypatch.setattr(agents.volume, "fold", failing)
    await volume.run(stream(batch))
    assert batch.acknowledged
    assert (attempts, volume.health.failures) == (3, 2)
    await assert_folded(db)


async def test_an_ended_agent_acknowledges_nothing_that_is_not_stored(
    db: Database, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    await athlete.create(exercises=[squat()])
    batch = Batch(await published(db))
    storing = asyncio.Event()

    async def stuck(*_: Any) -> int:
        storing.set()
        return await asyncio.Event().wait()

    monkeypatch.setattr(agents.volume, "fold", stuck)
    task = asyncio.create_task(volume.run(stream(batch)))
    await storing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not batch.acknowledged


async def test_a_new_revision_of_a_movement_is_read_when_an_event_names_it(
    db: Database, athlete: Athlete, volume: VolumeFold, database_urls: DatabaseUrls
) -> None:
    exercises = [{"name": "x", "exercise": "pistol-squat", "sets": [{"reps": 1}]}]
    await athlete.create(bodyweight_kg=100, exercises=exercises)
    await volume.fold_log()
    owner = Database(database_urls.owner)
    await owner.execute(
        """INSERT INTO exercises (slug, revision, name, category, mode, equipment, difficulty, muscles,
            secondary_muscles, bw_fraction, bw_fraction_basis, family, unilateral, easier_slugs, phases)
        SELECT slug, 2, name, category, mode, equipment, difficulty, muscles, secondary_muscles, 0.5,
               bw_fraction_basis, family, unilateral, easier_slugs, phases
        FROM exercises WHERE slug = 'pistol-squat'"""
    )
    await owner.close()
    later = Athlete(db, await read_catalogue(db))
    await later.create(bodyweight_kg=100, exercises=exercises)
    await volume.fold_log()
    loads = await db.all("SELECT system_load_kg FROM analytics.exercise_volume ORDER BY source_seq")
    assert loads[1] == (50,)
    assert loads[0] != (50,)
    await assert_folded(db)
