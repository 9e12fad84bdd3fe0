"""What users' names mean in the derived tables: their names, and which of them each training was computed with.

The names of one user are numbered by the changes of them. A training is stored only as computed with the newest names
that are here (`users.naming`); when new ones come in, the trainings that hold them are computed anew, up to
`users.refolded`. So nothing of it needs a look at a training that holds none.
"""

from types import ModuleType
from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

revision = "0010"
down_revision = "0009"

TABLES = """
ALTER TABLE analytics.users
    ADD COLUMN naming integer NOT NULL DEFAULT 0,
    ADD COLUMN refolded integer NOT NULL DEFAULT 0;
ALTER TABLE analytics.folded_trainings ADD COLUMN naming integer NOT NULL DEFAULT 0;
ALTER TABLE analytics.exercise_volume ADD COLUMN own_exercise text;

CREATE TABLE analytics.exercise_names (
    user_id uuid NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    exercise text,
    exercise_revision integer,
    own_exercise text,
    bw_fraction numeric,
    movement text,
    category text,
    family text,
    mode text,
    difficulty integer,
    muscles text[],
    secondary_muscles text[],
    unilateral boolean,
    PRIMARY KEY (user_id, name)
);
"""

# `sets` is of the tables of record, names too. `unfolded` tells of names what it tells of trainings; see 0003. It names
# the log's columns: on one that it does not need it would depend.
OF_LOG = "seq, created_at, user_id, aggregate_type, aggregate_id, version, event_id"
VIEWS = """
CREATE OR REPLACE VIEW analytics.sets AS
SELECT t.user_id, t.id AS training_id, t.day, t.date, t.timezone, t.title, x.position AS exercise_position, x.name,
       m.exercise, m.exercise_revision, m.category, m.family, s."order" AS set_order, s.type, s.side, s.weight, s.unit,
       w.weight_kg, s.reps, s.duration_seconds, s.distance_m, s.rpe, s.tempo, s.rest_seconds, t.bodyweight_kg,
       greatest(w.weight_kg, 0) * s.reps AS external_load_kg,
       CASE WHEN s.reps = 0 THEN 0
            WHEN w.own_kg IS NOT NULL THEN greatest(w.own_kg + w.weight_kg, 0) * s.reps END AS system_load_kg,
       s.type <> 'warmup' AND coalesce(s.rpe >= 7, true) AS hard,
       m.own_exercise, m.muscles, m.secondary_muscles
FROM trainings t
JOIN training_exercises x ON x.user_id = t.user_id AND x.training_id = t.id
JOIN training_sets s ON s.user_id = x.user_id AND s.training_id = x.training_id AND s.exercise_id = x.id
LEFT JOIN exercise_aliases a ON x.exercise IS NULL AND a.user_id = x.user_id AND a.name = folded_name(x.name)
LEFT JOIN exercises e ON e.slug = coalesce(x.exercise, a.exercise)
    AND e.revision = coalesce(x.exercise_revision, a.exercise_revision)
LEFT JOIN own_exercises o ON o.user_id = a.user_id AND o.slug = a.own
CROSS JOIN LATERAL (
    SELECT coalesce(x.exercise, a.exercise) AS exercise, a.own AS own_exercise,
           coalesce(x.exercise_revision, a.exercise_revision, o.revision) AS exercise_revision,
           coalesce(e.category, o.category) AS category, coalesce(e.family, o.family) AS family,
           coalesce(e.muscles, o.muscles) AS muscles,
           coalesce(e.secondary_muscles, o.secondary_muscles) AS secondary_muscles,
           coalesce(e.bw_fraction, o.bw_fraction) AS bw_fraction
) m
CROSS JOIN LATERAL (
    SELECT CASE s.unit WHEN 'lb' THEN s.weight * 0.45359237 ELSE s.weight END AS weight_kg,
           CASE WHEN m.bw_fraction = 0 THEN 0 ELSE m.bw_fraction * t.bodyweight_kg END AS own_kg
) w
WHERE t.status = 'COMPLETED' AND t.deleted_at IS NULL AND s.done;

CREATE OR REPLACE VIEW analytics.unfolded AS
SELECT o.seq, o.created_at, o.user_id,
       CASE o.aggregate_type WHEN 'training' THEN o.aggregate_id END AS training_id, o.version
FROM (
    SELECT seq, created_at, user_id, aggregate_type, aggregate_id, version, event_id, false AS passed FROM outbox
    UNION ALL SELECT seq, created_at, user_id, aggregate_type, aggregate_id, version, event_id, true FROM outbox
) o
WHERE (
      NOT o.passed AND o.seq > (SELECT folded_seq FROM analytics.fold_state) AND o.seq <= (SELECT max(seq) FROM outbox)
      OR o.passed AND o.seq = ANY (ARRAY(SELECT unnest(missing) FROM analytics.fold_state))
  )
  AND o.version > CASE o.aggregate_type
      WHEN 'training' THEN coalesce((
          SELECT f.version FROM analytics.folded_trainings f
          WHERE f.user_id = o.user_id AND f.training_id = o.aggregate_id
      ), 0)
      WHEN 'exercise' THEN coalesce((SELECT u.refolded FROM analytics.users u WHERE u.user_id = o.user_id), 0)
  END
  AND NOT EXISTS (SELECT FROM analytics.dead_letters d WHERE d.event_id = o.event_id);
"""

