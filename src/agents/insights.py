"""The agent that keeps load and records, which depend on more than one day of a user, and announces what they tell.

It follows no stream: the fold of volume marks the users whose days have changed, and since which. What follows from a
user's days is computed from the derived tables, and stored only while the mark is the one that was read; so a change in
between has it computed once more. Computing from a day on gives what computing everything gives, to the last bit.
"""

import asyncio
import datetime as dt
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import UUID, uuid4

from agents.background import Background
from agents.folding import Fold
from agents.insights_events import announce
from analytics.load import DAYS_BEFORE, TAIL_DAYS, load_days
from analytics.records import records
from models.errors import DatabaseUnavailable, StatementEnded, UserErased
from models.insights import (
    Accepted,
    Computed,
    DatedRecord,
    History,
    Insights,
    LoadSeries,
    Stale,
)
from models.load import Measure
from storage.database import Cursor, Database
from storage.insights import Written, mark_days, read_stale, write, write_into
from storage.volume_statements import SCHEMA

USERS = 10  # whose days are read by one statement
TRAININGS = 500  # read by one statement, and those of a user more at most: some megabytes
ROWS = 5000  # stored by one statement, and those of a user more at most
MANY = 2000  # rows to compute, above which another thread does it: the loop has other work
ALONE = 60.0  # seconds that PostgreSQL has for what a user alone asks for, once it was not done in the usual time
SET_ASIDE = 300.0  # seconds, after which a user of whom nothing could be stored is tried again
BACKLOG = 100  # events that the fold stores at once, or in about a second, where it has much to do
QUIET = 1.0  # seconds in which what it has stored counts for less by e
RETRY = 0.1  # seconds
LOOK = 1.0  # seconds between two looks for marks of folds that told nobody here
PATIENCE = 5.0  # seconds that a busy fold is waited for at once, so that one computation serves many events
SHARE = 0.15  # of the time that is taken while the fold is busy
LONG = dt.timedelta(seconds=30)  # that a user is marked, from when on the fold is not given way
JUDGED_AT_ONCE = 1000  # users
ACTOR = "training-service"
_NOBODY, _LAST = UUID(int=0), UUID(int=2**128 - 1)
_EMPTY = dt.date.max  # the first and last day of who has none
_DAY = dt.timedelta(days=1)

log = logging.getLogger(__name__)


