"""The feed of changes on a real PostgreSQL: whatever is open meanwhile, nothing is lost and nothing comes twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.changes import Cursor, TrainingChanges
from models.errors import CursorExpired
from models.exercises import Catalogue
from storage.change_statements import CHANGES
from storage.changes import Changes
from storage.database import Cursor as Statements
from storage.database import Database
from storage.exercises import read_catalogue
from storage.trainings import Author, Trainings
from tests.support.athletes import Athlete
from tests.support.bodies import create_body, squat, update_body
from tests.support.databases import DatabaseUrls
from tests.support.web import Client, bearer, serve
from web import changes, sessions, trainings, workouts
from web.api import ROUTES

TOPIC = "training_events"
URL = "/api/v1/trainings/changes"


class Reader:
    """A device that keeps what it is told."""

    def __init__(self, database: Database, user_id: UUID) -> None:
        self._changes = Changes(database)
        self._user_id = user_id
        self.cursor: Cursor | None = None
        self.told: list[tuple[str, int]] = []
        self.trainings: dict[str, dict[str, Any]] = {}

    async def page(self, limit: int = 100) -> bool:
        """Read a page; returns whether there are more."""
        page = await self._changes.page(self._user_id, self.cursor, limit)
        items = [orjson.loads(item) for item in page.items]
        assert len(items) <= limit
        self.told += [(item["id"], item["version"]) for item in items]
        assert len(set(self.told)) == len(self.told), "twice"
        for item in items:
            if item.get("deleted"):
                assert set(item) == {"id", "version", "deleted", "deleted_at"}
                self.trainings.pop(item["id"], None)
            else:
                self.trainings[item["id"]] = item
        self.cursor = page.cursor
        return page.more

    async def all(self, limit: int = 100) -> list[tuple[str, int]]:
        """Read until there is no more; returns what was told."""
        before = len(self.told)
        while await self.page(limit):
            pass
        return self.told[before:]


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


@pytest.fixture
def reader(db: Database, athlete: Athlete) -> Reader:
    return Reader(db, athlete.user_id)


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve((*changes.ROUTES, *trainings.ROUTES), database=db) as client:
        yield client


async def stored(database: Database, user_id: UUID) -> dict[str, int]:
    """The versions of the trainings that there are."""
    rows = await database.all(
        "SELECT id::text, version FROM trainings WHERE user_id = %s AND deleted_at IS NULL", [user_id]
    )
    return dict(rows)


def versions(reader: Reader) -> dict[str, int]:
    """What a device has."""
    return {id_: item["version"] for id_, item in reader.trainings.items()}


class Late:
    """Writes that stay in an open transaction for a while: the service's own statements, committed later."""

    def __init__(self, database: Database, catalogue: Catalogue, user_id: UUID) -> None:
        self._database = database
        self._catalogue = catalogue
        self._author = Author(user_id, "late")
        self._stack = AsyncExitStack()
        self.id = uuid4()

    async def __aenter__(self) -> "Late":
        self.cursor: Statements = await self._stack.enter_async_context(self._database.transaction())
        return self

    async def create(self) -> UUID:
        """A training of its own."""
        await self._trainings.create(self._author, self.id, create_body(id=str(self.id)), "[]")
        return self.id

    async def update(self, id_: UUID, **fields: Any) -> None:
        """Another's training, locked until the end."""
        self.id = id_
        await self._trainings.update(self._author, id_, update_body(**fields), "[]")

    async def __aexit__(self, *raised: Any) -> None:
        await self._stack.__aexit__(*raised)

    @property
    def _trainings(self) -> Trainings:
        return Trainings(self.cursor, TOPIC)  # type: ignore[arg-type] # it runs statements too


@pytest.fixture
def late(db: Database, athlete: Athlete) -> Any:
    return lambda: Late(db, Catalogue.of([]), athlete.user_id)


