"""Exports on a real PostgreSQL: every format tells of the same rows, and a copy is kept by what changes."""

import csv
import io
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing, closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import psutil
import psycopg2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import compute, parquet

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from models.errors import DatabaseUnavailable, NotFound, StatusConflict
from models.exports import TABLES, Format, Kind
from storage.database import Database
from storage.exercises import read_catalogue
from storage.exports import read_export
from storage.fold_state import advance
from tests.support import names
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat, trainings
from tests.support.coaches import Person
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.names import Namer
from tests.support.web import USER, Client, bearer, serve
from web.api import ALL_ROUTES

ANALYST = bearer(uuid4(), roles=["analytics"])
PATH = "/api/v1/training/exports"
LOG = f"/api/v1/training/users/{USER}/exports/log"
PISTOLS = {"name": "Pistol", "exercise": "pistol-squat", "sets": [{"reps": 6, "weight": 5, "unit": "lb", "rpe": 8.5}]}
ROW = {"name": "Row", "sets": [{"reps": 5, "weight": 50}]}
NAMES = ["=1+1", '-a, "b"\r\n@c', "\tTab", "Plank", "'quoted'"]


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    """Some trainings of one athlete, under names that are hard to write, folded."""
    athlete = Athlete(db, await read_catalogue(db))
    for number, name in enumerate(NAMES):
        sets = [{"reps": number, "weight": 62.125, "unit": "lb", "rpe": 7.5}, {"duration_seconds": 60.5}]
        await athlete.create(
            date=f"2026-01-{number + 1:02}T12:00:00.123456Z",
            bodyweight_kg=80.1234,
            duration_seconds=1800,
            session_rpe=7,
            exercises=[{"name": name, "sets": sets}, PISTOLS],
        )
    await settle(db)
    return athlete


async def exported(
    database: Database, table: str, form: Format = Format.NDJSON, changed_since: int | None = None
) -> tuple[int, list[str]]:
    """All lines, and what to ask for next time."""
    lines: list[str] = []
    following = -1
    async with aclosing(read_export(database, table, form, changed_since=changed_since)) as chunks:
        async for following, more in chunks:  # noqa: B007
            lines += more
    return following, lines


async def rows(database: Database, table: str) -> list[dict[str, Any]]:
    _, lines = await exported(database, table)
    return [orjson.loads(line) for line in lines]


# What is answered.


async def test_who_may_export_what(client: Client) -> None:
    for caller, status in ((bearer(), 403), (ANALYST, 200), (bearer(roles=["admin"]), 200), ({}, 401)):
        assert (await client.get(f"{PATH}/session_volume", headers=caller)).status == status
    unknown = await client.get(f"{PATH}/users", headers=ANALYST)
    assert unknown.status == 404
    detail = (await unknown.json())["detail"]
    assert all(name in detail for name in TABLES)
    for query, name in (
        ("format=xml", "format"),
        ("changed_since=-1", "changed_since"),
        ("from=today", "from"),
        ("from=2026-01-02&to=2026-01-01", "to"),
    ):
        refused = await client.get(f"{PATH}/session_volume?{query}", headers=ANALYST)
        assert refused.status == 422
        assert (await refused.json())["errors"][0]["parameter"] == name


async def test_every_column_is_exported(db: Database) -> None:
    """Those that a test of the migrations has not: whoever adds one says here what it is."""
    found: dict[str, set[str]] = defaultdict(set)
    for table, column in await db.all(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'analytics'"
    ):
        found[table].add(column)
    assert {name: set(table.columns) for name, table in TABLES.items()} == {name: found[name] for name in TABLES}
    for table in TABLES.values():
        assert list(table.columns)[: table.unit] == list(table.units)
        assert {*table.key, table.day} <= set(table.columns)


