"""Tests of what undoing accepted advice leaves, and of the words for it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
import pytest

from analytics.advice_undoing import MOST_TOLD, undone, why
from models.advice import Became
from models.errors import PlanChanged
from models.trainings import Status

DAY = dt.date(2026, 1, 13)
IDS = [UUID(int=n) for n in range(MOST_TOLD + 2)]
CHANGED = Became(
    status=Status.PLANNED,
    day=DAY,
    skipped=None,
    deleted=None,
    changed=DAY + dt.timedelta(1),
    untouched=False,
    later=None,
    title=None,
)


def document(count: int, **members: str) -> bytes:
    """A piece of advice that changed so many trainings."""
    changes = [{"training_id": str(id_), "day": str(DAY)} | members for id_ in IDS[:count]]
    return orjson.dumps({"id": str(IDS[0]), "kind": "deload", "undone": False, "changes": changes})


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "It was changed on Wednesday, 14 January 2026, after the advice was accepted."),
        ({"untouched": True}, "What it said before is in the archive."),
        ({"status": Status.IN_PROGRESS}, "It was begun."),
        ({"status": Status.COMPLETED}, "It was done on Tuesday, 13 January 2026."),
        ({"skipped": dt.date(2026, 1, 12)}, "It was skipped on Monday, 12 January 2026."),
        ({"status": Status.COMPLETED, "deleted": DAY}, "It was deleted on Tuesday, 13 January 2026."),
    ],
)
def test_why_a_training_stays_is_one_sentence(facts: Mapping[str, Any], words: str) -> None:
    assert why(CHANGED._replace(**facts)) == words


def test_what_is_put_back_says_its_version_and_the_others_say_why_they_stay() -> None:
    content = orjson.loads(undone(document(3), {IDS[0]: 2}, {IDS[1]: CHANGED._replace(status=Status.IN_PROGRESS)}))
    assert content == {
        "kind": "deload",
        "undone": True,
        "changes": [
            {"training_id": str(IDS[0]), "day": str(DAY), "version_restored": 3},
            {"training_id": str(IDS[1]), "day": str(DAY), "stays": "It was begun."},
            {"training_id": str(IDS[2]), "day": str(DAY), "stays": "It is not there any more."},
        ],
    }


def test_where_nothing_is_left_to_be_put_back_each_training_says_why() -> None:
    with pytest.raises(PlanChanged) as refused:
        undone(document(1, title="Pull", day_after="2026-01-14"), {}, {IDS[0]: CHANGED._replace(deleted=DAY)})
    assert str(refused.value) == (
        "Nothing is left to undo: no training is as the advice left it. The training “Pull” of Wednesday, 14 January "
        f"2026 ({IDS[0]}): It was deleted on Tuesday, 13 January 2026."
    )
    with pytest.raises(PlanChanged, match=r"and 2 more\.$") as refused:
        undone(document(len(IDS)), {}, dict.fromkeys(IDS, CHANGED))
    assert str(refused.value).count("It was changed on") == MOST_TOLD


def test_later_advice_on_a_training_is_undone_first_though_others_could_be_put_back() -> None:
    later = CHANGED._replace(later=IDS[3], title="A lighter week")
    with pytest.raises(PlanChanged, match=f"Undo the advice {IDS[3]} \\(“A lighter week”\\) first"):
        undone(document(2), {IDS[0]: 2}, {IDS[1]: later})


def test_advice_that_changed_nothing_is_undone() -> None:
    assert orjson.loads(undone(document(0), {}, {}))["undone"] is True
