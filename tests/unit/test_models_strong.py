"""The reader of Strong's exports: each trap that real files hold, as a small file of its own."""

import csv
import datetime as dt
import io
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.foreign_logs import MAX_BYTES, MAX_ROWS, ForeignFileError, ForeignLog
from models.sets import SetType, Unit
from models.strong import read_duration, read_strong
from models.trainings import ExerciseBody, Status, TrainingCreate

COMMA = "Date,Workout Name,Duration,Exercise Name,Set Order,Weight,Reps,Distance,Seconds,Notes,Workout Notes,RPE\n"
UNITS = (
    "Date;Workout Name;Exercise Name;Set Order;Weight;Weight Unit;Reps;RPE;Distance;Distance Unit;Seconds;Notes;"
    "Workout Notes;Workout Duration\n"
)
TITLES = (
    '"Workout #";"Date";"Workout Name";"Duration (sec)";"Exercise Name";"Set Order";"Weight (lbs)";"Reps";"RPE";'
    '"Distance (meters)";"Seconds";"Notes";"Workout Notes"\n'
)


def read(text: str, unit: Unit = Unit.KG, timezone: str = "UTC") -> ForeignLog:
    return read_strong(text.encode(), unit=unit, timezone=timezone)


def only(log: ForeignLog) -> TrainingCreate:
    assert log.errors == ()
    (session,) = log.sessions
    return session.body


def exercises(*rows: str) -> list[ExerciseBody]:
    """Rows from `Exercise Name` on, all of one session."""
    return only(read(COMMA + "".join(f"2021-02-10 16:46:13,Legs,1h,{row}\n" for row in rows))).exercises


def test_the_dialect_without_units() -> None:
    body = only(
        read(
            COMMA
            + '2021-02-10 16:46:13,"Mittwoch",2h 18m,"Bench Press (Barbell)",1,75.0,8,0,0,"deep","Gym",8.5\n'
            + '2021-02-10 16:46:13,"Mittwoch",2h 18m,"Bench Press (Barbell)",2,77.5,6,0,0,,,\n'
            + '2021-02-10 16:46:13,"Mittwoch",2h 18m,"Plank",1,0,0,0,90,"",,\n',
            timezone="Europe/Vienna",
        )
    )
    assert body.source_id == "strong:2021-02-10T16:46:13:Mittwoch"
    assert (body.status, body.title, body.notes) == (Status.COMPLETED, "Mittwoch", "Gym")
    assert body.duration_seconds == 2 * 3600 + 18 * 60
    assert body.date == dt.datetime(2021, 2, 10, 15, 46, 13, tzinfo=dt.UTC)
    assert (body.timezone, body.local_day()) == ("Europe/Vienna", dt.date(2021, 2, 10))
    bench, plank = body.exercises
    assert (bench.name, bench.notes) == ("Bench Press (Barbell)", "deep")
    assert [(s.weight, s.unit, s.reps, s.rpe) for s in bench.sets] == [(75, "kg", 8, 8.5), (77.5, "kg", 6, None)]
    assert [(s.weight, s.reps, s.duration_seconds, s.distance_m) for s in plank.sets] == [(0, 0, 90, None)]


def test_the_dialect_with_unit_columns() -> None:
    body = only(
        read(
            UNITS
            + '2023-05-10 07:30:00;"Push";"Bench";1;102,5;lbs;5;9;;;0;"";"note";58m\n'
            + '2023-05-10 07:30:00;"Push";"Row";1;80;kg;10;;;;0;;;58m\n'
            + '2023-05-10 07:30:00;"Push";"Run";1;;;0;;3.1;mi.;1800;;;58m\n'
        )
    )
    assert body.duration_seconds == 58 * 60
    sets = [exercise.sets[0] for exercise in body.exercises]
    assert [(s.weight, s.unit) for s in sets] == [(102.5, Unit.LB), (80, Unit.KG), (0, Unit.KG)]
    assert [s.distance_m for s in sets] == [None, None, pytest.approx(3.1 * 1609.344)]
    assert sets[2].duration_seconds == 1800


