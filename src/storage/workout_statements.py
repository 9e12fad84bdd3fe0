"""The SQL of `storage.workouts`: every statement that reads or writes a workout, and the one that plans a training.

Composed as those of `storage.training_statements` are, of which they use the claim of the Idempotency-Key.
"""

from collections.abc import Callable

from storage.database import Prepared
from storage.pages import bounded
from storage.training_parts import CHILDREN, KEY, LOG, SOURCE_ID, STORED, TYPES, WRITABLE
from storage.training_statements import Write

_RECORD = """id uuid, name text, exercise text, exercise_revision integer, superset integer, sets integer, reps json,
        rest integer, weight numeric, unit text, rpe numeric, tempo text, hold_seconds numeric, progression json,
        notes text"""

# What `models.workouts.workout_fields` says of the row `w`, as a JSON object: to the byte as Python writes it.
FIELDS = """(
    SELECT json_strip_nulls(row_to_json(f))::text FROM (
        SELECT w.name, w.notes, w.group_external_id, coalesce((
            SELECT json_agg(row_to_json(e)) FROM (
                SELECT id, name, exercise, exercise_revision, superset, sets, reps, rest, trim_scale(weight) AS weight,
                       unit, trim_scale(rpe) AS rpe, tempo, trim_scale(hold_seconds) AS hold_seconds, progression, notes
                FROM workout_exercises WHERE user_id = w.user_id AND workout_id = w.id ORDER BY position
            ) e), '[]') AS exercises
    ) f)"""

_STORED = f"w.id, w.version, w.created_at, w.updated_at, w.deleted_at, {FIELDS} AS fields"

# Exercises of the workout that the one row of `content` is about.
_CHILDREN = f"""new_exercises AS (
    INSERT INTO workout_exercises (user_id, workout_id, id, name, exercise, exercise_revision, superset, sets, reps,
                                   rest, weight, unit, rpe, tempo, hold_seconds, progression, notes, position)
    SELECT %(user_id)s, %(id)s, e.*
    FROM content, ROWS FROM (json_to_recordset(content.exercises) AS (
        {_RECORD}
    )) WITH ORDINALITY e
)"""

_LOG = """logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        traceparent, payload, created_at)
    SELECT %(event_id)s, %(topic)s, 'workout', %(id)s, {version}, %(event_type)s, %(user_id)s, %(actor)s,
           %(request_id)s, %(traceparent)s, %(event_head)s || rfc3339({at}) || %(payload_head)s || '"version":'
           || {version} || ',' || {fields} || '}}', {at}
    FROM {source}
)"""

# Which workouts are there for who writes: for a coach only those of the coach's groups (`coach_of`).
_WRITABLE = "(%(coach_of)s::text[] IS NULL OR {0}group_external_id = ANY (%(coach_of)s::text[]))"

_CREATE = """
WITH {key}created AS (
    INSERT INTO workouts (user_id, id, name, notes, group_external_id, plan, digest)
    SELECT %(user_id)s, %(id)s, %(name)s, %(notes)s, %(group_external_id)s, %(plan)s, %(digest)s
    {fresh}
    ON CONFLICT DO NOTHING
    RETURNING created_at
), content AS (
    SELECT %(exercises)s::json AS exercises FROM created
), {children}, {log}
SELECT {answer}, created.created_at, w.*
FROM {first} LEFT JOIN created ON true LEFT JOIN LATERAL (
    SELECT w.digest IN (%(digest)s, '') AND coalesce({writable}, false) AS same, {stored} FROM workouts w
    WHERE NOT EXISTS (SELECT FROM created) AND w.user_id = %(user_id)s AND w.id = %(id)s
) w ON true
"""

# The row under its lock (`current`) beside the row of the snapshot, by which the children are seen.
_CURRENT = """snapshot AS (
    SELECT w.version{more} FROM workouts w WHERE w.user_id = %(user_id)s AND w.id = %(id)s
), current AS (
    SELECT version, deleted_at IS NOT NULL AS deleted FROM workouts
    WHERE user_id = %(user_id)s AND id = %(id)s AND {writable} {fresh}
    FOR UPDATE
)"""

# Only a write whose snapshot holds the children of the version under the lock changes anything. Its own children come
# after the old ones are gone.
_CHANGE = """
WITH {key}{current}, changed AS (
    UPDATE workouts w
    SET version = w.version + 1, updated_at = greatest(now(), w.updated_at), {change}
    FROM current, snapshot
    WHERE w.user_id = %(user_id)s AND w.id = %(id)s AND current.version = snapshot.version AND NOT current.deleted
      AND (%(if_match)s::bigint[] IS NULL OR current.version = ANY (%(if_match)s::bigint[]))
    RETURNING w.version, w.created_at, w.updated_at{returned}
), old_exercises AS (
    DELETE FROM workout_exercises e USING changed WHERE e.user_id = %(user_id)s AND e.workout_id = %(id)s RETURNING 1
), {children}{log}
SELECT {answer}, changed.version, changed.created_at, changed.updated_at, current.version, current.deleted
FROM {first} LEFT JOIN current ON true LEFT JOIN changed ON true
"""

