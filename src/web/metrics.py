"""Metrics over REST: a user's volume, training load, records and progress, from the derived tables."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import orjson

from analytics import load, records, streaks, volume
from analytics.load_report import days_between, item
from models.load import LoadDay, Measure
from models.load_reports import LoadQuery, LoadReport
from models.record_reports import ProgressQuery, ProgressReport, RecordsQuery, RecordsReport
from models.reports import RangeQuery, ReportQuery
from models.streaks import Streaks
from models.volume_reports import VolumeQuery, VolumeReport
from storage.database import Database
from storage.reports import Items, StoredLoad, read_load, read_overview, read_progress, read_records, read_volume
from web.problems import VALIDATION, Problem
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/metrics"
MOST_ITEMS = 5000  # of one report: some megabytes
PAUSES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.8)  # seconds between two looks for what a client waits for: 2 in all
UNITS: Mapping[Measure, str] = {
    Measure.SESSION_RPE: "RPE * min",
    Measure.SYSTEM_LOAD: "kg",
    Measure.EXTERNAL_LOAD: "kg",
    Measure.TIME_UNDER_TENSION: "s",
}

_ENDS = ("from", "to")
_LESS = {"from": "must be later", "to": "must be earlier", "history": "must be false"}  # of what is given


class _Fresh(Protocol):
    """What was read, and how fresh it is."""

    @property
    def as_of(self) -> str: ...
    @property
    def stale(self) -> bool | None: ...


FreshT = TypeVar("FreshT", bound=_Fresh)


async def read_volume_report(call: Call[None, VolumeQuery]) -> Reply:
    """GET /users/{userId}/metrics/volume."""
    query = call.query
    found = await _read(call, lambda database: read_volume(database, call.user_id, query, limit=MOST_ITEMS + 1))
    by = {} if query.by is None else {"by": query.by}
    return _reply(call, found, {"period": query.period, **by, **_range(query)}, _items(query, found, *_ENDS), volume)


async def read_load_report(call: Call[None, LoadQuery]) -> Reply:
    """GET /users/{userId}/metrics/load."""
    query, before = call.query, load.DAYS_BEFORE
    found = await _read(call, lambda database: read_load(database, call.user_id, query, before=before, most=MOST_ITEMS))
    begin, days = _days(found, query)
    measure = {} if found.measure is None else {"measure": found.measure, "unit": UNITS[found.measure]}
    today = {} if found.today is None else {"today": found.today}
    items = [item(day, query.method) for day in days]
    return _reply(
        call,
        found,
        {**measure, "measures": found.measures, **_known({"from": begin, "to": query.last}), **today},
        {**_known({"judged": found.judged}), "items": items},
        load,
        name=query.method,
    )


async def read_records_report(call: Call[None, RecordsQuery]) -> Reply:
    """GET /users/{userId}/metrics/records."""
    query = call.query
    found = await _read(call, lambda database: read_records(database, call.user_id, query, limit=MOST_ITEMS + 1))
    beaten = ("history",) if query.history else ()
    return _reply(call, found, {}, _items(query, found, "movement", "kind", *beaten), records)


async def read_progress_report(call: Call[None, ProgressQuery]) -> Reply:
    """GET /users/{userId}/metrics/progress."""
    query = call.query
    if query.movement is None:
        return await _overview(call)
    found = await _read(call, lambda database: read_progress(database, call.user_id, query, limit=MOST_ITEMS + 1))
    return _reply(call, found, {"movement": query.movement, **_range(query)}, _items(query, found, *_ENDS), volume)


async def _overview(call: Call[None, ProgressQuery]) -> Reply:
    found = await _read(call, lambda database: read_overview(database, call.user_id, call.query, limit=MOST_ITEMS))
    kept = streaks.streaks((day.day for day in found.days), found.today) if found.today else Streaks()
    parts = {
        "streaks": {name: _known(streak._asdict()) for name, streak in kept._asdict().items()},
        "milestones": [milestone._asdict() for milestone in streaks.milestones(found.days)],
        "movements": orjson.Fragment(found.json),
    }
    return _reply(call, found, _known({"today": found.today}), parts, streaks)


async def _read(call: Call[None, Any], read: Callable[[Database], Awaitable[FreshT]]) -> FreshT:
    """What `read` finds. Who waits for a change waits for it where it was written."""
    query: ReportQuery = call.query
    if query.at_least is None:
        return await read(call.services.reading)
    return await awaited(call.services.database, read)


async def awaited(database: Database, read: Callable[[Database], Awaitable[FreshT]]) -> FreshT:
    """What `read` finds once it holds the version that its query waits for, or what it finds at the end of that time.

    A query that waits for none is read once. No connection is held between two looks.
    """
    for pause in PAUSES:
        found = await read(database)
        if not found.stale:
            return found
        await asyncio.sleep(pause)
    return await read(database)


def _days(found: StoredLoad, query: LoadQuery) -> tuple[dt.date | None, list[LoadDay]]:
    """The days of the query's range, up to the present one, and from when on, where something says that."""
    asked = query.first
    if found.first is None or found.today is None:
        return asked, []
    until = min(query.last or found.today, found.today)
    if until < found.first:
        return asked, []
    latest = until - dt.timedelta(MOST_ITEMS - 1)
    begin = max(asked or latest, found.first)
    if begin < latest:
        raise _too_long(query, *_ENDS)
    if asked is None and begin > found.first:
        asked = begin
    if not found.days:
        return asked, []
    return asked, days_between(found.days, found.first, begin, until)


