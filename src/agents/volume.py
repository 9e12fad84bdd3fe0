"""The agent that keeps the volume tables: a stream of events in, rows of schema `analytics` out.

Records may come twice, late, in any order, and from the log itself: what is stored is the fold of the newest version of
each training, computed with what the user's names mean now.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from agents.folding import Batch, Fold, NotAnEvent, Record, dead_letter, read, source_seq
from agents.naming import NameFold
from analytics.volume import METHOD_VERSION, Movements
from analytics.volume import fold as fold_event
from models.errors import ArchiveUnavailable
from models.events import EventType
from models.exercises import UNKNOWN, Facts
from models.metrics import FoldedTraining
from models.naming import NO_NAMES, Names
from models.performed import PerformedEvent
from storage.database import Database
from storage.exercises import read_catalogue
from storage.fold_state import (
    advance,
    new_generation,
    read_freshness,
    read_outdated,
    read_unfolded,
    set_generation,
    set_method,
)
from storage.naming import read_folded, read_names
from storage.volume import DeadLetter, Unfoldable, fold
from storage.volume_statements import SCHEMA

PART = 500  # events stored by one statement
SLICE = 50  # events computed before other work of the loop gets its turn: some milliseconds
RENEW_AGAIN = 3600.0  # seconds
MISSED_AFTER = 600.0  # seconds: longer than a relay takes that has its broker back
USERS = 1000  # whose names are remembered, where they have any: some 10 kB each
_NOBODY = UUID(int=0)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Work:
    """A batch, computed: each training with the record that it comes from, and the records that are no event."""

    trainings: list[tuple[Record, FoldedTraining]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)


class VolumeFold(Fold):
    """Folds events of trainings into the volume tables. Any number of them may run, in any number of workers.

    Where one of `topics` is lost and made anew, it is the log that is folded; what is archived of it is in
    `archive_dir`. `stored` is called after each batch, or part of one, with the number of its trainings.
    """

    def __init__(
        self,
        database: Database,
        *topics: str,
        stored: Callable[[int], None] = lambda _: None,
        archive_dir: Path | None = None,
    ) -> None:
        super().__init__()
        self._database = database
        self._archive_dir = archive_dir
        self._topics = topics
        self._tell_stored = stored
        self._movements: dict[tuple[str, int], Facts] = {}  # revisions never change: kept for ever
        self._names: dict[UUID, Names] = {}  # as far as they were needed; `fold` tells which are outdated
        self._catching_up = asyncio.Lock()
        self._renew_again = 0.0  # not before
        self.naming = NameFold(database, self.fold_records, archive_dir)

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
                    work = await self._forever(partial(self._compute, part), part)
                    if storing is not None:
                        await storing
                    ack = batch.ack if start + PART >= len(batch.records) else None
                    storing = tasks.create_task(self._store_and_ack(work, ack))

    async def fold_records(self, records: Sequence[Record]) -> None:
        """Fold these records. Raises `DatabaseUnavailable`; folding them again is harmless."""
        await self._store(await self._compute(records))

    async def fold_log(self) -> int:
        """Fold whatever is in the log and not in the tables; returns how many events of trainings that was.

        It may be ended and begun again at any time, and runs beside agents. Raises `DatabaseUnavailable`.
        """
        await self.naming.fold_log()  # first, so that trainings are computed once
        count = after = 0
        while records := await read_unfolded(self._database, after, PART):
            await self.fold_records(records)
            count += len(records)
            after = records[-1].offset
        return count

    async def catch_up(self) -> None:
        """Fold from the log if a topic was lost and made anew since that was done last, and move the log's mark.

        To be called at the start, when a topic was made anew, and by a slow timer. Raises `DatabaseUnavailable`.
        """
        async with self._catching_up:
            generation = await new_generation(self._database, self._topics)
            if generation is not None:
                await self.naming.forget_adopted()
                count = await self.fold_log()
                await set_generation(self._database, generation)
                log.info(
                    "generation %d of topics %s: folded %d events from the log",
                    generation,
                    ", ".join(self._topics),
                    count,
                )
            await advance(self._database)

    async def fold_missed(self) -> None:
        """Fold from the log what waits for longer than `MISSED_AFTER` seconds: it did not come by the topic.

        A consumer may pass over records of a topic that is made anew while it commits, and an event that cannot be
        published never comes. To be called by a slow timer of a worker whose consumer has nothing left to read. Raises
        `DatabaseUnavailable`.
        """
        missed = (await read_freshness(self._database)).lag_seconds > MISSED_AFTER
        if missed and (count := await self.fold_log()):
            log.warning("folded %d events from the log: they had not come by the topic", count)

    async def renew(self) -> None:
        """Compute anew, from the log, what was computed by rules before these; to be called by a slow timer.

        As a rule there is nothing, and one look at an index tells; workers of a version before may make some at any
        time. It may be ended and begun again at any time, and runs beside agents. Each worker begins somewhere else, so
        that several share the work. What stays because its events are nowhere, or in an archive that cannot be read, is
        told, and not tried again for `RENEW_AGAIN` seconds. Raises `DatabaseUnavailable`.
        """
        await self.naming.look_again()
        if time.monotonic() < self._renew_again or not await self._outdated(_NOBODY, limit=1):
            return
        count = 0
        missing: list[ArchiveUnavailable] = []
        for first in (uuid4(), _NOBODY):
            after = first, _NOBODY
            while trainings := await self._outdated(*after):
                async with self._database.session() as cursor:
                    events = await read_folded(
                        cursor, trainings, schema=SCHEMA, archive_dir=self._archive_dir, missing=missing
                    )
                await self.fold_records(events)
                count += len(events)
                after = trainings[-1]
        log.info("version %d of the rules: computed %d trainings anew", METHOD_VERSION, count)
        if await self._outdated(_NOBODY, limit=1):
            self._renew_again = time.monotonic() + RENEW_AGAIN
            reason = str(missing[0]) if missing else "The log does not hold their events: run `analytics rebuild`."
            log.warning("trainings of older rules stay: %s", reason)
        else:
            await set_method(self._database, METHOD_VERSION)

    async def _outdated(
        self, user_id: UUID, training_id: UUID = _NOBODY, *, limit: int | None = None
    ) -> list[tuple[UUID, UUID]]:
        return await read_outdated(self._database, METHOD_VERSION, (user_id, training_id), limit or PART)

    async def _compute(self, records: Sequence[Record]) -> _Work:
        work = _Work()
        for number, record in enumerate(records, 1):
            if record.value is not None:
                try:
                    event = decode(record.value)
                    if event is not None:
                        await self._learn(event)
                        names = self._names.get(event.payload.user_id, NO_NAMES)
                        training = compute(event, self._movements, source_seq(record), names)
                        work.trainings.append((record, training))
                except NotAnEvent as error:
                    work.dead_letters.append(dead_letter(record, str(error)))
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return work

    async def _learn(self, event: PerformedEvent) -> None:
        for exercise in event.payload.exercises:
            if exercise.exercise is None or exercise.exercise_revision is None:
                continue
            revision = exercise.exercise, exercise.exercise_revision
            if revision not in self._movements:
                self._movements |= (await read_catalogue(self._database)).facts
                # A revision exists before an event names it: one that does not is nobody's, and stays unknown.
                self._movements.setdefault(revision, UNKNOWN)

    async def _learn_names(self, users: Collection[UUID]) -> None:
        async with self._database.session() as cursor:
            names = await read_names(cursor, users)
        for user_id in users:
            self._names.pop(user_id, None)
        self._names |= names
        while len(self._names) > USERS:  # those forgotten are learnt again when they are met
            del self._names[next(iter(self._names))]

    async def _store_and_ack(self, work: _Work, ack: Callable[[], Awaitable[None]] | None) -> None:
        await self._forever(partial(self._store, work), [record for record, _ in work.trainings])
        if ack is not None:
            await ack()

    async def _store(self, work: _Work) -> None:
        left = work
        while outdated := await self._store_some(left.trainings, left.dead_letters):
            await self._learn_names(outdated)
            left = await self._compute([record for record, training in left.trainings if training.user_id in outdated])
        self._stored(len(work.trainings), len(work.dead_letters))
        self._tell_stored(len(work.trainings))

    async def _store_some(
        self, trainings: list[tuple[Record, FoldedTraining]], letters: list[DeadLetter]
    ) -> frozenset[UUID]:
        """Returns the users whose names have changed: nothing of theirs is stored."""
        try:
            return await fold(self._database, [training for _, training in trainings], letters)
        except Unfoldable as error:
            if len(trainings) > 1:  # look for the one by halves
                middle = len(trainings) // 2
                outdated = await self._store_some(trainings[:middle], letters)
                return outdated | await self._store_some(trainings[middle:], [])
            if not trainings:
                raise
            letters = [*letters, dead_letter(trainings[0][0], str(error))]
            self._dead_letters += 1
            return await fold(self._database, [], letters)


def decode(value: bytes) -> PerformedEvent | None:
    """The event of a training that a record's value is; None where it is an event of a type that is not known here.

    Raises `NotAnEvent`.
    """
    return read(PerformedEvent, EventType, value)


def compute(
    event: PerformedEvent, movements: Movements, source_seq: int | None, names: Names = NO_NAMES
) -> FoldedTraining:
    """What the event leaves of its training, by the user's `names`. Raises `NotAnEvent` where its values are none to
    compute with.

    The service publishes no such event: a tempo that is none, a weight that is not finite.
    """
    try:
        return fold_event(event, movements, source_seq, names)
    except (ValueError, ArithmeticError) as error:
        raise NotAnEvent(f"a value is none to compute with ({type(error).__name__})") from None
