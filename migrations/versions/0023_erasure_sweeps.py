"""A row that somebody changes while an erasure sweeps is no longer passed over.

A DELETE that waits for a row's writer deletes the row only if it is still where it was found. Who changes a row of a
user, and writes no new one, is not told whether the user is erased, and so is not waited for.
"""

from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

revision = "0023"
down_revision = "0022"

# What `erase_user` of 0017 says, and what it says now. The look has a snapshot of its own, which sees what the DELETE
# has waited for.
LOOKED = (
    ("    found integer;\n    places", "    found integer;\n    passed_over boolean;\n    places"),
    (
        "            most := most - found;\n        EXCEPTION",
        """            most := most - found;
            EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s)', place.name, place.theirs)
            INTO passed_over USING gone;
            more := more OR passed_over;
        EXCEPTION""",
    ),
)


def upgrade() -> None:
    erase = _before()
    for before, after in LOOKED:
        if erase.count(before) != 1:
            raise ValueError("erase_user of 0017 has changed")
        erase = erase.replace(before, after)
    _replace(erase)


def downgrade() -> None:
    _replace(_before())


def _before() -> str:
    migrations = cast("ScriptDirectory", op.get_context().script)
    return str(migrations.get_revision("0017").module.ERASE).partition("REVOKE")[0]


def _replace(function: str) -> None:
    statement = function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})  # the text holds a %
