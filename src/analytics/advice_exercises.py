"""The rules of advice about one exercise: regress, progress, balance and prefer."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

from analytics.advice_changes import exercise_in, has_work, one_set_more, prescribed, replaced
from analytics.advice_facts import (
    AHEAD_DAYS,
    BALANCE_APART,
    BALANCE_WEEKS,
    ENOUGH_SETS,
    HARD_SETS,
    SESSIONS,
    Draft,
    Facts,
    known_value,
    missed_in_row,
    part,
)
from analytics.advice_inputs import Plan, Prescribed, day_of
from analytics.preferences import LAST_TIMES, LEAST_TIMES, Habit, Replacement, category_of, counted, movement_key
from analytics.sets import Fields
from models.advice import AdviceEvidence, AdviceKind, AdviceSubject, EvidenceSource, SubjectKind, UsualRange
from models.exercises import Catalogue, Category
from models.sets import MAX_SETS, RepRangeDocument

FORWARD = frozenset({"progress", "harder", "script"})
BACK = frozenset({"deload", "easier"})
RATIO = UsualRange(least=round(2 / 3, 4), most=1.5)

Free = Callable[[Plan, UUID], bool]
"""Whether an exercise of a planned training is not spoken for by other advice."""


def regress(facts: Facts, free: Free) -> Iterator[Draft]:
    """What the rules of progression take back."""
    yield from _prescribed(facts, AdviceKind.REGRESS, free)


def progress(facts: Facts, free: Free) -> Iterator[Draft]:
    """What the rules of progression put up, where nothing speaks against more."""
    if not facts.no_more:
        yield from _prescribed(facts, AdviceKind.PROGRESS, free)


def balance(facts: Facts, free: Free) -> Iterator[Draft]:
    """One more set of whichever of push and pull lacks; in words alone where nothing of it is planned."""
    inputs = facts.inputs
    weeks = inputs.weeks[-BALANCE_WEEKS:]
    push, pull = sum(week.push for week in weeks), sum(week.pull for week in weeks)
    lately = any(
        standing.kind is AdviceKind.BALANCE and 0 <= (inputs.day - standing.day).days < BALANCE_APART
        for standing in inputs.standing
    )
    # In whole numbers: 2:3 to 3:2 is balanced, both ends too.
    even = 2 * max(push, pull) <= 3 * min(push, pull)
    if facts.no_more or lately or push + pull < HARD_SETS or even:
        return
    lacking, other = (Category.PULL, Category.PUSH) if push > pull else (Category.PUSH, Category.PULL)
    found = next(_lacking(facts, lacking, free), None)
    subject = AdviceSubject(kind=SubjectKind.WEEK, day=inputs.day)
    title, what = f"Plan more {lacking.lower()}", f"Nothing that is planned for the next {AHEAD_DAYS} days is of it."
    after: list[tuple[Plan, Fields]] = []
    if found is not None:
        plan, exercise = found
        id_, name = exercise["id"], exercise["name"]
        subject = _subject(facts, plan, UUID(id_), name, exercise.get("exercise"))
        title = f"{name}: one more set, for more {lacking.lower()}"
        what = f"One more set of {name} brings the two nearer to each other."
        after = [(plan, one_set_more(plan.fields, id_))]
    first, last = weeks[0].last - timedelta(6), weeks[-1].last
    seen = sum(bool(week.push or week.pull) for week in weeks)
    sets = f"{push:g} hard sets of push and {pull:g} of pull in 28 days"
    yield Draft(
        AdviceKind.BALANCE,
        subject,
        title,
        f"You did {sets}: {lacking.lower()} is less than two thirds of {other.lower()}. {what}",
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
                for side, value in (("push", push), ("pull", pull))
            ),
        ],
        [
            part("weeks", seen, BALANCE_WEEKS, f"{seen} of 4 weeks have such sets."),
            part("hard sets", push + pull, ENOUGH_SETS, f"There are {sets}."),
        ],
        after,
    )


def prefer(facts: Facts, free: Free) -> Iterator[Draft]:
    """What is done anyway in place of what is planned and skipped."""
    wanted = {goal.movement for goal in facts.inputs.goals}
    for habit in facts.inputs.habits:
        if habit.by is None or len(habit.replaced) < LEAST_TIMES or habit.movement in wanted:
            continue
        for plan in facts.ahead(AHEAD_DAYS):
            movements = {movement_key(one["name"], one.get("exercise")): one for one in plan.fields["exercises"]}
            exercise = movements.get(habit.movement)
            if exercise is None:
                continue
            id_ = UUID(exercise["id"])
            if habit.by.movement not in movements and free(plan, id_):
                yield _preferred(facts, plan, habit, habit.by, id_)
            break


def words(one: Prescribed) -> str:
    """A prescription, as an athlete would write it down: 3 × 8–10 at 22.5 kg."""
    reps = f"{one.reps.min}–{one.reps.max}" if isinstance(one.reps, RepRangeDocument) else one.reps
    each = f"{one.hold_seconds:g} s" if one.hold_seconds is not None else reps
    text = f"{one.sets} sets" if each is None else f"{one.sets} × {each}"
    if one.weight is not None and one.weight < 0:
        return f"{text} with {-one.weight:g} {one.unit} of help"
    return text if not one.weight else f"{text} at {one.weight:g} {one.unit}"


def _prescribed(facts: Facts, kind: AdviceKind, free: Free) -> Iterator[Draft]:
    """The next planned training of each workout with what is prescribed, unless it aims at that already."""
    catalogue = facts.inputs.catalogue
    for one in facts.inputs.prescribed:
        plan = next((plan for plan in facts.ahead(AHEAD_DAYS) if _plans(facts, plan, one)), None)
        if plan is None or not free(plan, one.exercise_id):
            continue
        after = prescribed(plan.fields, one, catalogue)
        if after != plan.fields and _kind(one, plan, catalogue) is kind:
            yield _as_prescribed(facts, kind, one, plan, after)


def _plans(facts: Facts, plan: Plan, one: Prescribed) -> bool:
    """Whether a planned training is one of the workout's, has the exercise as that movement, and is no light one."""
    if str(plan.fields.get("workout_id")) != str(one.workout_id) or day_of(plan) in facts.light_days:
        return False
    exercise = exercise_in(plan, one.exercise_id)
    meant = {movement_key(each.name, each.exercise) for each in (one, one.template) if each is not None}
    return exercise is not None and movement_key(exercise["name"], exercise.get("exercise")) in meant


