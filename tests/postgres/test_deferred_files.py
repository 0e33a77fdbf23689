"""While the bucket fails a node keeps its files, serves them, and moves them later."""

import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from obstore.exceptions import GenericError
from obstore.store import ObjectStore
from psycopg import AsyncConnection
from starlette.applications import Starlette

from gateway.api.internal import deferred_file_route
from gateway.errors import Unavailable
from gateway.media.deferred_files import DeferredFiles, DeferredPlace, NodeAddress
from gateway.media.deferred_folder import DeferredFolder
from gateway.media.disk_reserve import DiskReserve
from gateway.media.spooling import Spool, Spooled
from gateway.media.storing import MediaStore
from gateway.observability.metrics import Metrics
from gateway.sessions.deferred_relay import DeferredFileCaller, DeferredFileServer
from gateway.sessions.relay_calls import CallHead, digest_of
from tests.fixtures.buckets import failing_bucket, new_bucket
from tests.fixtures.conversions import new_converter
from tests.fixtures.queue import Node, rows, running_node

SECRET = "a secret that all nodes share"
CONTENT = b"a file that the bucket did not take"
DEFERRED = "select count(*) from media_deferred"


class Network(httpx.AsyncBaseTransport):
    """Passes calls to the listeners of other nodes."""

    def __init__(self) -> None:
        self.reachable: dict[str, httpx.ASGITransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (listener := self.reachable.get(request.url.host)) is None:
            raise httpx.ConnectError("no server listens")
        return await listener.handle_async_request(request)


class Site:
    """The media of one node, with a bucket that fails and with one that works."""

    def __init__(self, node: Node, folder: Path, bucket: ObjectStore, name: str) -> None:
        folder.mkdir(exist_ok=True)
        self.reserve, self.network = DiskReserve(folder, 0), Network()
        self.deferred_folder = DeferredFolder(folder / "deferred-media", self.reserve)
        http = httpx.AsyncClient(transport=self.network)
        self.caller = DeferredFileCaller(http, os.urandom, SECRET)
        self.deferred = DeferredFiles(
            node.database, self.deferred_folder, self.caller, NodeAddress(name, f"http://{name}")
        )
        self.server = DeferredFileServer(
            folder_id=str(self.deferred.folder_id),
            secrets=(SECRET,),
            open_here=self.deferred.open_here,
            database=node.database,
            metrics=Metrics(),
        )
        app = Starlette(routes=[deferred_file_route(lambda: self.server)])
        self.listener = httpx.ASGITransport(app)
        spool = Spool(folder / "spool", self.reserve)
        self.down, self.up = (
            MediaStore(
                node.database,
                objects,
                spool,
                new_converter(),
                retention_days=30,
                deferred=self.deferred,
            )
            for objects in (failing_bucket(), bucket)
        )

    @property
    def file(self) -> Path:
        return self.deferred_folder.path(hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    async with running_node(database_url) as node:
        yield node


@pytest.fixture
def bucket(s3_port: int, tmp_path: Path) -> ObjectStore:
    return new_bucket(s3_port, tmp_path.name)


@pytest.fixture
def site(node: Node, bucket: ObjectStore, tmp_path: Path) -> Site:
    return Site(node, tmp_path / "one", bucket, "one")


@pytest.fixture
def other(node: Node, bucket: ObjectStore, tmp_path: Path, site: Site) -> Site:
    other = Site(node, tmp_path / "two", bucket, "two")
    other.network.reachable["one"] = site.listener
    return other


@pytest.fixture
def spooled(tmp_path: Path) -> Spooled:
    path = tmp_path / "given"
    path.write_bytes(CONTENT)
    return Spooled(path, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


async def content_of(store: MediaStore, spooled: Spooled, folder: Path) -> bytes | None:
    copy = await store.copy_to(spooled.sha256, folder / "copy")
    return copy.path.read_bytes() if copy else None


async def test_file_is_deferred_served_and_moved(
    site: Site, other: Site, spooled: Spooled, tmp_path: Path, operator: AsyncConnection
) -> None:
    stored = await site.down.put("I1", spooled, file_name="a.txt")
    assert await rows(operator, DEFERRED) == [1]
    assert "keeps new files until it can, 1 now" in str(await site.down.bucket_problem())
    assert await site.down.problem() is None

    for store in (site.down, site.up, other.down, other.up):
        assert await content_of(store, spooled, tmp_path) == CONTENT
        part = b"".join([piece async for piece in await store.open(stored.id, (2, 6))])
        assert part == CONTENT[2:6]

    with pytest.raises(Unavailable):
        await site.deferred.move_to(site.down)
    assert site.file.read_bytes() == CONTENT
    assert await rows(operator, DEFERRED) == [1]

    await site.deferred.move_to(site.up)
    assert not site.file.exists()
    assert await rows(operator, DEFERRED) == [0]
    for store in (site.up, other.up):
        assert await content_of(store, spooled, tmp_path) == CONTENT
    assert await rows(operator, "select count(*) from media_leftovers") == [0]


async def test_bucket_that_failed_is_left_alone_for_a_while(
    node: Node, site: Site, spooled: Spooled, tmp_path: Path
) -> None:
    class Bucket:
        asked = 0

        async def head_async(self, _place: str) -> object:
            self.asked += 1
            if self.asked == 1:
                raise GenericError("no answer")
            return {}

    now, bucket = 0.0, Bucket()
    store = MediaStore(
        node.database,
        cast("Any", bucket),
        Spool(tmp_path / "spool"),
        new_converter(),
        retention_days=30,
        deferred=site.deferred,
        seconds=lambda: now,
    )

    asked = []
    for moment in (0.0, 29.0, 30.0, 31.0):
        now = moment
        await store.put("I1", spooled)
        asked.append(bucket.asked)

    assert asked == [1, 1, 2, 3]


async def test_node_out_of_reach_is_no_deleted_file(
    site: Site, other: Site, spooled: Spooled, tmp_path: Path
) -> None:
    await site.down.put("I1", spooled)
    other.network.reachable.clear()

    with pytest.raises(Unavailable, match="out of reach"):
        await content_of(other.up, spooled, tmp_path)


async def test_file_that_nothing_uses_is_deleted_without_the_bucket(
    site: Site, spooled: Spooled, operator: AsyncConnection
) -> None:
    await site.down.put("I1", spooled)
    await operator.execute("delete from media")

    await site.deferred.move_to(site.down)

    assert not site.file.exists()
    assert await rows(operator, DEFERRED) == [0]


async def test_file_that_is_deferred_again_during_its_move_stays(
    site: Site, spooled: Spooled, tmp_path: Path, operator: AsyncConnection
) -> None:
    """Its upload was deleted with its row; then a request brings it again."""
    await site.down.put("I1", spooled)

    class Bucket:
        async def upload(self, _file_id: str, _path: Path) -> None:
            await operator.execute("delete from media")
            await site.down.put("I1", spooled)

        async def has(self, _file_id: str) -> bool:
            return False

    await site.deferred.move_to(Bucket())

    assert await content_of(site.down, spooled, tmp_path) == CONTENT
    assert await rows(operator, DEFERRED) == [1]


async def test_stale_file_is_deleted_unless_a_note_names_it(site: Site, spooled: Spooled) -> None:
    await site.down.put("I1", spooled)
    orphan = site.deferred_folder.path("0" * 64)
    unfinished = orphan.with_name("new-1")
    for path in (orphan, unfinished, site.file):
        path.touch()
        os.utime(path, (time.time() - 7_200,) * 2)
    fresh = site.deferred_folder.path("1" * 64)
    fresh.touch()

    with pytest.raises(Unavailable):
        await site.deferred.move_to(site.down)

    assert [path.exists() for path in (orphan, unfinished, site.file, fresh)] == [
        False,
        False,
        True,
        True,
    ]


async def test_folder_keeps_its_id_and_names_its_node(
    node: Node, site: Site, spooled: Spooled, operator: AsyncConnection
) -> None:
    await site.down.put("I1", spooled)
    renamed = DeferredFolder(site.file.parent, site.reserve)
    deferred = DeferredFiles(node.database, renamed, site.caller, NodeAddress("new", "http://new"))

    assert deferred.folder_id == site.deferred.folder_id
    with pytest.raises(Unavailable):
        await deferred.move_to(site.down)
    assert await rows(operator, "select node_id, internal_address from media_folders") == [
        ("new", "http://new")
    ]


async def test_reserve_of_the_disk_refuses_files(
    site: Site, spooled: Spooled, operator: AsyncConnection
) -> None:
    refused: list[int] = []
    site.reserve.min_free_bytes = 1 << 60
    site.reserve.on_refused = lambda: refused.append(1)

    with pytest.raises(Unavailable, match="no file is taken while less than"):
        await site.down.put("I1", spooled)

    assert refused == [1]
    assert "files are refused: " in str(await site.up.problem())
    assert await rows(operator, DEFERRED) == [0]
    assert [file.name for file in site.file.parent.iterdir()] == ["folder-id"]


async def test_call_of_a_node_is_signed_and_taken_once(site: Site, spooled: Spooled) -> None:
    await site.down.put("I1", spooled)
    path = f"/deferred/{site.deferred.folder_id}/{spooled.sha256}/whole"
    now, folder = int(time.time()), str(site.deferred.folder_id)

    async def status(secret: str, **changes: object) -> int:
        fields = {"at_seconds": now, "nonce": "1" * 32, "node_id": folder, **changes}
        head = CallHead(path=path, epoch=0, length=0, digest=digest_of(b""), **fields)  # type: ignore[arg-type]
        headers = httpx.Headers({**head.headers(secret), "content-length": "0"})
        code, pieces = await site.server.answer(folder, spooled.sha256, "whole", headers)
        assert pieces is None or b"".join([piece async for piece in pieces]) == CONTENT
        return code

    assert await status("another secret") == 403
    assert await status(SECRET, at_seconds=now - 60) == 403
    assert await status(SECRET, node_id=str(uuid.uuid4())) == 403
    assert await status(SECRET) == 200
    assert await status(SECRET) == 403
    site.file.unlink()
    assert await status(SECRET, nonce="2" * 32) == 404


async def test_place_of_an_unknown_file_is_no_place(other: Site) -> None:
    place = DeferredPlace(other.deferred.folder_id, "one", "http://one", time.time())

    with pytest.raises(Unavailable, match="did not answer with it"):
        await other.caller.open(place, "0" * 64, None)
    assert await other.deferred.open_elsewhere("0" * 64, None) is None
