"""Rate limits without a server: what a worker admits, and what several admit together while they settle."""

import asyncio
import random
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import DatabaseUnavailable
from storage.database import Database
from storage.rate_usage import Usage
from tests.support.web import NOWHERE
from web import limits as module
from web.limits import RateLimits, Standing
from web.measures import Measures

USER, OTHER = uuid4(), uuid4()
NOON = 1_700_000_040.0  # a minute begins


class Store:
    """The shared table, and the clock of its server. A statement takes some turns of the loop before it is committed,
    and some before its answer arrives."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.clock = NOON
        self.away = False
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.used: dict[tuple[UUID, int], int] = {}
        self.statements = 0
        self._chance = chance

    async def settle(self, _database: Database, admitted: dict[UUID, int]) -> Usage:
        self.statements += 1
        await self._pass()
        await self.thawed.wait()
        if self.away:
            raise DatabaseUnavailable("away")
        minute = int(self.clock // 60)
        for bucket, number in admitted.items():
            self.used[bucket, minute] = self.used.get((bucket, minute), 0) + number
        totals = {bucket: (minute, self.used[bucket, minute]) for bucket in admitted}
        await self._pass()
        return Usage(self.clock, totals)

    async def _pass(self) -> None:
        for _ in range(self._chance.randint(0, 40) if self._chance else 0):
            await asyncio.sleep(0)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    monkeypatch.setattr(module, "settle", store.settle)
    return store


def worker(*, reads: int = 100, writes: int = 0, measures: Measures | None = None, uptime: float = 5.0) -> RateLimits:
    """Limits of a worker whose own clock stands still."""
    database = Database(NOWHERE)
    return RateLimits(database, measures or Measures(), reads=reads, writes=writes, clock=lambda: uptime)


async def asked(limits: RateLimits, user: UUID = USER, method: str = "GET") -> Standing:
    standing = await asyncio.wait_for(limits.ask(user, method), 5)
    assert standing is not None
    return standing


def counted(measures: Measures, name: str) -> float | None:
    return measures.registry.get_sample_value(name, {"class": "read"} if "limited" in name else {})


async def test_each_user_and_class_has_a_limit(store: Store) -> None:
    limits = worker(reads=2, writes=60)
    store.clock = NOON + 12.5
    await limits.settle()
    first = await asked(limits)
    assert first.headers == {"RateLimit-Policy": '"read";q=2;w=60', "RateLimit": '"read";r=1;t=48'}
    await limits.settle()
    assert (await asked(limits, method="HEAD")).headers["RateLimit"] == '"read";r=0;t=48'
    assert ((last := await asked(limits)).admitted, last.left, last.seconds) == (False, 0, 48)
    assert (await asked(limits, method="POST")).headers["RateLimit"] == '"write";r=59;t=48'
    assert (await asked(limits, method="DELETE")).left == 58
    assert (await asked(limits, OTHER)).left == 1


async def test_zero_is_no_limit_and_asks_nobody(store: Store) -> None:
    limits = worker(reads=0, writes=0)
    limits.start()
    assert await limits.ask(USER, "GET") is None
    assert await limits.ask(USER, "POST") is None
    await limits.stop()
    assert store.statements == 0


async def test_a_minute_is_the_databases(store: Store) -> None:
    limits = worker(reads=40)
    store.clock = NOON + 59.5
    await limits.settle()
    assert [(await asked(limits)).left for _ in range(2)] == [39, 38]
    await limits.settle()
    store.clock = NOON + 60.5
    await limits.settle()  # nothing new: nobody is asked, and the clock is as it was
    assert (await asked(limits)).left == 37
    await limits.settle()  # which the database counts in the next minute
    standing = await asked(limits)
    assert (standing.left, standing.seconds) == (39, 60)
    await limits.settle()
    assert (await asked(limits)).left == 40 - 3


async def test_nothing_is_asked_while_nobody_asks(store: Store) -> None:
    limits = worker()
    for _ in range(3):
        await limits.settle()
    assert store.statements == 1  # the clock


async def test_who_is_refused_costs_no_statement(store: Store) -> None:
    measures = Measures()
    limits = worker(reads=1, measures=measures)
    await limits.settle()
    await asked(limits)
    await limits.settle()
    before = store.statements
    assert [(await asked(limits)).admitted for _ in range(50)] == [False] * 50
    await limits.settle()
    assert store.statements == before
    assert counted(measures, "training_rate_limited_total") == 50


async def test_without_the_table_a_worker_limits_alone(store: Store) -> None:
    measures = Measures()
    limits = worker(reads=100, measures=measures)
    await limits.settle()
    store.away = True
    assert (await asked(limits)).left == 99
    await limits.settle()
    # Far beyond its share of 5, and nobody waits.
    assert [(await asked(limits)).admitted for _ in range(100)] == [True] * 99 + [False]
    await limits.settle()
    assert counted(measures, "training_rate_settlement_failures_total") == 2
    store.away = False
    await limits.settle()
    assert list(store.used.values()) == [100]  # nothing of it is forgotten
    assert (await asked(limits)).admitted is False


async def test_nobody_waits_for_a_table_that_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    measures = Measures()
    limits = worker(reads=40, measures=measures)
    await limits.settle()
    store.thawed.clear()
    limits.start()
    assert [(await asked(limits)).admitted for _ in range(41)] == [True] * 40 + [False]
    assert counted(measures, "training_rate_settlement_failures_total") == 1
    assert store.statements == 2  # of which the second waits for its answer still
    store.thawed.set()
    await limits.stop()
    assert list(store.used.values()) == [40]


async def test_who_asks_faster_than_is_settled_waits_for_the_answer(store: Store) -> None:
    limits = worker(reads=40)  # a share is 2
    await limits.settle()
    limits.start()
    told = await asyncio.gather(*(asked(limits) for _ in range(50)))
    assert sum(standing.admitted for standing in told) == 40
    await limits.stop()
    assert sum(store.used.values()) == 40


async def test_what_is_counted_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    limits = worker()
    await limits.settle()
    for _ in range(30):
        await asked(limits, uuid4())
    assert len(limits._buckets) == 10
    store.clock = NOON + 3600
    await limits.settle()
    await asked(limits)
    assert len(limits._buckets) == 1  # a new minute: all others are forgotten


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), workers=st.integers(1, 4), quota=st.sampled_from([1, 7, 40, 200]))
def test_workers_admit_the_limit_and_at_most_their_shares_beyond(seed: int, workers: int, quota: int) -> None:
    """Whatever the order of requests, commits and answers: W - 1 shares at most, and nobody is refused too early."""
    chance = random.Random(seed)
    store = Store(chance)
    admitted = 0

    async def play() -> None:
        nonlocal admitted
        crew = [worker(reads=quota, uptime=chance.uniform(0, 1e6)) for _ in range(workers)]
        for limits in crew:
            await limits.settle()

        async def client(limits: RateLimits) -> None:
            nonlocal admitted
            for _ in range(chance.randint(1, 2 * quota)):
                standing = await limits.ask(USER, "GET")
                assert standing is not None
                if standing.admitted:
                    admitted += 1
                else:
                    assert admitted >= quota, "refused, and the limit is not used up"
                for _ in range(chance.randint(0, 3)):
                    await asyncio.sleep(0)

        async def settle(limits: RateLimits) -> None:
            while not done:
                await limits.settle()
                for _ in range(chance.randint(1, 30)):
                    await asyncio.sleep(0)

        done = False
        async with asyncio.TaskGroup() as group:
            for limits in crew:
                group.create_task(settle(limits))
            await asyncio.gather(*(client(limits) for limits in crew for _ in range(3)))
            done = True

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "settle", store.settle)
        asyncio.run(play())
    assert admitted <= quota + (workers - 1) * max(1, quota // 20)
