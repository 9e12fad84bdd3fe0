"""The feed's cursors, and its pages over a simulated database: nothing is lost, nothing comes twice."""

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import models.changes
from models.changes import Cursor, Snapshot
from models.errors import CursorExpired
from storage.change_statements import BEGIN, CHANGES, GROUP, STATE
from storage.changes import ChangePage, Changes

USER = UUID("6f9619ff-8b86-4011-b42d-00c04fc964ff")
PLACE = "0123456789ab"
NOW = datetime(2026, 1, 5, tzinfo=UTC)

_xids = st.integers(3, 200)


@st.composite
def snapshots(draw: st.DrawFn, xmax: st.SearchStrategy[int] = _xids) -> Snapshot:
    top = draw(xmax)
    return Snapshot(top, tuple(sorted(draw(st.sets(st.integers(3, top - 1))))) if top > 3 else ())


@given(snapshots())
def test_a_snapshot_is_read_and_written_as_postgresql_does(snapshot: Snapshot) -> None:
    assert Snapshot.of(str(snapshot)) == snapshot
    assert Snapshot.of("10:20:10,14,15") == Snapshot(20, (10, 14, 15))
    assert str(Snapshot(20)) == "20:20:"
    assert [xid for xid in range(1, 210) if snapshot.sees(xid)] == [
        xid for xid in range(1, snapshot.xmax) if xid not in snapshot.running
    ]


@given(st.data())
def test_an_advanced_snapshot_sees_what_either_did(data: st.DataObject) -> None:
    before = data.draw(snapshots())
    xmax = data.draw(st.integers(before.xmax, 210))
    begun = set(range(before.xmax, xmax))  # since, of which any may be running; and of the old ones those that were
    running = (
        data.draw(st.sets(st.sampled_from(sorted(begun | {*before.running})))) if begun or before.running else set()
    )
    now = Snapshot(xmax, tuple(sorted(running)))
    last = data.draw(st.integers(2, xmax - 1))
    advanced = before.advanced(now, last)
    for xid in range(1, 215):
        assert advanced.sees(xid) == (before.sees(xid) or (xid <= last and now.sees(xid)))


def test_one_transaction_can_be_left_out() -> None:
    snapshot = Snapshot(20, (10, 15))
    assert snapshot.without(12) == Snapshot(20, (10, 12, 15))
    assert snapshot.without(12).with_(12) == snapshot.without(10) == snapshot
    assert snapshot.without(25) == snapshot


_cursors = st.builds(Cursor, st.just(PLACE), snapshots(st.integers(3, 2**62)), st.booleans(), st.none() | st.uuids())


@given(_cursors, st.uuids())
def test_a_cursor_comes_back_as_it_went(cursor: Cursor, user: UUID) -> None:
    text = cursor.text(user)
    assert Cursor.of(text, user) == cursor
    assert set(text) <= set("0123456789abcdefsc-_.")


def test_a_cursor_within_a_transaction_comes_back_too() -> None:
    cursor = Cursor(PLACE, Snapshot(2**60, (5, 2**59)), False, USER, 2**59)
    assert Cursor.of(cursor.text(USER), USER) == cursor


@given(st.text(max_size=60) | st.text("0123456789abcdef-_.sc", max_size=60))
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="is no cursor"):
        Cursor.of(text, USER)


def test_another_users_cursor_or_a_changed_one_is_none() -> None:
    text = Cursor(PLACE, Snapshot(1000, (7, 900))).text(USER)
    with pytest.raises(ValueError, match="is no cursor"):
        Cursor.of(text, UUID(int=1))
    for place in range(len(text)):
        for other in "07af":
            changed = text[:place] + other + text[place + 1 :]
            if changed != text:
                with pytest.raises(ValueError, match="is no cursor"):
                    Cursor.of(changed, USER)


@pytest.mark.parametrize(
    "seen",
    [Snapshot(2**63), Snapshot(2), Snapshot(10, (12,)), Snapshot(10, (10,)), Snapshot(10, (5, 5)), Snapshot(9, (2,))],
)
def test_a_snapshot_that_somebody_made_up_goes_no_further(seen: Snapshot) -> None:
    with pytest.raises(ValueError, match="is no cursor"):
        Cursor.of(Cursor(PLACE, seen).text(USER), USER)
    with pytest.raises(ValueError, match="is no cursor"):
        Cursor.of(Cursor(PLACE, Snapshot(10), False, USER, 2**63).text(USER), USER)


