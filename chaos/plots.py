"""Plots of the fault report: throughput and lag of the last round of each fault, with the fault marked."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chaos.faults import FAULTS

_GROUPS = {
    "workers": "workers",
    "broker": "kafka",
    "broker leg": "kafka",
    "topic": "kafka",
    "postgres": "postgresql",
    "postgres leg": "postgresql",
    "log": "postgresql",
    "load": "workers",
}
_COLUMNS = 3

Round = Mapping[str, Any]


def plot(rounds: Sequence[Round], folder: Path) -> list[str]:
    """Draw `folder`/NAME.svg in place of what stands there; returns the names. The same rounds give the same bytes."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    groups: dict[str, dict[str, Round]] = defaultdict(dict)
    for found in rounds:
        if found["series"]:
            groups[_group(found["fault"])][found["fault"]] = found
    mpl.rcParams.update({"svg.hashsalt": "fault-report", "svg.fonttype": "none", "font.size": 8})
    for group, found_of in sorted(groups.items()):
        lines = -(-len(found_of) // _COLUMNS)
        figure = Figure(figsize=(12, 2.1 * lines), layout="constrained")
        places = figure.subplots(lines, _COLUMNS, squeeze=False).flat
        for found in found_of.values():
            _plot(next(places), found)
        for unused in places:
            unused.set_visible(False)
        figure.savefig(folder / f"{group}.svg", metadata={"Date": None})
    return sorted(groups)


def _plot(axes: Axes, found: Round) -> None:
    times = [look[0] for look in found["series"]]
    answered = [look[1] for look in found["series"]]
    lags = [float("nan") if look[3] is None else look[3] for look in found["series"]]
    window = 4  # looks: a second
    rates = [
        (answered[at] - answered[at - window]) / max(times[at] - times[at - window], 1e-3)
        for at in range(window, len(times))
    ]
    axes.plot(times[window:], rates, color="tab:blue", linewidth=1)
    axes.set_title(found["fault"], fontsize=8)
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="y", colors="tab:blue")
    lag = axes.twinx()
    lag.plot(times, lags, color="tab:red", linewidth=1)
    lag.set_ylim(bottom=0, top=max(2.0, *(value for value in lags if value == value), 0.0))  # noqa: PLR0124 - not NaN
    lag.tick_params(axis="y", colors="tab:red")
    marks = [at for at, _ in found["marks"]]
    if found["fault"] == "random-kills":
        for at, what in found["marks"]:
            if what.endswith("-kill"):
                axes.axvline(at, color="grey", linewidth=0.5)
    elif marks:
        axes.axvspan(marks[0], marks[-1], color="lightgrey", linewidth=0)


def _group(fault: str) -> str:
    if fault == "random-kills":
        return "kills"
    return _GROUPS[FAULTS[fault].parts[0]] if fault in FAULTS else "mixed"
