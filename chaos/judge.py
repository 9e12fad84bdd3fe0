"""The judge: I1 to I12, by what clients were told, what stands in the servers, and what the runner measured.

Every rule is a pure function over plain data; `judge` reads and applies them all. It must be asked at rest: when nobody
writes, all is relayed and folded.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from analytics.volume import Fractions, daily_volumes
from analytics.volume import fold as fold_event
from chaos.evidence import Evidence, Logged, Rows, Seen, gather
from chaos.history import Call, Facts, History
from commands.analytics import shown
from models.events import TrainingEvent
from models.metrics import FoldedTraining
from storage.volume_statements import KEYS
from tests.support.topic import Record

INVARIANTS = {
    "I1": "no lost event: every committed change has at least one record",
    "I2": "no phantom: every record is of a committed row of the log",
    "I3": "order: per training the first occurrences have versions 1, 2, 3 …",
    "I4": "copies of an event are equal to the byte, one batch a crash at most",
    "I5": "after a fault heals, lag returns to 0 within 10 s",
    "I6": "the derived tables are the fold of the events, row by row",
    "I7": "the derived tables are what the tables of record say",
    "I8": "one Idempotency-Key, one training, one event",
    "I9": "no lost update under If-Match",
    "I10": "memory, connections and what waits in the outbox are bounded",
    "I11": "never a 2xx for an uncommitted write, nor a write behind a 4xx",
    "I12": "SIGTERM drains and exits 0 within 10 s",
}
LONGEST_RECOVERY = 10.0  # seconds
LONGEST_STOP = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Violation:
    """Which promise is broken, and by what."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `events` are different ones in the topic, `duplicates` the copies beyond each one's first."""

    violations: tuple[Violation, ...]
    events: int
    duplicates: int
    calls: int = 0

    @property
    def broken(self) -> frozenset[str]:
        """The invariants that do not hold."""
        return frozenset(violation.invariant for violation in self.violations)


async def judge(history: History, owner_url: str, bootstrap: str, topic: str, facts: Facts) -> Verdict:
    """Read the servers and judge all twelve. `owner_url` is the schema owner's."""
    return decide(await gather(owner_url, bootstrap, topic), history, facts)


def decide(evidence: Evidence, history: History, facts: Facts) -> Verdict:
    """Judge all twelve."""
    calls = [call for call in history if not _undone(call, facts)]
    tail: set[str | None] = {call.request_id for call in history if _undone(call, facts)}
    topic = Topic.of(evidence.records)
    known = [seen for seen in topic.seen if seen.event_id in evidence.log or seen.request_id not in tail]
    violations = [
        *lost(evidence.log, topic, evidence.skipped),
        *phantoms(evidence.log, topic, tail, facts.poison),
        *disorder(topic, [evidence.log[event] for event in evidence.skipped if event in evidence.log]),
        *differing_copies(evidence.log, topic),
        *too_many_copies(topic, facts),
        *slow_recoveries(facts),
        *unlike_the_events(known, evidence.fractions, evidence.tables),
        *unlike_the_record(evidence),
        *keys_used_twice(calls, evidence.log),
        *lost_updates(calls, evidence.log),
        *unbounded(facts),
        *broken_answers(calls, history, evidence.log, evidence.trainings),
        *bad_stops(facts),
    ]
    return Verdict(tuple(violations), len(topic.copies), topic.duplicates, len(history))


def compare(log: Mapping[str, Logged], records: Sequence[Record]) -> Verdict:
    """Judge I1 to I4 where nothing but log and topic is known; how many copies there are is the caller's to judge."""
    topic = Topic.of(records)
    violations = [*lost(log, topic), *phantoms(log, topic), *disorder(topic), *differing_copies(log, topic)]
    return Verdict(tuple(violations), len(topic.copies), topic.duplicates)


@dataclass(frozen=True, slots=True)
class Topic:
    """The topic's records, by their place. Copies that a replay was asked for count as no copies."""

    seen: Sequence[Seen]
    copies: Mapping[str, Sequence[Seen]]
    replayed: Sequence[Seen]
    foreign: Sequence[Record]
    """Records that are no events."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Topic":
        """Sort the records out."""
        seen: list[Seen] = []
        foreign: list[Record] = []
        for record in records:
            event = Seen.of(record)
            if event is None:
                foreign.append(record)
            else:
                seen.append(event)
        copies: dict[str, list[Seen]] = defaultdict(list)
        for event in seen:
            if not event.replayed:
                copies[event.event_id].append(event)
        return cls(seen, copies, [event for event in seen if event.replayed], foreign)

    @property
    def duplicates(self) -> int:
        """Copies beyond each event's first."""
        return sum(len(found) - 1 for found in self.copies.values())


