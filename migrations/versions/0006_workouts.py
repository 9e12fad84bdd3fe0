"""Workouts and their exercises, and taking back lost events of both kinds of aggregates."""

from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

revision = "0006"
down_revision = "0005"

WORKOUTS = """
CREATE TABLE workouts (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    version integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    name text NOT NULL,
    notes text,
    group_external_id text,
    plan text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX workouts_by_creation ON workouts (user_id, created_at, id);
COMMENT ON TABLE workouts IS 'Templates of trainings: one row a workout, deleted ones included';
COMMENT ON COLUMN workouts.group_external_id IS 'The group that it is for, by the name that the group has elsewhere';
COMMENT ON COLUMN workouts.plan IS 'The exercises of the PLANNED training that it makes, as JSON text';
COMMENT ON COLUMN workouts.digest IS 'SHA-256 of the body that created it: the same id with the same body is a retry';

CREATE TABLE workout_exercises (
    user_id uuid NOT NULL,
    workout_id uuid NOT NULL,
    id uuid NOT NULL,
    position integer NOT NULL,
    name text NOT NULL,
    exercise text,
    exercise_revision integer,
    superset integer,
    sets integer NOT NULL CHECK (sets >= 1),
    reps json,
    rest integer,
    weight numeric,
    unit text NOT NULL CHECK (unit IN ('kg', 'lb')),
    rpe numeric,
    tempo text,
    hold_seconds numeric,
    notes text,
    PRIMARY KEY (user_id, workout_id, id),
    FOREIGN KEY (user_id, workout_id) REFERENCES workouts (user_id, id),
    FOREIGN KEY (exercise, exercise_revision) REFERENCES exercises (slug, revision),
    CHECK ((exercise IS NULL) = (exercise_revision IS NULL))
);
COMMENT ON TABLE workout_exercises IS 'What a workout prescribes, in order of `position`; a deleted workout has none';
COMMENT ON COLUMN workout_exercises.sets IS 'How many sets are prescribed';
COMMENT ON COLUMN workout_exercises.reps IS 'Repetitions of each set: a number, or an object with `min` and `max`';
COMMENT ON COLUMN workout_exercises.rest IS 'Seconds of rest after each set';
COMMENT ON COLUMN workout_exercises.weight IS 'In `unit`; negative is assistance';
COMMENT ON COLUMN workout_exercises.hold_seconds IS 'Seconds that each set is held';

COMMENT ON COLUMN idempotency_keys.training_id IS 'The training or workout that it made or changed';
"""

# The training as its version `nth` says, which `document` is the event's payload of, NULL where it was deleted: json,
# whose text stays as it is. Where the row is at that version already, or beyond, what it holds was written since, and
# gets the next version.
ADOPT_TRAINING = """
CREATE FUNCTION adopt_training(
    owner uuid, training uuid, nth integer, present integer, at timestamptz, document json
) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    met integer;
BEGIN
    IF nth <= present THEN
        UPDATE trainings SET version = version + 1 WHERE user_id = owner AND id = training;
        RETURN;
    ELSIF document IS NULL THEN
        UPDATE trainings SET version = nth, updated_at = at, deleted_at = at WHERE user_id = owner AND id = training;
        RETURN;
    END IF;
    INSERT INTO trainings (
        user_id, id, source_id, version, status, date, timezone, day, title, duration_seconds, session_rpe,
        bodyweight_kg, notes, digest, created_at, updated_at)
    SELECT owner, training,
           (SELECT d.source_id WHERE NOT EXISTS (
                SELECT FROM trainings t WHERE t.user_id = owner AND t.source_id = d.source_id)),
           nth, d.status, d.date, d.timezone, d.day, d.title, d.duration_seconds, d.session_rpe, d.bodyweight_kg,
           d.notes, '', at, at
    FROM json_to_record(document) AS d(
        source_id text, status training_status, date timestamptz, timezone text, day date, title text,
        duration_seconds integer, session_rpe numeric, bodyweight_kg numeric, notes text)
    ON CONFLICT (user_id, id) DO UPDATE
    SET version = excluded.version, status = excluded.status, date = excluded.date, timezone = excluded.timezone,
        day = excluded.day, title = excluded.title, duration_seconds = excluded.duration_seconds,
        session_rpe = excluded.session_rpe, bodyweight_kg = excluded.bodyweight_kg, notes = excluded.notes,
        updated_at = excluded.updated_at, deleted_at = NULL
    RETURNING old.version INTO met;
    IF coalesce(met, 0) <> present THEN
        RAISE EXCEPTION 'training % was created meanwhile', training USING ERRCODE = '40001';
    END IF;
    DELETE FROM training_sets WHERE user_id = owner AND training_id = training;
    DELETE FROM training_exercises WHERE user_id = owner AND training_id = training;
    INSERT INTO training_exercises (
        user_id, training_id, id, name, exercise, exercise_revision, superset, notes, position)
    SELECT owner, training, (e.value ->> 'id')::uuid, e.value ->> 'name', known.slug, known.revision,
           (e.value ->> 'superset')::integer, e.value ->> 'notes', e.ordinality
    FROM json_array_elements(document -> 'exercises') WITH ORDINALITY e
    LEFT JOIN exercises known ON known.slug = e.value ->> 'exercise'
        AND known.revision = (e.value ->> 'exercise_revision')::integer;
    INSERT INTO training_sets (
        user_id, training_id, exercise_id, id, "order", weight, unit, reps, duration_seconds, distance_m, side, done,
        rpe, tempo, rest_seconds, type)
    SELECT owner, training, (e.value ->> 'id')::uuid, s.*
    FROM json_array_elements(document -> 'exercises') e, json_to_recordset(e.value -> 'sets') AS s(
        id uuid, "order" integer, weight numeric, unit text, reps integer, duration_seconds numeric,
        distance_m numeric, side text, done boolean, rpe numeric, tempo text, rest_seconds integer, type text);
END $$;
REVOKE ALL ON FUNCTION adopt_training(uuid, uuid, integer, integer, timestamptz, json) FROM PUBLIC;
"""

