"""Workouts over REST: create, read, list, change, delete, the versions of each, and the trainings made from it."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from analytics.progression_ladder import NO_LADDER, Ladder, check_way
from models.errors import NotFound, Unprocessable
from models.exercises import Catalogue
from models.progression_rules import HarderRule
from models.sets import Document
from models.trainings import TrainingDocument
from models.workouts import (
    WorkoutCreate,
    WorkoutDocument,
    WorkoutExerciseBody,
    WorkoutPage,
    WorkoutPlan,
    WorkoutUpdate,
    WorkoutVersions,
    workout_exercises_json,
)
from storage.workouts import WorkoutPlans, Workouts
from web import documents, problems, trainings
from web.routes import Answer, Call, Reply, Route
from web.trainings import (
    HistoryQuery,
)

PATH = "/api/v1/training/users/{userId}/workouts"


class WorkoutQuery(BaseModel):
    """Query parameters of the list of workouts."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most workouts on one page; of large ones fewer: where `next_cursor` is, there are more."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


async def create(call: Call[WorkoutCreate, None]) -> Reply:
    """POST /users/{userId}/workouts."""
    id_ = call.body.id or uuid7()
    exercises = await call.services.catalogue.resolve(partial(_exercises, id_, call.body.exercises))
    written = await _workouts(call).create(
        documents.author(call), id_, call.body, exercises, key=documents.key(call, f"POST {PATH}", call.body)
    )
    return documents.created(call, written, _address(call.user_id, written.id))


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/workouts/{id}."""
    stored = await _workouts(call).read(call.user_id, call.path["id"])
    return documents.served(call, stored.version, stored.document)


async def list_(call: Call[None, WorkoutQuery]) -> Reply:
    """GET /users/{userId}/workouts."""
    query = call.query
    page = await _workouts(call).page(
        call.user_id,
        after=documents.place(query.cursor) if query.cursor else None,
        limit=query.limit,
    )
    cursor = documents.cursor(page[-1].created_at, page[-1].id) if page.more else None
    return documents.page(call, [orjson.Fragment(stored.document) for stored in page], cursor)


async def update(call: Call[WorkoutUpdate, None]) -> Reply:
    """PUT /users/{userId}/workouts/{id}."""
    id_, body = call.path["id"], call.body
    if body.id is not None and body.id != id_:
        raise Unprocessable("It must be the id of the address.", "/id")
    exercises = await call.services.catalogue.resolve(partial(_exercises, id_, body.exercises))
    written = await _workouts(call).update(
        documents.author(call),
        id_,
        body,
        exercises,
        if_match=documents.if_match(call),
        key=documents.key(call, f"PUT {PATH}/{id_}", body),
    )
    return documents.changed(call, written)


async def delete(call: Call[None, None]) -> Reply:
    """DELETE /users/{userId}/workouts/{id}."""
    id_ = call.path["id"]
    written = await _workouts(call).delete(
        documents.author(call),
        id_,
        if_match=documents.if_match(call),
        key=documents.key(call, f"DELETE {PATH}/{id_}", Document()),
    )
    return documents.deleted(call, written)


async def versions(call: Call[None, HistoryQuery]) -> Reply:
    """GET /users/{userId}/workouts/{id}/versions."""
    query = call.query
    found = await _workouts(call).versions(call.user_id, call.path["id"], after=query.cursor or 0, limit=query.limit)
    return documents.changes(call, found)


async def version(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/workouts/{id}/versions/{version}."""
    named = call.names["version"]
    if not (named.isascii() and named.isdigit() and len(named) < 10):
        raise NotFound("There is no such version.")
    return Reply(200, await _workouts(call).version(call.user_id, call.path["id"], int(named)))


async def plan(call: Call[WorkoutPlan, None]) -> Reply:
    """POST /users/{userId}/workouts/{id}/trainings."""
    workout_id, body = call.path["id"], call.body
    plans = WorkoutPlans(call.services.database, call.services.settings.events_topic)
    written = await plans.plan(
        documents.author(call),
        workout_id,
        body.id or uuid7(),
        body,
        key=documents.key(call, f"POST {PATH}/{workout_id}/trainings", body),
    )
    return documents.created(call, written, trainings.address(call, written.id, of_user=call.coaching))


def _exercises(id_: UUID, exercises: Sequence[WorkoutExerciseBody], catalogue: Catalogue) -> str:
    """As `workout_exercises_json`; raises `Unprocessable` too, where a rule leads where the catalogue does not."""
    stored = workout_exercises_json(id_, exercises, catalogue)
    climbing = [(place, one) for place, one in enumerate(exercises) if isinstance(one.progression, HarderRule)]
    ladder = Ladder.of(catalogue) if climbing else NO_LADDER
    for place, exercise in climbing:
        check_way(exercise.progression, exercise.exercise, ladder, f"/exercises/{place}/progression")
    return stored


def _workouts(call: Call[Any, Any]) -> Workouts:
    return Workouts(call.services.database, call.services.settings.workout_events_topic)


def _address(user_id: UUID, id_: UUID) -> str:
    return f"{PATH.format(userId=user_id)}/{id_}"


