"""The reader of Hevy's exports: each trap that real files hold, as a small file of its own."""

import csv
import datetime as dt
import io
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.foreign_logs import MAX_BYTES, MAX_ROWS, ForeignFileError, ForeignLog
from models.hevy import read_hevy
from models.sets import SetType, Unit
from models.trainings import ExerciseBody, Status, TrainingCreate

HEADER = (
    "title,start_time,end_time,description,exercise_title,superset_id,exercise_notes,set_index,set_type,weight_kg,"
    "reps,distance_km,duration_seconds,rpe\n"
)
POUNDS = HEADER.replace("weight_kg", "weight_lbs").replace("distance_km", "distance_miles")
START = '"30 Jun 2025, 19:56"'


def read(text: str, timezone: str = "UTC") -> ForeignLog:
    return read_hevy(text.encode(), timezone=timezone)


def only(log: ForeignLog) -> TrainingCreate:
    assert log.errors == ()
    (session,) = log.sessions
    return session.body


def exercises(*rows: str, header: str = HEADER) -> list[ExerciseBody]:
    """Rows from `exercise_title` on, all of one session."""
    return only(read(header + "".join(f"Push,{START},,,{row}\n" for row in rows))).exercises


def test_a_session() -> None:
    workout = f'"Push, heavy",{START},"30 Jun 2025, 21:01","slept\nwell"'
    body = only(
        read(
            HEADER
            + f'{workout},"Bench Press (Barbell)",,"deep",0,warmup,60,10,,,\n'
            + f'{workout},"Bench Press (Barbell)",,"deep",1,normal,82.5,8,,,8.5\n'
            + f'{workout},"Plank",,"",0,normal,,,,90,\n',
            timezone="Europe/Vienna",
        )
    )
    assert body.source_id == "hevy:2025-06-30T19:56:00:Push, heavy"
    assert (body.status, body.title, body.notes) == (Status.COMPLETED, "Push, heavy", "slept\nwell")
    assert body.date == dt.datetime(2025, 6, 30, 17, 56, tzinfo=dt.UTC)
    assert (body.timezone, body.local_day(), body.duration_seconds) == ("Europe/Vienna", dt.date(2025, 6, 30), 65 * 60)
    bench, plank = body.exercises
    assert (bench.name, bench.notes, plank.notes) == ("Bench Press (Barbell)", "deep", None)
    assert [(s.weight, s.unit, s.reps, s.rpe) for s in bench.sets] == [(60, "kg", 10, None), (82.5, "kg", 8, 8.5)]
    assert [(s.weight, s.reps, s.duration_seconds) for s in plank.sets] == [(0, 0, 90)]


def test_an_empty_weight_is_no_external_load() -> None:
    """Nor is it one of the pounds' column, and a 0 that is written is the same."""
    for header in (HEADER, POUNDS):
        (pull_up,) = exercises("Pull Up,,,0,normal,,12,,,", "Pull Up,,,1,normal,0,11,,,", header=header)
        assert [(s.weight, s.reps) for s in pull_up.sets] == [(0, 12), (0, 11)]


@pytest.mark.parametrize(("header", "unit", "metres"), [(HEADER, "kg", 2500), (POUNDS, "lb", 4023.36)])
def test_the_unit_stands_in_the_title(header: str, unit: Unit, metres: float) -> None:
    press, run = exercises("Press,,,0,normal,102.5,5,,,", "Run,,,0,normal,,,2.5,1200,", header=header)
    assert [(s.weight, s.unit) for s in press.sets] == [(102.5, unit)]
    assert [(s.distance_m, s.duration_seconds, s.reps) for s in run.sets] == [(metres, 1200, 0)]


def test_newest_first_becomes_oldest_first() -> None:
    rows = [f'A,"{day} Jun 2025, 08:00",,,Squat,,,{i},normal,100,{day},,,\n' for day in (30, 2, 1) for i in range(2)]
    log = read(HEADER + "".join(rows))
    assert [(s.body.local_day().day, s.first_line) for s in log.sessions] == [(1, 6), (2, 4), (30, 2)]
    assert (log.sets, log.exercises, log.reps) == (6, 1, 66)


