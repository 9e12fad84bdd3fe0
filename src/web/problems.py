"""Errors as `application/problem+json` (RFC 9457), and the one place where every error becomes one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import (
    AdviceGone,
    ArchiveUnavailable,
    Conflict,
    CursorExpired,
    DatabaseUnavailable,
    IdempotencyKeyReused,
    IdentityConflict,
    NotFound,
    PlanChanged,
    PreconditionFailed,
    StatementEnded,
    StatusConflict,
    TooManyRequests,
    TrainingServiceError,
    UnknownExercise,
    UnknownWorkout,
    Unprocessable,
    UserErased,
)
from models.wording import messages

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "2"  # seconds after which asking again is sensible when something of ours is away
MAX_ERRORS = 50  # of one request; more help nobody


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. `name` is part of its URI and never changes; `meaning` says what to do about it."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        """The problem's `type`: its paragraph on the page of problems."""
        return f"/problems#{self.name}"


MALFORMED = Kind(
    "malformed-request",
    400,
    "The request cannot be read",
    "The head is not HTTP, or the body is not JSON, or not encoded as its headers say.",
)
UNAUTHORIZED = Kind(
    "unauthorized",
    401,
    "No valid token",
    "Send `Authorization: Bearer <JWT>` with a token that is signed, in time, and names the user by a UUID in the "
    "claim `userId` or `sub`.",
)
FORBIDDEN = Kind(
    "forbidden",
    403,
    "Not allowed",
    "The token is valid, and lacks what `detail` names: a role in its claim `roles`, or a group in `groups`. Or it is "
    "a coach's, and this is the athlete's alone.",
)
NOT_FOUND = Kind(
    "not-found",
    404,
    "Not found",
    "There is no such resource, it was deleted, or it is another user's. The three are not told apart.",
)
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed", 405, "Method not allowed", "The header `Allow` names the methods of this resource."
)
TIMEOUT = Kind("request-timeout", 408, "The request took too long", "The body did not arrive in time. Send it again.")
CONFLICT = Kind("conflict", 409, "Conflict", "The request contradicts what is stored.")
STATUS_CONFLICT = Kind(
    "status-conflict",
    409,
    "A training never goes backwards",
    "The status may stay or go forward: PLANNED, IN_PROGRESS, COMPLETED.",
)
IDENTITY_CONFLICT = Kind(
    "identity-conflict",
    409,
    "The identity is taken",
    "What has this `id` or `source_id` was created with another body. Change it with PUT, or take another id.",
)
ADVICE_GONE = Kind(
    "advice-gone",
    409,
    "The advice is not given any more",
    "It is of another day than `day`, the log or the plan has changed since it was given, or it was undone. Read the "
    "advice anew.",
)
PLAN_CHANGED = Kind(
    "plan-changed",
    409,
    "The plan was changed since",
    "Nothing was undone. `detail` says of each training why it cannot be put back: it was done, begun, skipped, "
    "deleted or changed since. Or it names the advice that changed the same training later: undo that first.",
)
CURSOR_EXPIRED = Kind(
    "cursor-expired",
    410,
    "The cursor tells nothing any more",
    "The database was restored or moved since. Begin without `cursor`: the pages hold the whole state then, and what "
    "they do not name is gone.",
)
USER_ERASED = Kind(
    "user-erased",
    410,
    "The user was erased",
    "Everything of this user was erased, as was asked for, and nothing of theirs is taken any more. Who comes back is "
    "another user, with another id.",
)
PRECONDITION_FAILED = Kind(
    "precondition-failed",
    412,
    "It has changed",
    "`If-Match` names another version than the stored one, or `If-None-Match: *` asks that there be none. `version` "
    "and `ETag` tell the stored one. Read it, then decide.",
)
TOO_LARGE = Kind("too-large", 413, "The body is too large", "Send less in one request.")
HEAD_TOO_LARGE = Kind(
    "head-too-large",
    431,
    "The head is too large",
    "The address or a header is longer than 8190 bytes.",
)
EXPECTATION_FAILED = Kind(
    "expectation-failed", 417, "The expectation cannot be met", "The header `Expect` may only say `100-continue`."
)
UNSUPPORTED = Kind(
    "unsupported-media-type",
    415,
    "Unsupported media type",
    "Send `Content-Type: application/json`, and `multipart/form-data` where a file is asked for.",
)
VALIDATION = Kind(
    "validation",
    422,
    "The request is not valid",
    "`errors` names each place: `pointer` (RFC 6901) in the body, `parameter` in the query or the path, or `header`.",
)
UNKNOWN_EXERCISE = Kind(
    "unknown-exercise",
    422,
    "Unknown exercise",
    "The catalogue lacks this slug or revision. Leave `exercise` out for a free-form name.",
)
UNKNOWN_WORKOUT = Kind(
    "unknown-workout",
    422,
    "Unknown workout",
    "The user has no workout with this `workout_id`. Leave `workout_id` and `workout_version` out, or create it first.",
)
KEY_REUSED = Kind(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key was used before",
    "The same key came with another request. Use a new key for a new request.",
)
TOO_MANY = Kind(
    "too-many-requests", 429, "Too many requests", "Ask again after `Retry-After` seconds: `detail` names the limit."
)
RATE_LIMITED = Kind(
    "rate-limited",
    429,
    "Too many requests in a minute",
    "The user's limit of reads or writes is used up: `RateLimit-Policy` names it. Ask again after `Retry-After` "
    "seconds.",
)
INTERNAL = Kind("internal", 500, "Internal error", "The fault is ours. Quote `request_id` when you report it.")
UNAVAILABLE = Kind(
    "unavailable",
    503,
    "Not available right now",
    "Something the service needs cannot be reached. A write may or may not have happened: send it again after "
    "`Retry-After` seconds with the same `Idempotency-Key`, `id` or `source_id`.",
)

