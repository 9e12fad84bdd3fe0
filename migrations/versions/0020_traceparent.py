"""The trace that an event belongs to, from the request into the event's headers."""

from collections.abc import Sequence

from alembic import op

revision = "0020"
down_revision = "0019"

# The tables come last, so that they are held for a moment only. Nothing is rewritten; who inserts without the column
# goes on. Requests of imports are in the past when their events are made, so a job remembers its trace.
COLUMNS = """
ALTER TABLE imports ADD COLUMN traceparent text;
ALTER TABLE outbox ADD COLUMN traceparent text;
COMMENT ON COLUMN imports.traceparent IS 'W3C Trace Context of the request that asked for it';
COMMENT ON COLUMN outbox.traceparent IS 'W3C Trace Context of the request that made the change';
"""

COLUMNS_DOWN = """
ALTER TABLE imports DROP COLUMN traceparent;
ALTER TABLE outbox DROP COLUMN traceparent;
"""

# What comes back from the topic brings its trace along, so that copies of its record stay the same to the byte.
ADOPT = "outbox_adopt(bigint, jsonb)"
ADOPTED = (
    ("seq bigint, plan text)", "seq bigint, plan text, traceparent text)"),
    ("payload = lost.payload, created_at", "payload = lost.payload, traceparent = lost.traceparent, created_at"),
    ("payload, created_at, published_seq)", "payload, traceparent, created_at, published_seq)"),
    ("lost.payload, lost.created_at, lost.seq)", "lost.payload, lost.traceparent, lost.created_at, lost.seq)"),
)

# Workers of the version before name no trace.
LEAVE = "leave_group(uuid, text, text, text, text)"
LEAVE_TRACED = "leave_group(uuid, text, text, text, text, text)"
LEFT = (
    ("request_id text)", "request_id text, traceparent text DEFAULT NULL::text)"),
    ("payload, created_at)", "payload, traceparent, created_at)"),
    ("           d.updated_at\n", "           leave_group.traceparent, d.updated_at\n"),
)
ABOUT_LEAVE = "Ends a membership, and with it what the group planned and hid; false where there is none"


def upgrade() -> None:
    _replace(ADOPT, ADOPT, ADOPTED)
    _replace(LEAVE, LEAVE_TRACED, LEFT)
    op.execute(COLUMNS)


def downgrade() -> None:
    _replace(ADOPT, ADOPT, [(after, before) for before, after in ADOPTED])
    _replace(LEAVE_TRACED, LEAVE, [(after, before) for before, after in LEFT])
    op.execute(COLUMNS_DOWN)


def _replace(old: str, new: str, changes: Sequence[tuple[str, str]]) -> None:
    """Make the function `new` of what the function `old` says. Raises `ValueError` where that is not as it was."""
    connection, options = op.get_bind(), {"no_parameters": True}  # a text may hold a %
    text = str(connection.exec_driver_sql(f"SELECT pg_get_functiondef('{old}'::regprocedure)").scalar_one())
    for before, after in changes:
        if text.count(before) != 1:
            raise ValueError(f"{old} has changed: {before}")
        text = text.replace(before, after)
    connection.exec_driver_sql(text, execution_options=options)
    if new != old:
        connection.exec_driver_sql(f"DROP FUNCTION {old}")
        connection.exec_driver_sql(f"COMMENT ON FUNCTION {new} IS '{ABOUT_LEAVE}'")
