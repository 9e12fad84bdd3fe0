"""Every error becomes problem+json in one place, and says where and what in words for people."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from pydantic import BaseModel, ValidationError

from models import errors
from models.fields import PATTERNS, SLUG, TEMPO, TIME_OF_DAY
from models.own_exercises import AliasBody
from models.phases import PhaseCreate
from models.trainings import TrainingCreate
from web import problems
from web.problems import KINDS, MAX_ERRORS, Problem, ProblemDocument


def _classes(base: type[Exception]) -> set[type[Exception]]:
    return {base}.union(*(_classes(below) for below in base.__subclasses__()))


def _invalid(body: Any, model: type[BaseModel] = TrainingCreate) -> Problem:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(raw)
    return problems.invalid_body(caught.value)


def _messages(problem: Problem) -> dict[str, str]:
    return {error["pointer"]: error["message"] for error in problem.errors}


def test_kinds_have_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (errors.NotFound("gone"), 404, "not-found"),
        (errors.Conflict("no"), 409, "conflict"),
        (errors.StatusConflict("no"), 409, "status-conflict"),
        (errors.IdentityConflict("no"), 409, "identity-conflict"),
        (errors.PreconditionFailed(7), 412, "precondition-failed"),
        (errors.Unprocessable("no", "/a"), 422, "validation"),
        (errors.UnknownExercise("no", "/a"), 422, "unknown-exercise"),
        (errors.IdempotencyKeyReused("no"), 422, "idempotency-key-reused"),
        (errors.DatabaseUnavailable("away"), 503, "unavailable"),
        (errors.StatementEnded("slow"), 503, "unavailable"),
    ],
)
def test_each_error_of_the_service(error: Exception, status: int, name: str) -> None:
    document = orjson.loads(problems.of(error).body("r1"))
    assert document["status"] == status
    assert document["type"] == f"/problems#{name}"
    assert document["detail"] == str(error)
    assert document["request_id"] == "r1"
    ProblemDocument.model_validate(document)


def test_no_error_of_the_tree_is_forgotten() -> None:
    mapped = {class_ for class_, _ in problems._KIND_OF}
    assert _classes(errors.TrainingServiceError) - {errors.TrainingServiceError} == mapped


def test_a_failed_precondition_tells_the_stored_version() -> None:
    problem = problems.of(errors.PreconditionFailed(7))
    assert problem.headers["ETag"] == '"7"'
    assert orjson.loads(problem.body("r"))["version"] == 7


def test_an_unprocessable_request_names_the_place() -> None:
    problem = problems.of(errors.UnknownExercise("The catalogue has no movement 'x'.", "/exercises/0/exercise"))
    assert _messages(problem) == {"/exercises/0/exercise": "The catalogue has no movement 'x'."}


def test_what_is_away_says_when_to_come_back() -> None:
    assert int(problems.of(errors.DatabaseUnavailable("away")).headers["Retry-After"]) > 0


def test_what_nobody_foresaw_says_nothing_of_itself() -> None:
    body = problems.of(RuntimeError("secret: hunter2")).body("r")
    assert orjson.loads(body)["status"] == 500
    assert b"hunter2" not in body


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (web.HTTPNotFound(), "not-found"),
        (web.HTTPMethodNotAllowed("PATCH", ["GET"]), "method-not-allowed"),
        (web.HTTPRequestEntityTooLarge(1, 2), "too-large"),
        (web.HTTPExpectationFailed(), "expectation-failed"),
        (web.HTTPRequestHeaderFieldsTooLarge(), "head-too-large"),
        (web.HTTPBadRequest(), "malformed-request"),
        (web.HTTPGone(), "malformed-request"),
        (web.HTTPBadGateway(), "internal"),
    ],
)
def test_an_error_of_aiohttp_is_of_a_kind_that_the_page_explains(error: web.HTTPException, name: str) -> None:
    kind = problems.of(error).kind
    assert kind.name == name
    assert kind in KINDS


@pytest.mark.parametrize(
    ("location", "pointer"),
    [((), ""), (("exercises", 0, "sets", 1, "reps"), "/exercises/0/sets/1/reps"), (("a/b", "c~d"), "/a~1b/c~0d")],
)
def test_places_are_json_pointers(location: tuple[str | int, ...], pointer: str) -> None:
    assert problems.pointer(location) == pointer


@pytest.mark.parametrize("raw", [b"", b"{", b'{"date":}', b"\xff", b'{"title": "\\ud800"}'])
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    problem = _invalid(raw)
    assert problem.kind is problems.MALFORMED
    assert "line 1 column" in problem.detail


def test_messages_are_for_people() -> None:
    problem = _invalid(
        {
            "date": "yesterday",
            "titel": "Legs",
            "status": "DONE",
            "timezone": "Mars/Olympus",
            "session_rpe": 11,
            "duration_seconds": 1.5,
            "exercises": [{"name": "", "sets": [{"reps": "5"}, {"weight": 1e9}, {"id": "x"}, {"done": 1}, 7]}, {}],
        }
    )
    assert problem.kind is problems.VALIDATION
    assert _messages(problem) == {
        "/date": "must be a moment by RFC 3339, like 2026-01-05T12:00:00Z",
        "/titel": "is not known here",
        "/status": "must be one of 'PLANNED', 'IN_PROGRESS' or 'COMPLETED'",
        "/timezone": "is no time zone of the IANA database",
        "/session_rpe": "must be at most 10",
        "/duration_seconds": "must be a whole number",
        "/exercises/0/name": "must have 1 or more characters",
        "/exercises/0/sets/0/reps": "must be a whole number",
        "/exercises/0/sets/1/weight": "must be at most 10000",
        "/exercises/0/sets/2/id": "must be a UUID",
        "/exercises/0/sets/3/done": "must be true or false",
        "/exercises/0/sets/4": "must be an object",
        "/exercises/1/name": "is required",
    }


def test_what_a_text_must_look_like_is_said_in_words() -> None:
    exercise = {"name": "x", "exercise": "Pull Up", "sets": [{"tempo": "slow"}]}
    assert _messages(_invalid({"date": "2026-01-05T12:00:00Z", "title": "a\0b", "exercises": [exercise]})) == {
        "/title": "must not contain the character U+0000",
        "/exercises/0/exercise": PATTERNS[SLUG],
        "/exercises/0/sets/0/tempo": PATTERNS[TEMPO],
    }
    slot = {"workout_id": "0193f1a0-0000-7000-8000-00000000000a", "weekday": 1, "time": "7:30 pm"}
    phase = {"name": "x", "first": "2026-01-05", "last": "2026-01-11", "schedule": [slot]}
    assert _messages(_invalid(phase, PhaseCreate)) == {"/schedule/0/time": PATTERNS[TIME_OF_DAY]}


def test_a_rule_over_several_members_names_the_one_to_be_changed() -> None:
    twice = {"name": "x", "id": "0193f1a0-0000-7000-8000-00000000000a"}
    body = {"date": "2026-01-05T12:00:00Z", "workout_version": 1, "exercises": [{"name": "a"}]}
    assert _messages(_invalid(body)) == {"/workout_id": "must be given beside `workout_version`"}
    body["exercises"] = [twice, twice | {"name": "y"}]
    del body["workout_version"]
    assert _messages(_invalid(body)) == {"/exercises/1/id": "must be unique here"}
    assert _messages(_invalid({}, AliasBody)) == {"/exercise": "must be given, or else `own_exercise`"}
    both = {"exercise": "dip", "own_exercise": "dip"}
    assert _messages(_invalid(both, AliasBody)) == {"/own_exercise": "must not be given beside `exercise`"}


def test_a_body_that_is_no_object() -> None:
    problem = _invalid([1])
    assert _messages(problem) == {"": "must be an object"}
    assert problem.detail == "the body: must be an object."


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_are_none_are_refused(number: bytes) -> None:
    problem = _invalid(b'{"date": "2026-01-05T12:00:00Z", "bodyweight_kg": ' + number + b"}")
    assert _messages(problem) == {"/bodyweight_kg": "must be a finite number"}


@pytest.mark.parametrize("date", ["0", "1767614400", 1767614400, 1.5, "20260105T120000Z", None])
def test_a_moment_is_no_number(date: Any) -> None:
    assert _messages(_invalid({"date": date})) == {"/date": "must be a moment by RFC 3339, like 2026-01-05T12:00:00Z"}


def test_a_hopeless_body_is_answered_in_bounds() -> None:
    problem = _invalid({"date": "2026-01-05T12:00:00Z", "exercises": [{"name": 1}] * 200})
    assert len(problem.errors) == MAX_ERRORS
