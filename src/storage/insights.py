"""Load and records in the derived tables: what they are computed from, and storing them with what is announced."""

import asyncio
import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from models.insights import Accepted, Computed, DatedRecord, DayLoads, History, LoadSeries, LoadState, Stale
from models.load import Measure
from models.records import Performance, Record, RecordKind, movement_key
from storage.arrays import array, columns
from storage.database import Cursor, Database, Row
from storage.insights_statements import (
    ANNOUNCE,
    BAND_TYPES,
    JUDGE,
    LOAD_COLUMNS,
    MARK_TYPES,
    RANGE_TYPES,
    READ,
    RECORD_COLUMNS,
    SAID_TYPES,
    SOURCE_OF,
    WRITE,
)
from storage.volume_statements import SCHEMA

_EXACT = json.JSONDecoder(parse_float=Decimal)
MANY = 2000  # rows of a user, above which they are read by another thread: the loop has other work
_ABSENT = dt.date.max  # of a measure without rows: all days lie before it


class Written(NamedTuple):
    """What was stored: for which users, how many rows were written or removed, and how many events announced."""

    users: Collection[UUID]
    rows: int
    announced: int


async def read_stale(
    cursor: Cursor,
    after: UUID,
    until: UUID,
    limit: int,
    *,
    enough: int,
    days_before: int,
    whole: Collection[UUID] = (),
    without: Mapping[UUID, str],
    now: dt.datetime | None = None,
    schema: str = SCHEMA,
) -> list[Stale]:
    """At most `limit` marked users behind `after` up to `until`, in order, with what follows from their days.

    Fewer come where these have `enough` trainings to look at, so that what is held does not grow with their history.
    With each come `days_before` days before what is to be computed; of the users in `whole` all days come. Those whose
    mark is the one in `without` are passed over. `now` stands for the database's clock. No lock is taken: who stores
    what follows asks that the mark is still the same.
    """
    parameters = {
        "after": after,
        "until": until,
        "limit": limit,
        "enough": enough,
        "days_before": days_before,
        "whole": list(whole),
        "without": list(without),
        "tried": array(without.values(), "xid8"),
        "now": now,
    }
    found = []
    for row in await cursor.all(READ.replace("{schema}", schema), parameters):
        read = partial(_stale, row, whole=row[0] in whole)
        if max(len(rows or ()) for rows in row[-3:]) > MANY:
            found.append(await asyncio.to_thread(read))
        else:
            found.append(read())
            await asyncio.sleep(0)  # each takes some milliseconds
    return found


async def write(
    database: Database,
    computed: Collection[Computed],
    *,
    topic: str,
    actor: str,
    statement_timeout: float | None = None,
) -> Written:
    """Store what was computed, remove the marks, and announce, in one statement.

    Of a user whose mark is another by now nothing is stored, and of the others only rows that differ.
    `statement_timeout` (seconds) replaces the pool's. Raises `DatabaseUnavailable`; then nothing, or after a broken
    connection perhaps all, is stored.
    """
    said = [(of.stale.history.user_id, *record) for of in computed for record in of.records]
    bands = [(of.stale.history.user_id, *of.band) for of in computed if of.band is not None]
    parameters = {
        **await asyncio.to_thread(_rows, computed),
        **columns("s", SAID_TYPES, said),
        **columns("b", BAND_TYPES, bands),
        "topic": topic,
        "actor": actor,
    }
    sql = ANNOUNCE.replace("{schema}", SCHEMA)
    if statement_timeout is None:
        ((users, rows, announced),) = await database.all(sql, parameters)
    else:
        async with database.transaction(statement_timeout=statement_timeout) as cursor:
            ((users, rows, announced),) = await cursor.all(sql, parameters)
    return Written(users, rows, announced)


async def write_into(cursor: Cursor, computed: Collection[Computed], *, schema: str) -> Written:
    """As `write`, into tables of the same names in another schema; nothing is announced."""
    ((users, rows, _),) = await cursor.all(WRITE.replace("{schema}", schema), _rows(computed))
    return Written(users, rows, 0)


async def mark_days(database: Database, limit: int, now: dt.datetime | None = None) -> int:
    """Mark at most `limit` users whose local day has changed since their load was judged; returns how many were not
    marked before. `now` stands for the database's clock."""
    return await database.execute(JUDGE, {"limit": limit, "now": now})


