"""What a training is, without a database."""

import datetime as dt
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.errors import UnknownExercise, Unprocessable
from models.exercises import Catalogue, Movement
from models.trainings import (
    ExerciseDocument,
    TrainingCreate,
    TrainingUpdate,
    document_json,
    exercises_json,
    training_fields,
)
from tests.support.bodies import EMPTY, create_body, squat, trainings, uuid

NOTHING = Catalogue.of([])
T = uuid(1)
SET = ("exercises", 0, "sets", 0)


def movement(slug: str, revision: int) -> Movement:
    return Movement(slug, revision, slug, "Push", "reps", 1, None)


def stored(body: TrainingCreate | TrainingUpdate, catalogue: Catalogue = NOTHING) -> list[dict]:
    exercises: list[dict] = orjson.loads(exercises_json(T, body.exercises, catalogue))
    return exercises


@given(trainings())
def test_every_exercise_and_set_gets_an_id_that_survives_being_sent_again(body: dict) -> None:
    read = TrainingUpdate.model_validate_json(orjson.dumps(body))
    first = stored(read)
    assert stored(read) == first
    again = TrainingUpdate.model_validate_json(orjson.dumps(body | {"exercises": first}))
    assert stored(again) == first


@given(st.permutations(range(4)), st.sets(st.integers(0, 3)))
def test_ids_stay_unique_when_a_client_moves_things_and_drops_some_ids(order: list[int], dropped: set[int]) -> None:
    before = stored(create_body(exercises=[squat(sets=2) for _ in range(4)]))
    moved = [dict(before[i]) for i in order]
    for i in dropped:
        del moved[i]["id"]
    ids = [exercise["id"] for exercise in stored(create_body(exercises=moved))]
    assert len(set(ids)) == 4
    assert all(ids[i] == moved[i]["id"] for i in range(4) if i not in dropped)


@given(trainings())
def test_a_document_says_what_the_body_said(body: dict) -> None:
    read = TrainingUpdate.model_validate_json(orjson.dumps(body))
    fields = training_fields(read, exercises_json(T, read.exercises, NOTHING))
    document = orjson.loads(
        document_json(
            id=T, user_id=T, source_id='a"b', version=3, fields=fields, created_at=read.date, updated_at=read.date
        )
    )
    assert document["source_id"] == 'a"b'
    assert document["version"] == 3
    again = TrainingUpdate.model_validate_json(orjson.dumps(document))
    assert (again.date, again.status, again.title, again.notes) == (read.date, read.status, read.title, read.notes)
    for one, other in zip(again.exercises, read.exercises, strict=True):
        assert [set_.weight for _, set_ in one.ordered()] == [set_.weight for _, set_ in other.ordered()]


def test_numbers_are_written_as_people_write_them() -> None:
    body = create_body(exercises=[squat(weight=100.0, sets=1), squat(weight=-12.5), squat(weight=0.0001)])
    assert '"weight":100,' in exercises_json(T, body.exercises, NOTHING)
    assert [e["sets"][0]["weight"] for e in stored(body)] == [100, -12.5, 0.0001]


def test_sets_are_numbered_from_one_or_stand_in_the_order_given() -> None:
    body = create_body(exercises=[squat(sets=2), {"name": "x", "sets": [{"order": 7}, {"order": 0}]}])
    assert [[set_["order"] for set_ in exercise["sets"]] for exercise in stored(body)] == [[1, 2], [0, 7]]


def test_an_exercise_names_the_latest_revision_unless_the_client_names_one() -> None:
    catalogue = Catalogue.of([movement("dip", 1), movement("dip", 2)])
    body = create_body(exercises=[squat(exercise="dip"), squat(exercise="dip", exercise_revision=1)])
    assert [exercise["exercise_revision"] for exercise in stored(body, catalogue)] == [2, 1]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"exercise": "nope"}, "/exercises/1/exercise"),
        ({"exercise": "dip", "exercise_revision": 9}, "/exercises/1/exercise_revision"),
    ],
)
def test_what_the_catalogue_lacks_is_refused_by_its_place(fields: dict, pointer: str) -> None:
    body = create_body(exercises=[squat(), squat(**fields)])
    with pytest.raises(UnknownExercise) as refused:
        stored(body, Catalogue.of([movement("dip", 1)]))
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("date", "zone", "day"),
    [
        ("2026-01-05T23:30:00Z", "Pacific/Kiritimati", "2026-01-06"),
        ("2026-01-05T04:30:00Z", "America/Los_Angeles", "2026-01-04"),
        ("2026-01-05T00:30:00+02:00", "UTC", "2026-01-04"),
    ],
)
def test_the_day_is_the_athletes(date: str, zone: str, day: str) -> None:
    assert str(create_body(date=date, timezone=zone).local_day()) == day


