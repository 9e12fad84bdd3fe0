"""A log written for Strong or Hevy and read again: the same, but for what the format cannot carry."""

import csv
import datetime as dt
import io
import itertools
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.exercises import Catalogue
from models.foreign_exports import App, head, session
from models.hevy import read_hevy
from models.sets import SetBody, SetType, Unit
from models.strong import read_strong
from models.trainings import Status, TrainingBody, TrainingCreate, document_json, exercises_json, training_fields
from tests.support.bodies import create_body, trainings

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
POUND = Decimal("0.45359237")
_apps = st.sampled_from(App)
_units = st.sampled_from(Unit)


class Exercise(NamedTuple):
    """What is carried of an exercise."""

    name: str
    notes: str | None
    superset: int | None
    sets: list[dict[str, Any]]


class Session(NamedTuple):
    """What is carried of a training."""

    date: dt.datetime
    title: str | None
    notes: str | None
    exercises: list[Exercise]
    duration_seconds: int | None


def written(app: App, unit: Unit, bodies: Iterable[TrainingCreate]) -> bytes:
    documents = [
        document_json(
            id=UUID(int=1),
            user_id=UUID(int=2),
            source_id=None,
            version=1,
            fields=training_fields(body, exercises_json(UUID(int=1), body.exercises, Catalogue({}, {}))),
            created_at=NOW,
            updated_at=NOW,
        )
        for body in bodies
    ]
    return head(app, unit) + b"".join(session(app, document, unit) for document in documents)


def read(app: App, unit: Unit, data: bytes, timezone: str) -> list[TrainingCreate]:
    log = (read_hevy if app is App.HEVY else read_strong)(data, unit=unit, timezone=timezone)
    assert (log.errors, log.held_back) == ((), 0)
    return [found.body for found in log.sessions]


def text(value: str | None) -> str | None:
    """White space around goes, and what a spreadsheet would run gets an apostrophe."""
    value = (value or "").strip()
    return f"'{value}" if value[:1] in {"=", "+", "-", "@"} else value or None


def carried_set(app: App, unit: Unit, set_: SetBody) -> dict[str, Any]:
    """No id, side, tempo, target or video; a length, distance or (Strong) RPE of 0 is as none."""
    weight = Decimal(str(set_.weight))
    if set_.unit != unit:
        weight = round(weight * POUND if unit is Unit.KG else weight / POUND, 4)
    return {
        "weight": float(weight),
        "unit": unit,
        "reps": set_.reps,
        "duration_seconds": set_.duration_seconds or None,
        "distance_m": set_.distance_m or None,
        "rpe": set_.rpe if app is App.HEVY else set_.rpe or None,
        "rest_seconds": (set_.rest_seconds or None) if app is App.STRONG else None,
        "type": set_.type,
    }


def carried(app: App, unit: Unit, body: TrainingBody) -> Session | None:
    """What comes back of a training."""
    exercises = []
    for exercise in body.exercises:
        sets = [carried_set(app, unit, set_) for _, set_ in exercise.ordered() if set_.done]
        name, notes = text(exercise.name) or "", text(exercise.notes)
        if sets or (notes and app is App.STRONG):
            exercises.append(Exercise(name, notes, exercise.superset if app is App.HEVY else None, sets))
    if app is App.STRONG:
        exercises = [merged(list(group)) for _, group in itertools.groupby(exercises, key=lambda found: found.name)]
    if not exercises:
        return None
    zone = ZoneInfo(body.timezone)
    finest = {"second": 0, "microsecond": 0} if app is App.HEVY else {"microsecond": 0}
    local = body.date.astimezone(zone).replace(tzinfo=None, fold=0, **finest)  # type: ignore[arg-type]
    return Session(
        local.replace(tzinfo=zone).astimezone(dt.UTC),
        text(body.title),
        text(body.notes),
        exercises,
        body.duration_seconds,
    )


def merged(same: list[Exercise]) -> Exercise:
    """Strong has exercises of one name that follow each other as one."""
    notes = "\n".join(dict.fromkeys(exercise.notes for exercise in same if exercise.notes))
    return Exercise(same[0].name, notes or None, None, [set_ for exercise in same for set_ in exercise.sets])


def told(app: App, body: TrainingCreate) -> Session:
    """What was read."""
    assert body.status is Status.COMPLETED
    exercises = [
        Exercise(
            exercise.name,
            exercise.notes,
            exercise.superset,
            [set_.model_dump(include=set(carried_set(app, set_.unit, set_))) for set_ in exercise.sets],
        )
        for exercise in body.exercises
    ]
    return Session(body.date, body.title, body.notes, exercises, body.duration_seconds)


