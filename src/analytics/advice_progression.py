"""The rules of advice that bring what is planned to what rules of progression prescribe: regress, hold and progress."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from analytics.advice_changes import exercise_in, prescribed
from analytics.advice_facts import AHEAD_DAYS, SESSIONS, Draft, Facts, known_value, missed_in_row, part
from analytics.advice_inputs import Plan, Prescribed
from analytics.advice_words import quiet, unknown, withheld, words
from analytics.preferences import movement_key
from analytics.sets import Fields
from analytics.words import counted, named
from models.advice import (
    AdviceEvidence,
    AdviceKind,
    AdviceSubject,
    EvidenceSource,
    NotAdvised,
    SubjectKind,
)
from models.exercises import Catalogue
from models.sets import MAX_SETS, RepRangeDocument

FORWARD = frozenset({"progress", "harder"})
BACK = frozenset({"deload", "easier"})
SCRIPT = "script"

Spoken = Callable[[Plan, UUID, str], str | None]
"""What speaks for an exercise of a planned training already, by its name: other advice; None where nothing does."""

_DOES = {
    AdviceKind.REGRESS: "goes back",
    AdviceKind.HOLD: "stays where it was",
    AdviceKind.PROGRESS: "goes on",
}


class _Step(NamedTuple):
    """What a rule of progression prescribes of an exercise of the planned training, which becomes `after`."""

    kind: AdviceKind
    more: bool
    one: Prescribed
    plan: Plan
    after: Fields


def progression(facts: Facts, spoken: Spoken) -> Iterator[Draft | NotAdvised]:
    """What the rules of progression take back, then what stays, then what they put up."""
    steps = list(_steps(facts))
    for kind in _DOES:
        found = [step for step in steps if step.kind is kind]
        if not facts.inputs.prescribed:
            yield unknown(kind, "No training is planned from a workout with a rule of progression.")
        elif not found:
            yield quiet(kind, _nothing(facts, kind))
        for step in found:
            why = spoken(step.plan, step.one.exercise_id, step.one.name)
            yield _draft(facts, step) if why is None else withheld(kind, why)


def subject_of(facts: Facts, plan: Plan, exercise_id: UUID, name: str, slug: str | None) -> AdviceSubject:
    """An exercise of a planned training as what advice is about."""
    workout = plan.fields.get("workout_id")
    return AdviceSubject(
        kind=SubjectKind.EXERCISE,
        day=facts.inputs.day,
        workout_id=None if workout is None else UUID(str(workout)),
        exercise_id=exercise_id,
        movement=movement_key(name, slug),
        name=name,
    )


def _nothing(facts: Facts, kind: AdviceKind) -> str:
    """Why no rule of progression asks for it, by what they decided."""
    decided = (_decided(one, facts.inputs.catalogue)[0] for one in facts.inputs.prescribed if one.sessions)
    if kind not in decided:
        return f"No rule of progression {_DOES[kind]} after its last session."
    own = "; what you planned otherwise stays" if kind is AdviceKind.HOLD else ""
    nowhere = f"no training of the next {AHEAD_DAYS} days can take it"
    return f"Where a rule of progression {_DOES[kind]}, that is planned already, or {nowhere}{own}."


def _steps(facts: Facts) -> Iterator[_Step]:
    """Of each exercise with a rule the next planned training, unless it aims at what is prescribed already."""
    catalogue = facts.inputs.catalogue
    for of in facts.inputs.prescribed:
        plan = next((plan for plan in facts.ahead(AHEAD_DAYS) if _plans(facts, plan, of)), None)
        if plan is None:
            continue
        one = _with_sets(of, facts.sets_added(plan, of.exercise_id))
        # A plan that has the exact weight says what is prescribed already.
        aims = [prescribed(plan.fields, each, catalogue) for each in (one, replace(one, display_weight=None))]
        kind, more = _kind(one, plan, catalogue)
        if plan.fields not in aims and kind is not None:
            yield _Step(kind, more, one, plan, aims[0])


def _plans(facts: Facts, plan: Plan, one: Prescribed) -> bool:
    """Whether a planned training is one of the workout's, has the exercise as that movement, and is no light one."""
    if str(plan.fields.get("workout_id")) != str(one.workout_id) or facts.light(plan):
        return False
    exercise = exercise_in(plan, one.exercise_id)
    meant = {movement_key(each.name, each.exercise) for each in (one, one.template) if each is not None}
    return exercise is not None and movement_key(exercise["name"], exercise.get("exercise")) in meant


