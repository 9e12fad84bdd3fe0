"""Real workers: what follows from a training is on the topic soon after it, once, whichever worker folded it."""

import asyncio
from collections.abc import Callable

import aiohttp

from agents.volume_audit import verify
from storage.database import Database
from tests.integration.test_insights import ago
from tests.support.bodies import squat
from tests.support.brokers import KafkaAddress
from tests.support.insights import announced
from tests.support.load import until
from tests.support.topic import read_topic
from tests.support.worker import Worker, token

USER = "019a0000-0000-7000-8000-000000000001"


async def test_a_record_is_on_the_topic_once(
    start_worker: Callable[..., Worker], db: Database, broker: KafkaAddress
) -> None:
    workers = [await asyncio.to_thread(start_worker) for _ in range(2)]
    headers = {"Authorization": f"Bearer {token(USER)}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def post(worker: Worker, weight: float, days: float) -> None:
            body = {"date": ago(days), "status": "COMPLETED", "exercises": [squat(weight=weight)], "session_rpe": 7}
            body["duration_seconds"] = 3600
            async with session.post(f"{worker.url}/api/v1/trainings", json=body) as answer:
                assert answer.status == 201

        for number in range(6):
            await post(workers[number % 2], 100 + number, 40 - 7 * number)

        async def rests() -> bool:
            return (await verify(db)).ok

        await until(rests, 30, "everything is computed")
        await post(workers[0], 150, 0.1)

        async def on_the_topic() -> bool:
            records = await read_topic(broker.bootstrap, workers[0].environment["TRAINING_INSIGHTS_TOPIC"])
            return any(record.event["payload"].get("value") == 150 for record in records)

        await until(on_the_topic, 20, "the record is on the topic")
        await until(rests, 30, "everything is computed")

        async def published() -> bool:
            records = await read_topic(broker.bootstrap, workers[0].environment["TRAINING_INSIGHTS_TOPIC"])
            return [record.event["payload"] for record in records] == await announced(db)

        await until(published, 10, "each is on the topic once")
        async with session.get(f"{workers[0].url}/metrics") as answer:
            assert "training_stale_users 0.0" in await answer.text()
        async with session.get(f"{workers[0].url}/health/pipeline") as answer:
            assert answer.status == 200, await answer.text()
