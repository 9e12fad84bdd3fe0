"""Readiness over REST: how each day compares with the athlete's own 28 days before it. For the athlete alone."""

import asyncio

from analytics import readiness
from models.readiness import MOST_DAYS, ReadinessQuery, ReadinessReport
from models.reports import Method
from storage.readiness import read_inputs
from web.problems import invalid_parameter
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/readiness"
METHOD = Method(version=readiness.METHOD_VERSION, rules=dict(readiness.RULES))


async def read(call: Call[None, ReadinessQuery]) -> Reply:
    """GET /users/{userId}/readiness."""
    query = call.query
    found = await read_inputs(
        call.services.database, call.user_id, first=query.first, last=query.last, before=readiness.DAYS_BEFORE
    )
    if query.first is not None and (found.last - query.first).days >= MOST_DAYS:
        raise invalid_parameter("from", f"must be later: a report has at most {MOST_DAYS} days")
    items = await asyncio.to_thread(  # a year takes a tenth of a second: the loop has other work
        readiness.readiness, found.check_ins, found.trainings, found.first, found.last
    )
    report = ReadinessReport.model_validate(
        {
            "user_id": call.user_id,
            "first": query.first or found.first,
            "last": query.last or found.last,
            "today": found.today,
            "as_of": found.as_of,
            "method": METHOD,
            "items": items,
        }
    )
    return Reply(200, report.model_dump_json(exclude_unset=True).encode())


ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=read,
        operation_id="readAthleteReadiness",
        summary="Read readiness",
        description=(
            "Every local day of the range up to the athlete's present day, each beside the athlete's own 28 days "
            "before it: from check-ins (Hooper index, heart rate variability, resting heart rate, sleep, body mass), "
            "and from planned sets that met their target on the 7 days before. 50 is the athlete's usual day. All "
            "components are there, each with its value, mean, spread, score and reason; one without a value, or with "
            "fewer than 7 in the 28 days, is null and lowers the confidence, and nothing is filled in. A day without "
            "data is neither rest nor recovery. It is computed when it is read, so a correction of a past day corrects "
            "what follows from it. It says nothing of health and is no diagnosis."
        ),
        tag="Readiness",
        query=ReadinessQuery,
        answers={200: Answer("The report", ReadinessReport)},
    ),
)
