"""The SQL of load, records and what is announced of them. Parameters are psycopg2's, by name; `{schema}` is replaced by
where the derived tables stand."""

from collections.abc import Mapping

from models.load import Measure
from storage.arrays import names, parameters
from storage.row_statements import among

LOAD_COLUMNS = {
    "user_id": "uuid",
    "measure": "text",
    "day": "date",
    "load": "float8",
    "acute": "float8",
    "chronic": "float8",
    "acwr": "float8",
    "acwr_uncoupled": "float8",
    "ewma_acute": "float8",
    "ewma_chronic": "float8",
    "acwr_ewma": "float8",
    "monotony": "float8",
    "strain": "float8",
    "week_change": "float8",
    "band": "text",
    "observed_days_28": "smallint",
    "source_seq": "bigint",
    "updated_at": "timestamptz",
}
RECORD_COLUMNS = {
    "user_id": "uuid",
    "movement": "text",
    "kind": "text",
    "at_weight_kg": "numeric",
    "training_id": "uuid",
    "day": "date",
    "date": "timestamptz",
    "name": "text",
    "exercise": "text",
    "own_exercise": "text",
    "value": "numeric",
    "previous": "numeric",
    "superseded_on": "date",
    "source_seq": "bigint",
    "updated_at": "timestamptz",
}
KEYS: Mapping[str, tuple[str, ...]] = {
    "daily_load": ("user_id", "measure", "day"),
    "personal_records": ("user_id", "movement", "kind", "at_weight_kg", "training_id"),
}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "daily_load": tuple(LOAD_COLUMNS),
    "personal_records": tuple(RECORD_COLUMNS),
}

# The column of `daily_volume` that each measure sums up.
SOURCE_OF = {
    Measure.SESSION_RPE: "session_rpe_load",
    Measure.SYSTEM_LOAD: "system_load_kg",
    Measure.EXTERNAL_LOAD: "external_load_kg",
    Measure.TIME_UNDER_TENSION: "time_under_tension_seconds",
}

