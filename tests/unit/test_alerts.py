"""deploy/prometheus-rules.yml: each alert asks for what there is, says what to do, and is tried."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.measures import asked, exposed

HERE = Path(__file__).parents[2]
RUNBOOKS = HERE / "docs" / "runbooks.md"
OF_SCRAPES = {"job", "instance"}
PARTS = ("Means", "Look", "Do", "Over")


def alerts() -> Iterator[dict[str, Any]]:
    """All alerts."""
    for group in yaml.safe_load((HERE / "deploy" / "prometheus-rules.yml").read_text())["groups"]:
        yield from group["rules"]


ALERTS = {alert["alert"]: alert for alert in alerts()}


def sections() -> dict[str, str]:
    """The runbooks, by their headings."""
    parts = re.split(r"^### (.+)\n", RUNBOOKS.read_text(), flags=re.MULTILINE)[1:]
    return {title: text.partition("\n## ")[0] for title, text in zip(parts[::2], parts[1::2], strict=True)}


def test_each_alert_has_a_name_of_its_own_and_its_runbook() -> None:
    assert len(ALERTS) == len(list(alerts())) > 15
    assert list(sections()) == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_about(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert re.fullmatch(r"\d+[smh]", alert["for"])
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    text = sections()[name]
    assert all(f"**{part}" in text for part in PARTS) or "**Look, do, over:**" in text


async def test_only_what_exists_is_asked_for() -> None:
    samples = await exposed()
    for name, alert in ALERTS.items():
        names, labels = asked(alert["expr"])
        assert names, name
        assert names <= set(samples), name
        assert labels <= OF_SCRAPES.union(*(samples[metric] for metric in names)), name


def test_each_alert_is_seen_to_fire_and_not_to() -> None:
    tests = yaml.safe_load((HERE / "tests" / "data" / "prometheus-rules-test.yml").read_text())["tests"]
    seen: dict[str, set[bool]] = {name: set() for name in ALERTS}
    for check in (check for test in tests for check in test["promql_expr_test"]):
        (name,) = re.findall(r'alertname="(\w+)"', check["expr"])
        seen[name].add(bool(check["exp_samples"]))
    assert {name for name, fires in seen.items() if fires != {True, False}} == set()


def test_runbooks_refer_to_what_is_written() -> None:
    pages = {"": RUNBOOKS, "operators.md": HERE / "docs" / "operators.md"}
    for page, anchor in re.findall(r"\]\((?!\.\.)([\w.]*)#([\w-]+)\)", RUNBOOKS.read_text()):
        titles = re.findall(r"^#+ (.+)$", pages[page].read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


async def test_runbooks_name_measures_that_exist() -> None:
    named = set(re.findall(r"`(training_[a-z_]+)", RUNBOOKS.read_text()))
    assert named
    assert named <= set(await exposed())
