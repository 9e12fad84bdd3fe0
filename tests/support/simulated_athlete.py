"""An athlete who performs what is prescribed, on good days and bad ones, and what double progression then prescribes.

Both are written from the words of the rule, and know nothing of the service:

- prescribed are so many sets, at a weight, of a range of repetitions;
- where every set reached the top of the range, at the weight or more, the increment comes on;
- where the sets stayed in the range, at the weight, the same is prescribed again;
- a session is missed where a set stayed below the bottom of the range, or below the weight; after so many in a row the
  weight goes back;
- what is done in a deload week is no session; it prescribes no more weight than most sets had the last time;
- what is loaded is the nearest step of the plates, the lighter of two.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple


class Did(NamedTuple):
    """One set that was done; one that was not has no repetition."""

    weight: Fraction
    reps: int


@dataclass
class DoubleProgression:
    """What is prescribed of one exercise, from what was done of it so far."""

    sets: int
    low: int
    high: int
    weight: Fraction
    increment: Fraction
    after: int
    percent: Fraction | None = None
    """Of the weight goes when it was missed so often; else `back` does."""
    back: Fraction | None = None
    missed: int = 0
    """In a row."""
    history: list[Fraction] = field(default_factory=list)
    """The weight that each session had."""
    last: Sequence[Did] = ()

    def performed(self, sets: Sequence[Did]) -> str:
        """Take a session in. Returns what follows: `progress`, `hold` or `deload`."""
        self.history.append(self.weight)
        self.last = sets
        lifted = [did.reps for did in sets if did.weight >= self.weight]
        if sum(reps >= self.high for reps in lifted) >= self.sets:
            self.weight, self.missed = self.weight + self.increment, 0
            return "progress"
        if sum(reps >= self.low for reps in lifted) >= self.sets:
            self.missed = 0
            return "hold"
        self.missed += 1
        if self.missed < self.after:
            return "hold"
        self.missed = 0
        self.weight -= self.back if self.back is not None else self.weight * (self.percent or 0) / 100
        return "deload"

    @property
    def easy(self) -> Fraction:
        """What a day of a deload week prescribes."""
        lifted = [did.weight for did in self.last]
        return min([self.weight, *sorted(lifted, key=lambda weight: (-lifted.count(weight), weight))[:1]])


def loaded(weight: Fraction, step: Fraction) -> float:
    """What is loaded of a weight."""
    return float(math.ceil(weight / step - Fraction(1, 2)) * step)


class Athlete:
    """Whoever performs. The same seed performs the same."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def perform(self, rule: DoubleProgression) -> list[Did]:
        """What becomes of the prescribed sets on a day that is good, ordinary, bad, or on which less is lifted."""
        day = self.chance.choices(("good", "ordinary", "bad", "light"), (5, 3, 4, 1))[0]
        weight = rule.weight - 2 * rule.increment if day == "light" else rule.weight
        if day == "good":
            reps = [rule.high + self.chance.randint(0, 1) for _ in range(rule.sets)]
        elif day == "bad":
            reps = [self.chance.randint(rule.low, rule.high) for _ in range(rule.sets - 1)]
            reps.append(self.chance.randint(rule.low - 3, rule.low - 1))
        else:
            reps = [rule.high] * rule.sets if day == "light" else [rule.low + 1] * (rule.sets - 1) + [rule.low]
        return [Did(weight, count) for count in reps]


def filled(exercise: dict[str, Any], sets: Sequence[Did]) -> dict[str, Any]:
    """The exercise of a planned training as it was performed."""
    done = [
        planned | {"weight": float(did.weight), "reps": did.reps, "done": True}
        for planned, did in zip(exercise["sets"], sets, strict=False)
    ]
    return exercise | {"sets": done + exercise["sets"][len(done) :]}
