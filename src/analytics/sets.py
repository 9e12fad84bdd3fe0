"""The sets of a planned exercise: pure functions on the members of a training's exercises, as JSON has them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from models.sets import MAX_ORDER, SetType

Fields = dict[str, Any]


def is_warmup(set_: Mapping[str, Any]) -> bool:
    """Whether the set is a warm-up; all others are working sets."""
    return bool(set_.get("type") == SetType.WARMUP)


def working(sets: Iterable[Fields]) -> list[Fields]:
    """Those that are no warm-ups."""
    return [set_ for set_ in sets if not is_warmup(set_)]


def halved(exercises: Sequence[Fields]) -> list[Fields]:
    """The exercises with the first half of the working sets of each, rounded up; warm-ups stay."""
    return [exercise | {"sets": _half(exercise["sets"])} for exercise in exercises]


def set_id(exercise: Fields, place: int) -> str:
    """The id that a set of this place has in what a workout plans; another one where that is taken."""
    taken = {set_["id"] for set_ in exercise["sets"]}
    name = str(place)
    while (id_ := str(uuid5(UUID(exercise["id"]), name))) in taken:
        name += "/1"
    return id_


def free_order(sets: Sequence[Fields]) -> int:
    """A place behind all of the sets; where there is none, the first that is free."""
    taken = {set_["order"] for set_ in sets}
    last = max(taken, default=0) + 1
    return last if last <= MAX_ORDER else next(order for order in count() if order not in taken)


def _half(sets: Sequence[Fields]) -> list[Fields]:
    left = (len(working(sets)) + 1) // 2
    kept = []
    for set_ in sets:
        if not is_warmup(set_):
            left -= 1
            if left < 0:
                continue
        kept.append(set_)
    return kept
