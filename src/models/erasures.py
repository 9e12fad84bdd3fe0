"""An erasure: all of a user goes, for good, and what became of it."""

import datetime as dt
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

SECRET_BYTES = 32  # of `erasure_secret`, at least


class ErasureStatus(StrEnum):
    """How far an erasure is."""

    ERASING = "erasing"
    WAITING = "waiting"
    DONE = "done"


class ErasureDocument(BaseModel):
    """What became of an erasure. It names nobody: who knows the user's id can ask for it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: ErasureStatus
    """`erasing`: rows are being deleted. `waiting`: none is left that can be seen, and what was under way when the
    erasure began is waited for. `done`: nothing is left, and the event `user_erased` is on its way."""
    counts: dict[str, int]
    """Rows deleted, by table. `table.column` counts rows about others in which the user was replaced by nobody, as
    where the user was a coach; `archive` rows taken out of archived files."""
    waits_for: str | None = None
    """Why it does not go on at present; it is tried again by itself."""
    created_at: dt.datetime
    """When it was asked for. Since then nothing of the user is taken."""
    finished_at: dt.datetime | None = None
    """When nothing was left."""
    topic_copies_until: dt.date | None = None
    """The day on which the last of the user's records on the topics outlives its retention. Absent until the event
    `user_erased`, which is the last one, is published."""
