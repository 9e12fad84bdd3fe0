"""The archive: log rows of trainings that were moved from the log into files, and moving them there and back.

`outbox_archive` takes rows out of the log, and `outbox_unarchive` puts rows back with a place that they had: the log's
owner alone may, for rows are put back as they are given. Both belong to the transaction of the rows of `archives` and
`archived_trainings`.
"""

from collections.abc import Sequence

from alembic import op

revision = "0018"
down_revision = "0017"

# `archive_folder` names the log: a folder that says another name holds another log's files, and is left alone. A copy
# of the database has the name too: a folder says where its database is besides.
TABLES = """
CREATE TABLE archive_folder (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO archive_folder DEFAULT VALUES;
COMMENT ON TABLE archive_folder IS 'By which name a folder says that it holds the files of this log: one row';

CREATE TABLE archives (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    month date NOT NULL,
    rows bigint NOT NULL,
    trainings bigint NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE archives IS 'Files that hold log rows of trainings; what they hold is in the log no more';
COMMENT ON COLUMN archives.id IS 'Order in which they were made, and of a training''s rows in several of them';
COMMENT ON COLUMN archives.name IS 'Of the file in the folder of archives; a file that no row names is a leftover';
COMMENT ON COLUMN archives.month IS 'First day of the month (UTC) of each training''s newest row';
COMMENT ON COLUMN archives.sha256 IS 'Of the file, in hexadecimal digits; its manifest says the same';
COMMENT ON COLUMN archives.last_seq IS 'Greatest place in the log of its rows';

CREATE TABLE archived_trainings (
    user_id uuid NOT NULL,
    training_id uuid NOT NULL,
    archive integer NOT NULL REFERENCES archives,
    first_version integer NOT NULL,
    last_version integer NOT NULL,
    last_seq bigint NOT NULL,
    source_id text,
    PRIMARY KEY (user_id, training_id, archive)
);
CREATE INDEX archived_trainings_by_archive ON archived_trainings (archive);
COMMENT ON TABLE archived_trainings IS 'Which files hold the rows of which trainings; what is newer stands in the log';
COMMENT ON COLUMN archived_trainings.first_version IS 'Of the training''s rows in this file the first';
COMMENT ON COLUMN archived_trainings.last_version IS 'And the last: every version between them is there';
COMMENT ON COLUMN archived_trainings.last_seq IS 'Greatest place in the log of the training''s rows in this file';
COMMENT ON COLUMN archived_trainings.source_id IS 'What the event of its creation said, where this file holds that';
"""

# `given` are rows of the log as a file holds them. Those that the log holds exactly so are removed; returns how many
# these were. Each is looked up by its place, whatever the planner thinks of the months.
ARCHIVE = """
CREATE FUNCTION outbox_archive(archive integer, given json) RETURNS integer
    LANGUAGE sql SET search_path = public, pg_temp
    SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
WITH removed AS (
    DELETE FROM outbox o USING json_populate_recordset(NULL::outbox, given) r
    WHERE o.created_at = r.created_at AND o.seq = r.seq AND o.aggregate_type = 'training'
      AND ROW(o.*) IS NOT DISTINCT FROM ROW(r.*)
    RETURNING o.user_id, o.aggregate_id, o.version, o.seq, o.payload
), noted AS (
    INSERT INTO archived_trainings AS a
        (user_id, training_id, archive, first_version, last_version, last_seq, source_id)
    SELECT user_id, aggregate_id, outbox_archive.archive, min(version), max(version), max(seq),
           max(payload::json #>> '{payload,source_id}') FILTER (WHERE version = 1)
    FROM removed GROUP BY user_id, aggregate_id
    ON CONFLICT (user_id, training_id, archive) DO UPDATE
    SET first_version = least(a.first_version, excluded.first_version),
        last_version = greatest(a.last_version, excluded.last_version),
        last_seq = greatest(a.last_seq, excluded.last_seq), source_id = coalesce(a.source_id, excluded.source_id)
)
SELECT count(*)::integer FROM removed
$$;
REVOKE ALL ON FUNCTION outbox_archive(integer, json) FROM PUBLIC;
COMMENT ON FUNCTION outbox_archive(integer, json) IS
    'Removes these rows from the log, and notes the file that holds them; those that are not just so stay';
"""