@pytest.mark.usefixtures("athlete")
@pytest.mark.parametrize("table", TABLES)
async def test_every_format_has_the_rows_that_sql_has(client: Client, db: Database, table: str) -> None:
    columns = TABLES[table].columns
    (stored,) = await db.all(
        "SELECT count(*), {} FROM analytics.{}".format(
            ", ".join(f"sum({name})" for name, kind in columns.items() if kind in (Kind.EXACT, Kind.WHOLE)), table
        )
    )
    count, *sums = stored
    assert count > 0
    answers = {}
    for form in Format:
        answer = await client.get(f"{PATH}/{table}?format={form}", headers=ANALYST)
        assert answer.status == 200
        assert answer.headers["Next-Changed-Since"].isdecimal()
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{table}.{form}"'
        answers[form] = await answer.read()
    read = parquet.read_table(io.BytesIO(answers[Format.PARQUET]))
    assert read.column_names == list(columns)
    assert [
        compute.sum(read[name]).as_py() for name, kind in columns.items() if kind in (Kind.EXACT, Kind.WHOLE)
    ] == sums
    lines = [orjson.loads(line) for line in answers[Format.NDJSON].splitlines()]
    cells = list(csv.DictReader(io.StringIO(answers[Format.CSV].decode(), newline="")))
    assert len(lines) == len(cells) == len(read) == count
    for line, cell, row in zip(lines, cells, read.to_pylist(), strict=True):
        assert set(cell) == set(row) == set(columns)
        for name, kind in columns.items():
            same(kind, line.get(name), cell[name], row[name])


def same(kind: Kind, line: Any, cell: str, row: Any) -> None:
    """One value, by NDJSON, CSV and Parquet."""
    if row is None:
        assert (line, cell) == (None, "")
        return
    match kind:
        case Kind.EXACT | Kind.WHOLE:
            assert Decimal(cell) == row == Decimal(str(line))
        case Kind.REAL:
            assert float(cell) == row == line
        case Kind.MOMENT:
            assert cell == line
            assert row.isoformat().startswith(line[:19])
        case Kind.DAY:
            assert cell == line == row.isoformat()
        case Kind.JSON:
            assert orjson.loads(cell) == orjson.loads(row) == line
        case _:
            assert row == line
            assert cell == (f"'{row}" if row[:1] in {"=", "+", "-", "@", "\t", "\r"} else row)


@pytest.mark.usefixtures("athlete")
async def test_texts_are_written_so_that_nothing_runs(client: Client) -> None:
    answer = await client.get(f"{PATH}/exercise_volume?to=2026-01-02", headers=ANALYST)
    text = await answer.text()
    assert text.count("\r\n") == 1 + 4 + 1  # the titles, the rows, and one in a name
    assert ',"\'=1+1",' in text
    assert ',"\'-a, ""b""\r\n@c",' in text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"


async def test_nothing_is_a_whole_export_too(client: Client) -> None:
    for form, begin in ((Format.CSV, b"user_id,"), (Format.NDJSON, b""), (Format.PARQUET, b"PAR1")):
        answer = await client.get(f"{PATH}/daily_volume?format={form}", headers=ANALYST)
        assert answer.headers["Next-Changed-Since"] == "0"
        assert (await answer.read()).startswith(begin)
    assert len(parquet.read_table(io.BytesIO(await answer.read()))) == 0


async def test_a_users_own_log(client: Client) -> None:
    user = Person(client, USER, groups=["team"])
    await user.admit("team", "read", "plan")
    for day, reps in (("2026-01-05", 5), ("2026-02-05", 6)):
        session = {"date": f"{day}T12:00:00Z", "exercises": [squat(reps)]}
        assert (await client.post(LOG.replace("exports/log", "sessions"), json=session, headers=bearer())).status == 201
    strong, hevy = [await client.get(f"{LOG}?format={app}", headers=bearer()) for app in ("strong", "hevy")]
    assert [line[:10] for line in (await strong.text()).splitlines()[1:]] == ["2026-01-05", "2026-02-05"]
    assert [line[2:13] for line in (await hevy.text()).splitlines()[1:]] == ["5 Feb 2026,", "5 Jan 2026,"]
    pounds = await client.get(f"{LOG}?format=hevy&unit=lb", headers=bearer())
    assert ",220.4623,6," in await pounds.text()
    for stranger in (bearer(uuid4()), bearer(uuid4(), coach_of=["team"]), bearer(uuid4(), roles=["admin"])):
        assert (await client.get(LOG, headers=stranger)).status == 404


# What changed.


