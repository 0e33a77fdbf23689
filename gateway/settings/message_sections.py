"""The settings of what callers send: requests, instances and media."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, field_validator

from gateway.environment import SPLIT_LIST, OptionalText
from gateway.settings.section import SettingsSection

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")


class HttpSection(SettingsSection):
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
    cors_origins: Annotated[tuple[str, ...], SPLIT_LIST] = Field(
        (),
        validation_alias="GATEWAY_CORS_ORIGINS",
        description="Origins of web pages whose scripts may call the API, with commas between, "
        "such as https://shop.example.com; a token in a page is known to everybody who opens it",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], SPLIT_LIST] = Field(
        (),
        validation_alias="GATEWAY_TRUSTED_PROXIES",
        description="Networks of the proxies in front of the gateway, with commas between; the "
        "gateway believes their X-Forwarded-For for the allowed addresses of accounts, and their "
        "X-Forwarded-Host and X-Forwarded-Proto for links to media",
    )

    named_api: bool = Field(
        default=False,
        validation_alias="GATEWAY_NAMED_API",
        description="Serves the routes of an account that name the instance by its id or its name, "
        "below /api; docs/named-api.md describes them",
    )
    named_api_wait_seconds: int = Field(
        0,
        ge=0,
        le=60,
        validation_alias="GATEWAY_NAMED_API_WAIT_SECONDS",
        description="Seconds for which POST /api/messaging/message/send waits until its message is "
        "out, and answers its final status; 0 answers when the message is queued",
    )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin} is no origin: give scheme and host without a path, such as "
                    "https://shop.example.com"
                )
        return origins


class InstanceSection(SettingsSection):
    """What a new instance gets."""

    title = "Instances"

    provider: OptionalText = Field(
        None,
        validation_alias="GATEWAY_PROVIDER",
        description="Provider of a new instance whose creator names none; by default the only one "
        "that is installed, in development a simulated one",
    )
    profile_pictures: bool = Field(
        default=True,
        validation_alias="GATEWAY_PROFILE_PICTURES",
        description="Looks up the pictures of people and groups that write, one after another with "
        "pauses, for `photo` and `senderPhoto` of callbacks",
    )
    trials: bool = Field(
        default=False,
        validation_alias="GATEWAY_TRIALS",
        description="Stops the sending of an instance when its trial ends",
    )


class MediaSection(SettingsSection):
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
    processes_per_account: int = Field(
        0,
        ge=0,
        le=64,
        validation_alias="GATEWAY_MEDIA_PROCESSES_PER_ACCOUNT",
        description="Number of files of one account that are converted at the same time; 0 sets "
        "one fewer than GATEWAY_MEDIA_PROCESSES, and at least one",
    )
    process_memory_mib: int = Field(
        1_024,
        ge=512,
        le=65_536,
        validation_alias="GATEWAY_MEDIA_PROCESS_MEMORY_MIB",
        description="MiB of memory that the conversion of one file may use; a file that needs more "
        "fails",
    )
    conversion_seconds: int = Field(
        60,
        ge=1,
        le=3_600,
        validation_alias="GATEWAY_MEDIA_CONVERSION_SECONDS",
        description="Seconds of processor time that the conversion of one file may use; a file "
        "that needs more fails, and one that takes six times as long by the clock because the "
        "machine is busy is attempted again",
    )
    max_pixels: int = Field(
        50_000_000,
        ge=1_000_000,
        le=500_000_000,
        validation_alias="GATEWAY_MEDIA_MAX_PIXELS",
        description="Largest width times height of a picture or of a frame; a JPEG may have four "
        "times as many, because it is decoded at a fraction of its size",
    )
    max_frames: int = Field(
        3_000,
        ge=1,
        validation_alias="GATEWAY_MEDIA_MAX_FRAMES",
        description="Largest number of frames of a GIF that is converted",
    )
    max_sound_seconds: int = Field(
        14_400,
        ge=1,
        validation_alias="GATEWAY_MEDIA_MAX_SOUND_SECONDS",
        description="Longest sound in seconds that is converted to a voice note",
    )
    video_processes: int = Field(
        1,
        ge=1,
        le=64,
        validation_alias="GATEWAY_MEDIA_VIDEO_PROCESSES",
        description="Number of videos that are transcoded at the same time, beside the files of "
        "GATEWAY_MEDIA_PROCESSES",
    )
    video_conversion_seconds: int = Field(
        300,
        ge=1,
        le=3_600,
        validation_alias="GATEWAY_MEDIA_VIDEO_CONVERSION_SECONDS",
        description="Seconds of processor time that the transcoding of one video may use; a video "
        "that needs more fails",
    )
    max_video_seconds: int = Field(
        600,
        ge=1,
        le=7_200,
        validation_alias="GATEWAY_MEDIA_MAX_VIDEO_SECONDS",
        description="Longest video in seconds that is transcoded; MP4 with H.264 and AAC is sent "
        "as it is, however long",
    )
    max_waiting_per_account: int = Field(
        100,
        ge=1,
        validation_alias="GATEWAY_MEDIA_MAX_WAITING_PER_ACCOUNT",
        description="Number of files of one account that may wait to be converted before a request "
        "with a picture is answered 503; a message in a queue waits its turn",
    )
    max_waiting: int = Field(
        1_000,
        ge=1,
        validation_alias="GATEWAY_MEDIA_MAX_WAITING",
        description="Number of files of all accounts that may wait to be converted before a "
        "request with a picture is answered 503; a message in a queue waits its turn",
    )
    min_free_bytes: int = Field(
        268_435_456,
        ge=0,
        validation_alias="GATEWAY_MEDIA_MIN_FREE_BYTES",
        description="Bytes that stay free on the disk of the data directory: while fewer are free, "
        "requests with files are answered 503, received files wait, and `/ready` is 503; 0 stops "
        "only at a full disk",
    )
    bucket: OptionalText = Field(
        None,
        validation_alias="GATEWAY_MEDIA_BUCKET",
        description="S3 bucket for files; unset stores them below the data directory; while it "
        "fails, each node keeps its files there and moves them later",
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
