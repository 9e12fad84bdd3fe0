"""The SQL of the reports, one statement each: JSON made by PostgreSQL, whose numbers are exact.

Parameters are psycopg2's, by name. Each statement answers in the same snapshot how fresh it is:

- `as_of`: where all that the user changed is in its tables the moment of the statement (of a replica, that up to which
  it knows of changes), else that of the oldest change which is not.
- `stale`: whether the version that `training` and `version` name is not in them; NULL where none is named. What the
  caller may not know of is like what never was.
"""

from models.volume_reports import By, Period
from storage.replica import PRESENT
from storage.today import LATEST
from storage.training_parts import READABLE
from storage.volume_statements import SUMS, WORK

_SUMS = (*SUMS, *WORK)
_FIGURES = ", ".join(f"trim_scale(sum({column})) AS {column}" for column in _SUMS)

# Changes that the first stage has not folded.
_UNFOLDED = """
    SELECT o.created_at
    FROM trainings t LEFT JOIN analytics.folded_trainings f ON f.user_id = t.user_id AND f.training_id = t.id
    JOIN outbox o ON o.user_id = t.user_id AND o.aggregate_id = t.id AND o.version = coalesce(f.version, 0) + 1
    WHERE t.user_id = %(user_id)s AND t.version > coalesce(f.version, 0)
    UNION ALL
    SELECT o.created_at
    FROM exercise_namings n LEFT JOIN analytics.users u ON u.user_id = n.user_id
    JOIN outbox o
      ON o.user_id = n.user_id AND o.aggregate_id = n.user_id AND o.version = coalesce(u.refolded, 0) + 1
    WHERE n.user_id = %(user_id)s AND n.version > coalesce(u.refolded, 0)
"""
# And those that it has, and the second stage has not taken in: as `analytics.freshness` has it.
_MARKED = """
    UNION ALL
    SELECT least(s.since, (
        SELECT min(f.updated_at) FROM analytics.folded_trainings f
        WHERE f.user_id = s.user_id AND f.training_id = ANY (s.trainings)
    )) FROM analytics.stale_users s WHERE s.user_id = %(user_id)s
"""
_STALE = """
CASE WHEN %(training)s::uuid IS NOT NULL THEN NOT coalesce((
    SELECT f.version >= %(version)s
    FROM analytics.folded_trainings f JOIN trainings t ON t.user_id = f.user_id AND t.id = f.training_id
    WHERE f.user_id = %(user_id)s AND f.training_id = %(training)s::uuid AND {readable}
), false){marked} END
"""
_MARK = " OR EXISTS (SELECT FROM analytics.stale_users s WHERE s.user_id = %(user_id)s)"


def _freshness(unfolded: str, mark: str) -> str:
    stale = _STALE.format(readable=READABLE, marked=mark)
    as_of = f"SELECT rfc3339(least({PRESENT}, min(created_at))) FROM ({unfolded}) unfolded"
    return f"({as_of}) AS as_of, {stale} AS stale"


# Of what the first stage computes, and of what both do.
FOLDED = _freshness(_UNFOLDED, "")
JUDGED = _freshness(_UNFOLDED + _MARKED, _MARK)

_ITEMS = "coalesce(json_strip_nulls(json_agg(row_to_json(items))), '[]')::text"
_REPORT = f"WITH items AS ({{items}} LIMIT %(limit)s) SELECT count(*), {_ITEMS}, {{freshness}} FROM items"
_RANGE = """user_id = %(user_id)s
  AND day BETWEEN coalesce(%(first)s::date, '-infinity') AND coalesce(%(last)s::date, 'infinity')"""

