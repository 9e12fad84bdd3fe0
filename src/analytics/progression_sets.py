"""How the sets of a session stand to what it prescribed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from analytics.volume import POUND_KG
from models.progression import LoggedSet
from models.sets import RepRangeDocument, Unit
from models.workouts import WorkoutExerciseDocument

LEAST_WEIGHT, MOST_WEIGHT = Decimal(-2_000), Decimal(10_000)  # as `models.fields.Weight`
_STEP, _CENT = Decimal("0.0001"), Decimal("0.01")
# Half of the smallest usual step of plates: two of 0.5 kg, or of 1.25 lb.
_HALF_STEP: Mapping[Unit, Decimal] = {Unit.KG: Decimal("0.5"), Unit.LB: Decimal("1.25")}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a walk stands: what it prescribes now, and what it has seen since that changed last.

    `low` to `high` are repetitions, `seconds` to `most_seconds` a hold: the bottom is prescribed, and the top is what
    some rules wait for. `successes` and `missed` are sessions in a row. `iteration` is the number of the next session
    that counts. `trail` are the movements that were climbed from.
    """

    sets: int
    low: int | None
    high: int | None
    seconds: Decimal | None
    most_seconds: Decimal | None
    weight: Decimal | None
    rpe: Decimal | None
    unit: Unit
    rounding: Decimal | None
    exercise: str | None
    successes: int = 0
    missed: int = 0
    iteration: int = 1
    trail: tuple[str, ...] = ()

    @property
    def display_weight(self) -> Decimal | None:
        """The weight in steps of the rounding: the nearest, and the lighter one of two."""
        return displayed(self.weight, self.rounding)

    @property
    def reps(self) -> int | RepRangeDocument | None:
        """The repetitions as a prescription has them."""
        if self.low is None or self.high is None:
            return None
        return self.low if self.low == self.high else RepRangeDocument(min=self.low, max=self.high)


class Judged(NamedTuple):
    """A session, held to its prescription.

    `done` are the sets that were done and are no warm-ups. `weight` is what the session prescribed, and `told` whether
    its targets said so and not the walk. `low`: all sets were done with the bottom of repetitions and hold and with the
    weight; `high`: with the top. `at_low` and `at_high` are the greatest weights that as many sets as are prescribed
    had with these repetitions and this hold, None where fewer were done so. `as_planned`: every target was met, be it
    one of its own or one that repeats the workout. `top` is the most repetitions that each set was held to, None where
    they are unlike. `passed` is the lighter weight that its targets said, where what the walk prescribes was reached.
    """

    done: tuple[LoggedSet, ...]
    weight: Decimal | None
    told: bool
    low: bool
    high: bool
    at_low: Decimal | None
    at_high: Decimal | None
    as_planned: bool
    top: int | None
    passed: Decimal | None = None

    @property
    def missed(self) -> bool:
        """Whether it was less than prescribed, and less than planned too."""
        return not self.low and not self.as_planned


class _Aim(NamedTuple):
    """What one set is held to. `planned` is the weight, the repetitions and the hold that its target has."""

    weight: Decimal | None
    told: bool
    low: int
    high: int
    seconds: Decimal | None
    most_seconds: Decimal | None
    planned: tuple[Decimal | None, int, Decimal | None] | None


def judge(
    standing: Standing,
    template: WorkoutExerciseDocument,
    sets: Sequence[LoggedSet],
    *,
    planned_otherwise: bool = False,
) -> Judged:
    """Hold the sets of a session to the prescription. `template` is what the workout says.

    A target that repeats the template, or the walk itself, says nothing about that session: plans are full of those.
    Nor do the targets of a session that was planned by another prescription. Another one is what that set was
    prescribed; but where the sets meet the bottom of what the walk prescribes, with its weight, a lighter one holds
    nothing back.

    A target has no unit of its own. It is of the workout's where its number is the template's or the walk's, and else
    of the one that was logged. A weight in the other unit is one of the template's or the walk's where it is no further
    from it than half a step of plates in the unit that was logged. As many sets must meet their prescription as the
    walk prescribes, each that carries a target among them, and those that were planned beside the template's too.
    """
    working = [set_ for set_ in sets if not set_.warm_up]
    planned = sum(set_.target is not None for set_ in working)
    wanted = standing.sets + (0 if planned_otherwise else max(planned - template.sets, 0))
    judged = _judged(standing, template, working, wanted, own=not planned_otherwise)
    if judged.told and judged.weight is not None and standing.weight is not None and judged.weight < standing.weight:
        by_walk = _judged(standing, template, working, wanted, own=False)
        if by_walk.low:
            return by_walk._replace(passed=judged.weight)
    return judged