_MEANT = "as logged, or else as the athlete says that the name means"
_OWN = "Slug of the athlete's own exercise that the name means; NULL where it means none"
_MUSCLES = {
    "muscles": "Primary muscles of the movement",
    "secondary_muscles": "Its secondary muscles",
}
COMMENTS = {
    "users": {
        "naming": "Version of the athlete's names that is in exercise_names; 0 where nothing was said of them",
        "refolded": "Version of the names that all of the athlete's trainings were computed with, as far as they hold "
        "any; behind naming only while they are being computed anew",
    },
    "folded_trainings": {
        "naming": "Version of the athlete's names that last changed what an exercise of this training means; 0 where "
        "none did",
    },
    "exercise_volume": {
        "exercise": f"Slug of the catalogue's movement, {_MEANT}; NULL for another exercise",
        "exercise_revision": "Revision of the movement: of the catalogue's, or of the own exercise",
        "own_exercise": _OWN,
    },
    "exercise_names": {
        "": "What a name in an athlete's trainings means, where no movement was logged with it",
        "user_id": "The athlete",
        "name": "The name in lower case, with single spaces",
        "version": "Version of the athlete's names that said so",
        "exercise": "Slug of the catalogue's movement; NULL for an own exercise, and for a name that means nothing any "
        "more",
        "exercise_revision": "Revision of the movement: of the catalogue's, or of the own exercise",
        "own_exercise": _OWN,
        "bw_fraction": "Part of the body's mass that the movement lifts; NULL is unknown, not zero",
        "movement": "The movement's own name",
        "category": "The movement's category: Push, Pull, Legs, Core or Skill",
        "family": "The movement's family of easier and harder variants",
        "mode": "What its sets are measured by: reps or hold",
        "difficulty": "Its difficulty, 1 to 10, ordinal within the family",
        **_MUSCLES,
        "unilateral": "Whether a set trains one side",
    },
    "sets": {
        "exercise": f"Slug of the catalogue's movement, {_MEANT}; NULL for another exercise",
        "exercise_revision": "Revision of the movement: of the catalogue's, or of the own exercise",
        "own_exercise": _OWN,
        **_MUSCLES,
    },
    "unfolded": {
        "training_id": "The training; NULL where the event is about what names mean",
        "version": "Version of the training, or of the athlete's names, that the event announces",
    },
    "fold_state": {
        "generation": "How often the topics had been made (outbox_cursor.topics), together, when the log was last "
        "folded whole",
    },
}


def upgrade() -> None:
    _run(TABLES, VIEWS, *_comments(COMMENTS))


def downgrade() -> None:
    before = _analytics()
    comments = {name: before.COMMENTS[name] for name in COMMENTS if name in before.COMMENTS}
    _run(
        _made(before, "unfolded").replace("CREATE", "CREATE OR REPLACE", 1).replace("SELECT *", f"SELECT {OF_LOG}"),
        "DROP VIEW analytics.sets",
        _made(before, "sets"),
        "DROP TABLE analytics.exercise_names",
        "ALTER TABLE analytics.users DROP COLUMN naming, DROP COLUMN refolded",
        "ALTER TABLE analytics.folded_trainings DROP COLUMN naming",
        "ALTER TABLE analytics.exercise_volume DROP COLUMN own_exercise",
        *_comments({name: {"": table, **columns} for name, (table, columns) in comments.items()}),
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def _analytics() -> ModuleType:
    """The migration that made the schema; none between changed it."""
    migrations = cast("ScriptDirectory", op.get_context().script)
    return migrations.get_revision("0003").module


def _made(migration: ModuleType, view: str) -> str:
    views = (f"CREATE VIEW {text}" for text in migration.VIEWS.split("CREATE VIEW ")[1:])
    return next(text for text in views if text.startswith(f"CREATE VIEW analytics.{view} "))


def _comments(comments: dict[str, dict[str, str]]) -> list[str]:
    """The text of the table itself stands under no name."""
    statements = []
    for name, texts in comments.items():
        kind = "VIEW" if name in ("sets", "unfolded") else "TABLE"
        for column, text in texts.items():
            what = f'COLUMN analytics.{name}."{column}"' if column else f"{kind} analytics.{name}"
            quoted = text.replace("'", "''")
            statements.append(f"COMMENT ON {what} IS '{quoted}'")
    return statements
