"""The arithmetic of volume: each rule by an example, and what must hold whatever the training is."""

import datetime as dt
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from analytics.volume import (
    POUND_KG,
    daily_volumes,
    fold,
    is_hard,
    kilograms,
    seconds_per_rep,
    session_rpe_load,
    session_volume,
)
from models.events import EventType, TrainingEvent, TrainingPayload
from models.exercises import Catalogue, Facts, Movement
from models.metrics import ZERO, ExerciseVolume, SessionVolume, Volume
from models.naming import Meaning
from models.performed import PerformedEvent, PerformedExercise, PerformedSet, PerformedTraining
from models.sets import SetDocument, SetType, Unit
from models.trainings import ExerciseDocument, TrainingCreate, exercises_json, training_fields
from tests.support.bodies import create_body, trainings, uuid

PUSH_UP, LEVER = ("push-up", 1), ("front-lever", 1)
CATALOGUE = Catalogue.of(
    [
        Movement(*PUSH_UP, "Push-up", "Push", "reps", 2, Decimal("0.64"), "push-up"),
        Movement("assisted-push-up", 1, "Easier push-up", "Push", "reps", 1, Decimal("0.64"), "push-up"),
        Movement(*LEVER, "Front lever", "Skill", "hold", 8, None, "front-lever"),
        Movement("bench-press", 1, "Bench press", "Push", "reps", 3, Decimal(0), "bench"),
        Movement("back-squat", 1, "Squat", "Legs", "reps", 4, Decimal("0.85"), "squat", ["barbell"]),
    ]
)
MOVEMENTS = CATALOGUE.facts
SLUGS = tuple(slug for slug, _ in MOVEMENTS)
TRAINING, USER = uuid(1), uuid(9)


def payload(body: TrainingCreate, version: int = 1, training: UUID = TRAINING, user: UUID = USER) -> TrainingPayload:
    """The event's payload for a body, by way of the JSON that is published."""
    fields = training_fields(body, exercises_json(training, body.exercises, CATALOGUE))
    return TrainingPayload.model_validate_json(
        f'{{"training_id":"{training}","user_id":"{user}","version":{version},{fields}}}'
    )


def event(body: TrainingCreate, type_: EventType = EventType.TRAINING_CREATED, **ids: Any) -> TrainingEvent:
    moment = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
    return TrainingEvent(event_id=uuid(7), event_type=type_, timestamp=moment, payload=payload(body, **ids))


def volume_of(*sets: dict[str, Any], exercise: str | None = None, **fields: Any) -> Volume:
    """The volume of a training of one exercise with these sets."""
    named = {"exercise": exercise} if exercise else {}
    body = create_body(exercises=[{"name": "x", "sets": list(sets)} | named], **fields)
    return session_volume(payload(body), MOVEMENTS).volume


bodies = trainings(SLUGS).map(lambda body: create_body(**body))


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        (PerformedEvent, TrainingEvent),
        (PerformedTraining, TrainingPayload),
        (PerformedExercise, ExerciseDocument),
        (PerformedSet, SetDocument),
    ],
)
def test_what_is_read_of_an_event_is_a_part_of_it(part: type[BaseModel], whole: type[BaseModel]) -> None:
    nested = {"payload", "exercises", "sets"}
    for name, field in part.model_fields.items():
        same = whole.model_fields[name]
        assert (field.is_required(), field.default, field.metadata) == (
            same.is_required(),
            same.default,
            same.metadata,
        )
        assert name in nested or field.annotation == same.annotation


@given(bodies)
def test_what_is_read_of_an_event_says_the_same(body: TrainingCreate) -> None:
    whole = event(body)
    part = PerformedEvent.model_validate_json(whole.model_dump_json())
    assert fold(part, MOVEMENTS, 3) == fold(whole, MOVEMENTS, 3)


def test_external_load_is_weight_times_reps() -> None:
    volume = volume_of({"weight": 100, "reps": 5}, {"weight": 102.5, "reps": 3})
    assert (volume.sets, volume.reps, volume.external_load_kg) == (2, 8, Decimal("807.5"))


def test_assistance_is_no_negative_load() -> None:
    assert volume_of({"weight": -20, "reps": 5}, {"weight": 10, "reps": 2}).external_load_kg == 20


