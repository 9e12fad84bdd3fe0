"""How often a user's names were begun anew: what was computed before that is not taken for what was computed since."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.execute("""
ALTER TABLE analytics.users ADD COLUMN forgotten integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN analytics.users.forgotten IS
    'How often the names were forgotten and taken from the log anew, because the database had gone back';
""")


def downgrade() -> None:
    op.execute("ALTER TABLE analytics.users DROP COLUMN forgotten")
