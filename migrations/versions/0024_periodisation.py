"""Phases, goals, check-ins, accepted advice and form analyses, as documents with versions. Also which trainings a phase
planned, and by which rule a workout's exercise goes on.
"""

from collections.abc import Sequence

from alembic import op

revision = "0024"
down_revision = "0023"

_DOCUMENT = """
CREATE TABLE {table} (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    version integer NOT NULL DEFAULT 1 CHECK (version >= 1),{columns}
    content json NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (user_id, id){checks}
);
CREATE INDEX {table}_by_creation ON {table} (user_id, created_at, id);{indexes}
COMMENT ON TABLE {table} IS '{about}';
COMMENT ON COLUMN {table}.content IS 'What is said of it, as it is read and published';
COMMENT ON COLUMN {table}.digest IS
    'SHA-256 of the body that created it: the same id with the same body is a retry; empty where nobody knows';
"""

# What stands in a column of its own stands in `content` too, by the same name: from there `adopt_document` takes it.
TABLES = (
    _DOCUMENT.format(
        table="phases",
        columns="""
    first date NOT NULL,
    last date NOT NULL,
    deload boolean NOT NULL,""",
        checks=",\n    CHECK (first <= last)",
        indexes="",
        about="Phases of training; deleted ones included",
    )
    + """
COMMENT ON COLUMN phases.first IS 'The athlete''s local day on which it begins';
COMMENT ON COLUMN phases.last IS 'Its last local day';
COMMENT ON COLUMN phases.deload IS 'Whether its days are for recovering: they stand outside progression';
"""
    + _DOCUMENT.format(
        table="goals", columns="", checks="", indexes="", about="What athletes aim at; deleted goals included"
    )
    + _DOCUMENT.format(
        table="check_ins",
        columns="\n    day date NOT NULL,",
        checks="",
        indexes="\nCREATE INDEX check_ins_by_day ON check_ins (user_id, day);",
        about="How athletes say that they are, one a day; deleted ones included",
    )
    + "COMMENT ON COLUMN check_ins.day IS 'The athlete''s local day';"
    + _DOCUMENT.format(
        table="advice",
        columns="\n    day date NOT NULL,\n    undone boolean NOT NULL,",
        checks="",
        indexes="",
        about="Advice that was accepted, and what that changed; what is only given is computed and stands nowhere",
    )
    + """
COMMENT ON COLUMN advice.day IS 'The athlete''s local day that it was given for';
COMMENT ON COLUMN advice.undone IS 'Whether the athlete took it back';
"""
    + _DOCUMENT.format(
        table="form_analyses",
        columns="""
    training_id uuid NOT NULL,
    set_id uuid NOT NULL,
    video_id text NOT NULL,""",
        checks="",
        indexes="\nCREATE INDEX form_analyses_by_set ON form_analyses (user_id, training_id, set_id);",
        about="What another service says of the form in the video of a set",
    )
    + """
COMMENT ON COLUMN form_analyses.training_id IS 'The training that the set is in';
COMMENT ON COLUMN form_analyses.video_id IS 'The video, as the set named it';

CREATE TABLE phase_trainings (
    user_id uuid NOT NULL,
    phase_id uuid NOT NULL,
    training_id uuid NOT NULL,
    week integer NOT NULL CHECK (week >= 1),
    slot integer NOT NULL CHECK (slot >= 0),
    PRIMARY KEY (user_id, phase_id, training_id),
    FOREIGN KEY (user_id, phase_id) REFERENCES phases (user_id, id),
    FOREIGN KEY (user_id, training_id) REFERENCES trainings (user_id, id)
);
CREATE INDEX phase_trainings_by_training ON phase_trainings (user_id, training_id);
COMMENT ON TABLE phase_trainings IS 'Which trainings each phase planned; deleted ones too, which it plans no more';
COMMENT ON COLUMN phase_trainings.week IS 'Week of the phase, from 1';
COMMENT ON COLUMN phase_trainings.slot IS 'Place in the schedule';

COMMENT ON COLUMN idempotency_keys.training_id IS 'What it made or changed: a training, a workout, a phase …';
"""
)

