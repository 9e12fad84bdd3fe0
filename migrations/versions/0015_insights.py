"""What depends on a user's other days: load, personal records, and what was announced of the load.

The tables are computed from those of volume for the users that `analytics.stale_users` marks.
"""

from types import ModuleType
from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

revision = "0015"
down_revision = "0014"

TABLES = """
CREATE TABLE analytics.daily_load (
    user_id uuid NOT NULL,
    measure text NOT NULL,
    day date NOT NULL,
    load float8 NOT NULL,
    acute float8 NOT NULL,
    chronic float8,
    acwr float8,
    acwr_uncoupled float8,
    ewma_acute float8 NOT NULL,
    ewma_chronic float8 NOT NULL,
    acwr_ewma float8,
    monotony float8,
    strain float8,
    week_change float8,
    band text,
    observed_days_28 smallint NOT NULL,
    source_seq bigint,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, measure, day)
);

CREATE TABLE analytics.personal_records (
    user_id uuid NOT NULL,
    movement text NOT NULL,
    kind text NOT NULL,
    at_weight_kg numeric NOT NULL DEFAULT 0,
    training_id uuid NOT NULL,
    day date NOT NULL,
    date timestamptz NOT NULL,
    name text NOT NULL,
    exercise text,
    own_exercise text,
    value numeric NOT NULL,
    previous numeric,
    superseded_on date,
    source_seq bigint,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, movement, kind, at_weight_kg, training_id)
);

CREATE TABLE load_bands (
    user_id uuid PRIMARY KEY,
    day date NOT NULL,
    band text CHECK (band IN ('under', 'target', 'over')),
    measure text CHECK (measure IN ('session_rpe', 'system_load', 'external_load', 'time_under_tension')),
    version integer NOT NULL DEFAULT 0 CHECK (version >= 0),
    next_at timestamptz
);
CREATE INDEX load_bands_due ON load_bands (next_at) WHERE next_at IS NOT NULL;
COMMENT ON TABLE load_bands IS 'Each user''s load as it was judged last, by which measure, and when it is judged again';
"""

# `analytics.load.judged_measure` says the same of one user's days; a test holds the two to each other. A condition on
# user_id reaches both uses of daily_volume, whose key begins with it.
JUDGED = """
CREATE VIEW analytics.judged_measures AS
SELECT k.user_id, m.measure, m.known_days, k.days,
       m.known_days > 0 AND row_number() OVER (
           PARTITION BY k.user_id
           ORDER BY m.known_days > 0 DESC,
                    CASE WHEN 5 * m.known_days >= 4 * k.days THEN m.place END,
                    m.known_days DESC, m.measure = 'external_load' DESC, m.place
       ) = 1 AS judged
FROM (
    SELECT d.user_id, count(*) AS days,
           CASE WHEN max(d.session_rpe_load) > 0 THEN count(d.session_rpe_load) ELSE 0 END AS session_rpe,
           count(*) FILTER (WHERE d.system_load_kg > 0 AND d.system_load_sets = d.sets) AS system_load,
           count(*) FILTER (WHERE d.external_load_kg > 0) AS external_load,
           count(*) FILTER (WHERE d.time_under_tension_seconds > 0) AS time_under_tension
    FROM (SELECT DISTINCT ON (user_id) user_id, day FROM analytics.daily_volume ORDER BY user_id, day DESC) l
    JOIN analytics.daily_volume d ON d.user_id = l.user_id AND d.day > l.day - 28
    GROUP BY d.user_id
) k
CROSS JOIN LATERAL (VALUES
    (1, 'session_rpe', k.session_rpe),
    (2, 'system_load', k.system_load),
    (3, 'external_load', k.external_load),
    (4, 'time_under_tension', k.time_under_tension)
) m (place, measure, known_days);
"""

# As in 0003, with the users whose days are to be computed anew: since the change that they are marked for was accepted.
FRESHNESS = """
CREATE OR REPLACE VIEW analytics.freshness AS
SELECT least(now(), u.oldest, m.oldest) AS as_of, coalesce(u.first - 1, l.seq) AS folded_seq, l.seq AS log_seq,
       u.behind,
       coalesce(extract(epoch FROM now() - least(u.oldest, m.oldest)), 0) AS lag_seconds,
       (SELECT count(*) FROM analytics.dead_letters) AS dead_letters, m.behind AS stale_users
FROM (SELECT coalesce(max(seq), 0) AS seq FROM outbox) l, (
    SELECT count(*) AS behind, min(seq) AS first, min(created_at) AS oldest
    FROM (SELECT seq, created_at FROM analytics.unfolded ORDER BY seq LIMIT 10000) u
) u, (
    SELECT count(*) AS behind, min(least(since, accepted)) AS oldest
    FROM (SELECT * FROM analytics.stale_users LIMIT 10000) s LEFT JOIN LATERAL (
        SELECT min(f.updated_at) AS accepted FROM analytics.folded_trainings f
        WHERE f.user_id = s.user_id AND f.training_id = ANY (s.trainings)
    ) f ON true
) m;
"""

