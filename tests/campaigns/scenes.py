"""All scenes by name: those with messages, with queues, callbacks and accounts, and every route."""

import asyncio
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import httpx

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.instances.accounts import Accounts
from gateway.instances.api_keys import ApiKeys
from gateway.instances.creation import Registry
from gateway.instances.tokens import TokenVault
from gateway.runtime.provider_selection import secret_settings_of
from gateway.webhooks.secrets import WebhookSecrets
from tests.campaigns.account_scenes import (
    change_callbacks,
    encrypt_content,
    keep_broadcast_lists,
    keep_connections,
    keep_keys,
    keep_people,
    keep_webhooks,
    refuse_opted_out,
    search_people,
    use_account,
)
from tests.campaigns.engine_scenes import restart_engines, vote_by_engines, write_by_engines
from tests.campaigns.message_scenes import (
    await_file,
    change_messages,
    exchange,
    fail,
    follow_events,
    follow_events_by_socket,
    follow_old_events,
    read_history,
    receive,
    receive_card,
    receive_early,
    receive_file,
    receive_others,
    schedule,
    send_by_kafka,
    send_file,
    send_texts,
    vote,
)
from tests.campaigns.people_scenes import (
    keep_users,
    link_phone,
    sign_in,
    use_key,
    wait_turn,
    watch_queue,
)
from tests.campaigns.tour import ANA, BEN, GONE, Scene, Tour
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.service.test_documented_routes import ENDS_THE_CONNECTION, ROUTES, World


async def control_queue(tour: Tour) -> None:
    """Pauses, moves, cancels and clears, and resumes.

    It clears only what waits for a person whom no other scene meets: an order that comes late would
    take what was accepted after it.
    """
    line, person = tour.line, tour.person()
    await line.call("POST", "/queue/pause")
    later, first, canceled = [
        await line.post("/send-text", {"phone": person, "message": tour.text("waits")})
        for _ in range(3)
    ]
    await line.call("POST", f"/queue/{first['zaapId']}/move-to-front")
    await line.call("DELETE", f"/queue/{canceled['zaapId']}")
    for path in ("/queue", "/queue/count", "/queue/stats", f"/queue/{later['zaapId']}"):
        await line.call("GET", path)
    await line.call("DELETE", "/queue", params={"phone": person})
    await line.call("POST", "/queue/resume")
    await tour.send("resumed")


async def clear_failed(tour: Tour) -> None:
    await tour.line.control("faults", next=["permanent"])
    refused = await tour.line.post("/send-text", {"phone": ANA, "message": tour.text("refused")})
    await tour.until(
        lambda: tour.line.call("GET", f"/queue/{refused['zaapId']}"),
        lambda answer: answer.json().get("status") in {"failed", "sent"},
    )
    await tour.line.call("DELETE", "/queue/failed")
    await tour.line.control("faults", next=[])


async def limit_day(tour: Tour) -> None:
    """Reaches the daily limit, and lifts it."""
    await tour.send()
    await tour.line.call("PUT", "/queue/settings", json={"dailyLimit": 1})
    held = await tour.line.send_text(tour.text("of another day"))
    # A session whose settings were read again after a cut may send it before it knows the limit.
    await tour.until(
        lambda: tour.line.call("GET", "/queue/stats"),
        lambda answer: bool(answer.json().get("holdUntil") or not answer.json()["queueLength"]),
    )
    await tour.line.call("PUT", "/queue/settings", json={"dailyLimit": 0})
    await tour.arrived(held["messageId"])


async def expire(tour: Tour) -> None:
    await tour.line.call("POST", "/queue/pause")
    old = await tour.line.post("/send-text", {"phone": ANA, "message": tour.text("old")})
    await tour.operator.execute(
        "update message_queue set expires_at = now() where message_id = %s", [old["messageId"]]
    )
    await tour.until(
        lambda: tour.rows(
            "select 1 from message_queue where message_id = %s and status = 'failed'",
            old["messageId"],
        ),
        bool,
    )
    await tour.line.call("POST", "/queue/resume")
    await tour.operator.execute(
        "update message_queue set updated_at = now() - interval '1 year' where status = 'failed'"
    )


