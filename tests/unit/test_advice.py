"""Advice: each rule by itself, what it changes, that none contradicts another, and that less data is less sure."""

import datetime as dt
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.advice import METHOD_VERSION, advise, consider, risk
from analytics.advice_changes import lightened, moved
from analytics.advice_inputs import AdviceInputs, GoalInput, LoadInput, ReadinessInput, RecordInput, Standing, WeekSets
from analytics.advice_undoing import undone
from analytics.advice_words import words
from models.advice import (
    AcceptedAdvice,
    Advice,
    AdviceKind,
    AdviceSubject,
    LoadPosition,
    NotAdvisedBecause,
    SubjectKind,
    accepted_content,
    told,
)
from models.advice_reports import AdviceReport
from models.preferences import Preferences
from models.sets import RepRangeDocument
from tests.support.advice import (
    CALM,
    DAY,
    HIGH,
    USER,
    after,
    exercise,
    exercise_id,
    habit,
    inputs,
    load,
    planned,
    poorer,
    prescribed,
    some_inputs,
)

REPS = {"min": 8, "max": 10}
RECOVER = {AdviceKind.REST, AdviceKind.DELOAD}
WORN = ReadinessInput(31.0, 0.8, "Slept badly.")
FRESH = ReadinessInput(70.0, 0.8)


def kinds(of: AdviceInputs) -> list[AdviceKind]:
    return [one.advice.kind for one in advise(of)]


def only(of: AdviceInputs) -> Advice:
    (found,) = advise(of)
    return found.advice


def pull(*, days: int = 0, number: int = 1, **target: Any) -> Any:
    """A training planned from the workout 1."""
    aim = {"reps": REPS, "weight": 20} | target
    return planned(number, after(days), exercise(1, "pull-up", 3, warmups=1, **aim), workout=1)


def stands(kind: AdviceKind, ago: int) -> Standing:
    return Standing(after(-ago), kind, AdviceSubject(kind=SubjectKind.DAY, day=after(-ago)))


def test_without_data_nothing_is_advised_and_nothing_is_made_up() -> None:
    assert advise(inputs()) == []
    found = risk(inputs())
    assert (found.position, found.ratio, found.acute, found.measure) == (LoadPosition.UNKNOWN, None, None, None)


def test_rest_where_readiness_is_low_moves_the_training_to_the_next_day_without_one() -> None:
    plans = [pull(), pull(days=1, number=2)]
    of = inputs(readiness=WORN, load=CALM, planned=plans, busy=frozenset({DAY, after(1)}))
    advice = only(of)
    assert advice.kind is AdviceKind.REST
    assert advice.reason.startswith("Your readiness is 31 of 100, where 50 is your usual day. Slept badly. What is")
    (change,) = advice.changes
    assert (change.training_id, change.day, change.day_after) == (plans[0].id, DAY, after(2))
    assert change.exercises == []
    assert advice.evidence[0].value == 31
    assert [part.share for part in advice.confidence_parts] == [0.9, 1.0]
    assert advice.confidence == 0.9


def test_readiness_that_is_hardly_known_asks_for_no_rest() -> None:
    assert advise(inputs(readiness=ReadinessInput(10.0, 0.29), load=CALM)) == []


def test_a_high_load_asks_for_rest_unless_readiness_is_high_or_the_day_is_begun() -> None:
    of = inputs(load=HIGH, planned=[pull()], busy=frozenset({DAY}))
    advice = only(of)
    assert advice.kind is AdviceKind.REST
    assert "above the usual range: 2.95 times that of the last 28" in advice.reason
    assert [part.share for part in advice.confidence_parts] == [0.5, 1.0]
    assert kinds(replace(of, readiness=FRESH)) == []
    assert kinds(replace(of, trained=True)) == []
    assert kinds(replace(of, standing=[stands(AdviceKind.REST, 0)])) == []


def test_a_training_that_is_moved_keeps_its_local_time_across_the_change_of_clocks() -> None:
    fields = planned(1, dt.date(2026, 3, 28)).fields
    later = moved(fields, dt.date(2026, 3, 29))
    assert (fields["date"], later["date"], later["day"]) == (
        "2026-03-28T11:00:00Z",
        "2026-03-29T10:00:00Z",
        "2026-03-29",
    )
    skipped = moved(fields | {"date": "2026-03-28T01:30:00Z"}, dt.date(2026, 3, 29))  # 2:30 is left out that day
    assert skipped["day"] == "2026-03-29"


def test_a_local_day_far_from_utc_is_the_day_it_is_moved_to() -> None:
    fields = planned(1, DAY).fields | {"timezone": "Pacific/Kiritimati", "date": "2026-03-01T22:00:00Z"}
    assert moved(fields, after(1)) | {"exercises": []} == fields | {"date": "2026-03-02T22:00:00Z", "day": "2026-03-03"}


def test_deload_where_the_load_has_been_high_for_two_weeks() -> None:
    over = load(*([50.0, 0.0] * 14), *(100.0 * 1.12**n for n in range(16)))
    advice = only(inputs(load=over, planned=[pull(), pull(days=6, number=2), pull(days=7, number=3)]))
    assert advice.kind is AdviceKind.DELOAD
    assert "of the last 14 days" in advice.reason
    assert [change.training_id for change in advice.changes] == [UUID(int=1001), UUID(int=1002)]
    (change,) = advice.changes[0].exercises
    assert [(sets.type, sets.sets) for sets in change.before.planned] == [("warmup", 1), ("working", 3)]
    assert [(sets.type, sets.sets) for sets in change.after.planned] == [("warmup", 1), ("working", 2)]


def test_deload_where_strain_is_far_above_that_of_the_weeks_before() -> None:
    steady = [100.0, 0.0, 80.0, 0.0, 110.0, 0.0, 0.0] * 5
    of = inputs(load=load(*steady, *([130.0, 140.0, 120.0, 150.0, 130.0, 140.0, 150.0] * 2)), readiness=FRESH)
    assert "strain" in only(of).reason


