"""Readiness: a pure function from an athlete's check-ins, and from what was planned and done, to how each day compares
with the athlete's own 28 days before it.

A component has one value a day, or none. Its value of the day is set beside its values on the 28 days before, the day
itself left out: z = (value - mean) / max(s, floor), s with n - 1, signed so that higher is better; its score is
50 + 20 z, at least 0 and at most 100. So 50 is the athlete's own mean, and 2.5 spreads on the worse side of it are 0.

| component | value | better | floor of s | weight |
|---|---|---|---|---|
| hooper | sum of sleep, fatigue, stress and soreness, where all four are given: 4 to 28 | lower | 2 points | 0.40 |
| hrv | ln rMSSD in ms | higher | 0.05 | 0.20 |
| performance | of the sets planned on the 7 days before: done and met / all | higher | 0.1 | 0.15 |
| resting_heart_rate | beats a minute | lower | 2 bpm | 0.10 |
| sleep_hours | hours | higher | 0.5 h | 0.10 |
| bodyweight | kg | a loss is worse, a gain counts neither way | 0.5 kg | 0.05 |

A component is null on a day without its value, and where fewer than 7 of the 28 days before have one. The score of a
day is the mean of the known components' scores by their weights; null where none is known. The confidence is the sum of
weight * n / 28 over the known components, n the days before that have a value. So it never rises when a value is taken
away, and without one there is no score. Below a confidence of 0.1, which a Hooper index with 7 days before it has, the
words do not call the day above or below the usual one.

A day without data has no value: it is neither rest nor recovery, and nothing is filled in. What a planned set is and
when it is met is `analytics.adherence`'s to say. Sets of a training that was planned and missed, or skipped, count as
planned and not met; without a planned set in the 7 days before there is no performance. With fewer than four items
there is no Hooper index: the sum of three is another scale, and an estimate of the fourth would be made up.

All is computed in whole numbers of 10^-4, to which every value is rounded, until z is divided: adding a constant to
all values of a component changes its z in no bit.

Sources. The items and their sum: Hooper and Mackinnon 1995. That an athlete is compared with the athlete's own days,
and by the logarithm of rMSSD: Plews et al. 2013, Buchheit 2014. That what is felt weighs most: Saw et al. 2016; Rabbani
et al. 2019 found the index less noisy than heart rate variability after matches. The weights, the factor 20, the least
number of days and the floors are this project's own choices: a floor is about the least difference that the measure can
tell (a point of one item, so the square root of 4 of four items), so that a point more after a month of equal days is
no alarm. It says how a day compares with others, nothing of health, and is no diagnosis.
"""

import datetime as dt
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from models.readiness import (
    CheckInValues,
    ComponentName,
    PlannedSets,
    ReadinessComponent,
    ReadinessEvidence,
    ReadinessItem,
)

METHOD_VERSION = 1  # grows with every change of a rule
BASELINE_DAYS = 28
LEAST_VALUES = 7
PERFORMANCE_DAYS = 7
DAYS_BEFORE = BASELINE_DAYS + PERFORMANCE_DAYS  # whose data the readiness of a day needs beside its own
LEAST_CONFIDENCE = 0.1  # from where on a day is set beside the usual one: a Hooper index with 7 days before it
USUAL, HIGH, LOW = 50, 60, 40  # scores: the athlete's mean; from where on a day is above the usual, and below it

_FACTOR = 20  # points of score for a spread
_SCALE = 10_000
_TELLING = 1.0  # points by which a component moves the score, from where on it is named
_MOST_NAMED = 3
_NOTICED, _MUCH = 0.5, 1.5  # spreads from where on a value is called better or worse, and much so
_ITEMS = ("sleep", "fatigue", "stress", "soreness")

_Lately = Sequence[PlannedSets]  # the trainings of the 7 days before a day


def hooper(values: CheckInValues) -> int | None:
    """The Hooper index: the sum of the four items, 4 to 28, lower is better; None where one is missing."""
    return None if _missing(values) else sum(getattr(values, name) for name in _ITEMS)