def test_the_dialect_with_units_in_its_titles() -> None:
    body = only(
        read(
            "\ufeff"
            + TITLES
            + '"1";"2020-05-28 12:58:47";"Day 3";"4195";"Press";"W";"40.0";"15";"";"";"";"";"easy"\n'
            + '"1";"2020-05-28 12:58:47";"Day 3";"4195";"Press";"1";"";"7";"";"25";"";"";"easy"\n'
        )
    )
    assert (body.duration_seconds, body.notes) == (4195, "easy")
    assert [(s.weight, s.unit, s.distance_m) for s in body.exercises[0].sets] == [(40, "lb", None), (0, "lb", 25)]


@pytest.mark.parametrize(("unit", "metres"), [(Unit.KG, 2000), (Unit.LB, 3218.688)])
def test_the_unit_given_is_used_where_the_file_names_none(unit: Unit, metres: float) -> None:
    row = "2021-02-10 16:46:13,Run,1h,Run,1,20,0,2,600,,,\n"
    (set_,) = only(read(COMMA + row, unit=unit)).exercises[0].sets
    assert (set_.weight, set_.unit, set_.distance_m) == (20, unit, metres)


def test_what_is_no_set() -> None:
    press, squat = exercises(
        "Press,Rest Timer,,,,60,,,",
        "Press,1,50,5,0,0,,,",
        "Press,Rest Timer,,,,120.0,,,",
        "Press,2,50,5,0,0,,,",
        "Press,Note,,,,,one leg,,",
        "Press,Note,,,,,one leg,,",
        "Press,Note,,,,,slowly,,",
        "Squat,1,60,5,0,0,,,",
        "Squat,Rest Timer,,,,0,,,",
        "Curl,Rest Timer,,,,60,,,",
    )
    assert [s.rest_seconds for s in press.sets] == [120, None]
    assert press.notes == "one leg\nslowly"
    assert [s.rest_seconds for s in squat.sets] == [None]


def test_an_exercise_that_has_only_a_note_is_kept() -> None:
    (press,) = exercises("Press,Note,,,,,skipped today,,")
    assert (press.notes, press.sets) == ("skipped today", [])


def test_types_of_sets() -> None:
    (press,) = exercises("Press,W,20,9,0,0,,,", "Press,1,50,5,0,0,,,", "Press,d,40,5,0,0,,,", "Press,F,50,3,0,0,,,")
    assert [s.type for s in press.sets] == [SetType.WARMUP, SetType.WORKING, SetType.DROP, SetType.FAILURE]


def test_duplicate_set_keys_are_kept_in_order() -> None:
    (press,) = exercises("Press,1,50,5,0,0,,,", "Press,1,50,5,0,0,,,", "Press,2,55,4,0,0,,,")
    assert [(s.weight, s.reps) for s in press.sets] == [(50, 5), (50, 5), (55, 4)]


def test_trailing_spaces_make_no_other_name() -> None:
    log = read(
        COMMA
        + "2021-02-10 16:46:13,Legs ,1h,Squat ,1,50,5,0,0,,,\n"
        + "2021-02-10 16:46:13,Legs,1h,Squat,2,50,5,0,0,,,\n"
    )
    body = only(log)
    assert (body.title, body.source_id) == ("Legs", "strong:2021-02-10T16:46:13:Legs")
    assert [(exercise.name, len(exercise.sets)) for exercise in body.exercises] == [("Squat", 2)]


def test_an_exercise_taken_up_again_stands_twice() -> None:
    again = exercises("Press,1,50,5,0,0,,,", "Row,1,40,5,0,0,,,", "Press,2,50,5,0,0,,,")
    assert [exercise.name for exercise in again] == ["Press", "Row", "Press"]


def test_numbers_as_they_occur() -> None:
    (press,) = exercises("Press,1,45.359237,13.0,,,,,0", "Press,2,-20,,,,,,")
    assert [(s.weight, s.reps, s.rpe) for s in press.sets] == [(45.3592, 13, None), (-20, 0, None)]


def test_sessions_stand_in_order_of_time_with_their_lines() -> None:
    log = read(
        COMMA
        + '2021-02-12 16:00:00,B,1h,Squat,1,50,5,0,0,"two\nlines",,\n'
        + "\n"
        + "2021-02-10 16:00:00,A,1h,Squat,1,50,5,0,0,,,\n"
        + "2021-02-10 16:00:00,A,1h,Squat,2,50,5,0,0,,,\n"
    )
    assert [(s.body.title, s.first_line) for s in log.sessions] == [("A", 5), ("B", 2)]
    assert (log.sets, log.exercises, log.reps, log.held_back) == (3, 1, 15, 0)


