"""Training load: a pure function from the loads of days to ratios of them, and where these stand to a target zone.

The load L of a day is the sum of a measure over its completed trainings; a day without a log has the load 0
(`gap=zero`), and `observed_days_28` says how many of the last 28 days were logged. t is a day; days before the user's
first training have no load.

| figure | definition | null |
|---|---|---|
| acute | mean of L over t−6 … t | |
| chronic | mean of L over t−27 … t | before the 28th day |
| ACWR, coupled | acute / chronic: at most 4 | before the 28th day; chronic = 0 |
| ACWR, uncoupled | acute / mean of L over t−27 … t−7 | before the 28th day; that mean = 0 |
| EWMA | E = λL + (1 − λ)E′, λ = 2 / (N + 1), N = 7 and 28, seeded with the first day's load | |
| ACWR, EWMA | EWMA of 7 / EWMA of 28 | before the 28th day; EWMA of 28 = 0 |
| monotony | m / s over t−6 … t, s with n − 1 | before the 7th day; s = 0 |
| strain | sum of L over t−6 … t, times the monotony | as the monotony |
| week change | sum of L over t−6 … t / sum of L over t−13 … t−7, less 1 | before the 14th day; that sum = 0 |
| band | of the coupled ACWR: under 0.8, target from 0.8 to 1.3, over 1.3 | as that |

An ACWR is an indicator of load and nothing more: it says nothing of injuries (Impellizzeri et al. 2020).

Whatever is summed is a whole number of 2^-20, to which a load is rounded. So every figure but the EWMAs follows from
the loads of at most 28 days to the last bit, whichever day one begins with, and days of one load have s = 0. An EWMA
that falls below 2^-20, as after a year without a load, is 0.

Sources: Foster 1998 for monotony and strain; Hulin et al. 2014 for the ratio; Williams et al. 2017 for the EWMA; the
zone is the specification's.
"""

import datetime as dt
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import accumulate, repeat

from models.load import Band, LoadDay, Measure, Ratio, Unknown
from models.metrics import DailyVolume

METHOD_VERSION = 1  # grows with every change of a rule; a rebuild then brings the tables to the new rules
ACUTE_DAYS = 7
CHRONIC_DAYS = 28
DAYS_BEFORE = CHRONIC_DAYS - 1  # whose loads the figures of a day need beside its own
TAIL_DAYS = 28  # for which rows are kept after the last training
TARGET = (0.8, 1.3)  # the least and the greatest coupled ratio of the target zone

RULES: Mapping[str, object] = {
    "load": "sum of the measure over the day's completed trainings",
    "gap": "zero",
    "acute": "mean of 7 days",
    "chronic": "mean of 28 days, from the 28th day on",
    "coupled": "acute / chronic",
    "uncoupled": "acute / mean of the 21 days before them",
    "ewma": "E = lambda * load + (1 - lambda) * E of the day before; acute / chronic",
    "ewma_lambda": "2 / (N + 1), N = 7 for acute and 28 for chronic",
    "ewma_seed": "the first day's load",
    "monotony": "mean / standard deviation of 7 days, n - 1; null where they do not differ",
    "strain": "sum of 7 days * monotony",
    "week_change": "sum of 7 days / sum of the 7 days before them, less 1",
    "band": "of the coupled ratio",
    "target": TARGET,
    "judged": "of the days with a training among the 28 up to the last of them: the first of session_rpe, system_load, "
    "external_load and time_under_tension that is known on 80 % of them; else the one known on most, external_load "
    "the first of equals. Known: session_rpe where it was logged, system_load where that of every set is known, any "
    "but session_rpe where it is above 0; none where it is 0 on all of them",
}

_SCALE = 1 << 20
_UNIT = 1 / _SCALE
_WEEK = ACUTE_DAYS * _SCALE
_MONTH = CHRONIC_DAYS * _SCALE
_LEAST, _MOST = TARGET
_ENOUGH = 5, 4  # a measure is known on enough days where 5 times their number is 4 times that of all, or more
_AMONG_EQUALS = (Measure.EXTERNAL_LOAD, *(measure for measure in Measure if measure is not Measure.EXTERNAL_LOAD))


