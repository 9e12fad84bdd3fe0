"""Settings of the service, read once from the environment (prefix ``TRAINING_``) and frozen."""

from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import psycopg2
from psycopg2.extensions import parse_dsn
from pydantic import AnyHttpUrl, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting with its unit and meaning; the name in the environment is ``TRAINING_`` + the upper-case name.

    Raises pydantic's ``ValidationError`` when a value is missing or out of bounds: a worker with wrong settings
    does not start.
    """

    model_config = SettingsConfigDict(
        env_prefix="TRAINING_",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,  # a wrong value may be half of a password
    )

    # PostgreSQL
    database_url: SecretStr = Field(
        description="libpq URL under which workers connect; its role may only add to the outbox"
    )
    database_owner_url: SecretStr | None = Field(
        default=None, description="libpq URL of the schema's owner, for migrations and `analytics rebuild`"
    )
    database_listen_url: SecretStr | None = Field(
        default=None, description="libpq URL past the pooler, where `database_url` leads to one: for `LISTEN`"
    )
    replica_url: SecretStr | None = Field(
        default=None, description="libpq URL of a streaming replica, for reads of metrics and for exports"
    )
    pool_size: int = Field(default=10, ge=2, le=200, description="largest number of connections of one worker")
    pool_timeout: float = Field(default=5.0, gt=0, description="seconds a request waits for a connection before 503")
    statement_timeout: float = Field(default=8.0, gt=0, description="seconds after which PostgreSQL ends a statement")

    # Kafka
    kafka_bootstrap: str = Field(default="127.0.0.1:9092", description="host:port[,host:port…] of the brokers")
    kafka_idempotent: bool = Field(default=True, description="idempotent producer; off only on the embedded broker")
    kafka_security_protocol: str = Field(
        default="PLAINTEXT", pattern="^(SASL_)?(PLAINTEXT|SSL)$", description="how clients speak to the brokers"
    )
    kafka_ssl_ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities that brokers are trusted by, instead of the system's"
    )
    kafka_ssl_cert_file: Path | None = Field(
        default=None, description="PEM file of the client's certificate and chain, for mutual TLS"
    )
    kafka_ssl_key_file: Path | None = Field(
        default=None, description="PEM file of its key, unencrypted, where that is not in the certificate's file"
    )
    kafka_sasl_mechanism: str | None = Field(
        default=None,
        pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512|OAUTHBEARER)$",
        description="how clients say who they are",
    )
    kafka_sasl_username: str | None = Field(default=None, description="user name of PLAIN and SCRAM")
    kafka_sasl_password_file: Path | None = Field(default=None, description="file that holds the user's password")
    kafka_sasl_oauthbearer_token_endpoint_url: AnyHttpUrl | None = Field(
        default=None, description="address that gives tokens for client credentials"
    )
    kafka_sasl_oauthbearer_client_id: str | None = Field(default=None, description="the client's id there")
    kafka_sasl_oauthbearer_client_secret_file: Path | None = Field(
        default=None, description="file that holds the client's secret"
    )
    kafka_sasl_oauthbearer_scope: str | None = Field(default=None, description="scope that is asked for")
    events_topic: str = Field(
        default="training_events", pattern=r"^[A-Za-z0-9._-]{1,200}$", description="topic of the trainings' events"
    )
    workout_events_topic: str = Field(
        default="workout_events", pattern=r"^[A-Za-z0-9._-]{1,200}$", description="topic of the workouts' events"
    )
    exercise_events_topic: str = Field(
        default="exercise_events",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="topic of the events of own exercises and names",
    )
    insights_topic: str = Field(
        default="training_insights",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="topic of what follows from trainings: personal records, changes of load, form analyses",
    )
    phase_events_topic: str = Field(
        default="phase_events",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="topic of the events of phases and goals",
    )
    readiness_events_topic: str = Field(
        default="readiness_events",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="topic of the events of check-ins and of accepted advice: health data, to be read by few",
    )

    topic_partitions: int = Field(default=8, ge=1, le=1000, description="partitions that every topic is made with")
    topic_replication: int = Field(default=1, ge=1, le=10, description="replicas of each partition")
    topic_retention_days: float = Field(
        default=30, gt=0, description="days a record stays in a topic; the log in PostgreSQL is the history"
    )

    # The worker
    consumer_group: str = Field(default="training", description="Kafka consumer group: the same for all workers")
    web_host: str = Field(default="127.0.0.1", description="address to listen on")
    web_port: int = Field(default=8080, ge=1, le=65535, description="port to listen on")
    max_body_bytes: int = Field(default=1_048_576, ge=1024, description="largest request body; beyond it 413")
    web_connections: int = Field(
        default=1000, ge=10, le=100_000, description="most open connections; beyond it the one idle longest is closed"
    )
    web_idle: float = Field(
        default=75, gt=0, description="seconds a connection without a request stays open; longer than the balancer's"
    )
    web_patience: float = Field(
        default=30, gt=0, description="seconds a client may take for a request's head, its body, and to read the answer"
    )
    hsts_seconds: int = Field(
        default=0, ge=0, description="max-age of Strict-Transport-Security; for a service behind TLS alone; 0: none"
    )
    stop_grace: float = Field(default=8.0, gt=0, description="seconds a stopping worker has before it exits hard")
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="least level that is logged"
    )
    log_format: str = Field(
        default="json", pattern="^(json|console)$", description="one JSON object a line, or text for a terminal"
    )

    # Who may come in
    jwt_secret: SecretStr | None = Field(default=None, description="shared secret of HS256 tokens, 32 bytes at least")
    jwks_url: AnyHttpUrl | None = Field(default=None, description="address of the key set of RS256 and ES256 tokens")
    jwt_audience: str | None = Field(default=None, description="`aud` that a token must name")
    jwt_issuer: str | None = Field(default=None, description="`iss` that a token must name")
    jwt_leeway: float = Field(default=10.0, ge=0, le=300, description="seconds of clock difference forgiven")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="origins, divided by commas, whose pages may call the API"
    )

    # The outbox
    relay_enabled: bool = Field(default=True, description="off where something else publishes the log, as Debezium")
    relay_interval: float = Field(default=0.1, gt=0, le=60, description="seconds between the Faust timer's ticks")
    relay_batch: int = Field(default=2500, ge=1, le=100_000, description="most records published before one ack")
    relay_lease: float = Field(default=5.0, ge=1, le=60, description="seconds a silent relay keeps the lease")
    relay_ack_timeout: float = Field(default=10.0, gt=0, description="seconds to wait for the broker's acknowledgement")
    idempotency_hours: float = Field(default=24, ge=24, description="hours that an Idempotency-Key's answer is kept")

    archive_dir: Path | None = Field(
        default=None, description="folder of the archived part of the log, which all workers and commands share"
    )

    pipeline_lag: float = Field(
        default=30, gt=0, description="seconds that relay or fold may be behind before /health/pipeline says 503"
    )

    # What one user may ask
    rate_reads: int = Field(
        default=1200,
        ge=0,
        le=1_000_000,
        description="most GETs and HEADs of one user in a minute; beyond it 429; 0: any",
    )
    rate_writes: int = Field(
        default=600, ge=0, le=1_000_000, description="most other requests of one user in a minute, likewise"
    )
    imports_per_hour: int = Field(
        default=20, ge=1, le=10_000, description="most files that one user may import in an hour; beyond it 429"
    )

    # Users who leave
    erasure_secret: SecretStr | None = Field(
        default=None, description="what tombstones of erased users are made with, 32 bytes at least"
    )
    erasure_grace_days: float = Field(
        default=7, ge=0, le=3_650, description="days that the log keeps the event of an erasure after it went out"
    )

    # What is kept for a time only
    request_log_days: int = Field(
        default=365, ge=7, le=36_500, description="days that the log of requests is kept, and up to a month more"
    )
    access_log_days: int = Field(
        default=365, ge=7, le=36_500, description="days that athletes are told of coaches' accesses"
    )
    import_days: int = Field(
        default=365, ge=7, le=36_500, description="days that a finished import is kept, and can be undone"
    )

    # The agents
    fold_batch: int = Field(default=500, ge=1, le=10_000, description="most records of a partition in one fetch")

    @field_validator("database_url", "database_owner_url", "database_listen_url", "replica_url")
    @classmethod
    def _readable(cls, url: SecretStr | None) -> SecretStr | None:
        """Now, and in words of ours: what libpq cannot read, or takes for a host or a port, it puts into its errors."""
        if url is not None:
            try:
                parts = parse_dsn(url.get_secret_value().replace("postgresql+psycopg2://", "postgresql://", 1))
            except psycopg2.ProgrammingError:
                raise ValueError("is no URL that libpq can read") from None
            if "@" in parts.get("host", "") or not parts.get("port", "0").replace(",", "").isdecimal():
                raise ValueError("has no readable host and port; in a password @ is written %40, / %2F and : %3A")
        return url

    @field_validator("kafka_sasl_oauthbearer_token_endpoint_url", "jwks_url")
    @classmethod
    def _private(cls, url: AnyHttpUrl | None) -> AnyHttpUrl | None:
        """Secrets, and the keys that all tokens are trusted by, go in clear over no network."""
        if url is not None and url.scheme != "https" and not _loopback(url.host or ""):
            raise ValueError("must begin with https://; http:// is for a loopback address alone")
        return url

    @field_validator("kafka_sasl_oauthbearer_token_endpoint_url")
    @classmethod
    def _without_user(cls, url: AnyHttpUrl | None) -> AnyHttpUrl | None:
        """Nothing secret stands in it: it is logged, and said by `/health/pipeline`."""
        if url is not None and (url.username or url.password):
            raise ValueError("must hold no user and no password; the client's id and secret have their own settings")
        return url

    @field_validator("erasure_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < 32:
            raise ValueError("needs 32 bytes at least")
        return secret

    @model_validator(mode="before")
    @classmethod
    def _split_origins(cls, values: dict[str, object]) -> dict[str, object]:
        origins = values.get("cors_origins")
        if isinstance(origins, str):
            values["cors_origins"] = tuple(part.strip() for part in origins.split(",") if part.strip())
        return values

    @model_validator(mode="after")
    def _one_way_to_kafka(self) -> "Settings":
        """Whatever of `kafka_ssl_…` and `kafka_sasl_…` the others need is given, and nothing that they leave unused."""
        protocol, mechanism = self.kafka_security_protocol, self.kafka_sasl_mechanism
        needed, optional = set(), set()
        if protocol.endswith("SSL"):
            optional |= {"kafka_ssl_ca_file", "kafka_ssl_cert_file", "kafka_ssl_key_file"}
            if self.kafka_ssl_key_file is not None:
                needed.add("kafka_ssl_cert_file")
        if protocol.startswith("SASL"):
            needed.add("kafka_sasl_mechanism")
            if mechanism == "OAUTHBEARER":
                oauth = "kafka_sasl_oauthbearer"
                needed |= {f"{oauth}_token_endpoint_url", f"{oauth}_client_id", f"{oauth}_client_secret_file"}
                optional.add(f"{oauth}_scope")
            elif mechanism is not None:
                needed |= {"kafka_sasl_username", "kafka_sasl_password_file"}
        given = {name for name, value in self if name.startswith(("kafka_ssl_", "kafka_sasl_")) and value is not None}
        place = f"with TRAINING_KAFKA_SECURITY_PROTOCOL={protocol}" + (f" and {mechanism}" if mechanism else "")
        for name in sorted(needed - given):
            raise ValueError(f"TRAINING_{name.upper()} is needed {place}")
        for name in sorted(given - needed - optional):
            raise ValueError(f"TRAINING_{name.upper()} means nothing {place}")
        return self

    @model_validator(mode="after")
    def _one_way_in(self) -> "Settings":
        if self.jwt_secret is None and self.jwks_url is None:
            raise ValueError("TRAINING_JWT_SECRET or TRAINING_JWKS_URL is needed: no request could be let in")
        if self.jwt_secret is not None and len(self.jwt_secret.get_secret_value().encode()) < 32:
            raise ValueError("TRAINING_JWT_SECRET needs 32 bytes at least (RFC 7518, 3.2)")
        return self

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that events go to: trainings, what they are made from, and what follows from them."""
        return (
            self.events_topic,
            self.workout_events_topic,
            self.exercise_events_topic,
            self.phase_events_topic,
            self.readiness_events_topic,
            self.insights_topic,
        )

    @property
    def worker_url(self) -> str:
        """`database_url`, in clear."""
        return self.database_url.get_secret_value()

    @property
    def owner_url(self) -> str:
        """URL of the schema's owner: `database_owner_url`, or `database_url` where one role does both."""
        return (self.database_owner_url or self.database_url).get_secret_value()


def _loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