def _with_sets(one: Prescribed, more: int) -> Prescribed:
    """The same with more sets: what advice added to a training stays there."""
    sets = min(one.sets + more, MAX_SETS)
    return replace(one, sets=sets, template=None if one.template is None else _with_sets(one.template, more))


def _decided(one: Prescribed, catalogue: Catalogue) -> tuple[AdviceKind, bool]:
    """What the rule decided, and whether that asks for more."""
    less = one.template is not None and _demand(one, catalogue) < _demand(one.template, catalogue)
    if one.decision in FORWARD:
        return AdviceKind.PROGRESS, True
    if one.decision in BACK:
        return AdviceKind.REGRESS, False
    if one.decision == SCRIPT:
        return (AdviceKind.REGRESS, False) if less else (AdviceKind.PROGRESS, True)
    return AdviceKind.HOLD, not less


def _kind(one: Prescribed, plan: Plan, catalogue: Catalogue) -> tuple[AdviceKind | None, bool]:
    """What it is for the planned training, and whether it asks for more."""
    kind, more = _decided(one, catalogue)
    template = one.template
    # What was planned before the walk went on is as the workout says; what the athlete planned otherwise stays.
    if kind is AdviceKind.HOLD and (
        template is None or not one.sessions or prescribed(plan.fields, template, catalogue) != plan.fields
    ):
        return None, False
    return kind, more


def _demand(one: Prescribed, catalogue: Catalogue) -> tuple[float, ...]:
    """How much a prescription asks for, to be compared with another one of the same exercise."""
    revision = catalogue.latest.get(one.exercise or "")
    difficulty = 0 if revision is None else catalogue.revisions[one.exercise or "", revision].difficulty
    reps = one.reps.min if isinstance(one.reps, RepRangeDocument) else one.reps
    return difficulty, one.weight or 0, one.hold_seconds or 0, reps or 0, one.sets


def _draft(facts: Facts, step: _Step) -> Draft:
    kind, more, one, plan, after = step
    movement = movement_key(one.name, one.exercise)
    goal = next((goal for goal in facts.inputs.goals if more and goal.movement == movement and goal.behind), None)
    evidence = [
        *_sessions(one, back=kind is AdviceKind.REGRESS),
        *(
            AdviceEvidence(
                what=f"record: {record.what}",
                value=known_value(record.value),
                unit=record.unit,
                source=EvidenceSource.RECORDS,
                first=record.day,
                last=record.day,
                ids=[record.training_id],
            )
            for record in facts.inputs.records
            if more and record.movement == movement
        ),
    ]
    seen = len(one.sessions)
    sessions = counted(seen, "session") if seen < SESSIONS else f"{SESSIONS} sessions or more"
    parts = [part("sessions", seen, SESSIONS, f"The rule has seen {sessions}.", spare=True)]
    if more:
        parts.append(facts.against_part())
    reason = one.reason
    if kind is AdviceKind.HOLD and one.template is not None:
        other = "" if one.template.exercise == one.exercise else f"{one.template.name}, "
        reason += f" What is planned is still what the workout says: {other}{words(one.template)}."
    if goal is not None:
        reason += f" Your goal “{goal.name}”, due on {named(goal.due)}, is behind."
        source = EvidenceSource.GOALS
        evidence.append(AdviceEvidence(what="goal", value=goal.name, source=source, last=goal.due, ids=[goal.id]))
    to = "go on to" if one.decision in FORWARD | {SCRIPT} else "go back to" if one.decision in BACK else "stay at"
    subject = subject_of(facts, plan, one.exercise_id, one.name, one.exercise)
    return Draft(kind, subject, f"{one.name}: {to} {words(one)}", reason, evidence, parts, [(plan, after)], more)


def _sessions(one: Prescribed, *, back: bool) -> Iterator[AdviceEvidence]:
    """The sessions: where the rule goes back those that missed, if any did, else the latest; and what it decided."""
    deciding = [session for session in one.sessions if session[0] in one.deciding] or one.sessions
    missed = missed_in_row(deciding) if back else 0
    count = missed or (1 if back else SESSIONS)
    sessions = list(one.sessions)[-count:]
    source = EvidenceSource.PROGRESSION
    yield AdviceEvidence(
        what="latest sessions in a row that missed what was prescribed"
        if missed
        else "latest sessions of the exercise",
        value=len(sessions),
        unit="sessions",
        source=source,
        first=sessions[0][1] if sessions else None,
        last=sessions[-1][1] if sessions else None,
        ids=[id_ for id_, _, _ in sessions],
    )
    yield AdviceEvidence(what="decision of the rule of progression", value=str(one.decision), source=source)