_EXAMPLE_BODY = {
    "name": "Pull",
    "notes": "Stop a set when a repetition slows down.",
    "exercises": [
        {"name": "Pull-up", "sets": 4, "reps": {"min": 5, "max": 8}, "rest": 150, "rpe": 8},
        {"name": "Row", "sets": 3, "reps": 10, "weight": 20, "tempo": "2-0-1-1", "superset": 1},
        {"name": "Dead hang", "sets": 2, "hold_seconds": 45, "superset": 1},
    ],
}
_EXAMPLE_PLAN = {"date": "2026-01-07T18:30:00+01:00", "timezone": "Europe/Berlin"}
_WRITE_HEADERS = ("If-Match", "Idempotency-Key")
_DOCUMENT_HEADERS = ("ETag", "Idempotent-Replayed")

ROUTES = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="createWorkout",
        summary="Create a workout",
        description=(
            "Saves the workout and queues a `workout_created` event in the same statement. An Idempotency-Key is kept "
            "with a 201. A 200 needs none: the `id` that it answers to holds for ever."
        ),
        tag="Workouts",
        scope="plan",
        body=WorkoutCreate,
        body_example=_EXAMPLE_BODY,
        request_headers=("Idempotency-Key",),
        answers={
            201: Answer("Created", WorkoutDocument, headers=("Location", *_DOCUMENT_HEADERS)),
            200: Answer(
                "It was there already: the same `id` with the same body. It is answered as it is now: deleted since, "
                "where `deleted_at` is there.",
                WorkoutDocument,
                headers=("Location", *_DOCUMENT_HEADERS),
            ),
        },
        problems=(problems.IDENTITY_CONFLICT, problems.UNKNOWN_EXERCISE, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listWorkouts",
        summary="List workouts, those created last first",
        tag="Workouts",
        scope="read",
        query=WorkoutQuery,
        answers={200: Answer("One page", WorkoutPage, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{id}}",
        handler=read,
        operation_id="readWorkout",
        summary="Read a workout",
        tag="Workouts",
        scope="read",
        request_headers=("If-None-Match",),
        answers={
            200: Answer("The workout", WorkoutDocument, headers=("ETag",)),
            304: Answer("The client has this version already", headers=("ETag",)),
        },
    ),
    Route(
        method="PUT",
        path=f"{PATH}/{{id}}",
        handler=update,
        operation_id="updateWorkout",
        summary="Change a workout",
        description=(
            "Replaces the workout, as its next version, and queues a `workout_updated` event. Trainings that were made "
            "from it stay as they are. What GET answered may be sent back, changed: the fields that only the service "
            "sets are passed over. Each PUT is a version with an event, also one that says what is stored already: "
            "send an Idempotency-Key, and the same one with a retry."
        ),
        tag="Workouts",
        scope="plan",
        body=WorkoutUpdate,
        body_example=_EXAMPLE_BODY,
        request_headers=_WRITE_HEADERS,
        answers={200: Answer("The workout as it is now", WorkoutDocument, headers=_DOCUMENT_HEADERS)},
        problems=(problems.PRECONDITION_FAILED, problems.UNKNOWN_EXERCISE, problems.KEY_REUSED),
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        handler=delete,
        operation_id="deleteWorkout",
        summary="Delete a workout",
        description=(
            "Removes it with its exercises and queues a `workout_deleted` event. That is final: it answers 404 from "
            "then on, and cannot be restored as a training can. Its versions stay, and so do the trainings that were "
            "made from it, also those that phases have laid. A phase that has it in its schedule keeps these, and is "
            "refused (`unknown-workout`) once it would make another."
        ),
        tag="Workouts",
        scope="plan",
        request_headers=_WRITE_HEADERS,
        answers={204: Answer("Deleted", headers=("Idempotent-Replayed",))},
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{id}}/versions",
        handler=versions,
        operation_id="readWorkoutVersions",
        summary="Read the versions of a workout",
        description="Every change with the event that was published, oldest first; of a deleted workout too.",
        tag="Workouts",
        scope="read",
        query=HistoryQuery,
        answers={200: Answer("One page", WorkoutVersions, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{id}}/versions/{{version}}",
        handler=version,
        operation_id="readWorkoutVersion",
        summary="Read a workout as it was",
        description="As it was at that version, which a training that was made from it names; of a deleted one too.",
        tag="Workouts",
        scope="read",
        texts=frozenset({"version"}),
        schemas={"version": {"type": "integer", "minimum": 1, "maximum": 999_999_999}},
        answers={200: Answer("The workout at that version", WorkoutDocument)},
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{id}}/trainings",
        handler=plan,
        operation_id="planWorkout",
        summary="Plan a training from a workout",
        description=(
            "Makes a PLANNED training of the workout as it is now, and queues a `training_created` event in the same "
            "statement. Each prescribed set is one that is not done, with its target, in which the workout's `rest` is "
            "`rest_seconds` and `hold_seconds` is `duration_seconds`. The training names the workout and its version, "
            "and is a training like any other from then on. Without `timezone` its day is that of UTC."
        ),
        tag="Workouts",
        scope="plan",
        body=WorkoutPlan,
        body_example=_EXAMPLE_PLAN,
        request_headers=("Idempotency-Key",),
        answers={
            201: Answer("Created", TrainingDocument, headers=("Location", *_DOCUMENT_HEADERS)),
            200: Answer(
                "It was there already: the same `id` or `source_id` with the same request. It is answered as it is "
                "now: deleted since, where `deleted_at` is there.",
                TrainingDocument,
                headers=("Location", *_DOCUMENT_HEADERS),
            ),
        },
        problems=(problems.IDENTITY_CONFLICT, problems.UNKNOWN_EXERCISE, problems.KEY_REUSED),
    ),
)
