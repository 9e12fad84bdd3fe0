"""What accepting advice does to planned trainings: pure functions from a training's members to what they become.

A training is a dict of the members of a `TrainingDocument`. None of these functions changes what it is given; what it
does not change keeps its value and its place.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from analytics.advice_inputs import Plan, Prescribed, day_of
from analytics.preferences import Replacement
from analytics.sets import Fields, free_order, halved, is_warmup, set_id
from models.advice import AdviceChange, AdvisedExercise, AdvisedSets, ExerciseChange
from models.exercises import Catalogue
from models.fields import moment, number
from models.sets import RepRangeDocument, SetType, known

_AIMS = ("reps", "weight", "duration_seconds")  # what a target says of one movement alone
_KEPT = ("tempo", "rest_seconds")  # what no rule of progression says


def moved(fields: Fields, day: dt.date) -> Fields:
    """The training on another local day, at the same local time."""
    zone = ZoneInfo(fields["timezone"])
    local = dt.datetime.fromisoformat(fields["date"]).astimezone(zone)
    at = dt.datetime.combine(day, local.timetz())
    # A local time that the clock leaves out is as far into the day as its offset before says.
    at = at.astimezone(dt.UTC)
    return fields | {"date": moment(at), "day": at.astimezone(zone).date().isoformat()}


def lightened(fields: Fields) -> Fields:
    """The training with half of each exercise's sets (`analytics.sets.halved`)."""
    return fields | {"exercises": halved(fields["exercises"])}


def prescribed(fields: Fields, prescription: Prescribed, catalogue: Catalogue) -> Fields:
    """The training whose exercise aims at what is prescribed, with what plates can make of the weight; its warm-ups,
    tempo and rest stay."""
    weight = prescription.weight if prescription.display_weight is None else prescription.display_weight

    def change(exercise: Fields) -> Fields:
        warmups = [set_ for set_ in exercise["sets"] if is_warmup(set_)]
        working = [set_ for set_ in exercise["sets"] if not is_warmup(set_)][: prescription.sets]
        aims = known(
            {
                "reps": _reps(prescription.reps),
                "weight": None if weight is None else number(round(weight, 4)),
                "duration_seconds": None if prescription.hold_seconds is None else number(prescription.hold_seconds),
                "rpe": None if prescription.rpe is None else number(prescription.rpe),
            }
        )
        sets = [_aimed(set_, aims, prescription.unit) for set_ in working]
        while len(sets) < prescription.sets:
            sets.append(_one_more(exercise, [*warmups, *sets], sets, aims, prescription))
        named = _named(exercise, prescription.name, prescription.exercise, catalogue)
        return named | {"sets": sorted([*warmups, *sets], key=lambda set_: set_["order"])}

    return _changed(fields, str(prescription.exercise_id), change)


def one_set_more(fields: Fields, exercise_id: str) -> Fields:
    """The training with one more set of the exercise, like its last working one."""

    def change(exercise: Fields) -> Fields:
        last = [set_ for set_ in exercise["sets"] if not is_warmup(set_)][-1]
        place = free_order(exercise["sets"])
        return exercise | {"sets": [*exercise["sets"], last | {"id": set_id(exercise, place), "order": place}]}

    return _changed(fields, exercise_id, change)


def replaced(fields: Fields, exercise_id: str, by: Replacement, catalogue: Catalogue) -> Fields:
    """The training with another movement in the exercise's place, under an id of its own.

    Its sets aim at the same exertion, tempo and rest. Repetitions, weight and hold are of the other movement: nobody
    said what they are to be of this one.
    """

    def change(exercise: Fields) -> Fields:
        id_ = str(uuid5(UUID(exercise["id"]), by.movement))
        sets = [_unaimed(set_) | {"id": str(uuid5(UUID(id_), str(set_["order"])))} for set_ in exercise["sets"]]
        return _named(exercise, by.name, by.exercise, catalogue) | {"id": id_, "sets": sets}

    return _changed(fields, exercise_id, change)


def change_of(plan: Plan, after: Mapping[str, Any]) -> AdviceChange:
    """What clients read of a change of the planned training to `after`."""
    before = plan.fields
    day = dt.date.fromisoformat(str(after["day"]))
    return AdviceChange(
        training_id=plan.id,
        title=before.get("title"),
        day=day_of(plan),
        day_after=None if day == day_of(plan) else day,
        exercises=[
            ExerciseChange(before=_told(old), after=_told(new))
            for old, new in zip(before["exercises"], after["exercises"], strict=True)
            if old != new
        ],
    )


def exercise_in(plan: Plan, exercise_id: UUID) -> Fields | None:
    """The exercise with this id of a planned training."""
    return next((one for one in plan.fields["exercises"] if one["id"] == str(exercise_id)), None)


def has_work(exercise: Fields) -> bool:
    """Whether an exercise has a set that is no warm-up."""
    return any(not is_warmup(set_) for set_ in exercise["sets"])


def _changed(fields: Fields, exercise_id: str, change: Callable[[Fields], Fields]) -> Fields:
    exercises = [change(one) if one["id"] == exercise_id else one for one in fields["exercises"]]
    return fields | {"exercises": exercises}


def _aimed(set_: Fields, aims: Fields, unit: str) -> Fields:
    kept = {name: value for name, value in set_.get("target", {}).items() if name in _KEPT}
    return _with_target(set_ | {"unit": str(unit)}, aims | kept)  # in the order in which a target is told


def _unaimed(set_: Fields) -> Fields:
    return _with_target(set_, {k: v for k, v in set_.get("target", {}).items() if k not in _AIMS})


def _with_target(set_: Fields, target: Fields) -> Fields:
    if target:
        return set_ | {"target": target}
    return {name: value for name, value in set_.items() if name != "target"}


def _one_more(
    exercise: Fields, there: Sequence[Fields], sets: Sequence[Fields], aims: Fields, prescription: Prescribed
) -> Fields:
    place = free_order(there)
    like = sets[-1] if sets else {"weight": 0, "unit": "kg", "reps": 0, "done": False, "type": str(SetType.WORKING)}
    return {"id": set_id(exercise, place), "order": place} | _aimed(
        {name: value for name, value in like.items() if name not in ("id", "order")}, aims, prescription.unit
    )


def _named(exercise: Fields, name: str, slug: str | None, catalogue: Catalogue) -> Fields:
    """The exercise as one of this movement; the same one keeps its name and revision."""
    if slug == exercise.get("exercise") and (slug is not None or name == exercise["name"]):
        return exercise
    revision = catalogue.latest.get(slug or "")
    if slug is None or revision is None:
        new: Fields = {"name": name}
    else:
        new = {"name": catalogue.revisions[slug, revision].name, "exercise": slug, "exercise_revision": revision}
    rest = {k: v for k, v in exercise.items() if k not in ("id", "name", "exercise", "exercise_revision")}
    return {"id": exercise["id"]} | new | rest


def _reps(reps: int | RepRangeDocument | None) -> object:
    if isinstance(reps, RepRangeDocument):
        return reps.min if reps.min == reps.max else {"min": reps.min, "max": reps.max}
    return reps


def _told(exercise: Fields) -> AdvisedExercise:
    alike = groupby(exercise["sets"], key=lambda set_: (set_["unit"], set_["type"], set_.get("target")))
    planned = [
        AdvisedSets(sets=len(list(sets)), unit=unit, type=type_, target=target) for (unit, type_, target), sets in alike
    ]
    return AdvisedExercise(
        id=UUID(exercise["id"]), name=exercise["name"], exercise=exercise.get("exercise"), planned=planned
    )
