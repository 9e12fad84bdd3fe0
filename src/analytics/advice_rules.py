"""The rules of advice about the day and the week: rest and deload, as pure functions. Each drafts what it advises, or
says why it does not. `analytics.advice` says which of what the rules draft is given.
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
    SURE,
    WEEK,
    WEEKS,
    Draft,
    Facts,
    missed_in_row,
    part,
)
from analytics.advice_inputs import Plan, Prescribed
from analytics.advice_words import (
    accepted_words,
    load_state,
    quiet,
    readiness_state,
    sentence,
    state_known,
    unknown,
    withheld,
)
from analytics.load import CHRONIC_DAYS
from analytics.readiness import HIGH
from analytics.sets import Fields
from analytics.words import counted, named
from models.advice import AdviceEvidence, AdviceKind, AdviceSubject, EvidenceSource, NotAdvised, SubjectKind
from models.load import Band, LoadDay


def rest(facts: Facts) -> Draft | NotAdvised:
    """Rest on the day: readiness is low, or the load high and readiness not."""
    score = facts.inputs.readiness.score
    asked = facts.worn or (facts.over and (score is None or score < HIGH))
    no_rest = _no_rest(facts) if asked else _not_asked(facts)
    if no_rest is not None:
        return no_rest
    said = [readiness_state(facts)] if facts.worn else []
    if facts.over:
        said.append(load_state(facts))
    return Draft(
        AdviceKind.REST,
        AdviceSubject(kind=SubjectKind.DAY, day=facts.inputs.day),
        "Rest on this day",
        " ".join(said) + _moves(facts),
        [*facts.readiness_evidence(), *facts.load_evidence()],
        [facts.readiness_part(), facts.load_part()],
        list(_postponed(facts)),
    )


def _not_asked(facts: Facts) -> NotAdvised:
    """What was looked at, where it does not ask for rest."""
    kind, state = AdviceKind.REST, f"{readiness_state(facts)} {load_state(facts)}"
    if facts.low:
        there = f"only {facts.inputs.readiness.confidence:.2f} of the data for it is there, of {SURE:g} that rest needs"
        return withheld(kind, f"{state} For rest that readiness is too unsure: {there}.")
    if facts.over:
        return withheld(kind, f"{state} As your readiness is {HIGH:g} or more, that alone asks for no rest.")
    return (quiet if state_known(facts) else unknown)(kind, state)


def _no_rest(facts: Facts) -> NotAdvised | None:
    """What speaks against rest that is asked for."""
    kind, state = AdviceKind.REST, f"{readiness_state(facts)} {load_state(facts)}"
    accepted = facts.accepted
    if accepted is not None and accepted.kind is kind:
        return withheld(kind, f"{state} {sentence([accepted_words(accepted.kind)])}")
    if facts.inputs.trained:
        return withheld(kind, f"{state} A training of the day was begun, so it is no day of rest any more.")
    if not facts.worn and facts.inputs.day in facts.light_days:
        return withheld(kind, f"{state} The day is one of a lighter week, which answers that.")
    return None


def deload(facts: Facts) -> Draft | NotAdvised:
    """A week with half the sets: the load has been high for two weeks, targets are missed, or no week was lighter."""
    inputs, kind = facts.inputs, AdviceKind.DELOAD
    reasons = [*_long_load(facts), *_missed(facts), *_no_light_week(facts)]
    known = len(facts.days[-DAYS_BACK:])
    if not reasons:
        if known < CHRONIC_DAYS:
            return unknown(kind, f"Whether a lighter week is due is unknown: {_since(facts)}.")
        return quiet(kind, f"No lighter week is asked for: {'; '.join(_how_near(facts))}.")
    why = sentence(reason for reason, _ in reasons)
    lately = facts.within(kind, DELOAD_APART)
    if lately is not None:
        return withheld(kind, f"{why} A lighter week from {named(lately.day)} on was accepted already.")
    if facts.accepted is not None:
        return withheld(kind, f"{why} {sentence([accepted_words(facts.accepted.kind)])}")
    near = {inputs.day + dt.timedelta(n) for n in range(-WEEK, WEEK)}
    if near & inputs.deload_days:
        return withheld(kind, f"{why} A phase with fewer sets is less than a week away.")
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
    walks = len({one.workout_id for one in inputs.prescribed if len(one.sessions) >= MISSED_IN_ROW})
    return Draft(
        AdviceKind.DELOAD,
        AdviceSubject(kind=SubjectKind.WEEK, day=inputs.day),
        "Train with half the sets for a week",
        f"{why} Half the sets, at the same weights, leave room to recover.",
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
            if not facts.light(plan) and (after := lightened(plan.fields)) != plan.fields
        ],
    )


def _since(facts: Facts) -> str:
    """Since when there is a load, where that is not long enough."""
    if not facts.days:
        return "no completed training has a load"
    ago = counted((facts.inputs.day - facts.days[0].day).days, "day")
    return f"the first training with a load was {ago} ago, and {CHRONIC_DAYS} days are looked at"


def _how_near(facts: Facts) -> Iterator[str]:
    """How near each of the reasons for a lighter week is to being one."""
    of = f"of the last {OVER_OF} days ({OVER_DAYS} are needed)"
    yield f"the load was above its usual range on {_days_over(facts)} {of}"
    strained = _days_strained(facts)
    if strained:
        yield f"strain was far above that of the four weeks before on {strained} {of}"
    missed = len({one.workout_id for one in _missing(facts)})
    times = f"{MISSED_IN_ROW} times in a row"
    yield f"targets were missed {times} in {counted(missed, 'workout')} ({MISSED_WORKOUTS} are needed)"
    lightest = _lightest(facts)
    if lightest is None:
        weeks = counted(len(facts.days) // WEEK, "week")
        yield f"there are {weeks} of load ({WEEKS} are needed to see that none was lighter)"
    else:
        yield f"the lightest of {WEEKS} weeks had {lightest:.2f} of their mean load (below {LIGHT:g} is light)"


def _postponed(facts: Facts) -> Iterator[tuple[Plan, Fields]]:
    """The day's trainings, each on the next day without one."""
    inputs = facts.inputs
    taken = set(inputs.busy) | {one.day for one in inputs.standing if one.kind is AdviceKind.REST}
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
    days = facts.days[-OVER_OF:]
    over = _days_over(facts)
    if over >= OVER_DAYS:
        yield (
            f"your load was above its usual range on {over} of the last {OVER_OF} days",
            _of_days("days with a load above the usual range", over, "days", days),
        )
    high = _days_strained(facts)
    if high >= OVER_DAYS:
        yield (
            f"your strain was far above that of the four weeks before on {high} of the last {OVER_OF} days",
            _of_days("days with a high strain", high, "days", days),
        )


