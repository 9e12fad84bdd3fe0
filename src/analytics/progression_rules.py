"""What each kind of rule makes of one session: pure functions from where a walk stands to where it goes on."""

from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import NamedTuple

from analytics.progression_script import run_script
from analytics.progression_sets import Judged, Standing, bounded, displayed, heavier, in_unit, lifted
from analytics.progression_words import change_words, load_words, plain, rep_words
from models.progression import Decision, LoggedSet
from models.progression_rules import DeloadRule, DoubleRule, LinearRule, RpeRule, ScriptRule
from models.sets import Unit

_CENT, _HUNDRED, _FULL_EFFORT, _EPLEY = Decimal("0.01"), Decimal(100), Decimal(10), Decimal(30)

AS_PLANNED = "but it is all that the training had planned: that is no miss, and it stays."


class Outcome(NamedTuple):
    """Where a walk goes on after a session, and what is said of it behind what was done.

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
    above = _above(standing, judged, judged.at_low)
    why = f"All sets were done{above or ' as prescribed'}{in_a_row(successes, rule.successes)}"
    if weight is None or successes < rule.successes:
        on = replace(standing, weight=weight, successes=successes, missed=0)
        goes_on = f", so it goes on{load_words(weight, standing.unit)}" if above and not judged.told else ""
        return Outcome(on, True, Decision.HOLD, f"{why}{goes_on}.")
    return _more(rule.increment, standing, weight, why)


def double(rule: DoubleRule, standing: Standing, judged: Judged) -> Outcome:
    """More weight after a session in which all sets reached the top of the range."""
    top = "the repetitions that were prescribed of each"
    if judged.top is not None:
        whose = "the top of the range" if judged.top == standing.high else "what its targets said"
        top = f"{whose}, {rep_words(judged.top, judged.top)}"
    weight = _base(standing, judged, judged.at_high)
    if judged.high and weight is not None:
        at = " at that weight" if judged.told else " at the weight prescribed"
        how = _above(standing, judged, judged.at_high) or ("" if judged.weight is None else at)
        return _more(rule.increment, standing, weight, f"All sets reached {top}{how and ','}{how}")
    if not judged.low:
        return _missed(rule.deload, standing, judged)
    weight = _base(standing, judged, judged.at_low)
    on = replace(standing, weight=weight, successes=0, missed=0)
    return Outcome(on, False, Decision.HOLD, f"Not all sets reached {top}, so {_stays(standing, weight)}.")


def effort(rule: RpeRule, standing: Standing, judged: Judged) -> Outcome:
    """The weight for the repetitions and the RPE that are prescribed, by what was done and how hard it was."""
    base = _base(standing, judged, judged.at_low) if judged.low else judged.weight
    before = _lightest(standing, judged) if base is None else base
    prescribed = before if judged.weight is None else judged.weight
    on = replace(standing, weight=before, successes=0, missed=0)
    rated = [set_ for set_ in judged.done if set_.rpe is not None and set_.reps and set_.weight > 0]
    if not rated or before <= 0 or standing.high is None or standing.rpe is None:
        why = f"An RPE beside repetitions and a weight above 0 is missing, so {_stays(standing, before)}."
        return Outcome(on, judged.low, Decision.HOLD, why, judged.missed)
    # Of an even number the lower one of the two in the middle.
    maximum = sorted(_one_rm(set_, standing.unit, before) for set_ in rated)[(len(rated) - 1) // 2]
    exact = maximum / _epley(standing.high + _FULL_EFFORT - standing.rpe)
    step = before * Decimal(str(rule.max_step_percent)) / _HUNDRED
    whole, one = None if rule.increment is None else Decimal(str(rule.increment)), ""
    if whole is not None and whole > step:
        step, one = whole, f", or one step of {plain(whole)} {standing.unit},"
    after = min(max(exact, before - step), before + step)
    limit = "" if after == exact else f", and a session changes it by {plain(rule.max_step_percent)} %{one} at most"
    if after > before and not judged.low:
        after, limit = before, ", but not all sets were done as prescribed"
    if whole is not None:
        if 0 < abs(after - before) < whole:
            limit = f", which is less than one step of {plain(whole)} {standing.unit} away"
        after = before + ((after - before) / whole).to_integral_value(ROUND_DOWN) * whole
    after = bounded(after)
    above = f". It was done{_above(standing, judged, judged.at_low)}" if before > prescribed else ""
    wanted = f"{standing.high} at RPE {plain(standing.rpe)}"
    why = (
        f"That is a maximum of {plain(_cents(maximum))} {standing.unit} by Epley, and {wanted} is "
        f"{plain(_cents(exact))} {standing.unit}{limit}{above}: {change_words(prescribed, after, standing)}."
    )
    decision = Decision.PROGRESS if after > prescribed else Decision.DELOAD if after < prescribed else Decision.HOLD
    return Outcome(replace(on, weight=after), judged.low, decision, why, judged.missed)


def script(rule: ScriptRule, standing: Standing, judged: Judged) -> Outcome:
    """What the script says for the session after this one, whatever this one was."""
    iteration = standing.iteration + 1
    weight = _lightest(standing, judged) if standing.weight is None and judged.done else standing.weight
    on, steps = run_script(rule, replace(standing, weight=weight), iteration)
    what = f": {steps}" if steps else ", for which it changes nothing"
    decision = Decision.SCRIPT if steps else Decision.HOLD
    why = f"Next is session {iteration} of the script{what}."
    return Outcome(on, judged.low, decision, why, judged.missed)


def no_rule(standing: Standing, judged: Judged) -> Outcome:
    """Without a rule all stays as the workout says."""
    why = "The workout has no rule of progression for it, so it stays."
    return Outcome(standing, judged.low, Decision.HOLD, why, judged.missed)


def in_a_row(count: int, wanted: int) -> str:
    """How often something was done of the times that it is to be done in a row; once is not worth a word."""
    return f", in {count} of {wanted} sessions in a row" if wanted > 1 else ""


def _missed(deload: DeloadRule | None, standing: Standing, judged: Judged) -> Outcome:
    """After a session that did not meet the bottom of its prescription."""
    if judged.weight is None:
        on = replace(standing, weight=_lightest(standing, judged))
        return Outcome(on, False, Decision.HOLD, "Not all sets were done: it goes on with the lightest weight.", True)
    light = judged.at_low is not None and not lifted(judged.at_low, judged.weight, standing.rounding)
    less = "more assistance" if judged.at_low is not None and judged.at_low < 0 else "less weight"
    why = f"That is {less} than prescribed" if light else "Not all sets were done as prescribed"
    if judged.as_planned:
        return Outcome(standing, False, Decision.HOLD, f"{why}, {AS_PLANNED}")
    missed = standing.missed + 1
    on = replace(standing, weight=judged.weight, successes=0, missed=missed)
    if deload is None:
        return Outcome(on, False, Decision.HOLD, f"{why}: it stays.", True)
    if missed < deload.after:
        often = f"{missed} of {deload.after} sessions in a row before it gets easier"
        return Outcome(on, False, Decision.HOLD, f"{why}: {often}.", True)
    weight = _lower(deload, judged.weight, standing.rounding)
    on = replace(on, weight=weight, missed=0)
    if missed > 1:
        why += f", {missed} sessions in a row"
    if displayed(weight, standing.rounding) == displayed(judged.weight, standing.rounding):
        on = replace(on, weight=judged.weight)
        return Outcome(on, False, Decision.HOLD, f"{why}, and there is no less: it stays.", True)
    return Outcome(on, False, Decision.DELOAD, f"{why}: {change_words(judged.weight, weight, standing)}.", True)


def _more(increment: float, standing: Standing, weight: Decimal, why: str) -> Outcome:
    more = bounded(weight + Decimal(str(increment)))
    on = replace(standing, weight=more, successes=0, missed=0)
    return Outcome(on, True, Decision.PROGRESS, f"{why}: {change_words(weight, more, standing)}.")


def _above(standing: Standing, judged: Judged, carried: Decimal | None) -> str:
    """That more was lifted than prescribed, where it was."""
    prescribed = judged.weight
    if prescribed is None or carried is None:
        return ""
    more = carried > prescribed if judged.told else heavier(standing, carried)
    return f" with {'more weight' if prescribed >= 0 else 'less assistance'} than prescribed" if more else ""


def _stays(standing: Standing, weight: Decimal | None) -> str:
    return "it stays" if weight == standing.weight else f"it goes on{load_words(weight, standing.unit)}"


def _base(standing: Standing, judged: Judged, carried: Decimal | None) -> Decimal | None:
    """The weight from which it goes on: the prescribed one, or a heavier one that the athlete took by themselves."""
    if judged.told:
        return judged.weight
    return carried if standing.weight is None or heavier(standing, carried) else standing.weight


def _lower(deload: DeloadRule, weight: Decimal, rounding: Decimal | None) -> Decimal:
    """A lighter weight, of which less is loaded; one above 0 does not become assistance."""
    if deload.percent is None:
        less = weight - Decimal(str(deload.weight))
    else:
        less = weight - abs(weight) * Decimal(str(deload.percent)) / _HUNDRED
    shown = displayed(weight, rounding)
    if rounding is not None and shown is not None and less < weight and shown == displayed(less, rounding):
        less = shown - rounding
    return bounded(max(less, Decimal(0)) if weight > 0 else less)


def _lightest(standing: Standing, judged: Judged) -> Decimal:
    return min(in_unit(set_, standing.unit) for set_ in judged.done)


def _epley(reps: Decimal) -> Decimal:
    """The 1RM as a multiple of the weight that so many repetitions to failure are done with."""
    return Decimal(1) if reps <= 1 else 1 + reps / _EPLEY


def _one_rm(set_: LoggedSet, unit: Unit, known: Decimal) -> Decimal:
    reserve = _FULL_EFFORT - Decimal(str(set_.rpe))
    return in_unit(set_, unit, (known,)) * _epley(set_.reps + reserve)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(_CENT, ROUND_HALF_UP)
