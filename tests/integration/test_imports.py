"""Imports over REST, from the file to the trainings and back, whatever happens to the workers meanwhile."""

import asyncio
import datetime as dt
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import FormData

import web.forms
from agents import imports as agent
from models.errors import DatabaseUnavailable
from models.foreign_logs import MAX_BYTES
from models.imports import ImportStatus
from storage.database import Database
from storage.imports import Imports, Work
from storage.training_batch import Item, Result
from tests.support.api import User
from tests.support.imports import form, importer
from tests.support.load import until
from tests.support.strong import HEADER, log_file, totals
from tests.support.web import USER, Client, bearer, make_settings, serve
from web.api import ALL_ROUTES
from web.forms import AT_ONCE, Files
from web.imports import PATH
from web.problems import UNAVAILABLE, Problem

HEVY = """\
title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,reps,distance_km,duration_seconds,rpe
B,"2 Jan 2025, 18:00",,,Squat (Barbell),,,0,normal,100,5,,,
A,"1 Jan 2025, 18:00",,,Squat (Barbell),,,0,normal,100,5,,,
"""
FITNOTES = """\
Date,Exercise,Category,Weight,Weight Unit,Reps,Distance,Distance Unit,Time
2025-01-01,Row, one arm,Back,20,kgs,10,,,
"""


def log(count: int, weight: int = 100) -> str:
    """`count` sessions of one set, the latest first."""
    first = dt.datetime(2021, 3, 1, 18)  # noqa: DTZ001 - local time, as Strong writes it
    days = [first + dt.timedelta(days=day) for day in range(count, 0, -1)]
    return HEADER + "".join(f"{day},Legs,1h,Squat,1,{weight},5,0,0,,,\n" for day in days)


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db, settings=make_settings(imports_per_hour=4)) as client:
        yield client


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "BATCH", 10)
    monkeypatch.setattr(agent, "RETRY", 0.01)


class Importer:
    """A user who imports."""

    def __init__(self, client: Client, user: UUID = USER) -> None:
        self._client, self.path, self._headers = client, PATH.format(userId=user), bearer(user)
        self.location: str | None = None

    async def ask(self, method: str, path: str = "", expected: int = 200, **options: Any) -> dict[str, Any]:
        """The document of the answer."""
        headers = self._headers | options.pop("headers", {})
        async with self._client.request(method, self.path + path, headers=headers, **options) as answer:
            assert answer.status == expected, await answer.text()
            self.replayed = answer.headers.get("Idempotent-Replayed")
            self.location = answer.headers.get("Location")
            self.retry_after = answer.headers.get("Retry-After")
            document: dict[str, Any] = await answer.json(content_type=None)
            return document

    async def send(
        self, file: str | bytes | None, expected: int = 202, *, key: str | None = None, **fields: str
    ) -> dict[str, Any]:
        """POST a file."""
        parts = fields | ({} if file is None else {"file": file})
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.ask("POST", "", expected, data=form(parts), headers=headers)

    async def read(self, job: dict[str, Any]) -> dict[str, Any]:
        """The import as it is now."""
        return await self.ask("GET", f"/{job['id']}")

    async def undo(self, job: dict[str, Any], expected: int = 202) -> dict[str, Any]:
        """DELETE it."""
        return await self.ask("DELETE", f"/{job['id']}", expected)


def counts(job: dict[str, Any]) -> Sequence[int]:
    return [job[name] for name in ("worked_off", "created", "unchanged", "conflicting", "refused")]


async def numbers(db: Database) -> tuple[int, ...]:
    """Trainings that are there, all that ever were, and events."""
    return (
        await db.all(
            "SELECT count(*) FILTER (WHERE deleted_at IS NULL), count(*), (SELECT count(*) FROM outbox) FROM trainings"
        )
    )[0]


