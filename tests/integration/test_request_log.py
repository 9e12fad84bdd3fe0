"""The log of requests: each is in it once and says who and what, nobody changes it, and it ages out."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest

import cli
import settings as settings_module
from commands import environment
from outbox import housekeeping
from storage.database import Database
from storage.request_log import read
from storage.retention import keep_request_log, purge_access_log, purge_imports
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.web import NOWHERE, USER, Client, bearer, serve
from web import request_log as module
from web.api import ALL_ROUTES
from web.limits import RateLimits
from web.measures import Measures
from web.request_log import RequestLog

OTHER = UUID("0193f1a0-0000-7000-8000-000000000002")
TRAININGS = "/api/v1/trainings"
SINCE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
async def owner(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.owner)
    yield database
    await database.close()


@pytest.fixture
def measures() -> Measures:
    return Measures()


@pytest.fixture
def requests(db: Database, measures: Measures) -> RequestLog:
    return RequestLog(db, measures)


@pytest.fixture
async def client(db: Database, requests: RequestLog, measures: Measures) -> AsyncIterator[Client]:
    limits = RateLimits(db, measures, reads=0, writes=1)
    async with serve(ALL_ROUTES, database=db, requests=requests, limits=limits) as client:
        yield client


def dropped(measures: Measures) -> float | None:
    return measures.registry.get_sample_value("training_request_log_dropped_total")


async def test_every_request_is_in_the_log_once_and_says_who_and_what(
    client: Client, db: Database, owner: Database, requests: RequestLog
) -> None:
    id_, caller = uuid4(), bearer(sub="app|7")
    asked: list[tuple[str, str, dict[str, str]]] = [
        ("GET", f"{TRAININGS}/{id_}?x=secret", caller),
        ("HEAD", f"{TRAININGS}/{id_}", caller),
        ("GET", f"/api/v1/training/users/{OTHER}/sessions", caller),
        ("GET", TRAININGS, {}),
        ("GET", f"/secret/{id_}", caller),
        ("GET", "/health/live", {}),
        ("OPTIONS", TRAININGS, {}),
        ("POST", TRAININGS, caller),
        ("POST", TRAININGS, caller),
    ]
    for number, (method, path, headers) in enumerate(asked):
        async with client.request(method, path, headers={**headers, "X-Request-Id": f"r{number}"}):
            pass
    before = db.statements
    await requests.write()
    await requests.write()
    assert db.statements - before == 1
    template = f"{TRAININGS}/{{id}}"
    of_user = "/api/v1/training/users/{userId}/sessions"
    found = await read(owner, since=SINCE, limit=100)
    assert [row[1:8] for row in reversed(found)] == [
        (USER, "app|7", "GET", template, None, 422, "r0"),
        (USER, "app|7", "HEAD", template, None, 404, "r1"),
        (USER, "app|7", "GET", of_user, OTHER, 404, "r2"),
        (None, None, "GET", TRAININGS, None, 401, "r3"),
        (None, None, "GET", "unknown", None, 404, "r4"),
        (None, None, "OPTIONS", "unknown", None, 204, "r6"),
        (USER, "app|7", "POST", TRAININGS, None, 415, "r7"),
        (USER, "app|7", "POST", TRAININGS, None, 429, "r8"),
    ]
    assert all(abs(row.at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1) and row.ms > 0 for row in found)


async def test_who_is_refused_asks_the_database_nothing(client: Client, db: Database) -> None:
    async with client.post(TRAININGS, headers=bearer()):
        pass
    before = db.statements
    async with client.post(TRAININGS, headers=bearer()) as answer:
        document = await answer.json()
        assert (answer.status, document["type"]) == (429, "/problems#rate-limited")
        assert answer.headers["RateLimit-Policy"] == '"write";q=1;w=60'
        assert answer.headers["RateLimit"] == f'"write";r=0;t={answer.headers["Retry-After"]}'
    assert db.statements == before
    async with client.get(f"{TRAININGS}/{uuid4()}", headers=bearer()) as answer:
        assert "RateLimit" not in answer.headers  # reads have no limit here


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM request_log",
        "UPDATE request_log SET status = 200",
        "DELETE FROM request_log",
        "TRUNCATE request_log",
        "DELETE FROM access_log",
        "DELETE FROM imports",
    ],
)
async def test_workers_only_add_to_it(db: Database, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        await db.execute(statement)


async def test_what_aiohttp_refuses_is_in_it(client: Client, owner: Database, requests: RequestLog) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    assert b" 400 " in answer
    await requests.write()
    assert [row[1:7] for row in await read(owner, since=SINCE, limit=9)] == [
        (None, None, "other", "unknown", None, 400)
    ]


async def test_an_erased_user_is_in_no_row(client: Client, owner: Database, requests: RequestLog) -> None:
    await owner.execute("INSERT INTO tombstones (tombstone) VALUES (tombstone(%s))", [USER])
    of_user = "/api/v1/training/users/{}/memberships"
    for user, about in ((USER, USER), (USER, OTHER), (OTHER, USER), (OTHER, OTHER)):
        async with client.get(of_user.format(about), headers=bearer(user, sub=f"of {user}")):
            pass
    await requests.write()
    rows = [(row.user_id, row.actor, row.about_user) for row in await read(owner, since=SINCE, limit=9)]
    assert rows == [
        (OTHER, f"of {OTHER}", None),
        (OTHER, f"of {OTHER}", None),
        (None, None, OTHER),
        (None, None, None),
    ]


async def test_without_postgresql_requests_wait_and_the_newest_are_dropped(
    db: Database, owner: Database, monkeypatch: pytest.MonkeyPatch, measures: Measures
) -> None:
    monkeypatch.setattr(module, "MOST", 5)
    away = Database(NOWHERE, pool_timeout=1.0)
    requests = RequestLog(away, measures)
    async with serve(ALL_ROUTES, requests=requests) as client:
        for number in range(4):
            async with client.get("/nothing", headers={"X-Request-Id": f"r{number}"}) as answer:
                assert answer.status == 404
        await requests.write()
        assert dropped(measures) == 0
        for number in range(4, 7):
            async with client.get("/nothing", headers={"X-Request-Id": f"r{number}"}) as answer:
                assert answer.status == 404
    assert dropped(measures) == 2
    requests._database = db
    requests.start()
    await requests.stop()  # writes what waits
    found = await read(owner, since=SINCE, limit=9)
    assert [row.request_id for row in reversed(found)] == ["r0", "r1", "r2", "r3", "r4"]
    await away.close()


async def test_what_cannot_be_written_is_dropped_and_counted(
    client: Client, owner: Database, requests: RequestLog, measures: Measures
) -> None:
    await owner.execute("ALTER TABLE request_log RENAME TO elsewhere")
    async with client.get("/nothing") as answer:
        assert answer.status == 404
    await requests.write()
    assert dropped(measures) == 1


async def test_months_are_made_ahead_and_old_ones_dropped(db: Database, owner: Database) -> None:
    now = dt.datetime.now(dt.UTC)

    async def partitions() -> list[str]:
        sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'request_log'::regclass ORDER BY 1"
        return [name for (name,) in await owner.all(sql)]

    def name(months: int) -> str:
        place = now.year * 12 + now.month - 1 + months
        return f"request_log_{place // 12}_{place % 12 + 1:02}"

    assert await partitions() == [name(months) for months in range(-1, 4)]
    assert await keep_request_log(db, ahead=3, days=365) == []
    assert await keep_request_log(db, ahead=5, days=365) == [(name(4), True), (name(5), True)]
    # A month is kept until all of it is old enough; the last 7 days are kept whatever is said.
    over = (now - dt.timedelta(days=7)).month == now.month
    assert await keep_request_log(db, ahead=3, days=0) == ([(name(-1), False)] if over else [])
    assert await keep_request_log(db, ahead=3, days=365) == ([(name(-1), True)] if over else [])


async def test_old_accesses_and_finished_imports_are_removed_in_batches(db: Database, owner: Database) -> None:
    await owner.execute(
        "INSERT INTO access_log (user_id, at, actor, coach_id, group_external_id, scope, operation, request_id) "
        "SELECT %s, now() - n * interval '1 day', '', %s, '', 'read', '', '' FROM generate_series(1, 40) n",
        [USER, OTHER],
    )
    await owner.execute(
        "INSERT INTO imports (user_id, id, status, format, timezone, unit, actor, sessions, held_back, error_lines, "
        "finished_at) SELECT gen_random_uuid(), gen_random_uuid(), status, 'strong', 'UTC', 'kg', '', 0, 0, 0, "
        "now() - n * interval '1 day' FROM generate_series(1, 40) n, unnest(%s) status",
        [["done", "failed", "undone", "undoing"]],
    )
    before = db.statements
    assert await purge_access_log(db, days=30, batch=8) == 11
    assert db.statements - before == 3
    assert await purge_imports(db, days=30) == 33
    assert await purge_access_log(db, days=0) == 29 - 6  # the last 7 days stay, whatever is said
    assert await owner.all("SELECT status, count(*) FROM imports GROUP BY 1 ORDER BY 1") == [
        ("done", 29),
        ("failed", 29),
        ("undoing", 40),
        ("undone", 29),
    ]


async def test_what_is_old_is_found_without_reading_the_rest(db: Database, owner: Database) -> None:
    await owner.execute(
        "INSERT INTO access_log (user_id, at, actor, coach_id, group_external_id, scope, operation, request_id) "
        "SELECT gen_random_uuid(), now() - n * interval '1 minute', '', %s, '', 'read', '', '' "
        "FROM generate_series(1, 20000) n",
        [OTHER],
    )
    await owner.execute("ANALYZE access_log")
    async with owner.transaction() as cursor:
        await cursor.execute("SELECT purge_access_log(13, 8)")
        read = "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname LIKE 'access_log%%'"
        assert await cursor.one(read) == (0,)
    assert await owner.one("SELECT count(*) FROM access_log") == (19992,)


async def test_housekeeping_keeps_to_the_days(db: Database, owner: Database) -> None:
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=100)
    month = f"request_log_{old:%Y_%m}"
    await owner.execute(
        f"CREATE TABLE {month} PARTITION OF request_log FOR VALUES FROM ('{old:%Y-%m}-01') TO ('{old:%Y-%m}-28')"
    )
    task = asyncio.create_task(housekeeping.keep_days(db, request_log_days=60, access_log_days=60, import_days=60))

    async def gone() -> bool:
        return await owner.one("SELECT to_regclass(%s)", [month]) == (None,)

    await until(gone, 10, "the old month is dropped")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def operator(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command has this test's database."""
    monkeypatch.setenv("TRAINING_DATABASE_URL", database_urls.worker)
    monkeypatch.setenv("TRAINING_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("TRAINING_JWT_SECRET", "a secret of 32 bytes, or of more.")
    monkeypatch.setattr(environment, "settings", settings_module.Settings)


@pytest.mark.usefixtures("operator")
async def test_the_operator_reads_it(client: Client, requests: RequestLog, capsys: pytest.CaptureFixture[str]) -> None:
    for user, about in ((USER, USER), (OTHER, USER), (OTHER, OTHER)):
        async with client.get(f"/api/v1/training/users/{about}/memberships", headers=bearer(user)):
            pass
    await requests.write()

    async def told(*options: str) -> list[Any]:
        capsys.readouterr()  # the lines of the server's own log
        assert await asyncio.to_thread(cli.main, ["requests", *options]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    everything = await told()
    assert [(row["user_id"], row["about_user"]) for row in everything] == [
        (str(OTHER), None),
        (str(OTHER), str(USER)),
        (str(USER), None),
    ]
    assert everything[0].keys() == {
        *("at", "user_id", "actor", "method", "route", "about_user", "status", "request_id", "ms")
    }
    assert await told("--user", str(USER)) == everything[1:]
    assert await told("--status", "404") == everything[1:2]
    assert await told("--limit", "1") == everything[:1]
    assert await told("--until", everything[2]["at"]) == []
    assert await told("--since", everything[1]["at"]) == everything[:2]
