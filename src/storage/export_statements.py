"""The SQL of `storage.exports`. Parameters are psycopg2's, by name.

PostgreSQL writes the lines: a row is one text for Python, and numbers are as exact as they are stored.
"""

from collections.abc import Mapping

from models.exports import CHANGE, TABLES, Format, Kind, Table
from storage.training_parts import STORED

# Up to where in the log every event is in the tables, and no open transaction can add another one: so an export of what
# changed since then misses nothing, however late a transaction commits. What is computed from several days of a user
# may still be owed: such a user's latest event is not passed, so that the next export replaces the user. A mark without
# trainings comes from names, or from the turn of the day, which changes no row. (`+ 0`: a plain maximum is looked for
# backwards along the index on seq, through the whole log.)
NEXT = """
SELECT greatest(0, least(s.folded_seq, f.folded_seq, (
    SELECT min(last) - 1 FROM (
        SELECT (SELECT max(o.seq + 0) FROM outbox o WHERE o.user_id = m.user_id
                AND (o.aggregate_type = 'exercise' OR o.aggregate_type = 'training' AND m.trainings <> '{}')) AS last
        FROM analytics.stale_users m
    ) owed
))) FROM analytics.fold_state s, analytics.freshness f
"""

# What an event may have changed. One about names may change every training of its user. Of a user who was erased all
# goes: nothing tells which trainings there were, so the user is named alone.
_EVENTS = "SELECT {columns} FROM outbox WHERE seq > %(changed_since)s AND aggregate_type {types}"
_ARCHIVED = """ UNION SELECT {columns} FROM archived_trainings
    WHERE last_seq > %(changed_since)s
      AND archive = ANY (ARRAY(SELECT id FROM archives WHERE last_seq > %(changed_since)s))"""
_UNITS: Mapping[tuple[str, ...], str] = {
    ("user_id",): _EVENTS.format(columns="user_id", types="IN ('training', 'exercise', 'user')")
    + _ARCHIVED.format(columns="user_id"),
    ("user_id", "training_id"): _EVENTS.format(columns="user_id, aggregate_id AS training_id", types="= 'training'")
    + _ARCHIVED.format(columns="user_id, training_id")
    + " UNION SELECT f.user_id, f.training_id FROM ("
    + _EVENTS.format(columns="DISTINCT user_id", types="= 'exercise'")
    + ") n JOIN analytics.folded_trainings f USING (user_id) UNION "
    + _EVENTS.format(columns="user_id, NULL", types="= 'user'"),
}
_RANGE = """{day} BETWEEN coalesce(%(first)s::date, '-infinity') AND coalesce(%(last)s::date, 'infinity')"""

# A unit and its rows are numbered, so that each unit's marker comes before its rows. Rows are looked up unit by unit
# (LATERAL), in views too.
_CHANGES = """
WITH units AS MATERIALIZED ({units})
SELECT lines.line FROM units u CROSS JOIN LATERAL (
    SELECT 0 AS place, {marker} AS line
    UNION ALL
    SELECT row_number() OVER (ORDER BY {order}), {line} FROM analytics.{table} t WHERE {same} AND {range}
) lines
ORDER BY {by}, lines.place"""
# In no order: along an index a large table is read three times as slowly.
_ALL = "SELECT {line} FROM analytics.{table} t WHERE {range}"

# Spreadsheets run what begins so as a formula; behind an apostrophe it is a text.
_NEUTRAL = """CASE WHEN {0} ~ '^[=+@\\t\\r-]' THEN '''' ELSE '' END || {0}"""
_QUOTED = """'"' || replace({0}, '"', '""') || '"'"""


def _text(column: str, *, neutral: bool) -> str:
    return _QUOTED.format(f"({_NEUTRAL.format(column)})" if neutral else column)


def _value(name: str, kind: Kind) -> str:
    match kind:
        case Kind.EXACT:
            return f"trim_scale(t.{name})"
        case Kind.MOMENT:
            return f"rfc3339(t.{name})"
        case _:
            return f"t.{name}"


def _concat(cells: list[str]) -> str:
    """A line of these; NULL is nothing between two commas."""
    return "concat(" + ", ',', ".join(cells) + ")"


def _csv(table: Table, *, changes: bool, neutral: bool) -> str:
    cells = ["'row'"] if changes else []
    for name, kind in table.columns.items():
        value = _value(name, kind)
        cells.append(_text(f"{value}::text", neutral=neutral) if kind in (Kind.TEXT, Kind.JSON) else value)
    return _concat(cells)


def json_line(table: Table, *, changes: bool = False) -> str:
    """A row `t` of this table as a JSON object, without what is NULL."""
    members = ["'row' AS change"] if changes else []
    members += [f"{_value(name, kind)} AS {name}" for name, kind in table.columns.items()]
    return f"(SELECT json_strip_nulls(row_to_json(r))::text FROM (SELECT {', '.join(members)}) r)"


def _marker(table: Table, form: Format) -> str:
    if form is Format.NDJSON:
        members = ", ".join(f"u.{name}" for name in table.units)
        return f"(SELECT json_strip_nulls(row_to_json(r))::text FROM (SELECT 'replace' AS {CHANGE}, {members}) r)"
    cells = ["'replace'", *(f"u.{name}" if name in table.units else "''" for name in table.columns)]
    return _concat(cells)


def export(name: str, form: Format, *, changes: bool) -> str:
    """The query whose rows are the lines of an export of this table; Parquet is made of lines of CSV."""
    table = TABLES[name]
    if form is Format.NDJSON:
        line = json_line(table, changes=changes)
    else:
        line = _csv(table, changes=changes, neutral=form is Format.CSV)
    range_ = _RANGE.format(day=f"t.{table.day}")
    if not changes:
        return _ALL.format(line=line, table=name, range=range_)
    return _CHANGES.format(
        units=_UNITS[table.units],
        marker=_marker(table, form),
        line=line,
        table=name,
        order=", ".join(f"t.{column}" for column in table.key),
        same=" AND ".join(f"t.{column} = u.{column}" for column in table.units),
        range=range_,
        by=", ".join(f"u.{column}" for column in table.units),
    )


_LOG = f"""
SELECT {STORED} FROM trainings t
WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND t.status = 'COMPLETED'
ORDER BY t.date {{0}}, t.id {{0}}"""
OLDEST_FIRST, NEWEST_FIRST = _LOG.format(""), _LOG.format("DESC")
