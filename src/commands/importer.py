"""`training import`: a log of another app goes in, or out again, as a job of the REST API, as any client's would."""

import argparse
import asyncio
import contextlib
import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self, TypeVar
from uuid import UUID

import aiohttp
import jwt
import orjson
from pydantic import BaseModel, ValidationError
from tqdm import tqdm
from yarl import URL

from commands.environment import CommandError, required
from models.foreign_logs import LineError
from models.imports import (
    MOST_ERRORS,
    ImportDocument,
    ImportForm,
    ImportPage,
    ImportPlan,
    ImportStatus,
    LineProblem,
    LogFormat,
)
from models.sets import Unit

_UPLOAD = aiohttp.ClientTimeout(total=120.0, sock_connect=5.0)  # seconds; then the service is asked what became of it
_TIMEOUT = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)  # seconds; then it is asked again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds between attempts while the service is away
_LONGEST_RETRY_AFTER = 30.0  # seconds that a Retry-After is heeded
_FIRST_LOOK, _LONGEST_LOOK = 0.1, 1.0  # seconds between two looks at a job
_AWAY = {408, 429, 502, 503, 504}
_UNDER_WAY = {ImportStatus.QUEUED, ImportStatus.RUNNING, ImportStatus.UNDOING}
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

Model = TypeVar("Model", bound=BaseModel)


class ImportClient:
    """The imports of the user whom `token` names, by the API at `api` (base address). An async context manager.

    While the service is away (unreachable, silent, 408, 429, 502, 503, 504) it waits, for as long as that takes, tells
    `say` and goes on; a Retry-After beyond half a minute on 429 is no such thing. Every method raises `CommandError`
    with the service's words for what the service does not take, and when it is another service.
    """

    def __init__(self, api: str, token: str, *, say: Callable[[str], None]) -> None:
        self._url = _base(api) / f"api/v1/training/users/{_user(token)}/imports"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._say = say
        self._pause = 0.0
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def plan(self, form: ImportForm) -> ImportPlan:
        """What the import would do: `form` is a dry run, which stores nothing."""
        while (answer := await self._try("POST", self._url, form)) is None:
            pass
        return self._document(ImportPlan, answer, 200)

    async def start(self, form: ImportForm) -> ImportDocument:
        """Have a file imported, once another import that is under way is done.

        When an answer is lost, an import that is there since and has what `form` says is this one, and the file is
        sent again only where there is none. Should it have been taken after that look all the same, the second import
        finds every training unchanged.
        """
        before = {job.id for job in await self._newest()}
        lost = False
        while True:
            answer = await self._try("POST", self._url, form)
            lost = lost or answer is None
            if answer is not None and answer[0] != 409:
                return self._document(ImportDocument, answer, 202)
            if lost:
                for job in await self._newest():
                    if job.id not in before and _is_of(form, job):
                        return job
            if answer is not None:
                await self._other(answer)

    async def undo(self, id_: UUID) -> ImportDocument:
        """Have what an import created deleted, once what is under way is done."""
        while True:
            answer = await self._ask("DELETE", self._url / str(id_))
            if answer[0] != 409:
                return self._document(ImportDocument, answer, 200, 202)
            await self._other(answer)

    async def finished(
        self, job: ImportDocument, progress: Callable[[ImportDocument], object] = lambda _: None
    ) -> ImportDocument:
        """The import when it, or its undo, is no longer under way; `progress` is told of it at each look."""
        pause = _FIRST_LOOK
        while job.status in _UNDER_WAY:
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_LOOK)
            job = self._document(ImportDocument, await self._ask("GET", self._url / str(job.id)), 200)
            progress(job)
        return job

    async def _newest(self) -> list[ImportDocument]:
        return self._document(ImportPage, await self._ask("GET", self._url), 200).items

    async def _other(self, answer: tuple[int, bytes]) -> None:
        """Wait until the import is done that a 409 names."""
        named = _UUID.search(_reason(*answer) or "")
        if named is None:
            raise self._refusal(*answer)
        self._say(f"The import {named[0]} is under way; waiting until it is done.")
        await self.finished(self._document(ImportDocument, await self._ask("GET", self._url / named[0]), 200))

    async def _ask(self, method: str, url: URL) -> tuple[int, bytes]:
        """Status and body of the answer to a request that may be repeated."""
        while (answer := await self._try(method, url)) is None:
            pass
        return answer

    async def _try(self, method: str, url: URL, form: ImportForm | None = None) -> tuple[int, bytes] | None:
        """One request; None, after a pause, where the service was away: it may have been heard nonetheless."""
        retry_after = 0.0
        data, timeout = (None, _TIMEOUT) if form is None else (_parts(form), _UPLOAD)
        try:
            async with self._http.request(method, url, data=data, timeout=timeout, allow_redirects=False) as answer:
                content = await answer.read()
            retry_after = _seconds(answer.headers.get("Retry-After", ""))
            if answer.status not in _AWAY or (answer.status == 429 and retry_after > _LONGEST_RETRY_AFTER):
                self._is_back()
                return answer.status, content
            self._is_away(_reason(answer.status, content) or f"status {answer.status}")
        except aiohttp.ClientSSLError as error:
            raise CommandError(f"No secure connection to {url.origin()}: {error}") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            self._is_away(str(error) or "no answer in time")
        except aiohttp.ClientError as error:
            raise CommandError(f"{url} does not speak HTTP as it should: {error}") from None
        await asyncio.sleep(max(self._pause, min(retry_after, _LONGEST_RETRY_AFTER)))
        return None

    def _is_away(self, reason: str) -> None:
        if not self._pause:
            self._say(f"The service is away ({reason}); waiting for it.")
        self._pause = min(2 * self._pause, _LONGEST_PAUSE) or _FIRST_PAUSE

    def _is_back(self) -> None:
        if self._pause:
            self._pause = 0.0
            self._say("The service is back; going on.")

    def _document(self, model: type[Model], answer: tuple[int, bytes], *expected: int) -> Model:
        status, body = answer
        if status in expected:
            with contextlib.suppress(ValidationError):
                return model.model_validate_json(body)
        raise self._refusal(status, body)

    def _refusal(self, status: int, body: bytes) -> CommandError:
        reason = _reason(status, body)
        if reason is None:
            return CommandError(f"{self._url.origin()} is no training service (status {status} of {self._url.path}).")
        return CommandError(f"The service refuses the token: {reason}" if status in {401, 403} else reason)


