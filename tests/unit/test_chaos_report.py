"""The text of the fault report."""

from chaos.report import text
from chaos.rounds import Result

MACHINE = {"machine": {"PostgreSQL": "18", "processors": "2"}, "seed": 42}
GOOD = Result(
    "broker-kill",
    42,
    1,
    recoveries=(("broker-kill", 1.5),),
    events=100,
    duplicates=6,
    calls=120,
    crashes=2,
    kills={"broker": 1},
    stops=(1.2, 0.9),
    peak_memory=100 * 2**20,
)


def lines(*results: Result) -> list[str]:
    return list(text([MACHINE, *(result.document() for result in results)], ["kafka"]))


def test_a_green_run() -> None:
    report = lines(GOOD, GOOD)
    assert "| violations | 0 |" in report
    assert "| duplicates | 12 of 4 crashes and cuts: 3.0 each |" in report
    assert "| kills | 2: 2 broker |" in report
    assert "| seeds | 42 |" in report
    assert "| PostgreSQL | 18 |" in report
    (row,) = (line for line in report if line.startswith("| `broker-kill` |"))
    assert row.count("✓") == 12
    assert row.endswith("| 1.5 | 12 / 4 |")
    assert "### Violations" not in report
    assert "## Not run" not in report
    assert "![kafka](fault-report/kafka.svg)" in report


def test_what_a_move_publishes_again_is_no_copy_of_a_crash() -> None:
    moved = Result("dump-and-restore", 42, 2, events=300, duplicates=238, crashes=1, moves=(240,))
    report = lines(GOOD, moved)
    assert "| duplicates | 6 of 2 crashes and cuts: 3.0 each |" in report
    assert "| duplicates by a move to another cluster | 238 of 240 rows |" in report


def test_what_is_broken_is_said_with_its_seed() -> None:
    broken = Result(
        "burst", 7, 3, recoveries=(("burst", None),), violations=("I1 lost: x", "I10 too much", "I1 lost: y")
    )
    report = lines(GOOD, broken)
    (row,) = (line for line in report if line.startswith("| `burst` |"))
    assert row.split(" | ")[3] == "**2**"
    assert row.count("**1**") == 1
    assert "| never |" in row
    assert "- `burst`, seed 7, round 3: I10 too much" in report
    assert "| violations | 3 |" in report
    assert "| recoveries that never came | 1 |" in report


def test_what_did_not_run_is_said() -> None:
    report = lines(GOOD, Result("disk-full", 7, 3, not_run="no tmpfs can be mounted here"))
    assert "- `disk-full`: no tmpfs can be mounted here" in report
    assert "| faults | 1 alone, 1 rounds |" in report


def test_controls_are_shown() -> None:
    control = {"control": "naive cursor", "breaks": ["I1"], "caught_by": ["I1"], "right_passes": True}
    report = list(text([MACHINE, control, GOOD.document()], []))
    assert "| naive cursor | I1 | I1 | yes |" in report
