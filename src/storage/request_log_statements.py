"""The SQL of `storage.request_log`."""

from storage.arrays import names, parameters

TYPES = {
    "age": "float8",
    "user_id": "uuid",
    "actor": "text",
    "method": "text",
    "route": "text",
    "about_user": "uuid",
    "status": "smallint",
    "request_id": "text",
    "ms": "real",
}

# The moments are by the database's clock, so that those of all workers go together. Whoever is erased by now is left
# out of the row, which itself stays.
WRITE = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM unnest({parameters("r", TYPES)}) AS given ({names(TYPES)})
), gone AS MATERIALIZED (
    SELECT erased(ARRAY(
        SELECT user_id FROM given WHERE user_id IS NOT NULL UNION
        SELECT about_user FROM given WHERE about_user IS NOT NULL
    )) AS ids
)
INSERT INTO request_log (at, user_id, actor, method, route, about_user, status, request_id, ms)
SELECT now() - make_interval(secs => age),
       CASE WHEN user_id = ANY (ids) THEN NULL ELSE user_id END,
       CASE WHEN user_id = ANY (ids) THEN NULL ELSE actor END,
       method, route,
       CASE WHEN about_user = ANY (ids) THEN NULL ELSE about_user END,
       status, request_id, ms
FROM given, gone
"""

# By the user or about them: each has its index.
READ = """
SELECT at, user_id, actor, method, route, about_user, status, request_id, ms FROM request_log
WHERE at >= %(since)s AND at < coalesce(%(until)s::timestamptz, 'infinity')
  AND (%(user_id)s::uuid IS NULL OR user_id = %(user_id)s OR about_user = %(user_id)s)
  AND (%(status)s::smallint IS NULL OR status = %(status)s)
ORDER BY at DESC LIMIT %(limit)s
"""
