"""I8, I9 and I11: what clients were told, against the log and the tables of record."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chaos.evidence import Logged, Stored, document_digest
from chaos.history import CARRIERS, KEPT, PLANS, Aggregate, Call
from chaos.rules import Violation, listed


def keys_used_twice(calls: Iterable[Call], log: Mapping[str, Logged]) -> Iterator[Violation]:
    """I8: all calls of one user, route and key did one thing; a call without a key did one at most."""
    rows = rows_by_request(log)
    groups: dict[tuple[object, ...], list[Call]] = defaultdict(list)
    for call in calls:
        named = None if call.creates else call.id
        route = call.request_id if call.key is None else (call.kind, named, call.key)
        groups[call.user_id, route, call.id if call.several else None].append(call)
    for group in groups.values():
        first = group[0]
        name = f"request {first.request_id}" if first.key is None else f"key {first.key} of user {first.user_id}"
        answered = {call.id for call in group if call.outcome == "ok"}
        if len(answered) > 1:
            yield Violation("I8", f"{name}: {first.type}s {listed(sorted(map(str, answered)))}")
        # A 200 to a creation answers what is stored now, whatever the key.
        kept = [call for call in group if not call.creates or call.status != 200]
        versions = {call.version for call in kept if call.outcome == "ok" and call.version is not None}
        if len(versions) > 1:
            yield Violation("I8", f"{name}: answered versions {listed(sorted(versions))}")
        events = [row.event_id for call in group if _is_one(call) for row in rows_of(call, rows)]
        if len(events) > 1:
            yield Violation("I8", f"{name}: events {listed(events)}")


def lost_updates(calls: Iterable[Call], log: Mapping[str, Logged]) -> Iterator[Violation]:
    """I9: a version is succeeded once, by the call that was told so, with what that call sent."""
    by_version: dict[tuple[Aggregate | None, int], list[Logged]] = defaultdict(list)
    for row in log.values():
        by_version[row.aggregate, row.version].append(row)
    matched: dict[tuple[Aggregate | None, int], list[Call]] = defaultdict(list)
    for call in calls:
        if call.outcome != "ok" or call.replayed or call.creates:
            continue
        if call.if_match is not None:
            matched[call.aggregate, call.if_match].append(call)
            if call.version not in (None, call.if_match + 1):
                yield Violation("I9", f"{call.request_id} had If-Match {call.if_match} and made {call.version}")
        for row in by_version.get((call.aggregate, call.version), ()) if call.version is not None else ():
            if row.request_id != call.request_id:
                yield Violation("I9", f"{call.request_id} was told version {call.version}, by {row.request_id}")
            elif call.digest is not None and call.digest not in row.digests:
                yield Violation("I9", f"{call.request_id}: the log has another content in version {call.version}")
    for (aggregate, version), found in matched.items():
        if len(found) > 1:
            names = listed(call.request_id for call in found)
            yield Violation("I9", f"version {version} of {aggregate} was succeeded by {names}")


def broken_answers(calls: Iterable[Call], log: Mapping[str, Logged]) -> Iterator[Violation]:
    """I11: what was answered 2xx is in the log, as it was told. A name that means something already may be given the
    same meaning without another event."""
    rows = rows_by_request(log)
    versions = {(row.aggregate, row.version) for row in log.values()}
    namings = {
        (row.aggregate, digest) for row in log.values() if row.aggregate.type == "exercise" for digest in row.digests
    }
    for call in calls:
        if call.outcome != "ok":
            continue
        written = rows_of(call, rows)
        if call.replayed:
            version = 1 if call.version is None else call.version
            if (call.aggregate, version) not in versions:
                yield Violation("I11", f"{call.request_id} was answered {call.status} of what is not in the log")
        elif not written and not (call.kind == "alias-set" and (call.aggregate, call.digest) in namings):
            yield Violation("I11", f"{call.request_id} was answered {call.status}, and is not in the log")
        for row in written:
            version = row.version if call.version is None else call.version
            if (call.aggregate, version) != (row.aggregate, row.version):
                told = f"was told version {version} of {call.aggregate}"
                yield Violation("I11", f"{call.request_id} {told}, the log has {row.version} of {row.aggregate}")
            elif (call.creates or call.version is None) and call.digest is not None and call.digest not in row.digests:
                yield Violation("I11", f"{call.request_id}: the log has another content")


def unasked_writes(calls: Iterable[Call], log: Mapping[str, Logged]) -> Iterator[Violation]:
    """I11: nothing is in the log that was refused, nor what a request for several did not ask for."""
    rows = rows_by_request(log)
    asked: dict[str, set[Aggregate | None]] = defaultdict(set)
    for call in calls:
        if call.outcome == "failed" and (rows_of(call, rows) if call.several else rows.get(call.request_id)):
            yield Violation("I11", f"{call.request_id} was answered {call.status}, but is in the log")
        if call.several:
            asked[call.request_id].add(call.aggregate)
    for request_id, aggregates in asked.items():
        for row in rows.get(request_id, ()) if None not in aggregates else ():
            if row.aggregate not in aggregates:
                yield Violation("I11", f"{request_id} wrote {row.aggregate}, which it did not ask for")


def unlike_the_log(log: Mapping[str, Logged], stored: Mapping[Aggregate, Stored]) -> Iterator[Violation]:
    """I11: a row of the tables of record is what the newest event of its aggregate says."""
    logged: dict[Aggregate, list[Logged]] = defaultdict(list)
    for row in log.values():
        logged[row.aggregate].append(row)
    for aggregate in logged.keys() | stored.keys():
        if aggregate not in stored:
            yield Violation("I11", f"{aggregate} is in the log, but not in the tables of record")
        elif aggregate not in logged:
            yield Violation("I11", f"{aggregate} is in the tables of record, but not in the log")
        else:
            rows = sorted(logged[aggregate], key=lambda row: row.version)
            newest, found = rows[-1], stored[aggregate]
            if (found.version, found.deleted) != (newest.version, newest.deletes):
                said, is_ = (f"{v}{' (deleted)' * gone}" for v, gone in ((newest.version, newest.deletes), found[:2]))
                yield Violation("I11", f"{aggregate} has version {is_} in the tables of record, {said} in the log")
            elif not _same(aggregate.type, found, rows):
                yield Violation("I11", f"{aggregate} has another content in the tables of record than in the log")


def _same(type_: str, stored: Stored, rows: Sequence[Logged]) -> bool:
    """Whether the tables of record have what the log says of one aggregate, whose `rows` are in order."""
    if type_ == "exercise":
        names: dict[str, list[object]] = {}
        for row in rows:
            told = row.event["payload"]
            movement = told.get("exercise")
            for name in told["names"]:
                names.pop(name, None)
                if movement is not None:
                    revision = None if movement["own"] else movement["revision"]
                    names[name] = [movement["slug"], movement["own"], revision]
        return bool(names == stored.document["names"])
    if type_ in KEPT:
        content, columns = stored.document["content"], stored.document["columns"]
        return bool(content == rows[-1].content and all(columns[name] == content.get(name) for name in columns))
    if rows[-1].deletes:  # a training keeps its exercises: it may be restored
        return type_ == "training" or not stored.document["exercises"]
    return document_digest(type_, stored.document) == document_digest(type_, rows[-1].event["payload"])


def unlike_the_plan(calls: Iterable[Call], log: Mapping[str, Logged]) -> Iterator[Violation]:
    """I11: a training that was made from a workout is what that version of the workout prescribes."""
    rows = rows_by_request(log)
    by_version = {(row.aggregate, row.version): row for row in log.values()}
    for call in calls:
        for row in rows_of(call, rows) if call.kind in PLANS else ():
            made = row.event["payload"]
            workout = Aggregate("workout", row.aggregate.user_id, str(made.get("workout_id")))
            source = by_version.get((workout, made.get("workout_version", 0)))
            if source is None:
                yield Violation("I11", f"{call.request_id} made {row.aggregate} of a workout that is not in the log")
            elif _sets(made) != [(each["name"], each["sets"]) for each in source.event["payload"]["exercises"]]:
                yield Violation(
                    "I11", f"{call.request_id} made {row.aggregate} unlike version {source.version} of {workout}"
                )


def _sets(training: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(each["name"], len(each["sets"])) for each in training["exercises"]]


def _is_one(call: Call) -> bool:
    """Whether it is about one aggregate: not where nobody told which ones a request wrote."""
    return not call.several or call.id is not None


def rows_of(call: Call, rows: Mapping[str, Sequence[Logged]]) -> Sequence[Logged]:
    """What the call wrote of what it asked for; of a request that wrote several, its own."""
    found = rows.get(call.request_id, ())
    if call.kind in CARRIERS:
        return [row for row in found if row.aggregate.type == call.type and call.id in (None, row.aggregate.id)]
    if not call.several or call.aggregate is None:
        return found
    return [row for row in found if row.aggregate == call.aggregate]


def rows_by_request(log: Mapping[str, Logged]) -> Mapping[str, Sequence[Logged]]:
    """What is in the log, by the request that wrote it."""
    rows: dict[str, list[Logged]] = defaultdict(list)
    for row in log.values():
        if row.request_id is not None:
            rows[row.request_id].append(row)
    return rows
