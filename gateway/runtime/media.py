"""Everything about files, built together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Media:
    """Part of the service: sweeps, and lets go of connections and processes at the end."""

    store: MediaStore
    intake: MediaIntake
    preparer: Preparer
    receiver: InboundMedia
    pictures: Pictures
    media_context: MediaRouteContext
    fetcher: Fetcher
    converter: Converter
    maintenance: MediaMaintenance

    @classmethod
    def build(
        cls,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        base_url_of: Callable[[str], Awaitable[str]],
        secrets: Sequence[str],
    ) -> Self:
        days = settings.media_retention_days
        spool = Spool(settings.data_dir / "spool")
        store = MediaStore(database, _objects(settings), spool, retention_days=days)
        fetcher = Fetcher(settings.address_policy(), timeout_seconds=settings.media_timeout_seconds)
        converter = Converter(processes=settings.media_processes)
        links = LinkSigner(secrets, clock, days=days)
        return cls(
            store=store,
            intake=MediaIntake(store, fetcher, spool),
            preparer=Preparer(store, fetcher, converter, spool),
            receiver=InboundMedia(store, fetcher, links, base_url_of, spool),
            pictures=Pictures(fetcher, converter, spool),
            media_context=MediaRouteContext(store, links),
            fetcher=fetcher,
            converter=converter,
            maintenance=MediaMaintenance(store, clock),
        )

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            await self.maintenance.run_until(stopping)
        finally:
            self.converter.close()
            await self.fetcher.close()


def _objects(settings: Settings) -> ObjectStore:
    if settings.media_bucket is None:
        return open_folder(settings.data_dir / "media")
    return open_bucket(
        Bucket(
            name=settings.media_bucket,
            prefix=settings.media_bucket_prefix,
            endpoint=settings.media_bucket_endpoint,
            region=settings.media_bucket_region,
            access_key_id=settings.media_bucket_access_key_id,
            secret_access_key=settings.media_bucket_secret_access_key,
        )
    )
