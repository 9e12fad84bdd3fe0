"""I1 to I4: the log against its topics. Log and topic are of one type of aggregates, but where it says otherwise."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from chaos.evidence import Logged, Seen
from chaos.history import Aggregate, Facts
from chaos.rules import Violation
from tests.support.topic import Record


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's records, by their place. Copies that a replay was asked for count as no copies."""

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


def lost(log: Mapping[str, Logged], topic: Topic, skipped: frozenset[str] = frozenset()) -> Iterator[Violation]:
    """I1. `skipped` are events that the broker refused and that somebody gave up."""
    for event_id in log.keys() - topic.copies.keys() - skipped:
        event = log[event_id]
        yield Violation("I1", f"lost: event {event_id}, version {event.version} of {event.aggregate}")


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
    gaps = {(event.aggregate, event.version) for event in skipped}
    versions: dict[Aggregate, list[int]] = defaultdict(list)
    for found in topic.copies.values():
        versions[found[0].aggregate].append(found[0].version)
    for aggregate, seen in versions.items():
        wanted = (version for version in count(1) if (aggregate, version) not in gaps)
        if any(version != next(wanted) for version in seen):
            yield Violation("I3", f"order: {aggregate} has versions {seen}")


def differing_copies(log: Mapping[str, Logged], topic: Topic) -> Iterator[Violation]:
    """I4: to the byte, and as the log has it; of a replay but for its header."""
    for event in (*(event for found in topic.copies.values() for event in found), *topic.replayed):
        first = topic.copies.get(event.event_id, (event,))[0]
        if _bytes(event) != _bytes(first):
            yield Violation("I4", f"copies of event {event.event_id} differ: {_place(event.record)}")
    for event_id, found in topic.copies.items():
        record, row = found[0].record, log.get(event_id)
        if row is not None and (record.key, record.value) != (
            row.aggregate.user_id.encode(),
            row.payload.encode(),
        ):
            yield Violation("I4", f"event {event_id} is not what the log has: {_place(record)}")


def too_many_copies(topics: Sequence[Topic], facts: Facts) -> Iterator[Violation]:
    """I4: how many, in all topics together, whose events share the relay's batches."""
    most = facts.crashes * facts.batch + sum(facts.moves)
    causes = f"{facts.crashes} crashes and {len(facts.moves)} moves"
    duplicates = sum(topic.duplicates for topic in topics)
    if duplicates > most:
        yield Violation("I4", f"{duplicates} copies, where {causes} explain {most}")
    for event_id, found in (item for topic in topics for item in topic.copies.items()):
        if len(found) > facts.crashes + len(facts.moves) + 1:
            yield Violation("I4", f"event {event_id} came {len(found)} times, with {causes}")


def _bytes(event: Seen) -> tuple[object, ...]:
    record = event.record
    headers = [header for header in record.headers if header[0] != "replay"]
    return record.partition, record.key, record.value, headers


def _place(record: Record) -> str:
    return f"partition {record.partition}, offset {record.offset}"
