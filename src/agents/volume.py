"""The agent that keeps the volume tables: a stream of events in, rows of schema `analytics` out.

It knows no transport: it takes batches of records and acknowledges each once its rows are committed. Records may come
twice, late, in any order, and from the log itself: what is stored is the fold of the newest version of each training.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID

import orjson
from pydantic import ValidationError

from analytics.volume import Fractions
from analytics.volume import fold as fold_event
from models.errors import DatabaseUnavailable
from models.events import EventType
from models.metrics import FoldedTraining
from models.performed import PerformedEvent
from storage.database import Database
from storage.exercises import read_catalogue
from storage.fold_state import advance, new_generation, read_unfolded, set_generation
from storage.volume import DeadLetter, Unfoldable, fold

PART = 500  # events stored by one statement
SLICE = 50  # events computed before other work of the loop gets its turn: some milliseconds
FIRST_PAUSE = 0.1  # seconds before a failed batch is tried again; doubled for each further attempt
LONGEST_PAUSE = 5.0  # seconds

T = TypeVar("T")

log = logging.getLogger(__name__)


class NotAnEvent(Exception):
    """A record's value is no event that could be folded; says why."""


class Record(Protocol):
    """One record of a topic, as aiokafka has it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...


class Batch(Protocol):
    """Records to fold together, and how to say that they are."""

    @property
    def records(self) -> Sequence[Record]: ...

    async def ack(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FoldHealth:
    """What this worker has folded since it began."""

    events: int
    dead_letters: int
    failures: int  # attempts that failed and were made again
    last_batch: int  # events
    idle: float | None  # seconds since a batch was stored; None: none yet


@dataclass(slots=True)
class _Work:
    """A batch, computed: each training with the record that it comes from, and the records that are no event."""

    trainings: list[tuple[Record, FoldedTraining]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)


class VolumeFold:
    """Folds the events of `topic` into the volume tables. Any number of them may run, in any number of workers."""

    def __init__(self, database: Database, topic: str) -> None:
        self._database = database
        self._topic = topic
        self._fractions: dict[tuple[str, int], Decimal | None] = {}  # revisions never change: kept for ever
        self._catching_up = asyncio.Lock()
        self._events = self._dead_letters = self._failures = self._last_batch = 0
        self._stored_at: float | None = None

    @property
    def health(self) -> FoldHealth:
        """Its counters."""
        idle = None if self._stored_at is None else time.monotonic() - self._stored_at
        return FoldHealth(self._events, self._dead_letters, self._failures, self._last_batch, idle)

    async def run(self, batches: AsyncIterable[Batch]) -> None:
        """Fold every batch and acknowledge it; ends with the stream.

        Never raises for what PostgreSQL or a record does: what failed is tried again, in place, until it is stored, and
        a record that can never be is set aside as a dead letter. While one part of a batch is stored the next one is
        computed, so that PostgreSQL and this process work at the same time.
        """
        async with asyncio.TaskGroup() as tasks:
            storing: asyncio.Task[None] | None = None
            async for batch in batches:
                for start in range(0, len(batch.records), PART):
                    part = batch.records[start : start + PART]
                    work = await self._forever(partial(self._compute, part))
                    if storing is not None:
                        await storing
                    ack = batch.ack if start + PART >= len(batch.records) else None
                    storing = tasks.create_task(self._store_and_ack(work, ack))

    async def fold_records(self, records: Sequence[Record]) -> None:
        """Fold these records. Raises `DatabaseUnavailable`; folding them again is harmless."""
        await self._store(await self._compute(records))

    async def fold_log(self) -> int:
        """Fold whatever is in the log and not in the tables; returns how many events that was.

        It may be ended and begun again at any time, and runs beside agents. Raises `DatabaseUnavailable`.
        """
        count = after = 0
        while records := await read_unfolded(self._database, after, PART):
            await self.fold_records(records)
            count += len(records)
            after = records[-1].offset
        return count

    async def catch_up(self) -> None:
        """Fold from the log if the topic was lost and made anew since that was done last, and move the log's mark.

        To be called at the start, when a topic was made anew, and by a slow timer. Raises `DatabaseUnavailable`.
        """
        async with self._catching_up:
            generation = await new_generation(self._database, self._topic)
            if generation is not None:
                count = await self.fold_log()
                await set_generation(self._database, generation)
                log.info("generation %d of topic %s: folded %d events from the log", generation, self._topic, count)
            await advance(self._database)

    async def _compute(self, records: Sequence[Record]) -> _Work:
        work = _Work()
        for number, record in enumerate(records, 1):
            if record.value is not None:
                try:
                    event = decode(record.value)
                    if event is not None:
                        await self._learn(event)
                        work.trainings.append((record, compute(event, self._fractions, source_seq(record))))
                except NotAnEvent as error:
                    work.dead_letters.append(_dead_letter(record, str(error)))
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return work

    async def _learn(self, event: PerformedEvent) -> None:
        for exercise in event.payload.exercises:
            if exercise.exercise is None or exercise.exercise_revision is None:
                continue
            revision = exercise.exercise, exercise.exercise_revision
            if revision not in self._fractions:
                catalogue = await read_catalogue(self._database)
                for known, movement in catalogue.revisions.items():
                    self._fractions[known] = movement.bw_fraction
                # A revision exists before an event names it: one that does not is nobody's, and stays unknown.
                self._fractions.setdefault(revision, None)

    async def _store_and_ack(self, work: _Work, ack: Callable[[], Awaitable[None]] | None) -> None:
        await self._forever(partial(self._store, work))
        if ack is not None:
            await ack()

    async def _store(self, work: _Work) -> None:
        await self._store_some(work.trainings, work.dead_letters)
        self._events += len(work.trainings)
        self._dead_letters += len(work.dead_letters)
        self._last_batch = len(work.trainings)
        self._stored_at = time.monotonic()

    async def _store_some(self, trainings: list[tuple[Record, FoldedTraining]], letters: list[DeadLetter]) -> None:
        try:
            await fold(self._database, [training for _, training in trainings], letters)
        except Unfoldable as error:
            if len(trainings) > 1:  # look for the one by halves
                middle = len(trainings) // 2
                await self._store_some(trainings[:middle], letters)
                await self._store_some(trainings[middle:], [])
                return
            if not trainings:
                raise
            letters = [*letters, _dead_letter(trainings[0][0], str(error))]
            self._dead_letters += 1
            await fold(self._database, [], letters)

    async def _forever(self, work: Callable[[], Awaitable[T]]) -> T:
        pause = FIRST_PAUSE
        while True:
            try:
                return await work()
            except DatabaseUnavailable as error:
                log.warning("a batch waits for PostgreSQL, again in %.1f s: %s", pause, error)
            except Exception:
                log.exception("a batch could not be folded, again in %.1f s", pause)
            self._failures += 1
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def decode(value: bytes) -> PerformedEvent | None:
    """The event that a record's value is; None where it is an event of a type that is not known here.

    Raises `NotAnEvent`.
    """
    try:
        return PerformedEvent.model_validate_json(value)
    except ValidationError as error:
        if _is_of_another_type(value):
            return None
        # Without the values themselves: they are personal data.
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        reasons = (": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in faults[:10])
        raise NotAnEvent("; ".join(reasons)) from None


def compute(event: PerformedEvent, fractions: Fractions, source_seq: int | None) -> FoldedTraining:
    """What the event leaves of its training. Raises `NotAnEvent` where its values are none to compute with.

    The service publishes no such event: a tempo that is none, a weight that is not finite.
    """
    try:
        return fold_event(event, fractions, source_seq)
    except (ValueError, ArithmeticError) as error:
        raise NotAnEvent(f"a value is none to compute with ({type(error).__name__})") from None


def _is_of_another_type(value: bytes) -> bool:
    try:
        document: Any = orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    type_ = document.get("event_type") if isinstance(document, dict) else None
    return isinstance(type_, str) and type_ not in list(EventType)


def _header(record: Record, name: str) -> str | None:
    for key, value in record.headers:
        if key == name:
            return value.decode("ascii", "replace")
    return None


def source_seq(record: Record) -> int | None:
    """The place in the log that the record names; None where it names none."""
    value = _header(record, "ce_logseq")
    return int(value) if value is not None and value.isdigit() else None


def _dead_letter(record: Record, error: str) -> DeadLetter:
    try:
        event_id = UUID(_header(record, "ce_id") or "")
    except ValueError:
        event_id = None
    log.error("record %s/%d/%d is set aside as a dead letter: %s", record.topic, record.partition, record.offset, error)
    return DeadLetter(record.topic, record.partition, record.offset, event_id, record.key, record.value, error)
