"""`training import` with a service that is slow, away, cut off, or of another opinion."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import jwt
import pytest
from aiohttp import web
from yarl import URL

import cli
from agents import imports as agent
from commands import importer as command
from commands.environment import CommandError
from commands.importer import ImportClient
from embedded.process import LOOPBACK, free_port
from models.foreign_logs import MAX_BYTES, MAX_ROWS
from models.imports import ImportDocument, ImportForm, ImportStatus
from storage.database import Database
from tests.support.imports import importer
from tests.support.load import until
from tests.support.strong import HEADER
from tests.support.web import SECRET, USER, Client, bearer, make_settings, serve, token
from web.api import ALL_ROUTES
from web.imports import PATH

IMPORTS = PATH.format(userId=USER)


class Front:
    """Stands before the service. `faults` tells by the method of each request what becomes of it, in turn.

    "503" and "cut" keep it from the service; "taken" lets it through and cuts the answer off, "half" within.
    """

    def __init__(self, target: URL) -> None:
        self.port = free_port()
        self.faults: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self._target = target

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=2 * MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.method)
        faults = self.faults.get(request.method)
        fault = faults.pop(0) if faults else ""
        body = await request.read()
        if fault.startswith("503"):
            return problem(503, "Busy.", headers={"Retry-After": fault[4:]})
        assert request.transport is not None
        if fault == "cut":
            request.transport.close()
            return web.Response()
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        async with (
            aiohttp.ClientSession() as http,
            http.request(request.method, self._target.join(request.rel_url), data=body, headers=headers) as answer,
        ):
            content = await answer.read()
        if fault == "half":
            request.transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{")
        if fault in {"taken", "half"}:
            request.transport.close()
        return web.Response(status=answer.status, body=content, headers={"Content-Type": answer.content_type})


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"status": status, "detail": detail}, status=status, headers=headers)


def log(count: int) -> bytes:
    """`count` sessions of one set, the latest first."""
    rows = [f"2021-03-{day:02} 18:00:00,Legs,1h,Squat,1,100,5,0,0,,,\n" for day in range(count, 0, -1)]
    return (HEADER + "".join(rows)).encode()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short pauses, and no settings of a local stack."""
    monkeypatch.setattr(agent, "LOOK", 0.05)
    monkeypatch.setattr(command, "_FIRST_PAUSE", 0.05)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def service(db: Database) -> AsyncIterator[Client]:
    """A server, and a worker of its imports."""
    async with serve(ALL_ROUTES, database=db, settings=make_settings(imports_per_hour=6)) as client:
        worker = importer(db)
        worker.start()
        yield client
        await worker.stop()


@pytest.fixture
async def front(service: Client) -> Front:
    return Front(service.make_url("/"))


async def bring(front: Front, file: bytes, said: list[str] | None = None) -> ImportDocument:
    """Import a file; without `said`, it must not have to wait."""
    async with ImportClient(front.url, token(), say=pytest.fail if said is None else said.append) as client:
        return await client.finished(await client.start(ImportForm(file=file, timezone="Europe/Vienna")))


async def under_way(service: Client, file: bytes, timezone: str) -> str:
    """The id of an import that somebody else of the user's began."""
    form = command._parts(ImportForm(file=file, timezone=timezone))
    async with service.post(IMPORTS, data=form, headers=bearer()) as answer:
        return str((await answer.json())["id"])


async def imports(db: Database) -> list[Any]:
    return await db.all("SELECT created, unchanged FROM imports ORDER BY created_at")


@pytest.mark.parametrize("fault", ["", "503", "503 1", "cut", "taken", "half"])
async def test_a_file_is_taken_once_whatever_becomes_of_the_answer(front: Front, db: Database, fault: str) -> None:
    front.faults = {"POST": [fault], "GET": ["", "503", "cut", "half"]}
    said: list[str] = []
    async with front.serving():
        job = await bring(front, log(12), said)
    assert (job.status, job.created, job.worked_off) == (ImportStatus.DONE, 12, 12)
    assert await imports(db) == [(12, 0)]
    assert front.asked.count("POST") == (1 if fault in {"", "taken", "half"} else 2)
    assert said[0].startswith("The service is away (")
    assert said[-1] == "The service is back; going on."


async def test_it_waits_for_a_service_that_is_not_there_yet(front: Front) -> None:
    said: list[str] = []
    bringing = asyncio.create_task(bring(front, log(3), said))
    await asyncio.sleep(0.2)
    assert not bringing.done()
    async with front.serving():
        assert (await asyncio.wait_for(bringing, 10)).created == 3
    assert len(said) == 2
    assert said[0].startswith("The service is away (Cannot connect")


