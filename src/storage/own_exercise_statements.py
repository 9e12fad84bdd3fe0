"""The SQL of `storage.own_exercises`: what a user says of movements. Parameters are psycopg2's, by name.

All that one user says is one aggregate, whose row counts the changes. A write looks at how things stand (`state`), and
where that allows it (`wanted`) takes the aggregate's row under its lock, but only if the version there is still that of
its snapshot (`naming`): so what it saw is what there is. Its rows, and its row of the log, consume that one.
"""

from models.own_exercises import MOST_NAMES, MOST_NAMES_OF_ONE, MOST_OWN, MOST_SUGGESTIONS
from storage.database import Prepared
from storage.training_parts import KEY
from storage.training_statements import Write

_TYPES = {
    "user_id": "uuid",
    "id": "uuid",
    "event_id": "uuid",
    "key_digest": "bytea",
    "if_match": "bigint[]",
    "phases": "text[]",
    "equipment": "text[]",
    "difficulty": "smallint",
    "muscles": "text[]",
    "secondary_muscles": "text[]",
    "bw_fraction": "numeric",
    "unilateral": "boolean",
}

_CONTENT = (
    "name",
    "folded",
    "category",
    "mode",
    "phases",
    "equipment",
    "difficulty",
    "muscles",
    "secondary_muscles",
    "bw_fraction",
    "bw_fraction_basis",
    "family",
    "unilateral",
    "image_id",
)


def _movement(row: str, *, own: bool) -> str:
    """The movement of a row, of the catalogue or a user's own: a `NamedMovement`."""
    return f"""(
    SELECT json_strip_nulls(row_to_json(m)) FROM (
        SELECT {row}.slug, {row}.revision, {str(own).lower()} AS own, {row}.name, {row}.category, {row}.mode,
               {row}.phases, {row}.equipment, {row}.difficulty, {row}.muscles, {row}.secondary_muscles,
               trim_scale({row}.bw_fraction) AS bw_fraction, {row}.bw_fraction_basis, {row}.family, {row}.unilateral,
               {row}.image_id
    ) m)"""


# `named` is the own exercise that has the name as its own, `names` and `names_of_it` count the other names that mean
# something, and that mean the own exercise; `same` says that the name means just that already.
_STATE = """
    SELECT (SELECT version FROM exercise_namings WHERE user_id = %(user_id)s) AS version, own.revision,
           (SELECT max(revision) FROM exercises WHERE slug = %(exercise)s) AS exercise_revision,
           (SELECT slug FROM own_exercises
            WHERE user_id = %(user_id)s AND folded = %(folded)s AND deleted_at IS NULL) AS named,
           (SELECT count(*) FROM own_exercises WHERE user_id = %(user_id)s AND deleted_at IS NULL) AS owns,
           a.names, a.names_of_it, a.there,
           coalesce(a.own = %(slug)s OR a.exercise = %(exercise)s AND a.exercise_revision = (
               SELECT max(revision) FROM exercises WHERE slug = %(exercise)s), false) AS same
    FROM (
        SELECT count(*) FILTER (WHERE name <> %(folded)s) AS names,
               count(*) FILTER (WHERE name <> %(folded)s AND own = %(slug)s) AS names_of_it,
               count(*) FILTER (WHERE name = %(folded)s) > 0 AS there,
               max(own) FILTER (WHERE name = %(folded)s) AS own,
               max(exercise) FILTER (WHERE name = %(folded)s) AS exercise,
               max(exercise_revision) FILTER (WHERE name = %(folded)s) AS exercise_revision
        FROM exercise_aliases WHERE user_id = %(user_id)s
    ) a LEFT JOIN own_exercises own
        ON own.user_id = %(user_id)s AND own.slug = %(slug)s AND own.deleted_at IS NULL
"""
_FACTS = """state.revision, state.exercise_revision, state.named, state.owns, state.names, state.names_of_it,
       state.there, state.same"""

_WRITE = """
WITH {key}state AS ({state}), wanted AS (
    SELECT * FROM state WHERE {when} AND {fresh}
), naming AS (
    INSERT INTO exercise_namings AS n (user_id, version)
    SELECT %(user_id)s, 1 FROM wanted
    ON CONFLICT (user_id) DO UPDATE SET version = n.version + 1, updated_at = greatest(now(), n.updated_at)
    WHERE n.version = (SELECT version FROM wanted)
    RETURNING n.version, n.updated_at AS at
), {then}, logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        traceparent, payload, created_at)
    SELECT %(event_id)s, %(topic)s, 'exercise', %(id)s, naming.version, %(event_type)s, %(user_id)s, %(actor)s,
           %(request_id)s, %(traceparent)s, %(event_head)s || rfc3339(naming.at) || '","payload":' || (
               SELECT json_strip_nulls(row_to_json(p))::text
               FROM (SELECT %(id)s AS user_id, naming.version, told.names, told.exercise) p
           ) || '}}', naming.at
    FROM naming, told
)
SELECT {answer}, naming.version, told.exercise::text, told.created_at, told.updated_at, {facts}
FROM {first} CROSS JOIN state LEFT JOIN naming ON true LEFT JOIN told ON true
"""

