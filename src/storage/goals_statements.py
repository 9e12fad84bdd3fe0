"""The SQL of `storage.goals`: the values that goals are held against, out of the derived tables."""

from storage.document_statements import STORED
from storage.reports_statements import FOLDED
from storage.today import DAY

# The goals that are asked for, with the first day of whose values each needs: as `analytics.goals.first_needed` has it.
_GOALS = f"""
goals_asked AS MATERIALIZED (
    SELECT {STORED} AS content, d.content ->> 'metric' AS metric, d.content ->> 'movement' AS movement,
           coalesce((d.content ->> 'at_weight_kg')::numeric, 0) AS at_weight_kg,
           least((d.content ->> 'start_day')::date - %(start_days)s, asked.day - %(line_days)s) AS first
    FROM goals d, asked
    WHERE d.user_id = %(user_id)s AND d.deleted_at IS NULL AND (%(id)s::uuid IS NULL OR d.id = %(id)s::uuid)
    ORDER BY d.created_at DESC, d.id DESC
    LIMIT %(limit)s
)"""

# Each exercise stands under its movement's key, and under its name's too, where it was logged with that alone.
_PERFORMED = """
performed AS MATERIALIZED (
    SELECT v.*, k.key FROM analytics.exercise_volume v
    CROSS JOIN LATERAL (
        SELECT coalesce(v.exercise, 'own:' || v.own_exercise, 'name:' || folded_name(v.name)) AS key
        UNION SELECT 'name:' || folded_name(v.name) WHERE v.logged_exercise IS NULL
    ) k
    WHERE v.user_id = %(user_id)s AND v.day BETWEEN (SELECT min(first) FROM goals_asked) AND (SELECT day FROM asked)
      AND k.key IN (SELECT movement FROM goals_asked)
)"""

# What is called assisted may have its help logged as a positive weight: see `analytics.strength.is_assisted`.
_ASSISTED = r"concat_ws(' ', p.name, coalesce(p.exercise, p.own_exercise)) ~* '\yassisted\y'"
_OF_MOVEMENTS = rf"""
of_movements AS (
    SELECT id, day, max(value) AS value, (array_agg(training_id ORDER BY value DESC, training_id))[1] AS training_id
    FROM (
        SELECT g.id, p.day, p.training_id, round(CASE g.metric
                   WHEN 'e1rm_kg' THEN max(p.e1rm_kg)
                   WHEN 'weight_kg' THEN max(p.max_weight_kg)
                   WHEN 'reps' THEN max(r.reps)
                   WHEN 'hold_seconds' THEN max(p.longest_hold_seconds)
                   ELSE sum(p.external_load_kg) FILTER (WHERE NOT {_ASSISTED})
               END, 4) AS value
        FROM goals_asked g JOIN performed p ON p.key = g.movement AND p.day >= g.first
        LEFT JOIN LATERAL (
            SELECT max((m ->> 1)::numeric) AS reps FROM jsonb_array_elements(p.rep_maxima) m
            WHERE g.metric = 'reps' AND round((m ->> 0)::numeric, 4) >= g.at_weight_kg
        ) r ON true
        GROUP BY g.id, g.metric, p.day, p.training_id
    ) each_training
    WHERE value IS NOT NULL
    GROUP BY id, day
)"""

# A weekly metric's first week is whole.
_OF_WEEKS = """
of_weeks AS (
    SELECT g.id, v.day, round(CASE g.metric
               WHEN 'weekly_trainings' THEN v.sessions
               WHEN 'weekly_hard_sets' THEN v.hard_sets
               ELSE v.external_load_kg
           END::numeric, 4) AS value, NULL::uuid AS training_id
    FROM goals_asked g JOIN analytics.daily_volume v
      ON v.user_id = %(user_id)s AND v.day BETWEEN date_trunc('week', g.first)::date AND (SELECT day FROM asked)
    WHERE g.movement IS NULL
)"""

# One row a goal, those created last first; one without a goal where there is none.
PROGRESS = f"""
WITH asked AS MATERIALIZED (
    SELECT {DAY} AS day
), {_GOALS}, {_PERFORMED}, {_OF_MOVEMENTS}, {_OF_WEEKS}, points AS (
    SELECT id, array_agg(day ORDER BY day) AS days, array_agg(trim_scale(value) ORDER BY day) AS points,
           array_agg(training_id ORDER BY day) AS trainings
    FROM (SELECT * FROM of_movements UNION ALL SELECT * FROM of_weeks) found
    GROUP BY id
), trained AS (
    SELECT g.id, count(DISTINCT p.day) AS days, min((m ->> 1)::int) AS fewest FROM goals_asked g
    JOIN performed p ON p.key = g.movement AND p.day >= g.first
    LEFT JOIN LATERAL jsonb_array_elements(p.rep_maxima) m
      ON g.metric = 'e1rm_kg' AND p.e1rm_kg IS NULL AND (m ->> 0)::numeric > 0
    GROUP BY g.id
)
SELECT {FOLDED}, asked.day, (
           SELECT min(day) FROM analytics.daily_volume WHERE user_id = %(user_id)s
       ) AS since, coalesce(t.days, 0), t.fewest, g.id, g.version, g.created_at, g.updated_at, g.deleted_at, g.content,
       p.days, p.points, p.trainings
FROM asked LEFT JOIN goals_asked g ON true LEFT JOIN points p ON p.id = g.id LEFT JOIN trained t ON t.id = g.id
ORDER BY g.created_at DESC, g.id DESC
"""
