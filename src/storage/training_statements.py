"""The SQL of `storage.trainings`: every statement that reads or writes a training.

Parameters are psycopg2's, by name. A write is composed of common table expressions: the claim of the Idempotency-Key
(`key`), the training's row under its lock, its children, and its row of the log (`logged`), each of which consumes what
the one before returned.
"""

from dataclasses import dataclass

from storage.database import Prepared
from storage.pages import bounded
from storage.training_parts import CHILDREN, FIELDS, KEY, LOG, READABLE, SOURCE_ID, STORED, TYPES, WRITABLE, fields

_CREATE = """
WITH {key}created AS (
    INSERT INTO trainings (user_id, id, source_id, status, date, timezone, day, title, duration_seconds, session_rpe,
                           bodyweight_kg, notes, workout_id, workout_version, group_external_id, skipped_at,
                           skip_reason, hidden, completed_at, digest)
    SELECT %(user_id)s, %(id)s, %(source_id)s, %(status)s, %(date)s, %(timezone)s, %(day)s, %(title)s,
           %(duration_seconds)s, %(session_rpe)s, %(bodyweight_kg)s, %(notes)s, %(workout_id)s, %(workout_version)s,
           %(group_external_id)s, %(skipped_at)s, %(skip_reason)s, %(hidden)s,
           CASE %(status)s WHEN 'COMPLETED' THEN now() END, %(digest)s
    {fresh}
    ON CONFLICT DO NOTHING
    RETURNING created_at, source_id
), content AS (
    SELECT %(exercises)s::json AS exercises FROM created
), {children}, {log}
SELECT {answer}, created.created_at, t.*
FROM {first} LEFT JOIN created ON true LEFT JOIN LATERAL (
    SELECT t.digest IN (%(digest)s, '') AND {writable} AS same, {stored} FROM trainings t
    WHERE NOT EXISTS (SELECT FROM created) AND t.user_id = %(user_id)s
      AND (t.id = %(id)s OR t.source_id = %(source_id)s)
) t ON true
"""

# The row under its lock (`current`) beside the row of the snapshot, by which the children are seen.
_CURRENT = """snapshot AS (
    SELECT t.version{more} FROM trainings t WHERE t.user_id = %(user_id)s AND t.id = %(id)s
), current AS (
    SELECT version, status, deleted_at IS NOT NULL AS deleted{also} FROM trainings
    WHERE user_id = %(user_id)s AND id = %(id)s AND {writable} {fresh}
    FOR UPDATE
)"""

_ALLOWED = """t.user_id = %(user_id)s AND t.id = %(id)s AND current.version = snapshot.version
      AND (%(if_match)s::bigint[] IS NULL OR current.version = ANY (%(if_match)s::bigint[]))"""

_UPDATE = """
WITH {key}{current}, changed AS (
    UPDATE trainings t
    SET version = t.version + 1, status = %(status)s, date = %(date)s, timezone = %(timezone)s, day = %(day)s,
        title = %(title)s, duration_seconds = %(duration_seconds)s, session_rpe = %(session_rpe)s,
        bodyweight_kg = %(bodyweight_kg)s, notes = %(notes)s, workout_id = %(workout_id)s,
        workout_version = %(workout_version)s, group_external_id = %(group_external_id)s,
        skipped_at = %(skipped_at)s, skip_reason = %(skip_reason)s, hidden = %(hidden)s,
        completed_at = CASE WHEN %(status)s = 'COMPLETED' AND t.status = 'COMPLETED' THEN t.completed_at
                            WHEN %(status)s = 'COMPLETED' THEN now() END,
        updated_at = greatest(now(), t.updated_at), xid = DEFAULT
    FROM current, snapshot
    WHERE {allowed} AND NOT current.deleted AND current.status <= %(status)s AND current.hidden >= %(hidden)s
    RETURNING t.version, t.source_id, t.created_at, t.updated_at, current.status AS previous
), old_sets AS (
    DELETE FROM training_sets s USING changed WHERE s.user_id = %(user_id)s AND s.training_id = %(id)s RETURNING 1
), old_exercises AS (
    DELETE FROM training_exercises e USING changed, (SELECT count(*) FROM old_sets) gone
    WHERE e.user_id = %(user_id)s AND e.training_id = %(id)s RETURNING 1
), content AS (
    SELECT %(exercises)s::json AS exercises FROM changed, (SELECT count(*) FROM old_exercises) gone
), {children}, {log}
SELECT {answer}, changed.version, changed.source_id, changed.created_at, changed.updated_at, NULL, {facts}
FROM {first} LEFT JOIN current ON true LEFT JOIN snapshot ON true LEFT JOIN changed ON true
"""