async def test_the_state_and_then_the_changes(athlete: Athlete, reader: Reader, db: Database) -> None:
    ids = [str(await athlete.create(exercises=[squat()])) for _ in range(5)]
    await athlete.delete(UUID(ids.pop()))
    assert sorted(await reader.all(limit=2)) == sorted((id_, 1) for id_ in ids)
    for id_ in ids:
        item = reader.trainings[id_]
        assert item == orjson.loads((await Trainings(db, TOPIC).read(athlete.user_id, UUID(id_))).document)
    assert await reader.all() == []
    await athlete.update(UUID(ids[2]), title="a")
    await athlete.update(UUID(ids[0]))
    await athlete.update(UUID(ids[2]), title="b")
    new = str(await athlete.create())
    await athlete.delete(UUID(ids[1]))
    assert await reader.all(limit=3) == [(ids[0], 2), (ids[2], 3), (new, 1), (ids[1], 2)]
    assert reader.trainings[ids[2]]["title"] == "b"
    assert versions(reader) == await stored(db, athlete.user_id)
    assert await reader.all() == []


async def test_a_user_without_trainings(athlete: Athlete, reader: Reader) -> None:
    assert await reader.page() is False
    assert reader.told == []
    id_ = await athlete.create()
    assert await reader.all() == [(str(id_), 1)]


async def test_an_open_writer_holds_up_nobody_and_is_not_lost(athlete: Athlete, reader: Reader, late: Any) -> None:
    before = await athlete.create()
    await reader.all()
    async with late() as slow, late() as slower:
        first = await slow.create()
        await slower.update(before)
        quick = await athlete.create()
        assert await reader.all() == [(str(quick), 1)]
        again = await athlete.create()
        assert await reader.all() == [(str(again), 1)]
        assert await reader.all() == []
    assert sorted(await reader.all()) == sorted([(str(first), 1), (str(before), 2)])
    assert await reader.all() == []


async def test_a_writer_that_was_open_before_the_first_page(athlete: Athlete, reader: Reader, late: Any) -> None:
    before = await athlete.create()
    async with late() as slow, late() as slower:
        await slow.update(before, title="late")
        created = await slower.create()
        await athlete.create()
        await reader.page(1)
        await reader.page(1)
    await reader.all(1)
    assert reader.trainings[str(before)]["title"] == "late"
    assert str(created) in reader.trainings


async def test_commits_out_of_order(athlete: Athlete, reader: Reader, late: Any) -> None:
    await reader.all()
    writers = [late() for _ in range(6)]
    for writer in writers:
        await writer.__aenter__()
        await writer.create()
    for place in (4, 1, 5, 0, 3, 2):
        await writers[place].__aexit__(None, None, None)
        assert await reader.all(limit=1) == [(str(writers[place].id), 1)]
        await athlete.update(writers[place].id)
        assert await reader.all() == [(str(writers[place].id), 2)]


async def test_an_id_drawn_long_before_the_row_was_written(athlete: Athlete, reader: Reader, late: Any) -> None:
    await reader.all()
    async with late() as slow:
        await slow.cursor.execute("SELECT pg_current_xact_id()")
        quick = await athlete.create()
        assert await reader.all() == [(str(quick), 1)]
        await slow.create()
    assert await reader.all() == [(str(slow.id), 1)]


async def test_rollbacks_and_savepoints(athlete: Athlete, reader: Reader, late: Any) -> None:
    await reader.all()
    async with late() as slow:
        await slow.cursor.execute("SAVEPOINT a")
        await slow.create()
        await slow.cursor.execute("ROLLBACK TO a; SAVEPOINT b")
        await slow.create()
        await reader.all()
    assert await reader.all() == [(str(slow.id), 1)]
    with pytest.raises(ZeroDivisionError):
        async with late() as failing:
            await failing.create()
            await reader.all()
            raise ZeroDivisionError
    await athlete.create()
    assert len(await reader.all()) == 1


async def test_what_changes_between_pages_comes_once_and_as_it_is_then(
    athlete: Athlete, reader: Reader, db: Database
) -> None:
    ids = sorted([await athlete.create() for _ in range(6)])
    assert await reader.page(2)
    await athlete.update(ids[0])  # was told
    await athlete.update(ids[5])  # was not
    await athlete.delete(ids[4])
    new = await athlete.create()
    rest = await reader.all(2)
    assert sorted(rest) == sorted(
        [(str(ids[2]), 1), (str(ids[3]), 1), (str(ids[0]), 2), (str(ids[5]), 2), (str(ids[4]), 2), (str(new), 1)]
    )
    assert versions(reader) == await stored(db, athlete.user_id)


