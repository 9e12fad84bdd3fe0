"""Phases over REST: create, read, list, move, delete; and what each of these would do to the trainings."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from analytics import phases as rules
from models.errors import NotFound, PreconditionFailed, Unprocessable
from models.fields import Day, Flag, LastDay, moment
from models.phases import (
    MOST_TRAININGS,
    PhaseAnswer,
    PhaseBody,
    PhaseCreate,
    PhaseDocument,
    PhasePage,
    PhasePreview,
    PhaseUpdate,
    PlanAction,
)
from models.plans import Change
from models.sets import Document, known
from storage.database import Cursor, Runner
from storage.documents import PHASES, Documents
from storage.phases import Neighbours, Phases
from storage.training_writes import Written
from web import documents, phase_writes, problems
from web.phase_plans import Plan
from web.phase_writes import DocumentWrite
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/phases"


class PhaseQuery(BaseModel):
    """Query parameters of the list of phases."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day: phases that end before it are left out."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day: phases that begin after it are left out."""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most phases on one page; of large ones fewer: where `next_cursor` is, there are more."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


class PhaseWriteQuery(Document):
    """Query parameters of what writes a phase."""

    dry_run: Flag = False
    """Say what the request would do, and write nothing."""


class PhaseUpdateQuery(PhaseWriteQuery):
    """Query parameters of what changes a phase."""

    day: Day | None = None
    """No training is made on a day before it: by default the present one, in the time zone of the athlete's latest
    completed training, before there is one of the latest planned, else in UTC."""


async def create(call: Call[PhaseCreate, PhaseWriteQuery]) -> Reply:
    """POST /users/{userId}/phases."""
    body, id_ = call.body, call.body.id or uuid7()
    author, key = documents.author(call), documents.key(call, f"POST {PATH}", body)
    if call.query.dry_run:
        return await _preview(call, id_, body, named=body.id is not None)

    async def document(phases: Documents, content: str, _: bool) -> Written:
        return await phases.create(author, id_, content, body.digest(), body.columns(), key=key)

    written = await _write(call, id_, body, document)
    return documents.created(call, written, f"{PATH.format(userId=call.user_id)}/{written.id}")


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/phases/{phaseId}."""
    stored = await _documents(call, call.services.database).read(call.user_id, call.path["phaseId"])
    return documents.served(call, stored.version, stored.document)


async def list_(call: Call[None, PhaseQuery]) -> Reply:
    """GET /users/{userId}/phases."""
    query = call.query
    after = None if query.cursor is None else documents.place(query.cursor)
    page = await Phases(call.services.database).page(
        call.user_id,
        first=query.first,
        last=query.last,
        after=None if after is None else (after[0].date(), after[1]),
        limit=query.limit,
    )
    cursor = None
    if page.more:
        first, stored = page[-1]
        cursor = documents.cursor(dt.datetime.combine(first, dt.time(), dt.UTC), stored.id)
    return documents.page(call, [orjson.Fragment(stored.document) for _, stored in page], cursor)


async def update(call: Call[PhaseUpdate, PhaseUpdateQuery]) -> Reply:
    """PUT /users/{userId}/phases/{phaseId}."""
    body, id_ = call.body, call.path["phaseId"]
    if body.id is not None and body.id != id_:
        raise Unprocessable("It must be the id of the address.", "/id")
    author, if_match = documents.author(call), documents.if_match(call)
    key = documents.key(call, f"PUT {PATH}/{id_}", body, call.query)
    if call.query.dry_run:
        return await _preview(call, id_, body, day=call.query.day)

    async def document(phases: Documents, content: str, deleted: bool) -> Written:
        if deleted and call.if_match is None:  # also by * there must be one
            return await phases.put(author, id_, content, body.columns(), key=key)
        return await phases.update(author, id_, content, body.columns(), if_match=if_match, key=key)

    return documents.changed(call, await _write(call, id_, body, document, call.query.day))


