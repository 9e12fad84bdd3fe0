"""Inputs of advice for tests: a small catalogue, planned trainings, walks and loads, by hand or at random."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from hypothesis import strategies as st

from analytics.advice_inputs import (
    AdviceInputs,
    GoalInput,
    LoadInput,
    Prescribed,
    ReadinessInput,
    RecordInput,
    Standing,
    WeekSets,
)
from analytics.load import load_days
from analytics.preferences import Habit, Replacement
from models.advice import AdviceKind, AdviceSubject, SubjectKind
from models.exercises import Catalogue, Movement
from models.load import LoadDay, Measure
from models.sets import RepRangeDocument

USER = UUID(int=1)
DAY = dt.date(2026, 3, 2)  # a Monday
MOVEMENTS = (
    ("pull-up", "Pull-up", "Pull", 4),
    ("row", "Row", "Pull", 3),
    ("archer-pull-up", "Archer Pull-up", "Pull", 6),
    ("push-up", "Push-up", "Push", 2),
    ("dip", "Dip", "Push", 4),
    ("squat", "Squat", "Legs", 3),
)
CATALOGUE = Catalogue.of(
    [Movement(slug, 1, name, category, "reps", difficulty, None) for slug, name, category, difficulty in MOVEMENTS]
)
NAMES = {slug: name for slug, name, *_ in MOVEMENTS}


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned training, as `storage.plans` reads it."""

    id: UUID
    version: int
    fields: dict[str, Any]


def exercise_id(workout: int, slug: str) -> UUID:
    """The id of a movement in a workout."""
    return uuid5(UUID(int=workout), slug)


def exercise(workout: int, slug: str, sets: int = 3, *, warmups: int = 0, **target: Any) -> dict[str, Any]:
    """An exercise of a planned training, as it is stored."""
    id_ = exercise_id(workout, slug)
    types = ["warmup"] * warmups + ["working"] * sets
    return {
        "id": str(id_),
        "name": NAMES[slug],
        "exercise": slug,
        "exercise_revision": 1,
        "sets": [
            {"id": str(uuid5(id_, str(order))), "order": order, "weight": 0, "unit": "kg", "reps": 0, "done": False}
            | {"type": type_}
            | ({"target": target} if target else {})
            for order, type_ in enumerate(types, 1)
        ],
    }


def planned(number: int, day: dt.date, *exercises: dict[str, Any], workout: int | None = None, **more: Any) -> Planned:
    """A planned training of that day, at noon in Berlin."""
    fields: dict[str, Any] = {
        "status": "PLANNED",
        "date": f"{day}T11:00:00Z",
        "timezone": "Europe/Berlin",
        "day": day.isoformat(),
        "title": f"Training {number}",
    }
    if workout is not None:
        fields |= {"workout_id": str(UUID(int=workout)), "workout_version": 1}
    return Planned(UUID(int=1000 + number), 1, fields | more | {"exercises": list(exercises)})


def after(days: int) -> dt.date:
    """So many days after the day that is asked for."""
    return DAY + dt.timedelta(days)


def loads(*units: float, last: dt.date = DAY) -> list[LoadDay]:
    """The figures of consecutive days up to `last`."""
    first = last - dt.timedelta(len(units) - 1)
    known = {first + dt.timedelta(place): load for place, load in enumerate(units) if load}
    return load_days(known, known.keys(), first, last)


def load(*units: float) -> LoadInput:
    """A load that is known on every day that has one."""
    days = loads(*units)
    return LoadInput(days, Measure.EXTERNAL_LOAD, "kg", frozenset(day.day for day in days if day.load))


CALM = load(*([100.0, 0.0] * 14), 100.0)
HIGH = load(*([50.0, 0.0] * 11), *([200.0] * 7))


