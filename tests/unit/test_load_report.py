"""What reports tell of stored load, on random loads of days."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import load_report
from analytics.load import DAYS_BEFORE, TAIL_DAYS, faded, load_days
from analytics.load_report import day_without_load, days_between, figures
from models.load import LoadDay, Ratio

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
    assert days_between(stored, FIRST, FIRST, until) == whole[-(len(stored) + later) :]
    assert days_between(stored, FIRST, FIRST, stored[-1].day) == stored
    for ratio in (Ratio.COUPLED, Ratio.UNCOUPLED):  # which know nothing of the EWMAs
        assert figures(day_without_load(until, FIRST), ratio) == figures(whole[-1], ratio)


@given(loads=loads, later=st.integers(1, 1200), back=st.integers(0, 1300))
def test_days_from_any_day_on_are_the_end_of_all_days(loads: dict[dt.date, float], later: int, back: int) -> None:
    """To the last bit, whether or not the EWMAs have fallen to 0 by then."""
    until = tail(loads) + dt.timedelta(later)
    begin = max(until - dt.timedelta(back), FIRST)
    stored = load_days(loads, loads, FIRST, tail(loads))
    assert days_between(stored, FIRST, begin, until) == [
        day for day in load_days(loads, loads, FIRST, until) if day.day >= begin
    ]


def test_days_that_nobody_asked_for_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who trained last in 1901 asks for a few days of this year."""
    first = dt.date(1901, 1, 1)
    stored = load_days({first: 1e9}, [first], first, first + dt.timedelta(TAIL_DAYS))
    computed: list[dt.date] = []

    def counting(*args: Any, **options: Any) -> list[LoadDay]:
        found = load_days(*args, **options)
        computed.extend(day.day for day in found)
        return found

    monkeypatch.setattr(load_report, "load_days", counting)
    asked = [FIRST + dt.timedelta(day) for day in range(10)]
    assert [day.day for day in days_between(stored, first, asked[0], asked[-1])] == computed == asked
    acute, chronic = faded((1e9, 1e9), 10**9)  # which nobody could wait for
    assert (acute, chronic) == (0, 0)


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
