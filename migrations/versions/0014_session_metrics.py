"""More figures of sessions and exercises, views of them, and marks of the users whose days changed.

Rows that are there get their figures from the workers: `folded_trainings.method` says by which version of the rules
each was computed, `fold_state.method` by which all were.
"""

from types import ModuleType
from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

revision = "0014"
down_revision = "0013"

TABLES = """
ALTER TABLE analytics.folded_trainings
    ADD COLUMN skill_work numeric NOT NULL DEFAULT 0,
    ADD COLUMN strength_work numeric NOT NULL DEFAULT 0,
    ADD COLUMN estimated_intensity numeric,
    ADD COLUMN density numeric,
    ADD COLUMN relative_intensity numeric,
    ADD COLUMN method smallint NOT NULL DEFAULT 2;
ALTER TABLE analytics.exercise_volume
    ADD COLUMN category text,
    ADD COLUMN family text,
    ADD COLUMN difficulty smallint,
    ADD COLUMN work numeric NOT NULL DEFAULT 0,
    ADD COLUMN e1rm_kg numeric,
    ADD COLUMN e1rm_weight_kg numeric,
    ADD COLUMN e1rm_reps integer,
    ADD COLUMN longest_hold_seconds numeric,
    ADD COLUMN rep_maxima jsonb,
    ADD COLUMN relative_intensity numeric,
    ADD COLUMN logged_exercise text;
ALTER TABLE analytics.daily_volume
    ADD COLUMN skill_work numeric NOT NULL DEFAULT 0,
    ADD COLUMN strength_work numeric NOT NULL DEFAULT 0;
ALTER TABLE analytics.fold_state ADD COLUMN method smallint NOT NULL DEFAULT 2;
ALTER TABLE analytics.exercise_names ADD COLUMN implement boolean NOT NULL DEFAULT false;
UPDATE analytics.exercise_names n SET implement = true
FROM (
    SELECT NULL::uuid AS user_id, slug, revision, equipment FROM exercises
    UNION ALL SELECT user_id, slug, revision, equipment FROM own_exercises
) m
WHERE m.user_id IS NOT DISTINCT FROM CASE WHEN n.own_exercise IS NOT NULL THEN n.user_id END
  AND m.slug = coalesce(n.exercise, n.own_exercise) AND m.revision = n.exercise_revision
  AND m.equipment && '{barbell,dumbbell,ez_bar,kettlebell,smith_machine,trap_bar}'
  AND m.equipment <@ '{barbell,dumbbell,ez_bar,kettlebell,smith_machine,trap_bar,bench,box}';

CREATE TABLE analytics.stale_users (
    user_id uuid PRIMARY KEY,
    from_day date NOT NULL,
    trainings uuid[] NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    touched xid8 NOT NULL DEFAULT pg_current_xact_id()
);
"""

# The facts of an own exercise are those that its names have. What is primary is not secondary besides.
VIEWS = """
CREATE VIEW analytics.exercise_progress AS
SELECT user_id, coalesce(exercise, 'own:' || own_exercise, 'name:' || folded_name(name)) AS movement, day,
       min(name) AS name, exercise, own_exercise, max(e1rm_kg) AS e1rm_kg,
       (array_agg(e1rm_weight_kg ORDER BY e1rm_kg DESC NULLS LAST, e1rm_weight_kg DESC))[1] AS e1rm_weight_kg,
       (array_agg(e1rm_reps ORDER BY e1rm_kg DESC NULLS LAST, e1rm_weight_kg DESC))[1] AS e1rm_reps,
       sum(sets) AS sets, sum(reps) AS reps, sum(hard_sets) AS hard_sets, sum(external_load_kg) AS external_load_kg,
       sum(system_load_kg) AS system_load_kg, sum(system_load_sets) AS system_load_sets, sum(work) AS work,
       max(max_weight_kg) AS max_weight_kg, max(longest_hold_seconds) AS longest_hold_seconds
FROM analytics.exercise_volume
GROUP BY user_id, 2, day, exercise, own_exercise;

CREATE VIEW analytics.weekly_muscle_sets AS
SELECT v.user_id, to_char(v.day, 'IYYY-"W"IW') AS week, date_trunc('week', v.day)::date AS monday, m.muscle,
       trim_scale(sum(v.hard_sets * m.share)) AS sets
FROM analytics.exercise_volume v
LEFT JOIN exercises e ON e.slug = v.exercise AND e.revision = v.exercise_revision
LEFT JOIN LATERAL (
    SELECT n.muscles, n.secondary_muscles FROM analytics.exercise_names n
    WHERE n.user_id = v.user_id AND n.own_exercise = v.own_exercise
    ORDER BY n.version DESC LIMIT 1
) n ON true
CROSS JOIN LATERAL (
    SELECT muscle, max(share) AS share FROM (
        SELECT unnest(coalesce(e.muscles, n.muscles)) AS muscle, 1.0 AS share
        UNION ALL SELECT unnest(coalesce(e.secondary_muscles, n.secondary_muscles)), 0.5
    ) each_muscle GROUP BY muscle
) m
WHERE v.hard_sets > 0
GROUP BY v.user_id, 2, 3, m.muscle;

CREATE VIEW analytics.weekly_category_volume AS
SELECT user_id, to_char(day, 'IYYY-"W"IW') AS week, date_trunc('week', day)::date AS monday, category,
       sum(sets) AS sets, sum(reps) AS reps, sum(work) AS work, sum(external_load_kg) AS external_load_kg,
       sum(system_load_kg) AS system_load_kg
FROM analytics.exercise_volume
GROUP BY user_id, 2, 3, category;
"""
MORE = {
    "session_volume": "skill_work, strength_work, estimated_intensity, density, relative_intensity",
    "weekly_volume": "sum(skill_work) AS skill_work, sum(strength_work) AS strength_work",
    "monthly_volume": "sum(skill_work) AS skill_work, sum(strength_work) AS strength_work",
}
"""The columns that views of 0003 get at their ends."""