def test_pounds_are_converted_exactly() -> None:
    assert volume_of({"weight": 225.5, "unit": "lb", "reps": 3}).external_load_kg == Decimal("306.855238305")


def test_warm_ups_count_in_all_but_hard_sets() -> None:
    volume = volume_of({"weight": 60, "reps": 5, "type": "warmup"}, {"weight": 100, "reps": 5})
    assert (volume.sets, volume.reps, volume.hard_sets, volume.external_load_kg) == (2, 10, 1, 800)


@pytest.mark.parametrize(
    ("set_", "hard"),
    [
        ({"reps": 5}, True),
        ({"reps": 5, "rpe": 7}, True),
        ({"reps": 5, "rpe": 6.9}, False),
        ({"reps": 5, "rpe": 10, "type": "warmup"}, False),
        ({"reps": 5, "type": "drop"}, True),
        ({"reps": 0, "duration_seconds": 30}, True),
    ],
)
def test_hard_sets(set_: dict[str, Any], hard: bool) -> None:
    assert volume_of(set_).hard_sets == hard


def test_sets_that_were_not_done_and_their_exercises_leave_nothing() -> None:
    body = create_body(exercises=[{"name": "x", "sets": [{"weight": 100, "reps": 5, "done": False}]}])
    assert session_volume(payload(body), MOVEMENTS) == SessionVolume()


def test_an_exercise_keeps_its_place() -> None:
    body = create_body(exercises=[{"name": "planned", "sets": []}, {"name": "done", "sets": [{"reps": 1}]}])
    (exercise,) = session_volume(payload(body), MOVEMENTS).exercises
    assert (exercise.position, exercise.name) == (2, "done")


def test_a_hold_is_a_set_with_a_duration_and_neither_reps_nor_distance() -> None:
    volume = volume_of(
        {"duration_seconds": 30.5},
        {"duration_seconds": 1800, "distance_m": 5000},
        {"duration_seconds": 60, "reps": 10},
        {"duration_seconds": 20, "distance_m": 0},
    )
    assert (volume.hold_seconds, volume.time_under_tension_seconds) == (Decimal("50.5"), Decimal("50.5"))


def test_time_under_tension_of_a_tempo() -> None:
    volume = volume_of({"reps": 5, "tempo": "3-0-1-0"}, {"reps": 4, "tempo": "3-1-X-0"}, {"reps": 9})
    assert volume.time_under_tension_seconds == 5 * 4 + 4 * 5
    assert volume.hold_seconds == 0


def test_tempo() -> None:
    assert [seconds_per_rep(tempo) for tempo in ("3-0-1-0", "X-X-X-X", "10-0-X-2")] == [4, 4, 13]


def test_system_load_of_a_bodyweight_movement() -> None:
    sets = ({"reps": 10}, {"reps": 5, "weight": 10}, {"reps": 2, "weight": -60})
    volume = volume_of(*sets, exercise="push-up", bodyweight_kg=80.5)
    assert volume.system_load_kg == Decimal("51.52") * 10 + Decimal("61.52") * 5  # more help than load: 0
    assert volume.system_load_sets == 3


@pytest.mark.parametrize(
    ("exercise", "bodyweight", "known"),
    [
        ("push-up", None, None),  # the body mass is not known
        ("front-lever", 80, None),  # the catalogue knows no fraction
        (None, 80, None),  # a free-form exercise
        ("bench-press", None, Decimal(500)),  # nothing of the body is lifted
    ],
)
def test_system_load_is_known_or_left_out(
    exercise: str | None, bodyweight: float | None, known: Decimal | None
) -> None:
    mass = {"bodyweight_kg": bodyweight} if bodyweight else {}
    volume = volume_of({"weight": 100, "reps": 5}, exercise=exercise, **mass)
    assert (volume.system_load_kg, volume.system_load_sets) == (known, int(known is not None))


def test_system_load_without_a_repetition_is_known_to_be_nothing() -> None:
    volume = volume_of({"weight": 20, "duration_seconds": 30}, {"weight": 100, "reps": 5})
    assert (volume.system_load_kg, volume.system_load_sets, volume.sets) == (0, 1, 2)


def test_the_revision_that_was_logged_decides() -> None:
    body = create_body(exercises=[{"name": "x", "exercise": "push-up", "sets": [{"reps": 1}]}], bodyweight_kg=100)
    later = {**MOVEMENTS, ("push-up", 2): Facts(Decimal("0.7"))}
    assert session_volume(payload(body), later).volume.system_load_kg == 64