# Marks are read without a lock, some users at a time: not more of them than have so many trainings together, or one.
# `whole` are those of whom everything is to be computed anew.
# Floats pass as JSON's numbers, exactly; what is exact beyond that passes as text. Every row is looked up by its key:
# see FOLD.
READ = f"""
WITH marked AS (
    SELECT * FROM (
        SELECT s.*, sum(done.trainings) OVER (ORDER BY s.user_id) - done.trainings AS before FROM (
            SELECT s.user_id, s.touched, s.from_day AS marked_day, s.trainings, s.since,
                   CASE WHEN s.user_id = ANY (%(whole)s::uuid[]) THEN '-infinity' ELSE s.from_day END AS from_day
            FROM {{schema}}.stale_users s
            WHERE s.user_id > %(after)s AND s.user_id <= %(until)s AND NOT EXISTS (
                SELECT FROM unnest(%(without)s::uuid[], %(tried)s::xid8[]) w (user_id, touched)
                WHERE w.user_id = s.user_id AND w.touched = s.touched
            ) ORDER BY s.user_id LIMIT %(limit)s
        ) s CROSS JOIN LATERAL (
            SELECT coalesce(sum(d.sessions), 0) AS trainings FROM {{schema}}.daily_volume d
            WHERE d.user_id = s.user_id AND d.day >= s.from_day
            OFFSET 0
        ) done
    ) s WHERE s.before < %(enough)s
)
SELECT m.user_id, m.touched::text, m.marked_day, m.trainings, m.since, coalesce(%(now)s::timestamptz, now()),
       known.first, known.last, known.measures,
       (SELECT j.measure FROM analytics.judged_measures j WHERE j.user_id = m.user_id AND j.judged),
       prior.days, zone.timezone, days.days, done.performances, standing.records
FROM marked m
CROSS JOIN LATERAL (
    SELECT min(d.day) AS first, max(d.day) AS last,
           jsonb_build_object({", ".join(f"'{m}', bool_or(d.{column} > 0)" for m, column in SOURCE_OF.items())})
               AS measures
    FROM {{schema}}.daily_volume d WHERE d.user_id = m.user_id
    OFFSET 0
) known
CROSS JOIN LATERAL (
    SELECT min(d.day) AS oldest,
           json_object_agg(x.measure, json_build_array(d.day, d.ewma_acute, d.ewma_chronic, d.source_seq, d.updated_at))
               AS days
    FROM unnest(ARRAY[{", ".join(f"'{m}'" for m in SOURCE_OF)}]) x(measure) CROSS JOIN LATERAL (
        SELECT * FROM {{schema}}.daily_load d
        WHERE d.user_id = m.user_id AND d.measure = x.measure AND d.day < m.from_day ORDER BY d.day DESC LIMIT 1
    ) d
) prior
LEFT JOIN LATERAL (
    SELECT f.timezone FROM {{schema}}.folded_trainings f
    WHERE f.user_id = m.user_id AND f.day = known.last AND f.counted ORDER BY f.date DESC, f.training_id DESC LIMIT 1
) zone ON true
CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(
        d.day, d.source_seq, d.updated_at, {", ".join(f"d.{column}::float8" for column in SOURCE_OF.values())}
    ) ORDER BY d.day) AS days
    FROM {{schema}}.daily_volume d
    WHERE d.user_id = m.user_id AND d.day >= least(m.from_day, prior.oldest + 1) - %(days_before)s
    OFFSET 0
) days
CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(
        e.training_id, e.day, f.date, e.position, e.name, e.exercise, e.own_exercise, e.family, e.difficulty,
        e.external_load_kg::text, e.max_weight_kg::text, e.e1rm_kg::text, e.longest_hold_seconds::text,
        e.rep_maxima::text, e.logged_exercise, e.source_seq, e.updated_at
    )) AS performances
    FROM {{schema}}.folded_trainings f CROSS JOIN LATERAL (
        SELECT * FROM {{schema}}.exercise_volume e
        WHERE e.user_id = f.user_id AND e.training_id = f.training_id
        OFFSET 0
    ) e
    WHERE f.user_id = m.user_id AND f.day >= m.from_day AND f.counted
    OFFSET 0
) done
CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(
        r.movement, r.kind, r.at_weight_kg::text, r.training_id, r.day, r.date, r.name, r.exercise, r.own_exercise,
        r.value::text, r.previous::text, r.superseded_on, r.source_seq, r.updated_at
    )) AS records
    FROM {{schema}}.personal_records r
    WHERE r.user_id = m.user_id AND r.day < m.from_day AND (r.superseded_on IS NULL OR r.superseded_on >= m.from_day)
    OFFSET 0
) standing
ORDER BY m.user_id
"""

MARK_TYPES = {"user_id": "uuid", "touched": "xid8", "from_day": "date"}
RANGE_TYPES = {"user_id": "uuid", "measure": "text", "first": "date", "last": "date"}
SAID_TYPES = {
    "user_id": "uuid",
    "event_id": "uuid",
    "aggregate_id": "uuid",
    "value": "numeric",
    "payload": "text",
}
BAND_TYPES = {
    "user_id": "uuid",
    "event_id": "uuid",
    "aggregate_id": "uuid",
    "day": "date",
    "band": "text",
    "measure": "text",
    "next_at": "timestamptz",
    "payload": "text",
}


def _upsert(table: str, types: Mapping[str, str], prefix: str) -> str:
    """The rows that are given and differ from those that are there. A conflict alone would write each, to lock it."""
    key = KEYS[table]
    others = [column for column in types if column not in key]
    return f"""
    INSERT INTO {{schema}}.{table} ({names(types)})
    SELECT {names(types, "n.")} FROM unnest({parameters(prefix, types)}) AS n ({names(types)})
    LEFT JOIN LATERAL (
        SELECT true AS there, {names(others)} FROM {{schema}}.{table} t
        WHERE {" AND ".join(f"t.{column} = n.{column}" for column in key)}
        OFFSET 0
    ) t ON true
    WHERE n.user_id = ANY (ARRAY(SELECT user_id FROM mine))
      AND (t.there IS NULL OR ({names(others, "t.")}) IS DISTINCT FROM ({names(others, "n.")}))
    ON CONFLICT ({names(key)}) DO UPDATE SET {", ".join(f"{column} = excluded.{column}" for column in others)}
    RETURNING 1"""


