"""The reader of FitNotes' exports: each trap that real files hold, as a small file of its own."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fitnotes import read_fitnotes
from models.foreign_logs import MAX_BYTES, MAX_ROWS, ForeignFileError, ForeignLog
from models.sets import Unit
from models.trainings import ExerciseBody, Status, TrainingCreate

HEADER = "Date,Exercise,Category,Weight,Weight Unit,Reps,Distance,Distance Unit,Time\n"
COMMENTED = HEADER.replace("Time", "Time,Comment")


def read(text: str, unit: Unit = Unit.KG, timezone: str = "UTC") -> ForeignLog:
    return read_fitnotes(text.encode(), unit=unit, timezone=timezone)


def only(log: ForeignLog) -> TrainingCreate:
    assert log.errors == ()
    (session,) = log.sessions
    return session.body


def exercises(*rows: str, header: str = HEADER, unit: Unit = Unit.KG) -> list[ExerciseBody]:
    """Rows from `Exercise` on, all of one day."""
    return only(read(header + "".join(f"2024-05-01,{row}\n" for row in rows), unit)).exercises


def test_a_day_is_one_training() -> None:
    rows = ["2024-05-01,Squat,Legs,100.0,kgs,5,0.0,m,0:00:00", "2024-05-01,Row,Back,60.0,kgs,8,0.0,m,0:00:00"]
    days = ["2024-05-02,Squat,Legs,105.0,kgs,5,,,", "2024-04-30,Squat,Legs,95.0,kgs,5,,,"]
    log = read(HEADER + "\n".join([*rows, *days, rows[0]]), timezone="Pacific/Auckland")
    assert [(s.body.source_id, len(s.body.exercises)) for s in log.sessions] == [
        ("fitnotes:2024-04-30", 1),
        ("fitnotes:2024-05-01", 3),
        ("fitnotes:2024-05-02", 1),
    ]
    body = log.sessions[1].body
    assert (body.status, body.title, body.duration_seconds) == (Status.COMPLETED, None, None)
    assert (body.local_day(), body.date) == (dt.date(2024, 5, 1), dt.datetime(2024, 5, 1, tzinfo=dt.UTC))  # noon
    assert [(s.weight, s.reps, s.distance_m, s.duration_seconds) for s in body.exercises[0].sets] == [
        (100, 5, None, None)
    ]


@pytest.mark.parametrize("name", ["Row, one arm", "Squat, low bar, paused", "Press,", "Lift, 20"])
@pytest.mark.parametrize("header", [HEADER, COMMENTED])
def test_commas_in_names_are_not_quoted(name: str, header: str) -> None:
    comment = "," if header == COMMENTED else ""
    (found,) = exercises(f"{name},Back,20.0,kgs,10,,,{comment}", header=header)
    assert (found.name, [(s.weight, s.reps) for s in found.sets]) == (name, [(20, 10)])


def test_commas_in_comments_are_not_quoted_either() -> None:
    plain, both = exercises(
        "Row,Back,20.0,kgs,10,,,,easy, light, slow",
        "Row, one arm,Back,20.0,kgs,10,,,0:00:30,left, then right",
        header=COMMENTED,
    )
    assert (plain.name, plain.notes) == ("Row", "easy, light, slow")
    assert (both.name, both.notes, both.sets[0].duration_seconds) == ("Row, one arm", "left, then right", 30)


def test_comments_are_the_notes_of_their_exercise() -> None:
    row, press = exercises(
        "Row,Back,20,kgs,10,,,,slow",
        "Row,Back,20,kgs,9,,,,",
        'Row,Back,20,kgs,8,,,,"slow"',
        "Press,Chest,5,kgs,5,,,,",
        header=COMMENTED,
    )
    assert (row.notes, [s.reps for s in row.sets], press.notes) == ("slow", [10, 9, 8], None)


def test_units() -> None:
    found = exercises(
        "Row,Back,20.5,kgs,10,,,",
        "Press,Chest,45,lbs,10,,,",
        "Dip,Chest,10,,10,,,",
        "Run,Cardio,,,,2,km,0:10:00",
        "Swim,Cardio,,,,800,m,0:20:00",
        "Walk,Cardio,,,,1,mi,0:20:00",
        unit=Unit.LB,
    )
    sets = [exercise.sets[0] for exercise in found]
    assert [(s.weight, s.unit) for s in sets[:3]] == [(20.5, "kg"), (45, "lb"), (10, "lb")]
    assert [s.distance_m for s in sets] == [None, None, None, 2000, 800, pytest.approx(1609.344)]


def test_the_unit_may_stand_in_the_title() -> None:
    (row,) = exercises(
        "Row,Back,45,10,,,", header="Date,Exercise,Category,Weight (lbs),Reps,Distance,Distance Unit,Time\n"
    )
    assert [(s.weight, s.unit, s.reps) for s in row.sets] == [(45, "lb", 10)]


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_times_of_holds(hours: int, minutes: int, seconds: int) -> None:
    (plank,) = exercises(f"Plank,Abs,,,,,,{hours}:{minutes:02}:{seconds:02}")
    assert plank.sets[0].duration_seconds == (hours * 3600 + minutes * 60 + seconds or None)


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("01.05.2024,Row,Back,20,kgs,10,,,", "Date", "is no date like"),
        ("2024-05-01,Row,Back,heavy,kgs,10,,,", "Weight", "'heavy' is no number"),
        ("2024-05-01,Row,Back,20,stone,10,,,", "Weight Unit", "'stone' is neither kg nor lb"),
        ("2024-05-01,Row,Back,20,kgs,1.5,,,", "Reps", "must be a whole number"),
        ("2024-05-01,Row,Back,20,kgs,10,1,parsec,", "Distance Unit", "'parsec' is none of"),
        ("2024-05-01,Row,Back,20,kgs,10,,,90", "Time", "'90' is no time like 0:01:30"),
        ("2024-05-01,Row, low,Back,heavy,kgs,10,,,", "Weight", "'heavy' is no number"),
        ("2024-05-01,,Back,20,kgs,10,,,", "Exercise", "must have 1 or more characters"),
        ("2024-05-01,Row,Back,20", "", "has 4 cells, the header has 9"),
    ],
)
def test_a_wrong_line_is_named_and_its_day_held_back(row: str, column: str, message: str) -> None:
    good = "2024-04-{},Row,Back,20,kgs,10,,,\n"
    log = read(HEADER + good.format(28) + good.format(29) + row + "\n" + good.format(30))
    (error,) = (error for error in log.errors if error.line == 4)
    assert (error.column, log.error_lines) == (column, 1)
    assert message in error.message
    assert {28} <= {session.body.local_day().day for session in log.sessions} <= {28, 29, 30}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"Date,Exercise\n", "no export of FitNotes's: it has no column category, weight, reps"),
        (b"x" * (MAX_BYTES + 1), "at most 5,000,000 are read"),
        (HEADER.encode() + b"2024-05-01,R,B,1,kgs,1,,,\n" * (MAX_ROWS + 1), "more than 50,000 rows"),
    ],
    ids=["another", "bytes", "rows"],
)
def test_what_is_no_export(data: bytes, message: str) -> None:
    with pytest.raises(ForeignFileError) as caught:
        read_fitnotes(data, unit=Unit.KG, timezone="UTC")
    assert message in str(caught.value)


odd = st.sampled_from(["", "1", "-1", "9" * 5000, "nan", "kgs", "km", "2024-05-01", "0001-01-01", "0:00:30"])


def test_a_row_of_nothing_but_commas_is_refused_by_its_cells() -> None:
    """Each way to read it would be as long as the row: a long row must have few."""
    (error,) = read(COMMENTED + "2024-05-01" + 100_000 * "," + "\n").errors
    assert error.message == "has 100001 cells, the header has 10"


@given(st.lists(st.lists(st.one_of(odd, st.text(max_size=9)), max_size=14), max_size=8), st.booleans())
def test_whatever_comes_is_read_or_refused(rows: list[list[str]], placed: bool) -> None:
    lines = [",".join(["2024-05-01", *row] if placed else row) for row in rows]
    data = (COMMENTED + "\n".join(lines)).encode("utf-8", "replace")
    try:
        log = read_fitnotes(data, unit=Unit.KG, timezone="America/New_York")
    except ForeignFileError:
        assert b"\0" in data
        return
    assert log.sets == sum(len(e.sets) for s in log.sessions for e in s.body.exercises)
