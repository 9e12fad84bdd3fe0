"""`training import` against an API that is slow, away, cut off, or of another opinion."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import cli
from commands.environment import CommandError
from commands.importer import IN_FLIGHT, Importer, Outcome
from embedded.process import LOOPBACK, free_port
from models.foreign_logs import Session
from models.sets import Unit
from models.strong import read_strong
from models.trainings import TrainingCreate

HEADER = "Date,Workout Name,Duration,Exercise Name,Set Order,Weight,Reps,Distance,Seconds,Notes,Workout Notes,RPE\n"

Trouble = Callable[[web.Request, TrainingCreate], Awaitable[web.Response | None]]


class Api:
    """Stores what is posted, by `source_id`, as the service does; `trouble` may answer in its place."""

    def __init__(self) -> None:
        self.port = free_port()
        self.stored: dict[str, TrainingCreate] = {}
        self.names: dict[str, str] = {}
        self.asked: list[str] = []
        self.busy = 0
        self.busiest = 0
        self.trouble: Trouble | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/api/v1/trainings", self._create)
        app.router.add_get("/api/v1/training/exercise-names", self._names)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _names(self, request: web.Request) -> web.Response:
        items = [{"name": name, "exercise": slug} for name, slug in self.names.items()]
        return web.json_response({"items": items})

    async def _create(self, request: web.Request) -> web.Response:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            body = TrainingCreate.model_validate_json(await request.read())
            assert body.source_id is not None
            self.asked.append(body.source_id)
            await asyncio.sleep(0.001)
            answer = await self.trouble(request, body) if self.trouble else None
            return answer or self.store(body)
        finally:
            self.busy -= 1

    def store(self, body: TrainingCreate) -> web.Response:
        known = self.stored.setdefault(body.source_id or "", body)
        if known.digest() != body.digest():
            return problem(409, "A training with this source_id was created with another body.")
        return web.json_response({}, status=201 if known is body else 200)


def problem(status: int, detail: str, **more: Any) -> web.Response:
    return web.json_response({"title": "x", "status": status, "detail": detail, **more}, status=status)


def log(count: int) -> str:
    """`count` sessions of one set, the latest first."""
    rows = [f"2021-03-{day:02} 18:00:00,Legs,1h,Squat,1,100,5,0,0,,,\n" for day in range(count, 0, -1)]
    return HEADER + "".join(rows)


def sessions(count: int) -> tuple[Session, ...]:
    return read_strong(log(count).encode(), unit=Unit.KG, timezone="UTC").sessions


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no local stack has left its settings."""
    monkeypatch.chdir(tmp_path)


async def send(api: Api, count: int, said: list[str] | None = None, **options: Any) -> Outcome:
    say = said.append if said is not None else pytest.fail
    return await Importer(api.url, "token", say=say, progress=lambda: None, **options).run(sessions(count))


def counts(outcome: Outcome) -> tuple[int, int, int, int]:
    return outcome.created, outcome.already_there, len(outcome.conflicts), len(outcome.failed)


async def test_all_go_in_once_in_order_of_time_and_a_few_at_a_time() -> None:
    api = Api()
    async with api.serving():
        assert counts(await send(api, 20)) == (20, 0, 0, 0)
        assert api.asked == sorted(api.asked)
        assert 1 < api.busiest <= IN_FLIGHT
        assert counts(await send(api, 20)) == (0, 20, 0, 0)
    assert len(api.stored) == 20


async def test_it_waits_for_a_service_that_is_not_there_yet() -> None:
    api = Api()
    said: list[str] = []
    sending = asyncio.create_task(send(api, 5, said))
    await asyncio.sleep(0.3)
    assert not sending.done()
    async with api.serving():
        assert counts(await asyncio.wait_for(sending, 10)) == (5, 0, 0, 0)
    assert len(said) == 2
    assert said[0].startswith("The service is away (Cannot connect")
    assert said[1] == "The service is back; going on."


