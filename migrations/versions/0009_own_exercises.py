"""What users say of movements, own exercises and names, and taking back lost events of that too."""

from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

revision = "0009"
down_revision = "0008"

# Deleted own exercises stay, so that none of their revisions ever stands for two contents.
TABLES = """
CREATE TABLE own_exercises (
    user_id uuid NOT NULL,
    slug text NOT NULL,
    revision integer NOT NULL DEFAULT 1 CHECK (revision >= 1),
    name text NOT NULL,
    folded text NOT NULL,
    category text NOT NULL CHECK (category IN ('Push', 'Pull', 'Legs', 'Core', 'Skill')),
    mode text NOT NULL CHECK (mode IN ('reps', 'hold')),
    phases text[] NOT NULL CHECK (phases <@ ARRAY['isometric', 'concentric', 'eccentric']),
    equipment text[] NOT NULL,
    difficulty smallint NOT NULL CHECK (difficulty BETWEEN 1 AND 10),
    muscles text[] NOT NULL,
    secondary_muscles text[] NOT NULL,
    bw_fraction numeric CHECK (bw_fraction BETWEEN 0 AND 2),
    bw_fraction_basis text,
    family text NOT NULL,
    unilateral boolean NOT NULL,
    image_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (user_id, slug)
);
COMMENT ON TABLE own_exercises IS 'Movements of a user''s own, as they are now; deleted ones included';
COMMENT ON COLUMN own_exercises.folded IS 'The name as names are compared: in lower case, with single spaces';
COMMENT ON COLUMN own_exercises.bw_fraction IS 'Part of the body''s mass that is lifted; NULL is unknown, not zero';
COMMENT ON COLUMN own_exercises.created_at IS 'When the user first had one of this slug';

CREATE TABLE exercise_aliases (
    user_id uuid NOT NULL,
    name text NOT NULL,
    exercise text,
    exercise_revision integer,
    own text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, name),
    FOREIGN KEY (exercise, exercise_revision) REFERENCES exercises (slug, revision),
    FOREIGN KEY (user_id, own) REFERENCES own_exercises (user_id, slug),
    CHECK (num_nonnulls(exercise, own) = 1),
    CHECK ((exercise IS NULL) = (exercise_revision IS NULL))
);
COMMENT ON TABLE exercise_aliases IS 'What a name in a user''s trainings means; the name of an own exercise included';
COMMENT ON COLUMN exercise_aliases.name IS 'In lower case, with single spaces';
COMMENT ON COLUMN exercise_aliases.own IS 'Slug of an own exercise';
COMMENT ON COLUMN exercise_aliases.created_at IS 'When the name got this meaning';

CREATE TABLE exercise_namings (
    user_id uuid PRIMARY KEY,
    version integer NOT NULL CHECK (version >= 1),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE exercise_namings IS 'The aggregate: all that a user says of movements, whose changes it counts';

CREATE FUNCTION folded_name(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN btrim(regexp_replace(casefold(name COLLATE pg_unicode_fast), '[\\s\\x1c-\\x1f]+', ' ', 'g'));
COMMENT ON FUNCTION folded_name(text) IS 'A name as names are compared: in lower case, with single spaces';
"""