def test_deload_where_the_targets_of_two_workouts_are_missed_twice() -> None:
    missed = [prescribed(workout, "dip", "hold", (True, True)) for workout in (1, 2)]
    advice = only(inputs(prescribed=missed, load=CALM))
    assert (advice.kind, advice.subject.kind) == (AdviceKind.DELOAD, SubjectKind.WEEK)
    assert "2 workouts were missed 2 times in a row (Dip)" in advice.reason
    assert set(advice.evidence[0].ids) == {UUID(int=2000), UUID(int=2001)}
    assert kinds(inputs(prescribed=missed[:1], load=CALM)) == []
    once = [replace(one, sessions=one.sessions[1:]) for one in missed]
    assert kinds(inputs(prescribed=once, load=CALM)) == []


def test_deload_after_eight_weeks_without_a_lighter_one() -> None:
    week = [100.0, 0.0, 100.0, 0.0, 100.0, 0.0, 0.0]
    assert "8 weeks without a lighter one" in only(inputs(load=load(*week * 8, 0.0))).reason
    assert kinds(inputs(load=load(*week * 4, 50.0, *[0.0] * 6, *week * 3, 0.0))) == []  # the fifth week was light
    assert kinds(inputs(load=load(*week * 8))) == []  # the day is not over: a day short of 8 weeks


@pytest.mark.parametrize("near", [-7, 0, 6])
def test_no_deload_beside_one_that_is_planned_or_was_accepted(near: int) -> None:
    of = inputs(load=load(*[100.0, 0.0, 100.0, 0.0, 100.0, 0.0, 0.0] * 8, 0.0))
    assert kinds(of) == [AdviceKind.DELOAD]
    assert kinds(replace(of, deload_days=frozenset({after(near)}))) == []
    assert kinds(replace(of, standing=[stands(AdviceKind.DELOAD, 13)])) == []
    assert kinds(replace(of, standing=[stands(AdviceKind.DELOAD, 14)])) == [AdviceKind.DELOAD]


def test_low_readiness_comes_before_deload_and_deload_before_a_high_load() -> None:
    over = load(*([50.0, 0.0] * 14), *(100.0 * 1.12**n for n in range(16)))
    assert kinds(inputs(load=over)) == [AdviceKind.DELOAD]
    assert kinds(inputs(load=over, readiness=WORN)) == [AdviceKind.REST]


def test_progress_has_the_next_planned_training_aim_at_what_is_prescribed() -> None:
    up = prescribed(1, "pull-up", "progress", (False, False, False), weight=22.5)
    goal = GoalInput(UUID(int=8), "Pull-ups with 30 kg", "pull-up", behind=True, due=after(60))
    record = RecordInput("pull-up", "weight", 20.0, "kg", after(-2), UUID(int=7))
    plans = [pull(days=2, rest_seconds=90), pull(days=5, number=2)]
    of = inputs(prescribed=[up], planned=plans, load=CALM, readiness=FRESH, goals=[goal], records=[record])
    advice = only(of)
    assert (advice.kind, advice.title) == (AdviceKind.PROGRESS, "Pull-up: go on to 3 × 8–10 at 22.5 kg")
    assert advice.reason == (
        "All sets reached the top. Your goal “Pull-ups with 30 kg”, due on Friday, 1 May 2026, is behind."
    )
    (change,) = advice.changes
    assert change.training_id == plans[0].id
    (one,) = change.exercises
    assert one.before.planned[0] == one.after.planned[0]  # the warm-up
    assert told(one.after.planned[1].model_dump(mode="json")) == {
        "sets": 3,
        "unit": "kg",
        "type": "working",
        "target": {"reps": REPS, "weight": 22.5, "rest_seconds": 90},
    }
    assert {evidence.source for evidence in advice.evidence} == {"progression", "records", "goals"}
    assert advice.confidence == 0.95
    assert advice.subject.workout_id == UUID(int=1)


def test_progress_is_not_advised_where_the_plan_says_it_or_something_speaks_against_it() -> None:
    up = prescribed(1, "pull-up", "progress", (False,), weight=22.5)
    of = inputs(prescribed=[up], planned=[pull(days=2)], load=CALM)
    assert kinds(of) == [AdviceKind.PROGRESS]
    assert kinds(replace(of, planned=[pull(days=2, weight=22.5)])) == []
    assert kinds(replace(of, planned=[pull(days=14)])) == []
    assert kinds(replace(of, readiness=WORN)) == [AdviceKind.REST]
    assert kinds(replace(of, load=HIGH, readiness=FRESH)) == []
    assert kinds(replace(of, load=load(*[100.0, 105.0] * 15))) == []  # days that are much alike
    assert kinds(replace(of, standing=[stands(AdviceKind.DELOAD, 6)])) == []
    assert kinds(replace(of, deload_days=frozenset({after(2)}))) == []
    swapped = planned(1, after(2), exercise(1, "pull-up") | {"exercise": "row", "name": "Row"}, workout=1)
    assert kinds(replace(of, planned=[swapped])) == []


def test_a_harder_movement_takes_the_place_of_the_easier_one() -> None:
    harder = prescribed(1, "pull-up", "harder", (False, False), weight=None, sets=4)
    harder = replace(harder, name="Archer Pull-up", exercise="archer-pull-up")
    (found,) = advise(inputs(prescribed=[harder], planned=[pull(days=2)], load=CALM))
    ((plan, fields),) = found.after
    (one,) = fields["exercises"]
    assert (one["id"], one["name"], one["exercise"]) == (
        str(exercise_id(1, "pull-up")),
        "Archer Pull-up",
        "archer-pull-up",
    )
    assert [set_["order"] for set_ in one["sets"]] == [1, 2, 3, 4, 5]
    assert len({set_["id"] for set_ in one["sets"]}) == 5
    assert one["sets"][4]["target"] == {"reps": REPS}
    assert plan.fields["exercises"][0]["exercise"] == "pull-up"  # what was given is as it was


