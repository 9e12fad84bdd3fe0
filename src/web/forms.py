"""Bodies of `multipart/form-data` (RFC 7578): a file and what is said of it, whole in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from uuid import UUID
from weakref import WeakValueDictionary

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, ValidationError

from web import problems
from web.problems import TIMEOUT, TOO_LARGE, UNSUPPORTED, VALIDATION, Problem
from web.routes import FORM

_CHUNK = 65_536
AT_ONCE = 4  # files that a worker holds: so many times the largest is what they take of its memory


class Files:
    """The places for requests with files, of which a user has one at a time. Who gets none within `patience` seconds is
    answered 503."""

    def __init__(self, patience: float) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._of: WeakValueDictionary[UUID | None, asyncio.Lock] = WeakValueDictionary()  # those that somebody holds
        self._patience = patience

    @asynccontextmanager
    async def place(self, user_id: UUID | None) -> AsyncIterator[None]:
        """A place of this user's, for as long as the file is held."""
        own = self._of.setdefault(user_id, asyncio.Lock())
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._patience):
                    await held.enter_async_context(own)  # first: who waits for it keeps no other user waiting
                    await held.enter_async_context(self._places)
            except TimeoutError:
                raise problems.unavailable("Too many files are being read at once.") from None
            yield


async def read_form(request: web.Request, model: type[BaseModel], most: int, patience: float) -> BaseModel:
    """The parts as the fields of `model`. Raises `Problem`, also for a body of more than `most` bytes."""
    if request.content_type != FORM:
        raise Problem(UNSUPPORTED, f"The body must be {FORM}.", headers={"Accept": FORM})
    if (request.content_length or 0) > most:
        raise _too_large(most)
    try:
        async with asyncio.timeout(patience):
            values = await _values(request, model, most)
    except TimeoutError:
        raise Problem(TIMEOUT, f"The body did not arrive within {patience:g} s.") from None
    except (ConnectionError, web.RequestPayloadError, ValueError, AssertionError, RuntimeError, KeyError) as error:
        # aiohttp's reader asserts what a body may violate.
        raise problems.malformed("The body is broken off, or is no multipart/form-data.") from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = problems.invalid_body(error)
        raise replace(problem, detail=problem.detail.removeprefix("/")) from None  # a part's name, as in `invalid`


def invalid(name: str, message: str) -> Problem:
    """A part that is not as it must be. The message ends without a full stop."""
    pointer = problems.pointer([name])
    return Problem(VALIDATION, f"{name}: {message}.", [{"pointer": pointer, "message": message}])


async def _values(request: web.Request, model: type[BaseModel], most: int) -> dict[str, object]:
    values: dict[str, object] = {}
    left = most
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise ValueError("a part without a name, or of parts")
        if part.name in values:
            raise invalid(part.name, "is given more than once")
        field = model.model_fields.get(part.name)
        if field is None:
            raise invalid(part.name, "is not known here")
        content = bytearray()
        while chunk := await part.read_chunk(_CHUNK):
            content += chunk
            left -= len(chunk)
            if left < 0:
                raise _too_large(most)
        values[part.name] = bytes(content) if field.annotation is bytes else _text(part.name, content)
    return values


def _text(name: str, content: bytearray) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise invalid(name, "is no text in UTF-8") from None


def _too_large(most: int) -> Problem:
    return Problem(TOO_LARGE, f"The body is larger than {most} bytes.")
