"""Goals: what clients may say, how far one is, and how often the forecast's interval holds: by theory, in simulation,
and on a real log, as docs/goals.md tells."""

import datetime as dt
import math
import os
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics import goals
from analytics.goals import Line, Progress, progress, student
from analytics.strength import best_set, is_assisted
from models.errors import UnknownExercise, Unprocessable
from models.exercises import Catalogue, Movement
from models.goals import Goal, GoalCreate, GoalMetric, GoalState, GoalUpdate, Point
from models.sets import Unit
from models.strong import read_strong

PAGE = Path(__file__).parents[2] / "docs" / "goals.md"
LOG = os.environ.get("TRAINING_TEST_STRONG_LOG")
MONDAY = dt.date(2026, 1, 5)
BODY: dict[str, Any] = {
    "name": "Squat",
    "metric": "e1rm_kg",
    "movement": "pistol-squat",
    "target": 140,
    "start_day": "2026-01-05",
    "due": "2026-06-30",
}


def at(day: int) -> dt.date:
    return MONDAY + dt.timedelta(day)


def goal(target: float = 120, *, start: int = 0, due: int = 120, metric: GoalMetric = GoalMetric.E1RM_KG) -> Goal:
    return Goal(metric, Decimal(str(target)), at(start), at(due))


def goal_of(**changed: Any) -> GoalCreate:
    return GoalCreate.model_validate_json(orjson.dumps(BODY | changed))


def points(values: dict[int, float]) -> list[Point]:
    return [Point(at(day), Decimal(str(value)), UUID(int=day + 10_000)) for day, value in values.items()]


def rising(days: Iterable[int], *, by: float = 0.1, wobble: float = 1) -> list[Point]:
    """From 100 kg on, by so much a day, now above the line and now below it."""
    return points({day: round(100 + by * day + wobble * (-1) ** n, 4) for n, day in enumerate(days)})


def told(values: Sequence[Point], day: int, of: Goal | None = None) -> Progress:
    return progress(of or goal(), values, at(day), at(0))


# What clients may say.


def faults(**changed: Any) -> list[tuple[tuple[str | int, ...], str]]:
    said = {name: value for name, value in (BODY | changed).items() if value is not None}
    with pytest.raises(ValidationError) as error:
        GoalCreate.model_validate_json(orjson.dumps(said))
    return [(fault["loc"], fault["msg"]) for fault in error.value.errors()]


@pytest.mark.parametrize(
    ("changed", "place", "message"),
    [
        ({"movement": None}, "movement", "is required by `e1rm_kg`"),
        ({"metric": "weekly_volume_kg"}, "movement", "does not go with `weekly_volume_kg`, which is of all training"),
        ({"at_weight_kg": 100}, "at_weight_kg", "goes with `reps` alone"),
        ({"metric": "reps", "target": 0}, "target", "must be more than 0"),
        ({"metric": "reps", "target": 8.5}, "target", "must be a whole number"),
        ({"metric": "reps", "target": 10_001}, "target", "must be at most 10,000"),
        ({"metric": "weight_kg", "target": 10_000.5}, "target", "must be at most 10,000"),
        ({"metric": "hold_seconds", "target": 86_401}, "target", "must be at most 86,400"),
        ({"metric": "weekly_trainings", "movement": None, "target": 71}, "target", "must be at most 70"),
        ({"metric": "weekly_hard_sets", "movement": None, "target": 1_001}, "target", "must be at most 1,000"),
        ({"due": "2026-01-05"}, "due", "must be 1 to 3,660 days after `start_day`"),
        ({"due": "2036-01-15"}, "due", "must be 1 to 3,660 days after `start_day`"),
    ],
)
def test_what_does_not_go_together_is_refused(changed: dict[str, Any], place: str, message: str) -> None:
    assert faults(**changed) == [((place,), message)]


def test_all_that_does_not_go_together_is_named_at_once() -> None:
    found = faults(metric="weekly_trainings", at_weight_kg=1, target=-0.5, due="2026-01-05")
    assert [place for (place,), _ in found] == ["movement", "at_weight_kg", "target", "due"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("metric", "luck"),
        ("movement", "family:squat"),
        ("movement", "name: "),
        ("target", 1e8),
        ("target", "140"),
        ("target", 1.00001),
        ("start_day", "2026-1-5"),
        ("start_day", "1900-12-31"),
        ("due", "2199-01-01"),
        ("due", 1),
        ("notes", "\0"),
        ("unit", "kg"),
    ],
)
def test_what_is_wrong_is_named(field: str, value: Any) -> None:
    assert [loc for loc, _ in faults(**{field: value})] == [(field,)]


