"""Memberships of groups, by which coaches see and plan for athletes, and the log of what they did by them."""

from alembic import op

revision = "0011"
down_revision = "0010"

# A coach's write locks the memberships that it is done by, so that who has revoked one knows that no write by it is
# under way any more. The log is by athlete and time: what each of them reads lies together.
GROUPS = """
CREATE TABLE memberships (
    user_id uuid NOT NULL,
    group_external_id text NOT NULL,
    scopes text[] NOT NULL CHECK (scopes <@ '{read,plan}' AND scopes <> '{}'),
    accepted_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    PRIMARY KEY (user_id, group_external_id)
);
CREATE INDEX memberships_by_group ON memberships (group_external_id, user_id) WHERE revoked_at IS NULL;
COMMENT ON TABLE memberships IS 'The groups whose coaches an athlete has admitted; revoked ones stay, as such';
COMMENT ON COLUMN memberships.group_external_id IS 'The group, by the name that it has elsewhere';
COMMENT ON COLUMN memberships.scopes IS 'What its coaches may do: read, plan';

CREATE TABLE access_log (
    user_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    id uuid NOT NULL DEFAULT uuidv7(),
    actor text NOT NULL,
    coach_id uuid NOT NULL,
    group_external_id text NOT NULL,
    scope text NOT NULL,
    operation text NOT NULL,
    request_id text NOT NULL,
    PRIMARY KEY (user_id, at, id)
);
COMMENT ON TABLE access_log IS
    'Each statement that a coach had run on an athlete''s data, written by that statement; append-only for workers';
COMMENT ON COLUMN access_log.user_id IS 'The athlete';
COMMENT ON COLUMN access_log.actor IS 'The subject of the coach''s token';
COMMENT ON COLUMN access_log.coach_id IS 'The user of the coach''s token';
COMMENT ON COLUMN access_log.group_external_id IS 'The group by whose membership it was allowed';
COMMENT ON COLUMN access_log.operation IS 'The operation id of the route';

CREATE FUNCTION admitted(group_external_id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF group_external_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'TS002', MESSAGE = 'no membership';
    END IF;
    RETURN group_external_id;
END $$;
COMMENT ON FUNCTION admitted(text) IS 'The group of a membership that was looked for; ends the statement without one';
"""


def upgrade() -> None:
    op.execute(GROUPS)


def downgrade() -> None:
    op.execute("DROP FUNCTION admitted(text)")
    op.execute("DROP TABLE access_log, memberships")