def _missing(values: CheckInValues) -> list[str]:
    return [name for name in _ITEMS if getattr(values, name) is None]


def _hrv(values: CheckInValues, _: _Lately) -> float | None:
    return None if values.hrv_rmssd_ms is None else math.log(values.hrv_rmssd_ms)


def _performance(_: CheckInValues, lately: _Lately) -> float | None:
    planned = sum(training.planned for training in lately)
    return sum(training.met for training in lately) / planned if planned else None


class _Rule(NamedTuple):
    """A component: what it is called, its unit, its weight in hundredths, and the floor of its spread.

    `better` is 1 where more is better, and -1 where less is. `read` is its value of a day, and `text` says a value in
    the words of athletes. Of one that is `one_sided` only the side that is `worse`, in a word, counts.
    """

    name: ComponentName
    label: str
    unit: str
    weight: int
    floor: float
    better: int
    read: Callable[[CheckInValues, _Lately], float | None]
    text: Callable[[float], str]
    one_sided: bool = False
    worse: str = "worse"


_RULES = (
    _Rule(ComponentName.HOOPER, "Hooper index", "points", 40, 2, -1, lambda c, _: hooper(c), "{:.3g}".format),
    _Rule(ComponentName.HRV, "heart rate variability", "ln ms", 20, 0.05, 1, _hrv, lambda x: f"{math.exp(x):.3g} ms"),
    _Rule(ComponentName.PERFORMANCE, "planned sets on target", "ratio", 15, 0.1, 1, _performance, "{:.0%}".format),
    _Rule(
        ComponentName.RESTING_HEART_RATE,
        "resting heart rate",
        "bpm",
        10,
        2,
        -1,
        lambda c, _: c.resting_heart_rate,
        "{:.3g} bpm".format,
    ),
    _Rule(ComponentName.SLEEP_HOURS, "sleep", "h", 10, 0.5, 1, lambda c, _: c.sleep_hours, "{:.1f} h".format),
    _Rule(
        ComponentName.BODYWEIGHT,
        "body mass",
        "kg",
        5,
        0.5,
        1,
        lambda c, _: c.bodyweight_kg,
        "{:.1f} kg".format,
        one_sided=True,
        worse="lower",
    ),
)
_WEIGHTS = sum(rule.weight for rule in _RULES)

RULES: Mapping[str, object] = {
    "compared_with": "the athlete's own values of the 28 days before, the day itself left out",
    "hooper": "sleep + fatigue + stress + soreness, 1 to 7 each, where all four are given; lower is better",
    "hrv": "ln of rMSSD in ms; higher is better",
    "performance": "of the sets with a target on the 7 days before: done and met / all, none of a missed or skipped "
    "training's being met; higher is better",
    "resting_heart_rate": "beats a minute; lower is better",
    "sleep_hours": "hours; more is better",
    "bodyweight": "kg; a loss counts against, a gain neither way",
    "baseline_days": BASELINE_DAYS,
    "least_values": LEAST_VALUES,
    "z": "(value - mean) / max(standard deviation with n - 1, floor), signed so that higher is better",
    "component_score": "50 + 20 * z, from 0 to 100",
    "score": "mean of the known components' scores by their weights; null where none is known",
    "confidence": "sum of weight * n / 28 over the known components, n the days before with a value",
    "least_confidence": f"{LEAST_CONFIDENCE:g}; below it the words do not set the day beside the usual one",
    "gap": "a day without data has no value: it is neither rest nor recovery",
    "weights": {rule.name.value: rule.weight / _WEIGHTS for rule in _RULES},
    "floors": {rule.name.value: rule.floor for rule in _RULES},
    "says": "how a day compares with the athlete's own; nothing of health, no diagnosis",
}


class _Figures(NamedTuple):
    """A component of a day, before anything is rounded. `n` of the days before have a value."""

    rule: _Rule
    value: float | None
    n: int
    mean: float | None
    spread: float | None
    z: float | None
    score: float | None

    @property
    def said(self) -> str:
        """The value in words; beside the mean where the two may be compared."""
        if self.value is None:
            return self.rule.label
        usual = "" if self.mean is None or self.z is None else f" (usually {self.rule.text(self.mean)})"
        return f"{self.rule.label} {self.rule.text(self.value)}{usual}"