_UNITS = "work units: repetitions, or seconds of a hold / 3"
_WORK = {
    "skill_work": f"Work of exercises of category Skill, in {_UNITS}",
    "strength_work": f"Work of exercises of category Push, Pull, Legs or Core, in {_UNITS}",
}
_SESSION = {
    **_WORK,
    "estimated_intensity": "Sum of difficulty * work / sum of work, over the exercises of known difficulty; NULL where "
    "there is none",
    "density": "Work units a minute of duration_seconds; NULL where that was not said",
    "relative_intensity": "Mean share of the one repetition maximum, 0.5 to 1, over sets with repetitions, warm-ups "
    "excluded: by RPE where it is known, else by Brzycki; NULL without such a set",
}
_COMPARED = "warm-ups excluded, and positive weights of an exercise that is called assisted"
_BEST = {
    "e1rm_kg": "Best estimated one repetition maximum (Epley), as external weight in kg, negative where it is "
    f"assistance; of sets of up to 12 repetitions, {_COMPARED}; NULL where there is none, or the body mass that it "
    "needs is unknown",
    "e1rm_weight_kg": "External weight of the set that e1rm_kg comes from, in kg",
    "e1rm_reps": "Repetitions of that set",
    "longest_hold_seconds": "Seconds of the longest hold, warm-ups excluded; NULL without one",
}
_MAX_WEIGHT = {
    "max_weight_kg": "Greatest weight, in kg, of a performed set with a repetition or a hold, "
    f"{_COMPARED}; negative is assistance; NULL without such a set",
}
_MOVEMENT = {
    "exercise": "Slug of the catalogue's movement, as logged, or else as the athlete says that the name means; NULL "
    "for another exercise",
    "own_exercise": "Slug of the athlete's own exercise that the name means; NULL where it means none",
}
_CATEGORY = "Category of the movement: Push, Pull, Legs, Core or Skill; NULL where no movement is known"
_WEEK = {"user_id": "The athlete", "week": "ISO week, like 2021-W06", "monday": "Its first day"}
_SYSTEM = "Sum of max(bw_fraction * body mass + weight, 0) * reps, in kg, over those sets for which it is known; NULL "
_SUMS = {
    "sets": "Performed sets, warm-ups included",
    "reps": "Their repetitions",
    "work": f"Their work, in {_UNITS}",
    "external_load_kg": "Sum of max(weight, 0) * reps, in kg; assistance counts 0; exact",
    "system_load_kg": f"{_SYSTEM}where it is known for none",
}
COMMENTS = {
    "folded_trainings": {**_SESSION, "method": "Version of the rules that the row was computed by"},
    "session_volume": _SESSION,
    "daily_volume": _WORK,
    "weekly_volume": _WORK,
    "monthly_volume": _WORK,
    "exercise_volume": {
        "category": _CATEGORY,
        "family": "Its family of easier and harder variants",
        "difficulty": "Its difficulty, 1 to 10, ordinal within the family",
        "work": f"Work, in {_UNITS}, rounded to 4 digits after the point",
        **_BEST,
        "rep_maxima": f"Performed sets with repetitions, {_COMPARED}, as [[weight in kg, repetitions], …], the "
        "heaviest first: those beside which no other has as much weight and as many repetitions; NULL without such a "
        "set",
        "relative_intensity": _SESSION["relative_intensity"],
        "logged_exercise": "Slug of the catalogue's movement as logged, whatever the name means; NULL where none was",
    },
    "exercise_names": {
        "implement": "Whether its maximum is known as the weight of an implement (barbell, dumbbell, kettlebell)",
    },
    "fold_state": {"method": "Version of the rules that all trainings were computed by, or by a later one"},
    "stale_users": {
        "": "Users whose days were folded and are still to be looked at for what is computed from several days",
        "user_id": "The athlete",
        "from_day": "First local day whose volume changed since the last look",
        "trainings": "Trainings of which another version was folded since, in no order; without those that were only "
        "computed anew",
        "since": "When the first of these changes was folded",
        "touched": "Transaction of the last fold of the user: a look that began before it is void",
    },
    "exercise_progress": {
        "": "Each movement of each user on each local day: its best set and its sums",
        "user_id": "The athlete",
        "movement": "The movement: the catalogue's slug, or own: and the slug of the athlete's own exercise, or name: "
        "and the name in lower case",
        "day": "The athlete's local day",
        "name": "A name that the athlete called it by on that day",
        **_MOVEMENT,
        **_BEST,
        **_SUMS,
        "hard_sets": "Performed sets with an RPE of at least 7 or none given; warm-ups excluded",
        "system_load_sets": "Performed sets for which the system load is known",
        **_MAX_WEIGHT,
    },
    "weekly_muscle_sets": {
        "": "Hard sets of each muscle of each user and ISO week, as far as the movement is known",
        **_WEEK,
        "muscle": "The muscle",
        "sets": "Hard sets: 1 each where the muscle is a primary one of the movement, 1/2 where it is secondary",
    },
    "weekly_category_volume": {
        "": "Volume of each user, ISO week and category of movements",
        **_WEEK,
        "category": _CATEGORY,
        **_SUMS,
    },
}
CHANGED = {"exercise_volume": _MAX_WEIGHT}
"""What 0003 says otherwise of its columns."""


