"""Planned against actual, without a database."""

from typing import Any
from uuid import uuid4

import orjson
from hypothesis import given

from analytics.adherence import METHOD, adherence, adherence_to_plan
from models.adherence import Adherence
from models.exercises import Catalogue
from models.trainings import ExerciseDocument, exercises_json
from tests.support.bodies import create_body, trainings, uuid

NOTHING = Catalogue.of([])


def exercise(name: str, *sets: dict[str, Any], slug: str | None = None) -> ExerciseDocument:
    """As a training has it: planned sets are not done."""
    numbered = [
        {"id": str(uuid4()), "order": order, "weight": 0, "reps": 0, "done": "target" not in set_} | set_
        for order, set_ in enumerate(sets, 1)
    ]
    return ExerciseDocument.model_validate({"id": str(uuid4()), "name": name, "exercise": slug, "sets": numbered})


def documents(body: dict[str, Any]) -> list[ExerciseDocument]:
    text = exercises_json(uuid(1), create_body(**body).exercises, NOTHING)
    return [ExerciseDocument.model_validate(one) for one in orjson.loads(text)]


bodies = trainings().map(documents)


def test_a_planned_training_that_was_performed() -> None:
    found = adherence(
        [
            exercise(
                "Squat",
                {"target": {"reps": {"min": 4, "max": 6}, "weight": 100}, "reps": 4, "weight": 100, "done": True},
                {"target": {"reps": {"min": 4, "max": 6}, "weight": 100}, "reps": 3, "weight": 110, "done": True},
                {"target": {"reps": 5, "weight": 100}},
                {"reps": 12, "weight": 60},
            ),
            exercise("Plank", {"target": {"duration_seconds": 60}, "duration_seconds": 60.5, "done": True}),
            exercise("Row", {"target": {"rpe": 8}}),
            exercise("Curl", {"reps": 10, "weight": 25, "unit": "lb"}),
            exercise("Stretch", {"done": False}),
        ]
    )
    squat, plank, row, curl, stretch = found.exercises
    assert (squat.sets_planned, squat.sets_done, squat.sets_in_target) == (3, 3, 1)
    assert squat.reps_planned is not None
    assert (squat.reps_planned.min, squat.reps_planned.max, squat.reps_done) == (13, 17, 19)
    assert (squat.max_weight_planned_kg, squat.max_weight_done_kg) == (100, 110)
    assert squat.adherence == 0.3333
    assert (plank.hold_seconds_planned, plank.hold_seconds_done, plank.adherence) == (60, 60.5, 1)
    assert plank.reps_planned is None
    assert (row.skipped, row.additional, row.adherence) == (True, False, 0)
    assert (curl.skipped, curl.additional, curl.adherence) == (False, True, None)
    assert curl.max_weight_done_kg == 11.33980925
    assert (stretch.skipped, stretch.additional, stretch.adherence) == (False, False, None)
    assert (found.sets_planned, found.sets_done, found.sets_in_target, found.adherence) == (5, 5, 2, 0.4)
    assert (found.exercises_skipped, found.exercises_additional, found.method) == (1, 1, METHOD)


def test_without_a_target_there_is_nothing_to_adhere_to() -> None:
    assert adherence([]).adherence is None
    found = adherence([exercise("Squat", {"reps": 5})])
    assert (found.adherence, found.sets_planned, found.sets_done) == (None, 0, 1)


def test_a_set_that_is_not_done_meets_nothing_whatever_it_says() -> None:
    found = adherence([exercise("Squat", {"target": {"reps": 5}, "reps": 5, "done": False})])
    assert (found.adherence, found.sets_done) == (0, 0)


def test_more_than_the_target_meets_it() -> None:
    sets = [
        {"target": {"reps": {"min": 4, "max": 6}}, "reps": 9, "done": True},
        {"target": {"reps": 0}, "reps": 0, "done": True},
        {"target": {"reps": 5, "duration_seconds": 30}, "reps": 5, "done": True},
        {"target": {"tempo": "3-0-1-0"}, "reps": 1, "done": True},
    ]
    assert adherence([exercise("Squat", *sets)]).sets_in_target == 3


