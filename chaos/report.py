"""`python -m chaos.report FILE… `: docs/fault-report.md and its plots, from what `python -m chaos --out FILE` wrote.

The same files give the same report, to the byte.
"""

import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from chaos.faults import FAULTS
from chaos.judge import INVARIANTS

DOCS = Path(__file__).parents[1] / "docs"
_VIOLATED = re.compile(r"^I\d+")

Round = Mapping[str, Any]


def main(files: Sequence[str]) -> int:
    """Write the report."""
    from chaos.plots import plot  # noqa: PLC0415 - needs the extra `bench`, and the text does not

    if not files:
        print(__doc__, file=sys.stderr)
        return 2
    lines = [orjson.loads(line) for name in files for line in Path(name).read_bytes().splitlines()]
    plots = plot([line for line in lines if line.get("fault") and not line["not_run"]], DOCS / "fault-report")
    (DOCS / "fault-report.md").write_text("\n".join(text(lines, plots)) + "\n")
    return 0


def text(lines: Sequence[Round], plots: Sequence[str]) -> Iterator[str]:
    """The lines of the report. `lines` are those of one or more runs; `plots` name the pictures beside it."""
    machines = [line for line in lines if "machine" in line]
    controls = [line for line in lines if "control" in line]
    rounds = [line for line in lines if "fault" in line]
    played = [found for found in rounds if not found["not_run"]]
    yield "# Fault report"
    yield ""
    yield (
        "Made by `make chaos`: real workers, PostgreSQL and Apache Kafka on the loopback, with a TCP proxy on each "
        "leg; clients that record what they were told; faults; and a judge (`chaos/judge.py`) that compares what "
        "clients were told, the log, the whole topic and the derived tables. A round is a database, a topic and "
        "workers of its own. "
        "`python -m chaos --seed N --faults NAME` plays one again: the choices are the seed's, the times the machine's."
    )
    yield ""
    yield from _summary(machines, played)
    yield from _promises(played)
    yield from _table(played)
    left = [found for found in rounds if found["not_run"]]
    if left:
        yield "## Not run"
        yield ""
        for found in left:
            yield f"- `{found['fault']}`: {found['not_run']}"
        yield ""
    if controls:
        yield from _controls(controls)
    yield "## Throughput and lag"
    yield ""
    yield (
        "Blue: calls answered 2xx a second. Red: seconds that the oldest event waits for Kafka or for the derived "
        "tables; gaps are times at which PostgreSQL told nothing. Grey: from the fault's beginning to its end."
    )
    for name in plots:
        yield ""
        yield f"![{name}](fault-report/{name}.svg)"


def _summary(machines: Sequence[Round], played: Sequence[Round]) -> Iterator[str]:
    times = [seconds for found in played for _, seconds in found["recoveries"] if seconds is not None]
    never = sum(seconds is None for found in played for _, seconds in found["recoveries"])
    moved = [found for found in played if found["moves"]]  # publishes the last hour once more: no copies of a crash
    stayed = [found for found in played if not found["moves"]]
    crashes, copies = _sum(stayed, "crashes"), _sum(stayed, "duplicates")
    kills: dict[str, int] = defaultdict(int)
    for found in played:
        for what, count in found["kills"].items():
            kills[what] += count
    alone = {found["fault"] for found in played} & FAULTS.keys()
    stops = [seconds for found in played for seconds in found["stops"]]
    peak = max((found["peak_memory"] for found in played), default=0) / 2**20
    yield "| | |"
    yield "|---|---|"
    yield f"| faults | {len(alone)} alone, {len(played):,} rounds |"
    yield (
        f"| kills | {sum(kills.values()):,}: " + ", ".join(f"{n:,} {what}" for what, n in sorted(kills.items())) + " |"
    )
    yield f"| calls, events | {_sum(played, 'calls'):,}, {_sum(played, 'events'):,} |"
    yield f"| violations | {sum(len(found['violations']) for found in played):,} |"
    if times:
        yield f"| recovery: median, longest | {statistics.median(times):.1f} s, {max(times):.1f} s |"
    if never:
        yield f"| recoveries that never came | {never:,} |"
    if crashes:
        yield f"| duplicates | {copies:,} of {crashes:,} crashes and cuts: {copies / crashes:.1f} each |"
    if moved:
        rows = sum(sum(found["moves"]) for found in moved)
        yield f"| duplicates by a move to another cluster | {_sum(moved, 'duplicates'):,} of {rows:,} rows |"
    if stops:
        yield f"| SIGTERM to exit, longest | {max(stops):.1f} s |"
    yield f"| largest worker | {peak:.0f} MiB resident |"
    yield f"| seeds | {', '.join(dict.fromkeys(str(line['seed']) for line in machines))} |"
    for name in dict.fromkeys(name for line in machines for name in line["machine"]):
        values = dict.fromkeys(str(line["machine"].get(name, "")) for line in machines)
        yield f"| {name} | {', '.join(values)} |"
    yield ""


