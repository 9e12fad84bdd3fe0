"""The field types that several documents share, and how numbers and moments are written in JSON."""

import re
import zoneinfo
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)", re.ASCII)
NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no NUL in text
SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
TAG = r"^[a-z0-9]+(_[a-z0-9]+)*$"
TEMPO = r"^([0-9]{1,3}|X)(-([0-9]{1,3}|X)){3}$"
TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
# What people are told who sent something else.
PATTERNS = {
    NO_NUL: "must not contain the character U+0000",
    SLUG: "must be lower-case letters and digits, with single hyphens between them, like pistol-squat",
    TAG: "must be lower-case letters and digits, with single underscores between them, like lower_back",
    TEMPO: "must be four numbers of seconds, or X, with hyphens between them, like 3-0-1-0",
    TIME_OF_DAY: "must be a time of day from 00:00 to 23:59, like 18:30",
}


def number(value: float) -> float:
    """A quantity as the JSON number that people write: 100 rather than 100.0, and 102.5."""
    return int(value) if value.is_integer() else value


def wrong(*faults: tuple[str | tuple[str | int, ...], str]) -> ValidationError:
    """What a validator of a whole document raises: each place of it that is to be changed, and what must be there.

    A place is a member's name as in JSON, or the way to it through arrays and objects.
    """
    return ValidationError.from_exception_data(
        "wrong",
        [
            InitErrorDetails(
                type=PydanticCustomError("wrong", "{message}", {"message": message}),
                loc=(place,) if isinstance(place, str) else place,
                input=None,
            )
            for place, message in faults
        ],
    )


def either(document: BaseModel, first: str, second: str) -> None:
    """Raises `wrong` where not exactly one of the two members is given."""
    given = getattr(document, first) is not None, getattr(document, second) is not None
    if given == (False, False):
        raise wrong((first, f"must be given, or else `{second}`"))
    if given == (True, True):
        raise wrong((second, f"must not be given beside `{first}`"))


def both(document: BaseModel, first: str, second: str) -> None:
    """Raises `wrong` where one of the two members is given without the other."""
    for name, other in ((first, second), (second, first)):
        if getattr(document, name) is None and getattr(document, other) is not None:
            raise wrong((name, f"must be given beside `{other}`"))


def moment(value: datetime) -> str:
    """A moment as RFC 3339 in UTC, with as many digits as it has: ``2026-01-05T12:00:00Z``."""
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"


@cache
def _zones() -> frozenset[str]:
    # Of the machine, not of the database: another day on another worker.
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError("is no time zone of the IANA database")
    return value


def _dated(message: str) -> BeforeValidator:
    def check(value: object) -> object:
        # Pydantic would also read a number, in a string too, as seconds since 1970.
        if isinstance(value, date) or (isinstance(value, str) and _DATE.match(value)):
            return value
        raise ValueError(message)

    return BeforeValidator(check)


def _in_range(value: datetime) -> datetime:
    """The moment in UTC: PostgreSQL takes no offset of 16 hours or more, which RFC 3339 admits."""
    if not 1900 < value.year < 2199:  # the years at the edges may be others in UTC
        raise ValueError("must lie between the years 1901 and 2198")
    return value.astimezone(UTC)


def _day_in_range(value: date) -> date:
    if not 1900 < value.year < 2199:
        raise ValueError("must lie between the years 1901 and 2198")
    return value


def _not_before_first(value: date, info: ValidationInfo) -> date:
    first = info.data.get("first")
    if first is not None and value < first:
        raise ValueError("must not lie before `from`")
    return value


def _flag(value: object) -> bool:
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


def _four_places(value: float) -> float:
    # Within the bounds below a double holds these digits exactly as they were entered.
    if round(value, 4) != value:
        raise ValueError("must have at most 4 digits after the point")
    return value


_PLACES = (AfterValidator(_four_places), PlainSerializer(number, return_type=float, when_used="json"))

Weight = Annotated[float, Field(ge=-2_000, le=10_000, allow_inf_nan=False), *_PLACES]
Seconds = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False), *_PLACES]
PositiveSeconds = Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False), *_PLACES]
Metres = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False), *_PLACES]
Kilograms = Annotated[float, Field(ge=1, le=1_000, allow_inf_nan=False), *_PLACES]
Fraction = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False), *_PLACES]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), *_PLACES]
Proportion = Annotated[float, Field(ge=0, le=1)]  # that the service computed; a share is what clients say
Quantity = Annotated[float, Field(ge=-2_000, le=10_000_000, allow_inf_nan=False), *_PLACES]
Exertion = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False), *_PLACES]
Step = Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False), *_PLACES]
Percent = Annotated[float, Field(gt=0, le=90, allow_inf_nan=False), *_PLACES]
PercentOfStep = Annotated[float, Field(gt=0, le=50, allow_inf_nan=False), *_PLACES]
HoursOfDay = Annotated[float, Field(ge=0, le=24, allow_inf_nan=False), *_PLACES]
BeatsPerMinute = Annotated[float, Field(ge=20, le=250, allow_inf_nan=False), *_PLACES]
Milliseconds = Annotated[float, Field(ge=1, le=1_000, allow_inf_nan=False), *_PLACES]
Text = Annotated[str, StringConstraints(max_length=10_000, pattern=NO_NUL)]
Title = Annotated[str, StringConstraints(max_length=300, pattern=NO_NUL)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL, strip_whitespace=True)]
SourceId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL)]
Slug = Annotated[str, StringConstraints(max_length=100, pattern=SLUG)]
Tempo = Annotated[str, StringConstraints(max_length=20, pattern=TEMPO)]
TimeOfDay = Annotated[str, StringConstraints(pattern=TIME_OF_DAY)]
TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)]
# Not strict: behind a BeforeValidator pydantic no longer knows that the text came from JSON.
Day = Annotated[date, Field(strict=False), _dated("must be a date, like 2026-01-05")]
Flag = Annotated[bool, BeforeValidator(_flag)]  # of a query, where all is text
# A day from which one may count days and weeks back and forth: one that a moment may have.
CountedDay = Annotated[Day, AfterValidator(_day_in_range)]
# The last day of a range, whose first one is the field `first` before it.
LastDay = Annotated[Day, AfterValidator(_not_before_first)]
Moment = Annotated[
    AwareDatetime,
    Field(strict=False),
    _dated("must be a moment by RFC 3339, like 2026-01-05T12:00:00Z"),
    AfterValidator(_in_range),
    PlainSerializer(moment, return_type=str, when_used="json"),
]
