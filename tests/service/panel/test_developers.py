"""Developers in the panel: keys and tokens for who may manage, and programs that run."""

import asyncio
import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gateway.contract.scopes import UserRole
from gateway.panel.snippets import LANGUAGES, PLACEHOLDER, TASKS
from tests.fixtures.panel import Visitor, visitor
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway

KEYS, TOKENS = "/panel/developers/keys", "/panel/developers/tokens"
KEY = re.compile(r"gwk_[0-9a-f]{64}")
CODE = re.compile(r"<pre tabindex=\"0\"><code>(.*?)</code></pre>", re.DOTALL)
COMMANDS = {"curl": "sh", "php": "php", "node": "node", "python": sys.executable}


async def made(person: Visitor, **fields: object) -> str:
    answer = await person.post(KEYS, **{"name": "CRM", "scopes": ["send", "read"], **fields})
    assert answer.status_code == 200, answer.text
    key: str
    (key,) = set(KEY.findall(answer.text))
    return key


async def sent_with(client: Client, token: str) -> int:
    path = f"/instances/{client.demo.instance_id}/token/{token}/send-text"
    async with httpx.AsyncClient(base_url=client.demo.base_url) as http:
        answer = await http.post(path, json={"phone": "5511999999999", "message": "x"})
        return answer.status_code


async def test_key_is_shown_once_works_and_is_revoked(client: Client, host: RunningGateway) -> None:
    async with visitor(host, client) as person:
        key = await made(person, name="CRM <b>", where="some", instances=client.demo.instance_id)
        listed = (await person.get(KEYS)).text
        before = await sent_with(client, key)
        key_id = re.search(r'name="id" value="([0-9A-F]{32})"', listed)
        assert key_id is not None
        revoked = await person.post(f"{KEYS}/revoke", id=key_id[1])
        after = await sent_with(client, key)
        acts = await acts_of(client)
        listed_again = (await person.get(KEYS)).text
    assert key not in listed
    assert "CRM &lt;b&gt;" in listed
    assert "1 number" in listed
    assert "Not used yet" in listed
    assert (before, revoked.status_code, after) == (200, 303, 404)
    assert "No API key yet" in listed_again
    assert [("CreateApiKey", person.email), ("RevokeApiKey", person.email)] == acts


async def acts_of(client: Client) -> list[tuple[str, str]]:
    """Returns the changes of keys and tokens with who made them, the oldest first."""
    answer = await client.http.get(
        "/account/audit", headers={"Authorization": f"Bearer {client.demo.partner_token}"}
    )
    wanted = ("CreateApiKey", "RevokeApiKey", "RotateInstanceToken", "ChangeAccountSettings")
    return [(a["act"], a["user"]) for a in reversed(answer.json()) if a["act"] in wanted]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"scopes": []}, "scopes"),
        ({"name": ""}, "name"),
        ({"networks": "nonsense"}, "networks"),
        ({"expires": "2020-01-01"}, "in the future"),
        ({"expires": "tomorrow"}, "future"),
        ({"where": "some"}, "at least one number"),
        ({"where": "some", "instances": "0" * 32}, "no longer there"),
    ],
)
async def test_wrong_key_is_explained_and_keeps_what_was_typed(
    fields: dict[str, object], says: str, client: Client, host: RunningGateway
) -> None:
    async with visitor(host, client) as person:
        given = {"name": "My CRM", "scopes": ["send"], **fields}
        answer = await person.post(KEYS, **given)
    assert answer.status_code == 400
    assert says in answer.text
    assert KEY.search(answer.text) is None
    assert "name" in fields or 'value="My CRM"' in answer.text


async def test_limits_of_a_key_are_stored(client: Client, host: RunningGateway) -> None:
    async with visitor(host, client) as person:
        await made(person, networks="203.0.113.7\n198.51.100.0/24", expires="2100-06-30")
        listed = (await person.get(KEYS)).text
    keys = await client.http.get(
        "/account/keys", headers={"Authorization": f"Bearer {client.demo.partner_token}"}
    )
    (key,) = keys.json()["keys"]
    assert "198.51.100.0/24" in listed
    assert key["expiresAt"] == "2100-06-30T23:59:59.999999Z"
    assert key["createdBy"] == person.email