def test_a_rule_that_stays_at_the_movement_it_climbed_to_says_which_one_is_still_planned() -> None:
    stays = prescribed(1, "pull-up", "hold", (False, False), weight=None)
    stays = replace(stays, name="Archer Pull-up", exercise="archer-pull-up")
    advice = only(inputs(prescribed=[stays], planned=[pull(days=2)], load=CALM))
    assert (advice.kind, advice.title) == (AdviceKind.HOLD, "Archer Pull-up: stay at 3 × 8–10")
    assert advice.reason.endswith("What is planned is still what the workout says: Pull-up, 3 × 8–10 at 20 kg.")


@pytest.mark.parametrize(("weight", "more"), [(22.5, True), (18.0, False)])
def test_what_was_planned_before_the_walk_went_on_is_brought_to_where_it_stands(weight: float, more: bool) -> None:
    """That is neither progress nor regress: the session may have failed, and the rule repeats it."""
    hold = prescribed(1, "pull-up", "hold", (False, True), weight=weight)
    of = inputs(prescribed=[hold], planned=[pull(days=2)], load=CALM)
    advice = only(of)
    assert (advice.kind, advice.title) == (AdviceKind.HOLD, f"Pull-up: stay at 3 × 8–10 at {weight:g} kg")
    assert advice.reason.endswith("What is planned is still what the workout says: 3 × 8–10 at 20 kg.")
    assert "missed" not in advice.evidence[0].what
    assert kinds(replace(of, load=HIGH, readiness=FRESH)) == ([] if more else [AdviceKind.HOLD])
    assert kinds(replace(of, planned=[pull(days=2, weight=19)])) == []  # what the athlete planned otherwise stays


def test_regress_is_advised_beside_low_readiness_only_for_what_rest_leaves_alone() -> None:
    down = prescribed(1, "pull-up", "deload", (False, True, True), weight=18.0)
    of = inputs(prescribed=[down], planned=[pull()], load=CALM)
    advice = only(of)
    assert (advice.kind, advice.title) == (AdviceKind.REGRESS, "Pull-up: go back to 3 × 8–10 at 18 kg")
    assert advice.evidence[0].ids == [UUID(int=2001), UUID(int=2002)]
    assert kinds(replace(of, readiness=WORN)) == [AdviceKind.REST]
    assert kinds(replace(of, readiness=WORN, planned=[pull(days=1)])) == [AdviceKind.REST, AdviceKind.REGRESS]


def weeks(push: float, pull: float) -> list[WeekSets]:
    return [WeekSets(after(-7 * ago), push / 4, pull / 4) for ago in reversed(range(4))]


@pytest.mark.parametrize(
    ("push", "pulls", "slug"), [(25, 16, "pull-up"), (16, 25, "dip"), (24, 16, None), (16, 24, None), (14, 9, None)]
)
def test_balance_adds_a_set_of_whichever_side_lacks(push: float, pulls: float, slug: str | None) -> None:
    plan = planned(1, after(1), exercise(1, "squat"), exercise(1, "dip", reps=5), exercise(1, "pull-up", reps=5))
    found = advise(inputs(weeks=weeks(push, pulls), planned=[plan], load=CALM))
    assert [one.advice.subject.movement for one in found] == ([] if slug is None else [slug])
    for one_given in found:
        ((_, fields),) = one_given.after
        counts = {one["exercise"]: len(one["sets"]) for one in fields["exercises"]}
        assert counts == {"squat": 3, "dip": 3, "pull-up": 3} | {slug: 4}
        assert one_given.advice.confidence == 1.0


def test_balance_knows_the_side_of_what_has_no_slug_and_waits_a_week() -> None:
    nameless = {"name": "My Rows"} | {k: v for k, v in exercise(1, "row").items() if k in ("id", "sets")}
    of = inputs(weeks=weeks(30, 10), planned=[planned(1, after(1), nameless)], load=CALM)
    nothing = only(of)
    assert (nothing.title, nothing.changes, nothing.subject.kind) == ("Plan more pull", [], SubjectKind.WEEK)
    of = replace(of, sides={"name:my rows": "Pull"})
    assert only(of).title == "My Rows: one more set, for more pull"
    assert kinds(replace(of, standing=[stands(AdviceKind.BALANCE, 6)])) == []
    assert kinds(replace(of, standing=[stands(AdviceKind.BALANCE, 7)])) == [AdviceKind.BALANCE]


def test_balance_and_progress_do_not_speak_of_the_same_exercise() -> None:
    up = prescribed(1, "pull-up", "progress", (False,), weight=22.5)
    both = planned(1, after(1), exercise(1, "pull-up", weight=20, reps=REPS), exercise(1, "row"), workout=1)
    found = advise(inputs(prescribed=[up], weeks=weeks(30, 10), planned=[both], load=CALM))
    assert [(one.advice.kind, one.advice.subject.movement) for one in found] == [
        (AdviceKind.PROGRESS, "pull-up"),
        (AdviceKind.BALANCE, "row"),
    ]


def test_prefer_plans_what_is_done_anyway_under_an_id_of_its_own() -> None:
    plan = planned(1, after(3), exercise(1, "dip", reps=8, weight=10, rpe=8), exercise(1, "row"), workout=1)
    of = inputs(habits=[habit("dip", "push-up")], planned=[plan])
    (found,) = advise(of)
    assert found.advice.kind is AdviceKind.PREFER
    assert "You skipped Dip 3 of the last 6 times" in found.advice.reason
    ((_, fields),) = found.after
    new, row = fields["exercises"]
    assert row == plan.fields["exercises"][1]
    assert (new["name"], new["exercise"], new["exercise_revision"]) == ("Push-up", "push-up", 1)
    assert new["id"] != plan.fields["exercises"][0]["id"]
    assert [set_["target"] for set_ in new["sets"]] == [{"rpe": 8}] * 3
    assert kinds(replace(of, habits=[habit("dip", "push-up", skipped=2)])) == []
    assert kinds(replace(of, habits=[habit("dip", "row")])) == []  # it is planned already
    goal = GoalInput(UUID(int=8), "Dips", "dip", behind=False, due=after(9))
    assert kinds(replace(of, goals=[goal])) == []


