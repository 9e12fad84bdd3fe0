"""Schema `analytics`: the tables that agents derive from the log, and the views that analysts read."""

from alembic import op

revision = "0003"
down_revision = "0002"

_KEY = {"user_id": "The athlete", "training_id": "The training"}
_VOLUME = {
    "sets": "Performed sets, warm-ups included",
    "reps": "Repetitions of all performed sets",
    "hard_sets": "Performed sets with an RPE of at least 7 or none given; warm-ups excluded",
    "external_load_kg": "Sum of max(weight, 0) * reps, in kg; assistance counts 0; exact",
    "system_load_kg": "Sum of max(bw_fraction * body mass + weight, 0) * reps, in kg, over those sets for which it is "
    "known; NULL where it is known for none",
    "system_load_sets": "Performed sets for which the system load is known; system_load_kg is whole where this equals "
    "sets",
    "hold_seconds": "Seconds of sets without repetitions and distance: holds",
    "time_under_tension_seconds": "Seconds: the phases of the tempo * reps of sets that have a tempo, and holds",
}
_SESSION = {
    "duration_seconds": "Length of the session in seconds; NULL where it was not said",
    "session_rpe_load": "Session RPE (0 to 10) * minutes; NULL where either was not said",
}
_SOURCE = {
    "source_seq": "Place in the log that the record of the event names which the row comes from (its ce_logseq)",
    "updated_at": "When the change was accepted that the event tells of",
}
_SOURCES = {
    "source_seq": "Place in the log that the record of the latest event names which the row comes from (its ce_logseq)",
    "updated_at": "When the change was accepted that the latest such event tells of",
}
_TRAINING = {
    "day": "The athlete's local day",
    "date": "When it took place",
    "timezone": "IANA zone of the athlete at that training",
    **_VOLUME,
    "duration_seconds": _SESSION["duration_seconds"],
    "session_rpe": "Perceived exertion of the whole session, 0 to 10; NULL where it was not said",
    "session_rpe_load": _SESSION["session_rpe_load"],
    **_SOURCE,
}
_SUMS = {
    "sessions": "Completed trainings",
    **_VOLUME,
    "duration_seconds": "Length of the sessions that say it, in seconds; NULL where none does",
    "session_rpe_load": "Sum of session RPE * minutes over the sessions that say both; NULL where none does",
    **_SOURCES,
}

TABLES = """
CREATE SCHEMA analytics;

CREATE TABLE analytics.users (user_id uuid PRIMARY KEY);

CREATE TABLE analytics.folded_trainings (
    user_id uuid NOT NULL,
    training_id uuid NOT NULL,
    version integer NOT NULL,
    deleted boolean NOT NULL,
    counted boolean NOT NULL,
    day date NOT NULL,
    date timestamptz NOT NULL,
    timezone text NOT NULL,
    sets integer NOT NULL,
    reps integer NOT NULL,
    hard_sets integer NOT NULL,
    external_load_kg numeric NOT NULL,
    system_load_kg numeric,
    system_load_sets integer NOT NULL,
    hold_seconds numeric NOT NULL,
    time_under_tension_seconds numeric NOT NULL,
    duration_seconds integer,
    session_rpe numeric,
    session_rpe_load numeric,
    source_seq bigint,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, training_id)
);
CREATE INDEX folded_trainings_counted_by_day ON analytics.folded_trainings (user_id, day) WHERE counted;

CREATE TABLE analytics.exercise_volume (
    user_id uuid NOT NULL,
    training_id uuid NOT NULL,
    position integer NOT NULL,
    day date NOT NULL,
    name text NOT NULL,
    exercise text,
    exercise_revision integer,
    sets integer NOT NULL,
    reps integer NOT NULL,
    hard_sets integer NOT NULL,
    external_load_kg numeric NOT NULL,
    system_load_kg numeric,
    system_load_sets integer NOT NULL,
    hold_seconds numeric NOT NULL,
    time_under_tension_seconds numeric NOT NULL,
    max_weight_kg numeric,
    source_seq bigint,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, training_id, position)
);

CREATE TABLE analytics.daily_volume (
    user_id uuid NOT NULL,
    day date NOT NULL,
    sessions integer NOT NULL,
    sets bigint NOT NULL,
    reps bigint NOT NULL,
    hard_sets bigint NOT NULL,
    external_load_kg numeric NOT NULL,
    system_load_kg numeric,
    system_load_sets bigint NOT NULL,
    hold_seconds numeric NOT NULL,
    time_under_tension_seconds numeric NOT NULL,
    duration_seconds bigint,
    session_rpe_load numeric,
    source_seq bigint,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, day)
);

CREATE TABLE analytics.dead_letters (
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    event_id uuid,
    key bytea,
    value bytea,
    error text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX dead_letters_event ON analytics.dead_letters (event_id);

CREATE TABLE analytics.fold_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    generation integer NOT NULL DEFAULT 0,
    folded_seq bigint NOT NULL DEFAULT 0,
    missing bigint[] NOT NULL DEFAULT '{}',
    next_seq bigint NOT NULL DEFAULT 0,
    next_xid xid8 NOT NULL DEFAULT '0'
);
INSERT INTO analytics.fold_state DEFAULT VALUES;
"""