async def delete(call: Call[None, PhaseWriteQuery]) -> Reply:
    """DELETE /users/{userId}/phases/{phaseId}."""
    id_ = call.path["phaseId"]
    author, if_match = documents.author(call), documents.if_match(call)
    key = documents.key(call, f"DELETE {PATH}/{id_}", Document())
    if call.query.dry_run:
        return await _preview(call, id_, None)

    async def document(phases: Documents, _: str, __: bool) -> Written:
        return await phases.delete(author, id_, if_match=if_match, key=key)

    return documents.deleted(call, await _write(call, id_, None, document))


async def _write(
    call: Call[Any, Any], id_: UUID, body: PhaseBody | None, document: DocumentWrite, day: dt.date | None = None
) -> Written:
    def phases(cursor: Cursor) -> Documents:
        return _documents(call, cursor)

    topic = call.services.settings.events_topic
    author = documents.author(call)
    return await phase_writes.write(
        call.services.database, author, id_, body, document=document, phases=phases, topic=topic, day=day
    )


async def _preview(
    call: Call[Any, Any], id_: UUID, body: PhaseBody | None, *, named: bool = True, day: dt.date | None = None
) -> Reply:
    if_match = documents.if_match(call)

    async def was_done(cursor: Cursor, around: Neighbours) -> bool:
        phase, deleted = around.phases.get(id_), around.deleted is not None
        if isinstance(body, PhaseCreate):
            used = phase is not None or deleted
            return used and await _documents(call, cursor).created(call.user_id, id_, body.digest()) is not None
        comes_back = deleted and body is not None and call.if_match is None
        if phase is None and not comes_back:
            raise NotFound("There is no such phase.")
        if phase is not None and if_match is not None and phase.version not in if_match:
            raise PreconditionFailed(phase.version)
        return False

    plan = await phase_writes.preview(call.services.database, call.user_id, id_, body, was_done, day=day)
    phase = plan.steps[0].after
    document = {
        "dry_run": True,
        "id": id_ if named else None,
        "phase": None if phase is None else phase.content(),
        "day": plan.day,
        "microcycles": [step.phase_id for step in plan.steps[1:]],
        "method": {"version": rules.METHOD_VERSION, "rules": rules.RULES},
        "counts": _counts(plan.changes),
        "trainings": [_told(plan, change, None if named else id_) for change in plan.changes],
    }
    return Reply(200, orjson.dumps(known(document)))


def _counts(changes: Sequence[Change]) -> dict[str, int]:
    return {action.value: sum(change.action is action for change in changes) for action in PlanAction}


def _told(plan: Plan, change: Change, unnamed: UUID | None) -> dict[str, Any]:
    """A `PlanChange`. `unnamed` is the id of a phase that is to be made, which the client did not name."""
    training, workout = change.training, plan.workout(change)
    title = training.title if training is not None else None if workout is None else workout.name
    place = change.place or (None if training is None else training.place)
    moved = change.action is PlanAction.MOVE and training is not None
    return known(
        {
            "action": change.action,
            "training_id": None if training is None else training.id,
            "phase_id": None if change.phase_id == unnamed else change.phase_id,
            "day": change.spot.day,
            "date": moment(change.spot.date),
            "from_day": training.spot.day if moved and training is not None else None,
            "title": title,
            "workout_id": plan.workout_id(change),
            "week": None if place is None else place.week,
            "deload": change.deload,
            "reason": change.reason,
        }
    )


def _documents(call: Call[Any, Any], runner: Runner) -> Documents:
    return Documents(runner, call.services.settings.phase_events_topic, PHASES)


_EXAMPLE_BODY = {
    "name": "Strength",
    "kind": "mesocycle",
    "first": "2026-01-05",
    "last": "2026-02-15",
    "timezone": "Europe/Berlin",
    "goal": "Ten strict pull-ups.",
    "schedule": [
        {"workout_id": "0193f1a0-0000-7000-8000-000000000010", "weekday": 1, "time": "18:30"},
        {"workout_id": "0193f1a0-0000-7000-8000-000000000011", "weekday": 4, "time": "18:30", "weeks": [1, 2, 4, 5]},
    ],
}
_WRITE_HEADERS = ("If-Match", "Idempotency-Key")
_DOCUMENT_HEADERS = ("ETag", "Idempotent-Replayed")
_OWN = "Only the athlete writes phases. A coach reads them, and plans trainings and workouts for a group."
_DRY_RUN = " With `dry_run=true` it writes nothing and answers what it would do to each training, with the reason."