def test_the_same_time_with_another_name_is_another_session() -> None:
    log = read(COMMA + "".join(f"2021-02-10 16:00:00,{name},1h,Squat,1,50,5,0,0,,,\n" for name in "AB"))
    assert [session.body.title for session in log.sessions] == ["A", "B"]


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2021-07-01 09:05:00", 9), ("2021-07-01 9:05:00\u202fPM", 21), ("2021-07-01 12:05:00 AM", 0)],
)
def test_local_times(text: str, hour: int) -> None:
    body = only(read(COMMA + f"{text},Legs,1h,Squat,1,50,5,0,0,,,\n", timezone="America/New_York"))
    assert body.date == dt.datetime(2021, 7, 1, hour, 5, tzinfo=ZoneInfo("America/New_York"))


def test_a_session_at_the_change_of_clocks_keeps_its_day() -> None:
    skipped, twice = "2021-03-28 02:30:00", "2021-10-31 02:30:00"
    rows = "".join(f"{text},Legs,1h,Squat,1,50,5,0,0,,,\n" for text in (skipped, twice))
    log = read(COMMA + rows, timezone="Europe/Vienna")
    assert [session.body.local_day() for session in log.sessions] == [dt.date(2021, 3, 28), dt.date(2021, 10, 31)]


def test_a_long_name_gets_a_short_source_id() -> None:
    ids = set()
    for end in "xy":
        log = read(COMMA + f"2021-02-10 16:46:13,{'a' * 250}{end},1h,Squat,1,50,5,0,0,,,\n")
        ids.add(only(log).source_id)
    assert len(ids) == 2
    assert all(id_ and len(id_) <= 200 and id_.startswith("strong:2021-02-10T16:46:13:sha256:") for id_ in ids)


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("2021-02-10 16:46:13,Legs,1h,Squat,1,heavy,5,0,0,,,", "Weight", "'heavy' is no number"),
        ("2021-02-10 16:46:13,Legs,1h,Squat,1,nan,5,0,0,,,", "Weight", "'nan' is no number"),
        ('2021-02-10 16:46:13,Legs,1h,Squat,1,"1,250",5,0,0,,,', "Weight", "'1,250' is no number"),
        ("2021-02-10 16:46:13,Legs,1h,Squat,1,50000,5,0,0,,,", "Weight", "must be at most 10000"),
        ("2021-02-10 16:46:13,Legs,1h,Squat,1,50,5.5,0,0,,,", "Reps", "must be a whole number"),
        ("2021-02-10 16:46:13,Legs,1h,Squat,1,50,-5,0,0,,,", "Reps", "must be at least 0"),
        ("2021-02-10 16:46:13,Legs,1h,Squat,X,50,5,0,0,,,", "Set Order", "is none of"),
        ("2021-02-10 16:46:13,Legs,1h,Squat,1,50,5,0,0,,,11", "RPE", "must be at most 10"),
        ("2021-02-10 16:46:13,Legs,1h,Squat,Rest Timer,,,,-1,,,", "Seconds", "must be at least 0"),
        ("2021-02-10 16:46:13,Legs,1h,,1,50,5,0,0,,,", "Exercise Name", "must have 1 or more characters"),
        (f"2021-02-10 16:46:13,{'a' * 301},1h,Squat,1,50,5,0,0,,,", "Workout Name", "must have at most 300 characters"),
        ("2021-02-10 16:46:13,Legs,long,Squat,1,50,5,0,0,,,", "Duration", "'long' is no duration like 1h 30m"),
        ("1821-02-10 16:46:13,Legs,1h,Squat,1,50,5,0,0,,,", "Date", "between the years 1901 and 2198"),
        ("10.02.2021,Legs,1h,Squat,1,50,5,0,0,,,", "Date", "is no local date and time"),
        ("2021-02-10T16:46:13Z,Legs,1h,Squat,1,50,5,0,0,,,", "Date", "is no local date and time"),
        ("2021-02-10 16:46:13,Legs, light,1h,Squat,1,50,5,0,0,,,", "", "has 13 cells, the header has 12"),
        ('2021-02-10 16:46:13,"Legs"!,1h,Squat,1,50,5,0,0,,,', "", "expected after"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_go_on(row: str, column: str, message: str) -> None:
    session = "2021-02-{} 16:46:13,{},1h,Squat,1,50,5,0,0,,,\n"
    rest = [session.format(day, "Good") for day in (11, 12, 13, 14)]
    # The first session of the wrong line, beside a right line of the same session.
    log = read(COMMA + rest[0] + rest[1] + session.format(10, "Legs") + row + "\n" + rest[2] + rest[3])
    (error,) = (error for error in log.errors if error.line == 5)
    assert (error.column, log.error_lines) == (column, 1)
    assert message in error.message
    assert {session.body.local_day().day for session in log.sessions} >= {11, 12, 14}
    assert log.held_back >= 1


def test_a_session_with_a_wrong_line_is_held_back_whole() -> None:
    log = read(
        COMMA
        + "2021-02-10 16:00:00,A,1h,Squat,1,50,5,0,0,,,\n"
        + "2021-02-10 16:00:00,A,1h,Squat,2,x,5,0,0,,,\n"
        + "2021-02-10 16:00:00,A,1h,Squat,3,50,y,0,0,,,\n"
        + "2021-02-11 16:00:00,B,1h,Squat,1,50,5,0,0,,,\n"
    )
    assert [str(error) for error in log.errors] == [
        "line 3, Weight: 'x' is no number",
        "line 4, Reps: 'y' is no number",
    ]
    assert ([session.body.title for session in log.sessions], log.held_back) == (["B"], 1)


def test_a_line_of_no_session_holds_back_its_neighbours_only() -> None:
    rows = [f"2021-02-10 16:00:00,{name},1h,Squat,1,50,5,0,0,,,\n" for name in "ABC"]
    log = read(COMMA + rows[0] + rows[1] + "yesterday,B,1h,Squat,2,50,5,0,0,,,\n" + rows[2] + rows[2] + rows[0])
    assert [session.body.title for session in log.sessions] == ["A"]
    beside = "its session is left out: line 4 beside it is of none"
    assert [str(error) for error in log.errors] == [
        f"line 3: {beside}",
        "line 4, Date: is no local date and time like 2021-02-10 16:46:13",
        f"line 5: {beside}",
    ]
    assert (log.error_lines, log.held_back) == (1, 2)


def test_a_session_beside_lines_of_none_names_the_one_that_it_met_first() -> None:
    good = "2021-02-{} 16:00:00,A,1h,Squat,1,50,5,0,0,,,\n"
    lost = "yesterday,B,1h,Squat,2,50,5,0,0,,,\n"
    log = read(COMMA + good.format(10) + lost + good.format(11) + lost + lost + good.format(12) + good.format(13))
    beside = [(error.line, error.message) for error in log.errors if error.column == ""]
    assert beside == [
        (line, f"its session is left out: line {reason} beside it is of none")
        for line, reason in ((2, 3), (4, 3), (7, 6))
    ]
    assert (log.error_lines, log.held_back, len(log.sessions)) == (3, 3, 1)


def test_a_quote_that_is_never_closed() -> None:
    rows = [f"2021-02-{day} 16:00:00,A,1h,Squat,1,50,5,0,0,,,\n" for day in (10, 11, 12)]
    log = read(COMMA + rows[0] + rows[1] + '2021-02-11 16:00:00,"A,1h,Squat,1,50,5,0,0,,,\n' + rows[2])
    assert [(error.line, error.message) for error in log.errors if error.line == 4] == [(4, "unexpected end of data")]
    assert (log.error_lines, log.held_back) == (1, 1)
    assert [session.first_line for session in log.sessions] == [2]


@pytest.mark.parametrize("row", ["20;stone;5;;;;0", "20;kg;5;;1;parsec;0"])
def test_unknown_units(row: str) -> None:
    log = read(UNITS + f"2023-05-10 07:30:00;Push;Bench;1;{row};;;58m\n")
    (error,) = log.errors
    assert error.column in {"Weight Unit", "Distance Unit"}
    assert log.held_back == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no column date"),
        (b"title,start_time,end_time\n", "no column date, workout name"),
        (b'"a"b\n', "The header cannot be read"),
        ("Datum,Übung\n".encode("latin-1"), "not UTF-8 (byte 7)"),
        (COMMA.encode() + b"2021-02-10\0", "holds NUL"),
        (b"x" * (MAX_BYTES + 1), "at most 5,000,000 are read"),
        (COMMA.encode() + b"2021-02-10,L,,S,1,,,,,,,\n" * (MAX_ROWS + 1), "more than 50,000 rows"),
    ],
)
def test_what_is_no_export(data: bytes, message: str) -> None:
    with pytest.raises(ForeignFileError) as caught:
        read_strong(data, unit=Unit.KG, timezone="UTC")
    assert message in str(caught.value)


