"""Form analyses of sets: documents (see `storage.documents`) that are added, and never change."""

import datetime as dt
from typing import NamedTuple
from uuid import UUID

from models.errors import NotFound, Unprocessable, UserErased
from models.form_analyses import FormAnalysisCreate
from storage.database import Database, Runner
from storage.documents import FORM_ANALYSES, Documents, StoredDocument, stored
from storage.form_analyses_statements import PAGE, SET
from storage.pages import Page, page_of
from storage.training_writes import Author, IdempotencyKey, Written


class SetPlace(NamedTuple):
    """Where a set is. An exercise's sets have ids of their own, which another one's may have, too."""

    training_id: UUID
    exercise_id: UUID
    set_id: UUID


class FormAnalyses:
    """The form analyses of all users' sets. `topic` is where their events go.

    Every method raises `NotFound` where the user has no such set, and `DatabaseUnavailable` when PostgreSQL is away; a
    write that was under way then may or may not have been done.
    """

    def __init__(self, database: Database, topic: str) -> None:
        self._database = database
        self._topic = topic

    async def add(
        self, author: Author, place: SetPlace, id_: UUID, body: FormAnalysisCreate, *, key: IdempotencyKey | None = None
    ) -> Written:
        """Store the analysis with its event, under the client's `id` or a new one (`id_`). The training stays as it is.

        An `id` that names an analysis of this set with the same body adds nothing, and answers what is stored. It and
        the key are judged first: what was added once is answered whatever became of the set since. Raises
        `IdentityConflict` where it was another, `IdempotencyKeyReused`, and `Unprocessable` where the set has another
        video, the analysis lies in the future, or the event would be too large.
        """
        body.check_done(dt.datetime.now(dt.UTC))
        refusal: NotFound | Unprocessable | None = None
        found = await self._database.one(SET, place._asdict() | {"user_id": author.user_id})
        if found is None:
            refusal = _not_found()
        elif found[0] != body.video_id:
            refusal = Unprocessable("The set has another video, or none.", "/video_id")
        columns = {"training_id": place.training_id, "set_id": place.set_id, "video_id": body.video_id}
        content, digest = body.content(*place), body.digest_of(*place)
        if refusal is None:
            return await self._documents(self._database).create(author, id_, content, digest, columns, key=key)
        try:
            async with self._database.transaction() as cursor:
                written = await self._documents(cursor).create(author, id_, content, digest, columns, key=key)
                if written.replayed or not written.created:  # added before: then that is all
                    return written
                raise refusal
        except UserErased:  # nothing is left that was added before
            raise refusal from None

    async def page(
        self, user_id: UUID, place: SetPlace, *, after: tuple[dt.datetime, UUID] | None = None, limit: int
    ) -> Page[StoredDocument]:
        """At most `limit` analyses of the set, those added last first; of the videos that it had before, too. Fewer
        where they are large (`storage.pages`).

        `after` is when the last analysis of the page before was added, and its id.
        """
        after_moment, after_id = after or (None, None)
        parameters = place._asdict() | {
            "user_id": user_id,
            "after_moment": after_moment,
            "after_id": after_id,
            "limit": limit + 1,  # one more tells whether there is a next page
        }
        rows = await self._database.all(PAGE, parameters)
        if not rows:
            raise _not_found()
        page = page_of([row for row in rows if row[0] is not None], limit)
        return Page((stored(user_id, row) for row in page), more=page.more)

    def _documents(self, runner: Runner) -> Documents:
        return Documents(runner, self._topic, FORM_ANALYSES)


def _not_found() -> NotFound:
    return NotFound("There is no such set.")
