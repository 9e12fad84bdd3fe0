"""The roles that work with the schema, and what each may do. Its owner needs no more than to own the database."""

from psycopg2 import errors, extensions, sql

WORKER = "training_worker"
READER = "analytics_reader"
_ROLES = {WORKER: "LOGIN", READER: "NOLOGIN"}

# All of it, granted anew by every `training migrate`: so a role that was made later gets what it needs, and a database
# may do without a role that nobody can make. A migration grants nothing.
_GRANTS = {
    WORKER: """
GRANT USAGE ON SCHEMA public, analytics TO training_worker;
GRANT SELECT ON catalogue, exercise_names, alembic_version TO training_worker;
GRANT SELECT, INSERT, DELETE ON exercises TO training_worker;
GRANT SELECT, INSERT ON exercises_deleted TO training_worker;
GRANT SELECT, INSERT, UPDATE ON trainings, outbox_quarantine TO training_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON training_exercises, training_sets, idempotency_keys TO training_worker;
GRANT SELECT, INSERT, UPDATE ON workouts TO training_worker;
GRANT SELECT, INSERT, DELETE ON workout_exercises TO training_worker;
GRANT SELECT, INSERT, UPDATE ON phases, goals, check_ins, advice, form_analyses TO training_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON phase_trainings TO training_worker;
GRANT SELECT, INSERT, UPDATE ON own_exercises, exercise_namings TO training_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON exercise_aliases TO training_worker;
GRANT SELECT, INSERT ON outbox TO training_worker;
GRANT SELECT, INSERT, UPDATE ON load_bands TO training_worker;
GRANT SELECT, INSERT, UPDATE ON memberships TO training_worker;
GRANT SELECT, INSERT ON access_log TO training_worker;
GRANT SELECT, INSERT, UPDATE ON imports TO training_worker;
GRANT SELECT, INSERT ON tombstones TO training_worker;
GRANT SELECT, INSERT, UPDATE ON erasures TO training_worker;
GRANT EXECUTE ON FUNCTION tombstone(uuid), erased(uuid[]), erase_user(uuid, integer), forget_erasures(interval)
    TO training_worker;
GRANT INSERT ON request_log TO training_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_usage TO training_worker;
GRANT EXECUTE ON FUNCTION request_log_keep_partitions(integer, integer), purge_access_log(integer, integer),
    purge_imports(integer, integer) TO training_worker;
GRANT SELECT ON archive_folder TO training_worker;
GRANT SELECT, UPDATE, DELETE ON archives TO training_worker;
GRANT SELECT, DELETE ON archived_trainings TO training_worker;
GRANT SELECT, UPDATE ON outbox_cursor TO training_worker;
GRANT EXECUTE ON FUNCTION outbox_keep_partitions(integer), outbox_rebase(bigint), outbox_adopt(bigint, jsonb)
    TO training_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA analytics TO training_worker;
ALTER DEFAULT PRIVILEGES IN SCHEMA analytics GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO training_worker;
""",
    READER: """
GRANT USAGE ON SCHEMA analytics TO analytics_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO analytics_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA analytics GRANT SELECT ON TABLES TO analytics_reader;
""",
}


def make_roles(connection: extensions.connection) -> None:
    """Make the roles that the server lacks, where the role of `connection` may; each in a transaction of its own."""
    for role, kind in _ROLES.items():
        try:
            with connection, connection.cursor() as cursor:
                if not _exists(cursor, role):
                    cursor.execute(sql.SQL(f"CREATE ROLE {{}} {kind}").format(sql.Identifier(role)))
        except errors.InsufficientPrivilege:
            continue  # `grant` says that it is missing
        except (errors.DuplicateObject, errors.UniqueViolation):
            continue  # another database of this server was migrated at the same moment


def grant(cursor: extensions.cursor) -> list[str]:
    """Give each role what it may do, as the schema's owner; returns the roles that the server lacks."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('training_grants'))")  # two at once would disturb each other
    missing = [role for role in _ROLES if not _exists(cursor, role)]
    for role, grants in _GRANTS.items():
        if role not in missing:
            cursor.execute(grants)
    return missing


def _exists(cursor: extensions.cursor, role: str) -> bool:
    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
    return cursor.rowcount > 0
