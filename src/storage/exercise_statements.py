"""The SQL of `storage.exercises`: every statement that reads or writes the catalogue. Parameters are psycopg2's.

`catalogue` is the view of the latest revisions. What a write must keep is kept by the table's triggers, for every
writer (migration 0005).
"""

# The revision `e`, as a `MovementDocument`.
_DOCUMENT = """(
    SELECT json_strip_nulls(row_to_json(f))::text FROM (
        SELECT e.slug, e.revision, e.name, e.category, e.mode, e.phases, e.equipment, e.difficulty, e.muscles,
               e.secondary_muscles, trim_scale(e.bw_fraction) AS bw_fraction, e.bw_fraction_basis, e.family,
               e.unilateral, e.easier_slugs, e.image_id, rfc3339(e.created_at) AS created_at
    ) f)"""

_COLUMNS = """slug, revision, name, category, mode, phases, equipment, difficulty, muscles, secondary_muscles,
    bw_fraction, bw_fraction_basis, family, unilateral, easier_slugs, image_id"""

_CONTENT = """%(name)s, %(category)s, %(mode)s, %(phases)s::text[], %(equipment)s::text[], %(difficulty)s,
    %(muscles)s::text[], %(secondary_muscles)s::text[], %(bw_fraction)s, %(bw_fraction_basis)s, %(family)s,
    %(unilateral)s, %(easier_slugs)s::text[], %(image_id)s"""

CREATE = f"""
WITH created AS (
    INSERT INTO exercises ({_COLUMNS})
    SELECT %(slug)s, 1 + coalesce((SELECT max(revision) FROM exercises_deleted WHERE slug = %(slug)s), 0), {_CONTENT}
    WHERE NOT EXISTS (SELECT FROM exercises WHERE slug = %(slug)s)
    ON CONFLICT DO NOTHING
    RETURNING *
)
SELECT e.revision, {_DOCUMENT} FROM created e
"""

UPDATE = f"""
WITH latest AS (
    SELECT revision FROM catalogue WHERE slug = %(slug)s
), edited AS (
    INSERT INTO exercises ({_COLUMNS})
    SELECT %(slug)s, latest.revision + 1, {_CONTENT} FROM latest
    WHERE %(if_match)s::bigint[] IS NULL OR latest.revision = ANY (%(if_match)s::bigint[])
    ON CONFLICT DO NOTHING
    RETURNING *
)
SELECT latest.revision, e.revision, CASE WHEN e.slug IS NOT NULL THEN {_DOCUMENT} END
FROM latest LEFT JOIN edited e ON true
"""

DELETE = """
WITH latest AS (
    SELECT revision FROM catalogue WHERE slug = %(slug)s
), removed AS (
    DELETE FROM exercises e USING latest
    WHERE e.slug = %(slug)s
      AND (%(if_match)s::bigint[] IS NULL OR latest.revision = ANY (%(if_match)s::bigint[]))
    RETURNING 1
)
SELECT latest.revision, (SELECT count(*) FROM removed) FROM latest
"""

READ = f"""
SELECT e.revision, {_DOCUMENT} FROM catalogue e
WHERE e.slug = %(slug)s AND %(revision)s::integer IS NULL
UNION ALL
SELECT e.revision, {_DOCUMENT} FROM exercises e WHERE e.slug = %(slug)s AND e.revision = %(revision)s::integer
"""

# Every name is compared, which for the 900 that there are takes 8 ms: no index of trigrams would be asked.
LIST = f"""
SELECT e.score, e.slug, {_DOCUMENT} FROM (
    SELECT c.*, coalesce(greatest(name_similarity(%(q)s::text, c.name), other.score), 0) AS score
    FROM catalogue c LEFT JOIN (
        SELECT slug, max(name_similarity(%(q)s::text, name)) AS score FROM exercise_names
        WHERE %(q)s::text IS NOT NULL GROUP BY slug
    ) other ON other.slug = c.slug
    WHERE (%(category)s::text IS NULL OR c.category = %(category)s)
      AND (%(mode)s::text IS NULL OR c.mode = %(mode)s)
      AND (%(family)s::text IS NULL OR c.family = %(family)s)
      AND (%(equipment)s::text IS NULL OR %(equipment)s = ANY (c.equipment)
           OR %(equipment)s = 'none' AND c.equipment = '{{}}')
      AND (%(muscle)s::text IS NULL OR %(muscle)s = ANY (c.muscles || c.secondary_muscles))
      AND c.difficulty BETWEEN coalesce(%(min_difficulty)s, 1) AND coalesce(%(max_difficulty)s, 10)
) e
WHERE (%(q)s::text IS NULL OR e.score >= %(least_score)s)
  AND (%(after_slug)s::text IS NULL OR e.score < %(after_score)s::double precision
       OR e.score = %(after_score)s::double precision AND e.slug > %(after_slug)s COLLATE "C")
ORDER BY e.score DESC, e.slug COLLATE "C"
LIMIT %(limit)s
"""

