"""Pages for people: the API's description to try out, and what each problem means. They ask no other host."""

import asyncio
import gzip
import html
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import distribution
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from web import asyncapi, openapi
from web.problems import KINDS
from web.routes import JSON, Answer, Call, Handler, Reply, Route

# Files of the package swagger-ui-py: nothing is asked of another host. Importing it would load jinja2 and yaml besides.
_FILES = Path(str(distribution("swagger-ui-py").locate_file("swagger_ui/static")))
HTML = "text/html; charset=utf-8"
CSS = "text/css; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"
_DAY = {"Cache-Control": "public, max-age=86400"}
# Of pages. Swagger UI and plotly set styles on their elements; everything else comes from files of this service.
POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}

_DOCS = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training service</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """\
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true
});
"""
_PROBLEMS = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Problems of the training service</title>
<link rel="icon" href="data:,">
</head>
<body>
<h1>Problems</h1>
<p>Every error is an <code>application/problem+json</code> (RFC 9457) whose <code>type</code> leads here.</p>
{paragraphs}</body>
</html>
"""


def pages(routes: Sequence[Route]) -> tuple[Route, ...]:
    """The routes of all pages, and of the documents that describe `routes` and their events."""
    return (
        page("/", _redirect),
        page("/docs", text(_DOCS.encode(), HTML, POLICY)),
        page("/docs/start.js", text(_START.encode(), SCRIPT)),
        page("/docs/swagger-ui.css", packed(_FILES / "swagger-ui.css", CSS, _DAY)),
        page("/docs/swagger-ui-bundle.js", packed(_FILES / "swagger-ui-bundle.js", SCRIPT, _DAY)),
        page("/problems", text(_problems(), HTML, POLICY)),
        page("/openapi.json", made(lambda: openapi.text(openapi.document(routes)), JSON)),
        page("/asyncapi.json", made(lambda: openapi.text(asyncapi.document()), JSON)),
    )


def page(path: str, handler: Handler) -> Route:
    """The route of a page, or of a file that one needs: for everybody, and not in the API's description."""
    return Route(
        method="GET",
        path=path,
        handler=handler,
        operation_id=path,
        summary="",
        tag="Documentation",
        answers={200: Answer("")},
        auth=False,
    )


async def _redirect(_call: Call[None, None]) -> Reply:
    return Reply(302, headers={"Location": "/docs"})


def text(body: bytes, media: str, headers: Mapping[str, str] = MappingProxyType({})) -> Handler:
    """Answers `body`, which is kept in memory."""

    async def handler(_call: Call[None, None]) -> Reply:
        return Reply(200, body, headers, media)

    return handler


def made(make: Callable[[], bytes], media: str) -> Handler:
    """Answers what `make` returns, made when somebody asks for it first, and kept. Few workers are ever asked."""
    kept = cache(make)

    async def handler(_call: Call[None, None]) -> Reply:
        return Reply(200, await asyncio.to_thread(kept), media=media)

    return handler


def packed(file: Traversable, media: str, headers: Mapping[str, str]) -> Handler:
    """Answers the file, to who can read it packed by gzip.

    Nothing of it is in memory before somebody asks; it is packed once, then, and kept.
    """
    headers = {**headers, "Vary": "Accept-Encoding"}
    gzipped = cache(lambda: gzip.compress(file.read_bytes()))

    async def handler(call: Call[None, None]) -> Reply:
        if "gzip" in call.request.headers.get("Accept-Encoding", ""):
            return Reply(200, await asyncio.to_thread(gzipped), {**headers, "Content-Encoding": "gzip"}, media)
        return Reply(200, await asyncio.to_thread(file.read_bytes), headers, media)

    return handler


def _problems() -> bytes:
    paragraphs = "".join(
        f'<h2 id="{kind.name}">{kind.title} <small>{kind.status} <code>{kind.name}</code></small></h2>\n'
        f"<p>{_prose(kind.meaning)}</p>\n"
        for kind in KINDS
    )
    return _PROBLEMS.format(paragraphs=paragraphs).encode()


def _prose(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))
