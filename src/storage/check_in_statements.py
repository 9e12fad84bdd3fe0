"""The SQL of `storage.check_ins`. Parameters are psycopg2's, by name."""

from storage.document_statements import STORED

LIST = f"""
SELECT d.day, {STORED} FROM check_ins d
WHERE d.user_id = %(user_id)s AND d.deleted_at IS NULL
  AND d.day BETWEEN coalesce(%(first)s::date, '-infinity') AND coalesce(%(last)s::date, 'infinity')
  AND d.day < coalesce(%(before)s::date, 'infinity')
ORDER BY d.day DESC
LIMIT %(limit)s
"""
