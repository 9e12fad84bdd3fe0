import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest

from agents.volume_audit import rebuild, verify
from models.errors import ArchiveUnavailable
from models.trainings import exercises_json
from storage.access import Guarded
from storage.archives import erase, list_archives, read_user
from storage.database import Database
from storage.exercises import read_catalogue
from storage.memberships import Memberships
from storage.outbox import published
from storage.trainings import Author, Trainings
from tests.support.archives import TODAY, World, world
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import create_body, squat
from tests.support.coaches import access_of
from tests.support.databases import DatabaseUrls
from tests.support.own_exercises import Namer
from tests.support.web import Client, bearer, make_settings, serve
from web.api import ALL_ROUTES

FIRST = dt.datetime(2023, 1, 15, 12, 0, 0, 123456, tzinfo=dt.UTC)


@pytest.fixture
async def past(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[World]:
    """A database, and an empty folder for its archives."""
    folder = tmp_path / "archives"
    folder.mkdir()
    async with world(database_urls, folder) as made:
        yield made


def month(number: int) -> dt.datetime:
    """A moment in the month so many after the first."""
    return FIRST.replace(year=FIRST.year + number // 12, month=number % 12 + 1)


async def old(past: World, athlete: Athlete, number: int = 0, **fields: object) -> UUID:
    """A training that was logged in that month."""
    id_ = await athlete.create(date=month(number).isoformat(), **{"exercises": [squat()]} | fields)
    await past.age(athlete.user_id, id_, 1, month(number))
    return id_


async def test_three_years_are_read_alike_before_while_and_after_they_are_archived(past: World) -> None:
    athletes = [await past.athlete(), await past.athlete()]
    for number in range(36):
        for athlete in athletes[: 1 + (number % 3 == 0)]:
            id_ = await old(past, athlete, number, title=f"Month {number}", exercises=[squat(weight=50 + number)])
            if number % 4 == 1:  # corrected in the next month, or the one after
                await athlete.update(id_, date=month(number).isoformat(), exercises=[squat(reps=8)])
                await past.age(athlete.user_id, id_, 2, month(number + 1 + number % 3))
            if number % 9 == 5:
                await athlete.delete(id_)
                await past.age(athlete.user_id, id_, 3 if number % 4 == 1 else 2, month(number + 4))
    await past.settle()
    before, log = await past.seen(), await past.log()

    made = await past.archive()
    assert len(made) >= 24
    assert sum(each.trainings for each in made) == 48
    assert len(await past.log()) == len(log) - sum(each.rows for each in made)
    assert {(each.month.year, each.month.month) for each in made} <= {(2023 + n // 12, n % 12 + 1) for n in range(40)}
    assert await past.seen() == before
    assert (await verify(past.database, past.folder)).ok
    assert set((await rebuild(past.owner, past.folder)).changed.values()) == {0}
    assert await past.archive() == []

    assert len(await past.restore(made[0].month)) == 1
    assert len(await past.restore()) == len(made) - 1
    assert await past.log() == log
    assert await past.seen() == before
    assert past.files() == ["folder.id"]
    transactions = "SELECT DISTINCT xid::text FROM outbox WHERE created_at < now() - interval '1 hour'"
    assert await past.database.all(transactions) == [("2",)]
    assert (await verify(past.database)).ok
    assert set((await rebuild(past.owner)).changed.values()) == {0}


async def test_what_is_older_than_the_day_alone_is_archived(past: World) -> None:
    athlete = await past.athlete()
    first, second = await old(past, athlete, 0), await old(past, athlete, 1)
    corrected = await old(past, athlete, 0)
    await athlete.update(corrected, exercises=[squat()])
    await past.settle()
    ((made),) = await past.archive(month(1).date())
    assert (made.trainings, made.rows, made.file) == (1, 1, "trainings-2023-01.parquet")
    assert {row[4] for row in await past.log()} >= {second, corrected}
    assert [row.aggregate_id async for row in read_user(past.database, past.folder, athlete.user_id)] == [first]


async def test_corrections_of_archived_trainings_go_on_and_are_archived_too(past: World) -> None:
    athlete = await past.athlete()
    id_, other = await old(past, athlete, 0), await old(past, athlete, 0)
    await past.settle()
    await past.archive()
    await athlete.update(id_, title="corrected", exercises=[squat(reps=9)])
    await athlete.delete(id_)
    for version in (2, 3):
        await past.age(athlete.user_id, id_, version, month(version))
    await past.fold()
    assert [change.version for change in await past.history(athlete.user_id, id_)] == [1, 2, 3]
    assert [change.version for change in await past.history(athlete.user_id, id_, after=1, limit=1)] == [2]
    assert [change.version for change in await past.history(athlete.user_id, id_, limit=2)] == [1, 2]
    assert [change.version for change in await past.history(athlete.user_id, id_, after=2)] == [3]
    assert (await verify(past.database, past.folder)).ok
    await past.settle()
    before = await past.seen()
    (second,) = await past.archive(month(12).date())
    assert (second.file, second.rows) == ("trainings-2023-04.parquet", 2)
    assert await past.seen() == before
    assert [change.version for change in await past.history(athlete.user_id, id_)] == [1, 2, 3]
    assert set((await rebuild(past.owner, past.folder)).changed.values()) == {0}
    rows = await past.rows()
    names = [done.archive.name for done in await past.restore(month(0).date().replace(day=1))]
    assert names == ["trainings-2023-04.parquet", "trainings-2023-01.parquet"]  # what goes on with it comes first
    assert {row[0]: row for row in await past.log()} == rows
    assert [change.version for change in await past.history(athlete.user_id, other)] == [1]


async def test_a_history_of_large_changes_comes_in_pages(past: World) -> None:
    athlete = await past.athlete()
    id_ = await old(past, athlete, 0)
    large = [{"name": "Row", "notes": "n" * 10_000}] * 83  # 830 kB: ten of them have more than 8 MB
    for version in range(2, 14):
        await athlete.update(id_, exercises=large)
        await past.age(athlete.user_id, id_, version, month(0))
    await past.settle()
    assert sum(each.rows for each in await past.archive()) == 13
    await athlete.update(id_, exercises=large)
    await athlete.update(id_, exercises=large)

    pages, after = [], 0
    while True:
        page = await past.history(athlete.user_id, id_, after=after, limit=500)
        pages.append([change.version for change in page])
        if not page.more:
            break
        after = page[-1].version
    assert pages == [[*range(1, 12)], [12, 13, 14, 15]]
    for limit, more in ((10, True), (11, True), (12, True)):
        page = await past.history(athlete.user_id, id_, limit=limit)
        assert ([change.version for change in page], page.more) == ([*range(1, min(limit, 11) + 1)], more)
    page = await past.history(athlete.user_id, id_, after=11, limit=4)
    assert ([change.version for change in page], page.more) == ([12, 13, 14, 15], False)
    page = await past.history(athlete.user_id, id_, after=11, limit=2)
    assert ([change.version for change in page], page.more) == ([12, 13], True)


async def test_an_archived_training_keeps_its_ids(past: World) -> None:
    user, catalogue = uuid4(), await read_catalogue(past.database)
    trainings, author = Trainings(past.database, TOPIC), Author(user, "me")
    body = create_body(source_id="strong:1", status="COMPLETED", exercises=[squat()])
    id_ = uuid4()
    await trainings.create(author, id_, body, exercises_json(id_, body.exercises, catalogue))
    await trainings.delete(author, id_)
    for version in (1, 2):
        await past.age(user, id_, version, month(version))
    await past.owner.execute("UPDATE trainings SET source_id = NULL")  # as the undo of an import leaves it
    await past.settle()
    await past.archive()
    restored = await trainings.restore(author, id_)
    assert restored.version == 3
    again = uuid4()
    log = await past.log()
    repeated = await trainings.create(author, again, body, exercises_json(again, body.exercises, catalogue))
    assert (repeated.id, repeated.created) == (id_, False)
    assert await past.log() == log
    assert b'"source_id":"strong:1"' in (await trainings.read(user, id_)).document


async def test_names_reach_archived_trainings(past: World) -> None:
    namer = Namer(past.database)
    athlete = await past.athlete()
    athlete.user_id = namer.user_id
    athlete._author = namer.author
    await old(past, athlete, 0, exercises=[squat(name="My push-up")])
    await past.settle()
    await past.archive()
    hidden = past.folder.rename(past.folder.with_name("elsewhere"))
    await namer.set("my push-up", exercise="push-up")
    await past.fold()
    named = "SELECT exercise FROM analytics.exercise_volume WHERE user_id = %(user_id)s"
    assert await past.database.all(named, {"user_id": namer.user_id}) == [(None,)]
    behind = "SELECT naming - refolded FROM analytics.users WHERE user_id = %(user_id)s"
    assert await past.database.all(behind, {"user_id": namer.user_id}) == [(1,)]
    hidden.rename(past.folder)
    await past.volume.renew()
    assert await past.database.all(named, {"user_id": namer.user_id}) == [("push-up",)]
    assert await past.database.all(behind, {"user_id": namer.user_id}) == [(0,)]
    await past.fold()
    assert (await verify(past.database, past.folder)).ok
    assert set((await rebuild(past.owner, past.folder)).changed.values()) == {0}


async def test_new_rules_reach_archived_trainings(past: World, monkeypatch: pytest.MonkeyPatch) -> None:
    athlete = await past.athlete()
    await old(past, athlete)
    await past.settle()
    await past.archive()
    await past.database.execute("UPDATE analytics.folded_trainings SET method = 1, reps = 77")
    hidden = past.folder.rename(past.folder.with_name("elsewhere"))
    reps = "SELECT reps FROM analytics.folded_trainings WHERE user_id = %(user_id)s"
    await past.volume.renew()
    assert await past.database.all(reps, {"user_id": athlete.user_id}) == [(77,)]
    hidden.rename(past.folder)
    monkeypatch.setattr(past.volume, "_renew_again", 0.0)
    await past.volume.renew()
    assert await past.database.all(reps, {"user_id": athlete.user_id}) == [(5,)]


async def test_without_its_files_nothing_is_guessed(past: World) -> None:
    athlete = await past.athlete()
    id_ = await old(past, athlete)
    await past.settle()
    (made,) = await past.archive()
    rows = await past.rows()
    routes = [route for route in ALL_ROUTES if "history" in route.path or route.path.endswith("/{id}")]
    for folder in (None, past.folder / "nowhere", past.folder):
        (past.folder / "trainings-2023-01.json").write_text("{}")
        with pytest.raises(ArchiveUnavailable, match=r"trainings-2023-01\.parquet"):
            await verify(past.database, folder)
        with pytest.raises(ArchiveUnavailable, match=r"trainings-2023-01\.parquet"):
            await rebuild(past.owner, folder)
        with pytest.raises(ArchiveUnavailable):
            await past.restore()
        settings = make_settings(archive_dir=folder, rate_reads=0, rate_writes=0)
        async with serve(routes, database=past.database, settings=settings) as client:
            await refused(client, athlete.user_id, id_)
    (past.folder / "trainings-2023-01.json").write_text(made.model_dump_json())
    assert (await verify(past.database, past.folder)).ok
    assert await past.rows() == rows


async def refused(client: Client, user_id: UUID, id_: UUID) -> None:
    """The history is not there, and what needs none is."""
    answer = await client.get(f"/api/v1/trainings/{id_}/history", headers=bearer(user_id))
    assert answer.status == 503, await answer.text()
    problem = await answer.json()
    assert problem["type"] == "/problems#archive-unavailable"
    assert "trainings-2023-01.parquet" in problem["detail"]
    assert answer.headers["Retry-After"]
    assert (await client.get(f"/api/v1/trainings/{id_}", headers=bearer(user_id))).status == 200
    stranger = await client.get(f"/api/v1/trainings/{id_}/history", headers=bearer(uuid4()))
    assert stranger.status == 404


async def test_a_coach_reads_archived_history_by_one_statement(past: World) -> None:
    athlete = await past.athlete()
    id_ = await old(past, athlete)
    await past.settle()
    await past.archive()
    await Memberships(past.database).save(athlete.user_id, "team", ["read"])
    trainings = Trainings(Guarded(past.database, access_of(athlete.user_id, uuid4())), TOPIC)
    assert len(await trainings.history(athlete.user_id, id_, limit=10, archive_dir=past.folder)) == 1
    assert await past.database.all("SELECT count(*) FROM access_log") == [(1,)]


async def test_archived_events_are_replayed(past: World) -> None:
    athlete, other = await past.athlete(), await past.athlete()
    id_ = await old(past, athlete, 0)
    await old(past, other, 1)
    await athlete.update(id_, exercises=[squat()])
    await past.settle()

    async def replayed(**wanted: object) -> list[tuple[str, str]]:
        events = published(past.database, archive_dir=past.folder, **wanted)  # type: ignore[arg-type]
        return [(row.aggregate_id, row.version) async for rows in events for row in rows]

    asked: list[dict[str, object]] = [
        {"user_id": athlete.user_id},
        {"training_id": id_},
        {"since": month(1)},
        {"until": month(1)},
        {"workout_id": id_},
    ]
    before = [sorted(await replayed(**wanted)) for wanted in asked]
    await past.archive(TODAY)
    assert [sorted(await replayed(**wanted)) for wanted in asked] == before
    assert list(map(len, before)) == [2, 2, 3, 1, 0]


async def test_a_user_is_erased_from_every_file(past: World) -> None:
    athlete, other, alone = [await past.athlete() for _ in range(3)]
    coached = await old(past, other, 0, notes="of another")
    for number in (0, 1):
        await old(past, athlete, number, notes="a private note")
    await old(past, alone, 2)
    await past.owner.execute(
        "UPDATE outbox SET actor = %(actor)s WHERE aggregate_id = %(id)s",
        {"actor": str(athlete.user_id), "id": coached},
    )
    await past.settle()
    await past.archive()
    (past.folder / "trainings-2022-12.parquet").write_bytes(str(athlete.user_id).encode())
    rows = await past.rows()
    assert await erase(past.database, past.folder, athlete.user_id) == 2
    left = {place: row for place, row in rows.items() if row[7] != athlete.user_id}
    assert await past.rows() == {
        place: (*row[:8], "erased" if row[4] == coached else row[8], *row[9:]) for place, row in left.items()
    }
    assert past.files() == [
        "folder.id",
        "trainings-2023-01-2.json",
        "trainings-2023-01-2.parquet",
        "trainings-2023-03.json",
        "trainings-2023-03.parquet",
    ]
    files = [path.read_bytes() for path in past.folder.iterdir()]
    assert not any(text in file for file in files for text in (str(athlete.user_id).encode(), b"private"))
    assert await past.database.all("SELECT name FROM archives ORDER BY id") == [
        ("trainings-2023-01-2.parquet",),
        ("trainings-2023-03.parquet",),
    ]
    assert await erase(past.database, past.folder, athlete.user_id) == 0
    with pytest.raises(ArchiveUnavailable):
        await erase(past.database, None, alone.user_id)
    with pytest.raises(ArchiveUnavailable):
        await erase(past.database, past.folder / "nowhere", alone.user_id)
    assert await erase(past.database, past.folder, alone.user_id) == 1
    assert [archive.trainings for archive in await list_archives(past.database)] == [1]


async def test_who_was_erased_does_not_come_back(past: World) -> None:
    athlete, other = await past.athlete(), await past.athlete()
    await old(past, athlete)
    await old(past, other)
    await past.settle()
    await past.archive()
    await past.owner.execute("INSERT INTO tombstones (tombstone) SELECT tombstone(%(id)s)", {"id": athlete.user_id})
    (done,) = await past.restore()
    assert (done.rows, done.erased) == (1, 1)
    assert athlete.user_id not in {row[7] for row in await past.log()}
    await old(past, other)
    await past.settle()
    assert [made.trainings for made in await past.archive()] == [2]


async def test_what_the_topic_tells_again_of_archived_trainings_is_not_taken_back(past: World) -> None:
    athlete = await past.athlete()
    id_ = await old(past, athlete)
    await past.settle()
    records = (
        "SELECT jsonb_agg(to_jsonb(o)) FROM outbox o WHERE user_id = %(user_id)s",
        {"user_id": athlete.user_id},
    )
    ((told,),) = await past.database.all(*records)
    await past.archive()
    ((fence,),) = await past.database.all("SELECT fence FROM outbox_cursor")
    adopted = await adopt(past.database, fence, told)
    assert adopted == (0, 0, 0)
    assert [change.version for change in await past.history(athlete.user_id, id_)] == [1]


async def adopt(database: Database, fence: int, told: object) -> tuple[object, ...]:
    row = await database.one(
        "SELECT events, renumbered, strange FROM outbox_adopt(%(fence)s, %(told)s)",
        {"fence": fence, "told": orjson.dumps(told).decode()},
    )
    assert row is not None
    return row


async def test_readers_meet_every_row_while_files_come_and_go(past: World) -> None:
    athlete = await past.athlete()
    ids = [await old(past, athlete, number % 3) for number in range(6)]
    await past.settle()
    done = asyncio.Event()

    async def move() -> None:
        try:
            for _ in range(3):
                await past.archive()
                await past.restore()
        finally:
            done.set()

    async def look() -> int:
        looks = 0
        while not done.is_set():
            for id_ in ids:
                assert [change.version for change in await past.history(athlete.user_id, id_)] == [1]
            assert (await verify(past.database, past.folder)).ok
            looks += 1
        return looks

    _, looks = await asyncio.gather(move(), look())
    assert looks > 3
