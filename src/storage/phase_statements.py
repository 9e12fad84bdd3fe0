"""The SQL of `storage.phases`: a user's phases, and the trainings that they have laid."""

from storage.document_statements import STORED
from storage.pages import bounded
from storage.plan_statements import PLANNED
from storage.today import DAY

# The phase itself, its parent, the microcycles of both, and every deload: what a change of the phase is judged by. And
# the day, whether the user has the goal, and the version at which the phase was deleted, where it was. Always a row.
# What they have laid is left out: it is read with the trainings. Of deloads elsewhere name and days are enough.
NEIGHBOURS = f"""
SELECT {DAY}, EXISTS (
    SELECT FROM goals g WHERE g.user_id = %(user_id)s AND g.id = %(goal_id)s::uuid AND g.deleted_at IS NULL
), (
    SELECT d.version FROM phases d WHERE d.user_id = %(user_id)s AND d.id = %(id)s AND d.deleted_at IS NOT NULL
), p.id, p.version, (p.content::jsonb - CASE WHEN p.near THEN '{{trainings}}'::text[]
                                        ELSE '{{trainings,schedule,goal,notes}}'::text[] END)::text
FROM (VALUES (1)) one LEFT JOIN (
    SELECT p.*, p.id IN (%(id)s, %(parent_id)s::uuid)
        OR (p.content ->> 'parent_id')::uuid IN (%(id)s, %(parent_id)s::uuid) AS near
    FROM phases p WHERE p.user_id = %(user_id)s AND p.deleted_at IS NULL
) p ON p.near OR p.deload
ORDER BY p.first, p.id
"""

# The trainings that these phases have laid; and those of other phases that a plan may change, on days of `first` to
# `last`, each pair of which are a deload that comes or goes. What they say is read of those alone that change.
LAID = f"""
SELECT t.id, t.version, p.phase_id, p.week, p.slot, t.status::text, t.skipped_at IS NOT NULL, t.deleted_at IS NOT NULL,
       t.day, t.date, t.timezone, t.title, t.workout_id,
       coalesce(%(note)s = ANY (string_to_array(t.notes, E'\\n')), false)
FROM (
    SELECT * FROM phase_trainings WHERE user_id = %(user_id)s AND phase_id = ANY (%(phases)s::uuid[])
    UNION ALL
    SELECT others.*
    FROM phase_trainings others JOIN trainings t ON t.user_id = others.user_id AND t.id = others.training_id
    WHERE others.user_id = %(user_id)s AND others.phase_id <> ALL (%(phases)s::uuid[]) AND {PLANNED}
      AND EXISTS (
          SELECT FROM unnest(%(first)s::date[], %(last)s::date[]) AS days(first, last)
          WHERE t.day BETWEEN days.first AND days.last)
) p JOIN trainings t ON t.user_id = p.user_id AND t.id = p.training_id
LIMIT %(limit)s
"""

# How many sessions of each workout were begun, completed or skipped on each of these days and are of no phase. Local
# days are at most a day from those in UTC, by which trainings are found.
TAKEN = """
SELECT t.workout_id, t.day, count(*) FROM trainings t
WHERE t.user_id = %(user_id)s AND t.date BETWEEN %(first)s::date - 1 AND %(last)s::date + 2
  AND t.day BETWEEN %(first)s AND %(last)s AND t.workout_id = ANY (%(ids)s::uuid[])
  AND (t.status <> 'PLANNED' OR t.skipped_at IS NOT NULL) AND t.deleted_at IS NULL AND NOT t.hidden
  AND NOT EXISTS (SELECT FROM phase_trainings p WHERE p.user_id = t.user_id AND p.training_id = t.id)
GROUP BY t.workout_id, t.day
"""

# The plans of the first of them alone, as far as `most` bytes go: as `plan_statements.READ` tells of trainings.
WORKOUTS = """
SELECT id, version, name, group_external_id,
       CASE WHEN sum(octet_length(plan)) OVER (ORDER BY id) <= %(most)s THEN plan END
FROM workouts
WHERE user_id = %(user_id)s AND id = ANY (%(ids)s::uuid[]) AND deleted_at IS NULL
"""

# What the phases lay from now on, and which trainings are not theirs any more.
LINK = """
WITH gone AS (
    DELETE FROM phase_trainings p USING json_to_recordset(%(gone)s::json) AS g(phase_id uuid, training_id uuid)
    WHERE p.user_id = %(user_id)s AND p.phase_id = g.phase_id AND p.training_id = g.training_id
)
INSERT INTO phase_trainings (user_id, phase_id, training_id, week, slot)
SELECT %(user_id)s, l.phase_id, l.training_id, l.week, l.slot
FROM json_to_recordset(%(links)s::json) AS l(phase_id uuid, training_id uuid, week integer, slot integer)
ON CONFLICT (user_id, phase_id, training_id) DO UPDATE SET week = excluded.week, slot = excluded.slot
RETURNING 1
"""

LIST = bounded(
    f"""
SELECT d.first, {STORED} FROM phases d
WHERE d.user_id = %(user_id)s AND d.deleted_at IS NULL
  AND (%(first)s::date IS NULL OR d.last >= %(first)s::date) AND (%(last)s::date IS NULL OR d.first <= %(last)s::date)
  AND (%(after_first)s::date IS NULL OR (d.first, d.id) > (%(after_first)s::date, %(after_id)s::uuid))
ORDER BY d.first, d.id
LIMIT %(limit)s
""",
    order="first, id",
    text="content",
)
