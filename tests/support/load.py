"""A bounded load of POSTs from outside, which remembers what was answered."""

import asyncio
import time
from collections import Counter
from types import TracebackType
from uuid import uuid4

import aiohttp

from tests.support.bodies import squat
from tests.support.worker import token


class Load:
    """Posts trainings of several users, `rate` a second in all, until it is left. An async context manager.

    `urls` are the workers' base addresses, taken in turn. `answers` counts statuses; 0 is no answer at all.
    """

    def __init__(self, *urls: str, rate: float = 50.0, users: int = 5) -> None:
        self._urls = urls
        self._pause = 1 / rate
        self._tokens = [token(str(uuid4())) for _ in range(users)]
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.answers: Counter[int] = Counter()
        self.slowest = 0.0  # seconds

    @property
    def accepted(self) -> int:
        """Trainings that were answered 201."""
        return self.answers[201]

    async def __aenter__(self) -> "Load":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        assert self._task is not None
        await self._task

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            number = 0
            while not self._stopped.is_set():
                group.create_task(self._post(session, number))
                number += 1
                await asyncio.sleep(self._pause)

    async def _post(self, session: aiohttp.ClientSession, number: int) -> None:
        body = {"date": "2026-01-05T12:00:00Z", "status": "COMPLETED", "exercises": [squat(sets=2)]}
        headers = {"Authorization": f"Bearer {self._tokens[number % len(self._tokens)]}"}
        url = f"{self._urls[number % len(self._urls)]}/api/v1/trainings"
        began = time.monotonic()
        try:
            async with session.post(url, json=body, headers=headers) as answer:
                await answer.read()
                self.answers[answer.status] += 1
        except (aiohttp.ClientError, TimeoutError):
            self.answers[0] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)


async def until(condition: object, timeout: float, what: str) -> None:
    """Wait until the (sync or async) callable `condition` holds; fails after `timeout` seconds, saying `what`."""
    assert callable(condition)
    end = time.monotonic() + timeout
    while True:
        held = condition()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        assert time.monotonic() < end, f"not within {timeout:g} s: {what}"
        await asyncio.sleep(0.1)