def prescribed(workout: int, slug: str, decision: str, missed: tuple[bool, ...] = (), **aims: Any) -> Prescribed:
    """What a walk prescribes next; the workout itself says 3 × 8 to 10 at 20 kg."""
    sessions = [(UUID(int=2000 + n), after(n - len(missed)), one) for n, one in enumerate(missed)]
    template = Prescribed(
        UUID(int=workout),
        exercise_id(workout, slug),
        NAMES[slug],
        slug,
        "start",
        "As the workout says.",
        3,
        RepRangeDocument(min=8, max=10),
        20.0,
    )
    reason = "All sets reached the top."
    return replace(template, decision=decision, reason=reason, sessions=sessions, template=template, **aims)


def inputs(**more: Any) -> AdviceInputs:
    """The inputs of `DAY`; nothing is known but what is given."""
    return AdviceInputs(**({"user_id": USER, "day": DAY, "catalogue": CATALOGUE} | more))


def habit(slug: str, by: str, *, planned: int = 6, skipped: int = 3) -> Habit:
    """A movement that was skipped so often, while another one was done."""
    trainings = [(UUID(int=3000 + n), after(-7 * n - 1)) for n in range(skipped)]
    replacement = Replacement(by, NAMES[by], by)
    return Habit(slug, NAMES[slug], planned, tuple(trainings), replacement, tuple(id_ for id_, _ in trainings))


_slugs = st.sampled_from(sorted(NAMES))
_loads = st.lists(st.sampled_from([0.0, 0.0, 20.0, 100.0, 110.0, 400.0]), max_size=70) | st.sampled_from(
    [
        [100.0, 0.0] * 14 + [100.0],
        [50.0, 0.0] * 11 + [200.0] * 7,
        [100.0, 0.0, 100.0, 0.0, 100.0, 0.0, 0.0] * 8,
        [50.0, 0.0] * 14 + [100.0 * 1.12**day for day in range(16)],
    ]
)


@st.composite
def plans(draw: st.DrawFn) -> list[Planned]:
    """Planned trainings of three weeks, by date."""
    found = []
    for number, days in enumerate(sorted(draw(st.lists(st.integers(0, 20), max_size=6)))):
        workout = draw(st.integers(1, 3))
        slugs = draw(st.lists(_slugs, min_size=1, max_size=3, unique=True))
        target = draw(st.sampled_from([{}, {"reps": {"min": 8, "max": 10}, "weight": 20}, {"reps": 5, "rpe": 8}]))
        exercises = [exercise(workout, slug, draw(st.integers(1, 4)), **target) for slug in slugs]
        found.append(planned(number, after(days), *exercises, workout=draw(st.sampled_from([None, workout]))))
    return found


@st.composite
def walks(draw: st.DrawFn, ahead: list[Planned]) -> list[Prescribed]:
    """What comes next of the exercises of workouts; most of them are those that are planned."""
    there = [
        (UUID(plan.fields["workout_id"]).int, one["exercise"])
        for plan in ahead
        if "workout_id" in plan.fields
        for one in plan.fields["exercises"]
    ]
    anywhere = st.tuples(st.integers(1, 3), _slugs)
    places = draw(st.lists(st.sampled_from(there) | anywhere if there else anywhere, max_size=6, unique=True))
    decisions = st.sampled_from(["start", "progress", "hold", "deload", "harder", "easier", "script"])
    missed = st.lists(st.booleans(), max_size=5).map(tuple)
    return [
        prescribed(
            workout,
            slug,
            draw(decisions),
            draw(missed),
            sets=draw(st.integers(1, 4)),
            weight=float(draw(st.integers(15, 25))),
        )
        for workout, slug in places
    ]


@st.composite
def standings(draw: st.DrawFn, ahead: list[Planned]) -> list[Standing]:
    """What was accepted lately, for the day, and for days that come; some of it changed what is planned."""
    days = st.just(0) | st.integers(-13, 27)
    kinds = draw(st.lists(st.tuples(days, st.sampled_from(AdviceKind), st.booleans()), max_size=2))
    there = [
        (plan.id, UUID(plan.fields["workout_id"]), UUID(one["id"]))
        for plan in ahead
        if "workout_id" in plan.fields
        for one in plan.fields["exercises"]
    ]
    found = []
    for ago, kind, changed in kinds:
        subject, trainings = AdviceSubject(kind=SubjectKind.DAY, day=after(-ago)), frozenset[UUID]()
        if there and changed:
            training, workout, of = draw(st.sampled_from(there))
            trainings = frozenset({training})
            if kind not in (AdviceKind.REST, AdviceKind.DELOAD):
                subject = AdviceSubject(kind=SubjectKind.EXERCISE, day=after(-ago), workout_id=workout, exercise_id=of)
        found.append(Standing(after(-ago), kind, subject, trainings))
    return found