def test_a_goal_is_stored_as_it_was_said() -> None:
    said = BODY | {"metric": "reps", "movement": "name:  Squat  (Barbell)", "at_weight_kg": 62.5, "id": str(uuid4())}
    stored = orjson.loads(GoalCreate.model_validate_json(orjson.dumps(said)).content())
    del said["id"]
    assert stored == said | {"movement": "name:squat (barbell)"}
    assert b'"target":140,' in orjson.dumps(stored)
    whole = stored | {"id": str(uuid4()), "user_id": str(uuid4()), "version": 3}
    again = GoalUpdate.model_validate_json(orjson.dumps(whole | {"created_at": "2026-01-05T12:00:00Z"}))
    assert orjson.loads(again.content()) == stored


def test_assistance_may_be_aimed_at() -> None:
    assert goal_of(metric="weight_kg", target=-10).target == -10


def test_of_what_lifts_no_body_an_estimate_is_more_than_nothing() -> None:
    """Assistance is taken off the body's part of a load; a barbell has none."""
    squat = Movement("squat", 1, "Squat", "Legs", "reps", 5, Decimal("0.8"), equipment=("barbell",))
    press, pull = (Movement(f"lift-{n}", 1, "Lift", "Pull", "reps", 5, Decimal(n)) for n in (0, 1))
    unknown = Movement("lift", 1, "Lift", "Pull", "reps", 5, None)
    catalogue = Catalogue.of([squat, press, pull, unknown])
    for slug in ("squat", "lift-0"):
        with pytest.raises(Unprocessable) as error:
            goal_of(movement=slug, target=-5).check_movement(catalogue)
        assert (error.value.pointer, str(error.value)) == (
            "/target", f"An e1RM of `{slug}` is of its load alone, so the target must be more than 0."
        )  # fmt: skip
        goal_of(movement=slug, target=-5, metric="weight_kg").check_movement(catalogue)
    for slug in ("lift-1", "lift", "own:pull", "name:pull"):
        goal_of(movement=slug, target=-5).check_movement(catalogue)


def test_a_movement_that_the_catalogue_lacks_is_named() -> None:
    empty = Catalogue.of([])
    for key in ("own:carry", "name:squat"):
        goal_of(movement=key).check_movement(empty)
    with pytest.raises(UnknownExercise) as error:
        goal_of().check_movement(empty)
    assert error.value.pointer == "/movement"


def test_a_movement_of_the_catalogue_is_measured_in_what_it_is_measured_in() -> None:
    held, done = (Movement(mode, 1, mode, "Core", mode, 5, None) for mode in ("hold", "reps"))
    catalogue = Catalogue.of([held, done])
    of_both = {"weight_kg"}
    for movement, others in (("hold", {"e1rm_kg", "reps", "session_volume_kg"}), ("reps", {"hold_seconds"})):
        for metric in (metric for metric in GoalMetric if not metric.weekly):
            body = goal_of(movement=movement, metric=metric)
            if metric not in others:
                body.check_movement(catalogue)
                continue
            with pytest.raises(Unprocessable) as error:
                body.check_movement(catalogue)
            assert error.value.pointer == "/metric"
            said = {name for name in GoalMetric if f"`{name}`" in str(error.value)}
            assert said == {name for name in GoalMetric if not name.weekly} - others >= of_both


# How far it is.


def test_the_way_is_counted_from_the_best_of_the_weeks_before() -> None:
    found = told(points({-29: 150, -28: 100, -10: 90, 0: 105, 7: 110, 14: 108}), 20)
    assert found.start == Point(at(-28), Decimal(100), UUID(int=9_972))
    assert (found.best, found.share) == (Point(at(7), Decimal(110), UUID(int=10_007)), 0.5)
    assert found.achieved is None


def test_without_a_value_before_the_way_begins_with_the_first_since() -> None:
    found = told(points({-40: 150, 3: 100, 10: 95}), 20)
    assert (found.start, found.best, found.share) == (*2 * [Point(at(3), Decimal(100), UUID(int=10_003))], 0)
    less = told(points({-3: 100, 10: 95}), 20)
    assert (less.best, less.share) == (Point(at(10), Decimal(95), UUID(int=10_010)), 0)