async def refuse_callbacks(tour: Tour) -> None:
    """The receiver refuses for good, and the dead letters are listed, retried and deleted."""
    tour.catcher.answer = lambda _number: GONE
    try:
        for phone in (ANA, BEN):
            await tour.line.control("presence", phone=phone, status="composing")
        letters = await tour.until(
            lambda: tour.line.call("GET", "/dlq/events"),
            lambda seen: seen.json()["total"] > 1,
        )
    finally:
        tour.catcher.answer = lambda _number: httpx.codes.OK
    await tour.line.call("GET", "/dlq/stats")
    discarded, *_ = letters.json()["events"]
    await tour.line.call("POST", f"/dlq/events/{discarded['event_id']}/discard")
    await tour.line.call("POST", "/dlq/retry-all", json={})
    await tour.line.call("DELETE", "/dlq/purge")


async def break_receiver(tour: Tour) -> None:
    """The receiver is silent until its circuit breaker opens, and then answers again."""
    url, presence = tour.catcher.url, "PresenceChatCallback"
    async with WebhookCatcher().serving() as other:
        gone = other.url
    port = int(gone.rpartition(":")[2].partition("/")[0])
    await tour.line.call("PUT", "/update-every-webhooks", json={"value": gone})
    for number in range(8):
        await tour.line.control("presence", phone=f"{ANA[:-1]}{number}", status="composing")
    await tour.until(
        lambda: tour.rows("select 1 from webhook_lines where address is not null"),
        lambda found: len(found) > 5,
    )
    async with WebhookCatcher().serving(port) as again:
        # Late states of earlier messages may come as well.
        await again.wait_for(
            lambda c: len({p.id for p in c.delivered if p.body["type"] == presence}) == 8,
            tour.patience_seconds,
        )
    await tour.line.call("PUT", "/update-every-webhooks", json={"value": url})


async def read_webhooks(tour: Tour) -> None:
    since = datetime.now(UTC).isoformat()
    await tour.send()
    await tour.line.call("GET", "/webhooks/deliveries")
    span = {"from": since, "to": datetime.now(UTC).isoformat()}
    await tour.line.call("GET", "/webhooks/replay", params=span)
    await tour.line.call("GET", "/webhooks/states")
    await tour.line.call("POST", "/webhooks/replay", json=span)
    await tour.line.call("POST", "/webhooks/test", json={"type": "DeliveryCallback"})


async def change_proxy(tour: Tour) -> None:
    proxy = {"proxyUrl": "socks5://127.0.0.1:1"}
    await tour.line.call("PUT", "/update-proxy", json=proxy)
    await tour.line.call("POST", "/proxy/test", json={})
    await tour.line.call("GET", "/proxy/health")
    await tour.line.call("DELETE", "/proxy")


async def change_connection(tour: Tour) -> None:
    await tour.line.control("faults", next=["disconnect_before_send"])
    handed_back = await tour.line.send_text(tour.text("handed back"))
    await tour.until(
        lambda: tour.rows("select state from sandbox.phones where state = 'disconnected'"), bool
    )
    await tour.line.control("connection", state="up")
    await tour.arrived(handed_back["messageId"])
    await tour.line.control("connection", state="logged_out")
    await tour.line.control("scan")
    await tour.send()


async def replace_instance(tour: Tour) -> None:
    """A partner makes an instance, which then loses its lease, and deletes it."""
    new = {"name": "New"}
    made = (await tour.partner("POST", "/instances/integrator/on-demand", json=new)).json()
    path = f"/instances/{made['id']}"
    account = f"{path}/token/{made['token']}/integrator/on-demand/subscription"
    await tour.partner("POST", account, json={})
    await tour.partner("PUT", f"{account}/update", json={"withCalls": True})
    await tour.partner("POST", f"{path}/token/{made['token']}/integrator/on-demand/cancel")
    await tour.partner("GET", "/instances")
    owned = "select 1 from instance_leases where node_id is not null and instance_id = %s"
    await tour.until(lambda: tour.rows(owned, made["id"]), bool)
    await tour.operator.execute("update instances set wanted = false where id = %s", [made["id"]])
    await tour.until(lambda: tour.rows(owned, made["id"]), lambda found: not found)
    headers = {"Client-Token": tour.line.demo.client_token}
    shown = f"{path}/token/{made['token']}/device"
    await tour.line.http.get(shown, headers=headers)
    await tour.partner("DELETE", path)
    other = (await tour.partner("POST", "/instances/integrator/on-demand", json=new)).json()
    await tour.until(lambda: tour.rows(owned, other["id"]), bool)
    await tour.partner("DELETE", f"/instances/{other['id']}")


