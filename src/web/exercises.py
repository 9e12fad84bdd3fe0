"""The catalogue of movements over REST: everybody reads and searches it, admins write it."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.errors import UnknownExercise, Unprocessable
from models.exercises import (
    Category,
    Difficulty,
    ExerciseNames,
    Mode,
    MovementCreate,
    MovementDocument,
    MovementPage,
    MovementUpdate,
    Progressions,
    Tag,
)
from models.fields import Name, Slug, wrong
from storage.exercises import Exercises, FoundMovement, StoredMovement, Wanted
from web import documents, problems
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/exercises"
NAMES_PATH = "/api/v1/training/exercise-names"
ADMIN = "admin"

# What is the latest today may not be tomorrow, and a revision is what it is for ever.
_ASK_AGAIN = {"Cache-Control": "no-cache"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_A_MINUTE = {"Cache-Control": "public, max-age=60"}


def _cursor(found: FoundMovement) -> str:
    return base64.urlsafe_b64encode(f"{found.score!r}|{found.slug}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[float, str]:
    """The score and slug that a cursor stands for."""
    try:
        score, slug = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).split(b"|")
        return float(score), slug.decode()
    except (ValueError, binascii.Error):
        raise ValueError("is no cursor of this list") from None


def _checked(cursor: str) -> str:
    score, slug = _place(cursor)
    if not 0 <= score <= 1 or "\0" in slug or _cursor(FoundMovement(score, slug, b"")) != cursor:
        raise ValueError("is no cursor of this list")
    return cursor


class MovementQuery(BaseModel):
    """Query parameters of the list of movements."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    category: Category | None = None
    family: Slug | None = None
    equipment: Tag | None = None
    """What it needs, like `pull_up_bar`; `none` asks for those that need nothing."""
    muscle: Tag | None = None
    """A primary or secondary muscle, like `lower_back`."""
    mode: Mode | None = None
    min_difficulty: Difficulty | None = None
    max_difficulty: Difficulty | None = None
    q: Annotated[Name, StringConstraints(max_length=100)] | None = None
    """A name, misspelt perhaps: what fits best comes first. Names that other apps use are known too."""
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    """Most movements on one page."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(_checked)] | None = None
    """`next_cursor` of the page before."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_difficulty and self.max_difficulty and self.min_difficulty > self.max_difficulty:
            raise wrong(("min_difficulty", "must not be more than `max_difficulty`"))
        return self


class RevisionQuery(BaseModel):
    """Query parameters of a movement."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    revision: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """An older revision; the latest by default."""


class PathQuery(BaseModel):
    """Query parameters of a movement's progressions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    to: Slug | None = None
    """Slug of another movement: the shortest path to it is answered as well."""


async def list_(call: Call[None, MovementQuery]) -> Reply:
    """GET /exercises."""
    query = call.query
    wanted = Wanted(**query.model_dump(exclude={"limit", "cursor"}))
    after = _place(query.cursor) if query.cursor else None
    found = await _exercises(call).page(wanted, after=after, limit=query.limit + 1)
    page = found[: query.limit]
    cursor = _cursor(page[-1]) if len(found) > query.limit else None  # one more tells whether there is a next page
    return _kept(documents.page(call, [orjson.Fragment(movement.document) for movement in page], cursor), _A_MINUTE)


async def read(call: Call[None, RevisionQuery]) -> Reply:
    """GET /exercises/{slug}."""
    stored = await _exercises(call).read(call.names["slug"], call.query.revision)
    answer = documents.served(call, stored.revision, stored.document)
    return _kept(answer, _ASK_AGAIN if call.query.revision is None else _FOR_EVER)


async def progressions(call: Call[None, PathQuery]) -> Reply:
    """GET /exercises/{slug}/progressions."""
    try:
        ways = await _exercises(call).ways(call.names["slug"], call.query.to)
    except UnknownExercise as error:
        raise problems.invalid_parameter("to", "is no movement of the catalogue") from error
    document: dict[str, object] = {"easier": orjson.Fragment(ways.easier), "harder": orjson.Fragment(ways.harder)}
    if ways.path is not None:
        document |= {"direction": ways.direction, "path": orjson.Fragment(ways.path)}
    return Reply(200, orjson.dumps(document), _A_MINUTE)


async def names(call: Call[None, None]) -> Reply:
    """GET /exercise-names."""
    return Reply(200, b'{"items":' + await _exercises(call).names() + b"}", _A_MINUTE)


async def create(call: Call[MovementCreate, None]) -> Reply:
    """POST /exercises."""
    slug = call.body.slug
    stored = await _exercises(call).create(slug, call.body)
    return Reply(201, stored.document, _tag(stored) | {"Location": f"{PATH}/{slug}"})


async def update(call: Call[MovementUpdate, None]) -> Reply:
    """PUT /exercises/{slug}."""
    slug = call.names["slug"]
    if call.body.slug is not None and call.body.slug != slug:
        raise Unprocessable("It must be the slug of the address.", "/slug")
    stored = await _exercises(call).update(slug, call.body, if_match=documents.if_match(call))
    return Reply(200, stored.document, _tag(stored))