# Breadth first, one way to each movement and step, upwards and downwards apart: the graph has no circle, so at most one
# of the two arrives, and both end.
PROGRESSIONS = f"""
WITH RECURSIVE edge AS MATERIALIZED (
    SELECT true AS up, easier AS here, c.slug AS there FROM catalogue c, unnest(c.easier_slugs) easier
    UNION ALL
    SELECT false, c.slug, easier FROM catalogue c, unnest(c.easier_slugs) easier
), walk(up, way) AS (
    SELECT up, ARRAY[%(slug)s::text] FROM unnest(ARRAY[true, false]) up WHERE %(to)s::text IS NOT NULL
    UNION ALL
    SELECT up, way FROM (
        SELECT DISTINCT ON (w.up, edge.there) w.up, w.way || edge.there AS way
        FROM walk w JOIN edge ON edge.up = w.up AND edge.here = w.way[cardinality(w.way)]
        WHERE edge.here <> %(to)s
        ORDER BY w.up, edge.there, w.way
    ) step
), path AS (
    SELECT up, way FROM walk WHERE way[cardinality(way)] = %(to)s ORDER BY cardinality(way), way LIMIT 1
)
SELECT (SELECT string_agg({_DOCUMENT}, ',' ORDER BY e.difficulty, e.slug COLLATE "C")
        FROM catalogue e WHERE e.slug = ANY (c.easier_slugs)),
       (SELECT string_agg({_DOCUMENT}, ',' ORDER BY e.difficulty, e.slug COLLATE "C")
        FROM catalogue e WHERE c.slug = ANY (e.easier_slugs)),
       EXISTS (SELECT FROM catalogue e WHERE e.slug = %(to)s),
       (SELECT up FROM path),
       (SELECT string_agg({_DOCUMENT}, ',' ORDER BY step.place)
        FROM path, unnest(path.way) WITH ORDINALITY step(slug, place) JOIN catalogue e ON e.slug = step.slug)
FROM catalogue c WHERE c.slug = %(slug)s
"""

# A movement's own name goes before another's that some app has for it.
NAMES = """
SELECT coalesce(json_agg(json_build_object('name', name, 'exercise', slug) ORDER BY name COLLATE "C"), '[]')::text
FROM (
    SELECT DISTINCT ON (name) name, slug FROM (
        SELECT regexp_replace(casefold(name COLLATE pg_unicode_fast), '[[:space:]]+', ' ', 'g') AS name, slug,
               true AS own
        FROM catalogue
        UNION ALL
        SELECT n.name, n.slug, false FROM exercise_names n JOIN catalogue USING (slug)
    ) known
    ORDER BY name, own DESC, slug
) known
"""

ALL = """
SELECT slug, revision, name, category, mode, difficulty, bw_fraction, family, equipment, easier_slugs FROM exercises
"""

# Each write changes one of the two, and deletions only grow.
MARK = "SELECT (SELECT count(*) FROM exercises), (SELECT count(*) FROM exercises_deleted)"

# Movements that are there are left alone, edited or not, and those that were deleted stay deleted.
SEED = f"""
WITH seed AS (
    SELECT s.* FROM json_to_recordset(%(movements)s::json) AS s(
        slug text, name text, category text, mode text, phases text[], equipment text[], difficulty smallint,
        muscles text[], secondary_muscles text[], bw_fraction numeric, bw_fraction_basis text, family text,
        unilateral boolean, easier_slugs text[])
    WHERE NOT EXISTS (SELECT FROM exercises e WHERE e.slug = s.slug)
      AND NOT EXISTS (SELECT FROM exercises_deleted d WHERE d.slug = s.slug)
)
INSERT INTO exercises ({_COLUMNS})
SELECT slug, 1, name, category, mode, phases, equipment, difficulty, muscles, secondary_muscles, bw_fraction,
       bw_fraction_basis, family, unilateral, ARRAY(
           SELECT easier FROM unnest(easier_slugs) WITH ORDINALITY named(easier, place)
           WHERE easier IN (SELECT slug FROM seed UNION ALL SELECT slug FROM exercises) ORDER BY place
       ), NULL
FROM seed
ON CONFLICT DO NOTHING
"""

SEED_NAMES = """
INSERT INTO exercise_names (name, slug)
SELECT name, slug FROM json_to_recordset(%(names)s::json) AS n(name text, slug text)
ON CONFLICT (name) DO UPDATE SET slug = excluded.slug WHERE exercise_names.slug <> excluded.slug
"""
