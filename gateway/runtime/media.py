"""Builds the parts that store, fetch and convert files."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from obstore.store import ObjectStore

from gateway.api.media import MediaRouteContext
from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.media.converting import Converter
from gateway.media.fetching import Fetcher
from gateway.media.intake import MediaIntake
from gateway.media.links import LinkSigner
from gateway.media.maintenance import MediaMaintenance
from gateway.media.objects import Bucket, open_bucket, open_folder
from gateway.media.pictures import Pictures
from gateway.media.preparing import Preparer
from gateway.media.receiving import InboundMedia
from gateway.media.spooling import Spool
from gateway.media.storing import MediaStore
from gateway.public_address import AddressPolicy
from gateway.settings.message_sections import MediaSection


@dataclass(frozen=True, slots=True)
class Media:
    """The parts for files; deletes expired files, and closes its connections and processes."""

    store: MediaStore
    intake: MediaIntake
    preparer: Preparer
    receiver: InboundMedia
    pictures: Pictures
    media_context: MediaRouteContext
    converter: Converter
    maintenance: MediaMaintenance

    @classmethod
    def build(
        cls,
        media: MediaSection,
        database: Database,
        clock: Clock,
        *,
        data_dir: Path,
        address_policy: AddressPolicy,
        base_url_of: Callable[[str], Awaitable[str]],
        secrets: Sequence[str],
    ) -> Self:
        """Builds the parts; nothing runs yet.

        Args:
            media: the settings of media.
            database: where files are listed.
            clock: time.
            data_dir: holds uploads, and the files where no bucket is set.
            address_policy: which URLs of files may be fetched.
            base_url_of: returns the URL at which receivers reach the gateway, for an instance's id.
            secrets: sign the links; the current one first.
        """
        days = media.retention_days
        spool = Spool(data_dir / "spool")
        store = MediaStore(database, _objects(media, data_dir), spool, retention_days=days)
        fetcher = Fetcher(address_policy, clock, timeout_seconds=media.timeout_seconds)
        converter = Converter(processes=media.processes)
        links = LinkSigner(secrets, clock, days=days)
        return cls(
            store=store,
            intake=MediaIntake(store, fetcher, spool),
            preparer=Preparer(store, fetcher, converter, spool),
            receiver=InboundMedia(store, fetcher, links, base_url_of, spool),
            pictures=Pictures(fetcher, converter, spool),
            media_context=MediaRouteContext(store, links),
            converter=converter,
            maintenance=MediaMaintenance(store, clock),
        )

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            await self.maintenance.run_until(stopping)
        finally:
            self.converter.close()


def _objects(media: MediaSection, data_dir: Path) -> ObjectStore:
    if media.bucket is None:
        return open_folder(data_dir / "media")
    return open_bucket(
        Bucket(
            name=media.bucket,
            prefix=media.bucket_prefix,
            endpoint=media.bucket_endpoint,
            region=media.bucket_region,
            access_key_id=media.bucket_access_key_id,
            secret_access_key=media.bucket_secret_access_key,
        )
    )
