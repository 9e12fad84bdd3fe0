"""Building an index on a large table: what migrations do, while workers write."""

from alembic import op

_PARTITIONS = """
SELECT inhrelid::regclass::text, quote_ident(nspname)
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE inhparent = %s::regclass ORDER BY nspname, relname
"""


def build_index(schema: str, name: str, table: str, rest: str) -> None:
    """Build an index on `schema.table` so that nobody waits; `rest` are its columns and its condition.

    What the migration did before is committed by that, so it comes first. It waits for every transaction that is under
    way, however long. A build that was broken off leaves an index that nothing uses: it is dropped by the next one.
    Where operators have partitioned the table (deploy/hash-partitions.sql), the index is built on one partition after
    the other, and the table's takes these over, in the migration's transaction.
    """
    partitions = op.get_bind().exec_driver_sql(_PARTITIONS, (f"{schema}.{table}",)).all()
    builds = [(place, within, f"{name}_{number}") for number, (place, within) in enumerate(partitions)]
    with op.get_context().autocommit_block():
        for place, within, index in builds or [(f"{schema}.{table}", schema, name)]:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {within}.{index}")
            op.execute(f"CREATE INDEX CONCURRENTLY {index} ON {place} {rest}")
    if builds:
        op.execute(f"CREATE INDEX {name} ON {schema}.{table} {rest}")
