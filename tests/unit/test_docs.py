"""README.md and docs/, held to the code: settings, measures, commands, and where links lead."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from cli import parser
from models.events import TrainingEvent
from settings import Settings
from tests.support.measures import scrape
from web import asyncapi

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "deploy" / "README.md"]
OPERATORS = (ROOT / "docs" / "operators.md").read_text()


def rows(prefix: str, cells: int) -> list[tuple[str, ...]]:
    """The first `cells` cells of the tables' rows whose first cell begins with `prefix`."""
    found = [line.strip("| ").split(" | ") for line in OPERATORS.splitlines() if line.startswith(f"| `{prefix}")]
    return [tuple(row[:cells]) for row in found]


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None or value == ():
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def bounds(field: FieldInfo) -> str:
    said = []
    for rule in field.metadata:
        if isinstance(rule, Gt):
            said.append(f"> {rule.gt}")
        elif isinstance(rule, Ge):
            said.append(f"≥ {rule.ge}")
        elif isinstance(rule, Le):
            said.append(f"≤ {rule.le}")
    return ", ".join(said) or "–"


def test_every_setting_is_told_with_its_default_and_bounds() -> None:
    expected = [
        (f"`TRAINING_{name.upper()}`", default(field), bounds(field)) for name, field in Settings.model_fields.items()
    ]
    assert rows("TRAINING_", 3) == expected
    for name, field in Settings.model_fields.items():
        line = next(line for line in OPERATORS.splitlines() if line.startswith(f"| `TRAINING_{name.upper()}`"))
        assert field.description is not None
        assert field.description.lower() in line.lower()


async def test_every_measure_is_told() -> None:
    served = re.findall(r"^# TYPE (\w+) (\w+)$", await scrape(), re.MULTILINE)
    expected = {(f"`{name}`", kind) for name, kind in served if not name.endswith("_created")}
    assert len(expected) > 20
    told: set[Any] = {row for row in rows("", 2) if row[1] in {"gauge", "counter", "histogram"}}
    assert len(told) > 20
    process = {row for row in told - expected if row[0].startswith("`process_")}  # Linux alone has them
    assert told - process == expected


def test_subscribers_are_told_of_every_header_and_of_a_valid_event() -> None:
    page = (ROOT / "docs" / "subscribers.md").read_text()
    (event,) = re.findall(r"^```json\n(.+?)^```$", page, re.MULTILINE | re.DOTALL)
    assert TrainingEvent.model_validate_json(event, extra="forbid").payload.version == 2
    table = page[page.index("| header |") : page.index("## The event")]
    headers = asyncapi.document()["components"]["messages"]["training_created"]["headers"]["properties"]
    assert re.findall(r"^\| `(\S+)` \|", table, re.MULTILINE) == list(headers)


def commands() -> list[str]:
    blocks = "\n".join(
        block
        for page in PAGES
        for block in re.findall(r"^```sh\n(.+?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    )
    lines = blocks.replace("\\\n", " ").splitlines()
    return [match[1] for line in lines if (match := re.match(r"(?:.*?[ /])?training (?!=)(.+?)(?: \|.*)?$", line))]


@pytest.mark.parametrize("line", commands())
def test_every_command_is_understood(line: str) -> None:
    assert parser().parse_args(shlex.split(line, comments=True)).command


def anchors(page: Path) -> set[str]:
    """What links to the page's headings end with, where no two of them read the same."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"
