"""deploy/grafana-dashboard.json, held to what /metrics exposes: no panel asks for what does not exist."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.measures import PROCESS, asked, exposed
from web.api import ROUTES

FILE = Path(__file__).parents[2] / "deploy" / "grafana-dashboard.json"
GRID = 24  # columns
_OF_GRAFANA = {"instance"}  # added by the scrape


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return json.loads(FILE.read_text("utf-8"))  # type: ignore[no-any-return]


@pytest.fixture
async def samples() -> dict[str, set[str]]:
    """Each name that a service exposes, with its labels."""
    return await exposed()


def expressions(node: Any) -> Iterator[str]:
    """Whatever is asked of Prometheus, wherever it stands."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"expr", "definition"} and isinstance(value, str):
                yield value.replace("label_values(", "(").replace(", instance)", ")")
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def test_only_what_exists_is_asked_for(dashboard: dict[str, Any], samples: dict[str, set[str]]) -> None:
    wanted: set[str] = set()
    for expression in expressions(dashboard):
        names, labels = asked(expression)
        assert names, expression
        known = set().union(_OF_GRAFANA, *(samples.get(name, set()) for name in names))
        assert labels <= known or any(map(PROCESS.fullmatch, names - set(samples))), expression
        wanted |= names
    missing = {name for name in wanted - set(samples) if not PROCESS.fullmatch(name)}
    assert missing == set()


def test_what_alerts_ask_for_is_drawn(dashboard: dict[str, Any], samples: dict[str, set[str]]) -> None:
    """Every measure of the service's own has its place."""
    drawn = " ".join(expressions(dashboard))
    own = {re.sub(r"_(created|bucket|count|sum)$", "", name) for name in samples if name.startswith("training_")}
    own -= {name.removesuffix("_total") for name in own if name.endswith("_total")}  # of `…_created`
    assert {name for name in own if name not in drawn} == set()


def test_its_selectors_of_routes_select_some(dashboard: dict[str, Any]) -> None:
    patterns = {pattern for text in expressions(dashboard) for pattern in re.findall(r'route=~"([^"]+)"', text)}
    assert len(patterns) > 2
    for pattern in patterns:
        assert any(re.fullmatch(pattern, route.path) for route in ROUTES), pattern


def test_grafana_can_read_it(dashboard: dict[str, Any]) -> None:
    assert (dashboard["uid"], dashboard["title"]) == ("training-service", "Training service")
    assert dashboard["schemaVersion"] >= 39
    assert "id" not in dashboard  # Grafana's own
    panels = dashboard["panels"]
    assert Counter(panel["type"] for panel in panels).keys() == {"row", "stat", "timeseries"}
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert place["x"] + place["w"] <= GRID
        assert not taken & cells, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource", "instance"]