def test_the_same_inputs_give_the_same_ids_whatever_version_the_plan_is_at() -> None:
    up = prescribed(1, "pull-up", "progress", (False,), weight=22.5)
    of = inputs(prescribed=[up], planned=[pull(days=2)], load=CALM)
    advice = only(of)
    assert only(of) == advice
    noted = replace(of.planned[0], version=7, fields=of.planned[0].fields | {"notes": "bring chalk"})
    assert only(replace(of, planned=[noted])).id == advice.id
    assert only(replace(of, planned=[pull(days=3)])).id != advice.id
    assert only(replace(of, user_id=UUID(int=2))).id != advice.id
    again = only(replace(of, undone=frozenset({advice.id})))
    assert again.id != advice.id
    assert again == advice.model_copy(update={"id": again.id})


@given(some_inputs())
@settings(max_examples=80)
def test_no_advice_of_a_day_contradicts_another(of: AdviceInputs) -> None:
    found = advise(of)
    assert found == advise(of)
    advices = [one.advice for one in found]
    order = list(AdviceKind)
    places = [order.index(advice.kind) for advice in advices]
    assert places == sorted(places)
    told_of = {advice.kind for advice in advices}
    standing = {one.kind for one in of.standing if one.day == of.day}
    assert not told_of & standing & RECOVER
    assert not told_of >= RECOVER
    if (told_of | standing) & RECOVER:
        assert not told_of & {AdviceKind.PROGRESS, AdviceKind.BALANCE}
        if told_of & RECOVER and standing & RECOVER:  # in a lighter week only low readiness asks for more rest
            assert (told_of & RECOVER, standing & RECOVER) == ({AdviceKind.REST}, {AdviceKind.DELOAD})
            assert of.readiness.score == 20.0
    considered = consider(of)
    told_kinds = [one.kind for one in considered.not_advised]
    assert sorted([*told_of, *told_kinds]) == sorted(AdviceKind)  # each is advised, or it is told why not
    if not found:
        assert considered.reason.startswith("Nothing is advised")
        low = of.readiness.score is not None and of.readiness.score <= 40
        assert not low or "Your readiness is 20 of 100" in considered.reason
        assert risk(of).position is not LoadPosition.ABOVE or "above the usual range" in considered.reason
    light = {id_ for one in of.standing if one.kind is AdviceKind.DELOAD for id_ in one.trainings}
    assert all(a.kind is AdviceKind.REST or not {c.training_id for c in a.changes} & light for a in advices)
    today = {(one.subject.workout_id, one.subject.exercise_id) for one in of.standing if one.day == of.day}
    assert all((a.subject.workout_id, a.subject.exercise_id) not in today or not a.subject.exercise_id for a in advices)
    assert len({advice.id for advice in advices}) == len(advices)
    subjects = [(advice.subject.workout_id, advice.subject.exercise_id) for advice in advices]
    assert len(set(subjects)) == len(subjects)
    # A training is changed as a whole once at most, and an exercise of it too.
    touched = [(change.training_id, one.before.id) for a in advices for change in a.changes for one in change.exercises]
    assert len(set(touched)) == len(touched)
    changed: dict[bool, set[UUID]] = {True: set(), False: set()}
    for a in advices:
        changed[a.kind in RECOVER] |= {change.training_id for change in a.changes}
    assert not changed[True] & changed[False]


@given(some_inputs())
@settings(max_examples=30)
def test_advice_changes_what_it_names_and_nothing_else_of_a_training(of: AdviceInputs) -> None:
    before = orjson.dumps([plan.fields for plan in of.planned])
    for one_given in advise(of):
        assert len(one_given.after) == len(one_given.advice.changes)
        for (plan, fields), change in zip(one_given.after, one_given.advice.changes, strict=True):
            named = {"exercises"} if change.day_after is None else {"date", "day"}
            assert {name for name in fields if fields[name] != plan.fields[name]} == named
            assert list(fields) == list(plan.fields)
            changed = {str(one.before.id) for one in change.exercises}
            for old, new in zip(plan.fields["exercises"], fields["exercises"], strict=True):
                assert (old != new) == (old["id"] in changed)
                assert len({set_["id"] for set_ in new["sets"]}) == len(new["sets"]) > 0
                assert len({set_["order"] for set_ in new["sets"]}) == len(new["sets"])
    assert orjson.dumps([plan.fields for plan in of.planned]) == before


@given(st.data())
@settings(max_examples=80)
def test_taking_data_away_never_raises_the_confidence_of_what_is_still_advised(data: st.DataObject) -> None:
    of = data.draw(some_inputs())
    sure = {(one.advice.kind, one.advice.subject): one.advice.confidence for one in advise(of)}
    for less in advise(data.draw(poorer(of))):
        advice = less.advice
        assert 0 <= advice.confidence <= 1
        assert advice.confidence <= sure.get((advice.kind, advice.subject), 1.0)


@given(some_inputs())
@settings(max_examples=30)
def test_no_answer_speaks_of_a_probability_or_a_diagnosis_and_each_explains_itself(of: AdviceInputs) -> None:
    considered = consider(of)
    found = considered.given
    report: dict[str, Any] = {
        "user_id": USER,
        "day": DAY,
        "as_of": "2026-03-02T12:00:00Z",
        "method": {"version": METHOD_VERSION, "rules": {}},
        "advice": [told(one.advice.model_dump(mode="json", by_alias=True)) for one in found],
        "not_advised": [one.model_dump(mode="json") for one in considered.not_advised],
        "reason": considered.reason,
        "accepted": [],
        "risk": told(risk(of).model_dump(mode="json")),
        "preferences": Preferences(often=[], skipped=[], replaced=[], reason="").model_dump(mode="json"),
    }
    AdviceReport.model_validate_json(orjson.dumps(report))
    for advice in report["advice"]:
        text = orjson.dumps(advice).lower()
        assert not any(word in text for word in (b"probab", b"injur", b"diagnos", b"predict"))
        assert advice["reason"].endswith(".")
        assert advice["evidence"]
        assert all(part["reason"] for part in advice["confidence_parts"])
    assert "no diagnosis" in report["risk"]["not_a_diagnosis"]
    assert "disputed" in report["risk"]["disputed"]


