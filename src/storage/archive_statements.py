"""The SQL of the archive. Parameters are psycopg2's, by name."""

from storage.outbox_statements import CLUSTER, TIMELINE

_ARCHIVE = "a.id, a.name, a.month, a.rows, a.trainings, a.bytes, a.sha256, a.last_seq, a.created_at"
LIST = f"SELECT {_ARCHIVE} FROM archives a ORDER BY a.id"
# A month's, and those that hold what came later of the same trainings: what is archived of a training is always older
# than what the log has of it. So the newest come back first.
TO_RESTORE = """
WITH RECURSIVE wanted AS (
    SELECT id FROM archives WHERE %(month)s::date IS NULL OR month = %(month)s::date
    UNION
    SELECT later.archive FROM wanted JOIN archived_trainings t ON t.archive = wanted.id
    JOIN archived_trainings later
        ON later.user_id = t.user_id AND later.training_id = t.training_id AND later.archive > t.archive
)
SELECT id FROM wanted ORDER BY id DESC
"""
READ = f"SELECT {_ARCHIVE} FROM archives a WHERE a.id = %(archive)s"
# A copy of the database has the same id, in another place: another cluster, timeline, or database of the server.
FOLDER = f"""
SELECT id::text, concat_ws('.', {CLUSTER}, {TIMELINE}, d.oid)
FROM archive_folder, pg_database d WHERE d.datname = current_database()
"""

# Who holds it is alone with the files: an archive, a restore, an erasure. It is the transaction's, so it goes through a
# pooler and ends with whoever held it. What is done meanwhile may take long between two statements.
HOLD = """
SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT pg_advisory_xact_lock(hashtext('training_archives'))
"""

FILES_OF_USER = f"""
SELECT {_ARCHIVE} FROM archives a
WHERE a.id IN (SELECT archive FROM archived_trainings WHERE user_id = %(user_id)s) ORDER BY a.id
"""

# What an operator gave up was never published.
SKIPPED = "SELECT seq FROM outbox_quarantine WHERE state = 'skipped'"

# Which may hold rows of this user, training and time, where these are given.
HOLDING = f"""
SELECT {_ARCHIVE} FROM archives a
WHERE (%(since)s::timestamptz IS NULL OR a.month + interval '1 month' > %(since)s::timestamptz)
  AND (%(user_id)s::uuid IS NULL AND %(training_id)s::uuid IS NULL OR a.id IN (
    SELECT t.archive FROM archived_trainings t
    WHERE t.user_id = coalesce(%(user_id)s::uuid, t.user_id)
      AND t.training_id = coalesce(%(training_id)s::uuid, t.training_id)))
ORDER BY a.id
"""

# Which file holds the event of the row `f`, where the log does not: to be joined to what looked for it in the log, `o`.
HOLDER = """LATERAL (
    SELECT a.name, a.bytes, a.sha256 FROM archived_trainings x JOIN archives a ON a.id = x.archive
    WHERE o.seq IS NULL AND x.user_id = f.user_id AND x.training_id = f.training_id
      AND f.version BETWEEN x.first_version AND x.last_version
    OFFSET 0
) a"""

# Archiving.
READY = f"""
SELECT recovered_seq IS NULL AND timeline = {TIMELINE} AND system_identifier = {CLUSTER}
       AND pg_snapshot_xmax(hi) <= pg_snapshot_xmax(pg_current_snapshot())
FROM outbox_cursor
"""
# The planner may look at other tables first, whose names say no month.
_MONTH = "to_date(substring(c.relname FROM '^outbox_([0-9]{4}_[0-9]{2})$'), 'YYYY_MM')"
MONTHS = f"""
SELECT {_MONTH} FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'outbox'::regclass AND NOT i.inhdetachpending AND {_MONTH} < %(before)s
ORDER BY 1
"""
COLUMNS = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = 'outbox'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