@pytest.mark.parametrize(
    ("sets", "heaviest"),
    [
        ([{"weight": 100, "reps": 5}, {"weight": 110, "reps": 0}], 100),  # a failed attempt lifts nothing
        ([{"weight": -20, "reps": 5}, {"weight": -10, "reps": 3}], -10),
        ([{"weight": 10, "duration_seconds": 30}], 10),
        ([{"weight": 110, "reps": 0}], None),
        ([{"weight": 110, "reps": 5, "done": False}, {"weight": 100, "reps": 1}], 100),
        ([{"weight": 110, "reps": 1, "type": "warmup"}, {"weight": 100, "reps": 1, "type": "drop"}], 100),
        ([{"weight": 110, "reps": 1, "type": "warmup"}], None),
    ],
)
def test_greatest_weight(sets: list[dict[str, Any]], heaviest: int | None) -> None:
    (exercise,) = session_volume(payload(create_body(exercises=[{"name": "x", "sets": sets}])), MOVEMENTS).exercises
    assert exercise.max_weight_kg == heaviest


@pytest.mark.parametrize(
    ("rpe", "seconds", "load"),
    [
        ("7.5", 3600, "450"),
        ("7", 100, "11.6667"),
        ("5", 1, "0.0833"),
        ("0.031", 45789, "23.6577"),
        (None, 60, None),
        ("7", None, None),
    ],
)
def test_session_rpe_load(rpe: str | None, seconds: int | None, load: str | None) -> None:
    expected = None if load is None else Decimal(load)
    assert session_rpe_load(None if rpe is None else Decimal(rpe), seconds) == expected


LIFT = {"weight": 100, "reps": 5}
PUSH_UPS = {"name": "x", "exercise": "push-up", "sets": [{"reps": 10}, {"reps": 2, "type": "warmup"}]}
LEVERS = {"name": "y", "exercise": "front-lever", "sets": [{"duration_seconds": 10}, {"duration_seconds": 30.5}]}


def session_of(*exercises: dict[str, Any], **fields: Any) -> SessionVolume:
    """The figures of a training of these exercises."""
    return session_volume(payload(create_body(exercises=list(exercises), **fields)), MOVEMENTS)


def test_work_is_repetitions_and_seconds_of_holds_by_category() -> None:
    session = session_of(PUSH_UPS, LEVERS, {"name": "free", "sets": [LIFT]}, duration_seconds=600)
    assert [exercise.work for exercise in session.exercises] == [12, Decimal("13.5"), 5]
    assert [(exercise.category, exercise.family, exercise.difficulty) for exercise in session.exercises] == [
        ("Push", "push-up", 2),
        ("Skill", "front-lever", 8),
        (None, None, None),
    ]
    assert (session.skill_work, session.strength_work) == (Decimal("13.5"), 12)
    assert session.estimated_intensity == Decimal("5.1765")  # (2 * 12 + 8 * 13.5) / 25.5
    assert session.density == Decimal("3.05")  # 30.5 in 10 minutes


def test_a_third_of_a_hold_is_rounded_once_for_the_exercise() -> None:
    thirds = {"name": "x", "exercise": "front-lever", "sets": [{"duration_seconds": 20}] * 2}
    session = session_of(thirds, thirds)
    assert [exercise.work for exercise in session.exercises] == [Decimal("13.3333")] * 2
    assert session.skill_work == Decimal("26.6666")


@pytest.mark.parametrize("seconds", [0, None])
def test_no_duration_no_density(seconds: int | None) -> None:
    fields = {} if seconds is None else {"duration_seconds": seconds}
    assert session_of(PUSH_UPS, **fields).density is None


def test_no_known_difficulty_no_estimated_intensity() -> None:
    session = session_of({"name": "free", "sets": [LIFT]})
    assert (session.estimated_intensity, session.skill_work, session.strength_work) == (None, 0, 0)


