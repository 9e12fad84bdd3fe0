"""The documents that describe the service: valid, as committed, and true to the routes, models and samples."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import orjson
import pytest
from jsonschema import Draft202012Validator
from jsonschema_specifications import REGISTRY
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
from models.fields import PATTERNS
from tests.support.documents import with_more
from web import asyncapi, openapi
from web.api import ALL_ROUTES, ROUTES

DOCS = Path(__file__).parents[2] / "docs"
SAMPLES = sorted((DOCS / "samples").glob("*.json"))
CHANNELS: dict[str, set[str]] = {
    "training_events": {*EventType, *UserEventType},
    "workout_events": set(WorkoutEventType),
    "exercise_events": set(ExerciseEventType),
    "phase_events": {*PhaseEventType, *GoalEventType},
    "readiness_events": {*CheckInEventType, *AdviceEventType},
    "training_insights": set(InsightEventType),
}
TYPES = {str(type_) for types in CHANNELS.values() for type_ in types}
CHECKED = {"at_least", "Idempotency-Key"}  # by code that has words of its own, and not by their patterns
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


def _keywords() -> Draft202012Validator:
    """Of schemas: JSON Schema 2020-12 as its own meta-schema has it, without any keyword but its own and OpenAPI's."""
    meta = Draft202012Validator.META_SCHEMA
    vocabularies = [REGISTRY.contents(urljoin(meta["$id"], each["$ref"])) for each in meta["allOf"]]
    properties = {"discriminator": {"required": ["propertyName"]}}
    definitions: dict[str, Any] = {}
    for vocabulary in vocabularies:
        properties |= vocabulary["properties"]
        definitions |= vocabulary.get("$defs", {})
    return Draft202012Validator(
        {
            "$schema": meta["$schema"],
            "$dynamicAnchor": "meta",
            "type": ["object", "boolean"],
            "properties": properties,
            "additionalProperties": False,
            "$defs": definitions,
        }
    )


def _schemas(node: Any) -> Iterator[Any]:
    """Every schema of a document, but for those inside of others."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("schema", "payload"):
                yield value
            elif name in ("schemas", "properties"):
                yield from value.values()
            elif name not in ("example", "examples"):
                yield from _schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from _schemas(value)


def test_every_schema_is_made_of_keywords_of_json_schema(rest: dict[str, Any], events: dict[str, Any]) -> None:
    keywords = _keywords()
    assert not keywords.is_valid({"properties": {"a": {"anyOf": [{"gt": 0}]}}})
    texts = {orjson.dumps(schema) for document in (rest, events) for schema in _schemas(document)}
    assert len(texts) > 300
    assert {error.message for text in texts for error in keywords.iter_errors(orjson.loads(text))} == set()


def test_what_the_service_writes_may_have_more_members_later(rest: dict[str, Any], events: dict[str, Any]) -> None:
    written = [operation["responses"] for operation in _operations(rest)]
    for document, roots in ((rest, written), (events, events["components"]["messages"])):
        schemas, seen, ahead = document["components"]["schemas"], set(), list(_references(roots))
        while ahead:
            name = ahead.pop().rpartition("/")[2]
            if name in schemas and name not in seen:
                seen.add(name)
                ahead += _references(schemas[name])
        assert {name for name in seen if schemas[name].get("additionalProperties") is False} == set()


def test_every_pattern_has_words(rest: dict[str, Any]) -> None:
    """For people who sent something else."""
    sent = [each for operation in _operations(rest) for each in operation.get("parameters", [])]
    sent = [each for each in sent if each["name"] not in CHECKED]
    assert set(_patterns([sent, rest["components"]["schemas"]])) == PATTERNS.keys()


def _patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        node = list(node.values())
    for value in node if isinstance(node, list) else ():
        yield from _patterns(value)


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


def test_parameters_of_paths_say_what_they_must_be(rest: dict[str, Any]) -> None:
    found: dict[str, list[Any]] = {}
    for operation in _operations(rest):
        for each in operation.get("parameters", []):
            if each["in"] == "path" and each["schema"] not in found.setdefault(each["name"], []):
                found[each["name"]].append(each["schema"])
    assert found["day"] == [{"type": "string", "format": "date"}]
    assert found["version"] == [{"type": "integer", "minimum": 1, "maximum": 999_999_999}]
    assert found["userId"] == [{"type": "string", "format": "uuid"}]
    for route in ROUTES:
        assert route.schemas.keys() <= route.texts <= set(route.path_parameters), route.operation_id


def test_what_a_header_says_to_a_write_is_told_there(rest: dict[str, Any]) -> None:
    path = rest["paths"]["/api/v1/training/users/{userId}/check-ins/{day}"]
    told = [each for method in ("get", "put") for each in path[method]["parameters"] if each["name"] == "If-None-Match"]
    assert [each["schema"].get("enum") for each in told] == [None, ["*"]]
    assert told[0]["description"] != told[1]["description"]


def test_every_body_has_an_example_that_is_valid(rest: dict[str, Any]) -> None:
    for route in ROUTES:
        if route.body is not None:
            assert route.body_example is not None, route.operation_id
            route.body.model_validate_json(orjson.dumps(route.body_example))


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
    known = model_of(path).model_validate_json(path.read_bytes())
    document = with_more(json.loads(path.read_bytes()))
    assert model_of(path).model_validate_json(orjson.dumps(document)) == known
