"""What an athlete prefers: done often, skipped, and replaced, out of completed trainings."""

import datetime as dt
from dataclasses import replace
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.preferences import DoneExercise, DoneTraining, Habit, WorkoutExercise, habits, preferences
from models.exercises import Catalogue, Movement
from tests.support.advice import CATALOGUE, NAMES

NOTHING = Catalogue.of([])
FREE = UUID(int=99)


def id_of(slug: str) -> UUID:
    return uuid5(FREE, slug)


def done(slug: str, sets: int = 3, *, planned: int = 0) -> DoneExercise:
    return DoneExercise(id_of(slug), NAMES[slug], slug, planned, sets)


def training(number: int, *exercises: DoneExercise, workout: tuple[str, ...] | None = None) -> DoneTraining:
    """The training so many days ago; `workout` are the movements of what it was made from."""
    prescribed = None if workout is None else [WorkoutExercise(id_of(slug), NAMES[slug], slug) for slug in workout]
    return DoneTraining(UUID(int=number), dt.date(2026, 3, 2) - dt.timedelta(number), exercises, prescribed)


def habit_of(movement: str, trainings: list[DoneTraining], catalogue: Catalogue = CATALOGUE) -> Habit:
    return next(habit for habit in habits(trainings, catalogue) if habit.movement == movement)


def test_planned_and_not_done_is_skipped_and_what_was_done_beside_took_its_place() -> None:
    found = habit_of("dip", [training(1, done("dip", 0, planned=3), done("push-up"))])
    assert (found.planned, [id_ for id_, _ in found.skipped]) == (1, [UUID(int=1)])
    assert found.by is not None
    assert (found.by.movement, found.by.name) == ("push-up", "Push-up")


def test_what_is_in_the_workout_counts_as_planned_though_the_athlete_took_it_out() -> None:
    of = [training(1, done("push-up"), done("row", planned=3), workout=("dip", "row"))]
    found = habit_of("dip", of)
    assert (found.planned, len(found.skipped), found.by and found.by.movement) == (1, 1, "push-up")
    assert habit_of("row", of).skipped == ()


def test_another_movement_in_an_exercises_own_place_took_that_place() -> None:
    swapped = done("row")._replace(id=id_of("dip"))
    found = habit_of("dip", [training(1, swapped, workout=("dip",))])
    assert found.by is not None
    assert found.by.movement == "row"


def test_a_movement_takes_the_place_of_one_of_its_category() -> None:
    of = training(1, done("dip", 0, planned=3), done("pull-up", 0, planned=3), done("row"), done("push-up"))
    assert {habit.movement: habit.by and habit.by.movement for habit in habits([of], CATALOGUE)} == {
        "dip": "push-up",
        "pull-up": "row",
    }
    legs = training(1, done("squat", 0, planned=3), done("push-up"))
    assert habit_of("squat", [legs]).by is None
    by = habit_of("squat", [legs], NOTHING).by  # where no category is known, the order tells
    assert by is not None
    assert by.movement == "push-up"


def test_only_the_last_six_times_count_and_what_was_done_most_often_in_its_place() -> None:
    others = ["push-up", "push-up", "pull-up", None, "push-up", "push-up", "push-up", "push-up"]
    of = [
        training(n, done("squat", 0, planned=1), *([] if other is None else [done(other)]))
        for n, other in enumerate(others)
    ]
    found = habit_of("squat", of, NOTHING)
    assert (found.planned, len(found.skipped)) == (6, 6)
    assert found.by is not None
    assert (found.by.movement, [id_.int for id_ in found.replaced]) == ("push-up", [0, 1, 4, 5])