async def test_one_transaction_that_writes_more_than_a_page(
    athlete: Athlete, reader: Reader, late: Any, database_urls: DatabaseUrls, db: Database
) -> None:
    ids = sorted([await athlete.create() for _ in range(7)])
    await reader.all()
    single = await athlete.create()
    connection = psycopg2.connect(database_urls.owner)
    async with late() as slow:
        await slow.create()
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "UPDATE trainings SET version = version + 1, xid = DEFAULT WHERE id = ANY (%s::uuid[])",
                [[str(id_) for id_ in ids]],
            )
        after = await athlete.create()
        assert await reader.page(3)
        assert reader.told[-3:] == [(str(single), 1), (str(ids[0]), 2), (str(ids[1]), 2)]
        await athlete.update(ids[0])
        await athlete.update(ids[3])
        assert await reader.page(3)
        assert reader.told[-3:] == [(str(ids[2]), 2), (str(ids[4]), 2), (str(ids[5]), 2)]
    connection.close()
    rest = await reader.all(3)
    assert sorted(rest) == sorted(
        [(str(ids[6]), 2), (str(after), 1), (str(ids[0]), 3), (str(ids[3]), 3), (str(slow.id), 1)]
    )
    assert versions(reader) == await stored(db, athlete.user_id)


class Naive:
    """What most write: a cursor over transaction ids, or over the time of the change."""

    def __init__(self, database: Database, user_id: UUID, column: str) -> None:
        self._database = database
        self._user_id = user_id
        self._column = column
        self._last: object = None
        self.told: set[tuple[str, int]] = set()

    async def poll(self) -> None:
        rows = await self._database.all(
            f"SELECT id::text, version, {self._column}::text FROM trainings "
            f"WHERE user_id = %s AND (%s::text IS NULL OR {self._column} > %s) ORDER BY {self._column}",
            [self._user_id, self._last, self._last],
        )
        if rows:
            self._last = rows[-1][2]
            self.told |= {row[:2] for row in rows}


async def test_random_writers_lose_nothing_and_would_with_other_cursors(
    athlete: Athlete, database_urls: DatabaseUrls
) -> None:
    chance = random.Random(5)
    database = Database(database_urls.worker, pool_size=20)
    ids = [await athlete.create() for _ in range(10)]
    busy: set[UUID] = set()
    readers = [Reader(database, athlete.user_id) for _ in range(3)]
    naive = [Naive(database, athlete.user_id, column) for column in ("xid", "updated_at")]
    writing = True

    async def write_once(late: Late, id_: UUID | None) -> None:
        async with late:
            if id_ is not None:
                await late.update(id_)
            else:
                await late.create()
            await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01, 0.1]))
            if chance.random() < 0.1:
                raise ZeroDivisionError

    async def write() -> None:
        for _ in range(40):
            late = Late(database, Catalogue.of([]), athlete.user_id)
            free = [id_ for id_ in ids if id_ not in busy]
            id_ = chance.choice(free) if free and chance.random() < 0.4 else None
            busy.add(id_ or late.id)
            with suppress(ZeroDivisionError):
                await write_once(late, id_)
                ids.append(late.id)
            busy.discard(late.id)

    async def read(reader: Reader) -> None:
        while writing:
            await reader.page(chance.randint(1, 20))
            await asyncio.sleep(chance.choice([0, 0.002]))

    async def poll(each: Naive) -> None:
        while writing:
            await each.poll()
            await asyncio.sleep(0.002)

    reading = [asyncio.create_task(each) for each in (*map(read, readers), *map(poll, naive))]
    await asyncio.gather(*(write() for _ in range(10)))
    writing = False
    await asyncio.gather(*reading)
    there = await stored(database, athlete.user_id)
    assert len(there) > 100
    for reader in readers:
        await reader.all(7)
        assert versions(reader) == there
    for each in naive:
        await each.poll()
        assert set(there.items()) - each.told, "the test can tell"
    await database.close()


