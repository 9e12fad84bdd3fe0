"""The catalogue, trainings with their exercises and sets, idempotency keys, and the log that is the outbox."""

from alembic import op

revision = "0001"
down_revision = None

CATALOGUE = """
CREATE TABLE exercises (
    slug text NOT NULL,
    revision integer NOT NULL CHECK (revision >= 1),
    name text NOT NULL,
    category text NOT NULL CHECK (category IN ('Push', 'Pull', 'Legs', 'Core', 'Skill')),
    mode text NOT NULL CHECK (mode IN ('reps', 'hold')),
    equipment text[] NOT NULL,
    difficulty smallint NOT NULL CHECK (difficulty BETWEEN 1 AND 10),
    muscles text[] NOT NULL,
    secondary_muscles text[] NOT NULL,
    bw_fraction numeric CHECK (bw_fraction BETWEEN 0 AND 2),
    bw_fraction_basis text,
    family text NOT NULL,
    unilateral boolean NOT NULL,
    easier_slugs text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slug, revision)
);
COMMENT ON TABLE exercises IS 'The catalogue of movements; a row is one immutable revision of one movement';
COMMENT ON COLUMN exercises.bw_fraction IS 'Part of the body''s mass that is lifted; NULL is unknown, not zero';
COMMENT ON COLUMN exercises.difficulty IS '1 to 10, a judgement, ordinal within a family';
"""

TRAININGS = """
CREATE TYPE training_status AS ENUM ('PLANNED', 'IN_PROGRESS', 'COMPLETED');

CREATE TABLE trainings (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    source_id text,
    version integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    status training_status NOT NULL,
    date timestamptz NOT NULL,
    timezone text NOT NULL,
    day date NOT NULL,
    title text,
    duration_seconds integer,
    session_rpe numeric,
    bodyweight_kg numeric,
    notes text,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (user_id, id),
    UNIQUE (user_id, source_id)
);
CREATE INDEX trainings_by_date ON trainings (user_id, date, id);
COMMENT ON TABLE trainings IS 'The aggregate: one row a training, deleted ones included';
COMMENT ON COLUMN trainings.day IS 'The athlete''s local day of `date` in `timezone`';
COMMENT ON COLUMN trainings.digest IS 'SHA-256 of the body that created it: the same id with the same body is a retry';

CREATE TABLE training_exercises (
    user_id uuid NOT NULL,
    training_id uuid NOT NULL,
    id uuid NOT NULL,
    position integer NOT NULL,
    name text NOT NULL,
    exercise text,
    exercise_revision integer,
    superset integer,
    notes text,
    PRIMARY KEY (user_id, training_id, id),
    FOREIGN KEY (user_id, training_id) REFERENCES trainings (user_id, id),
    FOREIGN KEY (exercise, exercise_revision) REFERENCES exercises (slug, revision),
    CHECK ((exercise IS NULL) = (exercise_revision IS NULL))
);
COMMENT ON TABLE training_exercises IS 'Exercises of a training, in order of `position`';

CREATE TABLE training_sets (
    user_id uuid NOT NULL,
    training_id uuid NOT NULL,
    exercise_id uuid NOT NULL,
    id uuid NOT NULL,
    "order" integer NOT NULL,
    weight numeric NOT NULL,
    unit text NOT NULL CHECK (unit IN ('kg', 'lb')),
    reps integer NOT NULL,
    duration_seconds numeric,
    distance_m numeric,
    side text CHECK (side IN ('left', 'right', 'both')),
    done boolean NOT NULL,
    rpe numeric,
    tempo text,
    rest_seconds integer,
    type text NOT NULL CHECK (type IN ('working', 'warmup', 'drop', 'failure')),
    PRIMARY KEY (user_id, training_id, exercise_id, id),
    FOREIGN KEY (user_id, training_id, exercise_id) REFERENCES training_exercises (user_id, training_id, id)
);
COMMENT ON TABLE training_sets IS 'Sets of an exercise of a training, in order of `order`';
COMMENT ON COLUMN training_sets.weight IS 'As entered, in `unit`; negative is assistance';

CREATE TABLE idempotency_keys (
    user_id uuid NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    training_id uuid NOT NULL,
    event_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, route, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
COMMENT ON TABLE idempotency_keys IS 'Which event each Idempotency-Key made; the answer is made again from the log';
COMMENT ON COLUMN idempotency_keys.digest IS 'SHA-256 of the request: another request under the same key is refused';

CREATE FUNCTION rfc3339(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN rtrim(rtrim(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';
COMMENT ON FUNCTION rfc3339(timestamptz) IS 'A moment as the API writes it: UTC, with as many digits as it has';

-- Ends a write that came with an Idempotency-Key and changed nothing, so that the key is not kept; the reason goes
-- back in the error.
CREATE FUNCTION refuse_write(reason text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'TS001', MESSAGE = reason;
END $$;
"""