def test_a_client_of_any_version_says_the_same_with_the_same_body() -> None:
    """The digest as it was before targets, workouts and the like were known: retries of older clients still agree."""
    body = create_body(
        id=str(uuid(7)),
        source_id="strong:1",
        date="2026-01-05T13:00:00+01:00",
        timezone="Europe/Berlin",
        status="COMPLETED",
        title="Legs",
        duration_seconds=3600,
        session_rpe=7.5,
        bodyweight_kg=81.25,
        notes="n",
        exercises=[
            {
                "name": "Squat",
                "exercise": "pistol-squat",
                "superset": 1,
                "notes": "m",
                "sets": [
                    {
                        "weight": 102.5,
                        "reps": 5,
                        "order": 3,
                        "unit": "lb",
                        "side": "left",
                        "done": False,
                        "rpe": 8,
                        "tempo": "3-0-1-0",
                        "rest_seconds": 90,
                        "type": "warmup",
                    },
                    {"duration_seconds": 30.5, "distance_m": 100},
                ],
            }
        ],
    )
    assert body.digest().hex() == "ef1ec48bf1b3d42c5382b5725403ea24913b04c451a22674288b0f98baa8081d"


def test_the_digest_tells_what_is_new() -> None:
    def digest(**target: object) -> bytes:
        return create_body(exercises=[{"name": "a", "sets": [{"target": target}]}]).digest()

    assert digest(reps=8) == digest(reps={"min": 8, "max": 8})
    assert len({digest(reps=8), digest(reps=9), digest(reps={"min": 8, "max": 9}), digest(rpe=8)}) == 4


def test_a_target_is_written_as_it_was_meant() -> None:
    body = create_body(
        exercises=[
            {
                "name": "a",
                "sets": [
                    {"target": {"rest_seconds": 60, "reps": 5, "weight": 20.0}, "video_id": "v/1"},
                    {"target": {"reps": {"max": 8, "min": 6}, "duration_seconds": 30.5, "rpe": 8, "tempo": "3-0-X-0"}},
                    {"target": {"reps": {"min": 7, "max": 7}}},
                ],
            }
        ]
    )
    assert [(list(set_["target"].items()), set_.get("video_id")) for set_ in stored(body)[0]["sets"]] == [
        ([("reps", 5), ("weight", 20), ("rest_seconds", 60)], "v/1"),
        ([("reps", {"min": 6, "max": 8}), ("duration_seconds", 30.5), ("rpe", 8), ("tempo", "3-0-X-0")], None),
        ([("reps", 7)], None),
    ]


@given(trainings())
def test_what_is_published_is_read_by_the_model_of_events(body: dict) -> None:
    for exercise in stored(TrainingUpdate.model_validate_json(orjson.dumps(body))):
        read = ExerciseDocument.model_validate(exercise)
        assert orjson.loads(read.model_dump_json(exclude_none=True)) == exercise