async def test_a_restored_or_moved_database_expires_cursors(
    athlete: Athlete, reader: Reader, db: Database, database_urls: DatabaseUrls
) -> None:
    await athlete.create()
    await reader.all()
    cursor = reader.cursor
    assert cursor is not None
    connection = psycopg2.connect(database_urls.owner)
    with connection, connection.cursor() as owner:
        owner.execute("UPDATE outbox_cursor SET epoch = epoch + 1")
    with pytest.raises(CursorExpired):
        await reader.page()
    with connection, connection.cursor() as owner:
        owner.execute("UPDATE outbox_cursor SET epoch = epoch - 1")
    connection.close()
    assert await reader.all() == []
    xmax = cursor.seen.xmax + 1_000_000  # of a database whose ids went back
    reader.cursor = Cursor(cursor.place, type(cursor.seen)(xmax))
    with pytest.raises(CursorExpired):
        await reader.page()


async def test_rows_that_were_restored_into_another_cluster(
    athlete: Athlete, reader: Reader, db: Database, database_urls: DatabaseUrls
) -> None:
    """Their transaction ids mean nothing here: some lie in the future of this one."""
    ids = sorted([await athlete.create() for _ in range(6)])
    connection = psycopg2.connect(database_urls.owner)
    with connection, connection.cursor() as owner:
        owner.execute(
            "UPDATE trainings SET xid = '9000000000000' WHERE id = ANY (%s::uuid[])", [list(map(str, ids[:4]))]
        )
    connection.close()
    await reader.page(2)
    await athlete.update(ids[3])
    await athlete.update(ids[5])
    await reader.all(2)
    assert versions(reader) == await stored(db, athlete.user_id)
    await athlete.update(ids[0])
    await athlete.delete(ids[1])
    assert sorted(await reader.all()) == sorted([(str(ids[0]), 2), (str(ids[1]), 2)])


async def test_one_statement_a_page(athlete: Athlete, reader: Reader, db: Database, late: Any) -> None:
    for _ in range(3):
        await athlete.create(exercises=[squat()])
    async with late() as slow:
        await slow.create()
        await reader.all()
        await reader.all()  # the connection prepares the statement once
        for limit in (2, 2, 2):
            await athlete.create()
            before = db.statements
            await reader.page(limit)
            assert db.statements - before == 1
    reader.cursor, reader.told = None, []
    for _ in range(3):
        before = db.statements
        await reader.page(2)
        assert db.statements - before == 1


async def test_a_look_for_changes_reads_no_more_than_these(athlete: Athlete, reader: Reader, db: Database) -> None:
    for _ in range(30):
        await athlete.create()
    await reader.all()
    assert reader.cursor is not None
    seen = reader.cursor.seen
    parameters = {"user_id": athlete.user_id, "limit": 100, "seen": str(seen), "xmin": str(seen.xmin)}
    async with db.transaction() as cursor:
        await cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plan = await cursor.all(f"EXPLAIN (ANALYZE, COSTS OFF) {CHANGES.plain}", parameters)
    text = "\n".join(line for (line,) in plan)
    assert "Index Scan using trainings_by_change on trainings" in text, text
    assert "Rows Removed by Filter" not in text


async def test_over_rest(client: Client, athlete: Athlete, db: Database) -> None:
    headers = bearer(athlete.user_id)
    ids = [str(await athlete.create()) for _ in range(3)]
    other = Athlete(db, await read_catalogue(db))
    await other.create()

    async def get(**query: Any) -> dict[str, Any]:
        answer = await client.get(URL, params=query, headers=headers)
        assert answer.status == 200, await answer.text()
        document: dict[str, Any] = await answer.json()
        TrainingChanges.model_validate_json(await answer.read())
        link = answer.headers.get("Link")
        assert (link is not None) == document["more"]
        assert link is None or document["next_cursor"] in link
        return document

    first = await get(limit=2)
    assert first["more"] is True
    second = await get(limit=2, cursor=first["next_cursor"])
    assert {item["id"] for item in first["items"] + second["items"]} == set(ids)
    third = await get(cursor=second["next_cursor"])
    assert (third["items"], third["more"]) == ([], False)
    await athlete.delete(UUID(ids[0]))
    fourth = await get(cursor=third["next_cursor"])
    (tombstone,) = fourth["items"]
    assert (tombstone["id"], tombstone["version"], tombstone["deleted"]) == (ids[0], 2, True)
    assert tombstone["deleted_at"].endswith("Z")

    for wrong, who in ((first["next_cursor"], other.user_id), ("x", athlete.user_id), ("", athlete.user_id)):
        answer = await client.get(URL, params={"cursor": wrong}, headers=bearer(who))
        document = await answer.json(content_type=None)
        assert answer.status == 422
        assert document["errors"] == [{"parameter": "cursor", "message": "is no cursor of these changes"}]

    moved = Cursor("0" * 12, Cursor.of(first["next_cursor"], athlete.user_id).seen).text(athlete.user_id)
    answer = await client.get(URL, params={"cursor": moved}, headers=headers)
    document = await answer.json(content_type=None)
    assert (answer.status, document["type"]) == (410, "/problems#cursor-expired")
    assert "without `cursor`" in document["detail"]


