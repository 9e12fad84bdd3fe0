"""Check-ins over REST: what an athlete says of a local day. For the athlete alone."""

import datetime as dt
from contextlib import suppress
from typing import Any

import orjson

from models.check_ins import (
    AHEAD,
    EARLIEST,
    CheckInBody,
    CheckInDocument,
    CheckInPage,
    CheckInQuery,
    check_in_id,
)
from models.errors import Unprocessable
from models.sets import Document
from storage.check_ins import read_check_ins
from storage.documents import CHECK_INS, Documents
from web import documents, problems
from web.problems import invalid_parameter
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/check-ins"


async def save(call: Call[CheckInBody, None]) -> Reply:
    """PUT /users/{userId}/check-ins/{day}."""
    day, body = _day(call), call.body
    latest = dt.datetime.now(dt.UTC).date() + AHEAD
    if not EARLIEST <= day <= latest:
        raise invalid_parameter("day", f"must lie between {EARLIEST} and {latest}, tomorrow in UTC")
    id_ = check_in_id(call.user_id, day)
    if body.day not in {None, day}:
        raise Unprocessable("It must be the day of the address.", "/day")
    if body.id not in {None, id_}:
        raise Unprocessable("It must be the id of this day's check-in.", "/id")
    author, key = documents.author(call), documents.key(call, f"PUT {PATH}/{day}", body)
    content, columns, new = body.content(day), {"day": day}, documents.is_new(call)
    if call.if_match is None:
        written = await _check_ins(call).put(author, id_, content, columns, new=new, key=key)
    else:  # also by *: there must be one
        if_match = documents.if_match(call)
        written = await _check_ins(call).update(author, id_, content, columns, if_match=if_match, key=key)
    return documents.created(call, written, f"{PATH.format(userId=call.user_id)}/{day}")


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/check-ins/{day}."""
    stored = await _check_ins(call).read(call.user_id, check_in_id(call.user_id, _day(call)))
    return documents.served(call, stored.version, stored.document)


async def delete(call: Call[None, None]) -> Reply:
    """DELETE /users/{userId}/check-ins/{day}."""
    day = _day(call)
    written = await _check_ins(call).delete(
        documents.author(call),
        check_in_id(call.user_id, day),
        if_match=documents.if_match(call),
        key=documents.key(call, f"DELETE {PATH}/{day}", Document()),
    )
    return documents.deleted(call, written)


async def list_(call: Call[None, CheckInQuery]) -> Reply:
    """GET /users/{userId}/check-ins."""
    query = call.query
    found = await read_check_ins(
        call.services.database,
        call.user_id,
        first=query.first,
        last=query.last,
        before=query.cursor,
        limit=query.limit + 1,  # one more tells whether there is a next page
    )
    page = found[: query.limit]
    cursor = page[-1][0].isoformat() if len(found) > query.limit else None
    return documents.page(call, [orjson.Fragment(stored.document) for _, stored in page], cursor)


def _check_ins(call: Call[Any, Any]) -> Documents:
    return Documents(call.services.database, call.services.settings.readiness_events_topic, CHECK_INS)


def _day(call: Call[Any, Any]) -> dt.date:
    """The day that the address names."""
    text = call.names["day"]
    with suppress(ValueError):
        day = dt.date.fromisoformat(text)
        if day.isoformat() == text:  # Python also reads weeks, and dates without hyphens
            return day
    raise invalid_parameter("day", "must be a date, like 2026-01-05")


_EXAMPLE_BODY = {
    "sleep": 2,
    "fatigue": 3,
    "stress": 2,
    "soreness": 4,
    "bodyweight_kg": 72.4,
    "sleep_hours": 7.5,
    "resting_heart_rate": 52,
    "hrv_rmssd_ms": 64,
}
_DAY = {"day": {"type": "string", "format": "date"}}
_WRITE_HEADERS = ("If-Match", "Idempotency-Key")
_DOCUMENT_HEADERS = ("Location", "ETag", "Idempotent-Replayed")

ROUTES = (
    Route(
        method="PUT",
        path=f"{PATH}/{{day}}",
        handler=save,
        operation_id="saveCheckIn",
        summary="Check in for a day",
        description=(
            "Saves what is said of the local day, in the place of what was said of it before, and queues a "
            "`check_in_created` or `check_in_updated` event in the same statement. `day` is a date, like 2026-01-05; a "
            "day may be told or corrected later, but none after tomorrow in UTC. The same said again changes nothing. "
            "A check-in that was deleted is there again, as its next version. `If-None-Match: *` lets nothing be "
            "replaced (412); with `If-Match`, also `*`, a day without a check-in is 404."
        ),
        tag="Readiness",
        body=CheckInBody,
        body_example=_EXAMPLE_BODY,
        texts=frozenset({"day"}),
        schemas=_DAY,
        request_headers=("If-None-Match", *_WRITE_HEADERS),
        answers={
            201: Answer("Created", CheckInDocument, headers=_DOCUMENT_HEADERS),
            200: Answer("The check-in as it is now", CheckInDocument, headers=_DOCUMENT_HEADERS),
        },
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{day}}",
        handler=read,
        operation_id="readCheckIn",
        summary="Read the check-in of a day",
        tag="Readiness",
        texts=frozenset({"day"}),
        schemas=_DAY,
        request_headers=("If-None-Match",),
        answers={
            200: Answer("The check-in", CheckInDocument, headers=("ETag",)),
            304: Answer("The client has this version already", headers=("ETag",)),
        },
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{day}}",
        handler=delete,
        operation_id="deleteCheckIn",
        summary="Delete the check-in of a day",
        description="Queues a `check_in_deleted` event. The day has no value in any readiness from then on.",
        tag="Readiness",
        texts=frozenset({"day"}),
        schemas=_DAY,
        request_headers=_WRITE_HEADERS,
        answers={204: Answer("Deleted", headers=("Idempotent-Replayed",))},
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listCheckIns",
        summary="List check-ins, the latest day first",
        tag="Readiness",
        query=CheckInQuery,
        answers={200: Answer("One page", CheckInPage, headers=("Link",))},
    ),
)