# Trainings whose newest row is of that month and settled: it is published and folded, load and records are computed,
# no Idempotency-Key is answered by it, and no group that hid the training can be left. The last row of the log stays:
# it tells where the log ends.
CANDIDATES = """
WITH found AS MATERIALIZED (
    SELECT o.user_id, o.aggregate_id, o.version
    FROM outbox_cursor c, outbox o
    JOIN trainings t ON t.user_id = o.user_id AND t.id = o.aggregate_id AND t.version = o.version
    JOIN analytics.folded_trainings f
        ON f.user_id = o.user_id AND f.training_id = o.aggregate_id AND f.version = o.version
    WHERE o.created_at >= %(first)s AND o.created_at < %(until)s AND o.aggregate_type = 'training' AND NOT t.hidden
      AND (o.seq <= c.floor_seq OR pg_visible_in_snapshot(o.xid, c.lo)
           OR pg_visible_in_snapshot(o.xid, c.hi) AND o.seq <= c.done_seq)
      AND o.seq < (SELECT max(seq) FROM outbox)
      AND NOT EXISTS (
        SELECT FROM outbox_quarantine q WHERE q.user_id = o.user_id AND q.aggregate_id = o.aggregate_id
          AND q.state IN ('held', 'retry', 'skip'))
      AND NOT EXISTS (SELECT FROM analytics.stale_users s WHERE s.user_id = o.user_id)
      AND NOT EXISTS (
        SELECT FROM idempotency_keys k WHERE k.user_id = o.user_id AND k.training_id = o.aggregate_id)
    ORDER BY o.user_id, o.aggregate_id LIMIT %(limit)s
)
SELECT * FROM found WHERE user_id <> ALL ((SELECT erased(ARRAY(SELECT DISTINCT user_id FROM found)))::uuid[])
ORDER BY user_id, aggregate_id
"""
ROWS = """
SELECT {columns} FROM unnest(%(users)s::uuid[], %(trainings)s::uuid[]) AS t (user_id, training_id)
CROSS JOIN LATERAL (
    SELECT * FROM outbox o
    WHERE o.user_id = t.user_id AND o.aggregate_id = t.training_id AND o.aggregate_type = 'training'
      AND o.created_at < %(until)s
    OFFSET 0
) o
ORDER BY o.user_id, o.aggregate_id, o.version
"""
CHANGED = """
SELECT t.user_id, t.id FROM unnest(%(users)s::uuid[], %(trainings)s::uuid[], %(versions)s::integer[])
    AS w (user_id, training_id, version)
JOIN trainings t ON t.user_id = w.user_id AND t.id = w.training_id AND t.version <> w.version
"""
ADD = """
INSERT INTO archives (name, month, rows, trainings, bytes, sha256, last_seq)
VALUES (%(file)s, %(month)s, %(rows)s, %(trainings)s, %(bytes)s, %(sha256)s, %(last_seq)s)
RETURNING id
"""
TAKE = "SELECT outbox_archive(%(archive)s, %(rows)s)"
NOTED = "SELECT count(*) FROM archived_trainings WHERE archive = %(archive)s"

# Taking back.
GIVE = "SELECT outbox_unarchive(%(rows)s)"
ERASED = "SELECT erased(%(users)s::uuid[])"
REMOVE = """
DELETE FROM archived_trainings WHERE archive = %(archive)s;
DELETE FROM archives WHERE id = %(archive)s
"""

# Erasing: the rows of one user are out of the file that goes on under another name.
FORGET = "DELETE FROM archived_trainings WHERE archive = %(archive)s AND user_id = %(user_id)s"
REPLACE = """
UPDATE archives
SET name = %(file)s, rows = %(rows)s, trainings = %(trainings)s, bytes = %(bytes)s, sha256 = %(sha256)s,
    last_seq = %(last_seq)s
WHERE id = %(archive)s
"""

COUNT_ERASED = """
UPDATE erasures
SET counts = jsonb_set(counts, '{archive}', to_jsonb(coalesce((counts ->> 'archive')::bigint, 0) + %(gone)s))
WHERE tombstone = tombstone(%(user_id)s) AND status <> 'done'
"""

# A rebuild goes through the files once more while nothing is moved.
HOLD_FILES = "LOCK TABLE archives IN SHARE MODE"

# Empty months. What one was ended in the middle of is found too: a month that is detached, or about to be.
OWNED = "SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = 'outbox'::regclass"
OLD_MONTHS = f"""
SELECT c.relname, i.inhrelid IS NOT NULL AS attached, coalesce(i.inhdetachpending, false) AS pending
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
  AND {_MONTH} + interval '1 month' <= %(until)s
ORDER BY c.relname
"""
KEEP_MONTH = "SELECT outbox_keep_month(to_timestamp(%(month)s, 'YYYY_MM') AT TIME ZONE 'UTC')"
