"""The settings of a process: its work, listeners, storage, database, name and logs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.environment import BLANK_IS_ABSENT, OptionalText
from gateway.settings.section import SettingsSection

_MAX_NODE_NAME_LENGTH = 40  # a notification channel carries it


class Role(StrEnum):
    """The work of a node; the nodes of one database together must do all of it."""

    ALL = "all"
    API = "api"
    SENDER = "sender"
    WEBHOOKS = "webhooks"

    @property
    def serves(self) -> bool:
        """Answers callers."""
        return self in {Role.ALL, Role.API}

    @property
    def sends(self) -> bool:
        """Runs sessions and sends through them."""
        return self in {Role.ALL, Role.SENDER}

    @property
    def posts(self) -> bool:
        """Posts callbacks."""
        return self in {Role.ALL, Role.WEBHOOKS}


class ProcessSection(SettingsSection):
    """What this process does, and when it ends."""

    title = "Process"

    env: Literal["development", "production"] = Field(
        "production",
        validation_alias="GATEWAY_ENV",
        description="`development` creates a demo account and permits what is unsafe in production",
    )
    role: Role = Field(
        Role.ALL,
        validation_alias="GATEWAY_ROLE",
        description="Work of this node: `api` answers HTTP, `sender` sends, `webhooks` posts "
        "callbacks, `all` does everything",
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        validation_alias="GATEWAY_WORKERS",
        description="Number of processes on this machine; each is a node",
    )
    drain_seconds: float = Field(
        30.0,
        gt=0,
        validation_alias="GATEWAY_DRAIN_SECONDS",
        description="Seconds that work in flight has to end after a stop signal",
    )


class ListenerSection(SettingsSection):
    """The public and the internal HTTP listener."""

    title = "Listeners"

    host: str = Field(
        "127.0.0.1",
        validation_alias="GATEWAY_HOST",
        description="Address of the public listener",
    )
    port: int = Field(
        8080,
        ge=0,
        le=65535,
        validation_alias="GATEWAY_PORT",
        description="Port of the public listener; 0 takes any free port",
    )
    allow_remote: bool = Field(
        default=False,
        validation_alias="GATEWAY_ALLOW_REMOTE",
        description="Permits `GATEWAY_HOST` in development to be an address that other machines "
        "can reach",
    )
    docs: bool = Field(
        default=True,
        validation_alias="GATEWAY_DOCS",
        description="Serves /docs and /openapi.json",
    )
    panel: bool = Field(
        default=True,
        validation_alias="GATEWAY_PANEL",
        description="Serves the pages below /panel, to which / leads in a browser",
    )
    panel_requests_per_second: float = Field(
        20.0,
        ge=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_PANEL_REQUESTS_PER_SECOND",
        description="Requests per second of a user of the panel that each node accepts, with ten "
        "seconds' worth at once; an address may make five times as many; 0 sets no limit",
    )
    internal_host: str = Field(
        "127.0.0.1",
        validation_alias="GATEWAY_INTERNAL_HOST",
        description="Address of the internal listener, which serves /metrics, /health and /ready",
    )
    internal_port: int = Field(
        9464,
        ge=0,
        le=65535,
        validation_alias="GATEWAY_INTERNAL_PORT",
        description="Port of the internal listener; 0 takes any free port; each further worker "
        "takes the next port",
    )
    internal_address: OptionalText = Field(
        None,
        validation_alias="GATEWAY_INTERNAL_ADDRESS",
        description="URL at which other nodes reach the internal listener; by default its host "
        "and port",
    )
    max_connections: int = Field(
        10_000,
        ge=16,
        validation_alias="GATEWAY_MAX_CONNECTIONS",
        description="Number of connections to the public listener, or three quarters of the files "
        "that the system lets the process open; beyond it the one that has waited longest for a "
        "request, or for its client to read, is closed, or the new one is answered 503",
    )
    header_seconds: float = Field(
        20.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_HEADER_SECONDS",
        description="Seconds in which the headers of a request must arrive; a slower one is "
        "answered 408",
    )
    body_idle_seconds: float = Field(
        30.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_BODY_IDLE_SECONDS",
        description="Seconds without a byte after which an unfinished body is answered 408",
    )
    body_bytes_per_second: float = Field(
        500.0,
        ge=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_BODY_BYTES_PER_SECOND",
        description="Lowest average rate of a body in bytes per second; a slower one is answered "
        "408; 0 sets no limit",
    )
    keep_alive_seconds: int = Field(
        75,
        ge=1,
        validation_alias="GATEWAY_KEEP_ALIVE_SECONDS",
        description="Seconds that a connection stays open between two requests; more than the "
        "proxies in front of the gateway wait",
    )
    metrics_on_public: bool = Field(
        default=False,
        validation_alias="GATEWAY_METRICS_ON_PUBLIC",
        description="Serves /metrics on the public listener, too",
    )


class StorageSection(SettingsSection):
    """The data directory and the secret that encrypts tokens."""

    title = "Data directory and secret"

    data_dir: Path = Field(
        Path(".data"),
        validation_alias="GATEWAY_DATA_DIR",
        description="Folder of the embedded Postgres, the secret, media files and `demo.env`",
    )
    secret_key: OptionalText = Field(
        None,
        validation_alias="GATEWAY_SECRET_KEY",
        description="Encrypts instance tokens and content; earlier secrets, which still decrypt, "
        "follow after commas; production requires it, development creates it",
    )

    payload_encryption: bool = Field(
        default=False,
        validation_alias="GATEWAY_PAYLOAD_ENCRYPTION",
        description="Encrypts the content of messages and callbacks in Postgres, for accounts "
        "without a rule of their own; set it only after every node runs this release",
    )

    def secrets(self) -> tuple[str, ...]:
        """Returns the current secret first, then the earlier ones."""
        return tuple(s.strip() for s in (self.secret_key or "").split(",") if s.strip())


class DatabaseSection(SettingsSection):
    """How the gateway reaches Postgres."""

    title = "Database"

    url: OptionalText = Field(
        None,
        validation_alias="DATABASE_URL",
        description="libpq URL of a Postgres 14 or newer; unset starts an embedded Postgres in "
        "development",
    )
    embedded: bool = Field(
        default=False,
        validation_alias="GATEWAY_EMBEDDED_POSTGRES",
        description="Starts an embedded Postgres in production, too, where `DATABASE_URL` is unset",
    )
    direct_url: OptionalText = Field(
        None,
        validation_alias="GATEWAY_DIRECT_DATABASE_URL",
        description="libpq URL without a pooler for LISTEN and migrations; "
        "set it where `DATABASE_URL` leads to a transaction pooler",
    )
    pool_size: int = Field(
        10,
        ge=4,
        le=500,
        validation_alias="GATEWAY_DATABASE_POOL_SIZE",
        description="Largest number of connections in the pool of a process",
    )
    statement_seconds: float = Field(
        10.0,
        ge=0.5,
        le=300,
        validation_alias="GATEWAY_STATEMENT_SECONDS",
        description="Seconds that Postgres has for a statement, from the wait for a connection to "
        "the answer, before the gateway drops the connection; callers get 503 within this time",
    )

    def prepares_statements(self) -> bool:
        """Says whether statements may be prepared; a transaction pooler loses them."""
        return self.direct_url is None


class NodeSection(SettingsSection):
    """How nodes of one database know each other."""

    title = "Nodes and leases"

    name: Annotated[
        Annotated[str, Field(max_length=_MAX_NODE_NAME_LENGTH)] | None, BLANK_IS_ABSENT
    ] = Field(
        None,
        validation_alias="GATEWAY_NODE_NAME",
        description="Name of this process among the nodes; by default host name and port",
    )
    lease_seconds: float = Field(
        8.0,
        gt=1,
        validation_alias="GATEWAY_LEASE_SECONDS",
        description="Seconds without a sign of life after which other nodes take over the "
        "sessions of a node",
    )


class ObservabilitySection(SettingsSection):
    """Logs, metrics, error reports and the audit log."""

    title = "Logs, metrics and audit"

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        validation_alias="GATEWAY_LOG_LEVEL",
        description="Lowest level that is logged; DEBUG logs every request",
    )
    log_format: Literal["auto", "json", "pretty"] = Field(
        "auto",
        validation_alias="GATEWAY_LOG_FORMAT",
        description="Format of the log; `auto` is pretty on a terminal and JSON elsewhere",
    )
    metrics_by_instance: bool = Field(
        default=False,
        validation_alias="GATEWAY_METRICS_BY_INSTANCE",
        description="Labels message metrics with instance_id, which costs memory",
    )
    audit_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        90,
        validation_alias="GATEWAY_AUDIT_DAYS",
        description="Days that administrative acts are stored",
    )
    traffic_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        90,
        validation_alias="GATEWAY_TRAFFIC_DAYS",
        description="Days that the sums behind `GET /account/statistics` are stored",
    )
    sentry_dsn: OptionalText = Field(
        None,
        validation_alias="GATEWAY_SENTRY_DSN",
        description="DSN of the Sentry project that gets unexpected errors",
    )
