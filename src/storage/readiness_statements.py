"""The SQL of `storage.readiness`. Parameters are psycopg2's, by name."""

from models.check_ins import EARLIEST
from models.readiness import DEFAULT_DAYS, MOST_DAYS
from storage.today import TODAY

# As `analytics.adherence` has it: at least the least repetitions, and the seconds, that the target names. Of a training
# that was not begun no set was done, whatever it says.
_MET = """t.status <> 'PLANNED' AND s.done
    AND s.reps >= coalesce(s.target #>> '{reps,min}', s.target ->> 'reps', '0')::integer
    AND coalesce(s.duration_seconds, 0) >= coalesce(s.target ->> 'duration_seconds', '0')::numeric"""

# The days end with the present one, or a later one that was checked in for. A training that was not begun is missed, or
# skipped, once its day is over. As in `training_statements.LIST`, `date` narrows the index, and `day` decides.
READINESS = f"""
WITH present AS MATERIALIZED (
    SELECT {TODAY} AS today, (SELECT max(day) FROM check_ins WHERE user_id = %(user_id)s AND deleted_at IS NULL) AS said
), days AS MATERIALIZED (
    SELECT today, until, greatest(
        coalesce(%(first)s::date, until - {DEFAULT_DAYS - 1}), until - {MOST_DAYS - 1}, date '{EARLIEST}'
    ) AS begin
    FROM present, LATERAL (SELECT least(%(last)s::date, greatest(today, said)) AS until) ends
)
SELECT today, begin, until, rfc3339(now()), (
    SELECT json_agg(json_build_array(
        day, content -> 'sleep', content -> 'fatigue', content -> 'stress', content -> 'soreness',
        content -> 'bodyweight_kg', content -> 'sleep_hours', content -> 'resting_heart_rate', content -> 'hrv_rmssd_ms'
    ))
    FROM check_ins
    WHERE user_id = %(user_id)s AND deleted_at IS NULL AND day BETWEEN begin - %(before)s AND until
), (
    SELECT json_agg(json_build_array(id, day, planned, met)) FROM (
        SELECT t.id, t.day, count(*) AS planned, count(*) FILTER (WHERE {_MET}) AS met
        FROM trainings t JOIN training_sets s ON s.user_id = t.user_id AND s.training_id = t.id
        WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND NOT t.hidden AND s.target IS NOT NULL
          AND t.date >= begin - %(before)s - interval '1 day' AND t.date < until + interval '2 days'
          AND t.day >= begin - %(before)s AND t.day < until AND (t.status <> 'PLANNED' OR t.day < today)
        GROUP BY t.id, t.day
    ) counted
)
FROM days"""
