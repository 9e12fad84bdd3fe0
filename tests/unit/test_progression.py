"""Progression: each rule by its words, and what must hold of all of them."""

import datetime as dt
import json
import os
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics.progression import Course, walk
from analytics.progression_ladder import Ladder, check_way
from analytics.progression_walk import Session
from analytics.progression_workouts import next_exercises, on_light_day, workout_walks
from models.errors import UnknownExercise, Unprocessable
from models.exercises import Catalogue, Movement
from models.progression import LoggedExercise, LoggedSet, LoggedTraining, Walk, WorkoutHistory
from models.progression_rules import check_movement, rule_fields
from models.sets import Unit
from models.workouts import WorkoutExerciseDocument
from tests.support.progression import (
    TRIED,
    RealLog,
    alike,
    decisions,
    logged,
    prescribed,
    rule,
    seed_ladder,
    session,
    sessions,
    training,
    weights,
)
from tests.support.workouts import create_workout
from web.problems import invalid_body

LINEAR = rule("linear", increment=2.5, deload={"after": 2, "percent": 10})
DOUBLE = rule("double", increment=2.5, deload={"after": 2, "weight": 5})
FIVES = prescribed(reps=5, weight=100)
RANGE = prescribed(reps={"min": 8, "max": 12}, weight=60)


def last_reason(walked: Walk) -> str:
    return walked.sessions[-1].reason


# ---- Linear ----


def test_linear_goes_on_when_all_sets_were_done() -> None:
    walked = walk(FIVES, LINEAR, sessions(alike(3, 100, 5), alike(3, 102.5, 5), alike(3, 105, 4), alike(3, 105, 5)))
    assert weights(walked) == [100, 102.5, 105, 105, 107.5]
    assert decisions(walked) == ["progress", "progress", "hold", "progress"]
    assert walked.sessions[0].prescription.decision == "start"
    assert [one.met for one in walked.sessions] == [True, True, False, True]


def test_linear_waits_for_so_many_successes_in_a_row() -> None:
    twice = rule("linear", increment=5, successes=2)
    done, failed = alike(3, 100, 5), alike(3, 100, 4)
    walked = walk(FIVES, twice, sessions(done, failed, done, done))
    assert weights(walked) == [100, 100, 100, 100, 105]
    assert "1 of 2 sessions in a row" in walked.sessions[2].reason


def test_linear_deloads_after_so_many_misses_in_a_row() -> None:
    done, failed = alike(3, 100, 5), alike(3, 100, 4)
    broken = walk(
        FIVES, rule("linear", increment=0.0001, deload={"after": 2, "percent": 10}), sessions(failed, done, failed)
    )
    assert decisions(broken) == ["hold", "progress", "hold"]
    walked = walk(FIVES, LINEAR, sessions(failed, failed, alike(3, 90, 4)))
    assert weights(walked) == [100, 100, 90, 90]
    assert decisions(walked) == ["hold", "deload", "hold"]


def test_one_set_too_few_is_not_all_sets() -> None:
    assert decisions(walk(FIVES, LINEAR, sessions(alike(2, 100, 5)))) == ["hold"]
    assert decisions(walk(FIVES, LINEAR, sessions((*alike(2, 100, 5), logged(100, 5, done=False))))) == ["hold"]
    assert decisions(walk(FIVES, LINEAR, sessions((*alike(2, 100, 5), logged(100, 5, warm_up=True))))) == ["hold"]
    assert decisions(walk(FIVES, LINEAR, sessions((*alike(3, 100, 5), logged(70, 3))))) == ["progress"]


# ---- Rules learnt from other trackers' bugs ----


def test_double_progression_gates_on_the_top_of_the_range_and_on_all_sets() -> None:
    bottom, some = alike(3, 60, 8), (*alike(2, 60, 12), logged(60, 11))
    walked = walk(RANGE, DOUBLE, sessions(bottom, some, alike(3, 60, 12)))
    assert decisions(walked) == ["hold", "hold", "progress"]
    assert weights(walked) == [60, 60, 60, 62.5]
    assert [(one.met, one.missed) for one in walked.sessions] == [(False, False), (False, False), (True, False)]


def test_less_weight_is_not_a_success() -> None:
    for prescription, by, reps in ((FIVES, LINEAR, 5), (RANGE, DOUBLE, 12)):
        weight = (prescription.weight or 0) - 2.5
        walked = walk(prescription, by, sessions(alike(3, weight, reps)))
        assert decisions(walked) == ["hold"]
        assert walked.sessions[0].missed is True
        assert "less weight than prescribed" in last_reason(walked)
        assert walked.next.weight == prescription.weight


def test_next_is_the_previous_prescription_and_the_increment_and_is_rounded_for_display_only() -> None:
    by = rule("linear", increment=1.25, rounding=2.5)
    shown = [(100, 100), (101.25, 100), (102.5, 102.5), (103.75, 102.5), (105, 105)]
    walked = walk(FIVES, by, sessions(*(alike(3, display, 5) for _, display in shown[:-1])))
    told = [*(one.prescription for one in walked.sessions), walked.next]
    assert [(one.weight, one.display_weight) for one in told] == shown
    assert decisions(walked) == ["progress"] * 4, "what is displayed is done as prescribed"


def test_a_corrected_set_corrects_the_target() -> None:
    log = sessions(alike(3, 100, 5), alike(3, 102.5, 5))
    before = walk(FIVES, LINEAR, log)
    after = walk(FIVES, LINEAR, [log[0], session(1, *alike(2, 102.5, 5), logged(102.5, 3))])
    assert (before.next.weight, after.next.weight) == (105, 102.5)
    assert after.sessions[0] == before.sessions[0]


def test_deload_weeks_stand_outside_of_progression() -> None:
    log = sessions(alike(3, 100, 5))
    easy = [session(place, *alike(2, 60, 5), deload="Easy week") for place in (1, 2, 3)]
    walked = walk(FIVES, LINEAR, [*log, *easy])
    assert walked.next == walk(FIVES, LINEAR, log).next
    assert [(one.met, one.missed) for one in walked.sessions[1:]] == [(None, None)] * 3
    assert "Easy week" in last_reason(walked)
    assert walked.sessions[-1].decision == "hold"


def test_assistance_is_a_negative_weight_and_progress_goes_towards_none_and_beyond() -> None:
    assisted = prescribed(reps=5, weight=-5)
    log = sessions(alike(3, -5, 5), alike(3, -2.5, 5), alike(3, 0, 5), alike(3, 2.5, 5))
    walked = walk(assisted, LINEAR, log)
    assert weights(walked) == [-5, -2.5, 0, 2.5, 5]
    for one, what in zip(
        walked.sessions,
        (
            "2.5 kg of assistance, 2.5 kg less",
            "no assistance, 2.5 kg less",
            "2.5 kg, 2.5 kg heavier",
            "5 kg, 2.5 kg heavier",
        ),
        strict=True,
    ):
        assert one.reason.endswith(f": next {what}.")
    more = walk(assisted, LINEAR, sessions(alike(3, -7.5, 5)))
    assert decisions(more) == ["hold"], "more assistance is less weight"
    assert "more assistance than prescribed" in last_reason(more)
    over = walk(assisted, rule("linear", increment=10), sessions(alike(3, -5, 5)))
    assert over.next.reason.endswith("next 5 kg, and no assistance any more.")
    targets = walk(FIVES, LINEAR, sessions(alike(3, -10, 5, target={"weight": -10})))
    assert "targets said 10 kg of assistance" in last_reason(targets)
    lighter = walk(prescribed(reps=5, weight=-20), LINEAR, sessions(*[alike(3, -20, 4)] * 2))
    assert lighter.next.weight == -22
    assert lighter.next.reason.endswith("next 22 kg of assistance, 2 kg more.")


