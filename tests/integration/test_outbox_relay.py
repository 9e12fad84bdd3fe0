"""The relay on PostgreSQL, under writers that do what writers do: I1 to I4, whatever happens to the relays."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psycopg2
import psycopg2.errors
import pytest

from storage.database import Database
from storage.outbox import ask, status
from tests.support.databases import DatabaseUrls
from tests.support.invariants import compare, read_log
from tests.support.load import until
from tests.support.log import append
from tests.support.relays import MemoryTopic, RelayProcess

TOPIC = "training_events"
USERS = [UUID(int=number) for number in range(1, 6)]
TRAININGS = [(USERS[number % len(USERS)], uuid4()) for number in range(12)]


@dataclass
class Writers:
    """Writers that lock a training, append its next event, and commit, now or later, or not at all."""

    database: Database
    count: int = 10
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    async def __aenter__(self) -> "Writers":
        self.tasks = [asyncio.create_task(self._write()) for _ in range(self.count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopped.set()
        await asyncio.gather(*self.tasks)

    async def _write(self) -> None:
        while not self.stopped.is_set():
            user, training = self.dice.choice(TRAININGS)
            slow = self.dice.random() < 0.05
            try:
                async with self.database.transaction() as cursor:
                    if self.dice.random() < 0.3:
                        await cursor.execute("SELECT pg_current_xact_id()")  # its id comes long before its event
                        await asyncio.sleep(self.dice.random() * 0.05)
                    await cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [str(training)])
                    row = await cursor.one(
                        "SELECT coalesce(max(version), 0) + 1 FROM outbox WHERE user_id = %s AND aggregate_id = %s",
                        [user, training],
                    )
                    assert row is not None
                    await append(cursor, user_id=user, training_id=training, version=row[0])
                    await asyncio.sleep(self.dice.random() * (0.5 if slow else 0.005))
                    if self.dice.random() < 0.05:
                        await cursor.execute("SELECT 1 / 0")
            except psycopg2.errors.DivisionByZero:
                continue


class Naive:
    """A reader that has only a cursor over seq."""

    def __init__(self, database: Database, condition: str) -> None:
        self._database = database
        self._sql = f"SELECT seq FROM outbox WHERE seq > %s {condition} ORDER BY seq"
        self.seqs: list[int] = []

    async def poll(self) -> None:
        last = self.seqs[-1] if self.seqs else 0
        self.seqs += [row[0] for row in await self._database.all(self._sql, [last])]


@pytest.fixture
async def writer_db(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """Connections of the writers."""
    database = Database(database_urls.worker, pool_size=14)
    yield database
    await database.close()


async def drained(database: Database, within: float = 10.0) -> None:
    """Wait until nothing waits (I5)."""

    async def empty() -> bool:
        return (await status(database)).depth == 0

    await until(empty, within, "nothing waits")


async def test_nothing_is_lost_or_inverted_while_relays_are_killed(
    db: Database, writer_db: Database, database_urls: DatabaseUrls
) -> None:
    topic = MemoryTopic(mishaps=0.05)
    naive = Naive(db, "")
    cautious = Naive(db, "AND xid < pg_snapshot_xmin(pg_current_snapshot())")
    relays = [RelayProcess(database_urls.worker, topic, f"relay {number}").start() for number in range(2)]
    kills = 0
    async with Writers(writer_db):
        for turn in range(300):
            await asyncio.gather(naive.poll(), cautious.poll())
            await asyncio.sleep(0.01)
            if turn % 30 == 29:  # whoever leads
                (victim,) = [relay for relay in relays if relay.relay.leads][:1] or relays[:1]
                await victim.kill()
                kills += 1
                relays.remove(victim)
                relays.append(RelayProcess(database_urls.worker, topic, f"relay after {turn}").start())
    await drained(db)
    for relay in relays:
        await relay.kill()

    log = read_log(database_urls.owner, TOPIC)
    verdict = compare(log, topic.records)
    assert len(log) > 100  # as many as the machine writes meanwhile
    assert verdict.violations == ()
    mishaps = len(topic.batches)  # each can repeat what it did not hear of
    assert verdict.duplicates <= 50 * (kills + mishaps)
    # The same writers show what is wrong with cursors over seq: the test can tell.
    await asyncio.gather(naive.poll(), cautious.poll())
    everything = {row[0] for row in await db.all("SELECT seq FROM outbox")}
    assert everything - set(naive.seqs)
    assert everything - set(cautious.seqs)


async def fill(database: Database, versions: range) -> None:
    """Five trainings, each with these versions."""
    for version in versions:
        for user in USERS:
            await append(database, user_id=user, training_id=UUID(int=user.int + 100), version=version)


async def test_after_a_crash_one_batch_comes_again_to_the_byte(db: Database, database_urls: DatabaseUrls) -> None:
    topic = MemoryTopic()
    await fill(db, range(1, 21))
    first = RelayProcess(database_urls.worker, topic, "first", batch=20)
    first.producer.dies_after = 3
    await first.start().ended()
    await fill(db, range(21, 23))  # committed after the window was stored
    second = RelayProcess(database_urls.worker, topic, "second", batch=20).start()
    await drained(db)
    await second.kill()
    await first.kill()
    verdict = compare(read_log(database_urls.owner, TOPIC), topic.records)
    assert verdict.violations == ()
    assert verdict.duplicates == 20
    assert topic.batches[3] == topic.batches[2]


async def test_at_most_three_round_trips_for_a_batch(db: Database, database_urls: DatabaseUrls) -> None:
    topic = MemoryTopic()
    relay = RelayProcess(database_urls.worker, topic, "only", batch=10)
    await relay.relay.drain()
    await fill(db, range(1, 21))
    before = relay.database.statements
    await relay.relay.drain()
    large = relay.database.statements - before
    assert len(topic.batches) == 10
    assert large <= 3 * 10
    for version in range(21, 26):
        await fill(db, range(version, version + 1))
        before = relay.database.statements
        await relay.relay.drain()
        assert relay.database.statements - before <= 3
    assert len(topic.batches) == 15
    await relay.kill()


async def test_an_open_writer_does_not_hold_up_the_relay(db: Database, database_urls: DatabaseUrls) -> None:
    topic = MemoryTopic()
    relay = RelayProcess(database_urls.worker, topic, "only")
    async with db.transaction() as slow:
        waiting = await append(slow, user_id=USERS[0], training_id=uuid4())
        for version in range(1, 11):
            await fill(db, range(version, version + 1))
            await relay.relay.drain()
            assert len(topic.records) == 5 * version
            assert waiting not in topic.seqs()
    await relay.relay.drain()
    assert waiting in topic.seqs()
    await relay.kill()


async def test_a_refused_event_through_all_its_states(db: Database, database_urls: DatabaseUrls) -> None:
    topic = MemoryTopic()
    relay = RelayProcess(database_urls.worker, topic, "only")
    poisoned = UUID(int=USERS[0].int + 100)
    topic.poison = {str(poisoned)}
    await fill(db, range(1, 4))
    await relay.relay.drain()
    assert len(topic.records) == 12
    assert (await status(db)).quarantined == 1
    topic.poison = set()
    assert await ask(db, "retry", seq=None, asked_by="me", reason="it fits now") == 1
    await relay.relay.drain()
    await fill(db, range(4, 5))
    await relay.relay.drain()
    verdict = compare(read_log(database_urls.owner, TOPIC), topic.records)
    assert (verdict.violations, verdict.events, verdict.duplicates) == ((), 20, 0)
    assert (await status(db)).quarantined == 0
    await relay.kill()


async def test_a_refused_event_holds_nothing_of_another_user(db: Database, database_urls: DatabaseUrls) -> None:
    """Ids are each user's own: two users may have given the same one."""
    topic = MemoryTopic()
    relay = RelayProcess(database_urls.worker, topic, "only")
    same, (refused, other) = uuid4(), USERS[:2]
    topic.poison = {str(refused)}
    for version in (1, 2):
        for user in (refused, other):
            await append(db, user_id=user, training_id=same, version=version)
    await relay.relay.drain()
    assert [record.key for record in topic.records] == [str(other).encode()] * 2
    topic.poison = set()
    assert await ask(db, "retry", seq=None, asked_by="me", reason="it fits now") == 1
    await relay.relay.drain()
    for user in (refused, other):
        records = [record for record in topic.records if record.key == str(user).encode()]
        assert [record.event["payload"]["version"] for record in records] == [1, 2]
    await relay.kill()


