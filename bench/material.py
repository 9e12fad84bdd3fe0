"""What the measurements are made with: users, bodies, and the generator run as a process of its own."""

import asyncio
import datetime as dt
import json
import random
import statistics
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg2

from tests.support.databases import DatabaseUrls
from tests.support.worker import token

USERS = [UUID(int=0x0199_0000_0000_7000_8000_0000_0000_0000 + n) for n in range(1, 54)]
_FIRST, _EVERY = dt.datetime(2025, 1, 1, 17, tzinfo=dt.UTC), dt.timedelta(days=3)
_EXERCISES = ("Bench Press (Barbell)", "Deadlift (Barbell)", "Squat (Barbell)", "Pull Up", "Overhead Press", "Row")


def bodies() -> list[str]:
    """Bodies of POST /trainings, each of another day: 3 exercises of 4 sets."""
    chance = random.Random(1)
    return [json.dumps(_body(_FIRST + n * _EVERY, chance)) for n in range(101)]


def _body(date: dt.datetime, chance: random.Random) -> dict[str, object]:
    names = chance.sample(_EXERCISES, 3)
    return {
        "date": date.isoformat(),
        "timezone": "Europe/Berlin",
        "status": "COMPLETED",
        "duration_seconds": 3600,
        "exercises": [{"name": name, "sets": [_set(chance) for _ in range(4)]} for name in names],
    }


def _set(chance: random.Random) -> dict[str, float]:
    return {"weight": 2.5 * chance.randint(8, 40), "reps": chance.randint(1, 12)}


@dataclass(frozen=True)
class Run:
    """What one run of the generator saw. Latencies in seconds, ascending."""

    seconds: float
    statuses: dict[str, int]
    latencies: Sequence[float]
    processor_seconds: float

    def count(self, status: int) -> int:
        """Requests answered so. Raises RuntimeError when any was answered otherwise."""
        if set(self.statuses) != {str(status)}:
            raise RuntimeError(f"not every request was answered {status}: {self.statuses}")
        return self.statuses[str(status)]

    @property
    def created(self) -> int:
        """Trainings created. Raises RuntimeError when a request was answered otherwise."""
        return self.count(201)

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return sum(self.statuses.values()) / self.seconds

    @property
    def own_share(self) -> float:
        """What part of one processor the generator took itself."""
        return self.processor_seconds / self.seconds


async def post(
    url: str, *, connections: int, seconds: float, rate: float | None = None, users: Sequence[UUID] = tuple(USERS)
) -> Run:
    """Let the generator post trainings of `users` to the API at `url`. Raises RuntimeError where one is not created."""
    given = {"url": f"{url}/api/v1/trainings", "tokens": [token(str(user)) for user in users], "bodies": bodies()}
    done = await _generate(given, connections, seconds, rate)
    done.count(201)
    return done


async def get(reads: Sequence[tuple[str, str]], *, connections: int, seconds: float) -> Run:
    """Let the generator read addresses, each with a token. Raises RuntimeError unless all are answered 200."""
    done = await _generate({"reads": reads}, connections, seconds, None)
    done.count(200)
    return done


async def _generate(given: dict[str, Any], connections: int, seconds: float, rate: float | None) -> Run:
    options = [f"--connections={connections}", f"--seconds={seconds}", *([f"--rate={rate}"] if rate else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.generator", *options, stdin=PIPE, stdout=PIPE
    )
    output, _ = await process.communicate(json.dumps(given).encode())
    if process.returncode != 0:
        raise RuntimeError(f"the generator ended with {process.returncode}")
    run = Run(**json.loads(output))
    return Run(run.seconds, run.statuses, sorted(run.latencies), run.processor_seconds)


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle of several rounds: one disturbed round does not count."""
    return statistics.median(values)


def run(urls: DatabaseUrls, sql: str, parameters: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
    """Run statements, one transaction each, as the schema's owner; returns the last one's rows."""
    connection = psycopg2.connect(urls.owner)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in sql.split(";"):
                cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()
