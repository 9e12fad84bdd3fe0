"""The SQL of `storage.progression`. Parameters are psycopg2's, by name. What is told of a training is arrays, in the
order of the fields of `models.progression.LoggedTraining`, `LoggedExercise` and `LoggedSet`: each training a text of
its own, so that reading many holds up nothing for long.
"""

from storage.exercise_history_statements import ASKED, NAMED, holding
from storage.today import DAY, ZONE
from storage.workout_statements import FIELDS

# What a workout says of an exercise that is no part of its prescription.
_BESIDE = "ARRAY['id', 'name', 'exercise_revision', 'superset', 'rest', 'tempo', 'notes']"

_DAY = f"day AS MATERIALIZED (SELECT {DAY} AS day, {ZONE} AS zone)"

# The trainings that accepted advice made light ones; undoing it left some of them so. Of what was accepted more than a
# year before the first training that is read nothing is unpacked.
_EASED = """eased AS MATERIALIZED (
    SELECT (change ->> 'training_id')::uuid AS id
    FROM advice a, json_array_elements(a.content -> 'changes') change
    WHERE a.user_id = %(user_id)s AND a.deleted_at IS NULL AND a.day > ({first}) - 366
      AND a.content ->> 'kind' = 'deload' AND (NOT a.undone OR change ->> 'stays' IS NOT NULL)
)"""

# The name of the deload phase that a day lies in; the shortest of several.
PHASE = """(
    SELECT p.content ->> 'name' FROM phases p
    WHERE p.user_id = %(user_id)s AND p.deload AND p.deleted_at IS NULL AND {day} BETWEEN p.first AND p.last
    ORDER BY p.last - p.first, p.first, p.id LIMIT 1
)"""

# Whether a training that is planned from a workout on that day was made a light one.
_LIGHTER = """EXISTS (
    SELECT FROM eased JOIN trainings t ON t.user_id = %(user_id)s AND t.id = eased.id
    WHERE t.workout_id = w.id AND t.day = {day} AND t.status = 'PLANNED' AND t.deleted_at IS NULL
)"""

_SETS = """(
    SELECT json_agg(json_build_array(
        s.weight, s.unit, s.reps, coalesce(s.duration_seconds, 0), s.rpe, s.done, s.type = 'warmup', s.target::text
    ) ORDER BY s."order")
    FROM training_sets s WHERE s.user_id = x.user_id AND s.training_id = x.training_id AND s.exercise_id = x.id
)"""


# By when a training surely was done: it may be completed hours before the time that it was planned for.
_PERFORMED = "least(t.date, coalesce(t.completed_at, t.created_at))"


def _trainings(found: str, exercise: str, condition: str) -> str:
    """The newest of the trainings that `found` has, each as JSON."""
    return f"""ARRAY(
        SELECT json_build_array(
            t.id, t.day, rfc3339(t.date), coalesce(t.workout_version, 0), {PHASE.format(day="t.day")},
            EXISTS (SELECT FROM eased WHERE eased.id = t.id), rfc3339({_PERFORMED}), (
                SELECT json_agg(json_build_array(x.id, x.name, {exercise}, {_SETS}) ORDER BY x.position)
                FROM training_exercises x WHERE x.user_id = %(user_id)s AND x.training_id = t.id{condition}
            )
        )::text
        FROM (
            SELECT t.id, t.day, t.date, t.workout_version, t.completed_at, t.created_at FROM trainings t WHERE {found}
            ORDER BY t.day DESC, t.date DESC, t.id DESC LIMIT %(most)s
        ) t
    )"""


# From which version of the workout on each exercise's prescription is what it is now, and when that was saved. How it
# is displayed is no part.
_SINCE = f"""said AS MATERIALIZED (
    SELECT w.id AS workout_id, w.version AS latest, o.version, o.created_at, (
        SELECT json_object_agg(e.value ->> 'id', (e.value - {_BESIDE}) #- '{{{{progression,rounding}}}}')::jsonb
        FROM jsonb_array_elements(o.payload::jsonb #> '{{{{payload,exercises}}}}') e
    ) AS exercises
    FROM wanted w JOIN outbox o
      ON o.user_id = %(user_id)s AND o.aggregate_id = w.id AND o.aggregate_type = 'workout'
), since AS MATERIALIZED (
    SELECT now.workout_id, now.id, min(said.version) AS version, min(said.created_at) AS at
    FROM (
        SELECT now.workout_id, e.key AS id, coalesce((
            SELECT max(version) FROM said
            WHERE said.workout_id = now.workout_id AND said.exercises -> e.key IS DISTINCT FROM e.value
        ), 0) AS otherwise
        FROM said now, jsonb_each(now.exercises) e WHERE now.version = now.latest OFFSET 0
    ) now JOIN said ON said.workout_id = now.workout_id AND said.version > now.otherwise
    GROUP BY now.workout_id, now.id
)"""

