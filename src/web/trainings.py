"""Trainings over REST: create, read, list, change, delete, and the history of each."""

import base64
import binascii
import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from uuid_utils.compat import uuid7

from models.errors import Unprocessable
from models.fields import Day, moment
from models.trainings import (
    Document,
    Status,
    TrainingCreate,
    TrainingDocument,
    TrainingHistory,
    TrainingPage,
    TrainingUpdate,
    exercises_json,
)
from storage.trainings import Author, IdempotencyKey, Trainings, Written
from web import problems
from web.routes import Answer, Call, Reply, Route, Versions

PATH = "/api/v1/trainings"


def _cursor(date: dt.datetime, id_: UUID) -> str:
    return base64.urlsafe_b64encode(f"{moment(date)}|{id_}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[dt.datetime, UUID]:
    """The date and id that a cursor stands for."""
    try:
        date, id_ = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).split(b"|")
        return dt.datetime.fromisoformat(date.decode()), UUID(id_.decode())
    except (ValueError, binascii.Error):
        raise ValueError("is no cursor of this list") from None


def _checked(cursor: str) -> str:
    date, id_ = _place(cursor)
    if date.tzinfo is None or _cursor(date, id_) != cursor:
        raise ValueError("is no cursor of this list")
    return cursor


class TrainingQuery(BaseModel):
    """Query parameters of the list of trainings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive."""
    last: Annotated[Day | None, Field(alias="to")] = None
    """Last local day, inclusive."""
    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most trainings on one page."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(_checked)] | None = None
    """`next_cursor` of the page before."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first and self.last and self.first > self.last:
            raise ValueError("`from` must not lie after `to`")
        return self


class HistoryQuery(BaseModel):
    """Query parameters of a training's history."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    """Most changes on one page."""
    cursor: Annotated[int, Field(ge=1, le=2_000_000_000)] | None = None
    """`next_cursor` of the page before."""


async def create(call: Call[TrainingCreate, None]) -> Reply:
    """POST /trainings."""
    id_ = call.body.id or uuid7()
    exercises = await call.services.catalogue.resolve(partial(exercises_json, id_, call.body.exercises))
    written = await _trainings(call).create(
        _author(call), id_, call.body, exercises, key=_key(call, f"POST {PATH}", call.body)
    )
    call.services.wake()
    headers = _headers(written) | {"Location": f"{PATH}/{written.id}"}
    return Reply(201 if written.created else 200, written.document or b"", headers)


async def read(call: Call[None, None]) -> Reply:
    """GET /trainings/{id}."""
    stored = await _trainings(call).read(call.caller.user_id, call.path["id"])
    headers = {"ETag": _tag(stored.version)}
    known = call.if_none_match
    if known is not None and (known == "*" or stored.version in known):
        return Reply(304, headers=headers)
    return Reply(200, stored.document, headers)


async def list_(call: Call[None, TrainingQuery]) -> Reply:
    """GET /trainings."""
    query = call.query
    found = await _trainings(call).page(
        call.caller.user_id,
        first=query.first,
        last=query.last,
        status=query.status,
        after=_place(query.cursor) if query.cursor else None,
        limit=query.limit + 1,  # one more tells whether there is a next page
    )
    page = found[: query.limit]
    cursor = _cursor(page[-1].date, page[-1].id) if len(found) > query.limit else None
    return _page(call, [orjson.Fragment(stored.document) for stored in page], cursor)


async def update(call: Call[TrainingUpdate, None]) -> Reply:
    """PUT /trainings/{id}."""
    id_, body = call.path["id"], call.body
    if body.id is not None and body.id != id_:
        raise Unprocessable("It must be the id of the address.", "/id")
    exercises = await call.services.catalogue.resolve(partial(exercises_json, id_, body.exercises))
    written = await _trainings(call).update(
        _author(call), id_, body, exercises, if_match=_if_match(call), key=_key(call, f"PUT {PATH}/{id_}", body)
    )
    call.services.wake()
    return Reply(200, written.document or b"", _headers(written))


async def delete(call: Call[None, None]) -> Reply:
    """DELETE /trainings/{id}."""
    id_ = call.path["id"]
    written = await _trainings(call).delete(
        _author(call), id_, if_match=_if_match(call), key=_key(call, f"DELETE {PATH}/{id_}", Document())
    )
    call.services.wake()
    headers = {"Idempotent-Replayed": "true"} if written.replayed else {}
    return Reply(204, headers=headers)


async def history(call: Call[None, HistoryQuery]) -> Reply:
    """GET /trainings/{id}/history."""
    query = call.query
    found = await _trainings(call).history(
        call.caller.user_id, call.path["id"], after=query.cursor or 0, limit=query.limit + 1
    )
    page = found[: query.limit]
    items = [
        {"version": change.version, "actor": change.actor}
        | ({"request_id": change.request_id} if change.request_id else {})
        | {"event": orjson.Fragment(change.event)}
        for change in page
    ]
    return _page(call, items, str(page[-1].version) if len(found) > query.limit else None)


def _trainings(call: Call[Any, Any]) -> Trainings:
    return Trainings(call.services.database, call.services.settings.events_topic)


def _author(call: Call[Any, Any]) -> Author:
    return Author(call.caller.user_id, call.caller.subject, call.request_id)


def _key(call: Call[Any, Any], route: str, body: Document) -> IdempotencyKey | None:
    key = call.idempotency_key
    return None if key is None else IdempotencyKey(route, key, body.digest())


def _if_match(call: Call[Any, Any]) -> list[int] | None:
    versions: Versions | None = call.if_match
    return None if versions == "*" else versions


def _tag(version: int) -> str:
    return f'"{version}"'


def _headers(written: Written) -> dict[str, str]:
    headers = {"ETag": _tag(written.version)}
    if written.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers


def _page(call: Call[Any, Any], items: Sequence[object], cursor: str | None) -> Reply:
    document: dict[str, object] = {"items": items}
    headers = {}
    if cursor is not None:
        document["next_cursor"] = cursor
        headers["Link"] = call.link("next", cursor=cursor)
    return Reply(200, orjson.dumps(document), headers)


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

ROUTES = (
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
                "It was there already: the same `id` or `source_id` with the same body. It is answered as it is now.",
                TrainingDocument,
                headers=("Location", *_DOCUMENT_HEADERS),
            ),
        },
        problems=(problems.IDENTITY_CONFLICT, problems.UNKNOWN_EXERCISE, problems.KEY_REUSED),
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
            "sent back, changed: the fields that only the service sets are passed over."
        ),
        tag="Trainings",
        body=TrainingUpdate,
        body_example=_EXAMPLE_BODY,
        request_headers=_WRITE_HEADERS,
        answers={200: Answer("The training as it is now", TrainingDocument, headers=_DOCUMENT_HEADERS)},
        problems=(
            problems.STATUS_CONFLICT,
            problems.PRECONDITION_FAILED,
            problems.UNKNOWN_EXERCISE,
            problems.KEY_REUSED,
        ),
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        handler=delete,
        operation_id="deleteTraining",
        summary="Delete a training",
        description="Queues a `training_deleted` event. The training answers 404 from then on; its history stays.",
        tag="Trainings",
        request_headers=_WRITE_HEADERS,
        answers={204: Answer("Deleted", headers=("Idempotent-Replayed",))},
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
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
    ),
)
