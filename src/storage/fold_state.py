"""How far the derived tables are: what of the log they do not contain yet, and reading the log in order to fold it.

`analytics.unfolded` is what they lack. `fold_state.folded_seq` is a mark that makes the look at it quick, however long
the log is: of the events up to it only those in `fold_state.missing` are not folded yet (one that is held in quarantine
may stay so for days), and no open transaction can still add another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.database import Database, Row

_UNFOLDED = """
SELECT o.topic, o.seq, coalesce(o.published_seq, o.seq), o.event_id, o.user_id, o.payload
FROM analytics.unfolded u JOIN outbox o ON o.seq = u.seq AND o.created_at = u.created_at
WHERE u.seq > %(after)s AND o.aggregate_type = 'training' ORDER BY u.seq LIMIT %(limit)s
"""

# The candidate for the mark is the end of the log. An event takes its seq after its transaction took its xid (the
# aggregate is written first), so what may still appear below the candidate has an xid below that of the transaction
# which noted it: once all of those have ended, everything below the candidate can be seen. An xid of the future is
# another cluster's, of which this database is a copy: the candidate is then noted anew. Where too many events are
# missing, the mark stops before them.
_ADVANCE = """
UPDATE analytics.fold_state s
SET (folded_seq, missing) = (
        SELECT CASE WHEN s.next_xid > ended THEN s.folded_seq WHEN count(*) > 1000 THEN max(seq) - 1
                    ELSE greatest(s.folded_seq, s.next_seq) END,
               CASE WHEN s.next_xid > ended THEN s.missing
                    ELSE coalesce((array_agg(seq ORDER BY seq))[:1000], '{}') END
        FROM (SELECT seq FROM analytics.unfolded WHERE seq <= s.next_seq ORDER BY seq LIMIT 1001) found
    ),
    next_seq = log_seq,
    next_xid = pg_current_xact_id()
FROM (
    SELECT pg_snapshot_xmin(snapshot) AS ended, pg_snapshot_xmax(snapshot) AS begun,
           (SELECT max(seq) FROM outbox) AS log_seq
    FROM pg_current_snapshot() snapshot
) now
WHERE (s.next_xid <= ended OR s.next_xid > begun) AND (s.folded_seq < log_seq OR s.missing <> '{}')
"""

_FRESHNESS = """
SELECT as_of, folded_seq, log_seq, behind, lag_seconds::float8, dead_letters, stale_users FROM analytics.freshness
"""

# The generations of several topics are one number: each only grows, so their sum grows with any.
_NEW_GENERATION = """
SELECT made.generation FROM outbox_cursor c, analytics.fold_state s, LATERAL (
    SELECT sum((mark ->> 'generation')::integer)::integer AS generation FROM jsonb_each(c.topics) t (topic, mark)
    WHERE topic = ANY (%(topics)s)
) made
WHERE made.generation > s.generation
"""
_SET_METHOD = "UPDATE analytics.fold_state SET method = %(method)s WHERE method < %(method)s"
# The index `folded_trainings_outdated` holds these alone.
_OUTDATED = """
SELECT user_id, training_id FROM analytics.folded_trainings
WHERE method < %(method)s AND (user_id, training_id) > (%(user_id)s, %(training_id)s)
ORDER BY user_id, training_id LIMIT %(limit)s
"""
_SET_GENERATION = "UPDATE analytics.fold_state SET generation = %(generation)s WHERE generation < %(generation)s"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One row of the log, in the shape of the record that it was published as; its `offset` is its seq."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, row: Row) -> "LoggedEvent":
        """Of a row (topic, seq, the seq that its record names, event_id, user_id, payload) of the outbox."""
        topic, seq, published_seq, event_id, user_id, payload = row
        headers = (("ce_id", str(event_id).encode()), ("ce_logseq", str(published_seq).encode()))
        return cls(topic, -1, seq, str(user_id).encode(), payload.encode(), headers)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the derived tables are behind the log: the view `analytics.freshness`."""

    as_of: datetime
    folded_seq: int
    log_seq: int
    behind: int
    lag_seconds: float
    dead_letters: int
    stale_users: int


async def read_freshness(database: Database) -> Freshness:
    """How far the derived tables are now."""
    return Freshness(*(await database.all(_FRESHNESS))[0])


async def read_unfolded(database: Database, after: int, limit: int) -> list[LoggedEvent]:
    """At most `limit` events of trainings behind place `after` of the log that the tables do not contain, in order."""
    return [LoggedEvent.of(row) for row in await database.all(_UNFOLDED, {"after": after, "limit": limit})]


async def advance(database: Database) -> None:
    """Move the mark; to be called now and then. Writes nothing where everything is folded and marked already."""
    await database.execute(_ADVANCE)


async def new_generation(database: Database, topics: Sequence[str]) -> int | None:
    """The generation of the topics (how often they were made) where the log was not folded since it began, or None."""
    row = await database.one(_NEW_GENERATION, {"topics": list(topics)})
    return None if row is None else int(row[0])


async def set_generation(database: Database, generation: int) -> None:
    """Note that what was in the log when this generation of the topics began is folded."""
    await database.execute(_SET_GENERATION, {"generation": generation})


async def read_outdated(
    database: Database, method: int, after: tuple[UUID, UUID], limit: int
) -> list[tuple[UUID, UUID]]:
    """User and id of at most `limit` trainings behind `after` that were computed by rules before `method`, in order."""
    user_id, training_id = after
    parameters = {"method": method, "user_id": user_id, "training_id": training_id, "limit": limit}
    return [(user, id_) for user, id_ in await database.all(_OUTDATED, parameters)]


async def set_method(database: Database, method: int) -> None:
    """Note that all trainings are computed by these rules, or later ones."""
    await database.execute(_SET_METHOD, {"method": method})
