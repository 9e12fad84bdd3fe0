"""Goals over REST: set, read, list, change and delete them, and how far they are."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from analytics import goals
from models.errors import Unprocessable
from models.fields import number
from models.goal_reports import GoalProgressReport, GoalsProgressReport
from models.goals import (
    UNITS,
    GoalCreate,
    GoalDocument,
    GoalPage,
    GoalProgressQuery,
    GoalUpdate,
    Point,
)
from models.sets import Document, known
from storage.documents import GOALS, Documents
from storage.goals import MOST_GOALS, HeldGoal, HeldGoals, read_goals
from web import documents, metrics, problems
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/goals"


class GoalQuery(BaseModel):
    """Query parameters of the list of goals."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most goals on one page."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


async def create(call: Call[GoalCreate, None]) -> Reply:
    """POST /users/{userId}/goals."""
    body = call.body
    await call.services.catalogue.resolve(body.check_movement)
    id_ = body.id or uuid7()
    key = documents.key(call, f"POST {PATH}", body)
    written = await _goals(call).create(documents.author(call), id_, body.content(), body.digest(), key=key)
    return documents.created(call, written, f"{PATH.format(userId=call.user_id)}/{written.id}")


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/goals/{goalId}."""
    stored = await _goals(call).read(call.user_id, call.path["goalId"])
    return documents.served(call, stored.version, stored.document)


async def list_(call: Call[None, GoalQuery]) -> Reply:
    """GET /users/{userId}/goals."""
    query = call.query
    found = await _goals(call).page(
        call.user_id,
        after=documents.place(query.cursor) if query.cursor else None,
        limit=query.limit + 1,  # one more tells whether there is a next page
    )
    page = found[: query.limit]
    cursor = documents.cursor(page[-1].created_at, page[-1].id) if len(found) > query.limit else None
    return documents.page(call, [orjson.Fragment(stored.document) for stored in page], cursor)


async def update(call: Call[GoalUpdate, None]) -> Reply:
    """PUT /users/{userId}/goals/{goalId}."""
    id_, body = call.path["goalId"], call.body
    if body.id is not None and body.id != id_:
        raise Unprocessable("It must be the id of the address.", "/id")
    await call.services.catalogue.resolve(body.check_movement)
    written = await _goals(call).update(
        documents.author(call),
        id_,
        body.content(),
        if_match=documents.if_match(call),
        key=documents.key(call, f"PUT {PATH}/{id_}", body),
    )
    return documents.changed(call, written)


async def delete(call: Call[None, None]) -> Reply:
    """DELETE /users/{userId}/goals/{goalId}."""
    id_ = call.path["goalId"]
    written = await _goals(call).delete(
        documents.author(call),
        id_,
        if_match=documents.if_match(call),
        key=documents.key(call, f"DELETE {PATH}/{id_}", Document()),
    )
    return documents.deleted(call, written)


async def read_progress(call: Call[None, GoalProgressQuery]) -> Reply:
    """GET /users/{userId}/goals/{goalId}/progress."""
    held = await _held(call, call.path["goalId"])
    progress = await asyncio.to_thread(_progress, held, held.goals[0], whole=True)
    return _report(call, held, {"progress": progress})


async def list_progress(call: Call[None, GoalProgressQuery]) -> Reply:
    """GET /users/{userId}/goals/progress."""
    held = await _held(call, None)

    def items() -> list[dict[str, object]]:
        return [_progress(held, goal, whole=False) for goal in held.goals]

    return _report(call, held, {"items": await asyncio.to_thread(items)})  # a hundred goals of years take seconds


def _goals(call: Call[Any, Any]) -> Documents:
    return Documents(call.services.database, call.services.settings.phase_events_topic, GOALS)


async def _held(call: Call[None, GoalProgressQuery], id_: UUID | None) -> HeldGoals:
    # Not of a replica, which may not have the goal yet.
    read = partial(
        read_goals,
        user_id=call.user_id,
        query=call.query,
        start_days=goals.START_DAYS,
        line_days=goals.LINE_DAYS,
        id_=id_,
    )
    return await metrics.awaited(call.services.database, read)


def _report(call: Call[Any, Any], held: HeldGoals, parts: Mapping[str, object]) -> Reply:
    document = {
        "user_id": call.user_id,
        "as_of": held.as_of,
        **known({"stale": held.stale}),
        "day": held.day,
        "method": {"version": goals.METHOD_VERSION, "rules": goals.RULES},
        **parts,
    }
    return Reply(200, orjson.dumps(document))


def _progress(held: HeldGoals, of: HeldGoal, *, whole: bool) -> dict[str, object]:
    """How far a goal is: a `GoalProgress`, with all its values where it is to be `whole`."""
    found = goals.progress(of.goal, of.days, held.day, held.since, of.trained, fewest=of.fewest)
    evidence = {"start": _point(found.start), "best": _point(found.best), "achieved": _point(found.achieved)}
    return {
        "goal": orjson.Fragment(of.stored.document),
        "unit": UNITS[of.goal.metric],
        "start_value": _value(found.start),
        "best_value": _value(found.best),
        "share": found.share,
        "share_reason": found.share_reason,
        "achieved_on": None if found.achieved is None else found.achieved.day,
        "state": found.state,
        "reason": found.reason,
        "forecast": None if found.forecast is None else _forecast(found.forecast),
        "forecast_reason": found.forecast_reason,
        "evidence": evidence | ({"points": [_point(point) for point in found.points]} if whole else {}),
    }


def _forecast(forecast: goals.Forecast) -> dict[str, object]:
    about = {"coverage": goals.COVERAGE, "assumes": goals.ASSUMES}
    return forecast._asdict() | {"reached": forecast.reached._asdict()} | about


def _point(point: Point | None) -> dict[str, object] | None:
    return None if point is None else known(point._asdict() | {"value": _value(point)})


def _value(point: Point | None) -> float | None:
    return None if point is None else number(float(point.value))


_EXAMPLE_BODY = {
    "name": "Pistol squat with 40 kg",
    "metric": "weight_kg",
    "movement": "weighted-pistol-squat",
    "target": 40,
    "start_day": "2026-01-05",
    "due": "2026-06-30",
}
_WRITE_HEADERS = ("If-Match", "Idempotency-Key")
_DOCUMENT_HEADERS = ("ETag", "Idempotent-Replayed")
_METRICS = (
    "`e1rm_kg`, `weight_kg`, `reps` (at `at_weight_kg` or more), `hold_seconds` and `session_volume_kg` are of one "
    "movement; `weekly_trainings`, `weekly_hard_sets` and `weekly_volume_kg` of all training in an ISO week. "
)
_ABOUT = (
    "Computed from the derived tables as it is read: `as_of` says how fresh they are. The forecast is a straight line "
    "through the values, with the interval of a single value; `assumes` says when it holds. It is null, with its "
    "reason, where the values are too few or too near to each other, or the day lies too far ahead."
)

ROUTES = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="createGoal",
        summary="Set a goal",
        description=(
            f"Saves the goal and queues a `goal_created` event in the same statement. {_METRICS}A movement of the "
            "catalogue that is measured in repetitions has no `hold_seconds`, and one that is measured in seconds has "
            "neither `e1rm_kg`, `reps` nor `session_volume_kg` (422). An Idempotency-Key is kept with a 201. A 200 "
            "needs none: the `id` that it answers to holds for ever."
        ),
        tag="Goals",
        body=GoalCreate,
        body_example=_EXAMPLE_BODY,
        request_headers=("Idempotency-Key",),
        answers={
            201: Answer("Created", GoalDocument, headers=("Location", *_DOCUMENT_HEADERS)),
            200: Answer(
                "It was there already: the same `id` with the same body. It is answered as it is now: deleted since, "
                "where `deleted_at` is there.",
                GoalDocument,
                headers=("Location", *_DOCUMENT_HEADERS),
            ),
        },
        problems=(problems.IDENTITY_CONFLICT, problems.UNKNOWN_EXERCISE, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listGoals",
        summary="List goals, those created last first",
        tag="Goals",
        scope="read",
        query=GoalQuery,
        answers={200: Answer("One page", GoalPage, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/progress",
        handler=list_progress,
        operation_id="readGoalsProgress",
        summary="Read how far all goals are",
        description=f"Of the {MOST_GOALS} goals that were created last. {_ABOUT}",
        tag="Goals",
        scope="read",
        query=GoalProgressQuery,
        answers={200: Answer("The progress of each goal", GoalsProgressReport)},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{goalId}}",
        handler=read,
        operation_id="readGoal",
        summary="Read a goal",
        tag="Goals",
        scope="read",
        request_headers=("If-None-Match",),
        answers={
            200: Answer("The goal", GoalDocument, headers=("ETag",)),
            304: Answer("The client has this version already", headers=("ETag",)),
        },
    ),
    Route(
        method="PUT",
        path=f"{PATH}/{{goalId}}",
        handler=update,
        operation_id="updateGoal",
        summary="Change a goal",
        description=(
            "Replaces the goal, as its next version, and queues a `goal_updated` event. The same said again changes "
            "nothing. What GET answered may be sent back, changed: the fields that only the service sets are passed "
            "over."
        ),
        tag="Goals",
        body=GoalUpdate,
        body_example=_EXAMPLE_BODY,
        request_headers=_WRITE_HEADERS,
        answers={200: Answer("The goal as it is now", GoalDocument, headers=_DOCUMENT_HEADERS)},
        problems=(problems.PRECONDITION_FAILED, problems.UNKNOWN_EXERCISE, problems.KEY_REUSED),
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{goalId}}",
        handler=delete,
        operation_id="deleteGoal",
        summary="Delete a goal",
        description=(
            "Queues a `goal_deleted` event. It answers 404 from then on; its events stay in the log. A phase that "
            "names it stays as it is."
        ),
        tag="Goals",
        request_headers=_WRITE_HEADERS,
        answers={204: Answer("Deleted", headers=("Idempotent-Replayed",))},
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{goalId}}/progress",
        handler=read_progress,
        operation_id="readGoalProgress",
        summary="Read how far a goal is",
        description=f"With every value that it is computed from. {_ABOUT}",
        tag="Goals",
        scope="read",
        query=GoalProgressQuery,
        answers={200: Answer("The progress", GoalProgressReport)},
    ),
)