def test_preferences_tell_what_is_done_often_skipped_and_replaced() -> None:
    of = [training(n, done("dip", 0, planned=3), done("push-up"), done("squat", planned=1)) for n in range(4)]
    found = preferences(of, habits(of, CATALOGUE))
    assert [(one.movement, one.sessions) for one in found.often] == [("push-up", 4), ("squat", 4)]
    (skipped,) = found.skipped
    assert (skipped.movement, skipped.skipped, skipped.reason) == (
        "dip",
        4,
        "Skipped 4 of the last 4 times that it was planned.",
    )
    (replaced,) = found.replaced
    assert (replaced.by, replaced.times, len(replaced.trainings)) == ("push-up", 4, 4)
    assert found.reason == "From 4 completed trainings of the last 120 days."
    nothing = preferences([], [])
    assert (nothing.often, nothing.skipped, nothing.replaced) == ([], [], [])
    assert "nothing is known" in nothing.reason


def test_a_movement_that_is_skipped_less_than_half_the_times_is_none_that_is_skipped() -> None:
    of = [training(n, done("dip", 3 * (n > 1), planned=3)) for n in range(5)]
    assert preferences(of, habits(of, CATALOGUE)).skipped == []
    assert len(preferences(of[:4], habits(of[:4], CATALOGUE)).skipped) == 1


_some = st.builds(done, st.sampled_from(sorted(NAMES)), st.integers(0, 2), planned=st.integers(0, 2))
_workout = st.none() | st.lists(st.sampled_from(sorted(NAMES)), max_size=3, unique=True).map(tuple)


@given(st.lists(st.tuples(st.lists(_some, max_size=4, unique_by=lambda one: one.id), _workout), max_size=8))
@settings(max_examples=40)
def test_what_was_skipped_was_planned_and_each_place_is_taken_once(
    of: list[tuple[list[DoneExercise], tuple[str, ...] | None]],
) -> None:
    trainings = [training(n, *exercises, workout=workout) for n, (exercises, workout) in enumerate(of)]
    found = habits(trainings, CATALOGUE)
    assert [habit.movement for habit in found] == sorted({habit.movement for habit in found})
    for habit in found:
        assert len(habit.replaced) <= len(habit.skipped) <= habit.planned <= 6
        assert (habit.by is None) == (not habit.replaced)
        assert set(habit.replaced) <= {id_ for id_, _ in habit.skipped}
    for one in trainings:
        each = [habit.by.movement for habit in habits([one], CATALOGUE) if habit.by is not None]
        assert len(set(each)) == len(each)
        assert set(each) <= {exercise.exercise for exercise in one.exercises if exercise.done}
    preferences(trainings, found)


LADDER = Catalogue.of(
    [
        Movement("push-up", 1, "Push-up", "Push", "reps", 2, None, easier_slugs=()),
        Movement("archer-push-up", 1, "Archer Push-up", "Push", "reps", 5, None, easier_slugs=("push-up",)),
        Movement("dip", 1, "Dip", "Push", "reps", 4, None, easier_slugs=()),
    ]
)
ARCHER = DoneExercise(id_of("push-up"), "Archer Push-up", "archer-push-up", 3, 3)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("workout", [("push-up", "dip"), None])
def test_a_movement_that_the_rule_climbed_to_is_neither_skipped_nor_a_replacement(
    beside: bool, workout: tuple[str, ...] | None
) -> None:
    """Of a workout at its version as of one that was changed since; in the exercise's own place or beside it."""
    climbed = [ARCHER._replace(id=FREE, planned=0), done("push-up", 0, planned=3)] if beside else [ARCHER]
    said = [training(n, *climbed, done("dip", 0, planned=3), workout=workout) for n in range(6)]
    ruled = [replace(one, climbs=frozenset({id_of("push-up")})) for one in said]
    found = {habit.movement: habit for habit in habits(ruled, LADDER)}
    meant = "push-up" if beside or workout else "archer-push-up"
    assert (found[meant].planned, found[meant].skipped, found[meant].by) == (6, (), None)
    assert (len(found["dip"].skipped), found["dip"].by) == (6, None)  # nor did it take the place of that
    if beside or workout:  # without such a rule another movement in its place is what it looks like
        assert len(habit_of("push-up", said, LADDER).skipped) == 6
