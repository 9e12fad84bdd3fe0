"""How the sets of a session stand to what it prescribed, and both in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from analytics.volume import POUND_KG
from models.fields import number
from models.progression import LoggedSet
from models.sets import RepRangeDocument, Unit
from models.workouts import WorkoutExerciseDocument

_LEAST_WEIGHT, _MOST_WEIGHT = Decimal(-2_000), Decimal(10_000)  # as `models.fields.Weight`
_STEP, _CENT = Decimal("0.0001"), Decimal("0.01")


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
    one of its own or one that repeats the workout.
    """

    done: tuple[LoggedSet, ...]
    weight: Decimal | None
    told: bool
    low: bool
    high: bool
    at_low: Decimal | None
    at_high: Decimal | None
    as_planned: bool


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
    prescribed. As many sets must meet their prescription as the walk prescribes, each that carries a target among them,
    and those that were planned beside the template's too.
    """
    working = [set_ for set_ in sets if not set_.warm_up]
    aims: list[_Aim] = []
    for place, set_ in enumerate(working):
        before = working[place - 1] if place else None
        alike = before is not None and (before.target, before.unit) == (set_.target, set_.unit)
        aims.append(aims[-1] if alike else _aim(standing, template, set_, own=not planned_otherwise))
    planned = sum(set_.target is not None for set_ in working)
    wanted = standing.sets + (0 if planned_otherwise else max(planned - template.sets, 0))
    nothing = standing.low is None and standing.seconds is None
    met, met_planned = [0, 0], [0, 0]
    weights: tuple[list[Decimal], list[Decimal]] = ([], [])
    kept = 0
    for set_, aim in zip(working, aims, strict=True):
        if not set_.done or (nothing and not (set_.reps or set_.hold_seconds)):
            continue  # where nothing is prescribed, something must have been done
        weight = in_unit(set_, standing.unit)
        lifted = _lifted(weight, aim.weight, standing.rounding)
        for top, reps, seconds in ((0, aim.low, aim.seconds), (1, aim.high, aim.most_seconds)):
            if _reached(set_, reps, seconds):
                weights[top].append(weight)
                met[top] += lifted
                met_planned[top] += lifted and aim.planned is not None
        if aim.planned is not None:
            least, reps, seconds = aim.planned
            kept += _reached(set_, reps, seconds) and _lifted(weight, least, standing.rounding)
    low, high = (met[top] >= wanted and met_planned[top] >= min(planned, wanted) for top in (0, 1))
    at_low, at_high = (sorted(at, reverse=True)[wanted - 1] if len(at) >= wanted else None for at in weights)
    told = _told(aims)
    return Judged(
        tuple(set_ for set_ in working if set_.done),
        standing.weight if told is None else told,
        told is not None,
        low,
        high,
        at_low,
        at_high,
        kept == planned >= min(template.sets, standing.sets),
    )


def _aim(standing: Standing, template: WorkoutExerciseDocument, set_: LoggedSet, *, own: bool) -> _Aim:
    weight, told, low, high = standing.weight, False, standing.low, standing.high
    seconds, most = standing.seconds, standing.most_seconds
    if set_.target is None:
        return _Aim(weight, told, low or 0, high or 0, seconds, most, None)
    target: Any = set_.target
    planned, planned_low, held = weight, low, seconds
    if target.get("weight") is not None:
        planned = _converted(target["weight"], set_.unit, standing.unit)
        if own and planned not in (optional_decimal(template.weight), standing.weight, standing.display_weight):
            weight, told = planned, True
    if target.get("reps") is not None:
        said = ends(target["reps"])
        planned_low = said[0]
        if own and said not in (ends(template.reps), (low, high)):
            low, high = said
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


def _lifted(weight: Decimal, least: Decimal | None, rounding: Decimal | None) -> bool:
    display = displayed(least, rounding)
    return least is None or display is None or weight >= min(least, display)


def heavier(standing: Standing, weight: Decimal | None) -> bool:
    """Whether the weight is more than the walk prescribes, be it exact or as it is shown."""
    prescribed, display = standing.weight, standing.display_weight
    return weight is not None and prescribed is not None and display is not None and weight > max(prescribed, display)


def in_unit(set_: LoggedSet, unit: Unit) -> Decimal:
    """A set's weight in that unit: exact, or from the other unit rounded half up to 2 digits after the point."""
    return _converted(set_.weight, set_.unit, unit)


@lru_cache(maxsize=4096)
def _converted(weight: float, unit: Unit, to: Unit) -> Decimal:
    exact = Decimal(str(weight))
    if unit == to:
        return exact.normalize()
    return (exact * POUND_KG if to is Unit.KG else exact / POUND_KG).quantize(_CENT, ROUND_HALF_UP)


def rounded(value: Decimal) -> Decimal:
    """A quantity as it can be stored: rounded half up to 4 digits after the point."""
    return value.quantize(_STEP, ROUND_HALF_UP).normalize()


def bounded(weight: Decimal) -> Decimal:
    """A weight as it can be stored: likewise, and within the bounds of weights."""
    return min(max(rounded(weight), _LEAST_WEIGHT), _MOST_WEIGHT)


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


@lru_cache(maxsize=4096)
def plain(value: Decimal | float) -> str:
    """A quantity as people write it: 100, 102.5."""
    return f"{number(float(value))}"


@lru_cache(maxsize=4096)
def load_words(weight: Decimal | None, unit: Unit) -> str:
    """A weight behind what is done with it: ` at 60 kg`."""
    if weight is None:
        return ""
    if not weight:
        return " without weight"
    return f" at {plain(weight)} {unit}" if weight > 0 else f" with {plain(-weight)} {unit} of assistance"


def aim_words(standing: Standing) -> str:
    """What is prescribed: `3 sets of 8 to 12 repetitions at 60 kg`."""
    parts = []
    if standing.low is not None and standing.high is not None:
        ends = f"{standing.low}" if standing.low == standing.high else f"{standing.low} to {standing.high}"
        parts.append(f"{ends} repetition{'' if ends == '1' else 's'}")
    if standing.seconds is not None:
        parts.append(f"{plain(standing.seconds)} s")
    of = f" of {' and '.join(parts)}" if parts else ""
    return f"{standing.sets} set{'' if standing.sets == 1 else 's'}{of}{load_words(standing.weight, standing.unit)}"


def done_words(done: Sequence[LoggedSet]) -> str:
    """What was done: `12, 12, 11 at 60 kg`, each weight once where it stays."""
    said: list[tuple[tuple[float, Unit], list[str]]] = []
    for set_ in done:
        effort = "" if set_.rpe is None else f" (RPE {plain(set_.rpe)})"
        much = f"{plain(set_.hold_seconds)} s" if set_.hold_seconds and not set_.reps else f"{set_.reps}"
        load = set_.weight, set_.unit
        if not said or said[-1][0] != load:
            said.append((load, []))
        said[-1][1].append(much + effort)
    return ", ".join(f"{', '.join(sets)}{load_words(Decimal(str(weight)), unit)}" for (weight, unit), sets in said)
