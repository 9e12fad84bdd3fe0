"""What an app shows while an exercise is logged: what was done of it before."""

from typing import Annotated

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from models.errors import Unprocessable
from models.exercise_history import ExerciseHistory, ExercisesAsked, LatestSessions
from models.fields import Day, LastDay
from storage.exercise_history import read_history, read_last
from web import documents
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/exercises"

# As stored names are trimmed: Python's own strip() takes more for space.
_trimmed = TypeAdapter(Annotated[str, StringConstraints(strip_whitespace=True)]).validate_python


class ExerciseHistoryQuery(BaseModel):
    """Query parameters of an exercise's history."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, inclusive."""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most sessions on one page; of large ones fewer: where `next_cursor` is, there are more."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


async def history(call: Call[None, ExerciseHistoryQuery]) -> Reply:
    """GET /users/{userId}/exercises/{exercise}/history."""
    query = call.query
    page = await read_history(
        call.services.database,
        call.user_id,
        _trimmed(call.names["exercise"]),
        first=query.first,
        last=query.last,
        after=documents.place(query.cursor) if query.cursor else None,
        limit=query.limit,
    )
    cursor = documents.cursor(page[-1].date, page[-1].id) if page.more else None
    return documents.page(call, [orjson.Fragment(session.document) for session in page], cursor)


async def last(call: Call[ExercisesAsked, None]) -> Reply:
    """POST /users/{userId}/exercises/last."""
    texts = call.body.exercises
    for place, text in enumerate(texts):
        if text in texts[:place]:
            raise Unprocessable("It is asked for twice.", f"/exercises/{place}")
    found = await read_last(call.services.database, call.user_id, texts)
    return Reply(200, orjson.dumps({"items": [orjson.Fragment(document) for document in found]}))


_NAMING = (
    "A slug of the catalogue names what was logged with it, in any revision, and what was logged without a slug under "
    "that name, or under one that the user says means it. The slug of an own exercise names what was logged under the "
    "names that mean it. Any other text names what was logged under that name, with a slug or without. Names are "
    "compared in lower case and with single spaces."
)

ROUTES = (
    Route(
        method="GET",
        path=f"{PATH}/{{exercise}}/history",
        handler=history,
        operation_id="readExerciseHistory",
        summary="Read what was done of an exercise, newest first",
        description=(
            "Each COMPLETED training that holds the exercise, with the sets of it that are `done`. "
            f"{_NAMING} Of an exercise that was never logged the list is empty."
        ),
        tag="Trainings",
        scope="read",
        texts=frozenset({"exercise"}),
        query=ExerciseHistoryQuery,
        answers={200: Answer("One page", ExerciseHistory, headers=("Link",))},
    ),
    Route(
        method="POST",
        path=f"{PATH}/last",
        handler=last,
        operation_id="readLastOfExercises",
        summary="Read what was done of many exercises the last time",
        description=(
            "For each exercise the newest session of its history, in the order asked; one that was never logged is "
            f"left out. {_NAMING} Nothing is written."
        ),
        tag="Trainings",
        scope="read",
        body=ExercisesAsked,
        body_example={"exercises": ["pistol-squat", "Squat (Barbell)"]},
        answers={200: Answer("The latest sessions", LatestSessions)},
    ),
)