async def test_every_kind_of_write_is_a_change(db: Database, athlete: Athlete, reader: Reader) -> None:
    user = athlete.user_id
    body = {"date": "2026-01-05T12:00:00Z", "exercises": [squat()]}
    done = body | {"status": "COMPLETED"}
    await reader.all()
    async with serve(ROUTES, database=db) as client:

        async def told(method: str, url: str, json: Any = None) -> dict[str, Any]:
            """What the feed tells after a write, which is what that answered."""
            answer = await client.request(method, url, json=json, headers=bearer(user))
            assert answer.status < 300, await answer.text()
            written = orjson.loads(await answer.read() or b"{}")
            ((id_, version),) = await reader.all()
            assert version == written.get("version", version)
            return reader.trainings.get(id_, {})

        training = await told("POST", trainings.PATH, body)
        url = f"{trainings.PATH}/{training['id']}"
        exercise = training["exercises"][0]
        set_ = f"{url}/exercises/{exercise['id']}/sets/{exercise['sets'][0]['id']}"
        changed = await told("PUT", set_, {"reps": 9})
        assert changed["exercises"][0]["sets"][0]["reps"] == 9
        assert (await told("DELETE", set_))["exercises"][0]["sets"] == []
        assert (await told("PUT", url, done))["status"] == "COMPLETED"
        assert (await told("POST", f"{url}/reopen"))["status"] == "IN_PROGRESS"
        assert await told("DELETE", url) == {}
        assert (await told("POST", f"{url}/restore"))["status"] == "IN_PROGRESS"
        assert (await told("POST", sessions.PATH.format(userId=user), body))["status"] == "COMPLETED"
        created = await client.post(
            workouts.PATH.format(userId=user), json={"name": "Legs", "exercises": []}, headers=bearer(user)
        )
        workout = (await created.json())["id"]
        plans = f"{workouts.PATH.format(userId=user)}/{workout}/trainings"
        assert (await told("POST", plans, {"date": "2026-01-05T12:00:00Z"}))["workout_id"] == workout
        answer = await client.post(f"{trainings.PATH}/batch", json=[body, done], headers=bearer(user))
        assert answer.status == 200
        assert len(await reader.all()) == 2
    assert versions(reader) == await stored(db, user)


async def test_the_address_is_its_own(client: Client) -> None:
    for method in ("PUT", "DELETE", "POST", "PATCH"):
        answer = await client.request(method, URL, headers=bearer())
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    answer = await client.options(URL)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert (await client.head(URL, headers=bearer())).status == 200