def _promises(played: Sequence[Round]) -> Iterator[str]:
    yield "## Promises"
    yield ""
    yield "| | promise | rounds | violations |"
    yield "|---|---|---:|---:|"
    for name, promise in INVARIANTS.items():
        yield f"| {name} | {promise} | {len(played)} | {sum(_violations(found, name) for found in played)} |"
    yield ""


def _table(played: Sequence[Round]) -> Iterator[str]:
    names = list(INVARIANTS)
    yield "## Faults"
    yield ""
    yield (
        "✓ the promise held in every run; else the number of violations. Recovery is the longest, in seconds. "
        "A move to another cluster publishes the last hour again: those duplicates are counted with its crash."
    )
    yield ""
    yield f"| fault | what happens | runs | {' | '.join(names)} | recovery | duplicates / crashes |"
    yield f"|---|---|---:|{'---|' * len(names)}---:|---:|"
    by_fault: dict[str, list[Round]] = defaultdict(list)
    for found in played:
        by_fault[found["fault"]].append(found)
    for fault, runs in by_fault.items():
        prose = FAULTS[fault].prose if fault in FAULTS else _other(fault)
        counts = [sum(_violations(found, name) for found in runs) for name in names]
        cells = " | ".join("✓" if not count else f"**{count}**" for count in counts)
        yield (
            f"| `{fault}` | {prose} | {len(runs)} | {cells} | {_longest(runs)} | "
            f"{_sum(runs, 'duplicates')} / {_sum(runs, 'crashes')} |"
        )
    yield ""
    broken = [(found, violation) for found in played for violation in found["violations"]]
    if broken:
        yield "### Violations"
        yield ""
        for found, violation in broken:
            yield f"- `{found['fault']}`, seed {found['seed']}, round {found['number']}: {violation}"
        yield ""


def _controls(controls: Sequence[Round]) -> Iterator[str]:
    yield "## Negative controls"
    yield ""
    yield "Implementations that are known to be wrong, before the same judge: each must be caught by what it breaks."
    yield ""
    yield "| control | breaks | caught by | the right one passes |"
    yield "|---|---|---|---|"
    for found in controls:
        passes = "yes" if found["right_passes"] else "**no**"
        yield f"| {found['control']} | {', '.join(found['breaks'])} | {', '.join(found['caught_by'])} | {passes} |"
    yield ""


def _other(fault: str) -> str:
    return "Workers, Kafka and PostgreSQL are killed at random" if fault == "random-kills" else "At the same time"


def _longest(runs: Iterable[Round]) -> str:
    found = [seconds for run in runs for _, seconds in run["recoveries"]]
    return "never" if None in found else f"{max(found, default=0.0):.1f}"


def _violations(found: Round, invariant: str) -> int:
    count = 0
    for violation in found["violations"]:
        match = _VIOLATED.match(violation)
        count += match is not None and match[0] == invariant
    return count


def _sum(rounds: Iterable[Round], name: str) -> int:
    return sum(int(found[name]) for found in rounds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
