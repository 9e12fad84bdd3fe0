"""Progression over REST: what the next session of a workout prescribes and why, how that came about, and what a rule
would have prescribed. Nothing is written. Walks are folded in a thread: a long log takes longer than the loop can wait.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel

from analytics import progression
from analytics.progression_ladder import Ladder, check_way
from analytics.progression_workouts import (
    next_exercises,
    next_items,
    prescriptions,
    sessions_of_movement,
    workout_walks,
)
from models.exercises import Catalogue
from models.progression import (
    MOST_SESSIONS,
    MOST_TRIED,
    SHOWN_SESSIONS,
    DryRunBody,
    DryRunReport,
    LoggedTraining,
    NextQuery,
    NextReport,
    ProgressionReport,
    Walk,
)
from models.progression_rules import HarderRule, check_movement, rule_fields
from models.sets import RepRangeDocument, known
from models.workouts import WorkoutExerciseDocument
from storage.progression import Histories, read_history_of_movement, read_history_of_workout
from web import problems
from web.routes import Answer, Call, Reply, Route

PATH = "/api/v1/training/users/{userId}"
_NOWHERE = UUID(int=0)  # the id of an exercise that stands in no workout


async def read_next(call: Call[None, NextQuery]) -> Reply:
    """GET /users/{userId}/workouts/{id}/next."""
    catalogue = await call.services.catalogue.get()
    found = await read_history_of_workout(call.services.database, call.user_id, call.path["id"], day=call.query.day)
    return Reply(200, await asyncio.to_thread(_next, call.user_id, found, catalogue))


async def read_progression(call: Call[None, None]) -> Reply:
    """GET /users/{userId}/workouts/{id}/progression."""
    catalogue = await call.services.catalogue.get()
    found = await read_history_of_workout(call.services.database, call.user_id, call.path["id"])
    return Reply(200, await asyncio.to_thread(_progression, call.user_id, found, catalogue))


async def dry_run(call: Call[DryRunBody, None]) -> Reply:
    """POST /users/{userId}/progression/dry-run."""
    body = call.body

    def checked(catalogue: Catalogue) -> Catalogue:
        check_movement(body.progression, catalogue, "/progression")
        return catalogue

    catalogue = await call.services.catalogue.resolve(checked)
    ladder = Ladder.of(catalogue)
    texts = [body.exercise or body.name or ""]
    if isinstance(body.progression, HarderRule) and body.exercise is not None:
        texts += sorted(ladder.above(body.exercise) | ladder.below(body.exercise))
    trainings, known = await read_history_of_movement(
        call.services.database, call.user_id, texts, slug=body.exercise, first=body.first, last=body.last
    )
    if body.exercise is not None and not known:
        raise catalogue.unknown(body.exercise, "/exercise")
    check_way(body.progression, body.exercise, ladder, "/progression")
    return Reply(200, await asyncio.to_thread(_tried, call.user_id, body, trainings, ladder))


def _next(user_id: UUID, found: Histories, catalogue: Catalogue) -> bytes:
    (history,) = found.workouts
    walks = workout_walks(history, Ladder.of(catalogue), 0)
    following = prescriptions(walks, found.deload, lighter=found.lighter)
    document = {
        "user_id": user_id,
        "workout_id": history.workout_id,
        "workout_version": history.version,
        "title": history.name,
        "day": found.day,
        "deload_phase": found.deload,
        "lighter": found.lighter,
        "method": _method(),
        "items": [_told(item) for item in next_items(walks, following)],
        "exercises": next_exercises(history, following, catalogue),
    }
    return orjson.dumps(known(document))


def _progression(user_id: UUID, found: Histories, catalogue: Catalogue) -> bytes:
    (history,) = found.workouts
    items = [
        {
            "exercise_id": each.exercise_id,
            "name": each.name,
            "rule": rule_fields(each.rule),
            "count": each.walk.count,
            "sessions": _sessions(each.walk),
            "next": _told(each.walk.next),
        }
        for each in workout_walks(history, Ladder.of(catalogue))
        if each.rule is not None
    ]
    document = {
        "user_id": user_id,
        "workout_id": history.workout_id,
        "workout_version": history.version,
        "most_sessions": MOST_SESSIONS,
        "method": _method(),
        "items": items,
    }
    return orjson.dumps(document)


def _tried(user_id: UUID, body: DryRunBody, trainings: Sequence[LoggedTraining], ladder: Ladder) -> bytes:
    prescribed = _prescribed(body)
    walk = progression.walk(prescribed, body.progression, sessions_of_movement(prescribed, trainings), ladder)
    document = {
        "user_id": user_id,
        "exercise": body.exercise,
        "name": body.name,
        "from": body.first,
        "to": body.last,
        "rule": rule_fields(body.progression),
        "most_sessions": MOST_TRIED,
        "method": _method(),
        "sessions": _sessions(walk),
        "next": _told(walk.next),
    }
    return orjson.dumps(known(document))


def _prescribed(body: DryRunBody) -> WorkoutExerciseDocument:
    """What is tried, as a workout would prescribe it."""
    return WorkoutExerciseDocument(
        id=_NOWHERE,
        name=body.name or body.exercise or "",
        exercise=body.exercise,
        sets=body.sets,
        reps=None if body.reps is None else RepRangeDocument(min=body.reps.min, max=body.reps.max),
        weight=body.weight,
        unit=body.unit,
        rpe=body.rpe,
        hold_seconds=body.hold_seconds,
        progression=body.progression,
    )


def _told(document: BaseModel) -> dict[str, Any]:
    return document.model_dump(mode="json", exclude_none=True)


def _sessions(walk: Walk) -> list[dict[str, Any]]:
    # The evidence of a session's prescription are the sessions before it.
    return [
        session.model_dump(mode="json", exclude_none=True, exclude={"prescription": {"evidence"}})
        | {"met": session.met, "missed": session.missed}
        for session in walk.sessions
    ]


def _method() -> dict[str, object]:
    return {"version": progression.METHOD_VERSION, "rules": progression.RULES}


_EXAMPLE = {
    "name": "Squat (Barbell)",
    "sets": 3,
    "reps": {"min": 5, "max": 8},
    "weight": 80,
    "progression": {"kind": "double", "increment": 2.5, "deload": {"after": 2, "percent": 10}, "rounding": 2.5},
}
_FOLD = (
    "It is computed from the log as it is now, each time anew: a corrected set corrects what follows from it. Sessions "
    "are the COMPLETED trainings of the workout that were made, or performed, since the exercise's prescription is "
    "what it is now. "
    "What was done on the days of a deload phase, or in a session that was made a lighter one, stands outside of "
    "progression."
)

ROUTES = (
    Route(
        method="GET",
        path=f"{PATH}/workouts/{{id}}/next",
        handler=read_next,
        operation_id="readNextOfWorkout",
        summary="Read what the next session of a workout prescribes, and why",
        description=(
            f"What each exercise's rule makes of what was done. {_FOLD} On a day in a deload, and of what was made a "
            "lighter session, half the sets are prescribed, with no more weight than was done last. `exercises` is "
            "ready to be sent as that of POST /trainings. It follows from what was done: sent by a PUT of a planned "
            "training, it takes away what accepted advice changed there. Nothing is written."
        ),
        tag="Workouts",
        scope="read",
        query=NextQuery,
        answers={200: Answer("The next session", NextReport)},
    ),
    Route(
        method="GET",
        path=f"{PATH}/workouts/{{id}}/progression",
        handler=read_progression,
        operation_id="readProgressionOfWorkout",
        summary="Read how the exercises of a workout went on",
        description=(
            "Of each exercise with a rule: session by session what was prescribed, what was done, and what followed, "
            f"oldest first. {_FOLD} The newest {MOST_SESSIONS:,} trainings are looked at, and the newest "
            f"{SHOWN_SESSIONS} sessions of each exercise told."
        ),
        tag="Workouts",
        scope="read",
        answers={200: Answer("The walks", ProgressionReport)},
    ),
    Route(
        method="POST",
        path=f"{PATH}/progression/dry-run",
        handler=dry_run,
        operation_id="tryProgression",
        summary="Try a rule of progression on what was done",
        description=(
            "What the rule would have prescribed session by session, beside what was done, over all COMPLETED "
            "trainings with that exercise, whatever workout they were made from: the newest "
            f"{MOST_TRIED:,}. `exercise` is a slug of the catalogue or of the user's own, `name` what was logged "
            "under that name; both as in the history of an exercise. Nothing is written."
        ),
        tag="Workouts",
        scope="read",
        body=DryRunBody,
        body_example=_EXAMPLE,
        answers={200: Answer("What it would have prescribed", DryRunReport)},
        problems=(problems.UNKNOWN_EXERCISE,),
    ),
)
