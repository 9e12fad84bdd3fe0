"""What names mean, in the arithmetic of volume."""

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.folding import NotAnEvent
from agents.naming import decode
from analytics.volume import session_volume
from models.events import ExercisePayload
from models.exercises import Facts
from models.naming import Meaning, Names, meaning, names_at, newest_of_each
from models.performed import PerformedTraining

USER = UUID(int=1)
MOVEMENT = {
    "slug": "push-up",
    "revision": 3,
    "own": False,
    "name": "Push-up",
    "category": "Push",
    "mode": "reps",
    "phases": [],
    "equipment": [],
    "difficulty": 4,
    "muscles": ["chest"],
    "secondary_muscles": [],
    "bw_fraction": 0.64,
    "family": "push-up",
    "unilateral": False,
}


def told(version: int, *names: str, **movement: object) -> ExercisePayload:
    """`names` mean a movement from that version on; without anything said of it they mean nothing."""
    exercise = MOVEMENT | movement if movement else None
    return ExercisePayload.model_validate(
        {"user_id": USER, "version": version, "names": list(names), "exercise": exercise}, strict=False
    )


def training(*exercises: dict[str, object]) -> PerformedTraining:
    """80 kg of body mass; 10 repetitions of each exercise, without a weight."""
    return PerformedTraining.model_validate(
        {
            "training_id": UUID(int=2),
            "user_id": USER,
            "status": "COMPLETED",
            "version": 1,
            "date": "2026-01-05T12:00:00Z",
            "timezone": "UTC",
            "day": "2026-01-05",
            "bodyweight_kg": 80,
            "exercises": [{"sets": [{"weight": 0, "reps": 10}]} | exercise for exercise in exercises],
        }
    )


def test_a_name_means_what_was_told_of_it_last() -> None:
    events = [
        told(1, "push up", "press-up", own=False),
        told(2, "push up", slug="mine", revision=1, own=True, bw_fraction=None),
        told(3, "press-up"),
    ]
    assert names_at(events, 3) == Names(
        3,
        {"push up": Meaning(2, None, 1, "mine", Facts(None, "Push", "push-up", 4)), "press-up": Meaning(3)},
    )
    facts = Facts(Decimal("0.64"), "Push", "push-up", 4)
    assert meaning(told(4, "x", equipment=["barbell", "box"])).facts == facts._replace(implement=True)
    assert meaning(told(4, "x", equipment=["barbell", "pull_up_bar"])).facts == facts
    assert names_at(events, 1).meanings["push up"] == Meaning(1, "push-up", 3, None, facts)
    assert names_at(events, 0) == Names()


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), max_size=6), st.randoms())
def test_events_may_come_in_any_order_and_twice(names: list[list[str]], draw: object) -> None:
    events = [told(version, *some, own=False) for version, some in enumerate(names, 1)]
    shuffled = events * 2
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    assert newest_of_each(shuffled) == newest_of_each(events)


@pytest.mark.parametrize("name", ["Push Up", "  push\u00a0 UP ", "push up"])
def test_a_name_is_compared_folded(name: str) -> None:
    names = names_at([told(1, "push up", own=False)], 1)
    session = session_volume(training({"name": name}), {}, names.meanings)
    (exercise,) = session.exercises
    assert (exercise.name, exercise.exercise, exercise.exercise_revision, exercise.own_exercise) == (
        name,
        "push-up",
        3,
        None,
    )
    assert exercise.volume.system_load_kg == Decimal(512)
    assert session.naming == 1


def test_a_movement_that_was_logged_is_not_renamed() -> None:
    names = names_at([told(7, "push up", own=False)], 7)
    logged = {"name": "push up", "exercise": "dip", "exercise_revision": 1}
    session = session_volume(training(logged), {("dip", 1): Facts(Decimal(1))}, names.meanings)
    assert session.exercises[0].exercise == "dip"
    assert session.volume.system_load_kg == Decimal(800)
    assert session.naming == 0


def test_a_session_names_the_newest_version_that_concerns_it() -> None:
    events = [told(1, "a", own=False), told(2, "b", own=True), told(3, "c", own=False), told(4, "a"), told(5, "d")]
    names = names_at(events, 5)
    session = session_volume(
        training({"name": "a"}, {"name": "b"}, {"name": "c", "sets": []}, {"name": "e"}), {}, names.meanings
    )
    assert session.naming == 4
    assert [(exercise.exercise, exercise.own_exercise) for exercise in session.exercises] == [
        (None, None),
        (None, "push-up"),
        (None, None),
    ]
    assert session.volume.system_load_sets == 1


def test_a_name_that_means_nothing_is_as_one_never_said() -> None:
    free = training({"name": "a"})
    removed = session_volume(free, {}, names_at([told(1, "a", own=False), told(2, "a")], 2).meanings)
    assert removed._replace(naming=0) == session_volume(free, {})


def test_events_of_a_later_kind_are_passed_over() -> None:
    assert decode(b'{"event_type":"exercise_merged","payload":{}}') is None
    with pytest.raises(NotAnEvent, match="payload: Field required"):
        decode(b'{"event_type":"exercise_alias_set"}')
