"""Readiness: against the plain formulas, and what it must not do: invent, reward a gap, or depend on the scale."""

import dataclasses
import datetime as dt
import math
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.readiness import BASELINE_DAYS, DAYS_BEFORE, LEAST_CONFIDENCE, RULES, hooper, readiness
from models.readiness import CheckInValues, ComponentName, PlannedSets, ReadinessComponent, ReadinessItem
from tests.support.bodies import uuid

PAGE = (Path(__file__).parents[2] / "docs" / "readiness.md").read_text()
TODAY = dt.date(2026, 3, 1)
DAYS = 40  # of a generated log: all that counts for the last three days, and some that does not
ITEMS = ("sleep", "fatigue", "stress", "soreness")
FIELDS = CheckInValues._fields[1:]
NOTHING: dict[str, Any] = {}

Check = dict[str, Any]  # the values of one day; empty where it was not checked in


def day(back: int) -> dt.date:
    """So many days before the present one."""
    return TODAY - dt.timedelta(back)


@dataclasses.dataclass(frozen=True)
class Log:
    """What an athlete said of the last days, today last, and what was planned: of so many days ago (planned, met)."""

    checks: Sequence[Check]
    planned: Sequence[tuple[int, int, int]] = ()

    def read(self, days: int = 3) -> list[ReadinessItem]:
        """The last days' readiness."""
        last = len(self.checks) - 1
        checks = [CheckInValues(day(last - place), **check) for place, check in enumerate(self.checks) if check]
        return readiness(checks, self.trainings(), day(days - 1), TODAY)

    def trainings(self) -> list[PlannedSets]:
        """Each with its own id."""
        return [PlannedSets(uuid(n), day(back), *sets) for n, (back, *sets) in enumerate(self.planned, 1)]


def today(checks: Sequence[Check], planned: Sequence[tuple[int, int, int]] = ()) -> ReadinessItem:
    (found,) = Log(checks, planned).read(1)
    return found


def component(found: ReadinessItem, name: ComponentName) -> ReadinessComponent:
    return next(one for one in found.components if one.name is name)


items = st.integers(1, 7)
quarters = st.integers(0, 40).map(lambda quarter: quarter / 4)
checks = st.fixed_dictionaries(
    NOTHING,
    optional={
        **dict.fromkeys(ITEMS, items),
        "bodyweight_kg": quarters.map(lambda more: 70 + more),
        "sleep_hours": quarters,
        "resting_heart_rate": quarters.map(lambda more: 45 + more),
        "hrv_rmssd_ms": quarters.map(lambda more: 30 + 5 * more),
    },
)
whole = dict.fromkeys(ITEMS, 3) | {"bodyweight_kg": 72.5, "sleep_hours": 7.5, "resting_heart_rate": 50.0}
sets = st.tuples(st.integers(0, DAYS), st.integers(0, 9), st.integers(0, 9)).map(
    lambda one: (one[0], one[1], min(one[1:]))
)
# Days of few kinds, which are drawn faster than as many different ones.
logs = st.builds(
    lambda kinds, days, planned: Log([(*kinds, whole, NOTHING)[one % (len(kinds) + 2)] for one in days], planned),
    st.lists(checks, min_size=1, max_size=6),
    st.binary(min_size=DAYS, max_size=DAYS),
    st.lists(sets, max_size=12),
)


def plain(log: Log, name: ComponentName, back: int) -> float | None:
    """The value of a day, by the plainest of means."""
    if name is ComponentName.PERFORMANCE:
        lately = [(planned, met) for ago, planned, met in log.planned if 1 <= ago - back <= 7]
        planned = sum(planned for planned, _ in lately)
        return sum(met for _, met in lately) / planned if planned else None
    check = log.checks[-1 - back] if back < len(log.checks) else NOTHING
    if name is ComponentName.HOOPER:
        return sum(check[item] for item in ITEMS) if all(item in check for item in ITEMS) else None
    field = {ComponentName.HRV: "hrv_rmssd_ms", ComponentName.BODYWEIGHT: "bodyweight_kg"}.get(name, str(name))
    value: float | None = check.get(field)
    return math.log(value) if value is not None and name is ComponentName.HRV else value