def _kind(one: Prescribed, plan: Plan, catalogue: Catalogue) -> AdviceKind | None:
    if one.decision in FORWARD:
        return AdviceKind.PROGRESS
    if one.decision in BACK:
        return AdviceKind.REGRESS
    # What was planned before the walk went on is as the workout says; what the athlete planned otherwise stays.
    template = one.template
    if template is None or not one.sessions or prescribed(plan.fields, template, catalogue) != plan.fields:
        return None
    return AdviceKind.REGRESS if _demand(one, catalogue) < _demand(template, catalogue) else AdviceKind.PROGRESS


def _demand(one: Prescribed, catalogue: Catalogue) -> tuple[float, ...]:
    """How much a prescription asks for, to be compared with another one of the same exercise."""
    revision = catalogue.latest.get(one.exercise or "")
    difficulty = 0 if revision is None else catalogue.revisions[one.exercise or "", revision].difficulty
    reps = one.reps.min if isinstance(one.reps, RepRangeDocument) else one.reps
    return difficulty, one.weight or 0, one.hold_seconds or 0, reps or 0, one.sets


def _as_prescribed(facts: Facts, kind: AdviceKind, one: Prescribed, plan: Plan, after: Fields) -> Draft:
    forward = kind is AdviceKind.PROGRESS
    movement = movement_key(one.name, one.exercise)
    goal = next((goal for goal in facts.inputs.goals if forward and goal.movement == movement and goal.behind), None)
    sessions = list(one.sessions)
    sessions = sessions[-max(1, SESSIONS if forward else missed_in_row(one)) :]
    evidence = [
        AdviceEvidence(
            what="latest sessions of the exercise" if forward else "latest sessions, which missed their targets",
            value=len(sessions),
            unit="sessions",
            source=EvidenceSource.PROGRESSION,
            first=sessions[0][1] if sessions else None,
            last=sessions[-1][1] if sessions else None,
            ids=[id_ for id_, _, _ in sessions],
        ),
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
            if forward and record.movement == movement
        ),
    ]
    seen = len(one.sessions)
    spare = one.decision == "script"
    parts = [part("sessions", seen, SESSIONS, f"The rule has seen {counted(seen, 'session')}.", spare=spare)]
    if forward:
        parts += [facts.readiness_part(), facts.load_part()]
    reason = one.reason
    if goal is not None:
        reason += f" Your goal “{goal.name}”, due on {goal.due}, is behind."
        source = EvidenceSource.GOALS
        evidence.append(AdviceEvidence(what="goal", value=goal.name, source=source, last=goal.due, ids=[goal.id]))
    to = "stay at" if one.decision not in FORWARD | BACK else "go on to" if forward else "go back to"
    return Draft(
        kind,
        _subject(facts, plan, one.exercise_id, one.name, one.exercise),
        f"{one.name}: {to} {words(one)}",
        reason,
        evidence,
        parts,
        [(plan, after)],
    )


def _lacking(facts: Facts, category: str, free: Free) -> Iterator[tuple[Plan, Fields]]:
    """The exercises of the category in planned trainings, the next training's first."""
    inputs = facts.inputs
    for plan in facts.ahead(AHEAD_DAYS):
        if day_of(plan) in facts.light_days:
            continue
        for exercise in plan.fields["exercises"]:
            key = movement_key(exercise["name"], exercise.get("exercise"))
            known = category_of(exercise.get("exercise"), inputs.catalogue) or inputs.sides.get(key)
            room = has_work(exercise) and len(exercise["sets"]) < MAX_SETS
            if known == category and room and free(plan, UUID(exercise["id"])):
                yield plan, exercise


def _preferred(facts: Facts, plan: Plan, habit: Habit, by: Replacement, exercise_id: UUID) -> Draft:
    days = [day for _, day in habit.skipped]
    skipped, times = len(habit.skipped), len(habit.replaced)
    return Draft(
        AdviceKind.PREFER,
        _subject(facts, plan, exercise_id, habit.name, None if ":" in habit.movement else habit.movement),
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
        [part("times planned", habit.planned, LAST_TIMES, f"It was planned {habit.planned} times.")],
        [(plan, replaced(plan.fields, str(exercise_id), by, facts.inputs.catalogue))],
    )


def _subject(facts: Facts, plan: Plan, exercise_id: UUID, name: str, slug: str | None) -> AdviceSubject:
    workout = plan.fields.get("workout_id")
    return AdviceSubject(
        kind=SubjectKind.EXERCISE,
        day=facts.inputs.day,
        workout_id=None if workout is None else UUID(str(workout)),
        exercise_id=exercise_id,
        movement=movement_key(name, slug),
        name=name,
    )
