"""Groups over REST, for their coaches: the athletes of one, and a workout or a training for all of them at once."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from analytics import load, volume
from analytics.load_report import day_without_load, figures
from models.errors import NotFound
from models.group_reports import GroupLoad, GroupLoadQuery, Leaderboard, LeaderboardQuery
from models.groups import (
    CopyResult,
    CopyResults,
    GroupAthletes,
    GroupTraining,
    GroupWorkout,
    PlanResult,
    PlanResults,
)
from models.load import Ratio
from storage.group_reports import LatestLoad, read_leaderboard, read_loads
from storage.groups import Coach, Groups
from storage.workouts import Workouts
from web import documents
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/groups/{group}"
MOST = 100  # athletes of one request
_COPY = "copyWorkoutToGroup"
_PLAN = "planTrainingForGroup"
_LEADERBOARD = "readGroupLeaderboard"
_LOAD = "readGroupLoad"


class GroupQuery(BaseModel):
    """Query parameters of what is about a group's athletes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=MOST)] = MOST
    """Most athletes at once."""
    cursor: UUID | None = None
    """`next_cursor` of the answer before."""


async def athletes(call: Call[None, GroupQuery]) -> Reply:
    """GET /groups/{group}/athletes."""
    query = call.query
    found = await _groups(call).athletes(_group(call), after=query.cursor, limit=query.limit + 1)
    page = found[: query.limit]
    return documents.page(
        call,
        [athlete.model_dump(mode="json") for athlete in page],
        str(page[-1].user_id) if len(found) > query.limit else None,
    )


async def copy(call: Call[GroupWorkout, GroupQuery]) -> Reply:
    """POST /groups/{group}/workouts."""
    coach = _coach(call, _COPY)
    workouts = Workouts(call.services.database, call.services.settings.workout_events_topic)
    workout = await workouts.read(coach.user_id, call.body.workout_id)
    page, cursor = await _planned_for(call)
    done = await _groups(call).copy(coach, workout, page)
    call.services.wake()
    items = [CopyResult(user_id=user, workout_id=id_, outcome=outcome) for user, id_, outcome in done]
    return documents.page(call, [item.model_dump(mode="json") for item in items], cursor)


async def plan(call: Call[GroupTraining, GroupQuery]) -> Reply:
    """POST /groups/{group}/trainings."""
    coach = _coach(call, _PLAN)
    page, cursor = await _planned_for(call)
    done = await _groups(call).plan(coach, call.body, page)
    call.services.wake()
    items = [PlanResult(user_id=user, training_id=id_, outcome=outcome) for user, id_, outcome in done]
    return documents.page(call, [item.model_dump(mode="json") for item in items], cursor)


async def leaderboard(call: Call[None, LeaderboardQuery]) -> Reply:
    """GET /groups/{group}/leaderboard."""
    query = call.query
    found = await read_leaderboard(call.services.database, _coach(call, _LEADERBOARD), query)
    document = {
        "metric": query.metric,
        **{name: day for name, day in (("from", query.first), ("to", query.last)) if day is not None},
        "as_of": found.as_of,
        "method": {"version": volume.METHOD_VERSION, "rules": volume.RULES},
    }
    return documents.page(call, orjson.Fragment(found.json), _text(found.next), document)


async def loads(call: Call[None, GroupLoadQuery]) -> Reply:
    """GET /groups/{group}/load."""
    found = await read_loads(call.services.database, _coach(call, _LOAD), call.query)
    method = {"name": Ratio.COUPLED, "version": load.METHOD_VERSION, "rules": load.RULES}
    items = [{"user_id": athlete, **_latest(latest)} for athlete, latest in found.athletes]
    return documents.page(call, items, _text(found.next), {"as_of": found.as_of, "method": method})


def _latest(stored: LatestLoad | None) -> dict[str, Any]:
    """The athlete's present day: rows end where no mean of days has a load any more."""
    if stored is None:
        return {}
    past = stored.day.day < stored.today
    day = day_without_load(stored.today, stored.first) if past else stored.day
    return {"measure": stored.measure, "latest": figures(day)}


def _text(cursor: UUID | None) -> str | None:
    return None if cursor is None else str(cursor)


