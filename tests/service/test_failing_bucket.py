"""With a bucket that fails, files are taken, sent, and served by each node."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from gateway.clock import Clock
from gateway.media.links import LinkSigner
from tests.fixtures import media
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until

SECRET = "the secret key of every node 0123456789"
BUCKET = {
    "GATEWAY_SECRET_KEY": SECRET,
    "GATEWAY_MEDIA_BUCKET": "files",
    "GATEWAY_MEDIA_BUCKET_ENDPOINT": "http://127.0.0.1:1",
    "GATEWAY_MEDIA_BUCKET_REGION": "us-east-1",
    "GATEWAY_MEDIA_BUCKET_ACCESS_KEY_ID": "id",
    "GATEWAY_MEDIA_BUCKET_SECRET_ACCESS_KEY": "key",
}
PICTURE = media.picture()


@asynccontextmanager
async def full_node(folder: Path, database_url: str) -> AsyncIterator[RunningGateway]:
    """Runs a further node, which has too little disk."""
    settings = {"GATEWAY_ROLE": "api", "GATEWAY_MEDIA_MIN_FREE_BYTES": str(1 << 60)}
    with running_gateway(folder, database_url, **BUCKET, **settings) as node:
        await until(
            lambda: node.get("/ready"), lambda answer: "media storage" in answer.json()["checks"]
        )
        yield node
        node.kill()


async def send_picture(client: Client) -> httpx.Response:
    image = base64.b64encode(PICTURE).decode()
    return await client.call("POST", "/send-image", json={"phone": "5511999999999", "image": image})


async def test_file_is_sent_and_a_node_without_disk_serves_it(
    tmp_path: Path, database_url: str
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with running_gateway(tmp_path / "one", database_url, **BUCKET) as one:
        await one.ready()
        async with (
            httpx.AsyncClient() as http,
            full_node(tmp_path / "two", database_url) as two,
            client_of(one, two.demo()) as client,  # whose start renewed the tokens
        ):
            assert (await send_picture(client)).status_code == httpx.codes.OK
            (sent,) = await client.sent_at_least(1)
            ready = (await one.get("/ready")).json()
            client.http.base_url = httpx.URL(two.base_url)
            refused = await send_picture(client)
            await client.send_text("a text is taken")
            full = await two.get("/ready")
            links = LinkSigner((SECRET,), Clock(), days=1)
            file_id = sent["payload"]["image"].removeprefix("media:")
            link = links.link_to(client.demo.instance_id, file_id, "a.png", base_url=two.base_url)
            served = await http.get(link)
            part = await http.get(link, headers={"Range": "bytes=2-5"})
            one.kill()
            gone = await http.get(link)

    assert ready["ready"] is True
    assert "this node keeps new files until it can, 1 now" in ready["warnings"]["media bucket"]
    assert (served.status_code, served.content) == (httpx.codes.OK, PICTURE)
    assert (part.status_code, part.content) == (httpx.codes.PARTIAL_CONTENT, PICTURE[2:6])
    unavailable = httpx.codes.SERVICE_UNAVAILABLE
    assert refused.status_code == full.status_code == gone.status_code == unavailable
    assert refused.json()["error"].startswith("The disk of this node is almost full: no file is ")
    assert full.json()["checks"]["media storage"].startswith("files are refused: ")
    assert gone.json()["error"] == "The node that keeps this file is out of reach right now"
