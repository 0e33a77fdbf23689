"""The settings of the queues."""

from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.settings.section import SettingsSection


class QueueSection(SettingsSection):
    """How the per-instance queues send, retry and limit messages."""

    title = "Queue"

    pace_min_seconds: float = Field(
        1.0,
        ge=0,
        validation_alias="GATEWAY_PACE_MIN_SECONDS",
        description="Shortest pause in seconds before each message of an instance",
    )
    pace_max_seconds: float = Field(
        3.0,
        ge=0,
        validation_alias="GATEWAY_PACE_MAX_SECONDS",
        description="Longest pause in seconds before each message of an instance",
    )
    order: Literal["chat", "strict"] = Field(
        "chat",
        validation_alias="GATEWAY_QUEUE_ORDER",
        description="Order of a queue: chat lets other chats pass a message whose file is awaited, "
        "or that waits for its next attempt; strict lets the queue wait for the file, and the lane "
        "for the next attempt",
    )
    unknown_quote: Literal["quote", "omit"] = Field(
        "quote",
        validation_alias="GATEWAY_UNKNOWN_QUOTE",
        description="A reply to a message that the gateway does not know: quote names it by id, "
        "without its text; omit sends the reply without a quote",
    )
    send_timeout_seconds: float = Field(
        60.0,
        gt=0,
        validation_alias="GATEWAY_SEND_TIMEOUT_SECONDS",
        description="Seconds after which an attempt without an answer counts as unconfirmed",
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=100,
        validation_alias="GATEWAY_MAX_ATTEMPTS",
        description="Number of attempts after which a message fails",
    )
    retry_base_seconds: float = Field(
        5.0,
        ge=0,
        validation_alias="GATEWAY_RETRY_BASE_SECONDS",
        description="Pause in seconds after the first failed attempt; it doubles with each further "
        "one",
    )
    retry_cap_seconds: float = Field(
        300.0,
        ge=0,
        validation_alias="GATEWAY_RETRY_CAP_SECONDS",
        description="Longest pause in seconds between two attempts",
    )
    max_waiting: int = Field(
        100_000,
        ge=0,
        validation_alias="GATEWAY_QUEUE_MAX_WAITING",
        description="Number of messages that may wait in the queue of a connected instance; 0 sets "
        "no limit",
    )
    max_waiting_disconnected: int = Field(
        1_000,
        ge=0,
        validation_alias="GATEWAY_QUEUE_MAX_WAITING_DISCONNECTED",
        description="Number of messages that may wait in the queue of a disconnected instance; 0 "
        "sets no limit",
    )
    max_age_seconds: float = Field(
        0.0,
        ge=0,
        validation_alias="GATEWAY_QUEUE_MAX_AGE",
        description="Seconds after its due time at which a waiting message fails as expired; 0 "
        "sets no limit",
    )
    stalled_seconds: float = Field(
        30.0,
        gt=0,
        validation_alias="GATEWAY_QUEUE_STALLED_SECONDS",
        description="Seconds that a queue with a due message may stand still before that is an "
        "alarm and the gateway makes the queue go on",
    )
    daily_limit: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_DAILY_LIMIT",
        description="Number of messages that an instance may send per day (UTC); 0 sets no limit",
    )
    messages_per_minute: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_MESSAGES_PER_MINUTE",
        description="Number of messages that an instance may send in a minute, evenly spaced, such "
        "as 30; it adds to the pace and never shortens a pause; 0 sets no limit",
    )
    warm_up_days: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_WARM_UP_DAYS",
        description="Days in which the daily limit of a new instance grows to its full value",
    )
    number_lookup: bool = Field(
        default=True,
        validation_alias="GATEWAY_NUMBER_LOOKUP",
        description="Looks a number up once, before an instance sends to it for the first time: "
        "the message goes to the spelling that WhatsApp knows, and fails if WhatsApp knows none",
    )
    failed_days: int = Field(
        30,
        ge=1,
        validation_alias="GATEWAY_FAILED_DAYS",
        description="Days in which a failed message can be retried from the queue",
    )
    history_days: int = Field(
        365,
        ge=0,
        validation_alias="GATEWAY_HISTORY_DAYS",
        description="Days that history is stored, rounded up to whole months; 0 never deletes it",
    )

    @model_validator(mode="after")
    def _pace_is_a_range(self) -> Self:
        if self.pace_min_seconds > self.pace_max_seconds:
            raise ValueError("GATEWAY_PACE_MIN_SECONDS must not exceed GATEWAY_PACE_MAX_SECONDS")
        return self
