"""The SQL of `storage.portability`: all of one user, as one statement, so that all of it is of one moment.

Parameters are psycopg2's, by name. PostgreSQL writes the items as JSON: a row is the kind and one text. The parts of a
UNION ALL come one after the other, as no cursor is read in parallel; each is ordered by an index, where there is one.
"""

from models.exports import TABLES
from models.portability import KINDS
from storage.export_statements import json_line
from storage.import_statements import JOB
from storage.replica import PRESENT
from storage.training_parts import FIELDS, SOURCE_ID
from storage.workout_statements import FIELDS as WORKOUT_FIELDS

# What a coach plans and hides is shown to the athlete when the coach says so, here as everywhere: see READABLE.
_OF_TRAININGS = "t.user_id = %(user_id)s AND NOT t.hidden"
_HIDDEN = "ARRAY(SELECT id FROM trainings WHERE user_id = %(user_id)s AND hidden)"

# As `models.trainings.document_json` writes it, of a row `r`.
_DOCUMENT = """'{{"id":"' || {r}.id || '","user_id":"' || {r}.user_id || '",' || {source} || '"version":' || {r}.version
       || ',' || left(substr({fields}, 2), -1) || ',"created_at":"' || rfc3339({r}.created_at) || '","updated_at":"'
       || rfc3339({r}.updated_at) || '"' || coalesce(',"deleted_at":"' || rfc3339({r}.deleted_at) || '"', '')
       || '}}'"""


def _json(columns: str) -> str:
    """A JSON object with these columns, without those that are NULL."""
    return f"(SELECT json_strip_nulls(row_to_json(j))::text FROM (SELECT {columns}) j)"


def _derived(table: str) -> tuple[str, str]:
    of = TABLES[table]
    order = ", ".join(f"t.{column}" for column in of.key[1:])
    return json_line(of), f"analytics.{table} t WHERE t.user_id = %(user_id)s ORDER BY {order}"


def _documents(table: str, order: str = "d.created_at") -> tuple[str, str]:
    return (
        _DOCUMENT.format(r="d", source="''", fields="d.content::text"),
        f"{table} d WHERE d.user_id = %(user_id)s ORDER BY {order}, d.id",
    )


_MOMENTS = "rfc3339(r.created_at) AS created_at, rfc3339(r.finished_at) AS finished_at"
# The item, and where it comes from, in what order.
_PARTS: dict[str, tuple[str, str]] = {
    "trainings": (
        _DOCUMENT.format(r="t", source=SOURCE_ID.format("t"), fields=FIELDS),
        f"trainings t WHERE {_OF_TRAININGS} ORDER BY t.date, t.id",
    ),
    "workouts": (
        _DOCUMENT.format(r="w", source="''", fields=WORKOUT_FIELDS),
        "workouts w WHERE w.user_id = %(user_id)s ORDER BY w.created_at, w.id",
    ),
    "phases": _documents("phases"),
    "goals": _documents("goals"),
    "check_ins": _documents("check_ins", "d.day"),
    "advice": _documents("advice"),
    "form_analyses": _documents("form_analyses"),
    "own_exercises": (
        _json(
            """e.slug, e.revision, e.name, e.category, e.mode, e.phases, e.equipment, e.difficulty, e.muscles,
            e.secondary_muscles, trim_scale(e.bw_fraction) AS bw_fraction, e.bw_fraction_basis, e.family, e.unilateral,
            e.image_id, rfc3339(e.created_at) AS created_at, rfc3339(e.updated_at) AS updated_at,
            rfc3339(e.deleted_at) AS deleted_at"""
        ),
        "own_exercises e WHERE e.user_id = %(user_id)s ORDER BY e.slug",
    ),
    "exercise_aliases": (
        _json("a.name, a.exercise, a.exercise_revision, a.own AS own_exercise, rfc3339(a.created_at) AS created_at"),
        "exercise_aliases a WHERE a.user_id = %(user_id)s ORDER BY a.name",
    ),
    "memberships": (
        _json(
            "m.group_external_id, m.scopes, rfc3339(m.accepted_at) AS accepted_at, rfc3339(m.revoked_at) AS revoked_at"
        ),
        "memberships m WHERE m.user_id = %(user_id)s ORDER BY m.group_external_id",
    ),
    "accesses": (
        _json("rfc3339(l.at) AS at, l.actor, l.coach_id, l.group_external_id, l.scope, l.operation, l.request_id"),
        "access_log l WHERE l.user_id = %(user_id)s ORDER BY l.at, l.id",
    ),
    "imports": (
        _json(JOB.replace("created_at, finished_at", _MOMENTS)),
        "imports r WHERE r.user_id = %(user_id)s ORDER BY r.created_at, r.id",
    ),
    "load_bands": (_json("b.day, b.band, b.measure"), "load_bands b WHERE b.user_id = %(user_id)s"),
    **{
        table: _derived(table)
        for table in ("session_volume", "exercise_volume", "daily_volume", "daily_load", "personal_records")
    },
    "events": (
        """'{"aggregate_type":"' || o.aggregate_type || '","aggregate_id":"' || o.aggregate_id || '","version":'
       || o.version || ',"actor":' || to_json(o.actor)::text
       || coalesce(',"request_id":' || to_json(o.request_id)::text, '') || ',"event":' || o.payload || '}'""",
        f"""outbox o WHERE o.user_id = %(user_id)s AND o.aggregate_id <> ALL ({_HIDDEN})
        ORDER BY o.aggregate_id, o.version""",
    ),
}

# The first row: of what moment all is, and of which trainings rows of the log are archived: up to which version, the
# first that is in the log.
_HEAD = f"""json_build_object('as_of', rfc3339({PRESENT}), 'archived', (
    SELECT coalesce(json_object_agg(a.training_id, coalesce((
        SELECT min(o.version) FROM outbox o
        WHERE o.user_id = %(user_id)s AND o.aggregate_id = a.training_id AND o.aggregate_type = 'training'
    ), {2**31})), '{{}}')
    FROM (SELECT DISTINCT training_id FROM archived_trainings WHERE user_id = %(user_id)s) a
    WHERE a.training_id <> ALL ({_HIDDEN})
))::text"""

ALL = f"SELECT '' AS kind, {_HEAD} AS line" + "".join(
    f"\nUNION ALL (SELECT '{kind}', {_PARTS[kind][0]} FROM {_PARTS[kind][1]})" for kind in KINDS
)
