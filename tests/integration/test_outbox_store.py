"""The statements behind the relay, on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import psycopg2
import pytest

from models.outbox import Lease, LeaseLost, LogRow
from storage import outbox as module
from storage.database import Database
from storage.outbox import OutboxStore, ask, keep_partitions, months_ahead, published, quarantined, status
from storage.outbox_statements import PLANNER
from tests.support.databases import DatabaseUrls
from tests.support.log import append

USER = UUID("6f9619ff-8b86-4011-b42d-00c04fc964ff")
TRAINING = UUID("0197b1b2-0000-7000-8000-000000000001")


@pytest.fixture
async def relay_db(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The connections of a relay."""
    database = Database(database_urls.worker, pool_size=4, options=PLANNER)
    yield database
    await database.close()


def store_of(database: Database, owner: str = "one", *, lease: float = 5.0, batch: int = 100) -> OutboxStore:
    return OutboxStore(database, owner, lease=lease, batch=batch)


async def write(database: Database, count: int = 1, *, training_id: UUID = TRAINING, first: int = 1) -> list[int]:
    return [
        await append(database, user_id=USER, training_id=training_id, version=version)
        for version in range(first, first + count)
    ]


async def take(store: OutboxStore) -> Lease:
    taken = await store.acquire()
    assert taken is not None
    return taken.lease


async def step(store: OutboxStore, lease: Lease, *, move: bool = False) -> tuple[Lease, list[int]]:
    """Open a window and take it for published."""
    lease, batch, _ = await store.step(lease, {}, move=move)
    seqs = [row.seq for row in batch.rows]
    return replace(lease, last_seq=max([lease.last_seq, *seqs])), seqs


async def cursor_written_by(database: Database) -> object:
    return await database.one("SELECT xmin::text, fence FROM outbox_cursor")


async def test_rows_are_the_text_of_their_records(db: Database, relay_db: Database) -> None:
    await append(db, user_id=USER, training_id=TRAINING, request_id="r-1")
    _, batch, _ = await store_of(relay_db).step(await take(store_of(relay_db)), {}, move=False)
    (row,) = batch.rows
    stored = await db.one("SELECT seq, event_id::text, rfc3339(created_at), payload FROM outbox")
    assert stored is not None
    seq, event_id, created_at, payload = stored
    user, training = str(USER), str(TRAINING)
    assert row == LogRow(
        seq, "training_events", user, training, "1", event_id, "training_created", created_at, "r-1", payload
    )
    assert not batch.more


async def test_windows_hold_what_was_committed_since(db: Database, relay_db: Database) -> None:
    store = store_of(relay_db)
    lease = await take(store)
    first = await write(db, 3)
    lease, seqs = await step(store, lease)
    assert seqs == first
    second = await write(db, 2, first=4)
    lease, seqs = await step(store, lease, move=True)
    assert seqs == second
    lease, seqs = await step(store, lease, move=True)
    assert seqs == []


async def test_an_open_writer_holds_up_nobody_and_loses_nothing(db: Database, relay_db: Database) -> None:
    store = store_of(relay_db)
    lease = await take(store)
    async with db.transaction() as slow:
        early = await append(slow, user_id=USER, training_id=uuid4())
        later = await write(db, 3)
        lease, seqs = await step(store, lease)
        assert seqs == later
        last = await append(slow, user_id=USER, training_id=uuid4())
        more = await write(db, 1, first=4)
        lease, seqs = await step(store, lease, move=True)
        assert seqs == more
        lease, seqs = await step(store, lease, move=True)
        assert seqs == []
        assert (await status(db)).depth == 0
    assert (await status(db)).depth == 2
    lease, seqs = await step(store, lease, move=True)
    assert seqs == [early, last]
    assert (await step(store, lease, move=True))[1] == []