# The events from the version `since` on, in their order, once more: what the tables hold of names that they do not tell
# of is as it was before them. The first is the one that was lost; what was written since comes after it, and has a
# revision of its own where both changed an own exercise. That is there as long as its own name means it: so a deletion,
# which tells of names alone, takes it away.
ADOPT_NAMING = """
CREATE FUNCTION adopt_naming(
    owner uuid, since integer, present integer, at timestamptz
) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    met integer;
    told record;
    lost_slug text;
BEGIN
    INSERT INTO exercise_namings AS n (user_id, version, updated_at) VALUES (owner, present + 1, at)
    ON CONFLICT (user_id) DO UPDATE
    SET version = excluded.version, updated_at = greatest(n.updated_at, excluded.updated_at)
    RETURNING old.version INTO met;
    IF coalesce(met, 0) <> present THEN
        RAISE EXCEPTION 'names of user % were changed meanwhile', owner USING ERRCODE = '40001';
    END IF;
    FOR told IN
        SELECT xid = '2' AS restored, event_id, event_type, created_at, payload::json #> '{payload,names}' AS names,
               payload::json #> '{payload,exercise}' AS exercise
        FROM outbox
        WHERE user_id = owner AND aggregate_id = owner AND aggregate_type = 'exercise' AND version >= since
        ORDER BY version
    LOOP
        IF told.event_type IN ('exercise_created', 'exercise_updated') THEN
            IF told.restored THEN
                lost_slug := told.exercise ->> 'slug';
            END IF;
            INSERT INTO own_exercises AS e (
                user_id, slug, revision, name, folded, category, mode, phases, equipment, difficulty, muscles,
                secondary_muscles, bw_fraction, bw_fraction_basis, family, unilateral, image_id, created_at, updated_at)
            SELECT owner, d.slug, d.revision, d.name, told.names ->> 0, d.category, d.mode, d.phases, d.equipment,
                   d.difficulty, d.muscles, d.secondary_muscles, d.bw_fraction, d.bw_fraction_basis, d.family,
                   d.unilateral, d.image_id, told.created_at, told.created_at
            FROM json_to_record(told.exercise) AS d(
                slug text, revision integer, name text, category text, mode text, phases text[], equipment text[],
                difficulty smallint, muscles text[], secondary_muscles text[], bw_fraction numeric,
                bw_fraction_basis text, family text, unilateral boolean, image_id text)
            ON CONFLICT (user_id, slug) DO UPDATE
            SET revision = CASE WHEN told.restored THEN greatest(e.revision, excluded.revision)
                                ELSE e.revision + (e.slug IS NOT DISTINCT FROM lost_slug)::integer END,
                name = excluded.name, folded = excluded.folded, category = excluded.category, mode = excluded.mode,
                phases = excluded.phases, equipment = excluded.equipment, difficulty = excluded.difficulty,
                muscles = excluded.muscles, secondary_muscles = excluded.secondary_muscles,
                bw_fraction = excluded.bw_fraction, bw_fraction_basis = excluded.bw_fraction_basis,
                family = excluded.family, unilateral = excluded.unilateral, image_id = excluded.image_id,
                updated_at = excluded.updated_at;
        END IF;
        -- With the own name of an exercise go all names that mean it, those too that were taken back.
        IF NOT told.restored THEN
            SELECT to_json(ARRAY(SELECT json_array_elements_text(told.names)) || ARRAY(
                SELECT a.name FROM exercise_aliases a JOIN own_exercises e ON e.user_id = a.user_id AND e.slug = a.own
                WHERE a.user_id = owner AND e.folded = told.names ->> 0
                  AND a.name NOT IN (SELECT json_array_elements_text(told.names))
                ORDER BY a.name COLLATE "C"
            )) INTO told.names;
        END IF;
        DELETE FROM exercise_aliases
        WHERE user_id = owner AND name IN (SELECT json_array_elements_text(told.names));
        INSERT INTO exercise_aliases (user_id, name, exercise, exercise_revision, own, created_at)
        SELECT owner, n.name, c.slug, c.revision, e.slug, told.created_at
        FROM json_array_elements_text(told.names) n(name)
        LEFT JOIN exercises c ON told.exercise ->> 'own' = 'false' AND c.slug = told.exercise ->> 'slug'
            AND c.revision = (told.exercise ->> 'revision')::integer
        LEFT JOIN own_exercises e ON told.exercise ->> 'own' = 'true' AND e.user_id = owner
            AND e.slug = told.exercise ->> 'slug'
        WHERE num_nonnulls(c.slug, e.slug) = 1;
        -- What was not published yet tells of the exercise, and of its revision, as they are now.
        IF NOT told.restored THEN
            UPDATE outbox o
            SET payload = split_part(o.payload, '"payload":', 1) || '"payload":' || (
                SELECT json_strip_nulls(row_to_json(p))::text FROM (
                    SELECT owner AS user_id, o.version, told.names, CASE told.exercise ->> 'own'
                        WHEN 'true' THEN (
                            SELECT row_to_json(m) FROM (
                                SELECT e.slug, e.revision, true AS own, e.name, e.category, e.mode, e.phases,
                                       e.equipment, e.difficulty, e.muscles, e.secondary_muscles,
                                       trim_scale(e.bw_fraction) AS bw_fraction, e.bw_fraction_basis, e.family,
                                       e.unilateral, e.image_id
                                FROM own_exercises e
                                JOIN exercise_aliases a
                                    ON a.user_id = e.user_id AND a.name = e.folded AND a.own = e.slug
                                WHERE e.user_id = owner AND e.slug = told.exercise ->> 'slug'
                            ) m)
                        ELSE told.exercise END AS exercise
                ) p) || '}'
            WHERE o.user_id = owner AND o.aggregate_id = owner AND o.aggregate_type = 'exercise'
              AND o.event_id = told.event_id;
        END IF;
    END LOOP;
    UPDATE own_exercises e
    SET deleted_at = CASE WHEN NOT EXISTS (
        SELECT FROM exercise_aliases a WHERE a.user_id = owner AND a.name = e.folded AND a.own = e.slug
    ) THEN coalesce(e.deleted_at, at) END
    WHERE user_id = owner;
    DELETE FROM exercise_aliases a USING own_exercises e
    WHERE a.user_id = owner AND e.user_id = owner AND e.slug = a.own AND e.deleted_at IS NOT NULL;
END $$;
REVOKE ALL ON FUNCTION adopt_naming(uuid, integer, integer, timestamptz) FROM PUBLIC;
"""