COMMENTS = {
    "daily_load": (
        "Load of each day from a user's first completed training to 28 days after the last, by measures ever above 0",
        {
            "user_id": "The athlete",
            "measure": "What the load is: session_rpe, system_load, external_load or time_under_tension",
            "day": "The athlete's local day",
            "load": "Sum of the measure over the day's completed trainings; 0 on a day without one",
            "acute": "Mean load of 7 days, this one the last",
            "chronic": "Mean load of 28 days, this one the last; NULL before the 28th day",
            "acwr": "acute / chronic; NULL before the 28th day and where chronic is 0",
            "acwr_uncoupled": "acute / mean load of the 21 days before these 7; NULL as acwr",
            "ewma_acute": "Exponentially weighted mean, lambda 2 / 8, seeded with the first day's load",
            "ewma_chronic": "Exponentially weighted mean, lambda 2 / 29, seeded with the first day's load",
            "acwr_ewma": "ewma_acute / ewma_chronic; NULL as acwr",
            "monotony": "Mean / standard deviation (n - 1) of 7 days' loads; NULL where that is 0",
            "strain": "Sum of 7 days' loads * monotony; NULL as monotony",
            "week_change": "Sum of 7 days / sum of the 7 days before them, less 1; NULL where there is none",
            "band": "Where acwr lies: under 0.8, target to 1.3, over; an indicator of load and nothing more",
            "observed_days_28": "Days of the last 28 with a completed training",
            "source_seq": "Greatest place in the log of the events that the days up to this one come from",
            "updated_at": "When the latest of these changes was accepted",
        },
    ),
    "personal_records": (
        "Each time that a personal record was set; in force where superseded_on is NULL",
        {
            "user_id": "The athlete",
            "movement": "Slug of the movement, own:slug, name:name, or family:family of a harder movement",
            "kind": "weight, reps_at_weight, e1rm, hold_seconds, session_volume or harder_movement",
            "at_weight_kg": "The weight in kg that the repetitions are at; 0 of other kinds",
            "training_id": "The training in which it was set",
            "day": "The athlete's local day of it",
            "date": "When it took place",
            "name": "The exercise as the athlete calls it",
            "exercise": "Slug of the catalogue's movement; NULL for another exercise",
            "own_exercise": "Slug of the athlete's own exercise; NULL where it is none",
            "value": "The record: kg, repetitions, seconds, or difficulty",
            "previous": "The value that it beat; NULL where it is the first",
            "superseded_on": "Local day on which it was beaten",
            "source_seq": "Place in the log that the record of the event names which the row comes from",
            "updated_at": "When the change was accepted that the event tells of",
        },
    ),
}
JUDGED_COMMENTS = {
    "": "How well each measure of a user's load is known, on the days with a completed training among the 28 up to the "
    "last of them, and by which the load is judged",
    "user_id": "The athlete",
    "measure": "What the load is: session_rpe, system_load, external_load or time_under_tension",
    "known_days": "On how many of these days it is known: session_rpe where it was logged, system_load where that of "
    "every performed set is known, all but session_rpe where they are above 0; 0 where it is 0 on all of them",
    "days": "How many days these are",
    "judged": "Whether the load is judged by it: the first in the order above that is known on 4 of 5 days, or "
    "else the one known on most (of equals external_load, or else the first); by none where none is known",
}
FRESHNESS_COMMENTS = {
    "lag_seconds": "Age of the oldest change that is not in all tables, in seconds; 0 where there is none",
    "stale_users": "Users whose load and records are to be computed anew; counted up to 10000",
}

