"""The SQL of `storage.erasures`: the jobs, and the tombstones. Parameters are psycopg2's, by name.

A user is known by `tombstone(user_id)`, which the database makes with a key that workers cannot read.
"""

# As `storage.erasures.Erasure` has them.
_COLUMNS = "status, counts, failure, created_at, finished_at, published_at"

BEGIN = f"""
WITH this AS MATERIALIZED (
    SELECT tombstone(%(user_id)s) AS tombstone
), marked AS (
    INSERT INTO tombstones (tombstone) SELECT tombstone FROM this ON CONFLICT DO NOTHING
)
INSERT INTO erasures AS e (tombstone, user_id) SELECT tombstone, %(user_id)s FROM this
ON CONFLICT (tombstone) DO UPDATE SET tombstone = e.tombstone
RETURNING {_COLUMNS}
"""

READ = f"SELECT {_COLUMNS} FROM erasures WHERE tombstone = tombstone(%(user_id)s)"

BACKLOG = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM erasures WHERE status <> 'done'
"""

IS_ERASED = "SELECT WHERE erased(ARRAY[%(user_id)s]::uuid[]) <> '{}'"

_LEASED = "leased_until = now() + %(seconds)s * interval '1 second'"

# The oldest job that nobody works off. Its transaction begins after the tombstone is there, and every transaction that
# was told before that the user is none of the erased has a lesser id. One of the future is another cluster's, of which
# this database is a copy.
CLAIM = f"""
UPDATE erasures
SET lease = %(lease)s, {_LEASED},
    horizon = CASE WHEN horizon <= pg_current_xact_id() THEN horizon ELSE pg_current_xact_id() END
WHERE tombstone = (
    SELECT tombstone FROM erasures
    WHERE status <> 'done' AND (leased_until IS NULL OR leased_until < now() OR lease = %(lease)s)
    ORDER BY leased_until NULLS FIRST, created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING tombstone, user_id
"""

_ADDED = """coalesce((
        SELECT jsonb_object_agg(name, number) FROM (
            SELECT key AS name, sum(value::bigint) AS number
            FROM (SELECT * FROM jsonb_each_text({0}) UNION ALL SELECT * FROM jsonb_each_text({1})) each_count
            GROUP BY key
        ) sums
    ), '{{}}')"""
_MINE = "tombstone = %(tombstone)s AND lease = %(lease)s AND status <> 'done'"

# What goes is counted by the statement that takes it out. `alone`: whoever was told that the user is not erased had
# ended when this statement began; so once it leaves nothing, nothing is there, and nothing can come.
STEP = f"""
WITH mine AS MATERIALIZED (
    SELECT user_id, pg_snapshot_xmin(pg_current_snapshot()) > horizon AS alone FROM erasures WHERE {_MINE} FOR UPDATE
), swept AS MATERIALIZED (
    SELECT mine.alone, found.* FROM mine CROSS JOIN LATERAL erase_user(mine.user_id, %(most)s) found
)
UPDATE erasures e
SET counts = {_ADDED.format("e.counts", "swept.counts")}, failure = NULL,
    actors = ARRAY(SELECT DISTINCT a FROM unnest(e.actors || swept.actors) a ORDER BY a),
    status = CASE WHEN swept.more THEN 'erasing' ELSE 'waiting' END, {_LEASED}
FROM swept WHERE {_MINE}
RETURNING swept.more, swept.alone, e.actors
"""

RENEW = f"UPDATE erasures SET {_LEASED} WHERE {_MINE}"

PUT_OFF = f"UPDATE erasures SET lease = NULL, {_LEASED}, failure = %(failure)s WHERE {_MINE}"

# An event's text: see `models.events.UserErasedEvent`. Each is an aggregate of its own: an erasure that is begun anew
# tells of itself anew, and no refused event of the user can hold it up.
FINISH = f"""
WITH mine AS MATERIALIZED (
    SELECT user_id FROM erasures WHERE {_MINE} FOR UPDATE
), logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, payload,
                        created_at)
    SELECT %(event_id)s, %(topic)s, 'user', %(erasure_id)s, 1, 'user_erased', user_id, %(actor)s,
           '{{"event_id":"' || %(event_id)s || '","event_type":"user_erased","timestamp":"' || rfc3339(now())
           || '","payload":{{"user_id":"' || user_id || '","erasure_id":"' || %(erasure_id)s || '"}}}}', now()
    FROM mine
    RETURNING seq
)
UPDATE erasures e
SET status = 'done', user_id = NULL, actors = '{{}}', failure = NULL,
    event_seq = logged.seq, finished_at = now(), lease = NULL, leased_until = NULL
FROM logged WHERE {_MINE}
"""

# Where something else publishes the log, nothing here tells what of it is published.
PUBLISHED = """
UPDATE erasures SET published_at = now()
WHERE event_seq IS NOT NULL AND published_at IS NULL AND (NOT %(relayed)s OR event_seq IN (
    SELECT o.seq FROM outbox o, outbox_cursor c
    WHERE o.seq = event_seq
      AND (seq <= floor_seq OR pg_visible_in_snapshot(xid, lo) OR pg_visible_in_snapshot(xid, hi) AND seq <= done_seq)
      AND NOT EXISTS (SELECT FROM outbox_quarantine q WHERE q.seq = o.seq AND q.state IN ('held', 'retry', 'skip'))
))
"""

FORGET = "SELECT forget_erasures(%(days)s * interval '1 day')"

# For the commands, which run as the owner.
EXPORT = "SELECT encode(tombstone, 'hex'), rfc3339(erased_at) FROM tombstones ORDER BY tombstone"

ADD = """
INSERT INTO tombstones (tombstone, erased_at)
SELECT decode(t.tombstone, 'hex'), t.erased_at
FROM unnest(%(tombstones)s::text[], %(moments)s::timestamptz[]) t (tombstone, erased_at)
ON CONFLICT DO NOTHING
"""

# The tables in which users stand, and who of those that stand there was erased: an erasure's own event is none of their
# rows, and one that is under way has its job already.
OWNED = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace IN ('public'::regnamespace, 'analytics'::regnamespace)
  AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attname = 'user_id' AND a.atttypid = 'uuid'::regtype AND c.oid <> 'erasures'::regclass
ORDER BY 1
"""
STANDING = "SELECT user_id FROM {}"
STANDING_IN_LOG = "SELECT user_id FROM outbox WHERE event_type <> 'user_erased'"
RETURNED = """
SELECT count(erase_again(u)) FROM unnest(erased(ARRAY({}))) u
WHERE NOT EXISTS (SELECT FROM erasures e WHERE e.user_id = u)
"""
