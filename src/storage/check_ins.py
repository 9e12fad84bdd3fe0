"""Check-ins: documents (`storage.documents.CHECK_INS`), one a user and local day, and their list by day."""

import datetime as dt
from uuid import UUID

from storage.check_in_statements import LIST
from storage.database import Runner
from storage.documents import StoredDocument, stored


async def read_check_ins(
    runner: Runner,
    user_id: UUID,
    *,
    first: dt.date | None = None,
    last: dt.date | None = None,
    before: dt.date | None = None,
    limit: int,
) -> list[tuple[dt.date, StoredDocument]]:
    """At most `limit` of the user's check-ins of the days `first` to `last`, beside their days, the latest day first.

    `before` is the last day of the page before.
    """
    parameters = {"user_id": user_id, "first": first, "last": last, "before": before, "limit": limit}
    return [(day, stored(user_id, row)) for day, *row in await runner.all(LIST, parameters)]
