"""The SQL of `storage.trainings`: every statement that reads or writes a training.

Parameters are psycopg2's, by name. A write is composed of common table expressions: the claim of the Idempotency-Key
(`key`), the training's row under its lock, its children, and its row of the log (`logged`), each of which consumes what
the one before returned.
"""

from dataclasses import dataclass

from storage.database import Prepared

_TYPES = {
    "user_id": "uuid",
    "id": "uuid",
    "event_id": "uuid",
    "status": "training_status",
    "date": "timestamptz",
    "day": "date",
    "duration_seconds": "integer",
    "session_rpe": "numeric",
    "bodyweight_kg": "numeric",
    "digest": "bytea",
    "key_digest": "bytea",
    "exercises": "json",
    "if_match": "bigint[]",
}

# The exercises of the row `t`, to the byte as `models.trainings.exercises_json` writes them.
_EXERCISES = """coalesce((
        SELECT json_strip_nulls(json_agg(row_to_json(e)))::text FROM (
            SELECT x.id, x.name, x.exercise, x.exercise_revision, x.superset, x.notes, coalesce((
                SELECT json_agg(row_to_json(s)) FROM (
                    SELECT id, "order", trim_scale(weight) AS weight, unit, reps,
                           trim_scale(duration_seconds) AS duration_seconds, trim_scale(distance_m) AS distance_m,
                           side, done, trim_scale(rpe) AS rpe, tempo, rest_seconds, type
                    FROM training_sets
                    WHERE user_id = t.user_id AND training_id = t.id AND exercise_id = x.id
                    ORDER BY "order"
                ) s), '[]') AS sets
            FROM training_exercises x WHERE x.user_id = t.user_id AND x.training_id = t.id ORDER BY x.position
        ) e), '[]')"""

# What `models.trainings.training_fields` says of the row `t`, as a JSON object.
_FIELDS = f"""(
    SELECT json_strip_nulls(row_to_json(f))::text FROM (
        SELECT t.status, rfc3339(t.date) AS date, t.timezone, t.day, t.title, t.duration_seconds,
               trim_scale(t.session_rpe) AS session_rpe, trim_scale(t.bodyweight_kg) AS bodyweight_kg, t.notes,
               {_EXERCISES}::json AS exercises
    ) f)"""

_STORED = f"t.id, t.source_id, t.version, t.date, t.created_at, t.updated_at, t.deleted_at, {_FIELDS} AS fields"

_KEY = """key AS (
    INSERT INTO idempotency_keys (user_id, route, key, digest, training_id, event_id)
    VALUES (%(user_id)s, %(route)s, %(key)s, %(key_digest)s, %(id)s, %(event_id)s)
    ON CONFLICT (user_id, route, key) DO UPDATE SET key = excluded.key
    RETURNING old.key IS NULL AS fresh, old.digest = %(key_digest)s AS same, old.training_id, old.event_id
),
"""

# Exercises and sets of the training that the one row of `content` is about.
_CHILDREN = """new_exercises AS (
    INSERT INTO training_exercises
        (user_id, training_id, id, name, exercise, exercise_revision, superset, notes, position)
    SELECT %(user_id)s, %(id)s, e.*
    FROM content, ROWS FROM (json_to_recordset(content.exercises) AS (
        id uuid, name text, exercise text, exercise_revision integer, superset integer, notes text
    )) WITH ORDINALITY e
), new_sets AS (
    INSERT INTO training_sets (user_id, training_id, exercise_id, id, "order", weight, unit, reps, duration_seconds,
                               distance_m, side, done, rpe, tempo, rest_seconds, type)
    SELECT %(user_id)s, %(id)s, (e.value ->> 'id')::uuid, s.*
    FROM content, json_array_elements(content.exercises) e, json_to_recordset(e.value -> 'sets') AS s(
        id uuid, "order" integer, weight numeric, unit text, reps integer, duration_seconds numeric,
        distance_m numeric, side text, done boolean, rpe numeric, tempo text, rest_seconds integer, type text)
)"""

_LOG = """logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        payload, created_at)
    SELECT %(event_id)s, %(topic)s, 'training', %(id)s, {version}, %(event_type)s, %(user_id)s, %(actor)s,
           %(request_id)s, %(event_head)s || rfc3339({at}) || %(payload_head)s || {payload} || '}}', {at}
    FROM {source}
)"""

