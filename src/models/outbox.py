"""The log as the relay sees it: rows, batches of them, and the lease under which they are published."""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple, TypedDict


class LeaseLost(Exception):
    """Another relay holds the lease now, or may: whoever held it publishes nothing more."""


class LogRow(NamedTuple):
    """One event of the log: its place, and the text that its record is made of. The record names `published_seq`
    instead of `seq` where there is one."""

    seq: int
    topic: str
    user_id: str
    aggregate_id: str
    version: str
    event_id: str
    event_type: str
    created_at: str
    request_id: str | None
    payload: str
    published_seq: int | None = None
    traceparent: str | None = None


class Batch(NamedTuple):
    """Rows of the log in order of `seq`. `more`: as many were found as fit into a batch, others may follow."""

    rows: list[LogRow]
    more: bool


class TopicMark(TypedDict):
    """What is remembered of a topic: how often it was made, and the last acknowledged offset of each partition."""

    generation: int
    offsets: dict[str, int]


class Found(NamedTuple):
    """Events that stand on a topic, in order of their offsets, as rows of the log; `seq` is what the log had for them.

    `offsets` is the last offset of each partition that was looked at; `foreign` counts the records that are none of
    this service's events. `more`: as many were read as one look may take.
    """

    rows: list[LogRow]
    offsets: dict[str, int]
    foreign: int
    more: bool


class Adopted(NamedTuple):
    """What came of events that stand on a topic: how many of them were not in the log and were taken back into it, how
    many later rows got another version for it, and how many contradict the log and were left alone. `generation` is the
    topic's from now on: another one where events were taken back; None where nothing was looked at."""

    events: int
    renumbered: int
    strange: int
    generation: int | None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to publish, with the place in the log where its holder stands.

    The window is what the snapshot `hi` sees and `lo` does not; `top_seq` is the largest seq that `lo` sees, `last_seq`
    the largest that was met in the window since. `recovered_seq` is None but after a move to another cluster.
    """

    fence: int
    epoch: int
    lo: str
    hi: str
    top_seq: int
    last_seq: int
    done_seq: int
    floor_seq: int
    recovered_seq: int | None


@dataclass(frozen=True, slots=True)
class Acquired:
    """A lease just taken. `moved` says that the database lives in another cluster or timeline than before; `strange`
    that the transaction ids of its log mean nothing in this one."""

    lease: Lease
    topics: dict[str, TopicMark]
    held: dict[tuple[str, str], int]  # user id, aggregate id -> seq of its refused event
    moved: bool
    strange: bool


class Held(NamedTuple):
    """An event that the broker refused for good; later events of its aggregate wait behind it."""

    seq: int
    user_id: str
    aggregate_id: str
    version: int
    state: str  # held, retry, skip; published or skipped in the end
    error: str
    since: dt.datetime
    topic: str


class OutboxStatus(NamedTuple):
    """How far the relay is behind the log. `lag` is the age in seconds of the oldest event that waits, 0 where none
    does; `owner` is empty where nobody holds the lease; `generations` counts how often each topic was made."""

    depth: int
    lag: float
    owner: str
    lease_left: float  # seconds; negative: nobody renewed it
    epoch: int
    recovering: bool
    quarantined: int
    generations: dict[str, int]
