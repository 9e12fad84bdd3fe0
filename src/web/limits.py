"""How often a user may ask: counted in the worker, and settled with all other workers beside the requests.

A limit is how many reads (GET, HEAD) or writes (all else) of one user are admitted in one minute, a minute of the
database's clock. Each worker counts what it admits. Once a second it adds that to the table `rate_usage`, in one
statement for all users, and learns what all workers have admitted. Between two settlements it admits no more than its
share of a limit, a `SHARES`th. So with W workers at most W - 1 shares are admitted beyond a limit: of all that was
admitted since the settlement before the one that reached it, one worker had that settlement's total, and counted on
from there up to the limit; each other one has at most its share.

Who asks fast is settled more often: as soon as half a share is used. Who uses the whole of it before the answer waits
for the answer: it is the only wait that there is, and without it requests would be refused that a limit admits.

While `rate_usage` cannot be had, a worker limits by what it has admitted itself, without shares: nobody is refused for
what is not known. A settlement whose answer was lost may count twice, and a worker that is killed takes what it had not
settled with it.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import structlog

from storage.database import Database
from storage.rate_usage import settle
from web.measures import Measures

log = structlog.get_logger(__name__)

WINDOW = 60  # seconds
SHARES = 20
EVERY = 1.0  # seconds between two settlements, where nobody asks fast
PAUSE = 0.01  # seconds between two settlements, at least
PATIENCE = 1.0  # seconds after which nobody waits for a settlement any more
MOST = 100_000  # users and classes in one minute: some 30 MB; the one that asked first is forgotten for another
_READS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Limit:
    """Of each user, `quota` requests of the class `name` are admitted in a minute."""

    name: str
    quota: int

    @cached_property
    def share(self) -> int:
        """How many of them a worker admits between two settlements."""
        return max(1, self.quota // SHARES)

    @cached_property
    def policy(self) -> str:
        """The header RateLimit-Policy."""
        return f'"{self.name}";q={self.quota};w={WINDOW}'


class Standing(NamedTuple):
    """How a user stands to a limit after a request: whether it is admitted, how many more are, and the seconds until
    the next minute begins."""

    limit: Limit
    admitted: bool
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """What every answer says of it."""
        return {
            "RateLimit-Policy": self.limit.policy,
            "RateLimit": f'"{self.limit.name}";r={self.left};t={self.seconds}',
        }


@dataclass(slots=True, eq=False)
class _Bucket:
    """What is admitted of one user and class in the present minute."""

    id: UUID
    settled: int = 0  # by all workers, as the last settlement told
    sent: int = 0  # by this one, in the settlement that is under way
    fresh: int = 0  # by this one, since


class RateLimits:
    """The limits of all users in this worker; a quota of 0 is none."""

    def __init__(
        self,
        database: Database,
        measures: Measures,
        *,
        reads: int,
        writes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self._database = database
        self._measures = measures
        self._clock = clock
        self._limits = {name: Limit(name, quota) for name, quota in (("read", reads), ("write", writes)) if quota}
        self._minute = 0
        self._buckets: dict[tuple[UUID, str], _Bucket] = {}  # of this minute
        self._unsettled: dict[UUID, _Bucket] = {}
        self._ahead = time.time() - clock()  # seconds that the database's clock is ahead of `clock`; a guess at first
        self._alone = True
        self._failing = False
        self._halted = False
        self._woken = asyncio.Event()
        self._answered = asyncio.Event()  # another one for each settlement
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to settle, beside the requests."""
        if self._limits:
            self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Settle what is left; from now on this worker limits alone."""
        self._halted = True
        self._woken.set()
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=PATIENCE)
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._end(alone=True)

    async def ask(self, user_id: UUID, method: str) -> Standing | None:
        """Whether a request is admitted, which then counts; None where there is no limit."""
        limit = self._limits.get("read" if method in _READS else "write")
        if limit is None:
            return None
        while True:
            now = self._clock() + self._ahead
            bucket = self._bucket(user_id, limit, int(now // WINDOW))
            own = bucket.sent + bucket.fresh
            left = limit.quota - bucket.settled - own
            if left <= 0 or own < limit.share or self._alone:
                break
            await self._answered.wait()
        seconds = math.ceil(WINDOW - now % WINDOW)
        if left <= 0:
            self._measures.limited(limit.name)
            return Standing(limit, admitted=False, left=0, seconds=seconds)
        bucket.fresh += 1
        self._unsettled[bucket.id] = bucket
        if 2 * bucket.fresh >= limit.share:
            self._woken.set()
        return Standing(limit, admitted=True, left=left - 1, seconds=seconds)

    async def settle(self) -> None:
        """Add what was admitted here to what all workers admitted, and learn that. Raises nothing."""
        if not self._unsettled and not self._alone:
            return
        minute, asked = self._minute, self._clock()
        sent, self._unsettled = self._unsettled, {}
        for bucket in sent.values():
            bucket.sent, bucket.fresh = bucket.fresh, 0
        # It is not given up then, or each second would leave a connection behind in a server that is frozen.
        late = asyncio.get_running_loop().call_later(PATIENCE, self._fail, f"no answer within {PATIENCE:g} s")
        try:
            usage = await settle(self._database, {id_: bucket.sent for id_, bucket in sent.items()})
        except Exception as error:  # noqa: BLE001 - whatever it is, requests pass
            for bucket in sent.values():
                bucket.sent, bucket.fresh = 0, bucket.sent + bucket.fresh
            if self._minute == minute:
                self._unsettled = sent | self._unsettled
            self._fail(str(error))
            return
        finally:
            late.cancel()
        for id_, bucket in sent.items():
            counted, used = usage.totals[id_]
            # Beside a minute's end the database may have counted them in another one: here they stay in this one's.
            bucket.settled = used if counted == minute else bucket.settled + bucket.sent
            bucket.sent = 0
        self._failing = False
        self._ahead = usage.clock - (asked + self._clock()) / 2
        self._end(alone=False)

    def _bucket(self, user_id: UUID, limit: Limit, minute: int) -> _Bucket:
        if minute != self._minute:  # what was counted in another one limits nobody any more
            self._minute, self._buckets, self._unsettled = minute, {}, {}
        bucket = self._buckets.get((user_id, limit.name))
        if bucket is None:
            if len(self._buckets) >= MOST:
                self._buckets.pop(next(iter(self._buckets)))
            key = blake2b(user_id.bytes, digest_size=16, person=limit.name.encode()).digest()
            bucket = self._buckets[user_id, limit.name] = _Bucket(UUID(bytes=key))
        return bucket

    def _fail(self, reason: str) -> None:
        """The settlement under way brings nothing now: limit alone until one does."""
        self._measures.unsettled()
        if not self._failing:
            log.warning("rate limits are not settled: this worker limits alone", reason=reason)
        self._failing = True
        self._end(alone=True)

    def _end(self, *, alone: bool) -> None:
        """Let who waits for a settlement go on."""
        self._alone = alone
        self._answered.set()
        self._answered = asyncio.Event()

    async def _run(self) -> None:
        while not self._halted:
            await self.settle()
            await asyncio.sleep(PAUSE)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), EVERY)
            self._woken.clear()
        await self.settle()
