"""The rules of advice about what is done beside what is planned: balance and prefer."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from analytics.advice_changes import has_work, one_set_more, replaced
from analytics.advice_facts import (
    AHEAD_DAYS,
    BALANCE_APART,
    BALANCE_WEEKS,
    ENOUGH_SETS,
    HARD_SETS,
    Draft,
    Facts,
    known_value,
    part,
)
from analytics.advice_inputs import Plan
from analytics.advice_progression import Spoken, subject_of
from analytics.advice_words import quiet, unknown, withheld
from analytics.preferences import (
    DAYS_BACK,
    LAST_TIMES,
    LEAST_TIMES,
    Habit,
    Replacement,
    category_of,
    movement_key,
)
from analytics.sets import Fields
from analytics.words import counted, named
from models.advice import AdviceEvidence, AdviceKind, AdviceSubject, EvidenceSource, NotAdvised, SubjectKind, UsualRange
from models.exercises import Category
from models.sets import MAX_SETS

RATIO = UsualRange(least=round(2 / 3, 4), most=1.5)


def balance(facts: Facts, spoken: Spoken) -> Iterator[Draft | NotAdvised]:
    """One more set of whichever of push and pull lacks; in words alone where nothing of it is planned."""
    inputs, kind = facts.inputs, AdviceKind.BALANCE
    weeks = inputs.weeks[-BALANCE_WEEKS:]
    push, pull = sum(week.push for week in weeks), sum(week.pull for week in weeks)
    uncounted = sum(week.unknown for week in weeks)
    sets = f"{push:g} hard set{'' if push == 1 else 's'} of push and {pull:g} of pull in 28 days"
    lost = f"Not counted: {uncounted:g} more, of names that mean no movement." if uncounted else ""
    found_sets = f"You did {sets}. {lost}".rstrip()
    lately = facts.within(kind, BALANCE_APART)
    if push + pull < HARD_SETS:
        yield unknown(kind, f"Push and pull are compared from {HARD_SETS} hard sets on. {found_sets}")
        return
    if uncounted >= push + pull:
        yield unknown(kind, f"{found_sets} As these are half of them or more, push and pull cannot be compared.")
        return
    # In whole numbers: 2:3 to 3:2 is balanced, both ends too.
    if 2 * max(push, pull) <= 3 * min(push, pull):
        if 2 * (max(push, pull) + uncounted) > 3 * min(push, pull):
            yield unknown(kind, f"{found_sets} Whether push and pull are balanced depends on what these are.")
            return
        either = ", whichever of the two these are of" if uncounted else ""
        yield quiet(kind, f"{found_sets} That is balanced{either}.")
        return
    if lately is not None:
        yield withheld(kind, f"{found_sets} More of what lacks was accepted for {named(lately.day)} already.")
        return
    lacking, other = (Category.PULL, Category.PUSH) if push > pull else (Category.PUSH, Category.PULL)
    found = next(_lacking(facts, lacking, spoken), None)
    subject = AdviceSubject(kind=SubjectKind.WEEK, day=inputs.day)
    title, what = f"Plan more {lacking.lower()}", f"Nothing in the next {AHEAD_DAYS} days can take one more set of it."
    after: list[tuple[Plan, Fields]] = []
    if found is not None:
        plan, exercise = found
        id_, name = exercise["id"], exercise["name"]
        subject = subject_of(facts, plan, UUID(id_), name, exercise.get("exercise"))
        title = f"{name}: one more set, for more {lacking.lower()}"
        what = f"One more set of {name} brings the two nearer to each other."
        after = [(plan, one_set_more(plan.fields, id_))]
    first, last = weeks[0].last - timedelta(6), weeks[-1].last
    seen = sum(bool(week.push or week.pull) for week in weeks)
    yield Draft(
        kind,
        subject,
        title,
        " ".join(
            filter(None, [f"You did {sets}: {lacking.lower()} is less than two thirds of {other.lower()}.", lost, what])
        ),
        [
            AdviceEvidence(
                what="hard sets of push over those of pull",
                value=known_value(push / pull) if pull else None,
                usual=RATIO,
                source=EvidenceSource.VOLUME,
                first=first,
                last=last,
            ),
            *(
                AdviceEvidence(
                    what=f"hard sets of {side}",
                    value=known_value(value),
                    unit="sets",
                    source=EvidenceSource.VOLUME,
                    first=first,
                    last=last,
                )
                for side, value in (("push", push), ("pull", pull), ("names that mean no movement", uncounted))
            ),
        ],
        [
            part("weeks", seen, BALANCE_WEEKS, f"{seen} of 4 weeks have such sets."),
            part("hard sets", push + pull, ENOUGH_SETS, f"You did {sets}."),
            part("names", push + pull, push + pull + uncounted, lost or "Every name means a movement."),
        ],
        after,
        more=True,
    )


def prefer(facts: Facts, spoken: Spoken) -> Iterator[Draft | NotAdvised]:
    """What is done anyway in place of what is planned and skipped."""
    kind, habits = AdviceKind.PREFER, facts.inputs.habits
    wanted = {goal.movement for goal in facts.inputs.goals}
    often = [(habit, habit.by) for habit in habits if habit.by is not None and len(habit.replaced) >= LEAST_TIMES]
    if not habits:
        nothing = f"of no training of the last {DAYS_BACK} days it is known what was planned"
        where = "That is known of sets with targets, and where the workout was not changed since."
        yield unknown(kind, f"What you skip is unknown: {nothing}. {where}")
    elif not often:
        times = f"{LEAST_TIMES} of the last {LAST_TIMES} times"
        yield quiet(kind, f"Nothing was skipped {times} that it was planned with the same other movement in its place.")
    for habit, by in often:
        found = _planned(facts, habit, by)
        why = None if found is None else spoken(*found, habit.name)
        if habit.movement in wanted:
            yield withheld(kind, f"A goal is about {habit.name}, so nothing is planned in its place.")
        elif found is None:
            nowhere = f"no training of the next {AHEAD_DAYS} days plans {habit.name} without it"
            yield quiet(kind, f"{by.name} is often done in place of {habit.name}, but {nowhere}.")
        elif why is not None:
            yield withheld(kind, why)
        else:
            yield _preferred(facts, found[0], habit, by, found[1])


def _planned(facts: Facts, habit: Habit, by: Replacement) -> tuple[Plan, UUID] | None:
    """The exercise in the next training that plans it, unless that plans the other one too. A light training keeps what
    it has."""
    for plan in facts.ahead(AHEAD_DAYS):
        movements = {movement_key(one["name"], one.get("exercise")): one for one in plan.fields["exercises"]}
        exercise = movements.get(habit.movement)
        if exercise is not None and not facts.light(plan):
            return (plan, UUID(exercise["id"])) if by.movement not in movements else None
    return None


def _lacking(facts: Facts, category: str, spoken: Spoken) -> Iterator[tuple[Plan, Fields]]:
    """The exercises of the category in planned trainings, the next training's first."""
    inputs = facts.inputs
    for plan in facts.ahead(AHEAD_DAYS):
        if facts.light(plan):
            continue
        for exercise in plan.fields["exercises"]:
            key = movement_key(exercise["name"], exercise.get("exercise"))
            known = category_of(exercise.get("exercise"), inputs.catalogue) or inputs.sides.get(key)
            room = has_work(exercise) and len(exercise["sets"]) < MAX_SETS
            if known == category and room and spoken(plan, UUID(exercise["id"]), exercise["name"]) is None:
                yield plan, exercise