async def test_a_seq_drawn_before_the_transaction_had_its_id_is_not_lost(
    db: Database, relay_db: Database, database_urls: DatabaseUrls
) -> None:
    """The order in which a plain INSERT draws them: the smaller seq belongs to the younger transaction."""
    store = store_of(relay_db)
    lease = await take(store)
    await write(db)
    slow = psycopg2.connect(database_urls.owner)
    with slow, slow.cursor() as cursor:
        cursor.execute("SELECT nextval('outbox_seq_seq')")
        ((drawn,),) = cursor.fetchall()
        cursor.execute("SELECT pg_current_xact_id_if_assigned()")
        assert cursor.fetchall() == [(None,)]
        await write(db, 2)
        lease, seqs = await step(store, lease)
        assert len(seqs) == 3
        assert drawn < seqs[-1]
        cursor.execute(
            "INSERT INTO outbox "
            "(seq, event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, payload) "
            "OVERRIDING SYSTEM VALUE VALUES (%s, %s, 't', 'training', %s, 1, 'x', %s, 'a', '{}')",
            [drawn, str(uuid4()), str(uuid4()), str(USER)],
        )
    slow.close()
    assert (await step(store, lease, move=True))[1] == [drawn]


async def test_rollbacks_and_savepoints(db: Database, relay_db: Database) -> None:
    store = store_of(relay_db)
    lease = await take(store)
    async with db.transaction() as cursor:
        await cursor.execute("SAVEPOINT a")
        await append(cursor, user_id=USER, training_id=TRAINING)
        await cursor.execute("ROLLBACK TO a; SAVEPOINT b")
        kept = await append(cursor, user_id=USER, training_id=TRAINING)
        lease, seqs = await step(store, lease)
        assert seqs == []
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as cursor:
            await append(cursor, user_id=USER, training_id=TRAINING)
            raise ZeroDivisionError
    assert (await step(store, lease))[1] == [kept]


async def test_an_idle_look_is_one_statement_and_writes_nothing(db: Database, relay_db: Database) -> None:
    store = store_of(relay_db)
    lease = await take(store)
    await write(db)
    lease, _ = await step(store, lease)
    lease, _ = await step(store, lease, move=True)
    before, statements = await cursor_written_by(db), relay_db.statements
    for _ in range(5):
        lease, seqs = await step(store, lease)
        assert seqs == []
    assert await cursor_written_by(db) == before
    assert relay_db.statements - statements == 5


