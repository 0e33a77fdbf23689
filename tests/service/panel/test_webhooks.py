"""The pages of webhooks: addresses, tests, secrets, deliveries, dead letters and replay."""

import re
import uuid
from typing import Any

from psycopg import AsyncConnection

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import Visitor, visitor
from tests.fixtures.service import Client, RunningGateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher

HOSTILE = "<script>alert(1)</script>"
SECRET = re.compile(r"<code>([0-9a-f]{64})</code>")
ADDED_DEAD = """
    insert into webhook_dead_letters (instance_id, id, chat, type, body, attempts, last_error,
                                      created_at)
    select %s, gen_random_uuid(), 'chat ' || n %% 3, 'DeliveryCallback', '{"n": 1}', 16,
           %s, now() - n * interval '1 second'
    from generate_series(1, %s) n
"""


def at(visit: Visitor, path: str = "", **query: str) -> str:
    rest = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/panel/webhooks{path}?instance={visit.instance_id}{rest}"


async def acts_of(visit: Visitor, client: Client) -> list[str]:
    answer = await client.http.get(
        "/account/audit", headers={"Authorization": f"Bearer {client.demo.partner_token}"}
    )
    return [each["act"] for each in answer.json() if each["user"] == visit.email]


async def add_dead(host: RunningGateway, client: Client, count: int, reason: str) -> None:
    connection = await AsyncConnection.connect(host.environment["DATABASE_URL"], autocommit=True)
    async with connection:
        await connection.execute(ADDED_DEAD, (client.demo.instance_id, reason, count))


async def test_first_address_is_set_for_all_events(host: RunningGateway, client: Client) -> None:
    async with visitor(host, client) as visit:
        before = await visit.get(at(visit))
        refused = await visit.post(at(visit, "/every"), every="ftp://example.com")
        saved = await visit.post(at(visit, "/every"), every=" https://example.com/hook ")
        page = await visit.get(at(visit))

        assert "First steps" in before.text
        assert refused.status_code == 400
        assert "must begin with https://" in refused.text
        assert 'value="ftp://example.com"' in refused.text
        assert saved.status_code == 303
        assert "First steps" not in page.text
        assert page.text.count('value="https://example.com/hook"') == 6
        assert "SetEveryWebhook" in await acts_of(visit, client)


async def test_refused_address_leaves_the_others_saved(
    host: RunningGateway, client: Client
) -> None:
    async with visitor(host, client) as visit:
        answer = await visit.post(
            at(visit),
            ReceivedCallback=f'https://example.com/"{HOSTILE}',
            DeliveryCallback="https://example.com/sent",
            ConnectedCallback="nonsense",
            notify_sent_by_me="on",
        )
        me = (await client.call("GET", "/me")).json()

        assert answer.status_code == 400
        assert "1 address was not saved" in answer.text
        assert HOSTILE not in answer.text
        assert me["deliveryCallbackUrl"] == "https://example.com/sent"
        assert me["connectedCallbackUrl"] is None
        assert me["receiveCallbackSentByMe"] is True


async def test_test_shows_the_answer_of_the_server(
    host: RunningGateway, client: Client, catcher: WebhookCatcher
) -> None:
    catcher.answer, catcher.text = lambda _number: 500, HOSTILE
    async with visitor(host, client) as visit:
        await visit.post(at(visit, "/every"), every=catcher.url)

        answer = await visit.post(at(visit, "/test"), test="DeliveryCallback")

        assert "did not take the test" in answer.text
        assert "Look at its log" in answer.text
        assert "&lt;script&gt;alert(1)" in answer.text
        assert HOSTILE not in answer.text
        assert catcher.posted[-1].body["test"] is True


