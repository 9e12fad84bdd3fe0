"""How often an import was taken and led nowhere, and the trainings that rules before the present ones computed.

The index holds what workers are to compute anew: nothing, as a rule, so it costs the fold nothing and answers at once.
Whoever raises `analytics.volume.METHOD_VERSION` makes it anew, in a migration, with the new version in its condition.
"""

from alembic import op

from storage.indexes import build_index

revision = "0021"
down_revision = "0020"

MORE = """
ALTER TABLE imports ADD COLUMN claims smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN imports.claims IS 'How many workers have taken it since the last step that was stored';
"""
LESS = """
DROP INDEX analytics.folded_trainings_outdated;
ALTER TABLE imports DROP COLUMN claims;
"""


def upgrade() -> None:
    build_index("analytics", "folded_trainings_outdated", "folded_trainings", "(user_id, training_id) WHERE method < 3")
    op.execute(MORE)


def downgrade() -> None:
    op.execute(LESS)