def log(args: argparse.Namespace) -> int:
    """`training import log FILE`: exit code 0 when every line of the file is in the service."""
    try:
        form = ImportForm(
            file=args.file.read_bytes(),
            format=args.format,
            timezone=args.timezone,
            unit=Unit(args.unit),
            dry_run=args.dry_run,
        )
    except OSError as error:
        raise CommandError(f"{args.file} cannot be read: {error.strerror}.") from None
    return asyncio.run((_plan if form.dry_run else _import)(args, form))


def strong(args: argparse.Namespace) -> int:
    """`training import strong FILE`: the same, of an export of Strong's alone."""
    args.format = LogFormat.STRONG
    return log(args)


def undo(args: argparse.Namespace) -> int:
    """`training import undo ID`: exit code 0 when nothing that the import created is left."""
    return asyncio.run(_undo(args))


async def _plan(args: argparse.Namespace, form: ImportForm) -> int:
    async with _client(args) as client:
        plan = await client.plan(form)
    print(
        f"{args.file} ({plan.format}): {plan.sessions:,} trainings, {plan.sets:,} sets, {plan.exercises:,} exercises, "
        f"{plan.reps:,} repetitions; local time in {plan.timezone}."
    )
    _print_errors(plan.errors)
    print(
        f"Dry run, nothing was stored: {plan.created:,} to create, unchanged {plan.unchanged:,}, "
        f"conflicting {plan.conflicting:,}, held back {plan.held_back:,}"
    )
    return 1 if plan.conflicting or plan.held_back or plan.error_lines else 0


async def _import(args: argparse.Namespace, form: ImportForm) -> int:
    began = time.monotonic()
    async with _client(args) as client:
        job = await client.start(form)
        print(
            f"{args.file} ({job.format}): {job.sessions:,} trainings; local time in {job.timezone}. Import {job.id}.",
            flush=True,
        )
        with tqdm(total=job.sessions, unit=" trainings", disable=None) as bar:
            job = await client.finished(job, lambda now: bar.update(now.worked_off - bar.n))
    _print_errors(job.errors)
    print(
        f"created {job.created:,}, unchanged {job.unchanged:,}, conflicting {job.conflicting:,}, "
        f"refused {job.refused:,}, held back {job.held_back:,} ({time.monotonic() - began:.1f} s)"
    )
    if job.status != ImportStatus.DONE:
        raise CommandError(job.failure or f"The import is {job.status}.")
    return 1 if job.conflicting or job.refused or job.held_back or job.error_lines else 0


async def _undo(args: argparse.Namespace) -> int:
    async with _client(args) as client:
        job = await client.finished(await client.undo(args.id))
    if job.status != ImportStatus.UNDONE:
        raise CommandError(job.failure or f"The import is {job.status}.")
    for kept in job.kept_trainings or []:
        print(f"training {kept}: kept, since it was changed", file=sys.stderr)
    print(f"deleted {job.undone:,}, kept {job.kept:,}")
    return 1 if job.kept else 0


def _client(args: argparse.Namespace) -> ImportClient:
    api = required(os.environ, "TRAINING_API", "--api", args.api)
    return ImportClient(api, required(os.environ, "TRAINING_TOKEN", "--token", args.token), say=_say)


def _parts(form: ImportForm) -> aiohttp.FormData:
    """The form as a body; each attempt needs one of its own."""
    parts = aiohttp.FormData(default_to_multipart=True)
    fields: Mapping[str, object] = form.model_dump(mode="json", exclude={"file", "dry_run"}, exclude_none=True)
    for name, value in fields.items():
        parts.add_field(name, str(value))
    parts.add_field("dry_run", "true" if form.dry_run else "false")
    parts.add_field("file", io.BytesIO(form.file), filename="log.csv", content_type="text/csv")
    return parts


def _is_of(form: ImportForm, job: ImportDocument) -> bool:
    return (job.timezone, job.unit) == (form.timezone, form.unit) and form.format in {None, job.format}


def _base(api: str) -> URL:
    with contextlib.suppress(ValueError):
        url = URL(api)
        if url.scheme in {"http", "https"} and url.host:
            return url
    raise CommandError(f"{api!r} is no address like http://127.0.0.1:8080.")


def _user(token: str) -> UUID:
    """Whom a token names. The service judges whether it is genuine."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return UUID(claims.get("userId", claims.get("sub")))
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise CommandError("The token is none that names a user.") from None


def _reason(status: int, body: bytes) -> str | None:
    """What a problem document (RFC 9457) says; None where it is none."""
    try:
        problem = orjson.loads(body)
        return str(problem["detail"]) if problem["status"] == status else None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isdecimal() else 0.0


def _say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)


def _print_errors(errors: Iterable[LineProblem] | None) -> None:
    shown = list(errors or [])
    for error in shown:
        print(LineError(error.line, error.column or "", error.message), file=sys.stderr)
    if len(shown) == MOST_ERRORS:
        print(f"… no more than {MOST_ERRORS} are told.", file=sys.stderr)
