"""Content is stored once and deleted with its last row, in a folder and in a bucket."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.store import ObjectStore
from psycopg import AsyncConnection

from gateway.contract.zapi.messages.media import SendImage
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, Unavailable
from gateway.media.objects import open_folder
from gateway.media.spooling import Spool, Spooled
from gateway.media.storing import REFERENCE, MediaStore
from tests.fixtures.buckets import failing_bucket, new_bucket
from tests.fixtures.conversions import new_converter
from tests.fixtures.postgres_proxy import Cut, bad_connection
from tests.fixtures.queue import Node, add_instances, running_node


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_folder(tmp_path / "media")
    return new_bucket(request.getfixturevalue("s3_port"), tmp_path.name)


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    async with running_node(database_url) as node:
        yield node


@pytest.fixture
def store(node: Node, objects: ObjectStore, tmp_path: Path) -> MediaStore:
    return MediaStore(
        node.database, objects, Spool(tmp_path / "spool"), new_converter(), retention_days=30
    )


def spooled(tmp_path: Path, content: bytes) -> Spooled:
    digest = hashlib.sha256(content).hexdigest()
    path = tmp_path / digest
    path.write_bytes(content)
    return Spooled(path, len(content), digest)


async def age(database: Database, instance_id: str) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "update media set expires_at = now() - interval '1 s' where instance_id = %s",
            (instance_id,),
        )


async def content_of(store: MediaStore, file_id: str, tmp_path: Path) -> bytes | None:
    file = await store.copy_to(file_id, tmp_path / "copy")
    return file.path.read_bytes() if file else None


async def test_put_file_is_read_whole_and_in_part(store: MediaStore, tmp_path: Path) -> None:
    content = b"%PDF-1.7" + bytes(range(256)) * 30_000  # several parts

    stored = await store.put("I1", spooled(tmp_path, content), file_name="a.pdf")

    assert stored.mime_type == "application/pdf"
    assert await content_of(store, stored.id, tmp_path) == content
    part = b"".join([piece async for piece in await store.open(stored.id, (4, 12))])
    assert part == content[4:12]
    found = await store.find("I1", stored.id)
    assert found is not None
    assert (found.size_bytes, found.file_name) == (len(content), "a.pdf")
    assert await store.find("I2", stored.id) is None
    assert await store.problem() is None


async def test_delete_expired_deletes_content_after_its_last_row(
    store: MediaStore, node: Node, tmp_path: Path
) -> None:
    file = spooled(tmp_path, b"shared")
    for instance_id in ("I1", "I2"):
        await store.put(instance_id, file)

    await age(node.database, "I1")
    await store.delete_expired()
    assert await store.find("I1", file.sha256) is None
    assert await content_of(store, file.sha256, tmp_path) == b"shared"

    await age(node.database, "I2")
    await store.delete_expired()
    assert await content_of(store, file.sha256, tmp_path) is None

    await store.put("I1", file)
    assert await content_of(store, file.sha256, tmp_path) == b"shared"


async def test_delete_expired_deletes_content_of_deleted_rows(
    store: MediaStore, node: Node, tmp_path: Path
) -> None:
    stored = await store.put("I1", spooled(tmp_path, b"of a deleted instance"))
    async with node.database.connection() as connection:
        await connection.execute("delete from media where instance_id = 'I1'")

    await store.delete_expired()

    assert await content_of(store, stored.id, tmp_path) is None


async def test_delete_expired_goes_on_after_a_connection_lost_at_the_commit(
    database_url: str, objects: ObjectStore, tmp_path: Path
) -> None:
    """The content is gone, and the note that it is to be deleted is not."""
    async with bad_connection(database_url) as connection, running_node(connection.url) as node:
        store = MediaStore(
            node.database, objects, Spool(tmp_path / "spool"), new_converter(), retention_days=30
        )
        for content in (b"first", b"second"):
            await store.put("I1", spooled(tmp_path, content))
        await age(node.database, "I1")
        connection.lose(query("media", "delete_leftover"), Cut.BEFORE)
        with pytest.raises(DatabaseUnavailable):
            await store.delete_expired()

        await store.delete_expired()

        async with node.database.connection() as pooled:
            cursor = await pooled.execute("select count(*) from media_leftovers")
            assert await cursor.fetchall() == [(0,)]


async def test_delete_expired_keeps_file_of_queued_message(
    store: MediaStore, node: Node, operator: AsyncConnection, tmp_path: Path
) -> None:
    (instance,) = await add_instances(operator, 1)
    named = await store.put(instance.id, spooled(tmp_path, b"named"))
    other = await store.put(instance.id, spooled(tmp_path, b"other"))
    message = SendImage(phone="5511999999999", image=REFERENCE + named.id)
    await node.enqueuer.enqueue(instance, message)
    await age(node.database, instance.id)

    await store.delete_expired()

    assert await content_of(store, named.id, tmp_path) == b"named"
    assert await store.find(instance.id, named.id) is not None
    assert await content_of(store, other.id, tmp_path) is None


async def test_storage_that_cannot_be_reached_is_reported(node: Node, tmp_path: Path) -> None:
    store = MediaStore(
        node.database,
        failing_bucket(),
        Spool(tmp_path / "spool"),
        new_converter(),
        retention_days=30,
    )

    assert "cannot be reached" in str(await store.problem())
    with pytest.raises(Unavailable):
        await store.put("I1", spooled(tmp_path, b"x"))
