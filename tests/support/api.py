"""One user of the REST API, whose documents and events are held to each other."""

from typing import Any
from uuid import UUID, uuid4

import orjson
from aiohttp import ClientResponse

from tests.support.web import Client, bearer

TRAININGS = "/api/v1/trainings"


class User:
    """Sends requests with a token of its own."""

    def __init__(self, client: Client, user_id: UUID | None = None) -> None:
        self.client = client
        self.user_id = user_id or uuid4()

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> ClientResponse:
        """The answer to a request whose path begins behind that of the trainings, with its body read."""
        answer = await self.client.request(
            method, f"{TRAININGS}{path}", json=body, headers=bearer(self.user_id) | (headers or {})
        )
        await answer.read()
        return answer

    async def create(self, **fields: Any) -> dict[str, Any]:
        """POST: the document of a new training."""
        answer = await self.ask("POST", "", {"date": "2026-01-05T12:00:00Z"} | fields)
        assert answer.status == 201, await answer.text()
        document: dict[str, Any] = await answer.json()
        return document

    async def events(self, training: str) -> list[dict[str, Any]]:
        """The training's events, oldest first."""
        answer = await self.ask("GET", f"/{training}/history?limit=500")
        assert answer.status == 200
        return [item["event"] for item in (await answer.json())["items"]]

    async def assert_told(self, training: str) -> dict[str, Any]:
        """The newest event tells exactly what GET answers, member by member and in the same order; returns that."""
        answer = await self.ask("GET", f"/{training}")
        assert answer.status == 200, await answer.text()
        document: dict[str, Any] = await answer.json()
        events = await self.events(training)
        assert [event["payload"]["version"] for event in events] == list(range(1, document["version"] + 1))
        told, read = dict(events[-1]["payload"]), dict(document)
        for name in ("training_id", "previous_status"):
            told.pop(name, None)
        for name in ("id", "created_at", "updated_at"):
            read.pop(name)
        assert orjson.dumps(told) == orjson.dumps(read)
        return document
