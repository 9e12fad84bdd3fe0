"""What a change of phases does to trainings, and what is to be written for it: pure, of what was read."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from analytics import phases as rules
from models.fields import moment
from models.phases import PlanAction
from models.plans import Change, Place, Step
from models.trainings import Status
from storage.phases import Template
from storage.plans import PlannedTraining

_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Writes:
    """What is to be written of a plan: trainings that are made, changed and deleted, and the places of each phase."""

    created: list[tuple[UUID, dict[str, Any]]]
    changed: list[tuple[PlannedTraining, dict[str, Any]]]
    deleted: list[tuple[UUID, int]]
    links: list[tuple[UUID, UUID, Place]]
    gone: list[tuple[UUID, UUID]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of phases and trainings on `day`: `steps` begin with the phase itself, and its microcycles follow.

    `planned` are the trainings that go elsewhere or turn, and `templates` the workouts that are needed for it.
    """

    day: dt.date
    steps: list[Step]
    changes: list[Change]
    planned: Mapping[UUID, PlannedTraining]
    templates: Mapping[UUID, Template]

    def workout_id(self, change: Change) -> UUID | None:
        """Which workout the training was made from, or is to be."""
        return slot_workout(self.steps, change) if change.training is None else change.training.workout_id

    def workout(self, change: Change) -> Template | None:
        """That workout, where it is needed for the change and still there."""
        return self.templates.get(self.workout_id(change) or _NOBODY)

    def fields(self, change: Change) -> dict[str, Any]:
        """The members of the training then: one that is to be made, or that goes elsewhere or turns."""
        workout = self.workout(change)
        if change.training is not None:
            return _changed(self.planned[change.training.id].fields, change, workout)
        if workout is None:
            raise LookupError("a training is made from no workout")
        return _made(change, workout)

    def writes(self, ids: Sequence[UUID]) -> Writes:
        """What is to be written, where the trainings of `changes` have these ids."""
        writes = Writes([], [], [], [], [])
        for id_, change in zip(ids, self.changes, strict=True):
            training = change.training
            if training is None:
                writes.created.append((id_, self.fields(change)))
            elif change.action is PlanAction.DELETE:
                writes.deleted.append((id_, training.version))
            elif change.action is not PlanAction.KEEP:
                writes.changed.append((self.planned[id_], self.fields(change)))
            if change.place is None:
                writes.gone.append((change.phase_id, id_))
            elif training is None or change.place != training.place:
                writes.links.append((change.phase_id, id_, change.place))
        return writes


def slot_workout(steps: Sequence[Step], change: Change) -> UUID | None:
    """The workout that the schedule has at the change's place, None where it has none."""
    step = next((step for step in steps if step.phase_id == change.phase_id), None)
    if step is None or step.after is None or change.place is None:
        return None
    return step.after.schedule[change.place.slot].workout_id


def _made(change: Change, workout: Template) -> dict[str, Any]:
    """The members of a new training: those that a training planned from the workout has."""
    group = {} if workout.group_external_id is None else {"group_external_id": workout.group_external_id}
    fields: dict[str, Any] = {
        "status": Status.PLANNED.value,
        **_when(change),
        "title": workout.name,
        "workout_id": str(workout.id),
        "workout_version": workout.version,
        **group,
        "exercises": workout.plan,
    }
    return rules.deloaded(fields) if change.deload else fields


def _changed(fields: Mapping[str, Any], change: Change, workout: Template | None) -> dict[str, Any]:
    """The members of a training that goes to another moment, or becomes a deload training or an ordinary one."""
    if change.turns:
        fields = rules.deloaded(fields)
    elif change.turns is not None:
        fields = rules.whole(fields, [] if workout is None else workout.plan)
    return {**fields, **_when(change)}


def _when(change: Change) -> dict[str, Any]:
    spot = change.spot
    return {"date": moment(spot.date), "timezone": spot.timezone, "day": spot.day.isoformat()}