def test_as_many_rows_as_are_allowed_are_read() -> None:
    days = [f"{dt.date(2021, 1, 1) + dt.timedelta(days=i // 100)},L,,S,1,1,1,,,,,\n" for i in range(MAX_ROWS)]
    log = read(COMMA + "".join(days))
    assert (log.sets, len(log.sessions), log.errors) == (MAX_ROWS, MAX_ROWS // 100, ())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h 18m", 8280), ("56m", 3360), ("264h 1m", 950_460), ("45s", 45), ("2h", 7200), ("1h 5s", 3605), ("90", 90)],
)
def test_durations(text: str, seconds: int) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "soon", "-5m", "5m 2h", "1.5h", "1h 5"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        read_duration(text)


@given(st.integers(0, 9_999), st.integers(0, 59), st.integers(0, 59), st.booleans())
def test_every_duration_is_read_back(hours: int, minutes: int, seconds: int, spaces: bool) -> None:
    parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n or unit == "s"]
    assert read_duration((" " if spaces else "").join(parts)) == hours * 3600 + minutes * 60 + seconds


cells = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)
sets = st.tuples(
    st.integers(-2_000_0000, 10_000_0000).map(lambda n: n / 10_000),  # weight
    st.integers(0, 100_000),  # reps
    st.one_of(st.none(), st.integers(2, 20).map(lambda n: n / 2)),  # RPE
    st.sampled_from(["1", "W", "D", "F"]),
)