async def test_secret_is_shown_once(host: RunningGateway, client: Client) -> None:
    async with visitor(host, client) as visit:
        made = await visit.post(at(visit, "/secret"))
        again = await visit.post(at(visit, "/secret"))
        page = await visit.get(at(visit))
        retired = await visit.post(at(visit, "/secret/retire"))
        after = await visit.get(at(visit))

        secrets = [SECRET.search(each.text) for each in (made, again)]
        assert None not in secrets
        assert SECRET.search(page.text) is None
        assert "End the previous secret" in page.text
        assert retired.status_code == 303
        assert "End the previous secret" not in after.text
        acts = await acts_of(visit, client)
        assert acts[:3] == ["RetireWebhookSecret", "RotateWebhookSecret", "RotateWebhookSecret"]


async def test_filters_are_saved(host: RunningGateway, client: Client) -> None:
    async with visitor(host, client) as visit:
        await visit.post(
            at(visit, "/filters"),
            message_filter=["FILTER_FROM_GROUP", "FILTER_TEXT_MESSAGE"],
            type_filter="FILTER_PRESENCE_CHAT_CALLBACK",
        )
        me = (await client.call("GET", "/me")).json()
    assert me["messageFilters"] == ["FILTER_FROM_GROUP", "FILTER_TEXT_MESSAGE"]
    assert me["callbackTypeFilters"] == ["FILTER_PRESENCE_CHAT_CALLBACK"]


async def listed(client: Client) -> list[dict[str, Any]]:
    webhooks: list[dict[str, Any]] = (await client.call("GET", "/webhooks")).json()["webhooks"]
    return webhooks


async def test_further_webhook_is_added_changed_and_deleted(
    host: RunningGateway, client: Client
) -> None:
    async with visitor(host, client) as visit:
        fields = {"url": "https://crm.example.com/hook", "enabled": "on"}
        wrong = await visit.post(at(visit, "/further/new"), **fields, headers="Host: evil")
        made = await visit.post(
            at(visit, "/further/new"),
            **fields,
            headers=f"Authorization: Bearer {HOSTILE}\n\nX-Key: 1",
            secret="0123456789abcdef",
            type="ReceivedCallback",
        )
        path = made.headers["location"]
        page = await visit.get(path)
        (added,) = await listed(client)
        await visit.post(path, url="https://crm.example.com/new")
        (changed,) = await listed(client)
        delete = at(visit, f"/further/{added['id']}/delete")
        kept = await visit.post(delete, typed="crm.example.com")
        still = await listed(client)
        await visit.post(delete, typed="https://crm.example.com")

        assert wrong.status_code == 400
        assert "must not set Host" in wrong.text
        assert "Bearer" not in page.text.replace("Bearer 0123", "")
        assert added["types"] == ["ReceivedCallback"]
        assert changed["url"] == "https://crm.example.com/new"
        assert (changed["types"], changed["enabled"]) == (None, False)
        assert (changed["hasSecret"], changed["headerNames"]) == (True, ["Authorization", "X-Key"])
        assert kept.status_code == 303
        assert len(still) == 1
        assert await listed(client) == []


async def test_failing_webhook_is_said_in_words(
    host: RunningGateway, client: Client, catcher: WebhookCatcher
) -> None:
    catcher.answer, catcher.text = lambda _number: 404, "no such page"
    async with visitor(host, client) as visit:
        await visit.post(at(visit), DeliveryCallback=catcher.url)
        await client.send_text("hi")

        async def page() -> str:
            return (await visit.get(at(visit, "/deliveries/waiting"))).text

        waiting = await until(
            page, lambda text: "times in a row" in text or "time in a row" in text
        )
        failed = (await visit.get(at(visit, "/deliveries", result="failed"))).text
        taken = (await visit.get(at(visit, "/deliveries", result="success"))).text
        one = re.search(r"/panel/webhooks/deliveries/([0-9a-f-]{36})", failed)
        assert one is not None
        callback = (await visit.get(at(visit, f"/deliveries/{one[1]}"))).text

        assert "The last answer: HTTP 404" in waiting
        assert "Check the address" in waiting
        assert "1 callback waits" in waiting
        assert "Nothing fits" in taken
        assert "no such page" in callback
        assert "&#34;messageId&#34;" in callback


