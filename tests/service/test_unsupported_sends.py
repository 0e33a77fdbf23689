"""A send that the instance's provider cannot do is refused at the door, and nothing is queued."""

import httpx
import pytest

from tests.fixtures.service import Client

UNSUPPORTED = {
    "/send-call": {"phone": "5511999999999"},
    "/send-newsletter-admin-invite": {"phone": "5511999999999"},
}


@pytest.mark.parametrize("path", UNSUPPORTED)
async def test_send_that_whatsmeow_cannot_do_is_answered_501(client: Client, path: str) -> None:
    made = await client.http.post(
        "/instances/integrator/on-demand",
        json={"name": "whatsmeow", "provider": "whatsmeow"},
        headers={"Authorization": f"Bearer {client.demo.partner_token}"},
    )
    instance = f"/instances/{made.json()['id']}/token/{made.json()['token']}"

    answer = await client.http.post(instance + path, json=UNSUPPORTED[path])

    assert answer.status_code == httpx.codes.NOT_IMPLEMENTED
    assert answer.json()["error"].endswith(" is not supported by the whatsmeow provider")
    assert (await client.http.get(f"{instance}/queue/count")).json()["count"] == 0
    table = (await client.http.get("/providers")).json()["operations"]
    (row,) = [row for row in table if row["path"] == path]
    assert row["supportedBy"] == ["sandbox"]
