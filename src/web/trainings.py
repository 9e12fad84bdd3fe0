"""Trainings over REST: create, read, list, change, delete, and the history of each."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from models.errors import Unprocessable
from models.fields import Day, LastDay
from models.sets import Document
from models.trainings import (
    Status,
    TrainingCreate,
    TrainingDocument,
    TrainingHistory,
    TrainingPage,
    TrainingUpdate,
    exercises_json,
)
from storage.trainings import Trainings
from web import documents, problems
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/trainings"
USER_PATH = "/api/v1/training/users/{userId}/trainings"  # of an athlete, for coaches


class TrainingQuery(BaseModel):
    """Query parameters of the list of trainings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, inclusive."""
    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most trainings on one page; of large ones fewer: where `next_cursor` is, there are more."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


class HistoryQuery(BaseModel):
    """Query parameters of a training's history."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    """Most changes on one page; of large ones fewer: where `next_cursor` is, there are more."""
    cursor: Annotated[int, Field(ge=1, le=2_000_000_000)] | None = None
    """`next_cursor` of the page before."""


async def create(call: Call[TrainingCreate, None]) -> Reply:
    """POST /trainings."""
    id_ = call.body.id or uuid7()
    exercises = await call.services.catalogue.resolve(partial(exercises_json, id_, call.body.exercises))
    written = await _trainings(call).create(
        documents.author(call), id_, call.body, exercises, key=documents.key(call, f"POST {PATH}", call.body)
    )
    return documents.created(call, written, address(call, written.id, of_user="userId" in call.path))


async def read(call: Call[None, None]) -> Reply:
    """GET /trainings/{id}."""
    stored = await _trainings(call).read(call.user_id, call.path["id"])
    return documents.served(call, stored.version, stored.document)


async def list_(call: Call[None, TrainingQuery]) -> Reply:
    """GET /trainings."""
    query = call.query
    page = await _trainings(call).page(
        call.user_id,
        first=query.first,
        last=query.last,
        status=query.status,
        after=documents.place(query.cursor) if query.cursor else None,
        limit=query.limit,
    )
    cursor = documents.cursor(page[-1].date, page[-1].id) if page.more else None
    return documents.page(call, [orjson.Fragment(stored.document) for stored in page], cursor)


async def update(call: Call[TrainingUpdate, None]) -> Reply:
    """PUT /trainings/{id}."""
    id_, body = call.path["id"], call.body
    if body.id is not None and body.id != id_:
        raise Unprocessable("It must be the id of the address.", "/id")
    exercises = await call.services.catalogue.resolve(partial(exercises_json, id_, body.exercises))
    written = await _trainings(call).update(
        documents.author(call),
        id_,
        body,
        exercises,
        if_match=documents.if_match(call),
        key=documents.key(call, f"PUT {PATH}/{id_}", body),
    )
    return documents.changed(call, written)


async def delete(call: Call[None, None]) -> Reply:
    """DELETE /trainings/{id}."""
    id_ = call.path["id"]
    written = await _trainings(call).delete(
        documents.author(call),
        id_,
        if_match=documents.if_match(call),
        key=documents.key(call, f"DELETE {PATH}/{id_}", Document()),
    )
    return documents.deleted(call, written)


async def reopen(call: Call[None, None]) -> Reply:
    """POST /trainings/{id}/reopen."""
    id_ = call.path["id"]
    written = await _trainings(call).reopen(
        documents.author(call),
        id_,
        if_match=documents.if_match(call),
        key=documents.key(call, f"POST {PATH}/{id_}/reopen", Document()),
    )
    return documents.changed(call, written)


async def restore(call: Call[None, None]) -> Reply:
    """POST /trainings/{id}/restore."""
    id_ = call.path["id"]
    written = await _trainings(call).restore(
        documents.author(call),
        id_,
        if_match=documents.if_match(call),
        key=documents.key(call, f"POST {PATH}/{id_}/restore", Document()),
    )
    return documents.changed(call, written)


async def history(call: Call[None, HistoryQuery]) -> Reply:
    """GET /trainings/{id}/history."""
    query = call.query
    found = await _trainings(call).history(
        call.user_id,
        call.path["id"],
        after=query.cursor or 0,
        limit=query.limit,
        archive_dir=call.services.settings.archive_dir,
    )
    return documents.changes(call, found)


def address(call: Call[Any, Any], id_: UUID, *, of_user: bool) -> str:
    """Where the training is; `of_user`: at the address that the user's coaches may use too."""
    return f"{USER_PATH.format(userId=call.user_id) if of_user else PATH}/{id_}"


def _trainings(call: Call[Any, Any]) -> Trainings:
    return Trainings(call.services.database, call.services.settings.events_topic)


_EXAMPLE_BODY = {
    "date": "2026-01-05T18:30:00+01:00",
    "timezone": "Europe/Berlin",
    "title": "Legs",
    "status": "COMPLETED",
    "duration_seconds": 3600,
    "session_rpe": 7,
    "exercises": [
        {"name": "Squat", "sets": [{"weight": 100, "reps": 5}, {"weight": 100, "reps": 5}]},
        {"name": "Pistol squat", "exercise": "pistol-squat", "sets": [{"reps": 6, "side": "left"}]},
    ],
}
_WRITE_HEADERS = ("If-Match", "Idempotency-Key")
_DOCUMENT_HEADERS = ("ETag", "Idempotent-Replayed")

