"""Check-ins: what an athlete says of a local day, once a day: how it was slept, what is felt, what was measured.

The four items `sleep`, `fatigue`, `stress` and `soreness` are those of Hooper and Mackinnon (1995), each from 1 (very,
very good or low) to 7 (very, very bad or high). They are kept as they were said, with their scale; their sum, and all
else that follows from them, is computed when it is read (`analytics.readiness`).
"""

import datetime as dt
from typing import Annotated, Any, Literal, Self
from uuid import UUID, uuid5

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.fields import BeatsPerMinute, Day, HoursOfDay, Kilograms, LastDay, Milliseconds, Text
from models.sets import Document, known, optional_number

EARLIEST = dt.date(1901, 1, 1)
AHEAD = dt.timedelta(1)  # that a check-in's day may lie after the day in UTC: there, it is tomorrow somewhere

Item = Annotated[int, Field(ge=1, le=7)]
Scale = Literal["hooper-7"]

_MEASURES = ("bodyweight_kg", "sleep_hours", "resting_heart_rate", "hrv_rmssd_ms")
_VALUES = ("sleep", "fatigue", "stress", "soreness", *_MEASURES)


class CheckInBody(Document):
    """Body of PUT /users/{userId}/check-ins/{day}: the whole check-in anew, with one value or more.

    What GET answered may be sent back, changed: the fields that only the service sets are passed over.
    """

    scale: Scale = "hooper-7"
    """Of the four items: 1 to 7, lower is better."""
    sleep: Item | None = None
    """How it was slept: 1 is very, very good, 7 very, very bad."""
    fatigue: Item | None = None
    """1 is very, very low, 7 very, very high."""
    stress: Item | None = None
    """1 is very, very low, 7 very, very high."""
    soreness: Item | None = None
    """Of the muscles: 1 is very, very low, 7 very, very high."""
    bodyweight_kg: Kilograms | None = None
    """Body mass, best in the morning."""
    sleep_hours: HoursOfDay | None = None
    """Hours slept in the night before."""
    resting_heart_rate: BeatsPerMinute | None = None
    """Beats a minute at rest."""
    hrv_rmssd_ms: Milliseconds | None = None
    """Heart rate variability at rest: rMSSD in milliseconds."""
    notes: Text | None = None
    id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    user_id: UUID | None = Field(default=None, json_schema_extra={"readOnly": True})
    version: int | None = Field(default=None, json_schema_extra={"readOnly": True})
    day: dt.date | None = Field(default=None, json_schema_extra={"readOnly": True})
    created_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})
    updated_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in _VALUES):
            raise ValueError(f"must have one of {', '.join(_VALUES)}")
        return self

    def content(self, day: dt.date) -> str:
        """What is said of the day, as it is stored and published: a JSON object, a `CheckIn`."""
        said: dict[str, Any] = {"day": day, "scale": self.scale}
        said |= {name: getattr(self, name) for name in ("sleep", "fatigue", "stress", "soreness")}
        said |= {name: optional_number(getattr(self, name)) for name in _MEASURES}
        return orjson.dumps(known(said | {"notes": self.notes})).decode()


class CheckIn(BaseModel):
    """What was said of a local day, as it is stored and published. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    day: dt.date
    """The athlete's local day."""
    scale: Scale
    """Of the four items: 1 to 7, lower is better."""
    sleep: int | None = None
    fatigue: int | None = None
    stress: int | None = None
    soreness: int | None = None
    bodyweight_kg: float | None = None
    sleep_hours: float | None = None
    resting_heart_rate: float | None = None
    """Beats a minute."""
    hrv_rmssd_ms: float | None = None
    notes: str | None = None


class CheckInDocument(CheckIn):
    """A check-in as its athlete reads it. Absent fields are unknown."""

    id: UUID
    """Follows from the user and the day."""
    user_id: UUID
    version: int
    """Counts its changes from 1; also its ETag."""
    created_at: dt.datetime
    updated_at: dt.datetime


class CheckInPage(BaseModel):
    """One page of an athlete's check-ins, the latest day first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[CheckInDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class CheckInQuery(BaseModel):
    """Query parameters of the list of check-ins."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, inclusive."""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """Most check-ins on one page."""
    cursor: Day | None = None
    """`next_cursor` of the page before: the last day on it."""


def check_in_id(user_id: UUID, day: dt.date) -> UUID:
    """The id of the user's check-in of the day: there is one a day, and whoever sends it names it alike."""
    return uuid5(user_id, f"check-in:{day.isoformat()}")
