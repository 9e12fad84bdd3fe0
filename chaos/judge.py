"""The judge: I1 to I12, by what clients were told, what stands in the servers, and what the runner measured.

Every rule is a pure function over plain data (`chaos.rules`); `judge` reads and applies them all. It must be asked at
rest: when nobody writes, all is relayed and folded.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.evidence import Evidence, Logged, gather
from chaos.history import SHARED_TOPICS, Aggregate, Call, Facts, History, Type
from chaos.rules import Violation
from chaos.rules.answers import (
    broken_answers,
    keys_used_twice,
    lost_updates,
    unasked_writes,
    unlike_the_log,
    unlike_the_plan,
)
from chaos.rules.coaches import (
    lost_memberships,
    out_of_reach,
    unlike_the_coachs,
    unlogged_accesses,
    writes_without_leave,
)
from chaos.rules.erasures import key_of, left_behind, unlike_the_last_word, unlike_the_request
from chaos.rules.measures import bad_stops, slow_recoveries, unbounded
from chaos.rules.periodisation import unlike_the_advice, unlike_the_links, unlike_the_phase
from chaos.rules.tables import unlike_the_events, unlike_the_record
from chaos.rules.topics import Topic, differing_copies, disorder, lost, phantoms, too_many_copies
from tests.support.topic import Record

INVARIANTS = {
    "I1": "no lost event: every committed change has at least one record",
    "I2": "no phantom: every record is of a committed row of the log",
    "I3": "order: per training, workout, phase … and user's names the first occurrences have versions 1, 2, 3 …",
    "I4": "copies of an event are equal to the byte, one batch a crash at most",
    "I5": "after a fault heals, lag returns to 0 within 10 s",
    "I6": "the derived tables are the fold of the events, row by row",
    "I7": "the derived tables are what the tables of record say",
    "I8": "one Idempotency-Key, one training, workout, phase …, one event of it",
    "I9": "no lost update under If-Match",
    "I10": "memory, connections and what waits in the outbox are bounded",
    "I11": "never a 2xx for an uncommitted write, nor a write behind a 4xx",
    "I12": "SIGTERM drains and exits 0 within 10 s",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `events` are different ones in the topics, `duplicates` the copies beyond each one's first."""

    violations: tuple[Violation, ...]
    events: int
    duplicates: int
    calls: int = 0

    @property
    def broken(self) -> frozenset[str]:
        """The invariants that do not hold."""
        return frozenset(violation.invariant for violation in self.violations)


async def judge(
    history: History,
    owner_url: str,
    bootstrap: str,
    topics: Mapping[Type, str],
    facts: Facts,
    *,
    archive_dir: Path | None = None,
) -> Verdict:
    """Read the servers and judge all twelve. `owner_url` is the schema owner's, `archive_dir` holds the archives."""
    leavers = {call.user_id for call in history if call.kind == "erase"}
    return decide(await gather(owner_url, bootstrap, topics, leavers, archive_dir), history, facts)


def decide(evidence: Evidence, history: History, facts: Facts) -> Verdict:
    """Judge all twelve. Of users who were erased `chaos.rules.erasures` asks what the others ask of everybody else."""
    erased = evidence.erased
    undone = [call for call in history if _undone(call, facts)]
    tail: set[str | None] = {call.request_id for call in undone}
    settled = [call for call in history if call.request_id not in tail]
    erasures = [
        *unlike_the_request(settled, erased, undone),
        *left_behind(evidence.left),
        *unlike_the_last_word(evidence.records, erased, went_back=bool(facts.rewinds)),
    ]
    undone = [call for call in undone if call.user_id not in erased]
    settled = [call for call in settled if call.user_id not in erased]
    calls = [call for call in settled if call.type not in {"membership", "user"}]
    changes = [call for call in settled if call.type == "membership"]
    changes += [replace(call, outcome="unknown") for call in undone if call.type == "membership"]
    evidence = _without(evidence, erased)
    types = dict.fromkeys([*evidence.records, *(_topic_of(row.aggregate) for row in evidence.log.values())])
    topics = {type_: Topic.of(evidence.records.get(type_, ())) for type_ in types}
    violations = [*erasures, *too_many_copies(list(topics.values()), facts)]
    for type_, topic in topics.items():
        log = {event_id: row for event_id, row in evidence.log.items() if _topic_of(row.aggregate) == type_}
        poison = facts.poison if type_ == "training" else 0
        violations += [
            *lost(log, topic, evidence.skipped),
            *phantoms(log, topic, tail, poison),
            *disorder(topic, [log[event] for event in evidence.skipped if event in log]),
            *differing_copies(log, topic),
        ]
    folded = [
        seen
        for type_, topic in topics.items()
        for seen in topic.seen
        if _topic_of(seen.aggregate) == type_ and (seen.event_id in evidence.log or seen.request_id not in tail)
    ]
    # What follows from trainings was asked for by nobody, and no table of record has it.
    asked = {event_id: row for event_id, row in evidence.log.items() if row.aggregate.type != "insight"}
    violations += [
        *slow_recoveries(facts),
        *unlike_the_events(folded, evidence.movements, evidence.tables),
        *unlike_the_record(evidence),
        *keys_used_twice(calls, asked),
        *lost_updates(calls, asked),
        *unbounded(facts),
        *broken_answers(calls, asked),
        *unasked_writes(history, asked),
        *unlike_the_log(asked, evidence.stored),
        *unlike_the_plan(calls, asked),
        *unlike_the_phase(calls, asked, evidence.planned, went_back=bool(facts.rewinds)),
        *unlike_the_links(asked, evidence.planned, went_back=bool(facts.rewinds)),
        *unlike_the_advice(asked, went_back=bool(facts.rewinds)),
        *writes_without_leave(calls, changes, asked),
        *unlike_the_coachs(calls, asked),
        *unlogged_accesses(calls, asked, evidence.accesses),
        *lost_memberships(changes, evidence.memberships),
        # A database that went back lacks memberships, and takes back what was planned by them.
        *([] if facts.rewinds else out_of_reach(evidence.stored, evidence.memberships)),
        *bad_stops(facts),
    ]
    events = sum(len(topic.copies) for topic in topics.values())
    duplicates = sum(topic.duplicates for topic in topics.values())
    return Verdict(tuple(violations), events, duplicates, len(history))


def _without(evidence: Evidence, users: Collection[str]) -> Evidence:
    """The log and the topics as they are of everybody else."""
    return replace(
        evidence,
        log={id_: row for id_, row in evidence.log.items() if row.aggregate.user_id not in users},
        records={
            type_: [record for record in records if key_of(record) not in users]
            for type_, records in evidence.records.items()
        },
    )


def compare(log: Mapping[str, Logged], records: Sequence[Record]) -> Verdict:
    """Judge I1 to I4 where nothing but the log and its topic is known; how many copies there are is the caller's to
    judge."""
    topic = Topic.of(records)
    violations = [*lost(log, topic), *phantoms(log, topic), *disorder(topic), *differing_copies(log, topic)]
    return Verdict(tuple(violations), len(topic.copies), topic.duplicates)


def _topic_of(aggregate: Aggregate) -> str:
    """Which topic its events are for, by the type that the topic is named after here."""
    return SHARED_TOPICS.get(aggregate.type, aggregate.type)


def _undone(call: Call, facts: Facts) -> bool:
    return any(rewind.since <= call.ended and call.began <= rewind.until for rewind in facts.rewinds)
