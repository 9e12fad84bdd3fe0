"""The SQL of `storage.exercise_history`. Parameters are psycopg2's, by name.

What is asked for is a row `a`: its `text`; `folded`, its form as names are compared, where it is no slug of the
catalogue; and `meant`, the names that mean it, which count where an exercise has no slug. Of a slug these are the
user's names for it, and the slug itself where the user gave that no other meaning; of an own exercise's slug its names.

Exercises have no date. What an app asks for is mostly what was done of late: so the newest sessions are looked through
first (`near`), and only for what they do not answer the indexes of names and slugs are asked, for trainings of any age
(`far`). Either alone is slow for a user of many years: the walk for what is rare, the indexes for what is frequent.
"""

from storage.pages import bounded
from storage.training_parts import SETS

_COUNTED = "t.user_id = %(user_id)s AND t.status = 'COMPLETED' AND t.deleted_at IS NULL"

ASKED = """asked AS MATERIALIZED (
    SELECT a.place, a.text, CASE WHEN NOT c.slug THEN f.folded END AS folded, ARRAY(
        SELECT n.name FROM exercise_aliases n
        WHERE n.user_id = %(user_id)s AND CASE WHEN c.slug THEN n.exercise ELSE n.own END = a.text
    ) || CASE WHEN c.slug AND NOT EXISTS (
        SELECT FROM exercise_aliases n WHERE n.user_id = %(user_id)s AND n.name = f.folded
    ) THEN ARRAY[f.folded] ELSE '{{}}' END AS meant
    FROM unnest({texts}) WITH ORDINALITY a(text, place), folded_name(a.text) f(folded),
         LATERAL (SELECT EXISTS (SELECT FROM exercises c WHERE c.slug = a.text) AS slug) c
)"""


def _named(exercise: str, folded: str) -> str:
    """Whether `a` names an exercise of this slug and folded name."""
    return f"({exercise} = a.text OR {folded} = a.folded OR {exercise} IS NULL AND {folded} = ANY (a.meant))"


NAMED = _named("x.exercise", "folded_name(x.name)")


def holding(more: str = "") -> str:
    """Id and date of the sessions `t` that hold what `a` names, by the two indexes: in no order, and all of them.

    Without `OFFSET 0` a LIMIT outside could make it a walk through the trainings.
    """
    return f"""
        SELECT t.id, t.date FROM trainings t
        WHERE {_COUNTED}{more} AND t.id IN (
            SELECT x.training_id FROM training_exercises x WHERE x.user_id = %(user_id)s AND x.exercise = a.text
            UNION ALL
            SELECT x.training_id FROM training_exercises x
            WHERE x.user_id = %(user_id)s AND folded_name(x.name) = a.folded
            UNION ALL
            SELECT x.training_id FROM training_exercises x
            WHERE x.user_id = %(user_id)s AND folded_name(x.name) = ANY (a.meant) AND x.exercise IS NULL
        ) OFFSET 0"""


def _session(more: str = "") -> str:
    """What the training of the row `t` holds of the exercise that `a` names: an `ExerciseSession`, as JSON."""
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
                WHERE x.user_id = t.user_id AND x.training_id = t.id AND {NAMED}
                ORDER BY x.position
            ) e) AS exercises
    ) f)"""


# A local day lies within 14 hours of the same day in UTC: so `date` narrows the index, and `day` decides.
_WANTED = """
          AND (%(first)s::date IS NULL OR t.date >= %(first)s::date - interval '1 day' AND t.day >= %(first)s)
          AND (%(last)s::date IS NULL OR t.date < %(last)s::date + interval '2 days' AND t.day <= %(last)s)
          AND (%(after_date)s::timestamptz IS NULL
               OR (t.date, t.id) < (%(after_date)s::timestamptz, %(after_id)s::uuid))"""

# Sorted by the columns of `found`, so that no index of trainings is walked for the sake of the order.
_FOUND = bounded(
    f"""
    SELECT found.id, found.date, {_session()} AS document
    FROM asked a, found JOIN trainings t ON t.user_id = %(user_id)s AND t.id = found.id
    ORDER BY found.date DESC, found.id DESC LIMIT %(limit)s""",
    order="date DESC, id DESC",
    text="document",
)
HISTORY = f"""
WITH {ASKED.format(texts="ARRAY[%(text)s]")}, recent AS MATERIALIZED (
    SELECT t.id, t.date FROM trainings t WHERE {_COUNTED}{_WANTED} ORDER BY t.date DESC, t.id DESC LIMIT %(recent)s
), near AS MATERIALIZED (
    SELECT t.id, t.date FROM recent t, asked a
    WHERE EXISTS (
        SELECT FROM training_exercises x
        WHERE x.user_id = %(user_id)s AND x.training_id = t.id AND {NAMED}
        OFFSET 0 -- looked up for each session, not joined with all that the indexes hold
    ) ORDER BY t.date DESC, t.id DESC LIMIT %(limit)s
), enough AS MATERIALIZED (
    SELECT (SELECT count(*) FROM near) = %(limit)s OR (SELECT count(*) FROM recent) < %(recent)s AS enough
), found AS (
    SELECT * FROM near WHERE (SELECT enough FROM enough)
    UNION ALL (
        SELECT t.* FROM asked a CROSS JOIN LATERAL ({holding(_WANTED)}) t
        WHERE NOT (SELECT enough FROM enough) ORDER BY t.date DESC, t.id DESC LIMIT %(limit)s
    )
){_FOUND}
"""

LAST = f"""
WITH {ASKED.format(texts="%(texts)s::text[]")}, recent AS MATERIALIZED (
    SELECT t.id, t.date, x.exercise, folded_name(x.name) AS folded
    FROM (
        SELECT t.id, t.date FROM trainings t WHERE {_COUNTED} ORDER BY t.date DESC, t.id DESC LIMIT %(recent)s
    ) t JOIN training_exercises x ON x.user_id = %(user_id)s AND x.training_id = t.id
), near AS MATERIALIZED (
    SELECT DISTINCT ON (a.place) a.place, r.id
    FROM asked a JOIN recent r ON {_named("r.exercise", "r.folded")}
    ORDER BY a.place, r.date DESC, r.id DESC
), far AS (
    SELECT a.place, t.id FROM asked a CROSS JOIN LATERAL (
        SELECT t.id FROM ({holding()}) t ORDER BY t.date DESC, t.id DESC LIMIT 1
    ) t
    WHERE a.place NOT IN (SELECT near.place FROM near)
)
SELECT {_session("a.text AS asked, ")}
FROM (SELECT * FROM near UNION ALL SELECT * FROM far) found
JOIN asked a ON a.place = found.place
JOIN trainings t ON t.user_id = %(user_id)s AND t.id = found.id
ORDER BY a.place
"""