def test_a_gap_in_the_log_changes_nothing() -> None:
    near, far = ([session(place, *alike(3, 100, 5)) for place in places] for places in ((0, 1), (0, 200)))
    assert weights(walk(FIVES, LINEAR, near)) == weights(walk(FIVES, LINEAR, far))


# ---- What a session prescribes ----


def test_targets_of_the_session_say_what_was_prescribed() -> None:
    coached = alike(3, 80, 5, target={"weight": 80, "reps": 5})
    walked = walk(FIVES, LINEAR, sessions(coached))
    assert decisions(walked) == ["progress"]
    assert walked.next.weight == 82.5
    assert "targets said 80 kg" in last_reason(walked)
    heavier = alike(3, 90, 5, target={"weight": 80, "reps": 5})
    assert walk(FIVES, LINEAR, sessions(heavier)).next.weight == 82.5
    fewer = alike(3, 100, 3, target={"reps": 3})
    assert decisions(walk(FIVES, LINEAR, sessions(fewer))) == ["progress"]
    assert decisions(walk(RANGE, DOUBLE, sessions(alike(3, 60, 10, target={"reps": {"min": 9, "max": 10}})))) == [
        "progress"
    ]


def test_a_target_that_repeats_the_workout_says_nothing_of_the_day() -> None:
    """Plans are full of them: what was planned weeks ago has the weight of then."""
    planned = {"weight": 100, "reps": 5}
    log = sessions(*(alike(3, weight, 5, target=planned) for weight in (100, 102.5)), alike(3, 105, 3, target=planned))
    assert weights(walk(FIVES, LINEAR, log)) == [100, 102.5, 105, 105]


def test_what_was_done_as_planned_is_no_miss_though_it_is_less_than_prescribed() -> None:
    planned, eased = {"weight": 100, "reps": 5}, rule("linear", increment=5, deload={"after": 1, "percent": 10})
    log = sessions(*[alike(3, 100, 5, target=planned)] * 3)
    walked = walk(FIVES, eased, log)
    assert (weights(walked), decisions(walked)) == ([100, 105, 105, 105], ["progress", "hold", "hold"])
    assert [(one.met, one.missed) for one in walked.sessions[1:]] == [(False, False)] * 2
    assert "all that the training had planned" in last_reason(walked)
    for less in (alike(3, 97.5, 5, target=planned), alike(3, 100, 4, target=planned), alike(2, 100, 5, target=planned)):
        assert walk(FIVES, eased, [*log, session(3, *less)]).next.decision == "deload"
    up = climb(("push-up", 10), ("push-up", 10)).next.exercise
    same = alike(3, 0, 10, target={"reps": {"min": 5, "max": 10}})
    stays = walk(PUSH_UPS, HARDER, sessions(*[same] * 5, exercise="push-up"), seed_ladder())
    assert (stays.next.exercise, stays.sessions[-1].missed) == (up, False)


def test_of_unlike_targets_the_weight_of_most_sets_is_what_was_prescribed() -> None:
    def of(*targets: float) -> float | None:
        return walk(FIVES, LINEAR, sessions(tuple(logged(at, 5, target={"weight": at}) for at in targets))).next.weight

    assert of(90, 90, 80) == 92.5
    assert of(80, 85, 90) == 82.5
    assert of(100, 100, 90) == 102.5, "a lighter last set is no lighter session"


def test_targets_that_another_prescription_planned_say_nothing() -> None:
    sets = alike(3, 90, 5, target={"weight": 80, "reps": 3})
    (planned,) = sessions(sets)
    assert walk(FIVES, LINEAR, [planned]).next.weight == 82.5
    otherwise = Session(planned.training, planned.done, planned_otherwise=True)
    assert walk(FIVES, LINEAR, [otherwise]).next.weight == 100


def test_a_target_of_what_is_displayed_is_the_walks() -> None:
    by = rule("linear", increment=1.25, rounding=2.5)
    log = sessions(alike(3, 100, 5), alike(3, 100, 5, target={"weight": 100, "reps": 5}))
    walked = walk(prescribed(reps=5, weight=100), by, log)
    assert weights(walked) == [100, 101.25, 102.5]


def test_a_planned_weight_is_in_the_workouts_unit_whatever_was_logged() -> None:
    of = prescribed(reps=5, weight=62.5)
    for pounds, follows in ((138, [62.5, 65, 67.5]), (137.5, [62.5, 65, 67.5]), (135, [62.5, 62.5, 65])):
        planned = alike(3, pounds, 5, unit=Unit.LB, target={"weight": 62.5, "reps": 5})
        walked = walk(of, LINEAR, sessions(planned, alike(3, follows[1], 5)))
        assert weights(walked) == follows
        assert "targets said" not in walked.sessions[0].reason
    shown = alike(3, 143, 5, unit=Unit.LB, target={"weight": 65, "reps": 5})
    assert walk(of, rule("linear", increment=2, rounding=2.5), sessions(alike(3, 62.5, 5), shown)).next.weight == 66.5


def test_a_lighter_target_holds_nothing_back_where_the_prescription_was_reached() -> None:
    of = prescribed(reps={"min": 8, "max": 10}, weight=57.5)
    target = {"weight": 45, "reps": 8}
    for sets, follows in (
        (alike(3, 57.5, 10, target=target), 60),
        (alike(3, 57.5, 9, target=target), 57.5),
        (alike(3, 60, 10, target=target), 62.5),
        (alike(3, 57.5, 7, target=target), 45),
        (alike(3, 55, 10, target=target), 47.5),
        (alike(3, 45, 8, target=target), 47.5),
    ):
        walked = walk(of, DOUBLE, sessions(sets))
        assert walked.next.weight == follows, sets
        assert "The training's targets said 45 kg" in last_reason(walked)
    fewer = walk(of, DOUBLE, sessions(alike(3, 57.5, 10, target=target)))
    assert "you did what was prescribed before, 57.5 kg" in last_reason(fewer)
    assert fewer.sessions[0].met
    heavier = walk(of, DOUBLE, sessions(alike(3, 70, 10, target={"weight": 65, "reps": 8})))
    assert heavier.next.weight == 67.5, "a heavier target is what that session prescribed"


def test_what_the_sets_were_held_to_is_what_is_told() -> None:
    of = prescribed(reps={"min": 8, "max": 10}, weight=57.5)

    def told(*sets: LoggedSet) -> str:
        return last_reason(walk(of, DOUBLE, sessions(sets)))

    eights = told(*alike(3, 45, 8, target={"weight": 45, "reps": 8}))
    assert "10 repetitions" not in eights
    assert "All sets reached what its targets said, 8 repetitions, at that weight: next 47.5 kg" in eights
    unlike = told(*alike(2, 57.5, 9, target={"reps": 9}), *alike(1, 57.5, 8, target={"reps": 8}))
    assert "All sets reached the repetitions that were prescribed of each, at the weight prescribed" in unlike
    assert "the top of the range, 10 repetitions, at the weight prescribed" in told(*alike(3, 57.5, 10))


def test_a_planned_set_that_failed_is_made_up_by_no_other() -> None:
    target = {"weight": 100, "reps": 5}
    planned = (*alike(2, 100, 5, target=target), logged(100, 4, target=target))
    assert decisions(walk(FIVES, LINEAR, sessions((*planned, logged(100, 5))))) == ["hold"]
    more = alike(4, 100, 5, target=target)
    assert decisions(walk(FIVES, LINEAR, sessions((*more[:3], logged(100, 4, target=target))))) == ["hold"]
    assert decisions(walk(FIVES, LINEAR, sessions(more))) == ["progress"]


