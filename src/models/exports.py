"""Bulk exports of the derived tables: which there are, with their columns, and the forms that rows are written in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


MEDIA: Mapping[Format, str] = {
    Format.CSV: "text/csv; charset=utf-8; header=present",
    Format.NDJSON: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
}


class Kind(StrEnum):
    """What a column holds, which decides how each format writes it."""

    CODE = "code"
    """Text of an alphabet of ours, which nobody need quote: ids, weeks, zones."""
    TEXT = "text"
    JSON = "json"
    DAY = "day"
    MOMENT = "moment"
    WHOLE = "whole"
    EXACT = "exact"
    """`numeric`, of at most 12 digits after the point."""
    REAL = "real"
    """A double."""


CHANGE = "change"
"""The column, before all others, by which an export of changes tells a unit that is replaced from its rows."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view of schema `analytics`, as it is exported.

    `key` are the columns by which rows are told apart; the first `unit` of them name what is replaced as a whole when
    something in it has changed. `day` is the column that a range of days is about.
    """

    key: tuple[str, ...]
    unit: int
    day: str
    columns: Mapping[str, Kind]

    @property
    def units(self) -> tuple[str, ...]:
        """The columns that name what is replaced as a whole."""
        return self.key[: self.unit]


_USER = {"user_id": Kind.CODE}
_TRAINING = {"user_id": Kind.CODE, "training_id": Kind.CODE}
_VOLUME = {
    "sets": Kind.WHOLE,
    "reps": Kind.WHOLE,
    "hard_sets": Kind.WHOLE,
    "external_load_kg": Kind.EXACT,
    "system_load_kg": Kind.EXACT,
    "system_load_sets": Kind.WHOLE,
    "hold_seconds": Kind.EXACT,
    "time_under_tension_seconds": Kind.EXACT,
}
_WORK = {"skill_work": Kind.EXACT, "strength_work": Kind.EXACT}
_SOURCE = {"source_seq": Kind.WHOLE, "updated_at": Kind.MOMENT}
_SUMS = {
    "sessions": Kind.WHOLE,
    **_VOLUME,
    "duration_seconds": Kind.WHOLE,
    "session_rpe_load": Kind.EXACT,
    **_SOURCE,
    **_WORK,
}
_WEEK = {"week": Kind.CODE, "monday": Kind.DAY}
_MOVEMENT = {"name": Kind.TEXT, "exercise": Kind.CODE, "own_exercise": Kind.CODE}
_BEST = {
    "e1rm_kg": Kind.EXACT,
    "e1rm_weight_kg": Kind.EXACT,
    "e1rm_reps": Kind.WHOLE,
    "longest_hold_seconds": Kind.EXACT,
}

TABLES: Mapping[str, Table] = {
    "session_volume": Table(
        ("user_id", "training_id"),
        2,
        "day",
        {
            **_TRAINING,
            "version": Kind.WHOLE,
            "day": Kind.DAY,
            "date": Kind.MOMENT,
            "timezone": Kind.CODE,
            **_VOLUME,
            "duration_seconds": Kind.WHOLE,
            "session_rpe": Kind.EXACT,
            "session_rpe_load": Kind.EXACT,
            **_SOURCE,
            **_WORK,
            "estimated_intensity": Kind.EXACT,
            "density": Kind.EXACT,
            "relative_intensity": Kind.EXACT,
        },
    ),
    "exercise_volume": Table(
        ("user_id", "training_id", "position"),
        2,
        "day",
        {
            **_TRAINING,
            "position": Kind.WHOLE,
            "day": Kind.DAY,
            **_MOVEMENT,
            "exercise_revision": Kind.WHOLE,
            "category": Kind.TEXT,
            "family": Kind.TEXT,
            "difficulty": Kind.WHOLE,
            **_VOLUME,
            "max_weight_kg": Kind.EXACT,
            "work": Kind.EXACT,
            **_BEST,
            "rep_maxima": Kind.JSON,
            "relative_intensity": Kind.EXACT,
            "logged_exercise": Kind.CODE,
            **_SOURCE,
        },
    ),
    "daily_volume": Table(("user_id", "day"), 1, "day", {**_USER, "day": Kind.DAY, **_SUMS}),
    "weekly_volume": Table(("user_id", "monday"), 1, "monday", {**_USER, **_WEEK, **_SUMS}),
    "monthly_volume": Table(
        ("user_id", "first_day"), 1, "first_day", {**_USER, "month": Kind.CODE, "first_day": Kind.DAY, **_SUMS}
    ),
    "weekly_category_volume": Table(
        ("user_id", "monday", "category"),
        1,
        "monday",
        {
            **_USER,
            **_WEEK,
            "category": Kind.TEXT,
            "sets": Kind.WHOLE,
            "reps": Kind.WHOLE,
            "work": Kind.EXACT,
            "external_load_kg": Kind.EXACT,
            "system_load_kg": Kind.EXACT,
        },
    ),
    "weekly_muscle_sets": Table(
        ("user_id", "monday", "muscle"),
        1,
        "monday",
        {**_USER, **_WEEK, "muscle": Kind.TEXT, "sets": Kind.EXACT},
    ),
    "exercise_progress": Table(
        ("user_id", "movement", "day"),
        1,
        "day",
        {
            **_USER,
            "movement": Kind.TEXT,
            "day": Kind.DAY,
            **_MOVEMENT,
            **_BEST,
            "sets": Kind.WHOLE,
            "reps": Kind.WHOLE,
            "hard_sets": Kind.WHOLE,
            "external_load_kg": Kind.EXACT,
            "system_load_kg": Kind.EXACT,
            "system_load_sets": Kind.WHOLE,
            "work": Kind.EXACT,
            "max_weight_kg": Kind.EXACT,
        },
    ),
    "daily_load": Table(
        ("user_id", "measure", "day"),
        1,
        "day",
        {
            **_USER,
            "measure": Kind.CODE,
            "day": Kind.DAY,
            "load": Kind.REAL,
            "acute": Kind.REAL,
            "chronic": Kind.REAL,
            "acwr": Kind.REAL,
            "acwr_uncoupled": Kind.REAL,
            "ewma_acute": Kind.REAL,
            "ewma_chronic": Kind.REAL,
            "acwr_ewma": Kind.REAL,
            "monotony": Kind.REAL,
            "strain": Kind.REAL,
            "week_change": Kind.REAL,
            "band": Kind.CODE,
            "observed_days_28": Kind.WHOLE,
            **_SOURCE,
        },
    ),
    "personal_records": Table(
        ("user_id", "movement", "kind", "at_weight_kg", "training_id"),
        1,
        "day",
        {
            **_USER,
            "movement": Kind.TEXT,
            "kind": Kind.CODE,
            "at_weight_kg": Kind.EXACT,
            "training_id": Kind.CODE,
            "day": Kind.DAY,
            "date": Kind.MOMENT,
            **_MOVEMENT,
            "value": Kind.EXACT,
            "previous": Kind.EXACT,
            "superseded_on": Kind.DAY,
            **_SOURCE,
        },
    ),
}
"""Every table that is exported: a fixed list, with all columns that analysts see there."""


def csv_head(columns: Sequence[str]) -> bytes:
    """The first line of a CSV file (RFC 4180)."""
    return (",".join(columns) + "\r\n").encode()


def joined(rows: Sequence[str], end: str) -> bytes:
    """Rows, each ended by `end`."""
    return (end.join(rows) + end).encode() if rows else b""