def test_relative_intensity_is_the_mean_over_sets_and_not_over_exercises() -> None:
    one = {"name": "x", "sets": [{"weight": 100, "reps": 1}, {"weight": 20, "reps": 1, "type": "warmup"}]}
    two = {"name": "y", "sets": [{"weight": 80, "reps": 5, "rpe": 10}, {"weight": 80, "reps": 10}]}
    session = session_of(one, two, LEVERS)
    assert [exercise.relative_intensity for exercise in session.exercises] == [1, Decimal("0.8076"), None]
    assert session.relative_intensity == Decimal("0.8718")  # (1 + 0.865255 + 0.75) / 3


@pytest.mark.parametrize(
    ("exercise", "bodyweight", "sets", "best"),
    [
        (None, None, [LIFT, {"weight": 105, "reps": 3}], ("116.6667", 100, 5)),
        (None, 80, [{"reps": 5}], None),  # nothing is known of what was lifted
        ("front-lever", 80, [{"weight": 10, "reps": 1}], (10, 10, 1)),  # of no known fraction: the weight alone
        ("bench-press", None, [LIFT], ("116.6667", 100, 5)),
        ("bench-press", None, [{"weight": 100, "reps": 13}], None),
        ("push-up", 100, [{"weight": 11, "reps": 10}], (36, 11, 10)),  # 75 kg ten times, less the body's 64
        ("push-up", 100, [{"weight": -34, "reps": 10}], (-24, -34, 10)),
        ("push-up", None, [{"weight": 11, "reps": 10}], None),
        ("back-squat", 100, [LIFT], ("116.6667", 100, 5)),  # of the barbell alone, as lifters know it
        ("push-up", 100, [{"weight": 20, "reps": 5, "done": False}, {"weight": 2, "duration_seconds": 9}], None),
    ],
)
def test_best_e1rm(
    exercise: str | None, bodyweight: float | None, sets: list[dict[str, Any]], best: tuple[Any, int, int] | None
) -> None:
    named = {"exercise": exercise} if exercise else {}
    mass = {"bodyweight_kg": bodyweight} if bodyweight else {}
    session = session_of({"name": "x", "sets": [{"reps": 0}, *sets]} | named, **mass)
    (figures,) = session.exercises
    expected = (None, None, None) if best is None else (Decimal(best[0]), best[1], best[2])
    assert (figures.e1rm_kg, figures.e1rm_weight_kg, figures.e1rm_reps) == expected


def test_the_longest_hold_and_the_rep_maxima() -> None:
    sets = [LIFT, {"weight": 100, "reps": 3}, {"weight": 20, "unit": "lb", "reps": 12}, {"weight": -5.5, "reps": 12}]
    session = session_of({"name": "x", "sets": sets}, LEVERS)
    assert [exercise.rep_maxima for exercise in session.exercises] == ["[[100, 5], [9.0718474, 12]]", None]
    assert [exercise.longest_hold_seconds for exercise in session.exercises] == [None, Decimal("30.5")]


def test_warm_ups_are_no_best_set() -> None:
    warm_ups = [{"weight": 120, "reps": 12, "type": "warmup"}, {"duration_seconds": 90, "type": "warmup"}]
    (figures,) = session_of({"name": "x", "sets": [*warm_ups, LIFT, {"duration_seconds": 10}]}).exercises
    assert (figures.e1rm_kg, figures.e1rm_weight_kg, figures.e1rm_reps) == (Decimal("116.6667"), 100, 5)
    assert (figures.rep_maxima, figures.longest_hold_seconds, figures.max_weight_kg) == ("[[100, 5]]", 10, 100)
    assert (figures.volume.sets, figures.volume.external_load_kg, figures.volume.hold_seconds) == (4, 1940, 100)
    (figures,) = session_of({"name": "x", "sets": warm_ups}).exercises
    assert (figures.e1rm_kg, figures.rep_maxima, figures.longest_hold_seconds) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "slug", "means", "e1rm"),
    [
        ("Pull Up (Assisted)", None, None, None),
        ("assisted push-up", "push-up", None, "-1"),
        ("x", "assisted-push-up", None, "-1"),
        ("x", None, Meaning(1, "assisted-push-up", 1, None, Facts(Decimal("0.64"))), "-1"),
        ("x", None, Meaning(1, None, 1, "band-assisted"), None),
    ],
)
def test_a_positive_weight_of_an_assisted_exercise_is_no_best_set(
    name: str, slug: str | None, means: Meaning | None, e1rm: str | None
) -> None:
    sets = [{"weight": 45, "reps": 8}, {"weight": 20, "reps": 8}, {"weight": 10, "duration_seconds": 20}]
    exercise = {"name": name, "sets": sets} | ({"exercise": slug} if slug else {})
    meanings = {"x": means} if means else {}

    def figures_of(*more: dict[str, Any]) -> ExerciseVolume:
        training = payload(create_body(exercises=[exercise | {"sets": [*sets, *more]}], bodyweight_kg=100))
        (figures,) = session_volume(training, MOVEMENTS, meanings).exercises
        return figures

    figures = figures_of()
    assert (figures.e1rm_kg, figures.e1rm_weight_kg, figures.e1rm_reps) == (None, None, None)
    assert (figures.rep_maxima, figures.max_weight_kg) == (None, None)
    assert (figures.volume.external_load_kg, figures.longest_hold_seconds) == (520, 20)  # volume is as it was logged
    figures = figures_of({"weight": -20, "reps": 8}, {"weight": -10, "reps": 5})
    assert (figures.rep_maxima, figures.max_weight_kg) == ("[[-10, 5], [-20, 8]]", -10)
    assert figures.e1rm_kg == (None if e1rm is None else Decimal(e1rm))