# What `outbox_adopt` of 0009 says, and what it says of insights. No table of record holds the version of a record: it
# is the log's. What workers said once more, before they could know that it stands on the topic, becomes that event. The
# lock keeps them from saying anything meanwhile.
ADOPTED = (
    (
        "split_part(r.event_type, '_', 1) AS aggregate_type",
        """CASE WHEN r.event_type IN ('personal_record', 'load_band_changed') THEN 'insight'
                             ELSE split_part(r.event_type, '_', 1) END AS aggregate_type""",
    ),
    (
        """        IF lost.aggregate_type = 'exercise' THEN
            SELECT version INTO present""",
        """        IF lost.aggregate_type = 'insight' THEN
            LOCK TABLE analytics.stale_users IN SHARE ROW EXCLUSIVE MODE;
            UPDATE outbox o
            SET xid = '2', event_id = lost.event_id, actor = 'restored', request_id = lost.request_id,
                payload = lost.payload, created_at = lost.created_at, published_seq = lost.seq
            WHERE o.user_id = lost.user_id AND o.aggregate_id = lost.aggregate_id AND o.aggregate_type = 'insight'
              AND o.version = lost.version AND o.seq > greatest(cursor_row.top_seq, cursor_row.done_seq)
              AND o.xid <> '2'
              AND o.event_id NOT IN (SELECT (f ->> 'event_id')::uuid FROM jsonb_array_elements(records) f)
              AND o.payload::jsonb #> '{payload,value}' IS NOT DISTINCT FROM lost.payload::jsonb #> '{payload,value}'
              AND o.payload::jsonb #> '{payload,band}' IS NOT DISTINCT FROM lost.payload::jsonb #> '{payload,band}'
            RETURNING o.seq INTO place;
            IF FOUND THEN
                top := greatest(top, place);
                events := events + 1;
                CONTINUE;
            END IF;
            SELECT max(version) INTO present FROM outbox
            WHERE user_id = lost.user_id AND aggregate_id = lost.aggregate_id AND aggregate_type = 'insight';
        ELSIF lost.aggregate_type = 'exercise' THEN
            SELECT version INTO present""",
    ),
    (
        """        top := greatest(top, place);
        events := events + 1;
    END LOOP""",
        """        IF lost.event_type = 'load_band_changed' THEN
            INSERT INTO load_bands (user_id, day, band, measure, version, next_at)
            SELECT o.user_id, (o.payload::json #>> '{payload,day}')::date, o.payload::json #>> '{payload,band}',
                   o.payload::json #>> '{payload,measure}', o.version, now()
            FROM outbox o
            WHERE o.user_id = lost.user_id AND o.aggregate_id = lost.aggregate_id AND o.aggregate_type = 'insight'
            ORDER BY o.version DESC LIMIT 1
            ON CONFLICT (user_id) DO UPDATE
            SET day = excluded.day, band = excluded.band, measure = excluded.measure, version = excluded.version,
                next_at = excluded.next_at;
        END IF;
        top := greatest(top, place);
        events := events + 1;
    END LOOP""",
    ),
)


def upgrade() -> None:
    _run(
        TABLES,
        JUDGED,
        FRESHNESS,
        _comments(),
        _view_comments("judged_measures", JUDGED_COMMENTS),
        _view_comments("freshness", FRESHNESS_COMMENTS),
        _adopt(),
    )


def downgrade() -> None:
    first = _migration("0003")
    view = next(text for text in first.VIEWS.split("CREATE VIEW ") if text.startswith("analytics.freshness "))
    about, columns = first.COMMENTS["freshness"]
    _run(
        _migration("0009").ADOPT,
        f"DROP VIEW analytics.freshness; CREATE VIEW {view}",
        _view_comments("freshness", {"": about, **columns}),
        "DROP VIEW analytics.judged_measures",
        "DROP TABLE load_bands, analytics.personal_records, analytics.daily_load",
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def _migration(number: str) -> ModuleType:
    migrations = cast("ScriptDirectory", op.get_context().script)
    return migrations.get_revision(number).module


def _adopt() -> str:
    """`outbox_adopt`, with insights. Raises `ValueError` where what it is made from is not as it was."""
    adopt = str(_migration("0009").ADOPT)
    for before, after in ADOPTED:
        if before not in adopt:
            raise ValueError("outbox_adopt of 0009 has changed")
        adopt = adopt.replace(before, after)
    return adopt


def _comments() -> str:
    statements = []
    for table, (text, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE analytics.{table} IS {_quoted(text)}")
        statements += [
            f"COMMENT ON COLUMN analytics.{table}.{column} IS {_quoted(said)}" for column, said in columns.items()
        ]
    return ";".join(statements)


def _view_comments(view: str, texts: dict[str, str]) -> str:
    """The text of the view itself stands under no name."""
    return ";".join(
        f"COMMENT ON {f'COLUMN analytics.{view}.{name}' if name else f'VIEW analytics.{view}'} IS {_quoted(text)}"
        for name, text in texts.items()
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