ARCHIVE_UNAVAILABLE = Kind(
    "archive-unavailable",
    503,
    "The archive cannot be read right now",
    "What nobody has changed for long is kept in files, and the one that `detail` names is not there. What needs no "
    "history works. Ask again later.",
)

KINDS: tuple[Kind, ...] = (
    MALFORMED,
    UNAUTHORIZED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    TIMEOUT,
    CONFLICT,
    STATUS_CONFLICT,
    IDENTITY_CONFLICT,
    ADVICE_GONE,
    PLAN_CHANGED,
    CURSOR_EXPIRED,
    USER_ERASED,
    PRECONDITION_FAILED,
    TOO_LARGE,
    UNSUPPORTED,
    EXPECTATION_FAILED,
    VALIDATION,
    UNKNOWN_EXERCISE,
    UNKNOWN_WORKOUT,
    KEY_REUSED,
    TOO_MANY,
    RATE_LIMITED,
    HEAD_TOO_LARGE,
    INTERNAL,
    UNAVAILABLE,
    ARCHIVE_UNAVAILABLE,
)

# The most specific class comes first.
_KIND_OF: tuple[tuple[type[TrainingServiceError], Kind], ...] = (
    (NotFound, NOT_FOUND),
    (StatusConflict, STATUS_CONFLICT),
    (IdentityConflict, IDENTITY_CONFLICT),
    (AdviceGone, ADVICE_GONE),
    (PlanChanged, PLAN_CHANGED),
    (Conflict, CONFLICT),
    (CursorExpired, CURSOR_EXPIRED),
    (UserErased, USER_ERASED),
    (PreconditionFailed, PRECONDITION_FAILED),
    (UnknownExercise, UNKNOWN_EXERCISE),
    (UnknownWorkout, UNKNOWN_WORKOUT),
    (IdempotencyKeyReused, KEY_REUSED),
    (Unprocessable, VALIDATION),
    (TooManyRequests, TOO_MANY),
    (ArchiveUnavailable, ARCHIVE_UNAVAILABLE),
    (StatementEnded, UNAVAILABLE),
    (DatabaseUnavailable, UNAVAILABLE),
)

_UNFORESEEN = "Something went wrong on our side."
# What aiohttp refuses by itself.
_OF_HTTP: tuple[tuple[type[web.HTTPException], Kind, str], ...] = (
    (web.HTTPNotFound, NOT_FOUND, "There is nothing at this address."),
    (web.HTTPRequestEntityTooLarge, TOO_LARGE, "The body is larger than this service accepts."),
    (web.HTTPExpectationFailed, EXPECTATION_FAILED, "The header Expect says something else than 100-continue."),
    (
        web.HTTPRequestHeaderFieldsTooLarge,
        HEAD_TOO_LARGE,
        "The head of the request is larger than this service accepts.",
    ),
    (web.HTTPClientError, MALFORMED, "The request is not HTTP."),
)


