"""The SQL of `storage.imports`: the jobs, and what undoes one."""

from models.imports import ImportDocument
from storage.arrays import names
from storage.training_batch_statements import create_many
from storage.training_parts import FIELDS, KEY, SOURCE_ID

UNDER_WAY = "status IN ('queued', 'running', 'undoing')"

# Those that are not done yet, and the age of the oldest in seconds; the index is of what is under way.
BACKLOG = f"""
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM imports
WHERE {UNDER_WAY} AND status <> 'undoing'
"""

# The members of an import's document are columns. What is told of one in a list is less.
MEMBERS = tuple(ImportDocument.model_fields)
JOB = names(MEMBERS)
_LISTED = names(f"NULL AS {member}" if member in {"errors", "kept_trainings"} else member for member in MEMBERS)

# One at a time, which the index keeps, and so many an hour. The first five columns are what the Idempotency-Key was
# used for before, as in `training_statements.Write`: an import is no event, so its key names it twice. Without a row of
# `made` the others say why; where they say nothing, another one began after this statement's snapshot was taken.
_CREATE = f"""
WITH {{key}}recent AS (
    SELECT count(*) AS number, ceil(extract(epoch FROM min(created_at) + interval '1 hour' - now()))::integer AS wait
    FROM imports WHERE user_id = %(user_id)s AND created_at > now() - interval '1 hour'
), under_way AS (
    SELECT id FROM imports WHERE user_id = %(user_id)s AND {UNDER_WAY}
), made AS (
    INSERT INTO imports (user_id, id, format, timezone, unit, file, actor, request_id, traceparent, sessions, held_back,
                         error_lines, errors)
    SELECT %(user_id)s, %(id)s, %(format)s, %(timezone)s, %(unit)s, %(file)s, %(actor)s, %(request_id)s,
           %(traceparent)s, %(sessions)s, %(held_back)s, %(error_lines)s, %(errors)s::jsonb
    FROM {{first}} WHERE {{fresh}} AND number < %(most)s AND NOT EXISTS (SELECT FROM under_way)
    ON CONFLICT (user_id) WHERE {UNDER_WAY} DO NOTHING
    RETURNING {JOB}
)
SELECT {{answer}}, {{facts}}, made.*
FROM {{first}} LEFT JOIN under_way ON true LEFT JOIN made ON true
"""
_FACTS = "under_way.id, number >= %(most)s, greatest(wait, 1)"
CREATE = _CREATE.format(key="", first="recent", fresh="true", answer="false, NULL, NULL, NULL, NULL", facts=_FACTS)
CREATE_KEYED = _CREATE.format(
    key=KEY,
    first="recent, key",
    fresh="key.fresh",
    answer=f"""NOT key.fresh, key.same, key.training_id, key.event_id,
       CASE WHEN key.fresh AND made.id IS NULL THEN refuse_write(json_build_array({_FACTS})::text) END""",
    facts=_FACTS,
)

READ = f"SELECT {JOB} FROM imports WHERE user_id = %(user_id)s AND id = %(id)s"

LIST = f"""
SELECT {_LISTED} FROM imports
WHERE user_id = %(user_id)s
  AND (%(after_at)s::timestamptz IS NULL OR (created_at, id) < (%(after_at)s::timestamptz, %(after_id)s::uuid))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""

# The minutes from `first` to `last` in which trainings begin that the user sees. Minutes are compared, since equality
# can be hashed; the range narrows the index.
_MINUTES = """SELECT date_trunc('minute', t.date, 'UTC') FROM trainings t
    WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND NOT t.hidden
      AND t.date >= date_trunc('minute', %(first)s::timestamptz, 'UTC')
      AND t.date < date_trunc('minute', %(last)s::timestamptz, 'UTC') + interval '1 minute'"""

# How many of the sessions are there, how many of these as they are here, with the movements' slugs or without, and how
# many that are not there begin in the minute of a training.
COMPARE = f"""
SELECT count(t.id), count(*) FILTER (WHERE t.digest IN (decode(i.digest, 'hex'), decode(i.plain, 'hex'), '')),
       count(*) FILTER (WHERE t.id IS NULL AND date_trunc('minute', i.date, 'UTC') IN ({_MINUTES}))
FROM json_to_recordset(%(items)s::json) AS i(source_id text, date timestamptz, digest text, plain text)
LEFT JOIN trainings t ON t.user_id = %(user_id)s AND t.source_id = i.source_id
"""

# An undo takes back what is done or has failed, and what runs: the worker that has it meets the new status at its next
# step, and goes on as the undo. What no worker ever had is undone at once.
UNDO = f"""
WITH under_way AS (
    SELECT id FROM imports WHERE user_id = %(user_id)s AND {UNDER_WAY} AND id <> %(id)s
), begun AS (
    UPDATE imports SET status = CASE status WHEN 'queued' THEN 'undone' ELSE 'undoing' END,
                       finished_at = CASE status WHEN 'queued' THEN now() END, file = NULL, claims = 0
    WHERE user_id = %(user_id)s AND id = %(id)s AND status IN ('queued', 'running', 'done', 'failed')
      AND NOT EXISTS (SELECT FROM under_way)
    RETURNING {JOB}
)
SELECT (SELECT id FROM under_way), begun.* FROM begun
UNION ALL
SELECT (SELECT id FROM under_way), {JOB} FROM imports
WHERE user_id = %(user_id)s AND id = %(id)s AND NOT EXISTS (SELECT FROM begun)
"""

# The oldest job that nobody works off. Who asks again, because PostgreSQL was away or the import is to be undone now,
# gets its own back first, and is no further worker.
CLAIM = f"""
UPDATE imports SET lease = %(lease)s, leased_until = now() + %(seconds)s * interval '1 second',
                   claims = claims + (lease IS DISTINCT FROM %(lease)s)::integer,
                   status = CASE status WHEN 'queued' THEN 'running' ELSE status END