ROUTES = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="createPhase",
        summary="Create a phase, and plan its trainings",
        description=(
            "Saves the phase and lays its workouts on its weeks as PLANNED trainings, all in one transaction: queues "
            "a `phase_created` event and a `training_created` for each. Days that are past are laid too. The trainings "
            "are like any other from then on. "
            "A phase that is a deload halves the sets of what other phases have planned on its days." + _DRY_RUN
        ),
        tag="Phases",
        own=_OWN,
        query=PhaseWriteQuery,
        body=PhaseCreate,
        body_example=_EXAMPLE_BODY,
        request_headers=("Idempotency-Key",),
        answers={
            201: Answer("Created", PhaseDocument, headers=("Location", *_DOCUMENT_HEADERS)),
            200: Answer(
                "It was there already: the same `id` with the same body. It is answered as it is now: deleted since, "
                "where `deleted_at` is there. Or, with `dry_run=true`, what the request would do.",
                PhaseAnswer,
                headers=("Location", *_DOCUMENT_HEADERS),
            ),
        },
        problems=(problems.CONFLICT, problems.IDENTITY_CONFLICT, problems.UNKNOWN_WORKOUT, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listPhases",
        summary="List phases by their first days",
        tag="Phases",
        scope="read",
        query=PhaseQuery,
        answers={200: Answer("One page", PhasePage, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{phaseId}}",
        handler=read,
        operation_id="readPhase",
        summary="Read a phase",
        tag="Phases",
        scope="read",
        request_headers=("If-None-Match",),
        answers={
            200: Answer("The phase", PhaseDocument, headers=("ETag",)),
            304: Answer("The client has this version already", headers=("ETag",)),
        },
    ),
    Route(
        method="PUT",
        path=f"{PATH}/{{phaseId}}",
        handler=update,
        operation_id="updatePhase",
        summary="Change or move a phase, and what is not yet done of it",
        description=(
            "Replaces the phase, as its next version, and has its trainings follow, all in one transaction with its "
            "events. A training follows its week and its slot: one that the athlete has moved goes by as many days as "
            "these do. What the schedule does not lay any more is deleted, and what it lays anew is made. What is "
            "begun, completed or skipped stays as it is, and what was deleted is not made again. Nothing is made on "
            "days before the present one. The microcycles of a mesocycle move with it; one change together is about "
            f"{MOST_TRAININGS:,} trainings at most. A phase that was deleted is back, as its next version, and lays "
            "its trainings anew, where no session of the same workout, of no other phase, was begun, completed or "
            "skipped on the day; with If-Match it answers 404. A phase that says this already stays as it is."
            + _DRY_RUN
        ),
        tag="Phases",
        own=_OWN,
        query=PhaseUpdateQuery,
        body=PhaseUpdate,
        body_example=_EXAMPLE_BODY,
        request_headers=_WRITE_HEADERS,
        answers={
            200: Answer("The phase as it is now, or what the request would do", PhaseAnswer, headers=_DOCUMENT_HEADERS)
        },
        problems=(problems.CONFLICT, problems.PRECONDITION_FAILED, problems.UNKNOWN_WORKOUT, problems.KEY_REUSED),
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{phaseId}}",
        handler=delete,
        operation_id="deletePhase",
        summary="Delete a phase, and what is not yet done of it",
        description=(
            "Deletes the phase and those of its trainings that are neither begun nor completed nor skipped, all in one "
            "transaction with its events. A mesocycle that has microcycles is not deleted. PUT brings a deleted phase "
            "back." + _DRY_RUN
        ),
        tag="Phases",
        own=_OWN,
        query=PhaseWriteQuery,
        request_headers=_WRITE_HEADERS,
        answers={
            204: Answer("Deleted", headers=("Idempotent-Replayed",)),
            200: Answer("With `dry_run=true`: what the request would do", PhasePreview),
        },
        problems=(problems.CONFLICT, problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
)
