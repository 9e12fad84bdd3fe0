"""The SQL of `storage.exercise_history`. Parameters are psycopg2's, by name.

A text that was asked for names an exercise of a training where it is its slug, or its name but for case. A text that is
a slug of the catalogue does not name what was logged under another slug. The collation is PostgreSQL's own, so that
case is the same on every server, and is that of the index.

Exercises have no date. What an app asks for is mostly what was done of late: so the newest sessions are looked through
first (`near`), and only for what they do not answer the indexes of names and slugs are asked, for trainings of any age
(`far`). Either alone is slow for a user of many years: the walk for what is rare, the indexes for what is frequent.
"""

from storage.training_statements import SETS

_COUNTED = "t.user_id = %(user_id)s AND t.status = 'COMPLETED' AND t.deleted_at IS NULL"


def _folded(text: str) -> str:
    """A name without its case. The index of names is by this expression."""
    return f"casefold({text} COLLATE pg_unicode_fast)"


def _is_slug(text: str) -> str:
    return f"EXISTS (SELECT FROM exercises c WHERE c.slug = {text})"


def _named(text: str, folded: str, slug: str) -> str:
    """Whether `text` names the exercise `x`."""
    return f"(x.exercise = {text} OR {_folded('x.name')} = {folded} AND (x.exercise IS NULL OR NOT {slug}))"


def _holding(text: str, folded: str, slug: str, more: str = "") -> str:
    """Id and date of the sessions `t` that hold what `text` names, by the two indexes: in no order, and all of them.

    Without `OFFSET 0` a LIMIT outside could make it a walk through the trainings.
    """
    return f"""
        SELECT t.id, t.date FROM trainings t
        WHERE {_COUNTED}{more} AND t.id IN (
            SELECT x.training_id FROM training_exercises x WHERE x.user_id = %(user_id)s AND x.exercise = {text}
            UNION ALL
            SELECT x.training_id FROM training_exercises x
            WHERE x.user_id = %(user_id)s AND {_folded("x.name")} = {folded} AND (x.exercise IS NULL OR NOT {slug})
        ) OFFSET 0"""


def _session(text: str, folded: str, slug: str, more: str = "") -> str:
    """What the training of the row `t` holds of the exercise that `text` names: an `ExerciseSession`, as JSON."""
    return f"""(
    SELECT json_strip_nulls(row_to_json(f))::text FROM (
        SELECT {more}t.id AS training_id, rfc3339(t.date) AS date, t.timezone, t.day, t.title, (
            SELECT json_agg(row_to_json(e)) FROM (
                SELECT x.id, x.name, x.exercise, x.exercise_revision, x.superset, x.notes, coalesce((
                    SELECT json_agg(row_to_json(s)) FROM (
                    {SETS} AND done
                    ORDER BY "order"
                ) s), '[]') AS sets
                FROM training_exercises x
                WHERE x.user_id = t.user_id AND x.training_id = t.id AND {_named(text, folded, slug)}
                ORDER BY x.position
            ) e) AS exercises
    ) f)"""


_ASKED = ("%(text)s", _folded("%(text)s"), _is_slug("%(text)s"))

# A local day lies within 14 hours of the same day in UTC: so `date` narrows the index, and `day` decides.
_WANTED = """
          AND (%(first)s::date IS NULL OR t.date >= %(first)s::date - interval '1 day' AND t.day >= %(first)s)
          AND (%(last)s::date IS NULL OR t.date < %(last)s::date + interval '2 days' AND t.day <= %(last)s)
          AND (%(after_date)s::timestamptz IS NULL
               OR (t.date, t.id) < (%(after_date)s::timestamptz, %(after_id)s::uuid))"""

HISTORY = f"""
WITH recent AS MATERIALIZED (
    SELECT t.id, t.date FROM trainings t WHERE {_COUNTED}{_WANTED} ORDER BY t.date DESC, t.id DESC LIMIT %(recent)s
), near AS MATERIALIZED (
    SELECT * FROM recent t
    WHERE EXISTS (
        SELECT FROM training_exercises x
        WHERE x.user_id = %(user_id)s AND x.training_id = t.id AND {_named(*_ASKED)}
        OFFSET 0 -- looked up for each session, not joined with all that the indexes hold
    ) ORDER BY t.date DESC, t.id DESC LIMIT %(limit)s
), enough AS MATERIALIZED (
    SELECT (SELECT count(*) FROM near) = %(limit)s OR (SELECT count(*) FROM recent) < %(recent)s AS enough
), found AS (
    SELECT * FROM near WHERE (SELECT enough FROM enough)
    UNION ALL (
        SELECT * FROM ({_holding(*_ASKED, _WANTED)}) t
        WHERE NOT (SELECT enough FROM enough) ORDER BY t.date DESC, t.id DESC LIMIT %(limit)s
    )
)
SELECT t.id, t.date, {_session(*_ASKED)}
FROM found JOIN trainings t ON t.user_id = %(user_id)s AND t.id = found.id
ORDER BY t.date DESC, t.id DESC
"""

LAST = f"""
WITH asked AS MATERIALIZED (
    SELECT a.place, a.text, {_folded("a.text")} AS folded, {_is_slug("a.text")} AS slug
    FROM unnest(%(texts)s::text[]) WITH ORDINALITY a(text, place)
), recent AS MATERIALIZED (
    SELECT t.id, t.date, x.exercise, {_folded("x.name")} AS folded
    FROM (
        SELECT t.id, t.date FROM trainings t WHERE {_COUNTED} ORDER BY t.date DESC, t.id DESC LIMIT %(recent)s
    ) t JOIN training_exercises x ON x.user_id = %(user_id)s AND x.training_id = t.id
), near AS MATERIALIZED (
    SELECT DISTINCT ON (a.place) a.place, r.id
    FROM asked a
    JOIN recent r ON r.exercise = a.text OR r.folded = a.folded AND (r.exercise IS NULL OR NOT a.slug)
    ORDER BY a.place, r.date DESC, r.id DESC
), far AS (
    SELECT a.place, t.id FROM asked a CROSS JOIN LATERAL (
        SELECT t.id FROM ({_holding("a.text", "a.folded", "a.slug")}) t ORDER BY t.date DESC, t.id DESC LIMIT 1
    ) t
    WHERE a.place NOT IN (SELECT near.place FROM near)
)
SELECT {_session("a.text", "a.folded", "a.slug", "a.text AS asked, ")}
FROM (SELECT * FROM near UNION ALL SELECT * FROM far) found
JOIN asked a ON a.place = found.place
JOIN trainings t ON t.user_id = %(user_id)s AND t.id = found.id
ORDER BY a.place
"""