_SESSIONS = """
SELECT training_id, rfc3339(date) AS date, timezone, day, trim_scale(session_rpe) AS session_rpe, {figures},
       json_build_object(
           'total_reps', reps, 'total_time_under_tension', trim_scale(time_under_tension_seconds),
           'skill_work_volume', trim_scale(skill_work), 'strength_volume', trim_scale(strength_work),
           'estimated_intensity', trim_scale(estimated_intensity)
       ) AS metrics, trim_scale(density) AS density, trim_scale(relative_intensity) AS relative_intensity
FROM analytics.folded_trainings WHERE counted AND {range} ORDER BY folded_trainings.date, training_id"""
_PERIODS = """
SELECT {period}, sum(sessions) AS sessions, {figures}
FROM analytics.daily_volume WHERE {range} GROUP BY {groups} ORDER BY {groups}"""
# As those of a week without a training, there is no item of a phase in which nothing was done.
_PHASES = """
SELECT p.id AS phase_id, p.content ->> 'name' AS name, p.content ->> 'kind' AS kind, p.deload, p.first, p.last,
       sum(sessions) AS sessions, {figures}
FROM phases p JOIN (SELECT * FROM analytics.daily_volume WHERE {range}) d ON d.day BETWEEN p.first AND p.last
WHERE p.user_id = %(user_id)s AND p.deleted_at IS NULL
GROUP BY p.user_id, p.id ORDER BY p.first, p.id"""
_WEEK = """to_char(day, 'IYYY-"W"IW') AS week, date_trunc('week', day)::date AS monday"""
_WEEKS = """
SELECT week, monday, {figures} FROM analytics.{view}
WHERE user_id = %(user_id)s AND monday BETWEEN coalesce(date_trunc('week', %(first)s::date)::date, '-infinity')
                                           AND coalesce(%(last)s::date, 'infinity')
ORDER BY monday, {key}"""


def _periods(period: str, groups: str) -> str:
    return _PERIODS.format(period=period, figures=_FIGURES, range=_RANGE, groups=groups)


_VOLUME: dict[tuple[Period, By | None], str] = {
    (Period.SESSION, None): _SESSIONS.format(
        figures=", ".join(f"trim_scale({column}::numeric) AS {column}" for column in _SUMS), range=_RANGE
    ),
    (Period.DAY, None): _periods("day", "day"),
    (Period.WEEK, None): _periods(_WEEK, "week, monday"),
    (Period.MONTH, None): _periods("to_char(day, 'YYYY-MM') AS month", "month"),
    (Period.PHASE, None): _PHASES.format(figures=_FIGURES, range=_RANGE),
    (Period.WEEK, By.CATEGORY): _WEEKS.format(
        view="weekly_category_volume",
        figures="category, sets, reps, trim_scale(work) AS work, trim_scale(external_load_kg) AS external_load_kg, "
        "trim_scale(system_load_kg) AS system_load_kg",
        key="category",
    ),
    (Period.WEEK, By.MUSCLE): _WEEKS.format(
        view="weekly_muscle_sets", figures="muscle, trim_scale(sets) AS sets", key="muscle"
    ),
}
VOLUME = {asked: _REPORT.format(items=items, freshness=FOLDED) for asked, items in _VOLUME.items()}

_UNITS = """
CASE kind WHEN 'reps_at_weight' THEN 'reps' WHEN 'hold_seconds' THEN 's' WHEN 'harder_movement' THEN 'difficulty'
          ELSE 'kg' END"""
# A pound in kilograms has more digits than anybody reads; the stored value is exact.
_RECORDS = f"""
SELECT movement, name, exercise, own_exercise, kind,
       CASE kind WHEN 'reps_at_weight' THEN trim_scale(round(at_weight_kg, 4)) END AS at_weight_kg,
       trim_scale(round(value, 4)) AS value, {_UNITS} AS unit, trim_scale(round(previous, 4)) AS previous,
       training_id, day, rfc3339(date) AS date, superseded_on
FROM analytics.personal_records
WHERE user_id = %(user_id)s AND (%(movement)s::text IS NULL OR movement = %(movement)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(history)s OR superseded_on IS NULL)
ORDER BY personal_records.date DESC, training_id, movement, kind, personal_records.at_weight_kg"""
RECORDS = _REPORT.format(items=_RECORDS, freshness=JUDGED)

