"""Metrics over REST: the volume of a user by session, day, week or month."""

from collections.abc import Mapping

import orjson

from analytics.volume import METHOD_VERSION, RULES
from models.metrics import VolumeQuery, VolumeReport
from storage.volume import read_report
from web.problems import VALIDATION, Problem
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/metrics"
MOST_ITEMS = 5000  # of one report: some megabytes

_ENDS = ("from", "to")
_METHOD: Mapping[str, object] = {"version": METHOD_VERSION, "rules": RULES}


async def volume(call: Call[None, VolumeQuery]) -> Reply:
    """GET /users/{userId}/metrics/volume."""
    query, user_id = call.query, call.user_id
    items = await read_report(
        call.services.database, user_id, query.period, query.first, query.last, limit=MOST_ITEMS + 1
    )
    if items.count > MOST_ITEMS:
        message = f"must be given, so that the report has no more than {MOST_ITEMS} items"
        faults = [{"parameter": name, "message": message} for name in _ENDS]
        raise Problem(VALIDATION, "The report is too long.", faults)
    document = {
        "user_id": user_id,
        "period": query.period,
        **{name: day for name, day in zip(_ENDS, (query.first, query.last), strict=True) if day is not None},
        "as_of": items.as_of,
        "method": _METHOD,
        "items": orjson.Fragment(items.json),
    }
    return Reply(200, orjson.dumps(document))


ROUTES = (
    Route(
        method="GET",
        path=f"{PATH}/volume",
        handler=volume,
        operation_id="readVolume",
        summary="Read training volume",
        description=(
            "Figures of completed trainings, oldest first, from the derived tables; `as_of` says how fresh they are. "
            "`from` and `to` are local days, inclusive; a week or month at their edge holds only its days between them."
        ),
        tag="Metrics",
        scope="read",
        query=VolumeQuery,
        answers={200: Answer("The report", VolumeReport)},
    ),
)
