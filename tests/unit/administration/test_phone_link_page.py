"""The page of a link answers a visitor so often and no more."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from gateway.administration.phone_link_page import LinkVisitor, PhoneLinkPage
from gateway.contract.zapi.instances import PhoneCode, QrCode, ReadQrCode
from gateway.errors import NotFound, SessionUnavailable, TooManyRequests
from gateway.instances.phone_links import LinkStatus, PhoneLink
from tests.fixtures.users import SetClock

TOKEN, PHONE = "a" * 64, "5511987654321"


class StoredLinks:
    """One link, and what was counted of it."""

    def __init__(self, **changed: Any) -> None:
        now = datetime.now(UTC)
        self.link = PhoneLink(
            **{
                **dict.fromkeys(PhoneLink.__dataclass_fields__),
                "instance_id": "one",
                "phones": [],
                "max_codes": 90,
                "codes_served": 0,
                "created_at": now,
                "expires_at": now,
                "is_expired": False,
                **changed,
            }
        )
        self.counted: list[str] = []
        self.looked = 0
        self.may_show = True

    async def find_by_token(self, token: str) -> PhoneLink | None:
        self.looked += 1
        return self.link if token == TOKEN else None

    async def count_code(self, _token: str, code: str) -> bool:
        self.counted.append(code)
        return self.may_show


class Session:
    """Finds every instance, and stands for its session."""

    is_open = True

    async def find(self, instance_id: str) -> object:
        return instance_id

    async def execute(self, _instance: object, operation: object) -> object:
        if not self.is_open:
            raise SessionUnavailable
        if isinstance(operation, ReadQrCode):
            return QrCode(value="2@code", qr_code="2@code")
        return PhoneCode(code="ABCD-1234", value="ABCD-1234")


def page_of(links: StoredLinks, clock: SetClock, session: Session | None = None) -> PhoneLinkPage:
    unused = cast("Any", session or Session())
    return PhoneLinkPage(cast("Any", links), unused, unused, clock)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


async def test_code_is_counted_before_it_is_shown(clock: SetClock) -> None:
    links = StoredLinks()
    page = page_of(links, clock)

    shown = await page.look(LinkVisitor(TOKEN, "203.0.113.7"))
    links.may_show = False
    refused = await page.look(LinkVisitor(TOKEN, "203.0.113.7"))

    assert (shown.code, links.counted) == ("2@code", ["2@code", "2@code"])
    assert (refused.code, refused.status) == (None, LinkStatus.USED_UP)


async def test_link_that_is_over_asks_the_session_nothing(clock: SetClock) -> None:
    links = StoredLinks(revoked_at=datetime.now(UTC))
    page = page_of(links, clock)
    visitor = LinkVisitor(TOKEN, "203.0.113.7")

    view = await page.look(visitor)

    assert (view.status, view.code, links.counted) == (LinkStatus.REVOKED, None, [])
    assert await page.pairing_code(visitor, PHONE) is None


async def test_session_that_is_being_opened_shows_no_code_yet(clock: SetClock) -> None:
    session = Session()
    session.is_open = False

    view = await page_of(StoredLinks(), clock, session).look(LinkVisitor(TOKEN, "203.0.113.7"))

    assert (view.status, view.code) == (LinkStatus.WAITING, None)


async def test_token_and_address_each_have_their_limit(clock: SetClock) -> None:
    links = StoredLinks()
    page = page_of(links, clock)

    for number in range(30):
        await page.look(LinkVisitor(TOKEN, f"203.0.113.{number}"))
    with pytest.raises(TooManyRequests):
        await page.look(LinkVisitor(TOKEN, "203.0.113.99"))
    for guess in range(100):
        with pytest.raises(NotFound):
            await page.look(LinkVisitor(f"{guess:064x}", "198.51.100.1"))
    with pytest.raises(TooManyRequests):
        await page.look(LinkVisitor("b" * 64, "198.51.100.1"))


async def test_wrong_form_of_a_token_reads_no_database(clock: SetClock) -> None:
    links = StoredLinks()

    with pytest.raises(NotFound):
        await page_of(links, clock).look(LinkVisitor("a" * 63 + "G", "203.0.113.7"))

    assert links.looked == 0


async def test_pairing_codes_have_a_limit_of_their_own(clock: SetClock) -> None:
    page = page_of(StoredLinks(), clock)
    visitor = LinkVisitor(TOKEN, "203.0.113.7")

    codes = [await page.pairing_code(visitor, PHONE) for _ in range(3)]
    with pytest.raises(TooManyRequests):
        await page.pairing_code(visitor, PHONE)

    assert codes == ["ABCD-1234"] * 3