def readiness(
    check_ins: Iterable[CheckInValues], trainings: Iterable[PlannedSets], first: dt.date, last: dt.date
) -> list[ReadinessItem]:
    """Every calendar day from `first` to `last`, in order.

    `check_ins` are at most one a day; `trainings` are those that were begun, and those that were not and whose day is
    over. Both are in any order. Those of the `DAYS_BEFORE` days before `first` count too. The work grows with the days.
    """
    by_day = {values.day: values for values in check_ins}
    base = first.toordinal() - BASELINE_DAYS
    days = [dt.date.fromordinal(place) for place in range(base, last.toordinal() + 1)]
    values = [by_day.get(day, CheckInValues(day)) for day in days]
    lately = _lately(trainings, days)
    series = [[_units(rule.read(one, lately[one.day])) for one in values] for rule in _RULES]
    observed = [day in by_day for day in days]
    found = []
    for place in range(BASELINE_DAYS, len(days)):
        begin = place - BASELINE_DAYS
        figures = [_figures(rule, known[begin : place + 1]) for rule, known in zip(_RULES, series, strict=True)]
        found.append(_item(values[place], lately[days[place]], figures, sum(observed[begin:place])))
    return found


def _lately(trainings: Iterable[PlannedSets], days: Collection[dt.date]) -> dict[dt.date, list[PlannedSets]]:
    """Of each day, the trainings of the 7 days before it that planned a set, in order."""
    found: dict[dt.date, list[PlannedSets]] = {day: [] for day in days}
    for training in sorted(trainings, key=lambda one: (one.day, one.training_id)):
        for later in range(1, PERFORMANCE_DAYS + 1):
            day = training.day + dt.timedelta(later)
            if training.planned and day in found:
                found[day].append(training)
    return found


def _units(value: float | None) -> int | None:
    return None if value is None else round(value * _SCALE)


def _figures(rule: _Rule, series: Sequence[int | None]) -> _Figures:
    """Of a day whose value comes last in the series, behind those of the 28 days before it."""
    *before, value = series
    known = [one for one in before if one is not None]
    n, total = len(known), sum(known)
    mean = total / n / _SCALE if n else None
    spread = z = score = None
    if n > 1:
        spread = math.sqrt((n * sum(one * one for one in known) - total * total) / (n * (n - 1))) / _SCALE
    if value is not None and spread is not None and n >= LEAST_VALUES:
        z = rule.better * (n * value - total) / n / _SCALE / max(spread, rule.floor)
        if rule.one_sided:
            z = min(z, 0.0)
        score = min(max(USUAL + _FACTOR * z, 0.0), 100.0)
    return _Figures(rule, None if value is None else value / _SCALE, n, mean, spread, z, score)


def _item(values: CheckInValues, lately: _Lately, components: Sequence[_Figures], observed: int) -> ReadinessItem:
    known = [(one, one.score) for one in components if one.score is not None]
    weights = sum(one.rule.weight for one, _ in known)
    # By how many points each component moves the score away from that of the usual day.
    moves = [(one.rule.weight * (score - USUAL) / weights, one) for one, score in known]
    score = USUAL + sum(points for points, _ in moves) if known else None
    confidence = round(sum(one.rule.weight * one.n for one, _ in known) / (_WEIGHTS * BASELINE_DAYS), 4)
    return ReadinessItem(
        day=values.day,
        score=_rounded(score, 1),
        confidence=confidence,
        reason=(_without_score(components, values) if score is None else _in_words(moves, score, confidence))
        + _lacks(values),
        hooper=hooper(values),
        observed_days=observed,
        components=[_told(one, values, lately) for one in components],
    )