async def test_a_log_goes_in_as_a_job(client: Client, db: Database, tmp_path: Path) -> None:
    path = log_file(tmp_path, sessions=130)
    file, read = path.read_bytes(), totals(path)
    user = Importer(client)
    plan = await user.send(file, 200, dry_run="true", timezone="Europe/Vienna")
    count = plan["sessions"]
    assert (count, plan["sets"], plan["reps"]) == (len(read["sessions"]), read["sets"], read["reps"])
    assert (plan["created"], plan["unchanged"], plan["conflicting"], plan["held_back"]) == (count, 0, 0, 0)
    assert (plan["format"], plan["errors"]) == ("strong", [])
    assert await db.all("SELECT FROM imports UNION ALL SELECT FROM trainings UNION ALL SELECT FROM outbox") == []
    job = await user.send(file, timezone="Europe/Vienna")
    assert user.location == f"{user.path}/{job['id']}"
    assert (job["status"], counts(job), job["sessions"]) == ("queued", [0] * 5, count)
    await importer(db).work_off()
    done = await user.read(job)
    assert (done["status"], counts(done)) == ("done", [count, count, 0, 0, 0])
    assert await numbers(db) == (count, count, count)
    assert await db.all("SELECT count(*), sum(reps) FROM training_sets") == [(plan["sets"], plan["reps"])]
    assert await db.all("SELECT count(*) FROM training_exercises WHERE exercise IS NOT NULL") != [(0,)]
    assert await db.all("SELECT file, lease FROM imports") == [(None, None)]
    same, moved = [
        await user.send(file, 200, dry_run="true", timezone=zone) for zone in ("Europe/Vienna", "Asia/Tokyo")
    ]
    assert [plan[name] for plan in (same, moved) for name in ("created", "unchanged", "conflicting")] == [
        *(0, count, 0),
        *(0, 0, count),
    ]
    again = await user.send(file, timezone="Europe/Vienna")
    await importer(db).work_off()
    assert counts(await user.read(again)) == [count, 0, count, 0, 0]
    assert await numbers(db) == (count, count, count)


async def test_an_import_whose_answer_was_lost_is_asked_for_by_its_key(client: Client, db: Database) -> None:
    user = Importer(client)
    await user.send(log(3), 200, dry_run="true", key="a")
    job = await user.send(log(3), key="a")
    assert user.replayed is None
    for status in ("queued", "done"):
        again = await user.send(log(3), key="a")
        assert (again["id"], again["status"], user.replayed) == (job["id"], status, "true")
        assert user.location == f"{user.path}/{job['id']}"
        await importer(db).work_off()
    for file, fields in ((log(2), {}), (log(3), {"timezone": "Europe/Vienna"})):
        refused = await user.send(file, 422, key="a", **fields)
        assert refused["errors"][0]["header"] == "Idempotency-Key"
    assert (await Importer(client, uuid4()).send(log(3), key="a"))["id"] != job["id"]
    # What was refused keeps no key.
    other = await user.send(log(3), key="b")
    assert str(other["id"]) in (await user.send(log(3), 409, key="c"))["detail"]
    for key in ("c", "d"):
        await importer(db).work_off()
        assert (await user.send(log(3), key=key))["id"] not in (job["id"], other["id"])
        assert user.replayed is None
    await importer(db).work_off()
    await user.send(log(3), 429, key="e")
    assert user.retry_after is not None
    assert (await user.send(log(3), key="a"))["id"] == job["id"]
    assert await db.one("SELECT count(*) FROM imports WHERE user_id = %s", [USER]) == (4,)
    assert await db.all("SELECT key FROM idempotency_keys WHERE user_id = %s ORDER BY 1", [USER]) == [
        (key,) for key in "abcd"
    ]


async def test_every_format_is_found_by_its_header(client: Client, db: Database) -> None:
    files = {"hevy": HEVY, "fitnotes": FITNOTES, "strong": log(2)}
    for format_, file in files.items():
        user = Importer(client, uuid4())
        job = await user.send(file)
        assert job["format"] == format_
        await importer(db).work_off()
        assert (await user.read(job))["created"] == job["sessions"] > 0
        for other in files.keys() - {format_}:
            refused = await user.send(file, 422, format=other)
            assert refused["errors"][0]["pointer"] == "/file"
    apps = await db.all("SELECT split_part(source_id, ':', 1), count(*) FROM trainings GROUP BY 1")
    assert dict(apps) == {"hevy": 2, "fitnotes": 1, "strong": 2}


async def test_what_was_imported_before_names_were_known_is_there_already(client: Client, db: Database) -> None:
    plain = {"name": "Squat (Barbell)", "sets": [{"weight": 100, "reps": 5}]}
    made = {"date": "2025-01-01T18:00:00Z", "status": "COMPLETED", "title": "A", "exercises": [plain]}
    await User(client, USER).create(**made, source_id="hevy:2025-01-01T18:00:00:A")
    user = Importer(client)
    assert (await user.send(HEVY, 200, dry_run="true"))["unchanged"] == 1
    job = await user.send(HEVY)
    await importer(db).work_off()
    assert counts(await user.read(job)) == [2, 1, 1, 0, 0]


