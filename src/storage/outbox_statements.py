"""The SQL of `storage.outbox`: what the relay, its commands and its watchers ask of the log.

Parameters are psycopg2's, by name.
"""

from storage.database import Prepared

CHANNEL = "outbox"  # of the NOTIFY that says: something was committed

# For the connections of the relay. The planner knows nothing of a new partition and would scan it; the indexes fit.
PLANNER = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan -c work_mem=32MB"

TIMELINE = "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer"
CLUSTER = "(SELECT system_identifier FROM pg_control_system())"
_LEASE = "clock_timestamp() + %(lease)s * interval '1 second'"
# A database that went back may give a fence out again: so the place is compared too.
_MINE_STILL = f"""fence = %(fence)s AND hi::text = %(hi)s::text
    AND timeline = {TIMELINE} AND system_identifier = {CLUSTER}"""
_COLUMNS = """seq, topic, user_id::text, aggregate_id::text, version::text, event_id::text, event_type,
           rfc3339(created_at), request_id, payload, published_seq, traceparent"""


def bounded(rows: str) -> str:
    return f"""
    SELECT {_COLUMNS}, upto FROM (
        SELECT r.*, sum(octet_length(payload)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS upto FROM ({rows}) r
    ) b WHERE upto - octet_length(payload) < %(bytes)s"""


def _window(seen: str = "") -> str:
    # OFFSET 0 keeps the planner from walking the index on seq from the beginning of the log for the sake of the order.
    late = f"AND seq <= %(top)s AND seq + 0 > %(after)s {seen} OFFSET 0"
    return bounded(f"""
        (SELECT * FROM (
            (SELECT * FROM outbox WHERE %(late)s AND xid = ANY (%(xip)s) {late})
            UNION ALL
            (SELECT * FROM outbox WHERE %(late)s AND xid >= %(xmax)s
                AND xid < pg_snapshot_xmax(pg_current_snapshot()) {late})
        ) late ORDER BY seq LIMIT %(batch)s)
        UNION ALL
        (SELECT * FROM outbox WHERE seq > greatest(%(top)s, %(after)s) {seen} ORDER BY seq LIMIT %(batch)s)
        ORDER BY seq LIMIT %(batch)s""")


_TYPES = {
    "after": "bigint",
    "batch": "integer",
    "bytes": "bigint",
    "done": "bigint",
    "fence": "bigint",
    "hi": "pg_snapshot",
    "late": "boolean",
    "lease": "float8",
    "move": "boolean",
    "top": "bigint",
    "topics": "jsonb",
    "xip": "xid8[]",
    "xmax": "xid8",
}

# On another timeline the derived tables may have gone back while their readers stand where they stood: as after a loss
# of the topic, they are folded from the log.
ACQUIRE = f"""
UPDATE outbox_cursor
SET fence = fence + 1, owner = %(owner)s, lease_until = {_LEASE},
    timeline = {TIMELINE}, epoch = epoch + (timeline <> {TIMELINE})::integer,
    topics = CASE WHEN timeline = {TIMELINE} THEN topics ELSE coalesce((
        SELECT jsonb_object_agg(key, jsonb_set(value, '{{generation}}', to_jsonb((value -> 'generation')::integer + 1)))
        FROM jsonb_each(topics)), '{{}}') END
WHERE lease_until < clock_timestamp() OR owner = %(owner)s
RETURNING fence, epoch, lo::text, hi::text, top_seq, greatest(top_seq, done_seq), done_seq, floor_seq, recovered_seq,
          topics, old.timeline <> new.timeline,
          system_identifier <> {CLUSTER} OR pg_snapshot_xmax(hi) > pg_current_xact_id()
"""

