"""What advice is computed from, out of one statement. Advice itself is stored nowhere: it is computed when it is asked
for. What was accepted of it, with the plans that it changes: see `storage.advice_accepted`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models.load import LoadDay, Measure
from storage.advice_statements import READ
from storage.database import Runner
from storage.documents import stored
from storage.plans import PlannedTraining
from storage.readiness import ReadinessInputs
from storage.readiness import inputs as readiness_inputs
from storage.reports import load_day

_MOST_RECORDS = 100
_MOST_AHEAD = 200
_MOST_ACCEPTED = 200
_NO_EXERCISES: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class AcceptedRow:
    """Advice that was accepted, and the trainings that it changed and undoing it did not put back. `document` is an
    `AcceptedAdvice` where it covers the day asked for, and stands."""

    id: UUID
    day: dt.date
    undone: bool
    kind: str
    subject: Mapping[str, Any]
    trainings: Sequence[UUID]
    document: bytes | None


@dataclass(frozen=True, slots=True)
class AdviceRows:
    """What the log says of one athlete up to `day`, and what is planned from that day on, oldest first.

    `today` is the athlete's present day, whatever was asked for. `load` are stored days by `measure`, of which `first`
    is the first there is; `known` are the days of the last 28, and before, that know it. `records` are (movement, kind,
    value, at_weight_kg, day, training), the latest first. `weeks` are hard sets of push, of pull, and of names whose
    category is not known: (how many weeks ago, key of the name, category, sets). `done` are the latest completed
    trainings, the latest first: (training, day, workout, its version, [(exercise, name, slug, planned sets, done
    sets)]); `workouts` are those of them that are still there: (version, [(exercise, name, slug, kind of its rule)]).
    `busy` are the days of trainings from `day` on, whatever their status; `trained` is whether one of `day` was begun.
    `deloads` are the first and last days of deload phases. `accepted` is of the days around `day`, those after it too.
    `as_of` and `stale` are as in `storage.reports`; `readiness` is what that of the day is computed from.
    """

    day: dt.date
    today: dt.date
    as_of: str
    stale: bool | None
    measure: Measure | None
    known: frozenset[dt.date]
    first: dt.date | None
    load: Sequence[LoadDay]
    records: Sequence[tuple[str, str, float, float, dt.date, UUID]]
    weeks: Sequence[tuple[int, str, str | None, float]]
    done: Sequence[tuple[UUID, dt.date, UUID | None, int | None, Sequence[Sequence[Any]]]]
    workouts: Mapping[UUID, tuple[int, Sequence[Sequence[Any]]]]
    planned: Sequence[PlannedTraining]
    busy: frozenset[dt.date]
    trained: bool
    deloads: Sequence[tuple[dt.date, dt.date]]
    accepted: Sequence[AcceptedRow]
    readiness: ReadinessInputs


async def read_rows(  # how far each part goes back or ahead, in days
    runner: Runner,
    user_id: UUID,
    day: dt.date | None,
    *,
    awaited: tuple[UUID, int] | None,
    load_days: int,
    done_days: int,
    most_done: int,
    ahead_days: int,
    standing_days: int,
    deload_days: int,
    readiness_days: int,
) -> AdviceRows:
    """What advice for `day` is computed from; by default for the athlete's present day (`storage.today`).

    `awaited` is the training and the version of it that the derived tables should hold.
    """
    training, version = awaited or (None, None)
    parameters = {
        "user_id": user_id,
        "coach_of": None,
        "training": training,
        "version": version,
        "day": day,
        "load_days": load_days,
        "done_days": done_days,
        "most_done": most_done,
        "ahead_days": ahead_days,
        "standing_days": standing_days,
        "deload_days": deload_days,
        "first": day,
        "last": day,
        "before": readiness_days,
        "most_records": _MOST_RECORDS,
        "most_ahead": _MOST_AHEAD,
        "most_accepted": _MOST_ACCEPTED,
    }
    (row,) = await runner.all(READ, parameters)
    asked, today, as_of, stale, measure, known, first, load, records, weeks, done, workouts, *rest = row
    planned, busy, trained, deloads, accepted, *readiness = rest
    return AdviceRows(
        day=asked,
        today=today,
        as_of=as_of,
        stale=stale,
        measure=None if measure is None else Measure(measure),
        known=frozenset(known or ()),
        first=first,
        load=[load_day(one) for one in load or ()],
        records=[(*one[:3], one[3] or 0, dt.date.fromisoformat(one[4]), UUID(one[5])) for one in records or ()],
        weeks=[tuple(one) for one in weeks or ()],
        done=[
            (
                UUID(id_),
                dt.date.fromisoformat(at),
                None if workout is None else UUID(workout),
                version,
                exercises or _NO_EXERCISES,
            )
            for id_, at, workout, version, exercises in done or ()
        ],
        workouts={UUID(id_): (version, exercises or _NO_EXERCISES) for id_, version, exercises in workouts or ()},
        planned=[
            PlannedTraining(UUID(id_), version, source_id, dt.datetime.fromisoformat(created_at), fields)
            for id_, version, source_id, created_at, fields in planned or ()
        ],
        busy=frozenset(busy or ()),
        trained=trained,
        deloads=[(dt.date.fromisoformat(begin), dt.date.fromisoformat(end)) for begin, end in deloads or ()],
        accepted=[_accepted(user_id, one) for one in accepted or ()],
        readiness=readiness_inputs(readiness),
    )


def _accepted(user_id: UUID, row: Sequence[Any]) -> AcceptedRow:
    id_, version, *moments, day, undone, kind, subject, trainings, content = row
    document = None
    if content is not None:
        at = map(dt.datetime.fromisoformat, moments)
        document = stored(user_id, [UUID(id_), version, *at, None, content]).document
    about = dt.date.fromisoformat(day)
    return AcceptedRow(UUID(id_), about, undone, kind, subject, [UUID(one) for one in trainings or ()], document)