# Partitioned by month, so that old months can be archived whole. `seq` has no cache: one connection's rows and
# another's must not interleave out of order. Uniqueness of (aggregate, version) comes from the aggregate's row lock,
# since a unique index would have to hold the month too.
OUTBOX = """
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    event_id uuid NOT NULL,
    topic text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id uuid NOT NULL,
    version integer NOT NULL,
    event_type text NOT NULL,
    user_id uuid NOT NULL,
    actor text NOT NULL,
    request_id text,
    payload text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (created_at);
CREATE INDEX outbox_seq ON outbox (seq);
CREATE INDEX outbox_xid ON outbox (xid, seq);
CREATE INDEX outbox_aggregate ON outbox (user_id, aggregate_id, version);
COMMENT ON TABLE outbox IS 'The log: every accepted change of an aggregate, as published; only added to';
COMMENT ON COLUMN outbox.seq IS 'Order of insertion: for one aggregate the order of its versions';
COMMENT ON COLUMN outbox.xid IS 'The writing transaction: the relay reads by snapshots';
COMMENT ON COLUMN outbox.actor IS 'Subject of the token that asked for the change';
COMMENT ON COLUMN outbox.request_id IS 'X-Request-Id of the request that made the change';
COMMENT ON COLUMN outbox.payload IS 'The exact value of the Kafka record, as JSON text';

-- Makes the partitions of this month and of `ahead` more, and returns the names of those it made. Partitions are
-- attached, because CREATE TABLE ... PARTITION OF waits for every open writer and holds up the later ones.
CREATE FUNCTION outbox_keep_partitions(ahead integer) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    first timestamptz;
    next timestamptz;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('outbox_keep_partitions'));
    FOR i IN 0 .. ahead LOOP
        first := (month + make_interval(months => i)) AT TIME ZONE 'UTC';
        next := (month + make_interval(months => i + 1)) AT TIME ZONE 'UTC';
        name := 'outbox_' || to_char(month + make_interval(months => i), 'YYYY_MM');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE outbox INCLUDING DEFAULTS INCLUDING INDEXES)', name);
        EXECUTE format('ALTER TABLE %I ADD CHECK (created_at >= %L AND created_at < %L)', name, first, next);
        EXECUTE format('ALTER TABLE outbox ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, first, next);
        RETURN NEXT name;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION outbox_keep_partitions(integer) FROM PUBLIC;
SELECT outbox_keep_partitions(3);
"""


def upgrade() -> None:
    for part in (CATALOGUE, TRAININGS, OUTBOX):
        op.execute(part)


def downgrade() -> None:
    op.execute("DROP FUNCTION outbox_keep_partitions(integer), rfc3339(timestamptz), refuse_write(text)")
    op.execute(
        "DROP TABLE outbox, idempotency_keys, training_sets, training_exercises, trainings, exercises; "
        "DROP TYPE training_status"
    )
