"""The OpenAPI 3.1 document of the REST API, made from the route table and the pydantic models.

`python -m web.openapi` prints it; `docs/openapi.json` is its committed form.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import orjson

from web import problems
from web.problems import KINDS, Kind, ProblemDocument
from web.routes import FORM, NDJSON, Answer, Route
from web.schemas import Key, Schema, properties, schemas

TAGS = {
    "Sessions": "Completed trainings: log, read and stream them.",
    "Trainings": "Plan, log, correct and read trainings. Every accepted change is an event on Kafka.",
    "Workouts": "Templates of trainings. Every version is kept, and every accepted change is an event on Kafka.",
    "Phases": "Stretches of days that plan trainings from workouts, and the calendar of what became of them.",
    "Goals": "What an athlete wants to reach and by when, how far it is, and what is to be expected.",
    "Form analyses": "What another service found on the video of a set. Each is an event, and never changes.",
    "Exercises": "The catalogue of movements, which everybody may read: their progressions, names and search.",
    "Own exercises": "A user's own movements, and what the names in their trainings mean. Every change is an event.",
    "Coaching": "Whom a user lets see and plan trainings, and what they did by that.",
    "Imports": "Bring a log of Strong, Hevy or FitNotes in, and take an import back.",
    "Metrics": "Derived figures. They follow the trainings by moments; `as_of` says how far they are.",
    "Readiness": "How an athlete is: a check-in a day, and each day beside the athlete's own 28 days before it.",
    "Advice": "What to do next, why, and what it would change; accepted and undone. The athlete's alone.",
    "Exports": "Derived tables of everybody for analysts, and a user's own log for other apps.",
    "Users": "A user as a whole: everything of theirs as one document, or erased.",
    "Operations": "For load balancers, alerts and Prometheus.",
    "Documentation": "This description, in several forms.",
}

REQUEST_HEADERS: dict[str, Schema] = {
    "If-Match": {
        "description": "Act only if what is changed is at one of these versions, else 412. `*` is any.",
        "schema": {"type": "string"},
        "example": '"3"',
    },
    "If-None-Match": {
        "description": "Versions that the client has: if it is at one of these, 304 without a body.",
        "schema": {"type": "string"},
        "example": '"3"',
    },
    "Idempotency-Key": {
        "description": (
            "Makes the request safe to send again: for a day at least, the same key with the same request does "
            "nothing and answers what the first was answered; with another request it is refused (422)."
        ),
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "example": "9b2f6a1c-log-legs",
    },
}
# What says something else to a write than to a read.
_OF_WRITES: dict[str, Schema] = {
    "If-None-Match": {
        "description": "`*`: act only if there is none yet, else 412.",
        "schema": {"type": "string", "enum": ["*"]},
        "example": "*",
    },
}
RESPONSE_HEADERS: dict[str, Schema] = {
    "Allow": {"description": "The methods of this resource.", "schema": {"type": "string"}},
    "ETag": {"description": "Its version, for If-Match and If-None-Match.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: this Idempotency-Key was used before, and this is what was answered then.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Link": {
        "description": 'The next page, where there is one: `<…>; rel="next"`.',
        "schema": {"type": "string"},
    },
    "Next-Changed-Since": {
        "description": "What to give as `changed_since` next time, to be told what changes from now on.",
        "schema": {"type": "integer"},
    },
    "Location": {"description": "Where it is.", "schema": {"type": "string", "format": "uri-reference"}},
    "RateLimit": {
        "description": "How the user stands to it: `r` requests are left for the next `t` seconds.",
        "schema": {"type": "string"},
        "example": '"read";r=1199;t=42',
    },
    "RateLimit-Policy": {
        "description": (
            "The limit that the request counted towards: `q` requests of a user in `w` seconds, `read` (GET, HEAD) or "
            "`write` (all else). Absent, as is `RateLimit`, where there is none."
        ),
        "schema": {"type": "string"},
        "example": '"read";q=1200;w=60',
    },
    "Retry-After": {"description": "Seconds after which to ask again.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "What is wrong with the token (RFC 6750).", "schema": {"type": "string"}},
    "X-Request-Id": {
        "description": "Names this request in logs and events: the client's own, or a new one.",
        "schema": {"type": "string"},
    },
}

_OF_COACHES = {
    "read": "A coach needs the scope `read` of the user's membership; without it the answer is 404.",
    "plan": (
        "A coach needs the scope `plan` of the user's membership, and meets the group's PLANNED trainings and workouts "
        "alone; else the answer is 404."
    ),
}
_ID: Schema = {"type": "string", "format": "uuid"}
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
_LIMITED = ("RateLimit", "RateLimit-Policy")  # of every answer to who has a valid token
_PROBLEM_HEADERS = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    412: ("ETag",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_INFO = """\
The system of record for training data.

- Every request but the operational ones, and reads of the catalogue (`exercises`, `exercise-names`), carries
  `Authorization: Bearer <JWT>`. The user is the claim `userId`, else `sub`; another user's resources answer 404. A
  coach names the groups in the claim `coach_of`: the data of users who have accepted a membership in one of them is
  open, as far as its scopes go, and every access is told to the user.
- JSON is snake_case. Errors are `application/problem+json` (RFC 9457) with a stable `type`.
- The `ETag` of a training or workout is its version: send it back as `If-Match` to change exactly what you have read.
- Where the answer to a write was lost, send it again, with the same `Idempotency-Key` where the operation takes one.
  The others say how things are to be, or name what they make: they need none and pass the header over, but for
  `/trainings/batch`, which refuses it.