# As in 0006, of names too. An event about them keeps its type, whatever its version.
ADOPT = r"""
CREATE OR REPLACE FUNCTION outbox_adopt(
    mine bigint, records jsonb, OUT events integer, OUT renumbered integer, OUT strange integer, OUT top bigint,
    OUT generation integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    cursor_row outbox_cursor;
    lost record;
    present integer;
    moved integer;
    document json;
    place bigint;
BEGIN
    SELECT * INTO cursor_row FROM outbox_cursor WHERE fence = mine FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    events := 0;
    renumbered := 0;
    strange := 0;
    top := 0;
    FOR lost IN
        SELECT DISTINCT ON (f.aggregate_type, f.user_id, f.aggregate_id, f.version) f.* FROM (
            SELECT r.*, split_part(r.event_type, '_', 1) AS aggregate_type
            FROM jsonb_to_recordset(records) AS r(
                event_id uuid, topic text, user_id uuid, aggregate_id uuid, version integer, event_type text,
                request_id text, payload text, created_at timestamptz, seq bigint, plan text)
        ) f
        WHERE NOT EXISTS (
            SELECT FROM outbox o
            WHERE o.user_id = f.user_id AND o.aggregate_id = f.aggregate_id AND o.event_id = f.event_id)
        ORDER BY f.aggregate_type DESC, f.user_id, f.aggregate_id, f.version
    LOOP
        IF lost.aggregate_type = 'exercise' THEN
            SELECT version INTO present FROM exercise_namings WHERE user_id = lost.user_id FOR UPDATE;
        ELSIF lost.aggregate_type = 'workout' THEN
            SELECT version INTO present FROM workouts
            WHERE user_id = lost.user_id AND id = lost.aggregate_id FOR UPDATE;
        ELSE
            SELECT version INTO present FROM trainings
            WHERE user_id = lost.user_id AND id = lost.aggregate_id FOR UPDATE;
        END IF;
        present := coalesce(present, 0);
        IF lost.version > present + 1 OR EXISTS (
            SELECT FROM outbox o
            WHERE o.user_id = lost.user_id AND o.aggregate_id = lost.aggregate_id
              AND o.aggregate_type = lost.aggregate_type AND o.version >= lost.version
              AND (o.seq <= greatest(cursor_row.top_seq, cursor_row.done_seq) OR o.xid = '2'
                   OR o.event_id IN (SELECT (f ->> 'event_id')::uuid FROM jsonb_array_elements(records) f))
        ) THEN
            strange := strange + 1;
            CONTINUE;
        END IF;
        IF lost.version <= present THEN
            UPDATE outbox
            SET version = version + 1,
                event_type = CASE aggregate_type WHEN 'exercise' THEN event_type
                                  ELSE replace(event_type, '_created', '_updated') END,
                payload = regexp_replace(
                    CASE aggregate_type WHEN 'exercise' THEN payload
                         ELSE regexp_replace(payload, '("event_type":"[a-z]+)_created"', '\1_updated"') END,
                    '"version":\d+', '"version":' || version + 1)
            WHERE user_id = lost.user_id AND aggregate_id = lost.aggregate_id
              AND aggregate_type = lost.aggregate_type AND version >= lost.version;
            GET DIAGNOSTICS moved = ROW_COUNT;
            renumbered := renumbered + moved;
        END IF;
        document := CASE WHEN lost.event_type NOT IN ('training_deleted', 'workout_deleted')
                         THEN lost.payload::json -> 'payload' END;
        IF lost.aggregate_type = 'workout' THEN
            PERFORM adopt_workout(lost.user_id, lost.aggregate_id, lost.version, present, lost.created_at, document,
                                  lost.plan);
        ELSIF lost.aggregate_type = 'training' THEN
            PERFORM adopt_training(lost.user_id, lost.aggregate_id, lost.version, present, lost.created_at, document);
        END IF;
        INSERT INTO outbox (
            xid, event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
            payload, created_at, published_seq)
        VALUES ('2', lost.event_id, lost.topic, lost.aggregate_type, lost.aggregate_id, lost.version, lost.event_type,
                lost.user_id, 'restored', lost.request_id, lost.payload, lost.created_at, lost.seq)
        RETURNING seq INTO place;
        IF lost.aggregate_type = 'exercise' THEN
            PERFORM adopt_naming(lost.user_id, lost.version, present, lost.created_at);
        END IF;
        top := greatest(top, place);
        events := events + 1;
    END LOOP;
    generation := (cursor_row.topics -> (records -> 0 ->> 'topic') ->> 'generation')::integer;
    IF events > 0 THEN
        generation := generation + 1;
        UPDATE outbox_cursor
        SET epoch = epoch + 1,
            topics = jsonb_set(topics, ARRAY[records -> 0 ->> 'topic', 'generation'], to_jsonb(generation))
        WHERE fence = mine;
    END IF;
END $$;
"""


def upgrade() -> None:
    for part in (TABLES, ADOPT_NAMING, ADOPT):
        op.execute(part)


def downgrade() -> None:
    op.execute(_adopt_before())
    op.execute("DROP FUNCTION adopt_naming(uuid, integer, integer, timestamptz), folded_name(text)")
    op.execute("DROP TABLE exercise_aliases, own_exercises, exercise_namings")


def _adopt_before() -> str:
    """What 0006 made."""
    migrations = cast("ScriptDirectory", op.get_context().script)
    return str(migrations.get_revision("0006").module.ADOPT)