# A change of what is stored: the event tells of the snapshot's row, as `fields` says that it becomes.
_CHANGE = """
WITH {key}{before}{current}, changed AS (
    UPDATE trainings t
    SET version = t.version + 1, {assign}updated_at = greatest(now(), t.updated_at), xid = DEFAULT
    FROM current, snapshot{tables}
    WHERE {allowed} AND {when}
    RETURNING t.version, t.source_id, t.created_at, t.updated_at, current.status AS previous, snapshot.fields
){then}, {log}
SELECT {answer}, changed.version, changed.source_id, changed.created_at, changed.updated_at, {told}, {facts}
FROM {first} LEFT JOIN current ON true LEFT JOIN snapshot ON true LEFT JOIN changed ON true{joined}
"""

_FACTS = "current.version, current.status, current.deleted, snapshot.version"
_PREVIOUS = """',"previous_status":"' || changed.previous || '",' || """


@dataclass(frozen=True, slots=True)
class Write:
    """One write, without an Idempotency-Key and with the claim of one.

    Its first five columns are what the key was used for before. Those of a change go on with version, source_id,
    created_at, updated_at and the fields that it read for its event, all NULL where it changed nothing, and with how it
    found things: version and status under the lock, whether deleted, the snapshot's version, and what else it asks for.
    """

    plain: Prepared
    keyed: Prepared


def _claimed(*, keyed: bool) -> dict[str, str]:
    """What a write with an Idempotency-Key has besides; `answer` still lacks when it is to be refused."""
    if not keyed:
        return {"key": "", "first": "(VALUES (1)) one", "answer": "false, NULL, NULL, NULL, NULL", "fresh": "true"}
    return {
        "key": KEY,
        "first": "key",
        "answer": """NOT key.fresh, key.same, key.training_id, key.event_id,
       CASE WHEN key.fresh AND {nothing} THEN refuse_write({reason}) END""",
        "fresh": "(SELECT fresh FROM key)",
    }


def _create(*, keyed: bool) -> str:
    claimed = _claimed(keyed=keyed)
    return _CREATE.format(
        key=claimed["key"],
        first=claimed["first"],
        fresh=f"WHERE {claimed['fresh']}",
        answer=claimed["answer"].format(nothing="created.created_at IS NULL", reason="'exists'"),
        children=CHILDREN,
        stored=STORED,
        writable=WRITABLE.format("t."),
        log=LOG.format(
            version="1",
            at="created.created_at",
            source="created",
            payload=SOURCE_ID.format("created") + """ || '"version":1,' || %(fields)s || '}'""",
        ),
    )


def _update(*, keyed: bool) -> str:
    claimed = _claimed(keyed=keyed)
    return _UPDATE.format(
        key=claimed["key"],
        first=claimed["first"],
        current=_CURRENT.format(
            more="", also=", hidden", writable=WRITABLE.format(""), fresh=f"AND {claimed['fresh']}"
        ),
        allowed=_ALLOWED,
        answer=claimed["answer"].format(nothing="changed.version IS NULL", reason=_reason(_FACTS)),
        facts=_FACTS,
        children=CHILDREN,
        log=_changed_log(f"{_PREVIOUS}%(fields)s || '}}'"),
    )


def change(  # the parts of `_CHANGE`, each with what most changes have
    name: str,
    *,
    fields: str = FIELDS,
    assign: str = "",
    also: str = "",
    when: str = "NOT current.deleted",
    facts: str = "",
    extra: tuple[str, str] | None = None,
    then: str = "",
    deletes: bool = False,
) -> Write:
    """A change of what is stored, by the name of its statement.

    `fields` is what the training becomes, `assign` the columns of its row that change, `also` more columns of `current`
    (each `, … AS …`), `when` what must hold under the lock, and `facts` more columns of the answer. `extra` is the name
    and query of a table with one row that `fields`, `when` and `facts` may use; `then` are further expressions that
    consume `changed`. One that `deletes` tells nothing of fields and status in its answer and event.
    """

    def sql(*, keyed: bool) -> str:
        claimed = _claimed(keyed=keyed)
        name, query = extra or ("", "")
        return _CHANGE.format(
            key=claimed["key"],
            first=claimed["first"],
            before=f"{name} AS ({query}), " if extra else "",
            tables=f", {name}" if extra else "",
            joined=f" LEFT JOIN {name} ON true" if extra else "",
            current=_CURRENT.format(
                more=f", {fields} AS fields",
                also=also,
                writable=WRITABLE.format(""),
                fresh=f"AND {claimed['fresh']}",
            ),
            assign=assign,
            allowed=_ALLOWED,
            when=when,
            then=then,
            answer=claimed["answer"].format(nothing="changed.version IS NULL", reason=_reason(_FACTS + facts)),
            told="NULL" if deletes else "substr(changed.fields, 2, length(changed.fields) - 2)",
            facts=_FACTS + facts,
            log=_changed_log(("',' || " if deletes else _PREVIOUS) + "substr(changed.fields, 2)"),
        )

    return Write(
        Prepared(f"training_{name}_plain", sql(keyed=False), TYPES),
        Prepared(f"training_{name}_keyed", sql(keyed=True), TYPES),
    )


