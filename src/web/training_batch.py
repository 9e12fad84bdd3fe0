"""Many new trainings in one request: what an app sends that was away for long."""

import json
from functools import partial
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, WrapValidator
from uuid_utils.compat import uuid7

from models.errors import UnknownExercise
from models.trainings import TrainingCreate, TrainingDocument, exercises_json
from storage.pages import PAGE_BYTES
from storage.training_batch import Item, Result, TrainingBatches
from storage.training_writes import Written
from web import documents, problems
from web.problems import Problem, ProblemDocument, invalid_header
from web.routes import Answer, Call, Reply, Route
from web.trainings import PATH as TRAININGS

PATH = f"{TRAININGS}/batch"
MOST = 100


def _each(value: object, _: object) -> object:
    """The training, or what is wrong with it: one that is wrong holds up no other."""
    try:
        return TrainingCreate.model_validate_json(json.dumps(value))
    except ValidationError as error:
        return error


# Anything may stand there: what is no training has a result that says so.
_Each = Annotated[Any, WrapValidator(_each, json_schema_input_type=TrainingCreate | Any)]


class TrainingBatch(RootModel[Annotated[list[_Each], Field(min_length=1, max_length=MOST)]]):
    """Body of POST /trainings/batch: 1 to 100 bodies of POST /trainings."""


class BatchResult(BaseModel):
    """What became of one training: exactly one of `training` and `problem` is given."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: int
    """As POST /trainings would have answered: 201, 200, 409 or 422. Or 413: it was there already, and the answer is
    full. Send it in another request."""
    training: TrainingDocument | None = None
    problem: ProblemDocument | None = None
    """Its pointers begin with the place in the batch: `/3/date`."""


class BatchResults(BaseModel):
    """What became of each training, in the order of the request."""

    items: list[BatchResult]


async def create(call: Call[TrainingBatch, None]) -> Reply:
    """POST /trainings/batch."""
    if "Idempotency-Key" in call.request.headers:
        raise invalid_header("Idempotency-Key", "is not taken here: an `id` or `source_id` makes each training safe")
    results: dict[int, Result | Problem] = {}
    items: dict[int, Item] = {}
    for place, body in enumerate(call.body.root):
        if isinstance(body, ValidationError):
            results[place] = problems.invalid_body(body)
            continue
        id_ = body.id or uuid7()
        try:
            exercises = await call.services.catalogue.resolve(partial(exercises_json, id_, body.exercises))
            items[place] = (id_, body, exercises)
        except UnknownExercise as error:
            results[place] = error
    batches = TrainingBatches(call.services.database, call.services.settings.events_topic)
    results |= dict(zip(items, await batches.create(documents.author(call), list(items.values())), strict=True))
    call.services.wake()
    told = 0  # bytes of those that were there already: what is new is as large as the request makes it
    for place in range(len(results)):
        result = results[place]
        if isinstance(result, Written) and not result.created:
            told += len(result.document or b"")
            if result.document is None or told > PAGE_BYTES:
                results[place] = Problem(problems.TOO_LARGE, "It was there already, and the answer is full.")
    answers = [_answer(place, results[place], call.request_id) for place in range(len(results))]
    return Reply(200, orjson.dumps({"items": answers}))


def _answer(place: int, result: Result | Problem, request_id: str) -> dict[str, Any]:
    if isinstance(result, Written):
        return {"status": 201 if result.created else 200, "training": orjson.Fragment(result.document or b"")}
    problem = problems.of(result)
    problem.errors = [
        {**error, "pointer": f"/{place}{error['pointer']}"} if "pointer" in error else error for error in problem.errors
    ]
    return {"status": problem.kind.status, "problem": orjson.Fragment(problem.body(request_id))}


ROUTES = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="createTrainings",
        summary="Create many trainings",
        description=(
            "Saves those that can be saved, all at once, each with its `training_created` event; every other has a "
            "result of its own and holds up none. There is no Idempotency-Key: give each training an `id` or a "
            "`source_id`, and the whole is safe to send again."
        ),
        tag="Trainings",
        body=TrainingBatch,
        body_example=[{"date": "2026-01-05T18:30:00+01:00", "source_id": "app:17", "status": "COMPLETED"}],
        answers={200: Answer("What became of each, in order", BatchResults)},
    ),
)
