"""What is known of the relay and of the agents, and what of it is worth an alert.

The rooms that know it (outbox, runtime, agents) are not known here: the application hands in callables.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.errors import DatabaseUnavailable
from storage.database import Database
from storage.schema import schema_trouble

T = TypeVar("T")

PROBE_KEEP = 1.0  # seconds that an answer of the database is used again
PROBE_PATIENCE = 2.0  # seconds that a caller waits for a new one
MONTHS_AHEAD = 1  # partitions of the log beyond this month's, below which it is time to look


@dataclass(frozen=True, slots=True)
class RelayState:
    """This worker's relay, without asking the database. `role` is leader, standby or off; times are in seconds."""

    role: str = "off"
    silent: float | None = None  # since its last success; None: none yet
    error: str | None = None  # of its last attempt
    published: int = 0  # records acknowledged by Kafka since the start
    batches: int = 0  # acknowledged since the start
    last_batch: int = 0  # records in the last of them


@dataclass(frozen=True, slots=True)
class AgentState:
    """One agent of this worker. Times are in seconds."""

    name: str
    partitions: int | None = 0  # assigned to this worker; None: it reads no topic
    lag: int | None = None  # records of these not folded yet; None: unknown
    trouble: str | None = None  # why it folds nothing now
    folded: int = 0  # records since the start
    last_batch: int = 0  # records folded together last
    failures: int = 0  # batches that failed and were tried again, since the start
    rebalances: int = 0  # since the start


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the database knows of the log: one statement's answer, the same for all workers."""

    depth: int = 0  # rows of the log that are not published yet
    relay_lag: float = 0.0  # age of the oldest of these, seconds
    fold_lag: float = 0.0  # age of the oldest change that is not in all derived tables yet, seconds
    stale_users: int = 0  # users whose load and records are to be computed anew
    leader: str | None = None  # who holds the relay's lease
    quarantined: int = 0  # aggregates that are held back
    imports: int = 0  # of all users, that wait or run
    imports_lag: float = 0.0  # age of the oldest of these, seconds
    erasures: int = 0  # of users, that are not done
    erasures_lag: float = 0.0  # age of the oldest of these, seconds
    dead_letters: int = 0  # events that could not be decoded
    epoch: int = 0
    months_ahead: int = 3  # partitions of the log beyond this month's


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is not well: the part that it concerns, and the reason, for people."""

    part: str
    reason: str


async def _no_backlog() -> Backlog:
    return Backlog()


class Probe(Generic[T]):
    """Asks the database on behalf of many: one question at a time, at most one every `PROBE_KEEP` seconds.

    So neither a load balancer nor a scrape can hurt it.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._task: asyncio.Task[T] | None = None
        self._asked_at = float("-inf")

    async def get(self) -> T:
        """The newest answer. Raises `DatabaseUnavailable`, also when none comes within `PROBE_PATIENCE` seconds."""
        now = self._clock()
        if self._task is None or (self._task.done() and now - self._asked_at > PROBE_KEEP):
            self._asked_at = now
            self._task = asyncio.create_task(self._answer())
        done, _ = await asyncio.wait([self._task], timeout=PROBE_PATIENCE)
        if not done:
            raise DatabaseUnavailable(f"PostgreSQL has not answered for {PROBE_PATIENCE:.0f} s.")
        return self._task.result()

    async def close(self) -> None:
        """End a question that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _answer(self) -> T:
        return await self._ask()


class Watch:
    """Where to ask how things stand.

    `relay`, `agents` and `dead` answer at once; `dead` says why this process can only be helped by a restart, or None.
    `backlog` asks the database. `lag_limit` is the seconds that the relay or the fold may be behind.
    """

    def __init__(
        self,
        database: Database,
        *,
        lag_limit: float,
        relay: Callable[[], RelayState] = RelayState,
        agents: Callable[[], Sequence[AgentState]] = tuple,
        dead: Callable[[], str | None] = lambda: None,
        backlog: Callable[[], Awaitable[Backlog]] = _no_backlog,
    ) -> None:
        self.relay = relay
        self.agents = agents
        self.dead = dead
        self.schema = Probe(lambda: schema_trouble(database))
        self.backlog = Probe(backlog)
        self._lag_limit = lag_limit

    async def close(self) -> None:
        """End the questions that are under way."""
        await self.schema.close()
        await self.backlog.close()

    async def serving(self) -> list[Trouble]:
        """Why this worker cannot serve REST; empty when it can."""
        try:
            reason = await self.schema.get()
        except DatabaseUnavailable as error:
            return [_database(error)]
        return [] if reason is None else [Trouble("schema", reason)]

    async def pipeline(self) -> list[Trouble]:
        """Why events do not flow or are not folded, here or anywhere; empty when all is well."""
        unfit = await self.serving()
        if unfit:  # tables that are not there cannot be asked how far they are
            return [*self._worker(), *unfit]
        try:
            backlog = await self.backlog.get()
        except DatabaseUnavailable as error:
            return [*self._worker(), _database(error)]
        return [*self._worker(), *self._service(backlog)]

    def _worker(self) -> list[Trouble]:
        troubles = []
        relay = self.relay()
        if relay.error is not None:
            troubles.append(Trouble("relay", relay.error))
        elif relay.role != "off" and (relay.silent is None or relay.silent > self._lag_limit):
            since = "yet" if relay.silent is None else f"for {relay.silent:.0f} s"
            troubles.append(Trouble("relay", f"It has not succeeded {since}."))
        troubles += [Trouble(agent.name, agent.trouble) for agent in self.agents() if agent.trouble is not None]
        return troubles

    def _service(self, backlog: Backlog) -> list[Trouble]:
        troubles = []
        # Where the relay is off, something else publishes the log: the cursor stands still and tells nothing.
        if backlog.relay_lag > self._lag_limit and self.relay().role != "off":
            reason = f"{backlog.depth} events wait to be published, the oldest for {backlog.relay_lag:.0f} s."
            troubles.append(Trouble("relay", reason))
        if backlog.fold_lag > self._lag_limit:
            troubles.append(Trouble("fold", f"The derived tables are {backlog.fold_lag:.0f} s behind the log."))
        if backlog.quarantined:
            reason = f"Kafka refused {backlog.quarantined} events: they are held back, and what follows on them."
            troubles.append(Trouble("quarantine", reason))
        if backlog.dead_letters:
            troubles.append(Trouble("dead letters", f"{backlog.dead_letters} records could not be decoded."))
        if backlog.months_ahead < MONTHS_AHEAD:
            troubles.append(Trouble("log", f"Only {backlog.months_ahead} monthly partitions stand ahead."))
        return troubles


def _database(error: DatabaseUnavailable) -> Trouble:
    """With libpq's own words (a certificate, a password), which whoever sends a request is not told."""
    cause = "" if error.__cause__ is None else " ".join(str(error.__cause__).split())
    return Trouble("database", f"{error} {cause}".strip())
