"""Athletes' apps at work: they write and read what is theirs, and know to the request what they were promised."""

import asyncio
import random
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from tests.support.bodies import squat
from tests.support.load import until
from tests.support.worker import token

TRAININGS = "/api/v1/trainings"
OWN = "/api/v1/training/users/{}"
_PATIENCE = 20.0  # seconds for an answer
_LONGEST = 60.0  # seconds for some writes


@dataclass(frozen=True)
class Write:
    """A change that a client was told is done. `version` is its ETag, where it has one."""

    request_id: str
    version: int | None


@dataclass
class Told:
    """What all clients were told."""

    requests: int = 0
    writes: list[Write] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Requests that got no answer, or another than a client of a healthy service gets."""
    slowest: float = 0.0
    """Seconds that an answer took, at most; may be set back to 0."""


class Clients:
    """So many athletes at work behind one address, about `rate` requests a second in all, until they are left.

    An async context manager. Each athlete asks one thing after the other, each on a connection of its own, and repeats
    nothing. Nobody else writes what is theirs, so that every request has one right answer.
    """

    def __init__(self, url: str, *, rate: float = 40.0, athletes: int = 8) -> None:
        self.told = Told()
        self._url = url
        self._pause = athletes / rate
        self._athletes = athletes
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Clients":
        chance = random.Random(7)
        self._tasks = [
            asyncio.create_task(self._work(UUID(int=chance.getrandbits(128), version=4), chance.random()))
            for _ in range(self._athletes)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def write(self, count: int) -> None:
        """Wait until so many more writes were acknowledged, or requests failed: there is more to see then."""
        writes, failures = len(self.told.writes) + count, len(self.told.failures) + count
        await until(
            lambda: len(self.told.writes) >= writes or len(self.told.failures) >= failures, _LONGEST, "clients write"
        )

    async def _work(self, user: UUID, seed: float) -> None:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(self._url, timeout=timeout, connector=connector) as session:
            athlete = _Athlete(session, str(user), random.Random(seed), self.told)
            while not self._stopped:
                began = monotonic()
                await athlete.act()
                await asyncio.sleep(max(0.0, self._pause - (monotonic() - began)))


class _Athlete:
    """One user and their app."""

    def __init__(self, session: aiohttp.ClientSession, user: str, chance: random.Random, told: Told) -> None:
        self._session = session
        self._own = OWN.format(user)
        self._token = token(user)
        self._chance = chance
        self._told = told
        self._trainings: dict[str, int] = {}  # versions
        self._workouts: dict[str, int] = {}
        self._acts = (
            *(self._log, self._log, self._log, self._correct, self._correct, self._delete),
            *(self._keep_workout, self._change_workout, self._name),
            *(self._read, self._read, self._list, self._sessions, self._volume),
        )

    async def act(self) -> None:
        """Ask for one thing."""
        await self._chance.choice(self._acts)()

    async def _log(self) -> None:
        id_ = str(uuid4())
        await self._write("POST", TRAININGS, 201, self._trainings, id_, json={"id": id_} | self._training())

    async def _correct(self) -> None:
        if self._trainings:
            id_ = self._chance.choice(list(self._trainings))
            await self._write("PUT", f"{TRAININGS}/{id_}", 200, self._trainings, id_, json=self._training())

    async def _delete(self) -> None:
        if self._trainings:
            id_ = self._chance.choice(list(self._trainings))
            await self._write("DELETE", f"{TRAININGS}/{id_}", 204, self._trainings, id_)
            self._trainings.pop(id_, None)

    async def _keep_workout(self) -> None:
        id_ = str(uuid4())
        await self._write("POST", f"{self._own}/workouts", 201, self._workouts, id_, json={"id": id_} | self._workout())

    async def _change_workout(self) -> None:
        if self._workouts:
            id_ = self._chance.choice(list(self._workouts))
            await self._write("PUT", f"{self._own}/workouts/{id_}", 200, self._workouts, id_, json=self._workout())

    async def _name(self) -> None:
        path = f"{self._own}/exercise-aliases/{uuid4().hex}"
        await self._write("PUT", path, 200, json={"exercise": "barbell-back-squat"})

    async def _read(self) -> None:
        if self._trainings:
            id_, version = self._chance.choice(list(self._trainings.items()))
            etag = await self._ask("GET", f"{TRAININGS}/{id_}", 200)
            if etag not in {None, f'"{version}"'}:
                self._told.failures.append(f"GET {TRAININGS}/{id_}: {etag}, and version {version} was promised")

    async def _list(self) -> None:
        await self._ask("GET", TRAININGS, 200)

    async def _sessions(self) -> None:
        await self._ask("GET", f"{self._own}/sessions", 200)

    async def _volume(self) -> None:
        await self._ask("GET", f"{self._own}/metrics/volume", 200)

    def _training(self) -> dict[str, Any]:
        day = self._chance.randint(1, 28)
        exercises = [squat(reps=self._chance.randint(1, 12), sets=2)]
        return {
            "date": f"2026-01-{day:02}T12:00:00Z",
            "status": "COMPLETED",
            "title": str(uuid4()),
            "exercises": exercises,
        }

    def _workout(self) -> dict[str, Any]:
        return {"name": str(uuid4()), "exercises": [{"name": "Push-up", "exercise": "push-up", "sets": 3}]}

    async def _write(
        self, method: str, path: str, status: int, known: dict[str, int] | None = None, id_: str = "", **body: Any
    ) -> None:
        """Change something. `known` keeps the version of what has this id, as long as that is certain."""
        request_id = str(uuid4())
        headers = {"X-Request-Id": request_id}
        if known is not None and id_ in known:
            headers["If-Match"] = f'"{known.pop(id_)}"'
        etag = await self._ask(method, path, status, headers, **body)
        if etag is None:
            return
        version = None if known is None or not etag else int(etag.strip('"'))
        if known is not None and version is not None:
            known[id_] = version
        self._told.writes.append(Write(request_id, version))

    async def _ask(
        self, method: str, path: str, status: int, headers: dict[str, str] | None = None, **body: Any
    ) -> str | None:
        """The ETag of the right answer, which may be empty; None where there was another, or none."""
        headers = {"Authorization": f"Bearer {self._token}"} | (headers or {})
        began = monotonic()
        self._told.requests += 1
        try:
            async with self._session.request(method, path, headers=headers, **body) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._told.failures.append(f"{method} {path}: {error!r}")
            return None
        self._told.slowest = max(self._told.slowest, monotonic() - began)
        if answer.status != status:
            self._told.failures.append(f"{method} {path}: {answer.status} {text}")
            return None
        return answer.headers.get("ETag", "")
