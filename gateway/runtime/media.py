"""Builds the parts that store, fetch and convert files."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from obstore.store import ObjectStore

from gateway.account_turns import AccountTurns
from gateway.api.media import MediaRouteContext
from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.media.allowance import StorageAllowance
from gateway.media.converting import AccountOf, Capacity, Converter
from gateway.media.deferred_files import DeferredFiles, NodeAddress, RemoteFolders
from gateway.media.deferred_folder import DeferredFolder
from gateway.media.deferred_mover import DeferredFileMover
from gateway.media.disk_reserve import DiskReserve
from gateway.media.fetching import Fetcher
from gateway.media.file_links import FileLinks
from gateway.media.intake import MediaIntake
from gateway.media.jobs import JobLimits
from gateway.media.links import LinkSigner
from gateway.media.maintenance import MediaMaintenance
from gateway.media.objects import Bucket, open_bucket, open_folder
from gateway.media.pictures import Pictures
from gateway.media.preparing import FileServices, Preparer
from gateway.media.receiving import InboundMedia
from gateway.media.spooling import Spool
from gateway.media.stored_links import StoredFiles
from gateway.media.storing import MediaStore
from gateway.media.turns import WaitingLimits
from gateway.observability.media_metrics import MediaMetrics
from gateway.observability.metrics import Metrics
from gateway.public_address import AddressPolicy
from gateway.settings.message_sections import MediaSection


@dataclass(frozen=True, slots=True)
class Media:
    """The parts for files; deletes expired files, and closes its connections and processes."""

    store: MediaStore
    allowance: StorageAllowance
    intake: MediaIntake
    preparer: Preparer
    receiver: InboundMedia
    file_links: FileLinks
    stored_files: StoredFiles
    pictures: Pictures
    media_context: MediaRouteContext
    converter: Converter
    maintenance: MediaMaintenance
    deferred: DeferredFiles | None
    mover: DeferredFileMover | None

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
        account_of: AccountOf,
        metrics: Metrics,
        secrets: Sequence[str],
        max_stored_bytes: int,
        turns: AccountTurns,
        address: NodeAddress,
        remote: RemoteFolders,
    ) -> Self:
        """Builds the parts; nothing runs yet.

        Args:
            media: the settings of media.
            database: where files are listed.
            clock: time.
            data_dir: holds uploads, and the files where no bucket is set.
            address_policy: which URLs of files may be fetched.
            base_url_of: returns the URL at which receivers reach the gateway, for an instance's id.
            account_of: returns the account of an instance; accounts take turns in conversions.
            metrics: counts the conversions, and shows the state of the disk.
            secrets: sign the links; the current one first.
            max_stored_bytes: of each account; 0 sets no limit.
            turns: of the steps of an account, which those of its files are beside.
            address: where other nodes reach this one.
            remote: reads files that other nodes keep.
        """
        days = media.retention_days
        reserve = _reserve(media, data_dir, metrics.media)
        spool = Spool(data_dir / "spool", reserve)
        deferred = None
        if media.bucket is not None:
            folder = DeferredFolder(data_dir / "deferred-media", reserve)
            deferred = DeferredFiles(database, folder, remote, address)
        converter = _converter(media, account_of, metrics)
        store = MediaStore(
            database.planned_once(),
            objects_of(media, data_dir),
            spool,
            converter,
            retention_days=days,
            deferred=deferred,
        )
        allowance = StorageAllowance(database, clock, max_bytes=max_stored_bytes)
        fetcher = Fetcher(address_policy, clock, timeout_seconds=media.timeout_seconds, turns=turns)
        services = FileServices(
            store, fetcher, converter, metrics.media, clock, turns.of_other_kind()
        )
        links = LinkSigner(secrets, clock, days=days)
        return cls(
            store=store,
            allowance=allowance,
            intake=MediaIntake(store, fetcher, spool, allowance),
            preparer=Preparer(services, spool),
            receiver=InboundMedia(store, fetcher, links, base_url_of, spool),
            file_links=FileLinks(links, base_url_of),
            stored_files=StoredFiles(database, links, base_url_of),
            pictures=Pictures(fetcher, converter, spool),
            media_context=MediaRouteContext(store, links),
            converter=converter,
            maintenance=MediaMaintenance(store, clock),
            deferred=deferred,
            mover=DeferredFileMover(deferred, store, clock, metrics.media) if deferred else None,
        )

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            await self.maintenance.run_until(stopping)
        finally:
            await self.converter.close()


def _reserve(media: MediaSection, data_dir: Path, metrics: MediaMetrics) -> DiskReserve:
    reserve = DiskReserve(data_dir, media.min_free_bytes, on_refused=metrics.refused)
    metrics.watch_disk(reserve.free_bytes, min_free_bytes=media.min_free_bytes)
    return reserve


def _converter(media: MediaSection, account_of: AccountOf, metrics: Metrics) -> Converter:
    waiting = WaitingLimits(media.max_waiting_per_account, media.max_waiting)
    converter = Converter(
        Capacity.of(
            processes=media.processes,
            share=media.processes_per_account,
            waiting=waiting,
            video_processes=media.video_processes,
        ),
        JobLimits(
            cpu_seconds=media.conversion_seconds,
            video_cpu_seconds=media.video_conversion_seconds,
            memory_bytes=media.process_memory_mib * 1024 * 1024,
            max_pixels=media.max_pixels,
            max_frames=media.max_frames,
            max_duration_seconds=media.max_sound_seconds,
            max_video_seconds=media.max_video_seconds,
        ),
        account_of,
        count=metrics.converted,
    )
    for work, pool in (
        ("conversion", converter.conversions),
        ("transcoding", converter.transcodings),
        ("reading", converter.readings),
    ):
        metrics.watch_conversions(work, pool.turns.counts)
    return converter


def objects_of(media: MediaSection, data_dir: Path) -> ObjectStore:
    """Returns the store of files that the settings choose."""
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
