"""The SQL of the volume tables. Parameters are psycopg2's, by name; `{schema}` is where the tables stand."""

from collections.abc import Mapping

from storage import insights_statements as insights
from storage.archive_statements import HOLDER
from storage.arrays import names, parameters
from storage.row_statements import among

SCHEMA = "analytics"
SHADOW = "pg_temp"  # the temporary tables of one connection

FIGURES = {
    "sets": "integer",
    "reps": "integer",
    "hard_sets": "integer",
    "external_load_kg": "numeric",
    "system_load_kg": "numeric",
    "system_load_sets": "integer",
    "hold_seconds": "numeric",
    "time_under_tension_seconds": "numeric",
}
WORK = {"skill_work": "numeric", "strength_work": "numeric"}
TRAINING_COLUMNS = {
    "user_id": "uuid",
    "training_id": "uuid",
    "version": "integer",
    "deleted": "boolean",
    "counted": "boolean",
    "day": "date",
    "date": "timestamptz",
    "timezone": "text",
    **FIGURES,
    "duration_seconds": "integer",
    "session_rpe": "numeric",
    "session_rpe_load": "numeric",
    "source_seq": "bigint",
    "updated_at": "timestamptz",
    "naming": "integer",
    **WORK,
    "estimated_intensity": "numeric",
    "density": "numeric",
    "relative_intensity": "numeric",
    "method": "smallint",
}
EXERCISE_COLUMNS = {
    "position": "integer",
    "name": "text",
    "exercise": "text",
    "exercise_revision": "integer",
    **FIGURES,
    "max_weight_kg": "numeric",
    "own_exercise": "text",
    "category": "text",
    "family": "text",
    "difficulty": "smallint",
    "work": "numeric",
    "e1rm_kg": "numeric",
    "e1rm_weight_kg": "numeric",
    "e1rm_reps": "integer",
    "longest_hold_seconds": "numeric",
    "rep_maxima": "jsonb",
    "relative_intensity": "numeric",
    "logged_exercise": "text",
}
EXERCISE_KEY = {"user_id": "uuid", "training_id": "uuid"}
NAME_COLUMNS = {
    "user_id": "uuid",
    "name": "text",
    "version": "integer",
    "exercise": "text",
    "exercise_revision": "integer",
    "own_exercise": "text",
    "bw_fraction": "numeric",
    "movement": "text",
    "category": "text",
    "family": "text",
    "mode": "text",
    "difficulty": "integer",
    "muscles": "text[]",
    "secondary_muscles": "text[]",
    "unilateral": "boolean",
    "implement": "boolean",
}
SUMS = (*FIGURES, "duration_seconds", "session_rpe_load")
_DAY_SUMS = (*SUMS, *WORK)
DAY_COLUMNS = ("user_id", "day", "sessions", "source_seq", "updated_at", *_DAY_SUMS)
KEYS: Mapping[str, tuple[str, ...]] = {
    "users": ("user_id",),
    "exercise_names": ("user_id", "name"),
    "folded_trainings": ("user_id", "training_id"),
    "exercise_volume": ("user_id", "training_id", "position"),
    "daily_volume": ("user_id", "day"),
    **insights.KEYS,
}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "users": ("user_id", "naming", "refolded"),
    "exercise_names": tuple(NAME_COLUMNS),
    "folded_trainings": tuple(TRAINING_COLUMNS),
    "exercise_volume": ("user_id", "training_id", "day", "source_seq", "updated_at", *EXERCISE_COLUMNS),
    "daily_volume": DAY_COLUMNS,
    **insights.COLUMNS,
}
"""The columns of each derived table, in the order in which rows are read and compared."""