def move_to_another_cluster(owner_url: str, shift: int | None) -> None:
    """What a dump and restore leaves: the same rows, in a cluster that counts its transactions from elsewhere.

    `shift` None: the other cluster had begun to count where this one did, and had come less far.
    """
    connection = psycopg2.connect(owner_url)
    with connection, connection.cursor() as cursor:
        if shift is None:
            cursor.execute("SELECT 3 - min(xid::text::bigint) FROM outbox")
            ((shift,),) = cursor.fetchall()
        cursor.execute("UPDATE outbox SET xid = (xid::text::bigint + %s)::text::xid8", [shift])
        cursor.execute("SELECT lo::text, hi::text FROM outbox_cursor")
        ((lo, hi),) = cursor.fetchall()
        cursor.execute(
            # Clocks differ by an hour at most: the last move lies that far ahead, so that no time is repeated.
            "UPDATE outbox_cursor SET lo = %s, hi = %s, system_identifier = 1, moved_at = clock_timestamp() + '1 hour'",
            [_shifted(lo, shift), _shifted(hi, shift)],
        )
    connection.close()


def _shifted(snapshot: str, shift: int) -> str:
    xmin, xmax, xip = snapshot.split(":")
    numbers = [str(max(int(number) + shift, 3)) for number in xip.split(",") if number]
    return f"{max(int(xmin) + shift, 3)}:{max(int(xmax) + shift, 3)}:{','.join(numbers)}"


