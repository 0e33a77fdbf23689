"""The head of an answer is the answer; only a kept connection is tried again at once."""

import uuid
from ipaddress import IPv4Network

import pytest

from gateway.clock import Clock
from gateway.public_address import AddressPolicy
from gateway.webhooks.posting import DeliveryResult, Poster, WebhookRequest
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.raw_receiver import RawReceiver

LOOPBACK = AddressPolicy(allow_http=True, allowed=(IPv4Network("127.0.0.0/8"),))
ENDLESS = b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
CUT = b"HTTP/1.1 %d X\r\nContent-Length: 50\r\n\r\nok"
WHOLE = b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok"
BEGUN = b"HTTP/1.1 200 X\r\nContent-Le"


@pytest.fixture
def poster() -> Poster:
    return Poster(LOOPBACK, Clock(), timeout_seconds=PATIENCE_SECONDS)


async def post(poster: Poster, url: str) -> DeliveryResult:
    return await poster.post(WebhookRequest(uuid.uuid4(), url, "{}", "TOKEN"))


async def test_receiver_that_reads_and_closes_gets_the_callback_once(poster: Poster) -> None:
    receiver = RawReceiver(lambda _number: b"")
    async with receiver.serving() as url:
        result = await post(poster, url)

    assert result.error
    assert result.status is None
    assert len(receiver.requests) == 1


async def test_closing_a_kept_connection_without_an_answer_is_tried_once_more(
    poster: Poster,
) -> None:
    receiver = RawReceiver(
        lambda number: b"" if number == 2 else WHOLE, then_closes=lambda number: number == 2
    )
    async with receiver.serving() as url:
        results = [await post(poster, url) for _ in range(2)]
        poster.close()

    assert [result.status for result in results] == [200, 200]
    assert len(receiver.requests) == 3


async def test_closing_a_kept_connection_within_an_answer_is_not_tried_again(
    poster: Poster,
) -> None:
    receiver = RawReceiver(
        lambda number: BEGUN if number == 2 else WHOLE, then_closes=lambda number: number == 2
    )
    async with receiver.serving() as url:
        results = [await post(poster, url) for _ in range(2)]

    assert [result.status for result in results] == [200, None]
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("status", [200, 500])
async def test_status_is_the_answer_although_the_content_does_not_end(
    poster: Poster, status: int
) -> None:
    receiver = RawReceiver(lambda _number: ENDLESS % status, then_closes=lambda _number: False)
    async with receiver.serving() as url:
        result = await post(poster, url)
        await receiver.ended.acquire()  # the connection was dropped

    assert result.status == status
    assert result.delivered == (status < 300)
    assert len(receiver.requests) == 1


async def test_status_is_the_answer_although_the_content_is_cut(poster: Poster) -> None:
    receiver = RawReceiver(lambda _number: CUT % 200)
    async with receiver.serving() as url:
        result = await post(poster, url)

    assert result.delivered
    assert result.answer == "ok"
    assert len(receiver.requests) == 1
