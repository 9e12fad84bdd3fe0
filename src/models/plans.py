"""Plans: the trainings that phases lay, and what becomes of each when a phase changes."""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from models.phases import PhaseBody, PlanAction
from models.trainings import Status

DELOAD_NOTE = "Deload: half the sets, the same weight."


class Place(NamedTuple):
    """What a phase laid a training for: the week, from 1, and the slot, as an index of its schedule."""

    week: int
    slot: int


class Spot(NamedTuple):
    """Where a phase lays a training: the local day, and the moment in UTC with its zone."""

    day: dt.date
    date: dt.datetime
    timezone: str


@dataclass(frozen=True, slots=True)
class Step:
    """A phase before and after a change: None where it is not there. `back`: it was there once, and was deleted."""

    phase_id: UUID
    before: PhaseBody | None
    after: PhaseBody | None
    back: bool = False


@dataclass(frozen=True, slots=True)
class Laid:
    """A training that a phase has laid, as it is now."""

    id: UUID
    version: int
    phase_id: UUID
    place: Place
    status: Status
    skipped: bool
    deleted: bool
    spot: Spot
    title: str | None
    workout_id: UUID | None
    deload: bool
    """Whether its notes say that it has half the sets for a deload (`DELOAD_NOTE`)."""

    @property
    def free(self) -> bool:
        """Whether a plan may change it: nobody has begun, skipped or deleted it."""
        return self.status is Status.PLANNED and not self.skipped and not self.deleted


@dataclass(frozen=True, slots=True)
class Deload:
    """The days of a phase that is a deload."""

    name: str
    first: dt.date
    last: dt.date

    @classmethod
    def of(cls, phase: PhaseBody) -> "Deload":
        """Those of this phase."""
        return cls(phase.name, phase.first, phase.last)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one training, or that one is made (`training` is None).

    `place` is what it is laid for from now on, None where its phase has no such place any more. `turns`: it becomes a
    deload training (True) or has all its sets again (False).
    """

    action: PlanAction
    training: Laid | None
    phase_id: UUID
    place: Place | None
    spot: Spot
    deload: bool
    turns: bool | None
    reason: str