class Fault(BaseModel):
    """One thing that is wrong, and where: exactly one of `pointer`, `parameter` and `header` is given."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    pointer: str | None = None
    """JSON Pointer (RFC 6901) into the body; empty for the whole of it."""
    parameter: str | None = None
    """Name of a parameter of the query or the path."""
    header: str | None = None
    """Name of a request header."""
    message: str
    """What is wrong there, for people."""


class ProblemDocument(BaseModel):
    """An error as clients read it (RFC 9457)."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    type: str = Field(json_schema_extra={"format": "uri-reference"})
    """The kind of problem. It never changes, and leads to a page that explains it."""
    title: str
    """The kind, for people."""
    status: int
    """The HTTP status."""
    detail: str
    """What happened this time."""
    request_id: str
    """Names this request in the service's logs and in the events that it caused."""
    errors: list[Fault] | None = None
    """Each place that is wrong; at most 50."""
    version: int | None = None
    """With `precondition-failed`: the stored version."""


@dataclass
class Problem(Exception):
    """An error that is ready to be sent. `more` are members of the document besides the usual ones."""

    kind: Kind
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self, request_id: str) -> bytes:
        """The problem as JSON."""
        document: dict[str, Any] = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "request_id": request_id,
            **self.more,
        }
        if self.errors:
            document["errors"] = self.errors
        return orjson.dumps(document)


def of(error: Exception) -> Problem:
    """The problem that an exception is to a client. What nobody foresaw is `internal` and says nothing of itself."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, TrainingServiceError):
        return _of_service_error(error)
    if isinstance(error, web.HTTPException):
        return _of_http(error)
    return Problem(INTERNAL, _UNFORESEEN)


def unavailable(detail: str) -> Problem:
    """Something that the service needs cannot be reached."""
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": RETRY_AFTER})


def rate_limited(quota: int, name: str, seconds: int) -> Problem:
    """The user's limit of requests of the class `name` is used up for so many seconds."""
    detail = f"There were {quota} requests of the class `{name}` in this minute."
    return Problem(RATE_LIMITED, detail, headers={"Retry-After": str(seconds)})


def malformed(detail: str) -> Problem:
    """The request cannot be read."""
    return Problem(MALFORMED, detail)


def invalid_header(name: str, message: str) -> Problem:
    """A request header that does not follow its form."""
    return Problem(VALIDATION, f"The header {name} {message}.", [{"header": name, "message": message}])


def invalid_parameter(name: str, message: str) -> Problem:
    """A parameter of the query or the path that is not as it must be, for a reason that no model knows."""
    return Problem(VALIDATION, f"{name}: {message}.", [{"parameter": name, "message": message}])


def invalid_query(error: ValidationError) -> Problem:
    """Query parameters that are not as declared."""
    errors = [{"parameter": ".".join(map(str, loc)), "message": message} for loc, message in _messages(error)]
    return Problem(VALIDATION, _summary(errors, "parameter", "the query"), errors)


def invalid_body(error: ValidationError) -> Problem:
    """A body that is no JSON (400), or not as declared (422)."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return malformed(f"The body is not JSON: {first['ctx']['error']}.")
    errors = [{"pointer": pointer(loc), "message": message} for loc, message in _messages(error)]
    return Problem(VALIDATION, _summary(errors, "pointer", "the body"), errors)


def pointer(location: Sequence[str | int]) -> str:
    """A place in a JSON document as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _of_service_error(error: TrainingServiceError) -> Problem:
    kind = next(kind for class_, kind in _KIND_OF if isinstance(error, class_))
    detail = str(error)
    if isinstance(error, DatabaseUnavailable | ArchiveUnavailable):
        return Problem(kind, detail, headers={"Retry-After": RETRY_AFTER})
    if isinstance(error, TooManyRequests):
        return Problem(kind, detail, headers={"Retry-After": str(error.seconds)})
    if isinstance(error, PreconditionFailed):
        return Problem(kind, detail, headers={"ETag": f'"{error.version}"'}, more={"version": error.version})
    if isinstance(error, IdempotencyKeyReused):
        return Problem(kind, detail, [{"header": "Idempotency-Key", "message": detail}])
    if isinstance(error, Unprocessable):
        return Problem(kind, detail, [{"pointer": error.pointer, "message": detail}])
    return Problem(kind, detail)


def _of_http(error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        detail = f"{error.method} is not possible here."
        return Problem(METHOD_NOT_ALLOWED, detail, headers={"Allow": ", ".join(sorted(error.allowed_methods))})
    for class_, kind, detail in _OF_HTTP:
        if isinstance(error, class_):
            return Problem(kind, detail)
    return Problem(INTERNAL, _UNFORESEEN)


def _summary(errors: Sequence[Mapping[str, str]], place: str, whole: str) -> str:
    first = errors[0]
    where = first[place] or whole
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"{where}: {first['message']}{more}."


def _messages(error: ValidationError) -> Iterator[tuple[tuple[int | str, ...], str]]:
    return islice(messages(error), MAX_ERRORS)
