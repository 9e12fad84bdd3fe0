"""The SQL of `storage.calendar`."""

from storage.training_parts import READABLE

# `day`, or else the present day: that of the zone of the latest completed training, as reports have it; before there is
# one, of the latest that is planned.
DAY = f"""
SELECT coalesce(%(day)s::date, (now() AT TIME ZONE timezone)::date) AS today FROM (
    SELECT coalesce((
        SELECT timezone FROM analytics.folded_trainings
        WHERE user_id = %(user_id)s AND counted ORDER BY day DESC, date DESC, training_id LIMIT 1
    ), (
        SELECT t.timezone FROM trainings t
        WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND {READABLE} ORDER BY t.date DESC, t.id DESC LIMIT 1
    ), 'UTC') AS timezone
) zone"""

# A local day lies within 14 hours of the same day in UTC: so `date` narrows the index.
CALENDAR = f"""
WITH days AS MATERIALIZED (
    SELECT today, first, coalesce(%(last)s::date, date_trunc('week', first)::date + 34) AS last
    FROM ({DAY}) present,
         LATERAL (SELECT coalesce(%(first)s::date, date_trunc('week', today)::date) AS first) begin
), items AS (
    SELECT t.id, t.day, rfc3339(t.date) AS date, t.timezone, t.title, t.status, t.skipped_at IS NOT NULL AS skipped,
           t.skip_reason, t.workout_id, p.*
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
)
SELECT days.today, days.first, days.last, (SELECT json_agg(row_to_json(spans)) FROM spans),
       (SELECT json_agg(row_to_json(items)) FROM items)
FROM days
"""
