"""The judge of the chaos runs on users who were erased: what is whole passes, and each broken promise is caught."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import orjson
import pytest

from chaos.evidence import Evidence
from chaos.history import Call, Facts, History
from chaos.judge import decide
from tests.support.topic import Record

USER = "0b9d3a52-5f0e-4a51-8a51-94f5f8d6c001"
CREATED = Call("leaver", 1, "create", USER, str(uuid4()), 0, 1, "ok", 201, version=1)
ERASED = Call("leaver", 2, "erase", USER, USER, 2, 3, "ok", 202, type="user")
REFUSED = Call("leaver", 3, "create", USER, None, 4, 5, "failed", 410)


def record(event_type: str, seq: int, offset: int) -> Record:
    """One of the user's, at that place of the log and of its partition."""
    value = orjson.dumps({"event_type": event_type, "payload": {"user_id": USER}})
    return Record(0, offset, USER.encode(), value, (("ce_logseq", str(seq).encode()),))


TOPIC = [record("training_created", 1, 0), record("user_erased", 5, 1)]
LATE = [record("user_erased", 5, 0), record("training_created", 1, 1)]
LATER = record("workout_created", 6, 0)
WHOLE = Evidence(log={}, records={"training": TOPIC, "workout": []}, erased=frozenset({USER}))
CALLS = [CREATED, ERASED, REFUSED]


def broken(evidence: Evidence, calls: list[Call]) -> list[str]:
    return [violation.invariant for violation in decide(evidence, History(calls), Facts()).violations]


def test_a_user_who_is_gone_is_no_violation() -> None:
    assert not broken(WHOLE, CALLS)
    again = replace(ERASED, number=4, began=6, ended=7)
    assert not broken(WHOLE, [*CALLS, again])
    unheard = replace(ERASED, outcome="unknown", status=0)
    assert not broken(WHOLE, [CREATED, unheard, REFUSED])
    twice = [*TOPIC, record("user_erased", 5, 2)]
    assert not broken(replace(WHOLE, records={"training": twice}), CALLS)


@pytest.mark.parametrize(
    ("invariant", "breaks"),
    [
        ("I1", lambda: (replace(WHOLE, records={"training": TOPIC[:1]}), CALLS)),
        ("I3", lambda: (replace(WHOLE, records={"training": LATE}), CALLS)),
        (
            "I3",
            lambda: (replace(WHOLE, records={"training": TOPIC, "workout": [record("workout_created", 6, 0)]}), CALLS),
        ),
        ("I7", lambda: (replace(WHOLE, left={USER: frozenset({"public.imports"})}), CALLS)),
        ("I11", lambda: (WHOLE, [*CALLS, replace(REFUSED, number=4, outcome="ok", status=201)])),
        ("I11", lambda: (WHOLE, [CREATED])),
        ("I11", lambda: (WHOLE, [CREATED, replace(ERASED, outcome="failed", status=404)])),
    ],
)
def test_each_promise_is_caught(invariant: str, breaks: Callable[[], tuple[Evidence, list[Call]]]) -> None:
    assert broken(*breaks()) == [invariant]


def test_who_was_told_and_is_not_erased_is_caught() -> None:
    found = broken(replace(WHOLE, erased=frozenset(), records={}), [ERASED])
    assert found == ["I11"]
