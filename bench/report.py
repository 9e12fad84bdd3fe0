"""The report of a run for people: docs/benchmarks.md with its plots, made from the JSON that the run wrote.

`python -m bench.report FILE` makes it anew. Every figure comes from that file; what is written here by hand is why a
goal was missed, and is shown only where it was.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl

from bench import fold, growth, latency, limits, posts, relay, scaling
from bench.results import Goal, Measurement, Results, figure

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "training", "svg.fonttype": "none", "font.size": 9})

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of what draws
from matplotlib.figure import Figure  # noqa: E402

PAGE = Path("docs/benchmarks.md")
_AREAS = {
    "posts": ("POST", posts),
    "relay": ("The relay", relay),
    "latency": ("From commit to consumer", latency),
    "fold": ("The agent", fold),
    "limits": ("Limits of the machine", limits),
    "growth": ("Growth", growth),
    "scaling": ("Scaling", scaling),
}
_RATES = ("/s", "events/s")
_OURS, _THEIRS = "#1f6f8b", "#b0b0b0"

# Why a goal is missed where it is: what the profile and the trials of the run's time showed. By the target's text.
_WHY: dict[str, str] = {
    "POST, whole service, against its bare statement by aiopg": (
        "The relay, the broker and the fold work at the same time on the same processors, for every POST: the "
        "statement alone has all of them for itself. REST alone, above, is like for like."
    ),
    "POST, whole service, against the mainstream peer, which relays and folds nothing": (
        "Beside each POST the worker relays it, folds it, and computes load and records of its user; the peer stores "
        "it and is done. REST alone, above, is like for like."
    ),
    "POST, REST alone, against its bare statement by aiopg": (
        "HTTP, checks and answer of a request take more processor time than the statement leaves idle; no single "
        "part of it stands out."
    ),
    "relay: 2.5 times Debezium by default": (
        "Near it, and above it in other runs: batches of 2,500 hold less memory than those of 5,000 and drain slower."
    ),
    "relay: 2.5 times Debezium tuned": (
        "Tuned, Debezium reads and sends large batches in several threads, on both processors. The relay is one "
        "thread: it reads faster than either (into memory, above), and then makes and sends the records in turn."
    ),
    "fold: 0.8 of its SQL alone, from Python values": (
        "Reading an event and counting it is on the agent's side only, and takes a processor for as long as PostgreSQL "
        "has another one for the statement: the two overlap, and Kafka's broker and the consumer want their share."
    ),
    "commit to consumer: 10 ms": (
        "A commit, a window that is stored, an acknowledgement and a fetch follow on each other, on processors that "
        "POSTs, fold and broker want at the same time."
    ),
    "commit to consumer: 30 ms for 99 of 100": (
        "The slowest are those that meet a fold or a slow commit on the same processors, as the POSTs' own p99 shows."
    ),
    "commit to consumer: below tuned Debezium": (
        "The relay stores each window before it publishes it, which is a commit more: what a crash leaves is then "
        "published again to the byte. Debezium reads the log every 5 ms, and beside it no worker relays."
    ),
    "commit to consumer: below tuned Debezium, for 99 of 100": (
        "Relay, POSTs and fold share one event loop; Debezium has a process of its own, of 0.8 to 2.1 GB."
    ),
    "an open writer elsewhere: 1.5 times, for 99 of 100": (
        "It is one round, where the other side has several, and the slowest hundredth is as unsteady as that of the "
        "POSTs beside it: 0.97 in one run, 2.1 in the next. No event waits until the writer ends."
    ),
    "fold: 0.8 of its SQL alone, rows ready": (
        "The other side sends statements that were made before its clock began: all of Python's work, reading the "
        "event and counting it, is on the agent's side only. The line with Python values is like for like."
    ),
    "worker that folds: 150 MB": (
        "Load and records of ten users at a time are computed and stored beside the fold, and what they need for a "
        "moment stays with the process."
    ),
    f"{growth.MEMORY}, at {growth.label(growth.SIZES[-1])}": (
        "Its users train over 13 years (the folded events lie on 5,000 days), and all of a user's load is computed and "
        "stored at once. With the same events on 200 days it was 137 to 140 MB at 100 k, against 159 to 163."
    ),
}
_UNKNOWN = "Not looked into yet."

_HEAD = """# Benchmarks

