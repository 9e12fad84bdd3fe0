"""Advice for a day: a pure function from an athlete's figures to what to do next, why, and what it would change.

Each rule (`advice_rules`, `advice_exercises`) says what it would advise by itself; this module says which of it is
given, so that no advice of a day contradicts another:

1. Of rest and deload one is given at most: rest where readiness is low, else deload where its rule holds, else rest
   where the load is high and readiness is not.
2. Where rest or deload is given, or was accepted and covers the day, nothing asks for more: neither progress nor
   balance; and what else would change a training that the first changes is left for another day.
3. Then come regress, progress, balance and prefer, in this order. An exercise of a planned training, and a subject, is
   spoken for once. Within a rule the order is that of the inputs.

The id of a piece of advice is a UUIDv5 of the user, the day, its kind and subject, the version of the method, its
evidence and its changes. So what is accepted by its id is what was shown: where the figures or the plan have changed
since, it has another id. Nothing here knows a clock or chance.

It is no diagnosis, and no number in it is the probability of anything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from uuid import UUID, uuid5

import orjson

from analytics import advice_exercises, advice_facts, advice_rules
from analytics.advice_changes import change_of
from analytics.advice_facts import WEEK, Draft, Facts
from analytics.advice_inputs import AdviceInputs, Plan
from analytics.load import reason as why_unknown
from analytics.sets import Fields
from models.advice import Advice, AdviceKind, LoadPosition, LoadRisk
from models.load import Band, Unknown

METHOD_VERSION = 1  # grows with every change of a rule
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

_POSITIONS = {Band.UNDER: LoadPosition.BELOW, Band.TARGET: LoadPosition.INSIDE, Band.OVER: LoadPosition.ABOVE}
_SAID = {
    LoadPosition.BELOW: "The load of the last 7 days is below the usual range",
    LoadPosition.INSIDE: "The load of the last 7 days is inside the usual range",
    LoadPosition.ABOVE: "The load of the last 7 days is above the usual range",
}
_UNKNOWN = {
    Unknown.BEFORE_28_DAYS: "Unknown: the first training was less than 28 days ago.",
    Unknown.NO_CHRONIC_LOAD: "Unknown: there was no load in the last 28 days to compare with.",
}


@dataclass(frozen=True, slots=True)
class Given:
    """Advice that is given, and what the planned trainings become that accepting it changes."""

    advice: Advice
    after: Sequence[tuple[Plan, Fields]]


def advise(inputs: AdviceInputs) -> list[Given]:
    """What is advised for the day, in the order of precedence. The same inputs give the same, whatever was asked
    before."""
    return [_given(inputs, draft) for draft in _chosen(Facts(inputs))]


def risk(inputs: AdviceInputs) -> LoadRisk:
    """Where the load of the day stands to what is usual."""
    load = inputs.load
    today = load.days[-1] if load.days else None
    position = LoadPosition.UNKNOWN if today is None or today.band is None else _POSITIONS[today.band]
    if today is None:
        reason = "Unknown: no completed training has a load."
    elif position is LoadPosition.UNKNOWN:
        unknown = why_unknown(today)
        reason = _UNKNOWN[unknown] if unknown else "Unknown."
    else:
        reason = f"{_SAID[position]}: {today.acwr:.2f} times that of the last 28, where 0.8 to 1.3 counts as usual."
    return LoadRisk(
        indicator=INDICATOR,
        position=position,
        reason=reason,
        ratio=today.acwr if today else None,
        band=today.band if today else None,
        usual=advice_facts.USUAL_LOAD,
        measure=load.measure,
        unit=load.unit,
        acute=today.acute if today else None,
        chronic=today.chronic if today else None,
        observed_days_28=today.observed_days_28 if today else 0,
        known_days=load.known_days,
        disputed=DISPUTED,
        not_a_diagnosis=NOT_A_DIAGNOSIS,
    )


def summary(given: Sequence[Given]) -> str:
    """What the list as a whole says, in words."""
    if not given:
        return "Nothing speaks for changing what is planned."
    if given[0].advice.kind in (AdviceKind.REST, AdviceKind.DELOAD):
        return "Recover first: nothing that asks for more is advised beside it."
    return "Nothing speaks against going on; each piece of advice changes only what it names."


def _chosen(facts: Facts) -> Iterator[Draft]:
    recover = _recover(facts)
    if recover is not None:
        yield recover
    touched = {plan.id for plan, _ in recover.after} if recover else set()
    taken: set[tuple[UUID, UUID]] = set()
    subjects: set[tuple[UUID | None, UUID | None]] = set()

    def free(plan: Plan, exercise_id: UUID) -> bool:
        return plan.id not in touched and (plan.id, exercise_id) not in taken

    rules: list[Callable[[Facts, Callable[[Plan, UUID], bool]], Iterator[Draft]]] = [advice_exercises.regress]
    if recover is None and not _recovering(facts):
        rules += [advice_exercises.progress, advice_exercises.balance]
    rules.append(advice_exercises.prefer)
    for draft in chain.from_iterable(rule(facts, free) for rule in rules):
        subject = draft.subject
        if (subject.workout_id, subject.exercise_id) in subjects:
            continue
        subjects.add((subject.workout_id, subject.exercise_id))
        if subject.exercise_id is not None:
            taken |= {(plan.id, subject.exercise_id) for plan, _ in draft.after}
        yield draft


def _recover(facts: Facts) -> Draft | None:
    rest = advice_rules.rest(facts)
    if _recovering(facts) or (rest is not None and facts.worn):
        return rest
    return advice_rules.deload(facts) or rest


def _recovering(facts: Facts) -> bool:
    """Whether rest or deload was accepted and covers the day."""
    day = facts.inputs.day
    return any(
        (standing.kind is AdviceKind.REST and standing.day == day)
        or (standing.kind is AdviceKind.DELOAD and 0 <= (day - standing.day).days < WEEK)
        for standing in facts.inputs.standing
    )


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
