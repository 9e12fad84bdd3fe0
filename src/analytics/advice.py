"""Advice for a day: a pure function from an athlete's figures to what to do next, why, and what it would change.

Each rule (`advice_rules`, `advice_progression`, `advice_exercises`) says what it would advise by itself, or why it does
not; this module says which of it is given, so that no advice of a day contradicts another, nor what was accepted:

1. Of rest and deload one is given at most: rest where readiness is low, else deload where its rule holds, else rest
   where the load is high and readiness is not. In a week of a deload that was accepted a high load is answered already,
   and low readiness, on its first day too, is not.
2. Where rest or deload is given, or was accepted and covers the day, and where readiness, load or monotony speak
   against it, nothing asks for more; and what else would change a training that the first changes is left for another
   day.
3. Then come regress, hold, progress, balance and prefer, in this order. An exercise of a planned training, and a
   subject, is spoken for once, by what was accepted for the day too. Within a rule the order is that of the inputs.

What is not given is told with its reason: whether nothing asks for it, too little is known, or it is withheld.

The id of a piece of advice is a UUIDv5 of the user, the day, its kind and subject, the version of the method, its
evidence and its changes. So what is accepted by its id is what was shown: where the figures or the plan have changed
since, it has another id. Nothing here knows a clock or chance.

It is no diagnosis, and no number in it is the probability of anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from uuid import UUID, uuid5

import orjson

from analytics import advice_facts, advice_rules
from analytics.advice_changes import change_of
from analytics.advice_exercises import balance, prefer
from analytics.advice_facts import LEAST_CONFIDENCE, Draft, Facts
from analytics.advice_inputs import AdviceInputs, Plan
from analytics.advice_progression import progression
from analytics.advice_words import accepted_words, load_state, position, summary, unsure, withheld
from analytics.sets import Fields
from models.advice import Advice, AdviceKind, LoadRisk, NotAdvised, NotAdvisedBecause

METHOD_VERSION = 2  # grows with every change of a rule
RULES: Mapping[str, object] = advice_facts.RULES

INDICATOR = "load outside the athlete's usual range"
DISPUTED = (
    "Whether this ratio tells anything of injuries is disputed: acute load is a part of chronic load, so the two are "
    "coupled; windows, measures and thresholds differ between studies; and no cause was shown (Impellizzeri et al. "
    "2020; Sports Med 2021;51:581). Here it only says how the last week stands to the last four."
)
NOT_A_DIAGNOSIS = (
    "This is arithmetic over your log. It is no diagnosis and no forecast of injury, and it does not replace what a "
    "physician or you yourself notice."
)

_CHOICES = frozenset({AdviceKind.HOLD, AdviceKind.PROGRESS, AdviceKind.BALANCE, AdviceKind.PREFER})
_FIRST = {AdviceKind.REST: "rest is advised first", AdviceKind.DELOAD: "a lighter week is advised first"}
_CHANGES = {AdviceKind.REST: "rest", AdviceKind.DELOAD: "lighter week"}
_TELLING = (NotAdvisedBecause.WITHHELD, NotAdvisedBecause.UNKNOWN, NotAdvisedBecause.NOTHING)


@dataclass(frozen=True, slots=True)
class Given:
    """Advice that is given, and what the planned trainings become that accepting it changes."""

    advice: Advice
    after: Sequence[tuple[Plan, Fields]]


@dataclass(frozen=True, slots=True)
class Considered:
    """What is advised for a day, what is not, and both in words."""

    given: Sequence[Given]
    not_advised: Sequence[NotAdvised]
    reason: str


def consider(inputs: AdviceInputs) -> Considered:
    """What is advised for the day, in the order of precedence; and why what is not advised is not, by kind. The same
    inputs give the same, whatever was asked before."""
    facts = Facts(inputs)
    given: list[Given] = []
    left: list[NotAdvised] = []
    for found in _chosen(facts):
        if isinstance(found, Draft):
            given.append(_given(inputs, found))
        else:
            left.append(found)
    kinds = [one.advice.kind for one in given]
    not_advised = _by_kind([one for one in left if one.kind not in kinds])
    return Considered(given, not_advised, summary(facts, kinds, not_advised))


def advise(inputs: AdviceInputs) -> list[Given]:
    """What is advised for the day, as `consider` has it."""
    return list(consider(inputs).given)


def risk(inputs: AdviceInputs) -> LoadRisk:
    """Where the load of the day stands to what is usual."""
    facts, load = Facts(inputs), inputs.load
    latest = facts.latest
    return LoadRisk(
        indicator=INDICATOR,
        position=position(facts),
        reason=load_state(facts),
        until=latest.day if latest else None,
        ratio=latest.acwr if latest else None,
        band=latest.band if latest else None,
        usual=advice_facts.USUAL_LOAD,
        measure=load.measure,
        unit=load.unit,
        acute=latest.acute if latest else None,
        chronic=latest.chronic if latest else None,
        observed_days_28=latest.observed_days_28 if latest else 0,
        known_days=facts.known_days,
        disputed=DISPUTED,
        not_a_diagnosis=NOT_A_DIAGNOSIS,
    )


def _chosen(facts: Facts) -> Iterator[Draft | NotAdvised]:
    """What the rules draft and is given, and why the rest is not."""
    recover, *others = _recover(facts)
    yield from others
    touched: set[UUID] = set()
    against = facts.against
    if isinstance(recover, Draft):
        touched = {plan.id for plan, _ in recover.after}
        against = [_FIRST[recover.kind]]
    elif facts.accepted is not None:
        against = [accepted_words(facts.accepted.kind)]
    yield recover
    taken: set[tuple[UUID, UUID]] = set()
    subjects: set[tuple[UUID | None, UUID | None]] = set()
    accepted = {
        (standing.subject.workout_id, standing.subject.exercise_id)
        for standing in facts.inputs.standing
        if standing.day == facts.inputs.day
    }

    def spoken(plan: Plan, exercise_id: UUID, name: str) -> str | None:
        workout = plan.fields.get("workout_id")
        subject = (None if workout is None else UUID(str(workout)), exercise_id)
        if subject in accepted:
            return f"You accepted advice about {name} for this day; it is told again on another day."
        if plan.id in touched and isinstance(recover, Draft):
            return f"The training that plans {name} is changed by the {_CHANGES[recover.kind]} that is advised."
        if (plan.id, exercise_id) in taken or subject in subjects:
            return f"Other advice of this day is about {name}."
        return None

    for found in chain.from_iterable(rule(facts, spoken) for rule in (progression, balance, prefer)):
        if isinstance(found, NotAdvised):
            yield found
        elif found.more and against:
            asks = "is more than what is planned" if found.kind is AdviceKind.HOLD else "asks for more"
            yield withheld(found.kind, f"“{found.title}” {asks}, but {'; '.join(against)}.")
        elif found.kind in _CHOICES and found.confidence < LEAST_CONFIDENCE:
            yield unsure(found)
        else:
            subject = found.subject
            subjects.add((subject.workout_id, subject.exercise_id))
            if subject.exercise_id is not None:
                taken |= {(plan.id, subject.exercise_id) for plan, _ in found.after}
            yield found


def _recover(facts: Facts) -> tuple[Draft | NotAdvised, ...]:
    """Rest or deload, whichever is given, before the other one."""
    rest, deload = advice_rules.rest(facts), advice_rules.deload(facts)
    if not isinstance(rest, Draft) or not isinstance(deload, Draft):
        return (rest, deload) if isinstance(rest, Draft) else (deload, rest)
    if facts.worn:
        return rest, withheld(AdviceKind.DELOAD, f"{deload.reason} Rest comes first on this day.")
    return deload, withheld(AdviceKind.REST, f"{rest.reason} A lighter week is advised, which answers that.")


def _by_kind(left: Sequence[NotAdvised]) -> list[NotAdvised]:
    """One for each kind, in the order of precedence: where something is withheld that is what is told, else what is not
    known."""
    found = []
    for kind in AdviceKind:
        of_kind = [one for one in left if one.kind is kind]
        because = min((_TELLING.index(one.because) for one in of_kind), default=None)
        if because is not None:
            reasons = dict.fromkeys(one.reason for one in of_kind if one.because is _TELLING[because])
            found.append(NotAdvised(kind=kind, because=_TELLING[because], reason=" ".join(reasons)))
    return found


def _given(inputs: AdviceInputs, draft: Draft) -> Given:
    changes = [change_of(plan, after) for plan, after in draft.after]
    said = [
        inputs.day,
        draft.kind,
        draft.subject.model_dump(mode="json"),
        METHOD_VERSION,
        [evidence.model_dump(mode="json") for evidence in draft.evidence],
        [change.model_dump(mode="json") for change in changes],
    ]
    id_ = uuid5(inputs.user_id, sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest())
    while id_ in inputs.undone:
        id_ = uuid5(id_, "undone")
    advice = Advice(
        id=id_,
        kind=draft.kind,
        subject=draft.subject,
        title=draft.title,
        reason=draft.reason,
        evidence=list(draft.evidence),
        confidence=draft.confidence,
        confidence_parts=list(draft.parts),
        method_version=METHOD_VERSION,
        changes=changes,
    )
    return Given(advice, draft.after)
