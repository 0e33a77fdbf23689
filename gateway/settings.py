"""Everything read from the environment, once, at start; a misspelt name refuses to start."""

import ipaddress
from collections.abc import Mapping, Sequence
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.environment import (
    BLANK_IS_ABSENT,
    SPLIT_LIST,
    SPLIT_PAIRS,
    Optional,
    read_variables,
)
from gateway.public_address import AddressPolicy

_MIN_SECRET_LENGTH = 32
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_MAX_NODE_NAME_LENGTH = 40  # a notification channel carries it


class Role(StrEnum):
    """What a node does; together the nodes must do it all."""

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
        """Holds sessions and sends through them."""
        return self in {Role.ALL, Role.SENDER}

    @property
    def posts(self) -> bool:
        """Posts callbacks."""
        return self in {Role.ALL, Role.WEBHOOKS}


class Settings(BaseModel):
    """One field per variable: `GATEWAY_` and its name in capitals; times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["development", "production"] = Field(
        "production", description="`development` makes a demo account and relaxes what is unsafe"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on")
    internal_host: str = Field(
        "127.0.0.1", description="address of the internal listener: /metrics, /health, /ready"
    )
    internal_port: int = Field(
        9464,
        ge=0,
        le=65535,
        description="its port; 0 takes any free one; each of several workers takes the next",
    )
    internal_address: Optional = Field(
        None,
        description="URL at which other nodes reach the internal listener; by default its host "
        "and port",
    )
    role: Role = Field(
        Role.ALL, description="what this node does: answers HTTP, sends, posts callbacks, or all"
    )
    workers: int = Field(1, ge=1, le=256, description="processes on this machine, each a node")
    metrics_on_public: bool = Field(
        default=False, description="also serves /metrics on the public address"
    )
    metrics_by_instance: bool = Field(
        default=False, description="labels message metrics with instance_id; costs memory"
    )
    docs: bool = Field(default=True, description="serves /docs and /openapi.json")
    allow_remote: bool = Field(
        default=False, description="lets development listen on an address others can reach"
    )
    data_dir: Path = Field(
        Path(".data"), description="embedded Postgres, the secret and `demo.env` live here"
    )
    database_url: Optional = Field(
        None,
        description="Postgres >= 14 as a libpq URL; unset starts an embedded one in development",
    )
    embedded_postgres: bool = Field(
        default=False,
        description="lets production start an embedded Postgres where `DATABASE_URL` is unset",
    )
    direct_database_url: Optional = Field(
        None,
        description="for LISTEN, migrations and the tables of a provider's library, where "
        "`DATABASE_URL` is a transaction pooler",
    )
    database_pool_size: int = Field(10, ge=4, le=500, description="connections at most")
    secret_key: Optional = Field(
        None,
        description="encrypts instance tokens; after a comma, earlier ones that still decrypt; "
        "required in production, made once in development",
    )
    node_name: Annotated[
        Annotated[str, Field(max_length=_MAX_NODE_NAME_LENGTH)] | None, BLANK_IS_ABSENT
    ] = Field(None, description="names this process among others; by default host name and port")
    lease_seconds: float = Field(
        8.0, gt=1, description="after so long without a sign of life others take our sessions"
    )
    pace_min_seconds: float = Field(1.0, ge=0, description="shortest pause before a message")
    pace_max_seconds: float = Field(3.0, ge=0, description="longest pause before a message")
    send_timeout_seconds: float = Field(
        60.0, gt=0, description="an attempt without an answer counts as unconfirmed after this"
    )
    max_attempts: int = Field(3, ge=1, le=100, description="attempts per message")
    retry_base_seconds: float = Field(5.0, ge=0, description="pause after the first failure")
    retry_cap_seconds: float = Field(300.0, ge=0, description="longest pause between attempts")
    queue_max_waiting: int = Field(
        100_000, ge=0, description="messages that may wait per connected instance; 0: no limit"
    )
    queue_max_waiting_disconnected: int = Field(
        1_000, ge=0, description="the same while it is disconnected; 0: no limit"
    )
    queue_max_age: float = Field(
        0.0,
        ge=0,
        description="a message that has waited so long since it was due fails as expired; 0: never",
    )
    daily_limit: int = Field(
        0, ge=0, description="messages that leave an instance per day (UTC); 0: no limit"
    )
    warm_up_days: int = Field(
        0, ge=0, description="a new instance comes up to its daily limit in as many days"
    )
    failed_days: int = Field(
        30, ge=1, description="days that a failed message can be tried again from the queue"
    )
    history_days: int = Field(
        365, ge=0, description="days that history is kept, in whole months; 0: for ever"
    )
    max_body_bytes: int = Field(
        1_048_576,
        ge=1_024,
        description="bytes of the largest request body without its files; more is answered 413",
    )
    max_media_body_bytes: int = Field(
        104_857_600, ge=1_024, description="bytes of the largest request body with its files"
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], SPLIT_LIST] = Field(
        (),
        description="networks of the proxies before us, with commas between: what they write "
        "into X-Forwarded-For is believed, for the accounts' lists of allowed addresses, and "
        "X-Forwarded-Host and X-Forwarded-Proto, for links to media",
    )
    account_requests_per_second: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="requests of an account per node; 0: no limit"
    )
    account_requests_burst: int = Field(
        0, ge=0, description="of these, how many may come at once; 0: as many as in a second"
    )
    instance_requests_per_second: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="requests of an instance per node; 0: no limit"
    )
    instance_requests_burst: int = Field(
        0, ge=0, description="of these, how many may come at once; 0: as many as in a second"
    )
    provider: Optional = Field(
        None,
        description="how a new instance reaches WhatsApp when its creator names no way; by default "
        "the only provider there is, in development a simulated one",
    )
    trials: bool = Field(
        default=False, description="instances stop sending when their trial is over"
    )
    webhook_timeout_seconds: float = Field(
        15.0, gt=0, description="a receiver that has not answered by then did not take it"
    )
    webhook_retry_base_seconds: float = Field(
        5.0, gt=0, description="pause after the first callback that is not taken; it grows"
    )
    webhook_max_attempts: int = Field(
        12, ge=1, le=100, description="attempts per callback, within about a day by default"
    )
    webhook_longest_outage_seconds: float = Field(
        86_400.0,
        gt=0,
        description="a chat of which nothing was taken for so long tries each callback once more",
    )
    webhook_history_days: int = Field(
        7,
        ge=1,
        le=365,
        description="what was told, and what became of each attempt, is kept so long: for replay, "
        "for other roads and for the log of deliveries",
    )
    dead_letter_days: int = Field(
        30, ge=1, le=365, description="callbacks that were given up are kept so long"
    )
    kafka_servers: Optional = Field(
        None, description="host:port of Kafka's brokers, with commas between; unset: no Kafka"
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how its brokers are spoken to"
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="of SASL"
    )
    kafka_username: Optional = Field(None, description="for SASL")
    kafka_password: Optional = Field(None, description="for SASL")
    kafka_idempotent: bool = Field(
        default=True,
        description="brokers drop what a producer repeats; off only for those that cannot",
    )
    kafka_accounts: Annotated[tuple[str, ...], SPLIT_LIST] = Field(
        (),
        description="ids or names of the accounts whose events go to Kafka too, with commas "
        "between",
    )
    kafka_topic_message_status: str = Field(
        "whatsapp-message-status", description="topic of deliveries and message states"
    )
    kafka_topic_instance_status: str = Field(
        "whatsapp-instance-status", description="topic of connections"
    )
    kafka_topic_message_received: str = Field(
        "whatsapp-message-received", description="topic of what comes in, presence among it"
    )
    kafka_send: Annotated[dict[str, str], SPLIT_PAIRS] = Field(
        {},
        description="topics that messages to send are taken from, each with its account, such as "
        "`whatsapp-send-message=ACCOUNT`, with commas between; off by default",
    )
    kafka_schedule: Annotated[dict[str, str], SPLIT_PAIRS] = Field(
        {},
        description="the same for messages that name their time, such as "
        "`whatsapp-schedule-message=ACCOUNT`",
    )
    kafka_topic_refused: str = Field(
        "whatsapp-send-message-refused", description="topic of what could not be accepted"
    )
    kafka_group: str = Field("whatsapp-gateway", description="group of the processes that take")
    allow_http: bool | None = Field(
        None, description="lets callers give http URLs; by default only in development"
    )
    allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], SPLIT_LIST] = Field(
        (),
        description="networks that are not public and may yet be visited by webhooks and media, "
        "with commas between; in development also loopback",
    )
    public_url: Optional = Field(
        None,
        description="URL at which others reach this gateway, for links to media; unset uses the "
        "address that the callers of an instance use",
    )
    media_timeout_seconds: float = Field(
        60.0, gt=0, description="a file that a URL names must be there by then"
    )
    media_retention_days: int = Field(
        30, ge=1, le=3_650, description="how long files, and the links to them, live"
    )
    media_processes: int = Field(
        2, ge=1, le=64, description="how many files are converted at the same time"
    )
    media_bucket: Optional = Field(
        None, description="S3 bucket for files; unset keeps them in a folder of the data directory"
    )
    media_bucket_prefix: Optional = Field(None, description="folder inside the bucket")
    media_bucket_endpoint: Optional = Field(
        None, description="URL of what speaks S3, where it is not Amazon's"
    )
    media_bucket_region: Optional = Field(None, description="region of the bucket")
    media_bucket_access_key_id: Optional = Field(
        None, description="unset uses the AWS_ variables, or the machine's own role"
    )
    media_bucket_secret_access_key: Optional = Field(None, description="the secret of that key")
    drain_seconds: float = Field(
        30.0, gt=0, description="what is under way may take this long after a stop signal"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG logs every request"
    )
    log_format: Literal["auto", "json", "pretty"] = Field(
        "auto", description="auto is pretty on a terminal"
    )
    audit_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        90, description="how long administrative acts are kept"
    )
    sentry_dsn: Optional = Field(None, description="where unexpected errors are reported")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.pace_min_seconds > self.pace_max_seconds:
            raise ValueError("GATEWAY_PACE_MIN_SECONDS must not exceed GATEWAY_PACE_MAX_SECONDS")
        if self.env == "development":
            if not self.allow_remote and not _is_loopback(self.host):
                raise ValueError(
                    f"GATEWAY_HOST={self.host} can be reached by others, and development has a "
                    "demo account: set GATEWAY_ENV=production, or GATEWAY_ALLOW_REMOTE=true"
                )
        elif not self.secrets() or any(len(s) < _MIN_SECRET_LENGTH for s in self.secrets()):
            raise ValueError(
                "production needs GATEWAY_SECRET_KEY with at least 32 characters, for example "
                "from `openssl rand -hex 32`"
            )
        return self

    def prepares_statements(self) -> bool:
        """Not behind a transaction pooler, which hands each statement to another connection."""
        return self.direct_database_url is None

    def address_policy(self) -> AddressPolicy:
        """Where webhooks and media may lead."""
        development = self.env == "development"
        return AddressPolicy(
            allow_http=development if self.allow_http is None else self.allow_http,
            allowed=(*self.allowed_networks, *(_LOOPBACK if development else ())),
        )

    def secrets(self) -> tuple[str, ...]:
        """The current secret first, then earlier ones."""
        return tuple(s.strip() for s in (self.secret_key or "").split(",") if s.strip())

    @classmethod
    def read(cls, environment: Mapping[str, str], *, foreign_prefixes: Sequence[str] = ()) -> Self:
        """The settings of this process.

        Args:
            environment: usually `os.environ`.
            foreign_prefixes: prefixes of the variables that providers read for themselves.

        Raises:
            InvalidSettings: a name is unknown or a value unusable; says which.
        """
        foreign = tuple(foreign_prefixes)
        return read_variables(
            cls, {n: v for n, v in environment.items() if not n.startswith(foreign)}
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