async def test_it_goes_on_after_the_service_was_away() -> None:
    api = Api()
    seen: set[str] = set()

    async def falter(request: web.Request, body: TrainingCreate) -> web.Response | None:
        """The first time a session is posted: 503, the connection cut before or after the commit, half an answer."""
        if body.source_id in seen:
            return None
        seen.add(body.source_id or "")
        fault = len(seen) % 4
        if fault == 0:
            return problem(503, "PostgreSQL cannot be reached right now.")
        if fault == 1:
            api.store(body)
        assert request.transport is not None
        if fault == 3:
            request.transport.write(b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{")
        request.transport.close()
        return None if fault == 1 else problem(503, "nobody reads this")

    api.trouble = falter
    said: list[str] = []
    async with api.serving():
        outcome = await asyncio.wait_for(send(api, 12, said), 20)
    assert counts(outcome) == (9, 3, 0, 0)  # three had been stored when the connection broke
    assert outcome.complete
    assert len(api.stored) == 12
    assert said[0].startswith("The service is away")
    assert said[-1] == "The service is back; going on."


async def test_a_retry_after_is_heeded() -> None:
    api = Api()
    times: list[float] = []

    async def busy(request: web.Request, body: TrainingCreate) -> web.Response | None:
        times.append(time.monotonic())
        if len(times) > 1:
            return None
        answer = problem(503, "Busy.")
        answer.headers["Retry-After"] = "1"
        return answer

    api.trouble = busy
    async with api.serving():
        await send(api, 1, [])
    assert times[1] - times[0] >= 1


async def test_exercises_carry_the_slug_that_their_name_stands_for() -> None:
    api = Api()
    api.names = {"squat": "barbell-back-squat"}
    file = (log(1) + "2021-03-01 18:00:00,Legs,1h, SQUAT ,1,100,5,0,0,,,\n").replace("Legs,1h,Squat", "Legs,1h,Lunge")
    imported = read_strong(file.encode(), unit=Unit.KG, timezone="UTC").sessions
    async with api.serving():
        for outcome in ((1, 0, 0, 0), (0, 1, 0, 0)):
            importer = Importer(api.url, "token", say=pytest.fail, progress=lambda: None)
            assert counts(await importer.run(imported)) == outcome
    (stored,) = api.stored.values()
    assert [(exercise.name, exercise.exercise) for exercise in stored.exercises] == [
        ("Lunge", None),
        ("SQUAT", "barbell-back-squat"),
    ]


async def test_what_was_imported_before_names_were_known_is_there_already() -> None:
    api = Api()
    async with api.serving():
        assert counts(await send(api, 3)) == (3, 0, 0, 0)
        api.names = {"squat": "barbell-back-squat"}
        assert counts(await send(api, 4)) == (1, 3, 0, 0)
        api.stored["strong:2021-03-02T18:00:00:Legs"] = sessions(1)[0].body
        assert counts(await send(api, 4)) == (0, 3, 1, 0)
    assert [body.exercises[0].exercise for body in api.stored.values()] == [None, None, None, "barbell-back-squat"]


async def test_what_does_not_tell_the_names_is_no_training_service() -> None:
    api = Api()
    for broken in (web.Response(status=404), web.Response(text="<html>"), web.json_response([])):

        async def answer(_request: web.Request, broken: web.Response = broken) -> web.Response:
            return broken

        api._names = answer  # type: ignore[method-assign]
        async with api.serving():
            with pytest.raises(CommandError, match="is no training service"):
                await send(api, 2)
    assert api.asked == []


async def test_what_the_service_does_not_take_is_named_by_its_lines() -> None:
    api = Api()

    async def object_(request: web.Request, body: TrainingCreate) -> web.Response | None:
        match body.local_day().day:
            case 1:
                return problem(422, "Not valid.", errors=[{"pointer": "/title", "message": "must be shorter"}])
            case 2:
                return web.Response(status=500, text="oh")
            case _:
                return None

    api.trouble = object_
    api.stored["strong:2021-03-03T18:00:00:Legs"] = sessions(4)[3].body
    async with api.serving():
        outcome = await send(api, 4)
    assert counts(outcome) == (1, 0, 1, 2)
    assert not outcome.complete
    assert sorted(str(refusal) for refusal in (*outcome.failed, *outcome.conflicts)) == [
        "lines 3–3 (2021-03-03 Legs): A training with this source_id was created with another body.",
        "lines 4–4 (2021-03-02 Legs): status 500",
        "lines 5–5 (2021-03-01 Legs): Not valid.; /title must be shorter",
    ]


@pytest.mark.parametrize(("status", "message"), [(401, "refuses the token: No."), (404, "is no training service")])
async def test_what_makes_going_on_pointless_ends_it(status: int, message: str) -> None:
    api = Api()

    async def refuse(request: web.Request, body: TrainingCreate) -> web.Response:
        return problem(status, "No.")

    api.trouble = refuse
    async with api.serving():
        with pytest.raises(CommandError, match=message):
            await send(api, 20)
    assert len(api.asked) <= 2 * IN_FLIGHT


async def test_the_rate_is_kept() -> None:
    api = Api()
    async with api.serving():
        began = time.monotonic()
        await send(api, 11, rate=50)
        assert time.monotonic() - began >= 10 / 50


@pytest.mark.parametrize("api", ["127.0.0.1:8080", "ftp://host", "http://", "http://[::1"])
def test_an_address_that_is_none(api: str) -> None:
    with pytest.raises(CommandError, match="is no address like"):
        Importer(api, "token", say=print, progress=lambda: None)


async def test_the_command_imports_and_imports_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = Api()
    file = tmp_path / "strong.csv"
    file.write_text(log(6))
    command = ["import", "strong", str(file), "--timezone", "Europe/Vienna", "--api", api.url, "--token", "t"]
    async with api.serving():
        assert await asyncio.to_thread(cli.main, [*command, "--dry-run"]) == 0
        assert api.asked == []
        assert await asyncio.to_thread(cli.main, command) == 0
        assert await asyncio.to_thread(cli.main, command) == 0
        file.write_text(log(7).replace("100", "105", 1) + "2021-04-01 18:00:00,Legs,1h,Squat,1,x,5,0,0,,,\n")
        assert await asyncio.to_thread(cli.main, command) == 1
    said = capsys.readouterr()
    assert said.out.count("6 trainings, 6 sets, 1 exercises, 30 repetitions; local time in Europe/Vienna.") == 3
    assert "Dry run: nothing was sent." in said.out
    assert "created 6, already there 0, in conflict 0, failed 0, held back 0" in said.out
    assert "created 0, already there 6, in conflict 0, failed 0, held back 0" in said.out
    assert "created 1, already there 6, in conflict 0, failed 0, held back 1" in said.out
    assert "line 9, Weight: 'x' is no number" in said.err
    assert [body.timezone for body in api.stored.values()] == ["Europe/Vienna"] * 7


HEVY = """\
title,start_time,exercise_title,set_index,set_type,weight_lbs,reps
Legs,"1 Mar 2021, 18:00",Squat,0,normal,225,5
"""
FITNOTES = "Date,Exercise,Category,Weight,Weight Unit,Reps\n2021-03-01,Squat, low bar,Legs,100,kgs,5\n"


@pytest.mark.parametrize("format_", ["strong", "hevy", "fitnotes"])
async def test_the_command_finds_the_format_or_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format_: str
) -> None:
    api = Api()
    file = tmp_path / "log.csv"
    file.write_text({"strong": log(1), "hevy": HEVY, "fitnotes": FITNOTES}[format_])
    command = ["import", "log", str(file), "--api", api.url, "--token", "t"]
    async with api.serving():
        assert await asyncio.to_thread(cli.main, command) == 0
        assert await asyncio.to_thread(cli.main, [*command, "--format", format_]) == 0
        other = "hevy" if format_ == "strong" else "strong"
        assert await asyncio.to_thread(cli.main, [*command, "--format", other]) == 1
    said = capsys.readouterr()
    assert [f"created {made}, already there {1 - made}" in said.out for made in (1, 0)] == [True, True]
    assert f"no export of {other.title()}'s" in said.err
    (source_id,) = api.stored
    assert source_id.startswith(f"{format_}:2021-03-01")


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read: No such file"), ("a,b\n", "no export of Strong's")]
)
def test_the_command_says_why_a_file_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    file = tmp_path / "strong.csv"
    if content is not None:
        file.write_text(content)
    assert cli.main(["import", "strong", str(file), "--dry-run"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("training: ")
    assert message in error
    assert error.count("\n") == 1
