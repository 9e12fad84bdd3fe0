"""Streaks and milestones: pure functions from the days on which somebody trained.

A week is an ISO week of the athlete's local days, and counts where it has one completed training or more. A streak is
weeks in a row that count. It lasts until a whole week has gone by without a training: the week of today does not end
it while that week lasts. A week without a log counts as nothing, never as rest.

A milestone is the first local day at whose end a total reached a round number: 10, 25, 50, 100, 250 … trainings; 1000,
2500, 5000, 10 000 … repetitions; 10 000, 25 000, 50 000, 100 000 … kg of external load.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from models.streaks import DayTotals, Milestone, MilestoneKind, Streak, Streaks

METHOD_VERSION = 1  # grows with every change of a rule

RULES: Mapping[str, object] = {
    "streak": "ISO weeks in a row with a completed training; the present week does not end it while it lasts",
    "sessions": "10, 25, 50, 100, 250 … completed trainings",
    "reps": "1000, 2500, 5000, 10000 … repetitions",
    "external_load_kg": "10000, 25000, 50000, 100000 … kg",
}

LEAST_MILESTONES = {
    MilestoneKind.SESSIONS: 10,
    MilestoneKind.REPS: 1_000,
    MilestoneKind.EXTERNAL_LOAD_KG: 10_000,
}
_WEEK = dt.timedelta(weeks=1)


def streaks(days: Iterable[dt.date], today: dt.date) -> Streaks:
    """The streak that lasts as of `today`, and the longest; of several the newest. Days after `today` are left out."""
    mondays = sorted({day - dt.timedelta(days=day.weekday()) for day in days if day <= today})
    # Weeks in a row have the same first Monday when each is counted back by its place.
    runs = [
        [monday for _, monday in run]
        for _, run in groupby(enumerate(mondays), key=lambda place: place[1] - place[0] * _WEEK)
    ]
    found = [Streak(len(run), run[0], run[-1]) for run in runs]
    if not found:
        return Streaks()
    longest = max(reversed(found), key=lambda streak: streak.weeks)
    lasts = today - dt.timedelta(days=today.weekday()) - mondays[-1] <= _WEEK
    return Streaks(found[-1] if lasts else Streak(), longest)


def milestones(days: Iterable[DayTotals]) -> list[Milestone]:
    """The milestones that were reached, in the order in which they were."""
    ordered = sorted(days, key=attrgetter("day"))
    return sorted((one for kind in MilestoneKind for one in _reached(kind, ordered)), key=attrgetter("day"))


def _reached(kind: MilestoneKind, days: Iterable[DayTotals]) -> Iterator[Milestone]:
    rounds = _rounds(LEAST_MILESTONES[kind])
    value = next(rounds)
    total: int | Decimal = 0
    for day in days:
        total += getattr(day, kind)
        while total >= value:
            yield Milestone(kind, value, day.day)
            value = next(rounds)


def _rounds(least: int) -> Iterator[int]:
    """1, 2.5 and 5 times each power of ten, from `least`, itself such a power and above 1, on."""
    while True:
        yield from (least, least * 5 // 2, least * 5)
        least *= 10