# `unfolded` looks behind the mark that the workers move (storage.fold_state), and at the few events that were passed
# over, so that it is quick however long the log is. Its two halves are the same table, told apart by a constant: so
# PostgreSQL can read both along the index on seq, in order, as far as somebody asks. The upper bound tells the planner
# that few rows lie between the two. The version is looked up row by row.
VIEWS = """
CREATE VIEW analytics.session_volume AS
SELECT user_id, training_id, version, day, date, timezone, sets, reps, hard_sets, external_load_kg,
       system_load_kg, system_load_sets, hold_seconds, time_under_tension_seconds, duration_seconds, session_rpe,
       session_rpe_load, source_seq, updated_at
FROM analytics.folded_trainings WHERE counted;

CREATE VIEW analytics.weekly_volume AS
SELECT user_id, to_char(day, 'IYYY-"W"IW') AS week, date_trunc('week', day)::date AS monday,
       sum(sessions) AS sessions, sum(sets) AS sets,
       sum(reps) AS reps, sum(hard_sets) AS hard_sets, sum(external_load_kg) AS external_load_kg,
       sum(system_load_kg) AS system_load_kg, sum(system_load_sets) AS system_load_sets,
       sum(hold_seconds) AS hold_seconds, sum(time_under_tension_seconds) AS time_under_tension_seconds,
       sum(duration_seconds) AS duration_seconds, sum(session_rpe_load) AS session_rpe_load,
       max(source_seq) AS source_seq, max(updated_at) AS updated_at
FROM analytics.daily_volume
GROUP BY user_id, 2, 3;

CREATE VIEW analytics.monthly_volume AS
SELECT user_id, to_char(day, 'YYYY-MM') AS month, date_trunc('month', day)::date AS first_day,
       sum(sessions) AS sessions, sum(sets) AS sets,
       sum(reps) AS reps, sum(hard_sets) AS hard_sets, sum(external_load_kg) AS external_load_kg,
       sum(system_load_kg) AS system_load_kg, sum(system_load_sets) AS system_load_sets,
       sum(hold_seconds) AS hold_seconds, sum(time_under_tension_seconds) AS time_under_tension_seconds,
       sum(duration_seconds) AS duration_seconds, sum(session_rpe_load) AS session_rpe_load,
       max(source_seq) AS source_seq, max(updated_at) AS updated_at
FROM analytics.daily_volume
GROUP BY user_id, 2, 3;

CREATE VIEW analytics.sets AS
SELECT t.user_id, t.id AS training_id, t.day, t.date, t.timezone, t.title, x.position AS exercise_position, x.name,
       x.exercise, x.exercise_revision, e.category, e.family, s."order" AS set_order, s.type, s.side, s.weight, s.unit,
       w.weight_kg, s.reps, s.duration_seconds, s.distance_m, s.rpe, s.tempo, s.rest_seconds, t.bodyweight_kg,
       greatest(w.weight_kg, 0) * s.reps AS external_load_kg,
       CASE WHEN s.reps = 0 THEN 0
            WHEN w.own_kg IS NOT NULL THEN greatest(w.own_kg + w.weight_kg, 0) * s.reps END AS system_load_kg,
       s.type <> 'warmup' AND coalesce(s.rpe >= 7, true) AS hard
FROM trainings t
JOIN training_exercises x ON x.user_id = t.user_id AND x.training_id = t.id
JOIN training_sets s ON s.user_id = x.user_id AND s.training_id = x.training_id AND s.exercise_id = x.id
LEFT JOIN exercises e ON e.slug = x.exercise AND e.revision = x.exercise_revision
CROSS JOIN LATERAL (
    SELECT CASE s.unit WHEN 'lb' THEN s.weight * 0.45359237 ELSE s.weight END AS weight_kg,
           CASE WHEN e.bw_fraction = 0 THEN 0 ELSE e.bw_fraction * t.bodyweight_kg END AS own_kg
) w
WHERE t.status = 'COMPLETED' AND t.deleted_at IS NULL AND s.done;

CREATE VIEW analytics.unfolded AS
SELECT o.seq, o.created_at, o.user_id, o.aggregate_id AS training_id, o.version
FROM (SELECT *, false AS passed FROM outbox UNION ALL SELECT *, true FROM outbox) o
WHERE (
      NOT o.passed AND o.seq > (SELECT folded_seq FROM analytics.fold_state) AND o.seq <= (SELECT max(seq) FROM outbox)
      OR o.passed AND o.seq = ANY (ARRAY(SELECT unnest(missing) FROM analytics.fold_state))
  )
  AND o.aggregate_type = 'training'
  AND o.version > coalesce((
      SELECT f.version FROM analytics.folded_trainings f
      WHERE f.user_id = o.user_id AND f.training_id = o.aggregate_id
  ), 0)
  AND NOT EXISTS (SELECT FROM analytics.dead_letters d WHERE d.event_id = o.event_id);

CREATE VIEW analytics.freshness AS
SELECT least(now(), u.oldest) AS as_of, coalesce(u.first - 1, l.seq) AS folded_seq, l.seq AS log_seq, u.behind,
       coalesce(extract(epoch FROM now() - u.oldest), 0) AS lag_seconds,
       (SELECT count(*) FROM analytics.dead_letters) AS dead_letters
FROM (SELECT coalesce(max(seq), 0) AS seq FROM outbox) l, (
    SELECT count(*) AS behind, min(seq) AS first, min(created_at) AS oldest
    FROM (SELECT seq, created_at FROM analytics.unfolded ORDER BY seq LIMIT 10000) u
) u;
"""

