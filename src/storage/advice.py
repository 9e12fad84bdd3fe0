"""Advice: what it is computed from, out of one statement; and what was accepted of it, with the plans that it changes.

Advice itself is stored nowhere: it is computed when it is asked for. Accepting and undoing are one transaction each,
in which the accepted advice is written with its event, and each changed training with its own.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from models.advice import undone_content
from models.errors import AdviceGone, NotFound, PlanChanged, PreconditionFailed
from models.load import LoadDay, Measure
from storage.advice_statements import READ, VERSIONS
from storage.database import Cursor, Database, Runner
from storage.documents import ADVICE, Documents
from storage.plans import PlannedTraining, change_planned, hold, in_transaction, read_planned
from storage.reports import load_day
from storage.training_writes import Author, IdempotencyKey, Written

_MOST_RECORDS = 100
_MOST_AHEAD = 200
_MOST_ACCEPTED = 200
_NO_EXERCISES: Sequence[Any] = ()
_VERSIONS = ("version", "version_after")  # of a training that accepting changed


@dataclass(frozen=True, slots=True)
class AcceptedRow:
    """Advice that was accepted. `document` is an `AcceptedAdvice` where it is of the day asked for, and stands."""

    id: UUID
    day: dt.date
    undone: bool
    kind: str
    subject: Mapping[str, Any]
    document: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AdviceRows:
    """What the log says of one athlete up to `day`, and what is planned from that day on, oldest first.

    `load` are stored days by `measure`, of which `first` is the first there is; `known_days` of the last 28 know it.
    `records` are (movement, kind, value, at_weight_kg, day, training), the latest first. `weeks` are hard sets of push
    and pull: (how many weeks ago, key of the name, category, sets). `done` are the latest completed trainings, the
    latest first: (training, day, workout, its version, [(exercise, name, slug, planned sets, done sets)]); `workouts`
    are those of them that are still there: (version, [(exercise, name, slug)]). `busy` are the days of trainings from
    `day` on, whatever their status; `trained` is whether one of `day` was begun. `deloads` are the first and last days
    of deload phases. `as_of` is as in `storage.reports`.
    """

    day: dt.date
    as_of: str
    measure: Measure | None
    known_days: int
    first: dt.date | None
    load: Sequence[LoadDay]
    records: Sequence[tuple[str, str, float, float, dt.date, UUID]]
    weeks: Sequence[tuple[int, str, str, float]]
    done: Sequence[tuple[UUID, dt.date, UUID | None, int | None, Sequence[Sequence[Any]]]]
    workouts: Mapping[UUID, tuple[int, Sequence[Sequence[Any]]]]
    planned: Sequence[PlannedTraining]
    busy: frozenset[dt.date]
    trained: bool
    deloads: Sequence[tuple[dt.date, dt.date]]
    accepted: Sequence[AcceptedRow]


async def read_rows(  # how far each part goes back or ahead, in days
    runner: Runner,
    user_id: UUID,
    day: dt.date | None,
    *,
    load_days: int,
    done_days: int,
    most_done: int,
    ahead_days: int,
    standing_days: int,
) -> AdviceRows:
    """What advice for `day` is computed from; by default for the athlete's present day, in the zone of the latest
    training, without one in UTC."""
    parameters = {
        "user_id": user_id,
        "coach_of": None,
        "training": None,
        "version": None,
        "day": day,
        "load_days": load_days,
        "done_days": done_days,
        "most_done": most_done,
        "ahead_days": ahead_days,
        "standing_days": standing_days,
        "most_records": _MOST_RECORDS,
        "most_ahead": _MOST_AHEAD,
        "most_accepted": _MOST_ACCEPTED,
    }
    (row,) = await runner.all(READ, parameters)
    asked, as_of, _, measure, known, first, load, records, weeks, done, workouts, planned, busy, trained, *rest = row
    deloads, accepted = rest
    return AdviceRows(
        day=asked,
        as_of=as_of,
        measure=None if measure is None else Measure(measure),
        known_days=known,
        first=first,
        load=[load_day(one) for one in load or ()],
        records=[(*one[:3], one[3] or 0, _day(one[4]), UUID(one[5])) for one in records or ()],
        weeks=[tuple(one) for one in weeks or ()],
        done=[
            (UUID(id_), _day(at), None if workout is None else UUID(workout), version, exercises or _NO_EXERCISES)
            for id_, at, workout, version, exercises in done or ()
        ],
        workouts={UUID(id_): (version, exercises or _NO_EXERCISES) for id_, version, exercises in workouts or ()},
        planned=[
            PlannedTraining(UUID(id_), version, source_id, dt.datetime.fromisoformat(created_at), fields)
            for id_, version, source_id, created_at, fields in planned or ()
        ],
        busy=frozenset(busy or ()),
        trained=trained,
        deloads=[(_day(begin), _day(end)) for begin, end in deloads or ()],
        accepted=[_accepted(user_id, one) for one in accepted or ()],
    )


@dataclass(frozen=True, slots=True)
class Accepting:
    """What accepting a piece of advice writes: its content, its day, and each training with what it becomes."""

    content: str
    day: dt.date
    changed: Sequence[tuple[PlannedTraining, dict[str, Any]]]


Decide = Callable[[Cursor], Awaitable[Accepting | None]]


class AcceptedAdvices:
    """What users accepted. `topic` is where its events go, `events_topic` where those of trainings do.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away, or others change the same trainings all the time;
    a write that was under way then may or may not have been done.
    """

    def __init__(self, database: Database, topic: str, events_topic: str) -> None:
        self._database = database
        self._topic = topic
        self._events_topic = events_topic

    async def accept(self, author: Author, id_: UUID, decide: Decide, *, key: IdempotencyKey | None = None) -> Written:
        """Write what `decide` finds within the transaction, no other plan of the user being written meanwhile.

        It finds None where this advice is not given any more. What was accepted already stays, and is answered as it is
        now. Raises `AdviceGone` where there is neither, or it was undone, and `IdempotencyKeyReused`.
        """

        async def write(cursor: Cursor) -> Written:
            await hold(cursor, author.user_id)
            documents = Documents(cursor, self._topic, ADVICE)
            there = await _there(documents, author.user_id, id_)
            accepting = await decide(cursor) if there is None else Accepting("{}", dt.date.min, ())
            if accepting is None:
                raise AdviceGone("This advice is not given any more: the log or the plan has changed since.")
            # What is there already is not written; the key is judged all the same.
            columns = {"day": accepting.day, "undone": False}
            written = await documents.create(author, id_, accepting.content, id_.bytes, columns, key=key)
            if written.created and not written.replayed:
                await change_planned(cursor, author, self._events_topic, list(accepting.changed))
            return written

        written = await in_transaction(self._database, write)
        if not written.replayed and written.document and orjson.loads(written.document)["undone"]:
            raise AdviceGone("This advice was accepted and undone. Where it is given again it has another id.")
        return written

    async def undo(self, author: Author, id_: UUID, *, key: IdempotencyKey | None = None) -> Written:
        """Have every training that accepting changed say what it said before, as its next version.

        What was undone already is answered as it is. Raises `NotFound`, `PlanChanged` where one of the trainings does
        not say any more what accepting made of it, or was begun, skipped or deleted since, and `IdempotencyKeyReused`;
        then nothing is undone.
        """

        async def write(cursor: Cursor) -> Written:
            await hold(cursor, author.user_id)
            documents = Documents(cursor, self._topic, ADVICE)
            document = (await documents.read(author.user_id, id_)).document
            said = orjson.loads(document)
            # What is undone already is not written; the key is judged all the same.
            before = [] if said["undone"] else await _before(cursor, author.user_id, said["changes"])
            versions = {training.id: training.version for training, _ in before}
            content = "{}" if said["undone"] else undone_content(document, versions)
            columns = {"day": dt.date.fromisoformat(said["day"]), "undone": True}
            written = await documents.update(author, id_, content, columns, if_match=[1], key=key)
            if not written.replayed:
                await change_planned(cursor, author, self._events_topic, before)
            return written

        try:
            return await in_transaction(self._database, write)
        except PreconditionFailed:  # it was undone before
            stored = await Documents(self._database, self._topic, ADVICE).read(author.user_id, id_)
            return Written(id_, stored.version, stored.document)


async def _there(documents: Documents, user_id: UUID, id_: UUID) -> bytes | None:
    try:
        return (await documents.read(user_id, id_)).document
    except NotFound:
        return None


async def _before(
    cursor: Cursor, user_id: UUID, changes: Sequence[Mapping[str, Any]]
) -> list[tuple[PlannedTraining, dict[str, Any]]]:
    """The trainings as they stand, each with what the log says that it was before."""
    if not changes:
        return []
    ids = [UUID(change["training_id"]) for change in changes]
    planned = {training.id: training for training in await read_planned(cursor, user_id, ids=ids)}
    versions = [{"id": change["training_id"], "version": change[name]} for change in changes for name in _VERSIONS]
    rows = await cursor.all(VERSIONS, {"user_id": user_id, "versions": orjson.dumps(versions).decode()})
    logged = {(id_, version): _fields(payload) for id_, version, payload in rows}
    found = []
    for change, id_ in zip(changes, ids, strict=True):
        training = planned.get(id_)
        before, after = (logged.get((id_, change[name])) for name in _VERSIONS)
        # Other advice may have been accepted and undone since: what counts is what the training says.
        if training is None or before is None or training.fields != after:
            title = f" ({change['title']})" if "title" in change else ""
            raise PlanChanged(f"The training {id_}{title} was changed since, so nothing is undone.")
        found.append((training, before))
    return found


def _fields(payload: str) -> dict[str, Any]:
    """What a training said, by its event."""
    fields: dict[str, Any] = orjson.loads(payload)["payload"]
    for name in ("training_id", "user_id", "source_id", "version", "previous_status"):
        fields.pop(name, None)
    return fields


def _accepted(user_id: UUID, row: Sequence[Any]) -> AcceptedRow:
    id_, version, created_at, updated_at, day, undone, kind, subject, content = row
    head = {"id": id_, "user_id": str(user_id), "version": version}
    tail = {"created_at": created_at, "updated_at": updated_at}
    return AcceptedRow(UUID(id_), _day(day), undone, kind, subject, None if content is None else head | content | tail)


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
