"""The feed of changes over REST, by which an app stays in step."""

from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field

from models.changes import Cursor, TrainingChanges
from storage.changes import Changes
from web import problems
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/trainings/changes"


class ChangesQuery(BaseModel):
    """Query parameters of the changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=200)] = 100
    """Most trainings on one page; of large ones fewer: `more` says whether there are more."""
    cursor: str | None = None
    """`next_cursor` of the page before, however long ago; without it the pages begin with the present state."""


async def changes(call: Call[None, ChangesQuery]) -> Reply:
    """GET /trainings/changes."""
    user, query = call.caller.user_id, call.query
    try:
        cursor = None if query.cursor is None else Cursor.of(query.cursor, user)
    except ValueError as error:
        raise problems.invalid_parameter("cursor", str(error)) from None
    page = await Changes(call.services.database).page(user, cursor, query.limit)
    next_cursor = page.cursor.text(user)
    items = [orjson.Fragment(item) for item in page.items]
    headers = {"Link": call.link("next", cursor=next_cursor)} if page.more else {}
    return Reply(200, orjson.dumps({"items": items, "next_cursor": next_cursor, "more": page.more}), headers)


ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=changes,
        operation_id="listTrainingChanges",
        summary="Stay in step: the changes since a cursor",
        description=(
            "Without a cursor the pages hold every training that there is; what the client has and they do not name is "
            "gone. Once `more` is false, keep `next_cursor`: with it come the changes since, in the order of their "
            "commits, each training once a page and as it is now, a deleted one as its tombstone. Nothing is left out "
            "and nothing comes twice, however many requests write meanwhile; what the client wrote itself comes too, "
            "with the version that it was answered. A cursor holds for ever, unless the database was restored or "
            "moved: then it answers 410, and the client begins without one."
        ),
        tag="Trainings",
        query=ChangesQuery,
        answers={200: Answer("One page", TrainingChanges, headers=("Link",))},
        problems=(problems.CURSOR_EXPIRED,),
    ),
)
