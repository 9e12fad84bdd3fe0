"""Streaks of weeks, and milestones."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.streaks import milestones, streaks
from models.streaks import DayTotals, MilestoneKind, Streak, Streaks

MONDAY = dt.date(2026, 1, 5)


def day(place: int) -> dt.date:
    return MONDAY + dt.timedelta(place)


def week(place: int) -> dt.date:
    return day(7 * place)


def test_weeks_in_a_row() -> None:
    days = [day(0), day(2), day(13), day(14), day(28), day(35)]  # weeks 0, 1, 2 and 4, 5
    assert streaks(days, day(35)) == Streaks(Streak(2, week(4), week(5)), Streak(3, week(0), week(2)))


@pytest.mark.parametrize(
    ("today", "weeks"),
    [(6, 1), (7, 1), (13, 1), (14, 0), (400, 0)],  # the next week does not end it while it lasts
)
def test_a_streak_lasts_until_a_whole_week_has_gone_by(today: int, weeks: int) -> None:
    found = streaks([day(3)], day(today))
    assert (found.current.weeks, found.longest) == (weeks, Streak(1, week(0), week(0)))


def test_weeks_run_over_the_turn_of_the_year() -> None:
    days = [dt.date(2025, 12, 24), dt.date(2025, 12, 31), dt.date(2026, 1, 4), dt.date(2026, 1, 5)]
    assert streaks(days, dt.date(2026, 1, 5)).current.weeks == 3


def test_of_two_longest_the_newest_is_told() -> None:
    assert streaks([day(0), day(14)], day(14)).longest.first == week(2)


def test_nothing_was_done() -> None:
    assert streaks([], day(0)) == Streaks(Streak(0, None, None), Streak(0, None, None))
    assert streaks([day(1)], day(0)) == Streaks()  # a day that is yet to come


@given(st.lists(st.integers(0, 200)), st.integers(0, 220))
def test_every_week_of_a_streak_has_a_training_and_those_beside_it_none(places: list[int], today: int) -> None:
    found = streaks(map(day, places), day(today))
    done = {place // 7 for place in places if place <= today}
    for streak in found:
        assert (streak.weeks == 0) == (streak.first is None) == (streak.last is None)
        if streak.first is None or streak.last is None:
            continue
        first, last = ((monday - MONDAY).days // 7 for monday in (streak.first, streak.last))
        assert last - first + 1 == streak.weeks
        assert done >= set(range(first, last + 1))
        assert not done & {first - 1, last + 1}
    assert (found.current.weeks > 0) == bool(done & {today // 7, today // 7 - 1})
    whole = [count for start in done for count in range(1, 32) if done >= set(range(start, start + count))]
    assert found.longest.weeks == max(whole, default=0)


def test_milestones() -> None:
    days = [DayTotals(day(place), 4, 450, Decimal("4999.5")) for place in range(7)]
    found = milestones(reversed(days))
    assert [(one.kind, one.value, one.day) for one in found] == [
        (MilestoneKind.SESSIONS, 10, day(2)),
        (MilestoneKind.REPS, 1_000, day(2)),
        (MilestoneKind.EXTERNAL_LOAD_KG, 10_000, day(2)),
        (MilestoneKind.REPS, 2_500, day(5)),
        (MilestoneKind.EXTERNAL_LOAD_KG, 25_000, day(5)),
        (MilestoneKind.SESSIONS, 25, day(6)),
    ]


def test_one_day_may_reach_several() -> None:
    assert [one.value for one in milestones([DayTotals(day(0), 2500, 0, Decimal())])] == [
        10, 25, 50, 100, 250, 500, 1000, 2500,
    ]  # fmt: skip
    assert milestones([]) == []
    assert milestones([DayTotals(day(0), 9, 999, Decimal("9999.9999"))]) == []
