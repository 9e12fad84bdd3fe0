"""Form analyses over REST: what another service found on the video of a set."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from models.form_analyses import FormAnalysisCreate, FormAnalysisDocument, FormAnalysisPage
from storage.form_analyses import FormAnalyses, SetPlace
from web import documents, problems
from web.routes import Answer, Call, Reply, Route
from web.trainings import USER_PATH

PATH = f"{USER_PATH}/{{id}}/exercises/{{exerciseId}}/sets/{{setId}}/form-analyses"
ANALYSER = "form-analysis"  # the role of the service that looks at videos


class FormAnalysisQuery(BaseModel):
    """Query parameters of the list of a set's form analyses."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most analyses on one page; of large ones fewer: where `next_cursor` is, there are more."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


async def add(call: Call[FormAnalysisCreate, None]) -> Reply:
    """POST /users/{userId}/trainings/{id}/exercises/{exerciseId}/sets/{setId}/form-analyses."""
    body = call.body
    key = documents.key(call, f"POST {PATH.format_map(call.path)}", body)
    written = await _analyses(call).add(documents.author(call), _place(call), body.id or uuid7(), body, key=key)
    return documents.added(call, written)


async def list_(call: Call[None, FormAnalysisQuery]) -> Reply:
    """GET /users/{userId}/trainings/{id}/exercises/{exerciseId}/sets/{setId}/form-analyses."""
    query = call.query
    page = await _analyses(call).page(
        call.user_id,
        _place(call),
        after=documents.place(query.cursor) if query.cursor else None,
        limit=query.limit,
    )
    cursor = documents.cursor(page[-1].created_at, page[-1].id) if page.more else None
    return documents.page(call, [orjson.Fragment(stored.document) for stored in page], cursor)


def _analyses(call: Call[Any, Any]) -> FormAnalyses:
    return FormAnalyses(call.services.database, call.services.settings.insights_topic)


def _place(call: Call[Any, Any]) -> SetPlace:
    return SetPlace(call.path["id"], call.path["exerciseId"], call.path["setId"])


_EXAMPLE_BODY = {
    "id": "0193f1a0-0000-7000-8000-00000000000a",
    "video_id": "video-1",
    "analyser": {"name": "example-vision", "version": "2.1.0"},
    "scores": [{"name": "depth", "value": 0.9, "about": "How far below parallel the hips go"}],
    "remarks": [{"at_seconds": 12.4, "severity": "warning", "text": "The knees come inwards on the way up."}],
    "analysed_at": "2026-01-05T18:45:00Z",
}
_HEADERS = ("Idempotent-Replayed",)

ROUTES = (
    Route(
        method="POST",
        path=PATH,
        handler=add,
        operation_id="addFormAnalysis",
        summary="Attach a form analysis to a set",
        description=(
            "Saves what a service found on the set's video, and queues a `form_analysis_added` event in the same "
            "statement. The training stays as it is, and the analysis, too: another one is another `id`. `video_id` "
            "must be the set's own, or the answer is 422. A request that was answered before is answered so again, "
            "whatever became of the set since. An Idempotency-Key is kept with a 201. A 200 needs none: the "
            f"`id` that it answers to holds for ever. For the user, and for who carries the role `{ANALYSER}`."
        ),
        tag="Form analyses",
        deputy=ANALYSER,
        body=FormAnalysisCreate,
        body_example=_EXAMPLE_BODY,
        request_headers=("Idempotency-Key",),
        answers={
            201: Answer("Added", FormAnalysisDocument, headers=_HEADERS),
            200: Answer(
                "It was there already: the same `id` with the same body.",
                FormAnalysisDocument,
                headers=_HEADERS,
            ),
        },
        problems=(problems.IDENTITY_CONFLICT, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listFormAnalyses",
        summary="List the form analyses of a set, those added last first",
        description="With those of a video that the set had before: `video_id` tells.",
        tag="Form analyses",
        query=FormAnalysisQuery,
        answers={200: Answer("One page", FormAnalysisPage, headers=("Link",))},
    ),
)
