"""The athlete's present day in SQL, the same in every statement that asks for it. Parameters are psycopg2's, by name.

It is the day in the zone where the athlete was last: that of the latest completed training, as the derived tables have
it. Before there is one it is that of the latest training that is planned, and without any it is the day in UTC.
"""

_LATEST = """FROM analytics.folded_trainings
    WHERE user_id = {user} AND counted ORDER BY day DESC, date DESC, training_id LIMIT 1"""


def latest(user: str) -> str:
    """The present day of the user that the expression names, as `today`; no row before a training is completed."""
    return f"SELECT (now() AT TIME ZONE timezone)::date AS today {_LATEST.format(user=user)}"


LATEST = latest("%(user_id)s")

# These are expressions: the zone, the present day, and the day that was asked for or else the present one.
ZONE = f"""coalesce((
    SELECT timezone {_LATEST.format(user="%(user_id)s")}
), (
    SELECT timezone FROM trainings
    WHERE user_id = %(user_id)s AND deleted_at IS NULL AND NOT hidden ORDER BY date DESC, id DESC LIMIT 1
), 'UTC')"""
TODAY = f"(now() AT TIME ZONE {ZONE})::date"
DAY = f"coalesce(%(day)s::date, {TODAY})"