def test_it_is_said_where_more_was_lifted_than_prescribed() -> None:
    for by, of, reps in ((LINEAR, FIVES, 5), (DOUBLE, RANGE, 12)):
        exact, more = (of.weight or 0), (of.weight or 0) + 10
        assert "more weight than prescribed" in last_reason(walk(of, by, sessions(alike(3, more, reps))))
        assert "more weight than prescribed" not in last_reason(walk(of, by, sessions(alike(3, exact, reps))))
        planned = walk(of, by, sessions(alike(3, more, reps, target={"weight": exact - 5, "reps": reps})))
        assert "more weight than prescribed" in last_reason(planned)
    assert "at the weight prescribed" in last_reason(walk(RANGE, DOUBLE, sessions(alike(3, 60, 12))))
    less_help = walk(prescribed(reps=5, weight=-20), LINEAR, sessions(alike(3, -15, 5)))
    assert "less assistance than prescribed" in last_reason(less_help)
    twice = walk(FIVES, rule("linear", increment=5, successes=2), sessions(alike(3, 110, 5)))
    assert "in 1 of 2 sessions in a row, so it goes on at 110 kg." in last_reason(twice)


def test_a_session_is_missed_by_every_rule_where_less_was_done_than_planned_and_prescribed() -> None:
    planned, easy = {"weight": 100, "reps": 5}, alike(3, 100, 5, rpe=6)
    raised = [{"iteration": 2, "op": "add", "value": 5}]
    tried = (rule("rpe"), rule("script", of="weight", steps=raised), LINEAR)
    for by in tried:
        of = prescribed(reps=5, weight=100, rpe=8)
        less = alike(3, 100, 5, rpe=8, target=planned)
        walked = walk(of, by, sessions(easy, less, alike(3, 100, 4, rpe=8, target=planned)))
        assert walked.sessions[1].prescription.weight > 100
        assert [(one.met, one.missed) for one in walked.sessions] == [(True, False), (False, False), (False, True)], by
    hard = walk(prescribed(reps=5, weight=100, rpe=8), rule("rpe"), sessions(alike(3, 100, 5, rpe=10)))
    assert (decisions(hard), hard.sessions[0].missed) == (["deload"], False), "it gets lighter, and nothing was missed"


def test_more_assistance_is_told_where_there_was_some() -> None:
    for weight in (0, 2.5, -5):
        reason = last_reason(walk(prescribed(reps=5, weight=weight), LINEAR, sessions(alike(3, -10, 6))))
        assert "That is more assistance than prescribed" in reason, weight
    assert "less weight" in last_reason(walk(prescribed(reps=5, weight=5), LINEAR, sessions(alike(3, 0, 6))))


@pytest.mark.parametrize("by", [LINEAR, DOUBLE])
def test_a_deload_takes_a_step_off_what_is_loaded(by: Any) -> None:
    lighter = rule(by.kind, increment=2.5, rounding=5, deload={"after": 1, "percent": 10})
    of = prescribed(reps=5, weight=11)
    down = walk(of, lighter, sessions(alike(3, 10, 3)))
    assert (down.next.weight, down.next.display_weight, decisions(down)) == (5, 5, ["deload"])
    assert last_reason(down).endswith("next 5 kg, 6 kg lighter.")
    least = walk(prescribed(reps=5, weight=2), lighter, sessions(alike(3, 0, 3)))
    assert (decisions(least), least.next.weight) == (["hold"], 2), "nothing is loaded, which cannot become less"
    none = walk(prescribed(reps=5, weight=0), lighter, sessions(alike(3, 0, 3)))
    assert (decisions(none), none.next.weight) == (["hold"], 0), "10 % of nothing is nothing"
    helped = walk(prescribed(reps=5, weight=-20), lighter, sessions(alike(3, -20, 3)))
    assert (helped.next.weight, helped.next.display_weight) == (-25, -25)
    plenty = walk(prescribed(reps=5, weight=100), lighter, sessions(alike(3, 100, 3)))
    assert plenty.next.weight == 90


def test_a_heavier_session_goes_on_from_what_was_done() -> None:
    assert weights(walk(FIVES, LINEAR, sessions(alike(3, 110, 5)))) == [100, 112.5]
    assert weights(walk(FIVES, LINEAR, sessions((logged(120, 5), *alike(2, 110, 5))))) == [100, 112.5]
    assert weights(walk(FIVES, LINEAR, sessions((*alike(2, 110, 5), logged(110, 3))))) == [100, 100]
    in_range = walk(RANGE, DOUBLE, sessions(alike(3, 70, 9)))
    assert (decisions(in_range), in_range.next.weight) == (["hold"], 70)


def test_without_a_weight_the_first_session_sets_it() -> None:
    bare = prescribed(reps=5)
    begun = walk(bare, LINEAR, sessions(alike(3, 40, 5)))
    assert weights(begun) == [None, 42.5]
    assert "No weight is prescribed: the first session sets it." in begun.sessions[0].prescription.reason
    assert "No weight was prescribed, so what you lifted counts." in last_reason(begun)
    assert "at the weight prescribed" not in last_reason(walk(prescribed(reps=5), DOUBLE, sessions(alike(3, 40, 5))))
    assert "weight" not in walk(PUSH_UPS, HARDER, []).next.reason
    failed = walk(bare, LINEAR, sessions((logged(50, 5), logged(45, 5), logged(40, 2))))
    assert weights(failed) == [None, 40]
    assert failed.next.decision == "hold"
    bodyweight = walk(prescribed(reps={"min": 5, "max": 8}), DOUBLE, sessions(alike(3, 0, 8), alike(3, 2.5, 8)))
    assert weights(bodyweight) == [None, 2.5, 5]


def test_a_session_in_which_nothing_was_done_says_nothing() -> None:
    skipped = session(1, logged(100, 5, done=False))
    walked = walk(FIVES, LINEAR, [*sessions(alike(3, 100, 5)), skipped])
    assert (walked.next.weight, walked.sessions[1].met) == (102.5, None)
    assert "No set was done" in last_reason(walked)


# ---- Units ----

STEPS = {Unit.KG: Decimal(1), Unit.LB: Decimal("2.5")}  # two of the smallest usual plates
POUND = Decimal("0.45359237")
_weights = st.integers(40, 1200).map(lambda quarters: quarters / 4)
_units = st.sampled_from([(Unit.KG, Unit.LB), (Unit.LB, Unit.KG)])


def nearest(weight: float, unit: Unit, to: Unit) -> float:
    """What plates of the other unit make of a weight: the nearest step of theirs."""
    exact = Decimal(str(weight)) * (POUND if unit is Unit.LB else 1 / POUND)
    assert to is not unit
    return float((exact / STEPS[to]).quantize(Decimal(1)) * STEPS[to])


@pytest.mark.parametrize(
    ("unit", "weight", "to", "lifted", "follows"),
    [
        ("kg", 61.23, "lb", 135, "progress"),
        ("lb", 135, "kg", 61.23, "progress"),
        ("lb", 135, "kg", 61, "progress"),
        ("kg", 62.5, "lb", 137.5, "progress"),
        ("kg", 62.5, "lb", 138, "progress"),
        ("kg", 62.5, "lb", 135, "hold"),
        ("kg", 62.5, "kg", 62.25, "hold"),
        ("lb", 135, "lb", 134, "hold"),
        ("kg", -20, "lb", -45, "progress"),
        ("kg", -20, "lb", -47.5, "hold"),
    ],
)
def test_a_weight_of_the_other_unit_is_what_its_plates_make(
    unit: str, weight: float, to: str, lifted: float, follows: str
) -> None:
    told = prescribed(reps=5, weight=weight, unit=unit)
    walked = walk(told, LINEAR, sessions(alike(3, lifted, 5, unit=Unit(to))))
    assert decisions(walked) == [follows]
    assert walked.next.weight == (weight + 2.5 if follows == "progress" else weight)


