"""The log of requests: who asked for what, when, and how it ended. It holds nothing that was said."""

from typing import NamedTuple
from uuid import UUID


class LoggedRequest(NamedTuple):
    """One request. `route` is the template of its address, never the address itself.

    `began` is when it came in, by `time.perf_counter`. `user_id` and `actor` are of the
    caller's token, None where there was none; `about_user` is the user that the address names, where that is another.
    `ms` are milliseconds to the end of the answer.
    """

    began: float
    user_id: UUID | None
    actor: str | None
    method: str
    route: str
    about_user: UUID | None
    status: int
    request_id: str
    ms: float