async def delete(call: Call[None, None]) -> Reply:
    """DELETE /exercises/{slug}."""
    await _exercises(call).delete(call.names["slug"], if_match=documents.if_match(call))
    return Reply(204)


def _exercises(call: Call[Any, Any]) -> Exercises:
    return Exercises(call.services.database)


def _kept(answer: Reply, cache: Mapping[str, str]) -> Reply:
    """The answer, with how long it may be kept."""
    return replace(answer, headers={**answer.headers, **cache})


def _tag(stored: StoredMovement) -> dict[str, str]:
    return {"ETag": documents.tag(stored.revision)}


_EXAMPLE = {
    "name": "Tuck planche push-up on rings",
    "category": "Push",
    "mode": "reps",
    "phases": ["concentric", "eccentric"],
    "equipment": ["rings"],
    "difficulty": 9,
    "muscles": ["shoulders", "chest"],
    "secondary_muscles": ["triceps", "abdominals"],
    "family": "planche",
    "easier_slugs": ["tuck-planche-push-up", "ring-push-up"],
}
_SLUG = frozenset({"slug"})
_GRAPH = "The graph of `easier_slugs`, in which the latest revisions count, has no circle: what would make one is 422."

ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listExercises",
        summary="List or search the catalogue of movements",
        description="The latest revision of each movement: by slug, or with `q` what fits the name best first.",
        tag="Exercises",
        auth=False,
        query=MovementQuery,
        answers={200: Answer("One page", MovementPage, headers=("Link",))},
        problems=(problems.UNAVAILABLE,),
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{slug}}",
        handler=read,
        operation_id="readExercise",
        summary="Read a movement",
        tag="Exercises",
        auth=False,
        texts=_SLUG,
        query=RevisionQuery,
        request_headers=("If-None-Match",),
        answers={
            200: Answer("The movement", MovementDocument, headers=("ETag",)),
            304: Answer("The client has this revision already", headers=("ETag",)),
        },
        problems=(problems.UNAVAILABLE,),
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{slug}}/progressions",
        handler=progressions,
        operation_id="readProgressions",
        summary="Read what is easier and harder, and the way to another movement",
        description=(
            "Direct neighbours in the graph of progressions. With `to` also the shortest path there, which goes all "
            "the way up or all the way down; where there is none, `direction` is `none` and `path` is empty."
        ),
        tag="Exercises",
        auth=False,
        texts=_SLUG,
        query=PathQuery,
        answers={200: Answer("The progressions", Progressions)},
        problems=(problems.UNAVAILABLE,),
    ),
    Route(
        method="GET",
        path=NAMES_PATH,
        handler=names,
        operation_id="listExerciseNames",
        summary="Read every name that stands for a movement",
        description=(
            "The catalogue's own names and those that Strong, Hevy and FitNotes use, to be compared in lower case and "
            "with single spaces. Who imports a log finds the slug of each of its exercises by this one request."
        ),
        tag="Exercises",
        auth=False,
        answers={200: Answer("The names", ExerciseNames)},
        problems=(problems.UNAVAILABLE,),
    ),
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="createExercise",
        summary="Add a movement to the catalogue",
        description=f"For admins. {_GRAPH} A slug that is there already is 409.",
        tag="Exercises",
        role=ADMIN,
        body=MovementCreate,
        body_example={"slug": "ring-tuck-planche-push-up"} | _EXAMPLE,
        answers={201: Answer("Added, as its first revision", MovementDocument, headers=("Location", "ETag"))},
        problems=(problems.CONFLICT, problems.UNKNOWN_EXERCISE),
    ),
    Route(
        method="PUT",
        path=f"{PATH}/{{slug}}",
        handler=update,
        operation_id="updateExercise",
        summary="Edit a movement",
        description=(
            "For admins. Adds its next revision: what was logged with an older one keeps that. What is logged within "
            f"seconds of the edit may still name the older one. {_GRAPH} What GET answered may be sent back, changed."
        ),
        tag="Exercises",
        role=ADMIN,
        texts=_SLUG,
        body=MovementUpdate,
        body_example=_EXAMPLE,
        request_headers=("If-Match",),
        answers={200: Answer("The new revision", MovementDocument, headers=("ETag",))},
        problems=(problems.PRECONDITION_FAILED, problems.UNKNOWN_EXERCISE),
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{slug}}",
        handler=delete,
        operation_id="deleteExercise",
        summary="Delete a movement to which nothing refers",
        description=(
            "For admins. Removes all its revisions; 409 where a training, a workout or a user's name refers to "
            "one of them, or another movement names it as easier. A movement added later under this slug goes on "
            "counting revisions."
        ),
        tag="Exercises",
        role=ADMIN,
        texts=_SLUG,
        request_headers=("If-Match",),
        answers={204: Answer("Deleted")},
        problems=(problems.CONFLICT, problems.PRECONDITION_FAILED),
    ),
)
