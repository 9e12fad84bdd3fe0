import asyncio
import datetime as dt
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from psycopg2.errors import InsufficientPrivilege

import cli
import settings
from models.errors import ArchiveUnavailable, Conflict
from storage import archive_files, archives, archiving
from storage.archives import adopt, erase, sweep
from storage.database import Cursor, Database
from tests.support.archives import TODAY, World, world
from tests.support.bodies import squat
from tests.support.databases import Databases, DatabaseUrls

SRC = Path(__file__).parents[2] / "src"
AT = dt.datetime(2023, 1, 15, 12, tzinfo=dt.UTC)


@pytest.fixture
async def past(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[World]:
    """A database, and an empty folder for its archives."""
    folder = tmp_path / "archives"
    folder.mkdir()
    async with world(database_urls, folder) as made:
        yield made


async def old(past: World, count: int = 1, at: dt.datetime = AT, **fields: Any) -> list[tuple[UUID, UUID]]:
    """User and id of old trainings, each of another user."""
    made = []
    for _ in range(count):
        athlete = await past.athlete()
        id_ = await athlete.create(**{"exercises": [squat()]} | fields)
        await past.age(athlete.user_id, id_, 1, at)
        made.append((athlete.user_id, id_))
    return made


class Killed(Exception):
    """The process ends here."""


class Killer:
    """Ends what is done before one of its steps: a statement, the moment behind a COMMIT, what lasts on disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        run = Cursor._run

        async def statement(cursor: Cursor, sql: str, parameters: Any) -> int:
            try:
                self.step()
            except Killed:
                if sql == "COMMIT":  # whose connection is gone
                    await run(cursor, "ROLLBACK", None)
                raise
            count = await run(cursor, sql, parameters)
            if sql == "COMMIT":
                self.step()
            return count

        monkeypatch.setattr(Cursor, "_run", statement)
        for place, name in ((os, "fsync"), (Path, "rename"), (Path, "unlink")):
            monkeypatch.setattr(place, name, self._stepping(getattr(place, name)))

    def step(self) -> None:
        """One step more."""
        if self.left > 0:
            self.left -= 1
            if not self.left:
                raise Killed

    async def kills(self, work: Callable[[], Awaitable[object]], step: int) -> bool:
        """Whether the work was ended before this step; else it was done."""
        self.left = step
        try:
            await work()
        except Killed:
            return True
        finally:
            self.left = -1
        return False

    def _stepping(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **more: Any) -> Any:
            self.step()
            return act(*arguments, **more)

        return stepped


async def test_an_end_at_any_step_loses_nothing(past: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await old(past, 2)
    await past.settle()
    rows = await past.rows()

    async def archive() -> None:
        await past.archive(dt.date(2023, 2, 1))

    killer = Killer(monkeypatch)
    step, killed = 0, [True, True]
    while any(killed):
        step += 1
        for number, (work, files, left) in enumerate(((archive, 3, 1), (past.restore, 1, 3))):
            killed[number] = await killer.kills(work, step)
            if killed[number]:
                assert await past.rows() == rows, step
                await work()
            assert await past.rows() == rows, step
            assert (len(past.files()), len(await past.log())) == (files, left), step
    assert step > 25


async def test_an_erasure_that_ends_at_any_step_is_done_by_the_next(
    past: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = await old(past, 60)
    await past.settle()
    await past.archive()
    rows = await past.rows()
    killer = Killer(monkeypatch)
    step, killed = 0, True
    while killed:
        user_id = users[step][0]
        step += 1
        killed = await killer.kills(lambda user_id=user_id: erase(past.database, past.folder, user_id), step)
        await erase(past.database, past.folder, user_id)
        rows = {place: row for place, row in rows.items() if row[7] != user_id}
        assert await past.rows() == rows, step
        files = [path.read_bytes() for path in past.folder.iterdir()]
        assert len(files) == 3
        assert not any(str(user_id).encode() in file for file in files)
    assert step > 15


async def test_an_erasure_loads_nothing_large_where_nothing_is_archived(
    past: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "files_module", Mock(side_effect=AssertionError("pyarrow is 60 MB")))
    assert await erase(past.database, past.folder, uuid4()) == 0
    assert past.folder.exists()


async def test_an_erasure_tells_why_a_file_cannot_be_written_anew(past: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (user_id, _), _ = await old(past, 2)
    await past.settle()
    await past.archive()
    rows, files = await past.rows(), past.files()
    full, torn = OSError(errno.ENOSPC, "No space left on device"), archive_files.Broken("torn")
    for name, who, error, said in (
        ("Writer", user_id, full, "No space left"),
        ("digest_of", user_id, full, "No space left"),
        ("names_actor", uuid4(), torn, "cannot be read"),
    ):
        with monkeypatch.context() as patched, pytest.raises(ArchiveUnavailable, match=said):
            patched.setattr(archive_files, name, Mock(side_effect=error))
            await erase(past.database, past.folder, who)
        assert await past.rows() == rows
    await sweep(past.database, past.folder)
    assert past.files() == files


async def test_a_process_that_is_killed_is_followed_by_one_that_goes_on(
    past: World, database_urls: DatabaseUrls
) -> None:
    for number in range(1, 11):
        await old(past, 2, AT.replace(month=number))
    await past.settle()
    rows, log = await past.rows(), await past.log()
    environment = os.environ | {
        "TRAINING_DATABASE_URL": database_urls.worker,
        "TRAINING_DATABASE_OWNER_URL": database_urls.owner,
        "TRAINING_ARCHIVE_DIR": str(past.folder),
        "TRAINING_JWT_SECRET": "a secret of the tests, long enough for HS256",
        "PYTHONPATH": str(SRC),
    }

    def run(*arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-m", "cli", "archive", *arguments], env=environment)

    for arguments, grows in ((["--before", TODAY.isoformat()], True), (["restore", "--all"], False)):
        process = await asyncio.to_thread(run, *arguments)
        count = len(list(past.folder.glob("*.parquet")))
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            now = len(list(past.folder.glob("*.parquet")))
            if now >= count + 3 if grows else now <= count - 3:
                process.send_signal(signal.SIGKILL)
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL
        assert await past.rows() == rows
        assert await asyncio.to_thread(lambda arguments=arguments: run(*arguments).wait(120)) == 0
        assert await past.rows() == rows
        assert (await past.log() == log) != grows
        assert len(past.files()) == (21 if grows else 1)


async def test_workers_may_not_move_rows(past: World) -> None:
    await old(past)
    await past.settle()
    with pytest.raises(InsufficientPrivilege):
        await anext(archiving.archive(past.database, past.folder, TODAY))
    await past.archive()
    with pytest.raises(InsufficientPrivilege):
        await anext(archiving.restore(past.database, past.folder))
    for forged in ("outbox_archive(1, '[]')", "outbox_unarchive('[]')"):
        with pytest.raises(InsufficientPrivilege):
            await past.database.all(f"SELECT {forged}")


async def test_what_is_not_settled_stays(past: World) -> None:
    names = ("published", "folded", "held", "hidden", "keyed", "marked", "settled")
    trainings = dict(zip(names, await old(past, len(names)), strict=True))
    await past.settle()
    user = {name: {"user_id": user_id, "id": id_} for name, (user_id, id_) in trainings.items()}
    seq = "SELECT seq FROM outbox WHERE user_id = %(user_id)s"
    await past.owner.execute(
        "UPDATE outbox SET xid = pg_current_xact_id() WHERE user_id = %(user_id)s", user["published"]
    )
    await past.owner.execute(
        "UPDATE analytics.folded_trainings SET version = 0 WHERE user_id = %(user_id)s", user["folded"]
    )
    await past.owner.execute(
        "INSERT INTO outbox_quarantine (seq, user_id, aggregate_id, version, topic, error) "
        f"VALUES (({seq}), %(user_id)s, %(id)s, 1, 't', 'refused')",
        user["held"],
    )
    await past.owner.execute(
        "UPDATE trainings SET hidden = true, status = 'PLANNED', group_external_id = 'team' "
        "WHERE user_id = %(user_id)s",
        user["hidden"],
    )
    await past.owner.execute(
        "INSERT INTO idempotency_keys (user_id, route, key, digest, training_id, event_id) "
        "SELECT user_id, 'r', 'k', '', aggregate_id, event_id FROM outbox WHERE user_id = %(user_id)s",
        user["keyed"],
    )
    await past.owner.execute(
        "INSERT INTO analytics.stale_users (user_id, from_day, trainings) VALUES (%(user_id)s, '2026-01-01', '{}')",
        user["marked"],
    )
    (made,) = await past.archive()
    assert (made.trainings, made.rows) == (1, 1)
    left = {row[4] for row in await past.log()}
    assert {name for name, (_, id_) in trainings.items() if id_ in left} == set(names) - {"settled"}


async def test_many_trainings_of_a_month_go_into_several_files(past: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "PART", 2)
    trainings = await old(past, 5)
    await past.settle()
    rows = await past.rows()
    names = [f"trainings-2023-01{number}.parquet" for number in ("", "-2", "-3")]
    assert [(made.file, made.trainings) for made in await past.archive()] == list(zip(names, (2, 2, 1), strict=True))
    assert await past.rows() == rows
    for user_id, id_ in trainings:
        assert len(await past.history(user_id, id_)) == 1
    assert len(await past.restore(AT.date().replace(day=1))) == 3


async def test_the_last_row_of_the_log_stays(past: World) -> None:
    await old(past, 2)
    await past.fold()
    await past.publish()
    (made,) = await past.archive()
    assert made.trainings == 1
    assert len(await past.log()) == 1


async def test_a_log_that_no_relay_has_taken_over_is_not_archived(past: World) -> None:
    await old(past)
    await past.settle()
    await past.database.execute("UPDATE outbox_cursor SET recovered_seq = 0")
    with pytest.raises(Conflict, match="start a worker"):
        await past.archive()


async def test_a_training_that_changes_meanwhile_is_left_whole(past: World, monkeypatch: pytest.MonkeyPatch) -> None:
    athletes = [await past.athlete() for _ in range(3)]
    ids = [await athlete.create(exercises=[squat()]) for athlete in athletes]
    for athlete, id_ in zip(athletes, ids, strict=True):
        await past.age(athlete.user_id, id_, 1, AT)
    await past.settle()
    write = archiving._write
    left = [0, 1]

    async def writing(*arguments: Any) -> Any:
        manifest = await write(*arguments)
        if left:
            number = left.pop()
            await athletes[number].update(ids[number], title="meanwhile")
        return manifest

    monkeypatch.setattr(archiving, "_write", writing)
    (made,) = await past.archive()
    assert (made.trainings, made.rows, made.file) == (1, 1, "trainings-2023-01.parquet")
    assert len(past.files()) == 3
    assert [row[5] for row in await past.log() if row[4] in ids[:2]] == [1, 1, 2, 2]


async def test_a_row_that_is_not_as_in_the_file_stops_it(past: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ((user_id, _),) = await old(past)
    await past.settle()
    rows = await past.rows()
    write = archiving._write

    async def writing(*arguments: Any) -> Any:
        manifest = await write(*arguments)
        await past.owner.execute("UPDATE outbox SET actor = 'other' WHERE user_id = %(id)s", {"id": user_id})
        return manifest

    monkeypatch.setattr(archiving, "_write", writing)
    with pytest.raises(Conflict, match="Nothing was removed"):
        await past.archive()
    assert (await past.rows()).keys() == rows.keys()
    assert await past.database.all("SELECT count(*) FROM archived_trainings") == [(0,)]


async def test_a_file_that_is_not_on_disk_as_it_was_written_removes_nothing(
    past: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old(past)
    await past.settle()
    rows = await past.rows()
    write = archiving._write

    async def writing(*arguments: Any) -> Any:
        manifest = await write(*arguments)
        path = past.folder / manifest.file
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        return manifest

    with monkeypatch.context() as patched, pytest.raises(ArchiveUnavailable, match="not the one that was written"):
        patched.setattr(archiving, "_write", writing)
        await past.archive()
    assert {row[0]: row for row in await past.log()} == rows
    assert len(await past.archive()) == 1


async def test_the_files_of_another_log_are_left_alone(past: World) -> None:
    await old(past)
    await past.settle()
    await past.archive()
    files = past.files()
    await past.owner.execute("UPDATE archive_folder SET id = %(id)s", {"id": uuid4()})
    for refused in (past.archive, partial(adopt, past.owner, past.folder)):
        with pytest.raises(ArchiveUnavailable, match="of another database"):
            await refused()
    (past.folder / "folder.id").unlink()
    await past.owner.execute("DELETE FROM archived_trainings; DELETE FROM archives")
    with pytest.raises(ArchiveUnavailable, match="does not know"):
        await past.archive()
    assert past.files() == files[1:]


async def test_a_copy_of_the_database_leaves_the_files_alone(
    past: World, databases: Databases, database_urls: DatabaseUrls
) -> None:
    users = [user_id for user_id, _ in await old(past, 2)]
    await past.settle()
    copied = databases.urls(databases.copy(urlsplit(database_urls.owner).path[1:]))  # of before the archive
    async with world(database_urls, past.folder) as ours, world(copied, past.folder) as copy:
        await ours.archive()
        files = past.files()
        for each in (copy.archive, copy.restore, partial(erase, copy.database, past.folder, users[0])):
            with pytest.raises(ArchiveUnavailable, match="training archive adopt"):
                await each()
        assert past.files() == files
        assert await adopt(copy.owner, past.folder) == ["trainings-2023-01.json", "trainings-2023-01.parquet"]
        for each in (ours.archive, ours.restore, partial(erase, ours.database, past.folder, users[0])):
            with pytest.raises(ArchiveUnavailable, match="training archive adopt"):
                await each()
        assert past.files() == files
        assert await adopt(ours.owner, past.folder) == []
        assert await erase(ours.database, past.folder, users[0]) == 1
        await ours.restore()
        await copy.archive()  # a folder without files is anybody's
        assert past.files() == files
    databases.drop(urlsplit(copied.owner).path[1:])


async def test_empty_months_go_and_come_back(past: World, database_urls: DatabaseUrls) -> None:
    await old(past, 1)
    await old(past, 1, AT.replace(month=3))
    await past.settle()
    log = await past.log()
    await past.owner.execute("SELECT outbox_keep_month('2023-02-01')")
    months = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outbox'::regclass ORDER BY 1 LIMIT 3"
    await past.archive()
    owner = Database(database_urls.owner, options="-c lock_timeout=200")
    try:
        async with past.database.transaction() as reader:
            await reader.all("SELECT count(*) FROM outbox")
            (kept,) = [each for each in await archiving.drop_months(owner, TODAY) if each.name == "outbox_2023_01"]
            assert kept.kept is not None
            assert "lock timeout" in kept.kept
            async with asyncio.timeout(5):  # who writes does not wait
                await (await past.athlete()).create()
        await past.restore(AT.date().replace(day=1))  # into the month that was about to go
        dropped = await archiving.drop_months(owner, TODAY)
        assert [(each.name, each.kept) for each in dropped] == [("outbox_2023_02", None), ("outbox_2023_03", None)]
        assert (await owner.all(months))[0] == ("outbox_2023_01",)
        await past.restore()
        assert [row for row in await past.log() if row[0] <= log[-1][0]] == log
        with pytest.raises(Conflict, match="TRAINING_DATABASE_OWNER_URL"):
            await archiving.drop_months(past.database, TODAY)
    finally:
        await owner.close()


def test_the_commands(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def begin() -> None:
        async with world(database_urls, tmp_path) as past:
            await old(past, 2)
            await past.settle()

    asyncio.run(begin())
    for name, value in (
        ("DATABASE_URL", database_urls.worker),
        ("DATABASE_OWNER_URL", database_urls.owner),
        ("JWT_SECRET", "a secret of the tests, long enough for HS256"),
    ):
        monkeypatch.setenv(f"TRAINING_{name}", value)

    def run(*arguments: str, folder: Path | None = tmp_path) -> tuple[int, str]:
        if folder is None:
            monkeypatch.delenv("TRAINING_ARCHIVE_DIR", raising=False)
        else:
            monkeypatch.setenv("TRAINING_ARCHIVE_DIR", str(folder))
        settings.settings.cache_clear()
        try:
            code = cli.main(arguments)
        finally:
            settings.settings.cache_clear()
        said = capsys.readouterr()
        return code, said.out + said.err

    assert run("archive")[0] == 1
    assert run("archive", "--before", "2999-01-01")[0] == 1
    assert "TRAINING_ARCHIVE_DIR" in run("archive", "--before", "2024-01-01", folder=None)[1]
    code, said = run("archive", "--before", "2y")
    assert code == 0
    assert "trainings-2023-01.parquet: 2 trainings, 2 rows" in said
    assert "outbox_2023_01: empty, dropped" in said
    assert run("archive", "--before", "2024-01-01") == (
        0,
        "No training that is settled was changed last before 2024-01-01.\n",
    )
    assert "trainings-2023-01.parquet: 2 trainings, 2 rows" in run("archive", "list")[1]
    assert run("archive", "verify")[0] == 0
    assert run("archive", "adopt") == (0, f"{tmp_path} is this database's.\n")
    assert run("analytics", "verify")[0] == 0
    assert run("analytics", "rebuild")[0] == 0
    for command in (("analytics", "verify"), ("analytics", "rebuild")):
        for folder in (None, tmp_path / "nowhere"):
            code, said = run(*command, folder=folder)
            assert code == 1
            assert "The archive trainings-2023-01.parquet is needed" in said
    file = tmp_path / "trainings-2023-01.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-9] + b"x" + content[-8:])
    code, said = run("archive", "verify")
    assert (code, said.splitlines()[-1]) == (1, "1 archives read, 1 are not as they were written.")
    assert run("archive", "restore", "2023-01")[0] == 1
    file.write_bytes(content)
    assert run("archive", "restore", "2023-02") == (1, "training: No archive is of that month.\n")
    assert run("archive", "restore", "2023-01") == (0, "trainings-2023-01.parquet: 2 rows are in the log again\n")
    assert run("archive", "restore", "--all") == (1, "training: Nothing is archived.\n")
    assert run("archive", "list") == (0, "")
