"""The calendar of a user's plan over REST: what was planned, what became of it, and the phases around it."""

from typing import Any

import orjson

from analytics.calendar import items
from models.calendar import Calendar, CalendarQuery
from models.sets import known
from storage.calendar import read_calendar
from web.problems import VALIDATION, Problem
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/calendar"
MOST_ITEMS = 5000  # trainings, or phases, of one calendar


async def read(call: Call[None, CalendarQuery]) -> Reply:
    """GET /users/{userId}/calendar."""
    query = call.query
    found = await read_calendar(
        call.services.database,
        call.user_id,
        first=query.first,
        last=query.last,
        day=query.day,
        limit=MOST_ITEMS + 1,
    )
    if max(len(found.trainings), len(found.phases)) > MOST_ITEMS:
        faults = [{"parameter": "to", "message": "must be given" if query.last is None else "must be earlier"}]
        raise Problem(VALIDATION, f"The calendar has more than {MOST_ITEMS} trainings or phases.", faults)
    document: dict[str, Any] = {
        "user_id": call.user_id,
        "from": found.first,
        "to": found.last,
        "day": found.day,
        "phases": [known(dict(phase)) for phase in found.phases],
        "items": items(found.trainings, found.phases, found.day),
    }
    return Reply(200, orjson.dumps(document))


ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=read,
        operation_id="readCalendar",
        summary="Read the calendar of the plan",
        description=(
            "The trainings of a range of local days, each with what became of it: planned, moved (it lies on another "
            "day than the one on which its phase lays it, as the phase now says), begun, done, missed (its day is "
            "over) or skipped; and the phases that have days in the range. Without `from` and `to`: this week and the "
            "next four."
        ),
        tag="Phases",
        scope="read",
        query=CalendarQuery,
        answers={200: Answer("The calendar", Calendar)},
    ),
)