_SOURCE_ID = """coalesce('"source_id":' || to_json({0}.source_id)::text || ',', '')"""

_CREATE = """
WITH {key}created AS (
    INSERT INTO trainings (user_id, id, source_id, status, date, timezone, day, title, duration_seconds, session_rpe,
                           bodyweight_kg, notes, digest)
    SELECT %(user_id)s, %(id)s, %(source_id)s, %(status)s, %(date)s, %(timezone)s, %(day)s, %(title)s,
           %(duration_seconds)s, %(session_rpe)s, %(bodyweight_kg)s, %(notes)s, %(digest)s
    {fresh}
    ON CONFLICT DO NOTHING
    RETURNING created_at, source_id
), content AS (
    SELECT %(exercises)s::json AS exercises FROM created
), {children}, {log}
SELECT {answer}, created.created_at, t.*
FROM {first} LEFT JOIN created ON true LEFT JOIN LATERAL (
    SELECT t.digest IN (%(digest)s, '') AS same, {stored} FROM trainings t
    WHERE NOT EXISTS (SELECT FROM created) AND t.user_id = %(user_id)s
      AND (t.id = %(id)s OR t.source_id = %(source_id)s)
) t ON true
"""

# The row under its lock (`current`) beside the row of the snapshot, by which the children are seen.
_CURRENT = """snapshot AS (
    SELECT t.version{more} FROM trainings t WHERE t.user_id = %(user_id)s AND t.id = %(id)s
), current AS (
    SELECT version, status, deleted_at IS NOT NULL AS deleted FROM trainings
    WHERE user_id = %(user_id)s AND id = %(id)s {fresh}
    FOR UPDATE
)"""

_ALLOWED = """t.user_id = %(user_id)s AND t.id = %(id)s AND current.version = snapshot.version AND NOT current.deleted
      AND (%(if_match)s::bigint[] IS NULL OR current.version = ANY (%(if_match)s::bigint[]))"""

_UPDATE = """
WITH {key}{current}, changed AS (
    UPDATE trainings t
    SET version = t.version + 1, status = %(status)s, date = %(date)s, timezone = %(timezone)s, day = %(day)s,
        title = %(title)s, duration_seconds = %(duration_seconds)s, session_rpe = %(session_rpe)s,
        bodyweight_kg = %(bodyweight_kg)s, notes = %(notes)s, updated_at = greatest(now(), t.updated_at)
    FROM current, snapshot
    WHERE {allowed} AND current.status <= %(status)s
    RETURNING t.version, t.source_id, t.created_at, t.updated_at, current.status AS previous
), old_sets AS (
    DELETE FROM training_sets s USING changed WHERE s.user_id = %(user_id)s AND s.training_id = %(id)s RETURNING 1
), old_exercises AS (
    DELETE FROM training_exercises e USING changed, (SELECT count(*) FROM old_sets) gone
    WHERE e.user_id = %(user_id)s AND e.training_id = %(id)s RETURNING 1
), content AS (
    SELECT %(exercises)s::json AS exercises FROM changed, (SELECT count(*) FROM old_exercises) gone
), {children}, {log}
SELECT {answer}, changed.version, changed.source_id, changed.created_at, changed.updated_at,
       current.version, current.status, current.deleted, snapshot.version
FROM {first} LEFT JOIN current ON true LEFT JOIN snapshot ON true LEFT JOIN changed ON true
"""

_DELETE = """
WITH {key}{current}, changed AS (
    UPDATE trainings t
    SET version = t.version + 1, updated_at = greatest(now(), t.updated_at), deleted_at = greatest(now(), t.updated_at)
    FROM current, snapshot
    WHERE {allowed}
    RETURNING t.version, t.source_id, t.created_at, t.updated_at, snapshot.fields
), {log}
SELECT {answer}, changed.version, changed.source_id, changed.created_at, changed.updated_at,
       current.version, current.status, current.deleted, snapshot.version
FROM {first} LEFT JOIN current ON true LEFT JOIN snapshot ON true LEFT JOIN changed ON true
"""


