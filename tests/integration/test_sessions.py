"""Sessions over REST, on a real PostgreSQL: logged, read, and streamed however many there are."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import orjson
import pytest

from models.sessions import SessionDocument, SessionList
from storage import database as module
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import Athlete
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.web import USER, Client, bearer, make_settings, serve, token
from web import sessions, trainings, workouts

ROUTES = (*sessions.ROUTES, *trainings.ROUTES, *workouts.ROUTES)
NDJSON = "application/x-ndjson"
PATH = sessions.PATH.format(userId=USER)
WORKOUTS = workouts.PATH.format(userId=USER)
EMPTY = {"date": "2026-01-05T12:00:00Z"}

# Sessions of USER, an hour apart, with exercises and sets as athletes have them.
FILL = """
WITH made AS (
    INSERT INTO trainings (user_id, id, status, date, timezone, day, title, duration_seconds, notes, digest)
    SELECT %(user)s, gen_random_uuid(), 'COMPLETED', at, 'UTC', at::date, 'Session ' || n, 3600, %(notes)s, ''
    FROM (SELECT n, timestamptz '2000-01-01Z' + n * interval '1 hour' AS at FROM generate_series(1, %(count)s) n) days
    RETURNING id
), exercises AS (
    INSERT INTO training_exercises (user_id, training_id, id, position, name)
    SELECT %(user)s, made.id, gen_random_uuid(), e, 'Exercise ' || e FROM made, generate_series(1, %(exercises)s) e
    RETURNING training_id, id
)
INSERT INTO training_sets (user_id, training_id, exercise_id, id, "order", weight, unit, reps, done, type)
SELECT %(user)s, training_id, id, gen_random_uuid(), s, 80, 'kg', 5, true, 'working'
FROM exercises, generate_series(1, 4) s
"""


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


async def fill(urls: DatabaseUrls, count: int, *, exercises: int = 4, notes: str = "") -> None:
    """Add sessions of USER, without their rows of the log."""
    owner = Database(urls.owner, statement_timeout=60)
    parameters = {"user": USER, "count": count, "exercises": exercises, "notes": notes}
    await owner.execute(FILL, parameters)
    await owner.execute("ANALYZE")
    await owner.close()


async def log(client: Client, expected: int = 201, /, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """POST a session; returns the answer's document."""
    answer = await client.post(PATH, json=EMPTY | fields, headers=bearer() | (headers or {}))
    text = await answer.read()
    assert answer.status == expected, text
    if expected < 300:
        SessionDocument.model_validate_json(text, extra="forbid")
        assert answer.headers["Location"] == f"{PATH}/{orjson.loads(text)['id']}"
    return orjson.loads(text)


async def read(client: Client, url: str = PATH, **query: str) -> list[dict[str, Any]]:
    """All sessions, by both media types."""
    answer = await client.get(url, params=query, headers=bearer())
    assert (answer.status, answer.content_type) == (200, "application/json")
    text = await answer.read()
    SessionList.model_validate_json(text, extra="forbid")
    answer = await client.get(url, params=query, headers=bearer() | {"Accept": NDJSON})
    assert (answer.status, answer.content_type) == (200, NDJSON)
    lines = (await answer.read()).splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    items: list[dict[str, Any]] = orjson.loads(text)["items"]
    assert items == [orjson.loads(line) for line in lines]
    return items


async def test_a_session_is_a_completed_training(client: Client) -> None:
    document = await log(
        client,
        title="Legs",
        duration_seconds=0,
        exercises=[
            {"name": "Squat", "sets": 3, "actual_reps": [6, 5, 5], "weight": 80.5},
            {"name": "Pistol", "exercise": "pistol-squat", "sets": [{"reps": 4}]},
        ],
    )
    assert (document["status"], document["version"], document["duration_seconds"]) == ("COMPLETED", 1, 0)
    assert "adherence" not in document
    first, second = document["exercises"]
    assert [(set_["order"], set_["reps"], set_["weight"], set_["done"]) for set_ in first["sets"]] == [
        (1, 6, 80.5, True),
        (2, 5, 80.5, True),
        (3, 5, 80.5, True),
    ]
    assert second["exercise_revision"] == 1
    answer = await client.get(f"{PATH}/{document['id']}", headers=bearer())
    assert await answer.json() == document
    assert answer.headers["ETag"] == '"1"'
    answer = await client.get(f"{PATH}/{document['id']}", headers=bearer() | {"If-None-Match": '"1"'})
    assert answer.status == 304
    answer = await client.get(f"{trainings.PATH}/{document['id']}", headers=bearer())
    assert await answer.json() == document
    answer = await client.get(f"{trainings.PATH}/{document['id']}/history", headers=bearer())
    (change,) = (await answer.json())["items"]
    assert change["event"]["event_type"] == "training_created"
    assert change["event"]["payload"]["status"] == "COMPLETED"
    assert await read(client) == [document]