@given(_weights, _units)
def test_who_lifts_in_another_unit_is_prescribed_the_same(weight: float, units: tuple[Unit, Unit]) -> None:
    unit, other = units
    told, increment = prescribed(reps=5, weight=weight, unit=unit), {Unit.KG: 2.5, Unit.LB: 5}[unit]
    by = rule("linear", increment=increment, deload={"after": 1, "percent": 10})
    lifts = [weight, weight + increment, weight + 2 * increment]
    same = walk(told, by, sessions(*(alike(3, lift, 5, unit=unit) for lift in lifts)))
    theirs = walk(told, by, sessions(*(alike(3, nearest(lift, unit, other), 5, unit=other) for lift in lifts)))
    assert (weights(theirs), decisions(theirs)) == (weights(same), decisions(same))
    assert not any("than prescribed" in one.reason for one in theirs.sessions), "neither less nor more"


@given(_weights, _units)
def test_a_lighter_step_is_less_in_whatever_unit(weight: float, units: tuple[Unit, Unit]) -> None:
    unit, other = units
    told, by = (
        prescribed(reps=5, weight=weight, unit=unit),
        rule("linear", increment=2.5, deload={"after": 1, "weight": 5}),
    )
    for lifted, of in ((weight - 0.25, unit), (nearest(weight, unit, other) - float(STEPS[other]), other)):
        walked = walk(told, by, sessions(alike(3, lifted, 5, unit=of)))
        assert (decisions(walked), walked.sessions[0].missed) == (["deload"], True), (lifted, of)


def test_targets_of_the_other_unit_repeat_the_workout_too() -> None:
    told = prescribed(reps=5, weight=62.5)
    planned = alike(3, 137.5, 5, unit=Unit.LB, target={"weight": 137.8, "reps": 5})
    assert weights(walk(told, LINEAR, sessions(planned, alike(3, 65, 5)))) == [62.5, 65, 67.5]
    own = alike(3, 180, 5, unit=Unit.LB, target={"weight": 180, "reps": 5})
    assert walk(told, LINEAR, sessions(own)).next.weight == 84.15, "what they said goes on in the workout's unit"
    less = alike(3, 179, 5, unit=Unit.LB, target={"weight": 180, "reps": 5})
    assert decisions(walk(told, LINEAR, sessions(less))) == ["hold"], "a target is of the unit that was logged"


def test_a_weight_above_none_does_not_become_assistance() -> None:
    by = rule("linear", increment=1, deload={"after": 1, "weight": 10})
    walked = walk(prescribed(reps=5, weight=5), by, sessions(alike(3, 5, 3), alike(3, 0, 3)))
    assert weights(walked) == [5, 0, -10]
    none = rule("linear", increment=1, deload={"after": 1, "percent": 10})
    stays = walk(prescribed(reps=5, weight=0), none, sessions(alike(3, 0, 3)))
    assert (decisions(stays), stays.next.weight) == (["hold"], 0)


# ---- RPE ----


def test_the_weight_follows_the_rpe_by_epley() -> None:
    by, fives = rule("rpe", max_step_percent=50), prescribed(sets=1, reps=5, weight=100, rpe=8)
    for reps, rpe, expected in ((5, 8, 100), (5, 6, 105.4054), (5, 10, 94.5946), (8, 8, 108.1081)):
        walked = walk(fives, by, sessions((logged(100, reps, rpe=rpe),)))
        assert walked.next.weight == pytest.approx(expected, abs=1e-4), (reps, rpe)
    assert "maximum of 123.33 kg by Epley" in last_reason(walk(fives, by, sessions((logged(100, 5, rpe=8),))))


def test_one_repetition_to_failure_is_its_own_maximum() -> None:
    single = prescribed(sets=1, reps=1, weight=100, rpe=10)
    assert walk(single, rule("rpe"), sessions((logged(100, 1, rpe=10),))).next.weight == 100


def test_a_step_by_rpe_is_bounded_and_whole() -> None:
    fives = prescribed(sets=1, reps=5, weight=100, rpe=8)
    easy, hard = sessions((logged(100, 12, rpe=5),)), sessions((logged(100, 5, rpe=10),))
    assert walk(fives, rule("rpe", max_step_percent=5), easy).next.weight == 105
    assert walk(fives, rule("rpe", increment=2.5), hard).next.weight == 95
    assert walk(fives, rule("rpe", increment=10), hard).next.weight == 100
    assert "5 % at most" in last_reason(walk(fives, rule("rpe", max_step_percent=5), easy))


def test_one_step_by_rpe_is_always_allowed_and_less_is_told() -> None:
    fives, by = prescribed(sets=1, reps=5, weight=10, rpe=8), rule("rpe", increment=2.5)
    easy = walk(fives, by, sessions((logged(10, 15, rpe=5),)))
    assert (easy.next.weight, decisions(easy)) == (12.5, ["progress"])
    assert "a session changes it by 10 %, or one step of 2.5 kg, at most" in last_reason(easy)
    assert walk(fives, by, sessions((logged(10, 1, rpe=10),))).next.weight == 10
    near = walk(fives, by, sessions((logged(10, 6, rpe=7),)))
    assert (near.next.weight, decisions(near)) == (10, ["hold"])
    assert "which is less than one step of 2.5 kg away: it stays" in last_reason(near)


def test_a_change_by_rpe_is_told_from_what_was_prescribed() -> None:
    by = rule("rpe")
    hard = walk(prescribed(sets=1, reps=5, weight=94.86, rpe=8), by, sessions((logged(100, 5, rpe=10),)))
    assert (hard.next.weight, decisions(hard)) == (94.5946, ["deload"])
    assert last_reason(hard).endswith(": next 94.59 kg, 0.27 kg lighter.")
    same = walk(prescribed(sets=1, reps=5, weight=15, rpe=8), by, sessions((logged(20, 5, rpe=8),)))
    assert (same.next.weight, decisions(same)) == (20, ["progress"])
    assert "It was done with more weight than prescribed" in last_reason(same)
    assert last_reason(same).endswith("next 20 kg, 5 kg heavier.")
    nearest_plates = sessions((logged(138, 5, rpe=8, unit=Unit.LB),))
    assert decisions(walk(prescribed(sets=1, reps=5, weight=62.5, rpe=8), by, nearest_plates)) == ["hold"]
    pounds = walk(
        prescribed(sets=1, reps=5, weight=89.19, rpe=8), by, sessions((logged(220.5, 5, rpe=8, unit=Unit.LB),))
    )
    assert (pounds.next.weight, decisions(pounds)) == (100.02, ["progress"])
    assert last_reason(pounds).endswith("next 100.02 kg, 10.83 kg heavier.")


def test_by_rpe_no_more_without_all_sets_at_the_weight() -> None:
    threes, by = prescribed(reps=5, weight=100, rpe=8), rule("rpe")
    assert walk(threes, by, sessions(alike(2, 100, 5, rpe=5))).next.weight == 100
    assert walk(threes, by, sessions(alike(3, 95, 5, rpe=4))).next.weight == 100
    assert walk(threes, by, sessions(alike(3, 100, 5, rpe=7))).next.weight > 100


def test_without_an_rpe_nothing_is_known_of_how_hard_it_was() -> None:
    threes, by = prescribed(reps=5, weight=100, rpe=8), rule("rpe")
    walked = walk(threes, by, sessions(alike(3, 100, 12)))
    assert (decisions(walked), walked.next.weight) == (["hold"], 100)
    assert "RPE" in last_reason(walked)
    assert walk(threes, by, sessions(alike(3, 110, 12))).next.weight == 110
    helped = prescribed(reps=5, weight=-20, rpe=8)
    assert walk(helped, by, sessions(alike(3, -20, 5, rpe=6))).next.weight == -20