# Whoever holds the mark as it was read writes, all of it or nothing: a fold, or another worker, in between has made it
# another or taken it. One that is held at this moment is not waited for: it is no longer what was read.
_TABLES = f"""
WITH marks AS (
    SELECT s.tableoid, s.ctid FROM unnest({parameters("m", MARK_TYPES)}) AS m ({names(MARK_TYPES)})
    JOIN {{schema}}.stale_users s ON s.user_id = m.user_id AND s.touched = m.touched
    FOR UPDATE OF s SKIP LOCKED
), mine AS (
    DELETE FROM {{schema}}.stale_users WHERE {among("marks")}
    RETURNING user_id
), old_days AS (
    SELECT d.* FROM unnest({parameters("r", RANGE_TYPES)}) AS r ({names(RANGE_TYPES)}) CROSS JOIN LATERAL (
        SELECT d.tableoid, d.ctid FROM {{schema}}.daily_load d
        WHERE d.user_id = r.user_id AND d.measure = r.measure AND d.day < r.first
        UNION ALL
        SELECT d.tableoid, d.ctid FROM {{schema}}.daily_load d
        WHERE d.user_id = r.user_id AND d.measure = r.measure AND d.day > r.last
    ) d
    WHERE r.user_id = ANY (ARRAY(SELECT user_id FROM mine))
), shorter AS (
    DELETE FROM {{schema}}.daily_load WHERE {among("old_days")}
    RETURNING 1
), old_records AS (
    SELECT r.tableoid, r.ctid FROM unnest({parameters("m", MARK_TYPES)}) AS m ({names(MARK_TYPES)}) CROSS JOIN LATERAL (
        SELECT r.tableoid, r.ctid, {names(KEYS["personal_records"], "r.")} FROM {{schema}}.personal_records r
        WHERE r.user_id = m.user_id AND r.day >= m.from_day
        OFFSET 0
    ) r
    WHERE m.user_id = ANY (ARRAY(SELECT user_id FROM mine)) AND NOT EXISTS (
        SELECT FROM unnest({parameters("p", {key: RECORD_COLUMNS[key] for key in KEYS["personal_records"]})})
            AS p ({names(KEYS["personal_records"])})
        WHERE {" AND ".join(f"p.{column} = r.{column}" for column in KEYS["personal_records"])}
    )
), fewer AS (
    DELETE FROM {{schema}}.personal_records WHERE {among("old_records")}
    RETURNING 1
), loads AS ({_upsert("daily_load", LOAD_COLUMNS, "l")}
), records AS ({_upsert("personal_records", RECORD_COLUMNS, "p")}
)"""

# An event's text, but for what PostgreSQL knows; see the models of the events. The version is the first number.
_EVENT = """'{{"event_id":"' || {0}.event_id || '","event_type":"{1}","timestamp":"' || rfc3339(now())
           || '","payload":{{"user_id":"' || {0}.user_id || '","version":' || {2} || ',' || {3}
           || {0}.payload || '}}}}'"""
_PREVIOUS = """coalesce('"previous_band":"' || judged.previous_band || '",', '')"""
_RECORD_TOLD = _EVENT.format("s", "personal_record", "before.version + 1", "''")
_BAND_TOLD = _EVENT.format("j", "load_band_changed", "judged.version", _PREVIOUS)
_LOG = """INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor,
                        payload, created_at)"""