# What was published bears transaction 2 when it comes back: every snapshot sees it, and no window of the relay holds
# it, in whatever cluster this is. An erased user does not come back.
UNARCHIVE = """
CREATE FUNCTION outbox_keep_month(month timestamp) RETURNS void
    LANGUAGE plpgsql SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    first timestamptz := month AT TIME ZONE 'UTC';
    next timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
    name text := 'outbox_' || to_char(month, 'YYYY_MM');
    pending boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('outbox_keep_partitions'));
    SELECT inhdetachpending INTO pending FROM pg_inherits WHERE inhrelid = to_regclass('public.' || name);
    IF NOT pending THEN
        RETURN;
    END IF;
    IF pending THEN  -- somebody began to drop it, and was ended
        EXECUTE format('ALTER TABLE outbox DETACH PARTITION %I FINALIZE', name);
    ELSIF to_regclass('public.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE outbox INCLUDING DEFAULTS INCLUDING INDEXES)', name);
        EXECUTE format('ALTER TABLE %I ADD CHECK (created_at >= %L AND created_at < %L)', name, first, next);
    END IF;
    EXECUTE format('ALTER TABLE outbox ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, first, next);
END $$;
REVOKE ALL ON FUNCTION outbox_keep_month(timestamp) FROM PUBLIC;

CREATE FUNCTION outbox_unarchive(given json) RETURNS integer
    LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    gone uuid[];
    columns text;
    count integer;
BEGIN
    PERFORM outbox_keep_month(month) FROM (
        SELECT DISTINCT date_trunc('month', created_at AT TIME ZONE 'UTC') AS month
        FROM json_populate_recordset(NULL::outbox, given)
    ) months;
    gone := coalesce(
        erased(ARRAY(SELECT DISTINCT user_id FROM json_populate_recordset(NULL::outbox, given))), '{}');
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
    WHERE attrelid = 'outbox'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'xid';
    EXECUTE format(
        'INSERT INTO outbox (%1$s, xid) OVERRIDING SYSTEM VALUE
         SELECT %1$s, ''2'' FROM json_populate_recordset(NULL::outbox, $1) WHERE user_id <> ALL ($2)', columns)
    USING given, gone;
    GET DIAGNOSTICS count = ROW_COUNT;
    RETURN count;
END $$;
REVOKE ALL ON FUNCTION outbox_unarchive(json) FROM PUBLIC;
COMMENT ON FUNCTION outbox_unarchive(json) IS
    'Puts rows back into the log, into partitions of their months, but those of erased users; returns how many';
"""

# What the topic tells once more of a training whose rows are in a file was not lost.
ADOPT = "outbox_adopt(bigint, jsonb)"
ADOPTED = (
    (
        "o.event_id = f.event_id)",
        """o.event_id = f.event_id)
          AND NOT EXISTS (
            SELECT FROM archived_trainings a
            WHERE a.user_id = f.user_id AND a.training_id = f.aggregate_id AND f.aggregate_type = 'training'
              AND a.last_version >= f.version)""",
    ),
)


def upgrade() -> None:
    _run(TABLES, ARCHIVE, UNARCHIVE, _replaced(ADOPT, ADOPTED))


def downgrade() -> None:
    """What is archived is to be restored first: without these tables nothing knows of the files."""
    _run(
        """
DO $$ BEGIN
    IF EXISTS (SELECT FROM archives) THEN
        RAISE EXCEPTION 'trainings are archived: `training archive restore --all` first';
    END IF;
END $$""",
        _replaced(ADOPT, [(after, before) for before, after in ADOPTED]),
        "DROP FUNCTION outbox_archive(integer, json), outbox_unarchive(json), outbox_keep_month(timestamp);"
        "DROP TABLE archived_trainings, archives, archive_folder",
    )


def _run(*statements: str) -> None:
    connection = op.get_bind().execution_options(no_parameters=True)  # a text may hold a %
    for statement in statements:
        connection.exec_driver_sql(statement)
    connection.execution_options(no_parameters=False)  # it is the connection's, and of the next migration too


def _replaced(function: str, changes: Sequence[tuple[str, str]]) -> str:
    """The text of a function with these changes. Raises `ValueError` where it is not as it was."""
    text = str(op.get_bind().exec_driver_sql(f"SELECT pg_get_functiondef('{function}'::regprocedure)").scalar_one())
    for before, after in changes:
        if text.count(before) != 1:
            raise ValueError(f"{function} has changed: {before}")
        text = text.replace(before, after)
    return text
