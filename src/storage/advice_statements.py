"""The SQL of `storage.advice`. Parameters are psycopg2's, by name."""

from storage.plan_statements import PLANNED
from storage.readiness_statements import READINESS
from storage.reports_statements import JUDGED, LOAD_FIGURES
from storage.today import TODAY
from storage.training_parts import FIELDS

# What the log says of one athlete up to a day, and what is planned from that day on: one row, whatever there is.
# A local day lies within 14 hours of the same day in UTC: so `date` narrows the index, and `day` decides.
READ = f"""
WITH asked AS MATERIALIZED (
    SELECT coalesce(%(day)s::date, today) AS day, today FROM (SELECT {TODAY} AS today) present
), measure AS MATERIALIZED (
    SELECT measure FROM analytics.judged_measures WHERE user_id = %(user_id)s AND judged
), stored AS MATERIALIZED (
    SELECT min(day) AS first, max(day) AS last FROM analytics.daily_load
    WHERE user_id = %(user_id)s AND measure = (SELECT measure FROM measure)
), done AS MATERIALIZED (
    SELECT t.id, t.day, t.date, t.workout_id, t.workout_version FROM trainings t, asked
    WHERE t.user_id = %(user_id)s AND t.status = 'COMPLETED' AND t.deleted_at IS NULL
      AND t.date > asked.day - %(done_days)s - 1 AND t.date < asked.day + 2
      AND t.day > asked.day - %(done_days)s AND t.day <= asked.day
    ORDER BY t.day DESC, t.date DESC, t.id DESC LIMIT %(most_done)s
), done_exercises AS MATERIALIZED (
    SELECT d.id AS training_id, x.id, x.name, x.exercise, x.position, count(s.target) AS planned,
           count(*) FILTER (WHERE s.done) AS done
    FROM done d JOIN training_exercises x ON x.user_id = %(user_id)s AND x.training_id = d.id
    LEFT JOIN training_sets s ON s.user_id = x.user_id AND s.training_id = x.training_id AND s.exercise_id = x.id
    GROUP BY d.id, x.id, x.name, x.exercise, x.position
), ahead AS MATERIALIZED (
    SELECT t.* FROM trainings t, asked
    WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND NOT t.hidden AND t.skipped_at IS NULL
      AND t.date >= asked.day - interval '1 day' AND t.date < asked.day + %(ahead_days)s + interval '1 day'
      AND t.day >= asked.day AND t.day < asked.day + %(ahead_days)s
    ORDER BY t.date, t.id LIMIT %(most_ahead)s
), accepted AS MATERIALIZED (
    SELECT a.* FROM advice a, asked
    WHERE a.user_id = %(user_id)s AND a.deleted_at IS NULL AND a.day > asked.day - %(standing_days)s
      AND a.day < asked.day + %(ahead_days)s
    ORDER BY a.created_at DESC, a.id DESC LIMIT %(most_accepted)s
)
SELECT asked.day, asked.today, {JUDGED}, (SELECT measure FROM measure), (
    SELECT array_agg(d.day) FROM analytics.daily_volume d
    WHERE d.user_id = %(user_id)s AND d.day > least(asked.day, asked.today) - 29 AND d.day <= asked.day
      AND CASE (SELECT measure FROM measure)
              WHEN 'session_rpe' THEN d.session_rpe_load IS NOT NULL
              WHEN 'system_load' THEN d.system_load_kg > 0 AND d.system_load_sets = d.sets
              WHEN 'external_load' THEN d.external_load_kg > 0
              WHEN 'time_under_tension' THEN d.time_under_tension_seconds > 0 END
), (SELECT first FROM stored), (
    SELECT json_agg(json_build_array({LOAD_FIGURES}) ORDER BY day) FROM analytics.daily_load l
    WHERE l.user_id = %(user_id)s AND l.measure = (SELECT measure FROM measure) AND l.day <= asked.day
      AND l.day > least(asked.day, (SELECT last FROM stored)) - %(load_days)s
), (
    SELECT json_agg(json_build_array(
        movement, kind, trim_scale(round(value, 4)), trim_scale(round(at_weight_kg, 4)), day, training_id
    ) ORDER BY day DESC, training_id, movement, kind, at_weight_kg)
    FROM (
        SELECT r.* FROM analytics.personal_records r
        WHERE r.user_id = %(user_id)s AND r.day > asked.day - 28 AND r.day <= asked.day AND r.superseded_on IS NULL
        ORDER BY r.day DESC, r.training_id, r.movement, r.kind, r.at_weight_kg LIMIT %(most_records)s
    ) records
), (
    SELECT json_agg(json_build_array(week, key, category, sets) ORDER BY week, key, category) FROM (
        SELECT (asked.day - v.day) / 7 AS week, 'name:' || folded_name(v.name) AS key, v.category,
               sum(v.hard_sets) AS sets
        FROM analytics.exercise_volume v
        WHERE v.user_id = %(user_id)s AND v.day > asked.day - 28 AND v.day <= asked.day
          AND (v.category IN ('Push', 'Pull') OR v.category IS NULL)
        GROUP BY 1, 2, 3
    ) weeks
), (
    SELECT json_agg(json_build_array(d.id, d.day, d.workout_id, d.workout_version, (
        SELECT json_agg(json_build_array(e.id, e.name, e.exercise, e.planned, e.done) ORDER BY e.position)
        FROM done_exercises e WHERE e.training_id = d.id
    )) ORDER BY d.day DESC, d.date DESC, d.id DESC) FROM done d
), (
    SELECT json_agg(json_build_array(w.id, w.version, (
        SELECT json_agg(json_build_array(e.id, e.name, e.exercise, e.progression ->> 'kind') ORDER BY e.position)
        FROM workout_exercises e WHERE e.user_id = w.user_id AND e.workout_id = w.id
    ))) FROM workouts w
    WHERE w.user_id = %(user_id)s AND w.deleted_at IS NULL AND w.id IN (SELECT workout_id FROM done)
), (
    SELECT json_agg(json_build_array(t.id, t.version, t.source_id, rfc3339(t.created_at), {FIELDS}::json)
                    ORDER BY t.date, t.id)
    FROM ahead t WHERE {PLANNED}
), (SELECT array_agg(DISTINCT t.day) FROM ahead t), (
    SELECT coalesce(bool_or(t.status <> 'PLANNED'), false) FROM ahead t WHERE t.day = asked.day
), (
    SELECT json_agg(json_build_array(p.first, p.last)) FROM phases p
    WHERE p.user_id = %(user_id)s AND p.deleted_at IS NULL AND p.deload
      AND p.first < asked.day + %(ahead_days)s AND p.last > asked.day - %(standing_days)s
), (
    SELECT json_agg(json_build_array(
        a.id, a.version, a.created_at, a.updated_at, a.day, a.undone, a.content -> 'kind', a.content -> 'subject',
        (SELECT json_agg(c -> 'training_id') FROM json_array_elements(a.content -> 'changes') c
         WHERE NOT a.undone OR c -> 'stays' IS NOT NULL),
        CASE WHEN NOT a.undone AND (
            a.day = asked.day
            OR a.content ->> 'kind' = 'deload' AND asked.day - a.day BETWEEN 0 AND %(deload_days)s - 1
        ) THEN a.content::text END
    ) ORDER BY a.created_at DESC, a.id DESC) FROM accepted a
), readiness.*
FROM asked, ({READINESS}) AS readiness (today, begin, until, at, check_ins, sets)
"""