def test_the_middle_set_says_how_hard_it_was() -> None:
    threes, by = prescribed(reps=5, weight=100, rpe=8), rule("rpe", max_step_percent=50)
    sets = (logged(100, 5, rpe=10), logged(100, 5, rpe=8), logged(100, 5, rpe=5))
    assert walk(threes, by, sessions(sets)).next.weight == 100
    assert walk(threes, by, sessions((*sets, logged(100, 5, rpe=10)))).next.weight < 100


# ---- Harder movements ----

PUSH_UPS = prescribed(name="Push-up", exercise="push-up", reps={"min": 5, "max": 10})
HARDER = rule("harder", sessions=2, deload={"after": 2})


def climb(*of_sessions: Any, by: Any = HARDER, of: WorkoutExerciseDocument = PUSH_UPS) -> Walk:
    """A walk along the catalogue; each session is a slug and repetitions of three sets."""
    log = [session(place, *alike(3, 0, reps), exercise=slug) for place, (slug, reps) in enumerate(of_sessions)]
    return walk(of, by, log, seed_ladder())


def test_the_next_movement_comes_after_the_top_on_all_sets_so_often_in_a_row() -> None:
    walked = climb(("push-up", 10), ("push-up", 9), ("push-up", 10), ("push-up", 10))
    assert decisions(walked) == ["hold", "hold", "hold", "harder"]
    ladder = seed_ladder()
    assert walked.next.exercise in ladder.above("push-up")
    assert "push-up" in ladder.below(walked.next.exercise or "")
    assert ladder.name(walked.next.exercise or "") in walked.next.reason
    assert "might have been" in walked.next.reason, "it says which others there were"
    assert "`to` in the rule says where it is to lead" in walked.next.reason
    assert walked.next.reps == PUSH_UPS.reps


def test_of_several_the_easiest_comes_then_the_same_family_then_the_slug() -> None:
    ladder = seed_ladder()
    choice = ladder.harder("push-up", None)
    assert choice.slug is not None
    assert len(choice.others) > 1
    assert ladder.harder("push-up", "no-such").slug is None
    for to in ("archer-push-up", "one-arm-push-up"):
        way, at = [], "push-up"
        while at != to:
            at = ladder.harder(at, to).slug or ""
            way.append(at)
            assert at == to or to in ladder.above(at)
        assert way[-1] == to
    assert ladder.harder("one-arm-push-up", "one-arm-push-up").slug is None


def movement(slug: str, difficulty: int, *easier: str, mode: str = "reps", family: str = "a") -> Movement:
    """A movement of the catalogue that is harder than these."""
    return Movement(slug, 1, slug, "Push", mode, difficulty, None, family, easier_slugs=easier)


def test_a_movement_that_leads_on_comes_before_one_that_does_not() -> None:
    begin, dead, long, short = movement("a", 1), movement("b", 2, "a"), movement("d", 3, "a"), movement("c", 3, "a")
    beyond = [movement("e", 4, "d"), movement("f", 5, "e"), movement("g", 4, "c")]
    assert Ladder([begin, dead]).harder("a", None).slug == "b"
    assert Ladder([begin, dead, long, *beyond]).harder("a", None).slug == "d"
    assert Ladder([begin, dead, short, long, *beyond]).harder("a", None).slug == "d", "most lie beyond it"
    assert Ladder([begin, dead, short, long, *beyond]).harder("a", "b").slug == "b", "the rule says where"
    ways = [climbed(slug) for slug in ("push-up", "pull-up", "split-squat")]
    assert all(len(way) > 3 for way in ways), ways


def climbed(slug: str) -> list[str]:
    """The movements that come one after the other where the rule does not say where to."""
    way = []
    while (at := seed_ladder().harder(way[-1] if way else slug, None).slug) is not None:
        way.append(at)
    return way


def test_a_rule_may_only_lead_where_a_way_leads() -> None:
    for to, there in (("push-up", False), ("one-arm-push-up", True), ("pistol-squat", False), ("knee-push-up", False)):
        led = rule("harder", to=to)
        if there:
            check_way(led, "push-up", seed_ladder(), "/progression")
        else:
            with pytest.raises(Unprocessable, match=r"no way up from (`push-up`|it to itself)") as refused:
                check_way(led, "push-up", seed_ladder(), "/progression")
            assert refused.value.pointer == "/progression/to"
    check_way(rule("harder"), "push-up", seed_ladder(), "/progression")
    check_way(LINEAR, None, seed_ladder(), "/progression")


def test_at_the_end_the_sessions_in_a_row_are_not_counted_on() -> None:
    start = prescribed(name="Push-up", exercise="push-up", reps=10)
    once, twice = (
        climb(*[("push-up", 10)] * 5, by=rule("harder", sessions=count, to="push-up"), of=start) for count in (1, 2)
    )
    assert [last_reason(walked).split(". ")[1].partition(",")[2] for walked in (once, twice)] == [
        " and it is the movement that the rule leads to: it stays.",
        " in 2 of 2 sessions in a row, and it is the movement that the rule leads to: it stays.",
    ]


def test_it_ends_where_the_rule_leads() -> None:
    by = rule("harder", sessions=1, to="push-up")
    start = prescribed(name="Push-up", exercise="knee-push-up", reps=10)
    walked = climb(("knee-push-up", 10), ("push-up", 10), by=by, of=start)
    assert decisions(walked) == ["harder", "hold"]
    assert "the movement that the rule leads to" in last_reason(walked)
    nowhere = climb(("knee-push-up", 10), by=rule("harder", sessions=1, to="pistol-squat"), of=start)
    assert decisions(nowhere) == ["hold"]
    assert "no way to" in last_reason(nowhere)


def test_missed_at_the_bottom_it_goes_back_to_where_it_came_from() -> None:
    up = climb(("push-up", 10), ("push-up", 10)).next.exercise
    walked = climb(("push-up", 10), ("push-up", 10), (up, 3), (up, 4))
    assert decisions(walked) == ["hold", "harder", "hold", "easier"]
    assert walked.next.exercise == "push-up"
    kept = climb(("push-up", 10), ("push-up", 10), (up, 3), (up, 4), by=rule("harder"))
    assert kept.next.exercise == up


def test_an_easier_movement_than_prescribed_is_no_success_and_a_harder_one_goes_on() -> None:
    up = climb(("push-up", 10), ("push-up", 10)).next.exercise
    easier = climb(("push-up", 10), ("push-up", 10), ("push-up", 10))
    assert (easier.sessions[-1].met, easier.next.exercise) == (False, up)
    assert "not as hard as" in last_reason(easier)
    ahead = climb((up, 6))
    assert (decisions(ahead), ahead.next.exercise) == (["harder"], up)
    failed = climb((up, 2))
    assert (decisions(failed), failed.next.exercise) == (["hold"], "push-up")


def test_repetitions_climb_by_steps_where_the_rule_says_so() -> None:
    by = rule("harder", sessions=1, step_reps=2, deload={"after": 1})
    walked = climb(("push-up", 5), ("push-up", 7), ("push-up", 8), ("push-up", 5), by=by)
    told = [*(one.prescription.reps for one in walked.sessions), walked.next.reps]
    assert [reps if isinstance(reps, int) else reps and reps.min for reps in told] == [5, 7, 9, 5, 7]
    assert decisions(walked) == ["progress", "progress", "deload", "progress"]
    assert decisions(climb(("push-up", 10), by=by)) == ["harder"]


