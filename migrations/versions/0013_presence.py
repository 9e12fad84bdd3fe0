"""What a group plans and hides is hidden only while the athlete is in it; and names are found as they are compared."""

from alembic import op

revision = "0013"
down_revision = "0012"

# Reads the table, while everybody may write to it.
VALIDATED = "ALTER TABLE trainings VALIDATE CONSTRAINT trainings_hidden_check"

# A function, because each of its statements sees what was committed before it: the update waits for the coaches' writes
# that hold the membership, and what these made is deleted too. A single query would not see it. The event of a deletion
# says what the training's newest event said.
LEAVE = r"""
CREATE FUNCTION leave_group(
    leaves uuid, group_left text, events_topic text, actor text, request_id text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE memberships m SET revoked_at = now()
    WHERE m.user_id = leaves AND m.group_external_id = group_left AND m.revoked_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    WITH deleted AS (
        UPDATE trainings t
        SET version = t.version + 1, deleted_at = greatest(now(), t.updated_at),
            updated_at = greatest(now(), t.updated_at), xid = DEFAULT
        WHERE t.user_id = leaves AND t.group_external_id = group_left AND t.hidden AND t.deleted_at IS NULL
        RETURNING t.id, t.version, t.updated_at, uuidv7() AS event_id
    )
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        payload, created_at)
    SELECT d.event_id, events_topic, 'training', d.id, d.version, 'training_deleted', leaves, leave_group.actor,
           leave_group.request_id,
           '{"event_id":"' || d.event_id || '","event_type":"training_deleted","timestamp":"' || rfc3339(d.updated_at)
           || '","payload":' || regexp_replace(
               substr(o.payload, strpos(o.payload, '"payload":') + 10),
               '"version":\d+,("previous_status":"[A-Z_]+",)?', '"version":' || d.version || ','),
           d.updated_at
    FROM deleted d LEFT JOIN outbox o ON o.user_id = leaves AND o.aggregate_id = d.id
        AND o.aggregate_type = 'training' AND o.version = d.version - 1
    ORDER BY d.id;
    RETURN true;
END $$;
COMMENT ON FUNCTION leave_group(uuid, text, text, text, text) IS
    'Ends a membership, and with it what the group planned and hid; false where there is none';
"""

# By which the history of an exercise finds what was logged under the names that mean it.
NAMES = """
CREATE INDEX training_exercises_by_folded_name ON training_exercises (user_id, folded_name(name));
COMMENT ON INDEX training_exercises_by_folded_name IS 'Names as they are compared: in lower case, with single spaces';
DROP INDEX training_exercises_by_name;
"""

NAMES_DOWN = """
CREATE INDEX training_exercises_by_name ON training_exercises (user_id, casefold(name COLLATE pg_unicode_fast));
COMMENT ON INDEX training_exercises_by_name IS 'Names but for their case, which is the same on every server';
DROP INDEX training_exercises_by_folded_name;
"""


def upgrade() -> None:
    op.execute(VALIDATED)
    op.execute(LEAVE)
    op.execute(NAMES)


def downgrade() -> None:
    op.execute(NAMES_DOWN)
    op.execute("DROP FUNCTION leave_group(uuid, text, text, text, text)")
