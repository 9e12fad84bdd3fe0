"""Training volume: pure functions from a training to what its sets add up to.

Rules of counting: only COMPLETED trainings count, and in them only sets that are `done`. Sums are exact: a weight has
at most 4 digits after the point, a pound is 0.45359237 kg, and every product and sum of them fits the 28 digits of the
decimal context; what divides is rounded half up to 4 digits after the point. Definitions of the figures:

| figure | of one set | unit |
|---|---|---|
| external load | max(w, 0) · reps, w the weight in kg (negative is assistance) | kg |
| system load | max(f · m + w, 0) · reps, f the movement's `bw_fraction`, m the body mass in kg | kg |
| hard set | 1 where RPE >= 7 or none is given, and the set is no warm-up | |
| hold | its seconds, where it has 0 reps and no distance | s |
| time under tension | (E + P + C + P of the tempo, X counting 1) · reps; of a hold its seconds | s |
| work | reps; of a hold its seconds / 3 | work units |

A figure of an exercise, session or day is the sum over its sets; warm-ups are in all but hard sets. The best sets of an
exercise (greatest weight, e1RM, rep maxima, longest hold) are found without warm-ups, and but for the hold without the
positive weights of an exercise that is called assisted (`analytics.strength.is_assisted`): these may be help, written
without its sign. The sums have them as they were logged.

The system load of a set is known where it has no repetition (then it is 0), or where the exercise names a movement of
the catalogue whose `bw_fraction` is known and either that is 0 or the body mass is known; it is taken from the revision
that the exercise names. An exercise that names none is the movement that the user says its name means
(`models.naming`), else of no known fraction. Sums are of the known sets, and say how many those are.

| figure | of one session |
|---|---|
| skill work, strength work | the work of exercises of category Skill; of Push, Pull, Legs and Core |
| estimated intensity | Σ difficulty · work / Σ work, over the exercises of known difficulty |
| density | work units a minute of the session's duration |
| relative intensity | mean share of the e1RM over sets with a repetition that are no warm-up (`analytics.strength`) |

Work units, estimated intensity and density are definitions of our own: skill and strength work are the specification's
skill and strength volume, where it says no more. An exercise's work is rounded, its sums are of what is rounded.

Sources: external load is what Strong, Hevy and wger show; RPE >= 7 after Helms et al. 2016 (repetitions in reserve);
session RPE load is RPE times minutes (Foster et al. 2001).
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from uuid import UUID

from analytics.strength import best_set, is_assisted, mean, rep_maxima, share_of_1rm
from models.events import EventType
from models.exercises import UNKNOWN, Category, Facts, folded
from models.metrics import ZERO, DailyVolume, ExerciseVolume, FoldedTraining, SessionVolume, Volume, known_sum
from models.naming import NO_NAMES, Meaning, Names
from models.performed import PerformedEvent, PerformedExercise, PerformedSet, PerformedTraining
from models.sets import SetDocument, SetType, Unit
from models.trainings import Status

# Grows with every change of a rule: workers then compute anew what was folded by the rules before. The condition of the
# index `folded_trainings_outdated` grows with it, by a migration.
METHOD_VERSION = 3
POUND_KG = Decimal("0.45359237")  # exact, by the international agreement of 1959
HARD_RPE = 7.0  # least RPE of a hard set
HOLD_SECONDS_PER_WORK_UNIT = 3
_STEP = Decimal("0.0001")

RULES: Mapping[str, object] = {
    "counted": "sets that were done, of COMPLETED trainings",
    "external_load_kg": "sum of max(weight_kg, 0) * reps, warm-ups included, as in all sums but hard_sets",
    "exercise": "as logged; where no movement was logged, what the user says that the name means",
    "system_load_kg": "sum of max(bw_fraction * bodyweight_kg + weight_kg, 0) * reps, over system_load_sets sets",
    "hard_sets": "rpe >= hard_rpe or no rpe; warm-ups excluded",
    "hold_seconds": "duration_seconds of sets without reps and distance",
    "time_under_tension_seconds": "sum of the tempo's phases * reps, X counting 1; hold_seconds for holds",
    "session_rpe_load": "session_rpe * duration_seconds / 60, rounded half up to 4 digits after the point",
    "work": "own definition: reps + hold_seconds / 3, rounded half up to 4 digits after the point for each exercise",
    "skill_work": "work of exercises of category Skill",
    "strength_work": "work of exercises of category Push, Pull, Legs or Core",
    "estimated_intensity": "own definition: sum of difficulty * work / sum of work, exercises of known difficulty",
    "density": "own definition: work * 60 / duration_seconds",
    "relative_intensity": "mean share of the e1RM over sets with reps, warm-ups excluded; by the RPE curve, else "
    "Brzycki's, 0.5 at least",
    "e1rm_kg": "best Epley w * (1 + reps / 30), w at 1 rep, none beyond 12 reps; with bw_fraction > 0, but for "
    "lifts of a barbell, dumbbell or kettlebell, on bw_fraction * bodyweight_kg + weight_kg, then less the former",
    "rep_maxima": "sets (weight_kg, reps) beside which no other has as much weight and as many reps",
    "best_sets": "max_weight_kg, e1rm_kg, rep_maxima and longest_hold_seconds leave out warm-ups; all but the last "
    "also leave out positive weights of exercises with the word assisted in the name or the movement's slug",
    "hard_rpe": HARD_RPE,
    "pound_kg": float(POUND_KG),
}

Movements = Mapping[tuple[str, int], Facts]
"""What each (slug, revision) of the catalogue is computed with; one that is not there is unknown."""


def fold(
    event: PerformedEvent, movements: Movements, source_seq: int | None, names: Names = NO_NAMES
) -> FoldedTraining:
    """What the event leaves of its training in the derived tables. An uncounted training leaves empty figures.

    `names` are the user's.
    """
    training = event.payload
    deleted = event.event_type is EventType.TRAINING_DELETED
    counted = training.status is Status.COMPLETED and not deleted
    return FoldedTraining(
        user_id=training.user_id,
        training_id=training.training_id,
        version=training.version,
        deleted=deleted,
        counted=counted,
        day=training.day,
        date=training.date,
        timezone=training.timezone,
        session=session_volume(training, movements, names.meanings) if counted else SessionVolume(),
        source_seq=source_seq,
        updated_at=event.timestamp,
        names_version=names.version,
        method=METHOD_VERSION,
    )


def session_volume(
    training: PerformedTraining, movements: Movements, meanings: Mapping[str, Meaning] = NO_NAMES.meanings
) -> SessionVolume:
    """The figures of a training, whatever its status, and of each of its exercises that has a performed set.

    `meanings` are those of the user's names.
    """
    body_mass = _known(training.bodyweight_kg)
    exercises = []
    share, rated = ZERO, 0
    naming = 0
    for position, exercise in enumerate(training.exercises, 1):
        meaning = meanings.get(folded(exercise.name)) if meanings and exercise.exercise is None else None
        facts = _facts(exercise, movements) if meaning is None else meaning.facts
        slug = exercise.exercise if meaning is None else meaning.exercise or meaning.own_exercise
        figures, of_sets, working = exercise_volume(position, exercise, slug, facts, body_mass)
        if not figures.volume.sets:
            continue
        share += of_sets
        rated += working
        if meaning is not None:
            naming = max(naming, meaning.version)
            figures = figures._replace(
                exercise=meaning.exercise,
                exercise_revision=meaning.exercise_revision,
                own_exercise=meaning.own_exercise,
            )
        exercises.append(figures)
    rpe = _known(training.session_rpe)
    skill, strength, intensity, density = _work(exercises, training.duration_seconds)
    return SessionVolume(
        volume=Volume.total([exercise.volume for exercise in exercises]),
        exercises=tuple(exercises),
        duration_seconds=training.duration_seconds,
        session_rpe=rpe,
        session_rpe_load=session_rpe_load(rpe, training.duration_seconds),
        naming=naming,
        skill_work=skill,
        strength_work=strength,
        estimated_intensity=intensity,
        density=density,
        relative_intensity=mean(share, rated),
    )


def exercise_volume(
    position: int, exercise: PerformedExercise, slug: str | None, facts: Facts, body_mass: Decimal | None
) -> tuple[ExerciseVolume, Decimal, int]:
    """The figures of the performed sets of an exercise; the shares of the e1RM of its sets, summed, and of how many.

    `slug` and `facts` are its movement's, `body_mass` the athlete's in kg; None is unknown. `max_weight_kg` is the
    greatest weight of a set with a repetition or a hold, negative where all were assisted; None without such a set.
    The e1RM is of the whole load where the movement lifts a part of the body and no implement, and then there is none
    without a body mass; else of the external weight. Sums have all performed sets; the greatest weight, the e1RM, the
    rep maxima and the longest hold are those of sets that are no warm-up, and but for the hold not those of a positive
    weight where the exercise `is_assisted`.
    """
    fraction, category, family, difficulty, implement = facts
    own_load = ZERO if fraction == 0 else None if fraction is None or body_mass is None else fraction * body_mass
    sets = reps = hard = known = 0
    external = system = held = longest = tension = ZERO
    heaviest: Decimal | None = None
    lifted: list[tuple[Decimal, int]] = []
    share, working = ZERO, 0
    assisted = is_assisted(exercise.name, slug)
    for set_ in exercise.sets:
        if not set_.done:
            continue
        weight = kilograms(set_.weight, set_.unit)
        warm_up = set_.type is SetType.WARMUP
        compared = not warm_up and not (assisted and weight > ZERO)
        sets += 1
        hard += is_hard(set_)
        if set_.reps:
            reps += set_.reps
            if compared:
                lifted.append((weight, set_.reps))
            if not warm_up:
                share += share_of_1rm(set_.reps, set_.rpe)
                working += 1
            if weight > ZERO:
                external += weight * set_.reps
            if own_load is not None:
                known += 1
                system += max(own_load + weight, ZERO) * set_.reps
            if set_.tempo is not None:
                tension += seconds_per_rep(set_.tempo) * set_.reps
        else:
            known += 1
            hold = hold_seconds(set_)
            held += hold
            tension += hold
            if not hold:
                continue
            if not warm_up:
                longest = max(longest, hold)
        if compared and (heaviest is None or weight > heaviest):
            heaviest = weight
    lifts_body = bool(fraction) and not implement
    best = None if lifts_body and body_mass is None else best_set(lifted, own_load or ZERO if lifts_body else ZERO)
    value, best_weight, best_reps = best or (None, None, None)
    figures = ExerciseVolume(
        position,
        exercise.name,
        exercise.exercise,
        exercise.exercise_revision,
        Volume(sets, reps, hard, external, system if known else None, known, held, tension),
        heaviest,
        None,
        category,
        family,
        difficulty,
        _rounded(reps + held / HOLD_SECONDS_PER_WORK_UNIT) if held else Decimal(reps),
        value,
        best_weight,
        best_reps,
        longest or None,
        _json(lifted) if lifted else None,
        mean(share, working),
        exercise.exercise,
    )
    return figures, share, working


@lru_cache(maxsize=4096)
def kilograms(weight: float, unit: Unit) -> Decimal:
    """An external weight in kilograms, exactly as entered; negative is assistance."""
    return _decimal(weight) if unit is Unit.KG else (_decimal(weight) * POUND_KG).normalize()


def is_hard(set_: PerformedSet) -> bool:
    """Whether the set counts as a hard one: RPE >= 7 or none given, and no warm-up."""
    return set_.type is not SetType.WARMUP and (set_.rpe is None or set_.rpe >= HARD_RPE)


def hold_seconds(set_: PerformedSet | SetDocument) -> Decimal:
    """Seconds that the set was held: its duration, where it has no repetition and no distance; else 0."""
    if set_.duration_seconds is None or set_.reps or set_.distance_m:
        return ZERO
    return _decimal(set_.duration_seconds)


@lru_cache(maxsize=1024)
def seconds_per_rep(tempo: str) -> int:
    """Seconds under tension of one repetition at a tempo like `3-0-1-0`; the explosive X counts 1."""
    return sum(1 if phase == "X" else int(phase) for phase in tempo.split("-"))


def session_rpe_load(rpe: Decimal | None, duration_seconds: int | None) -> Decimal | None:
    """RPE (0 to 10) times minutes, rounded half up to 4 digits after the point; None when either is unknown."""
    if rpe is None or duration_seconds is None:
        return None
    return (rpe * duration_seconds / 60).quantize(_STEP, ROUND_HALF_UP)


def daily_volumes(trainings: Iterable[FoldedTraining]) -> dict[tuple[UUID, dt.date], DailyVolume]:
    """The sums of the counted trainings of each user and local day that has one."""
    days = defaultdict(list)
    for training in trainings:
        if training.counted:
            days[training.user_id, training.day].append(training)
    return {
        (user_id, day): DailyVolume(
            user_id,
            day,
            sessions=len(counted),
            volume=Volume.total([training.session.volume for training in counted]),
            duration_seconds=known_sum(training.session.duration_seconds for training in counted),
            session_rpe_load=known_sum(training.session.session_rpe_load for training in counted),
            source_seq=max(
                (training.source_seq for training in counted if training.source_seq is not None), default=None
            ),
            updated_at=max(training.updated_at for training in counted),
            skill_work=sum((training.session.skill_work for training in counted), ZERO),
            strength_work=sum((training.session.strength_work for training in counted), ZERO),
        )
        for (user_id, day), counted in days.items()
    }


def _facts(exercise: PerformedExercise, movements: Movements) -> Facts:
    if exercise.exercise is None or exercise.exercise_revision is None:
        return UNKNOWN
    return movements.get((exercise.exercise, exercise.exercise_revision), UNKNOWN)


def _work(
    exercises: Iterable[ExerciseVolume], duration_seconds: int | None
) -> tuple[Decimal, Decimal, Decimal | None, Decimal | None]:
    """Skill work, strength work, estimated intensity and density."""
    work = skill = strength = rated = weighted = ZERO
    for exercise in exercises:
        work += exercise.work
        if exercise.category == Category.SKILL:
            skill += exercise.work
        elif exercise.category is not None:
            strength += exercise.work
        if exercise.difficulty is not None:
            rated += exercise.work
            weighted += exercise.difficulty * exercise.work
    intensity = _rounded(weighted / rated) if rated else None
    return skill, strength, intensity, _rounded(work * 60 / duration_seconds) if duration_seconds else None


def _json(lifted: Iterable[tuple[Decimal, int]]) -> str:
    return f"[{', '.join([f'[{weight!s}, {reps}]' for weight, reps in rep_maxima(lifted)])}]"


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_STEP, ROUND_HALF_UP)


def _known(value: float | None) -> Decimal | None:
    return None if value is None else _decimal(value)


def _decimal(value: float) -> Decimal:
    # The shortest text of a double is what was entered: all bounds lie within its 15 exact digits.
    return Decimal(int(value)) if value.is_integer() else Decimal(repr(value))
