"""Progression: each rule by its words, and what must hold of all of them."""

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics.progression import Course, Session, on_deload_day, walk
from models.errors import UnknownExercise
from models.exercises import Catalogue
from models.progression import LoggedSet, Walk
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
    assert "2.5 kg of assistance" in walked.sessions[0].reason
    assert decisions(walk(assisted, LINEAR, sessions(alike(3, -7.5, 5)))) == ["hold"], "more assistance is less weight"
    lighter = walk(prescribed(reps=5, weight=-20), LINEAR, sessions(*[alike(3, -20, 4)] * 2))
    assert lighter.next.weight == -22


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
    sets = alike(3, 100, 5, target={"weight": 80, "reps": 3})
    (planned,) = sessions(sets)
    assert walk(FIVES, LINEAR, [planned]).next.weight == 82.5
    otherwise = Session(planned.training, planned.done, planned_otherwise=True)
    assert walk(FIVES, LINEAR, [otherwise]).next.weight == 102.5


def test_a_target_of_what_is_displayed_is_the_walks() -> None:
    by = rule("linear", increment=1.25, rounding=2.5)
    log = sessions(alike(3, 100, 5), alike(3, 100, 5, target={"weight": 100, "reps": 5}))
    walked = walk(prescribed(reps=5, weight=100), by, log)
    assert weights(walked) == [100, 101.25, 102.5]


def test_a_planned_set_that_failed_is_made_up_by_no_other() -> None:
    target = {"weight": 100, "reps": 5}
    planned = (*alike(2, 100, 5, target=target), logged(100, 4, target=target))
    assert decisions(walk(FIVES, LINEAR, sessions((*planned, logged(100, 5))))) == ["hold"]
    more = alike(4, 100, 5, target=target)
    assert decisions(walk(FIVES, LINEAR, sessions((*more[:3], logged(100, 4, target=target))))) == ["hold"]
    assert decisions(walk(FIVES, LINEAR, sessions(more))) == ["progress"]


def test_a_heavier_session_goes_on_from_what_was_done() -> None:
    assert weights(walk(FIVES, LINEAR, sessions(alike(3, 110, 5)))) == [100, 112.5]
    assert weights(walk(FIVES, LINEAR, sessions((logged(120, 5), *alike(2, 110, 5))))) == [100, 112.5]
    assert weights(walk(FIVES, LINEAR, sessions((*alike(2, 110, 5), logged(110, 3))))) == [100, 100]
    in_range = walk(RANGE, DOUBLE, sessions(alike(3, 70, 9)))
    assert (decisions(in_range), in_range.next.weight) == (["hold"], 70)


def test_without_a_weight_the_first_session_sets_it() -> None:
    bare = prescribed(reps=5)
    assert weights(walk(bare, LINEAR, sessions(alike(3, 40, 5)))) == [None, 42.5]
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


def test_units_are_compared() -> None:
    pounds = prescribed(reps=5, weight=100, unit="lb")
    for weight, follows in ((45.36, "progress"), (45.35, "hold")):
        assert decisions(walk(pounds, LINEAR, sessions(alike(3, weight, 5)))) == [follows]
    assert walk(pounds, LINEAR, sessions(alike(3, 100, 5, unit=Unit.LB))).next.weight == 102.5


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


def test_a_deload_day_is_no_session_of_a_script() -> None:
    by = rule("script", of="weight", steps=[{"iteration": 2, "op": "add", "value": 5}])
    log = [*sessions(alike(3, 100, 5)), session(1, *alike(3, 60, 5), deload="Easy")]
    assert walk(FIVES, by, log).next.weight == 105


# ---- What is not a rule ----


def no_rule(kind: str, fault: str, said: dict[str, Any] | None = None, **members: Any) -> Any:
    """What is prescribed beside a rule, and what is wrong with it."""
    return pytest.param((said or {}) | {"progression": {"kind": kind} | members}, fault, id=f"{kind}: {fault}")


def no_script(of: str, fault: str, *steps: tuple[int, str, float]) -> Any:
    """A script of wrong steps."""
    named = [dict(zip(("iteration", "op", "value"), step, strict=True)) for step in steps]
    return no_rule("script", fault, of=of, steps=named)


HELD = {"exercise": "plank", "hold_seconds": 9}


@pytest.mark.parametrize(
    ("exercise", "fault"),
    [
        no_rule("double", "needs `reps`", increment=2.5),
        no_rule("rpe", "needs `rpe`", {"reps": 5}),
        no_rule("harder", "needs `exercise`", {"reps": 5}),
        no_rule("harder", "needs `hold_seconds`", {"exercise": "plank"}),
        no_rule("harder", "needs `hold_seconds`", {"exercise": "plank", "reps": 5}, from_seconds=5, step_seconds=5),
        no_rule("harder", "needs `reps`", HELD, step_reps=1),
        no_rule("harder", "more than `hold_seconds`", HELD, from_seconds=10, step_seconds=5),
        no_rule("harder", "need each other", HELD, from_seconds=5),
        no_rule("harder", "must not have both", HELD, from_seconds=5, step_seconds=5, step_reps=1),
        no_rule("linear", "greater than 0", increment=0),
        no_rule("linear", "4 digits", increment=1.00001),
        no_rule("linear", "either `percent` or `weight`", increment=1, deload={"after": 1}),
        no_rule("linear", "greater than or equal to 1", increment=1, deload={"after": 0, "percent": 5}),
        no_rule("linear", "not permitted", increment=1, step_reps=1),
        no_rule("no-such", "kind"),
        pytest.param({"progression": {"increment": 1}}, "kind", id="no kind"),
        no_script("weight", "at least 1"),
        no_script("reps", "needs `reps`", (1, "add", 1)),
        no_script("sets", "whole number", (1, "set", 2.5)),
        no_script("weight", "negative", (1, "add", -1)),
        no_script("weight", "in the order", (2, "set", 1), (1, "set", 1)),
    ],
)
def test_what_is_no_rule(exercise: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        create_workout(exercises=[{"name": "x", "sets": 3} | exercise])


def test_what_is_wrong_with_a_rule_is_named_by_its_place() -> None:
    wrong = {"kind": "linear", "increment": 1, "deload": {"after": 0, "percent": 5}}
    with pytest.raises(ValidationError) as refused:
        create_workout(exercises=[{"name": "x", "sets": 3, "progression": wrong}])
    assert [error["loc"] for error in refused.value.errors()] == [("exercises", 0, "progression", "deload", "after")]


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


def test_on_a_day_of_a_deload_phase_half_the_sets_are_prescribed() -> None:
    following = walk(FIVES, LINEAR, sessions(alike(3, 100, 5))).next
    easy = on_deload_day(following, "Easy week")
    assert (easy.sets, easy.weight, easy.decision) == (2, 102.5, "deload")
    assert "Easy week" in easy.reason


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
