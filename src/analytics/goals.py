"""Goals: pure functions from a metric's values to how far a goal is, and to what they let expect by when it is due.

A value is the best of a local day; of a weekly metric the sum of an ISO week, 0 where nothing was done in it.

| figure | definition |
|---|---|
| start | the best value of the 28 days (weekly: the 4 weeks) before the goal's first day; else the first value since |
| best | the best value since the first day; the week that holds it counts from that day on |
| achieved | the first local day, from the first day on, on which a value is at the target or beyond |
| share | 1 once achieved; else (best − start) / (target − start), 0 at least; none where `RULES` says so |
| line | least squares through the values since the first day, at least those of 84 days; of weeks that are over |
| forecast | the line on the day that the goal is due on; weekly: for the week that holds it |
| interval | of 80 % of new values: line ± t · s · √(1 + 1/n + (x − x̄)² / Σ(x − x̄)²), t of n − 2 degrees of freedom |
| reached | the first days on which the upper end of the interval, the line and the lower end are at the target |

There is no forecast from fewer than 6 values, from a span of less than 21 days, for a day that lies more than twice the
span after the last value, and where the line does not rise to a target above it. Days without training tell nothing of
a movement. The interval assumes that the values go on along a straight line, scatter about it evenly, and independently
of each other. Values are exact; the line is computed in floating point, and rounded to 4 digits after the point.

Sources: the interval of a single new value is that of Draper and Smith, Applied Regression Analysis, 3rd ed. 1998,
section 3.1; Student's t by the expansion 26.7.5 of Abramowitz and Stegun 1964, from 4 degrees of freedom on within
0.0001 of the tables.
"""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from functools import cache
from statistics import NormalDist, fmean, linear_regression
from typing import NamedTuple

from analytics import goals_words as words
from analytics.strength import MAX_REPS
from analytics.words import named
from models.goals import Goal, GoalState, Point

METHOD_VERSION = 2  # grows with every change of a rule

START_DAYS = 28  # before a goal's first day
LINE_DAYS = 84  # that a line is put through at least
LEAST_VALUES = 6
LEAST_SPAN = 21  # days from the first value to the last
FARTHEST = 2  # spans after the last value
COVERAGE = 0.8
ASSUMES = (
    "It goes on along a straight line as in these values, which scatter about it evenly and independently of each "
    "other. Sessions that depend on each other scatter more than it says."
)

RULES: Mapping[str, object] = {
    "value": "best of a local day, by sets as records have them; weekly metrics: sum of an ISO week, 0 without any",
    "start": f"best value of the {START_DAYS} days before start_day (weekly: of the 4 weeks), else the first one since",
    "best": "best value since start_day; the week of start_day counts from that day on",
    "achieved": "first local day from start_day on at the target or beyond, also after due",
    "share": "1 once achieved; else (best - start) / (target - start), at least 0, rounded down to 4 digits; null "
    "before start_day, without a value since, and where start is at the target or beyond",
    "line": f"least squares through the values since start_day, at least of {LINE_DAYS} days; weeks that are over",
    "interval": "of a single new value: line +- t * s * sqrt(1 + 1/n + (x - mean)^2 / Sxx), t of n - 2 degrees",
    "coverage": COVERAGE,
    "least_values": LEAST_VALUES,
    "least_span_days": LEAST_SPAN,
    "farthest": f"{FARTHEST} spans after the last value",
    "states": "achieved; missed after due; on_track where the line is at the target on the day due, else behind; "
    "unknown before start_day and where there is no forecast, but behind where the line does not rise to the target",
}

_STEP = Decimal("0.0001")
_DAY, _WEEK = dt.timedelta(1), dt.timedelta(7)


class Reached(NamedTuple):
    """The first days on which the upper end of the interval, the line and the lower end are at the target or beyond;
    None where they are not before the forecast ends."""

    earliest: dt.date | None
    expected: dt.date | None
    latest: dt.date | None


class Forecast(NamedTuple):
    """What is expected of the value on a day. `low` and `high` are None where the values do not scatter."""

    day: dt.date
    value: float
    low: float | None
    high: float | None
    slope_per_week: float
    reached: Reached
    observations: int
    first: dt.date
    last: dt.date