class Copy:
    """A copy of the tables that is kept by exports of what changed."""

    def __init__(self) -> None:
        self.since: dict[str, int] = dict.fromkeys(TABLES, 0)
        self.rows: dict[str, dict[tuple[str, ...], list[Any]]] = {name: {} for name in TABLES}

    async def renew(self, database: Database) -> None:
        for name, table in TABLES.items():
            copy = self.rows[name]
            self.since[name], lines = await exported(database, name, changed_since=self.since[name])
            for line in lines:
                row = orjson.loads(line)
                unit = tuple(row[column] for column in table.units)
                if row.pop("change") == "replace":
                    assert row.keys() == set(table.units)
                    copy[unit] = []
                else:
                    copy[unit].append(row)

    async def assert_whole(self, database: Database) -> None:
        for name in TABLES:
            kept = sorted((row for of_unit in self.rows[name].values() for row in of_unit), key=orjson.dumps)
            assert kept == sorted(await rows(database, name), key=orjson.dumps), name


async def settle(database: Database) -> None:
    """Fold everything, and have the mark follow."""
    await VolumeFold(database, TOPIC, names.TOPIC).fold_log()
    await InsightsFold(database, "training_insights").run_due()
    for _ in range(2):
        await advance(database)


_bodies = st.builds(
    lambda body, date: body | {"date": date, "exercises": [*body["exercises"], ROW]},
    trainings(("pistol-squat", "knee-push-up")),
    st.sampled_from(["2026-01-05T23:30:00Z", "2026-01-06T10:00:00Z", "2026-02-11T10:00:00Z"]),
)
_steps = st.one_of(
    st.tuples(st.just("create"), st.just(0), _bodies),
    st.tuples(st.just("update"), st.integers(0, 3), _bodies),
    st.tuples(st.just("delete"), st.integers(0, 3), st.none()),
    st.tuples(st.just("name"), st.integers(0, 3), st.sampled_from(["pistol-squat", "push-up"])),
    st.tuples(st.sampled_from(["settle", "renew", "renew"]), st.just(0), st.none()),
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(_steps, min_size=3, max_size=10))
@example([("create", 0, {"exercises": [ROW]}), ("settle", 0, None), ("renew", 0, None), ("name", 0, "pistol-squat")])
async def test_a_copy_is_kept_by_what_changed(db: Database, steps: list[tuple[str, int, Any]]) -> None:
    """Creates, corrections, moved days, deletes and names, folded or not yet when the copy is renewed."""
    catalogue = await read_catalogue(db)
    athletes = [Athlete(db, catalogue), Athlete(db, catalogue)]
    written: list[tuple[Athlete, UUID]] = []
    copy = Copy()
    for action, number, body in steps:
        if action == "create":
            athlete = athletes[len(written) % 2]
            written.append((athlete, await athlete.create(**body)))
        elif action == "name":
            await Namer(db, athletes[number % 2]).means("row", body)
        elif action == "renew":
            await copy.renew(db)
        elif action == "settle":
            await settle(db)
        elif written:
            athlete, training = written[number % len(written)]
            with suppress(StatusConflict, NotFound):
                await (athlete.delete(training) if body is None else athlete.update(training, **body))
    await settle(db)
    await copy.renew(db)
    await copy.assert_whole(db)


async def test_what_commits_late_is_not_missed(db: Database) -> None:
    """Its place in the log lies before that of another one, which was exported already."""
    catalogue = await read_catalogue(db)
    copy = Copy()
    async with db.transaction() as cursor:
        await Athlete(cursor, catalogue).create(exercises=[squat()])  # type: ignore[arg-type] # it runs statements too
        await Athlete(db, catalogue).create(exercises=[squat()])
        await settle(db)
        await copy.renew(db)
    assert set(copy.since.values()) == {0}
    assert len(copy.rows["session_volume"]) == 1
    await settle(db)
    await copy.renew(db)
    await copy.assert_whole(db)
    assert len(copy.rows["session_volume"]) == 2