@pytest.mark.parametrize("before", [120, 130])
def test_where_there_is_no_way_there_is_no_share_and_a_reason(before: float) -> None:
    beyond = f"There is no way to go: it began at {before} kg, with a target of 120 kg."
    nothing = "There is no value since Monday, 5 January 2026."
    for values, day, reason in (
        ({-3: before, 10: 95}, 20, beyond),
        ({-3: before}, 20, nothing),
        ({}, 20, nothing),
        ({-3: before}, -1, "The goal begins on Monday, 5 January 2026."),
    ):
        found = told(points(values), day)
        assert (found.share, found.share_reason) == (None, reason)


def test_what_is_achieved_and_nothing_else_is_all_of_the_way() -> None:
    assert told(points({-3: 0, 4: 119.9999}), 20).share == 0.9999
    for values in ({4: 130}, {-3: 125, 4: 121}, {-3: 100, 4: 130, 7: 90}):
        found = told(points(values), 20)
        assert (found.share, found.share_reason) == (1, None)


@given(
    st.dictionaries(st.integers(-120, 200), st.integers(0, 12), max_size=12),
    st.integers(1, 12),
    st.integers(-20, 200),
    st.sampled_from([GoalMetric.E1RM_KG, GoalMetric.WEEKLY_TRAININGS]),
)
def test_what_is_not_told_has_a_reason(values: dict[int, int], target: int, day: int, metric: GoalMetric) -> None:
    ordered = points({at_: values[at_] for at_ in sorted(values)})
    found = told(ordered, day, goal(target, metric=metric))
    assert (found.share is None) is (found.share_reason is not None)
    assert (found.share == 1) is (found.achieved is not None) is (found.state is GoalState.ACHIEVED)
    assert all(reason.endswith(".") for reason in (found.reason, found.forecast_reason, found.share_reason or "."))
    assert not re.search(r"\d{4}-\d{2}|  |\b1 days", f"{found.reason} {found.forecast_reason} {found.share_reason}")


def test_it_is_achieved_on_the_first_day_at_the_target() -> None:
    found = told(points({-3: 125, 4: 119, 9: 120, 12: 130}), 20)
    assert found.achieved == Point(at(9), Decimal(120), UUID(int=10_009))
    assert (found.state, found.forecast) == (GoalState.ACHIEVED, None)
    assert found.reason == "Reached on Wednesday, 14 January 2026: 120 kg, and the target is 120 kg."
    late = told(points({4: 119, 125: 121}), 130)
    assert (late.state, late.achieved and late.achieved.day) == (GoalState.ACHIEVED, at(125))
    assert late.reason == ("Reached on Sunday, 10 May 2026, 5 days after it was due: 121 kg, and the target is 120 kg.")
    assert "2026, a day after it was due: 121 kg" in told(points({4: 119, 121: 121}), 130).reason


def test_less_assistance_is_more() -> None:
    aim = goal(-5, metric=GoalMetric.WEIGHT_KG)
    found = told(points({-3: -25, 10: -15, 14: -20}), 20, aim)
    assert (found.best and found.best.value, found.share) == (-15, 0.5)
    assert told(points({-3: -25, 10: 0}), 20, aim).state is GoalState.ACHIEVED


def test_it_is_missed_after_the_day_that_it_was_due_on() -> None:
    assert told(rising(range(0, 60, 3)), 120).state is not GoalState.MISSED
    found = told(points({4: 119}), 121)
    assert (found.state, found.forecast_reason) == (GoalState.MISSED, "The day that it was due on is over.")
    due = "The target of 120 kg was due on Tuesday, 5 May 2026."
    assert found.reason == f"{due} The best by then was 119 kg, on Friday, 9 January 2026."
    assert told(points({-4: 119}), 121).reason == f"{due} There was no value by then."


def test_what_came_after_the_day_due_is_not_told_as_from_before() -> None:
    due = "The target of 120 kg was due on Tuesday, 5 May 2026."
    later = told(points({4: 110, 125: 119}), 130)
    assert (later.state, later.best and later.best.day) == (GoalState.MISSED, at(125))
    assert later.reason == (
        f"{due} The best by then was 110 kg, on Friday, 9 January 2026. Since then the best is 119 kg, on Sunday, "
        "10 May 2026."
    )
    alone = told(points({125: 119}), 130).reason
    assert alone == f"{due} There was no value by then. Since then the best is 119 kg, on Sunday, 10 May 2026."
    assert "Since then" not in told(points({4: 119, 125: 110}), 130).reason


