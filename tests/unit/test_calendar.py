"""What a calendar says of the numbers of planned trainings, and of who moved them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.calendar import MOST_OF_ONE, MOST_PRESCRIBED, items, told
from analytics.words import named
from models.advice import AdviceKind
from models.calendar import Accepted, Ahead, CalendarItem, CalendarPhase, CalendarTraining
from models.phases import PhaseKind
from models.trainings import Status

MONDAY = dt.date(2026, 1, 5)
_DAY = dt.timedelta(1)
_UNKNOWN = ("title", "skip_reason", "phase_id", "phase_name", "phase_first", "week", "weekday")
_NONE: dict[str, Any] = dict.fromkeys(_UNKNOWN)


def training(number: int, days: int, workout: int = 1, status: Status = Status.PLANNED) -> CalendarTraining:
    """A training of no phase, so many days after Monday."""
    day, own = MONDAY + days * _DAY, {"workout_id": UUID(int=workout), "timezone": "UTC", "skipped": False}
    fields: dict[str, Any] = {"id": UUID(int=100 + number), "day": day, "date": f"{day}T12:00:00Z", "status": status}
    return CalendarTraining(**_NONE | own | fields)


def advice(kind: AdviceKind, title: str | None, day_after: dt.date | None = None) -> Accepted:
    """Accepted advice about a training that lay on Monday."""
    return Accepted(UUID(int=7), kind, title, MONDAY, day_after)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 25)), max_size=60))
def test_each_workout_tells_its_numbers_once_and_the_earliest_workouts_do(planned: list[tuple[int, int]]) -> None:
    trainings = [training(n, days, workout) for n, (days, workout) in enumerate(sorted(planned))]
    ahead: dict[UUID, list[Ahead]] = {}
    for one in trainings:
        assert one.workout_id is not None
        ahead.setdefault(one.workout_id, [Ahead(one.id, one.day, None, False)])
    asked = told(trainings, ahead)
    assert len(asked) == min(len(ahead), MOST_PRESCRIBED)
    assert {workout: ahead[workout] for workout in asked} == asked
    assert max((one.day for (one,) in asked.values()), default=MONDAY) <= min(
        (one.day for workout, (one,) in ahead.items() if workout not in asked), default=dt.date.max
    )
    prescribed: dict[UUID, Any] = {one.training_id: [] for (one,) in asked.values()}
    found = items(trainings, [], MONDAY, ahead=ahead, prescribed=prescribed)
    assert [one["training_id"] for one in found if one["prescriptions"] is not None] == [
        one.id for one in trainings if one.id in prescribed
    ]
    for one in found:
        assert ("prescriptions_reason" in one) == (one["prescriptions"] is None)
        CalendarItem.model_validate(one)


def test_light_ones_tell_their_own_numbers_and_later_ones_name_the_first_that_is_none() -> None:
    trainings = [training(n, n) for n in range(MOST_OF_ONE + 3)]
    easy = [Ahead(one.id, one.day, "Easy", False) for one in trainings[:-1]]
    for light in (1, MOST_OF_ONE):
        ahead = {UUID(int=1): [*easy[:light], easy[light]._replace(deload=None)]}
        asked = told(trainings, ahead)
        assert asked == {UUID(int=1): ahead[UUID(int=1)][:MOST_OF_ONE]}
        prescribed: dict[UUID, Any] = {one.training_id: [] for one in asked[UUID(int=1)]}
        found = items(trainings, [], MONDAY, ahead=ahead, prescribed=prescribed)
        told_of = min(light + 1, MOST_OF_ONE)
        assert [one["prescriptions"] for one in found] == [[]] * told_of + [None] * (len(trainings) - told_of)
        for one in found[told_of : light + 1]:
            assert one["prescriptions_reason"] == (
                "A calendar tells the numbers of the 5 workouts that come first, and of 10 sessions of each at most; "
                "this is another."
            )
        assert all(named(trainings[light].day) in one["prescriptions_reason"] for one in found[light + 1 :])
    assert told(trainings[1:2], ahead) == {UUID(int=1): [ahead[UUID(int=1)][1]]}, "only what is shown is told"


def test_one_that_left_its_deload_without_its_workout_says_that_it_is_half() -> None:
    left = training(1, 1)._replace(halved=True)
    (found,) = items([left], [], MONDAY)
    half = "It has half the sets still, of a deload that it left: its workout was deleted, so the others are unknown."
    assert (found["deload"], found["reason"]) == (True, f"It is planned. {half}")
    easy = CalendarPhase(
        id=UUID(int=3), name="Easy", kind=PhaseKind.MICROCYCLE, first=left.day, last=left.day, deload=True
    )
    (found,) = items([left], [easy], MONDAY)
    assert found["reason"] == "It is planned. Its day lies in a deload, which prescribes half the sets."


def test_what_is_not_to_come_and_what_has_no_rule_tells_no_numbers() -> None:
    ahead = {UUID(int=1): [Ahead(UUID(int=999), MONDAY, None, False)]}
    gone = [training(1, -1), training(2, 0, status=Status.COMPLETED), training(3, 0, status=Status.IN_PROGRESS)]
    for one in items([*gone, training(4, 1, workout=2)], [], MONDAY, ahead=ahead):
        assert (one["prescriptions"], "prescriptions_reason" in one) == (None, False)
    same, later = items([training(5, 0), training(6, 1)], [], MONDAY, ahead=ahead)
    assert same["prescriptions_reason"] == (
        "The numbers follow from the session earlier on this day, which comes first: they are told when that is done."
    )
    assert "of Monday, 5 January 2026," in later["prescriptions_reason"]


@pytest.mark.parametrize(
    ("accepted", "reason", "deload"),
    [
        ([], "It is planned.", False),
        (
            [advice(AdviceKind.REST, "Rest on this day", MONDAY + _DAY)],
            "Advice that you accepted (“Rest on this day”) moved it here from Monday, 5 January 2026.",
            False,
        ),
        ([advice(AdviceKind.REST, "Rest", MONDAY + 3 * _DAY)], "It is planned.", False),  # moved by hand since
        ([advice(AdviceKind.REST, None, MONDAY + _DAY)], "It is planned.", False),  # who reads is no athlete
        (
            [advice(AdviceKind.DELOAD, "Train with half the sets")],
            "It is planned. It was made a lighter session: you accepted “Train with half the sets”.",
            True,
        ),
        ([advice(AdviceKind.DELOAD, None)], "It is planned. It was made a lighter session.", True),
    ],
)
def test_who_moved_it_and_what_made_it_light(accepted: Sequence[Accepted], reason: str, deload: bool) -> None:
    one = training(1, 1)
    (found,) = items([one], [], MONDAY, accepted={one.id: accepted})
    assert (found["reason"], found["deload"]) == (reason, deload)
    assert len(found.get("advice", ())) == sum(each.title is not None for each in accepted)


@pytest.mark.parametrize(
    ("kind", "title", "reason"),
    [
        (
            AdviceKind.BALANCE,
            "Row: one more set",
            " You accepted “Row: one more set” for this training, which goes first.",
        ),
        (AdviceKind.PREFER, "Row: plan Dip", " You accepted “Row: plan Dip” for this training, which goes first."),
        (AdviceKind.PROGRESS, "Row: go on", ""),  # what it says is what is prescribed
        (AdviceKind.BALANCE, None, ""),  # who reads is no athlete
    ],
)
def test_a_prescription_names_the_advice_that_goes_before_it(kind: AdviceKind, title: str | None, reason: str) -> None:
    one, ids = training(1, 1), [UUID(int=8), UUID(int=9)]
    accepted = advice(kind, title)._replace(exercise_id=ids[0])
    numbers = [{"exercise_id": str(id_), "name": "Row", "prescription": {"sets": 1, "reason": "So."}} for id_ in ids]
    (found,) = items(
        [one],
        [],
        MONDAY,
        accepted={one.id: [accepted]},
        ahead={UUID(int=1): [Ahead(one.id, one.day, None, False)]},
        prescribed={one.id: numbers},
    )
    assert [told["prescription"]["reason"] for told in found["prescriptions"]] == [f"So.{reason}", "So."]
    assert numbers[0]["prescription"] == {"sets": 1, "reason": "So."}
