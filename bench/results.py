"""What a run of the bench found: measurements, the goals they are held to, and both as JSON.

Every area's module has `async def measure(…) -> list[Measurement]`, and `TARGETS`, which name its measurements.
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """One figure, measured in several rounds.

    `area` is the module that measured it, `name` is unique in the whole run, `unit` is that of `values`: one value a
    round, in their order. `note` says what a reader must know to read the figure right.
    """

    area: str
    name: str
    unit: str
    values: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """The middle of the rounds: one disturbed round does not count."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the largest of the rounds."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Target:
    """What a run should show: the median of the measurement `of`, divided by that of `per` where one is named.

    It is to be `bound` at least, or at most where `at_least` is false; `bound` is in the unit of `of`, or a ratio.
    """

    text: str
    of: str
    bound: float
    per: str | None = None
    at_least: bool = True

    def judge(self, found: Iterable[Measurement]) -> "Goal | None":
        """The goal with what was measured; None where this run did not measure it."""
        named = {measurement.name: measurement for measurement in found}
        one, other = named.get(self.of), named.get(self.per or self.of)
        if one is None or other is None:
            return None
        measured = one.median if self.per is None else one.median / other.median
        unit = one.unit if self.per is None else "x"
        met = measured >= self.bound if self.at_least else measured <= self.bound
        return Goal(self.text, self.bound, self.at_least, measured, unit, met)


@dataclass(frozen=True)
class Goal:
    """A target that was judged: `measured` and `bound` in `unit`, which is "x" for a ratio."""

    text: str
    bound: float
    at_least: bool
    measured: float
    unit: str
    met: bool


@dataclass(frozen=True)
class Results:
    """A whole run. `machine` and `versions` say where and of what; `seconds` how long it took; `quick` that it only
    shows that everything runs.
    """

    machine: dict[str, str]
    versions: dict[str, str]
    quick: bool
    seconds: float
    measurements: Sequence[Measurement] = field(default_factory=list)
    goals: Sequence[Goal] = field(default_factory=list)

    def to_json(self) -> str:
        """As one JSON document, which `from_json` reads."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Results":
        """What `to_json` wrote."""
        given: dict[str, Any] = json.loads(text)
        measurements = [Measurement(**{**one, "values": tuple(one["values"])}) for one in given.pop("measurements")]
        return cls(measurements=measurements, goals=[Goal(**one) for one in given.pop("goals")], **given)


def line(measurement: Measurement) -> str:
    """The measurement as one line of a table on a terminal."""
    low, high = measurement.spread
    unit = measurement.unit
    return f"{measurement.name:76}{figure(measurement.median):>10} {unit:10} {figure(low)} to {figure(high)}"


def figure(value: float) -> str:
    """A number with three digits that count, or as a whole one."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
