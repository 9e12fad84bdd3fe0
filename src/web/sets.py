"""Single sets of a training over REST: what an app saves while the athlete trains."""

from typing import Any

from models.sets import Document, SetUpdate
from models.trainings import TrainingDocument
from storage.sets import Sets
from web import documents, problems
from web.routes import Answer, Call, Reply, Route
from web.trainings import PATH as TRAININGS

PATH = f"{TRAININGS}/{{id}}/exercises/{{exerciseId}}/sets/{{setId}}"


async def save(call: Call[SetUpdate, None]) -> Reply:
    """PUT /trainings/{id}/exercises/{exerciseId}/sets/{setId}."""
    written = await _sets(call).save(
        documents.author(call),
        call.path["id"],
        call.path["exerciseId"],
        call.path["setId"],
        call.body,
        if_match=documents.if_match(call),
        key=documents.key(call, f"PUT {_address(call)}", call.body),
    )
    return documents.changed(call, written)


async def delete(call: Call[None, None]) -> Reply:
    """DELETE /trainings/{id}/exercises/{exerciseId}/sets/{setId}."""
    written = await _sets(call).delete(
        documents.author(call),
        call.path["id"],
        call.path["exerciseId"],
        call.path["setId"],
        if_match=documents.if_match(call),
        key=documents.key(call, f"DELETE {_address(call)}", Document()),
    )
    return documents.changed(call, written)


def _sets(call: Call[Any, Any]) -> Sets:
    return Sets(call.services.database, call.services.settings.events_topic)


def _address(call: Call[Any, Any]) -> str:
    return PATH.format_map(call.path)


_EXAMPLE_BODY = {"weight": 100, "reps": 5, "rpe": 8, "target": {"reps": {"min": 4, "max": 6}, "rpe": 8}}
_HEADERS = ("If-Match", "Idempotency-Key")
_ANSWERS = {
    200: Answer("The training as it is now", TrainingDocument, headers=("ETag", "Idempotent-Replayed")),
}

ROUTES = (
    Route(
        method="PUT",
        path=PATH,
        handler=save,
        operation_id="saveSet",
        summary="Save one set",
        description=(
            "Adds the set, or replaces the one with this id, as the training's next version, and queues a "
            "`training_updated` event. No If-Match is needed: two devices that save different sets at the same time "
            "both succeed. Each PUT is a version with an event, also one that says what is stored already: send an "
            "Idempotency-Key, and the same one with a retry. The answer is 200 for a new set too."
        ),
        tag="Trainings",
        body=SetUpdate,
        body_example=_EXAMPLE_BODY,
        request_headers=_HEADERS,
        answers=_ANSWERS,
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
    Route(
        method="DELETE",
        path=PATH,
        handler=delete,
        operation_id="deleteSet",
        summary="Remove one set",
        description="Removes the set, as the training's next version, and queues a `training_updated` event.",
        tag="Trainings",
        request_headers=_HEADERS,
        answers=_ANSWERS,
        problems=(problems.PRECONDITION_FAILED, problems.KEY_REUSED),
    ),
)