LESS_IS_BETTER = {ComponentName.HOOPER, ComponentName.RESTING_HEART_RATE}
FLOORS = {"hooper": 2, "hrv": 0.05, "performance": 0.1, "resting_heart_rate": 2, "sleep_hours": 0.5, "bodyweight": 0.5}
WEIGHTS = {
    "hooper": 0.4,
    "hrv": 0.2,
    "performance": 0.15,
    "resting_heart_rate": 0.1,
    "sleep_hours": 0.1,
    "bodyweight": 0.05,
}


def close(found: float | None, expected: float | None, tolerance: float) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= tolerance


def check_component(found: ReadinessComponent, value: float | None, before: list[float]) -> float | None:
    """That a component says what its definition gives; its score."""
    spread = statistics.stdev(before) if len(before) > 1 else None
    assert close(found.value, value, 1e-4)
    assert close(found.mean, statistics.fmean(before) if before else None, 1e-4)
    assert close(found.spread, spread, 2e-4)
    assert found.n == len(before)
    z = score = None
    if value is not None and spread is not None and len(before) >= 7:
        z = (value - statistics.fmean(before)) / max(spread, FLOORS[found.name])
        z = -z if found.name in LESS_IS_BETTER else z
        z = min(z, 0) if found.name is ComponentName.BODYWEIGHT else z
        score = min(max(50 + 20 * z, 0), 100)
    # Values are rounded to 4 places, and a spread may be small.
    assert close(found.z, z, 5e-3 * (1 + abs(z or 0)))
    assert close(found.score, score, 0.25)
    return score


@given(logs)
def test_every_figure_is_what_its_definition_gives(log: Log) -> None:
    for back, found in zip((2, 1, 0), log.read(), strict=True):
        assert found.day == day(back)
        assert found.hooper == plain(log, ComponentName.HOOPER, back)
        assert found.observed_days == sum(bool(log.checks[-1 - ago]) for ago in range(back + 1, back + 29))
        assert [one.name for one in found.components] == list(ComponentName)
        known, confidence = [], 0.0
        for one in found.components:
            before = [plain(log, one.name, ago) for ago in range(back + 1, back + 1 + BASELINE_DAYS)]
            values = [value for value in before if value is not None]
            score = check_component(one, plain(log, one.name, back), values)
            if score is not None:
                known.append((score, WEIGHTS[one.name]))
                confidence += WEIGHTS[one.name] * one.n / 28
        weights = sum(weight for _, weight in known)
        assert close(found.score, sum(score * weight for score, weight in known) / weights if known else None, 0.25)
        assert close(found.confidence, confidence, 1e-4)


def without(log: Log, place: int, name: str | None) -> Log:
    """The log without one value of a day, or without all of the day."""
    checks = list(log.checks)
    checks[place] = {field: value for field, value in checks[place].items() if name not in {field, None}}
    return dataclasses.replace(log, checks=checks)


@given(logs, st.data())
def test_taking_data_away_never_raises_confidence_and_never_invents_a_score(log: Log, data: st.DataObject) -> None:
    less = log
    for _ in range(data.draw(st.integers(1, 3))):
        if less.planned and data.draw(st.booleans()):
            planned = list(less.planned)
            planned[data.draw(st.integers(0, len(planned) - 1)) :] = []
            less = dataclasses.replace(less, planned=planned)
        else:
            name = data.draw(st.sampled_from([*FIELDS, None]))
            less = without(less, data.draw(st.integers(0, DAYS - 1)), name)
    for had, has in zip(log.read(), less.read(), strict=True):
        assert has.confidence <= had.confidence
        assert has.observed_days <= had.observed_days
        assert has.score is None or had.score is not None
        for before, after in zip(had.components, has.components, strict=True):
            assert after.n <= before.n
            assert after.score is None or before.score is not None
            assert after.value is None or before.value is not None


def figures(found: ReadinessItem) -> Any:
    """What must not depend on where an athlete's values lie."""
    return found.score, found.confidence, [(one.z, one.score, one.spread, one.n) for one in found.components]


@given(logs, st.sampled_from(["bodyweight_kg", "sleep_hours", "resting_heart_rate", *ITEMS]), quarters)
def test_a_constant_added_to_all_of_an_athletes_values_changes_no_score(log: Log, name: str, more: float) -> None:
    """To the last digit: an athlete is compared with nobody else."""
    if name in ITEMS:  # which end at 7
        log = dataclasses.replace(log, checks=[c | ({name: min(c[name], 6)} if name in c else {}) for c in log.checks])
        more = 1
    shifted = [check | ({name: check[name] + more} if name in check else {}) for check in log.checks]
    for one, other in zip(log.read(), dataclasses.replace(log, checks=shifted).read(), strict=True):
        assert figures(one) == figures(other)


