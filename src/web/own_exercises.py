"""What a user says of movements over REST: own exercises, and what the names in their trainings mean."""

import re
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.errors import NotFound, Unprocessable
from models.exercises import folded
from models.own_exercises import (
    MOST_NAMES,
    MOST_OWN,
    AliasBody,
    AliasDocument,
    Aliases,
    OwnExerciseCreate,
    OwnExerciseDocument,
    OwnExercises,
    OwnExerciseUpdate,
    UnmappedNames,
)
from models.sets import Document
from storage import own_exercises
from storage.own_exercises import FoundName, WrittenExercise
from web import documents, problems
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/own-exercises"
ALIASES_PATH = "/api/v1/training/users/{userId}/exercise-aliases"
UNMAPPED_PATH = "/api/v1/training/users/{userId}/exercises/unmapped"
_CURSOR = re.compile(r"(\d{1,18})-([0-9a-f]{64})", re.ASCII)  # how many exercises have a name, and its digest


def _place(cursor: str) -> tuple[int, str]:
    """How many exercises have the last name of a page, and its digest."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError("is no cursor of this list")
    return int(found[1]), found[2]


def _checked(cursor: str) -> str:
    _place(cursor)
    return cursor


class UnmappedQuery(BaseModel):
    """Query parameters of the names that mean nothing yet."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=50)] = 20
    """Most names on one page."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(_checked)] | None = None
    """`next_cursor` of the page before."""


async def create(call: Call[OwnExerciseCreate, None]) -> Reply:
    """POST /users/{userId}/own-exercises."""
    written = await _exercises(call).create(
        documents.author(call), call.body, key=documents.key(call, f"POST {PATH}", call.body)
    )
    slug = orjson.loads(written.document or b"{}")["slug"]
    return _answer(call, 201, written, {"Location": f"{PATH.format(userId=call.user_id)}/{slug}"})


async def list_(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/own-exercises."""
    found = await _exercises(call).all(call.user_id)
    return Reply(200, orjson.dumps({"items": [orjson.Fragment(document) for document in found]}))


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/own-exercises/{slug}."""
    stored = await _exercises(call).read(call.user_id, call.names["slug"])
    return documents.served(call, stored.revision, stored.document)


async def update(call: Call[OwnExerciseUpdate, None]) -> Reply:
    """PUT /users/{userId}/own-exercises/{slug}."""
    slug, body = call.names["slug"], call.body
    if body.slug is not None and body.slug != slug:
        raise Unprocessable("It must be the slug of the address.", "/slug")
    written = await _exercises(call).update(
        documents.author(call),
        slug,
        body,
        if_match=documents.if_match(call),
        key=documents.key(call, f"PUT {PATH}/{slug}", body),
    )
    return _answer(call, 200, written)


async def delete(call: Call[None, None]) -> Reply:
    """DELETE /users/{userId}/own-exercises/{slug}."""
    slug = call.names["slug"]
    written = await _exercises(call).delete(
        documents.author(call),
        slug,
        if_match=documents.if_match(call),
        key=documents.key(call, f"DELETE {PATH}/{slug}", Document()),
    )
    return _answer(call, 204, written)


async def unmapped(call: Call[None, UnmappedQuery]) -> Reply:
    """GET /users/{userId}/exercises/unmapped."""
    query = call.query
    found: list[FoundName] = await _exercises(call).unmapped(
        call.user_id,
        after=_place(query.cursor) if query.cursor else None,
        limit=query.limit + 1,  # one more tells whether there is a next page
    )
    page = found[: query.limit]
    cursor = f"{page[-1].exercises}-{page[-1].digest}" if len(found) > query.limit else None
    return documents.page(call, [orjson.Fragment(name.document) for name in page], cursor)


async def aliases(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/exercise-aliases."""
    return Reply(200, b'{"items":' + await _exercises(call).aliases(call.user_id) + b"}")


async def set_alias(call: Call[AliasBody, None]) -> Reply:
    """PUT /users/{userId}/exercise-aliases/{name}."""
    name = _name(call)
    written = await _exercises(call).set_alias(
        documents.author(call), name, call.body, key=documents.key(call, f"PUT {ALIASES_PATH}/{name}", call.body)
    )
    return _answer(call, 200, written)


async def remove_alias(call: Call[None, None]) -> Reply:
    """DELETE /users/{userId}/exercise-aliases/{name}."""
    name = _name(call)
    written = await _exercises(call).remove_alias(
        documents.author(call), name, key=documents.key(call, f"DELETE {ALIASES_PATH}/{name}", Document())
    )
    return _answer(call, 204, written)


def _exercises(call: Call[Any, Any]) -> own_exercises.OwnExercises:
    return own_exercises.OwnExercises(call.services.database, call.services.settings.exercise_events_topic)


def _name(call: Call[Any, Any]) -> str:
    name = folded(call.names["name"])
    if not name:
        raise NotFound("A name has more than space.")
    return name


def _answer(
    call: Call[Any, Any], status: int, written: WrittenExercise, headers: dict[str, str] | None = None
) -> Reply:
    call.services.wake()
    known = dict(headers or {})
    if written.revision:
        known["ETag"] = documents.tag(written.revision)
    if written.replayed:
        known["Idempotent-Replayed"] = "true"
    return Reply(status, written.document or b"", known)


