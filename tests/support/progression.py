"""Short ways to write a rule, a prescription and sessions; and a real log, tried against every kind of rule."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from analytics.progression import walk
from analytics.progression_ladder import Ladder
from analytics.progression_walk import Done, Session
from analytics.progression_workouts import sessions_of_movement
from models.exercises import Movement, folded
from models.fields import number
from models.foreign_logs import Session as LoggedSession
from models.progression import Decision, LoggedExercise, LoggedSet, LoggedTraining, Walk, WalkSession
from models.progression_rules import Rule
from models.sets import SetBody, SetType, Unit
from models.strong import read_strong
from models.workouts import WorkoutExerciseDocument
from storage.exercises import read_seed
from tests.support.bodies import uuid

FIRST = dt.date(2026, 1, 5)
SEED = Path(__file__).parents[2] / "migrations" / "seed"
MOST_FREQUENT = 5

_rule = TypeAdapter[Any](Rule).validate_python


def rule(kind: str, **members: Any) -> Any:
    """A rule of that kind."""
    return _rule({"kind": kind} | members)


def prescribed(*, sets: int = 3, **members: Any) -> WorkoutExerciseDocument:
    """What a workout says of an exercise. Its id is the first of the tests'."""
    return WorkoutExerciseDocument.model_validate({"id": uuid(1), "name": "Squat", "sets": sets} | members)


def logged(weight: float = 0, reps: int = 0, **members: Any) -> LoggedSet:
    """A set that was done, of a weight in kg; `members` say otherwise."""
    known = {"unit": Unit.KG, "hold_seconds": 0.0, "rpe": None, "done": True, "warm_up": False, "target": None}
    return LoggedSet(**{"weight": weight, "reps": reps, **known, **members})


def training(place: int, *, deload: str | None = None, **members: Any) -> LoggedTraining:
    """The training of that place in the log: one each other day."""
    day = FIRST + dt.timedelta(2 * place)
    known = {"id": uuid(place), "day": day, "date": dt.datetime(day.year, day.month, day.day, 18, tzinfo=dt.UTC)}
    light = {"deload": deload, "lighter": False, "performed": known["date"]}
    return LoggedTraining(**{**known, "workout_version": 1, **light, "exercises": (), **members})


def session(place: int, *sets: LoggedSet, exercise: str | None = None, deload: str | None = None) -> Session:
    """A session of the exercise with these sets."""
    return Session(training(place, deload=deload), (Done(exercise, sets),))


def sessions(*of_sessions: Sequence[LoggedSet], exercise: str | None = None) -> list[Session]:
    """Sessions with these sets, one after the other."""
    return [session(place, *sets, exercise=exercise) for place, sets in enumerate(of_sessions)]


def alike(count: int, weight: float, reps: int, **members: Any) -> tuple[LoggedSet, ...]:
    """So many sets that are alike."""
    return (logged(weight, reps, **members),) * count


def weights(walked: Walk) -> list[float | None]:
    """What was prescribed before each session, and what comes next."""
    return [*(one.prescription.weight for one in walked.sessions), walked.next.weight]


def decisions(walked: Walk) -> list[str]:
    """What became of the prescription after each session."""
    return [one.decision.value for one in walked.sessions]


@cache
def seed_ladder() -> Ladder:
    """The graph of the catalogue that every database begins with."""
    movements, _ = read_seed(SEED)
    names = ("slug", "name", "category", "mode", "difficulty", "family", "equipment", "easier_slugs")
    return Ladder(
        Movement(**{name: movement[name] for name in names}, revision=1, bw_fraction=None) for movement in movements
    )


@cache
def seed_names() -> Mapping[str, str]:
    """The slugs of the catalogue that names of apps stand for."""
    return {name["name"]: name["slug"] for name in read_seed(SEED)[1]}


# ---- A real log ----

# Sets, repetitions, first weight, step of the weight, steps of the plates, in kg.
TRIED: Mapping[str, tuple[int, tuple[int, int], float, float, float]] = {
    "Bench Press (Barbell)": (3, (5, 8), 75, 2.5, 2.5),
    "Triceps Extension": (3, (10, 15), 12, 1, 1),
    "Pull Up": (3, (5, 8), 0, 2.5, 2.5),
    "Deadlift (Barbell)": (3, (5, 8), 65, 5, 5),
    "Shoulder Press (Plate Loaded)": (3, (8, 12), 17, 2.5, 2.5),
}


def tried_rules(weight: float, step: float, rounding: float) -> Mapping[str, dict[str, Any]]:
    """A rule of every kind, as the docs try them."""
    deload = {"after": 3, "percent": 10}
    return {
        "linear": {"increment": step, "deload": deload, "rounding": rounding},
        "double": {"increment": step, "deload": deload, "rounding": rounding},
        "rpe": {"increment": step, "rounding": rounding},
        "harder": {"sessions": 2, "deload": {"after": 3}},
        "script": {
            "of": "weight",
            "rounding": rounding,
            "steps": [
                {"iteration": 1, "op": "set", "value": weight},
                *({"iteration": place, "op": "add", "value": step} for place in (5, 9, 13, 17)),
                {"iteration": 21, "op": "subtract_percent", "value": 10},
            ],
        },
    }


