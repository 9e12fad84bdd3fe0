"""Imports: logs of other apps that go in as jobs, and can be undone."""

from alembic import op

revision = "0016"
down_revision = "0015"

# Whoever holds the lease works a job off, in steps that each renew it; who finds it expired goes on. Which trainings an
# import made is told by their ids, which are derived from its own.
IMPORTS = """
CREATE TABLE imports (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'done', 'failed', 'undoing', 'undone')),
    format text NOT NULL CHECK (format IN ('strong', 'hevy', 'fitnotes')),
    timezone text NOT NULL,
    unit text NOT NULL CHECK (unit IN ('kg', 'lb')),
    file bytea,
    actor text NOT NULL,
    request_id text,
    sessions integer NOT NULL,
    held_back integer NOT NULL,
    error_lines integer NOT NULL,
    worked_off integer NOT NULL DEFAULT 0,
    created integer NOT NULL DEFAULT 0,
    unchanged integer NOT NULL DEFAULT 0,
    conflicting integer NOT NULL DEFAULT 0,
    refused integer NOT NULL DEFAULT 0,
    overlapping integer NOT NULL DEFAULT 0,
    undone integer NOT NULL DEFAULT 0,
    kept integer NOT NULL DEFAULT 0,
    kept_trainings uuid[] NOT NULL DEFAULT '{}',
    errors jsonb NOT NULL DEFAULT '[]',
    failure text,
    lease text,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (user_id, id),
    CHECK (file IS NOT NULL OR status NOT IN ('queued', 'running'))
);
CREATE UNIQUE INDEX imports_under_way ON imports (user_id) WHERE status IN ('queued', 'running', 'undoing');
CREATE INDEX imports_waiting ON imports (created_at) WHERE status IN ('queued', 'running', 'undoing');
CREATE INDEX imports_by_creation ON imports (user_id, created_at, id);
COMMENT ON TABLE imports IS 'Logs of other apps that users brought in, as jobs that any worker works off';
COMMENT ON COLUMN imports.file IS 'The file as it was sent; dropped when the job is done or has failed';
COMMENT ON COLUMN imports.actor IS 'The subject of the token that asked for it';
COMMENT ON COLUMN imports.sessions IS 'Sessions of the file that can be read';
COMMENT ON COLUMN imports.held_back IS
    'Sessions that are left out whole, since lines of theirs or beside them are wrong';
COMMENT ON COLUMN imports.error_lines IS 'Wrong lines of the file';
COMMENT ON COLUMN imports.worked_off IS 'Sessions so far, in order: where a worker goes on';
COMMENT ON COLUMN imports.conflicting IS 'Sessions that are there with another content';
COMMENT ON COLUMN imports.refused IS 'Sessions that the service does not take';
COMMENT ON COLUMN imports.overlapping IS
    'Trainings that it created in the minute of one that was there before the import';
COMMENT ON COLUMN imports.undone IS 'Trainings of it that its undo has deleted';
COMMENT ON COLUMN imports.kept IS 'Trainings of it that its undo left, because they were changed since';
COMMENT ON COLUMN imports.kept_trainings IS 'The ids of the first of these';
COMMENT ON COLUMN imports.errors IS 'What is wrong with lines and sessions: the first of them';
COMMENT ON COLUMN imports.failure IS 'Why the whole of it failed';
COMMENT ON COLUMN imports.lease IS 'The worker that works it off';
COMMENT ON COLUMN imports.leased_until IS 'From when on another one may; NULL: now';
"""


def upgrade() -> None:
    op.execute(IMPORTS)


def downgrade() -> None:
    op.execute("DROP TABLE imports")
