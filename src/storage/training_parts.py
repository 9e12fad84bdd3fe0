"""The parts that statements about trainings are composed of: what a training is in SQL, and what each write holds.

Parameters are psycopg2's, by name. What stands in single braces is filled in by `str.format`.
"""

TYPES = {
    "user_id": "uuid",
    "id": "uuid",
    "event_id": "uuid",
    "status": "training_status",
    "date": "timestamptz",
    "day": "date",
    "duration_seconds": "integer",
    "session_rpe": "numeric",
    "bodyweight_kg": "numeric",
    "workout_id": "uuid",
    "workout_version": "integer",
    "skipped_at": "timestamptz",
    "hidden": "boolean",
    "coach_of": "text[]",
    "digest": "bytea",
    "key_digest": "bytea",
    "exercises": "json",
    "if_match": "bigint[]",
    "exercise_id": "uuid",
    "set_id": "uuid",
    "set": "json",
}

# A set as `json_to_recordset` reads it; the columns of `training_sets` behind its key; and what is told of a row.
SET_RECORD = """id uuid, "order" integer, weight numeric, unit text, reps integer, duration_seconds numeric,
        distance_m numeric, side text, done boolean, rpe numeric, tempo text, rest_seconds integer, type text,
        target json, video_id text"""
SET_COLUMNS = """id, "order", weight, unit, reps, duration_seconds, distance_m, side, done, rpe, tempo, rest_seconds,
        type, target, video_id"""
SET_TOLD = """id, "order", trim_scale(weight) AS weight, unit, reps, trim_scale(duration_seconds) AS duration_seconds,
                           trim_scale(distance_m) AS distance_m, side, done, trim_scale(rpe) AS rpe, tempo,
                           rest_seconds, type, target, video_id"""

# The sets of the row `x` of the row `t`.
SETS = f"""SELECT {SET_TOLD}
                    FROM training_sets
                    WHERE user_id = t.user_id AND training_id = t.id AND exercise_id = x.id"""


def fields(*, status: str = "t.status", sets: str = SETS) -> str:
    """What `models.trainings.training_fields` says of the row `t`, as a JSON object: to the byte as Python writes it.

    `status` and `sets` (a query that may have a condition appended) stand for what is stored.
    """
    return f"""(
    SELECT json_strip_nulls(row_to_json(f))::text FROM (
        SELECT {status} AS status, rfc3339(t.date) AS date, t.timezone, t.day, t.title, t.duration_seconds,
               trim_scale(t.session_rpe) AS session_rpe, trim_scale(t.bodyweight_kg) AS bodyweight_kg, t.notes,
               t.workout_id, t.workout_version, t.group_external_id, rfc3339(t.skipped_at) AS skipped_at,
               t.skip_reason, nullif(t.hidden, false) AS hidden, coalesce((
            SELECT json_agg(row_to_json(e)) FROM (
                SELECT x.id, x.name, x.exercise, x.exercise_revision, x.superset, x.notes, coalesce((
                    SELECT json_agg(row_to_json(s)) FROM (
                    {sets}
                    ORDER BY "order"
                ) s), '[]') AS sets
                FROM training_exercises x WHERE x.user_id = t.user_id AND x.training_id = t.id ORDER BY x.position
            ) e), '[]') AS exercises
    ) f)"""


FIELDS = fields()

STORED = f"t.id, t.source_id, t.version, t.date, t.created_at, t.updated_at, t.deleted_at, {FIELDS} AS fields"

KEY = """key AS (
    INSERT INTO idempotency_keys (user_id, route, key, digest, training_id, event_id)
    VALUES (%(user_id)s, %(route)s, %(key)s, %(key_digest)s, %(id)s, %(event_id)s)
    ON CONFLICT (user_id, route, key) DO UPDATE SET key = excluded.key
    RETURNING old.key IS NULL AS fresh, old.digest = %(key_digest)s AS same, old.training_id, old.event_id
),
"""

# Exercises and sets of the training that the one row of `content` is about.
CHILDREN = f"""new_exercises AS (
    INSERT INTO training_exercises
        (user_id, training_id, id, name, exercise, exercise_revision, superset, notes, position)
    SELECT %(user_id)s, %(id)s, e.*
    FROM content, ROWS FROM (json_to_recordset(content.exercises) AS (
        id uuid, name text, exercise text, exercise_revision integer, superset integer, notes text
    )) WITH ORDINALITY e
), new_sets AS (
    INSERT INTO training_sets (user_id, training_id, exercise_id, {SET_COLUMNS})
    SELECT %(user_id)s, %(id)s, (e.value ->> 'id')::uuid, s.*
    FROM content, json_array_elements(content.exercises) e, json_to_recordset(e.value -> 'sets') AS s(
        {SET_RECORD})
)"""

LOG = """logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        traceparent, payload, created_at)
    SELECT %(event_id)s, %(topic)s, 'training', %(id)s, {version}, %(event_type)s, %(user_id)s, %(actor)s,
           %(request_id)s, %(traceparent)s,
           %(event_head)s || rfc3339({at}) || %(payload_head)s || {payload} || '}}', {at}
    FROM {source}
)"""

# Which trainings are there for who writes. `coach_of` is NULL for the athlete, from whom a coach may hide what is
# planned. For a coach it has the groups, and only what is planned for these is there.
WRITABLE = """CASE WHEN %(coach_of)s::text[] IS NULL THEN NOT {0}hidden
         ELSE {0}status = 'PLANNED' AND {0}deleted_at IS NULL
              AND coalesce({0}group_external_id = ANY (%(coach_of)s::text[]), false) END"""

# Which are there for who reads: for a coach all of them. Readers give NULL for `coach_of`; the database by which a
# coach reads (`storage.access`) puts the groups there.
READABLE = "(%(coach_of)s::text[] IS NOT NULL OR NOT t.hidden)"

SOURCE_ID = """coalesce('"source_id":' || to_json({0}.source_id)::text || ',', '')"""
