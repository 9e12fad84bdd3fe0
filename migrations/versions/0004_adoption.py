"""Taking back into the log what the topic holds and a restored or promoted database has lost."""

from alembic import op

revision = "0004"
down_revision = "0003"

# A row that came back has a new place in the log, and remembers the one that its record names.
COLUMN = """
ALTER TABLE outbox ADD COLUMN published_seq bigint;
COMMENT ON COLUMN outbox.published_seq IS 'The place in the log that its record names, where that is another than seq';
"""

# `records` are some of one topic beyond what the cursor remembers, each a row of the log. Most are there, since the
# relay died before it could note them. Those that are not were lost with the database's tail, and what was published
# has happened: so they come back, with the document that they carry. A write that the database took since then, of the
# same training, was made later and was never published: it keeps its content and gets the next version. Rows that come
# back bear transaction 2, which every snapshot sees; the relay's next window begins above the last of them (`top`), and
# one that dies before that publishes them once more, byte for byte. The log's readers fold anew (`generation`), in the
# same transaction. `strange` are records that contradict the log: of a version that does not follow, or that was
# published otherwise.
ADOPT = r"""
CREATE FUNCTION outbox_adopt(
    mine bigint, records jsonb, OUT events integer, OUT renumbered integer, OUT strange integer, OUT top bigint,
    OUT generation integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    cursor_row outbox_cursor;
    lost record;
    present integer;
    met integer;
    moved integer;
    document jsonb;
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
        SELECT DISTINCT ON (f.user_id, f.aggregate_id, f.version) f.*
        FROM jsonb_to_recordset(records) AS f(
            event_id uuid, topic text, user_id uuid, aggregate_id uuid, version integer, event_type text,
            request_id text, payload text, created_at timestamptz, seq bigint)
        WHERE NOT EXISTS (
            SELECT FROM outbox o
            WHERE o.user_id = f.user_id AND o.aggregate_id = f.aggregate_id AND o.event_id = f.event_id)
        ORDER BY f.user_id, f.aggregate_id, f.version
    LOOP
        SELECT version INTO present FROM trainings
        WHERE user_id = lost.user_id AND id = lost.aggregate_id FOR UPDATE;
        present := coalesce(present, 0);
        IF lost.version > present + 1 OR EXISTS (
            SELECT FROM outbox o
            WHERE o.user_id = lost.user_id AND o.aggregate_id = lost.aggregate_id AND o.version >= lost.version
              AND (o.seq <= greatest(cursor_row.top_seq, cursor_row.done_seq) OR o.xid = '2'
                   OR o.event_id IN (SELECT (f ->> 'event_id')::uuid FROM jsonb_array_elements(records) f))
        ) THEN
            strange := strange + 1;
            CONTINUE;
        END IF;
        document := lost.payload::jsonb -> 'payload';
        IF lost.version <= present THEN
            UPDATE outbox
            SET version = version + 1,
                event_type = replace(event_type, 'training_created', 'training_updated'),
                payload = regexp_replace(
                    regexp_replace(payload, '"event_type":"training_created"', '"event_type":"training_updated"'),
                    '"version":\d+', '"version":' || version + 1)
            WHERE user_id = lost.user_id AND aggregate_id = lost.aggregate_id AND version >= lost.version;
            GET DIAGNOSTICS moved = ROW_COUNT;
            renumbered := renumbered + moved;
            UPDATE trainings SET version = version + 1 WHERE user_id = lost.user_id AND id = lost.aggregate_id;
        ELSIF lost.event_type = 'training_deleted' THEN
            UPDATE trainings SET version = lost.version, updated_at = lost.created_at, deleted_at = lost.created_at
            WHERE user_id = lost.user_id AND id = lost.aggregate_id;
        ELSE
            INSERT INTO trainings (
                user_id, id, source_id, version, status, date, timezone, day, title, duration_seconds, session_rpe,
                bodyweight_kg, notes, digest, created_at, updated_at)
            SELECT lost.user_id, lost.aggregate_id,
                   (SELECT d.source_id WHERE NOT EXISTS (
                        SELECT FROM trainings t WHERE t.user_id = lost.user_id AND t.source_id = d.source_id)),
                   lost.version, d.status, d.date, d.timezone, d.day, d.title, d.duration_seconds, d.session_rpe,
                   d.bodyweight_kg, d.notes, '', lost.created_at, lost.created_at
            FROM jsonb_to_record(document) AS d(
                source_id text, status training_status, date timestamptz, timezone text, day date, title text,
                duration_seconds integer, session_rpe numeric, bodyweight_kg numeric, notes text)
            ON CONFLICT (user_id, id) DO UPDATE
            SET version = excluded.version, status = excluded.status, date = excluded.date,
                timezone = excluded.timezone, day = excluded.day, title = excluded.title,
                duration_seconds = excluded.duration_seconds, session_rpe = excluded.session_rpe,
                bodyweight_kg = excluded.bodyweight_kg, notes = excluded.notes, updated_at = excluded.updated_at,
                deleted_at = NULL
            RETURNING old.version INTO met;
            IF coalesce(met, 0) <> present THEN
                RAISE EXCEPTION 'training % was created meanwhile', lost.aggregate_id USING ERRCODE = '40001';
            END IF;
            DELETE FROM training_sets WHERE user_id = lost.user_id AND training_id = lost.aggregate_id;
            DELETE FROM training_exercises WHERE user_id = lost.user_id AND training_id = lost.aggregate_id;
            INSERT INTO training_exercises (
                user_id, training_id, id, name, exercise, exercise_revision, superset, notes, position)
            SELECT lost.user_id, lost.aggregate_id, (e.value ->> 'id')::uuid, e.value ->> 'name', known.slug,
                   known.revision, (e.value ->> 'superset')::integer, e.value ->> 'notes', e.ordinality
            FROM jsonb_array_elements(document -> 'exercises') WITH ORDINALITY e
            LEFT JOIN exercises known ON known.slug = e.value ->> 'exercise'
                AND known.revision = (e.value ->> 'exercise_revision')::integer;
            INSERT INTO training_sets (
                user_id, training_id, exercise_id, id, "order", weight, unit, reps, duration_seconds, distance_m, side,
                done, rpe, tempo, rest_seconds, type)
            SELECT lost.user_id, lost.aggregate_id, (e.value ->> 'id')::uuid, s.*
            FROM jsonb_array_elements(document -> 'exercises') e, jsonb_to_recordset(e.value -> 'sets') AS s(
                id uuid, "order" integer, weight numeric, unit text, reps integer, duration_seconds numeric,
                distance_m numeric, side text, done boolean, rpe numeric, tempo text, rest_seconds integer, type text);
        END IF;
        INSERT INTO outbox (
            xid, event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
            payload, created_at, published_seq)
        VALUES ('2', lost.event_id, lost.topic, 'training', lost.aggregate_id, lost.version, lost.event_type,
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
REVOKE ALL ON FUNCTION outbox_adopt(bigint, jsonb) FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(COLUMN)
    op.execute(ADOPT)


def downgrade() -> None:
    op.execute("DROP FUNCTION outbox_adopt(bigint, jsonb)")
    op.execute("ALTER TABLE outbox DROP COLUMN published_seq")
