"""Phases: how what is around one is read, and how it is kept which trainings each has laid.

The phases themselves are documents (`storage.documents`), the trainings that they lay are trainings like any other,
written as `storage.plans` does. `phase_trainings` says which phase laid each, and for which week and slot: by it the
phase of a training is found, and the trainings of a phase. The phase's document says the same as `trainings`, for who
reads it, and because after a restore the log is all there is: from there the links come back (`adopt_planned`).
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from models.errors import Conflict, Unprocessable
from models.phases import PhaseBody
from models.plans import DELOAD_NOTE, Laid, Place, Spot
from models.stored import readable
from models.trainings import Status
from storage.database import Runner
from storage.documents import StoredDocument, stored
from storage.pages import Page, page_of
from storage.phase_statements import LAID, LINK, LIST, NEIGHBOURS, TAKEN, WORKOUTS
from storage.plans import MOST_BYTES


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

    And whether the user has the goal. Of deloads that are none of these no more is said than name and days.
    """

    day: dt.date
    phases: dict[UUID, StoredPhase]
    goal_known: bool
    deleted: int | None
    """The version at which the phase itself was deleted, where it was."""


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
        the calendar has it. Phases of kinds of a later version are passed over; raises `Conflict` where it is one."""
        asked = {"user_id": user_id, "id": id_, "parent_id": parent_id, "goal_id": goal_id, "day": day}
        rows = await self._runner.all(NEIGHBOURS, asked)
        day, goal_known, deleted = rows[0][:3]

        def phases() -> dict[UUID, StoredPhase]:
            return {phase.id: phase for phase in readable(_phase, (row[3:] for row in rows if row[3]))}

        found = await asyncio.to_thread(phases)
        if id_ not in found and any(row[3] == id_ for row in rows):
            raise Conflict("A later version of the service stored this phase: it cannot be changed here.")
        return Neighbours(day, found, goal_known=goal_known, deleted=deleted)

    async def laid(
        self, user_id: UUID, phases: Collection[UUID], deloads: Collection[tuple[dt.date, dt.date]], limit: int
    ) -> list[Laid]:
        """The trainings that these phases have laid, and those of other phases on these days that a plan may change.

        At most `limit` of them, whichever these are.
        """
        parameters = {
            "user_id": user_id,
            "phases": list(phases),
            "first": [first for first, _ in deloads],
            "last": [last for _, last in deloads],
            "note": DELOAD_NOTE,
            "limit": limit,
        }
        return [_laid(row) for row in await self._runner.all(LAID, parameters)]

    async def taken(self, user_id: UUID, phase: PhaseBody, first: dt.date) -> Counter[tuple[UUID, dt.date]]:
        """How many sessions of each of the phase's workouts were begun, completed or skipped on each of its days from
        `first` on, and are of no phase."""
        ids = [slot.workout_id for slot in phase.schedule]
        asked = {"user_id": user_id, "ids": ids, "first": first, "last": phase.last}
        return Counter({(workout, day): count for workout, day, count in await self._runner.all(TAKEN, asked)})

    async def templates(self, user_id: UUID, ids: Collection[UUID], pointer: str) -> dict[UUID, Template]:
        """Those of these workouts that the user has, as they are now.

        Raises `Unprocessable`, of the member at `pointer`, where they would be too large together.
        """
        if not ids:
            return {}
        rows = await self._runner.all(WORKOUTS, {"user_id": user_id, "ids": list(ids), "most": MOST_BYTES})

        def templates() -> dict[UUID, Template]:
            return {row[0]: Template(row[0], row[1], row[2], row[3], orjson.loads(row[4])) for row in rows}

        if any(row[4] is None for row in rows):
            raise Unprocessable(f"The workouts would have more than {MOST_BYTES:,} bytes together.", pointer)
        return await asyncio.to_thread(templates)

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
    ) -> Page[tuple[dt.date, StoredDocument]]:
        """At most `limit` of the user's phases that have days from `first` to `last`: first days and phases, in order.
        Fewer where they are large (`storage.pages`).

        `after` are the first day and the id of the last phase of the page before.
        """
        after_first, after_id = after or (None, None)
        parameters = {
            "user_id": user_id,
            "first": first,
            "last": last,
            "after_first": after_first,
            "after_id": after_id,
            "limit": limit + 1,  # one more tells whether there is a next page
        }
        page = page_of(await self._runner.all(LIST, parameters), limit)
        return Page(((row[0], stored(user_id, row[1:])) for row in page), more=page.more)


def _phase(row: Sequence[Any]) -> StoredPhase:
    id_, version, said = row
    return StoredPhase(id_, version, PhaseBody.model_validate_json(said, extra="ignore"))


def _laid(row: Sequence[Any]) -> Laid:
    id_, version, phase_id, week, slot, status, skipped, deleted, *spot, title, workout_id, deload = row
    place, where = Place(week, slot), Spot(*spot)
    return Laid(
        id=id_,
        version=version,
        phase_id=phase_id,
        place=place,
        status=Status(status),
        skipped=skipped,
        deleted=deleted,
        spot=where,
        title=title,
        workout_id=workout_id,
        deload=deload,
    )