@given(logs, st.floats(0.5, 2))
def test_a_watch_that_tells_a_multiple_of_the_variability_changes_no_score(log: Log, times: float) -> None:
    name = "hrv_rmssd_ms"
    scaled = [check | ({name: check[name] * times} if name in check else {}) for check in log.checks]
    for one, other in zip(log.read(), dataclasses.replace(log, checks=scaled).read(), strict=True):
        assert close(one.score, other.score, 0.4)  # of values that are rounded to 4 places
        assert one.confidence == other.confidence


@given(logs, st.randoms())
def test_neither_the_order_of_reading_nor_the_range_matters(log: Log, random: Any) -> None:
    ordered = [CheckInValues(day(len(log.checks) - 1 - place), **check) for place, check in enumerate(log.checks)]
    ordered = [values for values, check in zip(ordered, log.checks, strict=True) if check]
    shuffled, trainings = ordered[:], log.trainings()
    random.shuffle(shuffled)
    random.shuffle(trainings)
    found = readiness(shuffled, trainings, day(2), TODAY)
    assert found == log.read()
    for place, back in enumerate((2, 1, 0)):
        near = [values for values in ordered if day(back + DAYS_BEFORE) <= values.day <= day(back)]
        lately = [training for training in trainings if day(back + DAYS_BEFORE) <= training.day < day(back)]
        assert readiness(near, lately, day(back), day(back)) == [found[place]]


def test_a_correction_of_a_day_changes_that_day_and_those_whose_28_days_hold_it_alone() -> None:
    slept = [{"sleep_hours": 7 + place % 3} for place in range(80)]
    corrected = [*slept]
    corrected[40] = {"sleep_hours": 1}
    pairs = zip(Log(slept).read(80), Log(corrected).read(80), strict=True)
    assert [place for place, (one, other) in enumerate(pairs) if one != other] == list(
        range(40, 40 + 1 + BASELINE_DAYS)
    )


GOOD = {"sleep": 2, "fatigue": 2, "stress": 2, "soreness": 2, "resting_heart_rate": 50, "sleep_hours": 8}
FULL = GOOD | {"hrv_rmssd_ms": 60, "bodyweight_kg": 72}
EVERY_DAY = [(back, 10, 9) for back in range(1, 36)]


def test_everything_known_is_confidence_1_and_a_usual_day_is_50() -> None:
    found = today([FULL] * 29, EVERY_DAY)
    assert (found.score, found.confidence, found.observed_days, found.hooper) == (50, 1, 28, 8)
    assert found.reason == "About your usual day: what is known is close to its mean. Known: 6 of 6 components."


def test_a_bad_day_says_what_speaks_against_it() -> None:
    bad = {"sleep": 6, "fatigue": 6, "stress": 4, "soreness": 6, "resting_heart_rate": 60, "sleep_hours": 9}
    found = today([*[GOOD] * 28, bad])
    assert found.reason == (
        "Below your usual day: Hooper index 22 (usually 8) and resting heart rate 60 bpm (usually 50 bpm) speak "
        "against it; sleep 9.0 h (usually 8.0 h) speaks for it. Known: 3 of 6 components."
    )
    assert found.score is not None
    assert found.score < 30
    assert component(found, ComponentName.HOOPER).reason == "Hooper index 22 (usually 8): much worse than usual."
    assert component(found, ComponentName.SLEEP_HOURS).reason == "Sleep 9.0 h (usually 8.0 h): much better than usual."
    assert component(found, ComponentName.HRV).reason == "The day has no value: heart rate variability."
    assert component(found, ComponentName.PERFORMANCE).reason == "No set was planned on the 7 days before."


