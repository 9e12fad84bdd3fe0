"""Hard sets of each muscle, in plain Python: what the view `analytics.weekly_muscle_sets` computes."""

from collections.abc import Iterable
from decimal import Decimal

_HALF = Decimal("0.5")


def muscle_sets(exercises: Iterable[tuple[Iterable[str], Iterable[str], int]]) -> dict[str, Decimal]:
    """From (primary muscles, secondary muscles, hard sets) of each exercise; a muscle that is both is primary."""
    total: dict[str, Decimal] = {}
    for primary, secondary, hard in exercises:
        shares = dict.fromkeys(secondary, _HALF) | dict.fromkeys(primary, Decimal(1))
        for muscle, share in shares.items():
            total[muscle] = total.get(muscle, Decimal()) + share * hard
    return total