@pytest.mark.parametrize("fault", ["", "503", "taken"])
async def test_it_lets_another_import_end_first(
    front: Front, service: Client, db: Database, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app's, that began just before: it is not taken for this one, even where the answer was lost."""
    claim = agent.Imports.claim
    monkeypatch.setattr(agent.Imports, "claim", lambda _: asyncio.sleep(0))
    other = await under_way(service, log(2), "Asia/Tokyo")
    front.faults = {"POST": [fault]}
    said: list[str] = []
    async with front.serving():
        bringing = asyncio.create_task(bring(front, log(3), said))
        await until(lambda: f"The import {other} is under way; waiting until it is done." in said, 20, "it waits")
        monkeypatch.setattr(agent.Imports, "claim", claim)
        job = await asyncio.wait_for(bringing, 20)
    assert (str(job.id) != other, job.created, job.conflicting) == (True, 1, 2)  # another zone
    assert await imports(db) == [(2, 0), (1, 0)]


async def test_it_goes_on_with_its_own_import_that_a_409_names(
    front: Front, service: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request was cut off, and heard after the service was asked what there is."""
    late: list[str] = []
    newest = ImportClient._newest

    async def then(self: ImportClient) -> list[ImportDocument]:
        found = await newest(self)
        if front.asked.count("POST") == 1:
            late.append(await under_way(service, log(5), "Europe/Vienna"))
        return found

    monkeypatch.setattr(agent, "LOOK", 60.0)
    monkeypatch.setattr(ImportClient, "_newest", then)
    front.faults = {"POST": ["cut"]}
    async with front.serving():
        bringing = asyncio.create_task(bring(front, log(5), []))
        await until(lambda: front.asked.count("POST") == 2, 20, "it is sent again")
        await importer(db).work_off()
        job = await asyncio.wait_for(bringing, 20)
    assert [str(job.id)] == late
    assert await imports(db) == [(5, 0)]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda: problem(401, "No."), "The service refuses the token: No."),
        (lambda: problem(429, "Enough.", {"Retry-After": "3600"}), "Enough."),
        (lambda: problem(422, "file: is bad."), "file: is bad."),
        (lambda: problem(409, "Another one is under way."), "Another one is under way."),
        (lambda: web.Response(status=404), "is no training service \\(status 404"),
        (lambda: web.Response(text="<html>"), "is no training service \\(status 200"),
        (lambda: web.json_response([]), "is no training service \\(status 200"),
    ],
)
async def test_what_makes_going_on_pointless_ends_it(answer: Callable[[], web.Response], message: str) -> None:
    front = Front(URL())

    async def refuse(_request: web.Request) -> web.Response:
        return answer()

    front._pass = refuse  # type: ignore[method-assign]
    async with front.serving(), ImportClient(front.url, token(), say=pytest.fail) as client:
        with pytest.raises(CommandError, match=message):
            await client.undo(uuid4())


@pytest.mark.parametrize("api", ["127.0.0.1:8080", "ftp://host", "http://", "http://[::1"])
def test_an_address_that_is_none(api: str) -> None:
    with pytest.raises(CommandError, match="is no address like"):
        ImportClient(api, token(), say=print)


@pytest.mark.parametrize("claims", [None, {}, {"userId": "me"}, {"userId": 7}, {"userId": None, "sub": str(USER)}])
def test_a_token_that_names_nobody(claims: dict[str, object] | None) -> None:
    """As the service judges it."""
    given = "t" if claims is None else jwt.encode(claims, SECRET, algorithm="HS256")
    with pytest.raises(CommandError, match="The token is none that names a user"):
        ImportClient("http://127.0.0.1", given, say=print)


async def run(*arguments: object) -> int:
    return await asyncio.to_thread(cli.main, ["import", *map(str, arguments)])


async def test_the_command_imports_again_and_undoes(
    service: Client, db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "strong.csv"
    file.write_bytes(log(6))
    access = ("--api", service.make_url("/"), "--token", token())
    arguments = ("strong", file, "--timezone", "Europe/Vienna", *access)
    assert await run(*arguments, "--dry-run") == 0
    assert await imports(db) == []
    said = capsys.readouterr().out
    assert "(strong): 6 trainings, 6 sets, 1 exercises, 30 repetitions; local time in Europe/Vienna." in said
    assert "Dry run, nothing was stored: 6 to create, unchanged 0, conflicting 0, held back 0" in said
    assert [await run(*arguments), await run(*arguments)] == [0, 0]
    wrong = "2021-04-01 18:00:00,Legs,1h,Squat,1,x,5,0,0,,,\n"
    file.write_text(log(7).decode().replace("100", "105", 2) + wrong)
    assert [await run(*arguments, "--dry-run"), await run(*arguments)] == [1, 1]
    told = capsys.readouterr()
    assert "6 trainings; local time in Europe/Vienna. Import " in told.out
    assert [line.split(" (")[0] for line in told.out.splitlines() if line.startswith(("created", "Dry"))] == [
        "created 6, unchanged 0, conflicting 0, refused 0, held back 0",
        "created 0, unchanged 6, conflicting 0, refused 0, held back 0",
        "Dry run, nothing was stored: 1 to create, unchanged 5, conflicting 1, held back 1",
        "created 1, unchanged 5, conflicting 1, refused 0, held back 1",
    ]
    assert told.err.count("line 9, Weight: 'x' is no number\n") == 2
    assert "line 3: 2021-03-06 Legs: " in told.err
    (first, _, _) = [id_ for (id_,) in await db.all("SELECT id FROM imports ORDER BY created_at")]
    assert [await run("undo", first, *access), await run("undo", first, *access)] == [0, 0]
    assert capsys.readouterr().out.count("\ndeleted 6, kept 0\n") == 2  # between what the service logs
    assert await run("undo", uuid4(), *access) == 1
    assert capsys.readouterr().err == "training: There is no such import.\n"


async def test_an_undo_names_what_it_kept_and_waits_for_what_is_under_way(
    service: Client, tmp_path: Path, db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async with ImportClient(str(service.make_url("/")), token(), say=pytest.fail) as client:
        job = await client.finished(await client.start(ImportForm(file=log(2))))
    ((changed, etag),) = await db.all("SELECT id, version FROM trainings ORDER BY date LIMIT 1")
    headers = bearer() | {"If-Match": f'"{etag}"', "Content-Type": "application/json"}
    body = {"date": "2021-03-01T18:00:00Z", "status": "COMPLETED", "title": "Legs and more"}
    async with service.put(f"/api/v1/trainings/{changed}", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
    other = await under_way(service, log(9), "UTC")
    assert await run("undo", job.id, "--api", service.make_url("/"), "--token", token()) == 1
    told = capsys.readouterr()
    assert told.out.endswith("\ndeleted 1, kept 1\n")
    assert f"training {changed}: kept, since it was changed\n" in told.err
    assert (await db.all("SELECT status FROM imports WHERE id = %s", [UUID(other)])) == [("done",)]


async def test_an_import_that_failed_says_why(
    service: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(agent.ImportWorker, "_import", fail)
    file = tmp_path / "log.csv"
    file.write_bytes(log(2))
    assert await run("log", file, "--api", service.make_url("/"), "--token", token()) == 1
    assert capsys.readouterr().err.endswith(f"training: {agent._FAULT}\n")


HEVY = """\
title,start_time,exercise_title,set_index,set_type,weight_lbs,reps
Legs,"1 Mar 2021, 18:00",Squat,0,normal,225,5
"""
FITNOTES = "Date,Exercise,Category,Weight,Weight Unit,Reps\n2021-03-01,Squat, low bar,Legs,100,kgs,5\n"


@pytest.mark.parametrize("format_", ["strong", "hevy", "fitnotes"])
async def test_the_command_finds_the_format_or_is_told(
    service: Client, db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], format_: str
) -> None:
    file = tmp_path / "log.csv"
    file.write_text({"strong": log(1).decode(), "hevy": HEVY, "fitnotes": FITNOTES}[format_])
    arguments = ("log", file, "--api", service.make_url("/"), "--token", token())
    assert [await run(*arguments), await run(*arguments, "--format", format_)] == [0, 0]
    other = "hevy" if format_ == "strong" else "strong"
    assert await run(*arguments, "--format", other) == 1
    said = capsys.readouterr()
    assert [f"created {made}, unchanged {1 - made}" in said.out for made in (1, 0)] == [True, True]
    assert said.err.startswith(f"training: file: The file is no export of {other.title()}'s: it has no column ")
    ((source_id,),) = await db.all("SELECT source_id FROM trainings")
    assert source_id.startswith(f"{format_}:2021-03-01")


@pytest.mark.filterwarnings("ignore:unread_data:DeprecationWarning")  # aiohttp's reader of parts warns of itself
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "log.csv cannot be read: No such file or directory."),
        (b"a,b\n", "training: file: The file is no export of Strong, Hevy or FitNotes: its header is none of theirs."),
        (log(1) + log(1)[len(HEADER) :] * MAX_ROWS, "training: file: The file has more than 50,000 rows."),
        (log(1).ljust(MAX_BYTES + 1), "file: The file has 5,000,001 bytes; at most 5,000,000 are read."),
    ],
    ids=["none", "another's", "large", "huge"],
)
async def test_the_command_says_why_a_file_is_not_taken(
    service: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
) -> None:
    file = tmp_path / "log.csv"
    if content is not None:
        file.write_bytes(content)
    assert await run("log", file, "--api", service.make_url("/"), "--token", token()) == 1
    error = capsys.readouterr().err
    assert error.startswith("training: ")
    assert error.count("\n") == 1
    assert error.endswith(f"{message}\n")
