"""Adherence: pure functions from what was planned and what was done to how far the one met the other.

| figure | definition | unit |
|---|---|---|
| sets planned | sets that carry a target; of a plan, all its sets | |
| sets done | sets that are `done`, planned or not, warm-ups included | |
| sets in target | planned sets that were done and met their target | |
| reps planned | sum of the least, and of the most, repetitions that the planned sets aim at | |
| reps done | sum of the repetitions of the sets done | |
| hold seconds planned, done | sum of the durations aimed at; of the holds done (no repetition, no distance) | s |
| max weight planned, done | greatest weight aimed at; of a set done with a repetition or a hold | kg |
| adherence | sets in target / sets planned, 0 to 1, rounded to 4 digits after the point | |

A set meets its target when it has at least the least repetitions and at least the seconds that the target names: more
is met too. A target that names neither (an RPE, a tempo, a rest, a weight) is met by doing the set. Weight and RPE are
shown and not judged, since they are what the athlete adjusts on the day.

Edge cases. Without a planned set there is nothing to adhere to, and the adherence is null; so are the sums over targets
that no planned set has. Sets beyond the plan add to what was done and never to the adherence. A set that is not `done`
counts as not done whatever it says.

Beside a plan, exercises are matched in order: first those of the same movement of the catalogue, then, of those left,
those of the same name, whatever its case. Their sets are matched to the sets done, in order: warm-ups to warm-ups, and
the others to the others.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import zip_longest

from analytics.volume import hold_seconds, kilograms
from models.adherence import Adherence, ExerciseAdherence
from models.sets import RepRangeDocument, SetDocument, SetType, TargetDocument, Unit
from models.trainings import ExerciseDocument

METHOD = "adherence: sets done that met their reps or hold target / sets planned"


class _Pair:
    """A planned set: its target, the unit of that, and the set that was done for it."""

    __slots__ = ("done", "target", "unit")

    def __init__(self, target: TargetDocument | None, unit: Unit, done: SetDocument | None) -> None:
        self.target = target or TargetDocument()
        self.unit = unit
        self.done = done

    @property
    def met(self) -> bool:
        """Whether it was done as it was planned."""
        if self.done is None:
            return False
        reps = self.reps
        enough = reps is None or self.done.reps >= reps.min
        return enough and (self.done.duration_seconds or 0) >= (self.target.duration_seconds or 0)

    @property
    def reps(self) -> RepRangeDocument | None:
        """The repetitions that it aims at."""
        reps = self.target.reps
        return RepRangeDocument(min=reps, max=reps) if isinstance(reps, int) else reps


def adherence(exercises: Iterable[ExerciseDocument]) -> Adherence:
    """Planned against actual of a training whose sets carry both."""
    return _total([_of_targets(exercise) for exercise in exercises])


def adherence_to_plan(plan: Iterable[ExerciseDocument], actual: Iterable[ExerciseDocument]) -> Adherence:
    """Planned against actual of a training that was logged beside a plan."""
    planned, left = list(plan), list(actual)
    matches: dict[int, ExerciseDocument] = {}
    for same in (_same_movement, _same_name):
        for i, exercise in enumerate(planned):
            match = next((one for one in left if i not in matches and same(exercise, one)), None)
            if match is not None:
                matches[i] = match
                left.remove(match)
    found = []
    for i, exercise in enumerate(planned):
        done = _done(matches[i].sets) if i in matches else []
        found.append(_exercise(exercise, list(_pairs(exercise.sets, done)), done))
    return _total([*found, *(_exercise(exercise, [], _done(exercise.sets)) for exercise in left)])


def _same_movement(one: ExerciseDocument, other: ExerciseDocument) -> bool:
    return one.exercise is not None and one.exercise == other.exercise


def _same_name(one: ExerciseDocument, other: ExerciseDocument) -> bool:
    return one.name.casefold() == other.name.casefold()


def _pairs(planned: Sequence[SetDocument], done: Sequence[SetDocument]) -> Iterable[_Pair]:
    for warmups in (True, False):
        aims = [set_ for set_ in planned if (set_.type is SetType.WARMUP) is warmups]
        sets = [set_ for set_ in done if (set_.type is SetType.WARMUP) is warmups][: len(aims)]
        for aim, set_ in zip_longest(aims, sets):
            yield _Pair(aim.target, aim.unit, set_)


def _of_targets(exercise: ExerciseDocument) -> ExerciseAdherence:
    pairs = [
        _Pair(set_.target, set_.unit, set_ if set_.done else None) for set_ in exercise.sets if set_.target is not None
    ]
    return _exercise(exercise, pairs, _done(exercise.sets))


def _exercise(exercise: ExerciseDocument, pairs: Sequence[_Pair], done: Sequence[SetDocument]) -> ExerciseAdherence:
    reps = [pair.reps for pair in pairs if pair.reps is not None]
    holds = [pair.target.duration_seconds for pair in pairs if pair.target.duration_seconds is not None]
    weights = [kilograms(pair.target.weight, pair.unit) for pair in pairs if pair.target.weight is not None]
    moved = [kilograms(set_.weight, set_.unit) for set_ in done if set_.reps or hold_seconds(set_)]
    met = sum(pair.met for pair in pairs)
    return ExerciseAdherence(
        name=exercise.name,
        exercise=exercise.exercise,
        sets_planned=len(pairs),
        sets_done=len(done),
        sets_in_target=met,
        reps_planned=RepRangeDocument(min=sum(r.min for r in reps), max=sum(r.max for r in reps)) if reps else None,
        reps_done=sum(set_.reps for set_ in done),
        hold_seconds_planned=_sum(holds) if holds else None,
        hold_seconds_done=float(sum(hold_seconds(set_) for set_ in done)),
        max_weight_planned_kg=_greatest(weights),
        max_weight_done_kg=_greatest(moved),
        skipped=bool(pairs) and not done,
        additional=bool(done) and not pairs,
        adherence=_ratio(met, len(pairs)),
    )


def _total(exercises: Sequence[ExerciseAdherence]) -> Adherence:
    planned = sum(exercise.sets_planned for exercise in exercises)
    met = sum(exercise.sets_in_target for exercise in exercises)
    return Adherence(
        method=METHOD,
        adherence=_ratio(met, planned),
        sets_planned=planned,
        sets_done=sum(exercise.sets_done for exercise in exercises),
        sets_in_target=met,
        exercises_skipped=sum(exercise.skipped for exercise in exercises),
        exercises_additional=sum(exercise.additional for exercise in exercises),
        exercises=tuple(exercises),
    )


def _done(sets: Iterable[SetDocument]) -> list[SetDocument]:
    return [set_ for set_ in sets if set_.done]


def _sum(seconds: Iterable[float]) -> float:
    return float(sum(Decimal(str(value)) for value in seconds))


def _greatest(weights: Sequence[Decimal]) -> float | None:
    return float(max(weights)) if weights else None


def _ratio(met: int, planned: int) -> float | None:
    return round(met / planned, 4) if planned else None
