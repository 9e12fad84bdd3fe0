"""Seeded random load: several clients that change trainings and workouts, and record what each call came to."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from chaos.client import Client, Coach, User, stranger
from chaos.history import History
from chaos.routes import COACHES_ROUTES, LEAVERS_ROUTES, ROUTES
from tests.support.worker import token

_LOOK = 0.1  # seconds
_GROUP = "club"


class Load:
    """The clients at work, together about `rate` calls a second, until it is left. An async context manager.

    Two clients share each user, so that they meet on the same trainings; another one coaches them; the last one has
    users of its own, one after the other, each of whom is erased. `pace` multiplies the rate from now on (0: no calls);
    while `hot` is set, the clients of the first kind all work for one user.
    """

    def __init__(
        self, targets: Callable[[], Sequence[str]], seed: str, *, rate: float = 40.0, clients: int = 6
    ) -> None:
        self.history = History()
        self.pace = 1.0
        self.hot = False
        self._seed = seed
        self._targets = targets
        self._pause = (clients + 2) / rate
        chance = random.Random(f"{seed}/users")
        coach, *ids = (str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(max(clients // 2, 1) + 1))
        self.users = [User(id_, token(id_, groups=[_GROUP]), group=_GROUP) for id_ in ids]
        self._coach = Coach(coach, token(coach, coach_of=[_GROUP]), group=_GROUP, athletes=self.users)
        self._clients = [self.client(f"c{number}", self.users[number // 2]) for number in range(clients)]
        self._clients.append(self.client("coach", self._coach))
        self._leaver = self.client("leaver")
        self._clients.append(self._leaver)
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    def client(self, name: str, user: User | None = None) -> Client:
        """Another client with a user of its own (or `user`), for calls of its own."""
        return Client(name, user or stranger(name, self._seed), self.history, self._targets, self._seed)

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._work(client)) for client in self._clients]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def _work(self, client: Client) -> None:
        own = client.user
        routes = ROUTES
        if client is self._leaver:
            routes = LEAVERS_ROUTES
        elif own is self._coach:
            routes = COACHES_ROUTES
        weights = [route.weight for route in routes]
        async with client:
            began = time.monotonic()
            while await self._rested(began, client.random.uniform(0.5, 1.5) * self._pause):
                if routes is ROUTES:
                    client.user = self.users[0] if self.hot else own
                (route,) = client.random.choices(routes, weights)
                began = time.monotonic()
                await route.run(client)

    async def _rested(self, last: float, left: float) -> bool:
        """Wait until `left` seconds at pace 1 have gone by since `last`, heeding what becomes of `pace` meanwhile.

        False when the load is left.
        """
        while not self._stopped:
            now = time.monotonic()
            left -= (now - last) * self.pace
            last = now
            if left <= 0:
                return True
            await asyncio.sleep(min(left / self.pace, _LOOK) if self.pace else _LOOK)
        return False
