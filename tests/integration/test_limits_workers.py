"""Rate limits with two real workers: what they admit together, what they say, and what they do without their table."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import psycopg2

from embedded.worker import Worker
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.worker import token
from web.limits import PATIENCE, SHARES

QUOTA = 400
SHARE = QUOTA // SHARES
CLIENTS = 8  # of each worker
_STANDING = re.compile(r'"(read|write)";r=(\d+);t=(\d+)')


class Asker:
    """Asks workers for a training that is not there, in the name of a user, and counts what is admitted."""

    def __init__(self, session: aiohttp.ClientSession, workers: list[Worker], user: UUID) -> None:
        self._session, self._workers = session, workers
        self._url = f"/api/v1/trainings/{uuid4()}"
        self.headers = {"Authorization": f"Bearer {token(str(user))}"}
        self.user = user
        self.answers: Counter[int] = Counter()  # by status
        self.admitted: Counter[int] = Counter()  # by the minute that the answer names

    async def ask(self, worker: Worker) -> bool:
        """Whether it was admitted; the headers are right."""
        async with self._session.get(worker.url + self._url, headers=self.headers) as answer:
            await answer.read()
            standing = _STANDING.fullmatch(answer.headers["RateLimit"])
            assert standing is not None
            assert standing[1] == "read"
            assert answer.headers["RateLimit-Policy"] == f'"read";q={QUOTA};w=60'
            left, seconds = int(standing[2]), int(standing[3])
            assert 0 < seconds <= 60
            self.answers[answer.status] += 1
            if answer.status == 429:
                assert (left, answer.headers["Retry-After"]) == (0, str(seconds))
                return False
            assert answer.status == 404
            self.admitted[round((time.time() + seconds) / 60)] += 1
            return True

    async def exhaust(self) -> None:
        """Ask all workers, as fast as they answer, until each has refused often."""

        async def client(worker: Worker) -> None:
            refused = 0
            while refused < 30:
                refused += not await self.ask(worker)

        await asyncio.gather(*(client(worker) for worker in self._workers for _ in range(CLIENTS)))


async def within_a_minute(seconds: float) -> None:
    """Wait until this minute has so many seconds left."""
    if 60 - time.time() % 60 < seconds:
        await asyncio.sleep(60 - time.time() % 60)


async def test_two_workers_keep_a_limit(start_worker: Callable[..., Worker], database_urls: DatabaseUrls) -> None:
    workers = [await asyncio.to_thread(start_worker, rate_reads=QUOTA, rate_writes=0) for _ in range(2)]
    async with aiohttp.ClientSession() as session:
        await within_a_minute(8)
        both = Asker(session, workers, uuid4())
        await both.exhaust()
        assert all(number <= QUOTA + SHARE for number in both.admitted.values()), both.admitted
        assert max(both.admitted.values()) >= QUOTA
        # Who asks one worker alone has the whole limit, and no more, without a pause.
        one = Asker(session, workers[:1], uuid4())
        await one.exhaust()
        assert max(one.admitted.values()) == QUOTA, one.admitted
        # Which the other one learns when it settles.
        ((minute, _),) = one.admitted.most_common(1)
        for _ in range(SHARE + 5):
            await one.ask(workers[1])
        assert one.admitted[minute] <= QUOTA + SHARE

        # A write has no limit here.
        url, body = f"{workers[0].url}/api/v1/trainings", {"date": "2026-01-05T12:00:00Z"}
        async with session.post(url, json=body, headers=one.headers) as answer:
            assert (answer.status, "RateLimit" in answer.headers) == (201, False)
        one.answers[201] += 1

        as_owner(database_urls, "ALTER TABLE rate_usage RENAME TO elsewhere")
        lost = Asker(session, workers, uuid4())
        assert all([await lost.ask(worker) for _ in range(3 * SHARE) for worker in workers])

        async def told() -> bool:
            return all([await failures(session, worker) > 0 for worker in workers])

        await until(told, 10, "both workers tell that they limit alone")
        assert all([await lost.ask(worker) for _ in range(SHARE) for worker in workers])
        as_owner(database_urls, "ALTER TABLE elsewhere RENAME TO rate_usage")

        async def together() -> bool:
            before = [await failures(session, worker) for worker in workers]
            await asyncio.sleep(2 * PATIENCE)
            return before == [await failures(session, worker) for worker in workers]

        await until(together, 20, "both workers settle again")
    assert await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in workers)) == [0, 0]
    for asker in (both, one, lost):  # whatever was answered is in the log of requests, once
        sql = "SELECT status, count(*) FROM request_log WHERE user_id = %s GROUP BY 1"
        assert dict(as_owner(database_urls, sql, [str(asker.user)])) == asker.answers


def as_owner(urls: DatabaseUrls, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run a statement; returns its rows."""
    with closing(psycopg2.connect(urls.owner)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


async def failures(session: aiohttp.ClientSession, worker: Worker) -> float:
    """What the measure tells."""
    async with session.get(f"{worker.url}/metrics") as answer:
        found = re.search(r"^training_rate_settlement_failures_total (\S+)$", await answer.text(), re.MULTILINE)
    assert found is not None
    return float(found[1])