def _told(found: _Figures, values: CheckInValues, lately: _Lately) -> ReadinessComponent:
    return ReadinessComponent(
        name=found.rule.name,
        value=found.value,
        unit=found.rule.unit,
        mean=_rounded(found.mean),
        spread=_rounded(found.spread),
        floor=found.rule.floor,
        n=found.n,
        z=_rounded(found.z),
        score=_rounded(found.score, 1),
        weight=found.rule.weight / _WEIGHTS,
        reason=_without_value(found.rule, values) if found.value is None else _reason(found),
        evidence=_evidence(found.rule, values.day, lately),
    )


def _rounded(value: float | None, places: int = 4) -> float | None:
    return None if value is None else round(value, places) + 0.0  # no -0.0


def _evidence(rule: _Rule, day: dt.date, lately: _Lately) -> ReadinessEvidence:
    if rule.name is not ComponentName.PERFORMANCE:
        return ReadinessEvidence(first=day - dt.timedelta(BASELINE_DAYS), last=day)
    return ReadinessEvidence(
        first=day - dt.timedelta(DAYS_BEFORE),
        last=day - dt.timedelta(1),
        trainings=[training.training_id for training in lately],
        sets_planned=sum(training.planned for training in lately),
        sets_in_target=sum(training.met for training in lately),
    )


def _reason(found: _Figures) -> str:
    said = found.said[0].upper() + found.said[1:]
    if found.z is None:
        have = "has a value" if found.n == 1 else "have one"
        return f"{said}: only {found.n} of the {BASELINE_DAYS} days before {have}, and {LEAST_VALUES} are needed."
    if found.rule.one_sided and found.value is not None and found.mean is not None and found.value > found.mean:
        return f"{said}: a gain counts neither way."
    if abs(found.z) < _NOTICED:
        return f"{said}: about as usual."
    much = "much " if abs(found.z) >= _MUCH else ""
    return f"{said}: {much}{'better' if found.z > 0 else found.rule.worse} than usual."


def _without_value(rule: _Rule, values: CheckInValues) -> str:
    if rule.name is ComponentName.PERFORMANCE:
        return f"No set was planned on the {PERFORMANCE_DAYS} days before."
    if rule.name is ComponentName.HOOPER and _lacks(values):
        return _lacks(values).lstrip()
    return f"The day has no value: {rule.label}."


def _lacks(values: CheckInValues) -> str:
    """Which items the Hooper index of the day lacks, as a sentence behind others; empty where it has all or none."""
    missing = _missing(values)
    if not 0 < len(missing) < len(_ITEMS):
        return ""
    lack = "is" if len(missing) == 1 else "are"
    return f" The Hooper index needs all four items, and {_listed(missing)} {lack} missing."


def _without_score(components: Sequence[_Figures], values: CheckInValues) -> str:
    most = max((one.n for one in components if one.value is not None), default=None)
    if most is None:
        return "No score." if _lacks(values) else "No score: nothing is known of this day."
    return f"No score yet: {LEAST_VALUES} of the {BASELINE_DAYS} days before need a value, and {most} at most have one."


def _in_words(moves: Sequence[tuple[float, _Figures]], score: float, confidence: float) -> str:
    """Why the score is what it is: the components that moved it most. Whether the day is above or below the usual is
    said from `LEAST_CONFIDENCE` on alone."""
    telling = sorted((move for move in moves if abs(move[0]) >= _TELLING), key=lambda move: -abs(move[0]))[:_MOST_NAMED]
    sides = {
        "for": [one.said for points, one in telling if points > 0],
        "against": [one.said for points, one in telling if points < 0],
    }
    parts = [
        f"{_listed(said)} {'speaks' if len(said) == 1 else 'speak'} {side} it"
        for side, said in sorted(sides.items(), reverse=score >= USUAL)
        if said
    ]
    head = f"{'Above' if score >= HIGH else 'Below' if score <= LOW else 'About'} your usual day"
    if confidence < LEAST_CONFIDENCE:
        head = "Too little is known to set the day beside your usual one"
    why = "; ".join(parts) or "what is known is close to its mean"
    return f"{head}: {why}. Known: {len(moves)} of {len(_RULES)} components."


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