# What is new, and the window that holds it, in one statement: stored before anything of it is published. The rows are
# those of the snapshot that becomes `hi`. Where nothing is new and nothing need be stored, nothing is written.
STEP = Prepared(
    "outbox_step",
    f"""
WITH found AS MATERIALIZED ({_window()}
), mine AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM outbox_quarantine WHERE state IN ('retry', 'skip')) AS asked
    FROM outbox_cursor WHERE {_MINE_STILL}
), moved AS (
    UPDATE outbox_cursor
    SET lo = hi, hi = pg_current_snapshot(), top_seq = %(top)s, done_seq = 0, topics = %(topics)s,
        lease_until = {_LEASE}, moved_at = clock_timestamp()
    WHERE fence = %(fence)s AND EXISTS (SELECT FROM mine) AND (%(move)s OR EXISTS (SELECT FROM found))
    RETURNING hi::text
)
SELECT mine.asked, moved.hi, found.* FROM mine LEFT JOIN moved ON true LEFT JOIN found ON true ORDER BY found.seq
""",
    _TYPES,
)

READ = Prepared("outbox_read", _window("AND pg_visible_in_snapshot(xid, %(hi)s)"), _TYPES)

ADVANCE = Prepared(
    "outbox_advance",
    f"""
UPDATE outbox_cursor
SET done_seq = %(done)s, topics = %(topics)s, lease_until = {_LEASE}, moved_at = clock_timestamp()
WHERE {_MINE_STILL}
""",
    _TYPES,
)

# A step that was cancelled may have opened the next window after all: that one's rows are not done.
RELEASE = """
UPDATE outbox_cursor
SET done_seq = CASE hi::text WHEN %(hi)s THEN %(done)s ELSE done_seq END,
    topics = CASE hi::text WHEN %(hi)s THEN %(topics)s ELSE topics END, owner = '',
    lease_until = '-infinity'
WHERE fence = %(fence)s
"""

ADOPT = "SELECT * FROM outbox_adopt(%(fence)s, %(found)s)"

REBASE = "SELECT outbox_rebase(%(fence)s)"

# What the old snapshots had not published; transaction 2 bears what came from the topic. What is younger may bear a
# transaction id of this cluster: it is sent again.
RECOVER = bounded("""
    SELECT o.* FROM outbox o, outbox_cursor
    WHERE seq > %(after)s AND seq <= %(last)s AND xid <> '2'
      AND (NOT pg_visible_in_snapshot(xid, lo) AND NOT (pg_visible_in_snapshot(xid, hi) AND seq <= done_seq)
           OR created_at >= recover_since)
    ORDER BY seq LIMIT %(batch)s""")

RECOVERED = f"UPDATE outbox_cursor SET recovered_seq = %(done)s, lease_until = {_LEASE} WHERE fence = %(fence)s"

RECOVERED_ALL = f"""
UPDATE outbox_cursor
SET lo = base, hi = base, top_seq = greatest(floor_seq, top_seq), done_seq = 0, base = NULL, recovered_seq = NULL,
    recover_since = NULL, lease_until = {_LEASE}, moved_at = clock_timestamp()
WHERE fence = %(fence)s RETURNING hi::text
"""

# Under the row lock of the cursor, so that a takeover comes wholly before or wholly after.
_MINE = "WITH mine AS (UPDATE outbox_cursor SET fence = fence WHERE fence = %(fence)s RETURNING 1)"

QUARANTINE = f"""
{_MINE}
INSERT INTO outbox_quarantine (seq, user_id, aggregate_id, version, topic, error)
SELECT %(seq)s, %(user_id)s, %(aggregate_id)s, %(version)s, %(topic)s, %(error)s FROM mine
ON CONFLICT (seq) DO UPDATE SET state = 'held', error = excluded.error, since = excluded.since
"""

SETTLE = f"""
{_MINE}, settled AS (
    UPDATE outbox_quarantine
    SET state = CASE state WHEN 'skip' THEN 'skipped' ELSE 'published' END, settled_at = clock_timestamp()
    FROM mine WHERE seq = %(seq)s AND state IN ('retry', 'skip')
)
SELECT FROM mine
"""