WHERE (user_id, id) = (
    SELECT user_id, id FROM imports
    WHERE {UNDER_WAY} AND (leased_until IS NULL OR leased_until < now() OR lease = %(lease)s)
    ORDER BY lease IS DISTINCT FROM %(lease)s, created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING {JOB}, user_id, actor, request_id, traceparent, file, claims
"""

# Each step of a job asks for the lease: without a row it is another's now.
_HELD = "user_id = %(user_id)s AND id = %(id)s AND lease = %(lease)s"

# A batch of the import's trainings. A worker that was frozen, and whose job is another's or to be undone by now,
# creates nothing.
CREATE_HELD = create_many(only=f"SELECT FROM imports WHERE {_HELD} AND status = 'running' FOR NO KEY UPDATE")

# Its own trainings, which may begin at once too, are younger than the import. What was done counts, though it is to be
# undone by now.
STEP = f"""
UPDATE imports SET worked_off = %(worked_off)s, created = %(created)s, unchanged = %(unchanged)s,
                   overlapping = overlapping + (
                       SELECT count(*) FROM unnest(%(dates)s::timestamptz[]) AS date
                       WHERE date_trunc('minute', date, 'UTC') IN (
    {_MINUTES} AND t.created_at < imports.created_at)),
                   conflicting = %(conflicting)s, refused = %(refused)s, errors = %(errors)s::jsonb,
                   leased_until = now() + %(seconds)s * interval '1 second', claims = 0
WHERE {_HELD} AND status IN ('running', 'undoing')
RETURNING status = 'running'
"""

FINISH = f"""
UPDATE imports SET status = %(status)s, failure = %(failure)s, kept = %(kept)s, kept_trainings = %(kept_trainings)s,
                   file = NULL, lease = NULL, leased_until = NULL, finished_at = now()
WHERE {_HELD} AND status = %(was)s
"""

RELEASE = f"UPDATE imports SET leased_until = NULL, claims = 0 WHERE {_HELD}"

# What an import may have created: the trainings with source ids of its app.
MADE = """
SELECT id, source_id, version FROM trainings
WHERE user_id = %(user_id)s AND source_id LIKE %(format)s || ':%%' AND deleted_at IS NULL
"""

# Deletes those that nobody changed since, each with its event, and counts them. Their source ids are given free, so
# that the file can be imported again, in another zone or unit perhaps. Version 1 under the lock is the snapshot's, so
# the children are seen as they are.
DELETE_MANY = f"""
WITH job AS MATERIALIZED (
    SELECT user_id FROM imports WHERE {_HELD} AND status = 'undoing' FOR UPDATE
), items AS MATERIALIZED (
    SELECT i.* FROM job, json_to_recordset(%(items)s::json) AS i(
        training_id uuid, event_id uuid, event_head text, payload_head text)
), current AS MATERIALIZED (
    SELECT t.id, {FIELDS} AS fields FROM trainings t
    WHERE t.user_id = %(user_id)s AND t.id IN (SELECT training_id FROM items) AND t.version = 1 AND t.deleted_at IS NULL
    ORDER BY t.id FOR UPDATE
), changed AS (
    UPDATE trainings t
    SET version = 2, source_id = NULL, deleted_at = greatest(now(), t.updated_at),
        updated_at = greatest(now(), t.updated_at), xid = DEFAULT
    FROM current WHERE t.user_id = %(user_id)s AND t.id = current.id
    RETURNING t.id, old.source_id, t.version, t.updated_at, current.fields
), logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        traceparent, payload, created_at)
    SELECT items.event_id, %(topic)s, 'training', changed.id, changed.version, %(event_type)s, %(user_id)s, %(actor)s,
           %(request_id)s, %(traceparent)s, items.event_head || rfc3339(changed.updated_at) || items.payload_head
           || {SOURCE_ID.format("changed")} || '"version":' || changed.version || ','
           || substr(changed.fields, 2) || '}}', changed.updated_at
    FROM changed JOIN items ON items.training_id = changed.id ORDER BY changed.id
)
UPDATE imports SET undone = undone + (SELECT count(*) FROM changed),
                   leased_until = now() + %(seconds)s * interval '1 second', claims = 0
FROM job WHERE imports.user_id = job.user_id AND imports.id = %(id)s
RETURNING ARRAY(SELECT id FROM changed)
"""
