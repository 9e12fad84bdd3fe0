"""Whether a drill kept what clients were promised: log, topics and derived tables, read at rest."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg2

from drills.clients import Write
from drills.previous import Version
from drills.stack import Stack
from tests.support.invariants import judge as judge_topic

_SHOWN = 10


@dataclass(frozen=True)
class Judgement:
    """What was found. `events` are different ones on the topics, `copies` those beyond each one's first."""

    faults: tuple[str, ...]
    """Everything that is not as it must be."""
    events: int
    copies: int
    lost: frozenset[Write]
    """Writes that clients were told of, and that the log does not have."""
    restored: int
    """Events that came back from the topics."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a drill."""

    judgement: Judgement
    faults: tuple[str, ...]
    """Everything that is not as it must be."""
    errors: tuple[str, ...]
    """What workers logged as errors, some of which belong to a drill."""

    def _told(self, title: str, figures: Mapping[str, object]) -> str:
        """For operators: the figures, what is not as it must be, and then what workers logged as errors too."""
        figures = {**figures, "events on the topics": self.judgement.events, "copies": self.judgement.copies}
        width = max(map(len, figures))
        lines = [title, *(f"  {name:{width}}  {figure}" for name, figure in figures.items())]
        lines += [f"  FAULT: {fault}" for fault in self.faults[:_SHOWN]]
        if len(self.faults) > _SHOWN:
            lines.append(f"  … and {len(self.faults) - _SHOWN} more")
        if self.faults:
            lines += [f"  LOGGED: {error}" for error in self.errors[:_SHOWN]]
        return "\n".join([*lines, "  FAILED" if self.faults else "  all is as it must be"])


async def judge(stack: Stack, version: Version, writes: Sequence[Write]) -> Judgement:
    """Look for each of these writes in the log, and compare the log with its topics (I1 to I4).

    `training analytics verify` of this version compares the derived tables with the log.
    """
    faults: list[str] = []
    rows: dict[str, list[int]] = defaultdict(list)
    restored = 0
    for request_id, version_, came_back in _log(stack.urls.owner):
        rows[request_id].append(version_)
        restored += came_back
    for write in writes:
        found = rows.get(write.request_id, [])
        if len(found) > 1 or (found and write.version not in {None, *found}):
            faults.append(f"request {write.request_id} made version {write.version}, and the log has {found}")
    events = copies = 0
    for topic in stack.topics.values():
        verdict = await judge_topic(stack.urls.owner, stack.kafka.bootstrap, topic)
        faults += map(str, verdict.violations)
        events, copies = events + verdict.events, copies + verdict.duplicates
    verified = await stack.command(version, "analytics", "verify", "--wait", "20")
    if verified.returncode != 0:
        faults.append(f"training analytics verify: exit {verified.returncode}\n{verified.stdout}{verified.stderr}")
    lost = frozenset(write for write in writes if write.request_id not in rows)
    return Judgement(tuple(faults), events, copies, lost, restored)


def _log(owner_url: str) -> list[tuple[str, int, bool]]:
    """Of each event its request, its version, and whether it came back from a topic."""
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(request_id, ''), version, actor = 'restored' FROM outbox")
        return cursor.fetchall()