- Every answer names its request in `X-Request-Id`; so do the events that the request caused. Its `traceparent` (W3C
  Trace Context) goes on into them.
- A user has a limit of reads and one of writes in a minute. `RateLimit-Policy` and `RateLimit` tell them with every
  answer; beyond it is 429 with `Retry-After`.
"""


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    models: dict[Key, None] = {(ProblemDocument, "serialization"): None}
    for route in routes:
        for sent in (route.body, route.form):
            if sent is not None:
                models[sent, "validation"] = None
        for answer in route.answers.values():
            for model in (answer.model, answer.line):
                if model is not None:
                    models[model, "serialization"] = None
    references, definitions = schemas(list(models))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation, more = _operation(route, references)
        definitions |= more
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    used = {route.tag for route in routes}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Training service",
            "version": version("training-service"),
            "summary": "REST in, Kafka events out, volume tables beside.",
            "description": _INFO,
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(definitions.items())),
            "headers": RESPONSE_HEADERS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A JWT signed with HS256, RS256 or ES256, with `exp` and the user's UUID.",
                }
            },
        },
    }


def dispatcher_problems(route: Route) -> list[Kind]:
    """What a route answers before, or instead of, what its handler does."""
    kinds = [problems.INTERNAL]
    if route.auth:
        kinds += [problems.UNAUTHORIZED, problems.USER_ERASED, problems.RATE_LIMITED, problems.UNAVAILABLE]
    if route.role is not None or route.own:
        kinds += [problems.FORBIDDEN]
    if route.path_parameters:
        kinds += [problems.NOT_FOUND]
    if route.body is not None or route.form is not None:
        kinds += [problems.MALFORMED, problems.TIMEOUT, problems.TOO_LARGE, problems.UNSUPPORTED]
    return [*kinds, problems.VALIDATION]


def _operation(route: Route, references: dict[Key, Schema]) -> tuple[Schema, Schema]:
    parameters: list[Schema] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": dict(route.schemas.get(name, _TEXT if name in route.texts else _ID)),
        }
        for name in route.path_parameters
    ]
    definitions: Schema = {}
    if route.query is not None:
        fields, required, definitions = properties(route.query)
        for name, field in fields.items():
            schema = _given(field)
            description = {"description": schema.pop("description")} if "description" in schema else {}
            parameters.append(
                {"name": name, "in": "query", "required": name in required, **description, "schema": schema}
            )
    headers = REQUEST_HEADERS if route.method == "GET" else REQUEST_HEADERS | _OF_WRITES
    parameters += [{"name": name, "in": "header", **headers[name]} for name in route.request_headers]
    operation: Schema = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [route.tag],
    }
    told = " ".join(filter(None, (route.description, route.scope and _OF_COACHES[route.scope], route.own)))
    if told:
        operation["description"] = told
    if not route.auth:
        operation["security"] = []
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content: Schema = {"schema": references[route.body, "validation"]}
        if route.body_example is not None:
            content["example"] = route.body_example
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    if route.form is not None:
        schema = references[route.form, "validation"]
        operation["requestBody"] = {"required": True, "content": {FORM: {"schema": schema}}}
    operation["responses"] = _responses(route, references)
    return operation, definitions


def _given(field: Schema) -> Schema:
    """A query parameter's schema: it is absent or has a value, and is never null."""
    variants = [variant for variant in field.get("anyOf", ()) if variant != {"type": "null"}]
    if len(variants) != 1:
        return dict(field)
    return {**variants[0], **{name: value for name, value in field.items() if name != "anyOf"}}


def _responses(route: Route, references: dict[Key, Schema]) -> Schema:
    responses: Schema = {}
    for status, answer in route.answers.items():
        responses[str(status)] = _response(route, status, answer, references)
    kinds = {kind.name: kind for kind in (*dispatcher_problems(route), *route.problems)}
    for kind in KINDS:
        if kind.name not in kinds:
            continue
        response = responses.setdefault(
            str(kind.status),
            {
                "description": "",
                "headers": _headers(route, kind.status, _PROBLEM_HEADERS.get(kind.status, ())),
                "content": {problems.MEDIA_TYPE: {"schema": references[ProblemDocument, "serialization"]}},
            },
        )
        response["description"] += f"{' ' if response['description'] else ''}`{kind.name}`: {kind.meaning}"
    return dict(sorted(responses.items()))


def _response(route: Route, status: int, answer: Answer, references: dict[Key, Schema]) -> Schema:
    response: Schema = {"description": answer.description, "headers": _headers(route, status, answer.headers)}
    if answer.model is not None:
        response["content"] = {answer.media: {"schema": references[answer.model, "serialization"]}}
        if answer.line is not None:
            response["content"][NDJSON] = {"schema": references[answer.line, "serialization"]}
    elif answer.media != "application/json":
        response["content"] = {media: {"schema": {"type": "string"}} for media in (answer.media, *answer.also)}
    return response


def _headers(route: Route, status: int, names: Sequence[str]) -> Schema:
    limited = _LIMITED if route.auth and status != 401 else ()
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, *limited, "X-Request-Id")}


def text(value: object) -> bytes:
    """A document as it is committed and served: indented, with a newline at its end."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    from web.api import ROUTES

    sys.stdout.buffer.write(text(document(ROUTES)))
