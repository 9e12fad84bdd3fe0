"""What reports tell of stored load, on random loads of days."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.load import DAYS_BEFORE, TAIL_DAYS, load_days
from analytics.load_report import day_without_load, days_until, figures
from models.load import Ratio

FIRST = dt.date(2026, 1, 5)
loads = st.dictionaries(st.integers(0, 60), st.integers(0, 50).map(lambda n: n * 12.5), min_size=1).map(
    lambda days: {FIRST + dt.timedelta(day - min(days)): load for day, load in days.items()}
)


def tail(loads: dict[dt.date, float]) -> dt.date:
    """The last day that is stored."""
    return max(loads) + dt.timedelta(TAIL_DAYS)


@given(loads=loads, later=st.integers(1, 100), asked=st.integers(0, 100))
def test_days_beyond_the_stored_ones_are_what_all_days_give(
    loads: dict[dt.date, float], later: int, asked: int
) -> None:
    until = tail(loads) + dt.timedelta(later)
    whole = load_days(loads, loads, FIRST, until)
    stored = load_days(loads, loads, FIRST, tail(loads))[-(DAYS_BEFORE + 1 + asked) :]
    assert days_until(stored, FIRST, until) == whole[-(len(stored) + later) :]
    assert days_until(stored, FIRST, stored[-1].day) == stored
    for ratio in (Ratio.COUPLED, Ratio.UNCOUPLED):  # which know nothing of the EWMAs
        assert figures(day_without_load(until, FIRST), ratio) == figures(whole[-1], ratio)


@given(loads=loads, ratio=st.sampled_from(Ratio))
def test_a_ratio_is_that_of_its_acute_and_chronic_load_or_says_why_it_is_null(
    loads: dict[dt.date, float], ratio: Ratio
) -> None:
    for place, day in enumerate(load_days(loads, loads, FIRST, tail(loads)), 1):
        told = figures(day, ratio)
        if told["acwr"] is not None:
            assert "reason" not in told
            assert told["acute"] / told["chronic"] == pytest.approx(told["acwr"], rel=1e-9)
        elif place < 28:
            assert (told["reason"], told["chronic"]) == ("before_28_days", None)
        else:
            assert (told["reason"], told["chronic"]) == ("no_chronic_load", 0)
