"""How a statement changes rows that it has found: just these, each by its place."""


def among(found: str) -> str:
    """The condition that a row is one of `found`, an expression of a WITH that has their `tableoid` and `ctid`.

    Rows are looked up by their ctid, where the planner might choose a join and read the whole table. A ctid is a place
    in one table, and there may be several of them: see deploy/hash-partitions.sql. So both are compared, in a condition
    that becomes no join (IS TRUE).
    """
    return f"""ctid = ANY (ARRAY(SELECT ctid FROM {found}))
        AND ((tableoid, ctid) IN (SELECT tableoid, ctid FROM {found})) IS TRUE"""
