"""What advice is computed from, brought together: the log's figures, readiness, goals and progression of one day."""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from analytics import goals, readiness
from analytics.advice_facts import COVERS, DAYS_BACK, SEARCH_DAYS, WEEK
from analytics.advice_inputs import (
    AdviceInputs,
    GoalInput,
    LoadInput,
    Prescribed,
    ReadinessInput,
    RecordInput,
    Standing,
    WeekSets,
)
from analytics.load import DAYS_BEFORE
from analytics.load_report import days_between
from analytics.preferences import DAYS_BACK as DONE_DAYS
from analytics.preferences import MOST_TRAININGS, DoneExercise, DoneTraining, WorkoutExercise, habits, preferences
from analytics.progression_ladder import Ladder
from analytics.progression_words import load_words
from analytics.progression_workouts import workout_walks
from models.advice import AdviceKind, AdviceSubject
from models.advice_reports import AdviceQuery
from models.exercises import Catalogue, Category
from models.goals import GoalProgressQuery, GoalState
from models.preferences import Preferences
from models.progression import Decision, ExerciseWalk, WorkoutHistory
from models.records import RecordKind
from models.sets import Unit
from models.stored import readable
from models.workouts import WorkoutExerciseDocument
from storage.advice import AcceptedRow, AdviceRows, read_rows
from storage.database import Database, Runner
from storage.goals import HeldGoal, read_goals
from storage.plans import PlannedTraining
from storage.progression import read_histories_ahead
from web.metrics import UNITS, awaited

