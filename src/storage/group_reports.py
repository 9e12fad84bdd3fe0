"""Reports of a group's athletes, for a coach of it: of those whose membership has the scope `read` at that moment.

A report is one statement. It writes one row into the log of accesses of each athlete of the page, and reads the figures
of no user but by that row: so what was read and the log of it come about together or not at all.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models.errors import UserErased
from models.group_reports import AthletesQuery, GroupLoadQuery, LeaderboardQuery
from models.load import LoadDay, Measure
from storage.database import Database, Parameters, Row
from storage.group_reports_statements import LEADERBOARDS, LOADS
from storage.groups import Coach
from storage.reports import load_day


@dataclass(frozen=True, slots=True)
class Totals:
    """A page of a leaderboard: its items as a JSON array, the greatest sum first.

    `next` is the id behind which the next page begins, None on the last. `as_of` (RFC 3339): every change that was
    accepted before is in the sums.
    """

    json: str
    next: UUID | None
    as_of: str


@dataclass(frozen=True, slots=True)
class LatestLoad:
    """The newest stored day of an athlete up to `today`, by `measure`; `first` is the first stored one."""

    measure: Measure
    today: dt.date
    first: dt.date
    day: LoadDay


@dataclass(frozen=True, slots=True)
class Loads:
    """A page of athletes in the order of their ids, each with the latest load, None where there is none; `next` and
    `as_of` as above."""

    athletes: list[tuple[UUID, LatestLoad | None]]
    next: UUID | None
    as_of: str


async def read_leaderboard(database: Database, coach: Coach, query: LeaderboardQuery) -> Totals:
    """The sums of the athletes of one page."""
    parameters = _asked(coach, query) | {"first": query.first, "last": query.last}
    return Totals(*await _read(database, LEADERBOARDS[query.metric], parameters))


async def read_loads(database: Database, coach: Coach, query: GroupLoadQuery) -> Loads:
    """The latest load of the athletes of one page, by the query's measure or the one by which each one's load is
    judged."""
    rows, *more = await _read(database, LOADS, _asked(coach, query) | {"measure": query.measure})
    return Loads([(UUID(user_id), _latest(*load)) for user_id, *load in rows], *more)


async def _read(database: Database, statement: str, parameters: Parameters) -> Row:
    try:
        return (await database.all(statement, parameters))[0]
    except UserErased:  # the coach, or an athlete a moment ago, who is left out next time
        return (await database.all(statement, parameters))[0]


def _latest(measure: str | None, today: str | None, first: str | None, day: list[Any] | None) -> LatestLoad | None:
    if measure is None or today is None or first is None or day is None:
        return None
    return LatestLoad(Measure(measure), dt.date.fromisoformat(today), dt.date.fromisoformat(first), load_day(day))


def _asked(coach: Coach, query: AthletesQuery) -> dict[str, object]:
    return {
        "group": coach.group,
        "actor": coach.actor,
        "coach_id": coach.user_id,
        "operation": coach.operation,
        "request_id": coach.request_id,
        "after": query.cursor,
        "limit": query.limit,
    }
