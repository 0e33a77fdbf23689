"""Routes that name the instance: each is called as programs of other systems call it."""

import base64
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.fixtures.service import Client, NewHouse, RunningGateway, guest_of, until
from tests.service.test_accounts import create

ANA = "5511999999999"
ABSENT = "14155550000"  # the simulation has no number that ends so
GROUP = "120363019502650977"
PICTURE = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4"
    b"\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND"
    b"\xaeB`\x82"
).decode()
SEND, SCHEDULE = "/api/whatsapp/send-message", "/api/whatsapp/schedule-message"
MESSAGING, TEXT = "/api/messaging/message/send", "/api/v2/whatsapp/send/text"
V2 = "/api/v2/whatsapp"
HELLO = {"instanceName": "Demo", "phoneNumber": ANA, "message": "Hello"}


@pytest.fixture
async def partner(client: Client) -> AsyncIterator[httpx.AsyncClient]:
    """Calls with the partner token alone."""
    async with partner_of(client) as http:
        yield http


def partner_of(client: Client) -> httpx.AsyncClient:
    bearer = {"Authorization": f"Bearer {client.demo.partner_token}"}
    return httpx.AsyncClient(
        base_url=client.demo.base_url, headers=bearer, timeout=client.http.timeout
    )


def done(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["success"] is True
    return body


def refused(answer: httpx.Response, status: int) -> str:
    """Returns why; every error of these routes says so in three keys."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body == {"success": False, "error": body["error"], "message": body["message"]}
    text: str = body["message"]
    return text


def tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def test_message_by_name_and_by_id_is_queued_and_sent(
    partner: httpx.AsyncClient, client: Client
) -> None:
    by_name = done(await partner.post(SEND, json=HELLO))
    by_id = done(await partner.post(TEXT, json={**HELLO, "instanceName": client.demo.instance_id}))

    assert by_name.keys() == {"success", "status", "zaapId", "messageId", "id"}
    assert (by_name["status"], by_name["id"]) == ("queued", by_name["messageId"])
    sent = await client.sent_at_least(2)
    assert [row["messageId"] for row in sent] == [by_name["messageId"], by_id["messageId"]]


async def test_client_token_of_a_small_account_is_enough(client: Client) -> None:
    assert done(await client.http.post(SEND, json=HELLO))["status"] == "queued"


async def test_key_reaches_what_its_scopes_and_instances_allow(
    partner: httpx.AsyncClient, client: Client
) -> None:
    twin = await create(partner, name="Demo")
    own, other = client.demo.instance_id, twin["id"]

    async def key(*scopes: str, **limits: Any) -> dict[str, str]:
        answer = await partner.post(
            "/account/keys", json={"name": "CRM", "scopes": scopes, **limits}
        )
        return {"Authorization": f"Bearer {answer.json()['key']}"}

    async with httpx.AsyncClient(base_url=client.demo.base_url, timeout=60) as http:
        sends, reads, manages = await key("send"), await key("read"), await key("manage")
        queued = await http.post(SEND, json={**HELLO, "instanceName": own}, headers=sends)
        state = await http.get(f"{V2}/status/{own}", headers=reads)
        linked = await http.post(f"{V2}/connect", json={"instanceName": own}, headers=manages)
        retried = await http.post(
            f"{V2}/queue/retry",
            json={"instanceName": own, "messageId": done(queued)["zaapId"]},
            headers=manages,
        )
        lacking = [
            await http.post(SEND, json=HELLO, headers=reads),
            await http.get(f"{V2}/health", headers=sends),
            await http.post(f"{V2}/recovery", json={"instanceName": own}, headers=reads),
        ]
        limited = await key("send", "read", instanceIds=[own])
        by_name = await http.post(SEND, json=HELLO, headers=limited)
        foreign = await http.post(SEND, json={**HELLO, "instanceName": other}, headers=limited)
        whole = await http.get(f"{V2}/metrics", headers=limited)
        ambiguous = await http.post(SEND, json=HELLO, headers=sends)

    assert done(state)["connected"] is True
    assert done(linked)["connected"] is True
    assert retried.status_code != 403, retried.text
    assert ["needs the scope" in refused(answer, 403) for answer in lacking] == [True] * 3
    assert done(by_name)["status"] == "queued"
    assert "no instance with this id or name" in refused(foreign, 404)
    assert "limited to instances" in refused(whole, 403)
    assert other in refused(ambiguous, 409)  # a key that may know of both


async def test_scheduled_message_waits_and_is_recognised_by_its_id(
    partner: httpx.AsyncClient, client: Client
) -> None:
    visit = {**HELLO, "scheduledFor": tomorrow(), "scheduleId": "visit-17"}
    first = done(await partner.post(SCHEDULE, json=visit), 202)
    again = done(await partner.post(SCHEDULE, json=visit), 202)
    another = done(await partner.post(SCHEDULE, json={**HELLO, "scheduledFor": tomorrow()}), 202)

    assert first["scheduleId"] == "visit-17"
    assert datetime.fromisoformat(first["scheduledFor"]) == datetime.fromisoformat(
        visit["scheduledFor"]
    )
    assert (first["status"], first["message"]) == ("scheduled", "The message is scheduled")
    assert again == first
    assert another["scheduleId"] == another["zaapId"]
    assert (await client.call("GET", "/queue/count")).json()["count"] == 2
    canceled = await client.call("DELETE", f"/queue/{another['scheduleId']}")
    assert canceled.status_code == 200, canceled.text


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"scheduledFor": "2020-01-31T12:00:00Z"}, "scheduledFor: must be in the future"),
        ({}, "scheduledFor: is required"),
    ],
)
async def test_schedule_needs_a_time_ahead(
    partner: httpx.AsyncClient, fields: dict[str, str], reason: str
) -> None:
    assert refused(await partner.post(SCHEDULE, json={**HELLO, **fields}), 400) == reason


async def test_group_gets_a_file_through_a_channel(
    partner: httpx.AsyncClient, client: Client
) -> None:
    queued = done(
        await partner.post(
            MESSAGING,
            json={
                "channel": "whatsapp",
                "channelInstanceId": "Demo",
                "groupId": f"{GROUP}@g.us",
                "message": "Today's menu",
                "mediaUrl": f"data:image/png;base64,{PICTURE}",
                "mediaType": "image/png",
            },
        )
    )

    assert queued["status"] == "queued"
    message = (await client.call("GET", f"/queue/{queued['zaapId']}")).json()
    assert (message["type"], message["phone"]) == ("send-image", f"{GROUP}-group")


async def test_answer_that_waits_has_the_final_status(
    partner: httpx.AsyncClient, client: Client
) -> None:
    wait = {"Prefer": "wait=30"}
    message = {"channelInstanceId": "Demo", "message": "Hello"}
    out = await partner.post(
        MESSAGING, json={**message, "remoteJid": f"{ANA}@s.whatsapp.net"}, headers=wait
    )
    failed = await partner.post(SEND, json={**HELLO, "phoneNumber": ABSENT}, headers=wait)

    assert out.headers["preference-applied"] == "wait=30"
    assert done(out)["status"] in {"sent", "delivered", "read"}
    assert failed.status_code == 200
    assert (failed.json()["success"], failed.json()["status"]) == (False, "failed")
    assert failed.json()["error"]


@pytest.fixture(scope="module")
def waiting_house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_NAMED_API_WAIT_SECONDS="30") as gateway:
        yield gateway


async def test_setting_makes_messaging_wait_for_the_outcome(waiting_house: RunningGateway) -> None:
    async with guest_of(waiting_house) as client, partner_of(client) as partner:
        to_ana = {"channelInstanceId": "Demo", "remoteJid": ANA, "message": "Hello"}
        out = done(await partner.post(MESSAGING, json=to_ana))
        later = done(await partner.post(MESSAGING, json={**to_ana, "scheduledFor": tomorrow()}))
        sent = done(await partner.post(SEND, json=HELLO))

    assert out["status"] in {"sent", "delivered", "read"}
    assert (later["status"], sent["status"]) == ("queued", "queued")


async def test_key_that_is_repeated_queues_once(partner: httpx.AsyncClient, client: Client) -> None:
    await client.call("POST", "/queue/pause")
    key = {"Idempotency-Key": "order-17"}
    first = done(await partner.post(SEND, json=HELLO, headers=key))
    again = done(await partner.post(SEND, json=HELLO, headers=key))
    other = await partner.post(SEND, json={**HELLO, "message": "Bye"}, headers=key)

    assert again == first
    refused(other, 422)
    assert (await client.call("GET", "/queue/count")).json()["count"] == 1


async def test_ambiguous_name_is_refused_with_the_ids(
    partner: httpx.AsyncClient, client: Client
) -> None:
    twin = await create(partner, name="Demo")
    ids = {client.demo.instance_id, twin["id"]}
    answers = [
        await partner.post(SEND, json=HELLO),
        await partner.get(f"{V2}/status/Demo"),
        await partner.post(f"{V2}/queue/retry", json={"instanceName": "Demo"}),
        await partner.get(f"{V2}/metrics", params={"instanceName": "Demo"}),
    ]

    for answer in answers:
        reason = refused(answer, 409)
        assert all(each in reason for each in ids)
    assert done(await partner.get(f"{V2}/status/{twin['id']}"))["instanceId"] == twin["id"]


async def test_unknown_and_foreign_instances_are_not_found(
    partner: httpx.AsyncClient, client: Client, house: RunningGateway
) -> None:
    async with guest_of(house) as other:
        theirs = other.demo.instance_id
    for named in ("Nothing", theirs):
        assert refused(await partner.post(SEND, json={**HELLO, "instanceName": named}), 404) == (
            "instanceName: the account has no instance with this id or name"
        )
        refused(await partner.get(f"{V2}/status/{named}"), 404)
        refused(await partner.post(f"{V2}/recovery", json={"instanceId": named}), 404)


async def test_wrong_token_is_unauthorized(client: Client) -> None:
    async with httpx.AsyncClient(base_url=client.demo.base_url) as http:
        for headers in ({}, {"Authorization": f"Bearer {client.demo.instance_token}"}):
            assert refused(await http.post(SEND, json=HELLO, headers=headers), 401) == (
                "Unauthorized"
            )
            refused(await http.get(f"{V2}/metrics", headers=headers), 401)


@pytest.mark.parametrize(
    ("path", "fields", "reason"),
    [
        (SEND, {"phoneNumber": "?!"}, "phoneNumber: must be a phone"),
        (MESSAGING, {"phoneNumber": None, "groupId": "?!"}, "groupId: must be a phone"),
        (SEND, {"phoneNumber": None}, "phoneNumber: is required, or remoteJid or groupId"),
        (SEND, {"phone": "5511888888888"}, "phone: must not be given together with phoneNumber"),
        (SEND, {"message": None}, "message: is required"),
        (SEND, {"message": {"text": "Hello"}}, "message: must be a text"),
        (SEND, {"mediaUrl": "https://example.com/a.png"}, "mediaType: must be one of image,"),
        (SEND, {"mediaUrl": "no file", "mediaType": "image"}, "mediaUrl: must be a URL or base64"),
        (SEND, {"userId": "another"}, "userId: must be the id or the name of the account"),
        (SEND, {"instanceName": None}, "instanceName: is required"),
        (MESSAGING, {"instanceName": None}, "channelInstanceId: is required"),
        (SEND, {"instanceId": "1"}, "instanceId: must not be given together with instanceName"),
        (MESSAGING, {"channel": "sms"}, "channel: must be whatsapp"),
        (SEND, {"expiresIn": 0}, "expiresIn: must be at least 1"),
    ],
)
async def test_wrong_field_is_named_as_the_caller_spells_it(
    partner: httpx.AsyncClient, client: Client, path: str, fields: dict[str, Any], reason: str
) -> None:
    answer = await partner.post(path, json={**HELLO, **fields})

    assert refused(answer, 400).startswith(reason)
    assert (await client.call("GET", "/queue/count")).json()["count"] == 0


async def test_unlinked_instance_is_connected_by_its_code(partner: httpx.AsyncClient) -> None:
    made = await create(partner, name="Unlinked")
    asked = {"instanceName": "Unlinked"}
    answer = await until(
        lambda: partner.post(f"{V2}/connect", json=asked),
        lambda answer: answer.status_code == httpx.codes.OK,
    )

    shown = done(answer)
    assert (shown["status"], shown["connected"]) == ("qr", False)
    assert shown["qrCode"]
    assert shown["qrImage"].startswith("data:image/png;base64,")
    assert shown["instanceId"] == made["id"]
    assert done(await partner.get(f"{V2}/status/Unlinked"))["status"] == "disconnected"


async def test_linked_instance_has_nothing_to_scan(partner: httpx.AsyncClient) -> None:
    shown = done(await partner.post(f"{V2}/connect", json={"instanceName": "Demo"}))

    assert (shown["status"], shown["connected"]) == ("connected", True)
    assert "qrCode" not in shown


async def test_failed_messages_wait_again(partner: httpx.AsyncClient, client: Client) -> None:
    wait = {"Prefer": "wait=30"}
    to_nowhere = {**HELLO, "phoneNumber": ABSENT}
    one = (await partner.post(SEND, json=to_nowhere, headers=wait)).json()
    await partner.post(SEND, json=to_nowhere, headers=wait)
    await client.call("POST", "/queue/pause")

    named = {"instanceName": "Demo"}
    first = await partner.post(f"{V2}/queue/retry", json={**named, "messageId": one["zaapId"]})
    rest = await partner.post(f"{V2}/queue/retry", json=named)
    metrics = done(await partner.get(f"{V2}/metrics", params=named))

    assert done(first) == {"success": True, "retried": 1, "queueLength": 1}
    assert done(rest) == {"success": True, "retried": 1, "queueLength": 2}
    assert metrics["waiting"] == 2
    assert "failed" not in metrics["byStatus"]


async def test_recovery_restarts_the_session_and_is_audited(
    partner: httpx.AsyncClient, client: Client
) -> None:
    assert done(await partner.post(f"{V2}/recovery", json={"instanceName": "Demo"})) == {
        "success": True,
        "instanceId": client.demo.instance_id,
        "instanceName": "Demo",
        "status": "restarted",
    }
    act, *_ = (await partner.get("/account/audit")).json()
    assert (act["act"], act["instanceId"]) == ("Restart", client.demo.instance_id)
    assert (act["credential"], act["outcome"]) == ("partner_token", "done")


async def test_health_and_metrics_count_the_account_alone(
    partner: httpx.AsyncClient, client: Client
) -> None:
    await create(partner, name="Second")
    await client.call("POST", "/queue/pause")
    done(await partner.post(SEND, json=HELLO))
    done(await partner.post(SEND, json={**HELLO, "scheduledFor": tomorrow()}))

    health = done(await partner.get(f"{V2}/health"))
    metrics = done(await partner.get(f"{V2}/metrics"))

    assert health == {"success": True, "status": "ok", "instances": 2, "connected": 1}
    counted = {"pending": 1, "scheduled": 1}
    assert (metrics["instances"], metrics["connected"], metrics["waiting"]) == (2, 1, 2)
    assert metrics["byStatus"] == counted
    assert [queue["instanceName"] for queue in metrics["queues"]] == ["Demo", "Second"]
    assert metrics["queues"][0] == {
        "instanceId": client.demo.instance_id,
        "instanceName": "Demo",
        "connected": True,
        "paused": True,
        "waiting": 2,
        "byStatus": counted,
    }


async def test_other_method_is_refused_with_success_false(partner: httpx.AsyncClient) -> None:
    answer = await partner.get(SEND)

    assert refused(answer, 405) == "Method not allowed"
    assert answer.headers["allow"] == "POST"


async def test_instance_is_in_the_log_of_the_request(
    partner: httpx.AsyncClient, client: Client, host: RunningGateway
) -> None:
    refused(await partner.post(SEND, json={**HELLO, "mediaUrl": "x", "mediaType": "image"}), 400)

    async def lines() -> list[str]:
        return [line for line in host.log.splitlines() if SEND in line]

    # The line comes after the answer, and others share the log.
    await until(lines, lambda seen: any(client.demo.instance_id in line for line in seen))