Made by `make bench` in one run; [results.json](benchmarks/results.json) has every round. Sides take turns, each figure
is the median of its rounds, with the least and the largest beside it. All processes, load generator and Kafka included,
share one machine: the ratios say more than the figures, since both sides of each were measured in the same run.
"""
_QUICK = "\n**This was a quick run, which only shows that everything runs: its figures mean nothing.**\n"


def write(results: Results, page: Path) -> None:
    """Write the page, and its plots into the folder of its name beside it."""
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    parts = [_HEAD]
    if results.quick:
        parts.append(_QUICK)
    parts += [_machine(results), "## Goals\n", _goals(results.goals)]
    for area, (title, module) in _AREAS.items():
        found = [one for one in results.measurements if one.area == area]
        if found:
            about = str(module.__doc__).split("\n\n")[0].replace("\n", " ")
            plots = _growth(found, folder) if area == "growth" else _bars(area, found, folder)
            parts += [f"## {title}\n", f"{about}\n", *(f"![{title}]({folder.name}/{plot})\n" for plot in plots)]
            parts.append(_table(found))
    page.write_text("\n".join(parts))


def _machine(results: Results) -> str:
    machine = "; ".join(f"{name}: {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    return f"Machine: {machine}. The run took {results.seconds / 60:.0f} minutes.\n\nVersions: {versions}.\n"


def _goals(goals: Sequence[Goal]) -> str:
    rows = ["| what | goal | measured | | why not |", "|---|---|---|---|---|"]
    for goal in goals:
        bound = f"{'≥' if goal.at_least else '≤'} {_valued(goal.bound, goal.unit)}"
        met, why = ("met", "") if goal.met else ("**missed**", _WHY.get(goal.text, _UNKNOWN))
        rows.append(f"| {goal.text} | {bound} | {_valued(goal.measured, goal.unit)} | {met} | {why} |")
    return "\n".join(rows) + "\n"


def _table(found: Iterable[Measurement]) -> str:
    rows = ["| what | median | least to largest | unit | note |", "|---|---|---|---|---|"]
    for one in found:
        low, high = one.spread
        spread = f"{figure(low)} to {figure(high)}" if len(one.values) > 1 else "one round"
        rows.append(f"| {one.name} | {figure(one.median)} | {spread} | {one.unit} | {one.note} |")
    return "\n".join(rows) + "\n"


def _valued(value: float, unit: str) -> str:
    return f"{figure(value)}x" if unit == "x" else f"{figure(value)} {unit}"


def _bars(area: str, found: Sequence[Measurement], folder: Path) -> list[str]:
    """One plot of the rates and one of the times in ms, where the area has several of them."""
    plots = []
    for kind, units in (("rates", _RATES), ("times", ("ms",))):
        shown = [one for one in found if one.unit in units and "processor time" not in one.name][::-1]
        if len(shown) < 2:
            continue
        drawing, axes = plt.subplots(figsize=(8, 0.6 + 0.32 * len(shown)), layout="constrained")
        medians = [one.median for one in shown]
        spreads = [[one.median - one.spread[0] for one in shown], [one.spread[1] - one.median for one in shown]]
        axes.barh([one.name for one in shown], medians, xerr=spreads, color=_OURS, ecolor=_THEIRS, capsize=2)
        axes.set_xlabel("a second" if kind == "rates" else "ms")
        if kind == "times":
            axes.set_xscale("log")
        axes.spines[["top", "right"]].set_visible(False)
        plots.append(_save(drawing, folder / f"{area}-{kind}.svg"))
    return plots


def _growth(found: Sequence[Measurement], folder: Path) -> list[str]:
    """Every rate against that of the smallest size."""
    drawing, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    labels: list[str] = []
    for name in growth.RATES:
        rates = [one for one in found if one.name.startswith(f"{name}, at ")]
        labels = [one.name.removeprefix(f"{name}, at ") for one in rates]
        axes.plot(labels, [one.median / rates[0].median for one in rates], marker="o", label=name)
    axes.axhline(1 / 1.3, color=_THEIRS, linestyle="--", label="goal")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("trainings")
    axes.set_ylabel(f"rate, against that at {labels[0]}")
    axes.legend(fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return [_save(drawing, folder / "growth.svg")]


def _save(drawing: Figure, path: Path) -> str:
    drawing.savefig(path, metadata={"Date": None})
    plt.close(drawing)
    return path.name


def main() -> None:
    """Make the page of a run that was written before."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description="Make the report of a run.")
    parser.add_argument("results", type=Path, metavar="FILE", help="the JSON that the run wrote")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help=f"by default {PAGE}")
    given = parser.parse_args()
    write(Results.from_json(given.results.read_text()), given.page)


if __name__ == "__main__":
    main()