@given(
    name=cells,
    notes=cells,
    groups=st.lists(st.tuples(cells.filter(bool), st.lists(sets, min_size=1, max_size=5)), min_size=1, max_size=5),
    semicolons=st.booleans(),
)
def test_every_written_log_is_read_back(
    name: str, notes: str, groups: list[tuple[str, list[tuple[float, int, float | None, str]]]], semicolons: bool
) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=";" if semicolons else ",")
    writer.writerow((UNITS.replace(";", ",") if semicolons else COMMA).strip().split(","))
    for exercise, members in groups:
        for weight, reps, rpe, order in members:
            said = "" if rpe is None else rpe
            if semicolons:
                row = [exercise, order, weight, "lb", reps, said, "", "", 0, "", notes, "1h"]
            else:
                row = ["1h", exercise, order, weight, reps, 0, 0, "", notes, said]
            writer.writerow(["2021-02-10 16:46:13", name, *row])
    body = only(read(file.getvalue(), unit=Unit.LB))
    assert (body.title or "", body.notes or "") == (name, notes)
    found = [(e.name, s.weight, s.reps, s.rpe, s.unit) for e in body.exercises for s in e.sets]
    assert found == [(e, weight, reps, rpe, "lb") for e, members in groups for weight, reps, rpe, _ in members]


@given(st.binary(max_size=400), st.booleans())
def test_whatever_comes_is_read_or_refused(data: bytes, header: bool) -> None:
    try:
        log = read_strong(COMMA.encode() + data if header else data, unit=Unit.KG, timezone="UTC")
    except ForeignFileError:
        return
    assert log.sets == sum(len(e.sets) for s in log.sessions for e in s.body.exercises)


def test_long_cells_are_no_work_and_are_quoted_in_part() -> None:
    """A pattern that looks at each of their characters from each other one would take minutes."""
    spaces = 130_000 * " "
    header = f"{COMMA.rstrip()},x{spaces}y(\n"
    (error,) = read(header + f'2021-02-10 16:46:13,"Legs","1h{spaces}x","Squat",1,50,5,0,0,"","",,\n').errors
    assert (error.column, error.message) == ("Duration", f"{'1h' + 58 * ' ' + '…'!r} is no duration like 1h 30m")