async def test_a_session_is_logged_once(client: Client) -> None:
    fields = {"id": str(uuid4()), "exercises": [{"name": "Squat", "sets": 2, "actual_reps": 5}]}
    document = await log(client, **fields)
    assert await log(client, 200, **fields) == document
    same = EMPTY | fields | {"status": "COMPLETED", "exercises": [{"name": "Squat", "sets": [{"reps": 5}] * 2}]}
    answer = await client.post(trainings.PATH, json=same, headers=bearer())
    assert (answer.status, await answer.json()) == (200, document)
    assert (await log(client, 409, id=fields["id"]))["type"] == "/problems#identity-conflict"
    key = {"Idempotency-Key": "k"}
    document = await log(client, headers=key, title="x")
    assert await log(client, headers=key, title="x") == document
    assert (await log(client, 422, headers=key, title="y"))["type"] == "/problems#idempotency-key-reused"
    assert len(await read(client)) == 2


@pytest.mark.parametrize(
    ("fields", "kind", "pointer"),
    [
        (
            {"exercises": [{"name": "a"}, {"name": "x", "exercise": "no-such-movement", "sets": 1, "actual_reps": 1}]},
            "unknown-exercise",
            "/exercises/1/exercise",
        ),
        ({"workout_id": str(uuid4()), "workout_version": 1}, "unknown-workout", "/workout_id"),
        ({"date": "2150-01-01T00:00:00Z"}, "validation", "/date"),
        ({"status": "PLANNED"}, "validation", "/status"),
        ({"exercises": [{"name": "x", "sets": 2, "actual_reps": [1, -1]}]}, "validation", "/exercises/0/actual_reps/1"),
    ],
)
async def test_what_is_refused_is_not_stored(
    client: Client, db: Database, fields: dict[str, Any], kind: str, pointer: str
) -> None:
    problem = await log(client, 422, **fields)
    assert problem["type"] == f"/problems#{kind}"
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert await db.one("SELECT (SELECT count(*) FROM trainings), (SELECT count(*) FROM outbox)") == (0, 0)


async def test_sessions_are_not_changed(client: Client) -> None:
    document = await log(client)
    for url, allowed in ((f"{PATH}/{document['id']}", "GET, HEAD"), (PATH, "GET, HEAD, POST")):
        for method in ("PUT", "DELETE", "PATCH"):
            answer = await client.request(method, url, headers=bearer())
            problem = await answer.json(content_type=None)
            assert (answer.status, answer.headers["Allow"]) == (405, allowed)
            assert "PUT /api/v1/trainings/{id}" in problem["detail"]
    answer = await client.put(
        f"{trainings.PATH}/{document['id']}", json=EMPTY | {"status": "COMPLETED", "title": "mended"}, headers=bearer()
    )
    assert answer.status == 200
    (item,) = await read(client)
    assert (item["version"], item["title"]) == (2, "mended")


async def test_only_what_is_completed_and_ones_own(client: Client, db: Database) -> None:
    kept = await log(client)
    deleted = await log(client)
    await client.delete(f"{trainings.PATH}/{deleted['id']}", headers=bearer())
    answer = await client.post(trainings.PATH, json=EMPTY, headers=bearer())
    planned = await answer.json()
    other = Athlete(db, await read_catalogue(db))
    theirs = await other.create()
    assert [item["id"] for item in await read(client)] == [kept["id"]]
    for id_ in (deleted["id"], planned["id"], theirs, uuid4()):
        assert (await client.get(f"{PATH}/{id_}", headers=bearer())).status == 404
    for url in (PATH, sessions.UNVERSIONED_PATH.format(userId=USER), f"{PATH}/{kept['id']}"):
        assert (await client.get(url, headers=bearer(other.user_id))).status == 404
        assert (await client.get(url)).status == 401
    assert (await client.post(PATH, json=EMPTY, headers=bearer(other.user_id))).status == 404


