"""What each kind of rule makes of one session: pure functions from where a walk stands to where it goes on."""

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import NamedTuple

from analytics.progression_sets import (
    Judged,
    Standing,
    bounded,
    done_words,
    heavier,
    in_unit,
    load_words,
    plain,
    rounded,
)
from models.progression import Decision, LoggedSet
from models.progression_rules import DeloadRule, DoubleRule, LinearRule, RpeRule, ScriptRule, ScriptStep
from models.sets import Unit

_MOST_SETS, _MOST_REPS, _MOST_SECONDS = 100, 100_000, Decimal(10_000_000)  # as the models have them
_CENT, _HUNDRED, _FULL_EFFORT, _EPLEY = Decimal("0.01"), Decimal(100), Decimal(10), Decimal(30)

AS_PLANNED = "but it is all that the training had planned: that is no miss, and it stays."


class Outcome(NamedTuple):
    """Where a walk goes on after a session, and what is said of it.

    `met`: what the rule waits for was done. `missed`: it was less than was prescribed. Within a range it is neither.
    """

    standing: Standing
    met: bool
    decision: Decision
    reason: str
    missed: bool = False


def linear(rule: LinearRule, standing: Standing, judged: Judged) -> Outcome:
    """More weight after so many sessions in a row in which all sets were done as prescribed."""
    if not judged.low:
        return _missed(rule.deload, standing, judged)
    weight, successes = _base(standing, judged, judged.at_low), standing.successes + 1
    why = f"{did(judged)} All sets were done as prescribed"
    if weight is None or successes < rule.successes:
        on = replace(standing, weight=weight, successes=successes, missed=0)
        return Outcome(on, True, Decision.HOLD, f"{why}: {successes} of {rule.successes} sessions in a row.")
    return _more(rule.increment, standing, weight, why)


def double(rule: DoubleRule, standing: Standing, judged: Judged) -> Outcome:
    """More weight after a session in which all sets reached the top of the range."""
    top = f"the top of the range, {standing.high} repetitions,"
    weight = _base(standing, judged, judged.at_high)
    if judged.high and weight is not None:
        return _more(rule.increment, standing, weight, f"{did(judged)} All sets reached {top} at the weight prescribed")
    if not judged.low:
        return _missed(rule.deload, standing, judged)
    weight = _base(standing, judged, judged.at_low)
    stays = "it stays" if weight == standing.weight else f"it goes on{load_words(weight, standing.unit)}"
    on = replace(standing, weight=weight, successes=0, missed=0)
    return Outcome(on, False, Decision.HOLD, f"{did(judged)} Not all sets reached {top} so {stays}.")


