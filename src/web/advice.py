"""Advice over REST: what is advised on a day, accepted, and undone. For the athlete alone."""

from functools import partial
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from analytics import advice
from analytics.advice_undoing import undone
from models.advice import AcceptedAdvice, accepted_content, told
from models.advice_reports import AcceptedPage, AcceptQuery, AdviceQuery, AdviceReport
from models.errors import AdviceGone
from models.sets import Document, known
from storage.advice_accepted import AcceptedAdvices, Accepting
from storage.database import Cursor
from storage.documents import ADVICE, Documents
from web import documents, problems
from web.advice_inputs import read_awaited, read_inputs
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/advice"


class AcceptedQuery(BaseModel):
    """Query parameters of the list of what was accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most items on one page."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


async def read(call: Call[None, AdviceQuery]) -> Reply:
    """GET /users/{userId}/advice."""
    catalogue = await call.services.catalogue.get()
    # Not of a replica, which may not have the plan yet that the client has just changed.
    found = await read_awaited(call.services.database, call.user_id, call.query, catalogue)
    considered = advice.consider(found.inputs)
    document = {
        "user_id": call.user_id,
        "day": found.inputs.day,
        "as_of": found.as_of,
        **known({"stale": found.stale}),
        "method": {"version": advice.METHOD_VERSION, "rules": advice.RULES},
        "advice": [told(one.advice.model_dump(mode="json", by_alias=True)) for one in considered.given],
        "not_advised": [one.model_dump(mode="json") for one in considered.not_advised],
        "reason": considered.reason,
        "accepted": [orjson.Fragment(one) for one in found.accepted],
        "risk": told(advice.risk(found.inputs).model_dump(mode="json")),
        "preferences": found.preferences.model_dump(mode="json"),
    }
    return Reply(200, orjson.dumps(document))


async def accept(call: Call[None, AcceptQuery]) -> Reply:
    """POST /users/{userId}/advice/{adviceId}/accept."""
    id_, asked = call.path["adviceId"], call.query.day
    catalogue = await call.services.catalogue.get()

    async def decide(cursor: Cursor) -> Accepting:
        found = await read_inputs(cursor, call.user_id, asked, catalogue)
        day = found.inputs.day
        given = next((one for one in advice.advise(found.inputs) if one.advice.id == id_), None)
        if given is None:
            raise AdviceGone(
                f"Nothing that is advised for {day} has this id: it is of another day, or the log or the plan has "
                "changed since. Read the advice anew."
            )
        planned = {training.id: training for training in found.planned}
        changed = [(planned[plan.id], fields) for plan, fields in given.after]
        versions = {training.id: training.version for training, _ in changed}
        return Accepting(accepted_content(given.advice, day, versions), day, changed)

    key = documents.key(call, f"POST {PATH}/{id_}/accept", call.query)
    written = await _accepted(call).accept(documents.author(call), id_, decide, key=key)
    if asked is not None and written.document is not None and not written.created:
        day = orjson.loads(written.document)["day"]  # it was accepted before, maybe for another day
        if day != asked.isoformat():
            raise problems.invalid_parameter("day", f"must be {day}, for which this advice was given and accepted")
    return documents.added(call, written)


async def undo(call: Call[None, None]) -> Reply:
    """POST /users/{userId}/advice/{adviceId}/undo."""
    id_ = call.path["adviceId"]
    key = documents.key(call, f"POST {PATH}/{id_}/undo", Document())
    return documents.added(call, await _accepted(call).undo(documents.author(call), id_, undone, key=key))


async def list_accepted(call: Call[None, AcceptedQuery]) -> Reply:
    """GET /users/{userId}/advice/accepted."""
    query = call.query
    page = partial(Documents(call.services.database, _topic(call), ADVICE).page, call.user_id)
    after = documents.place(query.cursor) if query.cursor else None
    found = await page(after=after, limit=query.limit + 1)  # one more tells whether there is a next page
    shown = found[: query.limit]
    cursor = documents.cursor(shown[-1].created_at, shown[-1].id) if len(found) > query.limit else None
    return documents.page(call, [orjson.Fragment(stored.document) for stored in shown], cursor)


def _accepted(call: Call[Any, Any]) -> AcceptedAdvices:
    return AcceptedAdvices(call.services.database, _topic(call), call.services.settings.events_topic)


def _topic(call: Call[Any, Any]) -> str:
    return call.services.settings.readiness_events_topic


_HEADERS = ("Idempotent-Replayed",)

ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=read,
        operation_id="readAdvice",
        summary="Read what is advised on a day",
        description=(
            "What to do next, computed from load, readiness, records, goals, progression, push and pull, and what is "
            "skipped: each with its reason, its evidence, a confidence that says how much of the wanted data is there, "
            "and what accepting it would change. The same log gives the same advice with the same ids, and no advice "
            "of a day contradicts another. `risk` says where the load stands to the athlete's usual range, and what is "
            "disputed about that, and `not_advised` why each other kind is not advised. It is no diagnosis, and "
            "nothing in it is a probability. Days before the present one are told by the log as it is now."
        ),
        tag="Advice",
        query=AdviceQuery,
        answers={200: Answer("The advice", AdviceReport)},
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{adviceId}}/accept",
        handler=accept,
        operation_id="acceptAdvice",
        summary="Accept a piece of advice",
        description=(
            "Does what its `changes` say, and nothing else: each planned training gets its next version and its "
            "`training_updated` event, and `advice_accepted` is queued, all in one transaction. `day` is the day that "
            "the advice was read for: an id belongs to its day. What is accepted already is answered as it is."
        ),
        tag="Advice",
        query=AcceptQuery,
        request_headers=("Idempotency-Key",),
        answers={
            201: Answer("Accepted", AcceptedAdvice, headers=_HEADERS),
            200: Answer("It was accepted already", AcceptedAdvice, headers=_HEADERS),
        },
        problems=(problems.ADVICE_GONE, problems.KEY_REUSED),
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{adviceId}}/undo",
        handler=undo,
        operation_id="undoAdvice",
        summary="Undo advice that was accepted",
        description=(
            "Every training that still is as accepting left it says what it said before, as its next version, with an "
            "event of its own; `advice_undone` is queued, all in one transaction. What was done, begun, skipped, "
            "deleted or changed since stays as it is, and `stays` in its change says why. Where nothing is left to be "
            "put back, or later advice that changed the same training must be undone first, nothing is undone, and "
            "`detail` says which and why. What is undone already is answered as it is."
        ),
        tag="Advice",
        request_headers=("Idempotency-Key",),
        answers={200: Answer("Undone, as far as nothing was done since", AcceptedAdvice, headers=_HEADERS)},
        problems=(problems.PLAN_CHANGED,),
    ),
    Route(
        method="GET",
        path=f"{PATH}/accepted",
        handler=list_accepted,
        operation_id="listAcceptedAdvice",
        summary="List what was accepted, the latest first",
        description="With what each changed; what was undone since is there too, and says so.",
        tag="Advice",
        query=AcceptedQuery,
        answers={200: Answer("One page", AcceptedPage, headers=("Link",))},
    ),
)