class InsightsFold(Fold):
    """Computes load and records of the users that are marked. Any number of them may run, in any number of workers.

    What is announced goes to `topic`; `announced` is called when it is in the log. `now` stands for the database's
    clock.
    """

    def __init__(
        self,
        database: Database,
        topic: str,
        *,
        now: Callable[[], dt.datetime | None] = lambda: None,
    ) -> None:
        super().__init__()
        self._database = database
        self._topic = topic
        self.announced: Callable[[], None] = lambda: None
        self._now = now
        self._background = Background("load and records", self._work_off, look=LOOK, retry=RETRY)
        self.start = self._background.start
        self._folded = 0.0, float("-inf")  # events, not more than a backlog, and when it was so many
        self._begun = (time.monotonic(), 0)  # what is done since the fold was last given way, and failures by then
        # Users of whom nothing could be stored: the mark by which that was tried, and until when it is not tried again.
        self._left: dict[UUID, tuple[str, float]] = {}

    async def stop(self) -> None:
        """End what is under way: its marks stay for another worker."""
        await self._background.stop()

    def folded(self, events: int) -> None:
        """The fold has stored so many events: look for marks, at once unless it has much to do."""
        self._folded = min(self._lately() + events, BACKLOG), time.monotonic()
        self._background.wake()

    async def judge_days(self) -> None:
        """Have the load of users judged whose local day has changed since it was. Raises `DatabaseUnavailable`."""
        marked = JUDGED_AT_ONCE
        while marked == JUDGED_AT_ONCE:
            marked = await mark_days(self._database, JUDGED_AT_ONCE, self._now())
        self._background.wake()

    async def run_due(self) -> int:
        """Compute and store what is marked, until nothing is; returns for how many users.

        Never raises for what PostgreSQL does: what failed is tried again, in place. A user of whom nothing can be
        stored is set aside, marked, for some minutes or until the next fold of theirs.
        """
        done = 0
        self._begun = time.monotonic(), self._failures
        while True:
            found, stored = await self._pass()
            if not found:
                return done
            done += stored
            await self._settle()

    async def _work_off(self) -> None:
        await self._settle()
        await self.run_due()

    async def _settle(self) -> None:
        began = time.monotonic()
        while self._busy and time.monotonic() - began < PATIENCE:  # noqa: ASYNC110 - it is time that it waits for
            await asyncio.sleep(RETRY / 2)

    def _lately(self) -> float:
        """The events that the fold has stored, each of which counts for less and less; their rate where it is even."""
        events, at = self._folded
        return events * math.exp((at - time.monotonic()) / QUIET)

    @property
    def _busy(self) -> bool:
        return self._lately() > 0.8 * BACKLOG  # until 0.2 s after a backlog

    async def _pass(self) -> tuple[int, int]:
        """Once over all marks, from a user on that another worker hardly begins with; returns how many were found, and
        of how many what they ask for is stored. While one part is stored the next one is read and computed."""
        begin = uuid4()
        found = stored = 0
        storing: asyncio.Task[int] | None = None
        try:
            for first, until in ((begin, _LAST), (_NOBODY, begin)):
                after = first
                while stale := await self._forever(partial(self._read, after, until)):
                    after = stale[-1].history.user_id
                    found += len(stale)
                    for part in await self._compute(stale):
                        stored += 0 if storing is None else await storing
                        storing = asyncio.create_task(self._store(part))
                    await self._give_way(stale)
            stored += 0 if storing is None else await storing
        finally:
            if storing is not None:
                storing.cancel()
                await asyncio.gather(storing, return_exceptions=True)
        return found, stored

    async def _read(self, after: UUID, until: UUID) -> list[Stale]:
        now = time.monotonic()
        self._left = {user_id: left for user_id, left in self._left.items() if left[1] > now}
        without = {user_id: mark for user_id, (mark, _) in self._left.items()}
        try:
            async with self._database.session() as cursor:
                return await _read(cursor, after, until, without=without, now=self._now())
        except StatementEnded:
            async with self._database.transaction(statement_timeout=ALONE) as cursor:
                return await _read(cursor, after, until, users=1, without=without, now=self._now())

    async def _give_way(self, done: Sequence[Stale]) -> None:
        """While the fold is busy most of the time is its own, but for those who wait for long.

        What failed in between has waited already.
        """
        began, failures = self._begun
        recent = all(each.now - each.since < LONG for each in done)
        if self._busy and recent and failures == self._failures:
            await asyncio.sleep(min((time.monotonic() - began) * (1 / SHARE - 1), PATIENCE))
        self._begun = time.monotonic(), self._failures

    async def _compute(self, stale: Sequence[Stale]) -> list[list[Computed]]:
        """What is to be stored, by parts."""
        parts: list[list[Computed]] = []
        rows = ROWS
        for each in stale:
            try:
                many = _work(each.history) > MANY
                insights = await asyncio.to_thread(compute, each.history) if many else compute(each.history)
                computed = announce(each, insights)
            except Exception:
                log.exception("load and records of a user cannot be computed")
                self._leave(each)
                continue
            if rows >= ROWS:
                parts.append([])
                rows = 0
            parts[-1].append(computed)
            rows += _size(computed.insights)
            await asyncio.sleep(0)
        return parts

    async def _store(self, part: list[Computed], *, limit: float | None = None) -> int:
        written = await self._forever(partial(self._write, part, limit))
        if isinstance(written, Exception):
            if limit is None:
                return sum([await self._store([each], limit=ALONE) for each in part])
            if not isinstance(written, UserErased):  # whose mark goes
                log.error("load and records of a user cannot be stored", exc_info=written)
            self._leave(part[0].stale)
            return 0
        for user_id in written.users:
            self._left.pop(user_id, None)
        self._stored(len(written.users), 0)
        if written.announced:
            self.announced()
        return len(written.users)

    async def _write(self, part: list[Computed], limit: float | None) -> Written | Exception:
        """Returns what PostgreSQL will say again; what heals by itself is raised."""
        try:
            return await write(self._database, part, topic=self._topic, actor=ACTOR, statement_timeout=limit)
        except StatementEnded as error:
            return error
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - told of by the caller, once it is known whose it is
            return error

    def _leave(self, stale: Stale) -> None:
        self._failures += 1
        self._left[stale.history.user_id] = stale.touched, time.monotonic() + SET_ASIDE


