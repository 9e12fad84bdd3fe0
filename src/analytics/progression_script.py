"""Scripts: what the steps of a session's number make of a prescription, and how that is said."""

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from analytics.progression_sets import LEAST_WEIGHT, MOST_WEIGHT, Standing, rounded
from analytics.progression_words import plain, rep_words, weight_words
from models.progression_rules import ScriptRule, ScriptStep

_HUNDRED = Decimal(100)


def _whole(value: Decimal) -> Decimal:
    return value.to_integral_value(ROUND_HALF_UP)


class _Of(NamedTuple):
    """What a script changes: how it is rounded, and between what it stays, as the models have it."""

    round: Callable[[Decimal], Decimal]
    least: Decimal
    most: Decimal
    more: str
    less: str


_OF = {
    "weight": _Of(rounded, LEAST_WEIGHT, MOST_WEIGHT, "heavier", "lighter"),
    "sets": _Of(_whole, Decimal(1), Decimal(100), "more", "fewer"),
    "reps": _Of(_whole, Decimal(0), Decimal(100_000), "more", "fewer"),
    "hold_seconds": _Of(rounded, Decimal(0), Decimal(10_000_000), "longer", "shorter"),
}


def run_script(rule: ScriptRule, standing: Standing, iteration: int) -> tuple[Standing, str]:
    """Where a walk stands at that session of the script, and what became of it in words; none without a step."""
    steps = [step for step in rule.steps if step.iteration == iteration]
    on = replace(standing, iteration=iteration)
    if not steps:
        return on, ""
    said, cut = [], False
    for step in steps:
        on, beyond = _apply(rule, step, on)
        cut = cut or beyond
        if step.op != "set":
            said.append(_words(rule, step, on))
    now = _now(rule, on)
    if now is None:
        return on, f"{', then '.join(said)}, which changes nothing as long as no weight is known"
    how = f" ({', then '.join(said)})" if said else ""
    return on, f"{now}{how}{', as far as it can go' if cut else ''}"


def _apply(rule: ScriptRule, step: ScriptStep, standing: Standing) -> tuple[Standing, bool]:
    """Where it stands after a step, and whether the step leads beyond what there may be."""
    of = _OF[rule.of]

    def to(now: Decimal | None) -> tuple[Decimal | None, bool]:
        value = Decimal(str(step.value))
        if step.op != "set":
            if now is None:
                return None, False
            change = abs(now) * value / _HUNDRED if step.op.endswith("percent") else value
            value = now - change if step.op.startswith("subtract") else now + change
        wanted = of.round(value)
        there = min(max(wanted, of.least), of.most)
        return there, there != wanted

    match rule.of:
        case "weight":
            weight, cut = to(standing.weight)
            return replace(standing, weight=weight), cut
        case "sets":
            sets, cut = to(Decimal(standing.sets))
            return replace(standing, sets=int(sets or 1)), cut
        case "hold_seconds":
            seconds, cut = to(standing.seconds)
            return replace(standing, seconds=seconds, most_seconds=seconds), cut
    (low, cut), (high, beyond) = (to(None if end is None else Decimal(end)) for end in (standing.low, standing.high))
    on = replace(standing, low=None if low is None else int(low), high=None if high is None else int(high))
    return on, cut or beyond


def _words(rule: ScriptRule, step: ScriptStep, standing: Standing) -> str:
    """A step that changes what was: `2.5 kg heavier`."""
    of, value = _OF[rule.of], plain(step.value)
    more = not step.op.startswith("subtract")
    units = {"weight": f" {standing.unit}", "hold_seconds": " s"}
    by = f"{value} %" if step.op.endswith("percent") else f"{value}{units.get(rule.of, '')}"
    if rule.of == "weight" and standing.weight is not None and standing.weight < 0:
        return f"{by} {'less' if more else 'more'} of it"
    return f"{by} {of.more if more else of.less}"


def _now(rule: ScriptRule, standing: Standing) -> str | None:
    """What the script has come to: `82.5 kg`."""
    match rule.of:
        case "weight":
            return None if standing.weight is None else weight_words(standing.weight, standing.unit)
        case "sets":
            return f"{standing.sets} set{'' if standing.sets == 1 else 's'}"
        case "hold_seconds":
            return None if standing.seconds is None else f"{plain(standing.seconds)} s"
    return rep_words(standing.low, standing.high)