# A batch is folded in one round trip: PostgreSQL runs the statements of one message as one transaction.
#
# First the users are locked, in order, so that no other fold of theirs runs between the look at a day's trainings and
# the day's new sum; the second statement has a newer snapshot, which sees what such a fold has committed. A conflict
# whose WHERE is false locks the row and writes nothing. Who was erased gets no row, and is not folded: one whose row is
# still there neither.
LOCK_USERS = """
INSERT INTO {schema}.users (user_id) SELECT DISTINCT user_id FROM unnest(%(users)s::uuid[]) user_id
WHERE user_id <> ALL ((SELECT erased(%(users)s::uuid[]))::uuid[]) ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id WHERE false;
"""


# `outdated` are the users whose names are not at the version that their trainings were computed with: nothing of theirs
# is stored, and they are the answer. Under the lock their names stay as they are until the end of the transaction.
# `won` are the trainings whose version is newer than the stored one, or whose names or rules are; only they replace
# their exercises, and only their days, the old and the new, are summed again and marked in `stale_users`, for what is
# computed from several days of a user; a mark's transaction tells it from the next one. The statement sees the tables
# as they were before it: so the day's other trainings are read from the table and `won` itself is added. Every row is
# looked up by its key (LATERAL with OFFSET 0, a conflict, a ctid): where the planner may choose a join, it reads whole
# tables as long as they are small.
FOLD = f"""
WITH met AS (
    SELECT t.user_id, t.naming, CASE WHEN t.user_id <> ALL ((SELECT erased(%(users)s::uuid[]))::uuid[]) THEN (
        SELECT u.naming FROM {{schema}}.users u WHERE u.user_id = t.user_id) END AS stored
    FROM unnest(%(users)s::uuid[], %(names_versions)s::integer[]) AS t (user_id, naming)
), outdated AS (
    SELECT user_id FROM met WHERE naming <> stored
), won AS (
    INSERT INTO {{schema}}.folded_trainings AS f ({names(TRAINING_COLUMNS)})
    SELECT * FROM unnest({parameters("t", TRAINING_COLUMNS)}) AS t ({names(TRAINING_COLUMNS)})
    WHERE t.user_id <> ALL (ARRAY(SELECT user_id FROM met WHERE naming IS DISTINCT FROM stored))
    ON CONFLICT (user_id, training_id) DO UPDATE
    SET {", ".join(f"{column} = excluded.{column}" for column in list(TRAINING_COLUMNS)[2:])}
    WHERE (f.version, f.naming, f.method) < (excluded.version, excluded.naming, excluded.method)
    RETURNING new.*, coalesce(old.counted, false) AS was_counted, old.day AS old_day,
              old.version IS DISTINCT FROM new.version AS risen
), old_exercises AS (
    SELECT e.* FROM won CROSS JOIN LATERAL (
        SELECT e.tableoid, e.ctid FROM {{schema}}.exercise_volume e
        WHERE e.user_id = won.user_id AND e.training_id = won.training_id
        OFFSET 0
    ) e
    WHERE won.was_counted
), gone AS (
    DELETE FROM {{schema}}.exercise_volume WHERE {among("old_exercises")}
    RETURNING 1
), exercises AS (
    INSERT INTO {{schema}}.exercise_volume
        (user_id, training_id, day, source_seq, updated_at, {names(EXERCISE_COLUMNS)})
    SELECT won.user_id, won.training_id, won.day, won.source_seq, won.updated_at, {names(EXERCISE_COLUMNS, "x.")}
    FROM unnest({parameters("x", EXERCISE_KEY | EXERCISE_COLUMNS)})
         AS x ({names(EXERCISE_KEY)}, {names(EXERCISE_COLUMNS)})
    JOIN won USING (user_id, training_id)
    WHERE (SELECT count(*) FROM gone) >= 0
    ON CONFLICT (user_id, training_id, position) DO UPDATE
    SET {", ".join(f"{column} = excluded.{column}" for column in COLUMNS["exercise_volume"][2:])}
), touched AS (
    SELECT user_id, day FROM won WHERE counted UNION SELECT user_id, old_day FROM won WHERE was_counted
), marked AS (
    INSERT INTO {{schema}}.stale_users AS s (user_id, from_day, trainings)
    SELECT user_id, min(least(CASE WHEN counted THEN day END, CASE WHEN was_counted THEN old_day END)),
           coalesce(array_agg(training_id) FILTER (WHERE risen), ARRAY[]::uuid[])
    FROM won WHERE counted OR was_counted GROUP BY user_id ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE
    SET from_day = least(s.from_day, excluded.from_day), touched = excluded.touched,
        trainings = ARRAY(SELECT unnest(s.trainings) UNION SELECT unnest(excluded.trainings))
), counted AS (
    SELECT user_id, day, source_seq, updated_at, {names(_DAY_SUMS)} FROM won WHERE counted
    UNION ALL
    SELECT f.user_id, f.day, f.source_seq, f.updated_at, {names(_DAY_SUMS, "f.")}
    FROM touched CROSS JOIN LATERAL (
        SELECT * FROM {{schema}}.folded_trainings f
        WHERE f.user_id = touched.user_id AND f.day = touched.day AND f.counted
        OFFSET 0
    ) f
    WHERE NOT EXISTS (SELECT FROM won WHERE won.user_id = f.user_id AND won.training_id = f.training_id)
), sums AS (
    SELECT user_id, day, count(*) AS sessions, {", ".join(f"sum({column}) AS {column}" for column in _DAY_SUMS)},
           max(source_seq) AS source_seq, max(updated_at) AS updated_at
    FROM counted GROUP BY user_id, day
), empty_days AS (
    SELECT d.* FROM (SELECT user_id, day FROM touched EXCEPT SELECT user_id, day FROM sums) t
    CROSS JOIN LATERAL (
        SELECT d.tableoid, d.ctid FROM {{schema}}.daily_volume d
        WHERE d.user_id = t.user_id AND d.day = t.day
        OFFSET 0
    ) d
), emptied AS (
    DELETE FROM {{schema}}.daily_volume WHERE {among("empty_days")}
), days AS (
    INSERT INTO {{schema}}.daily_volume ({names(DAY_COLUMNS)}) SELECT {names(DAY_COLUMNS)} FROM sums
    ON CONFLICT (user_id, day) DO UPDATE
    SET {", ".join(f"{column} = excluded.{column}" for column in DAY_COLUMNS[2:])}
)
SELECT user_id FROM outdated
"""