# What is announced goes into the log with the rows that it announces. What the log has said last of the same record is
# not said again. A band by another measure than before is stored and not said; that there is none any more is said.
_ANNOUNCED = f""", said AS (
    {_LOG}
    SELECT s.event_id, %(topic)s, 'insight', s.aggregate_id, before.version + 1, 'personal_record', s.user_id,
           %(actor)s, {_RECORD_TOLD}, now()
    FROM unnest({parameters("s", SAID_TYPES)}) AS s ({names(SAID_TYPES)}) CROSS JOIN LATERAL (
        SELECT coalesce(max(o.version), 0) AS version,
               (array_agg((o.payload::json #>> '{{payload,value}}')::numeric ORDER BY o.version DESC))[1] AS value
        FROM outbox o
        WHERE o.user_id = s.user_id AND o.aggregate_id = s.aggregate_id AND o.aggregate_type = 'insight'
        OFFSET 0
    ) before
    WHERE s.user_id = ANY (ARRAY(SELECT user_id FROM mine)) AND before.value IS DISTINCT FROM s.value
    RETURNING 1
), judged AS (
    INSERT INTO load_bands AS b (user_id, day, band, measure, version, next_at)
    SELECT j.user_id, j.day, j.band, j.measure, (j.band IS NOT NULL)::integer, j.next_at
    FROM unnest({parameters("b", BAND_TYPES)}) AS j ({names(BAND_TYPES)})
    WHERE j.user_id = ANY (ARRAY(SELECT user_id FROM mine))
    ON CONFLICT (user_id) DO UPDATE
    SET day = excluded.day, band = excluded.band, measure = excluded.measure, next_at = excluded.next_at,
        version = b.version + (
            b.band IS DISTINCT FROM excluded.band
            AND (excluded.measure IS NULL OR excluded.measure IS NOT DISTINCT FROM b.measure)
        )::integer
    WHERE (b.day, b.band, b.measure, b.next_at)
          IS DISTINCT FROM (excluded.day, excluded.band, excluded.measure, excluded.next_at)
    RETURNING new.user_id, new.version, old.band AS previous_band, new.version > coalesce(old.version, 0) AS told
), banded AS (
    {_LOG}
    SELECT j.event_id, %(topic)s, 'insight', j.aggregate_id, judged.version, 'load_band_changed', j.user_id,
           %(actor)s, {_BAND_TOLD}, now()
    FROM judged JOIN unnest({parameters("b", BAND_TYPES)}) AS j ({names(BAND_TYPES)}) USING (user_id)
    WHERE judged.told
    RETURNING 1
)"""
_COUNTS = """
SELECT ARRAY(SELECT user_id FROM mine),
       (SELECT count(*) FROM loads) + (SELECT count(*) FROM records) + (SELECT count(*) FROM shorter)
           + (SELECT count(*) FROM fewer),
       {announced}
"""

WRITE = _TABLES + _COUNTS.format(announced="0")
ANNOUNCE = (
    _TABLES + _ANNOUNCED + _COUNTS.format(announced="(SELECT count(*) FROM said) + (SELECT count(*) FROM banded)")
)

# Whose local day has changed since their load was judged. A mark that is there has it judged anyhow. Marks are made in
# the order of users, here as by FOLD: neither waits for the other in a circle.
JUDGE = """
WITH due AS MATERIALIZED (
    SELECT b.user_id, b.day FROM load_bands b
    WHERE b.next_at <= coalesce(%(now)s::timestamptz, now())
      AND NOT EXISTS (SELECT FROM analytics.stale_users s WHERE s.user_id = b.user_id)
    ORDER BY b.next_at, b.user_id LIMIT %(limit)s
)
INSERT INTO analytics.stale_users (user_id, from_day, trainings)
SELECT user_id, day + 1, '{}' FROM due
WHERE user_id <> ALL ((SELECT erased(ARRAY(SELECT user_id FROM due)))::uuid[]) ORDER BY user_id
ON CONFLICT (user_id) DO NOTHING
"""

# For the comparison with the log, and for making the tables anew. Marks hold what is to be announced: they stay, and
# what the shadow has folded and the tables had not is marked as their fold would have. With another transaction in
# each, nothing that was computed before is stored.
MARKED = "SELECT user_id FROM analytics.stale_users WHERE user_id = ANY (%(users)s)"
MARK_FOLDED = """
INSERT INTO analytics.stale_users AS m (user_id, from_day, trainings)
SELECT s.user_id, min(least(CASE WHEN s.counted THEN s.day END, CASE WHEN f.counted THEN f.day END)),
       array_agg(s.training_id)
FROM pg_temp.folded_trainings s
LEFT JOIN analytics.folded_trainings f ON f.user_id = s.user_id AND f.training_id = s.training_id
WHERE s.version > coalesce(f.version, 0) AND (s.counted OR f.counted)
GROUP BY s.user_id
ON CONFLICT (user_id) DO UPDATE
SET from_day = least(m.from_day, excluded.from_day),
    trainings = ARRAY(SELECT unnest(m.trainings) UNION SELECT unnest(excluded.trainings))
"""
TOUCH_MARKS = "UPDATE analytics.stale_users SET touched = pg_current_xact_id()"