def names_are_texts(body: dict[str, Any]) -> bool:
    """A name of characters that Python takes for white space, and pydantic does not, is none in a file."""
    return all(exercise["name"].strip("\x1c\x1d\x1e\x1f \t\n\r").strip() for exercise in body["exercises"])


# Zones without a summer time of their own: in the hour that clocks go through twice, Hevy's ends are ambiguous.
_bodies = st.lists(
    trainings(statuses=(Status.COMPLETED,)).filter(names_are_texts),
    max_size=3,
    unique_by=lambda body: body["date"][:16],
).flatmap(
    lambda bodies: st.sampled_from(["UTC", "Asia/Tokyo", "Pacific/Kiritimati"]).map(
        lambda zone: [create_body(**body | {"timezone": zone}) for body in bodies]
    )
)


@given(_apps, _units, _bodies)
def test_what_is_written_is_read_again(app: App, unit: Unit, bodies: list[TrainingCreate]) -> None:
    bodies.sort(key=lambda body: body.date)
    zone = bodies[0].timezone if bodies else "UTC"
    found = [told(app, body) for body in read(app, unit, written(app, unit, bodies), zone)]
    expected = [session for body in bodies if (session := carried(app, unit, body))]
    if app is App.HEVY:  # whole minutes
        for one, other in zip(found, expected, strict=True):
            assert (one.duration_seconds is None) == (other.duration_seconds is None)
            assert abs((one.duration_seconds or 0) - (other.duration_seconds or 0)) < 60
        found, expected = ([one._replace(duration_seconds=None) for one in sessions] for sessions in (found, expected))
    assert found == expected


def test_strong() -> None:
    body = create_body(
        date="2026-01-05T17:30:15.5Z",
        timezone="Europe/Berlin",
        status="COMPLETED",
        title="Legs",
        duration_seconds=3720,
        notes="=HYPERLINK()",
        session_rpe=8,
        exercises=[
            {
                "name": "Squat",
                "notes": "deep",
                "sets": [
                    {"weight": 60, "reps": 5, "type": "warmup", "rest_seconds": 90},
                    {"weight": 225, "unit": "lb", "reps": 5, "rpe": 8.5},
                    {"weight": 100, "reps": 5, "done": False},
                ],
            },
            {"name": "Run", "sets": [{"distance_m": 1500.5, "duration_seconds": 600}]},
        ],
    )
    start = "2026-01-05 18:30:15,Legs,1h 2m,"
    assert written(App.STRONG, Unit.KG, [body]).decode().split("\r\n") == [
        "Date,Workout Name,Duration,Exercise Name,Set Order,Weight,Reps,Distance,Seconds,Notes,Workout Notes,RPE",
        start + "Squat,W,60,5,0,0,deep,'=HYPERLINK(),",
        start + "Squat,Rest Timer,0,0,0,90,,,",
        start + "Squat,2,102.0583,5,0,0,,,8.5",
        start + "Run,1,0,0,1.5005,600,,,",
        "",
    ]


def test_hevy() -> None:
    body = create_body(
        date="2025-06-30T17:56:40Z",
        timezone="Europe/Berlin",
        status="COMPLETED",
        title="Push",
        duration_seconds=3600,
        exercises=[
            {"name": "Dip", "superset": 1, "sets": [{"reps": 8}, {"reps": 6, "weight": -20, "type": "failure"}]},
            {"name": "Dip", "sets": [{"weight": 10, "reps": 5, "rpe": 9, "type": "drop"}]},
        ],
    )
    titles = (
        "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_lbs,"
        "reps,distance_miles,duration_seconds,rpe"
    )
    start = 'Push,"30 Jun 2025, 19:56","30 Jun 2025, 20:56",'
    assert written(App.HEVY, Unit.LB, [body]).decode().split("\r\n") == [
        titles,
        start + ",Dip,1,,0,normal,,8,,,",
        start + ",Dip,1,,1,failure,-44.0925,6,,,",
        start + ",Dip,,,0,dropset,22.0462,5,,,9",
        "",
    ]


@pytest.mark.parametrize("app", App)
def test_nothing_done_is_no_line(app: App) -> None:
    body = create_body(status="COMPLETED", exercises=[{"name": "Squat", "sets": [{"reps": 5, "done": False}]}])
    rows = list(csv.reader(io.StringIO(written(app, Unit.KG, [body, create_body()]).decode(), newline="")))
    assert len(rows) == 1


def test_every_type_of_set_is_known() -> None:
    sets = [{"reps": 1, "type": type_} for type_ in SetType]
    body = create_body(status="COMPLETED", exercises=[{"name": "Squat", "sets": sets}])
    for app in App:
        (found,) = read(app, Unit.KG, written(app, Unit.KG, [body]), "UTC")
        assert [set_.type for set_ in found.exercises[0].sets] == list(SetType)
