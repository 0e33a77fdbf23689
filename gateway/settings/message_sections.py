"""The settings of what callers send: requests, instances, queue and media."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.environment import SPLIT_LIST, OptionalText
from gateway.settings.section import Section


class HttpSection(Section):
    """The limits of requests, and the proxies in front of the public listener."""

    title = "Requests"

    max_body_bytes: int = Field(
        1_048_576,
        ge=1_024,
        validation_alias="GATEWAY_MAX_BODY_BYTES",
        description="Largest size in bytes of a request body without its files; a larger one is "
        "answered 413",
    )
    max_media_body_bytes: int = Field(
        104_857_600,
        ge=1_024,
        validation_alias="GATEWAY_MAX_MEDIA_BODY_BYTES",
        description="Largest size in bytes of a request body with its files",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], SPLIT_LIST] = Field(
        (),
        validation_alias="GATEWAY_TRUSTED_PROXIES",
        description="Networks of the proxies in front of the gateway, with commas between; the "
        "gateway believes their X-Forwarded-For for the allowed addresses of accounts, and their "
        "X-Forwarded-Host and X-Forwarded-Proto for links to media",
    )
    account_requests_per_second: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_ACCOUNT_REQUESTS_PER_SECOND",
        description="Requests per second of an account that each node accepts; 0 sets no limit",
    )
    account_requests_burst: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_ACCOUNT_REQUESTS_BURST",
        description="Requests of an account that may come at once; 0 allows as many as per second",
    )
    account_max_uploads: int = Field(
        500,
        ge=1,
        validation_alias="GATEWAY_ACCOUNT_MAX_UPLOADS",
        description="Number of request bodies of an account that may arrive at once on a node; "
        "further ones are answered 429",
    )
    instance_requests_per_second: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_INSTANCE_REQUESTS_PER_SECOND",
        description="Requests per second of an instance that each node accepts; 0 sets no limit",
    )
    instance_requests_burst: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_INSTANCE_REQUESTS_BURST",
        description="Requests of an instance that may come at once; 0 allows as many as per second",
    )


class InstanceSection(Section):
    """What a new instance gets."""

    title = "Instances"

    provider: OptionalText = Field(
        None,
        validation_alias="GATEWAY_PROVIDER",
        description="Provider of a new instance whose creator names none; by default the only one "
        "that is installed, in development a simulated one",
    )
    trials: bool = Field(
        default=False,
        validation_alias="GATEWAY_TRIALS",
        description="Stops the sending of an instance when its trial ends",
    )


class QueueSection(Section):
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
    daily_limit: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_DAILY_LIMIT",
        description="Number of messages that an instance may send per day (UTC); 0 sets no limit",
    )
    warm_up_days: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_WARM_UP_DAYS",
        description="Days in which the daily limit of a new instance grows to its full value",
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


class MediaSection(Section):
    """How files are fetched, converted and stored."""

    title = "Media"

    timeout_seconds: float = Field(
        60.0,
        gt=0,
        validation_alias="GATEWAY_MEDIA_TIMEOUT_SECONDS",
        description="Seconds in which a file that a URL names must be downloaded",
    )
    retention_days: int = Field(
        30,
        ge=1,
        le=3_650,
        validation_alias="GATEWAY_MEDIA_RETENTION_DAYS",
        description="Days that files are stored and links to them work",
    )
    processes: int = Field(
        2,
        ge=1,
        le=64,
        validation_alias="GATEWAY_MEDIA_PROCESSES",
        description="Number of files that are converted at the same time",
    )
    bucket: OptionalText = Field(
        None,
        validation_alias="GATEWAY_MEDIA_BUCKET",
        description="S3 bucket for files; unset stores them below the data directory",
    )
    bucket_prefix: OptionalText = Field(
        None,
        validation_alias="GATEWAY_MEDIA_BUCKET_PREFIX",
        description="Folder inside the bucket",
    )
    bucket_endpoint: OptionalText = Field(
        None,
        validation_alias="GATEWAY_MEDIA_BUCKET_ENDPOINT",
        description="URL of the S3 service; unset uses Amazon's",
    )
    bucket_region: OptionalText = Field(
        None,
        validation_alias="GATEWAY_MEDIA_BUCKET_REGION",
        description="Region of the bucket",
    )
    bucket_access_key_id: OptionalText = Field(
        None,
        validation_alias="GATEWAY_MEDIA_BUCKET_ACCESS_KEY_ID",
        description="Id of the access key; unset uses the AWS_ variables or the machine's role",
    )
    bucket_secret_access_key: OptionalText = Field(
        None,
        validation_alias="GATEWAY_MEDIA_BUCKET_SECRET_ACCESS_KEY",
        description="Secret of the access key",
    )
