"""Logs of other apps as jobs: bring one in, see how far it is, take it back."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from models.errors import UnknownExercise, Unprocessable
from models.exercises import Catalogue
from models.fields import moment
from models.foreign_logs import MAX_BYTES, ForeignFileError, ForeignLog
from models.imports import (
    MOST_ERRORS,
    ImportDocument,
    ImportForm,
    ImportPage,
    ImportPlan,
    ImportStatus,
    LineProblem,
    LogFormat,
    detect,
    line_problem,
    read_log,
    session_problem,
    with_slugs,
)
from models.trainings import TrainingCreate, exercises_json
from storage.exercises import Exercises
from storage.imports import Imports
from storage.training_writes import checked_fields
from web import documents, forms, problems
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/imports"
_FORM_BYTES = MAX_BYTES + 65_536  # the file, and what is said of it
_ANY_ID = UUID(int=0)
_NONE: Mapping[str, str] = {}
# One file is read at a time, beside the requests: a large one takes seconds.
_READER = ThreadPoolExecutor(1, thread_name_prefix="import")


class ImportQuery(BaseModel):
    """Query parameters of the list of imports."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most imports on one page."""
    cursor: Annotated[str, Field(max_length=200), AfterValidator(documents.checked)] | None = None
    """`next_cursor` of the page before."""


async def create(call: Call[ImportForm, None]) -> Reply:
    """POST /users/{userId}/imports."""
    form, key = call.body, documents.key(call, f"POST {PATH}", call.body)
    try:
        format_, log = await asyncio.get_running_loop().run_in_executor(_READER, _read, form)
    except ForeignFileError as error:
        raise forms.invalid("file", str(error).removesuffix(".")) from None
    if form.dry_run:
        plan = await _plan(call, format_, log)
        return Reply(200, plan.model_dump_json(exclude_none=True).encode())
    job, replayed = await _imports(call).create(
        documents.author(call),
        uuid7(),
        form,
        log,
        format_,
        most=call.services.settings.imports_per_hour,
        key=key,
    )
    call.services.wake_imports()
    return _accepted(call, job, {"Idempotent-Replayed": "true"} if replayed else {})


async def list_(call: Call[None, ImportQuery]) -> Reply:
    """GET /users/{userId}/imports."""
    query = call.query
    found = await _imports(call).page(
        call.user_id,
        after=documents.place(query.cursor) if query.cursor else None,
        limit=query.limit + 1,  # one more tells whether there is a next page
    )
    page = found[: query.limit]
    cursor = documents.cursor(page[-1].created_at, page[-1].id) if len(found) > query.limit else None
    return documents.page(call, [_told(job) for job in page], cursor)


