"""Athletes and coaches, who meet in the groups of their tokens."""

from typing import Any
from uuid import UUID, uuid4

from aiohttp import ClientResponse

from models.memberships import Scope
from storage.access import Access
from tests.support.web import Client, bearer

OF_USER = "/api/v1/training/users/{userId}"


def access_of(
    user_id: UUID, coach_id: UUID, *groups: str, scope: Scope = "read", operation: str = "test", request_id: str = "r"
) -> Access:
    """An access of a coach of `groups`, by default of the group `team`."""
    return Access(
        user_id=user_id,
        coach_id=coach_id,
        actor="coach",
        groups=groups or ("team",),
        scope=scope,
        operation=operation,
        request_id=request_id,
    )


class Person:
    """Who sends requests with a token that has `claims`."""

    def __init__(self, client: Client, user_id: UUID | None = None, **claims: Any) -> None:
        self.client = client
        self.user_id = user_id or uuid4()
        self._headers = bearer(self.user_id, **claims)

    def address(self, path: str) -> str:
        """An address of this person's own: `path` begins behind the user."""
        return OF_USER.format(userId=self.user_id) + path

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> ClientResponse:
        """The answer, with its body read."""
        answer = await self.client.request(method, path, json=body, headers=self._headers | headers)
        await answer.read()
        return answer

    async def told(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The document of an answer that is a success; None where it has none."""
        answer = await self.ask(method, path, body, **headers)
        assert answer.status < 300, (method, path, answer.status, await answer.text())
        return await answer.json() if await answer.read() else None

    async def admit(self, group: str, *scopes: Scope) -> None:
        """Let the group's coaches do `scopes`."""
        await self.told("PUT", self.address(f"/memberships/{group}"), {"scopes": scopes})

    async def revoke(self, group: str) -> None:
        """End that."""
        await self.told("DELETE", self.address(f"/memberships/{group}"))

    async def accesses(self) -> list[dict[str, Any]]:
        """What coaches did, newest first."""
        found: list[dict[str, Any]] = (await self.told("GET", self.address("/accesses?limit=500")))["items"]
        return found
