"""The SQL of `storage.calendar`."""

from storage.progression_statements import PHASE
from storage.today import DAY
from storage.training_parts import READABLE

# A local day lies within 14 hours of the same day in UTC: so `date` narrows the index. `accepted` is what advice did to
# the trainings and undoing left so; its words are the athlete's alone. Of what was accepted more than a year before the
# range, or the present day, nothing is unpacked. `ahead` are the trainings to come, until the range ends, of each
# workout with a rule that has one in the range: up to the first that is no light one, since what is done of those
# before it says nothing of progression.
CALENDAR = f"""
WITH days AS MATERIALIZED (
    SELECT today, first, coalesce(%(last)s::date, date_trunc('week', first)::date + 34) AS last
    FROM (SELECT {DAY} AS today) present,
         LATERAL (SELECT coalesce(%(first)s::date, date_trunc('week', today)::date) AS first) begin
), items AS (
    SELECT t.id, t.day, rfc3339(t.date) AS date, t.timezone, t.title, t.status, t.skipped_at IS NOT NULL AS skipped,
           t.skip_reason, t.workout_id, (
               t.status = 'PLANNED' AND t.workout_id IS NOT NULL
               AND %(deload_note)s = ANY (string_to_array(coalesce(t.notes, ''), E'\\n')) AND NOT EXISTS (
                   SELECT FROM workouts w WHERE w.user_id = t.user_id AND w.id = t.workout_id AND w.deleted_at IS NULL
               )
           ) AS halved, p.*
    FROM days, trainings t LEFT JOIN LATERAL (
        SELECT l.phase_id, d.content ->> 'name' AS phase_name, d.first AS phase_first, l.week,
               (d.content -> 'schedule' -> l.slot ->> 'weekday')::integer AS weekday
        FROM phase_trainings l JOIN phases d ON d.user_id = l.user_id AND d.id = l.phase_id AND d.deleted_at IS NULL
        WHERE l.user_id = t.user_id AND l.training_id = t.id ORDER BY d.first, d.id LIMIT 1
    ) p ON true
    WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND {READABLE}
      AND t.date >= days.first - interval '1 day' AND t.date < days.last + interval '2 days'
      AND t.day BETWEEN days.first AND days.last
    ORDER BY t.day, t.date, t.id LIMIT %(limit)s
), spans AS (
    SELECT d.id, d.content ->> 'name' AS name, d.content ->> 'kind' AS kind, d.content ->> 'parent_id' AS parent_id,
           d.first, d.last, d.deload
    FROM days, phases d
    WHERE d.user_id = %(user_id)s AND d.deleted_at IS NULL AND d.first <= days.last AND d.last >= days.first
    ORDER BY d.first, d.last DESC, d.id LIMIT %(limit)s
), changed AS MATERIALIZED (
    SELECT a.id, a.created_at, a.content ->> 'kind' AS kind,
           CASE WHEN %(coach_of)s::text[] IS NULL THEN a.content ->> 'title' END AS title,
           (change ->> 'training_id')::uuid AS training_id, change ->> 'day' AS day,
           change ->> 'day_after' AS day_after, a.content -> 'subject' ->> 'exercise_id' AS exercise_id
    FROM advice a, json_array_elements(a.content -> 'changes') change
    WHERE a.user_id = %(user_id)s AND a.deleted_at IS NULL AND a.day > (SELECT least(first, today) FROM days) - 366
      AND (NOT a.undone OR change ->> 'stays' IS NOT NULL)
), accepted AS (
    SELECT id, kind, title, training_id, day, day_after, exercise_id
    FROM changed WHERE training_id IN (SELECT id FROM items) ORDER BY created_at, id
), coming AS (
    SELECT t.workout_id, t.id, t.day, t.date, {PHASE.format(day="t.day")} AS deload,
           t.id IN (SELECT training_id FROM changed WHERE kind = 'deload') AS lighter
    FROM days, trainings t JOIN workouts w ON w.user_id = t.user_id AND w.id = t.workout_id AND w.deleted_at IS NULL
    WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND {READABLE} AND t.status = 'PLANNED'
      AND t.skipped_at IS NULL AND t.date >= days.today - interval '1 day'
      AND t.date < days.last + interval '2 days' AND t.day BETWEEN days.today AND days.last
      AND t.workout_id IN (
        SELECT workout_id FROM items, days WHERE status = 'PLANNED' AND NOT skipped AND day >= days.today
      )
      AND EXISTS (
        SELECT FROM workout_exercises e
        WHERE e.user_id = t.user_id AND e.workout_id = t.workout_id AND e.progression IS NOT NULL
      )
), ahead AS (
    SELECT * FROM (
        SELECT coming.*, count(*) FILTER (WHERE deload IS NULL AND NOT lighter) OVER (
            PARTITION BY workout_id ORDER BY day, date, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS followed
        FROM coming
    ) coming WHERE followed = 0
)
SELECT days.today, days.first, days.last, (SELECT json_agg(row_to_json(spans)) FROM spans),
       (SELECT json_agg(row_to_json(items)) FROM items), (SELECT json_agg(row_to_json(accepted)) FROM accepted),
       (
           SELECT json_agg(json_build_array(workout_id, id, day, deload, lighter) ORDER BY day, date, id) FROM ahead
       )
FROM days
"""
