"""The calendar of a user's plan over REST: what was planned, what became of it, the phases around it, and what the next
session of each workout prescribes.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson

from analytics import progression
from analytics.calendar import MOST_OF_ONE, MOST_PRESCRIBED, items, told
from analytics.progression_ladder import Ladder
from analytics.progression_workouts import next_items, prescriptions, workout_walks
from models.calendar import Ahead, Calendar, CalendarQuery
from models.exercises import Catalogue
from models.progression import ExerciseWalk
from models.sets import known
from storage.calendar import StoredCalendar, read_calendar
from storage.progression import Histories, read_histories_on
from web.problems import VALIDATION, Problem
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/calendar"
MOST_ITEMS = 5000  # trainings, or phases, of one calendar


async def read(call: Call[None, CalendarQuery]) -> Reply:
    """GET /users/{userId}/calendar."""
    query = call.query
    found = await read_calendar(
        call.services.database,
        call.user_id,
        first=query.first,
        last=query.last,
        day=query.day,
        limit=MOST_ITEMS + 1,
    )
    if max(len(found.trainings), len(found.phases)) > MOST_ITEMS:
        faults = [{"parameter": "to", "message": "must be given" if query.last is None else "must be earlier"}]
        raise Problem(VALIDATION, f"The calendar has more than {MOST_ITEMS} trainings or phases.", faults)
    prescribed = await _prescribed(call, found)
    method = {"version": progression.METHOD_VERSION, "rules": progression.RULES}
    document: dict[str, Any] = {
        "user_id": call.user_id,
        "from": found.first,
        "to": found.last,
        "day": found.day,
        "method": method if prescribed else None,
        "phases": [known(dict(phase)) for phase in found.phases],
        "items": items(
            found.trainings,
            found.phases,
            found.day,
            accepted=found.accepted,
            ahead=found.ahead,
            prescribed=prescribed,
        ),
    }
    return Reply(200, orjson.dumps(known(document)))


async def _prescribed(call: Call[None, CalendarQuery], found: StoredCalendar) -> dict[UUID, list[dict[str, Any]]]:
    """What the sessions that come next prescribe, by their trainings. Where there are none, nothing is read."""
    asked = told(found.trainings, found.ahead)
    if not asked:
        return {}
    catalogue = await call.services.catalogue.get()
    days = {workout: those[-1].day for workout, those in asked.items()}
    read = await read_histories_on(call.services.database, call.user_id, days)
    return await asyncio.to_thread(_following, asked, read, catalogue)  # a long log takes longer than the loop can wait


def _following(
    asked: Mapping[UUID, Sequence[Ahead]], read: Iterable[Histories], catalogue: Catalogue
) -> dict[UUID, list[dict[str, Any]]]:
    """What each training prescribes, as the report of its workout has it for its day, without the evidence."""
    ladder, following = Ladder.of(catalogue), {}
    for histories in read:
        for history in histories.workouts:
            walked: tuple[int, list[ExerciseWalk]] | None = None
            for one in asked[history.workout_id]:
                done = tuple(training for training in history.trainings if training.day <= one.day)
                if walked is None or walked[0] != len(done):  # the same trainings: `history` has the newest first
                    walked = len(done), workout_walks(replace(history, trainings=done), ladder, 0)
                walks = walked[1]
                prescribed = prescriptions(walks, one.deload, lighter=one.lighter)
                following[one.training_id] = [
                    item.model_dump(mode="json", exclude_none=True, exclude={"prescription": {"evidence"}})
                    for item in next_items(walks, prescribed)
                ]
    return following


ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=read,
        operation_id="readCalendar",
        summary="Read the calendar of the plan",
        description=(
            "The trainings of a range of local days, each with what became of it: planned, moved (it lies on another "
            "day than the one on which its phase lays it, as the phase now says), begun, done, missed (its day is "
            "over) or skipped; and the phases that have days in the range. A training holds the numbers that its "
            "workout had when it was laid. Where the workout has a rule of progression, what the session prescribes by "
            "now is told beside it, in `prescriptions`: of the training that comes next, since those after it follow "
            "from that one. Light ones stand outside of progression: where such come first, each tells its own, and so "
            f"does the first after them. Of {MOST_PRESCRIBED} workouts at most, those that come first, and "
            f"{MOST_OF_ONE} trainings of each. `day` decides what is missed and what is to come, and nothing more. "
            "Without `from` and `to`: this week and the next four."
        ),
        tag="Phases",
        scope="read",
        query=CalendarQuery,
        answers={200: Answer("The calendar", Calendar)},
    ),
)
