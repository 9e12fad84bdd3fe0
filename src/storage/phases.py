"""Phases: how what is around one is read, and how it is kept which trainings each has laid.

The phases themselves are documents (`storage.documents`), the trainings that they lay are trainings like any other,
written as `storage.plans` does. `phase_trainings` says which phase laid each, and for which week and slot.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from models.phases import PhaseBody
from models.plans import Laid, Place, Spot
from models.trainings import Status
from storage.database import Runner
from storage.documents import StoredDocument, stored
from storage.phase_statements import LAID, LINK, LIST, NEIGHBOURS, WORKOUTS
from storage.plans import PlannedTraining, planned


@dataclass(frozen=True, slots=True)
class StoredPhase:
    """A phase as it is stored now."""

    id: UUID
    version: int
    body: PhaseBody


@dataclass(frozen=True, slots=True)
class Template:
    """A workout as trainings are made from it: `plan` are the exercises, as JSON has them."""

    id: UUID
    version: int
    name: str
    group_external_id: str | None
    plan: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What a change of a phase on `day` is judged by: itself, its parent, the microcycles of both, and every deload.

    And whether the user has the goal.
    """

    day: dt.date
    phases: dict[UUID, StoredPhase]
    goal_known: bool


class Phases:
    """The phases of all users.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def neighbours(
        self, user_id: UUID, id_: UUID, parent_id: UUID | None, goal_id: UUID | None, day: dt.date | None
    ) -> Neighbours:
        """What a change of the phase is judged by. `day` is the day of it, by default the athlete's present one, as
        the calendar has it."""
        asked = {"user_id": user_id, "id": id_, "parent_id": parent_id, "goal_id": goal_id, "day": day}
        rows = await self._runner.all(NEIGHBOURS, asked | {"coach_of": None})
        found = (StoredPhase(row[2], row[3], PhaseBody.model_validate_json(row[4])) for row in rows if row[2])
        return Neighbours(rows[0][0], {phase.id: phase for phase in found}, goal_known=bool(rows[0][1]))

    async def laid(
        self, user_id: UUID, phases: Collection[UUID], deloads: Collection[tuple[dt.date, dt.date]]
    ) -> list[tuple[Laid, PlannedTraining | None]]:
        """The trainings that these phases have laid, and those of other phases on these days that a plan may change.

        Each with what it says, where a plan may change it.
        """
        parameters = {
            "user_id": user_id,
            "phases": list(phases),
            "first": [first for first, _ in deloads],
            "last": [last for _, last in deloads],
        }
        return [_laid(row) for row in await self._runner.all(LAID, parameters)]

    async def templates(self, user_id: UUID, ids: Collection[UUID]) -> dict[UUID, Template]:
        """Those of these workouts that the user has, as they are now."""
        if not ids:
            return {}
        rows = await self._runner.all(WORKOUTS, {"user_id": user_id, "ids": list(ids)})
        return {
            id_: Template(id_, version, name, group, orjson.loads(plan)) for id_, version, name, group, plan in rows
        }

    async def link(
        self, user_id: UUID, links: Sequence[tuple[UUID, UUID, Place]], gone: Sequence[tuple[UUID, UUID]]
    ) -> None:
        """Keep for which place each phase has laid each training, and that others are no phase's any more.

        Both begin with phase and training.
        """
        if not links and not gone:
            return
        items = [
            {"phase_id": phase_id, "training_id": training_id, "week": place.week, "slot": place.slot}
            for phase_id, training_id, place in links
        ]
        left = [{"phase_id": phase_id, "training_id": training_id} for phase_id, training_id in gone]
        parameters = {
            "user_id": user_id,
            "links": orjson.dumps(items).decode(),
            "gone": orjson.dumps(left).decode(),
        }
        await self._runner.all(LINK, parameters)

    async def page(
        self,
        user_id: UUID,
        *,
        first: dt.date | None = None,
        last: dt.date | None = None,
        after: tuple[dt.date, UUID] | None = None,
        limit: int,
    ) -> list[tuple[dt.date, StoredDocument]]:
        """At most `limit` of the user's phases that have days from `first` to `last`: first days and phases, in order.

        `after` are the first day and the id of the last phase of the page before.
        """
        after_first, after_id = after or (None, None)
        parameters = {
            "user_id": user_id,
            "first": first,
            "last": last,
            "after_first": after_first,
            "after_id": after_id,
            "limit": limit,
        }
        return [(row[0], stored(user_id, row[1:])) for row in await self._runner.all(LIST, parameters)]


def _laid(row: Sequence[Any]) -> tuple[Laid, PlannedTraining | None]:
    phase_id, week, slot, id_, status, skipped, deleted, *spot, title, workout_id, notes = row[:13]
    place, where = Place(week, slot), Spot(*spot)
    laid = Laid(id_, phase_id, place, Status(status), skipped, deleted, where, title, workout_id, notes)
    return laid, planned(row[13:]) if row[13] is not None else None