def test_holds_climb_by_seconds() -> None:
    planche = prescribed(name="Planche", exercise="tuck-planche", hold_seconds=20)
    by = rule("harder", sessions=1, from_seconds=10, step_seconds=5)

    def held(place: int, seconds: float) -> Session:
        return session(place, *alike(3, 0, 0, hold_seconds=seconds), exercise="tuck-planche")

    walked = walk(planche, by, [held(0, 10), held(1, 15), held(2, 12), held(3, 20)], seed_ladder())
    told = [*(one.prescription.hold_seconds for one in walked.sessions), walked.next.hold_seconds]
    assert told == [10, 15, 20, 20, 10]
    assert decisions(walked) == ["progress", "progress", "hold", "harder"]
    assert walked.next.exercise in seed_ladder().above("tuck-planche")


def test_without_a_movement_in_the_catalogue_there_is_nothing_harder() -> None:
    own = prescribed(name="Sandbag", exercise="no-such", reps=5)
    walked = walk(own, rule("harder", sessions=1), sessions(alike(3, 0, 5), exercise="no-such"), seed_ladder())
    assert decisions(walked) == ["hold"]
    assert "nothing harder" in last_reason(walked)


# ---- Scripts ----


def test_a_script_says_what_each_session_prescribes() -> None:
    steps = [{"iteration": 2, "op": "add", "value": 1}, {"iteration": 3, "op": "subtract_percent", "value": 50}]
    log = sessions(*[alike(3, 100, 5)] * 3)
    for of, before, after in (("sets", {}, [3, 4, 2, 2]), ("weight", {"weight": 100}, [100, 101, 50.5, 50.5])):
        walked = walk(prescribed(reps=5, **before), rule("script", of=of, steps=steps), log)
        told = [*(one.prescription for one in walked.sessions), walked.next]
        assert [getattr(one, of) for one in told] == after
        assert decisions(walked) == ["script", "script", "hold"]
    reps = walk(prescribed(reps={"min": 4, "max": 6}), rule("script", of="reps", steps=steps), log)
    assert [one.prescription.reps.model_dump() for one in reps.sessions[:2]] == [
        {"min": 4, "max": 6},
        {"min": 5, "max": 7},
    ]  # type: ignore[union-attr]
    held = walk(prescribed(hold_seconds=30), rule("script", of="hold_seconds", steps=steps), log)
    assert [one.prescription.hold_seconds for one in held.sessions] == [30, 31, 15.5]


@pytest.mark.parametrize(
    ("of", "steps", "said"),
    [
        ("weight", [("set", 42)], "42 kg"),
        ("weight", [("add", 2.5)], "102.5 kg (2.5 kg heavier)"),
        ("weight", [("subtract_percent", 10)], "90 kg (10 % lighter)"),
        ("weight", [("subtract", 5), ("add_percent", 10)], "104.5 kg (5 kg lighter, then 10 % heavier)"),
        ("weight", [("set", -20)], "20 kg of assistance"),
        ("weight", [("set", -20), ("add", 5)], "15 kg of assistance (5 kg less of it)"),
        ("weight", [("set", 9000), ("add_percent", 50)], "10000 kg (50 % heavier), as far as it can go"),
        ("sets", [("add", 1)], "4 sets (1 more)"),
        ("sets", [("subtract", 5)], "1 set (5 fewer), as far as it can go"),
        ("reps", [("add", 2)], "7 to 9 repetitions (2 more)"),
        ("hold_seconds", [("add_percent", 50)], "45 s (50 % longer)"),
    ],
)
def test_a_script_says_what_it_comes_to(of: str, steps: list[tuple[str, float]], said: str) -> None:
    told = prescribed(reps={"min": 5, "max": 7}, weight=100, hold_seconds=30)
    by = rule("script", of=of, steps=[{"iteration": 2, "op": op, "value": value} for op, value in steps])
    walked = walk(told, by, sessions(alike(3, 100, 7, hold_seconds=30)))
    assert walked.next.reason.endswith(f"Next is session 2 of the script: {said}.")
    begun = walk(told, rule("script", of=of, steps=[{"iteration": 1, "op": "set", "value": 8}]), [])
    assert begun.next.reason.startswith("Nothing was done of it yet: it begins with session 1 of the script, 8 ")


def test_a_script_of_a_weight_that_nobody_knows_says_so() -> None:
    steps = [{"iteration": 1, "op": "add", "value": 5}, {"iteration": 2, "op": "add", "value": 5}]
    walked = walk(prescribed(reps=5), rule("script", of="weight", steps=steps), sessions(alike(3, 40, 5)))
    assert "5 kg heavier, which changes nothing as long as no weight is known" in walked.sessions[0].prescription.reason
    assert (walked.next.weight, "45 kg (5 kg heavier)" in walked.next.reason) == (45, True)


def test_a_deload_day_is_no_session_of_a_script() -> None:
    by = rule("script", of="weight", steps=[{"iteration": 2, "op": "add", "value": 5}])
    log = [*sessions(alike(3, 100, 5)), session(1, *alike(3, 60, 5), deload="Easy")]
    assert walk(FIVES, by, log).next.weight == 105


# ---- What is not a rule ----


def no_rule(kind: str, place: str, fault: str, said: dict[str, Any] | None = None, **members: Any) -> Any:
    """What is prescribed beside a rule, and what is wrong with it where."""
    exercise = (said or {}) | {"progression": {"kind": kind} | members}
    return pytest.param(exercise, place, fault, id=f"{kind}: {place} {fault}")


def no_script(of: str, place: str, fault: str, *steps: tuple[int, str, float]) -> Any:
    """A script of wrong steps."""
    named = [dict(zip(("iteration", "op", "value"), step, strict=True)) for step in steps]
    return no_rule("script", place, fault, of=of, steps=named)


HELD = {"exercise": "plank", "hold_seconds": 9}
NEEDED = "is required by the rule in `progression`"
KINDS = "must be one of 'linear', 'double', 'rpe', 'harder', 'script'"