def test_what_was_done_later_is_left_out() -> None:
    values = rising(range(0, 100, 3))
    assert told(values, 50) == told(values[:17], 50)
    assert told(values, 50) != told(values, 51)


# What is expected.


def test_the_line_is_on_track_or_behind() -> None:
    days = list(range(0, 84, 3))
    ahead = told(rising(days, by=0.2), 83)
    assert (ahead.state, ahead.forecast and ahead.forecast.day) == (GoalState.ON_TRACK, at(120))
    assert ahead.reason == "Expected on Tuesday, 5 May 2026: 123.8 kg; the target is 120 kg."
    behind = told(rising(days, by=0.1), 83)
    assert behind.state is GoalState.BEHIND
    assert behind.reason == ("Expected on Tuesday, 5 May 2026: 111.8 kg, 8.2 kg less than the target of 120 kg.")
    assert behind.forecast is not None
    assert (behind.forecast.observations, behind.forecast.first, behind.forecast.last) == (28, at(0), at(81))
    assert behind.forecast_reason == (
        "If it goes on as in the 28 values from Monday, 5 January 2026 to Friday, 27 March 2026: 111.8 kg on Tuesday, "
        "5 May 2026, and 80% of such values between 110.2 kg and 113.4 kg. Then the target is reached on Wednesday, "
        "29 July 2026."
    )
    assert behind.forecast.reached.expected == dt.date(2026, 7, 29)


def test_the_days_on_which_it_is_reached() -> None:
    found = told(rising(range(0, 84, 3), by=0.2), 83, goal(119, due=150)).forecast
    assert found is not None
    reached = found.reached
    assert reached.earliest is not None
    assert reached.expected is not None
    assert reached.latest is not None
    assert at(84) < reached.earliest < reached.expected < reached.latest < at(150)
    assert abs((reached.expected - at(95)).days) <= 2
    far = told(rising(range(0, 84, 3), by=0.2), 83, goal(400, due=150)).forecast
    assert (far and far.reached) == (None, None, None)
    why = told(rising(range(0, 84, 3), by=0.2), 83, goal(400, due=150)).forecast_reason
    assert why.endswith(" The target is not reached by Saturday, 5 September 2026, up to which a forecast goes.")


def test_values_on_a_line_have_no_interval() -> None:
    found = told(rising(range(0, 84, 3), wobble=0), 83, goal(112.05))
    assert found.forecast is not None
    assert (found.forecast.value, found.forecast.low, found.forecast.high) == (112, None, None)
    assert found.forecast.reached == (None, at(121), None)
    assert "tells nothing of how they will scatter" in found.forecast_reason
    assert found.reason == "Expected on Tuesday, 5 May 2026: 112 kg, a little less than the target of 112.05 kg."


def test_repetitions_are_never_fewer_than_none() -> None:
    values = points({day: [1, 9][n % 2] for n, day in enumerate(range(0, 60, 3))})
    found = told(values, 60, goal(20, metric=GoalMetric.REPS))
    assert found.forecast is not None
    assert found.forecast.low == 0
    assert "between 0 repetitions and" in found.forecast_reason
    signed = told(values, 60, goal(20, metric=GoalMetric.WEIGHT_KG))
    assert signed.forecast is not None
    assert (signed.forecast.low or 0) < 0


@pytest.mark.parametrize(
    ("values", "due", "why", "state"),
    [
        (rising(range(0, 50, 10)), 60, "A forecast needs 6 values, and there are 5.", GoalState.UNKNOWN),
        (rising(range(21)), 30, "A forecast needs values over 21 days, and these lie within 20.", GoalState.UNKNOWN),
        (
            rising(range(0, 24, 3)),
            64,
            "It is due 43 days after the last value: a forecast from 21 days goes 42 ahead.",
            GoalState.UNKNOWN,
        ),
        (
            rising(range(0, 24, 3), by=-0.1, wobble=0),
            60,
            "The line through the 8 values falls by 0.7 kg a week, and the target is above it.",
            GoalState.BEHIND,
        ),
        (
            rising(range(0, 24, 3), by=0, wobble=0),
            60,
            "The line through the 8 values is level, and the target is above it.",
            GoalState.BEHIND,
        ),
    ],
)
def test_where_nothing_can_be_expected_it_says_why(values: list[Point], due: int, why: str, state: GoalState) -> None:
    found = told(values, 50 if due > 50 else 25, goal(due=due))
    assert (found.forecast, found.forecast_reason, found.reason, found.state) == (None, why, why, state)


