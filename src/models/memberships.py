"""Whom athletes let see and plan their trainings: memberships of groups, and what coaches did by them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.fields import Moment
from models.sets import Document

Scope = Literal["read", "plan"]
"""What the coaches of a group may do: `read` what the athlete trains and plans, but nothing about health and no advice,
or `plan` for the group."""


class MembershipBody(Document):
    """Body of PUT /users/{userId}/memberships/{group}."""

    scopes: Annotated[list[Scope], Field(min_length=1, max_length=2, json_schema_extra={"uniqueItems": True})]
    """What the group's coaches may do: `read` trainings and plans with what follows from them, but no check-ins,
    readiness, advice and form analyses; `plan` workouts and trainings."""


class MembershipDocument(BaseModel):
    """A group whose coaches the user has admitted."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    group_external_id: str
    """The group, as another service names it."""
    scopes: list[Scope]
    accepted_at: Moment
    """Since when, without a break; the scopes may have changed meanwhile."""


class MembershipPage(BaseModel):
    """One page of a user's memberships, by the names of their groups."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[MembershipDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class AccessDocument(BaseModel):
    """One time that a coach looked at something of the user's, or planned something."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    at: Moment
    actor: str
    """The subject of the coach's token, as in the history of what the coach planned."""
    coach_id: UUID
    """The coach's own user id."""
    group_external_id: str
    """The group by whose membership it was allowed."""
    scope: Scope
    operation: str
    """What was done: the operation's id in this description."""
    request_id: str
    """The request, as events that it caused name it."""


class AccessPage(BaseModel):
    """One page of coaches' accesses, newest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[AccessDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""
