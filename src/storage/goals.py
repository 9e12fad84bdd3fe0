"""Goals with the values that they are held against, read out of the derived tables by one statement.

The goals themselves are documents: see `storage.documents`.
"""

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from models.errors import NotFound
from models.goals import Goal, GoalProgressQuery, Point
from models.stored import readable
from storage.database import Runner
from storage.documents import StoredDocument, stored
from storage.goals_statements import PROGRESS

MOST_GOALS = 100  # of one answer, those created last


@dataclass(frozen=True, slots=True)
class HeldGoal:
    """A goal, and its metric's values of the local days on which it has one, oldest first.

    `trained` is on how many days its movement was done, whether they have a value or not; `fewest` the fewest
    repetitions of a set of it that has a weight, where its training has no estimate of one repetition (of `e1rm_kg`
    alone).
    """

    stored: StoredDocument
    goal: Goal
    days: list[Point]
    trained: int
    fewest: int | None


@dataclass(frozen=True, slots=True)
class HeldGoals:
    """Goals of one user, those created last first. `as_of` and `stale` are those of `storage.reports`.

    `day` is the day that was asked for, or else the athlete's present one (`storage.today`); no value is of a later
    day. `since` is the day of the first training, None where there is none.
    """

    as_of: str
    stale: bool | None
    day: dt.date
    since: dt.date | None
    goals: list[HeldGoal]


async def read_goals(
    runner: Runner,
    user_id: UUID,
    query: GoalProgressQuery,
    *,
    start_days: int,
    line_days: int,
    id_: UUID | None = None,
) -> HeldGoals:
    """The user's goals, at most `MOST_GOALS`; with `id_` that one, or else `NotFound` is raised. One of a metric of a
    later version is passed over.

    Each has its values from `start_days` before its first day and `line_days` before the day that is asked for on.
    """
    training, version = query.awaited or (None, None)
    parameters: dict[str, Any] = {
        "user_id": user_id,
        "coach_of": None,
        "training": training,
        "version": version,
        "id": id_,
        "day": query.day,
        "start_days": start_days,
        "line_days": line_days,
        "limit": MOST_GOALS,
    }
    rows = await runner.all(PROGRESS, parameters)
    as_of, stale, day, since, _, _, found, *_ = rows[0]
    if found is None and id_ is not None:
        raise NotFound("There is no such goal.")
    held = [] if found is None else readable(partial(_held, user_id), (row[4:] for row in rows))
    if not held and id_ is not None:
        raise NotFound("What the goal is about is not known here: a later version of the service stored it.")
    return HeldGoals(as_of, stale, day, since, held)


def _held(user_id: UUID, row: tuple[Any, ...]) -> HeldGoal:
    trained, fewest, *document, days, values, trainings = row
    points = map(Point, days or (), values or (), trainings or ())
    return HeldGoal(stored(user_id, document), Goal.of(orjson.loads(document[-1])), list(points), trained, fewest)