def effort(rule: RpeRule, standing: Standing, judged: Judged) -> Outcome:
    """The weight for the repetitions and the RPE that are prescribed, by what was done and how hard it was."""
    base = _base(standing, judged, judged.at_low) if judged.low else judged.weight
    before = _lightest(standing, judged) if base is None else base
    on = replace(standing, weight=before, successes=0, missed=0)
    rated = [set_ for set_ in judged.done if set_.rpe is not None and set_.reps and set_.weight > 0]
    if not rated or before <= 0 or standing.high is None or standing.rpe is None:
        stays = "it stays" if before == standing.weight else f"it goes on{load_words(before, standing.unit)}"
        why = f"{did(judged)} An RPE beside repetitions and a weight above 0 is missing, so {stays}."
        return Outcome(on, judged.low, Decision.HOLD, why, not judged.low)
    # Of an even number the lower one of the two in the middle.
    maximum = sorted(_one_rm(set_, standing.unit) for set_ in rated)[(len(rated) - 1) // 2]
    exact = maximum / _epley(standing.high + _FULL_EFFORT - standing.rpe)
    step = before * Decimal(str(rule.max_step_percent)) / _HUNDRED
    after = min(max(exact, before - step), before + step)
    limit = "" if after == exact else f", of which a session takes {plain(rule.max_step_percent)} % at most"
    if after > before and not judged.low:
        after, limit = before, ", but not all sets were done as prescribed"
    if rule.increment is not None:
        whole = Decimal(str(rule.increment))
        after = before + ((after - before) / whole).to_integral_value(ROUND_DOWN) * whole
    after = bounded(after)
    wanted = f"{standing.high} at RPE {plain(standing.rpe)}"
    why = (
        f"{did(judged)} That is a maximum of {plain(_cents(maximum))} {standing.unit} by Epley, and {wanted} is "
        f"{plain(_cents(exact))} {standing.unit}{limit}: "
    )
    decision = Decision.PROGRESS if after > before else Decision.DELOAD if after < before else Decision.HOLD
    why += _change(before, after, standing.unit)
    return Outcome(replace(on, weight=after), judged.low, decision, why, not judged.low)


def script(rule: ScriptRule, standing: Standing, judged: Judged) -> Outcome:
    """What the script says for the session after this one, whatever this one was."""
    iteration = standing.iteration + 1
    weight = _lightest(standing, judged) if standing.weight is None and judged.done else standing.weight
    on, steps = run_script(rule, replace(standing, weight=weight), iteration)
    what = f": {steps}" if steps else ", for which it changes nothing"
    decision = Decision.SCRIPT if steps else Decision.HOLD
    why = f"{did(judged)} Next is session {iteration} of the script{what}."
    return Outcome(on, judged.low, decision, why, not judged.low)


def run_script(rule: ScriptRule, standing: Standing, iteration: int) -> tuple[Standing, str]:
    """Where a walk stands at that session of the script, and the steps of it in words."""
    steps = [step for step in rule.steps if step.iteration == iteration]
    on = replace(standing, iteration=iteration)
    for step in steps:
        on = _apply(rule, step, on)
    what = rule.of.replace("_", " ")
    return on, ", ".join(f"{step.op.replace('_', ' ')} {plain(step.value)} ({what})" for step in steps)


def no_rule(standing: Standing, judged: Judged) -> Outcome:
    """Without a rule all stays as the workout says."""
    why = f"{did(judged)} The workout has no rule of progression for it, so it stays."
    return Outcome(standing, judged.low, Decision.HOLD, why, not judged.low)


def did(judged: Judged) -> str:
    """What was done, as a sentence."""
    return f"Done: {done_words(judged.done)}."


def _missed(deload: DeloadRule | None, standing: Standing, judged: Judged) -> Outcome:
    """After a session that did not meet the bottom of its prescription."""
    if judged.weight is None:
        on = replace(standing, weight=_lightest(standing, judged))
        why = f"{did(judged)} No weight was prescribed, and not all sets were done: it goes on with the lightest."
        return Outcome(on, False, Decision.HOLD, why, True)
    light = judged.at_low is not None and judged.at_low < judged.weight
    fault = "That is less weight than prescribed" if light else "Not all sets were done as prescribed"
    if judged.as_planned:
        return Outcome(standing, False, Decision.HOLD, f"{did(judged)} {fault}, {AS_PLANNED}")
    missed, why = standing.missed + 1, f"{did(judged)} {fault}"
    on = replace(standing, weight=judged.weight, successes=0, missed=missed)
    if deload is None:
        return Outcome(on, False, Decision.HOLD, f"{why}: it stays.", True)
    if missed < deload.after:
        often = f"{missed} of {deload.after} in a row before it gets lighter"
        return Outcome(on, False, Decision.HOLD, f"{why}: {often}.", True)
    weight = _lower(deload, judged.weight)
    on = replace(on, weight=weight, missed=0)
    why = f"{why}, {missed} in a row"
    if weight == judged.weight:
        return Outcome(on, False, Decision.HOLD, f"{why}, and there is no less: it stays.", True)
    return Outcome(on, False, Decision.DELOAD, f"{why}: {_change(judged.weight, weight, standing.unit)}", True)


def _more(increment: float, standing: Standing, weight: Decimal, why: str) -> Outcome:
    more = bounded(weight + Decimal(str(increment)))
    on = replace(standing, weight=more, successes=0, missed=0)
    return Outcome(on, True, Decision.PROGRESS, f"{why}: {_change(weight, more, standing.unit)}")


def _base(standing: Standing, judged: Judged, carried: Decimal | None) -> Decimal | None:
    """The weight from which it goes on: the prescribed one, or a heavier one that the athlete took by themselves."""
    if judged.told:
        return judged.weight
    return carried if standing.weight is None or heavier(standing, carried) else standing.weight


def _lower(deload: DeloadRule, weight: Decimal) -> Decimal:
    """A lighter weight; one above 0 does not become assistance."""
    if deload.percent is None:
        less = weight - Decimal(str(deload.weight))
    else:
        less = weight - abs(weight) * Decimal(str(deload.percent)) / _HUNDRED
    return bounded(max(less, Decimal(0)) if weight > 0 else less)


def _lightest(standing: Standing, judged: Judged) -> Decimal:
    return min(in_unit(set_, standing.unit) for set_ in judged.done)


def _change(before: Decimal, after: Decimal, unit: Unit) -> str:
    if before == after:
        return "it stays."
    load = "no weight" if not after else f"{plain(abs(after))} {unit}{' of assistance' if after < 0 else ''}"
    return f"next {load}, {plain(abs(after - before))} {unit} {'heavier' if after > before else 'lighter'}."


def _epley(reps: Decimal) -> Decimal:
    """The 1RM as a multiple of the weight that so many repetitions to failure are done with."""
    return Decimal(1) if reps <= 1 else 1 + reps / _EPLEY


def _one_rm(set_: LoggedSet, unit: Unit) -> Decimal:
    reserve = _FULL_EFFORT - Decimal(str(set_.rpe))
    return in_unit(set_, unit) * _epley(set_.reps + reserve)


def _apply(rule: ScriptRule, step: ScriptStep, standing: Standing) -> Standing:
    match rule.of:
        case "weight":
            return replace(standing, weight=_value(step, standing.weight, bounded))
        case "sets":
            return replace(standing, sets=int(_value(step, Decimal(standing.sets), _sets) or 1))
        case "hold_seconds":
            seconds = _value(step, standing.seconds, _seconds)
            return replace(standing, seconds=seconds, most_seconds=seconds)
    low, high = (None if end is None else Decimal(end) for end in (standing.low, standing.high))
    low, high = _value(step, low, _reps), _value(step, high, _reps)
    return replace(standing, low=None if low is None else int(low), high=None if high is None else int(high))


def _value(step: ScriptStep, now: Decimal | None, bound: Callable[[Decimal], Decimal]) -> Decimal | None:
    value = Decimal(str(step.value))
    if step.op == "set":
        return bound(value)
    if now is None:
        return None
    change = abs(now) * value / _HUNDRED if step.op.endswith("percent") else value
    return bound(now - change if step.op.startswith("subtract") else now + change)


def _sets(value: Decimal) -> Decimal:
    return min(max(_whole(value), Decimal(1)), Decimal(_MOST_SETS))


def _reps(value: Decimal) -> Decimal:
    return min(max(_whole(value), Decimal(0)), Decimal(_MOST_REPS))


def _seconds(value: Decimal) -> Decimal:
    return min(max(rounded(value), Decimal(0)), _MOST_SECONDS)


def _whole(value: Decimal) -> Decimal:
    return value.to_integral_value(ROUND_HALF_UP)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(_CENT, ROUND_HALF_UP)