async def clear_removed(tour: Tour) -> None:
    """Deletes an instance, and waits until none of its rows is left."""
    new = {"name": "New"}
    made = (await tour.partner("POST", "/instances/integrator/on-demand", json=new)).json()
    await tour.partner("DELETE", f"/instances/{made['id']}")
    await tour.operator.execute("update instance_removals set asked_at = '-infinity'")
    await tour.until(lambda: tour.rows("select 1 from instance_removals"), lambda found: not found)


async def administer(tour: Tour) -> None:
    """What an operator does on the command line."""
    vault = TokenVault(((tour.gateway.data_dir / "secret.key").read_text().strip(),), os.urandom)
    registry = Registry(tour.database, vault, os.urandom, secret_settings=secret_settings_of)
    made = await registry.add_account(
        uuid.uuid4().hex, client_token_required=True, unique_name=True
    )
    await registry.add_instance(made.id, "New", provider="sandbox", by_client_token=True)
    accounts = Accounts(tour.database, ApiKeys(tour.database, Clock()))
    empty = await registry.add_account(uuid.uuid4().hex, client_token_required=True)
    secrets = WebhookSecrets(tour.database, vault, os.urandom)
    await secrets.rotate(made.id)
    for act in (
        partial(secrets.retire, made.id),
        partial(registry.renew_tokens, made.id),
        partial(accounts.allow_addresses, made.id, ["127.0.0.0/8"]),
        partial(accounts.delete, empty.id),
        accounts.list_all,
    ):
        with suppress(DatabaseUnavailable):  # the operator reads it, and runs the command again
            await act()


async def restart(tour: Tour) -> None:
    await tour.restart()


async def rest(tour: Tour) -> None:
    """Nothing but what the gateway does by itself; the longest period of it takes two seconds."""
    await asyncio.sleep(2.5)


def _documented(route: Mapping[str, Any]) -> Scene:
    async def replay(tour: Tour) -> None:
        await World(tour.line).replay(route, minimal=False)
        if route["path"] in ENDS_THE_CONNECTION:
            await tour.line.control("scan")

    return replay


_OF_ENGINES: Final = (write_by_engines, vote_by_engines, restart_engines)
ENGINE_SCENES: Final = frozenset(scene.__name__ for scene in _OF_ENGINES)
"""The scenes that need a fake WhatsApp server."""
SCENES: Final[Mapping[str, Scene]] = {
    scene.__name__: scene
    for scene in (
        send_texts,
        exchange,
        vote,
        schedule,
        receive,
        receive_early,
        receive_others,
        receive_file,
        receive_card,
        send_file,
        await_file,
        fail,
        control_queue,
        clear_failed,
        limit_day,
        expire,
        refuse_callbacks,
        break_receiver,
        read_webhooks,
        read_history,
        change_messages,
        keep_keys,
        keep_people,
        search_people,
        sign_in,
        keep_users,
        use_key,
        link_phone,
        wait_turn,
        watch_queue,
        keep_webhooks,
        keep_broadcast_lists,
        keep_connections,
        change_callbacks,
        use_account,
        encrypt_content,
        refuse_opted_out,
        change_proxy,
        change_connection,
        replace_instance,
        clear_removed,
        follow_events,
        follow_old_events,
        follow_events_by_socket,
        send_by_kafka,
        *_OF_ENGINES,
        administer,
        rest,
        restart,
    )
} | {f"{route['method']} {route['path']}": _documented(route) for route in ROUTES}
