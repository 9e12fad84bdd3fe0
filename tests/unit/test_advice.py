"""Advice: each rule by itself, what it changes, that none contradicts another, and that less data is less sure."""

import datetime as dt
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.advice import advise, risk, summary
from analytics.advice_changes import lightened, moved
from analytics.advice_exercises import words
from analytics.advice_inputs import AdviceInputs, GoalInput, LoadInput, ReadinessInput, RecordInput, Standing, WeekSets
from models.advice import (
    AcceptedAdvice,
    Advice,
    AdviceKind,
    AdviceReport,
    AdviceSubject,
    LoadPosition,
    SubjectKind,
    accepted_content,
    told,
    undone_content,
)
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
WORN = ReadinessInput(31.0, 0.8)
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
    assert summary([]) == "Nothing speaks for changing what is planned."
    found = risk(inputs())
    assert (found.position, found.ratio, found.acute, found.measure) == (LoadPosition.UNKNOWN, None, None, None)


def test_rest_where_readiness_is_low_moves_the_training_to_the_next_day_without_one() -> None:
    plans = [pull(), pull(days=1, number=2)]
    of = inputs(readiness=WORN, load=CALM, planned=plans, busy=frozenset({DAY, after(1)}))
    advice = only(of)
    assert advice.kind is AdviceKind.REST
    assert advice.reason.startswith("Your readiness is 31 of 100, where 50 is your usual day.")
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
    assert "times that of 28" in advice.reason
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
    assert "8 weeks without a lighter one" in only(inputs(load=load(*week * 8))).reason
    assert kinds(inputs(load=load(*week * 4, 50.0, *[0.0] * 6, *week * 3))) == []  # the fifth week was light
    assert kinds(inputs(load=load(*(week * 8)[1:]))) == []  # a day short of 8 weeks


@pytest.mark.parametrize("near", [-7, 0, 6])
def test_no_deload_beside_one_that_is_planned_or_was_accepted(near: int) -> None:
    of = inputs(load=load(*[100.0, 0.0, 100.0, 0.0, 100.0, 0.0, 0.0] * 8))
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
        f"All sets reached the top. Your goal “Pull-ups with 30 kg”, due on {after(60)}, is behind."
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
    assert advice.confidence == 0.9
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


@pytest.mark.parametrize(("weight", "kind"), [(22.5, AdviceKind.PROGRESS), (18.0, AdviceKind.REGRESS)])
def test_what_was_planned_before_the_walk_went_on_is_brought_up_to_it(weight: float, kind: AdviceKind) -> None:
    hold = prescribed(1, "pull-up", "hold", (False, True), weight=weight)
    of = inputs(prescribed=[hold], planned=[pull(days=2)], load=CALM)
    advice = only(of)
    assert (advice.kind, advice.title) == (kind, f"Pull-up: stay at 3 × 8–10 at {weight:g} kg")
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
    if (told_of | standing) & RECOVER:
        assert not told_of & {AdviceKind.PROGRESS, AdviceKind.BALANCE}
    assert not told_of >= RECOVER
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
    found = advise(of)
    report: dict[str, Any] = {
        "user_id": USER,
        "day": DAY,
        "as_of": "2026-03-02T12:00:00Z",
        "method": {"version": 1, "rules": {}},
        "advice": [told(one.advice.model_dump(mode="json", by_alias=True)) for one in found],
        "reason": summary(found),
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
        said = orjson.loads(undone_content(document, {plan.id: 2 for plan, _ in one_given.after}))
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
        (load(*[100.0] * 28, *[0.0] * 7), LoadPosition.BELOW, "is below the usual range: 0.00"),
        (load(*[100.0] * 27), LoadPosition.UNKNOWN, "less than 28 days ago"),
        (LoadInput(), LoadPosition.UNKNOWN, "no completed training has a load"),
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
        ({"weight": -12.5, "reps": 5}, "3 × 5 with 12.5 kg of help"),
        ({"weight": None, "reps": None, "hold_seconds": 30.0}, "3 × 30 s"),
        ({"weight": None, "reps": None}, "3 sets"),
        ({"weight": None, "reps": RepRangeDocument(min=3, max=5)}, "3 × 3–5"),
    ],
)
def test_a_prescription_in_words(aims: dict[str, Any], text: str) -> None:
    assert words(prescribed(1, "dip", "progress", **aims)) == text
