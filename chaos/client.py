"""A client: makes seeded calls, one after the other, and records what each came to."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

import aiohttp

from chaos.history import CREATIONS, Call, History, Kind, Outcome, Type
from tests.support.worker import token

TIMEOUT = 8.0  # seconds that a client waits for an answer
_REPEATS = 6  # of a call that may be repeated and whose outcome is unknown
SPACE = UUID("6f1f0dc4-5a0e-5d5b-9c6b-3a3f4a5f0c11")  # of the ids that clients choose


@dataclass
class User:
    """A user, and what their clients were last told of, by id; clients of one user share it."""

    id: str
    token: str
    trainings: dict[str, int] = field(default_factory=dict)
    """Their versions."""
    workouts: dict[str, int] = field(default_factory=dict)
    """Their versions."""
    deleted: list[str] = field(default_factory=list)
    """Trainings."""
    own: set[str] = field(default_factory=set)
    """Slugs of own exercises."""
    kept: dict[Type, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Versions of phases, goals and all else that is kept as it is said."""
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was said last of something, by its address."""
    group: str = ""
    """Theirs, as an athlete or as its coach."""

    def versions(self, type_: Type) -> dict[str, int]:
        """Of all of this type that is there, by id."""
        if type_ == "training":
            return self.trainings
        return self.workouts if type_ == "workout" else self.kept[type_]

    def told(self, type_: Type, id_: str, version: int) -> None:
        """Note the version of what is there."""
        known = self.versions(type_)
        known[id_] = max(version, known.get(id_, 0))


@dataclass
class Coach(User):
    """A coach of a group, and what was planned for its athletes, by id."""

    athletes: Sequence[User] = ()
    planned: dict[str, User] = field(default_factory=dict)
    """Trainings."""
    copies: dict[str, User] = field(default_factory=dict)
    """Workouts, of coaches' own."""


@dataclass(frozen=True)
class Request:
    """What is asked for, but for its X-Request-Id: it may be asked again.

    `id` is what it changes, if the client knows; `digest` is of what it says (see `Call`). `safe` says that it may be
    repeated without a key. A coach asks for `athlete` in the name of `group`.
    """

    kind: Kind
    method: str
    path: str
    body: Any = None
    id: str | None = None
    key: str | None = None
    if_match: int | None = None
    digest: str | None = None
    type: Type = "training"
    safe: bool = False
    athlete: User | None = None
    group: str | None = None


@dataclass(frozen=True)
class Answer:
    """What came back of one request: the client's `number`-th. `status` 0: nothing, or not all of it."""

    number: int
    began: float
    """Monotonic seconds."""
    ended: float
    """Monotonic seconds."""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def version(self) -> int | None:
        """By the ETag."""
        return int(self.headers["ETag"].strip('"')) if "ETag" in self.headers else None

    @property
    def id(self) -> str | None:
        """Of what was created, by its address."""
        return self.headers["Location"].rpartition("/")[2] if "Location" in self.headers else None


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
        self._seed = seed
        self._calls = self._users = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Client":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def next_user(self) -> User:
        """A user that is this client's alone, and unlike those before."""
        self._users += 1
        return stranger(self.name, self._seed, self._users)

    def new_id(self) -> str:
        """An id of this client's own choice."""
        return str(uuid5(SPACE, f"{self.user.id}/{self.name}/{self.random.random()}"))

    def new_key(self) -> str | None:
        """An Idempotency-Key; every third time none."""
        return f"{self.name}-{self.random.randrange(2**64):x}" if self.random.random() < 2 / 3 else None

    def one_of(self, known: Mapping[str, int]) -> tuple[str, int] | None:
        """One of these ids with its version."""
        return self.random.choice(sorted(known.items())) if known else None

    async def ask(self, request: Request) -> Call:
        """Make a call; where it may be repeated and its outcome is unknown, make it again, a few times."""
        for _ in range(_REPEATS if request.key or request.safe else 0):
            call = await self.once(request)
            if call.outcome != "unknown":
                return call
            await asyncio.sleep(self.random.uniform(0.1, 0.6))
        return await self.once(request)

    async def once(self, request: Request) -> Call:
        """Make one call and record it."""
        answer = await self.send(request)
        # The ETag of what is said of exercises is a revision's.
        version = None if request.type == "exercise" else answer.version
        return self.record(request, answer, answer.status, version)

    def record(
        self, request: Request, answer: Answer, status: int, version: int | None, *, several: bool = False
    ) -> Call:
        """Record a call: what became of the request, or of a part of it where it wants to change `several`."""
        user = request.athlete or self.user
        replayed = "Idempotent-Replayed" in answer.headers or (request.kind in CREATIONS and status == 200)
        call = Call(
            client=self.name,
            number=answer.number,
            kind=request.kind,
            user_id=user.id,
            id=request.id or answer.id,
            began=answer.began,
            ended=answer.ended,
            outcome=_outcome(status),
            status=status,
            key=request.key,
            if_match=request.if_match,
            version=version,
            digest=request.digest,
            replayed=replayed,
            type=request.type,
            several=several,
            coach=None if request.group is None else self.user.id,
            group=request.group,
        )
        self._history.append(call)
        if call.outcome == "ok" and call.id and call.version:
            user.told(call.type, call.id, call.version)
        return call

    async def send(self, request: Request) -> Answer:
        """Make one request."""
        assert self._session is not None
        self._calls += 1
        number, began = self._calls, time.monotonic()
        headers = {"Authorization": f"Bearer {self.user.token}", "X-Request-Id": f"chaos.{self.name}.{number}"}
        if request.key:
            headers["Idempotency-Key"] = request.key
        if request.if_match is not None:
            headers["If-Match"] = f'"{request.if_match}"'
        targets = self._targets()
        if not targets:
            return Answer(number, began, time.monotonic())
        url = self.random.choice(targets) + request.path
        try:
            async with self._session.request(request.method, url, json=request.body, headers=headers) as answer:
                body = await answer.read()
                return Answer(number, began, time.monotonic(), answer.status, answer.headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Answer(number, began, time.monotonic())


def stranger(name: str, seed: str, number: int = 0) -> User:
    """A user of the client of that name, in no group."""
    id_ = str(uuid5(SPACE, f"{seed}/{name}/{number}"))
    return User(id_, token(id_))


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return "ok"
    return "failed" if 400 <= status < 500 else "unknown"
