"""The data dictionary of schema `analytics`, as Markdown, from the comments in the database."""

import psycopg2

_RELATIONS = """
SELECT c.oid, c.relname, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, obj_description(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'analytics' AND c.relkind IN ('r', 'v') ORDER BY c.relname
"""
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, col_description(a.attrelid, a.attnum)
FROM pg_attribute a WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_HEAD = """# Data dictionary of schema `analytics`

These are the comments in the database; a test holds this page to them. All of it may be read by the role
`analytics_reader`: grant it to a login of your own. Figures are exact (`numeric`), days are the athlete's local days,
and only sets that were done in COMPLETED trainings count. `freshness` says how far the tables are behind the log.
"""


def data_dictionary(owner_url: str) -> str:
    """The page. Raises AssertionError where a comment is missing."""
    connection = psycopg2.connect(owner_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_RELATIONS)
            parts = [_HEAD]
            for oid, name, kind, comment in cursor.fetchall():
                assert comment, f"analytics.{name} has no comment"
                cursor.execute(_COLUMNS, [oid])
                lines = [f"## {name}\n\n{kind.capitalize()}. {comment}.\n\n| column | type | meaning |\n|---|---|---|"]
                for column, type_, nullable, meaning in cursor.fetchall():
                    assert meaning, f"analytics.{name}.{column} has no comment"
                    null = ", may be NULL" if nullable and kind == "table" else ""
                    lines.append(f"| `{column}` | {type_}{null} | {meaning} |".replace(" * ", " \\* "))
                parts.append("\n".join(lines) + "\n")
            return "\n".join(parts)
    finally:
        connection.close()
