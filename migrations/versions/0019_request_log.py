"""The log of requests, the counters of rate limits, and how logs and finished imports age out."""

from alembic import op

from storage.indexes import build_index

revision = "0019"
down_revision = "0018"

# Partitioned by month, so that what is old goes by dropping a table. The two indexes are for who asks for a user, by
# whom or about whom it was, and for the erasure; BRIN for who asks for a time: rows come nearly in its order.
REQUESTS = """
CREATE TABLE request_log (
    at timestamptz NOT NULL,
    user_id uuid,
    actor text,
    method text NOT NULL,
    route text NOT NULL,
    about_user uuid,
    status smallint NOT NULL,
    request_id text NOT NULL,
    ms real NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX request_log_at ON request_log USING brin (at);
CREATE INDEX request_log_by_user ON request_log (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX request_log_about_user ON request_log (about_user, at) WHERE about_user IS NOT NULL;
COMMENT ON TABLE request_log IS 'Every request and how it ended, without what it held; only added to';
COMMENT ON COLUMN request_log.at IS 'When it came in';
COMMENT ON COLUMN request_log.user_id IS 'The user of the token; NULL where there was none, or the user is erased';
COMMENT ON COLUMN request_log.actor IS 'The subject of the token';
COMMENT ON COLUMN request_log.route IS 'The address as a template: no id, no name, no query';
COMMENT ON COLUMN request_log.about_user IS 'The user that the address names, where that is not the caller';
COMMENT ON COLUMN request_log.request_id IS 'X-Request-Id: in events too, and in the log of the worker';
COMMENT ON COLUMN request_log.ms IS 'Milliseconds to the end of the answer';

-- Makes the partitions of the last month, of this one and of `ahead` more, and drops those whose rows are all older
-- than `days`; returns their names, and which were made. How a partition is made: see outbox_keep_partitions. Dropping
-- one waits for the statement that writes at that moment, and no longer than lock_timeout.
CREATE FUNCTION request_log_keep_partitions(ahead integer, days integer)
    RETURNS TABLE (name text, made boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    oldest text := to_char((now() - make_interval(days => greatest(days, 7))) AT TIME ZONE 'UTC', 'YYYY_MM');
    first timestamptz;
    next timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('request_log_keep_partitions'));
    made := true;
    FOR i IN -1 .. ahead LOOP
        first := (month + make_interval(months => i)) AT TIME ZONE 'UTC';
        next := (month + make_interval(months => i + 1)) AT TIME ZONE 'UTC';
        name := 'request_log_' || to_char(month + make_interval(months => i), 'YYYY_MM');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL OR name < 'request_log_' || oldest;
        EXECUTE format('CREATE TABLE %I (LIKE request_log INCLUDING INDEXES)', name);
        EXECUTE format('ALTER TABLE %I ADD CHECK (at >= %L AND at < %L)', name, first, next);
        EXECUTE format('ALTER TABLE request_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, first, next);
        RETURN NEXT;
    END LOOP;
    made := false;
    FOR name IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'request_log'::regclass AND relname < 'request_log_' || oldest ORDER BY relname
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        RETURN NEXT;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION request_log_keep_partitions(integer, integer) FROM PUBLIC;
SELECT FROM request_log_keep_partitions(3, 365);
"""

# Nothing in it is lasting: after a crash of PostgreSQL it is empty, and every window begins anew.
LIMITS = """
CREATE UNLOGGED TABLE rate_usage (
    bucket uuid PRIMARY KEY,
    minute timestamptz NOT NULL,
    used integer NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE rate_usage IS 'How many requests were admitted in a minute, of each user and class, by all workers';
COMMENT ON COLUMN rate_usage.bucket IS 'A hash of user and class: it holds no id';
"""

# What is old goes by functions of the owner's, in batches: of these tables workers may delete nothing.
RETENTION = """
CREATE FUNCTION purge_access_log(days integer, batch integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS MATERIALIZED (
        SELECT tableoid, ctid FROM access_log
        WHERE at < now() - make_interval(days => greatest(days, 7))
        ORDER BY at LIMIT batch FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM access_log WHERE ctid = ANY (ARRAY(SELECT ctid FROM old))
          AND ((tableoid, ctid) IN (SELECT tableoid, ctid FROM old)) IS TRUE
        RETURNING user_id, coach_id, actor, scope
    ), kept AS (
        INSERT INTO coached (coach_id, user_id, actor)
        SELECT DISTINCT coach_id, user_id, actor FROM gone
        WHERE scope = 'plan' AND coach_id <> '00000000-0000-0000-0000-000000000000'
        ORDER BY coach_id, user_id, actor
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION purge_access_log(integer, integer) FROM PUBLIC;
COMMENT ON INDEX access_log_by_time IS 'By which what is old is found';
COMMENT ON TABLE access_log IS
    'Each request of a coach for an athlete''s data, from its first statement on; append-only for workers';

CREATE FUNCTION purge_imports(days integer, batch integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM imports WHERE (user_id, id) IN (
            SELECT user_id, id FROM imports
            WHERE status IN ('done', 'failed', 'undone')
              AND finished_at < now() - make_interval(days => greatest(days, 7))
            LIMIT batch FOR UPDATE SKIP LOCKED
        ) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION purge_imports(integer, integer) FROM PUBLIC;
"""


# What 0011 said.
ACCESS_LOG = """
COMMENT ON TABLE access_log IS
    'Each statement that a coach had run on an athlete''s data, written by that statement; append-only for workers'
"""


def upgrade() -> None:
    build_index("public", "access_log_by_time", "access_log", "(at)")
    connection, options = op.get_bind(), {"no_parameters": True}  # the text holds a %
    for part in (REQUESTS, LIMITS, RETENTION):
        connection.exec_driver_sql(part, execution_options=options)


def downgrade() -> None:
    op.execute(
        "DROP FUNCTION request_log_keep_partitions(integer, integer), purge_access_log(integer, integer), "
        "purge_imports(integer, integer)"
    )
    op.execute("DROP TABLE request_log, rate_usage")
    op.execute("DROP INDEX access_log_by_time")
    op.execute(ACCESS_LOG)
