"""The tables of record, as SQLAlchemy sees them: what `alembic revision --autogenerate` compares a database with.

Statements are SQL and stand in `storage`. A test holds this picture and the migrations to each other.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql.base import ischema_names

metadata = sa.MetaData(naming_convention={"pk": "%(table_name)s_pkey", "uq": "%(table_name)s_%(column_0_N_name)s_key"})

_now = sa.text("now()")
_UNDER_WAY = "status IN ('queued', 'running', 'undoing')"  # of an import


def _moment(name: str, *, default: bool = True) -> sa.Column[object]:
    return sa.Column(name, pg.TIMESTAMP(timezone=True), nullable=not default, server_default=_now if default else None)


class Xid8(sa.types.UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id, which SQLAlchemy does not know."""

    cache_ok = True

    def get_col_spec(self, **_kw: object) -> str:
        """Its name in SQL."""
        return "xid8"


ischema_names["xid8"] = Xid8


def _documents(name: str, *own: sa.schema.SchemaItem) -> sa.Table:
    """A table of versioned documents, with columns of its own and their indexes."""
    return sa.Table(
        name,
        metadata,
        sa.Column("user_id", pg.UUID, primary_key=True),
        sa.Column("id", pg.UUID, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        *own,
        sa.Column("content", pg.JSON, nullable=False),
        sa.Column("digest", pg.BYTEA, nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        _moment("deleted_at", default=False),
        sa.Index(f"{name}_by_creation", "user_id", "created_at", "id"),
    )


exercises = sa.Table(
    "exercises",
    metadata,
    sa.Column("slug", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("equipment", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("difficulty", sa.SmallInteger, nullable=False),
    sa.Column("muscles", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("secondary_muscles", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("bw_fraction", sa.Numeric),
    sa.Column("bw_fraction_basis", sa.Text),
    sa.Column("family", sa.Text, nullable=False),
    sa.Column("unilateral", sa.Boolean, nullable=False),
    sa.Column("easier_slugs", pg.ARRAY(sa.Text), nullable=False),
    _moment("created_at"),
    sa.Column("image_id", sa.Text),
    sa.Column("phases", pg.ARRAY(sa.Text), nullable=False),
)

exercises_deleted = sa.Table(
    "exercises_deleted",
    metadata,
    sa.Column("slug", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    _moment("deleted_at"),
)

exercise_names = sa.Table(
    "exercise_names",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("slug", sa.Text, nullable=False),
)

trainings = sa.Table(
    "trainings",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("id", pg.UUID, primary_key=True),
    sa.Column("source_id", sa.Text),
    sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column(
        "status",
        pg.ENUM("PLANNED", "IN_PROGRESS", "COMPLETED", name="training_status", metadata=metadata),
        nullable=False,
    ),
    sa.Column("date", pg.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("duration_seconds", sa.Integer),
    sa.Column("session_rpe", sa.Numeric),
    sa.Column("bodyweight_kg", sa.Numeric),
    sa.Column("notes", sa.Text),
    sa.Column("digest", pg.BYTEA, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
    _moment("deleted_at", default=False),
    sa.Column("workout_id", pg.UUID),
    sa.Column("workout_version", sa.Integer),
    sa.Column("group_external_id", sa.Text),
    _moment("skipped_at", default=False),
    sa.Column("skip_reason", sa.Text),
    _moment("completed_at", default=False),
    sa.Column("xid", Xid8, nullable=False, server_default=sa.text("pg_current_xact_id()")),
    sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.ForeignKeyConstraint(["user_id", "workout_id"], ["workouts.user_id", "workouts.id"]),
    sa.UniqueConstraint("user_id", "source_id"),
    sa.Index("trainings_by_date", "user_id", "date", "id"),
    sa.Index("trainings_by_change", "user_id", "xid"),
)

training_exercises = sa.Table(
    "training_exercises",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("training_id", pg.UUID, primary_key=True),
    sa.Column("id", pg.UUID, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("exercise", sa.Text),
    sa.Column("exercise_revision", sa.Integer),
    sa.Column("superset", sa.Integer),
    sa.Column("notes", sa.Text),
    sa.ForeignKeyConstraint(["user_id", "training_id"], ["trainings.user_id", "trainings.id"]),
    sa.ForeignKeyConstraint(["exercise", "exercise_revision"], ["exercises.slug", "exercises.revision"]),
    sa.Index("training_exercises_by_folded_name", "user_id", sa.text("folded_name(name)")),
    sa.Index("training_exercises_by_movement", "user_id", "exercise", postgresql_where=sa.text("exercise IS NOT NULL")),
)

training_sets = sa.Table(
    "training_sets",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("training_id", pg.UUID, primary_key=True),
    sa.Column("exercise_id", pg.UUID, primary_key=True),
    sa.Column("id", pg.UUID, primary_key=True),
    sa.Column("order", sa.Integer, nullable=False),
    sa.Column("weight", sa.Numeric, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("reps", sa.Integer, nullable=False),
    sa.Column("duration_seconds", sa.Numeric),
    sa.Column("distance_m", sa.Numeric),
    sa.Column("side", sa.Text),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("rpe", sa.Numeric),
    sa.Column("tempo", sa.Text),
    sa.Column("rest_seconds", sa.Integer),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("target", pg.JSON),
    sa.Column("video_id", sa.Text),
    sa.ForeignKeyConstraint(
        ["user_id", "training_id", "exercise_id"],
        ["training_exercises.user_id", "training_exercises.training_id", "training_exercises.id"],
    ),
)

workouts = sa.Table(
    "workouts",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("id", pg.UUID, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("notes", sa.Text),
    sa.Column("group_external_id", sa.Text),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("digest", pg.BYTEA, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
    _moment("deleted_at", default=False),
    sa.Index("workouts_by_creation", "user_id", "created_at", "id"),
)

workout_exercises = sa.Table(
    "workout_exercises",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("workout_id", pg.UUID, primary_key=True),
    sa.Column("id", pg.UUID, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("exercise", sa.Text),
    sa.Column("exercise_revision", sa.Integer),
    sa.Column("superset", sa.Integer),
    sa.Column("sets", sa.Integer, nullable=False),
    sa.Column("reps", pg.JSON),
    sa.Column("rest", sa.Integer),
    sa.Column("weight", sa.Numeric),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("rpe", sa.Numeric),
    sa.Column("tempo", sa.Text),
    sa.Column("hold_seconds", sa.Numeric),
    sa.Column("notes", sa.Text),
    sa.Column("progression", pg.JSON),
    sa.ForeignKeyConstraint(["user_id", "workout_id"], ["workouts.user_id", "workouts.id"]),
    sa.ForeignKeyConstraint(["exercise", "exercise_revision"], ["exercises.slug", "exercises.revision"]),
)

phases = _documents(
    "phases",
    sa.Column("first", sa.Date, nullable=False),
    sa.Column("last", sa.Date, nullable=False),
    sa.Column("deload", sa.Boolean, nullable=False),
)

phase_trainings = sa.Table(
    "phase_trainings",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("phase_id", pg.UUID, primary_key=True),
    sa.Column("training_id", pg.UUID, primary_key=True),
    sa.Column("week", sa.Integer, nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.ForeignKeyConstraint(["user_id", "phase_id"], ["phases.user_id", "phases.id"]),
    sa.ForeignKeyConstraint(["user_id", "training_id"], ["trainings.user_id", "trainings.id"]),
    sa.Index("phase_trainings_by_training", "user_id", "training_id"),
)

goals = _documents("goals")

check_ins = _documents(
    "check_ins", sa.Column("day", sa.Date, nullable=False), sa.Index("check_ins_by_day", "user_id", "day")
)

advice = _documents(
    "advice", sa.Column("day", sa.Date, nullable=False), sa.Column("undone", sa.Boolean, nullable=False)
)

form_analyses = _documents(
    "form_analyses",
    sa.Column("training_id", pg.UUID, nullable=False),
    sa.Column("set_id", pg.UUID, nullable=False),
    sa.Column("video_id", sa.Text, nullable=False),
    sa.Index("form_analyses_by_set", "user_id", "training_id", "set_id"),
)

own_exercises = sa.Table(
    "own_exercises",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("slug", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("folded", sa.Text, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("phases", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("equipment", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("difficulty", sa.SmallInteger, nullable=False),
    sa.Column("muscles", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("secondary_muscles", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("bw_fraction", sa.Numeric),
    sa.Column("bw_fraction_basis", sa.Text),
    sa.Column("family", sa.Text, nullable=False),
    sa.Column("unilateral", sa.Boolean, nullable=False),
    sa.Column("image_id", sa.Text),
    _moment("created_at"),
    _moment("updated_at"),
    _moment("deleted_at", default=False),
)

exercise_aliases = sa.Table(
    "exercise_aliases",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("exercise", sa.Text),
    sa.Column("exercise_revision", sa.Integer),
    sa.Column("own", sa.Text),
    _moment("created_at"),
    sa.ForeignKeyConstraint(["exercise", "exercise_revision"], ["exercises.slug", "exercises.revision"]),
    sa.ForeignKeyConstraint(["user_id", "own"], ["own_exercises.user_id", "own_exercises.slug"]),
)

exercise_namings = sa.Table(
    "exercise_namings",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    _moment("updated_at"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("route", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", pg.BYTEA, nullable=False),
    sa.Column("training_id", pg.UUID, nullable=False),
    sa.Column("event_id", pg.UUID, nullable=False),
    _moment("created_at"),
    sa.Index("idempotency_keys_by_age", "created_at"),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("group_external_id", sa.Text, primary_key=True),
    sa.Column("scopes", pg.ARRAY(sa.Text), nullable=False),
    _moment("accepted_at"),
    _moment("revoked_at", default=False),
    sa.Index("memberships_by_group", "group_external_id", "user_id", postgresql_where=sa.text("revoked_at IS NULL")),
)

access_log = sa.Table(
    "access_log",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("at", pg.TIMESTAMP(timezone=True), primary_key=True, server_default=_now),
    sa.Column("id", pg.UUID, primary_key=True, server_default=sa.text("uuidv7()")),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("coach_id", pg.UUID, nullable=False),
    sa.Column("group_external_id", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Index("access_log_by_coach", "coach_id"),
    sa.Index("access_log_by_time", "at"),
)

imports = sa.Table(
    "imports",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("id", pg.UUID, primary_key=True),
    sa.Column("status", sa.Text, nullable=False, server_default=sa.text("'queued'")),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("file", pg.BYTEA),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("sessions", sa.Integer, nullable=False),
    sa.Column("held_back", sa.Integer, nullable=False),
    sa.Column("error_lines", sa.Integer, nullable=False),
    *(
        sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))
        for name in ("worked_off", "created", "unchanged", "conflicting", "refused", "overlapping", "undone", "kept")
    ),
    sa.Column("kept_trainings", pg.ARRAY(pg.UUID), nullable=False, server_default=sa.text("'{}'")),
    sa.Column("errors", pg.JSONB, nullable=False, server_default=sa.text("'[]'")),
    sa.Column("failure", sa.Text),
    sa.Column("lease", sa.Text),
    _moment("leased_until", default=False),
    _moment("created_at"),
    _moment("finished_at", default=False),
    sa.Column("traceparent", sa.Text),
    sa.Column("claims", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    sa.Index("imports_under_way", "user_id", unique=True, postgresql_where=sa.text(_UNDER_WAY)),
    sa.Index("imports_waiting", "created_at", postgresql_where=sa.text(_UNDER_WAY)),
    sa.Index("imports_by_creation", "user_id", "created_at", "id"),
)

request_log = sa.Table(
    "request_log",
    metadata,
    sa.Column("at", pg.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("user_id", pg.UUID),
    sa.Column("actor", sa.Text),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("about_user", pg.UUID),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("ms", sa.REAL, nullable=False),
    sa.Index("request_log_at", "at", postgresql_using="brin"),
    sa.Index("request_log_by_user", "user_id", "at", postgresql_where=sa.text("user_id IS NOT NULL")),
    sa.Index("request_log_about_user", "about_user", "at", postgresql_where=sa.text("about_user IS NOT NULL")),
    postgresql_partition_by="RANGE (at)",
)

rate_usage = sa.Table(
    "rate_usage",
    metadata,
    sa.Column("bucket", pg.UUID, primary_key=True),
    sa.Column("minute", pg.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("used", sa.Integer, nullable=False),
    prefixes=["UNLOGGED"],
)

archive_folder = sa.Table(
    "archive_folder",
    metadata,
    sa.Column("one", sa.Boolean, sa.CheckConstraint("one"), primary_key=True, server_default=sa.true()),
    sa.Column("id", pg.UUID, nullable=False, server_default=sa.text("gen_random_uuid()")),
)

archives = sa.Table(
    "archives",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("trainings", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    _moment("created_at"),
)

archived_trainings = sa.Table(
    "archived_trainings",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("training_id", pg.UUID, primary_key=True),
    sa.Column("archive", sa.Integer, sa.ForeignKey("archives.id"), primary_key=True),
    sa.Column("first_version", sa.Integer, nullable=False),
    sa.Column("last_version", sa.Integer, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("source_id", sa.Text),
    sa.Index("archived_trainings_by_archive", "archive"),
)

erasure_key = sa.Table(
    "erasure_key",
    metadata,
    sa.Column("one", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("inner_block", pg.BYTEA, nullable=False),
    sa.Column("outer_block", pg.BYTEA, nullable=False),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("tombstone", pg.BYTEA, primary_key=True),
    _moment("erased_at"),
)

coached = sa.Table(
    "coached",
    metadata,
    sa.Column("coach_id", pg.UUID, primary_key=True),
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("actor", sa.Text, primary_key=True),
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("tombstone", pg.BYTEA, primary_key=True),
    sa.Column("user_id", pg.UUID),
    sa.Column("status", sa.Text, nullable=False, server_default=sa.text("'erasing'")),
    sa.Column("counts", pg.JSONB, nullable=False, server_default=sa.text("'{}'")),
    sa.Column("horizon", Xid8),
    sa.Column("actors", pg.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
    sa.Column("failure", sa.Text),
    sa.Column("event_seq", sa.BigInteger),
    sa.Column("lease", sa.Text),
    _moment("leased_until", default=False),
    _moment("created_at"),
    _moment("finished_at", default=False),
    _moment("published_at", default=False),
    sa.Index("erasures_waiting", "created_at", postgresql_where=sa.text("status <> 'done'")),
    sa.Index("erasures_announced", "finished_at", postgresql_where=sa.text("event_seq IS NOT NULL")),
)

load_bands = sa.Table(
    "load_bands",
    metadata,
    sa.Column("user_id", pg.UUID, primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("band", sa.Text),
    sa.Column("measure", sa.Text),
    sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("0")),
    _moment("next_at", default=False),
    sa.Index("load_bands_due", "next_at", postgresql_where=sa.text("next_at IS NOT NULL")),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True, cache=1), nullable=False),
    sa.Column("xid", Xid8, nullable=False, server_default=sa.text("pg_current_xact_id()")),
    sa.Column("event_id", pg.UUID, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("aggregate_type", sa.Text, nullable=False),
    sa.Column("aggregate_id", pg.UUID, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("user_id", pg.UUID, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("payload", sa.Text, nullable=False),
    _moment("created_at"),
    sa.Column("published_seq", sa.BigInteger),
    sa.Column("traceparent", sa.Text),
    sa.Index("outbox_seq", "seq"),
    sa.Index("outbox_xid", "xid", "seq"),
    sa.Index("outbox_aggregate", "user_id", "aggregate_id", "version"),
    postgresql_partition_by="RANGE (created_at)",
)