def test_the_bounds_of_a_forecast_are_exact() -> None:
    assert told(rising([0, 4, 8, 12, 16, 21]), 25, goal(due=63)).forecast is not None
    assert told(rising([0, 4, 8, 12, 16, 20]), 25, goal(due=60)).forecast is None
    assert told(rising([0, 4, 8, 12, 16, 21]), 25, goal(due=64)).forecast is None
    assert told(rising([0, 4, 8, 16, 21]), 25, goal(due=63)).forecast is None


def test_the_line_goes_through_84_days_and_all_since_the_start() -> None:
    values = rising(range(-200, 100, 10))
    for start, first in ((0, -10), (90, -10), (-50, -50)):
        found = told(values, 74, goal(start=start, due=140)).forecast
        assert (found and found.first) == at(first), start


def test_before_its_first_day_a_goal_is_neither_on_track_nor_behind() -> None:
    found = told(rising(range(-60, 0, 3)), -1, goal(due=100))
    assert (found.state, found.reason) == (GoalState.UNKNOWN, "The goal begins on Monday, 5 January 2026.")
    assert (found.start and found.start.day, found.best) == (at(-6), None)
    assert found.forecast is not None


# Weeks.

TRAININGS = GoalMetric.WEEKLY_TRAININGS


def week(target: float, *, start: int = 0, due: int = 120) -> Goal:
    return goal(target, start=start, due=due, metric=TRAININGS)


def test_a_week_counts_from_the_first_day_of_the_goal() -> None:
    values = points({0: 1, 1: 1, 2: 1, 3: 1, 8: 1})
    assert told(values, 10, week(4)).achieved == Point(at(3), Decimal(4))
    late = told(values, 10, week(4, start=1))
    assert (late.achieved, late.best) == (None, Point(at(0), Decimal(3)))
    assert told(values, 10, week(3, start=1)).achieved == Point(at(3), Decimal(3))


def test_a_week_without_training_counts_as_none() -> None:
    values = points(dict.fromkeys((0, 2, 4, 7, 28, 30, 32), 1))
    found = told(values, 40, week(5, due=60))
    assert [(point.day, point.value) for point in found.points] == [
        (at(0), 3), (at(7), 1), (at(14), 0), (at(21), 0), (at(28), 3), (at(35), 0)
    ]  # fmt: skip
    assert found.best == Point(at(0), Decimal(3))
    assert found.start == Point(at(0), Decimal(3))


def test_weeks_before_the_first_training_tell_nothing_and_the_present_one_not_yet() -> None:
    values = points(dict.fromkeys(range(0, 44, 7), 1))
    found = told(values, 44, week(5, start=21, due=60))
    assert [point.day for point in found.points] == [at(day) for day in range(0, 44, 7)]
    assert found.forecast_reason == "The line through the 6 values is level, and the target is above it."
    assert told(values, 41, week(5, start=21, due=60)).forecast_reason == (
        "A forecast needs 6 values, and there are 5."  # the sixth week ends with this day
    )
    assert found.start == Point(at(0), Decimal(1))


def test_the_week_that_holds_the_day_due_is_forecast() -> None:
    values = points(dict(enumerate([1, 0] * 7 + [1, 1] * 14 + [2, 1] * 7)))
    found = told(values, 56, week(14, due=74))
    assert found.forecast is not None
    assert (found.forecast.day, found.forecast.observations) == (at(70), 8)
    assert found.reason == (
        "Expected in the week from Monday, 16 March 2026 on: 13.3 trainings, 0.7 trainings less than the target of "
        "14 trainings."
    )
    assert all(day is None or day.weekday() == 0 for day in found.forecast.reached)


def test_without_a_training_there_is_nothing() -> None:
    found = progress(week(3), [], at(30), None)
    assert (found.start, found.best, found.share, found.points) == (None, None, None, [])
    assert (found.state, found.reason) == (GoalState.UNKNOWN, "No training is completed yet.")
    assert found.forecast_reason == "A forecast needs 6 values, and there are 0."