# First: what reads workouts, however long, is waited for while nothing else is held. From then on workouts are neither
# read nor written until the migration ends, which is soon: nothing is rewritten. The key of `phase_trainings` holds up
# writes of trainings from there on only.
COLUMN = """
ALTER TABLE workout_exercises ADD COLUMN progression json;
COMMENT ON COLUMN workout_exercises.progression IS 'By which rule the next prescription follows from the log';
"""

# The links of a phase, or those to a training, as what phases say now has them, between those of both that are there.
# Phases and trainings come back from topics of their own, in any order: whichever comes second brings the link.
ADOPT_PLANNED = """
CREATE FUNCTION adopt_planned(owner uuid, phase uuid, training uuid) RETURNS void LANGUAGE sql
SET search_path = public, pg_temp AS $$
    INSERT INTO phase_trainings (user_id, phase_id, training_id, week, slot)
    SELECT p.user_id, p.id, t.id, l.week, l.slot
    FROM phases p
    CROSS JOIN json_to_recordset(p.content -> 'trainings') AS l(training_id uuid, week integer, slot integer)
    JOIN trainings t ON t.user_id = p.user_id AND t.id = l.training_id
    WHERE p.user_id = owner AND p.deleted_at IS NULL AND (p.id = phase OR t.id = training)
    ON CONFLICT DO NOTHING
$$;
REVOKE ALL ON FUNCTION adopt_planned(uuid, uuid, uuid) FROM PUBLIC;
"""

# A document as its version `nth` says, whose event's payload is `told`: its text but for the ids and the version, which
# stand first, is the content. Where the row is at that version already, or beyond, what it holds was written since, and
# gets the next version.
ADOPT_DOCUMENT = r"""
CREATE FUNCTION document_table(noun text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE noun WHEN 'phase' THEN 'phases' WHEN 'goal' THEN 'goals' WHEN 'check_in' THEN 'check_ins'
                     WHEN 'advice' THEN 'advice' WHEN 'form_analysis' THEN 'form_analyses' END;
REVOKE ALL ON FUNCTION document_table(text) FROM PUBLIC;
COMMENT ON FUNCTION document_table(text) IS 'Where documents of this noun are; NULL where it is none';

CREATE FUNCTION adopt_document(
    noun text, owner uuid, document uuid, nth integer, present integer, at timestamptz, told json, gone boolean
) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    place text := document_table(noun);
    own text[] := CASE noun WHEN 'phase' THEN '{first,last,deload}' WHEN 'check_in' THEN '{day}'
                            WHEN 'advice' THEN '{day,undone}'
                            WHEN 'form_analysis' THEN '{training_id,set_id,video_id}' ELSE '{}' END;
    content json := regexp_replace(told::text, '^\{"\w+_id":"[^"]+","user_id":"[^"]+","version":\d+,', '{')::json;
    met integer;
BEGIN
    IF nth <= present THEN
        EXECUTE format('UPDATE %I SET version = version + 1 WHERE user_id = $1 AND id = $2', place)
        USING owner, document;
        RETURN;
    END IF;
    EXECUTE format(
        'INSERT INTO %1$I (user_id, id, version, content, digest, created_at, updated_at, deleted_at%2$s) '
        'SELECT $1, $2, $3, $4, '''', $5, $5, CASE WHEN $6 THEN $5 END%3$s FROM json_populate_record(NULL::%1$I, $4) d '
        'ON CONFLICT (user_id, id) DO UPDATE '
        'SET version = excluded.version, content = excluded.content, updated_at = excluded.updated_at, '
        'deleted_at = excluded.deleted_at%4$s RETURNING old.version',
        place,
        (SELECT string_agg(format(', %I', c), '') FROM unnest(own) c),
        (SELECT string_agg(format(', d.%I', c), '') FROM unnest(own) c),
        (SELECT string_agg(format(', %1$I = excluded.%1$I', c), '') FROM unnest(own) c)
    ) INTO met USING owner, document, nth, content, at, gone;
    IF coalesce(met, 0) <> present THEN
        RAISE EXCEPTION '% % was created meanwhile', noun, document USING ERRCODE = '40001';
    END IF;
    IF noun = 'phase' THEN
        DELETE FROM phase_trainings WHERE user_id = owner AND phase_id = document;
        PERFORM adopt_planned(owner, document, NULL);
    END IF;
END $$;
REVOKE ALL ON FUNCTION adopt_document(text, uuid, uuid, integer, integer, timestamptz, json, boolean) FROM PUBLIC;
"""

