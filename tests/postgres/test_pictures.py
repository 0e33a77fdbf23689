"""Callbacks have links to the pictures of the chat and the author, looked up one after another."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from gateway.clock import Clock
from gateway.contract.internal.profile_picture import FoundPicture, LookUpPicture
from gateway.contract.operation import Operation
from gateway.database.queries import query
from gateway.errors import NotSupported, SessionUnavailable
from gateway.sessions.inbound import pictures
from gateway.sessions.inbound.pictures import end_of_link
from gateway.sessions.provider import PictureChanged
from tests.fixtures.inbound import INSTANCE, NOW, OWN_PHONE, InboundSession, inbound_session
from tests.fixtures.patience import PATIENCE_SECONDS

ANA, RUI, GROUP = "5511988888888", "5511977777777", "120363019502650977-group"
LID = "81896604192873@lid"


class WhatsApp:
    """Answers look-ups; the test can hold an answer back or make it fail."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, str | None] = {}
        self.failure: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.at_once = self.most_at_once = 0

    async def execute(self, operation: Operation[Any]) -> FoundPicture:
        assert isinstance(operation, LookUpPicture)
        self.asked.append(operation.phone)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.may_answer.wait()
        self.at_once -= 1
        if self.failure:
            raise self.failure
        return FoundPicture(url=self.answers.get(operation.phone, f"https://pps/{operation.phone}"))