async def test_the_next_export_replaces_whom_something_is_owed(db: Database, athlete: Athlete) -> None:
    await db.execute("DELETE FROM analytics.stale_users")
    await settle(db)
    ((end,),) = await db.all("SELECT max(seq) FROM outbox")
    await Athlete(db, await read_catalogue(db)).create(exercises=[squat()])
    await settle(db)
    await db.execute("DELETE FROM analytics.stale_users")
    assert (await exported(db, "daily_load"))[0] == end + 1
    mark = "INSERT INTO analytics.stale_users (user_id, from_day, trainings) VALUES (%s, '2026-01-01', %s)"
    await db.execute(mark, [athlete.user_id, []])  # to be judged, because a day is over
    assert (await exported(db, "daily_load"))[0] == end + 1
    await db.execute("DELETE FROM analytics.stale_users")
    await db.execute(mark, [athlete.user_id, [uuid4()]])
    following, _ = await exported(db, "daily_load")
    assert following == end - 1
    _, lines = await exported(db, "daily_load", changed_since=following)
    assert {"change": "replace", "user_id": str(athlete.user_id)} in map(orjson.loads, lines)


# While it is read.

_MANY = 100_000
_FILL = """
INSERT INTO analytics.exercise_volume (user_id, training_id, position, day, name, exercise, sets, reps, hard_sets,
    external_load_kg, system_load_sets, hold_seconds, time_under_tension_seconds, max_weight_kg, source_seq, updated_at)
SELECT md5((n %% 1000)::text)::uuid, md5((n / 5)::text)::uuid, n %% 5 + 1, date '2020-01-01' + n / 200,
       'Squat ' || n %% 50, 'back-squat', 3, 15, 3, n * 0.45359237 * 1.0001, 0, n %% 60 + 0.5, 0, n %% 200 + 0.25,
       n, now()
FROM generate_series(1, %s) n
"""


@pytest.fixture
async def many(db: Database, database_urls: DatabaseUrls) -> None:
    """A table of 100,000 rows, that nobody has to fold."""
    with closing(psycopg2.connect(database_urls.admin)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_FILL, [_MANY])
        cursor.execute("ANALYZE analytics.exercise_volume")


async def readers(database: Database) -> int:
    """Transactions that are open for an export."""
    ((count,),) = await database.all(
        """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state <> 'idle' AND query LIKE 'FETCH %'"""
    )
    return int(count)


@pytest.mark.usefixtures("many")
async def test_many_rows_take_no_more_memory_than_some(client: Client, db: Database, tmp_path: Path) -> None:
    """As Parquet, read back with the sums that SQL has."""
    process = psutil.Process()
    path = tmp_path / "exercise_volume.parquet"
    resident = []
    with path.open("wb") as file:
        async with client.get(f"{PATH}/exercise_volume?format=parquet", headers=ANALYST) as answer:
            async for part in answer.content.iter_any():
                file.write(part)
                resident.append((file.tell(), process.memory_info().rss))
    half = next(memory for size, memory in resident if size >= resident[-1][0] / 2)
    assert max(memory for _, memory in resident) - half < 24 * 2**20
    assert parquet.ParquetFile(path).metadata.num_row_groups > 4
    read = parquet.read_table(path)
    sums = "count(*), sum(external_load_kg), sum(reps), sum(hold_seconds), sum(max_weight_kg)"
    assert await db.all(f"SELECT {sums} FROM analytics.exercise_volume") == [
        (
            len(read),
            *(
                compute.sum(read[name]).as_py()
                for name in ("external_load_kg", "reps", "hold_seconds", "max_weight_kg")
            ),
        )
    ]


@pytest.mark.usefixtures("many")
async def test_who_goes_away_leaves_nothing_open(client: Client, db: Database) -> None:
    for form in Format:
        async with client.get(f"{PATH}/exercise_volume?format={form}", headers=ANALYST) as answer:
            assert await answer.content.readany()
            assert await readers(db) == 1
            answer.close()

        async def ended() -> bool:
            return await readers(db) == 0

        await until(ended, 10, "the reader is closed")


@pytest.mark.usefixtures("many")
async def test_an_export_leaves_places_for_what_users_read(database_urls: DatabaseUrls) -> None:
    database = Database(database_urls.worker, pool_size=8, pool_timeout=0.3)
    async with aclosing(read_export(database, "exercise_volume", Format.CSV)) as chunks:
        await anext(chunks)
        with pytest.raises(DatabaseUnavailable, match="Too many long answers"):
            await exported(database, "daily_volume")
        async with database.reader("SELECT 1", {}) as fetch:
            assert await fetch(1) == [(1,)]
    assert (await exported(database, "daily_volume"))[1] == []
    await database.close()