async def test_what_is_wrong_is_named_by_its_line(client: Client, db: Database) -> None:
    user = Importer(client)
    other = {"date": "2021-03-02T18:00:00Z", "source_id": "strong:2021-03-02T18:00:00:Legs"}
    await User(client, USER).create(**other)
    large = "".join(f"2022-01-01 10:00:00,Big,1h,Squat {i},1,100,5,0,0,{'x' * 9000},,\n" for i in range(110))
    wrong = "".join(
        f"2022-02-{day:02} 10:00:00,Legs,1h,Squat,{order},x,5,0,0,,,\n" for day in (1, 2) for order in (1, 2)
    )
    job = await user.send(log(2) + large + wrong)
    assert (job["sessions"], job["held_back"], job["error_lines"]) == (3, 2, 4)
    assert job["errors"][0] == {"line": 114, "column": "Weight", "message": "'x' is no number"}
    await importer(db).work_off()
    done = await user.read(job)
    assert (done["status"], counts(done)) == ("done", [3, 1, 0, 1, 1])
    conflict, refusal = done["errors"][4:]
    assert (conflict["line"], conflict["message"][:17]) == (3, "2021-03-02 Legs: ")
    assert (refusal["line"], "would be larger than" in refusal["message"]) == (4, True)


async def test_a_dry_run_refuses_what_the_import_refuses(client: Client, db: Database) -> None:
    user = Importer(client)
    ahead = "2030-01-01 10:00:00,Ahead,1h,Squat,1,100,5,0,0,,,\n"
    large = "".join(f"2022-01-01 10:00:00,Big,1h,Squat {i},1,100,5,0,0,{'x' * 9000},,\n" for i in range(110))
    file = log(1) + ahead + large + log(3).removeprefix(HEADER) + "yesterday,Lost,1h,Squat,1,100,5,0,0,,,\n"
    plan = await user.send(file, 200, dry_run="true")
    job = await user.send(file)
    await importer(db).work_off()
    done = await user.read(job)
    names = ("sessions", "created", "refused", "held_back", "error_lines")
    assert [plan[name] for name in names] == [done[name] for name in names] == [4, 2, 2, 1, 1]
    beside, lost, big, future = plan["errors"]
    assert [beside, lost, big, future] == done["errors"]
    assert (beside["line"], lost["line"], big["line"], future["line"]) == (2, 117, 4, 3)
    assert "line 117 beside it" in beside["message"]
    assert "would be larger than" in big["message"]
    assert future["message"] == "2030-01-01 Ahead: It must not lie more than 24 hours in the future."


async def test_what_begins_with_another_training_is_counted(client: Client, db: Database) -> None:
    """As the user's own log does that was exported and comes back. Sessions of the file overlap with none of it."""
    user, trainings = Importer(client), User(client, USER)
    await trainings.create(date="2021-03-02T18:00:59Z", status="COMPLETED")
    for date in ("2021-03-03T18:01:00Z", "2021-03-03T17:59:59Z"):
        await trainings.create(date=date)
    gone = await trainings.create(date="2021-03-04T18:00:00Z")
    assert (await trainings.ask("DELETE", f"/{gone['id']}")).status == 204
    await User(client).create(date="2021-03-04T18:00:00Z")
    file = log(25) + "2021-03-02 18:00:00,Arms,1h,Curl,1,10,5,0,0,,,\n2021-03-04 18:00:00,Arms,1h,Curl,1,10,5,0,0,,,\n"
    plan = await user.send(file, 200, dry_run="true")
    assert (plan["created"], plan["overlapping"]) == (27, 2)
    job = await user.send(file)
    assert job["overlapping"] == 0
    await importer(db).work_off()
    done = await user.read(job)
    assert (done["created"], done["overlapping"]) == (27, 2)
    plan, again = await user.send(file, 200, dry_run="true"), await user.send(file)
    await importer(db).work_off()
    assert (plan["overlapping"], (await user.read(again))["overlapping"]) == (0, 0)


async def test_of_many_errors_the_first_are_told(client: Client, db: Database) -> None:
    user = Importer(client)
    job = await user.send(HEADER + "yesterday,Legs,1h,Squat,1,1,5,0,0,,,\n" * 300 + log(2).removeprefix(HEADER))
    assert (job["error_lines"], len(job["errors"]), job["sessions"]) == (300, 100, 1)
    await importer(db).work_off()
    assert len((await user.read(job))["errors"]) == 100


