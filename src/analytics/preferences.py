"""What an athlete prefers: a pure function from completed trainings to movements done often, skipped, and replaced.

| figure | definition |
|---|---|
| looked at | the completed trainings of 120 local days up to the day, of these the latest 100 |
| often | movements with a set done in 3 trainings or more; the 10 with most |
| planned | of a training made from a workout that still is at the training's version: the workout's exercises; of another one: exercises with a set that has a target |
| done | a set of it was done; or, where the workout's rule climbs, of a movement that is harder or easier than it |
| skipped | planned, and not done; of the last 6 times that it was planned |
| replaced | skipped, while another movement was done that was not planned |

An exercise of a workout that the athlete turned into another movement was skipped, and that other one done in its
place. What else was done beside the plan takes the place of what was skipped: first where both are of one category,
then, of those whose category is not known, in order; each takes one place. A movement that a rule climbs to is the
exercise itself, as it is for the rule: it took no place.
"""  # noqa: E501 - a table

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple
from uuid import UUID

from analytics.progression_ladder import Ladder
from analytics.words import counted
from models.exercises import Catalogue, folded
from models.preferences import Often, Preferences, Replaced, Skipped

DAYS_BACK = 120
MOST_TRAININGS = 100
LAST_TIMES = 6
LEAST_TIMES = 3
MOST_OFTEN = 10


class DoneExercise(NamedTuple):
    """An exercise of a completed training: how many of its sets carry a target, and how many were done."""

    id: UUID
    name: str
    exercise: str | None
    planned: int
    done: int


class WorkoutExercise(NamedTuple):
    """An exercise of a workout."""

    id: UUID
    name: str
    exercise: str | None


@dataclass(frozen=True, slots=True)
class DoneTraining:
    """A completed training. `workout` is what it was made from, None where that is not known any more. `climbs` are the
    exercises of the workout whose rule, as it is now, leads to harder movements."""

    id: UUID
    day: dt.date
    exercises: Sequence[DoneExercise]
    workout: Sequence[WorkoutExercise] | None = None
    climbs: frozenset[UUID] = frozenset()


class Replacement(NamedTuple):
    """A movement that was done, as the latest of the trainings has it."""

    movement: str
    name: str
    exercise: str | None


@dataclass(frozen=True, slots=True)
class Habit:
    """What became of a movement the last times that it was planned.

    `planned` counts these times, 6 at most; `skipped` are the trainings among them in which it was not done, the latest
    first, with the days; `by` is what was done in its place most often, in the trainings `replaced`.
    """

    movement: str
    name: str
    planned: int
    skipped: tuple[tuple[UUID, dt.date], ...]
    by: Replacement | None
    replaced: tuple[UUID, ...]


class _Time(NamedTuple):
    """One time that a movement was planned: whether it was done, and what was in its place."""

    training: DoneTraining
    name: str
    done: bool
    by: Replacement | None


def movement_key(name: str, exercise: str | None) -> str:
    """The key of a movement as it was logged: the slug, or `name:` and the name as names are compared."""
    return exercise or f"name:{folded(name)}"


def habits(trainings: Sequence[DoneTraining], catalogue: Catalogue) -> list[Habit]:
    """What became of each movement that was planned; `trainings` come the latest first. Ordered by movement."""
    times: defaultdict[str, list[_Time]] = defaultdict(list)
    ladder = Ladder.of(catalogue)
    chain = cache(lambda slug: ladder.above(slug) | ladder.below(slug))
    for training in trainings:
        for movement, time in _times(training, catalogue, chain):
            times[movement].append(time)
    return [_habit(movement, times[movement][:LAST_TIMES]) for movement in sorted(times)]


def preferences(trainings: Sequence[DoneTraining], found: Iterable[Habit]) -> Preferences:
    """What clients read of it; `found` is what `habits` made of the trainings."""
    skipped = [habit for habit in found if _often_skipped(habit)]
    skipped.sort(key=lambda habit: (-len(habit.skipped) / habit.planned, -habit.planned, habit.movement))
    return Preferences(
        often=_often(trainings),
        skipped=[Skipped(**_skipped(habit)) for habit in skipped],
        replaced=[_replaced(habit, habit.by) for habit in skipped if habit.by],
        reason=(
            f"From {counted(len(trainings), 'completed training')} of the last {DAYS_BACK} days."
            if trainings
            else f"No training was completed in the last {DAYS_BACK} days, so nothing is known of what you prefer."
        ),
    )


