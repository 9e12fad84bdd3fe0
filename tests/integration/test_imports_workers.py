"""Imports in real workers: the one that was asked begins at once, and one that stops leaves its job to the next."""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from embedded.worker import Worker
from storage.database import Database
from tests.support.imports import form
from tests.support.load import until
from tests.support.strong import HEADER
from tests.support.worker import token
from web.imports import PATH

SESSIONS = 20_000  # which take longer than a worker takes to stop


async def test_a_job_outlives_the_worker_that_took_it(start_worker: Callable[..., Worker], db: Database) -> None:
    user = uuid4()
    start = dt.datetime(2000, 1, 1, 18)  # noqa: DTZ001 - local time, as Strong writes it
    rows = [f"{start + dt.timedelta(hours=hour)},Legs,1h,Squat,1,100,5,0,0,,,\n" for hour in range(SESSIONS)]
    first = await asyncio.to_thread(start_worker)
    job = await ask(first, user, "POST", data=form({"file": HEADER + "".join(rows)}))
    assert (job["status"], job["sessions"]) == ("queued", SESSIONS)

    async def began() -> bool:
        return bool((await ask(first, user, "GET", f"/{job['id']}"))["worked_off"])

    await until(began, 30, "the first batch is stored")
    assert await asyncio.to_thread(first.stop) == 0
    ((status, worked_off, leased),) = await db.all("SELECT status, worked_off, leased_until FROM imports")
    assert (status, 0 < worked_off < SESSIONS, leased) == ("running", True, None)
    second = await asyncio.to_thread(start_worker)

    async def goes_on() -> bool:
        return bool((await ask(second, user, "GET", f"/{job['id']}"))["worked_off"] > worked_off)

    await until(goes_on, 30, "the next worker goes on")
    async with aiohttp.request("GET", f"{second.url}/metrics") as answer:
        assert "training_imports 1.0" in await answer.text()
    found = await ask(second, user, "GET", f"/{job['id']}")
    assert found["created"] == found["worked_off"]


async def ask(worker: Worker, user: UUID, method: str, path: str = "", **options: Any) -> dict[str, Any]:
    """What the worker answers."""
    headers = {"Authorization": f"Bearer {token(str(user))}"}
    url = f"{worker.url}{PATH.format(userId=user)}{path}"
    async with aiohttp.request(method, url, headers=headers, **options) as answer:
        document: dict[str, Any] = await answer.json()
        assert answer.status < 300, document
        return document
