"""Everything that is kept of one user, over REST (GDPR, Art. 20)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

from models.portability import DocumentWriter, UserExport
from storage.portability import Items, read_all
from web import problems
from web.erasures import IDENTITY
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}/export"


async def export(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/export."""
    user_id = call.user_id
    headers = {"Content-Disposition": f'attachment; filename="training-{user_id}.json"'}
    found = read_all(call.services.reading, call.services.settings.archive_dir, user_id)
    return Reply(200, headers=headers, chunks=_document(user_id, found))


async def _document(user_id: UUID, found: AsyncGenerator[Items, None]) -> AsyncGenerator[bytes, None]:
    writer = DocumentWriter(user_id)
    async with aclosing(found) as chunks:
        async for as_of, items in chunks:
            yield writer.add(as_of, items)
    yield writer.end()


ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=export,
        operation_id="exportUser",
        summary="Take along everything that is kept of a user",
        description=(
            "One JSON document, of one moment, with an array a kind: what the user logged, planned and said, what "
            "was derived, what coaches did, and all changes, archived years included. It is sent while it is read, "
            "however long it is, and parsers that stream read it well: all objects lie in the arrays of the outermost "
            "one, and nothing comes behind these. What a coach plans and hides is left out as long as it is "
            "hidden, here as everywhere: it is not the user's own data, and is told when the coach says so. A "
            "connection that breaks off before the end of the answer means that some is missing. For the user, and for "
            f"who carries the role `{IDENTITY}`."
        ),
        tag="Users",
        deputy=IDENTITY,
        answers={200: Answer("The document, as a file", UserExport)},
        problems=(problems.ARCHIVE_UNAVAILABLE,),
    ),
)
