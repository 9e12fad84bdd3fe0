"""The trace that a request belongs to: the header `traceparent` of W3C Trace Context, level 1.

https://www.w3.org/TR/trace-context-1/
"""

import re
from collections.abc import Iterable, Sequence
from contextvars import ContextVar

HEADER = "traceparent"

CURRENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The `traceparent` of the request under way; None where it has none, and outside of requests."""

# Version, trace id, parent id, flags. A later version may say more behind them; version ff is none.
_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VERSION = "00"
_SAMPLED = 0x01
_MOST = 10  # trace ids that a line of the log names


def read(values: Sequence[str]) -> str | None:
    """The traceparent that a request's headers of this name say, in version 00; None where they say none.

    What is not well formed, or said twice, counts as not said: that is never the request's fault. A later version is
    read by what version 00 knows of it, which of its flags is `sampled` alone.
    """
    found = _FORM.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == _VERSION:
        return None if more else values[0]
    return f"{_VERSION}-{trace_id}-{parent_id}-{int(flags, 16) & _SAMPLED:02x}"


def trace_id(traceparent: str) -> str:
    """The id of the trace, 32 hexadecimal digits, of what `read` returned."""
    return traceparent[3:35]


def trace_ids(found: Iterable[Iterable[tuple[str, bytes | None]]]) -> list[str]:
    """The ids of the traces that records belong to, each once, by their headers; of many the first ten."""
    ids: dict[str, None] = {}
    for headers in found:
        for name, value in headers:
            traceparent = read([value.decode("ascii", "replace")]) if name == HEADER and value else None
            if traceparent is not None:
                ids[trace_id(traceparent)] = None
        if len(ids) == _MOST:
            break
    return list(ids)