@pytest.mark.parametrize(
    ("exercise", "place", "fault"),
    [
        no_rule("double", "reps", NEEDED, increment=2.5),
        no_rule("rpe", "rpe", NEEDED, {"reps": 5}),
        no_rule("harder", "exercise", NEEDED, {"reps": 5}),
        no_rule("harder", "hold_seconds", NEEDED, {"exercise": "plank"}),
        no_rule("harder", "hold_seconds", NEEDED, {"exercise": "plank", "reps": 5}, from_seconds=5, step_seconds=5),
        no_rule("harder", "reps", NEEDED, HELD, step_reps=1),
        no_rule(
            "harder",
            "progression/from_seconds",
            "not be more than `hold_seconds`",
            HELD,
            from_seconds=10,
            step_seconds=5,
        ),
        no_rule("harder", "progression/step_seconds", "must be given beside `from_seconds`", HELD, from_seconds=5),
        no_rule(
            "harder",
            "progression/step_reps",
            "must not be given beside `step_seconds`",
            HELD,
            from_seconds=5,
            step_seconds=5,
            step_reps=1,
        ),
        no_rule("linear", "progression/increment", "must be more than 0", increment=0),
        no_rule("linear", "progression/increment", "4 digits", increment=1.00001),
        no_rule(
            "linear",
            "progression/deload/percent",
            "must be given, or else `weight`",
            increment=1,
            deload={"after": 1},
        ),
        no_rule(
            "linear",
            "progression/deload/weight",
            "must not be given beside `percent`",
            increment=1,
            deload={"after": 1, "percent": 5, "weight": 5},
        ),
        no_rule(
            "linear",
            "progression/deload/after",
            "must be at least 1",
            increment=1,
            deload={"after": 0, "percent": 5},
        ),
        no_rule("linear", "progression/step_reps", "is not known here", increment=1, step_reps=1),
        no_rule("no-such", "progression/kind", KINDS),
        pytest.param({"progression": {"increment": 1}}, "progression/kind", "is required", id="no kind"),
        pytest.param({"progression": 5}, "progression", "must be an object", id="no object"),
        no_script("weight", "progression/steps", "must have 1 or more items"),
        no_script("reps", "reps", NEEDED, (1, "add", 1)),
        no_script("sets", "progression/steps/0/value", "whole number of sets", (1, "set", 2.5)),
        no_script("weight", "progression/steps/1/value", "negative", (1, "set", -1), (1, "add", -1)),
        no_script("weight", "progression/steps", "in the order", (2, "set", 1), (1, "set", 1)),
    ],
)
def test_what_is_no_rule(exercise: dict[str, Any], place: str, fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        create_workout(exercises=[{"name": "x", "sets": 3} | exercise])
    (error,) = invalid_body(refused.value).errors
    assert error["pointer"] == f"/exercises/0/{place}"
    assert fault in error["message"]


@pytest.mark.parametrize(
    ("later", "read"),
    [
        (
            {"kind": "linear", "increment": 2.5, "later": 1, "deload": {"after": 2, "percent": 10, "later": {}}},
            rule("linear", increment=2.5, deload={"after": 2, "percent": 10}),
        ),
        ({"kind": "wave", "increment": 2.5}, None),
        ({"kind": "script", "of": "tempo", "steps": [{"iteration": 1, "op": "set", "value": 3}]}, None),
    ],
    ids=["a later member", "a later kind", "a later value"],
)
def test_a_rule_that_a_later_version_stored_is_read_as_far_as_it_is_known(later: dict[str, Any], read: Any) -> None:
    assert prescribed(progression=later).progression == read


def test_a_rule_leads_to_a_movement_of_the_catalogue() -> None:
    with pytest.raises(UnknownExercise) as refused:
        check_movement(rule("harder", to="no-such"), Catalogue({}, {}), "/progression")
    assert refused.value.pointer == "/progression/to"


def test_a_rule_is_stored_as_people_write_it() -> None:
    assert rule_fields(LINEAR) == {
        "kind": "linear",
        "increment": 2.5,
        "successes": 1,
        "deload": {"after": 2, "percent": 10},
    }
    assert str(rule_fields(rule("linear", increment=5))) == "{'kind': 'linear', 'increment': 5, 'successes': 1}"


# ---- What holds of every rule ----

RULES: tuple[tuple[WorkoutExerciseDocument, Any], ...] = (
    (FIVES, LINEAR),
    (RANGE, DOUBLE),
    (prescribed(reps={"min": 3, "max": 6}, weight=-20), rule("double", increment=1.25, rounding=2.5)),
    (prescribed(reps=5, weight=80, rpe=8), rule("rpe", increment=2.5)),
    (PUSH_UPS, HARDER),
    (PUSH_UPS, rule("harder", step_reps=1, sessions=1)),
    (prescribed(reps=5), rule("script", of="weight", steps=[{"iteration": 3, "op": "add_percent", "value": 3}])),
    (prescribed(reps=5), None),
)
_sets = st.builds(
    logged,
    st.sampled_from([-20.0, 0.0, 57.5, 60.0, 80.0, 100.0, 102.5, 110.0]),
    st.integers(0, 13),
    rpe=st.none() | st.sampled_from([6.0, 8.0, 9.5]),
    done=st.sampled_from([True, True, True, False]),
    target=st.none() | st.just({"weight": 90, "reps": 5}),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Session]:
    """Sessions of any sets, some of them on days of a deload phase."""
    of_sessions: list[list[LoggedSet]] = draw(st.lists(st.lists(_sets, min_size=1, max_size=4), max_size=8))
    slugs = st.sampled_from(["push-up", "diamond-push-up", "knee-push-up", None])
    return [
        session(place, *sets, exercise=draw(slugs), deload=draw(st.sampled_from([None, None, None, "Easy"])))
        for place, sets in enumerate(of_sessions)
    ]


_tried = st.sampled_from(RULES)


def walked_by(tried: tuple[WorkoutExerciseDocument, Any], log: list[Session]) -> Walk:
    return walk(*tried, log, seed_ladder())


@given(_tried, logs(), st.randoms(use_true_random=False))
def test_the_same_history_gives_the_same_whatever_the_order_of_reading(
    tried: tuple[WorkoutExerciseDocument, Any], log: list[Session], chance: random.Random
) -> None:
    shuffled = chance.sample(log, len(log))
    assert walked_by(tried, shuffled).model_dump_json() == walked_by(tried, log).model_dump_json()


@given(_tried, logs().filter(bool), st.data())
def test_a_correction_changes_nothing_before_the_session_after_it(
    tried: tuple[WorkoutExerciseDocument, Any], log: list[Session], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(log) - 1))
    sets = tuple(data.draw(st.lists(_sets, min_size=1, max_size=4)))
    corrected = [*log[:place], session(place, *sets), *log[place + 1 :]]
    before, after = walked_by(tried, log).sessions, walked_by(tried, corrected).sessions
    assert [one.model_dump_json() for one in after[:place]] == [one.model_dump_json() for one in before[:place]]
    assert after[place].prescription.model_dump_json() == before[place].prescription.model_dump_json()


@given(_tried, logs(), st.data())
def test_a_deload_session_changes_nothing(
    tried: tuple[WorkoutExerciseDocument, Any], log: list[Session], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(log)))
    sets = tuple(data.draw(st.lists(_sets, min_size=1, max_size=4)))
    more = [*log[:place], session(place, *sets, deload="Easy")]
    more += [Session(training(n + 1, deload=one.training.deload), one.done) for n, one in enumerate(log[place:], place)]

    def counted(walked: Walk) -> list[Any]:
        told = [one.model_dump(exclude={"day", "training_id", "prescription"}) for one in walked.sessions]
        return [one for one in told if one["met"] is not None]

    assert counted(walked_by(tried, more)) == counted(walked_by(tried, log))
    left_out = {"evidence", "reason"}  # which name days, that are others here
    following = [walked_by(tried, each).next.model_dump(exclude=left_out) for each in (more, log)]
    assert following[0] == following[1]


@given(_tried, logs(), st.data())
def test_a_walk_is_that_of_its_first_sessions_continued(
    tried: tuple[WorkoutExerciseDocument, Any], log: list[Session], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(log)))
    course = Course(*tried, seed_ladder())
    position = course.begin()
    told = []
    for one in log:
        step = course.step(position, one)
        position = step.after
        told.append(step.told)
    whole, first = walked_by(tried, log), walked_by(tried, log[:place])
    assert (whole.count, whole.sessions, whole.next) == (len(log), tuple(told), position.next)
    assert whole.sessions[:place] == first.sessions
    following = first.next.model_copy(update={"evidence": ()})
    assert place == len(log) or whole.sessions[place].prescription == following
    newest = course.walk(log, place)
    assert (newest.count, newest.sessions, newest.next) == (len(log), whole.sessions[len(log) - place :], whole.next)
    assert newest.counted == sum(one.met is not None for one in whole.sessions)


@given(_tried, logs())
def test_everything_has_a_reason_and_its_evidence(
    tried: tuple[WorkoutExerciseDocument, Any], log: list[Session]
) -> None:
    walked = walked_by(tried, log)
    days = {one.training_id: one.day for one in walked.sessions if one.met is not None}
    for told in (*walked.sessions, walked.next, *(one.prescription for one in walked.sessions)):
        assert told.reason.endswith(".")
    assert bool(walked.next.evidence) == bool(days)
    assert all(days[one.training_id] == one.day for one in walked.next.evidence)


