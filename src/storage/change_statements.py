"""The SQL of `storage.changes`: the pages of a user's changes. Parameters are psycopg2's, by name."""

from storage.database import Prepared
from storage.outbox_statements import CLUSTER, TIMELINE
from storage.pages import bounded
from storage.training_parts import STORED, TYPES

_TYPES = TYPES | {"seen": "pg_snapshot", "xmin": "xid8", "limit": "integer"}

_ROWS = f"""
    SELECT t.xid, {STORED} FROM trainings t
    WHERE t.user_id = %(user_id)s AND NOT t.hidden AND {{rows}}
    ORDER BY {{order}} LIMIT %(limit)s"""
# The place of the log, the snapshot of the statement, and the rows that both are about: at least one row, of which the
# training may be NULL. One that a coach hides is none of them: it is shown by a change of its own.
_PAGE = f"""
WITH log AS MATERIALIZED (
    SELECT left(md5(concat_ws('.', epoch, {CLUSTER}, {TIMELINE})), 12) AS place, pg_current_snapshot()::text AS now,
           {{newest}} AS newest
    FROM outbox_cursor
)
SELECT log.place, log.now, log.newest, t.* FROM log LEFT JOIN ({bounded(_ROWS, "{order}", "fields")}
) t ON true
ORDER BY {{order}}
"""

# A row that this statement sees, of a transaction that its snapshot does not see, comes from another cluster.
_OURS = "pg_visible_in_snapshot(t.xid, pg_current_snapshot())"

BEGIN = _PAGE.format(
    newest=f"(SELECT max(t.xid) FROM trainings t WHERE t.user_id = %(user_id)s AND {_OURS})",
    rows="t.deleted_at IS NULL",
    order="id",
)

# What was written after the first page belongs to the changes.
STATE = _PAGE.format(
    newest="NULL",
    rows=f"""t.id > %(after)s::uuid AND t.deleted_at IS NULL
      AND (pg_visible_in_snapshot(t.xid, %(seen)s::pg_snapshot) OR NOT {_OURS})""",
    order="id",
)

CHANGES = Prepared(
    "training_changes",
    _PAGE.format(
        newest="NULL",
        rows=f"t.xid >= %(xmin)s AND NOT pg_visible_in_snapshot(t.xid, %(seen)s) AND {_OURS}",
        order="xid, id",
    ),
    _TYPES,
)

# The rest of what one transaction wrote.
GROUP = _PAGE.format(newest="NULL", rows="t.xid = %(group)s::xid8 AND t.id > %(after)s::uuid", order="id")
