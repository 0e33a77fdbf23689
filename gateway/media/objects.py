"""Opens the object store of files: a local folder, or a bucket of S3 or a compatible service."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import LocalStore, ObjectStore, S3Store

from gateway.media.disk import make_private_folder

if TYPE_CHECKING:
    from obstore.store import S3Config  # exists only for type checkers

# A caller waits meanwhile; the library itself would try for three minutes.
_CONNECT_TIME = timedelta(seconds=3)
_MAX_RETRIES = 2
_RETRY_TIME = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; fields that are None come from AWS_ variables or the machine's role."""

    name: str
    prefix: str | None
    endpoint: str | None
    region: str | None
    access_key_id: str | None
    secret_access_key: str | None


def open_folder(folder: Path) -> ObjectStore:
    make_private_folder(folder)
    return LocalStore(folder)


def open_bucket(bucket: Bucket) -> ObjectStore:
    config: S3Config = {}
    if bucket.endpoint:
        config["endpoint"] = bucket.endpoint
    if bucket.region:
        config["region"] = bucket.region
    if bucket.access_key_id and bucket.secret_access_key:
        config["access_key_id"] = bucket.access_key_id
        config["secret_access_key"] = bucket.secret_access_key
    plain = (bucket.endpoint or "").startswith("http://")
    return S3Store(
        bucket.name,
        prefix=bucket.prefix,
        config=config,
        client_options={"allow_http": plain, "connect_timeout": _CONNECT_TIME},
        retry_config={"max_retries": _MAX_RETRIES, "retry_timeout": _RETRY_TIME},
    )