# A copy of a coach's workout. `digest` says of which version of that it is one, and which version of it that made: one
# that is at another was changed since. As above, only a write whose snapshot holds the exercises changes anything.
_COPY = """
WITH snapshot AS (
    SELECT version, deleted_at IS NOT NULL OR substr(digest, 5) <> int4send(version) AS changed,
           substr(digest, 1, 4) >= int4send(%(source_version)s) AS same
    FROM workouts WHERE user_id = %(user_id)s AND id = %(id)s
), copied AS (
    INSERT INTO workouts AS w (user_id, id, name, notes, group_external_id, plan, digest)
    SELECT %(user_id)s, %(id)s, %(name)s, %(notes)s, %(group_external_id)s, %(plan)s,
           int4send(%(source_version)s) || int4send(1)
    ON CONFLICT (user_id, id) DO UPDATE
    SET version = w.version + 1, updated_at = greatest(now(), w.updated_at), name = excluded.name,
        notes = excluded.notes, plan = excluded.plan,
        digest = int4send(%(source_version)s) || int4send(w.version + 1)
    WHERE w.version = (SELECT version FROM snapshot WHERE NOT changed AND NOT same)
    RETURNING version, updated_at
), old_exercises AS (
    DELETE FROM workout_exercises e USING copied WHERE e.user_id = %(user_id)s AND e.workout_id = %(id)s RETURNING 1
), content AS (
    SELECT %(exercises)s::json AS exercises FROM copied, (SELECT count(*) FROM old_exercises) gone
), {children}, {log}
SELECT copied.version, snapshot.changed, snapshot.same
FROM (VALUES (1)) one LEFT JOIN copied ON true LEFT JOIN snapshot ON true
"""

# The training says of itself what `models.trainings.training_fields` would.
_PLAN = """
WITH {key}workout AS (
    SELECT id, version, name, group_external_id, plan FROM workouts
    WHERE user_id = %(user_id)s AND id = %(workout_id)s AND deleted_at IS NULL AND {writable_workout} {fresh}
), created AS (
    INSERT INTO trainings (user_id, id, source_id, status, date, timezone, day, title, workout_id, workout_version,
                           group_external_id, hidden, digest)
    SELECT %(user_id)s, %(id)s, %(source_id)s, 'PLANNED', %(date)s, %(timezone)s, %(day)s,
           coalesce(%(title)s, name), id, version, group_external_id, %(hidden)s, %(digest)s
    FROM workout
    ON CONFLICT DO NOTHING
    RETURNING created_at, source_id, title
), content AS (
    SELECT workout.plan::json AS exercises, %(planned_fields)s || ',"title":' || to_json(created.title)::text
           || ',"workout_id":"' || workout.id || '","workout_version":' || workout.version
           || coalesce(',"group_external_id":' || to_json(workout.group_external_id)::text, '')
           || CASE WHEN %(hidden)s THEN ',"hidden":true' ELSE '' END
           || ',"exercises":' || workout.plan AS fields
    FROM created, workout
), {children}, {log}
SELECT {answer}, created.created_at, content.fields, EXISTS (SELECT FROM workout), t.*
FROM {first} LEFT JOIN created ON true LEFT JOIN content ON true LEFT JOIN LATERAL (
    SELECT t.digest IN (%(digest)s, '') AND {writable} AS same, {stored} FROM trainings t
    WHERE NOT EXISTS (SELECT FROM created) AND t.user_id = %(user_id)s
      AND (t.id = %(id)s OR t.source_id = %(source_id)s)
) t ON true
"""


def _create(key: str, first: str, fresh: str, answer: str) -> str:
    return _CREATE.format(
        key=key,
        first=first,
        fresh=f"WHERE {fresh}",
        answer=answer.format(_EXISTS),
        children=_CHILDREN,
        stored=_STORED,
        writable=_WRITABLE.format("w."),
        log=_LOG.format(version="1", at="created.created_at", fields="%(fields)s || '}'", source="created"),
    )