class Progress(NamedTuple):
    """How far a goal is; what cannot be told is None. `share_reason` is why the share is. `points` are all values that
    were looked at, oldest first."""

    start: Point | None
    best: Point | None
    achieved: Point | None
    share: float | None
    share_reason: str | None
    state: GoalState
    reason: str
    forecast: Forecast | None
    forecast_reason: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Line:
    """The straight line through values, and how they scatter about it (`spread`, their standard deviation)."""

    first: dt.date
    last: dt.date
    count: int
    slope: float
    mean: float
    mean_day: float
    squares: float
    spread: float

    @classmethod
    def through(cls, points: Sequence[Point]) -> "Line":
        """The line of least squares through three values or more, of different days in order."""
        days = [float((point.day - points[0].day).days) for point in points]
        values = [float(point.value) for point in points]
        slope, intercept = linear_regression(days, values)
        mean_day = fmean(days)
        squares = math.fsum((day - mean_day) ** 2 for day in days)
        rests = ((value - intercept - slope * day) ** 2 for day, value in zip(days, values, strict=True))
        spread = math.sqrt(math.fsum(rests) / (len(points) - 2))
        if spread < 1e-9 * max(map(abs, values)):  # what is left of rounding
            spread = 0.0
        return cls(points[0].day, points[-1].day, len(points), slope, fmean(values), mean_day, squares, spread)

    def value(self, day: dt.date) -> float:
        """The line on that day."""
        return self.mean + self.slope * self._away(day)

    def margin(self, day: dt.date) -> float:
        """Half the width of the interval of a single value on that day."""
        away = self._away(day) ** 2 / self.squares
        return student(self.count - 2) * self.spread * math.sqrt(1 + 1 / self.count + away)

    def _away(self, day: dt.date) -> float:
        return (day - self.first).days - self.mean_day


@cache
def student(degrees: int) -> float:
    """How many standard deviations to either side hold `COVERAGE` of Student's t, of 4 degrees of freedom or more."""
    z = NormalDist().inv_cdf((1 + COVERAGE) / 2)
    return (
        z
        + (z**3 + z) / 4 / degrees
        + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / degrees**2
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / degrees**3
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160 / degrees**4
    )


def too_little(points: Sequence[Point]) -> str | None:
    """Why no line is put through these values; None where one is."""
    if len(points) < LEAST_VALUES:
        return f"A forecast needs {LEAST_VALUES} values, and there are {len(points)}."
    span = (points[-1].day - points[0].day).days
    if span < LEAST_SPAN:
        return f"A forecast needs values over {LEAST_SPAN} days, and these lie within {span}."
    return None


def progress(
    goal: Goal,
    days: Sequence[Point],
    day: dt.date,
    since: dt.date | None = None,
    trained: int = 0,
    *,
    fewest: int | None = None,
) -> Progress:
    """How far the goal is on a day. What was done later is left out.

    `days` are the metric's values of the local days on which it has one, oldest first, at least from `first_needed` on.
    `since` is the day of the athlete's first training: weeks before its own tell nothing of a weekly metric. `trained`
    is on how many days from `first_needed` on the movement was done, whether they have a value or not; `fewest` the
    fewest repetitions of a set of it that has a weight, where its training has no estimate of one repetition.
    """
    days = [point for point in days if point.day <= day]
    begin = goal.start_day
    if goal.metric.weekly:
        begin = _monday(begin)
        opened = _monday(since or day + _WEEK)  # without a training no week has begun
        after = _weeks((point for point in days if point.day >= goal.start_day), max(begin, opened), day)
        achieved = _week_at_target(goal, days)
        days = _weeks(days, max(first_needed(goal, day), opened), day)
        observed = [week for week in days if week.day + _WEEK <= day]
    else:
        after = [point for point in days if point.day >= begin]
        achieved = next((point for point in after if point.value >= goal.target), None)
        observed = days
    before = [point for point in observed if begin - dt.timedelta(START_DAYS) <= point.day < begin]
    best = _best(after)
    start = _best(before) or (after[0] if after else None)
    lined = [point for point in observed if point.day >= min(begin, day - dt.timedelta(LINE_DAYS))]
    unweighed = fewest is not None and fewest <= MAX_REPS
    nothing = "" if days else words.nothing(goal, first_needed(goal, day), trained, unweighed=unweighed)
    forecast = None
    if achieved is not None:
        state, reason = GoalState.ACHIEVED, words.achieved(goal, achieved)
        why = "The target was reached: there is nothing left to forecast."
    elif day > goal.due:
        in_time = _best(point for point in after if point.day <= goal.due)
        state, reason = GoalState.MISSED, f"{words.missed(goal, in_time, best)} {nothing}".rstrip()
        why = "The day that it was due on is over."
    else:
        state, forecast, why = _forecast(goal, day, lined)
        if day < goal.start_day:
            state, reason = GoalState.UNKNOWN, words.begins(goal)
        elif forecast is not None:
            reason = words.expected(goal, forecast.day, forecast.value)
        else:
            reason = nothing or why
    share, without = _share(goal, day, start, best, achieved)
    return Progress(start, best, achieved, share, without, state, reason, forecast, why, days)


def first_needed(goal: Goal, day: dt.date) -> dt.date:
    """The first day of which a value is looked at on `day`; of a weekly metric a Monday."""
    first = min(goal.start_day - dt.timedelta(START_DAYS), day - dt.timedelta(LINE_DAYS))
    return _monday(first) if goal.metric.weekly else first