_HELD = "SELECT seq, user_id::text, aggregate_id::text, version, state, error, since, topic FROM outbox_quarantine"
HELD_NOW = f"{_HELD} WHERE state IN ('held', 'retry', 'skip') ORDER BY seq"
ASKED = f"{_HELD} WHERE state IN ('retry', 'skip') ORDER BY seq LIMIT 1"
ASK = f"""
WITH asked AS (
    UPDATE outbox_quarantine SET state = %(state)s, asked_by = %(asked_by)s, reason = %(reason)s
    WHERE state = 'held' AND (%(seq)s::bigint IS NULL OR seq = %(seq)s) RETURNING seq
)
SELECT count(*), pg_notify('{CHANNEL}', '') FROM asked
"""

# Of one aggregate, what the windows have passed over so far.
PASSED = f"""
SELECT {_COLUMNS} FROM outbox
WHERE user_id = %(user_id)s AND aggregate_id = %(aggregate_id)s AND seq > %(after)s
  AND (seq <= %(floor)s OR pg_visible_in_snapshot(xid, %(hi)s))
ORDER BY seq
"""

_DONE = """pg_visible_in_snapshot(xid, (SELECT hi FROM outbox_cursor))
        AND seq <= (SELECT done_seq FROM outbox_cursor)"""
_WAITING_LATE = f"""seq <= (SELECT top_seq FROM outbox_cursor)
        AND seq + 0 > (SELECT floor_seq FROM outbox_cursor) AND NOT ({_DONE})"""
# At most a million are counted: the question must stay cheap when much waits.
STATUS = f"""
WITH waiting AS MATERIALIZED (
    (SELECT created_at FROM outbox WHERE seq > (SELECT top_seq FROM outbox_cursor) AND NOT ({_DONE})
     ORDER BY seq LIMIT 1000000)
    UNION ALL
    SELECT created_at FROM outbox
    WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(lo) FROM outbox_cursor)) AND {_WAITING_LATE}
    UNION ALL
    SELECT created_at FROM outbox
    WHERE xid >= (SELECT pg_snapshot_xmax(lo) FROM outbox_cursor)
      AND xid < pg_snapshot_xmax(pg_current_snapshot()) AND {_WAITING_LATE}
)
SELECT (SELECT count(*) FROM waiting),
       coalesce(greatest(0, extract(epoch FROM now() - (SELECT min(created_at) FROM waiting))), 0)::float8,
       owner, extract(epoch FROM greatest(lease_until, now() - interval '1 day') - clock_timestamp())::float8, epoch,
       recovered_seq IS NOT NULL,
       (SELECT count(*) FROM outbox_quarantine WHERE state IN ('held', 'retry', 'skip')), topics
FROM outbox_cursor
"""

# What was published: passed over by the windows, and neither held nor skipped.
PUBLISHED = """
    SELECT o.* FROM outbox o, outbox_cursor
    WHERE seq > %(after)s AND seq <= %(last)s {}
      AND (seq <= floor_seq OR pg_visible_in_snapshot(xid, lo) OR pg_visible_in_snapshot(xid, hi) AND seq <= done_seq)
      AND NOT EXISTS (
        SELECT FROM outbox_quarantine q
        WHERE q.user_id = o.user_id AND q.aggregate_id = o.aggregate_id
          AND (q.state = 'skipped' AND q.seq = o.seq OR q.state IN ('held', 'retry', 'skip') AND q.seq <= o.seq))
    ORDER BY seq LIMIT %(batch)s"""
FILTERS = {
    "user_id": "AND user_id = %(user_id)s",
    "training_id": "AND aggregate_id = %(training_id)s AND aggregate_type = 'training'",
    "workout_id": "AND aggregate_id = %(workout_id)s AND aggregate_type = 'workout'",
    "since": "AND created_at >= %(since)s",
    "until": "AND created_at < %(until)s",
}
LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM outbox"

MONTHS_AHEAD = """
SELECT count(*) FROM generate_series(1, 12) n
WHERE to_regclass('outbox_' || to_char(now() AT TIME ZONE 'UTC' + make_interval(months => n::integer), 'YYYY_MM'))
      IS NOT NULL
"""