_EXAMPLE = {
    "name": "Zercher carry",
    "category": "Legs",
    "mode": "hold",
    "phases": ["isometric"],
    "equipment": ["barbell"],
    "difficulty": 4,
    "muscles": ["quadriceps", "abdominals"],
    "secondary_muscles": ["biceps"],
    "family": "carry",
}
_WRITE_HEADERS = ("If-Match", "Idempotency-Key")
_DOCUMENT_HEADERS = ("ETag", "Idempotent-Replayed")
_MEANING = (
    "Trainings are never rewritten: an exercise of one that has no slug counts as what its name means. Names are "
    "compared in lower case and with single spaces. The past is counted anew, by moments later."
)

ROUTES = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="createOwnExercise",
        summary="Create an own exercise",
        description=(
            "Saves it, lets its name mean it, and queues an `exercise_created` event in the same statement. "
            f"{_MEANING} A slug or a name that another own exercise has is 409, and so is one beyond {MOST_OWN:,}."
        ),
        tag="Own exercises",
        body=OwnExerciseCreate,
        body_example=_EXAMPLE,
        request_headers=("Idempotency-Key",),
        answers={201: Answer("Created", OwnExerciseDocument, headers=("Location", *_DOCUMENT_HEADERS))},
        problems=(problems.CONFLICT, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listOwnExercises",
        summary="List own exercises by slug",
        tag="Own exercises",
        scope="read",
        answers={200: Answer("All of them", OwnExercises)},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{slug}}",
        handler=read,
        operation_id="readOwnExercise",
        summary="Read an own exercise",
        tag="Own exercises",
        scope="read",
        texts=frozenset({"slug"}),
        request_headers=("If-None-Match",),
        answers={
            200: Answer("The exercise", OwnExerciseDocument, headers=("ETag",)),
            304: Answer("The client has this revision already", headers=("ETag",)),
        },
    ),
    Route(
        method="PUT",
        path=f"{PATH}/{{slug}}",
        handler=update,
        operation_id="updateOwnExercise",
        summary="Change an own exercise",
        description=(
            "Replaces it, as its next revision, and queues an `exercise_updated` event. All its names mean what it is "
            "now; a new name is one more of them, and the old one stays. What GET answered may be sent back, changed."
        ),
        tag="Own exercises",
        texts=frozenset({"slug"}),
        body=OwnExerciseUpdate,
        body_example=_EXAMPLE,
        request_headers=_WRITE_HEADERS,
        answers={200: Answer("The exercise as it is now", OwnExerciseDocument, headers=_DOCUMENT_HEADERS)},
        problems=(problems.CONFLICT, problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{slug}}",
        handler=delete,
        operation_id="deleteOwnExercise",
        summary="Delete an own exercise",
        description="Removes it with all its names, and queues an `exercise_deleted` event. Trainings stay.",
        tag="Own exercises",
        texts=frozenset({"slug"}),
        request_headers=_WRITE_HEADERS,
        answers={204: Answer("Deleted", headers=("Idempotent-Replayed",))},
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=UNMAPPED_PATH,
        handler=unmapped,
        operation_id="listUnmappedExercises",
        summary="List the names in trainings that mean nothing yet",
        description=(
            "Names of exercises without a slug, in COMPLETED trainings, that the user has given no meaning: the most "
            "frequent first, each with what it may mean, of the catalogue and of the user's own exercises."
        ),
        tag="Own exercises",
        scope="read",
        query=UnmappedQuery,
        answers={200: Answer("One page", UnmappedNames, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=ALIASES_PATH,
        handler=aliases,
        operation_id="listExerciseAliases",
        summary="List the names that mean something",
        tag="Own exercises",
        scope="read",
        answers={200: Answer("All of them, by name", Aliases)},
    ),
    Route(
        method="PUT",
        path=f"{ALIASES_PATH}/{{name}}",
        handler=set_alias,
        operation_id="setExerciseAlias",
        summary="Say what a name means",
        description=(
            "From now on the name means this movement; queues an `exercise_alias_set` event in the same statement. "
            f"{_MEANING} The same meaning again changes nothing. The own name of an own exercise means that: 409, as "
            f"for names beyond {MOST_NAMES:,}. The answer is 200 for a new name too. An Idempotency-Key is kept where "
            "something changed."
        ),
        tag="Own exercises",
        texts=frozenset({"name"}),
        body=AliasBody,
        body_example={"exercise": "pistol-squat"},
        request_headers=("Idempotency-Key",),
        answers={200: Answer("What the name means", AliasDocument, headers=("Idempotent-Replayed",))},
        problems=(problems.CONFLICT, problems.UNKNOWN_EXERCISE, problems.KEY_REUSED),
    ),
    Route(
        method="DELETE",
        path=f"{ALIASES_PATH}/{{name}}",
        handler=remove_alias,
        operation_id="removeExerciseAlias",
        summary="Let a name mean nothing",
        description=(
            "Queues an `exercise_alias_removed` event. A name that means nothing is 404, the own name of an own "
            "exercise 409."
        ),
        tag="Own exercises",
        texts=frozenset({"name"}),
        request_headers=("Idempotency-Key",),
        answers={204: Answer("Removed", headers=("Idempotent-Replayed",))},
        problems=(problems.CONFLICT, problems.KEY_REUSED),
    ),
)