STANDING_DAYS = 28
SHOWN = 20  # sessions of an exercise, the newest: as many as a rule may wait for before it goes back
_WHAT = {
    RecordKind.WEIGHT: ("weight", "kg"),
    RecordKind.E1RM: ("e1RM", "kg"),
    RecordKind.HOLD_SECONDS: ("hold", "s"),
    RecordKind.SESSION_VOLUME: ("volume of a session", "kg"),
    RecordKind.HARDER_MOVEMENT: ("difficulty of a movement", "difficulty"),
}
_OPEN = (GoalState.ON_TRACK, GoalState.BEHIND, GoalState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Read:
    """What advice is computed from, and what else is told beside it. `accepted` are the documents that cover the day;
    `as_of` and `stale` are as in `storage.reports`."""

    inputs: AdviceInputs
    as_of: str
    stale: bool | None
    preferences: Preferences
    planned: Sequence[PlannedTraining]
    accepted: Sequence[bytes]


async def read_awaited(database: Database, user_id: UUID, query: AdviceQuery, catalogue: Catalogue) -> Read:
    """Read it for the query's day, once the derived tables hold the version that the query waits for, or the time for
    that is over."""
    rows = await awaited(database, lambda database: _rows(database, user_id, query.day, query.awaited))
    return await _read(database, user_id, rows, catalogue)


async def read_inputs(runner: Runner, user_id: UUID, day: dt.date | None, catalogue: Catalogue) -> Read:
    """Read it for `day`; by default for the athlete's present day. A constant number of statements."""
    return await _read(runner, user_id, await _rows(runner, user_id, day), catalogue)


async def _rows(
    runner: Runner, user_id: UUID, day: dt.date | None, version: tuple[UUID, int] | None = None
) -> AdviceRows:
    return await read_rows(
        runner,
        user_id,
        day,
        awaited=version,
        load_days=DAYS_BACK + 1 + DAYS_BEFORE,
        done_days=DONE_DAYS,
        most_done=MOST_TRAININGS,
        ahead_days=SEARCH_DAYS,
        standing_days=STANDING_DAYS,
        deload_days=COVERS[AdviceKind.DELOAD],
        readiness_days=readiness.DAYS_BEFORE,
    )


async def _read(runner: Runner, user_id: UUID, rows: AdviceRows, catalogue: Catalogue) -> Read:
    done = [_done(rows, training) for training in rows.done]
    found = habits(done, catalogue)
    inputs = AdviceInputs(
        user_id=user_id,
        day=rows.day,
        catalogue=catalogue,
        load=_load(rows),
        readiness=_readiness(rows),
        records=[_record(record) for record in rows.records],
        goals=await _goals(runner, user_id, rows.day),
        weeks=_weeks(rows),
        sides={key: category for _, key, category, _ in rows.weeks if category is not None},
        habits=found,
        prescribed=await _prescribed(runner, user_id, rows.day, catalogue),
        planned=rows.planned,
        busy=rows.busy,
        trained=rows.trained,
        deload_days=frozenset(_days(rows.deloads)),
        standing=readable(_standing, (row for row in rows.accepted if not row.undone)),
        left=readable(_standing, (row for row in rows.accepted if row.undone and row.trainings)),
        undone=frozenset(row.id for row in rows.accepted if row.undone and row.day == rows.day),
        today=rows.today,
    )
    accepted = [row.document for row in rows.accepted if row.document is not None]
    return Read(inputs, rows.as_of, rows.stale, preferences(done, found), rows.planned, accepted)


def _standing(row: AcceptedRow) -> Standing:
    subject = AdviceSubject.model_validate(row.subject)
    return Standing(row.day, AdviceKind(row.kind), subject, frozenset(row.trainings))


def _readiness(rows: AdviceRows) -> ReadinessInput:
    read, day = rows.readiness, rows.day
    found = readiness.readiness(read.check_ins, read.trainings, day, min(day, read.last))
    return ReadinessInput(found[0].score, found[0].confidence, found[0].reason) if found else ReadinessInput()


async def _goals(runner: Runner, user_id: UUID, day: dt.date) -> list[GoalInput]:
    query = GoalProgressQuery(day=day)
    held = await read_goals(runner, user_id, query, start_days=goals.START_DAYS, line_days=goals.LINE_DAYS)

    def unreached() -> list[GoalInput]:
        states = [(one, goals.progress(one.goal, one.days, held.day, held.since).state) for one in held.goals]
        return [_goal(one, state) for one, state in states if state in _OPEN]

    return await asyncio.to_thread(unreached)  # a hundred goals of years take seconds


async def _prescribed(runner: Runner, user_id: UUID, day: dt.date, catalogue: Catalogue) -> list[Prescribed]:
    """What comes next of each exercise with a rule, of the workouts with a training ahead; by the sessions up to the
    day."""
    ladder = Ladder.of(catalogue)
    read = await read_histories_ahead(runner, user_id, day=day)

    def following() -> list[Prescribed]:
        return [
            _next(history, exercise, walk, ladder)
            for history in read.workouts
            for exercise, walk in zip(history.exercises, workout_walks(history, ladder, SHOWN), strict=True)
            if walk.rule is not None
        ]

    return await asyncio.to_thread(following)  # a long log takes longer than the loop can wait


def _next(history: WorkoutHistory, exercise: WorkoutExerciseDocument, walk: ExerciseWalk, ladder: Ladder) -> Prescribed:
    following = walk.walk.next
    template = Prescribed(
        history.workout_id,
        exercise.id,
        exercise.name,
        exercise.exercise,
        Decision.START,
        "",
        exercise.sets,
        exercise.reps,
        exercise.weight,
        exercise.unit,
        exercise.hold_seconds,
        exercise.rpe,
    )
    climbed = following.exercise is not None and following.exercise != exercise.exercise
    return replace(
        template,
        name=ladder.name(following.exercise) if climbed and following.exercise else exercise.name,
        exercise=following.exercise,
        decision=following.decision,
        reason=following.reason,
        sets=following.sets,
        reps=following.reps,
        weight=following.weight,
        unit=following.unit,
        hold_seconds=following.hold_seconds,
        rpe=following.rpe,
        display_weight=following.display_weight,
        sessions=[(one.training_id, one.day, one.missed) for one in walk.walk.sessions if one.missed is not None],
        deciding=frozenset(one.training_id for one in following.evidence),
        template=template,
    )


def _goal(held: HeldGoal, state: GoalState) -> GoalInput:
    document = orjson.loads(held.stored.document)
    behind = state is GoalState.BEHIND
    return GoalInput(held.stored.id, document["name"], document.get("movement"), behind, held.goal.due)


def _load(rows: AdviceRows) -> LoadInput:
    if rows.measure is None or rows.first is None or not rows.load or rows.day < rows.first:
        return LoadInput()
    begin = max(rows.first, rows.day - dt.timedelta(DAYS_BACK))
    days = days_between(rows.load, rows.first, begin, rows.day)
    return LoadInput(days, rows.measure, UNITS[rows.measure], rows.known)


def _record(row: tuple[str, str, float, float, dt.date, UUID]) -> RecordInput:
    movement, kind, value, at, day, training = row
    what, unit = _WHAT.get(RecordKind(kind), (f"repetitions{load_words(Decimal(str(at)), Unit.KG)}", "reps"))
    return RecordInput(movement, what, value, unit, day, training)


def _weeks(rows: AdviceRows) -> list[WeekSets]:
    sums = defaultdict[tuple[int, str | None], float](float)
    for ago, _, category, sets in rows.weeks:
        sums[ago, category] += sets
    lasts = [(ago, rows.day - dt.timedelta(WEEK * ago)) for ago in reversed(range(4))]
    return [WeekSets(last, *(sums[ago, side] for side in (Category.PUSH, Category.PULL, None))) for ago, last in lasts]


def _done(
    rows: AdviceRows, row: tuple[UUID, dt.date, UUID | None, int | None, Sequence[Sequence[Any]]]
) -> DoneTraining:
    id_, day, workout_id, workout_version, exercises = row
    version, planned = rows.workouts.get(workout_id, (None, ())) if workout_id else (None, ())
    climbs = frozenset(UUID(id_) for id_, *_, rule in planned if rule == "harder")
    workout = None
    if planned and version == workout_version:  # what an older version planned is not looked for in the log
        workout = [WorkoutExercise(UUID(id_), name, slug) for id_, name, slug, _ in planned]
    return DoneTraining(id_, day, [DoneExercise(UUID(one[0]), *one[1:]) for one in exercises], workout, climbs)


def _days(ranges: Iterable[tuple[dt.date, dt.date]]) -> Iterable[dt.date]:
    for first, last in ranges:
        for n in range((last - first).days + 1):
            yield first + dt.timedelta(n)
