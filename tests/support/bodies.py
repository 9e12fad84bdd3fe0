"""Bodies of trainings for tests: hypothesis strategies, and short ways to write one."""

import datetime as dt
from typing import Any
from uuid import UUID

import orjson
from hypothesis import strategies as st

from models.sets import SetType, Side, Unit
from models.trainings import Status, TrainingCreate, TrainingUpdate

EMPTY: dict[str, Any] = {"date": "2026-01-05T12:00:00Z"}

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
_name = _text.filter(lambda name: name.strip() != "")
_external = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)
_ids = st.uuids()


def _decimal(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low * 10_000, high * 10_000).map(lambda n: n / 10_000)


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_ranges = st.lists(st.integers(0, 100), min_size=2, max_size=2).map(lambda two: {"min": min(two), "max": max(two)})
targets = _optional(
    reps=st.integers(0, 100) | _ranges,
    weight=_decimal(-200, 1000) | st.integers(-200, 1000),
    duration_seconds=_decimal(0, 600),
    rpe=_decimal(0, 10),
    tempo=st.sampled_from(["3-0-1-0", "3-1-X-0"]),
    rest_seconds=st.integers(0, 600),
).filter(bool)
sets = _optional(
    weight=_decimal(-200, 1000) | st.integers(-200, 1000),
    unit=st.sampled_from(Unit),
    reps=st.integers(0, 100),
    duration_seconds=_decimal(0, 600),
    distance_m=_decimal(0, 50_000),
    side=st.sampled_from(Side),
    done=st.booleans(),
    rpe=_decimal(0, 10),
    tempo=st.sampled_from(["3-0-1-0", "3-1-X-0"]),
    rest_seconds=st.integers(0, 600),
    type=st.sampled_from(SetType),
    target=targets,
    video_id=_external,
)


@st.composite
def exercises(draw: st.DrawFn, slugs: tuple[str, ...] = ()) -> dict[str, Any]:
    exercise = {"name": draw(_name)} | draw(_optional(notes=_text, superset=st.integers(0, 9)))
    if slugs:
        exercise |= draw(_optional(exercise=st.sampled_from(slugs)))
    exercise["sets"] = [dict(set_) for set_ in draw(st.lists(sets, max_size=4))]
    if draw(st.booleans()):
        orders = draw(st.permutations(range(len(exercise["sets"]))))
        for set_, order in zip(exercise["sets"], orders, strict=True):
            set_["order"] = order
    return exercise


@st.composite
def trainings(
    draw: st.DrawFn, slugs: tuple[str, ...] = (), statuses: tuple[Status, ...] = tuple(Status)
) -> dict[str, Any]:
    """A body that POST and PUT accept: with a date in the past, as what is done must have."""
    date = draw(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2026, 1, 1), timezones=st.just(dt.UTC)))  # noqa: DTZ001
    body = {"date": date.isoformat(), "status": draw(st.sampled_from(statuses))}
    body |= draw(
        _optional(
            timezone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"]),
            title=_text,
            notes=_text,
            duration_seconds=st.integers(0, 1_000_000),
            session_rpe=_decimal(0, 10),
            bodyweight_kg=_decimal(30, 200),
            group_external_id=_external,
        )
    )
    body["exercises"] = draw(st.lists(exercises(slugs), max_size=4))
    for exercise in body["exercises"]:
        if draw(st.booleans()):
            exercise["id"] = draw(_ids)
    ids = [exercise["id"] for exercise in body["exercises"] if "id" in exercise]
    if len(set(ids)) < len(ids):
        for exercise in body["exercises"]:
            exercise.pop("id", None)
    return body


def as_planned(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what only the athlete may say: as a coach says it."""
    kept = {name: value for name, value in body.items() if name not in ("session_rpe", "bodyweight_kg")}
    exercises = [
        exercise
        | {
            "sets": [
                {name: value for name, value in set_.items() if name not in ("rpe", "video_id")} | {"done": False}
                for set_ in exercise["sets"]
            ]
        }
        for exercise in body["exercises"]
    ]
    return kept | {"exercises": exercises}


def create_body(**fields: Any) -> TrainingCreate:
    """A body of POST; `date` has a default."""
    return TrainingCreate.model_validate_json(orjson.dumps(EMPTY | fields))


def update_body(**fields: Any) -> TrainingUpdate:
    """A body of PUT; `date` and `status` have defaults."""
    return TrainingUpdate.model_validate_json(orjson.dumps(EMPTY | {"status": "COMPLETED"} | fields))


def squat(reps: int = 5, weight: float = 100, sets: int = 1, **fields: Any) -> dict[str, Any]:
    """An exercise with equal sets."""
    return {"name": "Squat", "sets": [{"weight": weight, "reps": reps} for _ in range(sets)]} | fields


def uuid(n: int) -> UUID:
    """The n-th UUID of a test."""
    return UUID(int=n)