def upgrade() -> None:
    before = _migration("0003")
    replaced = [
        _made(before, view).replace("CREATE", "CREATE OR REPLACE", 1).replace("\nFROM", f", {columns}\nFROM", 1)
        for view, columns in MORE.items()
    ]
    _run(TABLES, *replaced, VIEWS, *_comments(COMMENTS), *_comments(CHANGED))


def downgrade() -> None:
    before = _migration("0003")
    comments = {name: {"": table, **columns} for name, (table, columns) in before.COMMENTS.items() if name in MORE}
    was = {name: {column: before.COMMENTS[name][1][column] for column in texts} for name, texts in CHANGED.items()}
    _run(
        "DROP VIEW analytics.exercise_progress, analytics.weekly_muscle_sets, analytics.weekly_category_volume",
        f"DROP VIEW {', '.join(f'analytics.{view}' for view in MORE)}",
        "DROP TABLE analytics.stale_users",
        *(
            f"ALTER TABLE analytics.{table} {', '.join(f'DROP COLUMN {column}' for column in COMMENTS[table])}"
            for table in ("fold_state", "exercise_names", "daily_volume", "exercise_volume", "folded_trainings")
        ),
        *(_made(before, view) for view in MORE),
        *_comments(comments),
        *_comments(was),
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def _migration(number: str) -> ModuleType:
    migrations = cast("ScriptDirectory", op.get_context().script)
    return migrations.get_revision(number).module


def _made(migration: ModuleType, view: str) -> str:
    views = (f"CREATE VIEW {text}" for text in migration.VIEWS.split("CREATE VIEW ")[1:])
    return next(text for text in views if text.startswith(f"CREATE VIEW analytics.{view} "))


def _comments(comments: dict[str, dict[str, str]]) -> list[str]:
    """The text of the relation itself stands under no name."""
    views = {*MORE, "exercise_progress", "weekly_muscle_sets", "weekly_category_volume"}
    statements = []
    for name, texts in comments.items():
        kind = "VIEW" if name in views else "TABLE"
        for column, text in texts.items():
            what = f'COLUMN analytics.{name}."{column}"' if column else f"{kind} analytics.{name}"
            quoted = text.replace("'", "''")
            statements.append(f"COMMENT ON {what} IS '{quoted}'")
    return statements
