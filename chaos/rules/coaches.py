"""I11 of coaches: they write by an athlete's leave alone, and the athlete can see it."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from chaos.evidence import Access, Logged, Stored
from chaos.history import Aggregate, Call, Kind, workout_digest
from chaos.rules import Violation, listed
from chaos.rules.answers import rows_by_request, rows_of

SCOPES: Mapping[Kind, frozenset[str]] = {
    "accept": frozenset({"read", "plan"}),
    "restrict": frozenset({"read"}),
    "revoke": frozenset(),
}


def writes_without_leave(
    calls: Iterable[Call], changes: Iterable[Call], log: Mapping[str, Logged]
) -> Iterator[Violation]:
    """What a coach wrote was written at a moment at which a membership with `plan` stood, as far as clients can tell.

    `changes` are all those of memberships.
    """
    rows = rows_by_request(log)
    by_membership = _by_membership(changes)
    for call in calls:
        if call.coach is None or call.group is None:
            continue
        ended = math.inf if call.outcome == "unknown" else call.ended
        for row in rows_of(call, rows):
            membership = Aggregate("membership", row.aggregate.user_id, call.group)
            if not _may_stand(by_membership.get(membership, ()), call.began, ended):
                yield Violation(
                    "I11", f"{call.request_id} wrote {row.aggregate}, when no {membership} let its coach plan"
                )


def unlogged_accesses(
    calls: Iterable[Call], log: Mapping[str, Logged], accesses: Collection[Access]
) -> Iterator[Violation]:
    """What a coach was answered 2xx to, or wrote whatever was answered, is in the athlete's log of accesses."""
    rows = rows_by_request(log)
    for call in calls:
        if call.coach is None or call.group is None:
            continue
        users = {row.aggregate.user_id for row in rows_of(call, rows)} | (
            {call.user_id} if call.outcome == "ok" else set()
        )
        for user in users:
            if Access(user, call.coach, call.group, call.request_id, "plan") not in accesses:
                yield Violation("I11", f"{call.request_id} of a coach is not in the log of accesses of user {user}")


def unlike_the_coachs(calls: Iterable[Call], log: Mapping[str, Logged]) -> Iterator[Violation]:
    """An athlete's copy of a workout is what the coach's own workouts say, or said."""
    rows = rows_by_request(log)
    said: dict[str, set[str]] = defaultdict(set)
    for row in log.values():
        if row.aggregate.type == "workout":
            said[row.aggregate.user_id].add(_prescribed(row))
    for call in calls:
        if call.kind == "group-workout" and call.coach is not None:
            for row in rows_of(call, rows):
                if _prescribed(row) not in said[call.coach]:
                    yield Violation("I11", f"{call.request_id} gave {row.aggregate}, which no workout of the coach is")


def _prescribed(row: Logged) -> str:
    """The digest of a workout, whatever group it is for."""
    return workout_digest({**row.event["payload"], "group_external_id": None})


def lost_memberships(changes: Iterable[Call], standing: Mapping[Aggregate, frozenset[str]]) -> Iterator[Violation]:
    """A membership is what its last change was answered 2xx for, where it is known which one was the last."""
    for membership, found in _by_membership(changes).items():
        done = [change for change in found if change.outcome != "failed"]
        for last in done:
            others = (change for change in done if change is not last)
            if last.outcome == "ok" and all(_settled(other) < last.began for other in others):
                wanted, scopes = SCOPES[last.kind], standing.get(membership, frozenset())
                if wanted != scopes:
                    yield Violation(
                        "I11", f"{membership} has scopes {listed(scopes)}, {last.request_id} said {listed(wanted)}"
                    )


def out_of_reach(
    stored: Mapping[Aggregate, Stored], standing: Mapping[Aggregate, frozenset[str]]
) -> Iterator[Violation]:
    """What is hidden from its athlete is planned for a group that the athlete is in: else nobody could ever show it."""
    for aggregate, found in stored.items():
        if aggregate.type == "training" and not found.deleted and found.document.get("hidden"):
            membership = Aggregate("membership", aggregate.user_id, str(found.document["group_external_id"]))
            if membership not in standing:
                yield Violation("I11", f"{aggregate} is hidden, and there is no {membership}")


def _by_membership(changes: Iterable[Call]) -> Mapping[Aggregate, Sequence[Call]]:
    found: dict[Aggregate, list[Call]] = defaultdict(list)
    for change in changes:
        if change.type == "membership" and change.aggregate is not None:
            found[change.aggregate].append(change)
    return found


def _may_stand(changes: Sequence[Call], began: float, ended: float) -> bool:
    """Whether `plan` may have stood at some moment from `began` to `ended`: granted, and not taken back before."""
    return any(
        "plan" in SCOPES[grant.kind]
        and grant.outcome != "failed"
        and grant.began <= ended
        and not any(
            "plan" not in SCOPES[end.kind] and end.outcome == "ok" and _settled(grant) < end.began and end.ended < began
            for end in changes
        )
        for grant in changes
    )


def _settled(change: Call) -> float:
    """When it was done at the latest, in monotonic seconds: what nobody answered for may be done at any time."""
    return change.ended if change.outcome == "ok" else math.inf