async def _planned_for(call: Call[Any, GroupQuery]) -> tuple[Sequence[UUID], str | None]:
    """The athletes of this page whom the caller may plan for, and where the next page begins."""
    query = call.query
    found = await _groups(call).athletes(_group(call), scope="plan", after=query.cursor, limit=query.limit + 1)
    page = [athlete.user_id for athlete in found[: query.limit]]
    return page, str(page[-1]) if len(found) > query.limit else None


def _group(call: Call[Any, Any]) -> str:
    group = call.names["group"]
    if group not in call.caller.coach_of:
        raise NotFound("There is no such group.")
    return group


def _coach(call: Call[Any, Any], operation: str) -> Coach:
    caller = call.caller
    return Coach(caller.user_id, caller.subject, _group(call), operation, call.request_id)


def _groups(call: Call[Any, Any]) -> Groups:
    settings = call.services.settings
    # The rest of the pool is for everybody else.
    at_once = max(1, settings.pool_size // 4)
    return Groups(call.services.database, settings.events_topic, settings.workout_events_topic, at_once=at_once)


_AGAIN = (
    "For at most `limit` athletes whose membership has the scope `plan`, by their ids; `next_cursor` goes on with the "
    "others. Each has a result of its own. Where the answer is lost, or is 503, send the request again: it does what "
    "was not done and changes nothing twice."
)

_READ = (
    "Of the athletes whose membership has the scope `read`, at most `limit`, by their ids; `next_cursor` goes on with "
    "the others. Each athlete's list of accesses tells of it. 404 for who does not coach the group."
)

ROUTES = (
    Route(
        method="GET",
        path=f"{PATH}/athletes",
        handler=athletes,
        operation_id="listGroupAthletes",
        summary="List the athletes of a group",
        description="Those who accepted the group, with what they let its coaches do. 404 for who is none of them.",
        tag="Coaching",
        texts=frozenset({"group"}),
        query=GroupQuery,
        answers={200: Answer("One page", GroupAthletes, headers=("Link",))},
    ),
    Route(
        method="POST",
        path=f"{PATH}/workouts",
        handler=copy,
        operation_id=_COPY,
        summary="Give a workout to every athlete of a group",
        description=(
            "Makes a copy of one of the coach's own workouts for each athlete, who owns it, and queues a "
            "`workout_created` event for each. Sent again after the workout was changed it brings the copies to the "
            "newer version (`workout_updated`); a copy that was changed or deleted meanwhile stays as it is. " + _AGAIN
        ),
        tag="Coaching",
        texts=frozenset({"group"}),
        query=GroupQuery,
        body=GroupWorkout,
        body_example={"workout_id": "0193f1a0-0000-7000-8000-0000000000aa"},
        answers={200: Answer("What became of each copy", CopyResults, headers=("Link",))},
    ),
    Route(
        method="POST",
        path=f"{PATH}/trainings",
        handler=plan,
        operation_id=_PLAN,
        summary="Plan a training for every athlete of a group",
        description=(
            "Makes a PLANNED training from each athlete's copy of the workout, as the copy is now, and queues a "
            "`training_created` event for each. One that is `hidden` is not shown to the athlete until a coach says "
            "so by PUT. One that was called off is planned again under another `plan_id`. " + _AGAIN
        ),
        tag="Coaching",
        texts=frozenset({"group"}),
        query=GroupQuery,
        body=GroupTraining,
        body_example={
            "workout_id": "0193f1a0-0000-7000-8000-0000000000aa",
            "date": "2026-01-07T18:30:00+01:00",
            "timezone": "Europe/Berlin",
        },
        answers={200: Answer("What became of each training", PlanResults, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/leaderboard",
        handler=leaderboard,
        operation_id=_LEADERBOARD,
        summary="Compare the athletes of a group",
        description=(
            "What the completed trainings of each athlete add up to between two local days, the greatest sum first; "
            "athletes who logged nothing have 0. " + _READ
        ),
        tag="Coaching",
        texts=frozenset({"group"}),
        query=LeaderboardQuery,
        answers={200: Answer("One page", Leaderboard, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/load",
        handler=loads,
        operation_id=_LOAD,
        summary="Read the present load of the athletes of a group",
        description=(
            "Each athlete's present day as the athlete's own report of load has it: acute and chronic load, the "
            "coupled ratio, and where it stands to the target zone. " + _READ
        ),
        tag="Coaching",
        texts=frozenset({"group"}),
        query=GroupLoadQuery,
        answers={200: Answer("One page", GroupLoad, headers=("Link",))},
    ),
)