# What the log says of versions of trainings.
VERSIONS = """
SELECT o.aggregate_id, o.version, o.payload FROM outbox o
JOIN json_to_recordset(%(versions)s::json) AS v(id uuid, version integer)
  ON o.aggregate_id = v.id AND o.version = v.version
WHERE o.user_id = %(user_id)s AND o.aggregate_type = 'training'
"""

# What became of trainings that advice changed, and which advice that stands left each as it is now, changing it later:
# its `version_after` of the training says the same as the newest one.
_SAID = "({row}.payload::jsonb -> 'payload') - ARRAY['version', 'previous_status']"
BECAME = f"""
SELECT t.id, t.status, t.day, (t.skipped_at AT TIME ZONE t.timezone)::date,
       (t.deleted_at AT TIME ZONE t.timezone)::date, (t.updated_at AT TIME ZONE t.timezone)::date,
       t.version = c.version, later.id, later.title
FROM json_to_recordset(%(changed)s::json) AS c(id uuid, version integer)
JOIN trainings t ON t.user_id = %(user_id)s AND t.id = c.id AND NOT t.hidden
LEFT JOIN LATERAL (
    SELECT a.id, a.content ->> 'title' AS title
    FROM advice a CROSS JOIN json_array_elements(a.content -> 'changes') x
    JOIN outbox made ON made.user_id = a.user_id AND made.aggregate_type = 'training' AND made.aggregate_id = t.id
     AND made.version = (x ->> 'version_after')::integer
    JOIN outbox newest ON newest.user_id = a.user_id AND newest.aggregate_type = 'training'
     AND newest.aggregate_id = t.id AND newest.version = t.version
    WHERE a.user_id = %(user_id)s AND NOT a.undone AND a.deleted_at IS NULL AND (x ->> 'training_id')::uuid = t.id
      AND (x ->> 'version_after')::integer > c.version AND {_SAID.format(row="made")} = {_SAID.format(row="newest")}
    ORDER BY made.version DESC LIMIT 1
) later ON t.deleted_at IS NULL
"""
