"""Strength: pure functions from sets to the one repetition that they let expect (e1RM), and to shares of it.

| figure | definition |
|---|---|
| e1RM | by Epley w · (1 + r / 30), w the weight in kg, r the repetitions; w where r = 1; none where r > 12 |
| best set | that of the greatest e1RM; of several the heaviest |
| share of the e1RM | by the curve of RPE and repetitions where the RPE is known, else Brzycki's (37 − r) / 36 |
| relative intensity | mean share over the sets that have a repetition and are no warm-up |
| rep maxima | the sets (w, r) beside which no other has as much weight and as many repetitions |
| sets of a muscle | hard sets: each 1 where it is primary, 1/2 where it is secondary (a view of `analytics`) |

A lift that moves a part of the body, too, is estimated as a whole: (o + w) · (1 + r / 30) − o, o that part in kg; none
where o + w <= 0. The curve, of x = 9 + r − RPE, is (0.347619 x² − 4.60714 x + 99.9667) / 100 up to x = 2.92 and beyond
(97.0955 − 2.64249 x) / 100; 1 at x = 0, and 0.5 from x = 16 on.

The formulas were fitted to few repetitions: beyond 12 an estimate is not given, and no share is below 0.5, where the
curve ends; Brzycki's line would run to 0. Weights are exact; what divides is rounded half up, an e1RM and a mean to
4 digits after the point, Brzycki's share to 6.

Sources: Epley 1985 and Brzycki 1993, as LeSuer et al. 1997 have them; the RPE curve is the fit of OpenPowerlifting's
data that liftosaur uses; sets of a muscle after Pelland et al. 2024.
"""

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

MAX_REPS = 12  # most repetitions from which one repetition is estimated
LEAST_SHARE = Decimal("0.5")
_STEP = Decimal("0.0001")
_SHARE_STEP = Decimal("0.000001")
_ASSISTED = re.compile(r"\bassisted\b", re.IGNORECASE)


def best_set(sets: Iterable[tuple[Decimal, int]], own_load: Decimal) -> tuple[Decimal, Decimal, int] | None:
    """The best e1RM by Epley of sets of (external weight in kg, repetitions), with the weight and repetitions of it.

    `own_load` is the part of the body's mass that each repetition moves, in kg; the e1RM is the external weight that
    goes with it, negative where that is assistance. None where no set gives an estimate.
    """
    best: tuple[Decimal, Decimal, int] | None = None
    for weight, reps in sets:
        if 0 < reps <= MAX_REPS:
            load = own_load + weight if own_load else weight
            # Thirty times the estimate: nothing is rounded before the best is known.
            rank = (load * (30 + reps if reps > 1 else 30), weight, reps)
            if best is None or rank > best:
                best = rank
    if best is None or best[0] <= 0:
        return None
    thirtyfold, weight, reps = best
    value = weight if reps == 1 else thirtyfold / 30 - own_load
    return value.quantize(_STEP, ROUND_HALF_UP), weight, reps


@lru_cache(maxsize=4096)
def is_assisted(name: str, slug: str | None) -> bool:
    """Whether an exercise is called assisted, by its name or its movement's slug: the word, in whatever case.

    Apps like Strong log such help as a positive weight, where here assistance is negative. A positive weight of such an
    exercise is taken for help, of which more is no better: nothing is best by it (wger's issue 1656, openGym's 176).
    """
    return _ASSISTED.search(name) is not None or (slug is not None and _ASSISTED.search(slug) is not None)


def rep_maxima(sets: Iterable[tuple[Decimal, int]]) -> list[tuple[Decimal, int]]:
    """The sets of (weight, repetitions) that no other one dominates, the heaviest first. Sets without one are none."""
    maxima: list[tuple[Decimal, int]] = []
    most = 0
    for set_ in sorted(sets, reverse=True):
        if set_[1] > most:
            most = set_[1]
            maxima.append(set_)
    return maxima


@lru_cache(maxsize=4096)
def share_of_1rm(reps: int, rpe: float | None) -> Decimal:
    """What share of the one repetition maximum a set's weight was: 0.5 to 1, by its RPE where that is known."""
    if rpe is None:
        share = (Decimal(37 - reps) / 36).quantize(_SHARE_STEP, ROUND_HALF_UP)
    else:
        x = 9 + reps - Decimal(repr(rpe))
        if not x:
            return Decimal(1)
        if x >= 16:
            return LEAST_SHARE
        if x <= Decimal("2.92"):
            share = (Decimal("0.347619") * x * x - Decimal("4.60714") * x + Decimal("99.9667")) / 100
        else:
            share = (Decimal("97.0955") - Decimal("2.64249") * x) / 100
    return max(share, LEAST_SHARE)


def mean(total: Decimal, count: int) -> Decimal | None:
    """The mean of `count` values, rounded half up to 4 digits after the point; None where there is none."""
    return (total / count).quantize(_STEP, ROUND_HALF_UP) if count else None