@given(bodies)
def test_bounds_of_session_figures(body: TrainingCreate) -> None:
    session = session_volume(payload(body), MOVEMENTS)
    known = [exercise for exercise in session.exercises if exercise.category is not None]
    assert session.skill_work + session.strength_work == sum((exercise.work for exercise in known), ZERO)
    rated = [exercise.difficulty for exercise in known if exercise.work and exercise.difficulty is not None]
    assert (session.estimated_intensity is not None) == bool(rated)
    if session.estimated_intensity is not None:
        assert min(rated) <= session.estimated_intensity <= max(rated)
    means = [exercise.relative_intensity for exercise in session.exercises if exercise.relative_intensity is not None]
    assert (session.relative_intensity is not None) == bool(means)
    if session.relative_intensity is not None:
        assert Decimal("0.5") <= min(means) <= session.relative_intensity <= max(means) <= 1
    for exercise in session.exercises:
        assert exercise.rep_maxima is None or exercise.volume.reps > 0
        assert (exercise.longest_hold_seconds or 0) <= exercise.volume.hold_seconds
        if exercise.rep_maxima is not None:
            maxima = orjson.loads(exercise.rep_maxima)
            assert maxima == sorted(maxima, key=lambda set_: (-set_[0], set_[1]))
            assert all(lighter[1] > heavier[1] for heavier, lighter in pairwise(maxima))


@pytest.mark.parametrize("status", ["PLANNED", "IN_PROGRESS"])
def test_what_is_not_completed_does_not_count(status: str) -> None:
    body = create_body(status=status, duration_seconds=60, exercises=[{"name": "x", "sets": [{"reps": 5}]}])
    folded = fold(event(body), MOVEMENTS, 5)
    assert not folded.counted
    assert not folded.deleted
    assert folded.session == SessionVolume()
    assert daily_volumes([folded]) == {}


def test_what_is_deleted_does_not_count() -> None:
    body = create_body(status="COMPLETED", exercises=[{"name": "x", "sets": [{"reps": 5}]}])
    folded = fold(event(body, EventType.TRAINING_DELETED, version=2), MOVEMENTS, 6)
    assert (folded.counted, folded.deleted, folded.version, folded.source_seq) == (False, True, 2, 6)
    assert folded.session == SessionVolume()


def test_a_day_is_the_sum_of_its_counted_trainings() -> None:
    squats = [{"name": "x", "exercise": "bench-press", "sets": [{"reps": 5, "weight": 100}]}, LEVERS]
    first = create_body(status="COMPLETED", exercises=squats, session_rpe=8, duration_seconds=600)
    second = create_body(status="COMPLETED", exercises=squats, duration_seconds=300)
    folded = [
        fold(event(body, training=uuid(place)), MOVEMENTS, place) for place, body in enumerate((first, second), 1)
    ]
    (day,) = daily_volumes(folded).values()
    assert (day.sessions, day.volume.external_load_kg, day.duration_seconds) == (2, 1000, 900)
    assert (day.session_rpe_load, day.source_seq) == (80, 2)
    assert (day.skill_work, day.strength_work) == (27, 10)