async def compute_marked(cursor: Cursor, *, schema: str) -> None:
    """Compute and store what is marked in the tables of `schema`, which nobody else writes. Nothing is announced."""
    after = _NOBODY
    while stale := await _read(cursor, after, _LAST, schema=schema):
        after = stale[-1].history.user_id
        part: list[Computed] = []
        rows = 0
        for each in stale:
            computed = Computed(each, compute(each.history))
            part.append(computed)
            rows += _size(computed.insights)
            await asyncio.sleep(0)
            if rows >= ROWS or each is stale[-1]:
                await write_into(cursor, part, schema=schema)
                part, rows = [], 0


async def _read(
    cursor: Cursor,
    after: UUID,
    until: UUID,
    *,
    users: int = USERS,
    without: Mapping[UUID, str] | None = None,
    now: dt.datetime | None = None,
    schema: str = SCHEMA,
) -> list[Stale]:
    read = partial(
        read_stale,
        cursor,
        after,
        until,
        users,
        enough=TRAININGS,
        days_before=DAYS_BEFORE,
        without=without or {},
        now=now,
        schema=schema,
    )
    whole: set[UUID] = set()
    while True:
        stale = await read(whole=whole)
        more = {each.history.user_id for each in stale if _lacks_days(each.history)} - whole
        if not more:
            return stale
        whole |= more


def _work(history: History) -> int:
    """How many rows are computed, about."""
    if history.first is None or history.last is None:
        return 0
    days = (history.last - max(history.begin, history.first)).days
    return len(history.performances) + len(history.measures) * days


def _size(insights: Insights) -> int:
    return len(insights.records) + sum(len(series.days) for series in insights.load)


def _lacks_days(history: History) -> bool:
    """Whether there is a measure of which days before `begin` should be stored, and none is: it was 0 until then."""
    return (
        history.first is not None
        and history.first < history.begin
        and any(measure not in history.before for measure in history.measures)
    )


def compute(history: History) -> Insights:
    """Load and records of a user."""
    changed = records(history.in_force, history.performances)
    dated = [DatedRecord(record, history.accepted[record.training_id]) for record in changed]
    if history.first is None or history.last is None:
        return Insights([], dated, (), _EMPTY, _EMPTY)
    end = history.last + dt.timedelta(days=TAIL_DAYS)
    load = [_load(history, measure, history.first, end) for measure in history.measures]
    return Insights(load, dated, history.measures, history.first, end)


def _load(history: History, measure: Measure, first: dt.date, end: dt.date) -> LoadSeries:
    state = history.before.get(measure)
    if state is not None and state.day < first:
        state = None
    begin = first if state is None else state.day + _DAY
    if begin > end:
        return LoadSeries(measure, [], [])
    loads = {day.day: day.loads[measure] for day in history.days if measure in day.loads}
    observed = [day.day for day in history.days]
    before = None if state is None else (state.ewma_acute, state.ewma_chronic)
    days = load_days(loads, observed, first, end, begin=begin, before=before)
    latest: list[Accepted] = []
    so_far = None if state is None else state.latest
    for day in history.days:
        if day.day >= begin:
            if so_far is not None:
                latest += [so_far] * ((day.day - begin).days - len(latest))
            so_far = day.latest if so_far is None else _later(so_far, day.latest)
    if so_far is None:
        raise ValueError("the first day has no training")
    latest += [so_far] * (len(days) - len(latest))
    return LoadSeries(measure, days, latest)


def _later(one: Accepted, other: Accepted) -> Accepted:
    seqs = [seq for seq in (one.source_seq, other.source_seq) if seq is not None]
    return Accepted(max(seqs, default=None), max(one.at, other.at))
