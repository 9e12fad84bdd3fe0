"""The documents that describe the service: valid, as committed, and true to the routes, models and samples."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from models.events import (
    AdviceEvent,
    AdviceEventType,
    CheckInEvent,
    CheckInEventType,
    EventType,
    ExerciseEvent,
    ExerciseEventType,
    FormAnalysisEvent,
    GoalEvent,
    GoalEventType,
    InsightEventType,
    LoadBandEvent,
    PersonalRecordEvent,
    PhaseEvent,
    PhaseEventType,
    TrainingEvent,
    UserErasedEvent,
    UserEventType,
    WorkoutEvent,
    WorkoutEventType,
)
from web import asyncapi, openapi
from web.api import ALL_ROUTES, ROUTES

DOCS = Path(__file__).parents[2] / "docs"
SAMPLES = sorted((DOCS / "samples").glob("*.json"))
CHANNELS: dict[str, set[str]] = {
    "training_events": {*EventType, *UserEventType},
    "workout_events": set(WorkoutEventType),
    "exercise_events": set(ExerciseEventType),
    "phase_events": {*PhaseEventType, *GoalEventType, *AdviceEventType},
    "readiness_events": set(CheckInEventType),
    "training_insights": set(InsightEventType),
}
TYPES = {str(type_) for types in CHANNELS.values() for type_ in types}
MODELS = {
    "training": TrainingEvent,
    "workout": WorkoutEvent,
    "exercise": ExerciseEvent,
    "phase": PhaseEvent,
    "goal": GoalEvent,
    "advice": AdviceEvent,
    "check": CheckInEvent,
    "personal": PersonalRecordEvent,
    "load": LoadBandEvent,
    "form": FormAnalysisEvent,
    "user": UserErasedEvent,
}


def model_of(path: Path) -> Any:
    return MODELS[path.name.partition("_")[0]]


@pytest.fixture(scope="module")
def rest() -> dict[str, Any]:
    return json.loads(openapi.text(openapi.document(ROUTES)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def events() -> dict[str, Any]:
    return json.loads(openapi.text(asyncapi.document()))  # type: ignore[no-any-return]


def _operations(rest: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in rest["paths"].values() for operation in path.values()]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _leads_somewhere(document: dict[str, Any], reference: str) -> bool:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        if part not in node:
            return False
        node = node[part]
    return True


def test_the_committed_openapi_document_is_the_current_one() -> None:
    current = openapi.text(openapi.document(ROUTES))
    assert (DOCS / "openapi.json").read_bytes() == current, "renew it: python -m web.openapi > docs/openapi.json"


def test_the_committed_asyncapi_document_is_the_current_one() -> None:
    current = openapi.text(asyncapi.document())
    assert (DOCS / "asyncapi.json").read_bytes() == current, "renew it: python -m web.asyncapi > docs/asyncapi.json"


def test_it_is_openapi(rest: dict[str, Any]) -> None:
    validate(rest)


def test_every_reference_leads_somewhere(rest: dict[str, Any], events: dict[str, Any]) -> None:
    for document in (rest, events):
        assert [ref for ref in _references(document) if not _leads_somewhere(document, ref)] == []


def test_operations_have_ids_of_their_own(rest: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in _operations(rest)]
    assert len(set(ids)) == len(ids) == len(ROUTES)


def test_no_two_routes_answer_the_same() -> None:
    assert len({(route.method, route.path) for route in ALL_ROUTES}) == len(ALL_ROUTES)


def test_every_tag_is_explained(rest: dict[str, Any]) -> None:
    assert {tag["name"] for tag in rest["tags"]} == {tag for op in _operations(rest) for tag in op["tags"]}


def test_what_needs_a_token_says_so(rest: dict[str, Any]) -> None:
    for route in ROUTES:
        operation = rest["paths"][route.path][route.method.lower()]
        assert operation.get("security", rest["security"]) == ([{"bearer": []}] if route.auth else [])
        assert ("401" in operation["responses"]) == ("429" in operation["responses"]) == route.auth
        for status, response in operation["responses"].items():
            assert ("RateLimit" in response["headers"]) == (route.auth and status != "401")


def test_every_body_has_an_example_that_is_valid(rest: dict[str, Any]) -> None:
    for route in ROUTES:
        if route.body is not None:
            assert route.body_example is not None, route.operation_id
            route.body.model_validate_json(orjson.dumps(route.body_example))


def test_every_example_of_an_answer_is_valid() -> None:
    for route in ROUTES:
        for answer in route.answers.values():
            if answer.example is not None:
                assert answer.model is not None, route.operation_id
                answer.model.model_validate_json(orjson.dumps(answer.example))


def test_every_type_of_event_is_described(events: dict[str, Any]) -> None:
    assert set(events["components"]["messages"]) == TYPES
    assert {name: set(channel["messages"]) for name, channel in events["channels"].items()} == CHANNELS


def test_every_type_of_event_has_a_sample() -> None:
    assert {path.name.partition(".")[0] for path in SAMPLES} == TYPES


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_of_every_version_are_still_read(path: Path, events: dict[str, Any]) -> None:
    """Samples are never changed and never removed: a version that adds fields adds a sample."""
    raw = path.read_bytes()
    event = model_of(path).model_validate_json(raw)
    assert str(event.event_type) == path.name.partition(".")[0]
    payload = events["components"]["messages"][event.event_type]["payload"]
    validator = Draft202012Validator(
        {**payload, "components": events["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    assert [error.message for error in validator.iter_errors(json.loads(raw))] == []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_readers_pass_over_what_they_do_not_know(path: Path) -> None:
    document = json.loads(path.read_bytes())
    known = model_of(path).model_validate_json(path.read_bytes())
    document["later"] = document["payload"]["later"] = {"a": 1}
    for exercise in document["payload"].get("exercises", [document["payload"].get("exercise", {"later": 0})]):
        exercise["later"] = 1
    if isinstance(known, TrainingEvent):
        document["payload"]["exercises"][0]["sets"][0]["later"] = 1
    assert model_of(path).model_validate_json(orjson.dumps(document)) == known
