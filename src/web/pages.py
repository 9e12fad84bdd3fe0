"""Pages for people: the API's description to try out, and what each problem means. They ask no other host."""

import asyncio
import gzip
import html
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from web import asyncapi, openapi
from web.problems import KINDS
from web.routes import JSON, Answer, Call, Handler, Reply, Route

_FILES = resources.files("swagger_ui") / "static"  # of the package swagger-ui-py: nothing is asked of another host
_HTML = "text/html; charset=utf-8"
_DAY = {"Cache-Control": "public, max-age=86400"}
_POLICY = {
    # Swagger UI sets styles on its elements; everything else comes from files of ours.
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
    rest = openapi.text(openapi.document(routes))
    events = openapi.text(asyncapi.document())
    return (
        _page("/", _redirect),
        _page("/docs", _text(_DOCS.encode(), _HTML)),
        _page("/docs/start.js", _text(_START.encode(), "text/javascript; charset=utf-8")),
        _page("/docs/swagger-ui.css", _packed("swagger-ui.css", "text/css; charset=utf-8")),
        _page("/docs/swagger-ui-bundle.js", _packed("swagger-ui-bundle.js", "text/javascript; charset=utf-8")),
        _page("/problems", _text(_problems(), _HTML)),
        _page("/openapi.json", _text(rest, JSON)),
        _page("/asyncapi.json", _text(events, JSON)),
    )


def _page(path: str, handler: Handler) -> Route:
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


def _text(body: bytes, media: str) -> Handler:
    async def handler(_call: Call[None, None]) -> Reply:
        return Reply(200, body, _POLICY if media == _HTML else {}, media)

    return handler


def _packed(name: str, media: str) -> Handler:
    async def handler(call: Call[None, None]) -> Reply:
        headers = {**_DAY, "Vary": "Accept-Encoding"}
        if "gzip" in call.request.headers.get("Accept-Encoding", ""):
            return Reply(200, await asyncio.to_thread(_gzipped, name), {**headers, "Content-Encoding": "gzip"}, media)
        return Reply(200, (_FILES / name).read_bytes(), headers, media)

    return handler


@cache
def _gzipped(name: str) -> bytes:
    return gzip.compress((_FILES / name).read_bytes())


def _problems() -> bytes:
    paragraphs = "".join(
        f'<h2 id="{kind.name}">{kind.title} <small>{kind.status} <code>{kind.name}</code></small></h2>\n'
        f"<p>{_prose(kind.meaning)}</p>\n"
        for kind in KINDS
    )
    return _PROBLEMS.format(paragraphs=paragraphs).encode()


def _prose(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))
