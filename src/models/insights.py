"""What follows from several days of a user: what it is computed from, and what comes of it."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from models.load import Band, LoadDay, Measure
from models.records import Performance, Record


class Accepted(NamedTuple):
    """The event that a row comes from: its place in the log, where the record told it, and when it was accepted."""

    source_seq: int | None
    at: dt.datetime


class DayLoads(NamedTuple):
    """The loads of a local day with a completed training, by measure, as far as they are known."""

    day: dt.date
    latest: Accepted
    loads: Mapping[Measure, float]


class LoadState(NamedTuple):
    """What the load of the days after `day` depends on, beside the loads of the days before them."""

    day: dt.date
    ewma_acute: float
    ewma_chronic: float
    latest: Accepted


@dataclass(frozen=True, slots=True)
class History:
    """One user's days from `begin` on, and what is needed of those before it.

    `first` and `last` are the first and the last day with a completed training, `measures` those with a load above 0 on
    any day; None and nothing where no training is left. `before` has, of a measure whose load is stored, the last
    stored day before `begin`. `days` begin 27 days earlier than what is to be computed. `in_force` are the records of
    days before `begin` that stood then; `performances` those from `begin` on. `accepted` tells of their trainings.
    """

    user_id: UUID
    begin: dt.date
    first: dt.date | None
    last: dt.date | None
    timezone: str
    measures: Collection[Measure]
    before: Mapping[Measure, LoadState]
    days: Sequence[DayLoads]
    performances: Sequence[Performance]
    in_force: Sequence[Record]
    accepted: Mapping[UUID, Accepted]


@dataclass(frozen=True, slots=True)
class Stale:
    """A user whose days have changed: the mark that says so, made at the moment `since` and read at `now`.

    `trainings` are those with a new version since they were last looked at. `judged` is the measure by which the user's
    load is judged; None where there is no load.
    """

    history: History
    touched: str
    trainings: frozenset[UUID]
    since: dt.datetime
    now: dt.datetime
    judged: Measure | None


class LoadSeries(NamedTuple):
    """Rows of load of one measure: calendar days without a gap, and the latest event that each comes from."""

    measure: Measure
    days: Sequence[LoadDay]
    latest: Sequence[Accepted]


class DatedRecord(NamedTuple):
    """A row of records."""

    record: Record
    accepted: Accepted


@dataclass(frozen=True, slots=True)
class Insights:
    """What a user's history gives: all rows of load from the first that may differ on, and the records of days from
    `begin` on with those of earlier days that are superseded otherwise.

    `kept` are the measures that have rows, on the days `first` to `last`.
    """

    load: Sequence[LoadSeries]
    records: Sequence[DatedRecord]
    kept: Collection[Measure]
    first: dt.date
    last: dt.date


class SaidRecord(NamedTuple):
    """A record to announce, unless the log has told of it: of the aggregate `id`, by the event `event_id`.

    `payload` are the members of the event's payload behind user and version, as JSON's text without braces.
    """

    event_id: UUID
    id: UUID
    value: Decimal
    payload: str


class SaidBand(NamedTuple):
    """A band to announce where it is another than the one that is stored, by the same measure; as `SaidRecord`.

    By another measure it is stored in silence: what changed is the yardstick, and not the load.
    """

    event_id: UUID
    id: UUID
    day: dt.date
    band: Band | None
    measure: Measure | None
    next_at: dt.datetime | None
    payload: str


@dataclass(frozen=True, slots=True)
class Computed:
    """What is to be stored for a stale user."""

    stale: Stale
    insights: Insights
    records: Sequence[SaidRecord] = ()
    band: SaidBand | None = None
