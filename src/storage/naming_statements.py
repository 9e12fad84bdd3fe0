"""The SQL of what users' names mean in the derived tables. `{schema}` is where these stand."""

from storage.archive_statements import HOLDER
from storage.arrays import names
from storage.volume_statements import LOCK_USERS, NAME_COLUMNS

_LOGGED = """
SELECT o.topic, o.seq, coalesce(o.published_seq, o.seq), o.event_id, o.user_id, o.payload, o.version
FROM ({users}) u CROSS JOIN LATERAL (
    SELECT * FROM outbox o
    WHERE o.user_id = u.user_id AND o.aggregate_id = u.user_id AND o.aggregate_type = 'exercise'
      AND o.version > u.naming
    OFFSET 0
) o
ORDER BY o.user_id, o.version LIMIT %(limit)s
"""
LOGGED = _LOGGED.format(users="SELECT user_id, 0 AS naming FROM unnest(%(users)s::uuid[]) user_id")
LOCK_AND_READ = LOCK_USERS + _LOGGED.format(
    users="""SELECT user_id, naming FROM {schema}.users WHERE user_id = ANY (%(users)s::uuid[])
      AND user_id <> ALL ((SELECT erased(%(users)s::uuid[]))::uuid[])"""
)
WRITE = f"""
INSERT INTO {{schema}}.exercise_names AS n ({names(NAME_COLUMNS)})
SELECT {names(NAME_COLUMNS)} FROM jsonb_to_recordset(%(rows)s::jsonb)
    AS t ({", ".join(f"{column} {type_}" for column, type_ in NAME_COLUMNS.items())})
ON CONFLICT (user_id, name) DO UPDATE
SET {", ".join(f"{column} = excluded.{column}" for column in list(NAME_COLUMNS)[2:])}
WHERE n.version < excluded.version;
UPDATE {{schema}}.users u SET naming = t.naming
FROM unnest(%(users)s::uuid[], %(versions)s::integer[]) t (user_id, naming)
WHERE u.user_id = t.user_id AND u.naming < t.naming;
"""
NAMES = """
SELECT u.user_id, u.naming, n.name, n.version, n.exercise, n.exercise_revision, n.own_exercise, n.bw_fraction,
       n.category, n.family, n.difficulty, n.implement
FROM {schema}.users u LEFT JOIN {schema}.exercise_names n ON n.user_id = u.user_id
WHERE u.user_id = ANY (%(users)s::uuid[])
"""

# What a change of names asks to be computed anew. A name stands in the tables as the athlete wrote it, and is folded by
# the same function that folds it for the computation.
RENAMED = """
SELECT u.user_id, u.naming, u.forgotten, n.name, n.version
FROM {schema}.users u LEFT JOIN {schema}.exercise_names n ON n.user_id = u.user_id AND n.version > u.refolded
WHERE u.user_id = ANY (%(users)s::uuid[]) AND u.refolded < u.naming
"""
USED = """
SELECT u.user_id, v.name FROM unnest(%(users)s::uuid[]) AS u (user_id) CROSS JOIN LATERAL (
    SELECT DISTINCT v.name FROM {schema}.exercise_volume v WHERE v.user_id = u.user_id OFFSET 0
) v
"""
OUTDATED = """
SELECT DISTINCT v.user_id, v.training_id
FROM unnest(%(users)s::uuid[], %(names)s::text[], %(versions)s::integer[]) AS n (user_id, name, version)
JOIN {schema}.exercise_volume v ON v.user_id = n.user_id AND v.name = n.name
JOIN {schema}.folded_trainings f ON f.user_id = v.user_id AND f.training_id = v.training_id AND f.naming < n.version
WHERE v.user_id = ANY (%(users)s::uuid[]) AND f.user_id = ANY (%(users)s::uuid[])
ORDER BY 1, 2
"""
FOLDED = f"""
SELECT o.topic, o.seq, coalesce(o.published_seq, o.seq), o.event_id, f.user_id, o.payload, f.training_id, f.version, a.*
FROM unnest(%(users)s::uuid[], %(trainings)s::uuid[]) AS t (user_id, training_id)
CROSS JOIN LATERAL (
    SELECT f.user_id, f.training_id, f.version FROM {{schema}}.folded_trainings f
    WHERE f.user_id = t.user_id AND f.training_id = t.training_id
    OFFSET 0
) f
LEFT JOIN LATERAL (
    SELECT * FROM outbox o
    WHERE o.user_id = t.user_id AND o.aggregate_id = t.training_id AND o.version = f.version
      AND o.aggregate_type = 'training'
    OFFSET 0
) o ON true
LEFT JOIN {HOLDER} ON true
"""
# Not where the names were forgotten since: the trainings were, too.
SETTLE = f"""{LOCK_USERS}
UPDATE {{schema}}.users u SET refolded = t.naming
FROM unnest(%(users)s::uuid[], %(versions)s::integer[], %(forgotten)s::integer[]) t (user_id, naming, forgotten)
WHERE u.user_id = t.user_id AND u.refolded < t.naming AND u.forgotten = t.forgotten
"""

# What the log took back from a topic has transaction 2, and what it held beyond that may have got another version.
ADOPTED = "SELECT DISTINCT user_id FROM outbox WHERE xid = '2' AND aggregate_type = 'exercise'"
FORGET = f"""{LOCK_USERS}
DELETE FROM analytics.exercise_names WHERE user_id = ANY (%(users)s::uuid[]);
UPDATE analytics.folded_trainings SET naming = 0 WHERE user_id = ANY (%(users)s::uuid[]) AND naming > 0;
UPDATE analytics.users SET naming = 0, refolded = 0, forgotten = forgotten + 1 WHERE user_id = ANY (%(users)s::uuid[])
""".format(schema="analytics")
BEHIND = """
SELECT n.user_id FROM exercise_namings n LEFT JOIN {schema}.users u ON u.user_id = n.user_id
WHERE n.user_id > %(after)s AND n.version > coalesce(u.refolded, 0)
ORDER BY n.user_id LIMIT %(limit)s
"""
