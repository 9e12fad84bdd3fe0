"""Sessions over REST: log one, read one, and stream them all."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from analytics.adherence import adherence, adherence_to_plan
from models.fields import Day, LastDay
from models.sessions import SessionCreate, SessionDocument, SessionList, SessionPart
from models.trainings import exercises_json
from models.workouts import plan_json
from storage.sessions import Session, Sessions
from storage.trainings import Trainings
from web import documents, problems
from web.routes import NDJSON, Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/sessions"
UNVERSIONED_PATH = "/api/training/users/{userId}/sessions"
_HINT = "A session is not changed: correct it by PUT /api/v1/trainings/{id}, which appends a version."
_TARGET = '"target":{'  # as a member: inside a string its quotation marks would be escaped


class SessionQuery(BaseModel):
    """Query parameters of the sessions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, inclusive."""


async def create(call: Call[SessionCreate, None]) -> Reply:
    """POST /users/{userId}/sessions."""
    user = call.user_id
    body = call.body.training()
    id_ = body.id or uuid7()
    exercises = await call.services.catalogue.resolve(partial(exercises_json, id_, body.exercises))
    path = PATH.format(userId=user)
    key = documents.key(call, f"POST {path}", body)
    planned = None
    if body.workout_id is not None and body.workout_version is not None and _TARGET not in exercises:
        planned = await Sessions(call.services.database).planned(user, body.workout_id, body.workout_version)
    trainings = Trainings(call.services.database, call.services.settings.events_topic)
    written = await trainings.create(documents.author(call), id_, body, exercises, key=key)
    session = Session(written.version, written.document or b"", planned)
    return documents.created(call, replace(written, document=_document(session)), f"{path}/{written.id}")


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/sessions/{id}."""
    session = await Sessions(call.services.database).read(call.user_id, call.path["id"])
    return documents.served(call, session.version, _document(session))


async def list_(call: Call[None, SessionQuery]) -> Reply:
    """GET /users/{userId}/sessions."""
    found = Sessions(call.services.database).stream(call.user_id, call.query.first, call.query.last)
    headers = {"Vary": "Accept"}
    if call.wants_lines:
        return Reply(200, headers=headers, media=NDJSON, chunks=_lines(found))
    return Reply(200, headers=headers, chunks=_array(found))


async def _lines(found: AsyncGenerator[list[Session], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(found) as chunks:
        async for sessions in chunks:
            yield b"".join(_document(session) + b"\n" for session in sessions)


async def _array(found: AsyncGenerator[list[Session], None]) -> AsyncGenerator[bytes, None]:
    lead = b'{"items":['
    async with aclosing(found) as chunks:
        async for sessions in chunks:
            yield lead + b",".join(map(_document, sessions))
            lead = b","
    yield b"]}" if lead == b"," else lead + b"]}"


def _document(session: Session) -> bytes:
    """The training with its adherence, a `SessionDocument`."""
    own = _TARGET.encode() in session.document
    if session.planned is None and not own:
        return session.document
    exercises = SessionPart.model_validate_json(session.document).exercises
    if own or session.planned is None:
        found = adherence(exercises)
    else:
        plan = SessionPart.model_validate_json(f'{{"exercises":{plan_json(session.planned)}}}').exercises
        found = adherence_to_plan(plan, exercises)
    return session.document[:-1] + b',"adherence":' + found.model_dump_json(exclude_none=True).encode() + b"}"


_EXAMPLE = {
    "date": "2026-01-05T18:30:00+01:00",
    "timezone": "Europe/Berlin",
    "duration_seconds": 2700,
    "session_rpe": 7,
    "exercises": [
        {"name": "Pistol squat", "exercise": "pistol-squat", "sets": 3, "actual_reps": [6, 5, 5], "notes": "left knee"},
        {"name": "Plank", "sets": 2, "hold_seconds": 60},
        {"name": "Dip", "sets": [{"reps": 8, "weight": 10, "target": {"reps": {"min": 8, "max": 10}}}]},
    ],
}
_DOCUMENT_HEADERS = ("ETag", "Idempotent-Replayed", "Location")
_STREAM_ANSWER = Answer(
    "All of them, sent while they are read: as one object, or by `Accept: application/x-ndjson` one session a line. A "
    "connection that breaks off before the end of the answer means that some are missing.",
    SessionList,
    line=SessionDocument,
)
_STREAM_TEXT = (
    "The user's COMPLETED trainings that lie on the local days `from` to `to`, oldest first, as they are at one "
    "moment. However many there are, they are not held in memory; so few such answers can be under way at once, and a "
    "client that reads too slowly is cut off. `adherence` tells how far each was done as its sets' targets say, or as "
    "the workout's version says that it names."
)

ROUTES = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="logSession",
        summary="Log a session",
        description=(
            "Saves a COMPLETED training, with its `training_created` event, in one statement. An exercise is told set "
            "by set, or in short: `sets` is a number then, `actual_reps` a number or a list, and `hold_seconds` what "
            "`duration_seconds` is of each set. With `workout_id` and `workout_version` it is compared with that plan."
        ),
        tag="Sessions",
        body=SessionCreate,
        body_example=_EXAMPLE,
        request_headers=("Idempotency-Key",),
        answers={
            201: Answer("Logged", SessionDocument, headers=_DOCUMENT_HEADERS),
            200: Answer(
                "It was there already: the same `id` or `source_id` with the same body. It is answered as it is now: "
                "deleted since, where `deleted_at` is there.",
                SessionDocument,
                headers=_DOCUMENT_HEADERS,
            ),
        },
        problems=(
            problems.IDENTITY_CONFLICT,
            problems.UNKNOWN_EXERCISE,
            problems.UNKNOWN_WORKOUT,
            problems.KEY_REUSED,
        ),
        hint=_HINT,
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listSessions",
        summary="Read all sessions, oldest first",
        description=_STREAM_TEXT,
        tag="Sessions",
        scope="read",
        query=SessionQuery,
        answers={200: _STREAM_ANSWER},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{id}}",
        handler=read,
        operation_id="readSession",
        summary="Read a session",
        description=f"A training that is not COMPLETED answers 404. {_HINT}",
        tag="Sessions",
        scope="read",
        request_headers=("If-None-Match",),
        answers={
            200: Answer("The session", SessionDocument, headers=("ETag",)),
            304: Answer("The client has this version already", headers=("ETag",)),
        },
        hint=_HINT,
    ),
    Route(
        method="GET",
        path=UNVERSIONED_PATH,
        handler=list_,
        operation_id="listSessionsOfContract",
        summary="Read all sessions, at the address of the services' contract",
        description=_STREAM_TEXT,
        tag="Sessions",
        scope="read",
        query=SessionQuery,
        answers={200: _STREAM_ANSWER},
    ),
)
