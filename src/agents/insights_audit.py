"""Holding load and records to the log: what `agents.volume_audit` needs to know of them."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from agents.insights import compute
from analytics.volume import daily_volumes
from models.insights import Accepted, DayLoads, History
from models.load import Measure
from models.metrics import DailyVolume, FoldedTraining
from models.records import Performance, movement_key
from storage.database import Row
from storage.insights import load_rows, read_maxima, record_row


def expected_insights(trainings: Iterable[FoldedTraining]) -> dict[str, list[Row]]:
    """The rows of each table that these trainings give, each user's being all that there are."""
    of_users: defaultdict[UUID, list[FoldedTraining]] = defaultdict(list)
    for training in trainings:
        if training.counted:
            of_users[training.user_id].append(training)
    rows: dict[str, list[Row]] = {"daily_load": [], "personal_records": []}
    for user_id, counted in of_users.items():
        insights = compute(_history(user_id, counted))
        for series in insights.load:
            rows["daily_load"] += load_rows(user_id, series)
        rows["personal_records"] += [record_row(user_id, dated) for dated in insights.records]
    return rows


def _history(user_id: UUID, counted: Sequence[FoldedTraining]) -> History:
    days = sorted(_day(day) for day in daily_volumes(counted).values())
    return History(
        user_id=user_id,
        begin=dt.date.min,
        first=min(day.day for day in days),
        last=max(day.day for day in days),
        timezone="UTC",
        measures=[measure for measure in Measure if any(measure in day.loads for day in days)],
        before={},
        days=days,
        performances=[performance for training in counted for performance in _performances(training)],
        in_force=[],
        accepted={training.training_id: Accepted(training.source_seq, training.updated_at) for training in counted},
    )


def _day(day: DailyVolume) -> DayLoads:
    loads = {
        Measure.SESSION_RPE: day.session_rpe_load,
        Measure.SYSTEM_LOAD: day.volume.system_load_kg,
        Measure.EXTERNAL_LOAD: day.volume.external_load_kg,
        Measure.TIME_UNDER_TENSION: day.volume.time_under_tension_seconds,
    }
    known = {measure: float(load) for measure, load in loads.items() if load}
    return DayLoads(day.day, Accepted(day.source_seq, day.updated_at), known)


def _performances(training: FoldedTraining) -> list[Performance]:
    return [
        Performance(
            training.training_id,
            training.day,
            training.date,
            exercise.position,
            movement_key(exercise.name, exercise.exercise, exercise.own_exercise),
            exercise.name,
            exercise.exercise,
            exercise.own_exercise,
            exercise.family,
            exercise.difficulty,
            exercise.volume.external_load_kg,
            exercise.max_weight_kg,
            exercise.e1rm_kg,
            exercise.longest_hold_seconds,
            read_maxima(exercise.rep_maxima),
            training.source_seq,
        )
        for exercise in training.session.exercises
    ]