@given(some_inputs())
@settings(max_examples=30)
def test_what_is_accepted_reads_back_and_undoing_says_so(of: AdviceInputs) -> None:
    for one_given in advise(of):
        content = accepted_content(one_given.advice, DAY, {plan.id: plan.version for plan, _ in one_given.after})
        head = {"id": str(one_given.advice.id), "user_id": str(USER), "version": 1}
        tail = {"created_at": "2026-03-02T12:00:00Z", "updated_at": "2026-03-02T12:00:00Z"}
        document = orjson.dumps(head | orjson.loads(content) | tail)
        accepted = AcceptedAdvice.model_validate_json(document)
        assert accepted.undone is False
        assert [(change.version, change.version_after) for change in accepted.changes] == [(1, 2)] * len(
            one_given.after
        )
        said = orjson.loads(undone(document, {plan.id: 2 for plan, _ in one_given.after}, {}))
        assert said["undone"] is True
        assert all(change["version_restored"] == 3 for change in said["changes"])
        assert {"id", "user_id", "version", "created_at", "updated_at"}.isdisjoint(said)


@given(st.integers(0, 5), st.integers(1, 30))
def test_half_the_sets_are_rounded_up_and_warm_ups_stay(warmups: int, sets: int) -> None:
    fields = {"exercises": [exercise(1, "dip", sets, warmups=warmups)]}
    ((kept,),) = (lightened(fields)["exercises"],)
    assert kept["sets"] == fields["exercises"][0]["sets"][: warmups + (sets + 1) // 2]


@pytest.mark.parametrize(
    ("of", "position", "said"),
    [
        (HIGH, LoadPosition.ABOVE, "is above the usual range: 2.9"),
        (CALM, LoadPosition.INSIDE, "is inside the usual range: 1.1"),
        (load(*[100.0] * 28, *[0.0] * 7), LoadPosition.BELOW, "is below the usual range: 0.18"),
        (load(*[100.0] * 27), LoadPosition.UNKNOWN, "less than 28 days ago"),
        (LoadInput(), LoadPosition.UNKNOWN, "no completed training has one"),
    ],
)
def test_risk_says_where_the_load_stands(of: LoadInput, position: LoadPosition, said: str) -> None:
    found = risk(inputs(load=of))
    assert (found.position, found.indicator) == (position, "load outside the athlete's usual range")
    assert said in found.reason


@pytest.mark.parametrize(
    ("aims", "text"),
    [
        ({"weight": 22.5}, "3 × 8–10 at 22.5 kg"),
        ({"weight": 41.6667, "display_weight": 42.5}, "3 × 8–10 at 42.5 kg"),
        ({"weight": -12.5, "reps": 5}, "3 × 5 with 12.5 kg of assistance"),
        ({"weight": 0.0, "reps": 5}, "3 × 5 without weight"),
        ({"weight": None, "reps": None, "hold_seconds": 30.0}, "3 × 30 s"),
        ({"weight": None, "reps": None}, "3 sets"),
        ({"weight": None, "reps": RepRangeDocument(min=3, max=5)}, "3 × 3–5"),
    ],
)
def test_a_prescription_in_words(aims: dict[str, Any], text: str) -> None:
    assert words(prescribed(1, "dip", "progress", **aims)) == text


WHY: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing is known": (
        {},
        [
            "The readiness of the day is not known. The load is unknown: no completed training has one.",
            "No training is planned from a workout with a rule of progression.",
            "You did 0 hard sets of push and 0 of pull in 28 days.",
            "Whether a lighter week is due is unknown: no completed training has a load.",
            "What you skip is unknown",
        ],
    ),
    "readiness is low and unsure": (
        {"readiness": ReadinessInput(10.0, 0.29), "load": CALM},
        ["Your readiness is 10 of 100", "only 0.29 of the data for it is there, of 0.3 that rest needs"],
    ),
    "the load is high and readiness too": (
        {"readiness": FRESH, "load": HIGH},
        ["is above the usual range: 2.95", "As your readiness is 60 or more, that alone asks for no rest."],
    ),
    "the day is begun": (
        {"load": HIGH, "trained": True},
        ["is above the usual range: 2.95", "A training of the day was begun, so it is no day of rest any more."],
    ),
    "rest was accepted": (
        {"readiness": WORN, "standing": [Standing(DAY, AdviceKind.REST, AdviceSubject(kind=SubjectKind.DAY, day=DAY))]},
        ["You accepted rest for this day.", "Your readiness is 31 of 100"],
    ),
    "progress is withheld": (
        {
            "readiness": ReadinessInput(10.0, 0.29),
            "load": CALM,
            "prescribed": [prescribed(1, "pull-up", "progress", (False,), weight=22.5)],
            "planned": [pull(days=2)],
        },
        ["“Pull-up: go on to 3 × 8–10 at 22.5 kg” asks for more, but your readiness is 10 of 100."],
    ),
    "push and pull are hardly known": (
        {"load": CALM, "weeks": [WeekSets(DAY, 19, 8)]},
        [
            "“Plan more pull” has only a confidence of 0.17, of 0.2 that it needs.",
            "1 of 4 weeks",
        ],
    ),
}


@pytest.mark.parametrize("case", WHY)
def test_an_empty_list_says_what_is_not_known_and_what_is_withheld(case: str) -> None:
    of, said = WHY[case]
    considered = consider(inputs(**of))
    assert considered.given == []
    assert considered.reason.startswith("Nothing is advised. ")
    for words_of_it in said:
        assert words_of_it in considered.reason
    assert [one.kind for one in considered.not_advised] == list(AdviceKind)


