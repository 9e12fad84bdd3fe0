"""Planned trainings that the athlete does not see yet."""

from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

revision = "0012"
down_revision = "0011"

# Rows that are there are hidden nowhere; 0013 validates that, in a transaction that holds up nobody.
COLUMN = """
ALTER TABLE trainings
    ADD COLUMN hidden boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT trainings_hidden_check CHECK (NOT hidden OR status = 'PLANNED') NOT VALID;
COMMENT ON COLUMN trainings.hidden IS 'A coach planned it and the athlete does not see it yet; only of a PLANNED one';
"""

COLUMN_DOWN = "ALTER TABLE trainings DROP COLUMN hidden"

# What `adopt_training` of 0007 says, and what it says with the column.
ADOPTED = (
    ("skipped_at, skip_reason, completed_at,", "skipped_at, skip_reason, hidden, completed_at,"),
    ("d.skip_reason, CASE d.status", "d.skip_reason, coalesce(d.hidden, false), CASE d.status"),
    ("skipped_at timestamptz, skip_reason text)", "skipped_at timestamptz, skip_reason text, hidden boolean)"),
    ("skip_reason = excluded.skip_reason,", "skip_reason = excluded.skip_reason, hidden = excluded.hidden,"),
)


def upgrade() -> None:
    op.execute(COLUMN)
    adopt = _adopt_before()
    for before, after in ADOPTED:
        adopt = adopt.replace(before, after)
    op.execute(adopt)


def downgrade() -> None:
    op.execute(_adopt_before())
    op.execute(COLUMN_DOWN)


def _adopt_before() -> str:
    """What 0007 made."""
    migrations = cast("ScriptDirectory", op.get_context().script)
    return str(migrations.get_revision("0007").module.ADOPT_TRAINING)