def test_a_plan_is_matched_by_movement_then_by_name_in_order() -> None:
    plan = [
        exercise("Pull", {"target": {"reps": 5}}),
        exercise("Chin", {"target": {"reps": 5}}, slug="chin-up"),
        exercise("Dip", {"target": {"reps": 5}}, slug="dip"),
        exercise("Dip", {"target": {"reps": 9}}, slug="dip"),
        exercise("Gone", {"target": {"reps": 5}}),
    ]
    actual = [
        exercise("Extra", {"reps": 1}),
        exercise("PULL", {"reps": 5}, slug="chin-up"),
        exercise("pull", {"reps": 4}),
        exercise("Parallel bars", {"reps": 5}, slug="dip"),
        exercise("Bench dip", {"reps": 8}, slug="dip"),
    ]
    found = adherence_to_plan(plan, actual)
    assert [(one.name, one.sets_in_target, one.reps_done) for one in found.exercises] == [
        ("Pull", 0, 4),
        ("Chin", 1, 5),
        ("Dip", 1, 5),
        ("Dip", 0, 8),
        ("Gone", 0, 0),
        ("Extra", 0, 1),
    ]
    assert (found.exercises_skipped, found.exercises_additional, found.adherence) == (1, 1, 0.4)


def test_warm_ups_are_matched_to_warm_ups_and_sets_in_order() -> None:
    plan = [exercise("Squat", {"target": {"reps": 8}, "type": "warmup"}, {"target": {"reps": 5}}, {})]
    actual = [
        exercise(
            "squat", {"reps": 9, "done": False}, {"reps": 5}, {"reps": 8, "type": "warmup"}, {"reps": 1}, {"reps": 2}
        )
    ]
    (squat,) = adherence_to_plan(plan, actual).exercises
    assert (squat.sets_planned, squat.sets_done, squat.sets_in_target, squat.reps_done) == (3, 4, 3, 16)


def consistent(found: Adherence) -> None:
    assert found.adherence is None or 0 <= found.adherence <= 1
    assert (found.adherence is None) == (found.sets_planned == 0)
    assert found.sets_in_target <= found.sets_planned
    assert found.sets_done == sum(one.sets_done for one in found.exercises)
    for one in found.exercises:
        assert one.sets_in_target <= min(one.sets_planned, one.sets_done)
        assert not (one.skipped and one.additional)


@given(bodies)
def test_of_any_training(actual: list[ExerciseDocument]) -> None:
    found = adherence(actual)
    consistent(found)
    assert [one.name for one in found.exercises] == [one.name for one in actual]
    assert found.sets_done == sum(set_.done for one in actual for set_ in one.sets)
    assert Adherence.model_validate_json(found.model_dump_json()) == found


@given(bodies, bodies)
def test_of_any_plan(plan: list[ExerciseDocument], actual: list[ExerciseDocument]) -> None:
    found = adherence_to_plan(plan, actual)
    consistent(found)
    assert found.sets_planned == sum(len(one.sets) for one in plan)
    assert found.sets_done == sum(set_.done for one in actual for set_ in one.sets)
    assert [one.name for one in found.exercises[: len(plan)]] == [one.name for one in plan]


@given(bodies)
def test_who_does_exactly_what_was_planned_adheres_wholly(plan: list[ExerciseDocument]) -> None:
    done = [
        one.model_copy(update={"sets": [_performed(set_.model_copy(update={"done": True})) for set_ in one.sets]})
        for one in plan
    ]
    for found in (adherence(done), adherence_to_plan(done, done)):
        assert found.adherence in {1, None}
        assert found.exercises_skipped == 0


def _performed(set_: Any) -> Any:
    if set_.target is None:
        return set_
    reps = set_.target.reps
    least = reps if isinstance(reps, int) else reps.min if reps is not None else set_.reps
    return set_.model_copy(update={"reps": least, "duration_seconds": set_.target.duration_seconds})