def load_days(
    loads: Mapping[dt.date, float],
    observed: Collection[dt.date],
    first: dt.date,
    last: dt.date,
    *,
    begin: dt.date | None = None,
    before: tuple[float, float] | None = None,
) -> list[LoadDay]:
    """The figures of every calendar day from `begin`, by default `first`, to `last`.

    `first` is the day of the user's first completed training. `loads` are the loads of days, all of them at least 0, in
    any unit; a day that is missing had none. `observed` are the days with a completed training. What lies outside of
    `first` to `last` has no part in it.

    Where `begin` is later than `first`, `before` is (`ewma_acute`, `ewma_chronic`) of the day before `begin`, and of
    the days before that only the last `DAYS_BEFORE` are looked at. The result is then the end of what all the days
    give, to the last bit.

    Raises `ValueError` where `begin` is later than `first` and `before` is missing.
    """
    begin = max(begin or first, first)
    if begin == first:
        before = None
    elif before is None:
        raise ValueError("a day after the first needs the figures of the day before it")
    # Index 0 is the day 27 days before `begin`, so that every window begins in the lists.
    base = begin.toordinal() - DAYS_BEFORE
    day_zero = first.toordinal() - base - 1
    pad = max(first.toordinal() - base, 0)
    days = [dt.date.fromordinal(place) for place in range(base + pad, last.toordinal() + 1)]
    load_of = [0.0] * pad + [loads.get(day, 0.0) for day in days]
    units = [round(load * _SCALE) if load else 0 for load in load_of]
    # Sums of what lies before an index: a window's sum is the difference of two, and exact.
    sums = list(accumulate(units, initial=0))
    squares = list(accumulate([unit * unit for unit in units], initial=0))
    logged = frozenset(observed)
    seen = list(accumulate([0] * pad + [day in logged for day in days], initial=0))
    counted = load_of[DAYS_BEFORE:]
    acute_of, chronic_of = before or (None, None)
    ewmas = zip(_ewma(counted, ACUTE_DAYS, acute_of), _ewma(counted, CHRONIC_DAYS, chronic_of), strict=True)

    found = []
    for i, (ewma_acute, ewma_chronic) in enumerate(ewmas, DAYS_BEFORE):
        age = i - day_zero  # days from the first one, both included
        week = sums[i + 1] - sums[i - 6]
        chronic = acwr = uncoupled = by_ewma = monotony = strain = change = band = None
        if age >= CHRONIC_DAYS:
            month = sums[i + 1] - sums[i - 27]
            chronic = month / _MONTH
            if month:
                acwr = 4 * week / month
                band = Band.UNDER if acwr < _LEAST else Band.TARGET if acwr <= _MOST else Band.OVER
                if month > week:
                    uncoupled = 3 * week / (month - week)
            if ewma_chronic:
                by_ewma = ewma_acute / ewma_chronic
        if age >= 2 * ACUTE_DAYS and (earlier := sums[i - 6] - sums[i - 13]):
            change = week / earlier - 1
        # 42 times the variance with n - 1.
        if week and age >= ACUTE_DAYS and (spread := 7 * (squares[i + 1] - squares[i - 6]) - week * week):
            monotony = week / math.sqrt(spread * 7 / 6)
            strain = week / _SCALE * monotony
        found.append(
            LoadDay(
                days[i - pad],
                load_of[i],
                week / _WEEK,
                chronic,
                acwr,
                uncoupled,
                ewma_acute,
                ewma_chronic,
                by_ewma,
                monotony,
                strain,
                change,
                band,
                seen[i + 1] - seen[i - 27],
            )
        )
    return found


def faded(ewmas: tuple[float, float], days: int) -> tuple[float, float]:
    """The EWMAs (acute, chronic) so many days without a load later, to the last bit. They reach 0 in some hundred days,
    and no longer does it take."""
    acute, chronic = ewmas
    return _faded(acute, ACUTE_DAYS, days), _faded(chronic, CHRONIC_DAYS, days)


def _faded(mean: float, of: int, days: int) -> float:
    later = mean
    for later in _ewma(repeat(0.0, days), of, mean):
        if not later:
            break
    return later


def _ewma(loads: Iterable[float], days: int, before: float | None) -> Iterator[float]:
    """The exponentially weighted mean of each day, that of the day before them given, or the first load the seed."""
    new = 2 / (days + 1)
    kept = 1 - new
    mean = before
    for load in loads:
        mean = load if mean is None else new * load + kept * mean
        if mean < _UNIT:
            mean = 0.0  # or it would fall until it is no normal number, which PostgreSQL refuses to compute with
        yield mean


def reason(day: LoadDay, ratio: Ratio = Ratio.COUPLED) -> Unknown | None:
    """Why a ratio of the day is null; None where it is known."""
    value = {Ratio.COUPLED: day.acwr, Ratio.UNCOUPLED: day.acwr_uncoupled, Ratio.EWMA: day.acwr_ewma}[ratio]
    if value is not None:
        return None
    return Unknown.BEFORE_28_DAYS if day.chronic is None else Unknown.NO_CHRONIC_LOAD


def known_days(days: Collection[DailyVolume]) -> tuple[dict[Measure, int], int]:
    """On how many days each measure of a user's load is known, and how many days these are of.

    `days` are days with a completed training, of one user, in any order. Those count which lie among the 28 calendar
    days up to the last. The session RPE is known on a day where any training says RPE and duration, even if that gives
    0; the system load where that of every performed set is known, and it is above 0; the others where they are above 0.
    A measure that is 0 on all of these days is known on none.
    """
    last = max((day.day for day in days), default=None)
    counted = [] if last is None else [day for day in days if (last - day.day).days < CHRONIC_DAYS]
    return {
        Measure.SESSION_RPE: sum(day.session_rpe_load is not None for day in counted)
        if any(day.session_rpe_load for day in counted)
        else 0,
        Measure.SYSTEM_LOAD: sum(
            bool(day.volume.system_load_kg) and day.volume.system_load_sets == day.volume.sets for day in counted
        ),
        Measure.EXTERNAL_LOAD: sum(day.volume.external_load_kg > 0 for day in counted),
        Measure.TIME_UNDER_TENSION: sum(day.volume.time_under_tension_seconds > 0 for day in counted),
    }, len(counted)


def judged_measure(days: Collection[DailyVolume]) -> Measure | None:
    """The measure by which a user's load is judged where none is asked for; None where none is known on any day.

    Of the measures that are known on at least 80 % of the days of `known_days` it is the first in the order of
    `Measure`: what the athlete felt tells most, then what the whole body moved. Where there is none, it is the one that
    is known on most days, and of equals the external load, or else the first. So a figure that is logged now and then
    does not make the other days look like rest. The view `analytics.judged_measures` says the same in SQL.
    """
    known, count = known_days(days)
    times, least = _ENOUGH
    enough = next((measure for measure in Measure if known[measure] and times * known[measure] >= least * count), None)
    most = max(_AMONG_EQUALS, key=known.__getitem__)
    return enough or (most if known[most] else None)