async def test_a_large_window_is_read_in_batches_of_rows_and_of_bytes(
    db: Database, relay_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seqs = await write(db, 10)
    store = store_of(relay_db, batch=4)
    lease, batch, _ = await store.step(await take(store), {}, move=False)
    read = [[row.seq for row in batch.rows]]
    while batch.more:
        batch = await store.read(lease, batch.rows[-1].seq)
        read.append([row.seq for row in batch.rows])
    assert read == [seqs[:4], seqs[4:8], seqs[8:]]

    three = [len(row.payload.encode()) for row in (await store.read(lease, 0)).rows[:3]]
    monkeypatch.setattr(module, "BATCH_BYTES", sum(three))
    batch = await store.read(lease, 0)
    assert [row.seq for row in batch.rows] == seqs[:3]
    assert batch.more
    monkeypatch.setattr(module, "BATCH_BYTES", 1)  # an event is never too large for a batch of its own
    assert [row.seq for row in (await store.read(lease, seqs[4])).rows] == [seqs[5]]


async def test_a_stored_window_is_the_same_for_whoever_comes_next(db: Database, relay_db: Database) -> None:
    first, second = store_of(relay_db, "first", lease=0.2, batch=3), store_of(relay_db, "second", batch=3)
    async with db.transaction() as slow:
        await append(slow, user_id=USER, training_id=uuid4())
        await write(db, 8)
        lease, batch, _ = await first.step(await take(first), {}, move=False)
        await first.advance(replace(lease, done_seq=batch.rows[1].seq), {})
    await write(db, 2, first=9)  # committed after the window
    assert await second.acquire() is None
    await asyncio.sleep(0.25)
    taken = await take(second)
    assert (taken.lo, taken.hi, taken.done_seq) == (lease.lo, lease.hi, batch.rows[1].seq)
    rest = await second.read(taken, taken.done_seq)
    assert rest.rows[0] == batch.rows[2]
    versions = [row.version for row in rest.rows]
    while rest.more:
        rest = await second.read(taken, rest.rows[-1].seq)
        versions += [row.version for row in rest.rows]
    assert versions == ["3", "4", "5", "6", "7", "8"]


async def test_whoever_lost_the_lease_moves_nothing(db: Database, relay_db: Database) -> None:
    old, new = store_of(relay_db, "old", lease=0.1), store_of(relay_db, "new")
    lost = await take(old)
    await asyncio.sleep(0.15)
    held = await take(new)
    assert held.fence == lost.fence + 1
    (seq,) = await write(db)
    window, batch, _ = await new.step(held, {}, move=False)
    (row,) = batch.rows
    before = await cursor_written_by(db)
    for attempt in (
        old.step(lost, {}, move=False),
        old.step(lost, {}, move=True),
        old.advance(replace(lost, done_seq=seq), {}),
        old.quarantine(lost, row, "refused"),
        old.rebase(lost),
        old.recovered(lost, 0),
    ):
        with pytest.raises(LeaseLost):
            await attempt
    await old.release(lost, {})
    assert await cursor_written_by(db) == before
    assert await quarantined(db) == []
    for attempt in (new.step(held, {}, move=True), new.advance(replace(held, done_seq=seq), {})):
        with pytest.raises(LeaseLost):  # as after a restore, which gives a fence out again
            await attempt
    await new.advance(replace(window, done_seq=seq), {})


async def test_a_released_lease_is_free_at_once_and_a_relay_takes_its_own_again(relay_db: Database) -> None:
    one, two = store_of(relay_db, "one"), store_of(relay_db, "two")
    lease = await take(one)
    assert await two.acquire() is None
    assert (await take(one)).fence == lease.fence + 1  # after an answer that was lost
    await one.release(replace(lease, fence=lease.fence + 1, done_seq=7), {"t": {"generation": 1, "offsets": {"0": 5}}})
    taken = await two.acquire()
    assert taken is not None
    assert taken.lease.done_seq == 7
    assert taken.topics == {"t": {"generation": 1, "offsets": {"0": 5}}}


async def test_many_take_the_lease_at_once_and_one_has_it(database_urls: DatabaseUrls) -> None:
    databases = [Database(database_urls.worker, options=PLANNER) for _ in range(8)]
    for _ in range(3):
        taken = await asyncio.gather(*(store_of(each, str(uuid4())).acquire() for each in databases))
        (winner,) = [each for each in taken if each is not None]
        await store_of(databases[0]).release(winner.lease, {})
    for each in databases:
        await each.close()


async def test_the_plans_use_the_indexes_even_of_a_partition_nobody_analyzed(db: Database, relay_db: Database) -> None:
    store = store_of(relay_db)
    lease = await take(store)
    await write(db)
    async with relay_db.session() as cursor:
        for statement in (module.STEP, module.READ):
            row = {"fence": 1, "move": False, "topics": "{}", "lease": 5.0, "hi": lease.hi}
            row |= store._place("5:9:5,6", top=7, after=0)
            await cursor.execute(statement, row)
            plan = await cursor.all(f"EXPLAIN {statement.plain if cursor.pooled else statement.execute}", row)
            text = "\n".join(line for (line,) in plan)
            assert "Seq Scan on outbox_2" not in text
            assert text.count("_xid_seq_idx") >= 2 * 4
            assert text.count("_seq_idx") >= 3 * 4
            if not cursor.pooled:
                await cursor.execute(f"DEALLOCATE {statement.name}")


async def test_status_says_what_waits(db: Database, relay_db: Database) -> None:
    store = store_of(relay_db, "host/1")
    await write(db, 3)
    await asyncio.sleep(0.05)
    now = await status(db)
    assert (now.depth, now.owner, now.epoch, now.quarantined, now.recovering) == (3, "", 1, 0, False)
    assert 0.05 <= now.lag < 60
    assert now.lease_left < 0
    lease, batch, _ = await store.step(await take(store), {}, move=False)
    await store.advance(replace(lease, done_seq=batch.rows[1].seq), {"t": {"generation": 2, "offsets": {}}})
    now = await status(db)
    assert (now.depth, now.owner, now.generations) == (1, "host/1", {"t": 2})
    assert 0 < now.lease_left <= 5
    await step(store, replace(lease, last_seq=batch.rows[-1].seq), move=True)
    now = await status(db)
    assert (now.depth, now.lag) == (0, 0.0)


async def test_a_refused_event_is_held_asked_for_and_settled(db: Database, relay_db: Database) -> None:
    store = store_of(relay_db)
    other = uuid4()
    seqs = await write(db, 3)
    await write(db, 1, training_id=other)
    lease, batch, asked = await store.step(await take(store), {}, move=False)
    assert not asked
    refused = batch.rows[1]
    await store.quarantine(lease, refused, "too large")
    taken = await store.acquire()
    assert taken is not None
    lease = taken.lease
    assert taken.held == {(str(USER), str(TRAINING)): seqs[1]}
    (held,) = await quarantined(db)
    assert (held.seq, held.user_id, held.version, held.state, held.error) == (
        seqs[1],
        str(USER),
        2,
        "held",
        "too large",
    )
    assert (await status(db)).quarantined == 1

    assert await ask(db, "retry", seq=seqs[0], asked_by="me", reason="") == 0
    assert await ask(db, "retry", seq=seqs[1], asked_by="me", reason="the limit was raised") == 1
    await write(db, 1, first=4)  # in no window yet
    lease, batch, asked = await store.step(replace(lease, last_seq=seqs[-1] + 1), {}, move=True)
    assert asked
    wanted = await store.asked()
    assert wanted is not None
    assert [row.version for row in await store.passed(lease, wanted)] == ["2", "3", "4"]
    assert [row.version for row in await store.passed(lease, wanted._replace(state="skip"))] == ["3", "4"]
    await store.settle(lease, wanted)
    assert await store.asked() is None
    assert await quarantined(db) == []
    row = await db.one("SELECT state, asked_by, reason, settled_at IS NOT NULL FROM outbox_quarantine")
    assert row == ("published", "me", "the limit was raised", True)

    await store.quarantine(lease, batch.rows[0], "still too large")
    assert await ask(db, "skip", seq=None, asked_by="me", reason="a test's") == 1
    wanted = await store.asked()
    assert wanted is not None
    await store.settle(lease, wanted)
    assert await db.one("SELECT state FROM outbox_quarantine WHERE seq = %s", [wanted.seq]) == ("skipped",)


async def all_published(database: Database, **what: object) -> list[int]:
    return [row.seq async for rows in published(database, batch=2, **what) for row in rows]  # type: ignore[arg-type]


async def test_published_is_what_a_replay_may_repeat(db: Database, relay_db: Database) -> None:
    store = store_of(relay_db)
    other = uuid4()
    mine, others = await write(db, 3), await write(db, 3, training_id=other)
    assert await all_published(db) == []
    lease, batch, _ = await store.step(await take(store), {}, move=False)
    await store.advance(replace(lease, done_seq=mine[1]), {})
    assert await all_published(db) == mine[:2]
    await store.quarantine(lease, batch.rows[4], "refused")
    lease, _ = await step(store, replace(lease, last_seq=others[-1]), move=True)
    waiting = await write(db, 1, first=4)
    assert await all_published(db) == [*mine, others[0]]
    assert await all_published(db, user_id=USER) == [*mine, others[0]]
    assert await all_published(db, user_id=uuid4()) == []
    assert await all_published(db, training_id=other) == [others[0]]
    moment = await db.one("SELECT created_at FROM outbox WHERE seq = %s", [mine[2]])
    assert moment is not None
    assert await all_published(db, since=moment[0]) == [mine[2], others[0]]
    assert await all_published(db, until=moment[0]) == mine[:2]

    await ask(db, "skip", seq=others[1], asked_by="me", reason="")
    wanted = await store.asked()
    assert wanted is not None
    await store.settle(lease, wanted)
    lease, seqs = await step(store, lease, move=True)
    assert seqs == waiting
    await step(store, lease, move=True)
    assert await all_published(db) == [*mine, others[0], others[2], *waiting]


async def test_partitions_are_kept_ahead(db: Database, database_urls: DatabaseUrls) -> None:
    assert await keep_partitions(db, 3) == []
    assert await months_ahead(db) == 3
    assert len(await keep_partitions(db, 5)) == 2
    assert await months_ahead(db) == 5
    async with db.transaction() as writer:  # an open writer is in nobody's way
        await append(writer, user_id=USER, training_id=TRAINING)
        assert len(await keep_partitions(db, 6)) == 1
        await write(db)
    connection = psycopg2.connect(database_urls.owner)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname ~ '^outbox_20.._..$' ORDER BY relname")
        (last,) = cursor.fetchall()[-1]
        cursor.execute(f"DROP TABLE {last}")
    connection.close()
    assert await months_ahead(db) == 5
