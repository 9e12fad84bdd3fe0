"""Load ratios: against the plain formulas, on a real log where there is one, and from whichever day one begins."""

import csv
import datetime as dt
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.load import DAYS_BEFORE, TAIL_DAYS, judged_measure, known_days, load_days, reason
from models.load import Band, LoadDay, Measure, Ratio, Unknown
from models.metrics import DailyVolume, Volume
from models.sets import Unit
from models.strong import read_strong
from tests.support.strong import log_file

FIRST = dt.date(2025, 12, 1)
Loads = dict[dt.date, float]


def day(place: int) -> dt.date:
    return FIRST + dt.timedelta(place)


def days(*loads: float) -> list[LoadDay]:
    """The figures of days one after another; a load of 0 is a day without a log."""
    logged = {day(place): load for place, load in enumerate(loads) if load}
    return load_days(logged, logged.keys(), FIRST, day(len(loads) - 1))


def close(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def assert_plain(found: list[LoadDay], loads: Mapping[dt.date, float], first: dt.date) -> None:
    """Every figure is what its definition gives when it is computed by itself."""
    line: list[float] = []
    ewma = {7: 0.0, 28: 0.0}
    for place, figures in enumerate(found):
        assert figures.day == first + dt.timedelta(place)
        line.append(loads.get(figures.day, 0.0))
        for days_, mean in ewma.items():
            share = 2 / (days_ + 1)
            new = line[0] if place == 0 else share * line[-1] + (1 - share) * mean
            ewma[days_] = new if new >= 2**-20 else 0
        week, earlier = line[-7:], line[-14:-7]
        acute = sum(week) / 7
        assert close(figures.load, line[-1])
        assert close(figures.acute, acute)
        assert close(figures.ewma_acute, ewma[7])
        assert close(figures.ewma_chronic, ewma[28])
        deviation = statistics.stdev(week) if len(week) == 7 else 0
        monotony = statistics.fmean(week) / deviation if deviation else None
        assert close(figures.monotony, monotony)
        assert close(figures.strain, None if monotony is None else sum(week) * monotony)
        known = len(earlier) == 7 and sum(earlier) > 0
        assert close(figures.week_change, sum(week) / sum(earlier) - 1 if known else None)
        whole = len(line) >= 28
        chronic, others = sum(line[-28:]) / 28, sum(line[-28:-7]) / 21
        assert close(figures.chronic, chronic if whole else None)
        assert close(figures.acwr, acute / chronic if whole and chronic else None)
        assert close(figures.acwr_uncoupled, acute / others if whole and others else None)
        assert close(figures.acwr_ewma, ewma[7] / ewma[28] if whole and ewma[28] else None)


loads = st.integers(0, 80_000).map(lambda quarters: quarters / 4)
logs = st.dictionaries(st.integers(0, 70), loads, max_size=40).map(
    lambda log: {day(place): load for place, load in log.items()}
)


@given(logs, st.integers(0, 80))
def test_each_figure_is_what_its_definition_says(log: Loads, last: int) -> None:
    found = load_days(log, log.keys(), FIRST, day(last))
    assert len(found) == last + 1
    assert_plain(found, log, FIRST)
    for figures in found:
        assert figures.observed_days_28 == sum(figures.day - dt.timedelta(28) < one <= figures.day for one in log)
        assert (figures.band is None) == (figures.acwr is None)
        assert figures.acwr is None or 0 <= figures.acwr <= 4


@given(st.dictionaries(st.integers(0, 90), st.floats(0, 1e9), max_size=60), st.integers(0, 40), st.integers(0, 100))
def test_one_may_begin_on_any_day(log: dict[int, float], first: int, begin: int) -> None:
    """To the last bit, from what is stored of the day before and the loads that are looked at."""
    loads = {day(place): load for place, load in log.items()}
    whole = load_days(loads, loads.keys(), day(first), day(100))
    near = {one: load for one, load in loads.items() if one >= day(begin - DAYS_BEFORE)}
    before = whole[begin - first - 1] if begin > first else None
    state = None if before is None else (before.ewma_acute, before.ewma_chronic)
    tail = load_days(near, near.keys(), day(first), day(100), begin=day(begin), before=state)
    assert tail == whole[max(begin - first, 0) :]


def test_the_days_of_a_whole_log(tmp_path: Path) -> None:
    """The daily tonnage of a log. The figures of the real one came with it, by a library of somebody else's."""
    path = log_file(tmp_path)
    tonnage: defaultdict[dt.date, float] = defaultdict(float)
    for session in read_strong(path.read_bytes(), unit=Unit.KG, timezone="UTC").sessions:
        sets = [set_ for exercise in session.body.exercises for set_ in exercise.sets]
        tonnage[session.body.date.date()] += sum(set_.weight * set_.reps for set_ in sets)
    first, last = min(tonnage), max(tonnage)
    found = load_days(tonnage, tonnage.keys(), first, last + dt.timedelta(TAIL_DAYS))
    assert len(found) == (last - first).days + 1 + TAIL_DAYS
    assert_plain(found, tonnage, first)
    known = path.with_suffix(".expected_acwr.csv")
    if known.exists():
        assert_known(found[:-TAIL_DAYS], known)


def assert_known(found: list[LoadDay], known: Path) -> None:
    with known.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 316
    for figures, row in zip(found, rows, strict=True):
        assert (figures.day.isoformat(), figures.load) == (row["date"], float(row["load"]))
        for column, value, tolerance in (
            ("rac", figures.acwr, 0.005),
            ("rau", figures.acwr_uncoupled, 0.005),
            ("ewma", figures.acwr_ewma, 0.005),
            ("monotony_ddof1", figures.monotony, 0.005),
            ("strain_ddof1", figures.strain, 0.6),
        ):
            if row[column] in ("", "inf"):
                assert value is None, (row["date"], column)
            else:
                assert value == pytest.approx(float(row[column]), abs=tolerance, rel=0), (row["date"], column)


@pytest.mark.parametrize(
    ("loads", "reasons"),
    [
        ([100] * 27, [Unknown.BEFORE_28_DAYS] * 3),
        ([100] * 28, [None] * 3),
        ([0] * 28, [Unknown.NO_CHRONIC_LOAD] * 3),
        ([0] * 21 + [60] * 7, [None, Unknown.NO_CHRONIC_LOAD, None]),
        ([100] + [0] * 28, [Unknown.NO_CHRONIC_LOAD, Unknown.NO_CHRONIC_LOAD, None]),
    ],
)
def test_why_a_ratio_is_null(loads: list[float], reasons: list[Unknown | None]) -> None:
    assert [reason(days(*loads)[-1], ratio) for ratio in Ratio] == reasons


def test_a_weighted_mean_falls_to_nothing() -> None:
    found = days(1e9, *[0] * 800)
    assert (found[-1].ewma_acute, found[-1].ewma_chronic, found[-1].acwr_ewma) == (0, 0, None)
    assert reason(found[-1], Ratio.EWMA) is Unknown.NO_CHRONIC_LOAD
    assert all(figures.ewma_acute == 0 or figures.ewma_acute >= 2**-20 for figures in found)


@pytest.mark.parametrize(
    ("week", "band"),
    # Of 20 units in four weeks; the ratio is a fifth of the week's.
    [(0, Band.UNDER), (3.99, Band.UNDER), (4, Band.TARGET), (6.5, Band.TARGET), (6.51, Band.OVER), (20, Band.OVER)],
)
def test_both_ends_of_the_zone_are_of_it(week: float, band: Band) -> None:
    found = days(20 - week, *[0] * 20, week, *[0] * 6)[-1]
    assert found.acwr == pytest.approx(week / 5)
    assert found.band is band


def test_days_that_do_not_differ_have_no_monotony() -> None:
    for load in (0.1, 1 / 3, 1e9):
        assert days(*[load] * 9)[-1].monotony is None
    assert days(0, 80, 40, 0, 90, 60, 80)[-1].monotony == pytest.approx(1.321, abs=0.0005)


def test_what_lies_outside_has_no_part() -> None:
    inside = {day(place): 10.0 * place for place in range(1, 40)}
    outside = inside | {day(-3): 500.0, day(50): 500.0}
    found = load_days(outside, outside.keys(), FIRST, day(45))
    assert found == load_days(inside, inside.keys(), FIRST, day(45))
    assert load_days(outside, outside.keys(), FIRST, day(5), begin=day(9), before=(1, 1)) == []


def test_a_later_beginning_needs_the_day_before() -> None:
    with pytest.raises(ValueError, match="the day before"):
        load_days({}, (), FIRST, day(9), begin=day(1))


def trained(place: int, *, rpe: float | None = None, known: int = 0, kg: float = 0, seconds: float = 0) -> DailyVolume:
    """A day with 4 sets: the load by the session, of how many the system load is known (100 kg each), the others."""
    system = Decimal(100 * known) if known else None
    volume = Volume(4, 20, 4, Decimal(kg), system, known, Decimal(0), Decimal(seconds))
    load = None if rpe is None else Decimal(rpe)
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return DailyVolume(UUID(int=1), day(place), 1, volume, None, load, None, moment, Decimal(0), Decimal(0))


RPE, SYSTEM, EXTERNAL, TENSION = Measure


@pytest.mark.parametrize(
    ("days_", "known", "judged"),
    [
        ([], [0, 0, 0, 0, 0], None),
        ([trained(0)], [0, 0, 0, 0, 1], None),
        ([trained(0, rpe=0, known=3)], [0, 0, 0, 0, 1], None),
        # One session RPE among 14 does not make the others rest.
        ([trained(0, rpe=420, kg=1), *[trained(2 * i, kg=1) for i in range(1, 14)]], [1, 0, 14, 0, 14], EXTERNAL),
        ([*[trained(i, rpe=420, kg=1) for i in range(4)], trained(4, kg=1)], [4, 0, 5, 0, 5], RPE),
        (
            [*[trained(i, rpe=420, kg=1) for i in range(7)], *[trained(i, kg=1) for i in (7, 8)]],
            [7, 0, 9, 0, 9],
            EXTERNAL,
        ),
        # An RPE of 0 is one.
        ([trained(0, rpe=0, kg=1), trained(1, rpe=60, kg=1)], [2, 0, 2, 0, 2], RPE),
        # The system load is that of every set.
        ([trained(i, known=3, kg=1) for i in range(5)], [0, 0, 5, 0, 5], EXTERNAL),
        ([*[trained(i, known=4, kg=1) for i in range(4)], trained(4, known=3, kg=1)], [0, 4, 5, 0, 5], SYSTEM),
        ([trained(i, seconds=30) for i in range(5)], [0, 0, 0, 5, 5], TENSION),
        # Where none is known well enough.
        ([trained(0, rpe=60), trained(1, rpe=60), trained(2, kg=1)], [2, 0, 1, 0, 3], RPE),
        ([trained(0, rpe=60, known=4), trained(1, kg=1)], [1, 1, 1, 0, 2], EXTERNAL),
        ([trained(0, seconds=9), trained(1, known=4)], [0, 1, 0, 1, 2], SYSTEM),
        # Older days have no part in it.
        ([trained(0, kg=1), trained(1, seconds=1), trained(28, rpe=60)], [1, 0, 0, 1, 2], RPE),
    ],
)
def test_by_which_measure_a_load_is_judged(days_: list[DailyVolume], known: list[int], judged: Measure | None) -> None:
    for order in (days_, days_[::-1]):
        found, count = known_days(order)
        assert [*(found[measure] for measure in Measure), count] == known
        assert judged_measure(order) is judged
