"""How far the fold is: freshness, the mark that makes it quick to tell, and catching up from the log."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

import agents.volume
from agents.insights import InsightsFold
from agents.volume import VolumeFold
from models.exercises import Catalogue
from storage.database import Database
from storage.fold_state import advance, read_freshness, read_unfolded
from tests.support.athletes import TOPIC, Athlete, published
from tests.support.bodies import squat
from tests.support.databases import DatabaseUrls
from tests.support.insights import INSIGHTS
from tests.support.log import append


@pytest.fixture
def volume(db: Database) -> VolumeFold:
    return VolumeFold(db, TOPIC)


@pytest.fixture
def athlete(db: Database) -> Athlete:
    return Athlete(db, Catalogue({}, {}))


@pytest.fixture
async def owner(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.owner)
    yield database
    await database.close()


async def mark(database: Database) -> int:
    row = await database.one("SELECT folded_seq FROM analytics.fold_state")
    assert row is not None
    return int(row[0])


async def missing(database: Database) -> list[int]:
    row = await database.one("SELECT missing FROM analytics.fold_state")
    assert row is not None
    return list(row[0])


async def topic_made(owner: Database, times: int) -> None:
    """As the relay notes it."""
    topics = f'{{"{TOPIC}": {{"generation": {times}, "offsets": {{}}}}}}'
    await owner.execute("UPDATE outbox_cursor SET topics = %s", [topics])


async def test_freshness(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    empty = await read_freshness(db)
    assert (empty.behind, empty.log_seq, empty.folded_seq, empty.lag_seconds, empty.dead_letters) == (0, 0, 0, 0, 0)
    for _ in range(3):
        await athlete.create(exercises=[squat()])
    events = await published(db)
    accepted = [row[0] for row in await db.all("SELECT created_at FROM outbox ORDER BY seq")]
    behind = await read_freshness(db)
    assert (behind.behind, behind.folded_seq, behind.as_of) == (3, events[0].offset - 1, accepted[0])
    assert behind.lag_seconds > 0
    await volume.fold_records([events[0], events[2]])
    marked = await read_freshness(db)
    assert (marked.as_of, marked.stale_users) == (accepted[0], 1)  # load and records lack it
    await InsightsFold(db, INSIGHTS).run_due()
    gap = await read_freshness(db)
    assert (gap.behind, gap.folded_seq, gap.log_seq) == (1, events[0].offset, events[2].offset)
    assert gap.as_of == accepted[1]
    await volume.fold_records([events[1]])
    await InsightsFold(db, INSIGHTS).run_due()
    done = await read_freshness(db)
    assert (done.behind, done.folded_seq, done.lag_seconds) == (0, events[2].offset, 0)
    assert done.as_of > accepted[2]


async def test_a_newer_version_settles_the_older_ones(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    training = await athlete.create(exercises=[squat()])
    await athlete.update(training, exercises=[squat()])
    await volume.fold_records((await published(db))[1:])
    assert (await read_freshness(db)).behind == 0


async def test_the_mark_passes_over_what_is_missing_and_remembers_it(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    """So that one event that waits for days, in quarantine, makes nothing slow."""
    for _ in range(4):
        await athlete.create(exercises=[squat()])
    events = await published(db)
    await volume.fold_records([events[0], events[2]])
    for _ in range(3):
        await advance(db)
    assert (await mark(db), await missing(db)) == (events[3].offset, [events[1].offset, events[3].offset])
    freshness = await read_freshness(db)
    assert (freshness.behind, freshness.folded_seq) == (2, events[0].offset)
    assert [event.offset for event in await read_unfolded(db, 0, 10)] == [events[1].offset, events[3].offset]
    await volume.fold_records([events[1]])
    await advance(db)
    assert await missing(db) == [events[3].offset]
    assert await volume.fold_log() == 1
    await advance(db)
    assert await missing(db) == []
    assert (await read_freshness(db)).folded_seq == events[3].offset


async def test_the_mark_stops_where_too_much_is_missing(db: Database, volume: VolumeFold) -> None:
    first = await append(db, user_id=uuid4(), training_id=uuid4())
    await db.execute(
        """INSERT INTO outbox
            (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, payload)
        SELECT gen_random_uuid(), topic, aggregate_type, gen_random_uuid(), 1, event_type, user_id, actor, payload
        FROM outbox, generate_series(1, 1500)"""
    )
    for _ in range(3):
        await advance(db)
    assert (await mark(db), len(await missing(db))) == (first + 999, 1000)
    assert (await read_freshness(db)).behind == 1501


async def test_the_mark_never_passes_an_event_that_is_not_committed_yet(db: Database, volume: VolumeFold) -> None:
    """Its seq is smaller than those of events that were committed, and folded, before it."""
    async with db.transaction() as late:
        seq = await append(late, user_id=uuid4(), training_id=uuid4())
        for _ in range(4):
            assert await append(db, user_id=uuid4(), training_id=uuid4()) > seq
            await volume.fold_log()
            await advance(db)
            assert await mark(db) < seq
    assert [event.offset for event in await read_unfolded(db, 0, 10)] == [seq]
    assert (await read_freshness(db)).behind == 1
    await volume.fold_log()
    for _ in range(3):
        await advance(db)
    assert await mark(db) == seq + 4


async def test_the_mark_goes_on_beside_an_older_transaction_once_that_has_ended(
    db: Database, volume: VolumeFold
) -> None:
    async with db.transaction() as long:
        await long.execute("SELECT pg_current_xact_id()")
        seq = await append(db, user_id=uuid4(), training_id=uuid4())
        await volume.fold_log()
        for _ in range(4):
            await advance(db)
        assert await mark(db) == 0
        assert (await read_freshness(db)).behind == 0
    for _ in range(2):
        await advance(db)
    assert await mark(db) == seq


async def test_a_mark_from_another_cluster_is_noted_anew(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    """After a restore the xid in it lies in the future."""
    await athlete.create(exercises=[squat()])
    await volume.fold_log()
    await db.execute("UPDATE analytics.fold_state SET next_xid = '1000000000'")
    for _ in range(2):
        await advance(db)
    assert await mark(db) == 1


async def test_nothing_new_is_nothing_written(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    await athlete.create(exercises=[squat()])
    await volume.fold_log()
    for _ in range(3):
        await volume.catch_up()
    before = await db.all("SELECT xmin, ctid FROM analytics.fold_state")
    xid = await db.all("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    for _ in range(5):
        await volume.catch_up()
    assert await db.all("SELECT xmin, ctid FROM analytics.fold_state") == before
    assert await db.all("SELECT pg_snapshot_xmax(pg_current_snapshot())") == xid


async def test_workers_move_the_mark_together(db: Database, database_urls: DatabaseUrls, volume: VolumeFold) -> None:
    """Whoever moves it: an event that is not folded stays in sight."""
    other = Database(database_urls.worker)
    for _ in range(10):
        async with db.transaction() as late:
            seq = await append(late, user_id=uuid4(), training_id=uuid4())
            await append(other, user_id=uuid4(), training_id=uuid4())
            await volume.fold_log()
            await asyncio.gather(*(advance(database) for database in (db, other, other, db, other)))
        assert [event.offset for event in await read_unfolded(db, 0, 10)] == [seq]
        await asyncio.gather(volume.fold_log(), *(advance(database) for database in (db, other, other)))
    for _ in range(3):
        await advance(db)
    assert await mark(db) == (await read_freshness(db)).log_seq
    await other.close()


async def test_the_log_is_folded_once_for_each_generation_of_the_topic(
    db: Database, owner: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    await athlete.create(exercises=[squat()])
    await volume.catch_up()
    assert (await read_freshness(db)).behind == 1  # the agent's work, as long as the topic is there
    await topic_made(owner, 1)
    await volume.catch_up()
    assert (await read_freshness(db)).behind == 0
    await athlete.create(exercises=[squat()])
    await volume.catch_up()
    assert (await read_freshness(db)).behind == 1
    await topic_made(owner, 2)
    await asyncio.gather(volume.catch_up(), volume.catch_up(), VolumeFold(db, TOPIC).catch_up())
    assert (await read_freshness(db)).behind == 0
    assert await db.all("SELECT generation FROM analytics.fold_state") == [(2,)]


async def test_what_never_came_by_the_topic_is_folded_from_the_log_in_the_end(
    db: Database, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    await athlete.create(exercises=[squat()])
    await volume.fold_missed()
    assert (await read_freshness(db)).behind == 1  # it may be on its way
    monkeypatch.setattr(agents.volume, "MISSED_AFTER", 0.0)
    await volume.fold_missed()
    assert (await read_freshness(db)).behind == 0


async def test_a_catching_up_that_fails_is_done_again(
    db: Database, owner: Database, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    await athlete.create(exercises=[squat()])
    await topic_made(owner, 1)

    async def fail(*_: object) -> int:
        raise RuntimeError("away")

    with monkeypatch.context() as patch:
        patch.setattr(agents.volume, "fold", fail)
        with pytest.raises(RuntimeError, match="away"):
            await volume.catch_up()
    await volume.catch_up()
    assert (await read_freshness(db)).behind == 0


async def test_the_log_is_folded_in_parts(
    db: Database, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.volume, "PART", 2)
    for _ in range(5):
        await athlete.create(exercises=[squat()])
    assert await volume.fold_log() == 5
    assert await volume.fold_log() == 0


async def test_a_dead_letter_of_the_log_is_met_once(db: Database, volume: VolumeFold) -> None:
    seq = await append(db, user_id=uuid4(), training_id=uuid4(), exercises="none")
    assert await volume.fold_log() == 1
    assert await volume.fold_log() == 0
    freshness = await read_freshness(db)
    assert (freshness.behind, freshness.dead_letters) == (0, 1)
    assert await db.all('SELECT topic, partition, "offset" FROM analytics.dead_letters') == [(TOPIC, -1, seq)]
