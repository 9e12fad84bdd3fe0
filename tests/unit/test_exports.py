"""The forms of exports, without a database."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal

from pyarrow import parquet

from models.exports import Kind
from models.parquet import ROW_GROUP, ParquetFile


def test_a_line_of_csv_is_a_row_of_parquet() -> None:
    columns = {
        "id": Kind.CODE,
        "name": Kind.TEXT,
        "kg": Kind.EXACT,
        "reps": Kind.WHOLE,
        "load": Kind.REAL,
        "day": Kind.DAY,
        "at": Kind.MOMENT,
    }
    file = ParquetFile(columns)
    data = file.add(
        [
            'a,"say ""a,\r\nb""",-20.000000000001,3,0.1,2026-01-05,2026-01-05T12:00:00.1234Z',
            'b,"",12345678901234567890123456.5,,,,2026-01-05T12:00:00Z',
            "c,,,,,,",
        ]
    )
    assert data.startswith(b"PAR1")
    read = parquet.read_table(io.BytesIO(data + file.end())).to_pylist()
    moment = datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert [tuple(row.values()) for row in read] == [
        (
            "a",
            'say "a,\r\nb"',
            Decimal("-20.000000000001"),
            3,
            0.1,
            date(2026, 1, 5),
            moment.replace(microsecond=123400),
        ),
        ("b", "", Decimal("12345678901234567890123456.5"), None, None, None, moment),
        ("c", None, None, None, None, None, None),
    ]


def test_rows_leave_by_groups() -> None:
    file = ParquetFile({"n": Kind.WHOLE})
    sizes = [len(file.add([str(n) for n in range(ROW_GROUP // 2)])) for _ in range(5)]
    assert [size > 4 for size in sizes] == [False, True, False, True, False]
    assert len(file.end()) > 4