COMMENTS = {
    "users": (
        "Users with rows here; a fold locks theirs, so that no two workers fold one user at the same time",
        {"user_id": "The athlete"},
    ),
    "folded_trainings": (
        "Each training ever folded; session_volume shows the counted ones. A deleted one keeps its row, as a guard",
        {
            **_KEY,
            "version": "Version of the training that was folded last",
            "deleted": "Whether that version is its deletion",
            "counted": "Whether it counts: COMPLETED and not deleted; figures of others are 0 or NULL",
            **_TRAINING,
        },
    ),
    "session_volume": (
        "Volume of each completed training",
        {**_KEY, "version": "Version of the training that the figures are of", **_TRAINING},
    ),
    "exercise_volume": (
        "Volume of each exercise of a completed training that has a performed set",
        {
            **_KEY,
            "position": "Place of the exercise in the training, from 1",
            "day": "The athlete's local day",
            "name": "The exercise as the athlete calls it",
            "exercise": "Slug of the catalogue's movement; NULL for a free-form exercise",
            "exercise_revision": "Revision of that movement that was logged",
            **_VOLUME,
            "max_weight_kg": "Greatest weight, in kg, of a performed set with a repetition or a hold; negative is "
            "assistance; NULL without such a set",
            **_SOURCE,
        },
    ),
    "daily_volume": (
        "Volume of each user and local day with a completed training",
        {"user_id": "The athlete", "day": "The athlete's local day", **_SUMS},
    ),
    "weekly_volume": (
        "Volume of each user and ISO week with a completed training",
        {"user_id": "The athlete", "week": "ISO week, like 2021-W06", "monday": "Its first day", **_SUMS},
    ),
    "monthly_volume": (
        "Volume of each user and month with a completed training",
        {"user_id": "The athlete", "month": "The month, like 2021-02", "first_day": "Its first day", **_SUMS},
    ),
    "sets": (
        "Each performed set of a completed training; of the tables of record, so it may be ahead of the derived tables",
        {
            **_KEY,
            "day": "The athlete's local day",
            "date": _TRAINING["date"],
            "timezone": _TRAINING["timezone"],
            "title": "Title of the training",
            "exercise_position": "Place of the exercise in the training, from 1",
            "name": "The exercise as the athlete calls it",
            "exercise": "Slug of the catalogue's movement; NULL for a free-form exercise",
            "exercise_revision": "Revision of that movement that was logged",
            "category": "The movement's category: Push, Pull, Legs, Core or Skill",
            "family": "The movement's family of easier and harder variants",
            "set_order": "Place of the set in its exercise, as the client numbered it",
            "type": "working, warmup, drop or failure",
            "side": "left, right or both; NULL where it was not said",
            "weight": "External weight as entered, in unit; negative is assistance",
            "unit": "kg or lb",
            "weight_kg": "The weight in kg, exactly; a pound is 0.45359237 kg",
            "reps": "Repetitions; 0 for a hold",
            "duration_seconds": "Length of a hold",
            "distance_m": "Distance in metres",
            "rpe": "Rate of perceived exertion, 0 to 10",
            "tempo": "Seconds of eccentric, pause, concentric, pause; X is explosive",
            "rest_seconds": "Rest after the set",
            "bodyweight_kg": "Body mass at that training",
            "external_load_kg": "max(weight, 0) * reps, in kg",
            "system_load_kg": "max(bw_fraction * body mass + weight, 0) * reps, in kg; NULL where it is not known",
            "hard": "Whether it counts as a hard set",
        },
    ),
    "unfolded": (
        "Events of the log that the tables here do not contain yet",
        {
            "seq": "Place in the log",
            "created_at": "When the change was accepted",
            **_KEY,
            "version": "Version of the training that the event announces",
        },
    ),
    "freshness": (
        "How far the tables here are behind the log",
        {
            "as_of": "Every change accepted before is in the tables",
            "folded_seq": "Every event up to this place in the log is in the tables",
            "log_seq": "Place of the log's latest event",
            "behind": "Events that the tables do not contain yet; counted up to 10000",
            "lag_seconds": "Age of the oldest of them, in seconds; 0 where there is none",
            "dead_letters": "Records that could not be read, ever",
        },
    ),
    "dead_letters": (
        "Records that are no event; the fold goes on without them",
        {
            "topic": "The topic",
            "partition": "The partition; -1 where the event was read from the log itself",
            "offset": "The offset; where partition is -1 the place in the log",
            "event_id": "The event's id by its header, where there is one",
            "key": "The record's key",
            "value": "The record's value",
            "error": "Why it could not be folded",
            "at": "When it was met first",
        },
    ),
    "fold_state": (
        "What workers remember of the fold as a whole; one row",
        {
            "one": "Always true",
            "generation": "How often the topic had been made (outbox_cursor.topics) when the log was last folded whole",
            "folded_seq": "Every event up to this place in the log is in the tables, a dead letter, or in missing",
            "missing": "Events up to folded_seq that the tables do not contain; at most 1000",
            "next_seq": "What folded_seq may become next, once every transaction that began before next_xid has ended",
            "next_xid": "See next_seq",
        },
    ),
}


def _comments() -> str:
    statements = []
    for name, (table, columns) in COMMENTS.items():
        kind = "VIEW" if f"CREATE VIEW analytics.{name} " in VIEWS else "TABLE"
        statements.append(f"COMMENT ON {kind} analytics.{name} IS {_quoted(table)};")
        statements += [
            f'COMMENT ON COLUMN analytics.{name}."{column}" IS {_quoted(text)};' for column, text in columns.items()
        ]
    return "\n".join(statements)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def upgrade() -> None:
    connection = op.get_bind()
    for part in (TABLES, VIEWS, _comments()):
        connection.exec_driver_sql(part)


def downgrade() -> None:
    op.execute("DROP SCHEMA analytics CASCADE")
