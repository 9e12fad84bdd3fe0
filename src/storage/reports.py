"""Reports read out of the derived tables, one statement each.

Each says how fresh it is. `as_of` (RFC 3339): every change that was accepted before is in the report. `stale`: whether
the version of a training that the query's `at_least` names is not in it; None where none is named.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models.load import Band, LoadDay, Measure
from models.load_reports import LoadQuery
from models.record_reports import ProgressQuery, RecordsQuery
from models.reports import RangeQuery, ReportQuery
from models.streaks import DayTotals
from models.volume_reports import VolumeQuery
from storage.database import Database
from storage.reports_statements import LOAD, OVERVIEW, PROGRESS, RECORDS, VOLUME


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a report as a JSON array, and how many they are."""

    count: int
    json: str
    as_of: str
    stale: bool | None


@dataclass(frozen=True, slots=True)
class Overview(Items):
    """The movements of a user, and what the days with a training add up to, in order.

    `today` is the present day in the zone of the latest training; None where there is none.
    """

    today: dt.date | None
    days: list[DayTotals]


@dataclass(frozen=True, slots=True)
class StoredLoad:
    """What is stored of a user's load by a measure.

    `measures` are those of which the user has a load, in the order of `Measure`. `judged` says on how many of the days
    that the load is judged by (`days`) this measure is known (`known_days`); None where there are none. `first` is the
    first stored day, None where there is none, and `days` are the days that were asked for, as far as they are stored.
    """

    measures: list[Measure]
    measure: Measure | None
    today: dt.date | None
    as_of: str
    stale: bool | None
    judged: dict[str, int] | None
    first: dt.date | None
    days: list[LoadDay]


async def read_volume(database: Database, user_id: UUID, query: VolumeQuery, *, limit: int) -> Items:
    """At most `limit` items of the user's volume, oldest first."""
    parameters = _range(user_id, query, limit)
    return Items(*(await database.all(VOLUME[query.period, query.by], parameters))[0])


async def read_records(database: Database, user_id: UUID, query: RecordsQuery, *, limit: int) -> Items:
    """At most `limit` records of the user, newest first."""
    asked = {"movement": query.movement, "kind": query.kind, "history": query.history}
    return Items(*(await database.all(RECORDS, _asked(user_id, query, limit) | asked))[0])


async def read_progress(database: Database, user_id: UUID, query: ProgressQuery, *, limit: int) -> Items:
    """At most `limit` days of the movement that the query names, oldest first."""
    parameters = _range(user_id, query, limit) | {"movement": query.movement}
    return Items(*(await database.all(PROGRESS, parameters))[0])


async def read_overview(database: Database, user_id: UUID, query: ProgressQuery, *, limit: int) -> Overview:
    """At most `limit` movements of the user, the latest first, and what streaks and milestones are computed from."""
    ((count, items, as_of, stale, today, *columns),) = await database.all(OVERVIEW, _asked(user_id, query, limit))
    days = zip(*(column or () for column in columns), strict=True)
    return Overview(count, items, as_of, stale, today, [DayTotals._make(day) for day in days])


async def read_load(database: Database, user_id: UUID, query: LoadQuery, *, before: int, most: int) -> StoredLoad:
    """The stored days of the query's range, oldest first, by the measure that it names or the one by which the
    user's load is judged. Without `from` the range is the last `most` days; of a longer one the first are read.

    Where the range goes on after the last stored day, the last one and the `before` days before it are among them.
    """
    asked = {"measure": query.measure, "measures": [*Measure], "before": before, "back": most - 1}
    ((measures, measure, today, as_of, stale, judged, first, days),) = await database.all(
        LOAD, _range(user_id, query, most + before) | asked
    )
    return StoredLoad(
        [Measure(name) for name in measures],
        None if measure is None else Measure(measure),
        today,
        as_of,
        stale,
        judged,
        first,
        [load_day(day) for day in days or ()],
    )


def load_day(row: Sequence[Any]) -> LoadDay:
    """A day of its JSON array."""
    day, *figures, band, observed = row
    return LoadDay._make((dt.date.fromisoformat(day), *figures, None if band is None else Band(band), observed))


def _range(user_id: UUID, query: RangeQuery, limit: int) -> dict[str, object]:
    return _asked(user_id, query, limit) | {"first": query.first, "last": query.last}


def _asked(user_id: UUID, query: ReportQuery, limit: int) -> dict[str, object]:
    training, version = query.awaited or (None, None)
    return {"user_id": user_id, "coach_of": None, "limit": limit, "training": training, "version": version}