# Log and topic


def lost(log: Mapping[str, Logged], topic: Topic, skipped: frozenset[str] = frozenset()) -> Iterator[Violation]:
    """I1. `skipped` are events that the broker refused and that somebody gave up."""
    for event_id in log.keys() - topic.copies.keys() - skipped:
        event = log[event_id]
        yield Violation("I1", f"lost: event {event_id}, version {event.version} of training {event.training_id}")


def phantoms(
    log: Mapping[str, Logged], topic: Topic, tail: Collection[str | None] = (), poison: int = 0
) -> Iterator[Violation]:
    """I2. `tail` are the requests whose rows the database lost when it went back in time."""
    for event in topic.seen:
        if event.event_id not in log and event.request_id not in tail:
            yield Violation("I2", f"phantom: event {event.event_id} at {_place(event.record)}")
    if len(topic.foreign) > poison:
        yield Violation("I2", f"phantom: {len(topic.foreign)} records are no events, {poison} were put there")


def disorder(topic: Topic, skipped: Iterable[Logged] = ()) -> Iterator[Violation]:
    """I3, where a version that was given up leaves a gap."""
    gaps = {(event.training_id, event.version) for event in skipped}
    versions: dict[str, list[int]] = defaultdict(list)
    for found in topic.copies.values():
        versions[found[0].training_id].append(found[0].version)
    for training, seen in versions.items():
        wanted = (version for version in count(1) if (training, version) not in gaps)
        if any(version != next(wanted) for version in seen):
            yield Violation("I3", f"order: training {training} has versions {seen}")


def differing_copies(log: Mapping[str, Logged], topic: Topic) -> Iterator[Violation]:
    """I4: to the byte, and as the log has it; of a replay but for its header."""
    for event in (*(event for found in topic.copies.values() for event in found), *topic.replayed):
        first = topic.copies.get(event.event_id, (event,))[0]
        if _bytes(event) != _bytes(first):
            yield Violation("I4", f"copies of event {event.event_id} differ: {_place(event.record)}")
    for event_id, found in topic.copies.items():
        record, row = found[0].record, log.get(event_id)
        if row is not None and (record.key, record.value) != (row.user_id.encode(), row.payload.encode()):
            yield Violation("I4", f"event {event_id} is not what the log has: {_place(record)}")


def too_many_copies(topic: Topic, facts: Facts) -> Iterator[Violation]:
    """I4: how many."""
    most = facts.crashes * facts.batch + sum(facts.moves)
    causes = f"{facts.crashes} crashes and {len(facts.moves)} moves"
    if topic.duplicates > most:
        yield Violation("I4", f"{topic.duplicates} copies, where {causes} explain {most}")
    for event_id, found in topic.copies.items():
        if len(found) > facts.crashes + len(facts.moves) + 1:
            yield Violation("I4", f"event {event_id} came {len(found)} times, with {causes}")


def _bytes(event: Seen) -> tuple[object, ...]:
    record = event.record
    headers = [header for header in record.headers if header[0] != "replay"]
    return record.partition, record.key, record.value, headers


def _place(record: Record) -> str:
    return f"partition {record.partition}, offset {record.offset}"


# The derived tables


def unlike_the_events(seen: Iterable[Seen], fractions: Fractions, tables: Mapping[str, Rows]) -> Iterator[Violation]:
    """I6: the newest event of each training, folded here by the pure functions alone, against the tables."""
    newest: dict[str, Seen] = {}
    for event in seen:
        if event.training_id not in newest or newest[event.training_id].version < event.version:
            newest[event.training_id] = event
    folded = [
        fold_event(
            TrainingEvent.model_validate_json(event.record.value),
            fractions,
            event.seq,
        )
        for event in newest.values()
    ]
    for table, expected in expected_rows(folded).items():
        yield from _differences("I6", table, expected, tables.get(table, {}))