_PROGRESS = f"""
SELECT day, sets, reps, trim_scale(external_load_kg) AS external_load_kg, trim_scale(system_load_kg) AS system_load_kg,
       trim_scale(e1rm_kg) AS e1rm_kg, trim_scale(e1rm_weight_kg) AS e1rm_weight_kg, e1rm_reps,
       trim_scale(longest_hold_seconds) AS longest_hold_seconds
FROM analytics.exercise_progress WHERE movement = %(movement)s AND {_RANGE} ORDER BY day"""
PROGRESS = _REPORT.format(items=_PROGRESS, freshness=FOLDED)

# A user's movements are few thousands at most, and are looked up nowhere else.
OVERVIEW = f"""
WITH items AS (
    SELECT movement, (array_agg(name ORDER BY day DESC, training_id, position))[1] AS name,
           (array_agg(exercise ORDER BY day DESC, training_id, position))[1] AS exercise,
           (array_agg(own_exercise ORDER BY day DESC, training_id, position))[1] AS own_exercise,
           count(DISTINCT training_id) AS sessions, max(day) AS last_day
    FROM (
        SELECT *, coalesce(exercise, 'own:' || own_exercise, 'name:' || folded_name(name)) AS movement
        FROM analytics.exercise_volume WHERE user_id = %(user_id)s
    ) e
    GROUP BY movement ORDER BY last_day DESC, movement LIMIT %(limit)s
), days AS (
    SELECT array_agg(day ORDER BY day) AS days, array_agg(sessions::integer ORDER BY day) AS sessions,
           array_agg(reps ORDER BY day) AS reps, array_agg(external_load_kg ORDER BY day) AS external_load_kg
    FROM analytics.daily_volume WHERE user_id = %(user_id)s
)
SELECT count(*), {_ITEMS}, {FOLDED}, ({LATEST}), (SELECT days FROM days), (SELECT sessions FROM days),
       (SELECT reps FROM days), (SELECT external_load_kg FROM days)
FROM items"""

LOAD_FIGURES = (
    "day, load, acute, chronic, acwr, acwr_uncoupled, ewma_acute, ewma_chronic, acwr_ewma, monotony, strain, "
    "week_change, band, observed_days_28"
)
# The days that are asked for; and where these go beyond what is stored, the last stored ones, from which one goes on.
LOAD = f"""
WITH latest AS ({LATEST}), measures AS (
    SELECT measure FROM unnest(%(measures)s::text[]) WITH ORDINALITY m (measure, place)
    WHERE EXISTS (
        SELECT FROM analytics.daily_load l WHERE l.user_id = %(user_id)s AND l.measure = m.measure
    )
    ORDER BY place
), known AS MATERIALIZED (
    SELECT measure, known_days, days, judged FROM analytics.judged_measures WHERE user_id = %(user_id)s
), measure AS (
    SELECT coalesce(%(measure)s::text, (SELECT measure FROM known WHERE judged)) AS measure
), stored AS (
    SELECT min(day) AS first, max(day) AS last FROM analytics.daily_load
    WHERE user_id = %(user_id)s AND measure = (SELECT measure FROM measure)
), wanted AS (
    SELECT first, last, until, CASE WHEN until > last THEN least(begin, last - %(before)s) ELSE begin END AS begin
    FROM (
        SELECT first, last, until, greatest(coalesce(%(first)s::date, until - %(back)s), first) AS begin
        FROM stored, latest, LATERAL (SELECT least(coalesce(%(last)s::date, today), today) AS until) ends
    ) asked
)
SELECT ARRAY(SELECT measure FROM measures), (SELECT measure FROM measure), (SELECT today FROM latest), {JUDGED},
       (SELECT json_build_object('known_days', known_days, 'days', days) FROM known JOIN measure USING (measure)),
       (SELECT first FROM stored), (
           SELECT json_agg(json_build_array({LOAD_FIGURES}) ORDER BY day) FROM (
               SELECT {LOAD_FIGURES} FROM analytics.daily_load, wanted
               WHERE user_id = %(user_id)s AND measure = (SELECT measure FROM measure)
                 AND day BETWEEN begin AND until
               ORDER BY day LIMIT %(limit)s
           ) days
       )
"""
