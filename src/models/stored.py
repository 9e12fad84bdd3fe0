"""What is stored, perhaps by a later version, as far as it can be read here."""

from collections.abc import Callable, Iterable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def readable(read: Callable[[A], B], stored: Iterable[A]) -> list[B]:
    """What `read` makes of each, in order; where it raises `ValueError`, as for a kind of a later version, nothing."""
    found = []
    for each in stored:
        try:
            found.append(read(each))
        except ValueError:
            continue
    return found
