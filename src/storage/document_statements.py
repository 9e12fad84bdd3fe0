"""The SQL of `storage.documents`: every statement that reads or writes a versioned JSON document by its id.

A write is one statement: the claim of the Idempotency-Key, the document's row, and the row of the log made from its
RETURNING. A document has no children, so a write that waited for the row's lock changes what it then finds there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from storage.database import Prepared
from storage.training_parts import KEY

TYPES = {
    "user_id": "uuid",
    "id": "uuid",
    "event_id": "uuid",
    "content": "json",
    "digest": "bytea",
    "key_digest": "bytea",
    "if_match": "bigint[]",
    "new": "boolean",
}

# Of a row `d` of a table of documents: what `storage.documents.stored` reads.
STORED = "d.id, d.version, d.created_at, d.updated_at, d.deleted_at, d.content::text"

# The event is about the row that the one row of `written` is. Where its type depends on the version, `event_head` names
# the first one's.
_LOG = """logged AS (
    INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                        traceparent, payload, created_at)
    SELECT %(event_id)s, %(topic)s, '{noun}', %(id)s, written.version, {type}, %(user_id)s, %(actor)s, %(request_id)s,
           %(traceparent)s, {head} || rfc3339(written.updated_at) || %(payload_head)s || '"version":'
           || written.version || ',' || substr(written.content::text, 2) || '}}', written.updated_at
    FROM written
)"""

_ANSWER = """
SELECT {answer}, written.version, written.created_at, written.updated_at FROM {first} LEFT JOIN written ON true
"""

_CREATE = """
WITH {key}written AS (
    INSERT INTO {table} (user_id, id, digest, content{names})
    SELECT %(user_id)s, %(id)s, %(digest)s, %(content)s{values}
    WHERE {fresh}
    ON CONFLICT DO NOTHING
    RETURNING version, created_at, updated_at, content
), {log}
"""

_PUT = """
WITH {key}written AS (
    INSERT INTO {table} AS d (user_id, id, digest, content{names})
    SELECT %(user_id)s, %(id)s, %(digest)s, %(content)s{values}
    WHERE {fresh}
    ON CONFLICT (user_id, id) DO UPDATE
    SET version = d.version + 1, updated_at = greatest(now(), d.updated_at), deleted_at = NULL,
        content = excluded.content{assigned}
    WHERE d.deleted_at IS NOT NULL OR NOT %(new)s AND d.content::text <> excluded.content::text
    RETURNING d.version, d.created_at, d.updated_at, d.content
), {log}
"""

_CHANGE = """
WITH {key}written AS (
    UPDATE {table} d SET version = d.version + 1, updated_at = greatest(now(), d.updated_at), {change}
    WHERE d.user_id = %(user_id)s AND d.id = %(id)s AND d.deleted_at IS NULL AND {fresh}{other}
      AND (%(if_match)s::bigint[] IS NULL OR d.version = ANY (%(if_match)s::bigint[]))
    RETURNING d.version, d.created_at, d.updated_at, d.content
), {log}
"""

_READ = "SELECT {stored} FROM {table} d WHERE d.user_id = %(user_id)s AND d.id = %(id)s AND d.deleted_at IS NULL"

# As it is, deleted or not, and whether it was created with this digest.
_LOOK = """
SELECT d.digest IN (%(digest)s, ''), {stored} FROM {table} d WHERE d.user_id = %(user_id)s AND d.id = %(id)s
"""

_PAGE = """
SELECT {stored} FROM {table} d
WHERE d.user_id = %(user_id)s AND d.deleted_at IS NULL
  AND (%(after_moment)s::timestamptz IS NULL
       OR (d.created_at, d.id) < (%(after_moment)s::timestamptz, %(after_id)s::uuid))