class RealLog:
    """A log of the Strong app's, read in place: what it has of each exercise."""

    def __init__(self, path: Path) -> None:
        self._sessions: list[LoggedSession] = list(
            read_strong(path.read_bytes(), unit=Unit.KG, timezone="Europe/Berlin").sessions
        )

    def most_frequent(self) -> list[tuple[str, int]]:
        """The exercises with the most sets, and how many those are."""
        counted: Counter[str] = Counter()
        for logged_session in self._sessions:
            for exercise in logged_session.body.exercises:
                counted[exercise.name] += len(exercise.sets)
        return counted.most_common(MOST_FREQUENT)

    def trainings(self, name: str) -> list[LoggedTraining]:
        """The trainings that hold an exercise, with nothing else."""
        found = []
        for place, (body, exercises) in enumerate(
            (one.body, [each for each in one.body.exercises if each.name == name]) for one in self._sessions
        ):
            if exercises:
                sets = tuple(_logged(set_) for exercise in exercises for set_ in exercise.sets)
                slug = seed_names().get(folded(name))
                one_exercise = LoggedExercise(UUID(int=0), name, slug, sets)
                at = body.date
                found.append(LoggedTraining(uuid(place), body.local_day(), at, 0, None, False, at, (one_exercise,)))
        return found

    def walk(self, name: str, kind: str) -> Walk:
        """What the rule of that kind would have prescribed of the exercise."""
        sets, (low, high), weight, step, rounding = TRIED[name]
        tried = rule(kind, **tried_rules(weight, step, rounding)[kind])
        template = prescribed(
            sets=sets,
            name=name,
            exercise=seed_names().get(folded(name)),
            reps={"min": low, "max": high},
            weight=weight,
            rpe=8,
            progression=tried,
        )
        return walk(template, tried, sessions_of_movement(template, self.trainings(name)), seed_ladder())

    def tables(self) -> dict[str, str]:
        """What the docs have of it, by the name there."""
        return {
            "table": self.table(),
            "bench": self.rows("Bench Press (Barbell)", "double", 10),
            "pull-ups": self.rows("Pull Up", "harder", 12),
        }

    def table(self) -> str:
        """The summary of every rule and exercise, as the docs have it."""
        columns = (
            "exercise | rule | sessions | first: prescribed; done | last: prescribed; done | met | up | same | down"
        )
        lines = [f"| {columns} | next |", "|---|---|---|---|---|---|---|---|---|---|"]
        for name in TRIED:
            for kind in tried_rules(0, 1, 1):
                walked = self.walk(name, kind)
                told = walked.sessions
                met = sum(one.met is True for one in told)
                lines.append(
                    f"| {name} | {kind} | {len(told)} | {beside(told[0])} | {beside(told[-1])} | {met} "
                    f"| {_count(told, UP)} | {_count(told, SAME)} | {_count(told, DOWN)} | {_shown(walked.next)} |"
                )
        return "\n".join(lines)

    def rows(self, name: str, kind: str, count: int) -> str:
        """The first sessions of one walk, as the docs have them."""
        return "\n".join(
            [
                "| day | prescribed | done | what follows |",
                "|---|---|---|---|",
                *(
                    f"| {one.day} | {_shown(one.prescription)} | {_done(one)} | {one.decision.value}: {one.reason} |"
                    for one in self.walk(name, kind).sessions[:count]
                ),
            ]
        )


UP = {Decision.PROGRESS, Decision.HARDER}
SAME = {Decision.HOLD, Decision.START, Decision.SCRIPT}
DOWN = {Decision.DELOAD, Decision.EASIER}


def beside(one: WalkSession) -> str:
    """What was prescribed of a session, and what was done."""
    return f"{_shown(one.prescription)}; {_done(one)}"


def _count(told: Sequence[WalkSession], which: set[Decision]) -> int:
    return sum(one.decision in which for one in told)


def _shown(prescription: Any) -> str:
    reps = prescription.reps
    ends = reps if isinstance(reps, int) else f"{reps.min}–{reps.max}"
    movement = "" if prescription.decision is not Decision.HARDER else f" {prescription.exercise}"
    return f"{prescription.sets} × {ends} × {number(prescription.weight)} kg{movement}"


def _done(one: WalkSession) -> str:
    grouped: dict[float, list[str]] = {}
    for set_ in one.done:
        grouped.setdefault(set_.weight, []).append(str(set_.reps))
    return ", ".join(f"{' '.join(reps)} × {number(weight)} kg" for weight, reps in grouped.items())


def _logged(set_: SetBody) -> LoggedSet:
    held = set_.duration_seconds or 0.0
    warm_up = set_.type is SetType.WARMUP
    return LoggedSet(set_.weight, set_.unit, set_.reps, held, set_.rpe, set_.done, warm_up, None)