def _items(query: ReportQuery, found: Items, *narrowing: str) -> dict[str, object]:
    """The items, which are too many where these parameters have to make them fewer."""
    if found.count > MOST_ITEMS:
        raise _too_long(query, *narrowing)
    return {"items": orjson.Fragment(found.json)}


def _too_long(query: ReportQuery, *narrowing: str) -> Problem:
    """The refusal of a report that has too many items; it names what would make them fewer."""
    given = query.model_dump(by_alias=True, exclude_defaults=True)
    wanted = {name: _LESS.get(name) if name in given else "must be given" for name in narrowing}
    faults = [{"parameter": name, "message": message} for name, message in wanted.items() if message]
    return Problem(VALIDATION, f"The report has more than {MOST_ITEMS} items.", faults)


def _range(query: RangeQuery) -> dict[str, dt.date]:
    return _known(dict(zip(_ENDS, (query.first, query.last), strict=True)))


def _known(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _reply(
    call: Call[None, Any],
    found: _Fresh,
    asked: Mapping[str, object],
    parts: Mapping[str, object],
    method: Any,
    **more: object,
) -> Reply:
    """A report: what it is about, how fresh it is, the version and rules of the module `method`, and its parts."""
    document = {
        "user_id": call.user_id,
        **asked,
        "as_of": found.as_of,
        **_known({"stale": found.stale}),
        "method": {**more, "version": method.METHOD_VERSION, "rules": method.RULES},
        **parts,
    }
    return Reply(200, orjson.dumps(document))


ROUTES = (
    Route(
        method="GET",
        path=f"{PATH}/volume",
        handler=read_volume_report,
        operation_id="readVolume",
        summary="Read training volume",
        description=(
            "Figures of completed trainings, oldest first, from the derived tables; `as_of` says how fresh they are. "
            "`from` and `to` are local days, inclusive; a week, month or phase at their edge holds only its days "
            "between them. With `period=phase` there is an item for each phase on whose days something was done, "
            "whether the phase had planned it or not. With `period=week`, `by=category` tells a week's categories of "
            "movements apart and `by=muscle` counts its hard sets for each muscle; these weeks are whole."
        ),
        tag="Metrics",
        scope="read",
        query=VolumeQuery,
        answers={200: Answer("The report", VolumeReport)},
    ),
    Route(
        method="GET",
        path=f"{PATH}/load",
        handler=read_load_report,
        operation_id="readLoad",
        summary="Read training load",
        description=(
            "Every calendar day from the first completed training to the athlete's present day (in the zone of the "
            "latest training): its load, the acute load of 7 days and the chronic load of 28, and their ratio (ACWR) "
            "by the method asked for. `judged` says how well the measure is known lately. A day without a training has "
            "the load 0; `observed_days_28` says how many days of the last 28 had one. Before the 28th day, and where "
            "the chronic load is 0, the ratio is null and `reason` says why. `to` may lie in the future: there are no "
            "items beyond the present day. The band says where the coupled ratio stands to the target zone; it is an "
            "indicator of load, and of nothing else. An answer has at most "
            f"{MOST_ITEMS} days: without `from` the last of them, and where there are more, the answer's `from` is the "
            "first of these. What a `from` asks for beyond that is refused."
        ),
        tag="Metrics",
        scope="read",
        query=LoadQuery,
        answers={200: Answer("The report", LoadReport)},
    ),
    Route(
        method="GET",
        path=f"{PATH}/records",
        handler=read_records_report,
        operation_id="readRecords",
        summary="Read personal records",
        description=(
            "The records that are in force, newest first; with `history=true` those, too, that were beaten since. A "
            "correction of a past training corrects the records. `reps_at_weight` are the repetitions that were a "
            "record at their weight (more repetitions with as much weight or more end it); `harder_movement` tells "
            "when a harder movement of a family was done for the first time. Warm-ups set no record of weight, "
            "repetitions, e1RM or hold. A weight of 0 is none, and neither is a positive weight of an exercise with "
            "the word assisted in its name: that may be help."
        ),
        tag="Metrics",
        scope="read",
        query=RecordsQuery,
        answers={200: Answer("The report", RecordsReport)},
    ),
    Route(
        method="GET",
        path=f"{PATH}/progress",
        handler=read_progress_report,
        operation_id="readProgress",
        summary="Read the progress of a movement, or which movements there are",
        description=(
            "With `movement` what was done of it on each local day, oldest first: sets, repetitions, loads, the best "
            "e1RM with its set, the longest hold; an unknown movement has none. Without it the streaks of training "
            "weeks, the milestones, and the user's movements with their keys, the latest first."
        ),
        tag="Metrics",
        scope="read",
        query=ProgressQuery,
        answers={200: Answer("The series, or the overview", ProgressReport)},
    ),
)