class Device:
    """A user's app: it writes at once or, offline, later; and stays in step by the changes."""

    def __init__(self, client: Client, user_id: UUID) -> None:
        self._client = client
        self._headers = bearer(user_id)
        self._cursor: str | None = None
        self._waiting: list[tuple[str, str, int]] = []  # method, id, and the version that it is about
        self._told: set[tuple[str, int]] = set()
        self.offline = False
        self.trainings: dict[str, int] = {}

    async def create(self) -> None:
        await self._do("POST", str(uuid4()), 0)

    async def change(self, method: str, choice: int, locked: set[str]) -> None:
        known = sorted(set(self.trainings) - (set() if self.offline else locked))
        if known:
            id_ = known[choice % len(known)]
            await self._do(method, id_, self.trainings[id_])

    async def go_online(self, locked: set[str]) -> None:
        self.offline = False
        waiting, self._waiting = self._waiting, []
        for method, id_, version in waiting:
            if id_ not in locked:
                await self._do(method, id_, version)

    async def sync(self, limit: int) -> None:
        more, whole, named = not self.offline, self._cursor is None, set()
        while more:
            query = {"limit": str(limit)} | ({} if self._cursor is None else {"cursor": self._cursor})
            answer = await self._client.get(URL, params=query, headers=self._headers)
            page = await answer.json()
            assert answer.status == 200, page
            for item in page["items"]:
                assert (item["id"], item["version"]) not in self._told, "twice"
                self._told.add((item["id"], item["version"]))
                named.add(item["id"])
                if item.get("deleted"):
                    self.trainings.pop(item["id"], None)
                else:
                    assert self.trainings.get(item["id"], 0) <= item["version"]
                    self.trainings[item["id"]] = item["version"]
            self._cursor, more = page["next_cursor"], page["more"]
        if whole and not self.offline:  # what the device wrote itself may have been deleted since
            self.trainings = {id_: version for id_, version in self.trainings.items() if id_ in named}

    async def _do(self, method: str, id_: str, version: int) -> None:
        if self.offline:
            self._waiting.append((method, id_, version))
            return
        body = {"date": "2026-01-05T12:00:00Z", "status": "COMPLETED"}
        if method == "POST":
            answer = await self._client.post(trainings.PATH, json=body | {"id": id_}, headers=self._headers)
        else:
            json = body if method == "PUT" else None
            headers = self._headers | {"If-Match": f'"{version}"'}
            answer = await self._client.request(method, f"{trainings.PATH}/{id_}", json=json, headers=headers)
        assert answer.status in (200, 201, 204, 404, 412), await answer.text()
        if method == "DELETE" and answer.status == 204:
            self.trainings.pop(id_)
        elif answer.status < 300:
            self.trainings[id_] = (await answer.json())["version"]
        # Else another was quicker, and the changes say how it is.


class Meanwhile:
    """Writes of the same user that are under way and are committed later, or earlier than those before them."""

    def __init__(self, database: Database, user_id: UUID) -> None:
        self._database = database
        self._user_id = user_id
        self._open: list[Late] = []

    @property
    def locked(self) -> set[str]:
        """The trainings that they write."""
        return {str(late.id) for late in self._open}

    async def begin(self, number: int) -> None:
        """Create a training or, for an odd number, change one."""
        if len(self._open) == 3:
            return
        late = Late(self._database, Catalogue.of([]), self._user_id)
        free = sorted(set(await stored(self._database, self._user_id)) - self.locked)
        await late.__aenter__()
        if free and number % 2:
            await late.update(UUID(free[number % len(free)]))
        else:
            await late.create()
        self._open.append(late)

    async def commit(self, number: int) -> None:
        """Commit one of them."""
        if self._open:
            await self._open.pop(number % len(self._open)).__aexit__(None, None, None)

    async def commit_all(self) -> None:
        """Commit them, the youngest first."""
        while self._open:
            await self.commit(-1)


_STEPS = ["create", "PUT", "DELETE", "sync", "sync", "offline", "online", "late", "commit"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(st.sampled_from(_STEPS), st.integers(0, 1), st.integers(0, 5)), max_size=40))
async def test_two_devices_offline_in_turns_converge(
    client: Client, db: Database, steps: list[tuple[str, int, int]]
) -> None:
    user_id = uuid4()
    devices = [Device(client, user_id) for _ in range(2)]
    meanwhile = Meanwhile(db, user_id)
    for what, which, number in steps:
        device = devices[which]
        match what:
            case "create":
                await device.create()
            case "PUT" | "DELETE":
                await device.change(what, number, meanwhile.locked)
            case "sync":
                await device.sync(number + 1)
            case "offline":
                device.offline = True
            case "online":
                await device.go_online(meanwhile.locked)
            case "late":
                await meanwhile.begin(number)
            case "commit":
                await meanwhile.commit(number)
    await meanwhile.commit_all()
    for device in devices:
        await device.go_online(set())
    for device in devices:
        await device.sync(2)
        assert device.trainings == await stored(db, user_id)