def test_the_digest_passes_over_defaults_and_order_but_no_difference() -> None:
    plain = create_body(title="a").digest()
    assert create_body(title="a", status="PLANNED", timezone="UTC", exercises=[]).digest() == plain
    assert create_body(date="2026-01-05T13:00:00+01:00", title="a").digest() == plain
    assert create_body(title="b").digest() != plain


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"colour": "red"}, ("colour",)),
        ({"date": "2026-01-05T12:00:00"}, ("date",)),
        ({"date": "0001-01-01T00:00:00+14:00"}, ("date",)),
        ({"date": "1900-01-01T00:00:00+14:00"}, ("date",)),
        ({"timezone": "Mars/Olympus"}, ("timezone",)),
        ({"timezone": "localtime"}, ("timezone",)),
        ({"status": "DONE"}, ("status",)),
        ({"title": "a\x00b"}, ("title",)),
        ({"duration_seconds": -1}, ("duration_seconds",)),
        ({"duration_seconds": "60"}, ("duration_seconds",)),
        ({"session_rpe": 10.5}, ("session_rpe",)),
        ({"session_rpe": True}, ("session_rpe",)),
        ({"bodyweight_kg": 0}, ("bodyweight_kg",)),
        ({"exercises": [{"sets": []}]}, ("exercises", 0, "name")),
        ({"exercises": [squat(name="  ")]}, ("exercises", 0, "name")),
        ({"exercises": [squat(weight=0.00001)]}, ("exercises", 0, "sets", 0, "weight")),
        ({"exercises": [squat(weight=10_001)]}, ("exercises", 0, "sets", 0, "weight")),
        ({"exercises": [squat(reps=-1)]}, ("exercises", 0, "sets", 0, "reps")),
        ({"exercises": [squat(reps=1.5)]}, ("exercises", 0, "sets", 0, "reps")),
        ({"exercises": [{"name": "a", "sets": [{"tempo": "٣-0-1-0"}]}]}, ("exercises", 0, "sets", 0, "tempo")),
        ({"exercises": [{"name": "a", "sets": [{"tempo": "3-0"}]}]}, ("exercises", 0, "sets", 0, "tempo")),
        ({"exercises": [{"name": "a", "sets": [{"order": 1}, {"order": 1}]}]}, ("exercises", 0, "sets", 1, "order")),
        ({"exercises": [{"name": "a", "sets": [{"order": 2}, {}]}]}, ("exercises", 0, "sets", 1, "order")),
        ({"exercises": [{"name": "a", "exercise_revision": 1}]}, ("exercises", 0, "exercise")),
        ({"exercises": [squat(id=str(uuid(1))), squat(id=str(uuid(1)))]}, ("exercises", 1, "id")),
        ({"exercises": [{"name": "a", "sets": [{"video_id": ""}]}]}, (*SET, "video_id")),
        ({"exercises": [{"name": "a", "sets": [{"target": {}}]}]}, (*SET, "target")),
        ({"exercises": [{"name": "a", "sets": [{"target": {"reps": -1}}]}]}, (*SET, "target", "reps")),
        ({"exercises": [{"name": "a", "sets": [{"target": {"reps": True}}]}]}, (*SET, "target", "reps")),
        ({"exercises": [{"name": "a", "sets": [{"target": {"reps": 1.5}}]}]}, (*SET, "target", "reps")),
        ({"exercises": [{"name": "a", "sets": [{"target": {"reps": {"min": 2}}}]}]}, (*SET, "target", "reps", "max")),
        (
            {"exercises": [{"name": "a", "sets": [{"target": {"reps": {"min": 2, "max": 1}}}]}]},
            (*SET, "target", "reps", "min"),
        ),
        ({"exercises": [{"name": "a", "sets": [{"target": {"sets": 3}}]}]}, (*SET, "target", "sets")),
        ({"workout_id": str(uuid(1))}, ("workout_version",)),
        ({"workout_version": 1}, ("workout_id",)),
        ({"workout_id": str(uuid(1)), "workout_version": 0}, ("workout_version",)),
        ({"skip_reason": "ill"}, ("skipped_at",)),
        ({"skipped_at": "2026-01-05"}, ("skipped_at",)),
        ({"skipped_at": "2026-01-05T12:00:00Z", "status": "IN_PROGRESS"}, ("skipped_at",)),
        ({"group_external_id": "g" * 201}, ("group_external_id",)),
    ],
)
def test_bad_input_is_refused_by_its_place(fields: dict, place: tuple) -> None:
    with pytest.raises(ValidationError) as refused:
        TrainingCreate.model_validate_json(orjson.dumps(EMPTY | fields))
    assert [error["loc"] for error in refused.value.errors()] == [place]


def test_what_real_logs_hold_is_accepted() -> None:
    body = create_body(
        duration_seconds=264 * 3600 + 60,
        exercises=[
            squat(reps=0, weight=-20),
            {"name": "Plank", "sets": [{"duration_seconds": 61.5}]},
            {"name": "Rest"},
        ],
        id=str(UUID(int=7)),
        source_id="strong:2021-02-10",
    )
    assert body.exercises[1].sets[0].duration_seconds == 61.5


def test_of_what_is_done_the_past_is_free_and_the_future_ends_tomorrow() -> None:
    now = dt.datetime(2026, 1, 6, 12, tzinfo=dt.UTC)
    for date in ("1901-01-01T00:00:00Z", "2026-01-07T12:00:00Z", "2026-01-08T01:59:00+14:00"):
        create_body(date=date, status="COMPLETED").check_done(now)
    create_body(date="2026-02-01T12:00:00Z", status="PLANNED").check_done(now)
    with pytest.raises(Unprocessable) as refused:
        create_body(date="2026-01-07T12:00:01Z", status="COMPLETED").check_done(now)
    assert refused.value.pointer == "/date"
