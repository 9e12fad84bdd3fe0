"""Seeded random load: several clients that change trainings and record what each call came to."""

import asyncio
import datetime as dt
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

import aiohttp

from chaos.history import Call, History, Kind, Outcome, content_digest
from tests.support.worker import token

PATH = "/api/v1/trainings"
TIMEOUT = 8.0  # seconds that a client waits for an answer
_REPEATS = 6  # of a call with a key whose outcome is unknown
_LOOK = 0.1  # seconds
_SPACE = UUID("6f1f0dc4-5a0e-5d5b-9c6b-3a3f4a5f0c11")  # of the ids that clients choose
_FIRST = dt.datetime(2026, 1, 5, 17, 30, tzinfo=dt.UTC)
_NAMES = ("Squat", "Bench Press (Barbell)", "Deadlift (Barbell)", "Pull Up", "Row", "Plank")


@dataclass
class User:
    """A user, and the versions of their trainings as the clients were last told; clients of one user share it."""

    id: str
    token: str
    trainings: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What is asked for, but for its X-Request-Id: it may be asked again."""

    kind: Kind
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    training_id: str | None = None
    key: str | None = None
    if_match: int | None = None


class Client:
    """One client, which makes a call after the other. Its choices come from the seed alone."""

    def __init__(
        self, name: str, user: User, history: History, targets: Callable[[], Sequence[str]], seed: str
    ) -> None:
        """`targets` are the base addresses of the workers at that moment."""
        self.name = name
        self.user = user
        self.random = random.Random(f"{seed}/{name}")
        self._history = history
        self._targets = targets
        self._calls = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Client":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def new_id(self) -> str:
        """A training's id of this client's own choice."""
        return str(uuid5(_SPACE, f"{self.user.id}/{self.name}/{self.random.random()}"))

    def new_key(self) -> str | None:
        """An Idempotency-Key; every third time none."""
        return f"{self.name}-{self.random.randrange(2**64):x}" if self.random.random() < 2 / 3 else None

    def body(self, status: str = "COMPLETED", **fields: Any) -> dict[str, Any]:
        """A training of up to three exercises."""
        chance = self.random
        return {
            "date": (_FIRST + dt.timedelta(hours=chance.randrange(8000))).isoformat(),
            "status": status,
            "exercises": [
                {"name": name, "sets": [_set(chance) for _ in range(chance.randint(1, 4))]}
                for name in chance.sample(_NAMES, chance.randint(1, 3))
            ],
        } | fields

    def known(self) -> tuple[str, int] | None:
        """One of the user's trainings with the version that was last heard of."""
        trainings = sorted(self.user.trainings.items())
        return self.random.choice(trainings) if trainings else None

    async def ask(self, request: Request) -> Call:
        """Make a call; where it has a key (or a `source_id`) and its outcome is unknown, make it again, a few times."""
        repeats = _REPEATS if request.key or (request.body or {}).get("source_id") else 0
        call = await self.once(request)
        while call.outcome == "unknown" and repeats:
            repeats -= 1
            await asyncio.sleep(self.random.uniform(0.1, 0.6))
            call = await self.once(request)
        return call

    async def once(self, request: Request) -> Call:
        """Make one call and record it."""
        self._calls += 1
        request_id = f"chaos.{self.name}.{self._calls}"
        headers = {"Authorization": f"Bearer {self.user.token}", "X-Request-Id": request_id}
        if request.key:
            headers["Idempotency-Key"] = request.key
        if request.if_match is not None:
            headers["If-Match"] = f'"{request.if_match}"'
        began = time.monotonic()
        status, answered = await self._send(request, headers)
        call = Call(
            client=self.name,
            number=self._calls,
            kind=request.kind,
            user_id=self.user.id,
            training_id=request.training_id or answered.get("id"),
            began=began,
            ended=time.monotonic(),
            outcome=_outcome(status),
            status=status,
            key=request.key,
            if_match=request.if_match,
            version=answered.get("version"),
            digest=None if request.body is None else content_digest(request.body),
            replayed=bool(answered.get("replayed")),
        )
        self._history.append(call)
        if call.outcome == "ok" and call.training_id and call.version:
            trainings = self.user.trainings
            trainings[call.training_id] = max(call.version, trainings.get(call.training_id, 0))
        return call

    async def _send(self, request: Request, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        assert self._session is not None
        targets = self._targets()
        if not targets:
            return 0, {}
        url = self.random.choice(targets) + request.path
        try:
            async with self._session.request(request.method, url, json=request.body, headers=headers) as answer:
                await answer.read()
                found: dict[str, Any] = {}
                if "ETag" in answer.headers:
                    found["version"] = int(answer.headers["ETag"].strip('"'))
                if "Location" in answer.headers:
                    found["id"] = answer.headers["Location"].rpartition("/")[2]
                replayed = "Idempotent-Replayed" in answer.headers
                found["replayed"] = replayed or (request.method, answer.status) == ("POST", 200)
                return answer.status, found
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, {}


async def create(client: Client) -> None:
    """A new training: with a key, with an id of the client's own, or with neither."""
    chosen = client.new_id() if client.random.random() < 0.3 else None
    status = client.random.choice(("PLANNED", "IN_PROGRESS", "COMPLETED"))
    body = client.body(status, **({"id": chosen} if chosen else {}))
    await client.ask(Request("create", "POST", PATH, body, chosen, client.new_key()))


async def correct(client: Client) -> None:
    """A new content for a training: mostly with the version that the client believes to be the present one."""
    known = client.known()
    if known is None:
        await create(client)
        return
    training_id, version = known
    if_match = version if client.random.random() < 0.8 else None
    request = Request("correct", "PUT", f"{PATH}/{training_id}", client.body(), training_id, client.new_key(), if_match)
    call = await client.ask(request)
    if call.status == 412:  # another client was faster: as a client that reads again
        client.user.trainings[training_id] = max(version + 1, client.user.trainings.get(training_id, 0))
    elif call.status == 404:
        client.user.trainings.pop(training_id, None)


async def delete(client: Client) -> None:
    """The end of a training."""
    known = client.known()
    if known is None:
        return
    training_id, version = known
    if_match = version if client.random.random() < 0.5 else None
    path = f"{PATH}/{training_id}"
    call = await client.ask(Request("delete", "DELETE", path, None, training_id, client.new_key(), if_match))
    if call.status in {204, 404}:
        client.user.trainings.pop(training_id, None)


async def import_(client: Client) -> None:
    """A training out of another app, named by its id there; sometimes again, since imports are repeated whole."""
    source_id = f"app:{client.name}:{client.random.randrange(10**9)}"
    body = client.body(source_id=source_id)
    request = Request("import", "POST", PATH, body)
    await client.ask(request)
    if client.random.random() < 0.2:
        await client.ask(request)


@dataclass(frozen=True)
class Route:
    """What a client may do, and how often beside the others."""

    name: Kind
    weight: int
    run: Callable[[Client], Awaitable[None]]


ROUTES = (
    Route("create", 5, create),
    Route("correct", 6, correct),
    Route("delete", 1, delete),
    Route("import", 2, import_),
)


class Load:
    """The clients at work, together about `rate` calls a second, until it is left. An async context manager.

    Two clients share each user, so that they meet on the same trainings. `pace` multiplies the rate from now on (0: no
    calls); while `hot` is set, everybody works for one user.
    """

    def __init__(
        self, targets: Callable[[], Sequence[str]], seed: str, *, rate: float = 40.0, clients: int = 6
    ) -> None:
        self.history = History()
        self.pace = 1.0
        self.hot = False
        self._seed = seed
        self._targets = targets
        self._pause = clients / rate
        chance = random.Random(f"{seed}/users")
        ids = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(max(clients // 2, 1))]
        self._users = [User(id_, token(id_)) for id_ in ids]
        self._clients = [self.client(f"c{number}", self._users[number // 2]) for number in range(clients)]
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    def client(self, name: str, user: User | None = None) -> Client:
        """Another client with a user of its own (or `user`), for calls of its own."""
        if user is None:
            id_ = str(uuid5(_SPACE, f"{self._seed}/{name}"))
            user = User(id_, token(id_))
        return Client(name, user, self.history, self._targets, self._seed)

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._work(client)) for client in self._clients]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def _work(self, client: Client) -> None:
        own = client.user
        weights = [route.weight for route in ROUTES]
        async with client:
            began = time.monotonic()
            while await self._rested(began, client.random.uniform(0.5, 1.5) * self._pause):
                client.user = self._users[0] if self.hot else own
                (route,) = client.random.choices(ROUTES, weights)
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


def _set(chance: random.Random) -> dict[str, Any]:
    return {"weight": 2.5 * chance.randint(0, 60), "reps": chance.randint(1, 12)}


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return "ok"
    return "failed" if 400 <= status < 500 else "unknown"