class PausingClock(Clock):
    """Counts the pauses between look-ups and does not wait for them."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> PausingClock:
    return PausingClock()


def session_at(database_url: str, whatsapp: WhatsApp, clock: Clock) -> Any:
    return inbound_session(database_url, session=whatsapp, clock=clock, looks_up_pictures=True)


async def looked_up(session: InboundSession) -> None:
    """Waits until no look-up runs."""
    while (task := session.intake.pictures.task) and not task.done():
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait({task})


async def received(session: InboundSession, **body: Any) -> dict[str, Any]:
    await session.simulate("receive", **{"phone": ANA, "text": "hi", **body})
    (callback,) = await session.callbacks()
    await looked_up(session)
    return callback


async def erase(session: InboundSession, phone: str) -> None:
    erase_person = query("people", "erase_person")
    parameters = {"instance_id": INSTANCE, "names": [phone], "pattern": phone}
    await session.operator.execute(erase_person, parameters)


def shown(callback: dict[str, Any]) -> tuple[str | None, str | None]:
    return callback.get("photo"), callback.get("senderPhoto")


async def test_picture_comes_with_the_second_message(
    database_url: str, clock: PausingClock
) -> None:
    whatsapp = WhatsApp()
    async with session_at(database_url, whatsapp, clock) as session:
        whatsapp.may_answer.clear()
        await session.simulate("receive", phone=ANA, text="first")
        (first,) = await session.callbacks()  # came although the look-up has no answer
        whatsapp.may_answer.set()
        await looked_up(session)
        second, third = await received(session), await received(session)

    assert shown(first) == (None, None)
    assert shown(second) == shown(third) == (f"https://pps/{ANA}",) * 2
    assert whatsapp.asked == [ANA]


async def test_group_and_author_have_pictures_of_their_own(
    database_url: str, clock: PausingClock
) -> None:
    whatsapp = WhatsApp()
    async with session_at(database_url, whatsapp, clock) as session:
        await received(session, chat=GROUP)
        in_group = await received(session, chat=GROUP)
        own = await received(session, fromMe=True)
        own_again = await received(session, fromMe=True)
        call = {"phone": ANA, "callId": "C"}
        await session.simulate("call", **call)
        (called,) = await session.callbacks()

    assert shown(in_group) == (f"https://pps/{GROUP}", f"https://pps/{ANA}")
    assert shown(own) == (f"https://pps/{ANA}", None)
    assert shown(own_again) == (f"https://pps/{ANA}", f"https://pps/{OWN_PHONE}")
    assert shown(called) == (f"https://pps/{ANA}",) * 2
    assert (whatsapp.most_at_once, sorted(whatsapp.asked)) == (1, sorted({GROUP, ANA, OWN_PHONE}))
    assert clock.pauses.count(pictures.PAUSE_SECONDS) == 3


async def test_no_picture_is_remembered_also_after_a_restart(
    database_url: str, clock: PausingClock
) -> None:
    whatsapp = WhatsApp()
    whatsapp.answers[ANA] = None
    async with session_at(database_url, whatsapp, clock) as session:
        await received(session)
    async with inbound_session(
        database_url, new=False, session=whatsapp, clock=clock, looks_up_pictures=True
    ) as session:
        session.numbers = itertools.count(100)  # other events than those before the restart
        assert shown(await received(session)) == (None, None)

    assert whatsapp.asked == [ANA]


@pytest.mark.parametrize("answer", ["https://pps/old", None])
async def test_changed_picture_is_looked_up_again(
    database_url: str, clock: PausingClock, answer: str | None
) -> None:
    whatsapp = WhatsApp()
    whatsapp.answers[ANA] = answer
    async with session_at(database_url, whatsapp, clock) as session:
        await received(session, lid=LID)
        whatsapp.answers[ANA] = "https://pps/new"
        await session.report(PictureChanged(LID, NOW))  # the lid is known to be Ana's
        await session.report(PictureChanged(RUI, NOW))  # never looked up: nothing to refresh
        await looked_up(session)
        assert shown(await received(session)) == ("https://pps/new",) * 2

    assert whatsapp.asked == [ANA, ANA]


async def test_new_picture_of_a_group_is_looked_up_again(
    database_url: str, clock: PausingClock
) -> None:
    whatsapp = WhatsApp()
    async with session_at(database_url, whatsapp, clock) as session:
        await received(session, chat=GROUP)
        await session.simulate("notification", phone=GROUP, code="GROUP_CHANGE_ICON", by=ANA)
        await looked_up(session)

    assert whatsapp.asked.count(GROUP) == 2
    assert whatsapp.asked.count(ANA) == 1


async def test_link_is_refreshed_before_it_ends_and_not_shown_after(
    database_url: str, clock: PausingClock
) -> None:
    whatsapp = WhatsApp()
    async with session_at(database_url, whatsapp, clock) as session:
        await received(session)
        await session.operator.execute("update profile_pictures set refresh_at = now()")
        still_good = await received(session)
        await session.operator.execute("update profile_pictures set expires_at = now()")
        ended = await received(session)

        assert shown(still_good) == (f"https://pps/{ANA}",) * 2
        assert shown(ended) == (None, None)
        assert whatsapp.asked == [ANA] * 3
        await session.operator.execute("update profile_pictures set expires_at = now()")
        await session.inbound.delete_expired()
        cursor = await session.operator.execute("select count(*) from profile_pictures")
        assert await cursor.fetchone() == (0,)


async def test_link_that_says_when_it_ends_counts_until_then(
    database_url: str, clock: PausingClock
) -> None:
    ends_at = clock.now() + timedelta(hours=8)
    whatsapp = WhatsApp()
    whatsapp.answers[ANA] = f"https://pps/p.jpg?oh=1&oe={int(ends_at.timestamp()):X}"
    async with session_at(database_url, whatsapp, clock) as session:
        await received(session)
        cursor = await session.operator.execute(
            "select expires_at, expires_at - refresh_at from profile_pictures"
        )
        ((expires_at, early),) = await cursor.fetchall()

    assert abs(expires_at - ends_at) < timedelta(minutes=5)
    assert abs(early - timedelta(hours=2)) < timedelta(minutes=5)


def test_end_of_link_is_read_from_links_of_whatsapp_only() -> None:
    assert end_of_link("https://pps.whatsapp.net/v/p.jpg?ccb=11-4&oe=66F1A2B3") == 0x66F1A2B3
    for url in ("https://pps/p.jpg", "https://pps/?oe=later", "https://pps/?oe=" + "F" * 99, "[//"):
        assert end_of_link(url) is None


async def test_no_answer_stops_look_ups_for_a_while(database_url: str, clock: PausingClock) -> None:
    whatsapp = WhatsApp()
    whatsapp.failure = SessionUnavailable("WhatsApp did not answer")
    async with session_at(database_url, whatsapp, clock) as session:
        assert shown(await received(session)) == (None, None)
        await received(session, phone=RUI)

    assert whatsapp.asked == [ANA]


async def test_provider_without_pictures_is_asked_once(
    database_url: str, clock: PausingClock
) -> None:
    whatsapp = WhatsApp()
    whatsapp.failure = NotSupported("LookUpPicture")
    async with session_at(database_url, whatsapp, clock) as session:
        for _ in range(3):
            await received(session)

    assert whatsapp.asked == [ANA]


async def test_waiting_look_ups_are_bounded(
    database_url: str, clock: PausingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_WAITING", 3)
    whatsapp = WhatsApp()
    whatsapp.may_answer.clear()
    async with session_at(database_url, whatsapp, clock) as session:
        for number in range(10):
            await session.simulate("receive", phone=f"55119777700{number:02}", text="hi")
        whatsapp.may_answer.set()
        await looked_up(session)

    assert len(whatsapp.asked) == 3


async def test_person_erased_during_the_look_up_leaves_no_picture(
    database_url: str, clock: PausingClock
) -> None:
    whatsapp = WhatsApp()
    async with session_at(database_url, whatsapp, clock) as session:
        await received(session, phone=RUI)
        whatsapp.may_answer.clear()
        await session.simulate("receive", phone=ANA, text="erase me")
        for who in (ANA, RUI):
            await erase(session, who)
        whatsapp.may_answer.set()
        await looked_up(session)
        cursor = await session.operator.execute("select phone from profile_pictures")
        assert await cursor.fetchall() == []


async def test_history_of_a_linking_phone_has_nothing_looked_up(
    database_url: str, clock: PausingClock
) -> None:
    whatsapp = WhatsApp()
    async with session_at(database_url, whatsapp, clock) as session:
        await session.simulate(
            "history", messages=[{"phone": ANA, "text": "old", "messageId": "M"}]
        )
        await session.simulate("receive", phone=RUI, chat=f"{RUI}-broadcast", text="to many")
        await looked_up(session)

    assert whatsapp.asked == [RUI]  # neither who is in the history nor the broadcast list
