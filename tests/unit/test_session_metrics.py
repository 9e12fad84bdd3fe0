"""The figures of a session beside its volume: each is what its definition gives when it is computed by itself."""

import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.volume import POUND_KG, is_hard, session_volume
from models.exercises import UNKNOWN, Facts
from models.metrics import ExerciseVolume, SessionVolume
from models.performed import PerformedSet, PerformedTraining
from models.sets import SetType, Unit
from tests.support.bodies import uuid

MOVEMENTS = {
    ("push-up", 1): Facts(Decimal("0.64"), "Push", "push-up", 2),
    ("pull-up", 1): Facts(Decimal("0.95"), "Pull", "pull-up", 5),
    ("squat", 1): Facts(Decimal(0), "Legs", "squat", 3),
    ("back-squat", 1): Facts(Decimal("0.85"), "Legs", "squat", 5, implement=True),
    ("plank", 1): Facts(Decimal("0.5"), "Core", "plank", 1),
    ("front-lever", 1): Facts(None, "Skill", "front-lever", 8),
}
SLUGS = [slug for slug, _ in MOVEMENTS]
HALF_STEP = Fraction(1, 20_000)  # of what is rounded to 4 digits after the point


def _digits(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high) | st.integers(low * 10_000, high * 10_000).map(lambda n: n / 10_000)


_sets = st.fixed_dictionaries(
    {"weight": _digits(-60, 200), "reps": st.integers(0, 20)},
    optional={
        "unit": st.sampled_from(Unit),
        "duration_seconds": _digits(0, 120),
        "distance_m": st.sampled_from([0, 400]),
        "done": st.booleans(),
        "rpe": _digits(0, 10),
        "type": st.sampled_from(SetType),
    },
)
_exercises = st.builds(
    lambda slug, sets: {"name": slug or "Sandbag", "exercise": slug, "exercise_revision": 1, "sets": sets},
    st.none() | st.sampled_from(SLUGS),
    st.lists(_sets, max_size=5),
)
_sessions = st.builds(
    lambda exercises, body, seconds: training(exercises, bodyweight_kg=body, duration_seconds=seconds),
    st.lists(_exercises, max_size=4),
    st.none() | _digits(30, 200),
    st.none() | st.integers(0, 20_000),
)


def training(exercises: Sequence[dict[str, Any]], **fields: Any) -> PerformedTraining:
    body = {"training_id": uuid(1), "user_id": uuid(9), "version": 1, "status": "COMPLETED", "day": "2026-01-05"}
    moment = {"date": "2026-01-05T12:00:00Z", "timezone": "UTC"}
    return PerformedTraining.model_validate(body | moment | {"exercises": exercises} | fields)


def figures(done: PerformedTraining) -> SessionVolume:
    return session_volume(done, MOVEMENTS)


def performed(done: PerformedTraining) -> list[tuple[ExerciseVolume, list[PerformedSet]]]:
    """Each exercise that left figures, and the sets that were done of it."""
    return [
        (exercise, [set_ for set_ in done.exercises[exercise.position - 1].sets if set_.done])
        for exercise in figures(done).exercises
    ]


def held(set_: PerformedSet) -> Fraction:
    is_hold = set_.duration_seconds and not set_.reps and not set_.distance_m
    return Fraction(str(set_.duration_seconds)) if is_hold else Fraction(0)


def kilograms(set_: PerformedSet) -> Fraction:
    return Fraction(str(set_.weight)) * (Fraction(POUND_KG) if set_.unit is Unit.LB else 1)


def work(done: Sequence[PerformedSet]) -> Fraction:
    return sum((set_.reps + held(set_) / 3 for set_ in done), Fraction(0))


def near(found: Decimal | None, exact: Fraction | None, parts: int = 1) -> bool:
    """Whether it is the exact value but for rounding, once for each part."""
    if found is None or exact is None:
        return found is exact
    return abs(Fraction(found) - exact) <= parts * HALF_STEP


@given(_sessions)
def test_work_is_told_apart_by_category(done: PerformedTraining) -> None:
    session, exercises = figures(done), performed(done)
    assert all(near(exercise.work, work(of)) for exercise, of in exercises)
    skill = [exercise.work for exercise, _ in exercises if exercise.exercise == "front-lever"]
    strength = [exercise.work for exercise, _ in exercises if exercise.exercise not in (None, "front-lever")]
    assert (session.skill_work, session.strength_work) == (sum(skill), sum(strength))


@given(_sessions)
def test_estimated_intensity_and_density(done: PerformedTraining) -> None:
    session, exercises = figures(done), performed(done)
    rated = [(exercise.difficulty, Fraction(exercise.work)) for exercise, _ in exercises if exercise.difficulty]
    total = sum(of for _, of in rated)
    assert near(session.estimated_intensity, sum(rate * of for rate, of in rated) / total if total else None)
    if session.estimated_intensity is not None:
        rates = [rate for rate, of in rated if of]
        assert min(rates) <= session.estimated_intensity <= max(rates)
    every = sum(Fraction(exercise.work) for exercise, _ in exercises)
    seconds = done.duration_seconds
    assert near(session.density, every / Fraction(seconds, 60) if seconds else None)