def test_what_too_little_is_known_of_is_not_called_above_or_below_the_usual() -> None:
    """A kilogram or two and a pulse of ten days: no more than 0.0536 of what could be known."""
    usual = {"bodyweight_kg": 80, "resting_heart_rate": 50}
    found = today([*[GOOD | usual] * 10, usual | {"bodyweight_kg": 78, "sleep": 2}])
    assert (found.score, found.confidence) == (33.3, 0.0536)
    assert found.reason == (
        "Too little is known to set the day beside your usual one: body mass 78.0 kg (usually 80.0 kg) speaks against "
        "it. Known: 2 of 6 components. The Hooper index needs all four items, and fatigue, stress and soreness are "
        "missing."
    )
    week = dict.fromkeys(ITEMS, 2)
    said = today([*[week] * 7, dict.fromkeys(ITEMS, 5)])  # the Hooper index, from as few days as it may be
    assert (said.confidence, said.reason.partition(":")[0]) == (LEAST_CONFIDENCE, "Below your usual day")


def test_a_point_more_after_a_month_of_equal_days_is_no_alarm() -> None:
    """Their spread is 0: the floor stands for it, and is told beside it."""
    found = component(today([*[GOOD] * 28, GOOD | {"fatigue": 3}]), ComponentName.HOOPER)
    assert (found.value, found.mean, found.spread, found.floor, found.z, found.score) == (9, 8, 0, 2, -0.5, 40)


@pytest.mark.parametrize(("beats", "score"), [(90, 0), (20, 100)])
def test_scores_end_at_0_and_100(beats: float, score: float) -> None:
    found = today([*[{"resting_heart_rate": 50}] * 28, {"resting_heart_rate": beats}])
    assert found.score == component(found, ComponentName.RESTING_HEART_RATE).score == score


@pytest.mark.parametrize(("days", "n"), [(1, 1), (6, 6), (7, 7)])
def test_a_component_needs_7_of_the_28_days_before(days: int, n: int) -> None:
    found = component(today([GOOD] * days + [GOOD]), ComponentName.HOOPER)
    assert found.n == n
    assert (found.score is None) is (n < 7)
    said = "has a value" if n == 1 else "have one"
    assert n == 7 or found.reason.endswith(f"only {n} of the 28 days before {said}, and 7 are needed.")


def test_the_reasons_of_a_day_without_a_score() -> None:
    assert today([]).reason == "No score: nothing is known of this day."
    assert today([GOOD] * 28 + [NOTHING]).reason == "No score: nothing is known of this day."
    assert today([GOOD] * 4).reason == "No score yet: 7 of the 28 days before need a value, and 3 at most have one."


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        (("sleep", "fatigue", "stress"), "The Hooper index needs all four items, and soreness is missing."),
        (("stress",), "The Hooper index needs all four items, and sleep, fatigue and soreness are missing."),
    ],
)
def test_of_fewer_than_four_items_there_is_no_hooper_index(given_: Sequence[str], reason: str) -> None:
    said = {name: GOOD[name] for name in given_}
    found = today([*[GOOD] * 28, said])
    assert found.hooper is None
    assert component(found, ComponentName.HOOPER).reason == reason
    assert (found.score, found.confidence, found.reason) == (None, 0, f"No score. {reason}")
    slept = {"sleep_hours": 8}
    known = today([*[GOOD] * 28, said | slept])
    assert known.reason == (
        f"About your usual day: what is known is close to its mean. Known: 1 of 6 components. {reason}"
    )
    early = today([*[GOOD] * 2, said | slept]).reason
    assert early == f"No score yet: 7 of the 28 days before need a value, and 2 at most have one. {reason}"


@pytest.mark.parametrize(("items", "expected"), [((1, 1, 1, 1), 4), ((1, 2, 2, 3), 8), ((7, 7, 7, 7), 28)])
def test_the_hooper_index_is_the_sum_of_its_four_items(items: tuple[int, ...], expected: int) -> None:
    assert hooper(CheckInValues(TODAY, *items)) == expected


def test_a_loss_of_body_mass_counts_and_a_gain_does_not() -> None:
    def told(kilograms: float) -> tuple[float | None, str]:
        found = component(
            today([*[{"bodyweight_kg": 72}] * 28, {"bodyweight_kg": kilograms}]), ComponentName.BODYWEIGHT
        )
        return found.score, found.reason

    usual = "(usually 72.0 kg)"
    assert [told(kilograms) for kilograms in (71, 71.5, 72, 75)] == [
        (10, f"Body mass 71.0 kg {usual}: much lower than usual."),
        (30, f"Body mass 71.5 kg {usual}: lower than usual."),
        (50, f"Body mass 72.0 kg {usual}: about as usual."),
        (50, f"Body mass 75.0 kg {usual}: a gain counts neither way."),
    ]