def test_the_largest_training_there_can_be_is_exact() -> None:
    """Every sum fits the digits of the decimal context: none is rounded."""
    heavy = SetDocument(id=uuid(1), order=1, weight=9999.9999, unit=Unit.LB, reps=100_000)
    exercises = [{"id": uuid(2), "name": "x", "exercise": "push-up", "exercise_revision": 1, "sets": [heavy] * 500}]
    body = create_body()
    training = payload(body).model_copy(update={"bodyweight_kg": 999.9999})
    training = TrainingPayload.model_validate(training.model_dump() | {"exercises": exercises * 200})
    volume = session_volume(training, {PUSH_UP: Facts(Decimal("1.9999"))}).volume
    count = 100_000 * 500 * 200
    kg = 99999999 * 45359237  # 10^-12 kg
    assert volume.external_load_kg * 10**12 == kg * count
    assert volume.system_load_kg is not None
    assert volume.system_load_kg * 10**12 == (kg + 9999999 * 19999 * 10**4) * count


@given(st.integers(-20_000_000, 100_000_000))
def test_weights_are_taken_as_entered(ten_thousandths: int) -> None:
    entered = Decimal(ten_thousandths) / 10_000
    assert kilograms(float(entered), Unit.KG) == entered
    assert kilograms(float(entered), Unit.LB) == entered * POUND_KG


@given(bodies)
def test_volume_is_the_sum_over_exercises(body: TrainingCreate) -> None:
    whole = session_volume(payload(body), MOVEMENTS)
    parts = [
        session_volume(payload(body.model_copy(update={"exercises": [exercise]})), MOVEMENTS).volume
        for exercise in body.exercises
    ]
    assert whole.volume == Volume.total(parts)
    assert whole.volume == Volume.total([exercise.volume for exercise in whole.exercises])


@given(bodies, st.randoms())
def test_the_order_of_sets_and_exercises_changes_no_figure(body: TrainingCreate, random: Any) -> None:
    training = payload(body)
    exercises = [
        exercise.model_copy(update={"sets": random.sample(exercise.sets, len(exercise.sets))})
        for exercise in random.sample(training.exercises, len(training.exercises))
    ]
    shuffled = training.model_copy(update={"exercises": exercises})
    before, after = session_volume(training, MOVEMENTS), session_volume(shuffled, MOVEMENTS)
    assert after._replace(exercises=()) == before._replace(exercises=())
    figures, same = ([exercise[4:] for exercise in session.exercises] for session in (before, after))
    assert Counter(same) == Counter(figures)


@given(bodies)
def test_sets_that_were_not_done_change_nothing(body: TrainingCreate) -> None:
    training = payload(body)
    done = [
        exercise.model_copy(update={"sets": [set_ for set_ in exercise.sets if set_.done]})
        for exercise in training.exercises
    ]
    assert session_volume(training.model_copy(update={"exercises": done}), MOVEMENTS) == session_volume(
        training, MOVEMENTS
    )


@given(bodies)
def test_bounds(body: TrainingCreate) -> None:
    volume = session_volume(payload(body), MOVEMENTS).volume
    assert 0 <= volume.hard_sets <= volume.sets
    assert 0 <= volume.system_load_sets <= volume.sets
    assert (volume.system_load_kg is None) == (volume.system_load_sets == 0)
    assert volume.external_load_kg >= ZERO
    assert ZERO <= volume.hold_seconds <= volume.time_under_tension_seconds


@given(bodies)
def test_what_is_said_in_pounds_or_kilograms_weighs_the_same(body: TrainingCreate) -> None:
    training = payload(body)

    def in_(unit: Unit) -> Volume:
        exercises = [
            exercise.model_copy(update={"sets": [set_.model_copy(update={"unit": unit}) for set_ in exercise.sets]})
            for exercise in training.exercises
        ]
        return session_volume(training.model_copy(update={"exercises": exercises}), MOVEMENTS).volume

    assert in_(Unit.LB).external_load_kg == in_(Unit.KG).external_load_kg * POUND_KG


def test_is_hard_knows_every_type() -> None:
    sets = [SetDocument(id=uuid(1), order=1, weight=0, reps=1, type=type_) for type_ in SetType]
    assert [is_hard(set_) for set_ in sets] == [type_ is not SetType.WARMUP for type_ in SetType]
