"""A wrong token, route or method gets the answer that Z-API gives."""

import httpx
import pytest

from tests.fixtures.bad_requests import GOOD, refused
from tests.fixtures.service import Client, RunningGateway

NOT_FOUND = {
    "error": "NOT_FOUND",
    "message": "Unable to find matching target resource method",
}


async def test_wrong_id_and_wrong_token_get_the_same_answer(caller: Client) -> None:
    demo = caller.demo
    other = "0" * 32
    answers = [
        await caller.http.post(f"/instances/{instance_id}/token/{token}/send-text", json=GOOD)
        for instance_id, token in [
            (other, demo.instance_token),
            (demo.instance_id, other),
            (demo.instance_id, demo.instance_token.lower()),
            (demo.instance_id, demo.client_token),
            (other, other),
            ("%00", demo.instance_token),
            (demo.instance_id, "%00"),
            ("%F0%9F%98%80", "x" * 3_000),
        ]
    ]

    for answer in answers:
        refused(answer, 404, "Instance not found")
    assert len({answer.content for answer in answers}) == 1


async def test_wrong_token_is_reported_before_client_token(served: RunningGateway) -> None:
    async with httpx.AsyncClient(base_url=served.base_url) as http:
        answer = await http.post("/instances/a/token/b/send-text", json=GOOD)

    refused(answer, 404, "Instance not found")


async def test_missing_client_token_answers_as_z_api(
    caller: Client, served: RunningGateway
) -> None:
    async with httpx.AsyncClient(base_url=served.base_url) as http:
        for method, path, headers in [
            ("POST", "/send-text", {}),
            ("GET", "/queue", {"Client-Token": ""}),  # of a variable that is not set
            ("DELETE", "/queue", {"Client-Token": ""}),
        ]:
            answer = await http.request(method, caller.instance + path, headers=headers)

            assert answer.status_code == 403
            assert answer.json() == {
                "error": "null not allowed",
                "message": "Client-Token is required: send it in a header of this name",
            }


@pytest.mark.parametrize("given", ["wrong", "0" * 32, "x" * 5_000])
async def test_wrong_client_token_answers_as_z_api(caller: Client, given: str) -> None:
    answer = await caller.call("POST", "/send-text", json=GOOD, headers={"Client-Token": given})

    refused(answer, 403, "Client-Token not allowed")


async def test_non_ascii_client_token_is_wrong(caller: Client) -> None:
    answer = await caller.call(
        "POST", "/send-text", json=GOOD, headers=[(b"Client-Token", b"\xe9\xff")]
    )

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/send-texts", "/send-text/more", "/", "", "/queue/a/b", "/%00", "/..", "/send-text%2F.."],
)
async def test_unknown_route_answers_as_z_api(caller: Client, path: str) -> None:
    answer = await caller.call("POST", path, json=GOOD)

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_unknown_path_outside_instances_answers_404(caller: Client) -> None:
    for path in ("/", "/instance", "/instances/a/b", "/send-text", "/health/", "/sandbox"):
        answer = await caller.http.get(path)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND), path


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/send-text", "POST"),
        ("DELETE", "/send-text", "POST"),
        ("OPTIONS", "/send-text", "POST"),
        ("PATCH", "/queue", "DELETE, GET, POST"),
        ("PUT", "/queue/count", "DELETE, GET"),
    ],
)
async def test_wrong_method_answers_405_with_allow(
    caller: Client, method: str, path: str, allowed: str
) -> None:
    answer = await caller.call(method, path, json=GOOD)

    refused(answer, 405, "Method not allowed")
    assert answer.headers["allow"] == allowed