async def test_a_worker_that_dies_between_batches_is_followed_by_another(
    client: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had stored a batch, and not how far it was."""
    user = Importer(client)
    job = await user.send(log(35))
    steps, step, dead = 0, Imports.step, asyncio.Event()

    async def die(self: Imports, work: Work) -> bool:
        nonlocal steps
        steps += 1
        if steps == 3:
            dead.set()
            await asyncio.Event().wait()
        return await step(self, work)

    monkeypatch.setattr(Imports, "step", die)
    first = asyncio.create_task(importer(db).work_off())
    await dead.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert await numbers(db) == (30, 30, 30)
    second = importer(db)
    await second.work_off()  # the lease is the dead one's
    assert (await user.read(job))["worked_off"] == 20
    await db.execute("UPDATE imports SET leased_until = now() - interval '1 second'")
    await second.work_off()
    done = await user.read(job)
    assert (done["status"], counts(done)) == ("done", [35, 35, 0, 0, 0])
    assert await numbers(db) == (35, 35, 35)


async def test_who_lost_the_lease_stops(client: Client, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    user = Importer(client)
    job = await user.send(log(35))
    step = Imports.step
    second = importer(db)

    async def overtaken(self: Imports, work: Work) -> bool:
        monkeypatch.setattr(Imports, "step", step)
        await db.execute("UPDATE imports SET leased_until = now() - interval '1 second'")
        await second.work_off()
        return await step(self, work)

    monkeypatch.setattr(Imports, "step", overtaken)
    await importer(db).work_off()
    assert counts(await user.read(job)) == [35, 35, 0, 0, 0]
    assert await numbers(db) == (35, 35, 35)


async def test_postgresql_away_is_waited_for(client: Client, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a step was lost: it may have been done, and the lease is this worker's."""
    user = Importer(client)
    job = await user.send(log(35))
    step, failures = Imports.step, iter([True, False, True])

    async def falter(self: Imports, work: Work) -> bool:
        if next(failures, False):
            raise DatabaseUnavailable("PostgreSQL cannot be reached right now.")
        return await step(self, work)

    monkeypatch.setattr(Imports, "step", falter)
    running = importer(db)
    running.start()
    await until(lambda: finished(user, job), 20, "the import is done")
    await running.stop()
    assert counts(await user.read(job)) == [35, 35, 0, 0, 0]
    assert await numbers(db) == (35, 35, 35)


async def finished(user: Importer, job: dict[str, Any]) -> bool:
    return "finished_at" in await user.read(job)


async def test_a_worker_that_stops_finishes_its_batch(
    client: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one goes on at once, and is woken by the POST of its own server alone."""
    user = Importer(client)
    job = await user.send(log(35))
    step, stopping = Imports.step, importer(db)
    stopped: list[asyncio.Task[None]] = []

    async def stop(self: Imports, work: Work) -> bool:
        stopped[:] = stopped or [asyncio.create_task(stopping.stop())]
        return await step(self, work)

    monkeypatch.setattr(Imports, "step", stop)
    stopping.start()
    await until(lambda: bool(stopped), 20, "a batch was stored")
    await stopped[0]
    halted = await user.read(job)
    assert (halted["status"], 10 <= halted["worked_off"] < 35) == ("running", True)
    monkeypatch.setattr(Imports, "step", step)
    monkeypatch.setattr(agent, "LOOK", 60.0)
    following = importer(db)
    following.start()
    await until(lambda: finished(user, job), 20, "the import is done")
    assert counts(await user.read(job)) == [35, 35, 0, 0, 0]
    other = await user.send(log(36))
    following.wake()
    await until(lambda: finished(user, other), 20, "the import is done")
    await following.stop()


async def test_workers_share_the_jobs(client: Client, db: Database) -> None:
    users = [Importer(client, uuid4()) for _ in range(4)]
    jobs = [await user.send(log(25)) for user in users]
    await asyncio.gather(*(importer(db).work_off() for _ in range(2)))
    assert [counts(await user.read(job)) for user, job in zip(users, jobs, strict=True)] == [[25, 25, 0, 0, 0]] * 4
    assert await numbers(db) == (100, 100, 100)


async def test_a_fault_of_ours_fails_the_job_alone(
    client: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, step = Importer(client), Imports.step
    job = await user.send(log(15))

    async def break_(self: Imports, work: Work) -> bool:
        await step(self, work)
        raise RuntimeError("a fault")

    monkeypatch.setattr(Imports, "step", break_)
    await importer(db).work_off()
    failed = await user.read(job)
    assert (failed["status"], failed["created"], "fault of the service" in failed["failure"]) == ("failed", 10, True)
    assert await db.all("SELECT file FROM imports") == [(None,)]
    await user.undo(job)
    await importer(db).work_off()
    assert ((await user.read(job))["undone"], (await numbers(db))[0]) == (10, 0)


async def test_an_import_is_undone(client: Client, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    user, trainings = Importer(client), User(client, USER)
    before = await trainings.create(status="COMPLETED")
    job = await user.send(log(35))
    await importer(db).work_off()
    page = await (await trainings.ask("GET", "?limit=200")).json()
    imported = [item for item in page["items"] if item["id"] != before["id"]]
    changed, gone = imported[3], imported[7]
    put = await trainings.ask("PUT", f"/{changed['id']}", changed | {"notes": "mine"})
    assert put.status == 200
    assert (await trainings.ask("DELETE", f"/{gone['id']}")).status == 204

    # The worker dies after a part of it.
    delete, dead = Imports.delete, asyncio.Event()

    async def die(self: Imports, work: Work, ids: Sequence[UUID]) -> set[UUID] | None:
        deleted = await delete(self, work, ids)
        dead.set()
        await asyncio.Event().wait()
        return deleted

    monkeypatch.setattr(Imports, "delete", die)
    undoing = await user.undo(job)
    assert (undoing["status"], user.location) == ("undoing", f"{user.path}/{job['id']}")
    assert (await user.undo(job))["status"] == "undoing"
    assert job["id"] in (await user.send(log(1), 409))["detail"]
    first = asyncio.create_task(importer(db).work_off())
    await dead.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (await user.read(job))["undone"] == 10
    monkeypatch.setattr(Imports, "delete", delete)
    await db.execute("UPDATE imports SET leased_until = now() - interval '1 second'")
    await importer(db).work_off()

    undone = await user.read(job)
    assert (undone["status"], undone["undone"], undone["kept"]) == ("undone", 33, 1)
    assert undone["kept_trainings"] == [changed["id"]]
    assert await user.undo(job, 200) == undone
    left = await (await trainings.ask("GET", "?limit=200")).json()
    assert {item["id"] for item in left["items"]} == {before["id"], changed["id"]}
    deleted = (await trainings.events(imported[0]["id"]))[-1]
    assert deleted["event_type"] == "training_deleted"
    told = dict(deleted["payload"])
    assert (told.pop("training_id"), told.pop("version")) == (imported[0]["id"], 2)
    kept = {name: value for name, value in imported[0].items() if name in told}
    assert told == kept
    assert told["source_id"] == imported[0]["source_id"]

    # What was undone may come again, as it should have been; what the user changed or deleted stays so.
    again = await user.send(log(35), timezone="Asia/Tokyo")
    await importer(db).work_off()
    assert counts(await user.read(again)) == [35, 33, 0, 2, 0]


async def test_an_import_that_runs_is_stopped_and_undone(
    client: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the worker that has it, at its next step; what it created until then counts."""
    user = Importer(client)
    job = await user.send(log(35))
    step, canceled = Imports.step, []

    async def cancel(self: Imports, work: Work) -> bool:
        if not canceled and await step(self, work):
            canceled.append(await user.undo(job))
            return True  # the next batch is begun
        return await step(self, work)

    monkeypatch.setattr(Imports, "step", cancel)
    await importer(db).work_off()
    assert [found["status"] for found in canceled] == ["undoing"]
    done = await user.read(job)
    assert (done["status"], done["created"], done["undone"], done["kept"]) == ("undone", 10, 10, 0)
    assert await numbers(db) == (0, 10, 20)
    assert await db.all("SELECT file, lease FROM imports") == [(None, None)]
    again = await user.send(log(35))
    await importer(db).work_off()
    assert counts(await user.read(again)) == [35, 35, 0, 0, 0]


async def test_an_import_is_stopped_within_a_batch_or_at_its_end(
    client: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is undone after all, and what was stored beside the DELETE counts."""
    user, finish, store = Importer(client), Imports.finish, Imports.store

    async def at_the_end(self: Imports, work: Work, status: ImportStatus, failure: str | None = None) -> None:
        if status is ImportStatus.DONE:
            await user.undo({"id": str(work.job.id)})
        await finish(self, work, status, failure)

    async def after_a_batch(self: Imports, work: Work, items: Sequence[Item]) -> list[Result]:
        results = await store(self, work, items)
        await user.undo({"id": str(work.job.id)})
        return results

    for name, instead, created in (("finish", at_the_end, 15), ("store", after_a_batch, 10)):
        with monkeypatch.context() as patch:
            patch.setattr(Imports, name, instead)
            job = await user.send(log(15))
            await importer(db).work_off()
        done = await user.read(job)
        assert (done["status"], done["created"], done["undone"]) == ("undone", created, created)
        assert (await numbers(db))[0] == 0


async def test_an_import_that_waits_is_undone_at_once(client: Client, db: Database) -> None:
    user = Importer(client)
    job = await user.send(log(3))
    done = await user.undo(job, 200)
    assert (done["status"], done["created"], "finished_at" in done) == ("undone", 0, True)
    await importer(db).work_off()
    assert await numbers(db) == (0, 0, 0)
    assert await db.all("SELECT file FROM imports") == [(None,)]
    await user.send(log(3))
    assert await user.undo(job, 200) == done


async def test_an_import_is_not_undone_beside_another(client: Client, db: Database) -> None:
    user = Importer(client)
    job = await user.send(log(3))
    await importer(db).work_off()
    other = await user.send(log(4))
    assert other["id"] in (await user.undo(job, 409))["detail"]
    await user.undo(other, 200)
    await user.undo(job)
    await importer(db).work_off()
    assert (await numbers(db))[0] == 0


async def test_who_was_frozen_meanwhile_creates_nothing_more(
    client: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ended, another worker has undone the import, and then it goes on."""
    user, store = Importer(client), Imports.store
    job = await user.send(log(35))

    async def freeze(self: Imports, work: Work, items: Sequence[Item]) -> list[Result]:
        monkeypatch.setattr(Imports, "store", store)
        await user.undo(job)
        await db.execute("UPDATE imports SET leased_until = now() - interval '1 second'")
        await importer(db).work_off()
        return await store(self, work, items)

    monkeypatch.setattr(Imports, "store", freeze)
    await importer(db).work_off()
    assert (await user.read(job))["status"] == "undone"
    assert await numbers(db) == (0, 0, 0)


async def test_an_import_that_workers_die_of_is_given_up(
    client: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one that gets further each time, and none that workers hand over."""
    user, other = Importer(client), Importer(client, uuid4())
    job = await user.send(log(35))
    step = Imports.step

    async def die_later(self: Imports, work: Work) -> bool:
        await step(self, work)
        raise asyncio.CancelledError

    async def die(self: Imports, work: Work) -> bool:
        raise asyncio.CancelledError

    async def attempt() -> None:
        await asyncio.gather(importer(db).work_off(), return_exceptions=True)
        await db.execute("UPDATE imports SET leased_until = now() - interval '1 second'")

    monkeypatch.setattr(Imports, "step", die_later)
    await attempt()
    for _ in range(agent.CLAIMS):  # who stops in order does not count
        stops = Imports(db, "training_events", str(uuid4()))
        work = await stops.claim()
        assert work is not None
        await stops.release(work)
    monkeypatch.setattr(Imports, "step", die)
    for number in range(agent.CLAIMS):
        await attempt()
        assert (await user.read(job))["status"] == "running", number
    monkeypatch.setattr(Imports, "step", step)
    fine = await other.send(log(15))
    await importer(db).work_off()
    failed = await user.read(job)
    assert (failed["status"], failed["worked_off"]) == ("failed", 10)
    assert "5 times" in failed["failure"]
    assert "can be undone" in failed["failure"]
    assert (await other.read(fine))["status"] == "done"
    assert await db.all("SELECT file FROM imports") == [(None,), (None,)]
    await user.undo(job)
    await importer(db).work_off()
    assert (await user.read(job))["status"] == "undone"
    assert (await numbers(db))[0] == 15


async def test_what_is_restored_after_an_undo_is_known_again(client: Client, db: Database) -> None:
    user, trainings = Importer(client), User(client, USER)
    job = await user.send(log(2))
    await importer(db).work_off()
    first, second = (await (await trainings.ask("GET", "")).json())["items"]
    await user.undo(job)
    await importer(db).work_off()
    assert (await trainings.ask("POST", f"/{first['id']}/restore")).status == 200
    assert (await trainings.assert_told(first["id"]))["source_id"] == first["source_id"]
    again = await user.send(log(2))
    await importer(db).work_off()
    assert counts(await user.read(again)) == [2, 1, 1, 0, 0]
    # The other's is taken now.
    assert (await trainings.ask("POST", f"/{second['id']}/restore")).status == 200
    assert "source_id" not in await trainings.assert_told(second["id"])


async def test_a_restore_gives_way_to_who_takes_its_source_id(client: Client, db: Database) -> None:
    """It was free when the restore looked."""
    user, trainings = Importer(client), User(client, USER)
    job = await user.send(log(1))
    await importer(db).work_off()
    (made,) = (await (await trainings.ask("GET", "")).json())["items"]
    await user.undo(job)
    await importer(db).work_off()
    other = await trainings.create()

    async def restore_waits() -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        return await db.one(f"{waiting} AND wait_event_type = 'Lock'") == (1,)

    async with db.transaction() as taker:
        await taker.execute("UPDATE trainings SET source_id = %s WHERE id = %s", [made["source_id"], other["id"]])
        restoring = asyncio.create_task(trainings.ask("POST", f"/{made['id']}/restore"))
        await until(restore_waits, 20, "the restore waits")
    assert (await restoring).status == 200
    assert "source_id" not in await trainings.assert_told(made["id"])


async def test_what_waits_and_runs_is_counted(client: Client, db: Database) -> None:
    user, imports = Importer(client), Imports(db, "training_events")
    assert await imports.backlog() == (0, 0.0)
    job = await user.send(log(1))
    await db.execute("UPDATE imports SET created_at = created_at - interval '1 minute'")
    await Importer(client, uuid4()).send(log(1))
    number, age = await imports.backlog()
    assert (number, 60 <= age < 120) == (2, True)
    await imports.claim()
    assert (await imports.backlog())[0] == 2
    await db.execute("UPDATE imports SET leased_until = NULL")
    await importer(db).work_off()
    await user.undo(job)
    assert await imports.backlog() == (0, 0.0)


async def test_one_import_at_a_time_and_so_many_an_hour(client: Client, db: Database) -> None:
    user = Importer(client)
    job = await user.send(log(1))
    assert job["id"] in (await user.send(log(2), 409))["detail"]
    taken = await asyncio.gather(*(Importer(client, uuid4()).send(log(1)) for _ in range(3)))
    assert len(taken) == 3  # others' are no matter
    for number in range(2, 5):
        await importer(db).work_off()
        await user.send(log(number))
    await importer(db).work_off()
    refused = await user.send(log(5), 429)
    assert refused["type"] == "/problems#too-many-requests"
    assert 3000 < int(user.retry_after or 0) <= 3600
    assert (await user.send(log(5), 200, dry_run="true"))["created"] == 1
    await db.execute("UPDATE imports SET created_at = created_at - interval '1 hour'")
    await user.send(log(5))


async def test_two_posts_at_once_make_one_import(client: Client) -> None:
    user = Importer(client)
    answers = await asyncio.gather(*(user.send(log(1)) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 1


async def test_the_list_has_pages(client: Client, db: Database) -> None:
    user = Importer(client)
    jobs = []
    for number in range(1, 4):
        jobs.append((await user.send(log(number)))["id"])
        await importer(db).work_off()
    first = await user.ask("GET", "?limit=2")
    second = await user.ask("GET", f"?limit=2&cursor={first['next_cursor']}")
    assert [item["id"] for item in first["items"] + second["items"]] == jobs[::-1]
    assert "next_cursor" not in second
    assert "errors" not in first["items"][0]


async def test_imports_are_their_users_alone(client: Client, db: Database) -> None:
    user, other = Importer(client), Importer(client, uuid4())
    job = await user.send(log(3))
    await importer(db).work_off()
    await other.ask("GET", f"/{job['id']}", 404)
    await other.undo(job, 404)
    assert (await other.ask("GET"))["items"] == []
    stranger = bearer(uuid4(), coach_of=["team"], roles=["admin"])
    for method, path in (("GET", ""), ("GET", f"/{job['id']}"), ("DELETE", f"/{job['id']}"), ("POST", "")):
        async with client.request(method, user.path + path, headers=stranger) as answer:
            assert answer.status == 404
    # Whose log has the same sessions gets trainings of their own.
    assert (await other.send(log(3), 200, dry_run="true"))["created"] == 3


async def test_a_wrong_part_is_named(client: Client) -> None:
    cases: list[tuple[str | bytes | None, dict[str, str], str, str]] = [
        ("a,b\n", {}, "/file", "no export of Strong, Hevy or FitNotes"),
        ("a,b\n", {"format": "hevy"}, "/file", "no export of Hevy's: it has no column title"),
        (b"\xff\xfe", {}, "/file", "not UTF-8"),
        (b"x" * (MAX_BYTES + 1), {}, "/file", "at most 5,000,000 are read"),
        (None, {}, "/file", "is required"),
        (log(1), {"timezone": "Mars/Olympus"}, "/timezone", "no time zone"),
        (log(1), {"unit": "stone"}, "/unit", "'kg' or 'lb'"),
        (log(1), {"format": "excel"}, "/format", "'strong', 'hevy' or 'fitnotes'"),
        (log(1), {"dry_run": "perhaps"}, "/dry_run", "true or false"),
        (log(1), {"colour": "red"}, "/colour", "not known"),
    ]
    for file, fields, pointer, message in cases:
        problem = await Importer(client).send(file, 422, **fields)
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert message in problem["errors"][0]["message"]
        assert problem["detail"] == f"{pointer[1:]}: {problem['errors'][0]['message']}."
        assert ".." not in problem["detail"]


async def test_bodies_that_are_no_forms(client: Client) -> None:
    user = Importer(client)
    assert "multipart/form-data" in (await user.ask("POST", "", 415, json={}))["detail"]
    typed = {"Content-Type": "multipart/form-data; boundary=x"}
    for headers, body in (
        ({"Content-Type": "multipart/form-data"}, b"--x"),
        (typed, b"--x\r\n\r\nno name\r\n--x--"),
        (typed, b"nothing of it"),
        (typed, b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nbroken off'),
    ):
        async with client.post(user.path, data=body, headers=bearer() | headers) as answer:
            assert answer.status == 400, await answer.text()
    twice = FormData([("unit", "kg"), ("unit", "lb")], default_to_multipart=True)
    assert "more than once" in (await user.ask("POST", "", 422, data=twice))["detail"]
    unit = b'--x\r\nContent-Disposition: form-data; name="unit"\r\n\r\n\xff\r\n--x--\r\n'
    async with client.post(user.path, data=unit, headers=bearer() | typed) as answer:
        assert (answer.status, "UTF-8" in await answer.text()) == (422, True)


async def test_a_form_that_comes_in_drops(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over a bad line. aiohttp puts back what it has read beyond a chunk, and warns of that."""
    monkeypatch.setattr(web.forms, "_CHUNK", 100)
    boundary = "-" * 60
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    file = log(3)

    async def drops() -> AsyncIterator[bytes]:
        for text in (part % "dry_run" + "true\r\n" + part % "file", file[0], file[1:4], file[4:]):
            yield text.encode()
            await asyncio.sleep(0.05)
        yield f"\r\n--{boundary}--\r\n".encode()

    headers = bearer() | {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    async with client.post(PATH.format(userId=USER), data=drops(), headers=headers) as answer:
        assert (answer.status, (await answer.json())["created"]) == (200, 3)


async def test_a_body_beyond_the_limit(client: Client) -> None:
    """Whether its length is told before, or found out."""
    body = b"x" * (MAX_BYTES + 100_000)

    async def chunks() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    headers = bearer() | {"Content-Type": "multipart/form-data; boundary=x"}
    for data in (io.BytesIO(body), chunks()):
        async with client.post(PATH.format(userId=USER), data=data, headers=headers) as answer:
            assert answer.status == 413


async def test_a_worker_holds_a_few_files_at_a_time() -> None:
    files = Files(patience=0.05)
    users = [uuid4() for _ in range(AT_ONCE)]
    async with AsyncExitStack() as held:
        for user in users:
            await held.enter_async_context(files.place(user))
        with pytest.raises(Problem) as refused:
            await held.enter_async_context(files.place(uuid4()))
    assert (refused.value.kind, "Retry-After" in refused.value.headers) == (UNAVAILABLE, True)
    async with files.place(users[0]):
        pass


async def test_a_user_holds_one_of_them() -> None:
    """And keeps nobody else waiting by asking for more."""
    user = uuid4()
    files = Files(patience=0.05)
    async with files.place(user):
        with pytest.raises(Problem):
            await _enter(files, user)
    files = Files(patience=30)
    async with files.place(user):
        waiting = [asyncio.create_task(_enter(files, user)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        await _enter(files, uuid4())
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)


async def _enter(files: Files, user: UUID) -> None:
    async with files.place(user):
        pass
