"""Strength: what sets let expect of one repetition. The printed numbers stand in `test_metric_vectors`."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.strength import (
    MAX_REPS,
    best_set,
    is_assisted,
    mean,
    rep_maxima,
    share_of_1rm,
)
from models.metrics import ZERO

_weights = st.integers(-500_000, 3_000_000).map(lambda n: Decimal(n) / 10_000)
_sets = st.lists(st.tuples(_weights, st.integers(0, 40)), max_size=8)
_own = st.just(ZERO) | st.integers(1, 2_000_000).map(lambda n: Decimal(n) / 10_000)


@pytest.mark.parametrize(
    ("sets", "own_load", "best"),
    [
        ([(100, 5), (105, 3), (60, 12)], 0, ("116.6667", 100, 5)),
        ([(120, 1), (100, 5)], 0, (120, 120, 1)),  # one repetition is its weight, not 124
        ([(100, 1), (88, 5)], 0, ("102.6667", 88, 5)),
        ([(100, 13), (60, 12)], 0, (84, 60, 12)),  # 13 tell nothing
        ([(100, 13), (0, 5), (-10, 3), (100, 0)], 0, None),
        ([(0, 10), (20, 5)], 80, ("36.6667", 20, 5)),  # of a pull-up at 80 kg: 100 kg five times, less the body
        ([(-30, 5)], 80, ("-21.6667", -30, 5)),  # with help: at once with less of it
        ([(-80, 5), (-90, 3)], 80, None),  # the help lifts it all
        ([(20, 10), (24, 5), (80, 1)], 0, (80, 80, 1)),
        ([(60, 10), (80, 1)], 0, (80, 80, 1)),  # the same e1RM: the heaviest
        ([], 0, None),
    ],
)
def test_best_set(sets: list[tuple[int, int]], own_load: int, best: tuple[str | int, int, int] | None) -> None:
    exact = [(Decimal(weight), reps) for weight, reps in sets]
    expected = None if best is None else (Decimal(best[0]), best[1], best[2])
    assert best_set(exact, Decimal(own_load)) == expected


@given(_sets, _own)
def test_the_best_set_is_that_of_the_greatest_estimate(sets: list[tuple[Decimal, int]], own_load: Decimal) -> None:
    estimates = []
    for weight, reps in sets:
        load = own_load + weight
        if load > 0 and 1 <= reps <= MAX_REPS:
            whole = load if reps == 1 else load * (30 + reps) / 30
            estimates.append((whole, weight, reps))
    best = best_set(sets, own_load)
    if best is None:
        assert estimates == []
        return
    whole, weight, reps = max(estimates)
    assert best == ((whole - own_load).quantize(Decimal("0.0001"), ROUND_HALF_UP), weight, reps)


@given(_sets)
def test_rep_maxima_are_the_sets_that_no_other_dominates(sets: list[tuple[Decimal, int]]) -> None:
    done = {(weight, reps) for weight, reps in sets if reps}
    expected = {
        (weight, reps)
        for weight, reps in done
        if not any(w >= weight and r >= reps for w, r in done - {(weight, reps)})
    }
    found = rep_maxima(sets)
    assert set(found) == expected
    assert found == sorted(expected, reverse=True)


@given(st.integers(1, 100_000), st.none() | st.integers(0, 100_000).map(lambda n: n / 10_000))
def test_a_share_is_one_half_to_one_and_falls_with_the_repetitions(reps: int, rpe: float | None) -> None:
    share = share_of_1rm(reps, rpe)
    assert Decimal("0.5") <= share_of_1rm(reps + 1, rpe) <= share <= 1
    assert -share.as_tuple().exponent <= 16  # so few digits that the sums of a training are exact


@pytest.mark.parametrize(
    ("reps", "rpe", "share"),
    [(1, 10.0, "1"), (1, None, "1"), (12, None, "0.694444"), (19, None, "0.5"), (40, None, "0.5"), (16, 9.0, "0.5")],
)
def test_ends_of_the_shares(reps: int, rpe: float | None, share: str) -> None:
    assert share_of_1rm(reps, rpe) == Decimal(share)


def test_means_are_rounded_half_up() -> None:
    assert mean(Decimal("1.0001"), 2) == Decimal("0.5001")
    assert mean(Decimal(2), 3) == Decimal("0.6667")
    assert mean(ZERO, 0) is None


@pytest.mark.parametrize(
    ("name", "slug", "assisted"),
    [
        ("Pull Up (Assisted)", None, True),
        ("band-ASSISTED dip", None, True),
        ("Dips at the machine", "machine-assisted-dip", True),
        ("Unassisted pull-up", "pull-up", False),
        ("Assistance work", None, False),
        ("Pull Up", "pull-up", False),
    ],
)
def test_what_is_called_assisted(name: str, slug: str | None, assisted: bool) -> None:
    assert is_assisted(name, slug) is assisted