def test_the_same_exercise_twice_stays_two() -> None:
    """Whether another one stands between them or not."""
    rows = ["Row,,,0,normal,40,5,,,", "Row,,,1,normal,40,4,,,", "Row,,easy,0,normal,20,9,,,"]
    assert [(e.name, e.notes, [s.reps for s in e.sets]) for e in exercises(*rows)] == [
        ("Row", None, [5, 4]),
        ("Row", "easy", [9]),
    ]
    between = exercises(*rows[:2], "Press,,,0,normal,40,5,,,", "Row,,,2,normal,20,9,,,")
    assert [e.name for e in between] == ["Row", "Press", "Row"]


def test_supersets_have_their_numbers() -> None:
    found = exercises(
        "Row,0,,0,normal,40,5,,,", "Press,0,,0,normal,40,5,,,", "Curl,,,0,normal,40,5,,,", "Dip,1,,0,normal,,5,,,"
    )
    assert [e.superset for e in found] == [0, 0, None, 1]


def test_types_of_sets() -> None:
    types = ("warmup", "normal", "dropset", "failure")
    (press,) = exercises(*(f"Press,,,{i},{type_},50,5,,," for i, type_ in enumerate(types)))
    assert [s.type for s in press.sets] == [SetType.WARMUP, SetType.WORKING, SetType.DROP, SetType.FAILURE]


def test_a_session_over_the_change_of_clocks_has_its_true_duration() -> None:
    row = 'A,"{}","{}",,Squat,,,0,normal,100,5,,,\n'
    night = HEADER + row.format("29 Mar 2025, 23:30", "30 Mar 2025, 03:30")
    twice = HEADER + row.format("26 Oct 2025, 02:40", "26 Oct 2025, 02:10")
    assert only(read(night, "Europe/Vienna")).duration_seconds == 3 * 3600
    assert only(read(twice, "Europe/Vienna")).duration_seconds == 30 * 60


def test_an_export_of_another_order_and_with_more_columns_is_read() -> None:
    body = only(
        read(
            "\ufeffexercise_title,set_index,set_type,weight_lbs,reps,title,start_time,gym\n"
            'Squat,0,normal,225,5,"","1 Jan 2024, 7:05",Home\n',
            "America/New_York",
        )
    )
    assert body.date == dt.datetime(2024, 1, 1, 7, 5, tzinfo=ZoneInfo("America/New_York"))
    assert (body.title, body.source_id, body.duration_seconds) == (None, "hevy:2024-01-01T07:05:00:", None)


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (f"Push,{START},,,Row,,,0,normal,heavy,5,,,", "weight_kg", "'heavy' is no number"),
        (f"Push,{START},,,Row,,,0,normal,50,5.5,,,", "reps", "must be a whole number"),
        (f"Push,{START},,,Row,,,0,sideways,50,5,,,", "set_type", "is none of normal, warmup, dropset, failure"),
        (f"Push,{START},,,Row,,,first,normal,50,5,,,", "set_index", "'first' is no number"),
        (f"Push,{START},,,Row,both,,0,normal,50,5,,,", "superset_id", "'both' is no number"),
        (f"Push,{START},,,Row,-1,,0,normal,50,5,,,", "superset_id", "must be at least 0"),
        (f"Push,{START},,,Row,,,0,normal,50,5,,,11", "rpe", "must be at most 10"),
        (f"Push,{START},,,,,,0,normal,50,5,,,", "exercise_title", "must have 1 or more characters"),
        (
            'Push,"30 Jun 2025, 19:56","30 Jun 2025, 19:00",,Row,,,0,normal,50,5,,,',
            "end_time",
            "lies before start_time",
        ),
        (f"Push,{START},later,,Row,,,0,normal,50,5,,,", "end_time", "is no local date and time like"),
        ('Push,"31 Jun 2025, 19:56",,,Row,,,0,normal,50,5,,,', "start_time", "is no local date and time like"),
        ("Push,2025-06-30 19:56:00,,,Row,,,0,normal,50,5,,,", "start_time", "is no local date and time like"),
        ('Push,"30 Juin 2025, 19:56",,,Row,,,0,normal,50,5,,,', "start_time", "is no local date and time like"),
        ("Push,30 Jun 2025, 19:56,,,Row,,,0,normal,50,5,,,", "", "has 15 cells, the header has 14"),
    ],
)
def test_a_wrong_line_is_named_and_its_session_held_back(row: str, column: str, message: str) -> None:
    good = 'Good,"{} Jul 2025, 19:56",,,Row,,,0,normal,50,5,,,\n'
    log = read(HEADER + good.format(3) + good.format(2) + row + "\n" + good.format(1))
    (error,) = (error for error in log.errors if error.line == 4)
    assert (error.column, log.error_lines) == (column, 1)
    assert message in error.message
    assert {3} <= {session.body.local_day().day for session in log.sessions} <= {1, 2, 3}
    assert all(session.body.title == "Good" for session in log.sessions)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no column title, start_time"),
        (b"Date,Workout Name\n", "no export of Hevy's"),
        (b"x" * (MAX_BYTES + 1), "at most 5,000,000 are read"),
        (HEADER.encode() + f"P,{START},,,R,,,0,normal,1,1,,,\n".encode() * (MAX_ROWS + 1), "more than 50,000 rows"),
    ],
    ids=["empty", "another", "bytes", "rows"],
)
def test_what_is_no_export(data: bytes, message: str) -> None:
    with pytest.raises(ForeignFileError) as caught:
        read_hevy(data, timezone="UTC")
    assert message in str(caught.value)