def history(*trainings: LoggedTraining, version: int = 1, at: str = "2026-01-01T00:30:00+13:00") -> WorkoutHistory:
    """A workout with the squat, prescribed as it is since that version."""
    (squat,) = (FIVES.model_copy(update={"progression": rule("linear", increment=1.25, rounding=2.5)}),)
    since = {squat.id: (version, dt.datetime.fromisoformat(at))}
    return WorkoutHistory(UUID(int=9), version, "Legs", (squat,), since, trainings)


def test_a_new_prescription_says_since_when_it_is() -> None:
    reasons = [workout_walks(history(version=version), seed_ladder())[0].walk.next.reason for version in (1, 3)]
    assert reasons[0] == "Nothing was done of it yet: it begins as it is written."
    assert reasons[1].startswith("Its prescription is new since Thursday, 1 January 2026 (version 3 of the workout)")
    assert "what was done before does not count" in reasons[1]


@pytest.mark.parametrize("light", [{"deload": "Easy"}, {"lighter": True}, {}])
def test_who_did_what_does_not_count_is_not_told_that_nothing_was_done(light: dict[str, Any]) -> None:
    sets = alike(3, 100, 5, done=bool(light))
    done = training(0, exercises=(LoggedExercise(FIVES.id, "Squat", None, sets),), **light)
    begun = {1: "No session of it counts yet: it begins", 3: "and no session since then counts: it begins"}
    for version, words in begun.items():
        of = history(done._replace(workout_version=version), version=version)
        (walked,) = workout_walks(of, seed_ladder())
        assert words in walked.walk.next.reason
        assert "othing was done" not in walked.walk.next.reason
        assert "othing was done" in walked.walk.sessions[0].prescription.reason, "before it that was so"


def test_what_an_older_version_planned_counts_where_it_was_performed_since() -> None:
    saved = dt.datetime(2026, 1, 5, 14, tzinfo=dt.UTC)
    sets = (LoggedExercise(FIVES.id, "Squat", None, alike(3, 100, 5)),)
    for performed, version, counted in ((13, 1, 0), (15, 1, 1), (13, 2, 1)):
        done = training(0, exercises=sets, workout_version=version, performed=saved.replace(hour=performed))
        (walked,) = workout_walks(history(done, version=2, at=saved.isoformat()), seed_ladder())
        assert walked.walk.counted == counted, (performed, version)


def test_what_comes_next_aims_at_what_the_plates_make() -> None:
    done = training(0, exercises=(LoggedExercise(FIVES.id, "Squat", None, alike(3, 100, 5)),))
    first, again = history(), history(done)
    assert [targets(first), targets(again)] == [{100}, {100}]
    (walked,) = workout_walks(again, seed_ladder())
    assert (walked.walk.next.weight, walked.walk.next.display_weight) == (101.25, 100)
    assert "next 101.25 kg (load 100 kg, as before), 1.25 kg heavier" in walked.walk.next.reason
    planned = training(
        1, exercises=(LoggedExercise(FIVES.id, "Squat", None, alike(3, 100, 5, target={"weight": 100})),)
    )
    (walked,) = workout_walks(history(done, planned), seed_ladder())
    assert (weights(walked.walk), decisions(walked.walk)) == ([100, 101.25, 102.5], ["progress"] * 2)


def targets(of: WorkoutHistory) -> set[float]:
    """What the sets of the training that comes next aim at."""
    following = [each.walk.next for each in workout_walks(of, seed_ladder(), 0)]
    (exercise,) = next_exercises(of, following, Catalogue({}, {}))
    return {set_["target"]["weight"] for set_ in exercise["sets"]}


# ---- Days of a deload ----


def eased(walked: Walk) -> Any:
    """What the day in a deload prescribes, which has a reason that names it."""
    easy, made_lighter = on_light_day(walked, "Easy week"), on_light_day(walked, None)
    assert easy.decision == "deload"
    assert easy.reason.startswith("The day lies in a deload (Easy week), so it")
    assert made_lighter.reason.startswith("This training was made a lighter session, so it")
    assert made_lighter == easy.model_copy(update={"reason": made_lighter.reason})
    assert easy.evidence == walked.next.evidence
    return easy


def test_a_deload_has_half_the_sets_of_what_was_done_last() -> None:
    walked = walk(FIVES, LINEAR, sessions(alike(3, 100, 5)))
    easy = eased(walked)
    assert (easy.sets, easy.weight, easy.display_weight, walked.next.weight) == (2, 100, 100, 102.5)
    assert "2 of 3 sets, and asks for no more than you did on Monday, 5 January 2026: 2 sets of 5" in easy.reason
    assert walked.next.reason in easy.reason, "what comes after it"


@pytest.mark.parametrize(
    ("done", "weight"),
    [
        ((alike(3, 100, 5), alike(3, 102.5, 4)), 102.5),
        ((alike(3, 95, 5),), 95),
        ((alike(3, 110, 5),), 110),
        ((alike(3, 100, 4), alike(3, 100, 4)), 90),
        (((*alike(2, 100, 5), logged(60, 12)),), 100),
        ((), 100),
    ],
    ids=["stays", "lighter", "heavier", "goes back", "a last light set", "nothing was done"],
)
def test_a_deload_is_no_heavier_than_the_last_session(done: Any, weight: float) -> None:
    assert eased(walk(FIVES, LINEAR, sessions(*done))).weight == weight


def test_a_deload_brings_no_new_movement_and_no_more_repetitions() -> None:
    walked = climb(("push-up", 10), ("push-up", 10))
    assert walked.next.exercise != "push-up"
    assert (eased(walked).exercise, eased(walked).reps) == ("push-up", PUSH_UPS.reps)
    assert "Push-up, 2 sets of 5 to 10 repetitions" in eased(walked).reason
    up = walked.next.exercise
    assert eased(climb(("push-up", 10), ("push-up", 10), ("push-up", 10))).exercise == "push-up", "it was done instead"
    assert eased(climb((up, 2))).exercise == "push-up", "it is what is prescribed"
    back = climb(("push-up", 10), ("push-up", 10), (up, 3), (up, 4))
    assert (back.next.decision, eased(back).exercise) == ("easier", "push-up")
    stepped = climb(("push-up", 5), by=rule("harder", step_reps=2))
    assert (stepped.next.reps.min, eased(stepped).reps.min) == (7, 5)
    one = eased(walk(prescribed(sets=1, reps=5, weight=60), LINEAR, sessions(alike(1, 60, 5))))
    assert (one.sets, one.weight) == (1, 60)
    assert "so its one set stays" in one.reason


@given(_tried, logs())
def test_a_deload_never_asks_for_more(tried: tuple[WorkoutExerciseDocument, Any], log: list[Session]) -> None:
    walked = walked_by(tried, log)
    easy, following = walked.light, walked.next
    assert easy.sets == (following.sets + 1) // 2
    assert (easy.weight is None) == (following.weight is None)
    if easy.weight is not None:
        last = [set_.weight for set_ in walked.next.evidence[-1].done] if walked.next.evidence else [easy.weight]
        assert easy.weight <= min(following.weight, max(last))


# ---- The docs ----

PAGE = Path(__file__).parents[2] / "docs" / "progression.md"
LOG = os.environ.get("TRAINING_TEST_STRONG_LOG")


@pytest.mark.skipif(LOG is None, reason="TRAINING_TEST_STRONG_LOG names no real log")
def test_the_docs_tell_what_the_rules_make_of_the_real_log() -> None:
    log = RealLog(Path(str(LOG)))
    assert [name for name, _ in log.most_frequent()] == list(TRIED)
    page = PAGE.read_text()
    for name, table in log.tables().items():
        assert f"<!-- {name} -->\n\n{table}\n\n<!-- /{name} -->" in page, name


@pytest.mark.parametrize("block", re.findall(r"^```json\n(.+?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
def test_the_rules_of_the_docs_are_rules(block: str) -> None:
    assert rule(**json.loads(block))
