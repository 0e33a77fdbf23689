"""No accepted message is lost when a process is killed."""

from pathlib import Path

import httpx

from tests.fixtures.service import client_of, running_gateway, until


async def test_kill_9_loses_and_reorders_no_message(tmp_path: Path, database_url: str) -> None:
    accepted: list[str] = []
    with running_gateway(tmp_path, database_url) as gateway:
        await gateway.ready()
        for start in range(0, 200, 20):
            async with client_of(gateway) as client:
                texts = [f"text {n}" for n in range(start, start + 20)]
                accepted += [(await client.send_text(text))["messageId"] for text in texts]
            gateway.kill()
            gateway.start()
            await gateway.ready()
        async with client_of(gateway) as client:
            sent = await client.sent_at_least(200)

    assert [s["messageId"] for s in sent] == accepted
    # A message is seen once more for each kill that interrupted its attempt; two may interrupt one.
    rescued = gateway.log.count('"event":"message_rescued"')
    assert sum(s["seen"] - 1 for s in sent) <= rescued


async def test_crash_after_acceptance_repeats_under_the_same_id(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(tmp_path, database_url) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.control("faults", next=["crash_after_accept"])
            first = await client.send_text("first")
            second = await client.send_text("second")
            sent = await client.sent_at_least(2)

    assert [(s["messageId"], s["seen"]) for s in sent] == [
        (first["messageId"], 2),
        (second["messageId"], 1),
    ]


async def test_sigterm_hands_back_waiting_messages_and_exits(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(
        tmp_path, database_url, GATEWAY_PACE_MIN_SECONDS="60", GATEWAY_PACE_MAX_SECONDS="60"
    ) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await client.send_text("waits")
            code = gateway.stop()
            gateway.start()
            await gateway.ready()
            queue = (await client.call("GET", "/queue")).json()

    assert code == 0
    assert [(item["Message"], item["Status"], item["Attempts"]) for item in queue] == [
        ("waits", "pending", 0)
    ]


async def test_embedded_database_survives_kill_9(tmp_path: Path) -> None:
    with running_gateway(
        tmp_path, None, GATEWAY_PACE_MIN_SECONDS="60", GATEWAY_PACE_MAX_SECONDS="60"
    ) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            accepted = [(await client.send_text(f"{n}"))["messageId"] for n in range(5)]
            gateway.kill()
            gateway.start()
            await gateway.ready()
            queue = (await client.call("GET", "/queue")).json()

    assert [item["MessageId"] for item in queue] == accepted


async def test_callers_get_503_while_the_database_is_away(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(tmp_path, "postgresql://127.0.0.1:1/nowhere") as gateway:
        ready = await until(
            lambda: gateway.get("/ready"), lambda answer: "waiting for" in answer.text
        )
        async with httpx.AsyncClient(base_url=gateway.base_url) as http:
            send = await http.post("/instances/a/token/b/send-text", json={})
            health = await http.get("/health")

    assert ready.status_code == 503
    assert ready.json()["error"] == "startup: waiting for the database"
    assert send.status_code == 503
    assert send.json()["error"] == "The gateway is starting"
    assert health.status_code == 200
