"""What must hold of users who were erased: all of theirs is gone, they can write no more, and nobody else notices."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from chaos.history import Call
from chaos.rules import Violation
from tests.support.topic import Record


def unlike_the_request(
    calls: Iterable[Call], erased: AbstractSet[str], undone: Iterable[Call] = ()
) -> Iterator[Violation]:
    """I11: who was answered 2xx is erased, nobody is who did not ask, and then no write of theirs is answered 2xx.

    What came of `undone` calls is not known.
    """
    answered: dict[str, float] = {}
    asked = {call.user_id for call in undone if call.kind == "erase"}
    writes: list[Call] = []
    for call in calls:
        if call.kind != "erase":
            writes.append(call)
        elif call.outcome != "failed":
            asked.add(call.user_id)
            if call.outcome == "ok":
                answered[call.user_id] = min(call.ended, answered.get(call.user_id, call.ended))
    for user_id in answered.keys() - erased:
        yield Violation("I11", f"user {user_id} was told of an erasure, and is not erased")
    for user_id in erased - asked:
        yield Violation("I11", f"user {user_id} is erased, and nobody asked for it")
    for call in writes:
        if call.outcome == "ok" and call.began > answered.get(call.user_id, float("inf")):
            yield Violation("I11", f"{call.request_id} wrote for the erased user {call.user_id}")


def left_behind(left: Mapping[str, Collection[str]]) -> Iterator[Violation]:
    """I7: no row of any table holds their ids. `left` are the tables that do, by the user."""
    for user_id, tables in left.items():
        yield Violation("I7", f"user {user_id} is erased, and stands in {', '.join(sorted(tables))}")


def unlike_the_last_word(
    records: Mapping[str, Sequence[Record]], erased: Collection[str], *, went_back: bool = False
) -> Iterator[Violation]:
    """I1 and I3: `user_erased` came, and nothing of the user after it, in whatever topic.

    A database that `went_back` gives places in the log out again: they do not tell what came before what.
    """
    of_users: dict[str, list[tuple[str, Record]]] = defaultdict(list)
    for type_, found in records.items():
        for record in found:
            if (user_id := key_of(record)) in erased:
                of_users[user_id].append((type_, record))
    for user_id in erased:
        theirs = of_users[user_id]
        ends = [record for _, record in theirs if _is_the_end(record)]
        if not ends:
            yield Violation("I1", f"lost: the erasure of user {user_id}")
            continue
        offset, place = max(end.offset for end in ends), max(_place(end) for end in ends)
        for type_, record in theirs:
            later = record.offset > offset if type_ == "training" else not went_back and _place(record) > place
            if later and not _is_the_end(record):
                yield Violation("I3", f"order: an event of user {user_id} follows on their erasure, in topic {type_}")


def key_of(record: Record) -> str:
    """The user that the record is of; empty where it has no key."""
    return (record.key or b"").decode("ascii", "replace")


def _is_the_end(record: Record) -> bool:
    return bool(record.event["event_type"] == "user_erased")


def _place(record: Record) -> int:
    """In the log."""
    return int(dict(record.headers)["ce_logseq"])