BURY = """
INSERT INTO analytics.dead_letters (topic, partition, "offset", event_id, key, value, error)
SELECT topic, partition, "offset", event_id, key, value, error
FROM unnest(%(d_topic)s::text[], %(d_partition)s::integer[], %(d_offset)s::bigint[], %(d_event_id)s::uuid[],
            %(d_key)s::bytea[], %(d_value)s::bytea[], %(d_error)s::text[], %(d_user)s::uuid[])
     AS d (topic, partition, "offset", event_id, key, value, error, user_id)
WHERE user_id IS NULL OR user_id <> ALL ((SELECT erased(%(d_user)s::uuid[]))::uuid[])
ON CONFLICT DO NOTHING;
"""

# For the comparison with the log.
USERS_AFTER = "SELECT user_id FROM ({}) users ORDER BY user_id LIMIT %(limit)s".format(
    " UNION ".join(
        f"(SELECT DISTINCT user_id FROM {table} WHERE user_id > %(after)s ORDER BY user_id LIMIT %(limit)s)"
        for table in ("outbox", "archived_trainings", *(f"analytics.{table}" for table in KEYS))
    )
)
READ = {
    table: ", ".join(f"{column}::text" if column == "rep_maxima" else column for column in columns)
    for table, columns in COLUMNS.items()
}
"""What a SELECT of each table names to get the columns of `COLUMNS` as they are computed: JSON as text."""
STORED = {table: f"SELECT {READ[table]} FROM analytics.{table} WHERE user_id = ANY (%(users)s)" for table in COLUMNS}
FOLDED_EVENTS = f"""
SELECT o.topic, o.seq, coalesce(o.published_seq, o.seq), o.event_id, f.user_id, o.payload, f.training_id, f.version, a.*
FROM analytics.folded_trainings f
LEFT JOIN outbox o ON o.user_id = f.user_id AND o.aggregate_id = f.training_id AND o.version = f.version
    AND o.aggregate_type = 'training'
LEFT JOIN {HOLDER} ON true
WHERE f.user_id = ANY (%(users)s)
"""
BEHIND = """
SELECT count(*) FROM (
    SELECT user_id, aggregate_id, max(version) AS version FROM (
        SELECT o.user_id, o.aggregate_id, o.version FROM outbox o
        WHERE o.user_id = ANY (%(users)s) AND o.aggregate_type = 'training'
          AND NOT EXISTS (SELECT FROM analytics.dead_letters d WHERE d.event_id = o.event_id)
        UNION ALL
        SELECT a.user_id, a.training_id, a.last_version FROM archived_trainings a WHERE a.user_id = ANY (%(users)s)
    ) told
    GROUP BY user_id, aggregate_id
) newest LEFT JOIN analytics.folded_trainings f ON f.user_id = newest.user_id AND f.training_id = newest.aggregate_id
WHERE newest.version > coalesce(f.version, 0)
"""