def _judged(
    standing: Standing, template: WorkoutExerciseDocument, working: Sequence[LoggedSet], wanted: int, *, own: bool
) -> Judged:
    """Of `working` sets `wanted` must meet what is prescribed. `own`: targets say what that is."""
    known = (standing.weight, standing.display_weight, optional_decimal(template.weight))
    aims: list[_Aim] = []
    for place, set_ in enumerate(working):
        before = working[place - 1] if place else None
        alike = before is not None and (before.target, before.unit) == (set_.target, set_.unit)
        aims.append(aims[-1] if alike else _aim(standing, template, set_, known, own=own))
    planned = sum(aim.planned is not None for aim in aims)
    nothing = standing.low is None and standing.seconds is None
    met, met_planned = [0, 0], [0, 0]
    weights: tuple[list[Decimal], list[Decimal]] = ([], [])
    kept = 0
    for set_, aim in zip(working, aims, strict=True):
        if not set_.done or (nothing and not (set_.reps or set_.hold_seconds)):
            continue  # where nothing is prescribed, something must have been done
        weight = in_unit(set_, standing.unit, known)
        met_weight = lifted(weight, aim.weight, standing.rounding)
        for top, reps, seconds in ((0, aim.low, aim.seconds), (1, aim.high, aim.most_seconds)):
            if _reached(set_, reps, seconds):
                weights[top].append(weight)
                met[top] += met_weight
                met_planned[top] += met_weight and aim.planned is not None
        if aim.planned is not None:
            least, reps, seconds = aim.planned
            kept += _reached(set_, reps, seconds) and lifted(weight, least, standing.rounding)
    low, high = (met[top] >= wanted and met_planned[top] >= min(planned, wanted) for top in (0, 1))
    at_low, at_high = (sorted(at, reverse=True)[wanted - 1] if len(at) >= wanted else None for at in weights)
    told = _told(aims)
    tops = {aim.high for aim in aims if aim.planned is not None}
    if planned < wanted:
        tops.add(standing.high or 0)
    return Judged(
        tuple(set_ for set_ in working if set_.done),
        standing.weight if told is None else told,
        told is not None,
        low,
        high,
        at_low,
        at_high,
        kept == planned >= min(template.sets, standing.sets),
        tops.pop() if len(tops) == 1 else None,
    )


def _aim(
    standing: Standing,
    template: WorkoutExerciseDocument,
    set_: LoggedSet,
    known: tuple[Decimal | None, ...],
    *,
    own: bool,
) -> _Aim:
    weight, told, low, high = standing.weight, False, standing.low, standing.high
    seconds, most = standing.seconds, standing.most_seconds
    if set_.target is None:
        return _Aim(weight, told, low or 0, high or 0, seconds, most, None)
    target: Any = set_.target
    planned, planned_low, held = weight, low, seconds
    if target.get("weight") is not None:
        said = decimal(target["weight"])
        planned = said if said in known else _in_unit(target["weight"], set_.unit, standing.unit, known)
        if own and planned not in known:
            weight, told = planned, True
    if target.get("reps") is not None:
        reps = ends(target["reps"])
        planned_low = reps[0]
        if own and reps not in (ends(template.reps), (low, high)):
            low, high = reps
    if target.get("duration_seconds") is not None:
        held = decimal(target["duration_seconds"])
        if own and held not in (optional_decimal(template.hold_seconds), seconds):
            seconds = most = held
    return _Aim(weight, told, low or 0, high or 0, seconds, most, (planned, planned_low or 0, held))


