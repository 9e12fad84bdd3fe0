"""What an athlete aims at and does not do: targets of sets, skipped trainings, the workout that a training is from."""

from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

revision = "0007"
down_revision = "0006"

# `xid` is what `GET …/trainings/changes` reads windows by, as the relay reads the log. Every statement that changes a
# row sets it. Rows that are there get the migration's own.
COLUMNS = """
ALTER TABLE trainings
    ADD COLUMN workout_id uuid,
    ADD COLUMN workout_version integer CHECK (workout_version >= 1),
    ADD COLUMN group_external_id text,
    ADD COLUMN skipped_at timestamptz,
    ADD COLUMN skip_reason text,
    ADD COLUMN completed_at timestamptz,
    ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ADD CHECK ((workout_id IS NULL) = (workout_version IS NULL)),
    ADD CHECK (skip_reason IS NULL OR skipped_at IS NOT NULL),
    ADD CONSTRAINT trainings_workout_fkey FOREIGN KEY (user_id, workout_id) REFERENCES workouts (user_id, id);
CREATE INDEX trainings_by_change ON trainings (user_id, xid);
COMMENT ON COLUMN trainings.workout_id IS 'The workout that it was planned from';
COMMENT ON COLUMN trainings.workout_version IS 'Version of that workout';
COMMENT ON COLUMN trainings.group_external_id IS 'The group that it belongs to, as another service names it';
COMMENT ON COLUMN trainings.skipped_at IS 'When the athlete gave it up; only of a PLANNED training';
COMMENT ON COLUMN trainings.completed_at IS
    'When its status became COMPLETED; also NULL where that was before this column: then created_at stands for it';
COMMENT ON COLUMN trainings.xid IS 'The transaction that changed it last: changes are read by snapshots';

ALTER TABLE training_sets ADD COLUMN target json, ADD COLUMN video_id text;
COMMENT ON COLUMN training_sets.target IS 'What the set aims at, as published; the other columns say what was done';
COMMENT ON COLUMN training_sets.video_id IS 'A recording of the set, as another service names it';
"""

COLUMNS_DOWN = """
ALTER TABLE training_sets DROP COLUMN target, DROP COLUMN video_id;
ALTER TABLE trainings
    DROP COLUMN workout_id, DROP COLUMN workout_version, DROP COLUMN group_external_id, DROP COLUMN skipped_at,
    DROP COLUMN skip_reason, DROP COLUMN completed_at, DROP COLUMN xid;
"""


# As in 0006, with the columns above. A training whose workout is not there, as where its topic was lost, comes back
# without it.
ADOPT_TRAINING = """
CREATE OR REPLACE FUNCTION adopt_training(
    owner uuid, training uuid, nth integer, present integer, at timestamptz, document json
) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    met integer;
BEGIN
    IF nth <= present THEN
        UPDATE trainings SET version = version + 1, xid = DEFAULT WHERE user_id = owner AND id = training;
        RETURN;
    ELSIF document IS NULL THEN
        UPDATE trainings SET version = nth, updated_at = at, deleted_at = at, xid = DEFAULT
        WHERE user_id = owner AND id = training;
        RETURN;
    END IF;
    INSERT INTO trainings (
        user_id, id, source_id, version, status, date, timezone, day, title, duration_seconds, session_rpe,
        bodyweight_kg, notes, workout_id, workout_version, group_external_id, skipped_at, skip_reason, completed_at,
        digest, created_at, updated_at)
    SELECT owner, training,
           (SELECT d.source_id WHERE NOT EXISTS (
                SELECT FROM trainings t WHERE t.user_id = owner AND t.source_id = d.source_id)),
           nth, d.status, d.date, d.timezone, d.day, d.title, d.duration_seconds, d.session_rpe, d.bodyweight_kg,
           d.notes, w.id, CASE WHEN w.id IS NOT NULL THEN d.workout_version END, d.group_external_id, d.skipped_at,
           d.skip_reason, CASE d.status WHEN 'COMPLETED' THEN at END, '', at, at
    FROM json_to_record(document) AS d(
        source_id text, status training_status, date timestamptz, timezone text, day date, title text,
        duration_seconds integer, session_rpe numeric, bodyweight_kg numeric, notes text, workout_id uuid,
        workout_version integer, group_external_id text, skipped_at timestamptz, skip_reason text)
    LEFT JOIN workouts w ON w.user_id = owner AND w.id = d.workout_id
    ON CONFLICT (user_id, id) DO UPDATE
    SET version = excluded.version, status = excluded.status, date = excluded.date, timezone = excluded.timezone,
        day = excluded.day, title = excluded.title, duration_seconds = excluded.duration_seconds,
        session_rpe = excluded.session_rpe, bodyweight_kg = excluded.bodyweight_kg, notes = excluded.notes,
        workout_id = excluded.workout_id, workout_version = excluded.workout_version,
        group_external_id = excluded.group_external_id, skipped_at = excluded.skipped_at,
        skip_reason = excluded.skip_reason,
        completed_at = CASE WHEN excluded.status = 'COMPLETED' AND trainings.status = 'COMPLETED'
                            THEN trainings.completed_at ELSE excluded.completed_at END,
        updated_at = excluded.updated_at, deleted_at = NULL, xid = DEFAULT
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
        rpe, tempo, rest_seconds, type, target, video_id)
    SELECT owner, training, (e.value ->> 'id')::uuid, s.*
    FROM json_array_elements(document -> 'exercises') e, json_to_recordset(e.value -> 'sets') AS s(
        id uuid, "order" integer, weight numeric, unit text, reps integer, duration_seconds numeric,
        distance_m numeric, side text, done boolean, rpe numeric, tempo text, rest_seconds integer, type text,
        target json, video_id text);
END $$;
"""


def upgrade() -> None:
    for part in (COLUMNS, ADOPT_TRAINING):
        op.execute(part)


def downgrade() -> None:
    op.execute(_adopt_before())
    op.execute(COLUMNS_DOWN)


def _adopt_before() -> str:
    """What 0006 made."""
    migrations = cast("ScriptDirectory", op.get_context().script)
    before = migrations.get_revision(down_revision).module
    return str(before.ADOPT_TRAINING).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