def test_an_empty_list_says_what_was_looked_at_where_all_of_it_is_known_and_asks_for_nothing() -> None:
    rule = prescribed(1, "pull-up", "hold", (False,))
    week = [100.0, 0.0, 80.0, 0.0, 110.0, 0.0, 0.0]
    of = inputs(
        load=load(*week * 4, *[load / 4 for load in week], *week * 3, 100.0),
        readiness=ReadinessInput(52.0, 0.9),
        prescribed=[rule],
        planned=[pull(days=2)],
        weeks=weeks(20, 20),
        habits=[habit("dip", "push-up", skipped=1)],
    )
    considered = consider(of)
    assert {one.because for one in considered.not_advised} == {NotAdvisedBecause.NOTHING}
    assert considered.reason.startswith("Nothing is advised: readiness, load, rules of progression, push and pull")


@pytest.mark.parametrize(("trained", "position"), [(False, LoadPosition.INSIDE), (True, LoadPosition.ABOVE)])
@pytest.mark.parametrize("ago", [0, 3])
def test_a_day_that_is_not_over_is_no_day_of_rest(trained: bool, position: LoadPosition, ago: int) -> None:
    """In the morning the load stands as it stood in the evening before; on a day that comes likewise."""
    before = [100.0, 0.0] * 21 + [150.0]
    days = load(*before, *([400.0] if trained else [0.0]), *[0.0] * ago)
    of = inputs(load=days, today=after(-ago))
    found = risk(of)
    assert (found.position, found.until) == (position, after(-ago if trained else -ago - 1))
    evening = risk(inputs(load=load(*before), day=after(-1)))
    assert trained or found.ratio == evening.ratio
    assert found.reason.endswith(
        "counts as usual."
        if trained and not ago
        else "the day itself has no load yet."
        if not ago
        else f"These days end with {'Friday, 27' if trained else 'Thursday, 26'} February 2026: no later one is over."
    )


def test_a_daily_load_is_not_below_the_usual_because_the_day_has_just_begun() -> None:
    morning = load(*[100.0] * 30, *[70.0] * 5, 100.0, 0.0)
    assert risk(inputs(load=morning)).position is LoadPosition.INSIDE
    assert morning.days[-1].band == "under"  # as `metrics/load` has the day until it is trained


@pytest.mark.parametrize(
    ("decision", "missed", "what", "ids"),
    [
        ("deload", (False, False), "latest sessions of the exercise", [2001]),
        ("deload", (False, True), "latest sessions in a row that missed what was prescribed", [2001]),
        ("script", (False, False), "latest sessions of the exercise", [2001]),
    ],
)
def test_what_goes_back_says_missed_only_where_something_was_missed(
    decision: str, missed: tuple[bool, ...], what: str, ids: list[int]
) -> None:
    down = prescribed(1, "pull-up", decision, missed, weight=18.0)
    advice = only(inputs(prescribed=[down], planned=[pull(days=2)], load=CALM))
    assert advice.kind is AdviceKind.REGRESS
    assert (advice.evidence[0].what, [id_.int for id_ in advice.evidence[0].ids]) == (what, ids)
    assert advice.evidence[1].value == decision


def test_titles_and_targets_have_a_weight_that_plates_can_make() -> None:
    up = prescribed(1, "pull-up", "progress", (False,), weight=41.6667, display_weight=42.5)
    of = inputs(prescribed=[up], planned=[pull(days=2)], load=CALM)
    advice = only(of)
    assert advice.title == "Pull-up: go on to 3 × 8–10 at 42.5 kg"
    target = advice.changes[0].exercises[0].after.planned[1].target
    assert target is not None
    assert target.weight == 42.5
    assert kinds(replace(of, planned=[pull(days=2, weight=41.6667)])) == []  # it says that already
    assert kinds(replace(of, planned=[pull(days=2, weight=42.5)])) == []


def test_the_first_session_that_was_met_is_enough_for_a_rule_that_waits_for_one() -> None:
    up = prescribed(1, "pull-up", "progress", (False,), weight=22.5)
    assert only(inputs(prescribed=[up], planned=[pull(days=2)])).confidence == pytest.approx(1 / 3, abs=1e-4)


def accepted(kind: AdviceKind, days: int, *plans: Any, slug: str | None = None) -> Standing:
    """Advice that was accepted for a day, and changed these trainings."""
    where = SubjectKind.DAY if slug is None else SubjectKind.EXERCISE
    of = None if slug is None else exercise_id(1, slug)
    subject = AdviceSubject(
        kind=where, day=after(days), workout_id=None if slug is None else UUID(int=1), exercise_id=of
    )
    return Standing(after(days), kind, subject, frozenset(plan.id for plan in plans))


def test_a_lighter_week_that_was_accepted_answers_a_high_load_and_leaves_rest_to_low_readiness() -> None:
    of = inputs(load=HIGH, planned=[pull()], standing=[accepted(AdviceKind.DELOAD, -1)])
    considered = consider(of)
    assert considered.given == []
    assert "A lighter week that you accepted covers this day." in considered.reason
    assert "The day is one of a lighter week, which answers that." in considered.reason
    assert kinds(replace(of, readiness=WORN)) == [AdviceKind.REST]
    assert kinds(replace(of, standing=[accepted(AdviceKind.DELOAD, 0)])) == []
    # Who feels bad on the first day of it rests as on any other one.
    assert kinds(replace(of, readiness=WORN, standing=[accepted(AdviceKind.DELOAD, 0)])) == [AdviceKind.REST]
    assert kinds(replace(of, deload_days=frozenset({DAY}), standing=[])) == []
    assert kinds(replace(of, standing=[])) == [AdviceKind.REST]


def test_a_deload_that_was_accepted_for_a_day_that_comes_is_not_given_again() -> None:
    of = inputs(load=load(*[100.0, 0.0, 100.0, 0.0, 100.0, 0.0, 0.0] * 8, 0.0))
    assert kinds(of) == [AdviceKind.DELOAD]
    assert kinds(replace(of, standing=[accepted(AdviceKind.DELOAD, 1)])) == []
    assert kinds(replace(of, standing=[accepted(AdviceKind.REST, 0)])) == []