@dataclass(frozen=True, slots=True)
class Writes:
    """The three writes."""

    create: Prepared
    update: Prepared
    delete: Prepared


def _statements(*, keyed: bool) -> Writes:
    """CREATE, UPDATE and DELETE, with the claim of an Idempotency-Key or without."""
    key, first = (_KEY, "key") if keyed else ("", "(VALUES (1)) one")
    fresh = "(SELECT fresh FROM key)" if keyed else "true"
    answer = "NOT key.fresh, key.same, key.training_id, key.event_id, {}" if keyed else "false, NULL, NULL, NULL, NULL"
    refused = """CASE WHEN key.fresh AND changed.version IS NULL THEN refuse_write(json_build_array(
        current.version, current.status, current.deleted, snapshot.version)::text) END"""
    create = _CREATE.format(
        key=key,
        first=first,
        fresh=f"WHERE {fresh}",
        answer=answer.format("CASE WHEN key.fresh AND created.created_at IS NULL THEN refuse_write('exists') END"),
        children=_CHILDREN,
        stored=_STORED,
        log=_LOG.format(
            version="1",
            at="created.created_at",
            source="created",
            payload=_SOURCE_ID.format("created") + """ || '"version":1,' || %(fields)s || '}'""",
        ),
    )
    update = _UPDATE.format(
        key=key,
        first=first,
        current=_CURRENT.format(more="", fresh=f"AND {fresh}"),
        allowed=_ALLOWED,
        answer=answer.format(refused),
        children=_CHILDREN,
        log=_LOG.format(
            version="changed.version",
            at="changed.updated_at",
            source="changed",
            payload=_SOURCE_ID.format("changed")
            + """ || '"version":' || changed.version || ',"previous_status":"' || changed.previous || '",' """
            + """|| %(fields)s || '}'""",
        ),
    )
    delete = _DELETE.format(
        key=key,
        first=first,
        current=_CURRENT.format(more=f", {_FIELDS} AS fields", fresh=f"AND {fresh}"),
        allowed=_ALLOWED,
        answer=answer.format(refused),
        log=_LOG.format(
            version="changed.version",
            at="changed.updated_at",
            source="changed",
            payload=_SOURCE_ID.format("changed")
            + """ || '"version":' || changed.version || ',' || substr(changed.fields, 2)""",
        ),
    )
    name = "keyed" if keyed else "plain"
    return Writes(
        Prepared(f"training_create_{name}", create, _TYPES),
        Prepared(f"training_update_{name}", update, _TYPES),
        Prepared(f"training_delete_{name}", delete, _TYPES),
    )


PLAIN = _statements(keyed=False)
KEYED = _statements(keyed=True)

READ = Prepared(
    "training_read",
    f"SELECT {_STORED} FROM trainings t WHERE t.user_id = %(user_id)s AND t.id = %(id)s AND t.deleted_at IS NULL",
    _TYPES,
)

# A local day lies within 14 hours of the same day in UTC: so `date` narrows the index, and `day` decides.
LIST = f"""
SELECT {_STORED} FROM trainings t
WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL
  AND (%(first)s::date IS NULL OR t.date >= %(first)s::date - interval '1 day' AND t.day >= %(first)s)
  AND (%(last)s::date IS NULL OR t.date < %(last)s::date + interval '2 days' AND t.day <= %(last)s)
  AND (%(status)s::training_status IS NULL OR t.status = %(status)s)
  AND (%(after_date)s::timestamptz IS NULL OR (t.date, t.id) < (%(after_date)s::timestamptz, %(after_id)s::uuid))
ORDER BY t.date DESC, t.id DESC
LIMIT %(limit)s
"""

HISTORY = """
SELECT version, event_type, actor, request_id, created_at, payload FROM outbox
WHERE user_id = %(user_id)s AND aggregate_id = %(id)s AND aggregate_type = 'training' AND version > %(after)s
ORDER BY version LIMIT %(limit)s
"""

REPLAY = """
SELECT o.version, o.event_type, o.payload, t.source_id, t.created_at, o.created_at
FROM outbox o JOIN trainings t ON t.user_id = o.user_id AND t.id = o.aggregate_id
WHERE o.user_id = %(user_id)s AND o.aggregate_id = %(id)s AND o.event_id = %(event_id)s
"""