def load_rows(user_id: UUID, series: LoadSeries) -> list[Row]:
    """The rows of `daily_load`, in the order of `LOAD_COLUMNS`."""
    head = user_id, series.measure
    return [(*head, *day, *latest) for day, latest in zip(series.days, series.latest, strict=True)]


def record_row(user_id: UUID, dated: DatedRecord) -> Row:
    """The row of `personal_records`, in the order of `RECORD_COLUMNS`."""
    return (user_id, *dated.record, dated.accepted.at)


def _rows(computed: Iterable[Computed]) -> dict[str, str]:
    marks: list[Row] = []
    ranges: list[Row] = []
    load: list[Row] = []
    records: list[Row] = []
    for of in computed:
        history, insights = of.stale.history, of.insights
        user_id = history.user_id
        marks.append((user_id, of.stale.touched, history.begin))
        ranges += [
            (user_id, measure, insights.first, insights.last)
            if measure in insights.kept
            else (user_id, measure, _ABSENT, _ABSENT)
            for measure in Measure
        ]
        for series in insights.load:
            load += load_rows(user_id, series)
        records += [record_row(user_id, dated) for dated in insights.records]
    return {
        **columns("m", MARK_TYPES, marks),
        **columns("r", RANGE_TYPES, ranges),
        **columns("l", LOAD_COLUMNS, load),
        **columns("p", RECORD_COLUMNS, records),
    }


def _stale(row: Row, *, whole: bool) -> Stale:
    user_id, touched, begin, trainings, since, now, first, last, measures, judged, *found = row
    before, timezone, days, done, standing = found
    accepted: dict[UUID, Accepted] = {}
    history = History(
        user_id=user_id,
        begin=dt.date.min if whole else begin,
        first=first,
        last=last,
        timezone=timezone or "UTC",
        measures=[measure for measure in Measure if measures[measure]],
        before={Measure(measure): _state(*state) for measure, state in (before or {}).items()},
        days=[_day(*day) for day in days or ()],
        performances=[_performance(accepted, *given) for given in done or ()],
        in_force=[_record(accepted, *given) for given in standing or ()],
        accepted=accepted,
    )
    return Stale(history, touched, frozenset(trainings), since, now, None if judged is None else Measure(judged))


def _state(day: str, acute: float, chronic: float, seq: int | None, at: str) -> LoadState:
    return LoadState(dt.date.fromisoformat(day), float(acute), float(chronic), _accepted(seq, at))


def _day(day: str, seq: int | None, at: str, *loads: float | None) -> DayLoads:
    known = {measure: float(load) for measure, load in zip(SOURCE_OF, loads, strict=True) if load}
    return DayLoads(dt.date.fromisoformat(day), _accepted(seq, at), known)


def _accepted(seq: int | None, at: str) -> Accepted:
    return Accepted(seq, dt.datetime.fromisoformat(at))


def _performance(accepted: dict[UUID, Accepted], *given: Any) -> Performance:
    training_id, day, date, position, name, exercise, own_exercise, family, difficulty, *figures, seq, at = given
    external, heaviest, e1rm, hold, maxima, logged = figures
    id_ = UUID(training_id)
    if id_ not in accepted:
        accepted[id_] = _accepted(seq, at)
    return Performance(
        id_,
        dt.date.fromisoformat(day),
        dt.datetime.fromisoformat(date),
        position,
        movement_key(name, exercise, own_exercise),
        name,
        exercise,
        own_exercise,
        family,
        difficulty,
        Decimal(external),
        _decimal(heaviest),
        _decimal(e1rm),
        _decimal(hold),
        read_maxima(maxima),
        seq,
        logged,
    )


def _record(accepted: dict[UUID, Accepted], *given: Any) -> Record:
    movement, kind, weight, training_id, day, date, name, exercise, own, value, previous, superseded, seq, at = given
    id_ = UUID(training_id)
    accepted[id_] = _accepted(seq, at)
    return Record(
        movement,
        RecordKind(kind),
        Decimal(weight),
        id_,
        dt.date.fromisoformat(day),
        dt.datetime.fromisoformat(date),
        name,
        exercise,
        own,
        Decimal(value),
        _decimal(previous),
        None if superseded is None else dt.date.fromisoformat(superseded),
        seq,
    )


def read_maxima(text: str | None) -> Sequence[tuple[Decimal, int]]:
    """The pairs of `rep_maxima`, exactly."""
    return [] if text is None else [(Decimal(weight), reps) for weight, reps in _EXACT.decode(text)]


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
