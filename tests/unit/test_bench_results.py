"""What the bench makes of its figures: medians, goals, JSON."""

from bench.results import Measurement, Results, Target, figure

FAST = Measurement("posts", "fast", "/s", (300.0, 100.0, 200.0), "in memory")
SLOW = Measurement("posts", "slow", "/s", (90.0, 110.0))


def test_a_measurement_has_a_median_and_a_spread() -> None:
    assert (FAST.median, FAST.spread) == (200, (100, 300))


def test_a_ratio_is_judged_from_medians() -> None:
    goal = Target("twice", of="fast", bound=2.0, per="slow").judge([FAST, SLOW])
    assert goal is not None
    assert (goal.measured, goal.unit, goal.met) == (2.0, "x", True)
    missed = Target("three times", of="fast", bound=3.0, per="slow").judge([FAST, SLOW])
    assert missed is not None
    assert not missed.met


def test_a_bound_from_above_is_judged_in_the_unit_of_the_measurement() -> None:
    goal = Target("slow enough", of="slow", bound=99.0, at_least=False).judge([FAST, SLOW])
    assert goal is not None
    assert (goal.measured, goal.unit, goal.met) == (100, "/s", False)


def test_what_was_not_measured_is_not_judged() -> None:
    assert Target("nobody", of="fast", bound=1.0, per="slow").judge([FAST]) is None
    assert Target("nobody", of="slow", bound=1.0).judge([FAST]) is None


def test_results_survive_json() -> None:
    goal = Target("twice", of="fast", bound=2.0, per="slow").judge([FAST, SLOW])
    assert goal is not None
    results = Results({"processors": "2"}, {"Python": "3"}, True, 12.5, [FAST, SLOW], [goal])
    assert Results.from_json(results.to_json()) == results


def test_figures_are_written_with_the_digits_that_count() -> None:
    assert [figure(value) for value in (123456.7, 99.96, 12.34, 1.2345, 0.01234)] == [
        "123,457",
        "100.0",
        "12.3",
        "1.23",
        "0.0123",
    ]
