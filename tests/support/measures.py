"""What a worker tells Prometheus, and what an expression of Prometheus' asks for."""

import re
from typing import cast

from aiohttp.web import Request
from prometheus_client.parser import text_string_to_metric_families

from storage.database import Database
from tests.support.web import NOWHERE, make_settings
from web.health import metrics
from web.measures import Measures
from web.routes import Call
from web.services import CatalogueCache, Services
from web.watch import AgentState, Backlog, RelayState, Trouble, Watch

PROCESS = re.compile(r"process_\w+")  # Linux alone has them

# What of an expression is no name of a metric: functions, words of PromQL, variables, labels, ranges and texts.
_NOISE = re.compile(
    r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\{[^}]*\}|\b(?:by|without|on|ignoring) *\([^)]*\)|\b(?:or|and|unless)\b'
)
_NAME = re.compile(r"\b[a-z_][a-z0-9_]*\b(?! *\()")
_LABEL = re.compile(r"(\w+) *(?:=~|!~|!=|=)")


class _Well(Watch):
    """Needs no database."""

    async def serving(self) -> list[Trouble]:
        return []


async def scrape() -> str:
    """What a worker answers that relays and has an agent, as Prometheus reads it."""

    async def backlog() -> Backlog:
        return Backlog()

    database = Database(NOWHERE)
    watch = _Well(
        database,
        lag_limit=30,
        relay=lambda: RelayState("leader", silent=0.1),
        agents=lambda: [AgentState("volume", lag=0)],
        backlog=backlog,
    )
    measures = Measures()
    measures.request("GET", "/", 200, 0.1)
    measures.broken("/", "client")
    services = Services(make_settings(), database, CatalogueCache(database), watch, measures, lambda: None)
    reply = await metrics(Call(services, cast("Request", None), "", {}, {}, None, None, None))
    return reply.body.decode()


async def exposed() -> dict[str, set[str]]:
    """Each name that a service exposes, with its labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(await scrape()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def asked(expression: str) -> tuple[set[str], set[str]]:
    """The names of metrics in an expression, and the labels that it selects and groups by."""
    names = set(_NAME.findall(_NOISE.sub(" ", expression)))
    labels = {label for part in re.findall(r"\{([^}]*)\}", expression) for label in _LABEL.findall(part)}
    groups = {name for part in re.findall(r"\b(?:by|on) *\(([^)]*)\)", expression) for name in re.findall(r"\w+", part)}
    return names, labels | groups