def expected_rows(folded: Sequence[FoldedTraining]) -> dict[str, Rows]:
    """The rows that the derived tables must have, by name of the table and key."""
    trainings: list[dict[str, Any]] = []
    exercises: list[dict[str, Any]] = []
    for training in folded:
        row = _flat(training)
        place = {name: row[name] for name in ("user_id", "training_id", "day", "source_seq", "updated_at")}
        exercises += [place | _flat(exercise) for exercise in row.pop("exercises")]
        trainings.append(row)
    rows: dict[str, list[dict[str, Any]]] = {
        "folded_trainings": trainings,
        "exercise_volume": exercises,
        "daily_volume": [_flat(day) for day in daily_volumes(folded).values()],
    }
    return {
        table: {tuple(row[column] for column in KEYS[table]): row for row in found} for table, found in rows.items()
    }


def _flat(figures: Any) -> dict[str, Any]:
    """A named tuple as a row: the figures of those inside it are its own."""
    row: dict[str, Any] = {}
    for name, value in figures._asdict().items():
        row |= _flat(value) if name in ("session", "volume") else {name: value}
    return row


def _differences(invariant: str, table: str, expected: Rows, found: Rows) -> Iterator[Violation]:
    for key in expected.keys() | found.keys():
        name = f"{table} {'/'.join(map(str, key))}"
        if key not in found:
            yield Violation(invariant, f"{name} is missing")
        elif key not in expected:
            yield Violation(invariant, f"{name} should not be there")
        else:
            wanted, row = expected[key], found[key]
            columns = [
                f"{column} is {row[column]}, not {wanted[column]}" for column in row if row[column] != wanted[column]
            ]
            if columns:
                yield Violation(invariant, f"{name}: {'; '.join(columns)}")


def unlike_the_record(evidence: Evidence) -> Iterator[Violation]:
    """I7: by SQL over the tables of record, and as `training analytics verify` says."""
    for what, (record, derived) in evidence.by_record.items():
        for row in record - derived:
            yield Violation("I7", f"{what}: no derived row says {_text(row)}")
        for row in derived - record:
            yield Violation("I7", f"{what}: no training says {_text(row)}")
    for difference in evidence.verification.differences:
        yield Violation("I7", shown(difference))
    if evidence.verification.behind:
        yield Violation("I7", f"{evidence.verification.behind} trainings have events that are not folded")


def _text(row: Iterable[object]) -> str:
    return ", ".join(map(str, row))


# What clients were told


def keys_used_twice(calls: Iterable[Call], log: Mapping[str, Logged]) -> Iterator[Violation]:
    """I8: all calls of one user, route and key did one thing; a call without a key did one at most."""
    rows = _by_request(log)
    groups: dict[tuple[object, ...], list[Call]] = defaultdict(list)
    for call in calls:
        named = None if call.kind in ("create", "import") else call.training_id
        route = call.request_id if call.key is None else (call.kind, named, call.key)
        groups[call.user_id, route].append(call)
    for group in groups.values():
        first = group[0]
        name = f"request {first.request_id}" if first.key is None else f"key {first.key} of user {first.user_id}"
        answered = {call.training_id for call in group if call.outcome == "ok"}
        if len(answered) > 1:
            yield Violation("I8", f"{name}: trainings {_text(sorted(map(str, answered)))}")
        # A 200 to a POST answers what is stored now, whatever the key.
        kept = [call for call in group if call.kind in ("correct", "delete") or call.status != 200]
        versions = {call.version for call in kept if call.outcome == "ok" and call.version is not None}
        if len(versions) > 1:
            yield Violation("I8", f"{name}: answered versions {_text(sorted(versions))}")
        events = [row.event_id for call in group for row in rows.get(call.request_id, ())]
        if len(events) > 1:
            yield Violation("I8", f"{name}: events {_text(events)}")


