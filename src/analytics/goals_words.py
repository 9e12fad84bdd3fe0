"""What is said of a goal: pure functions from its figures to sentences."""

import datetime as dt
from decimal import Decimal

from analytics.words import named
from models.goals import UNITS, Goal, GoalMetric, Point

_LACK = {
    GoalMetric.E1RM_KG: "has 1 to 12 repetitions with a load (where your body is part of it, log your body mass with "
    "the training)",
    GoalMetric.WEIGHT_KG: "has a weight",
    GoalMetric.REPS: "has repetitions at {} or more",
    GoalMetric.HOLD_SECONDS: "was held, with its seconds and no repetition",
    GoalMetric.SESSION_VOLUME_KG: "has a weight",
}


def said(metric: GoalMetric, value: Decimal | float) -> str:
    """A value with its unit: as it was logged or said, or one that was computed to one digit."""
    text = f"{value:,.4f}".rstrip("0").rstrip(".") if isinstance(value, Decimal) else f"{value:,.1f}".removesuffix(".0")
    unit = UNITS[metric]
    word = {"reps": "repetition", "trainings": "training", "sets": "set"}.get(unit)
    return f"{text} {unit}" if word is None else f"{text} {word}{'' if text == '1' else 's'}"


def when(goal: Goal, day: dt.date) -> str:
    """On that day; of a weekly metric in the week that begins on it."""
    return f"in the week from {named(day)} on" if goal.metric.weekly else f"on {named(day)}"


def begins(goal: Goal) -> str:
    """That it has not begun."""
    return f"The goal begins on {named(goal.start_day)}."


def achieved(goal: Goal, point: Point) -> str:
    """When it was reached, and with what."""
    late = (point.day - goal.due).days
    after = "" if late <= 0 else f", {'a day' if late == 1 else f'{late} days'} after it was due"
    value, target = said(goal.metric, point.value), said(goal.metric, goal.target)
    return f"Reached on {named(point.day)}{after}: {value}, and the target is {target}."


def missed(goal: Goal, in_time: Point | None, best: Point | None) -> str:
    """That the day due is over. `in_time` is the best value up to it, `best` that up to now."""
    due = f"The target of {said(goal.metric, goal.target)} was due on {named(goal.due)}."
    if in_time is None:
        due += " There was no value by then."
    else:
        due += f" The best by then was {said(goal.metric, in_time.value)}, {when(goal, in_time.day)}."
    if best is not None and (in_time is None or best.value > in_time.value):
        due += f" Since then the best is {said(goal.metric, best.value)}, {when(goal, best.day)}."
    return due


def expected(goal: Goal, day: dt.date, value: float) -> str:
    """How what is expected for a day stands to the target."""
    head = f"Expected {when(goal, day)}: {said(goal.metric, value)}"
    target, missing = said(goal.metric, goal.target), float(goal.target) - value
    if missing <= 0:
        return f"{head}; the target is {target}."
    less = said(goal.metric, missing) if missing >= 0.05 else "a little"
    return f"{head}, {less} less than the target of {target}."


def nothing(goal: Goal, since: dt.date, trained: int, *, unweighed: bool) -> str:
    """Why there is no value since then, though the movement was done on so many days; `unweighed` where an estimate of
    one repetition wants nothing but the body's mass."""
    if goal.metric.weekly:
        return "No training is completed yet."
    if not trained:
        return f"Since {named(since)} it was not trained."
    done = f"Since {named(since)} it was trained on {'a day' if trained == 1 else f'{trained} days'}"
    if unweighed and goal.metric is GoalMetric.E1RM_KG:
        why = "its e1RM has the body's part of the load in it. Log your body mass with the training."
        return f"{done}, without a body mass: {why}"
    lack = _LACK[goal.metric].format(said(GoalMetric.WEIGHT_KG, goal.at_weight_kg))
    return f"{done}, and no set of it that counts {lack}."