def _monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(day.weekday())


def _weeks(days: Iterable[Point], first: dt.date, day: dt.date) -> list[Point]:
    """The sum of every week from the Monday `first` to the week of `day`."""
    sums: defaultdict[dt.date, Decimal] = defaultdict(Decimal)
    for point in days:
        sums[_monday(point.day)] += point.value
    count = max((_monday(day) - first).days // 7 + 1, 0)
    return [Point(monday, sums[monday]) for monday in (first + week * _WEEK for week in range(count))]


def _week_at_target(goal: Goal, days: Iterable[Point]) -> Point | None:
    """The day on which a week's sum reaches the target first, and that sum."""
    sums: defaultdict[dt.date, Decimal] = defaultdict(Decimal)
    for point in days:
        if point.day >= goal.start_day:
            monday = _monday(point.day)
            sums[monday] += point.value
            if sums[monday] >= goal.target:
                return Point(point.day, sums[monday])
    return None


def _best(points: Iterable[Point]) -> Point | None:
    """The greatest value, the first of equals."""
    return max(points, key=lambda point: point.value, default=None)


def _share(
    goal: Goal, day: dt.date, start: Point | None, best: Point | None, achieved: Point | None
) -> tuple[float | None, str | None]:
    """How much of the way is done, or why that cannot be told."""
    if achieved is not None:
        return 1.0, None
    if day < goal.start_day:
        return None, words.begins(goal)
    if start is None or best is None:
        return None, f"There is no value since {named(goal.start_day)}."
    if start.value >= goal.target:
        began, target = words.said(goal.metric, start.value), words.said(goal.metric, goal.target)
        return None, f"There is no way to go: it began at {began}, with a target of {target}."
    share = max((best.value - start.value) / (goal.target - start.value), Decimal(0))
    return float(share.quantize(_STEP, ROUND_DOWN)), None  # 1 is of what was achieved alone


def _forecast(goal: Goal, day: dt.date, points: Sequence[Point]) -> tuple[GoalState, Forecast | None, str]:
    why = too_little(points)
    if why is not None:
        return GoalState.UNKNOWN, None, why
    line = Line.through(points)
    at = _monday(goal.due) if goal.metric.weekly else goal.due
    span, ahead = (line.last - line.first).days, (at - line.last).days
    if ahead > FARTHEST * span:
        why = f"It is due {ahead} days after the last value: a forecast from {span} days goes {FARTHEST * span} ahead."
        return GoalState.UNKNOWN, None, why
    target = float(goal.target)
    if line.slope <= 0 and line.value(line.last) < target:
        fall = f"falls by {words.said(goal.metric, -line.slope * 7)} a week" if line.slope else "is level"
        return GoalState.BEHIND, None, f"The line through the {line.count} values {fall}, and the target is above it."
    value, margin = line.value(at), line.margin(at)
    low, high = (value - margin, value + margin) if line.spread else (None, None)
    if low is not None and not goal.metric.signed:
        low = max(low, 0.0)
    forecast = Forecast(
        at,
        round(value, 4),
        None if low is None else round(low, 4),
        None if high is None else round(high, 4),
        round(line.slope * 7, 4),
        _reached(goal, line, day, target),
        line.count,
        line.first,
        line.last,
    )
    why = f"If it goes on as in the {line.count} values from {named(line.first)} to {named(line.last)}: "
    why += f"{words.said(goal.metric, value)} {words.when(goal, at)}"
    if low is None or high is None:
        why += ". The values lie on a line exactly, which tells nothing of how they will scatter."
    else:
        lowest, highest = words.said(goal.metric, low), words.said(goal.metric, high)
        why += f", and {COVERAGE:.0%} of such values between {lowest} and {highest}."
    if forecast.reached.expected is not None:
        why += f" Then the target is reached {words.when(goal, forecast.reached.expected)}."
    else:
        why += f" The target is not reached by {named(line.last + FARTHEST * (line.last - line.first))}, up to which a "
        why += "forecast goes."
    return GoalState.ON_TRACK if value >= target else GoalState.BEHIND, forecast, why


def _reached(goal: Goal, line: Line, day: dt.date, target: float) -> Reached:
    step = _WEEK if goal.metric.weekly else _DAY
    first = line.last + step if goal.metric.weekly else max(line.last + step, day)
    count = (line.last + FARTHEST * (line.last - line.first) - first) // step + 1

    def when(edge: Callable[[dt.date], float]) -> dt.date | None:
        ahead = (first + step * n for n in range(count))
        return next((at for at in ahead if edge(at) >= target), None)

    if not line.spread:
        return Reached(None, when(line.value), None)
    return Reached(
        when(lambda at: line.value(at) + line.margin(at)),
        when(line.value),
        when(lambda at: line.value(at) - line.margin(at)),
    )