cells = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)
sets = st.tuples(
    st.one_of(st.none(), st.integers(-2_000_0000, 10_000_0000).map(lambda n: n / 10_000)),  # weight
    st.integers(0, 100_000),  # reps
    st.one_of(st.none(), st.integers(0, 20).map(lambda n: n / 2)),  # RPE
    st.sampled_from(["warmup", "normal", "dropset", "failure"]),
)


@given(
    title=cells,
    groups=st.lists(
        st.tuples(cells.filter(bool), st.one_of(st.none(), st.integers(0, 9)), st.lists(sets, min_size=1, max_size=4)),
        min_size=1,
        max_size=5,
    ),
)
def test_every_written_log_is_read_back(
    title: str, groups: list[tuple[str, int | None, list[tuple[float | None, int, float | None, str]]]]
) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(HEADER.strip().split(","))
    for name, superset, members in groups:
        for index, (weight, reps, rpe, type_) in enumerate(members):
            row = [title, "1 Feb 2025, 09:00", "", "", name, superset, "", index, type_, weight, reps, "", "", rpe]
            writer.writerow(["" if cell is None else cell for cell in row])
    body = only(read(file.getvalue()))
    assert [(e.name, e.superset, [(s.weight, s.reps, s.rpe) for s in e.sets]) for e in body.exercises] == [
        (name, superset, [(weight or 0, reps, rpe) for weight, reps, rpe, _ in members])
        for name, superset, members in groups
    ]


odd = st.sampled_from(
    ["", "1", "0", "-1", "9" * 5000, "nan", "1e9", "normal", "30 Jun 2025, 19:56", "1 Jan 0001, 0:00"]
)


@given(st.lists(st.lists(st.one_of(odd, st.text(max_size=9)), min_size=12, max_size=12), max_size=8), st.booleans())
def test_whatever_comes_is_read_or_refused(rows: list[list[str]], placed: bool) -> None:
    file = io.StringIO(HEADER)
    file.seek(0, io.SEEK_END)
    for row in rows:
        head = ["A", "30 Jun 2025, 19:56"] if placed else row[:2]
        csv.writer(file).writerow([*head, *row])
    data = file.getvalue().encode("utf-8", "replace")
    try:
        log = read_hevy(data, timezone="Europe/Vienna")
    except ForeignFileError:
        assert b"\0" in data
        return
    assert log.sets == sum(len(e.sets) for s in log.sessions for e in s.body.exercises)