def _told(aims: Sequence[_Aim]) -> Decimal | None:
    """The weight that most targets say, of several the least; None where that is what the walk prescribes."""
    said = [(aim.weight, aim.told) for aim in aims if aim.planned is not None and aim.weight is not None]
    if not any(told for _, told in said):
        return None
    weight, told = min(said, key=lambda each: (-said.count(each), each[0]))
    return weight if told else None


def _reached(set_: LoggedSet, reps: int, seconds: Decimal | None) -> bool:
    return set_.reps >= reps and (seconds is None or decimal(set_.hold_seconds) >= seconds)


def lifted(weight: Decimal, least: Decimal | None, rounding: Decimal | None) -> bool:
    """Whether a weight is as much as was prescribed, be it exact or as it is shown."""
    display = displayed(least, rounding)
    return least is None or display is None or weight >= min(least, display)


def heavier(standing: Standing, weight: Decimal | None) -> bool:
    """Whether the weight is more than the walk prescribes, be it exact or as it is shown."""
    prescribed, display = standing.weight, standing.display_weight
    return weight is not None and prescribed is not None and display is not None and weight > max(prescribed, display)


def in_unit(set_: LoggedSet, unit: Unit, known: tuple[Decimal | None, ...] = ()) -> Decimal:
    """A set's weight in that unit. From the other unit it is the first of `known` that is half a step of plates away or
    less, else rounded half up to 2 digits after the point."""
    return _in_unit(set_.weight, set_.unit, unit, known)


@lru_cache(maxsize=4096)
def _in_unit(weight: float, unit: Unit, to: Unit, known: tuple[Decimal | None, ...]) -> Decimal:
    said = decimal(weight)
    if unit == to:
        return said
    for one in known:
        if one is not None and abs(_converted(one, to) - said) <= _HALF_STEP[unit]:
            return one
    return _converted(said, unit).quantize(_CENT, ROUND_HALF_UP)


def _converted(weight: Decimal, unit: Unit) -> Decimal:
    """A weight that is in that unit, in the other one."""
    return weight * POUND_KG if unit is Unit.LB else weight / POUND_KG


def usual_weight(done: Sequence[LoggedSet], standing: Standing) -> Decimal:
    """The weight of most of the sets, of several the least."""
    weights = [in_unit(set_, standing.unit, (standing.weight, standing.display_weight)) for set_ in done]
    return min(weights, key=lambda weight: (-weights.count(weight), weight))


def rounded(value: Decimal) -> Decimal:
    """A quantity as it can be stored: rounded half up to 4 digits after the point."""
    return value.quantize(_STEP, ROUND_HALF_UP).normalize()


def bounded(weight: Decimal) -> Decimal:
    """A weight as it can be stored: likewise, and within the bounds of weights."""
    return min(max(rounded(weight), LEAST_WEIGHT), MOST_WEIGHT)


@lru_cache(maxsize=4096)
def displayed(weight: Decimal | None, rounding: Decimal | None) -> Decimal | None:
    """The weight in steps of `rounding`: the nearest, and the lighter one of two."""
    if weight is None or rounding is None:
        return weight
    return math.ceil(weight / rounding - Decimal("0.5")) * rounding


def ends(reps: Any) -> tuple[int | None, int | None]:
    """The bottom and the top of repetitions, as a document or its JSON has them."""
    if reps is None or isinstance(reps, int):
        return reps, reps
    return (reps["min"], reps["max"]) if isinstance(reps, dict) else (reps.min, reps.max)


@lru_cache(maxsize=4096)
def decimal(value: float) -> Decimal:
    """A quantity as people wrote it, to compute with."""
    return Decimal(str(value)).normalize()


def optional_decimal(value: float | None) -> Decimal | None:
    """Likewise one that may be missing."""
    return None if value is None else decimal(value)
