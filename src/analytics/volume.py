"""Training volume: pure functions from a training to what its sets add up to.

Rules of counting: only COMPLETED trainings count, and in them only sets that are `done`. All numbers are exact: a
weight has at most 4 digits after the point, a pound is 0.45359237 kg, and every product and sum of them fits the 28
digits of the decimal context; only the session RPE load is rounded, since it divides by 60. Definitions of the figures:

| figure | of one set | unit |
|---|---|---|
| external load | max(w, 0) · reps, w the weight in kg (negative is assistance) | kg |
| system load | max(f · m + w, 0) · reps, f the movement's `bw_fraction`, m the body mass in kg | kg |
| hard set | 1 where RPE >= 7 or none is given, and the set is no warm-up | |
| hold | its seconds, where it has 0 reps and no distance | s |
| time under tension | (E + P + C + P of the tempo, X counting 1) · reps; of a hold its seconds | s |

A figure of an exercise, session or day is the sum over its sets; warm-ups are in all but hard sets. The system load of
a set is known where it has no repetition (then it is 0), or where the exercise names a movement of the catalogue whose
`bw_fraction` is known and either that is 0 or the body mass is known; it is taken from the revision that the exercise
names. An exercise that names none is the movement that the user says its name means (`models.naming`), else of no known
fraction. Sums are of the known sets, and say how many those are.

Sources: external load is what Strong, Hevy and wger show; RPE >= 7 after Helms et al. 2016 (repetitions in reserve);
session RPE load is RPE times minutes (Foster et al. 2001).
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from uuid import UUID

from models.events import EventType
from models.exercises import folded
from models.metrics import ZERO, DailyVolume, ExerciseVolume, FoldedTraining, SessionVolume, Volume, known_sum
from models.naming import NO_NAMES, Meaning, Names
from models.performed import PerformedEvent, PerformedExercise, PerformedSet, PerformedTraining
from models.sets import SetDocument, SetType, Unit
from models.trainings import Status

METHOD_VERSION = 2  # grows with every change of a rule; a rebuild then brings the tables to the new rules
POUND_KG = Decimal("0.45359237")  # exact, by the international agreement of 1959
HARD_RPE = 7.0  # least RPE of a hard set
_RPE_LOAD_STEP = Decimal("0.0001")

RULES: Mapping[str, object] = {
    "counted": "sets that were done, of COMPLETED trainings",
    "external_load_kg": "sum of max(weight_kg, 0) * reps",
    "exercise": "as logged; where no movement was logged, what the user says that the name means",
    "system_load_kg": "sum of max(bw_fraction * bodyweight_kg + weight_kg, 0) * reps, over system_load_sets sets",
    "hard_sets": "rpe >= hard_rpe or no rpe; warm-ups excluded",
    "hold_seconds": "duration_seconds of sets without reps and distance",
    "time_under_tension_seconds": "sum of the tempo's phases * reps, X counting 1; hold_seconds for holds",
    "session_rpe_load": "session_rpe * duration_seconds / 60, rounded half up to 4 digits after the point",
    "hard_rpe": HARD_RPE,
    "pound_kg": float(POUND_KG),
}

Fractions = Mapping[tuple[str, int], Decimal | None]
"""`bw_fraction` of each (slug, revision) of the catalogue; None is unknown."""


def fold(
    event: PerformedEvent, fractions: Fractions, source_seq: int | None, names: Names = NO_NAMES
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
        session=session_volume(training, fractions, names.meanings) if counted else SessionVolume(),
        source_seq=source_seq,
        updated_at=event.timestamp,
        names_version=names.version,
    )


def session_volume(
    training: PerformedTraining, fractions: Fractions, meanings: Mapping[str, Meaning] = NO_NAMES.meanings
) -> SessionVolume:
    """The volume of a training, whatever its status, and of each of its exercises that has a performed set.

    `meanings` are those of the user's names.
    """
    body_mass = _known(training.bodyweight_kg)
    exercises = []
    naming = 0
    for position, exercise in enumerate(training.exercises, 1):
        meaning = meanings.get(folded(exercise.name)) if meanings and exercise.exercise is None else None
        fraction = _fraction(exercise, fractions) if meaning is None else meaning.bw_fraction
        figures = exercise_volume(position, exercise, fraction, body_mass)
        if not figures.volume.sets:
            continue
        if meaning is not None:
            naming = max(naming, meaning.version)
            figures = figures._replace(
                exercise=meaning.exercise,
                exercise_revision=meaning.exercise_revision,
                own_exercise=meaning.own_exercise,
            )
        exercises.append(figures)
    rpe = _known(training.session_rpe)
    return SessionVolume(
        volume=Volume.total([exercise.volume for exercise in exercises]),
        exercises=tuple(exercises),
        duration_seconds=training.duration_seconds,
        session_rpe=rpe,
        session_rpe_load=session_rpe_load(rpe, training.duration_seconds),
        naming=naming,
    )


def exercise_volume(
    position: int, exercise: PerformedExercise, fraction: Decimal | None, body_mass: Decimal | None
) -> ExerciseVolume:
    """The volume of the performed sets of an exercise.

    `fraction` is its movement's `bw_fraction`, `body_mass` the athlete's in kg; None is unknown. `max_weight_kg` is the
    greatest weight of a set with a repetition or a hold, negative where all were assisted; None without such a set.
    """
    own_load = ZERO if fraction == 0 else None if fraction is None or body_mass is None else fraction * body_mass
    sets = reps = hard = known = 0
    external = system = held = tension = ZERO
    heaviest: Decimal | None = None
    for set_ in exercise.sets:
        if not set_.done:
            continue
        weight = kilograms(set_.weight, set_.unit)
        sets += 1
        hard += is_hard(set_)
        if set_.reps:
            reps += set_.reps
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
        if heaviest is None or weight > heaviest:
            heaviest = weight
    volume = Volume(sets, reps, hard, external, system if known else None, known, held, tension)
    return ExerciseVolume(position, exercise.name, exercise.exercise, exercise.exercise_revision, volume, heaviest)


@lru_cache(maxsize=4096)
def kilograms(weight: float, unit: Unit) -> Decimal:
    """An external weight in kilograms, exactly as entered; negative is assistance."""
    return _decimal(weight) if unit is Unit.KG else _decimal(weight) * POUND_KG


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
    return (rpe * duration_seconds / 60).quantize(_RPE_LOAD_STEP, ROUND_HALF_UP)


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
        )
        for (user_id, day), counted in days.items()
    }


def _fraction(exercise: PerformedExercise, fractions: Fractions) -> Decimal | None:
    if exercise.exercise is None or exercise.exercise_revision is None:
        return None
    return fractions.get((exercise.exercise, exercise.exercise_revision))


def _known(value: float | None) -> Decimal | None:
    return None if value is None else _decimal(value)


def _decimal(value: float) -> Decimal:
    # The shortest text of a double is what was entered: all bounds lie within its 15 exact digits.
    return Decimal(int(value)) if value.is_integer() else Decimal(repr(value))
