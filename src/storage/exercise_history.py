"""What a user did of an exercise, read from the trainings themselves: one statement a question."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.database import Database
from storage.exercise_history_statements import HISTORY, LAST
from storage.pages import Page, page_of

RECENT = 100  # newest sessions in which the latest of each exercise is looked for first
RECENT_OF_HISTORY = 6  # the same for a page of a history: newest sessions for each that the page may have


@dataclass(frozen=True, slots=True)
class Session:
    """A COMPLETED training that holds the exercise. `document` is what it holds of it, as clients read it."""

    id: UUID
    date: dt.datetime
    document: str


async def read_history(
    database: Database,
    user_id: UUID,
    text: str,
    *,
    first: dt.date | None = None,
    last: dt.date | None = None,
    after: tuple[dt.datetime, UUID] | None = None,
    limit: int,
) -> Page[Session]:
    """At most `limit` of the user's COMPLETED trainings that hold the exercise, newest first; fewer where they are
    large (`storage.pages`).

    `text` names it. A slug of the catalogue names what was logged with it, in any revision, and what was logged with no
    slug under a name that means it to the user, which its own does unless the user says otherwise. The slug of an own
    exercise names what its names do. Any other text names what was logged under that name, with a slug or without.
    Slugs have one case; names are compared in lower case and with single spaces.

    The trainings lie on the local days `first` to `last`; `after` is the date and id of the last one of the page
    before. Raises `DatabaseUnavailable`.
    """
    after_date, after_id = after or (None, None)
    parameters = {
        "user_id": user_id,
        "text": text,
        "first": first,
        "last": last,
        "after_date": after_date,
        "after_id": after_id,
        "limit": limit + 1,  # one more tells whether there is a next page
        "recent": RECENT_OF_HISTORY * (limit + 1),
    }
    page = page_of(await database.all(HISTORY, parameters), limit)
    return Page((Session(*row) for row in page), more=page.more)


async def read_last(database: Database, user_id: UUID, texts: Sequence[str]) -> list[str]:
    """For each exercise what the newest training of its history holds of it, as clients read it, in the order asked.

    `texts` name exercises as in `read_history`. One that the user never did is left out. Raises `DatabaseUnavailable`.
    """
    rows = await database.all(LAST, {"user_id": user_id, "texts": list(texts), "recent": RECENT})
    return [document for (document,) in rows]
