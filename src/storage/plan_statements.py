"""The SQL of `storage.plans`: many planned trainings read, made, changed or deleted, each kind in one statement."""

from storage.training_parts import FIELDS, SET_COLUMNS, SET_RECORD, SOURCE_ID

# Plans are written by one transaction of a user at a time. What is taken here ends with the transaction; the athlete's
# own writes of single trainings do not ask for it.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('plans:' || %(user_id)s::text, 0))"

# What a plan may change: nobody has begun it or given it up, and no coach hides it.
PLANNED = "t.status = 'PLANNED' AND t.skipped_at IS NULL AND t.deleted_at IS NULL AND NOT t.hidden"

# What they say is told of the first of them alone, as far as `most` bytes go: a reader need not hold more.
READ = f"""
WITH found AS MATERIALIZED (
    SELECT t.id, t.version, t.source_id, t.created_at, t.date, {FIELDS} AS fields FROM trainings t
    WHERE t.user_id = %(user_id)s AND {PLANNED} AND t.id = ANY (%(ids)s::uuid[])
)
SELECT id, version, source_id, created_at,
       CASE WHEN sum(octet_length(fields)) OVER (ORDER BY date, id) <= %(most)s THEN fields END
FROM found ORDER BY date, id
"""

# One item a training, with the parts of its event. `fields` is what the training says then, as the event has it to the
# byte; the members that have a column are read out of it (`r`).
_ITEM = """id uuid, seen integer, event_id uuid, event_head text, payload_head text, fields json"""
_RECORD = """date timestamptz, timezone text, day date, title text, duration_seconds integer, session_rpe numeric,
        bodyweight_kg numeric, notes text, workout_id uuid, workout_version integer, group_external_id text"""
_COLUMNS = """date, timezone, day, title, duration_seconds, session_rpe, bodyweight_kg, notes, workout_id,
        workout_version, group_external_id"""

# The exercises and sets of the trainings of `content`.
_CHILDREN = f"""new_exercises AS (
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
)"""

_LOG = """logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        traceparent, payload, created_at)
    SELECT items.event_id, %(topic)s, 'training', w.id, w.version, %(event_type)s, %(user_id)s, %(actor)s,
           %(request_id)s, %(traceparent)s, items.event_head || rfc3339(w.updated_at) || items.payload_head || {payload}
           || '}}', w.updated_at
    FROM written w JOIN items USING (id) ORDER BY w.id
)"""
_VERSION = """'"version":' || w.version || ',' || """
_SOURCE = SOURCE_ID.format("w") + " || "
_PREVIOUS = """'"previous_status":"PLANNED",' || """
_FIELDS = "substr(items.fields::text, 2)"

CREATE_MANY = f"""
WITH items AS MATERIALIZED (
    SELECT i.* FROM json_to_recordset(%(items)s::json) AS i({_ITEM})
), written AS (
    INSERT INTO trainings (user_id, id, status, {_COLUMNS}, digest)
    SELECT %(user_id)s, i.id, 'PLANNED', r.*, %(digest)s
    FROM items i, json_to_record(i.fields) AS r({_RECORD}) ORDER BY i.id
    RETURNING id, version, updated_at
), content AS (
    SELECT w.id, items.fields -> 'exercises' AS exercises FROM written w JOIN items USING (id)
), {_CHILDREN}, {_LOG.format(payload=_VERSION + _FIELDS)}
SELECT id, version FROM written
"""

# Rows are locked in the order of their ids. One whose version is still the one that was read has, by this statement's
# snapshot, the children that were read; of any other no row comes.
_CURRENT = f"""items AS MATERIALIZED (
    SELECT i.* FROM json_to_recordset(%(items)s::json) AS i({_ITEM})
), current AS MATERIALIZED (
    SELECT t.id{{more}} FROM trainings t JOIN items ON items.id = t.id
    WHERE t.user_id = %(user_id)s AND t.version = items.seen AND {PLANNED}
    ORDER BY t.id FOR UPDATE OF t
)"""

# The children are written anew of those alone whose exercises are others (`anew`).
CHANGE_MANY = f"""
WITH {_CURRENT.format(more="")}, written AS (
    UPDATE trainings t
    SET version = t.version + 1, ({_COLUMNS}) = (SELECT r.* FROM json_to_record(items.fields) AS r({_RECORD})),
        updated_at = greatest(now(), t.updated_at), xid = DEFAULT
    FROM current JOIN items USING (id)
    WHERE t.user_id = %(user_id)s AND t.id = current.id
    RETURNING t.id, t.version, t.source_id, t.updated_at
), renewed AS (
    SELECT w.id FROM written w WHERE w.id = ANY (%(anew)s::uuid[])
), old_sets AS (
    DELETE FROM training_sets s USING renewed WHERE s.user_id = %(user_id)s AND s.training_id = renewed.id RETURNING 1
), old_exercises AS (
    DELETE FROM training_exercises e USING renewed, (SELECT count(*) FROM old_sets) gone
    WHERE e.user_id = %(user_id)s AND e.training_id = renewed.id RETURNING 1
), content AS (
    SELECT items.id, items.fields -> 'exercises' AS exercises
    FROM renewed JOIN items USING (id), (SELECT count(*) FROM old_exercises) gone
), {_CHILDREN}, {_LOG.format(payload=_SOURCE + _VERSION + _PREVIOUS + _FIELDS)}
SELECT id, version FROM written
"""

# The children stay, so that the training can be restored.
DELETE_MANY = f"""
WITH {_CURRENT.format(more=f", {FIELDS} AS fields")}, written AS (
    UPDATE trainings t
    SET version = t.version + 1, deleted_at = greatest(now(), t.updated_at),
        updated_at = greatest(now(), t.updated_at), xid = DEFAULT
    FROM current WHERE t.user_id = %(user_id)s AND t.id = current.id
    RETURNING t.id, t.version, t.source_id, t.updated_at, current.fields
), {_LOG.format(payload=_SOURCE + _VERSION + "substr(w.fields, 2)")}
SELECT id, version FROM written
"""