@pytest.mark.parametrize(
    ("metric", "lack"),
    [
        (
            GoalMetric.E1RM_KG,
            "has 1 to 12 repetitions with a load (where your body is part of it, log your body mass with the training)",
        ),
        (GoalMetric.WEIGHT_KG, "has a weight"),
        (GoalMetric.REPS, "has repetitions at 20.5 kg or more"),
        (GoalMetric.HOLD_SECONDS, "was held, with its seconds and no repetition"),
        (GoalMetric.SESSION_VOLUME_KG, "has a weight"),
    ],
)
def test_what_may_never_have_a_value_says_so(metric: GoalMetric, lack: str) -> None:
    """Where a movement is trained, and none of its sets has what the goal looks at."""
    aim = goal(20, metric=metric)._replace(at_weight_kg=Decimal("20.5"))
    found = progress(aim, [], at(30), at(0), 3)
    assert (found.state, found.share_reason) == (GoalState.UNKNOWN, "There is no value since Monday, 5 January 2026.")
    assert found.reason == (
        f"Since Wednesday, 12 November 2025 it was trained on 3 days, and no set of it that counts {lack}."
    )
    untrained = progress(aim, [], at(30), at(0))
    assert untrained.reason == "Since Wednesday, 12 November 2025 it was not trained."
    assert progress(aim, [], at(130), at(0), 3).reason.endswith(f"no set of it that counts {lack}.")


@pytest.mark.parametrize(("fewest", "unweighed"), [(None, False), (8, True), (12, True), (13, False)])
def test_an_estimate_that_wants_a_body_mass_says_so(fewest: int | None, unweighed: bool) -> None:
    found = progress(goal(20), [], at(30), at(0), 3, fewest=fewest).reason
    assert found.startswith("Since Wednesday, 12 November 2025 it was trained on 3 days, ")
    said = "without a body mass: its e1RM has the body's part of the load in it. Log your body mass with the training."
    assert found.endswith(said) is unweighed


# How honest the interval is.


def test_students_t_is_that_of_the_tables() -> None:
    printed = {4: 1.5332, 5: 1.4759, 6: 1.4398, 8: 1.3968, 10: 1.3722, 15: 1.3406, 20: 1.3253, 30: 1.3104, 120: 1.2886}
    for degrees, quantile in printed.items():
        assert abs(student(degrees) - quantile) < 0.0001


@given(
    st.dictionaries(st.integers(0, 400), st.integers(-1000, 3000), min_size=6, max_size=40),
    st.integers(0, 900),
)
def test_the_interval_is_that_of_the_normal_equations(found: dict[int, int], ahead: int) -> None:
    """In fractions: s² (1 + x (XᵀX)⁻¹ xᵀ), from the matrix's own inverse."""
    values = [(day, Decimal(found[day]) / 10) for day in sorted(found)]
    line = Line.through([Point(at(day), value) for day, value in values])
    n, x, xx = len(values), sum(day for day, _ in values), sum(day * day for day, _ in values)
    y, xy = sum(value for _, value in values), sum(day * value for day, value in values)
    determinant = n * xx - x * x
    slope, base = (n * xy - x * y) / determinant, (xx * y - x * xy) / determinant
    rest = sum((value - base - slope * day) ** 2 for day, value in values) / (n - 2)
    factor = 1 + Decimal(xx - 2 * x * ahead + n * ahead * ahead) / determinant
    assert math.isclose(line.value(at(ahead)), base + slope * ahead, rel_tol=1e-6, abs_tol=1e-6)
    expected = student(n - 2) * math.sqrt(rest * factor)
    assert math.isclose(line.margin(at(ahead)), expected, rel_tol=1e-6, abs_tol=1e-6)


def held(persistence: float, *, trials: int = 2_000) -> float:
    """How often the interval holds the value 7, 14 or 28 days after 12 to 36 sessions in 84 days, whose scatter goes on
    by so much from each to the next."""
    chance, count = random.Random(7), 0
    fresh = math.sqrt(1 - persistence**2)
    for _ in range(trials):
        sessions, ahead = chance.randint(12, 36), chance.choice((7, 14, 28))
        days = [round(84 * n / (sessions - 1)) for n in range(sessions)]
        scatter, values = chance.gauss(), {}
        for day in days:
            values[day] = round(100 + 0.1 * day + scatter, 4)
            scatter = persistence * scatter + fresh * chance.gauss()
        for _ in range(max(round(ahead * (sessions - 1) / 84), 1) - 1):
            scatter = persistence * scatter + fresh * chance.gauss()
        line, day = Line.through(points(values)), 84 + ahead
        count += abs(100 + 0.1 * day + scatter - line.value(at(day))) <= line.margin(at(day))
    return count / trials