def _times(
    training: DoneTraining, catalogue: Catalogue, chain: Callable[[str], frozenset[str]]
) -> Iterable[tuple[str, _Time]]:
    """What became of each movement that it planned. `chain` has all that is harder or easier than a movement."""
    done = {exercise.id: exercise for exercise in training.exercises if exercise.done}
    if training.workout is not None:
        planned = list(training.workout)
        own = {exercise.id: movement_key(exercise.name, exercise.exercise) for exercise in planned}
    else:
        planned = [WorkoutExercise(*exercise[:3]) for exercise in training.exercises if exercise.planned]
        own = {}
    # What stands in an exercise's own place as another movement took that place; the rest takes any.
    swapped: dict[UUID, Replacement] = {}
    beside: list[Replacement] = []
    wanted = {movement_key(exercise.name, exercise.exercise) for exercise in planned}
    made = {movement_key(exercise.name, exercise.exercise) for exercise in done.values()}
    climbed: set[str] = set()
    for exercise in planned:
        if exercise.id not in training.climbs or exercise.exercise is None:
            continue
        there = {one.exercise for one in done.values() if one.id == exercise.id or one.exercise not in wanted}
        climbing = chain(exercise.exercise) & there
        if climbing:
            climbed |= climbing
            made.add(exercise.exercise)
    for one in done.values():
        replacement = Replacement(movement_key(one.name, one.exercise), one.name, one.exercise)
        if replacement.movement in climbed:
            continue
        if one.id in own and replacement.movement != own[one.id]:
            swapped[one.id] = replacement
        elif replacement.movement not in wanted:
            beside.append(replacement)
    missing = [
        exercise
        for exercise in planned
        if movement_key(exercise.name, exercise.exercise) not in made and exercise.id not in swapped
    ]
    swapped |= _matched(missing, beside, catalogue)
    for exercise in planned:
        movement = movement_key(exercise.name, exercise.exercise)
        was_done = movement in made
        yield movement, _Time(training, exercise.name, was_done, None if was_done else swapped.get(exercise.id))


def _matched(
    missing: Sequence[WorkoutExercise], beside: Sequence[Replacement], catalogue: Catalogue
) -> dict[UUID, Replacement]:
    left = list(beside)
    found: dict[UUID, Replacement] = {}
    for known in (True, False):
        for exercise in missing:
            category = category_of(exercise.exercise, catalogue)
            for replacement in left:
                other = category_of(replacement.exercise, catalogue)
                same = category == other if known else category is None or other is None
                if exercise.id not in found and same and (category is not None or not known):
                    found[exercise.id] = replacement
                    left.remove(replacement)
                    break
    return found


def category_of(slug: str | None, catalogue: Catalogue) -> str | None:
    """The category of a movement of the catalogue; None where none is known."""
    revision = catalogue.latest.get(slug or "")
    return None if slug is None or revision is None else catalogue.revisions[slug, revision].category


def _habit(movement: str, times: Sequence[_Time]) -> Habit:
    skipped = [time for time in times if not time.done]
    counts = Counter(time.by.movement for time in skipped if time.by)
    best = min(counts, key=lambda key: (-counts[key], key), default=None)
    by = next((time.by for time in skipped if time.by and time.by.movement == best), None)
    return Habit(
        movement=movement,
        name=times[0].name,
        planned=len(times),
        skipped=tuple((time.training.id, time.training.day) for time in skipped),
        by=by,
        replaced=tuple(time.training.id for time in skipped if time.by and time.by.movement == best),
    )


def _often_skipped(habit: Habit) -> bool:
    return habit.planned >= LEAST_TIMES and 2 * len(habit.skipped) >= habit.planned


def _often(trainings: Sequence[DoneTraining]) -> list[Often]:
    names: dict[str, str] = {}
    sessions: Counter[str] = Counter()
    for training in trainings:
        done = {movement_key(e.name, e.exercise): e.name for e in training.exercises if e.done}
        names = done | names  # the latest comes first
        sessions.update(done.keys())
    most = sorted(sessions, key=lambda movement: (-sessions[movement], movement))[:MOST_OFTEN]
    return [
        Often(
            movement=movement,
            name=names[movement],
            sessions=sessions[movement],
            reason=f"Done in {sessions[movement]} of {counted(len(trainings), 'completed training')}.",
        )
        for movement in most
        if sessions[movement] >= LEAST_TIMES
    ]


def _skipped(habit: Habit) -> Mapping[str, object]:
    return {
        "movement": habit.movement,
        "name": habit.name,
        "planned": habit.planned,
        "skipped": len(habit.skipped),
        "trainings": [training for training, _ in habit.skipped],
        "reason": f"Skipped {len(habit.skipped)} of the last {habit.planned} times that it was planned.",
    }


def _replaced(habit: Habit, by: Replacement) -> Replaced:
    said = dict(_skipped(habit)) | {
        "reason": f"Skipped {len(habit.skipped)} of the last {habit.planned} times that it was planned; "
        f"{counted(len(habit.replaced), 'time')} you did {by.name} in its place.",
    }
    return Replaced(**said, by=by.movement, by_name=by.name, times=len(habit.replaced))