async def test_sessions_of_local_days_oldest_first(client: Client) -> None:
    assert await read(client) == []
    for day in (5, 3, 4):
        await log(client, date=f"2026-01-0{day}T23:30:00Z", timezone="Europe/Berlin")
    twins = sorted([(await log(client, date="2026-01-01T12:00:00Z"))["id"] for _ in range(2)])
    assert [item["day"][-2:] for item in await read(client)] == ["01", "01", "04", "05", "06"]
    assert [item["id"] for item in await read(client, to="2026-01-01")] == twins
    days = {"from": "2026-01-04", "to": "2026-01-05"}
    found = await read(client, **days)
    assert [item["day"] for item in found] == ["2026-01-04", "2026-01-05"]
    assert await read(client, sessions.UNVERSIONED_PATH.format(userId=USER), **days) == found
    for query in ({"from": "2026-01-05", "to": "2026-01-04"}, {"from": "x"}, {"limit": "5"}):
        assert (await client.get(PATH, params=query, headers=bearer())).status == 422
    assert (await client.head(PATH, headers=bearer())).status == 200


async def test_planned_against_actual(client: Client) -> None:
    target = {"reps": {"min": 5, "max": 8}}
    own = await log(client, exercises=[{"name": "Squat", "sets": [{"reps": r, "target": target} for r in (8, 5, 4)]}])
    assert own["adherence"]["adherence"] == 0.6667
    plan = {
        "name": "Legs",
        "exercises": [{"name": "Squat", "sets": 2, "reps": 5}, {"name": "Dip", "sets": 2, "reps": 8}],
    }
    workout = await (await client.post(WORKOUTS, json=plan, headers=bearer())).json()
    named = {"workout_id": workout["id"], "workout_version": 1}
    await client.put(f"{WORKOUTS}/{workout['id']}", json=plan | {"exercises": []}, headers=bearer())
    planned = await log(client, **named, exercises=[{"name": "Squat", "sets": 2, "actual_reps": [6, 4]}])
    figures = planned["adherence"]
    assert (figures["sets_planned"], figures["sets_in_target"], figures["exercises_skipped"]) == (4, 1, 1)
    targeted = await log(client, **named, exercises=[{"name": "Squat", "sets": [{"reps": 8, "target": target}]}])
    assert targeted["adherence"]["adherence"] == 1
    emptied = await log(client, **named | {"workout_version": 2})
    assert emptied["adherence"]["sets_planned"] == 0
    await client.delete(f"{WORKOUTS}/{workout['id']}", headers=bearer())
    items = {item["id"]: item for item in await read(client)}
    for document in (own, planned, targeted, emptied):
        assert items[document["id"]] == document
        answer = await client.get(f"{PATH}/{document['id']}", headers=bearer())
        assert await answer.json() == document
    said = await log(client, notes='"target":{')
    assert "adherence" not in said


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first words of all that is sent to PostgreSQL."""
    sent: list[str] = []
    run = module.Cursor._run

    async def record(self: module.Cursor, sql: str, parameters: Any) -> int:
        sent.append(" ".join(sql.replace(self._local or "\0", "").split()[:2]))
        return await run(self, sql, parameters)

    monkeypatch.setattr(module.Cursor, "_run", record)
    return sent


async def test_a_stream_is_one_fetch_a_chunk(
    client: Client, database_urls: DatabaseUrls, statements: list[str]
) -> None:
    async def sent(method: str, **options: Any) -> list[str]:
        answer = await client.request(method, PATH, headers=bearer(), **options)
        assert answer.status < 300
        await answer.read()
        found = statements.copy()
        statements.clear()
        return found

    await fill(database_urls, 50, exercises=1)
    statements.clear()
    assert await sent("GET") == [
        "BEGIN READ",
        "DECLARE reader",
        "FETCH 20",
        "FETCH 20",
        "FETCH 20",
        "COMMIT",
    ]
    assert await sent("HEAD") == ["BEGIN READ", "DECLARE reader", "FETCH 20", "ROLLBACK"]
    assert await sent("GET", params={"to": "1999-12-31"}) == ["BEGIN READ", "DECLARE reader", "FETCH 20", "COMMIT"]


async def test_large_sessions_come_in_small_chunks(
    client: Client, database_urls: DatabaseUrls, statements: list[str]
) -> None:
    await fill(database_urls, 150, notes="x" * 100_000)
    statements.clear()
    answer = await client.get(PATH, headers=bearer())
    assert len(orjson.loads(await answer.read())["items"]) == 150
    fetches = [int(sql.removeprefix("FETCH ")) for sql in statements if sql.startswith("FETCH")]
    assert fetches[0] == 20
    assert max(fetches[1:]) <= 11  # a mebibyte of them


async def in_transactions(urls: DatabaseUrls) -> int:
    """How many sessions of the worker's role are inside a transaction."""
    admin = Database(urls.admin)
    row = await admin.one(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    await admin.close()
    assert row is not None
    return int(row[0])


async def stall(client: Client) -> asyncio.StreamWriter:
    """Ask for the sessions, and read none."""
    _, writer = await asyncio.open_connection(client.host, client.port, limit=1024)
    transport: Any = writer.transport
    transport.pause_reading()
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n\r\n".encode())
    return writer


async def test_a_slow_reader_starves_nobody_and_is_cut_off(database_urls: DatabaseUrls) -> None:
    await fill(database_urls, 800, notes="x" * 20_000)
    database = Database(database_urls.worker, pool_size=4, pool_timeout=0.5)
    async with serve(ROUTES, database=database, settings=make_settings(web_patience=3)) as client:
        slow = await stall(client)

        async def holds() -> bool:
            return await in_transactions(database_urls) == 1

        await until(holds, 10, "it holds a connection")
        answer = await client.get(PATH, headers=bearer())  # a quarter of four is one
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        for _ in range(5):
            await log(client)

        async def free() -> bool:
            return await in_transactions(database_urls) == 0 and database.idle == database.size

        await until(free, 20, "it is cut off")
        answer = await client.get(PATH, headers=bearer())
        assert answer.status == 200
        assert len(orjson.loads(await answer.read())["items"]) == 805
        slow.close()
    await database.close()


async def test_a_client_that_goes_away_gives_the_connection_back(
    client: Client, db: Database, database_urls: DatabaseUrls
) -> None:
    await fill(database_urls, 800, notes="x" * 20_000)
    for _ in range(3):
        async with client.get(PATH, headers=bearer()) as response:
            await response.content.readany()
            response.close()

    async def free() -> bool:
        return await in_transactions(database_urls) == 0 and db.idle == db.size

    await until(free, 5, "nothing is held")
    assert (await client.get(PATH, params={"to": "2000-01-02"}, headers=bearer())).status == 200


async def test_a_database_that_goes_away_ends_no_answer_well(
    client: Client, db: Database, database_urls: DatabaseUrls
) -> None:
    await fill(database_urls, 800, notes="x" * 20_000)
    admin = Database(database_urls.admin)
    received = b""
    with pytest.raises(aiohttp.ClientError):
        async with client.get(PATH, headers=bearer()) as response:
            received = await response.content.readany()
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await response.read()
    await admin.close()
    assert received.startswith(b'{"items":[')
    assert len(await read(client, to="2000-01-01")) == 23


def resident() -> int:
    """Bytes of this process that are in memory: the server's, and the client's."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_ten_thousand_sessions_take_little_memory(client: Client, database_urls: DatabaseUrls) -> None:
    await fill(database_urls, 10_000)
    for media in ("application/json", NDJSON):
        await take_little_memory(client, media)


async def take_little_memory(client: Client, media: str) -> None:
    """All sessions are read within 20 MB."""
    headers = bearer() | {"Accept": media}
    answer = await client.get(PATH, params={"to": "2000-02-01"}, headers=headers)  # warms up
    await answer.read()
    gc.collect()
    before = peak = resident()
    size = found = 0
    first = None
    began = time.perf_counter()
    async with client.get(PATH, headers=headers) as answer:
        assert answer.status == 200
        async for part in answer.content.iter_any():
            first = first or time.perf_counter() - began
            size += len(part)
            found += part.count(b'"user_id"')
            peak = max(peak, resident())
    took = time.perf_counter() - began
    assert first is not None
    print(
        f"{media}: {size / 2**20:.1f} MiB in {took:.2f} s, first byte {first * 1000:.0f} ms, "
        f"memory +{(peak - before) / 2**20:.1f} MiB"
    )
    assert 9_990 <= found <= 10_000  # a name may lie across two parts
    assert peak - before < 20_000_000


async def test_a_stream_is_of_one_moment(client: Client, db: Database, database_urls: DatabaseUrls) -> None:
    await fill(database_urls, 300, notes="x" * 20_000)
    async with client.get(PATH, headers=bearer()) as answer:
        parts = [await answer.content.readany()]
        await log(client, date="2001-01-01T00:00:00Z", title="later")
        parts.append(await answer.read())
    items = orjson.loads(b"".join(parts))["items"]
    assert len(items) == 300
    assert UUID(items[0]["id"])