def table(heading: str) -> list[list[str]]:
    """The rows of the page's table whose first column is called so."""
    block = re.search(rf"^\| {heading} \|.+\n\|[-|: ]+\n((?:\|.+\n)+)", PAGE.read_text(), re.MULTILINE)
    assert block is not None
    return [line.strip("| ").split(" | ") for line in block[1].splitlines()]


def test_independent_sessions_are_held_as_often_as_it_says() -> None:
    assert abs(held(0, trials=4_000) - goals.COVERAGE) < 0.02


def test_the_page_tells_what_sessions_that_depend_on_each_other_do() -> None:
    rows = [[persistence, f"{held(float(persistence)):.0%}"] for persistence, _ in table("scatter that goes on")]
    assert table("scatter that goes on") == rows
    assert len(rows) == 4


# On a real log.


@cache
def lifts(path: Path) -> dict[str, list[Point]]:
    """The best e1RM of each lift on each day, as the derived tables have it."""
    sets: defaultdict[str, defaultdict[dt.date, list[tuple[Decimal, int]]]] = defaultdict(lambda: defaultdict(list))
    for session in read_strong(path.read_bytes(), unit=Unit.KG, timezone="Europe/Berlin").sessions:
        for exercise in session.body.exercises:
            if not is_assisted(exercise.name, None):
                done = [(Decimal(repr(set_.weight)), set_.reps) for set_ in exercise.sets]
                sets[exercise.name][session.body.local_day()] += done
    best = {name: {day: best_set(done, Decimal(0)) for day, done in days.items()} for name, days in sets.items()}
    return {
        name: [Point(day, value[0]) for day, value in sorted(days.items()) if value is not None]
        for name, days in best.items()
    }


def tried(values: Sequence[Point], origin: dt.date) -> tuple[int, int]:
    """Of the values of the 28 days after a day, how many the intervals of the 84 days up to it hold, and how many there
    are: of those that may be forecast."""
    before = [point for point in values if origin - dt.timedelta(goals.LINE_DAYS) <= point.day <= origin]
    if goals.too_little(before) is not None:
        return 0, 0
    line = Line.through(before)
    until = line.last + goals.FARTHEST * (line.last - line.first)
    after = [point for point in values if origin < point.day <= min(origin + dt.timedelta(28), until)]
    return sum(abs(float(p.value) - line.value(p.day)) <= line.margin(p.day) for p in after), len(after)


def backtest(path: Path) -> list[list[str]]:
    """The page's table: of lifts with a value on 12 days or more."""
    rows, sums = [], [0, 0, 0, 0]
    found = {name: values for name, values in lifts(path).items() if len(values) >= 12}
    for name, values in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        last = tried(values, values[-1].day - dt.timedelta(28))
        origins = range(0, (values[-1].day - values[0].day).days, 28)
        each = [tried(values, values[0].day + dt.timedelta(days)) for days in origins]
        counts = [*last, sum(one[0] for one in each), sum(one[1] for one in each)]
        sums = [total + count for total, count in zip(sums, counts, strict=True)]
        rows.append([name, str(len(values)), *_of(counts)])
    return [*rows, ["all of them", str(sum(len(values) for values in found.values())), *_of(sums)]]


def _of(counts: Sequence[int]) -> list[str]:
    return [f"{held} of {count}" if count else "–" for held, count in zip(counts[::2], counts[1::2], strict=True)]


def test_the_last_row_of_the_page_is_the_sum_of_the_others() -> None:
    told = table("lift")
    sums = [sum(int(row[column].split(" of ")[place]) for row in told[:-1] if " of " in row[column])
            for column in (2, 3) for place in (0, 1)]  # fmt: skip
    assert told[-1] == ["all of them", str(sum(int(row[1]) for row in told[:-1])), *_of(sums)]


@pytest.mark.skipif(LOG is None, reason="TRAINING_TEST_STRONG_LOG names no real log")
def test_the_page_tells_how_often_it_held_on_a_real_log() -> None:
    assert table("lift") == backtest(Path(str(LOG)))
