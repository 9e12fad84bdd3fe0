"""Pages for people: they work without another host, and the documents are served as they are committed."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from importlib import resources
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.support.web import Client, serve
from web.api import ALL_ROUTES
from web.problems import KINDS

PLOTLY = distribution("plotly")
CHARTS = Path(str(PLOTLY.locate_file("plotly/package_data/plotly.min.js")))
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES) as client:
        yield client


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
async def test_documents_are_served_as_committed(client: Client, name: str) -> None:
    response = await client.get(f"/{name}")
    assert response.content_type == "application/json"
    assert await response.read() == (DOCS / name).read_bytes()


async def test_the_root_leads_to_the_documentation(client: Client) -> None:
    response = await client.get("/", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "/docs")


async def test_the_page_asks_only_this_host_and_all_it_asks_for_is_there(client: Client) -> None:
    page = await client.get("/docs")
    assert page.content_type == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "http" not in policy
    html = await page.text()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', html)
    addresses += re.findall(r'url: "([^"]+)"', await (await client.get("/docs/start.js")).text())
    assert "<script>" not in html  # the policy allows none within the page
    assert "/openapi.json" in addresses
    for address in addresses:
        if address != "data:,":
            assert (await client.get(address)).status == 200


@pytest.mark.parametrize("name", ["swagger-ui.css", "swagger-ui-bundle.js"])
async def test_swagger_ui_is_the_packages(client: Client, name: str) -> None:
    published = (resources.files("swagger_ui") / "static" / name).read_bytes()
    plain = await client.get(f"/docs/{name}", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert await plain.read() == published
    packed = await client.get(f"/docs/{name}", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(published) / 2
    assert await packed.read() == published


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/plan", "/dashboard/operator"])
async def test_the_dashboard_asks_only_this_host_and_browsers_keep_what_it_asks_for(client: Client, path: str) -> None:
    page = await client.get(path)
    assert page.content_type == "text/html"
    assert page.headers["Cache-Control"] == "no-store"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    html = await page.text()
    assert re.findall(r"<script(?! src)| on\w+=| style=|https?:", html) == []
    addresses = set(re.findall(r'(?:src|href)="(/dashboard/[^"]+\.\w+)"', html))
    for module in [url for url in addresses if url.endswith(".js") and "plotly" not in url]:
        folder = module.rpartition("/")[0]
        imports = re.findall(r'from "\./([^"]+)"', await (await client.get(module)).text())
        addresses |= {f"{folder}/{name}" for name in imports}
    assert len(addresses) > 4
    for address in addresses:
        response = await client.get(address)
        assert response.status == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Content-Encoding"] == "gzip"


async def test_plotly_is_the_packages_and_costs_nothing_before_it_is_asked_for(client: Client) -> None:
    response = await client.get(f"/dashboard/plotly-{PLOTLY.version}.min.js")
    published = await asyncio.to_thread(CHARTS.read_bytes)
    assert await response.read() == published
    assert int(response.headers["Content-Length"]) < len(published) / 2
    assert "plotly" not in sys.modules


async def test_every_problem_has_its_paragraph(client: Client) -> None:
    html = await (await client.get("/problems")).text()
    for kind in KINDS:
        assert kind.uri.startswith("/problems#")
        assert f'<h2 id="{kind.name}">' in html