@st.composite
def some_inputs(draw: st.DrawFn) -> AdviceInputs:
    """Whatever may be known of an athlete."""
    days = loads(*draw(_loads))
    trained = [day.day for day in days if day.load]
    known = frozenset(trained[draw(st.integers(0, len(trained))) :])
    ahead = draw(plans())
    scores = st.builds(ReadinessInput, st.sampled_from([None, 20.0, 50.0, 80.0]), st.sampled_from([0.2, 0.4, 1.0]))
    weeks = [
        WeekSets(after(-7 * ago), *(draw(st.integers(0, 30)) for _ in range(2)), draw(st.sampled_from([0, 0, 5, 50])))
        for ago in reversed(range(4))
    ]
    habits = [
        habit(slug, by, planned=draw(st.integers(3, 6)), skipped=draw(st.sampled_from([3, 3, 1])))
        for slug, by in draw(st.lists(st.tuples(_slugs, _slugs), max_size=4, unique_by=lambda pair: pair[0]))
        if slug != by
    ]
    return inputs(
        load=LoadInput(days, Measure.EXTERNAL_LOAD, "kg", known),
        readiness=draw(scores),
        records=[
            RecordInput(slug, "weight", 20.0, "kg", after(-3), UUID(int=9))
            for slug in draw(st.lists(_slugs, max_size=2))
        ],
        goals=[
            GoalInput(UUID(int=8), "Goal", slug, draw(st.booleans()), after(30))
            for slug in draw(st.lists(_slugs, max_size=1))
        ],
        weeks=weeks,
        habits=habits,
        prescribed=draw(walks(ahead)),
        planned=ahead,
        busy=frozenset(dt.date.fromisoformat(plan.fields["day"]) for plan in ahead),
        trained=draw(st.booleans()),
        deload_days=frozenset(after(n) for n in draw(st.sets(st.integers(-10, 20), max_size=3))),
        standing=draw(standings(ahead)),
        today=draw(st.none() | st.integers(-3, 3).map(after)),
    )


@st.composite
def poorer(draw: st.DrawFn, of: AdviceInputs) -> AdviceInputs:
    """The same athlete with less known: readiness, days of load, sessions, records, goals, weeks, times planned."""
    days = list(of.load.days)
    weaker = draw(st.none() | st.floats(0, of.readiness.confidence))
    return replace(
        of,
        load=replace(
            of.load,
            days=days[draw(st.integers(0, len(days))) :],
            known=frozenset(sorted(of.load.known)[draw(st.integers(0, len(of.load.known))) :]),
        ),
        readiness=ReadinessInput() if weaker is None else replace(of.readiness, confidence=weaker),
        records=list(of.records)[draw(st.integers(0, len(of.records))) :],
        goals=list(of.goals)[draw(st.integers(0, len(of.goals))) :],
        weeks=[
            WeekSets(
                week.last,
                push := draw(st.integers(0, int(week.push))),
                pull := draw(st.integers(0, int(week.pull))),
                # A name that means no movement any more takes its sets along.
                week.unknown + draw(st.integers(0, int(week.push + week.pull - push - pull))),
            )
            for week in of.weeks
        ],
        habits=[replace(one, planned=draw(st.integers(len(one.skipped), one.planned))) for one in of.habits],
        prescribed=[
            replace(one, sessions=list(one.sessions)[draw(st.integers(0, len(one.sessions))) :])
            for one in of.prescribed
        ],
    )