def test_a_cursor_stays_short_however_many_write() -> None:
    now = Snapshot(2**40 + 10_000, tuple(range(2**40, 2**40 + 10_000, 3)))
    seen = Snapshot().advanced(now, now.xmax - 1)
    assert len(Cursor(PLACE, seen, False, USER, 2**40).text(USER)) < 2000  # of 8190 that a request's line may have
    assert seen.running == now.running[:500]
    assert seen.xmax == now.running[500]  # what lies beyond is told again, and not lost


class FakeDatabase:
    """One user's trainings under many transactions, as PostgreSQL shows them to the four statements."""

    def __init__(self) -> None:
        self.next_xid = 10
        self.completed = 9  # the latest transaction that ended
        self.lasting = 9  # the latest whose record is on disk, with all before it
        self.open: dict[int, dict[UUID, bool]] = {}  # trainings that a transaction writes, and whether it deletes
        self.rows: dict[UUID, tuple[int, int, bool]] = {}  # transaction, version, deleted
        self.place = PLACE
        self.fitting = 9  # trainings on a page, by their bytes

    def begin(self) -> int:
        self.open[self.next_xid] = {}
        self.next_xid += 1
        return self.next_xid - 1

    def commit(self, xid: int) -> None:
        for id_, deleted in self.open.pop(xid).items():
            _, version, _ = self.rows.get(id_, (0, 0, False))
            self.rows[id_] = (xid, version + 1, deleted)
        self.completed = max(self.completed, xid)
        self.lasting = max(self.lasting, xid)

    def rollback(self, xid: int) -> None:
        del self.open[xid]
        self.completed = max(self.completed, xid)

    def crash(self) -> None:
        """What was not on disk did not happen; its ids are given out again."""
        self.open.clear()
        self.completed = self.lasting
        self.next_xid = self.lasting + 1

    @property
    def now(self) -> Snapshot:
        xmax = self.completed + 1
        return Snapshot(xmax, tuple(sorted(xid for xid in self.open if xid < xmax)))

    async def all(self, statement: object, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        seen = Snapshot.of(parameters["seen"]) if "seen" in parameters else None
        found = []
        for id_, (xid, version, deleted) in self.rows.items():
            if statement is BEGIN:
                wanted = not deleted
            elif statement is STATE:
                assert seen is not None
                wanted = not deleted and id_ > parameters["after"] and seen.sees(xid)
            elif statement is CHANGES:
                assert seen is not None
                assert parameters["xmin"] == str(seen.xmin)
                wanted = not seen.sees(xid)
            else:
                assert statement is GROUP
                wanted = xid == int(parameters["group"]) and id_ > parameters["after"]
            if wanted:
                at = NOW if deleted else None
                found.append((xid, id_, None, version, NOW, NOW, NOW, at, '{"exercises":[]}'))
        found.sort(key=lambda row: row[:2] if statement is CHANGES else row[1])
        newest = max((xid for xid, _, _ in self.rows.values()), default=None) if statement is BEGIN else None
        lead = (self.place, str(self.now), None if newest is None else str(newest))
        cut = [
            (str(row[0]), *row[1:], 0, max(0, place - self.fitting + 2))
            for place, row in enumerate(found[: min(parameters["limit"], self.fitting + 1)])
        ]
        return [(*lead, *row) for row in cut] or [(*lead, *[None] * 11)]


def run(page: Coroutine[Any, Any, ChangePage]) -> ChangePage:
    """The fake never waits."""
    try:
        page.send(None)
    except StopIteration as stop:
        result: ChangePage = stop.value
        return result
    raise AssertionError("it waited")


class Client:
    """A device that keeps what it was told."""

    def __init__(self, database: FakeDatabase) -> None:
        self._changes = Changes(database)  # type: ignore[arg-type]
        self.cursor: str | None = None
        self.told: set[tuple[str, int]] = set()
        self.trainings: dict[str, int] = {}

    def poll(self, limit: int) -> bool:
        cursor = None if self.cursor is None else Cursor.of(self.cursor, USER)
        page = run(self._changes.page(USER, cursor, limit))
        items = [orjson.loads(item) for item in page.items]
        assert len(items) <= limit
        assert len({item["id"] for item in items}) == len(items)
        for item in items:
            assert (item["id"], item["version"]) not in self.told, "twice"
            self.told.add((item["id"], item["version"]))
            assert self.trainings.get(item["id"], 0) < item["version"]
            if item.get("deleted"):
                self.trainings.pop(item["id"], None)
            else:
                self.trainings[item["id"]] = item["version"]
        self.cursor = page.cursor.text(USER)
        return page.more


class Feed(RuleBasedStateMachine):
    """Writers whose transactions overlap, end in any order or never, crashes, and clients who read when they like."""

    @initialize()
    def start(self) -> None:
        self.database = FakeDatabase()
        self.clients = [Client(self.database) for _ in range(2)]

    @rule(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self.database.begin()

    @precondition(lambda self: self.database.open)
    @rule(data=st.data(), training=st.integers(1, 8), many=st.booleans(), deletes=st.booleans())
    def write(self, data: st.DataObject, training: int, many: bool, deletes: bool) -> None:
        open_ = self.database.open
        xid = data.draw(st.sampled_from(sorted(open_)))
        locked = {id_ for other, written in open_.items() if other != xid for id_ in written}
        for n in range(1, 9) if many else [training]:
            if UUID(int=n) not in locked:
                open_[xid][UUID(int=n)] = deletes

    @precondition(lambda self: self.database.open)
    @rule(data=st.data(), commits=st.booleans())
    def end(self, data: st.DataObject, commits: bool) -> None:
        xid = data.draw(st.sampled_from(sorted(self.database.open)))
        (self.database.commit if commits else self.database.rollback)(xid)

    @rule(training=st.integers(1, 8), deletes=st.booleans())
    def write_at_once(self, training: int, deletes: bool) -> None:
        if all(UUID(int=training) not in written for written in self.database.open.values()):
            xid = self.database.begin()
            self.database.open[xid][UUID(int=training)] = deletes
            self.database.commit(xid)

    @rule()
    def crash(self) -> None:
        self.database.crash()

    @rule(client=st.integers(0, 1), limit=st.integers(1, 5), fitting=st.integers(1, 5))
    def poll(self, client: int, limit: int, fitting: int) -> None:
        self.database.fitting = fitting
        self.clients[client].poll(limit)

    @rule(client=st.integers(0, 1))
    def begin_anew(self, client: int) -> None:
        self.clients[client] = Client(self.database)

    def teardown(self) -> None:
        if not hasattr(self, "database"):
            return
        there = {str(id_): version for id_, (_, version, deleted) in self.database.rows.items() if not deleted}
        for client in self.clients:
            while client.poll(2):
                pass
            client.poll(2)
            assert client.trainings == there, "lost"


Feed.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestFeed = Feed.TestCase


def test_the_simulation_finds_what_a_cursor_that_sees_all_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an id that a crash gives out again, and one that commits late under a cursor over ids."""

    def all_of_it(self: Snapshot, now: Snapshot, last: int) -> Snapshot:
        return now

    def over_ids(self: Snapshot, now: Snapshot, last: int) -> Snapshot:
        return Snapshot(max(self.xmax, last + 1))

    for wrong in (all_of_it, over_ids):
        monkeypatch.setattr(models.changes.Snapshot, "advanced", wrong)
        database = FakeDatabase()
        client = Client(database)
        client.poll(5)
        slow, quick, doomed = database.begin(), database.begin(), database.begin()
        for xid, n in ((quick, 1), (slow, 2)):
            database.open[xid][UUID(int=n)] = False
        database.commit(quick)
        database.rollback(doomed)
        client.poll(5)
        database.commit(slow)
        database.crash()
        again = database.begin()
        assert again == doomed
        database.open[again][UUID(int=3)] = False
        database.commit(again)
        client.poll(5)
        assert len(client.trainings) < 3
        monkeypatch.undo()


def test_another_place_or_an_earlier_time_of_the_database_expires_cursors() -> None:
    database = FakeDatabase()
    client = Client(database)
    xid = database.begin()
    database.open[xid][UUID(int=1)] = False
    database.commit(xid)
    client.poll(5)
    database.place = "ba9876543210"
    with pytest.raises(CursorExpired):
        client.poll(5)
    database.place = PLACE
    database.completed = xid - 1
    with pytest.raises(CursorExpired):
        client.poll(5)
