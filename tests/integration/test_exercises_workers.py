"""A real worker learns of edits that were made elsewhere."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import aiohttp

from embedded.worker import Worker
from models.exercises import MovementUpdate
from storage.database import Database
from storage.exercises import Exercises
from tests.support.load import until
from tests.support.worker import token


async def test_a_training_logged_after_an_edit_names_the_new_revision_soon(
    start_worker: Callable[..., Worker], db: Database
) -> None:
    worker = await asyncio.to_thread(start_worker)
    exercises = Exercises(db)
    body = {"date": "2026-01-05T12:00:00Z", "exercises": [{"name": "Manna", "exercise": "manna"}]}
    headers = {"Authorization": f"Bearer {token(str(uuid4()))}"}
    async with aiohttp.ClientSession(headers=headers) as http:

        async def logged() -> int:
            async with http.post(f"{worker.url}/api/v1/trainings", json=body) as response:
                training = await response.json()
                assert response.status == 201, training
                revision: int = training["exercises"][0]["exercise_revision"]
                return revision

        assert await logged() == 1
        document = (await exercises.read("manna")).document
        await exercises.update("manna", MovementUpdate.model_validate_json(document))

        async def renewed() -> bool:
            return await logged() == 2

        await until(renewed, 15, "the new revision is named")