ORDER BY d.created_at DESC, d.id DESC
LIMIT %(limit)s
"""

_REPLAY = """
SELECT o.version, o.event_type, o.payload, d.created_at, o.created_at
FROM outbox o JOIN {table} d ON d.user_id = o.user_id AND d.id = o.aggregate_id
WHERE o.user_id = %(user_id)s AND o.aggregate_id = %(id)s AND o.aggregate_type = '{noun}' AND o.event_id = %(event_id)s
"""

FORGET_KEY = """
DELETE FROM idempotency_keys WHERE user_id = %(user_id)s AND route = %(route)s AND key = %(key)s
"""


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """One write: without an Idempotency-Key, with the claim of one, and with one within a transaction.

    The first four columns are what the key was used for before; the fifth is not NULL where a claimed key led to
    nothing (`keyed` raises instead, so that the key is not kept: within a transaction that would end all of it). Then
    version, created_at and updated_at of what was written, all NULL where nothing was.
    """

    plain: Prepared
    keyed: Prepared
    within: Prepared


@dataclass(frozen=True, slots=True)
class DocumentStatements:
    """Every statement about one kind of document."""

    create: DocumentWrite
    put: DocumentWrite
    update: DocumentWrite
    delete: DocumentWrite
    read: Prepared
    look: str
    page: str
    replay: str


@cache
def statements(noun: str, table: str, own: tuple[tuple[str, str], ...]) -> DocumentStatements:
    """The statements about documents in `table`, whose `own` columns are these, beside their types."""
    columns = dict(own)
    types = TYPES | columns
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", %({name})s" for name in columns)
    assigned = "".join(f", {name} = excluded.{name}" for name in columns)
    change = "".join(f", {name} = %({name})s" for name in columns)

    def create(**parts: str) -> str:
        return _CREATE.format(names=names, values=values, **parts)

    def put(**parts: str) -> str:
        return _PUT.format(names=names, values=values, assigned=assigned, **parts)

    def update(**parts: str) -> str:
        other = " AND d.content::text <> %(content)s::text"
        return _CHANGE.format(change=f"content = %(content)s{change}", other=other, **parts)

    def delete(**parts: str) -> str:
        return _CHANGE.format(change="deleted_at = greatest(now(), d.updated_at)", other="", **parts)

    def write(made: Callable[..., str], *, either: bool = False) -> DocumentWrite:
        """`either`: the event is `event_type` of a new document and `updated_type` of one that was there."""
        kind, head = "%(event_type)s", "%(event_head)s"
        if either:
            kind = "CASE written.version WHEN 1 THEN %(event_type)s ELSE %(updated_type)s END"
            head = f"replace(%(event_head)s, %(event_type)s, {kind})"
        log = _LOG.format(noun=noun, type=kind, head=head)

        def sql(key: str, first: str, fresh: str, answer: str) -> str:
            return made(key=key, table=table, fresh=fresh, log=log) + _ANSWER.format(answer=answer, first=first)

        claimed = """NOT key.fresh, key.same, key.training_id, key.event_id,
       CASE WHEN key.fresh AND written.version IS NULL"""
        fresh = "(SELECT fresh FROM key)"
        name = f"{noun}_{made.__name__}"
        return DocumentWrite(
            Prepared(f"{name}_plain", sql("", "(VALUES (1)) one", "true", "false, NULL, NULL, NULL, NULL"), types),
            Prepared(f"{name}_keyed", sql(KEY, "key", fresh, f"{claimed} THEN refuse_write('nothing') END"), types),
            Prepared(f"{name}_within", sql(KEY, "key", fresh, f"{claimed} THEN 'nothing' END"), types),
        )

    return DocumentStatements(
        create=write(create),
        put=write(put, either=True),
        update=write(update),
        delete=write(delete),
        read=Prepared(f"{noun}_read", _READ.format(stored=STORED, table=table), types),
        look=_LOOK.format(stored=STORED, table=table),
        page=_PAGE.format(stored=STORED, table=table),
        replay=_REPLAY.format(noun=noun, table=table),
    )
