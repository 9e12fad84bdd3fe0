"""What progression tells of weights, of what is prescribed and of what was done, in words."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from analytics.progression_sets import Standing, displayed
from models.fields import number
from models.progression import LoggedSet
from models.sets import Unit

_CENT = Decimal("0.01")


@lru_cache(maxsize=4096)
def plain(value: Decimal | float) -> str:
    """A quantity as people write it: 100, 102.5."""
    return f"{number(float(value))}"


def _short(value: Decimal) -> str:
    """A weight to 2 digits after the point, unless these are none."""
    return plain(value.quantize(_CENT, ROUND_HALF_UP) or value)


def weight_words(weight: Decimal, unit: Unit) -> str:
    """A weight: `60 kg`, `5 kg of assistance`."""
    return f"{_short(abs(weight))} {unit}{' of assistance' if weight < 0 else ''}" if weight else "no weight"


@lru_cache(maxsize=4096)
def load_words(weight: Decimal | None, unit: Unit) -> str:
    """A weight behind what is done with it: ` at 60 kg`."""
    if weight is None:
        return ""
    if not weight:
        return " without weight"
    return f" {'at' if weight > 0 else 'with'} {weight_words(weight, unit)}"


def change_words(before: Decimal, after: Decimal, standing: Standing) -> str:
    """What becomes of a weight: `next 102.5 kg, 2.5 kg heavier`. What the plates make of it is told beside it."""
    if before == after:
        return "it stays"
    unit, shown = standing.unit, displayed(after, standing.rounding)
    same = ", as before" if shown == displayed(before, standing.rounding) else ""
    load = "" if shown is None or shown == after else f" (load {weight_words(shown, unit)}{same})"
    by = f"{_short(abs(after - before))} {unit}"
    if before < 0 < after:
        return f"next {weight_words(after, unit)}{load}, and no assistance any more"
    if before < 0 or after < 0:
        help_ = weight_words(after, unit) if after else "no assistance"
        return f"next {help_}{load}, {by} {'less' if after > before else 'more'}"
    return f"next {weight_words(after, unit)}{load}, {by} {'heavier' if after > before else 'lighter'}"


def rep_words(low: int | None, high: int | None) -> str | None:
    """Repetitions: `8 to 12 repetitions`."""
    if low is None or high is None:
        return None
    return f"{low} to {high} repetitions" if low < high else f"{low} repetition{'' if low == 1 else 's'}"


def aim_words(standing: Standing) -> str:
    """What is prescribed: `3 sets of 8 to 12 repetitions at 60 kg`."""
    parts = []
    if reps := rep_words(standing.low, standing.high):
        parts.append(reps)
    if standing.seconds is not None:
        parts.append(f"{plain(standing.seconds)} s")
    of = f" of {' and '.join(parts)}" if parts else ""
    return f"{standing.sets} set{'' if standing.sets == 1 else 's'}{of}{load_words(standing.weight, standing.unit)}"


def done_words(done: Sequence[LoggedSet]) -> str:
    """What was done: `12, 12, 11 at 60 kg`, each weight once where it stays."""
    said: list[tuple[tuple[float, Unit], list[str]]] = []
    for set_ in done:
        effort = "" if set_.rpe is None else f" (RPE {plain(set_.rpe)})"
        much = f"{plain(set_.hold_seconds)} s" if set_.hold_seconds and not set_.reps else f"{set_.reps}"
        load = set_.weight, set_.unit
        if not said or said[-1][0] != load:
            said.append((load, []))
        said[-1][1].append(much + effort)
    return ", ".join(f"{', '.join(sets)}{load_words(Decimal(str(weight)), unit)}" for (weight, unit), sets in said)