def test_rest_moves_nothing_to_a_day_that_accepted_rest_keeps_free() -> None:
    of = inputs(readiness=WORN, planned=[pull()], busy=frozenset({DAY}), standing=[accepted(AdviceKind.REST, 1)])
    assert only(of).changes[0].day_after == after(2)


def test_what_a_deload_made_lighter_stays_so_wherever_it_was_moved() -> None:
    plan = pull(days=8)
    down = prescribed(1, "pull-up", "deload", (True,), weight=18.0)
    of = inputs(prescribed=[down], planned=[plan], habits=[habit("pull-up", "row")])
    assert kinds(of) == [AdviceKind.REGRESS]
    assert kinds(replace(of, standing=[accepted(AdviceKind.DELOAD, -3, plan)])) == []
    assert kinds(replace(of, left=[accepted(AdviceKind.DELOAD, -3, plan)])) == []
    assert kinds(replace(of, standing=[accepted(AdviceKind.DELOAD, -3)])) == [AdviceKind.REGRESS]


def test_a_set_that_accepted_advice_added_stays_and_the_day_says_nothing_more_of_that_exercise() -> None:
    plan = pull(days=2)
    one_more = planned(1, after(2), exercise(1, "pull-up", 4, warmups=1, reps=REPS, weight=20), workout=1)
    assert len(plan.fields["exercises"][0]["sets"]) + 1 == len(one_more.fields["exercises"][0]["sets"])
    up = prescribed(1, "pull-up", "progress", (False,), weight=22.5)
    added = accepted(AdviceKind.BALANCE, -1, one_more, slug="pull-up")
    of = inputs(prescribed=[up], planned=[one_more], load=CALM, standing=[added])
    assert only(of).title == "Pull-up: go on to 4 × 8–10 at 22.5 kg"
    assert only(replace(of, standing=[], left=[added])) == only(of), "undone, and it stays"
    again = replace(of, standing=[accepted(AdviceKind.BALANCE, -8, one_more, slug="pull-up"), added])
    assert only(again).title == "Pull-up: go on to 5 × 8–10 at 22.5 kg", "one each time"
    considered = consider(replace(of, standing=[accepted(AdviceKind.BALANCE, 0, one_more, slug="pull-up")]))
    assert considered.given == []
    assert "You accepted advice about Pull-up for this day; it is told again on another day." in considered.reason


@pytest.mark.parametrize(
    ("unknown", "confidence"), [(0.0, 1.0), (10.0, 0.8), (39.0, 0.5063), (40.0, None), (400.0, None)]
)
def test_balance_tells_the_sets_it_cannot_count_and_is_withheld_where_those_are_most(
    unknown: float, confidence: float | None
) -> None:
    of = [week._replace(unknown=unknown / 4) for week in weeks(30, 10)]
    considered = consider(inputs(weeks=of, load=CALM))
    assert [one.advice.confidence for one in considered.given] == ([] if confidence is None else [confidence])
    said = considered.reason if confidence is None else considered.given[0].advice.reason
    assert (f"Not counted: {unknown:g} more, of names that mean no movement." in said) == bool(unknown)


def test_where_more_is_withheld_the_list_does_not_say_that_nothing_speaks_against_it() -> None:
    down = prescribed(1, "pull-up", "deload", (True,), weight=18.0)
    of = inputs(prescribed=[down], planned=[pull(days=2)], load=HIGH, readiness=FRESH)
    assert consider(of).reason.startswith("Nothing that asks for more is advised: the load is 2.95 times that of four")
    calm = consider(replace(of, load=CALM))
    assert calm.reason.startswith("Neither readiness nor load speaks against going on")
    unsaid = consider(replace(of, load=CALM, readiness=ReadinessInput()))
    assert unsaid.reason == "What is known does not speak against going on. The readiness of the day is not known."


def why_not(of: AdviceInputs, kind: AdviceKind) -> tuple[NotAdvisedBecause, str]:
    (found,) = [one for one in consider(of).not_advised if one.kind is kind]
    return found.because, found.reason


def test_what_nobody_planned_so_that_it_is_known_is_not_told_as_never_planned() -> None:
    """A workout that was changed is no plan of what was done before: it is said so."""
    because, reason = why_not(inputs(), AdviceKind.PREFER)
    assert because is NotAdvisedBecause.UNKNOWN
    assert reason == (
        "What you skip is unknown: of no training of the last 120 days it is known what was planned. That is known of "
        "sets with targets, and where the workout was not changed since."
    )


def test_what_stays_at_more_than_is_planned_is_not_said_to_ask_for_more() -> None:
    stays = prescribed(1, "pull-up", "hold", (False, False), weight=22.5)
    of = inputs(prescribed=[stays], planned=[pull(days=8)], load=CALM, standing=[stands(AdviceKind.DELOAD, 0)])
    because, reason = why_not(of, AdviceKind.HOLD)
    assert because is NotAdvisedBecause.WITHHELD
    assert reason == (
        "“Pull-up: stay at 3 × 8–10 at 22.5 kg” is more than what is planned, but a lighter week that you accepted "
        "covers this day."
    )


@pytest.mark.parametrize(
    ("decision", "plans", "said"),
    [
        ("hold", [pull(days=2)], {"regress": "goes back", "progress": "goes on"}),
        ("progress", [pull(days=2)], {"regress": "goes back", "hold": "stays where it was"}),
        ("deload", [pull(days=2)], {"progress": "goes on", "hold": "stays where it was"}),
    ],
)
def test_what_no_rule_says_is_told_by_what_the_rules_decided(
    decision: str, plans: list[Any], said: dict[str, str]
) -> None:
    of = inputs(prescribed=[prescribed(1, "pull-up", decision, (False,), weight=22.5)], planned=plans, load=CALM)
    assert len(kinds(of)) == 1
    for kind, does in said.items():
        because, reason = why_not(of, AdviceKind(kind))
        assert (because, reason) == (
            NotAdvisedBecause.NOTHING,
            f"No rule of progression {does} after its last session.",
        )