def lost_updates(calls: Iterable[Call], log: Mapping[str, Logged]) -> Iterator[Violation]:
    """I9: a version is succeeded once, by the call that was told so, with what that call sent."""
    by_version: dict[tuple[str | None, int], list[Logged]] = defaultdict(list)
    for row in log.values():
        by_version[row.training_id, row.version].append(row)
    matched: dict[tuple[str | None, int], list[Call]] = defaultdict(list)
    for call in calls:
        if call.outcome != "ok" or call.replayed or call.kind not in ("correct", "delete"):
            continue
        if call.if_match is not None:
            matched[call.training_id, call.if_match].append(call)
            if call.version not in (None, call.if_match + 1):
                yield Violation("I9", f"{call.request_id} had If-Match {call.if_match} and made {call.version}")
        for row in by_version.get((call.training_id, call.version), ()) if call.version is not None else ():
            if row.request_id != call.request_id:
                yield Violation("I9", f"{call.request_id} was told version {call.version}, by {row.request_id}")
            elif call.digest is not None and row.digest != call.digest:
                yield Violation("I9", f"{call.request_id}: the log has another content in version {call.version}")
    for (training, version), found in matched.items():
        if len(found) > 1:
            names = _text(call.request_id for call in found)
            yield Violation("I9", f"version {version} of training {training} was succeeded by {names}")


def broken_answers(
    calls: Iterable[Call], history: Iterable[Call], log: Mapping[str, Logged], trainings: Mapping[tuple[str, str], int]
) -> Iterator[Violation]:
    """I11. `calls` are those of the history that no rewind undid."""
    rows = _by_request(log)
    versions = {(row.user_id, row.training_id, row.version) for row in log.values()}
    for call in calls:
        if call.outcome != "ok":
            continue
        written = rows.get(call.request_id, [])
        if call.replayed:
            version = 1 if call.version is None else call.version
            if (call.user_id, call.training_id, version) not in versions:
                yield Violation("I11", f"{call.request_id} was answered {call.status} of what is not in the log")
        elif not written:
            yield Violation("I11", f"{call.request_id} was answered {call.status}, and is not in the log")
        for row in written:
            told = call.training_id, row.version if call.version is None else call.version
            if told != (row.training_id, row.version):
                yield Violation("I11", f"{call.request_id} was told {told}, the log has version {row.version}")
            elif call.kind in ("create", "import") and call.digest is not None and call.digest != row.digest:
                yield Violation("I11", f"{call.request_id}: the log has another content")
            if trainings.get((row.user_id, row.training_id), 0) < row.version:
                yield Violation("I11", f"{call.request_id} is in the log, but not in the tables of record")
    for call in history:
        if call.outcome == "failed" and call.request_id in rows:
            yield Violation("I11", f"{call.request_id} was answered {call.status}, but is in the log")


def _by_request(log: Mapping[str, Logged]) -> dict[str, list[Logged]]:
    rows: dict[str, list[Logged]] = defaultdict(list)
    for row in log.values():
        if row.request_id is not None:
            rows[row.request_id].append(row)
    return rows


def _undone(call: Call, facts: Facts) -> bool:
    return any(rewind.since <= call.ended and call.began <= rewind.until for rewind in facts.rewinds)


# What the runner measured


def slow_recoveries(facts: Facts) -> Iterator[Violation]:
    """I5."""
    for recovery in facts.recoveries:
        if recovery.seconds is None:
            yield Violation("I5", f"{recovery.fault}: the lag never was 0 again")
        elif recovery.seconds > LONGEST_RECOVERY:
            yield Violation("I5", f"{recovery.fault}: the lag was 0 again after {recovery.seconds:.1f} s")


def unbounded(facts: Facts) -> Iterator[Violation]:
    """I10."""
    if facts.peak_memory > facts.memory_limit:
        yield Violation("I10", f"a worker had {facts.peak_memory:,} bytes of {facts.memory_limit:,}")
    if facts.peak_connections > facts.connection_limit > 0:
        yield Violation("I10", f"there were {facts.peak_connections} connections of {facts.connection_limit}")
    if facts.outbox_rows > facts.outbox_limit > 0:
        yield Violation("I10", f"{facts.outbox_rows:,} events waited, of {facts.outbox_limit:,} at most")


def bad_stops(facts: Facts) -> Iterator[Violation]:
    """I12."""
    for stop in facts.stops:
        if stop.code is None:
            yield Violation("I12", f"SIGTERM: no exit within {stop.seconds:.1f} s")
        elif stop.code != 0 or stop.seconds > LONGEST_STOP:
            yield Violation("I12", f"SIGTERM: exit code {stop.code} after {stop.seconds:.1f} s")
