"""The catalogue as a resource: a graph that stays acyclic, revisions that stay as they are, names, and search."""

from alembic import op

revision = "0005"
down_revision = "0004"

# By a superuser's word (`trusted`) whoever may create in the database may make this extension; a provider can refuse it
# all the same. Then nothing is migrated. One that is there already may stand in any schema: what is created by its
# function holds to the function, not to its name.
SEARCH = """
DO $do$
DECLARE
    place name;
BEGIN
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
    EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('the extension pg_trgm is missing and cannot be made here (%s): ask the server''s '
                             'administrator for CREATE EXTENSION pg_trgm in this database', SQLERRM);
    END;
    SELECT nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_trgm';
    EXECUTE format($function$
        CREATE FUNCTION name_similarity(wanted text, name text) RETURNS double precision
            LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
            RETURN 0.9 * %1$I.word_similarity(wanted, name) + 0.1 * %1$I.similarity(wanted, name)
    $function$, place);
END $do$;
COMMENT ON FUNCTION name_similarity(text, text) IS
    'How well the part of a name that is most like it fits what was typed, 0 to 1; of equals the shorter name is ahead';
"""

COLUMNS = """
ALTER TABLE exercises ADD COLUMN image_id text, ADD COLUMN phases text[];
UPDATE exercises SET phases = CASE
    WHEN slug ~ 'negative|eccentric' OR name ~* 'negative|eccentric' THEN ARRAY['eccentric']
    WHEN mode = 'hold' THEN ARRAY['isometric']
    ELSE ARRAY['concentric', 'eccentric'] END;
ALTER TABLE exercises
    ALTER COLUMN phases SET NOT NULL,
    ADD CHECK (phases <@ ARRAY['isometric', 'concentric', 'eccentric']);
COMMENT ON COLUMN exercises.image_id IS 'Of the media service';
COMMENT ON COLUMN exercises.phases IS 'Biomechanical tags: what the muscles do that it is for';
COMMENT ON COLUMN exercises.easier_slugs IS 'Movements that are learnt before it; of the latest revisions, no circle';

CREATE VIEW catalogue AS SELECT DISTINCT ON (slug) * FROM exercises ORDER BY slug, revision DESC;
COMMENT ON VIEW catalogue IS 'The latest revision of each movement';

CREATE TABLE exercises_deleted (
    slug text NOT NULL,
    revision integer NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slug, revision)
);
COMMENT ON TABLE exercises_deleted IS
    'Deleted movements. The deletion takes the next revision, so that none ever stands for two contents';

CREATE TABLE exercise_names (
    name text PRIMARY KEY CHECK (name = casefold(btrim(name) COLLATE pg_unicode_fast)),
    slug text NOT NULL
);
COMMENT ON TABLE exercise_names IS 'What Strong, Hevy and FitNotes call a movement; one of a deleted movement is idle';
COMMENT ON COLUMN exercise_names.name IS 'In lower case, with single spaces';
"""

# What a statement adds or removes is looked at under a lock that is held to the end of the transaction, by a snapshot
# that is taken after it: so of two writers that would make a circle together the second is refused. The errors: EX001 a
# circle, EX002 an easier movement that is not there, EX003 named by another as easier, EX004 another writer was first.
RULES = """
CREATE FUNCTION exercises_locked() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the catalogue is written at isolation level READ COMMITTED only';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('exercises'));
END $$;

CREATE FUNCTION exercises_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text[];
BEGIN
    IF NOT EXISTS (SELECT FROM added) THEN
        RETURN NULL;
    END IF;
    PERFORM exercises_locked();
    IF EXISTS (
        SELECT FROM added a
        WHERE a.revision > 1
          AND NOT EXISTS (SELECT FROM exercises e WHERE e.slug = a.slug AND e.revision = a.revision - 1)
          AND NOT EXISTS (SELECT FROM exercises_deleted d WHERE d.slug = a.slug AND d.revision = a.revision - 1)
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'EX004', MESSAGE = 'revisions of a movement follow each other';
    END IF;
    SELECT array_agg(DISTINCT easier) INTO found FROM added a, unnest(a.easier_slugs) easier
    WHERE NOT EXISTS (SELECT FROM exercises e WHERE e.slug = easier);
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'EX002', MESSAGE = 'there is no such easier movement', DETAIL = to_json(found);
    END IF;
    -- Breadth first, one way to each movement and step: the first circle through what was added is a shortest one.
    WITH RECURSIVE edge AS MATERIALIZED (
        SELECT c.slug, easier FROM catalogue c, unnest(c.easier_slugs) easier
    ), walk(way) AS (
        SELECT ARRAY[slug] FROM added
        UNION ALL
        SELECT way FROM (
            SELECT DISTINCT ON (w.way[1], edge.easier) w.way || edge.easier AS way
            FROM walk w JOIN edge ON edge.slug = w.way[cardinality(w.way)]
            WHERE (cardinality(w.way) = 1 OR edge.slug <> w.way[1])
              AND (edge.easier = w.way[1] OR edge.easier <> ALL (w.way))
        ) next
    )
    SELECT way INTO found FROM walk
    WHERE cardinality(way) > 1 AND way[1] = way[cardinality(way)] ORDER BY cardinality(way), way LIMIT 1;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'EX001', MESSAGE = 'movements would be easier than themselves',
            DETAIL = to_json(found);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION exercises_removed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text[];
BEGIN
    IF NOT EXISTS (SELECT FROM removed) THEN
        RETURN NULL;
    END IF;
    PERFORM exercises_locked();
    IF EXISTS (SELECT FROM removed JOIN exercises USING (slug)) THEN
        RAISE EXCEPTION USING ERRCODE = 'EX004', MESSAGE = 'a movement is deleted with all its revisions';
    END IF;
    SELECT array_agg(DISTINCT c.slug) INTO found FROM catalogue c JOIN removed r ON r.slug = ANY (c.easier_slugs);
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'EX003', MESSAGE = 'other movements name it as easier', DETAIL = to_json(found);
    END IF;
    INSERT INTO exercises_deleted (slug, revision) SELECT slug, max(revision) + 1 FROM removed GROUP BY slug;
    RETURN NULL;
END $$;

CREATE FUNCTION exercises_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a revision of a movement never changes: add the next one';
END $$;

CREATE TRIGGER exercises_added AFTER INSERT ON exercises REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION exercises_added();
CREATE TRIGGER exercises_removed AFTER DELETE ON exercises REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION exercises_removed();
CREATE TRIGGER exercises_stay BEFORE UPDATE OR TRUNCATE ON exercises
    FOR EACH STATEMENT EXECUTE FUNCTION exercises_stay();
"""


def upgrade() -> None:
    for part in (SEARCH, COLUMNS, RULES):
        op.execute(part)


def downgrade() -> None:
    # The extension stays: it may have been there before, and others may use it.
    op.execute("DROP TRIGGER exercises_added ON exercises; DROP TRIGGER exercises_removed ON exercises")
    op.execute("DROP TRIGGER exercises_stay ON exercises")
    op.execute("DROP FUNCTION exercises_added(), exercises_removed(), exercises_stay(), exercises_locked()")
    op.execute("DROP TABLE exercise_names, exercises_deleted; DROP VIEW catalogue")
    op.execute("ALTER TABLE exercises DROP COLUMN image_id, DROP COLUMN phases")
    op.execute("DROP FUNCTION name_similarity(text, text)")
