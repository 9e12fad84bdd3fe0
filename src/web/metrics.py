"""Metrics over REST: a user's volume, training load, records and progress, from the derived tables."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import orjson

from analytics import load, records, streaks, volume
from analytics.load_report import days_until, item
from models.load import LoadDay, Measure
from models.load_reports import LoadQuery, LoadReport
from models.record_reports import ProgressQuery, ProgressReport, RecordsQuery, RecordsReport
from models.reports import RangeQuery, ReportQuery, VolumeQuery, VolumeReport
from models.streaks import Streaks
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
    return _reply(call, found, {"period": query.period, **by, **_range(query)}, _items(found, *_ENDS), volume)


async def read_load_report(call: Call[None, LoadQuery]) -> Reply:
    """GET /users/{userId}/metrics/load."""
    query, before = call.query, load.DAYS_BEFORE
    limit = MOST_ITEMS + before + 1
    found = await _read(call, lambda database: read_load(database, call.user_id, query, before=before, limit=limit))
    measure = {} if found.measure is None else {"measure": found.measure, "unit": UNITS[found.measure]}
    today = {} if found.today is None else {"today": found.today}
    items = [item(day, query.method) for day in _days(found, query)]
    return _reply(
        call,
        found,
        {**measure, "measures": found.measures, **_range(query), **today},
        {"items": items},
        load,
        name=query.method,
    )


async def read_records_report(call: Call[None, RecordsQuery]) -> Reply:
    """GET /users/{userId}/metrics/records."""
    query = call.query
    found = await _read(call, lambda database: read_records(database, call.user_id, query, limit=MOST_ITEMS + 1))
    return _reply(call, found, {}, _items(found, "movement", "kind"), records)


async def read_progress_report(call: Call[None, ProgressQuery]) -> Reply:
    """GET /users/{userId}/metrics/progress."""
    query = call.query
    if query.movement is None:
        return await _overview(call)
    found = await _read(call, lambda database: read_progress(database, call.user_id, query, limit=MOST_ITEMS + 1))
    return _reply(call, found, {"movement": query.movement, **_range(query)}, _items(found, *_ENDS), volume)


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
    """What `read` finds once it holds the version that the query waits for, or what it finds at the end of that time.

    No connection is held between two looks. Who waits for a change waits for it where it was written.
    """
    query: ReportQuery = call.query
    if query.at_least is None:
        return await read(call.services.reading)
    for pause in PAUSES:
        found = await read(call.services.database)
        if not found.stale:
            return found
        await asyncio.sleep(pause)
    return await read(call.services.database)


def _days(found: StoredLoad, query: LoadQuery) -> list[LoadDay]:
    """The days of the query's range, up to the present one."""
    if found.first is None or found.today is None:
        return []
    begin = max(query.first or found.first, found.first)
    until = min(query.last or found.today, found.today)
    if (until - begin).days >= MOST_ITEMS:
        raise _too_long(*_ENDS)
    if not found.days:
        return []
    return [day for day in days_until(found.days, found.first, until) if day.day >= begin]


def _items(found: Items, *narrowing: str) -> dict[str, object]:
    """The items, which are too many where these parameters have to make them fewer."""
    if found.count > MOST_ITEMS:
        raise _too_long(*narrowing)
    return {"items": orjson.Fragment(found.json)}


def _too_long(*narrowing: str) -> Problem:
    message = f"must be given, so that the report has no more than {MOST_ITEMS} items"
    faults = [{"parameter": name, "message": message} for name in narrowing]
    return Problem(VALIDATION, "The report is too long.", faults)


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
            "`from` and `to` are local days, inclusive; a week or month at their edge holds only its days between "
            "them. With `period=week`, `by=category` tells a week's categories of movements apart and `by=muscle` "
            "counts its hard sets for each muscle; these weeks are whole."
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
            "by the method asked for. A day without a training has the load 0; `observed_days_28` says how many days "
            "of the last 28 had one. Before the 28th day, and where the chronic load is 0, the ratio is null and "
            "`reason` says why. `to` may lie in the future: there are no items beyond the present day. The band says "
            "where the coupled ratio stands to the target zone; it is an indicator of load, and of nothing else."
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
            "when a harder movement of a family was done for the first time."
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
            "e1RM with its set, the longest hold. Without it the streaks of training weeks, the milestones, and the "
            "user's movements with their keys, the latest first."
        ),
        tag="Metrics",
        scope="read",
        query=ProgressQuery,
        answers={200: Answer("The series, or the overview", ProgressReport)},
    ),
)
