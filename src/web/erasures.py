"""The end of a user: everything of theirs goes, and nothing of theirs is taken any more."""

import datetime as dt
from typing import Any

import orjson

from models.erasures import ErasureDocument, ErasureStatus
from models.fields import moment
from models.sets import known
from storage.erasures import Erasure, Erasures
from web.routes import Answer, Call, Reply, Route

USER = "/api/v1/training/users/{userId}"
PATH = f"{USER}/erasure"
IDENTITY = "identity"  # the role of the service that knows users by name


async def erase(call: Call[None, None]) -> Reply:
    """DELETE /users/{userId}."""
    erasure = await Erasures(call.services.database).begin(call.user_id)
    body = orjson.dumps(_document(call, erasure))
    if erasure.status is ErasureStatus.DONE:
        return Reply(200, body)
    call.services.wake_erasures()
    return Reply(202, body, {"Location": PATH.format(userId=call.user_id)})


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/erasure."""
    erasure = await Erasures(call.services.database).read(call.user_id)
    return Reply(200, orjson.dumps(_document(call, erasure)))


def _document(call: Call[Any, Any], erasure: Erasure) -> dict[str, Any]:
    retention = dt.timedelta(days=call.services.settings.topic_retention_days)
    return known(
        {
            "status": erasure.status,
            "counts": erasure.counts,
            "waits_for": erasure.failure,
            "created_at": moment(erasure.created_at),
            "finished_at": None if erasure.finished_at is None else moment(erasure.finished_at),
            "topic_copies_until": None if erasure.published_at is None else (erasure.published_at + retention).date(),
        }
    )


ROUTES = (
    Route(
        method="DELETE",
        path=USER,
        handler=erase,
        operation_id="eraseUser",
        summary="Erase a user",
        description=(
            "Takes out everything of the user, as a job: `Location` tells how far it is. From this answer on nothing "
            "of the user is taken any more (410 `user-erased`), and there is no way back. The tables, the log, the "
            "archive, and what is derived from them hold nothing of the user in the end; what the user did as a coach "
            "stays in the athletes' logs, without a name. `user_erased` is the last event of the user, for who keeps "
            "copies; records on the topics age out. Asked for again it answers what became of it. For the user, and "
            f"for who carries the role `{IDENTITY}`."
        ),
        tag="Users",
        deputy=IDENTITY,
        answers={
            200: Answer("The user was erased before", ErasureDocument),
            202: Answer("The user is being erased", ErasureDocument, headers=("Location",)),
        },
    ),
    Route(
        method="GET",
        path=PATH,
        handler=read,
        operation_id="readErasure",
        summary="Read how far the erasure of a user is, and what it took out",
        description=f"For the user, and for who carries the role `{IDENTITY}`.",
        tag="Users",
        deputy=IDENTITY,
        answers={200: Answer("The erasure", ErasureDocument)},
    ),
)
