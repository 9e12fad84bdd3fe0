"""The relay's cursor over the log, and the events that no broker takes."""

from alembic import op

revision = "0002"
down_revision = "0001"

# A window is what `hi` sees and `lo` does not. `top_seq` is the largest seq that `lo` sees: every visible row beyond it
# belongs to the window, so that the window is read along the index on seq, however long the log and the backlog are.
# The snapshots `3:3:` see no ordinary transaction: the first window is the whole log.
CURSOR = """
CREATE TABLE outbox_cursor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch integer NOT NULL DEFAULT 1,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    lo pg_snapshot NOT NULL DEFAULT '3:3:',
    hi pg_snapshot NOT NULL DEFAULT '3:3:',
    top_seq bigint NOT NULL DEFAULT 0,
    done_seq bigint NOT NULL DEFAULT 0,
    floor_seq bigint NOT NULL DEFAULT 0,
    recovered_seq bigint,
    recover_since timestamptz,
    base pg_snapshot,
    topics jsonb NOT NULL DEFAULT '{}',
    fence bigint NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT '',
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10);
INSERT INTO outbox_cursor (system_identifier, timeline)
SELECT s.system_identifier, c.timeline_id FROM pg_control_system() s, pg_control_checkpoint() c;
COMMENT ON TABLE outbox_cursor IS 'How far the relay has read the log: one row, moved only by who holds its fence';
COMMENT ON COLUMN outbox_cursor.epoch IS 'Counts the clusters and timelines that this database has lived in';
COMMENT ON COLUMN outbox_cursor.lo IS 'What it sees is published, or held in outbox_quarantine';
COMMENT ON COLUMN outbox_cursor.hi IS 'The window being published: what hi sees and lo does not, by seq';
COMMENT ON COLUMN outbox_cursor.top_seq IS 'The largest seq that lo sees';
COMMENT ON COLUMN outbox_cursor.done_seq IS 'Rows of the window up to here are acknowledged';
COMMENT ON COLUMN outbox_cursor.floor_seq IS 'Rows up to here came from another cluster: their xid means nothing here';
COMMENT ON COLUMN outbox_cursor.recovered_seq IS 'After a move to another cluster: old rows were looked through so far';
COMMENT ON COLUMN outbox_cursor.recover_since IS 'After a move: rows since then are published again, to be sure';
COMMENT ON COLUMN outbox_cursor.base IS 'After a move: the snapshot at which ordinary windows start';
COMMENT ON COLUMN outbox_cursor.topics IS 'Per topic: how often it was made, and the last acknowledged offsets';
COMMENT ON COLUMN outbox_cursor.fence IS 'Counts the holders of the lease';
COMMENT ON COLUMN outbox_cursor.moved_at IS 'When the window, or how much of it is done, was last stored';

CREATE TABLE outbox_quarantine (
    seq bigint PRIMARY KEY,
    user_id uuid NOT NULL,
    aggregate_id uuid NOT NULL,
    version integer NOT NULL,
    topic text NOT NULL,
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'retry', 'skip', 'published', 'skipped')),
    error text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked_by text,
    reason text,
    settled_at timestamptz
);
CREATE INDEX outbox_quarantine_open ON outbox_quarantine (aggregate_id) WHERE state IN ('held', 'retry', 'skip');
COMMENT ON TABLE outbox_quarantine IS 'Events that the broker refused for good; later ones of the aggregate wait';
COMMENT ON COLUMN outbox_quarantine.seq IS 'The refused event';
COMMENT ON COLUMN outbox_quarantine.state IS 'held; asked to retry or to skip; published or skipped in the end';
COMMENT ON COLUMN outbox_quarantine.reason IS 'Why somebody asked to retry or skip';
"""

# The log's transaction ids mean nothing in a cluster that it was restored into. So, with no writer under way: a new
# epoch begins, whose windows start at a snapshot and a seq of this moment (`base`, `floor_seq`). What lies below is
# looked through by the old snapshots first. An hour is allowed for clocks that differ.
REBASE = """
CREATE FUNCTION outbox_rebase(mine bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    floor bigint;
BEGIN
    LOCK TABLE outbox IN SHARE MODE;
    UPDATE outbox_cursor
    SET epoch = epoch + 1, system_identifier = (SELECT system_identifier FROM pg_control_system()),
        base = pg_current_snapshot(), floor_seq = coalesce((SELECT max(seq) FROM outbox), 0), recovered_seq = 0,
        recover_since = least(recover_since, moved_at - interval '1 hour')
    WHERE fence = mine
    RETURNING floor_seq INTO floor;
    RETURN floor;
END $$;
REVOKE ALL ON FUNCTION outbox_rebase(bigint) FROM PUBLIC;
"""


def upgrade() -> None:
    for part in (CURSOR, REBASE):
        op.execute(part)


def downgrade() -> None:
    op.execute("DROP FUNCTION outbox_rebase(bigint)")
    op.execute("DROP TABLE outbox_quarantine, outbox_cursor")