async def test_dead_letters_are_posted_again_in_parts(
    host: RunningGateway, client: Client, catcher: WebhookCatcher
) -> None:
    await add_dead(host, client, 520, f"HTTP 500 {HOSTILE}")
    async with visitor(host, client) as visit:
        first = (await visit.get(at(visit, "/given-up"))).text
        second = (await visit.get(at(visit, "/given-up", page="11"))).text
        one = re.search(r"/panel/webhooks/given-up/([0-9a-f-]{36})", first)
        assert one is not None
        detail = (await visit.get(at(visit, f"/given-up/{one[1]}"))).text
        discarded = await visit.post(at(visit, "/given-up/discard"), id=one[1])
        without = await visit.post(at(visit, "/given-up/retry"), id=str(uuid.uuid4()))
        await visit.post(at(visit), DeliveryCallback=catcher.url)
        answer = await visit.post(at(visit, "/given-up/retry-all"))
        page = (await visit.get(at(visit, "/given-up"))).text
        stats = (await client.call("GET", "/dlq/stats")).json()["by_status"]

        assert HOSTILE not in first + detail
        assert "Post all 520 again" in first
        assert "Page 11 of 11" in second
        assert "&#34;n&#34;: 1" in detail
        assert discarded.status_code == 303
        assert without.status_code == 404
        assert answer.status_code == 303
        assert stats["discarded"] == 1
        assert stats.get("processing", 0) + stats.get("success", 0) == 519
        assert "of 519" in page or "processing" not in stats
        acts = await acts_of(visit, client)
        assert acts.count("RetryAllDeadLetters") == 2


async def test_progress_of_a_retry_comes_as_a_part(host: RunningGateway, client: Client) -> None:
    await add_dead(host, client, 3, "HTTP 500")
    async with visitor(host, client) as visit:
        await visit.post(at(visit), DeliveryCallback="https://receiver.invalid/hook")
        headers = {"HX-Request": "true", "X-CSRF-Token": await visit.token()}
        begun = await visit.http.post(at(visit, "/given-up/retry-all"), headers=headers)
        later = await visit.get(at(visit, "/given-up/progress"))

        assert "<html" not in begun.text
        assert "0 of 3" in begun.text
        assert "You may leave this page" in begun.text
        assert "0 of 3" in later.text


async def test_replay_shows_how_many_before_it_posts(
    host: RunningGateway, client: Client, catcher: WebhookCatcher
) -> None:
    async with visitor(host, client) as visit:
        await visit.post(at(visit), DeliveryCallback=catcher.url)
        await client.send_text("hi")
        await catcher.wait_for(lambda c: len(c.of_type("DeliveryCallback")) == 1)
        span = {"from": "2026-01-01T00:00", "type": "DeliveryCallback"}

        preview = (await visit.get(at(visit, "/replay", **span))).text
        other = (await visit.get(at(visit, "/replay", **{**span, "type": "ReceivedCallback"}))).text
        wrong = await visit.get(at(visit, "/replay", **{"from": "yesterday"}))
        posted_before = len(catcher.posted)
        done = await visit.post(at(visit, "/replay"), **span)
        await catcher.wait_for(lambda c: len(c.of_type("DeliveryCallback")) == 2)

        assert ">1 callback<" in preview
        assert "Nothing to post" in other
        assert wrong.status_code == 400
        assert posted_before == 1
        assert done.status_code == 303
        ids = {each.id for each in catcher.posted if each.body["type"] == "DeliveryCallback"}
        assert len(ids) == 1, "the same ID as before"
        assert "ReplayWebhooks" in await acts_of(visit, client)


async def test_agent_sees_no_webhooks(host: RunningGateway, client: Client) -> None:
    async with visitor(host, client, UserRole.AGENT) as visit:
        start = await visit.get("/panel/profile")
        page = await visit.get(at(visit))
        change = await visit.post(at(visit, "/every"), every="https://example.com/")
    assert 'href="/panel/webhooks"' not in start.text
    assert (page.status_code, change.status_code) == (403, 403)
