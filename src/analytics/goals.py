"""Goals: pure functions from a metric's values to how far a goal is, and to what they let expect by when it is due.

A value is the best of a local day; of a weekly metric the sum of an ISO week, 0 where nothing was done in it.

| figure | definition |
|---|---|
| start | the best value of the 28 days (weekly: the 4 weeks) before the goal's first day; else the first value since |
| best | the best value since the first day; the week that holds it counts from that day on |
| achieved | the first local day, from the first day on, on which a value is at the target or beyond |
| share | (best − start) / (target − start), within 0 to 1; none where the start is at the target or beyond |
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
from decimal import Decimal
from functools import cache
from statistics import NormalDist, fmean, linear_regression
from typing import NamedTuple

from models.goals import UNITS, Goal, GoalState, Point

METHOD_VERSION = 1  # grows with every change of a rule

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
    "share": "(best - start) / (target - start), within 0 to 1",
    "line": f"least squares through the values since start_day, at least of {LINE_DAYS} days; weeks that are over",
    "interval": "of a single new value: line +- t * s * sqrt(1 + 1/n + (x - mean)^2 / Sxx), t of n - 2 degrees",
    "coverage": COVERAGE,
    "least_values": LEAST_VALUES,
    "least_span_days": LEAST_SPAN,
    "farthest": f"{FARTHEST} spans after the last value",
    "states": "achieved; missed after due; on_track where the line is at the target on the day due, else behind; "
    "unknown before start_day and where there is no forecast, but behind where the line does not rise to the target",
}

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
    """How far a goal is; what cannot be told is None. `points` are all values that were looked at, oldest first."""

    start: Point | None
    best: Point | None
    achieved: Point | None
    share: float | None
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


def progress(goal: Goal, days: Sequence[Point], day: dt.date, since: dt.date | None = None) -> Progress:
    """How far the goal is on a day. What was done later is left out.

    `days` are the metric's values of the local days on which it has one, oldest first, at least from `first_needed` on.
    `since` is the day of the athlete's first training: weeks before its own tell nothing of a weekly metric.
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
    state, reason, forecast, why = _judged(goal, day, best, achieved, lined)
    return Progress(start, best, achieved, _share(goal, start, best), state, reason, forecast, why, days)


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


def _share(goal: Goal, start: Point | None, best: Point | None) -> float | None:
    if start is None or best is None or start.value >= goal.target:
        return None
    share = (best.value - start.value) / (goal.target - start.value)
    return float(round(min(max(share, Decimal(0)), Decimal(1)), 4))


def _judged(
    goal: Goal, day: dt.date, best: Point | None, achieved: Point | None, lined: Sequence[Point]
) -> tuple[GoalState, str, Forecast | None, str]:
    """The state and its reason; the forecast, and what it says or why there is none."""
    target = _said(goal, goal.target)
    if achieved is not None:
        late = (achieved.day - goal.due).days
        reason = f"{_said(goal, achieved.value)} on {achieved.day} reached the target of {target}"
        reason += f", {late} days after it was due." if late > 0 else "."
        return GoalState.ACHIEVED, reason, None, "The target was reached: there is nothing left to forecast."
    if day > goal.due:
        done = "nothing was logged" if best is None else f"the best was {_said(goal, best.value)}, on {best.day}"
        reason = f"The target of {target} was due on {goal.due}, and since {goal.start_day} {done}."
        return GoalState.MISSED, reason, None, "The day that it was due on is over."
    state, forecast, why = _forecast(goal, day, lined)
    if day < goal.start_day:
        return GoalState.UNKNOWN, f"The goal begins on {goal.start_day}.", forecast, why
    if forecast is None:
        return state, why, None, why
    expected = f"Expected {_when(goal, forecast.day)}: {_said(goal, forecast.value)}"
    missing = float(goal.target) - forecast.value
    if missing <= 0:
        return state, f"{expected}; the target is {target}.", forecast, why
    less = _said(goal, missing) if missing >= 0.05 else "a little"
    return state, f"{expected}, {less} less than the target of {target}.", forecast, why


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
        fall = f"falls by {_said(goal, -line.slope * 7)} a week" if line.slope else "is level"
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
    why = f"If it goes on as from {line.first} to {line.last} ({line.count} values): "
    why += f"{_said(goal, value)} {_when(goal, at)}"
    if low is None or high is None:
        why += ". The values lie on a line exactly, which tells nothing of how they will scatter."
    else:
        why += f", and {COVERAGE:.0%} of such values between {_said(goal, low)} and {_said(goal, high)}."
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


def _said(goal: Goal, value: Decimal | float) -> str:
    """A value with its unit, for people: as it was logged or said, or one that was computed to one digit."""
    text = f"{value:,.4f}".rstrip("0").rstrip(".") if isinstance(value, Decimal) else f"{value:,.1f}".removesuffix(".0")
    unit = UNITS[goal.metric]
    word = {"reps": "repetition", "trainings": "training", "sets": "set"}.get(unit)
    return f"{text} {unit}" if word is None else f"{text} {word}{'' if text == '1' else 's'}"


def _when(goal: Goal, day: dt.date) -> str:
    return f"in the week from {day} on" if goal.metric.weekly else f"on {day}"
