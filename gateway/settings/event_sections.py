"""The settings of what the gateway delivers to callers: webhooks, Kafka and URLs."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import Field

from gateway.environment import SPLIT_LIST, SPLIT_PAIRS, OptionalText
from gateway.settings.section import SettingsSection


class WebhookSection(SettingsSection):
    """How callbacks are posted and stored."""

    title = "Webhooks"

    timeout_seconds: float = Field(
        15.0,
        gt=0,
        validation_alias="GATEWAY_WEBHOOK_TIMEOUT_SECONDS",
        description="Seconds a receiver has to answer before the attempt counts as failed",
    )
    retry_base_seconds: float = Field(
        5.0,
        gt=0,
        validation_alias="GATEWAY_WEBHOOK_RETRY_BASE_SECONDS",
        description="Sets the pauses between attempts of a callback: 0.1, 0.2, 0.4, 1 and 3 times "
        "as many seconds, then 2.5 times the pause before, up to 6 hours",
    )
    max_attempts: int = Field(
        16,
        ge=1,
        le=100,
        validation_alias="GATEWAY_WEBHOOK_MAX_ATTEMPTS",
        description="Number of attempts after which a callback becomes a dead letter; the default "
        "takes about a day",
    )
    longest_outage_seconds: float = Field(
        86_400.0,
        gt=0,
        validation_alias="GATEWAY_WEBHOOK_LONGEST_OUTAGE_SECONDS",
        description="Seconds without a delivery after which each callback of a chat gets one "
        "attempt only",
    )
    history_days: int = Field(
        7,
        ge=1,
        le=365,
        validation_alias="GATEWAY_WEBHOOK_HISTORY_DAYS",
        description="Days that callbacks and their attempts are stored, for replay, for `/events`, "
        "for Kafka and for the delivery log",
    )
    dead_letter_days: int = Field(
        30,
        ge=1,
        le=365,
        validation_alias="GATEWAY_DEAD_LETTER_DAYS",
        description="Days that dead letters are stored",
    )


class KafkaSection(SettingsSection):
    """The brokers, what is published, and which topics are consumed."""

    title = "Kafka"

    servers: OptionalText = Field(
        None,
        validation_alias="GATEWAY_KAFKA_SERVERS",
        description="host:port of the brokers, with commas between; unset disables Kafka",
    )
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        validation_alias="GATEWAY_KAFKA_SECURITY",
        description="Security protocol of the brokers",
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", validation_alias="GATEWAY_KAFKA_MECHANISM", description="SASL mechanism"
    )
    username: OptionalText = Field(
        None, validation_alias="GATEWAY_KAFKA_USERNAME", description="SASL user name"
    )
    password: OptionalText = Field(
        None, validation_alias="GATEWAY_KAFKA_PASSWORD", description="SASL password"
    )
    idempotent: bool = Field(
        default=True,
        validation_alias="GATEWAY_KAFKA_IDEMPOTENT",
        description="Makes brokers drop repeated records of a producer; disable it only for "
        "brokers that cannot",
    )
    accounts: Annotated[tuple[str, ...], SPLIT_LIST] = Field(
        (),
        validation_alias="GATEWAY_KAFKA_ACCOUNTS",
        description="Ids or names of the accounts whose events are published, with commas between",
    )
    topic_message_status: str = Field(
        "whatsapp-message-status",
        validation_alias="GATEWAY_KAFKA_TOPIC_MESSAGE_STATUS",
        description="Topic of deliveries and message states",
    )
    topic_instance_status: str = Field(
        "whatsapp-instance-status",
        validation_alias="GATEWAY_KAFKA_TOPIC_INSTANCE_STATUS",
        description="Topic of connections",
    )
    topic_message_received: str = Field(
        "whatsapp-message-received",
        validation_alias="GATEWAY_KAFKA_TOPIC_MESSAGE_RECEIVED",
        description="Topic of received messages and presence",
    )
    send: Annotated[dict[str, str], SPLIT_PAIRS] = Field(
        {},
        validation_alias="GATEWAY_KAFKA_SEND",
        description="Topics with messages to send, each with the id or name of its account, such "
        "as `whatsapp-send-message=ACCOUNT`, with commas between; `*` as the account takes it from "
        "the `userId` of each record; unset consumes none",
    )
    schedule: Annotated[dict[str, str], SPLIT_PAIRS] = Field(
        {},
        validation_alias="GATEWAY_KAFKA_SCHEDULE",
        description="Topics with messages that name their time, each with its account, such as "
        "`whatsapp-schedule-message=ACCOUNT`, with commas between",
    )
    topic_refused: str = Field(
        "whatsapp-send-message-refused",
        validation_alias="GATEWAY_KAFKA_TOPIC_REFUSED",
        description="Topic of consumed messages that the gateway refused",
    )
    group: str = Field(
        "whatsapp-gateway",
        validation_alias="GATEWAY_KAFKA_GROUP",
        description="Consumer group of the nodes",
    )
    required: bool = Field(
        default=False,
        validation_alias="GATEWAY_KAFKA_REQUIRED",
        description="Makes `/ready` answer 503 while Kafka cannot be used; otherwise `/ready` only "
        "names the problem",
    )

    def published_topics(self) -> list[str]:
        """Returns the topics to which events are published, each once."""
        topics = (
            self.topic_message_status,
            self.topic_instance_status,
            self.topic_message_received,
        )
        return list(dict.fromkeys(topics))


class UrlSection(SettingsSection):
    """Which URLs the gateway visits, and the URL at which others reach it."""

    title = "URLs"

    allow_http: bool | None = Field(
        None,
        validation_alias="GATEWAY_ALLOW_HTTP",
        description="Permits http URLs for webhooks and media; by default only in development",
    )
    allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], SPLIT_LIST] = Field(
        (),
        validation_alias="GATEWAY_ALLOWED_NETWORKS",
        description="Networks that are not public and that webhooks and media may visit, with "
        "commas between; development adds loopback",
    )
    proxy_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], SPLIT_LIST] = Field(
        (),
        validation_alias="GATEWAY_PROXY_NETWORKS",
        description="Networks that are not public and in which proxies of instances may be, with "
        "commas between; development adds loopback",
    )
    public_url: OptionalText = Field(
        None,
        validation_alias="GATEWAY_PUBLIC_URL",
        description="URL at which receivers reach this gateway, for links to media; unset uses the "
        "address that the callers of an instance use",
    )
