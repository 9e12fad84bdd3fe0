"""The derived tables asked beside the tables of record, by SQL: no line of this is shared with the fold (I7)."""

_HOLD = "CASE WHEN s.reps = 0 AND coalesce(s.distance_m, 0) = 0 THEN coalesce(s.duration_seconds, 0) ELSE 0 END"
# Sets that may be the best of their exercise.
_COMPARED = r"""s.type <> 'warmup'
    AND NOT (s.weight_kg > 0 AND concat_ws(' ', s.name, s.exercise, s.own_exercise) ~* '\massisted\M')"""
_WORK = f"s.reps + ({_HOLD})::numeric / 3"
_SETS = f"""count(*), coalesce(sum(s.reps), 0), count(*) FILTER (WHERE s.hard), sum(s.external_load_kg),
    sum(s.system_load_kg), count(s.system_load_kg),
    sum({_HOLD}),
    sum(CASE WHEN s.reps > 0 THEN coalesce((
            SELECT sum(CASE phase WHEN 'X' THEN 1 ELSE phase::int END) FROM regexp_split_to_table(s.tempo, '-') phase
        ), 0) * s.reps
        WHEN coalesce(s.distance_m, 0) = 0 THEN coalesce(s.duration_seconds, 0) ELSE 0 END)"""
_FIGURES = """sets, reps, hard_sets, external_load_kg, system_load_kg, system_load_sets, hold_seconds,
    time_under_tension_seconds"""
BY_RECORD = {
    "exercise": (
        f"""SELECT s.user_id, s.training_id, s.exercise_position, s.name, s.exercise, s.own_exercise,
            s.exercise_revision, s.day, s.category, s.family, {_SETS},
            max(s.weight_kg) FILTER (
                WHERE {_COMPARED} AND (s.reps > 0 OR s.duration_seconds > 0 AND coalesce(s.distance_m, 0) = 0)
            ),
            round(sum({_WORK}), 4), nullif(max({_HOLD}) FILTER (WHERE s.type <> 'warmup'), 0),
            count(*) FILTER (WHERE {_COMPARED} AND s.reps > 0) > 0
        FROM analytics.sets s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10""",
        f"""SELECT user_id, training_id, position, name, exercise, own_exercise, exercise_revision, day, category,
            family, {_FIGURES}, max_weight_kg, work, longest_hold_seconds, rep_maxima IS NOT NULL
        FROM analytics.exercise_volume""",
    ),
    "session": (
        f"""SELECT t.user_id, t.id, t.version, t.day, t.date, t.timezone, {_SETS}, t.duration_seconds, t.session_rpe,
            round(t.session_rpe * t.duration_seconds / 60, 4)
        FROM trainings t JOIN analytics.sets s ON s.user_id = t.user_id AND s.training_id = t.id
        GROUP BY t.user_id, t.id""",
        f"""SELECT user_id, training_id, version, day, date, timezone, {_FIGURES}, duration_seconds, session_rpe,
            session_rpe_load FROM analytics.session_volume WHERE sets > 0""",
    ),
    "without a set": (
        """SELECT user_id, id, day, duration_seconds FROM trainings t
        WHERE status = 'COMPLETED' AND deleted_at IS NULL AND NOT EXISTS (
            SELECT FROM training_sets s WHERE s.user_id = t.user_id AND s.training_id = t.id AND s.done)""",
        "SELECT user_id, training_id, day, duration_seconds FROM analytics.session_volume WHERE sets = 0",
    ),
    "day": (
        """SELECT user_id, day, count(*), sum(duration_seconds), sum(round(session_rpe * duration_seconds / 60, 4))
        FROM trainings WHERE status = 'COMPLETED' AND deleted_at IS NULL GROUP BY user_id, day""",
        "SELECT user_id, day, sessions, duration_seconds, session_rpe_load FROM analytics.daily_volume",
    ),
    "day's sets": (
        f"SELECT s.user_id, s.day, {_SETS} FROM analytics.sets s GROUP BY 1, 2",
        f"SELECT user_id, day, {_FIGURES} FROM analytics.daily_volume WHERE sets > 0",
    ),
}
