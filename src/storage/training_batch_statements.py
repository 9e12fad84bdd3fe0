"""The SQL of `storage.training_batch`: many new trainings, with their children and their events, in one statement."""

from storage.pages import PAGE_BYTES
from storage.training_parts import SET_COLUMNS, SET_RECORD, SOURCE_ID, STORED


def create_many(*, only: str = "") -> str:
    """What can be written is written, and each of the others says what it lacks or what it met: of the first of those
    alone, as far as `PAGE_BYTES` go, the whole, since they may have grown to be much larger than what was sent.

    Where `only` is given, a query, nothing is done and no row comes unless it has a row; what it locks stays locked
    until the batch is there.
    """
    guard, guarded = (f"guard AS MATERIALIZED ({only}), ", "guard, ") if only else ("", "")
    # Rows come in the order of their ids, so that two batches with the same ones wait for each other rather than
    # deadlock.
    return f"""
WITH {guard}items AS MATERIALIZED (
    SELECT i.*,
           i.workout_id IS NULL OR EXISTS (
               SELECT FROM workouts w WHERE w.user_id = %(user_id)s AND w.id = i.workout_id) AS workout_known,
           NOT EXISTS (
               SELECT FROM json_to_recordset(i.exercises) AS e(exercise text, exercise_revision integer)
               WHERE e.exercise IS NOT NULL AND NOT EXISTS (
                   SELECT FROM exercises x WHERE x.slug = e.exercise AND x.revision = e.exercise_revision)
           ) AS exercises_known
    FROM {guarded}json_to_recordset(%(items)s::json) AS i(
        place integer, id uuid, source_id text, status training_status, date timestamptz, timezone text, day date,
        title text, duration_seconds integer, session_rpe numeric, bodyweight_kg numeric, notes text, workout_id uuid,
        workout_version integer, group_external_id text, skipped_at timestamptz, skip_reason text, digest text,
        event_id uuid, event_head text, payload_head text, exercises json, fields text)
), created AS (
    INSERT INTO trainings (user_id, id, source_id, status, date, timezone, day, title, duration_seconds, session_rpe,
                           bodyweight_kg, notes, workout_id, workout_version, group_external_id, skipped_at,
                           skip_reason, completed_at, digest)
    SELECT %(user_id)s, id, source_id, status, date, timezone, day, title, duration_seconds, session_rpe,
           bodyweight_kg, notes, workout_id, workout_version, group_external_id, skipped_at, skip_reason,
           CASE status WHEN 'COMPLETED' THEN now() END, decode(digest, 'hex')
    FROM items WHERE workout_known AND exercises_known ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING id, created_at
), content AS (
    SELECT items.*, created.created_at FROM created JOIN items USING (id)
), new_exercises AS (
    INSERT INTO training_exercises
        (user_id, training_id, id, name, exercise, exercise_revision, superset, notes, position)
    SELECT %(user_id)s, content.id, e.*
    FROM content, ROWS FROM (json_to_recordset(content.exercises) AS (
        id uuid, name text, exercise text, exercise_revision integer, superset integer, notes text
    )) WITH ORDINALITY e
), new_sets AS (
    INSERT INTO training_sets (user_id, training_id, exercise_id, {SET_COLUMNS})
    SELECT %(user_id)s, content.id, (e.value ->> 'id')::uuid, s.*
    FROM content, json_array_elements(content.exercises) e, json_to_recordset(e.value -> 'sets') AS s(
        {SET_RECORD})
), logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        traceparent, payload, created_at)
    SELECT event_id, %(topic)s, 'training', id, 1, %(event_type)s, %(user_id)s, %(actor)s, %(request_id)s,
           %(traceparent)s, event_head || rfc3339(created_at) || payload_head || {SOURCE_ID.format("content")}
           || '"version":1,' || fields || '}}}}', created_at
    FROM content ORDER BY place
)
SELECT items.place, created.created_at, items.workout_known, items.exercises_known,
       t.same, t.id, t.source_id, t.version, t.date, t.created_at, t.updated_at, t.deleted_at,
       CASE WHEN sum(octet_length(t.fields)) OVER (ORDER BY items.place, t.id ROWS UNBOUNDED PRECEDING) <= {PAGE_BYTES}
            THEN t.fields END
FROM items LEFT JOIN created USING (id) LEFT JOIN LATERAL (
    SELECT t.digest IN (decode(items.digest, 'hex'), '') AND NOT t.hidden AS same, {STORED} FROM trainings t
    WHERE created.id IS NULL AND t.user_id = %(user_id)s AND (t.id = items.id OR t.source_id = items.source_id)
) t ON true
ORDER BY items.place, t.id
"""


CREATE_MANY = create_many()
