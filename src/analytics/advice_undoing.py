"""What undoing accepted advice leaves: what is put back, and why the other trainings stay as they are."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from analytics.words import named
from models.advice import Became
from models.errors import PlanChanged
from models.trainings import Status

MOST_TOLD = 5  # trainings that a refusal names
_HEAD = frozenset({"id", "user_id", "version", "created_at", "updated_at"})  # of a document, before and behind content


def undone(document: bytes, versions: Mapping[UUID, int], became: Mapping[UUID, Became]) -> str:
    """What is stored and published of advice that is undone: an `AdviceContent`, as JSON.

    `document` is the `AcceptedAdvice`. Of its trainings `versions` are those that undoing brings to their next one, and
    `became` is what is known of the others: what is not there either is gone. Raises `PlanChanged` where later advice
    left a training as it is, which must be undone first, and where nothing is left to be put back.
    """
    said = orjson.loads(document)
    content = {name: value for name, value in said.items() if name not in _HEAD} | {"undone": True}
    changes = {UUID(change["training_id"]): change for change in content["changes"]}
    left = {id_: change for id_, change in changes.items() if id_ not in versions}
    for one in became.values():
        if one.later is not None:
            raise PlanChanged(
                f"Undo the advice {one.later} (“{one.title}”) first: it was accepted later, and changed the same "
                "training. Nothing was undone."
            )
    stays = {id_: why(became[id_]) if id_ in became else "It is not there any more." for id_ in left}
    if left and not versions:
        raise PlanChanged(_refusal(left, stays))
    for id_, change in changes.items():
        change.update({"stays": stays[id_]} if id_ in stays else {"version_restored": versions[id_] + 1})
    return orjson.dumps(content).decode()


def why(became: Became) -> str:
    """Why a training is not as accepting left it: one sentence."""
    if became.deleted is not None:
        return f"It was deleted on {named(became.deleted)}."
    if became.status is Status.COMPLETED:
        return f"It was done on {named(became.day)}."
    if became.status is Status.IN_PROGRESS:
        return "It was begun."
    if became.skipped is not None:
        return f"It was skipped on {named(became.skipped)}."
    if became.untouched:
        return "What it said before is in the archive."
    return f"It was changed on {named(became.changed)}, after the advice was accepted."


def _refusal(left: Mapping[UUID, Mapping[str, Any]], stays: Mapping[UUID, str]) -> str:
    """Why nothing is undone, training by training."""
    told = "; ".join(f"{_title(left[id_])}: {stays[id_][:-1]}" for id_ in list(left)[:MOST_TOLD])
    more = f"; and {len(left) - MOST_TOLD} more" if len(left) > MOST_TOLD else ""
    return f"Nothing is left to undo: no training is as the advice left it. {told}{more}."


def _title(change: Mapping[str, Any]) -> str:
    title = f" “{change['title']}”" if "title" in change else ""
    day = dt.date.fromisoformat(change.get("day_after", change["day"]))
    return f"The training{title} of {named(day)} ({change['training_id']})"
