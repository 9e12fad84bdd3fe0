"""The SQL of the reports of a group's athletes. Parameters are psycopg2's, by name.

Each begins with the log of accesses, from whose new rows it takes the athletes whose figures it reads. Who was erased
is left out; so a page may be short, and others follow.
"""

from models.group_reports import Metric
from storage.reports_statements import LOAD_FIGURES
from storage.today import latest

_ADMITTED = """
WITH athletes AS MATERIALIZED (
    SELECT user_id FROM memberships
    WHERE group_external_id = %(group)s AND revoked_at IS NULL AND 'read' = ANY (scopes)
      AND (%(after)s::uuid IS NULL OR user_id > %(after)s::uuid)
    ORDER BY user_id LIMIT %(limit)s + 1
), access AS (
    INSERT INTO access_log (user_id, actor, coach_id, group_external_id, scope, operation, request_id)
    SELECT user_id, %(actor)s, %(coach_id)s, %(group)s, 'read', %(operation)s, %(request_id)s
    FROM (SELECT user_id FROM athletes ORDER BY user_id LIMIT %(limit)s) page
    WHERE user_id <> ALL ((SELECT erased(ARRAY(SELECT user_id FROM athletes)))::uuid[])
    RETURNING user_id
)"""
_NEXT = """CASE WHEN (SELECT count(*) FROM athletes) > %(limit)s
    THEN (SELECT user_id FROM athletes ORDER BY user_id OFFSET %(limit)s - 1 LIMIT 1) END"""
_AS_OF = "(SELECT rfc3339(as_of) FROM analytics.freshness)"

_LEADERBOARD = f"""{_ADMITTED}, items AS (
    SELECT a.user_id, trim_scale(d.value::numeric) AS value, d.sessions
    FROM access a CROSS JOIN LATERAL (
        SELECT {{value}} AS value, coalesce(sum(sessions), 0) AS sessions FROM analytics.daily_volume
        WHERE user_id = a.user_id
          AND day BETWEEN coalesce(%(first)s::date, '-infinity') AND coalesce(%(last)s::date, 'infinity')
    ) d
    ORDER BY d.value DESC NULLS LAST, a.user_id
)
SELECT coalesce(json_strip_nulls(json_agg(row_to_json(items))), '[]')::text, {_NEXT}, {_AS_OF} FROM items"""
_MAY_BE_UNKNOWN = {Metric.SYSTEM_LOAD_KG, Metric.DURATION_SECONDS, Metric.SESSION_RPE_LOAD}


def _sum(metric: Metric) -> str:
    if metric in _MAY_BE_UNKNOWN:
        return f"sum({metric})"
    return f"coalesce(sum({'skill_work + strength_work' if metric is Metric.WORK else metric}), 0)"


LEADERBOARDS = {metric: _LEADERBOARD.format(value=_sum(metric)) for metric in Metric}

# Of each athlete the present day, or the last one before it that is stored.
LOADS = f"""{_ADMITTED}
SELECT coalesce(json_agg(json_build_array(
    a.user_id, m.measure, t.today,
    (SELECT min(f.day) FROM analytics.daily_load f WHERE f.user_id = a.user_id AND f.measure = m.measure), l.latest
) ORDER BY a.user_id), '[]'), {_NEXT}, {_AS_OF}
FROM access a LEFT JOIN LATERAL (
    {latest("a.user_id")}
) t ON true LEFT JOIN LATERAL (
    SELECT %(measure)s::text AS measure WHERE %(measure)s IS NOT NULL
    UNION ALL
    SELECT j.measure FROM analytics.judged_measures j WHERE %(measure)s IS NULL AND j.user_id = a.user_id AND j.judged
) m ON true LEFT JOIN LATERAL (
    SELECT json_build_array({LOAD_FIGURES}) AS latest FROM analytics.daily_load d
    WHERE d.user_id = a.user_id AND d.measure = m.measure AND d.day <= t.today ORDER BY d.day DESC LIMIT 1
) l ON true"""