def test_sets_of_missed_and_skipped_trainings_count_as_not_met() -> None:
    """Whoever asks for the trainings says that none of their sets was met."""
    kept = [(back, 10, 10) for back in range(1, 36, 2)]
    missed = [(back, 10, 0 if back == 3 else 10) for back, _, _ in kept]
    found = component(today([], kept), ComponentName.PERFORMANCE)
    assert (found.value, found.score) == (1, 50)
    found = component(today([], missed), ComponentName.PERFORMANCE)
    assert (found.value, found.evidence.sets_planned, found.evidence.sets_in_target) == (0.75, 40, 30)
    assert found.score is not None
    assert found.score < 50
    assert found.reason.startswith("Planned sets on target 75% (usually 98%)")


def test_the_trainings_of_the_day_itself_and_of_the_day_8_days_before_have_no_part() -> None:
    found = component(today([], [(0, 10, 0), (1, 4, 3), (7, 6, 6), (8, 10, 0)]), ComponentName.PERFORMANCE)
    assert found.value == 0.9
    assert found.evidence.trainings == [uuid(3), uuid(2)]
    assert (found.evidence.first, found.evidence.last) == (day(35), day(1))


def test_a_gap_is_neither_rest_nor_recovery() -> None:
    """Nothing is known of the days without data, and nothing of what follows is better for them."""
    before = Log([FULL] * 40, [(back, 10, 9) for back in range(1, 40)])
    gap = dataclasses.replace(
        before, checks=[*[FULL] * 26, *[NOTHING] * 13, FULL], planned=[(back, 10, 9) for back in range(14, 40)]
    )
    for found in gap.read(14)[1:-1]:
        assert found.score is None or component(found, ComponentName.PERFORMANCE).score is not None
    quiet = gap.read(5)[:-1]
    assert [(found.score, found.confidence) for found in quiet] == [(None, 0)] * 4
    back, usual = gap.read(1)[0], before.read(1)[0]
    assert (back.score, usual.score) == (50, 50)
    assert back.confidence < usual.confidence
    assert component(back, ComponentName.PERFORMANCE).value is None


@settings(max_examples=30)
@given(logs)
def test_no_word_is_a_diagnosis_and_nothing_unknown_is_without_a_reason(log: Log) -> None:
    for found in log.read():
        for reason in (found.reason, *(one.reason for one in found.components)):
            assert reason.endswith(".")
            assert not re.search("injur|risk|illness|overtrain|probab|diagnos", reason)
        for one in found.components:
            told = (
                "needed" in one.reason or "No set" in one.reason or "no value" in one.reason or "all four" in one.reason
            )
            assert told is (one.score is None)


def test_the_rules_say_what_is_computed() -> None:
    assert RULES["weights"] == WEIGHTS
    assert RULES["floors"] == FLOORS
    assert math.isclose(sum(WEIGHTS.values()), 1)
    assert set(WEIGHTS) == {*ComponentName} <= set(RULES)


def test_the_page_says_what_is_computed() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    told = {row[0].strip("`"): row[1:] for row in rows if len(row) == 5 and row[4] in map(str, WEIGHTS.values())}
    assert {name: float(row[2]) for name, row in told.items()} == FLOORS
    assert {name: float(row[3]) for name, row in told.items()} == WEIGHTS
    checks = [
        dict.fromkeys(ITEMS[:3], 3) | {"soreness": 1 if place % 2 else 5} | {"sleep_hours": 7 + place % 2}
        for place in range(28)
    ]
    for place in range(4):
        del checks[place]["sleep_hours"]
    found = today([*checks, {"sleep": 5, "fatigue": 5, "stress": 3, "soreness": 3, "sleep_hours": 8}])
    for name in (ComponentName.HOOPER, ComponentName.SLEEP_HOURS):
        one = component(found, name)
        assert f"| `{name}` | {one.mean:g} | {one.spread} | {one.z:.4g} | {one.score} |" in PAGE
    assert f"0.50 = {found.score}. Confidence: (0.40 × 28 + 0.10 × 24) / 28 = {found.confidence}." in PAGE
    assert found.reason in " ".join(PAGE.replace("\n> ", " ").split())