@given(_sessions)
def test_relative_intensity_is_the_mean_over_working_sets(done: PerformedTraining) -> None:
    def share(set_: PerformedSet) -> Fraction:
        if set_.rpe is None:
            return max(Fraction(37 - set_.reps, 36), Fraction(1, 2))
        x = 9 + set_.reps - Fraction(str(set_.rpe))
        near_failure = Fraction("0.347619") * x**2 - Fraction("4.60714") * x + Fraction("99.9667")
        line = Fraction("97.0955") - Fraction("2.64249") * x
        percent = 100 if x == 0 else near_failure if x <= Fraction("2.92") else line if x < 16 else 50
        return Fraction(percent) / 100

    def mean(of: Sequence[PerformedSet]) -> Fraction | None:
        shares = [share(set_) for set_ in of if set_.reps and set_.type is not SetType.WARMUP]
        return sum(shares, Fraction(0)) / len(shares) if shares else None

    exercises = performed(done)
    for exercise, of in exercises:
        assert near(exercise.relative_intensity, mean(of), 2)
    assert near(figures(done).relative_intensity, mean([set_ for _, of in exercises for set_ in of]), 2)


@given(_sessions)
def test_the_best_set_of_an_exercise(done: PerformedTraining) -> None:
    for exercise, of in performed(done):
        facts = MOVEMENTS[exercise.exercise, 1] if exercise.exercise else UNKNOWN
        fraction = None if facts.implement else facts.bw_fraction
        if fraction and done.bodyweight_kg is None:
            assert (exercise.e1rm_kg, exercise.e1rm_weight_kg, exercise.e1rm_reps) == (None, None, None)
            continue
        own = Fraction(fraction or 0) * Fraction(str(done.bodyweight_kg or 0))
        estimates = {
            (kilograms(set_), set_.reps): (own + kilograms(set_))
            * (1 if set_.reps == 1 else 1 + Fraction(set_.reps, 30))
            for set_ in of
            if 1 <= set_.reps <= 12 and own + kilograms(set_) > 0 and set_.type is not SetType.WARMUP
        }
        best = max(estimates.values(), default=None)
        assert near(exercise.e1rm_kg, None if best is None else best - own)
        if exercise.e1rm_weight_kg is not None and exercise.e1rm_reps is not None:
            assert estimates[Fraction(exercise.e1rm_weight_kg), exercise.e1rm_reps] == best


@given(_sessions)
def test_rep_maxima_and_the_longest_hold(done: PerformedTraining) -> None:
    for exercise, of in performed(done):
        compared = [set_ for set_ in of if set_.type is not SetType.WARMUP]
        lifted = {(kilograms(set_), set_.reps) for set_ in compared if set_.reps}
        front = [(w, r) for w, r in lifted if not any(v >= w and n >= r for v, n in lifted - {(w, r)})]
        found = json.loads(exercise.rep_maxima or "[]", parse_float=Fraction, parse_int=Fraction)
        assert [tuple(pair) for pair in found] == sorted(front, reverse=True)
        longest = max((held(set_) for set_ in compared), default=Fraction(0))
        assert (exercise.longest_hold_seconds or 0) == longest


@settings(max_examples=50)
@given(_sessions, st.randoms())
def test_the_order_of_sets_and_exercises_changes_no_figure(done: PerformedTraining, random: Any) -> None:
    shuffled = done.model_copy(
        update={
            "exercises": [
                exercise.model_copy(update={"sets": random.sample(exercise.sets, len(exercise.sets))})
                for exercise in random.sample(done.exercises, len(done.exercises))
            ]
        }
    )
    one, other = figures(done), figures(shuffled)
    assert one._replace(exercises=()) == other._replace(exercises=())
    assert sorted(repr(each._replace(position=0)) for each in one.exercises) == sorted(
        repr(each._replace(position=0)) for each in other.exercises
    )


@settings(max_examples=25)
@given(_sessions)
def test_warm_ups_leave_the_intensity_as_it_is(done: PerformedTraining) -> None:
    warm_up = PerformedSet(weight=20, reps=10, type=SetType.WARMUP)
    assert not is_hard(warm_up)
    warmed = done.model_copy(
        update={"exercises": [one.model_copy(update={"sets": [warm_up, *one.sets]}) for one in done.exercises]}
    )
    assert figures(warmed).relative_intensity == figures(done).relative_intensity


@pytest.mark.parametrize(
    ("slug", "sets_", "skill", "strength", "intensity"),
    [
        ("front-lever", [{"reps": 0, "duration_seconds": 10}] * 3, 10, 0, 8),
        ("plank", [{"reps": 0, "duration_seconds": 60}], 0, 20, 1),
        ("squat", [{"reps": 5, "weight": 100}] * 3, 0, 15, 3),
        (None, [{"reps": 5, "weight": 100}], 0, 0, None),
    ],
)
def test_a_session_of_one_exercise(
    slug: str | None, sets_: list[dict[str, Any]], skill: int, strength: int, intensity: int | None
) -> None:
    exercise = {"name": "x", "exercise": slug, "exercise_revision": 1, "sets": [{"weight": 0} | one for one in sets_]}
    found = figures(training([exercise], duration_seconds=600))
    assert (found.skill_work, found.strength_work, found.estimated_intensity) == (skill, strength, intensity)
    assert found.density == (skill + strength or 5) / Decimal(10)