@pytest.mark.parametrize("shift", [10**9, None])
async def test_a_restored_log_goes_on_where_it_was(
    db: Database, database_urls: DatabaseUrls, shift: int | None
) -> None:
    topic = MemoryTopic()
    relay = RelayProcess(database_urls.worker, topic, "old", batch=10)
    async with db.transaction() as slow:
        await append(slow, user_id=USERS[0], training_id=UUID(int=1))
        await fill(db, range(1, 4))
        await relay.relay.drain()
    await fill(db, range(4, 9))
    relay.producer.dies_after = len(topic.batches) + 2
    await relay.start().ended()
    await relay.kill()
    published = len(topic.records)
    assert published < 41

    move_to_another_cluster(database_urls.owner, shift)
    await fill(db, range(9, 11))  # before any relay has looked
    relay = RelayProcess(database_urls.worker, topic, "new", batch=10)
    await asyncio.sleep(1.0)  # the old one's lease
    async with db.transaction() as slow:  # and under way while it looks
        await append(slow, user_id=USERS[1], training_id=UUID(int=2))
        relay.start()
        await asyncio.sleep(0.3)
        await db.execute("SELECT 1")
    await fill(db, range(11, 13))
    await drained(db)
    verdict = compare(read_log(database_urls.owner, TOPIC), topic.records)
    assert verdict.violations == ()
    assert verdict.duplicates <= 10
    now = await status(db)
    assert (now.epoch, now.recovering, now.depth) == (2, False, 0)
    assert relay.relay.state.epoch == 2

    await fill(db, range(13, 15))
    await drained(db)
    await relay.kill()
    again = compare(read_log(database_urls.owner, TOPIC), topic.records)
    assert again.violations == ()
    assert again.duplicates == verdict.duplicates


async def test_a_promotion_begins_an_epoch_and_repeats_nothing(db: Database, database_urls: DatabaseUrls) -> None:
    topic = MemoryTopic()
    relay = RelayProcess(database_urls.worker, topic, "only")
    await fill(db, range(1, 3))
    await relay.relay.drain()
    await relay.relay.drain()
    connection = psycopg2.connect(database_urls.owner)
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_cursor SET timeline = timeline + 7")
    connection.close()
    await fill(db, range(3, 4))
    await relay.relay.drain()  # notices
    await relay.relay.drain()
    assert relay.relay.state.epoch == 2
    verdict = compare(read_log(database_urls.owner, TOPIC), topic.records)
    assert (verdict.violations, verdict.events, verdict.duplicates) == ((), 15, 0)
    await relay.kill()


async def test_a_frozen_relay_wakes_up_without_the_lease(db: Database, database_urls: DatabaseUrls) -> None:
    topic = MemoryTopic()
    zombie = RelayProcess(database_urls.worker, topic, "zombie", batch=5).start()
    await fill(db, range(1, 2))
    await drained(db)
    zombie.process.frozen = True
    other = RelayProcess(database_urls.worker, topic, "other", batch=5).start()
    await fill(db, range(2, 9))
    await drained(db)
    assert other.relay.leads
    zombie.process.frozen = False
    await fill(db, range(9, 12))
    await drained(db)
    await until(lambda: not zombie.relay.leads, 5, "it knows")
    for relay in (zombie, other):
        await relay.kill()
    verdict = compare(read_log(database_urls.owner, TOPIC), topic.records)
    assert verdict.violations == ()
    assert verdict.duplicates <= 5
