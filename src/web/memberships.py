"""Memberships of groups over REST: whom a user lets coach, and what the coaches did by that."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.errors import Unprocessable
from models.fields import ExternalId, moment
from models.memberships import AccessPage, MembershipBody, MembershipDocument, MembershipPage
from storage.memberships import LoggedAccess, Membership, Memberships
from web import documents, problems
from web.problems import FORBIDDEN, Problem
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/memberships"
ACCESSES = "/api/v1/training/users/{userId}/accesses"


class MembershipQuery(BaseModel):
    """Query parameters of the list of memberships."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most memberships on one page."""
    cursor: ExternalId | None = None
    """`next_cursor` of the page before."""


class AccessQuery(BaseModel):
    """Query parameters of the list of accesses."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    """Most accesses on one page."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


async def save(call: Call[MembershipBody, None]) -> Reply:
    """PUT /users/{userId}/memberships/{group}."""
    group, scopes = call.names["group"], call.body.scopes
    if group not in call.caller.groups:
        raise Problem(FORBIDDEN, "The token's claim `groups` lacks this group.")
    if len(set(scopes)) < len(scopes):
        raise Unprocessable("A scope is named twice.", "/scopes")
    return Reply(200, orjson.dumps(_membership(await _memberships(call).save(call.user_id, group, scopes))))


async def revoke(call: Call[None, None]) -> Reply:
    """DELETE /users/{userId}/memberships/{group}."""
    topic = call.services.settings.events_topic
    await _memberships(call).revoke(documents.author(call), call.names["group"], topic)
    call.services.wake()
    return Reply(204)


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/memberships/{group}."""
    return Reply(200, orjson.dumps(_membership(await _memberships(call).read(call.user_id, call.names["group"]))))


async def list_(call: Call[None, MembershipQuery]) -> Reply:
    """GET /users/{userId}/memberships."""
    limit = call.query.limit
    found = await _memberships(call).page(call.user_id, after=call.query.cursor or "", limit=limit + 1)
    cursor = found[limit - 1].group if len(found) > limit else None
    return documents.page(call, [_membership(membership) for membership in found[:limit]], cursor)


async def accesses(call: Call[None, AccessQuery]) -> Reply:
    """GET /users/{userId}/accesses."""
    query = call.query
    after = documents.place(query.cursor) if query.cursor else None
    found = await _memberships(call).accesses(call.user_id, after=after, limit=query.limit + 1)
    page = found[: query.limit]
    cursor = documents.cursor(page[-1].at, page[-1].id) if len(found) > query.limit else None
    return documents.page(call, [_access(access) for access in page], cursor)


def _memberships(call: Call[Any, Any]) -> Memberships:
    return Memberships(call.services.database)


def _membership(stored: Membership) -> dict[str, object]:
    return {
        "group_external_id": stored.group,
        "scopes": stored.scopes,
        "accepted_at": moment(stored.accepted_at),
    }


def _access(logged: LoggedAccess) -> dict[str, object]:
    return {
        "at": moment(logged.at),
        "actor": logged.actor,
        "coach_id": logged.coach_id,
        "group_external_id": logged.group,
        "scope": logged.scope,
        "operation": logged.operation,
        "request_id": logged.request_id,
    }


ROUTES = (
    Route(
        method="PUT",
        path=f"{PATH}/{{group}}",
        handler=save,
        operation_id="saveMembership",
        summary="Let the coaches of a group read or plan",
        description=(
            "The coaches whose token names the group in `coach_of` may do from now on what the scopes say, and no "
            "more. `read` is to read trainings, workouts, phases, goals, own exercises and names, and the calendar, "
            "figures and prescriptions that follow from these; never check-ins, readiness, advice or form analyses. "
            "`plan` is to make, change and delete PLANNED trainings and workouts of this group. The user's own token "
            "must name the group in `groups`. The answer is 200 for a new membership too."
        ),
        tag="Coaching",
        texts=frozenset({"group"}),
        body=MembershipBody,
        body_example={"scopes": ["read", "plan"]},
        answers={200: Answer("The membership as it is now", MembershipDocument)},
        problems=(problems.FORBIDDEN,),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listMemberships",
        summary="List memberships, by the names of their groups",
        tag="Coaching",
        query=MembershipQuery,
        answers={200: Answer("One page", MembershipPage, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{group}}",
        handler=read,
        operation_id="readMembership",
        summary="Read a membership",
        tag="Coaching",
        texts=frozenset({"group"}),
        answers={200: Answer("The membership", MembershipDocument)},
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{group}}",
        handler=revoke,
        operation_id="revokeMembership",
        summary="End a membership",
        description=(
            "It counts at once: when it is answered, nothing is written by this membership any more, and nothing is "
            "begun to be read. What was planned stays, but for what the group still hid: that is deleted, with a "
            "`training_deleted` event for each."
        ),
        tag="Coaching",
        texts=frozenset({"group"}),
        answers={204: Answer("Ended")},
    ),
    Route(
        method="GET",
        path=ACCESSES,
        handler=accesses,
        operation_id="listAccesses",
        summary="Read what coaches looked at and planned, newest first",
        description=(
            "One entry for each request that a coach made by a membership for the user's data, whatever it came to; "
            "also where it asked for the figures of a group, or planned for one. It is stored by the request's first "
            "statement, of a stream before it, and of what was refused after it. Entries are removed after the days "
            "that the operator set (`TRAINING_ACCESS_LOG_DAYS`), 365 unless it is set otherwise."
        ),
        tag="Coaching",
        query=AccessQuery,
        answers={200: Answer("One page", AccessPage, headers=("Link",))},
    ),
)