def _update(key: str, first: str, fresh: str, answer: str) -> str:
    return _CHANGE.format(
        key=key,
        first=first,
        current=_CURRENT.format(more="", writable=_WRITABLE.format(""), fresh=f"AND {fresh}"),
        answer=answer.format(_UNCHANGED),
        change="name = %(name)s, notes = %(notes)s, group_external_id = %(group_external_id)s, plan = %(plan)s",
        returned="",
        children="content AS (SELECT %(exercises)s::json AS exercises "
        f"FROM changed, (SELECT count(*) FROM old_exercises) gone), {_CHILDREN}, ",
        log=_LOG.format(fields="%(fields)s || '}'", **_CHANGED),
    )


def _delete(key: str, first: str, fresh: str, answer: str) -> str:
    return _CHANGE.format(
        key=key,
        first=first,
        current=_CURRENT.format(more=f", {FIELDS} AS fields", writable=_WRITABLE.format(""), fresh=f"AND {fresh}"),
        answer=answer.format(_UNCHANGED),
        change="deleted_at = greatest(now(), w.updated_at)",
        returned=", snapshot.fields",
        children="",
        log=_LOG.format(fields="substr(changed.fields, 2)", **_CHANGED),
    )


def _plan(key: str, first: str, fresh: str, answer: str) -> str:
    return _PLAN.format(
        key=key,
        first=first,
        fresh=f"AND {fresh}",
        answer=answer.format(_EXISTS),
        children=CHILDREN,
        stored=STORED,
        writable=WRITABLE.format("t."),
        writable_workout=_WRITABLE.format(""),
        log=LOG.format(
            version="1",
            at="created.created_at",
            source="created, content",
            payload=SOURCE_ID.format("created") + """ || '"version":1,' || content.fields || '}'""",
        ),
    )


def _copy() -> str:
    made = "CASE copied.version WHEN 1 THEN %(event_type)s ELSE 'workout_updated' END"
    head = f"replace(%(event_head)s, %(event_type)s, {made})"
    log = _LOG.replace("%(event_type)s", made).replace("%(event_head)s", head)
    return _COPY.format(
        children=_CHILDREN,
        log=log.format(version="copied.version", at="copied.updated_at", fields="%(fields)s || '}'", source="copied"),
    )


def _write(name: str, made: Callable[[str, str, str, str], str]) -> Write:
    """A write without an Idempotency-Key, and with the claim of one."""
    plain = made("", "(VALUES (1)) one", "true", "false, NULL, NULL, NULL, NULL")
    claimed = "NOT key.fresh, key.same, key.training_id, key.event_id, CASE WHEN key.fresh AND {} END"
    keyed = made(KEY, "key", "(SELECT fresh FROM key)", claimed)
    return Write(
        Prepared(f"workout_{name}_plain", plain, TYPES),
        Prepared(f"workout_{name}_keyed", keyed, TYPES),
    )


# Where a write changes nothing its key is not kept.
_EXISTS = "created.created_at IS NULL THEN refuse_write('exists')"
_UNCHANGED = """changed.version IS NULL THEN refuse_write(json_build_array(
        current.version, current.deleted)::text)"""
_CHANGED = {"version": "changed.version", "at": "changed.updated_at", "source": "changed"}

CREATE = _write("create", _create)
UPDATE = _write("update", _update)
DELETE = _write("delete", _delete)
PLAN = _write("plan", _plan)
COPY = Prepared("workout_copy", _copy(), TYPES | {"source_version": "integer"})

READ = Prepared(
    "workout_read",
    f"SELECT {_STORED} FROM workouts w WHERE w.user_id = %(user_id)s AND w.id = %(id)s AND w.deleted_at IS NULL",
    TYPES,
)

LIST = bounded(
    f"""
SELECT {_STORED} FROM workouts w
WHERE w.user_id = %(user_id)s AND w.deleted_at IS NULL
  AND (%(after_moment)s::timestamptz IS NULL
       OR (w.created_at, w.id) < (%(after_moment)s::timestamptz, %(after_id)s::uuid))
ORDER BY w.created_at DESC, w.id DESC
LIMIT %(limit)s
""",
    order="created_at DESC, id DESC",
    text="fields",
)

VERSIONS = bounded(
    """
SELECT version, event_type, actor, request_id, created_at, payload FROM outbox
WHERE user_id = %(user_id)s AND aggregate_id = %(id)s AND aggregate_type = 'workout' AND version > %(after)s
ORDER BY version LIMIT %(limit)s
""",
    order="version",
    text="payload",
)

_LOGGED = """
SELECT o.version, o.event_type, o.payload, w.created_at, o.created_at
FROM outbox o JOIN workouts w ON w.user_id = o.user_id AND w.id = o.aggregate_id
WHERE o.user_id = %(user_id)s AND o.aggregate_id = %(id)s AND o.aggregate_type = 'workout'
"""
VERSION = f"{_LOGGED} AND o.version = %(version)s"
REPLAY = f"{_LOGGED} AND o.event_id = %(event_id)s"
