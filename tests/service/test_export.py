"""`gateway export` writes everything of an account in clear, and tokens only where asked."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import httpx

from tests.fixtures.media import picture
from tests.fixtures.service import Client, RunningGateway, until
from tests.service.test_payload_encryption import set_encryption

FRIEND = "5511999999999"
PICTURE = base64.b64encode(picture("JPEG")).decode()


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


async def fill(client: Client) -> None:
    """Sends, receives, notes and records a consent, then leaves a message in the queue."""
    await client.send_text("a sent text")
    await client.call("POST", "/send-image", json={"phone": FRIEND, "image": PICTURE})
    await client.sent_at_least(2)
    await client.control("receive", phone=FRIEND, text="a received text")

    async def history() -> httpx.Response:
        return await client.call("GET", f"/chat-messages/{FRIEND}?amount=100")

    await until(history, lambda seen: "a received text" in seen.text)
    note = {"status": "granted", "source": "web form", "note": "said so"}
    await client.call("PUT", f"/contacts/{FRIEND}/consent", json=note)
    await client.call("POST", f"/chats/{FRIEND}/notes", json={"notes": "a regular"})
    await client.call("POST", "/queue/pause")
    await client.send_text("a waiting text")


async def test_export_has_everything_in_clear_and_only_wanted_tokens(
    gateway: RunningGateway, client: Client, command: Any, tmp_path: Path
) -> None:
    await set_encryption(client, "on")
    await fill(client)
    partner = {"Authorization": f"Bearer {client.demo.partner_token}"}
    own = {"instanceId": client.demo.instance_id, "messagesPerMinute": 600}
    for settings in ({"numberLookup": False}, own):
        await client.http.put("/account/settings", json=settings, headers=partner)
    key = {"name": "CRM", "scopes": ["read"], "networks": ["127.0.0.0/8"]}
    made = await client.http.post("/account/keys", json=key, headers=partner)
    assert made.status_code == httpx.codes.CREATED, made.text
    user = ("users", "create", "ana@example.com", "--role", "owner", "--account", "Demo")
    command(gateway, *user, given="a long password")
    plain, whole = tmp_path / "plain", tmp_path / "whole"

    counted = command(gateway, "export", "Demo", str(plain)).stdout
    command(gateway, "export", "Demo", str(whole), "--tokens", "--files")
    again = command(gateway, "export", "Demo", str(whole), fails=True)

    assert "1 instances" in counted
    account = json.loads((plain / "account.json").read_text())
    assert (account["name"], account["settings"]) == ("Demo", {"number_lookup": False})
    assert rows_of(plain, "instances")[0]["settings"] == {"messages_per_minute": 600}
    texts = [row["payload"] for row in rows_of(plain, "messages")]
    assert "a sent text" in json.dumps(texts)
    assert "a received text" in json.dumps(texts)
    assert rows_of(plain, "queue")[0]["payload"]["message"] == "a waiting text"
    assert [row["note"] for row in rows_of(plain, "consents")] == ["said so"]
    assert "a regular" in [row["note"] for row in rows_of(plain, "chats")]
    shown = [(row["name"], row["scopes"], row["networks"]) for row in rows_of(plain, "api_keys")]
    assert shown == [("CRM", ["read"], ["127.0.0.0/8"])]
    assert [row["email"] for row in rows_of(plain, "users")] == ["ana@example.com"]
    secret = made.json()["key"]
    assert not any(secret in file.read_text() for file in plain.iterdir())
    token = client.demo.instance_token
    assert not any(token in file.read_text() for file in plain.iterdir())
    assert rows_of(whole, "instances")[0]["token"] == token
    file_id = rows_of(whole, "media")[0]["id"]
    assert (whole / "files" / file_id).read_bytes() == base64.b64decode(PICTURE)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in whole.rglob("*") if path.is_file()}
    assert (modes, stat.S_IMODE(whole.stat().st_mode)) == ({0o600}, 0o700)
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)


async def test_consents_are_listed_by_page_and_status(client: Client) -> None:
    people = [f"55119999900{n:02}" for n in range(5)]
    for n, phone in enumerate(people):
        status = {"status": "revoked" if n % 2 else "granted", "note": f"note {n}"}
        await client.call("PUT", f"/contacts/{phone}/consent", json=status)

    async def listed(query: str) -> dict[str, Any]:
        answer = await client.call("GET", f"/consents{query}")
        assert answer.status_code == httpx.codes.OK, answer.text
        page: dict[str, Any] = answer.json()
        return page

    everyone, revoked = await listed(""), await listed("?status=revoked")
    second = await listed("?page=2&pageSize=2")

    assert [each["phone"] for each in everyone["consents"]] == people
    assert everyone["consents"][0]["note"] == "note 0"
    assert [each["phone"] for each in revoked["consents"]] == people[1::2]
    assert (revoked["total"], everyone["total"]) == (2, 5)
    assert [each["phone"] for each in second["consents"]] == people[2:4]