# Nouns of two words. An event of a document that was never published gets another number as those of trainings do.
ADOPT = "outbox_adopt(bigint, jsonb)"
ADOPTED = (
    (
        "ELSE split_part(r.event_type, '_', 1) END AS aggregate_type",
        """WHEN starts_with(r.event_type, 'check_in_') THEN 'check_in'
                             WHEN starts_with(r.event_type, 'form_analysis_') THEN 'form_analysis'
                             ELSE split_part(r.event_type, '_', 1) END AS aggregate_type""",
    ),
    (
        "        ELSIF lost.aggregate_type = 'workout' THEN\n            SELECT version INTO present",
        """        ELSIF document_table(lost.aggregate_type) IS NOT NULL THEN
            EXECUTE format('SELECT version FROM %I WHERE user_id = $1 AND id = $2 FOR UPDATE',
                           document_table(lost.aggregate_type))
            INTO present USING lost.user_id, lost.aggregate_id;
        ELSIF lost.aggregate_type = 'workout' THEN
            SELECT version INTO present""",
    ),
    ("""'("event_type":"[a-z]+)_created"'""", """'("event_type":"[a-z_]+)_created"'"""),
    (
        "        IF lost.aggregate_type = 'workout' THEN\n            PERFORM adopt_workout(",
        """        IF document_table(lost.aggregate_type) IS NOT NULL THEN
            PERFORM adopt_document(lost.aggregate_type, lost.user_id, lost.aggregate_id, lost.version, present,
                                   lost.created_at, lost.payload::json -> 'payload',
                                   right(lost.event_type, 8) = '_deleted');
        ELSIF lost.aggregate_type = 'workout' THEN
            PERFORM adopt_workout(""",
    ),
    (
        "lost.version, present, lost.created_at, document);\n        END IF;",
        """lost.version, present, lost.created_at, document);
            IF present = 0 THEN
                PERFORM adopt_planned(lost.user_id, NULL, lost.aggregate_id);
            END IF;
        END IF;""",
    ),
)

ADOPT_WORKOUT = "adopt_workout(uuid, uuid, integer, integer, timestamptz, json, text)"
ADOPTED_WORKOUT = (
    ("tempo, hold_seconds, notes, position)", "tempo, hold_seconds, notes, progression, position)"),
    ("e.notes, e.ordinality", "e.notes, e.progression, e.ordinality"),
    ("hold_seconds numeric, notes text\n", "hold_seconds numeric, notes text, progression json\n"),
)


def upgrade() -> None:
    _run(COLUMN, TABLES, ADOPT_PLANNED, ADOPT_DOCUMENT)
    _replace(ADOPT, ADOPTED)
    _replace(ADOPT_WORKOUT, ADOPTED_WORKOUT)


def downgrade() -> None:
    _replace(ADOPT_WORKOUT, [(after, before) for before, after in ADOPTED_WORKOUT])
    _replace(ADOPT, [(after, before) for before, after in ADOPTED])
    _run(
        "DROP FUNCTION adopt_document(text, uuid, uuid, integer, integer, timestamptz, json, boolean)",
        "DROP FUNCTION document_table(text), adopt_planned(uuid, uuid, uuid)",
        "ALTER TABLE workout_exercises DROP COLUMN progression",
        "COMMENT ON COLUMN idempotency_keys.training_id IS 'The training or workout that it made or changed'",
        "DROP TABLE phase_trainings, form_analyses, advice, check_ins, goals, phases",
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})  # a text may hold a %


def _replace(function: str, changes: Sequence[tuple[str, str]]) -> None:
    """Make the function anew with other words. Raises `ValueError` where it is not as it was."""
    connection = op.get_bind()
    text = str(connection.exec_driver_sql(f"SELECT pg_get_functiondef('{function}'::regprocedure)").scalar_one())
    for before, after in changes:
        if text.count(before) != 1:
            raise ValueError(f"{function} has changed: {before}")
        text = text.replace(before, after)
    _run(text)
