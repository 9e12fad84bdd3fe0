"""What progression is computed from: workouts with the completed trainings that were made from them, and what was done
of one movement. One statement each.
"""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from models.errors import NotFound
from models.progression import MOST_SESSIONS, MOST_TRIED, LoggedExercise, LoggedSet, LoggedTraining, WorkoutHistory
from models.sets import Unit
from models.workouts import WorkoutExerciseDocument
from storage.database import Runner
from storage.progression_statements import MOVEMENT, ON_DAYS, PLANNED, WORKOUT

MOST_WALKED = 10  # workouts with a rule and a training ahead that are read at once


@dataclass(frozen=True, slots=True)
class Histories:
    """Workouts and what was done of them. `day` is the day asked for, or the athlete's present one; `deload` the name
    of the deload phase that it lies in. Of one workout `lighter` is whether its planned training of the day was made a
    lighter session."""

    day: dt.date
    deload: str | None
    lighter: bool
    workouts: list[WorkoutHistory]


async def read_history_of_workout(runner: Runner, user_id: UUID, id_: UUID, *, day: dt.date | None = None) -> Histories:
    """The workout, with the newest `MOST_SESSIONS` completed trainings that were made from it, up to `day`.

    Without `day` it is the present day (`storage.today`), and all are looked at. Raises `NotFound`, and
    `DatabaseUnavailable`.
    """
    found = await _histories(runner, WORKOUT, {"user_id": user_id, "id": id_, "day": day})
    if not found.workouts:
        raise NotFound("There is no such workout.")
    return found


async def read_histories_ahead(runner: Runner, user_id: UUID, *, day: dt.date | None = None) -> Histories:
    """Likewise each workout with a rule from which a training is planned on `day` or later: the `MOST_WALKED` that
    come first."""
    return await _histories(runner, PLANNED, {"user_id": user_id, "day": day, "workouts": MOST_WALKED})


async def read_histories_on(runner: Runner, user_id: UUID, days: Mapping[UUID, dt.date]) -> list[Histories]:
    """Of each of these workouts that there is what `read_history_of_workout` answers for its day. One statement.

    Raises `DatabaseUnavailable`.
    """
    asked = {"user_id": user_id, "day": None, "ids": list(days), "days": list(days.values()), "most": MOST_SESSIONS}
    rows = await runner.all(ON_DAYS, asked)
    return await asyncio.to_thread(
        lambda: [
            Histories(day, deload, lighter, [_workout(*workout)])
            for day, deload, lighter, *workout in rows
            if workout[0] is not None
        ]
    )


async def read_history_of_movement(
    runner: Runner,
    user_id: UUID,
    texts: Sequence[str],
    *,
    slug: str | None = None,
    first: dt.date | None = None,
    last: dt.date | None = None,
) -> tuple[list[LoggedTraining], bool]:
    """The newest `MOST_TRIED` completed trainings of these local days that hold one of the movements, with what they
    hold of them; and whether the catalogue, or the user's own exercises, have `slug`.

    `texts` name movements as in `storage.exercise_history`. Raises `DatabaseUnavailable`.
    """
    days = {"first": first, "last": last}
    asked = {"user_id": user_id, "texts": list(texts), "slug": slug, "most": MOST_TRIED}
    ((trainings, known),) = await runner.all(MOVEMENT, asked | days)
    return await asyncio.to_thread(lambda: [_training(text) for text in trainings]), known


async def _histories(runner: Runner, statement: str, parameters: dict[str, Any]) -> Histories:
    rows = await runner.all(statement, parameters | {"most": MOST_SESSIONS})
    workouts = await asyncio.to_thread(
        lambda: [_workout(*workout) for _, _, _, *workout in rows if workout[0] is not None]
    )
    day, deload, lighter = rows[0][:3]
    return Histories(day, deload, lighter, workouts)


def _workout(
    id_: UUID,
    version: int,
    fields: dict[str, Any],
    since: dict[str, tuple[int, str, str]] | None,
    trainings: Sequence[str],
) -> WorkoutHistory:
    return WorkoutHistory(
        workout_id=id_,
        version=version,
        name=fields["name"],
        exercises=tuple(WorkoutExerciseDocument.model_validate(exercise) for exercise in fields["exercises"]),
        since={
            UUID(one): (of, dt.datetime.fromisoformat(at).astimezone(ZoneInfo(zone)))
            for one, (of, at, zone) in (since or {}).items()
        },
        trainings=tuple(_training(text) for text in trainings),
    )


def _training(text: str) -> LoggedTraining:
    id_, day, date, version, deload, lighter, performed, exercises = orjson.loads(text)
    return LoggedTraining(
        UUID(id_),
        dt.date.fromisoformat(day),
        dt.datetime.fromisoformat(date),
        version,
        deload,
        lighter,
        dt.datetime.fromisoformat(performed),
        tuple(
            LoggedExercise(UUID(exercise), name, slug, tuple(_set(tuple(set_)) for set_ in sets or ()))
            for exercise, name, slug, sets in exercises or ()
        ),
    )


@lru_cache(maxsize=4096)  # most sets of a log are like others
def _set(row: tuple[Any, ...]) -> LoggedSet:
    weight, unit, reps, hold_seconds, rpe, done, warm_up, target = row
    aim = None if target is None else orjson.loads(target)
    return LoggedSet(weight, Unit(unit), reps, hold_seconds, rpe, done, warm_up, aim)