# Likewise of a workout. The plan is no part of its events: the relay makes it of them.
ADOPT_WORKOUT = """
CREATE FUNCTION adopt_workout(
    owner uuid, workout uuid, nth integer, present integer, at timestamptz, document json, planned text
) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    met integer;
BEGIN
    IF nth <= present THEN
        UPDATE workouts SET version = version + 1 WHERE user_id = owner AND id = workout;
        RETURN;
    ELSIF document IS NULL THEN
        UPDATE workouts SET version = nth, updated_at = at, deleted_at = at WHERE user_id = owner AND id = workout;
        DELETE FROM workout_exercises WHERE user_id = owner AND workout_id = workout;
        RETURN;
    END IF;
    INSERT INTO workouts (
        user_id, id, version, name, notes, group_external_id, plan, digest, created_at, updated_at)
    SELECT owner, workout, nth, d.name, d.notes, d.group_external_id, planned, '', at, at
    FROM json_to_record(document) AS d(name text, notes text, group_external_id text)
    ON CONFLICT (user_id, id) DO UPDATE
    SET version = excluded.version, name = excluded.name, notes = excluded.notes,
        group_external_id = excluded.group_external_id, plan = excluded.plan, updated_at = excluded.updated_at,
        deleted_at = NULL
    RETURNING old.version INTO met;
    IF coalesce(met, 0) <> present THEN
        RAISE EXCEPTION 'workout % was created meanwhile', workout USING ERRCODE = '40001';
    END IF;
    DELETE FROM workout_exercises WHERE user_id = owner AND workout_id = workout;
    INSERT INTO workout_exercises (
        user_id, workout_id, id, name, exercise, exercise_revision, superset, sets, reps, rest, weight, unit, rpe,
        tempo, hold_seconds, notes, position)
    SELECT owner, workout, e.id, e.name, known.slug, known.revision, e.superset, e.sets, e.reps, e.rest, e.weight,
           e.unit, e.rpe, e.tempo, e.hold_seconds, e.notes, e.ordinality
    FROM ROWS FROM (json_to_recordset(document -> 'exercises') AS (
        id uuid, name text, exercise text, exercise_revision integer, superset integer, sets integer, reps json,
        rest integer, weight numeric, unit text, rpe numeric, tempo text, hold_seconds numeric, notes text
    )) WITH ORDINALITY e
    LEFT JOIN exercises known ON known.slug = e.exercise AND known.revision = e.exercise_revision;
END $$;
REVOKE ALL ON FUNCTION adopt_workout(uuid, uuid, integer, integer, timestamptz, json, text) FROM PUBLIC;
"""

# As in 0004, of every kind of aggregate. Workouts come before the trainings that were made from them.
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
        IF lost.aggregate_type = 'workout' THEN
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
                event_type = replace(event_type, '_created', '_updated'),
                payload = regexp_replace(
                    regexp_replace(payload, '("event_type":"[a-z]+)_created"', '\1_updated"'),
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
        ELSE
            PERFORM adopt_training(lost.user_id, lost.aggregate_id, lost.version, present, lost.created_at, document);
        END IF;
        INSERT INTO outbox (
            xid, event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
            payload, created_at, published_seq)
        VALUES ('2', lost.event_id, lost.topic, lost.aggregate_type, lost.aggregate_id, lost.version, lost.event_type,
                lost.user_id, 'restored', lost.request_id, lost.payload, lost.created_at, lost.seq)
        RETURNING seq INTO place;
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
    for part in (WORKOUTS, ADOPT_TRAINING, ADOPT_WORKOUT, ADOPT):
        op.execute(part)


def downgrade() -> None:
    op.execute("DROP FUNCTION outbox_adopt(bigint, jsonb)")
    op.execute(_adopt_before())
    op.execute(
        "DROP FUNCTION adopt_training(uuid, uuid, integer, integer, timestamptz, json), "
        "adopt_workout(uuid, uuid, integer, integer, timestamptz, json, text)"
    )
    op.execute("COMMENT ON COLUMN idempotency_keys.training_id IS NULL")
    op.execute("DROP TABLE workout_exercises, workouts")


def _adopt_before() -> str:
    """What 0004 made."""
    migrations = cast("ScriptDirectory", op.get_context().script)
    return str(migrations.get_revision("0004").module.ADOPT)