_IF_MATCH = "(%(if_match)s::bigint[] IS NULL OR revision = ANY (%(if_match)s::bigint[]))"
_ROOM = f"names < {MOST_NAMES} AND names_of_it < {MOST_NAMES_OF_ONE}"

# The names of the own exercise `made`, its own name first.
_NAMES = """made.folded || ARRAY(
        SELECT name FROM exercise_aliases
        WHERE user_id = %(user_id)s AND own = %(slug)s AND name <> made.folded ORDER BY name COLLATE "C"
    )"""

_TOLD_OF_OWN = f"""named AS (
    INSERT INTO exercise_aliases AS a (user_id, name, own, created_at)
    SELECT %(user_id)s, folded, slug, updated_at FROM made
    ON CONFLICT (user_id, name) DO UPDATE
    SET exercise = NULL, exercise_revision = NULL, own = excluded.own, created_at = excluded.created_at
    WHERE a.own IS DISTINCT FROM excluded.own
), told AS (
    SELECT {_NAMES} AS names, {_movement("made", own=True)} AS exercise, made.created_at, made.updated_at FROM made
)"""

_CREATED = f"""made AS (
    INSERT INTO own_exercises AS e (user_id, slug, {", ".join(_CONTENT)}, created_at, updated_at)
    SELECT %(user_id)s, %(slug)s, {", ".join(f"%({name})s" for name in _CONTENT)}, at, at FROM naming
    ON CONFLICT (user_id, slug) DO UPDATE
    SET revision = e.revision + 1, {", ".join(f"{name} = excluded.{name}" for name in _CONTENT)},
        updated_at = excluded.updated_at, deleted_at = NULL
    RETURNING e.*
), {_TOLD_OF_OWN}"""

_UPDATED = f"""made AS (
    UPDATE own_exercises e
    SET revision = e.revision + 1, {", ".join(f"{name} = %({name})s" for name in _CONTENT)}, updated_at = naming.at
    FROM naming WHERE e.user_id = %(user_id)s AND e.slug = %(slug)s
    RETURNING e.*
), {_TOLD_OF_OWN}"""

_DELETED = f"""made AS (
    UPDATE own_exercises e SET deleted_at = naming.at
    FROM naming WHERE e.user_id = %(user_id)s AND e.slug = %(slug)s
    RETURNING e.*
), unnamed AS (
    DELETE FROM exercise_aliases a USING made WHERE a.user_id = %(user_id)s AND a.own = made.slug
), told AS (
    SELECT {_NAMES} AS names, NULL::json AS exercise, made.created_at, made.deleted_at AS updated_at FROM made
)"""

_SET = f"""named AS (
    INSERT INTO exercise_aliases (user_id, name, exercise, exercise_revision, own, created_at)
    SELECT %(user_id)s, %(folded)s, %(exercise)s, wanted.exercise_revision, %(slug)s, naming.at FROM wanted, naming
    ON CONFLICT (user_id, name) DO UPDATE
    SET exercise = excluded.exercise, exercise_revision = excluded.exercise_revision, own = excluded.own,
        created_at = excluded.created_at
), told AS (
    SELECT ARRAY[%(folded)s] AS names, coalesce(
               (SELECT {_movement("c", own=False)} FROM exercises c
                WHERE c.slug = %(exercise)s AND c.revision = wanted.exercise_revision),
               (SELECT {_movement("e", own=True)} FROM own_exercises e
                WHERE e.user_id = %(user_id)s AND e.slug = %(slug)s)
           ) AS exercise, naming.at AS created_at, naming.at AS updated_at
    FROM wanted, naming
)"""

_REMOVED = """unnamed AS (
    DELETE FROM exercise_aliases a USING naming WHERE a.user_id = %(user_id)s AND a.name = %(folded)s
), told AS (
    SELECT ARRAY[%(folded)s] AS names, NULL::json AS exercise, at AS created_at, at AS updated_at FROM naming
)"""


def _write(name: str, then: str, *when: str) -> Write:
    """A write without an Idempotency-Key, and with the claim of one, which is not kept where nothing changes."""
    answer = f"""NOT key.fresh, key.same, key.training_id, key.event_id,
       CASE WHEN key.fresh AND naming.version IS NULL THEN refuse_write(json_build_array({_FACTS})::text) END"""

    def sql(key: str, first: str, fresh: str, answer: str) -> str:
        return _WRITE.format(
            key=key,
            first=first,
            fresh=fresh,
            answer=answer,
            state=_STATE,
            when=" AND ".join(when),
            then=then,
            facts=_FACTS,
        )

    return Write(
        Prepared(f"own_{name}_plain", sql("", "(VALUES (1)) one", "true", "false, NULL, NULL, NULL, NULL"), _TYPES),
        Prepared(f"own_{name}_keyed", sql(KEY, "key", "(SELECT fresh FROM key)", answer), _TYPES),
    )


