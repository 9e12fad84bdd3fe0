"""Logs of the worker: one line an event, as JSON or for a terminal, from structlog and the standard library alike."""

import logging
import re
import sys
import time
from typing import Any

import orjson
import structlog

PERIOD = 10.0  # seconds
REMEMBERED = 1000  # different messages
# What orders terminals about or ends a line for some reader, and is no ASCII control character, which JSON escapes.
_UNSEEN = re.compile("[\x80-\x9f\u2028\u2029]")
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")

# Loggers of libraries, and of `runtime`, whose classes are Faust's: nothing below a warning (unless all is wanted), and
# no floods.
LIBRARIES = ("aiokafka", "faust", "mode", "asyncio", "aiohttp", "opentelemetry", "runtime")
REQUESTS = "aiokafka.conn"  # its debug lines are requests and answers in full, with the passwords and tokens of SASL


class Throttle(logging.Filter):
    """At most one line for each logger and message in `PERIOD` seconds; the next one tells how many were left out.

    While a broker is away aiokafka logs four errors every 100 ms, and Faust has no setting that slows it down.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}  # when it was let through, how many were not since

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(LIBRARIES) or record.levelno < logging.WARNING:
            return True
        message, now = str(record.msg), time.monotonic()
        at, left_out = self._seen.get((record.name, message), (-PERIOD, 0))
        if now - at < PERIOD:
            self._seen[record.name, message] = (at, left_out + 1)
            return False
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[record.name, message] = (now, 0)
        if left_out:
            record.left_out = left_out
        return True


def configure(level: str, style: str) -> None:
    """Send every log of this process to stderr, from `level` (debug, info, warning, error) on.

    `style` is `json` or `console`. What is bound by `structlog.contextvars` (the request's id) stands in each line, and
    so do the `extra` fields of standard loggers.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if style == "json":
        ending: list[Any] = [structlog.processors.format_exc_info, _json]
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        ending = [structlog.processors.format_exc_info, _visible, renderer]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Throttle())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(
            logging.DEBUG if level == "debug" else max(logging.root.level, logging.WARNING)
        )
    logging.getLogger(REQUESTS).setLevel(max(logging.INFO, logging.getLogger("aiokafka").level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _json(_: object, __: str, event: structlog.typing.EventDict) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "logger")} | {"message": event.pop("event")}
    line = orjson.dumps({**first, **event}, default=str).decode()
    return line if line.isascii() else _UNSEEN.sub(_escape, line)


def _visible(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """For a terminal: nothing in a value moves the cursor or begins a line. The lines of a traceback are indented."""
    for name, value in event.items():
        if name == "exception":
            event[name] = "\n".join("  " + _CONTROL.sub(_escape, line) for line in str(value).split("\n"))
        elif isinstance(value, str):
            event[name] = _CONTROL.sub(_escape, value)
    return event


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
