"""A user's log written as Strong and Hevy write theirs, so that it can be read there, and here again.

Neither format has a place for all that a training may hold. What is lost: ids, `source_id`, the zone and what is finer
than a second (Hevy: than a minute); `session_rpe`, `bodyweight_kg`, group and workout; trainings in which nothing was
done; slugs of movements, `side`, `tempo`, targets and videos of sets, sets that are not `done`, and an RPE, a distance
or a length of 0. Strong knows no superset, and takes two exercises of one name that follow each other for one; Hevy
knows no rest. Both take trainings of one title that begin at once for one. A weight in the other unit is converted, to
4 digits after the point. A text that a spreadsheet would run gets an apostrophe before it; white space around texts
goes.
"""

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from models.sets import SetType, Unit

POUND_KG = Decimal("0.45359237")
_METRES = {Unit.KG: Decimal(1000), Unit.LB: Decimal("1609.344")}  # of the long unit that goes with it
_FORMULA = ("=", "+", "-", "@")
_STRONG_TYPES = {SetType.WARMUP: "W", SetType.DROP: "D", SetType.FAILURE: "F"}
_HEVY_TYPES = {
    SetType.WORKING: "normal",
    SetType.WARMUP: "warmup",
    SetType.DROP: "dropset",
    SetType.FAILURE: "failure",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Row = list[object]


class App(StrEnum):
    """Whose form a log is written in."""

    STRONG = "strong"
    HEVY = "hevy"


def head(app: App, unit: Unit) -> bytes:
    """The line of titles."""
    return _csv([list(_TITLES[app](unit))])


def session(app: App, document: bytes, unit: Unit) -> bytes:
    """The lines of one training, of a `TrainingDocument` as JSON; none where nothing of it can be written."""
    return _csv(_ROWS[app](orjson.loads(document), unit))


def _strong_titles(_: Unit) -> tuple[str, ...]:
    return (
        "Date",
        "Workout Name",
        "Duration",
        "Exercise Name",
        "Set Order",
        "Weight",
        "Reps",
        "Distance",
        "Seconds",
        "Notes",
        "Workout Notes",
        "RPE",
    )


def _strong_rows(training: Mapping[str, Any], unit: Unit) -> Iterator[Row]:
    start = f"{_local(training):%Y-%m-%d %H:%M:%S}", _text(training.get("title")), _length(training)
    said = _text(training.get("notes"))  # once, on the first line
    for exercise in training["exercises"]:
        name, notes = _text(exercise["name"]), _text(exercise.get("notes"))
        done = [set_ for set_ in exercise["sets"] if set_["done"]]
        if not done and notes:
            yield [*start, name, "Note", 0, 0, 0, 0, notes, said, ""]
            said = ""
        for place, set_ in enumerate(done, 1):
            yield [
                *start,
                name,
                _STRONG_TYPES.get(set_["type"], place),
                _plain(_weight(set_, unit)),
                set_["reps"],
                _plain(_distance(set_, unit)),
                _plain(Decimal(str(set_.get("duration_seconds", 0)))),
                notes,
                said,
                set_.get("rpe") or "",
            ]
            notes = said = ""
            if set_.get("rest_seconds"):
                yield [*start, name, "Rest Timer", 0, 0, 0, set_["rest_seconds"], "", "", ""]


def _hevy_titles(unit: Unit) -> tuple[str, ...]:
    weight, distance = ("weight_lbs", "distance_miles") if unit is Unit.LB else ("weight_kg", "distance_km")
    return (
        "title",
        "start_time",
        "end_time",
        "description",
        "exercise_title",
        "superset_id",
        "exercise_notes",
        "set_index",
        "set_type",
        weight,
        "reps",
        distance,
        "duration_seconds",
        "rpe",
    )


def _hevy_rows(training: Mapping[str, Any], unit: Unit) -> Iterator[Row]:
    start = _local(training)
    seconds = training.get("duration_seconds")
    end = "" if seconds is None else _minute(_local(training, seconds))
    beginning = _text(training.get("title")), _minute(start), end, _text(training.get("notes"))
    for exercise in training["exercises"]:
        of_it = _text(exercise["name"]), exercise.get("superset", ""), _text(exercise.get("notes"))
        for index, set_ in enumerate(set_ for set_ in exercise["sets"] if set_["done"]):
            yield [
                *beginning,
                *of_it,
                index,
                _HEVY_TYPES[set_["type"]],
                _plain(_weight(set_, unit)) if set_["weight"] else "",
                set_["reps"] or "",
                _plain(_distance(set_, unit)) if set_.get("distance_m") else "",
                _plain(Decimal(str(set_["duration_seconds"]))) if set_.get("duration_seconds") else "",
                set_.get("rpe", ""),
            ]


_TITLES: Mapping[App, Callable[[Unit], tuple[str, ...]]] = {App.STRONG: _strong_titles, App.HEVY: _hevy_titles}
_ROWS: Mapping[App, Callable[[Mapping[str, Any], Unit], Iterator[Row]]] = {
    App.STRONG: _strong_rows,
    App.HEVY: _hevy_rows,
}


def _csv(rows: Iterator[Row] | list[Row]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _text(value: str | None) -> str:
    text = (value or "").strip()
    return f"'{text}" if text.startswith(_FORMULA) else text


def _local(training: Mapping[str, Any], later: int = 0) -> dt.datetime:
    """When it took place, or `later` seconds after that, by the athlete's clock."""
    return (dt.datetime.fromisoformat(training["date"]) + dt.timedelta(seconds=later)).astimezone(
        ZoneInfo(training["timezone"])
    )


def _minute(moment: dt.datetime) -> str:
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M}"


def _length(training: Mapping[str, Any]) -> str:
    """`2h 18m`, as Strong writes it; seconds too, where there are."""
    if "duration_seconds" not in training:
        return ""
    minutes, seconds = divmod(training["duration_seconds"], 60)
    parts = zip((minutes // 60, minutes % 60, seconds), "hms", strict=True)
    return " ".join(f"{count}{letter}" for count, letter in parts if count) or "0s"


def _weight(set_: Mapping[str, Any], unit: Unit) -> Decimal:
    weight = Decimal(str(set_["weight"]))
    if set_["unit"] == unit:
        return weight
    return round(weight * POUND_KG if unit is Unit.KG else weight / POUND_KG, 4)


def _distance(set_: Mapping[str, Any], unit: Unit) -> Decimal:
    """In kilometres or miles: with digits enough that metres come back as they were."""
    return round(Decimal(str(set_.get("distance_m", 0))) / _METRES[unit], 10)


def _plain(value: Decimal) -> str:
    """Without an exponent and without zeros at its end."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