async def read(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/imports/{id}."""
    return Reply(200, orjson.dumps(_told(await _imports(call).read(call.user_id, call.path["id"]))))


async def undo(call: Call[None, None]) -> Reply:
    """DELETE /users/{userId}/imports/{id}."""
    job = await _imports(call).undo(call.user_id, call.path["id"])
    if job.status == ImportStatus.UNDONE:
        return Reply(200, orjson.dumps(_told(job)))
    call.services.wake_imports()
    return _accepted(call, job)


def _read(form: ImportForm) -> tuple[LogFormat, ForeignLog]:
    format_ = form.format or detect(form.file)
    return format_, read_log(form.file, format=format_, unit=form.unit, timezone=form.timezone)


def _judge(
    log: ForeignLog, slugs: Mapping[str, str], catalogue: Catalogue
) -> tuple[list[dict[str, Any]], list[LineProblem]]:
    """What is compared of the sessions that the import would take, and what is wrong with the others."""
    items, refused = [], []
    for session in log.sessions:
        plain = session.body
        body = with_slugs(plain, slugs)
        try:
            checked_fields(body, _exercises(body, plain, catalogue))
        except Unprocessable as error:
            refused.append(session_problem(session, error))
        else:
            items.append(
                {
                    "source_id": plain.source_id,
                    "date": moment(plain.date),
                    "digest": body.digest().hex(),
                    "plain": plain.digest().hex(),
                }
            )
    return items, refused


def _exercises(body: TrainingCreate, plain: TrainingCreate, catalogue: Catalogue) -> str:
    """As they would be stored; the length of ids is what matters of them."""
    try:
        return exercises_json(_ANY_ID, body.exercises, catalogue)
    except UnknownExercise:  # newer than what this worker knows of the catalogue
        return exercises_json(_ANY_ID, plain.exercises, catalogue)


async def _plan(call: Call[ImportForm, None], format_: LogFormat, log: ForeignLog) -> ImportPlan:
    slugs, catalogue = await Exercises(call.services.database).slugs(), await call.services.catalogue.get()
    items, refused = await asyncio.get_running_loop().run_in_executor(_READER, _judge, log, slugs, catalogue)
    there, same, overlapping = await _imports(call).compare(call.user_id, items)
    return ImportPlan(
        format=format_,
        timezone=call.body.timezone,
        unit=call.body.unit,
        sessions=len(log.sessions),
        exercises=log.exercises,
        sets=log.sets,
        reps=log.reps,
        held_back=log.held_back,
        error_lines=log.error_lines,
        created=len(items) - there,
        unchanged=same,
        conflicting=there - same,
        refused=len(refused),
        overlapping=overlapping,
        errors=[*map(line_problem, log.errors[:MOST_ERRORS]), *refused][:MOST_ERRORS],
    )


def _imports(call: Call[Any, Any]) -> Imports:
    return Imports(call.services.database, call.services.settings.events_topic)


def _accepted(call: Call[Any, Any], job: ImportDocument, headers: Mapping[str, str] = _NONE) -> Reply:
    address = f"{PATH.format(userId=call.user_id)}/{job.id}"
    return Reply(202, orjson.dumps(_told(job)), {"Location": address, **headers})


def _told(job: ImportDocument) -> dict[str, Any]:
    members = job.model_dump(exclude_none=True)
    return {name: moment(value) if isinstance(value, dt.datetime) else value for name, value in members.items()}


ROUTES = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        operation_id="createImport",
        summary="Import a log of another app",
        description=(
            "An export of Strong, Hevy or FitNotes, which goes in as a job: `Location` tells how far it is. Each "
            "session of the file becomes a COMPLETED training whose `source_id` names it, so that importing a file "
            "again creates what is new alone. Sessions with wrong lines, or beside a line that is of none, are left "
            "out whole, and named. Names of exercises that stand for movements of the catalogue get their slugs; "
            "others stay as they are. A session whose `source_id` is new and that begins in the same minute as a "
            "training which is there (logged here, say, and exported) is created too, and counted as `overlapping`: "
            "`dry_run` tells before. One import of a user at a time. The file is kept until the import is done, and "
            "no longer. With `dry_run` it is read and compared with what is there, and nothing is stored. An "
            "Idempotency-Key that was used before is answered with that import, as it is now."
        ),
        tag="Imports",
        form=ImportForm,
        form_bytes=_FORM_BYTES,
        request_headers=("Idempotency-Key",),
        answers={
            200: Answer("What it would do: a dry run", ImportPlan),
            202: Answer("It was taken", ImportDocument, headers=("Location", "Idempotent-Replayed")),
        },
        problems=(problems.CONFLICT, problems.TOO_MANY, problems.KEY_REUSED),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        operation_id="listImports",
        summary="List one's imports",
        description="Newest first, without their errors.",
        tag="Imports",
        query=ImportQuery,
        answers={200: Answer("One page", ImportPage, headers=("Link",))},
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{id}}",
        handler=read,
        operation_id="readImport",
        summary="Read how far an import is, and what was wrong",
        tag="Imports",
        answers={200: Answer("The import", ImportDocument)},
    ),
    Route(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        handler=undo,
        operation_id="undoImport",
        summary="Undo an import",
        description=(
            "Stops the import where it waits or runs, and has every training deleted that it created and that was not "
            "changed since; the others are kept and named. The `source_id`s of the deleted ones are free again, so "
            "that the file can be imported in another zone or unit; a training that is restored takes its own back "
            "where it is free. The import itself stays, as `undone`; a second undo changes nothing. 409 while another "
            "import of the user's is under way. An import is kept, and can be undone, for a year after it was "
            "finished, or as long as the operator has set; what it brought in stays."
        ),
        tag="Imports",
        answers={
            200: Answer("It is undone", ImportDocument),
            202: Answer("It is being undone", ImportDocument, headers=("Location",)),
        },
        problems=(problems.CONFLICT,),
    ),
)