def _reason(facts: str) -> str:
    return f"json_build_array({facts})::text"


def _changed_log(rest: str) -> str:
    return LOG.format(
        version="changed.version",
        at="changed.updated_at",
        source="changed",
        payload=SOURCE_ID.format("changed") + f""" || '"version":' || changed.version || {rest}""",
    )


CREATE = Write(
    Prepared("training_create_plain", _create(keyed=False), TYPES),
    Prepared("training_create_keyed", _create(keyed=True), TYPES),
)
UPDATE = Write(
    Prepared("training_update_plain", _update(keyed=False), TYPES),
    Prepared("training_update_keyed", _update(keyed=True), TYPES),
)
# The children stay, so that the training can be restored.
DELETE = change("delete", assign="deleted_at = greatest(now(), t.updated_at), ", deletes=True)
REOPEN = change(
    "reopen",
    fields=fields(status="'IN_PROGRESS'"),
    assign="status = 'IN_PROGRESS', completed_at = NULL, ",
    also=", coalesce(completed_at, created_at) >= now() - interval '24 hours' AS recent",
    when="NOT current.deleted AND current.status = 'COMPLETED' AND current.recent",
    facts=", current.recent",
)
# An undone import gave the source id free. It is taken back, so that the import that comes again finds the training.
RESTORE = change(
    "restore",
    extra=(
        "source",
        """SELECT max(said.id) AS id FROM (
        SELECT o.payload::json -> 'payload' ->> 'source_id' AS id FROM outbox o
        WHERE o.user_id = %(user_id)s AND o.aggregate_id = %(id)s AND o.version = 1 AND o.aggregate_type = 'training'
        UNION ALL
        SELECT a.source_id FROM archived_trainings a WHERE a.user_id = %(user_id)s AND a.training_id = %(id)s
    ) said
    WHERE NOT EXISTS (SELECT FROM trainings t WHERE t.user_id = %(user_id)s AND t.source_id = said.id)""",
    ),
    assign="deleted_at = NULL, source_id = coalesce(t.source_id, source.id), ",
    also=", deleted_at >= now() - interval '30 days' AS recent",
    when="current.deleted AND current.recent",
    facts=", current.recent",
)

READ = Prepared(
    "training_read",
    f"""SELECT {STORED} FROM trainings t
    WHERE t.user_id = %(user_id)s AND t.id = %(id)s AND t.deleted_at IS NULL AND {READABLE}""",
    TYPES,
)

# A local day lies within 14 hours of the same day in UTC: so `date` narrows the index, and `day` decides.
LIST = bounded(
    f"""
SELECT {STORED} FROM trainings t
WHERE t.user_id = %(user_id)s AND t.deleted_at IS NULL AND {READABLE}
  AND (%(first)s::date IS NULL OR t.date >= %(first)s::date - interval '1 day' AND t.day >= %(first)s)
  AND (%(last)s::date IS NULL OR t.date < %(last)s::date + interval '2 days' AND t.day <= %(last)s)
  AND (%(status)s::training_status IS NULL OR t.status = %(status)s)
  AND (%(after_date)s::timestamptz IS NULL OR (t.date, t.id) < (%(after_date)s::timestamptz, %(after_id)s::uuid))
ORDER BY t.date DESC, t.id DESC
LIMIT %(limit)s
""",
    order="date DESC, id DESC",
    text="fields",
)

_READABLE = f"(SELECT {READABLE} FROM trainings t WHERE t.user_id = %(user_id)s AND t.id = %(id)s)"
_LOGGED = bounded(
    f"""
    SELECT version, event_type, actor, request_id, created_at, payload FROM outbox
    WHERE user_id = %(user_id)s AND aggregate_id = %(id)s AND aggregate_type = 'training' AND version > %(after)s
      AND {_READABLE}
    ORDER BY version LIMIT %(limit)s""",
    order="version",
    text="payload",
)
# Which files hold what is archived of it, and what the log has: always a row, in which either may be NULL.
HISTORY = f"""
SELECT archived.files, logged.* FROM (
    SELECT json_agg(json_build_array(f.name, f.bytes, f.sha256) ORDER BY f.id) AS files
    FROM archived_trainings a JOIN archives f ON f.id = a.archive
    WHERE a.user_id = %(user_id)s AND a.training_id = %(id)s AND a.last_version > %(after)s AND {_READABLE}
) archived LEFT JOIN ({_LOGGED}
) logged ON true
ORDER BY logged.version
"""

REPLAY = """
SELECT o.version, o.event_type, o.payload, t.source_id, t.created_at, o.created_at
FROM outbox o JOIN trainings t ON t.user_id = o.user_id AND t.id = o.aggregate_id
WHERE o.user_id = %(user_id)s AND o.aggregate_id = %(id)s AND o.event_id = %(event_id)s
"""