async def test_token_is_behind_a_button_and_rotates(client: Client, host: RunningGateway) -> None:
    token = client.demo.instance_token
    async with visitor(host, client) as person:
        hidden = (await person.get(TOKENS)).text
        shown = (await person.get(f"{TOKENS}?show={client.demo.instance_id}")).text
        rotated = await person.post(f"{TOKENS}/rotate", id=client.demo.instance_id)
        after = (await person.get(rotated.headers["location"])).text
        foreign = await person.post(f"{TOKENS}/rotate", id=host.demo().instance_id)
    (new,) = re.findall(r"<code>([0-9A-F]{32})</code>", after.partition("Client-Token")[0])
    old_answer = await client.call("GET", "/status")
    new_answer = await client.http.get(f"/instances/{client.demo.instance_id}/token/{new}/status")
    assert token not in hidden
    assert token in shown
    assert new != token
    assert (old_answer.status_code, new_answer.status_code) == (404, 200)
    assert foreign.status_code == 404
    assert await acts_of(client) == [("RotateInstanceToken", person.email)]


async def test_client_token_loses_and_gets_its_right(client: Client, host: RunningGateway) -> None:
    async def status() -> int:
        authorization = {"Authorization": f"Bearer {client.demo.client_token}"}
        return (await client.http.get("/account/settings", headers=authorization)).status_code

    async with visitor(host, client) as person:
        first = await status()
        await person.post(f"{TOKENS}/client", manages="false")
        off, page = await status(), (await person.get(TOKENS)).text
        await person.post(f"{TOKENS}/client", manages="true")
        on = await status()
    assert (first, off, on) == (200, 403, 200)
    assert "It may not" in page
    assert client.demo.client_token not in page


@pytest.mark.parametrize("role", [UserRole.AGENT, UserRole.VIEWER])
async def test_without_manage_there_are_only_programs(
    role: UserRole, client: Client, host: RunningGateway
) -> None:
    async with visitor(host, client, role) as person:
        page = await person.get("/panel/developers")
        refused = [
            await person.get(KEYS),
            await person.get(f"{TOKENS}?show={client.demo.instance_id}"),
            await person.post(KEYS, name="x", scopes="manage"),
            await person.post(f"{KEYS}/revoke", id="1"),
            await person.post(f"{TOKENS}/rotate", id=client.demo.instance_id),
            await person.post(f"{TOKENS}/client", manages="false"),
        ]
    assert page.status_code == 200
    assert TOKENS not in page.text
    assert [each.status_code for each in refused] == [403] * 6
    assert all(client.demo.instance_token not in each.text for each in (page, *refused))


@pytest.mark.parametrize("language", list(LANGUAGES))
async def test_programs_run_as_they_are_shown(
    language: str, client: Client, host: RunningGateway, tmp_path: Path
) -> None:
    command = COMMANDS[language]
    for needed in {command, "curl" if language == "curl" else command}:
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    await client.call("POST", "/queue/pause")
    async with visitor(host, client) as person:
        key = await made(person)
        page = (
            await person.get(
                f"/panel/developers?language={language}&instance={client.demo.instance_id}"
            )
        ).text
    programs = [html.unescape(each) for each in CODE.findall(page)]
    printed = []
    for number, program in enumerate(programs):
        file = tmp_path / f"program{number}"
        file.write_text(program.replace(PLACEHOLDER, key))
        done = await asyncio.to_thread(
            subprocess.run,
            [command, str(file)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        printed.append(done.stdout)

    assert len(programs) == len(TASKS)
    assert PLACEHOLDER in page
    assert "zaapId" in printed[0]
    assert "5511999999999" in printed[1]
    assert "paused" in printed[1].lower()
