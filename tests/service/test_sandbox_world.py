"""Instances share the simulated world: a change by one is seen by the others."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest

from tests.fixtures.service import Client, RunningGateway, client_of, until
from tests.fixtures.webhook_catcher import WebhookCatcher

BEN, CLARA = "5511777777777", "5511666666666"


async def got(client: Client, path: str, **query: Any) -> Any:
    answer = await client.call("GET", path, params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def done(client: Client, path: str, **body: Any) -> Any:
    answer = await client.call("POST", path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def getting(client: Client, path: str, **query: Any) -> Callable[[], Awaitable[Any]]:
    async def get() -> Any:
        return await got(client, path, **query)

    return get


async def connect(client: Client, catcher: WebhookCatcher) -> str:
    """Sets every webhook and returns the number."""
    await until(getting(client, "/status"), lambda status: status["connected"])
    answer = await client.call("PUT", "/update-every-webhooks", json={"value": catcher.url})
    assert answer.is_success
    return str((await got(client, "/device"))["phone"])


@pytest.fixture
async def other(client: Client) -> Client:
    """Another instance of the same gateway."""
    answer = await client.http.post(
        "/instances/integrator/on-demand",
        json={"name": "other", "providerSettings": {"paired": True}},
        headers={"Authorization": f"Bearer {client.demo.partner_token}"},
    )
    assert answer.is_success, answer.text
    made = answer.json()
    demo = replace(client.demo, instance_id=made["id"], instance_token=made["token"])
    return Client(demo, client.http)


def has_left(catcher: WebhookCatcher, *, of: Client) -> bool:
    return "GROUP_PARTICIPANT_LEAVE" in dict(notifications_of(catcher, of))


def notifications_of(catcher: WebhookCatcher, instance: Client) -> list[tuple[str, list[str]]]:
    """Returns the notifications of an instance, in order."""
    return [
        (body["notification"], body["notificationParameters"])
        for body in catcher.of_type("ReceivedCallback")
        if body["instanceId"] == instance.demo.instance_id and "notification" in body
    ]


async def test_group_life_cycle_is_seen_by_its_members(  # noqa: PLR0915 - each step needs the state of the one before
    client: Client, other: Client, catcher: WebhookCatcher
) -> None:
    me, her = await connect(client, catcher), await connect(other, catcher)

    made = await done(client, "/create-group", groupName="Desk", phones=[BEN])
    group, link = made["phone"], made["invitationLink"]

    async def seen(by: Client = client) -> Any:
        return await got(by, f"/group-metadata/{group}")

    def roles(metadata: Any) -> dict[str, bool]:
        return {each["phone"]: each["isAdmin"] for each in metadata["participants"]}

    first = await seen()
    assert roles(first) == {me: True, BEN: False}
    assert (first["subject"], first["owner"], first["invitationLink"]) == ("Desk", me, link)
    assert [each["phone"] for each in await got(client, "/groups")] == [group]
    assert (await other.call("GET", f"/group-metadata/{group}")).status_code == 404

    assert await done(client, "/add-participant", groupId=group, phones=[CLARA]) == {"value": True}
    assert roles(await seen()) == {me: True, BEN: False, CLARA: False}
    assert await done(client, "/add-admin", groupId=group, phones=[CLARA]) == {"value": True}
    assert roles(await seen())[CLARA] is True
    await done(client, "/remove-admin", groupId=group, phones=[CLARA])
    assert roles(await seen())[CLARA] is False

    await done(client, "/update-group-name", groupId=group, groupName="Front desk")
    await done(client, "/update-group-description", groupId=group, groupDescription="Who is in")
    assert (await got(client, "/groups"))[0]["name"] == "Front desk"
    renamed = await seen()
    assert (renamed["subject"], renamed["description"]) == ("Front desk", "Who is in")

    await done(client, "/update-group-settings", phone=group, requireAdminApproval=True)
    await done(client, "/update-group-settings", phone=group, adminOnlySettings=True)
    rules = await seen()
    assert (rules["requireAdminApproval"], rules["adminOnlySettings"]) == (True, True)

    shown = await got(other, "/group-invitation-metadata", url=link)
    assert (shown["phone"], shown["participantsCount"]) == (group, 3)
    assert await got(other, "/accept-invite-group", url=link) == {"success": True}
    assert her not in roles(await seen()), "an admin decides first"
    approved = await done(client, "/approve-participant", groupId=group, phones=[her])
    assert approved == {"value": True}
    assert her in roles(await seen())
    assert roles(await seen(other)) == roles(await seen())
    again = await done(client, "/approve-participant", groupId=group, phones=[her])
    assert again == {"value": False}, "nobody is waiting any more"

    not_hers = {"groupId": group, "groupName": "Hers"}
    refused = await other.call("POST", "/update-group-name", json=not_hers)
    assert refused.status_code == 403
    assert (await seen(other))["invitationLinkError"] == "not-authorized"
    assert (await seen())["subject"] == "Front desk"

    renewed = (await done(client, f"/redefine-invitation-link/{group}"))["invitationLink"]
    old = await other.call("GET", "/group-invitation-metadata", params={"url": link})
    assert old.status_code == 404
    assert (await got(client, f"/group-invitation-link/{group}"))["invitationLink"] == renewed

    assert await done(client, "/leave-group", groupId=group) == {"value": True}
    assert await got(client, "/groups") == []
    assert (await client.call("GET", f"/group-metadata/{group}")).status_code == 404
    left = await until(lambda: seen(other), lambda metadata: me not in roles(metadata))
    assert any(roles(left).values()), "a group has an admin"

    for each in (client, other):
        await catcher.wait_for(partial(has_left, of=each))
    assert notifications_of(catcher, client) == [
        ("GROUP_CREATE", ["Desk"]),
        ("GROUP_PARTICIPANT_ADD", [CLARA]),
        ("GROUP_PARTICIPANT_PROMOTE", [CLARA]),
        ("GROUP_PARTICIPANT_DEMOTE", [CLARA]),
        ("GROUP_CHANGE_SUBJECT", ["Front desk"]),
        ("GROUP_CHANGE_DESCRIPTION", ["Who is in"]),
        ("GROUP_CHANGE_RESTRICT", []),
        ("MEMBERSHIP_APPROVAL_REQUEST", [her]),
        ("GROUP_PARTICIPANT_ADD", [her]),
        ("GROUP_PARTICIPANT_LEAVE", [me]),
    ]
    assert notifications_of(catcher, other) == [
        ("GROUP_PARTICIPANT_ADD", [her]),
        ("GROUP_PARTICIPANT_LEAVE", [me]),
    ]


async def test_instances_receive_each_others_messages(
    client: Client, other: Client, catcher: WebhookCatcher
) -> None:
    me, her = await connect(client, catcher), await connect(other, catcher)

    async def written(to: Client, text: str) -> dict[str, Any]:
        def found(c: WebhookCatcher) -> list[dict[str, Any]]:
            return [
                body
                for body in c.of_type("ReceivedCallback")
                if body["instanceId"] == to.demo.instance_id
                and body.get("text", {}).get("message") == text
            ]

        await catcher.wait_for(lambda c: bool(found(c)))
        return found(catcher)[0]

    sent = await client.send_text("hello", phone=her)
    arrived = await written(other, "hello")
    assert (arrived["phone"], arrived["messageId"]) == (me, sent["messageId"])
    await other.send_text("hello yourself", phone=me)
    assert (await written(client, "hello yourself"))["phone"] == her

    group = (await done(client, "/create-group", groupName="Two", phones=[her]))["phone"]
    await client.send_text("to both", phone=group)
    assert (await written(other, "to both"))["participantPhone"] == me

    chats = {chat["phone"]: chat for chat in await got(other, "/chats")}
    assert chats[me]["unread"] == "1"
    await done(other, "/modify-chat", phone=me, action="read")
    assert (await got(other, f"/chats/{me}"))["unread"] == "0"
    messages = await got(other, f"/chat-messages/{me}")
    assert [(m["fromMe"], m["text"]["message"]) for m in messages] == [
        (True, "hello yourself"),
        (False, "hello"),
    ]

    await done(other, "/contacts/modify-blocked", phone=me, action="block")
    unheard = (await client.send_text("are you there?", phone=her))["messageId"]
    await catcher.wait_for(
        lambda c: any(body["messageId"] == unheard for body in c.of_type("DeliveryCallback"))
    )
    await done(other, "/contacts/modify-blocked", phone=me, action="unblock")
    await client.send_text("now?", phone=her)
    await written(other, "now?")
    assert "are you there?" not in [
        body["text"]["message"] for body in catcher.of_type("ReceivedCallback") if "text" in body
    ]


async def test_admin_only_group_refuses_other_members(
    client: Client, other: Client, catcher: WebhookCatcher
) -> None:
    await connect(client, catcher)
    her = await connect(other, catcher)
    group = (await done(client, "/create-group", groupName="News", phones=[her]))["phone"]
    await done(client, "/update-group-settings", phone=group, adminOnlyMessage=True)

    await other.send_text("may I?", phone=group)

    await catcher.wait_for(lambda c: any("error" in body for body in c.of_type("DeliveryCallback")))
    (failed,) = [body for body in catcher.of_type("DeliveryCallback") if "error" in body]
    assert "Only admins" in failed["error"]


async def test_channel_shows_followers_and_admins(
    client: Client, other: Client, catcher: WebhookCatcher
) -> None:
    await connect(client, catcher)
    await connect(other, catcher)
    channel = (await done(client, "/create-newsletter", name="News"))["id"]

    await other.call("PUT", "/follow-newsletter", json={"id": channel})
    hers = await got(other, f"/newsletter/metadata/{channel}")
    assert (hers["subscribersCount"], hers["viewMetadata"]["role"]) == ("1", "SUBSCRIBER")
    refused = await other.call(
        "POST", "/update-newsletter-name", json={"id": channel, "name": "Hers"}
    )
    assert refused.status_code == 403
    await other.call("PUT", "/mute-newsletter", json={"id": channel})
    (listed,) = await got(other, "/newsletter")
    assert listed["viewMetadata"]["mute"] == "ON"
    await client.call("DELETE", "/delete-newsletter", json={"id": channel})
    assert await got(client, "/newsletter") == []


async def test_phone_lookup_tries_both_ninth_digit_forms(client: Client) -> None:
    await until(getting(client, "/status"), lambda status: status["connected"])

    found = await got(client, "/phone-exists/5531988887777")
    same = await got(client, "/phone-exists/553188887777")
    missing = await got(client, "/phone-exists/5511988880000")

    assert found == same
    assert (found["exists"], found["phone"]) == (True, "553188887777")
    assert found["lid"].endswith("@lid")
    assert missing == {"exists": False, "phone": "5511988880000", "lid": None}


async def test_chat_pages_are_stable_while_messages_arrive(
    client: Client, gateway: RunningGateway
) -> None:
    await until(getting(client, "/status"), lambda status: status["connected"])
    people = [f"55119{number:08d}" for number in range(1, 31)]
    for phone in people:
        await client.control("receive", phone=phone, text="hi", senderName=f"n{phone[-2:]}")
    await until(
        getting(client, "/chats", page=1, pageSize=100), lambda chats: len(chats) == len(people)
    )

    walked: list[str] = []
    for page in range(1, 5):
        chats = await got(client, "/chats", page=page, pageSize=10)
        walked += [chat["phone"] for chat in chats]
        moved = people[page]  # from the end of the list to its head
        await client.control("receive", phone=moved, text="me again")
        await until(getting(client, f"/chats/{moved}"), lambda chat: int(chat["unread"]) > 1)

    assert walked == people[::-1]
    contacts = [
        contact["phone"]
        for page in range(1, 5)
        for contact in await got(client, "/contacts", page=page, pageSize=10)
    ]
    assert contacts == people
    async with client_of(gateway) as again:
        assert (await got(again, "/chats", page=1, pageSize=1))[0]["phone"] == people[4]


async def test_auto_read_and_auto_reject_act_when_enabled(
    client: Client, other: Client, catcher: WebhookCatcher
) -> None:
    me = await connect(client, catcher)
    await connect(other, catcher)
    for switch in ("auto-read-message", "call-reject-auto"):
        await client.call("PUT", f"/update-{switch}", json={"value": True})
    await client.call("PUT", "/update-call-reject-message", json={"value": "Please write"})

    async def switched_on() -> Any:
        return (await got(client, "/me"))["autoReadMessage"]

    await until(switched_on, bool)
    await other.send_text("read me", phone=me)
    read = {"status": "READ", "instanceId": other.demo.instance_id, "phone": me}
    await catcher.wait_for(
        lambda c: any(read.items() <= body.items() for body in c.of_type("MessageStatusCallback"))
    )
    await until(getting(client, "/chats"), lambda chats: bool(chats) and chats[0]["unread"] == "0")

    await client.control("call", phone=BEN)
    await catcher.wait_for(lambda c: "CALL_MISSED_VOICE" in dict(notifications_of(c, client)))
    (answered,) = await client.sent_at_least(1)
    assert (answered["phone"], answered["payload"]["message"]) == (BEN, "Please write")