def test_what_a_rule_decided_and_no_training_can_take_is_told_so() -> None:
    up = prescribed(1, "pull-up", "progress", (False,), weight=22.5)
    for plans in ([pull(days=2, weight=22.5)], [pull(days=14)], []):
        _, reason = why_not(inputs(prescribed=[up], planned=plans, load=CALM), AdviceKind.PROGRESS)
        assert reason == (
            "Where a rule of progression goes on, that is planned already, or no training of the next 14 days can take "
            "it."
        )


def test_what_other_advice_spoke_for_is_not_told_as_what_nobody_planned() -> None:
    plan = planned(1, after(3), exercise(1, "dip", reps=8), exercise(1, "squat"), workout=1)
    of = inputs(habits=[habit("dip", "push-up")], planned=[plan])
    today = replace(of, standing=[accepted(AdviceKind.PREFER, 0, slug="dip")])
    assert why_not(today, AdviceKind.PREFER) == (
        NotAdvisedBecause.WITHHELD,
        "You accepted advice about Dip for this day; it is told again on another day.",
    )
    up = prescribed(1, "dip", "progress", (False,), weight=22.5)
    both = replace(of, prescribed=[up], load=CALM)
    assert kinds(both) == [AdviceKind.PROGRESS]
    assert why_not(both, AdviceKind.PREFER) == (
        NotAdvisedBecause.WITHHELD,
        "Other advice of this day is about Dip.",
    )
    resting = inputs(habits=[habit("dip", "push-up")], planned=[replace(plan, fields=plan.fields | {"day": str(DAY)})])
    assert why_not(replace(resting, readiness=WORN), AdviceKind.PREFER)[1] == (
        "The training that plans Dip is changed by the rest that is advised."
    )
    _, nowhere = why_not(replace(of, planned=[]), AdviceKind.PREFER)
    assert nowhere == (
        "Push-up is often done in place of Dip, but no training of the next 14 days plans Dip without it."
    )


def test_days_with_a_load_are_counted_among_those_that_the_risk_is_told_by() -> None:
    """On a day without a load yet, these are the 28 days before it: the first of them counts, and the day does not."""
    days = [100.0, *([0.0] * 27), 0.0]
    of = inputs(load=load(*days))
    assert (risk(of).until, risk(of).known_days) == (after(-1), 1)
    trained = inputs(load=load(*days[:-1], 100.0))
    assert (risk(trained).until, risk(trained).known_days) == (DAY, 1)


def test_how_long_the_load_is_known_is_told_by_the_first_training() -> None:
    _, reason = why_not(inputs(load=load(100.0, *[0.0] * 11, 100.0)), AdviceKind.DELOAD)
    assert reason == (
        "Whether a lighter week is due is unknown: the first training with a load was 12 days ago, and 28 days are "
        "looked at."
    )


def test_going_back_shows_the_sessions_that_the_rule_decided_by() -> None:
    down = prescribed(1, "pull-up", "deload", (True,) * 6, weight=18.0)
    down = replace(down, deciding=frozenset(id_ for id_, _, _ in down.sessions[-2:]))
    evidence = only(inputs(prescribed=[down], planned=[pull(days=2)], load=CALM)).evidence[0]
    assert (evidence.value, evidence.ids) == (2, [UUID(int=2004), UUID(int=2005)])


def test_a_lighter_week_that_is_not_asked_for_says_how_near_it_is() -> None:
    missed = prescribed(1, "dip", "hold", (True, True))
    because, reason = why_not(inputs(load=HIGH, readiness=FRESH, prescribed=[missed]), AdviceKind.DELOAD)
    assert because is NotAdvisedBecause.NOTHING
    assert reason == (
        "No lighter week is asked for: the load was above its usual range on 2 of the last 14 days (10 are needed); "
        "strain was far above that of the four weeks before on 5 of the last 14 days (10 are needed); targets were "
        "missed 2 times in a row in 1 workout (2 are needed); there are 4 weeks of load (8 are needed to see that none "
        "was lighter)."
    )
    eight = load(*[100.0, 0.0, 100.0, 0.0, 100.0, 0.0, 0.0] * 4, 50.0, *[0.0] * 6, *[100.0, *[0.0] * 6] * 3, 0.0)
    _, reason = why_not(inputs(load=eight), AdviceKind.DELOAD)
    assert reason.endswith("; the lightest of 8 weeks had 0.26 of their mean load (below 0.7 is light).")


def test_push_and_pull_are_not_called_balanced_where_unknown_names_may_say_otherwise() -> None:
    def known(push: float, pull: float, unknown: float) -> tuple[NotAdvisedBecause, str]:
        of = inputs(weeks=[WeekSets(DAY, push, pull, unknown)])
        return why_not(of, AdviceKind.BALANCE)

    assert known(18, 18, 9) == (
        NotAdvisedBecause.NOTHING,
        (
            "You did 18 hard sets of push and 18 of pull in 28 days. Not counted: 9 more, of names that mean no "
            "movement. That is balanced, whichever of the two these are of."
        ),
    )
    assert known(18, 18, 10) == (
        NotAdvisedBecause.UNKNOWN,
        (
            "You did 18 hard sets of push and 18 of pull in 28 days. Not counted: 10 more, of names that mean no "
            "movement. Whether push and pull are balanced depends on what these are."
        ),
    )
    assert known(18, 18, 36)[0] is NotAdvisedBecause.UNKNOWN
    assert "You did 1 hard set of push and 0 of pull in 28 days." in known(1, 0, 0)[1]


def test_a_readiness_that_hardly_anything_is_known_of_withholds_nothing() -> None:
    up = prescribed(1, "pull-up", "progress", (False, False, False), weight=22.5)
    of = inputs(prescribed=[up], planned=[pull(days=2)], load=CALM, readiness=ReadinessInput(33.3, 0.0536, "Lighter."))
    assert kinds(of) == [AdviceKind.PROGRESS]
    assert why_not(replace(of, readiness=ReadinessInput(33.3, 0.1, "Lighter.")), AdviceKind.PROGRESS)[0] == "withheld"
