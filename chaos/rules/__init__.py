"""The rules of the judge, by what they look at: pure functions over plain data, which yield what breaks a promise."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Which promise is broken, and by what."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.what}"


def listed(values: Iterable[object]) -> str:
    """The values, for a violation's text."""
    return ", ".join(map(str, values))