# For making the tables anew. Marks are written there too: whose days are to be looked at is known after the fold.
_SHADOWED = (*KEYS, "stale_users")
MAKE_SHADOW = ";".join(
    f"DROP TABLE IF EXISTS pg_temp.{table};"
    f"CREATE TEMPORARY TABLE {table} (LIKE analytics.{table} INCLUDING DEFAULTS INCLUDING INDEXES)"
    for table in _SHADOWED
)
UNSHADOWED = """
SELECT o.topic, o.seq, coalesce(o.published_seq, o.seq), o.event_id, o.user_id, o.payload FROM outbox o
WHERE o.aggregate_type = 'training' AND o.seq > %(after)s AND o.version > coalesce((
    SELECT f.version FROM pg_temp.folded_trainings f WHERE f.user_id = o.user_id AND f.training_id = o.aggregate_id
), 0)
ORDER BY o.seq LIMIT %(limit)s
"""
ANALYSE_SHADOW = ";".join(f"ANALYZE pg_temp.{table}" for table in KEYS)
ERASED_IN_SHADOW = "SELECT erased(ARRAY(SELECT user_id FROM pg_temp.users))"
LEAVE_OUT = ";".join(f"DELETE FROM pg_temp.{table} WHERE user_id = ANY (%(users)s)" for table in _SHADOWED)
# `users` first, as folds and erasures do.
HOLD_FOLDS = (
    "SET LOCAL statement_timeout = 0; LOCK TABLE analytics.users, analytics.stale_users IN SHARE ROW EXCLUSIVE MODE"
)
DROP_SHADOW = f"ROLLBACK; DROP TABLE {', '.join(f'pg_temp.{table}' for table in _SHADOWED)}"
_SAME_KEY = {table: " AND ".join(f"s.{column} = t.{column}" for column in key) for table, key in KEYS.items()}
REMOVE_STRANGERS = {
    table: f"""
DELETE FROM analytics.{table} t WHERE NOT EXISTS (
    SELECT FROM pg_temp.{table} s WHERE {same_key} AND ROW(s.*) IS NOT DISTINCT FROM ROW(t.*)
)"""
    for table, same_key in _SAME_KEY.items()
}
ADD_MISSING = {
    table: f"""
INSERT INTO analytics.{table}
SELECT * FROM pg_temp.{table} s WHERE NOT EXISTS (SELECT FROM analytics.{table} t WHERE {same_key})"""
    for table, same_key in _SAME_KEY.items()
}
