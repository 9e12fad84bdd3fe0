"""What advice says of an athlete's state and of a prescription, in words: pure functions from figures to sentences."""

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal

from analytics.advice_facts import LEAST_CONFIDENCE, Draft, Facts
from analytics.advice_inputs import Prescribed
from analytics.load import TARGET
from analytics.load import reason as why_unknown
from analytics.progression_words import load_words
from analytics.words import named
from models.advice import AdviceKind, LoadPosition, NotAdvised, NotAdvisedBecause
from models.load import Band, Unknown
from models.sets import RepRangeDocument

_POSITIONS = {Band.UNDER: LoadPosition.BELOW, Band.TARGET: LoadPosition.INSIDE, Band.OVER: LoadPosition.ABOVE}
_TOLD = (NotAdvisedBecause.WITHHELD, NotAdvisedBecause.UNKNOWN)


def position(facts: Facts) -> LoadPosition:
    """Where the load stands to what is usual."""
    latest = facts.latest
    return LoadPosition.UNKNOWN if latest is None or latest.band is None else _POSITIONS[latest.band]


def load_state(facts: Facts) -> str:
    """How the load stands, and up to which day: one or two sentences."""
    latest, where = facts.latest, position(facts)
    if latest is None:
        return "The load is unknown: no completed training has one."
    if where is LoadPosition.UNKNOWN:
        if why_unknown(latest) is Unknown.BEFORE_28_DAYS:
            return "How the load stands is unknown: the first training was less than 28 days ago."
        return "How the load stands is unknown: there was none in the last 28 days to compare with."
    said = (
        f"The load of the last 7 days is {where} the usual range: {latest.acwr:.2f} times that of the last 28, where "
        f"{TARGET[0]:g} to {TARGET[1]:g} counts as usual."
    )
    if latest.day == facts.inputs.day:
        return said
    if latest.day == facts.inputs.day - dt.timedelta(1):
        return f"{said} These days end with the day before: the day itself has no load yet."
    return f"{said} These days end with {named(latest.day)}: no later one is over."


def readiness_state(facts: Facts) -> str:
    """How the athlete is, by readiness: its own words behind the score."""
    readiness = facts.inputs.readiness
    if readiness.score is None:
        return _joined(["The readiness of the day is not known.", readiness.reason])
    return _joined([f"Your readiness is {readiness.score:g} of 100, where 50 is your usual day.", readiness.reason])


def state_known(facts: Facts) -> bool:
    """Whether both readiness and how the load stands are known."""
    return facts.inputs.readiness.score is not None and position(facts) is not LoadPosition.UNKNOWN


def words(one: Prescribed) -> str:
    """A prescription, as an athlete would write it down and load it: 3 × 8–10 at 22.5 kg."""
    reps = f"{one.reps.min}–{one.reps.max}" if isinstance(one.reps, RepRangeDocument) else one.reps
    each = f"{one.hold_seconds:g} s" if one.hold_seconds is not None else reps
    weight = one.weight if one.display_weight is None else one.display_weight
    load = load_words(None if weight is None else Decimal(str(weight)), one.unit)
    return (f"{one.sets} sets" if each is None else f"{one.sets} × {each}") + load


def sentence(said: Iterable[str]) -> str:
    """Parts of a sentence as one."""
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def quiet(kind: AdviceKind, reason: str) -> NotAdvised:
    """It was looked at and asks for nothing."""
    return NotAdvised(kind=kind, because=NotAdvisedBecause.NOTHING, reason=reason)


def unknown(kind: AdviceKind, reason: str) -> NotAdvised:
    """Too little is known of it."""
    return NotAdvised(kind=kind, because=NotAdvisedBecause.UNKNOWN, reason=reason)


def withheld(kind: AdviceKind, reason: str) -> NotAdvised:
    """It would be advised, but for something."""
    return NotAdvised(kind=kind, because=NotAdvisedBecause.WITHHELD, reason=reason)


def unsure(draft: Draft) -> NotAdvised:
    """It would be advised, but for how little is known."""
    parts = " ".join(part.reason for part in draft.parts if part.share < 1)
    least = f"a confidence of {draft.confidence:.2f}, of {LEAST_CONFIDENCE:g} that it needs"
    return withheld(draft.kind, f"“{draft.title}” has only {least}. {parts}")


def summary(facts: Facts, given: Sequence[AdviceKind], left: Sequence[NotAdvised]) -> str:
    """What the list as a whole says: `given` are the kinds in it, `left` is what is not advised.

    An empty list says how the athlete is, then what is withheld, then what is not known.
    """
    accepted = facts.accepted
    stands = [] if accepted is None else [sentence([accepted_words(accepted.kind)])]
    if not given:
        why = [one.reason for because in _TOLD for one in left if one.because is because]
        if not why and not stands:
            return (
                "Nothing is advised: readiness, load, rules of progression, push and pull, and what you skip were "
                "looked at, and none of it asks for another plan."
            )
        said = _joined([*(one.reason for one in left if one.kind is AdviceKind.REST), *why])
        return _joined(["Nothing is advised.", *(one for one in stands if one not in said), said])
    if given[0] in (AdviceKind.REST, AdviceKind.DELOAD) or stands:
        return _joined([*stands, "Recover first: nothing that asks for more is advised beside it."])
    if facts.against:
        return f"Nothing that asks for more is advised: {'; '.join(facts.against)}."
    if not state_known(facts):
        return _joined(["What is known does not speak against going on.", *_not_known(facts)])
    return "Neither readiness nor load speaks against going on; each piece of advice changes only what it names."


def accepted_words(kind: AdviceKind) -> str:
    """What was accepted and covers the day."""
    if kind is AdviceKind.REST:
        return "you accepted rest for this day"
    return "a lighter week that you accepted covers this day"


def _not_known(facts: Facts) -> list[str]:
    said = [] if facts.inputs.readiness.score is not None else ["The readiness of the day is not known."]
    return said if position(facts) is not LoadPosition.UNKNOWN else [*said, load_state(facts)]


def _joined(said: Iterable[str]) -> str:
    """Sentences in a row, each once."""
    return " ".join(dict.fromkeys(one for one in said if one))
