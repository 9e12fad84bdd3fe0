"""The walks of a workout's exercises: which sessions are theirs, and the training that comes next."""

from collections.abc import Iterable
from typing import Any

import orjson

from analytics.progression import Course
from analytics.progression_ladder import Ladder
from analytics.progression_walk import Done, Session
from models.exercises import Catalogue, folded
from models.progression import (
    SHOWN_SESSIONS,
    ExerciseWalk,
    LoggedExercise,
    LoggedSet,
    LoggedTraining,
    NextExercise,
    Prescription,
    Walk,
    WorkoutHistory,
)
from models.progression_rules import HarderRule
from models.sets import known
from models.workouts import WorkoutExerciseDocument, plan_json


def workout_walks(history: WorkoutHistory, ladder: Ladder, shown: int = SHOWN_SESSIONS) -> list[ExerciseWalk]:
    """The walk of every exercise of the workout, in its order; without a rule the prescription stays as it is written.

    Only trainings count that were made from the workout, or performed, since the exercise's prescription is what it is
    now. Each walk tells the newest `shown` sessions. Long ones are work for a thread: 300 sessions of 10 exercises take
    150 ms.
    """
    walks = []
    for exercise in history.exercises:
        rule, (version, at) = exercise.progression, history.since[exercise.id]
        counted = [one for one in history.trainings if one.workout_version >= version or one.performed >= at]
        sessions = sessions_of(exercise, counted, ladder, version)
        anew = None if version <= 1 else (version, at.date())
        walk = Course(exercise, rule, ladder, anew).walk(sessions, shown)
        walks.append(ExerciseWalk(exercise_id=exercise.id, name=exercise.name, rule=rule, walk=walk))
    return walks


def sessions_of(
    exercise: WorkoutExerciseDocument, trainings: Iterable[LoggedTraining], ladder: Ladder, version: int
) -> list[Session]:
    """Those of the trainings that hold the exercise of the workout. What was made from it before `version` was planned
    by another prescription.

    It is found by the workout exercise's id, unless another movement was done in its place; else by the movement, else
    by the name. Where a rule climbs, all movements that are harder or easier are the exercise too.
    """
    climbed: frozenset[str] = frozenset()
    if isinstance(exercise.progression, HarderRule) and exercise.exercise is not None:
        climbed = ladder.above(exercise.exercise) | ladder.below(exercise.exercise)
    sessions = []
    for training in trainings:
        found = _found(exercise, training.exercises, climbed)
        if found:
            sessions.append(_session(exercise, training, found, training.workout_version < version))
    return sessions


def sessions_of_movement(exercise: WorkoutExerciseDocument, trainings: Iterable[LoggedTraining]) -> list[Session]:
    """Trainings that hold nothing but the exercise, whatever planned them, as its sessions."""
    return [_session(exercise, training, training.exercises, True) for training in trainings if training.exercises]


def _session(
    exercise: WorkoutExerciseDocument,
    training: LoggedTraining,
    found: Iterable[LoggedExercise],
    planned_otherwise: bool,
) -> Session:
    """A session: all sets together, unless a rule climbs, which tells the movements apart."""
    climbs = isinstance(exercise.progression, HarderRule)
    done: dict[str | None, tuple[LoggedSet, ...]] = {}
    for one in found:
        slug = one.exercise if climbs else exercise.exercise
        done[slug] = done.get(slug, ()) + one.sets
    return Session(training, tuple(Done(*each) for each in done.items()), planned_otherwise)


def _found(
    prescribed: WorkoutExerciseDocument, exercises: Iterable[LoggedExercise], climbed: frozenset[str]
) -> list[LoggedExercise]:
    def named(exercise: LoggedExercise) -> bool:
        return exercise.exercise is not None and prescribed.exercise is not None

    def same(exercise: LoggedExercise) -> bool:
        return exercise.exercise == prescribed.exercise or exercise.exercise in climbed

    own = [one for one in exercises if one.id == prescribed.id and (same(one) or not named(one))]
    if not climbed and _done(own):
        return own
    by_movement = [one for one in exercises if one not in own and named(one) and same(one)]
    name = folded(prescribed.name)
    by_name = [one for one in exercises if one not in own and not named(one) and folded(one.name) == name]
    if climbed:
        return own + by_movement or by_name
    ways = [way for way in (own, by_movement, by_name) if way]
    return next(filter(_done, ways), ways[0] if ways else [])


def _done(exercises: Iterable[LoggedExercise]) -> bool:
    return any(set_.done for exercise in exercises for set_ in exercise.sets)


def prescriptions(walks: Iterable[ExerciseWalk], deload: str | None, *, lighter: bool) -> list[Prescription]:
    """What comes next of each exercise, in a deload of that name or in none; `lighter` as in `NextReport`."""
    light = lighter or deload is not None
    return [on_light_day(each.walk, deload) if light else each.walk.next for each in walks]


def on_light_day(walk: Walk, deload: str | None) -> Prescription:
    """What comes next of a walk on a day in the deload of that name, or else of what was made a lighter session."""
    why = "This training was made a lighter session" if deload is None else f"The day lies in a deload ({deload})"
    return walk.light.model_copy(update={"reason": f"{why}, so {walk.light.reason}"})


def next_items(walks: Iterable[ExerciseWalk], following: Iterable[Prescription]) -> list[NextExercise]:
    """What a session prescribes of each exercise, as it is told."""
    return [
        NextExercise(exercise_id=walk.exercise_id, name=walk.name, prescription=prescription)
        for walk, prescription in zip(walks, following, strict=True)
    ]


def next_exercises(
    history: WorkoutHistory, following: Iterable[Prescription], catalogue: Catalogue
) -> list[dict[str, Any]]:
    """The `exercises` of the PLANNED training that comes next, as `models.workouts.plan_json` makes them of a workout:
    with its ids, so that what is logged is found again."""
    written = [
        _prescribed(exercise, prescription, catalogue)
        for exercise, prescription in zip(history.exercises, following, strict=True)
    ]
    plan: list[dict[str, Any]] = orjson.loads(plan_json(orjson.dumps(written)))
    return plan


def _prescribed(exercise: WorkoutExerciseDocument, prescription: Prescription, catalogue: Catalogue) -> dict[str, Any]:
    """The workout's exercise as it is prescribed now, with the weight that the plates make."""
    said = exercise.model_dump(mode="json", exclude_none=True, exclude={"progression"})
    now = prescription.model_dump(mode="json", include={"sets", "reps", "hold_seconds", "rpe"})
    now["weight"] = prescription.display_weight
    slug = prescription.exercise
    if slug is not None and slug != exercise.exercise:
        revision = catalogue.latest[slug]
        movement = catalogue.revisions[slug, revision]
        now |= {"exercise": slug, "exercise_revision": revision, "name": movement.name}
    return known(said | now)