def _days_over(facts: Facts) -> int:
    """On how many of the last 14 days the load was above its usual range."""
    return sum(day.band is Band.OVER for day in facts.days[-OVER_OF:])


def _days_strained(facts: Facts) -> int:
    """On how many of them strain was far above that of the 28 days before."""
    before = [day.strain for day in facts.days[-OVER_OF - 28 : -OVER_OF] if day.strain is not None]
    if not before:
        return 0
    usual = STRAIN * median(before)
    return sum(day.strain is not None and day.strain > usual for day in facts.days[-OVER_OF:])


def _missing(facts: Facts) -> list[Prescribed]:
    """The exercises that missed what was prescribed the last times."""
    return [one for one in facts.inputs.prescribed if missed_in_row(one.sessions) >= MISSED_IN_ROW]


def _lightest(facts: Facts) -> float | None:
    """The load of the lightest of 8 weeks over their mean; None where there are fewer."""
    days = facts.days[-DAYS_BACK:]
    if len(days) < DAYS_BACK:
        return None
    weeks = [sum(day.load for day in days[n : n + WEEK]) for n in range(0, DAYS_BACK, WEEK)]
    return min(weeks) / fmean(weeks) if any(weeks) else 0.0


def _missed(facts: Facts) -> Iterator[tuple[str, AdviceEvidence]]:
    missed = _missing(facts)
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
    days, least = facts.days[-DAYS_BACK:], _lightest(facts)
    if least is not None and least >= LIGHT:
        yield (
            f"you trained {WEEKS} weeks without a lighter one",
            _of_days("lightest week over the mean of the weeks", round(least, 4), None, days),
        )


def _of_days(what: str, value: float, unit: str | None, days: Sequence[LoadDay]) -> AdviceEvidence:
    source = EvidenceSource.LOAD
    return AdviceEvidence(what=what, value=value, unit=unit, source=source, first=days[0].day, last=days[-1].day)