def _preferred(facts: Facts, plan: Plan, habit: Habit, by: Replacement, exercise_id: UUID) -> Draft:
    days = [day for _, day in habit.skipped]
    skipped, times = len(habit.skipped), len(habit.replaced)
    return Draft(
        AdviceKind.PREFER,
        subject_of(facts, plan, exercise_id, habit.name, None if ":" in habit.movement else habit.movement),
        f"{habit.name}: plan {by.name} in its place",
        f"You skipped {habit.name} {skipped} of the last {habit.planned} times that it was planned, and did {by.name} "
        f"in its place {times} times. What to aim at with it is left open.",
        [
            AdviceEvidence(
                what=f"times skipped, of the last {habit.planned} planned",
                value=skipped,
                unit="trainings",
                source=EvidenceSource.TRAININGS,
                first=min(days),
                last=max(days),
                ids=[id_ for id_, _ in habit.skipped],
            ),
            AdviceEvidence(
                what=f"times that {by.name} was done in its place",
                value=times,
                unit="trainings",
                source=EvidenceSource.TRAININGS,
                first=min(days),
                last=max(days),
                ids=list(habit.replaced),
            ),
        ],
        [part("times planned", habit.planned, LAST_TIMES, f"It was planned {counted(habit.planned, 'time')}.")],
        [(plan, replaced(plan.fields, str(exercise_id), by, facts.inputs.catalogue))],
    )
