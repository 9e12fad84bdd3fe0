"""The SQL of `storage.sessions`. Parameters are psycopg2's, by name."""

from storage.database import Prepared
from storage.training_parts import STORED, TYPES

# A training's own targets say what was planned, else the workout's version that it names, which stands in the log.
_SESSIONS = f"""
SELECT {STORED}, w.payload::json #>> '{{payload,exercises}}' AS planned
FROM trainings t LEFT JOIN outbox w ON w.user_id = t.user_id AND w.aggregate_id = t.workout_id
    AND w.version = t.workout_version AND w.aggregate_type = 'workout' AND NOT EXISTS (
        SELECT FROM training_sets s WHERE s.user_id = t.user_id AND s.training_id = t.id AND s.target IS NOT NULL)
WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND t.status = 'COMPLETED'"""

READ = Prepared("session_read", f"{_SESSIONS} AND t.id = %(id)s", TYPES)

# As in `training_statements.LIST`: `date` narrows the index, and `day` decides.
STREAM = f"""{_SESSIONS}
  AND (%(first)s::date IS NULL OR t.date >= %(first)s::date - interval '1 day' AND t.day >= %(first)s)
  AND (%(last)s::date IS NULL OR t.date < %(last)s::date + interval '2 days' AND t.day <= %(last)s)
ORDER BY t.date, t.id"""

WORKOUT = """
SELECT payload::json #>> '{payload,exercises}' FROM outbox
WHERE user_id = %(user_id)s AND aggregate_id = %(workout_id)s AND version = %(version)s AND aggregate_type = 'workout'
"""