CREATE = _write("create", _CREATED, "revision IS NULL", "named IS NULL", f"owns < {MOST_OWN}", _ROOM)
UPDATE = _write("update", _UPDATED, "revision IS NOT NULL", _IF_MATCH, "coalesce(named = %(slug)s, true)", _ROOM)
DELETE = _write("delete", _DELETED, "revision IS NOT NULL", _IF_MATCH)
SET = _write("set", _SET, "num_nonnulls(revision, exercise_revision) = 1", "NOT same", "named IS NULL", _ROOM)
REMOVE = _write("remove", _REMOVED, "there", "named IS NULL")

_OWN = f"""
SELECT {_movement("e", own=True)}::text, e.created_at, e.updated_at FROM own_exercises e
WHERE e.user_id = %(user_id)s AND e.deleted_at IS NULL"""
READ = f"{_OWN} AND e.slug = %(slug)s"
LIST = f'{_OWN} ORDER BY e.slug COLLATE "C"'

ALIASES = """
SELECT coalesce(json_agg(json_strip_nulls(row_to_json(a)) ORDER BY a.name COLLATE "C"), '[]')::text FROM (
    SELECT name, exercise, exercise_revision, own AS own_exercise FROM exercise_aliases WHERE user_id = %(user_id)s
) a
"""

REPLAY = """
SELECT o.event_type, o.payload, o.created_at, e.created_at
FROM outbox o LEFT JOIN own_exercises e
    ON e.user_id = o.user_id AND e.slug = o.payload::json #>> '{payload,exercise,slug}'
WHERE o.user_id = %(user_id)s AND o.aggregate_id = %(user_id)s AND o.aggregate_type = 'exercise'
  AND o.event_id = %(event_id)s
"""

# Names are folded and compared once for each way in which they are written, and only those of the page with movements.
# Those that are as frequent come in the order of their digests, which are short enough for a cursor.
UNMAPPED = f"""
WITH written AS MATERIALIZED (
    SELECT x.name, count(*) AS exercises, sum(s.sets)::bigint AS sets, max(t.day) AS day, max(t.date) AS date
    FROM trainings t
    JOIN training_exercises x ON x.user_id = t.user_id AND x.training_id = t.id
    LEFT JOIN (
        SELECT training_id, exercise_id, count(*) AS sets FROM training_sets
        WHERE user_id = %(user_id)s AND done GROUP BY training_id, exercise_id
    ) s ON s.training_id = x.training_id AND s.exercise_id = x.id
    WHERE t.user_id = %(user_id)s AND t.status = 'COMPLETED' AND t.deleted_at IS NULL AND x.exercise IS NULL
    GROUP BY x.name
), page AS MATERIALIZED (
    SELECT n.*, digest FROM (
        SELECT folded_name(w.name) AS folded, sum(w.exercises)::bigint AS exercises,
               coalesce(sum(w.sets), 0)::bigint AS sets, max(w.day) AS day,
               (array_agg(w.name ORDER BY w.date DESC, w.name COLLATE "C"))[1] AS name
        FROM written w GROUP BY 1
    ) n, encode(sha256(convert_to(n.folded, 'UTF8')), 'hex') digest
    WHERE NOT EXISTS (SELECT FROM exercise_aliases a WHERE a.user_id = %(user_id)s AND a.name = n.folded)
      AND (%(after_count)s::bigint IS NULL OR n.exercises < %(after_count)s
           OR n.exercises = %(after_count)s AND digest > %(after_digest)s COLLATE "C")
    ORDER BY n.exercises DESC, digest COLLATE "C"
    LIMIT %(limit)s
), movements AS MATERIALIZED (
    SELECT slug AS exercise, NULL AS own_exercise, name, name AS known FROM catalogue
    UNION ALL
    SELECT c.slug, NULL, c.name, n.name FROM exercise_names n JOIN catalogue c USING (slug)
    UNION ALL
    SELECT NULL, slug, name, name FROM own_exercises WHERE user_id = %(user_id)s AND deleted_at IS NULL
)
SELECT page.exercises, page.digest, json_build_object(
    'name', page.name, 'exercises', page.exercises, 'sets', page.sets, 'last_day', page.day,
    'suggestions', coalesce((
        SELECT json_agg(json_strip_nulls(row_to_json(best)) ORDER BY best.score DESC, best.name COLLATE "C")
        FROM (
            SELECT m.exercise, m.own_exercise, m.name, max(name_similarity(page.name, m.known)) AS score
            FROM movements m
            GROUP BY m.exercise, m.own_exercise, m.name
            HAVING max(name_similarity(page.name, m.known)) >= %(least_score)s
            ORDER BY score DESC, m.name COLLATE "C" LIMIT {MOST_SUGGESTIONS}
        ) best
    ), '[]'))::text
FROM page
ORDER BY page.exercises DESC, page.digest COLLATE "C"
"""