_COUNTED = f"""t.user_id = %(user_id)s AND t.workout_id = w.id AND t.status = 'COMPLETED' AND t.deleted_at IS NULL
              AND (w.asked IS NULL OR t.day <= w.asked) AND (
                t.workout_version >= (SELECT min(since.version) FROM since WHERE since.workout_id = w.id)
                OR {_PERFORMED} >= (SELECT min(since.at) FROM since WHERE since.workout_id = w.id)
              )"""
_MEANT = """coalesce(x.exercise, (
                SELECT a.exercise FROM exercise_aliases a
                WHERE a.user_id = %(user_id)s AND a.name = folded_name(x.name)
            ))"""

_ON = "coalesce(w.asked, day.day)"
_FIRST = """
        SELECT min(t.date)::date FROM trainings t
        WHERE t.user_id = %(user_id)s AND t.workout_id IN (SELECT id FROM wanted)
    """

_WORKOUTS = f"""
WITH {_DAY}, wanted AS MATERIALIZED (
    SELECT w.*, {{place}} FROM workouts w{{beside}}
    WHERE w.user_id = %(user_id)s AND w.deleted_at IS NULL AND {{wanted}}
), {_EASED.format(first=_FIRST)}, {_SINCE}
SELECT {_ON}, {PHASE.format(day=_ON)}, {{lighter}}, w.id, w.version, {FIELDS}::json, (
    SELECT json_object_agg(s.id, json_build_array(s.version, rfc3339(s.at), day.zone))
    FROM since s WHERE s.workout_id = w.id
), {_trainings(_COUNTED, _MEANT, "")}
FROM day LEFT JOIN wanted w ON true
ORDER BY {{order}}
"""

# The training that is planned next of each workout.
_AHEAD = """(
        SELECT t.day FROM trainings t
        WHERE t.user_id = %(user_id)s AND t.workout_id = w.id AND t.status = 'PLANNED' AND t.skipped_at IS NULL
          AND t.deleted_at IS NULL AND NOT t.hidden AND t.day >= (SELECT day FROM day)
        ORDER BY t.day LIMIT 1
    )"""

_RULED = """EXISTS (
        SELECT FROM workout_exercises e
        WHERE e.user_id = %(user_id)s AND e.workout_id = w.id AND e.progression IS NOT NULL
    )"""
_ASKED = "%(day)s::date AS asked"  # what was done after it is left out

WORKOUT = _WORKOUTS.format(
    place=_ASKED, beside="", wanted="w.id = %(id)s", order="w.id", lighter=_LIGHTER.format(day=_ON)
)
PLANNED = _WORKOUTS.format(
    lighter="false",
    place=f"{_ASKED}, {_AHEAD} AS planned",
    beside="",
    wanted=f"{_RULED} AND {_AHEAD} IS NOT NULL\n    ORDER BY planned, w.id LIMIT %(workouts)s",
    order="w.planned, w.id",
)
# Each on a day of its own.
ON_DAYS = _WORKOUTS.format(
    lighter=_LIGHTER.format(day=_ON),
    place="o.day AS asked",
    beside=", unnest(%(ids)s::uuid[], %(days)s::date[]) AS o (id, day)",
    wanted="w.id = o.id",
    order="w.id",
)

_RANGE = " AND (%(first)s::date IS NULL OR t.day >= %(first)s) AND (%(last)s::date IS NULL OR t.day <= %(last)s)"
# Where no slug was logged, the slug of the catalogue that is asked for and that the name means.
_ASKED_SLUG = f"""coalesce(x.exercise, (
                SELECT a.text FROM asked a WHERE a.folded IS NULL AND {NAMED} ORDER BY a.place LIMIT 1
            ))"""
_FOUND = _trainings(
    "t.user_id = %(user_id)s AND t.id IN (SELECT id FROM found)",
    _ASKED_SLUG,
    f" AND EXISTS (SELECT FROM asked a WHERE {NAMED})",
)

MOVEMENT = f"""
WITH {ASKED.format(texts="%(texts)s::text[]")}, found AS MATERIALIZED (
    SELECT DISTINCT t.id, t.date FROM asked a CROSS JOIN LATERAL ({holding(_RANGE)}) t
), {_EASED.format(first="SELECT min(date)::date FROM found")}
SELECT {_FOUND}, EXISTS (SELECT FROM exercises c WHERE c.slug = %(slug)s) OR EXISTS (
    SELECT FROM own_exercises e WHERE e.user_id = %(user_id)s AND e.slug = %(slug)s AND e.deleted_at IS NULL
)
"""