_OWN = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="createTraining",
        summary="Create a training",
        description=(
            "Saves the training and queues a `training_created` event in the same statement. An Idempotency-Key is "
            "kept with a 201. A 200 needs none: the `id` or `source_id` that it answers to holds for ever."
        ),
        tag="Trainings",
        body=TrainingCreate,
        body_example=_EXAMPLE_BODY,
        request_headers=("Idempotency-Key",),
        answers={
            201: Answer("Created", TrainingDocument, headers=("Location", *_DOCUMENT_HEADERS)),
            200: Answer(
                "It was there already: the same `id` or `source_id` with the same body. It is answered as it is now: "
                "deleted since, where `deleted_at` is there.",
                TrainingDocument,
                headers=("Location", *_DOCUMENT_HEADERS),
            ),
        },
        problems=(
            problems.IDENTITY_CONFLICT,
            problems.UNKNOWN_EXERCISE,
            problems.UNKNOWN_WORKOUT,
            problems.KEY_REUSED,
        ),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listTrainings",
        summary="List trainings, newest first",
        tag="Trainings",
        query=TrainingQuery,
        answers={200: Answer("One page", TrainingPage, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{id}}",
        handler=read,
        operation_id="readTraining",
        summary="Read a training",
        tag="Trainings",
        request_headers=("If-None-Match",),
        answers={
            200: Answer("The training", TrainingDocument, headers=("ETag",)),
            304: Answer("The client has this version already", headers=("ETag",)),
        },
    ),
    Route(
        method="PUT",
        path=f"{PATH}/{{id}}",
        handler=update,
        operation_id="updateTraining",
        summary="Change a training",
        description=(
            "Replaces the training, as its next version, and queues a `training_updated` event. A change of a "
            "COMPLETED training is a correction: the older version stays in the history. What GET answered may be "
            "sent back, changed: the fields that only the service sets are passed over. Each PUT is a version with an "
            "event, also one that says what is stored already: send an Idempotency-Key, and the same one with a retry."
        ),
        tag="Trainings",
        body=TrainingUpdate,
        body_example=_EXAMPLE_BODY,
        request_headers=_WRITE_HEADERS,
        answers={200: Answer("The training as it is now", TrainingDocument, headers=_DOCUMENT_HEADERS)},
        problems=(
            problems.STATUS_CONFLICT,
            problems.CONFLICT,
            problems.PRECONDITION_FAILED,
            problems.UNKNOWN_EXERCISE,
            problems.UNKNOWN_WORKOUT,
            problems.KEY_REUSED,
        ),
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        handler=delete,
        operation_id="deleteTraining",
        summary="Delete a training",
        description=(
            "Queues a `training_deleted` event. The training answers 404 from then on; its history stays, and for 30 "
            "days it can be restored."
        ),
        tag="Trainings",
        request_headers=_WRITE_HEADERS,
        answers={204: Answer("Deleted", headers=("Idempotent-Replayed",))},
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{id}}/reopen",
        handler=reopen,
        operation_id="reopenTraining",
        summary="Go on with a training that was completed",
        description=(
            "Makes a COMPLETED training IN_PROGRESS again, as its next version, within 24 hours after its status "
            "became COMPLETED; later it is corrected with PUT. Queues a `training_updated` event."
        ),
        tag="Trainings",
        request_headers=_WRITE_HEADERS,
        answers={200: Answer("The training as it is now", TrainingDocument, headers=_DOCUMENT_HEADERS)},
        problems=(problems.CONFLICT, problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{id}}/restore",
        handler=restore,
        operation_id="restoreTraining",
        summary="Bring a deleted training back",
        description=(
            "Brings it back as it was when it was deleted, as its next version, within 30 days. Queues a "
            "`training_updated` event."
        ),
        tag="Trainings",
        request_headers=_WRITE_HEADERS,
        answers={200: Answer("The training as it is now", TrainingDocument, headers=_DOCUMENT_HEADERS)},
        problems=(problems.CONFLICT, problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{id}}/history",
        handler=history,
        operation_id="readTrainingHistory",
        summary="Read the history of a training",
        description="Every change with the event that was published, oldest first; of a deleted training too.",
        tag="Trainings",
        query=HistoryQuery,
        answers={200: Answer("One page", TrainingHistory, headers=("Link",))},
        problems=(problems.ARCHIVE_UNAVAILABLE,),
    ),
)


def _of_user(route: Route) -> Route:
    """The same at the address of an athlete, for the athlete's coaches too."""
    return replace(
        route,
        path=route.path.replace(PATH, USER_PATH),
        operation_id=f"{route.operation_id}OfUser",
        summary=f"{route.summary}, at the address of an athlete",
        scope="read" if route.method == "GET" else "plan",
    )


ROUTES = (*_OWN, *(_of_user(route) for route in _OWN if not route.path.endswith(("/reopen", "/restore"))))
