"""The rules of advice about the day and the week: rest and deload, as pure functions. `analytics.advice` says which of
what the rules draft is given.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from statistics import fmean, median

from analytics.advice_changes import lightened, moved
from analytics.advice_facts import (
    DAYS_BACK,
    DELOAD_APART,
    LIGHT,
    MISSED_IN_ROW,
    MISSED_WORKOUTS,
    OVER_DAYS,
    OVER_OF,
    SEARCH_DAYS,
    STRAIN,
    WEEK,
    WEEKS,
    Draft,
    Facts,
    missed_in_row,
    part,
)
from analytics.advice_inputs import Plan, day_of
from analytics.preferences import counted
from analytics.readiness import HIGH
from analytics.sets import Fields
from models.advice import AdviceEvidence, AdviceKind, AdviceSubject, EvidenceSource, SubjectKind
from models.load import Band, LoadDay


def rest(facts: Facts) -> Draft | None:
    """Rest on the day: readiness is low, or the load high and readiness not."""
    inputs = facts.inputs
    score = inputs.readiness.score
    strained = facts.over and (score is None or score < HIGH)
    if inputs.trained or not (facts.worn or strained) or _stands(facts, AdviceKind.REST, inputs.day):
        return None
    said = []
    if facts.worn:
        said.append(f"your readiness is {score:.0f} of 100, where 50 is your usual day")
    if facts.over and facts.today is not None:
        said.append(
            f"the load of your last 7 days is {facts.today.acwr:.2f} times that of 28, above the usual 0.8 to 1.3"
        )
    return Draft(
        AdviceKind.REST,
        AdviceSubject(kind=SubjectKind.DAY, day=inputs.day),
        "Rest on this day",
        _sentence(said) + _moves(facts),
        [*facts.readiness_evidence(), *facts.load_evidence()],
        [facts.readiness_part(), facts.load_part()],
        list(_postponed(facts)),
    )


def deload(facts: Facts) -> Draft | None:
    """A week with half the sets: the load has been high for two weeks, targets are missed, or no week was lighter."""
    inputs = facts.inputs
    near = {inputs.day + dt.timedelta(n) for n in range(-WEEK, WEEK)}
    lately = any(
        standing.kind is AdviceKind.DELOAD and 0 <= (inputs.day - standing.day).days < DELOAD_APART
        for standing in inputs.standing
    )
    reasons = (
        [] if lately or near & inputs.deload_days else [*_long_load(facts), *_missed(facts), *_no_light_week(facts)]
    )
    if not reasons:
        return None
    since = inputs.day - dt.timedelta(27)
    recent = [record for record in inputs.records if since <= record.day <= inputs.day]
    records = AdviceEvidence(
        what="personal records",
        value=len(recent),
        source=EvidenceSource.RECORDS,
        first=since,
        last=inputs.day,
        ids=sorted({record.training_id for record in recent}),
    )
    known = len(inputs.load.days[-DAYS_BACK:])
    walks = len({one.workout_id for one in inputs.prescribed if len(one.sessions) >= MISSED_IN_ROW})
    return Draft(
        AdviceKind.DELOAD,
        AdviceSubject(kind=SubjectKind.WEEK, day=inputs.day),
        "Train with half the sets for a week",
        _sentence([reason for reason, _ in reasons]) + " Half the sets, at the same weights, leave room to recover.",
        [*(evidence for _, evidence in reasons), *facts.load_evidence(), records],
        [
            facts.load_part(),
            part(
                "weeks", known, DAYS_BACK, f"There are figures of {counted(known // WEEK, 'week')} of load.", spare=True
            ),
            part(
                "workouts",
                walks,
                MISSED_WORKOUTS,
                f"{counted(walks, 'workout')} with a rule of progression, done twice or more.",
                spare=True,
            ),
        ],
        [
            (plan, after)
            for plan in facts.ahead(WEEK)
            if day_of(plan) not in facts.light_days and (after := lightened(plan.fields)) != plan.fields
        ],
    )


def _stands(facts: Facts, kind: AdviceKind, day: dt.date) -> bool:
    return any(standing.kind is kind and standing.day == day for standing in facts.inputs.standing)


def _postponed(facts: Facts) -> Iterator[tuple[Plan, Fields]]:
    """The day's trainings, each on the next day without one."""
    inputs = facts.inputs
    taken = set(inputs.busy)
    days = [inputs.day + dt.timedelta(n) for n in range(1, SEARCH_DAYS)]
    for plan in facts.ahead(1):
        free = next((day for day in days if day not in taken), None)
        if free is not None:
            taken.add(free)
            yield plan, moved(plan.fields, free)


def _moves(facts: Facts) -> str:
    if not facts.ahead(1):
        return " Nothing is planned for the day."
    return " What is planned for the day can go to the next day without a training."


def _long_load(facts: Facts) -> Iterator[tuple[str, AdviceEvidence]]:
    days = facts.inputs.load.days[-OVER_OF:]
    over = sum(day.band is Band.OVER for day in days)
    if over >= OVER_DAYS:
        yield (
            f"your load was above its usual range on {over} of the last {OVER_OF} days",
            _of_days("days with a load above the usual range", over, "days", days),
        )
    before = [day.strain for day in facts.inputs.load.days[-OVER_OF - 28 : -OVER_OF] if day.strain is not None]
    if not before:
        return
    usual = STRAIN * median(before)
    high = sum(day.strain is not None and day.strain > usual for day in days)
    if high >= OVER_DAYS:
        yield (
            f"your strain was far above that of the four weeks before on {high} of the last {OVER_OF} days",
            _of_days("days with a high strain", high, "days", days),
        )


def _missed(facts: Facts) -> Iterator[tuple[str, AdviceEvidence]]:
    missed = [one for one in facts.inputs.prescribed if missed_in_row(one) >= MISSED_IN_ROW]
    workouts = {one.workout_id for one in missed}
    if len(workouts) < MISSED_WORKOUTS:
        return
    sessions = {(day, id_) for one in missed for id_, day, _ in one.sessions[-MISSED_IN_ROW:]}
    names = sorted({one.name for one in missed})
    yield (
        f"the targets of {len(workouts)} workouts were missed {MISSED_IN_ROW} times in a row ({', '.join(names)})",
        AdviceEvidence(
            what="workouts with missed targets",
            value=len(workouts),
            unit="workouts",
            source=EvidenceSource.PROGRESSION,
            first=min(day for day, _ in sessions),
            last=max(day for day, _ in sessions),
            ids=[id_ for _, id_ in sorted(sessions)],
        ),
    )


def _no_light_week(facts: Facts) -> Iterator[tuple[str, AdviceEvidence]]:
    days = facts.inputs.load.days[-DAYS_BACK:]
    if len(days) < DAYS_BACK:
        return
    weeks = [sum(day.load for day in days[n : n + WEEK]) for n in range(0, DAYS_BACK, WEEK)]
    least = min(weeks) / fmean(weeks) if any(weeks) else 0.0
    if least >= LIGHT:
        yield (
            f"you trained {WEEKS} weeks without a lighter one",
            _of_days("lightest week over the mean of the weeks", round(least, 4), None, days),
        )


def _of_days(what: str, value: float, unit: str | None, days: Sequence[LoadDay]) -> AdviceEvidence:
    source = EvidenceSource.LOAD
    return AdviceEvidence(what=what, value=value, unit=unit, source=source, first=days[0].day, last=days[-1].day)


def _sentence(said: Sequence[str]) -> str:
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."
