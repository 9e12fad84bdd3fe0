"""A name is given a meaning, and loses it, through a real worker and its topics."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import aiohttp
import pytest

import cli
import settings
from commands import environment
from embedded.worker import Worker
from storage.database import Database
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.worker import JWT_SECRET, token


async def test_a_meaning_appears_in_the_past_and_goes_again(
    start_worker: Callable[..., Worker], db: Database, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await asyncio.to_thread(start_worker)
    user_id = str(uuid4())
    mine = f"/api/v1/training/users/{user_id}"
    body = {
        "date": "2026-01-05T12:00:00Z",
        "status": "COMPLETED",
        "bodyweight_kg": 80,
        "exercises": [{"name": "Press-Ups", "sets": [{"reps": 10}]}],
    }
    headers = {"Authorization": f"Bearer {token(user_id)}"}
    async with aiohttp.ClientSession(worker.url, headers=headers) as http:

        async def load_is(expected: float | None) -> bool:
            async with http.get(f"{mine}/metrics/volume") as response:
                report = await response.json()
            return [day.get("system_load_kg") for day in report["items"]] == [expected]

        async with http.post("/api/v1/trainings", json=body) as response:
            assert response.status == 201
            created, etag = await response.json(), response.headers["ETag"]
        await until(lambda: load_is(None), 30, "the training is folded")
        async with http.put(f"{mine}/exercise-aliases/press-ups", json={"exercise": "push-up"}) as response:
            assert response.status == 200, await response.text()
        await until(lambda: load_is(512), 30, "the past has its system load")
        found = "SELECT v.exercise, s.category, s.muscles[1] FROM analytics.exercise_volume v, analytics.sets s"
        assert await db.all(found) == [("push-up", "Push", "chest")]
        async with http.delete(f"{mine}/exercise-aliases/press-ups") as response:
            assert response.status == 204
        await until(lambda: load_is(None), 30, "the system load is gone")
        assert await db.all(found) == [(None, None, None)]
        async with http.get(f"/api/v1/trainings/{created['id']}") as response:
            assert (await response.json(), response.headers["ETag"]) == (created, etag)
    monkeypatch.setenv("TRAINING_DATABASE_URL", database_urls.worker)
    monkeypatch.setenv("TRAINING_JWT_SECRET", JWT_SECRET)
    monkeypatch.setattr(environment, "settings", settings.Settings)  # not the ones that the process has read
    assert await asyncio.to_thread(cli.main, ["analytics", "verify", "--wait", "30"]) == 0
