"""What the owner does with a chat shows in the list of chats, and reaches the session."""

import os
from datetime import timedelta
from typing import Any

import pytest

from gateway.contract.operation import Value
from gateway.contract.zapi.chats import ModifyChat, NewestMessage, TouchChat
from gateway.directory.chats import modify_chat
from gateway.directory.context import DirectoryContext
from gateway.sessions.provider import ChatModified
from tests.fixtures.inbound import NOW, InboundSession, inbound_session

ANA, LID = "5511988888888", "81896604192873@lid"


class Router:
    """Executes nothing, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[TouchChat] = []

    async def execute(self, _instance: object, operation: TouchChat) -> Value:
        self.asked.append(operation)
        return Value()


async def chats(session: InboundSession) -> list[tuple[Any, ...]]:
    await session.finished()
    cursor = await session.operator.execute(
        """select phone, unread, archived, pinned, muted, hidden, cleared_at is not null
           from chats order by phone"""
    )
    return await cursor.fetchall()


async def test_modified_chat_shows_it_under_its_one_name(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("receive", phone=ANA, text="hi")
        await session.simulate("identity", lid=LID, phone=ANA)
        for action in ("archive", "pin", "mute"):
            await session.simulate("chat", phone=LID, lid=LID, action=action)
        assert await chats(session) == [(ANA, 1, True, True, True, False, False)]
        for action in ("unarchive", "unpin", "unmute", "read"):
            await session.simulate("chat", phone=ANA, action=action)
        assert await chats(session) == [(ANA, 0, False, False, False, False, False)]
        await session.simulate("chat", phone=ANA, action="unread")
        assert await chats(session) == [(ANA, 1, False, False, False, False, False)]
        await session.simulate("chat", phone=ANA, action="delete")
        assert await chats(session) == [(ANA, 0, False, False, False, True, True)]
        assert [body["type"] for body in await session.callbacks()] == ["ReceivedCallback"]


@pytest.mark.parametrize("action", ["read", "clear", "delete"])
async def test_modified_chat_keeps_what_came_after_the_change(
    database_url: str, action: Any
) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("receive", phone=ANA, text="after it")
        await session.report(ChatModified(ANA, action, NOW - timedelta(hours=1)))
        ((phone, unread, *_, hidden, _cleared),) = await chats(session)
        assert (phone, unread, hidden) == (ANA, 1, False)
        listed = await session.operator.execute(
            "select count(*) from messages m join chats c using (instance_id, phone)"
            " where m.recorded_at > coalesce(c.cleared_at, '-infinity')"
        )
        assert await listed.fetchall() == [(1,)]


async def test_modified_chat_is_added_only_where_the_list_shows_it(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        for action in ("unarchive", "unpin", "unmute", "read", "clear", "delete"):
            await session.simulate("chat", phone=ANA, action=action)
        assert await chats(session) == []
        await session.simulate("chat", phone=ANA, action="pin")
        assert await chats(session) == [(ANA, 0, False, True, False, False, False)]


async def test_modified_chat_is_given_to_the_session_with_its_newest_message(
    database_url: str,
) -> None:
    async with inbound_session(database_url) as session:
        router: Any = Router()
        context = DirectoryContext(session.database, router, os.urandom, session.live.instance)
        await modify_chat(context, ModifyChat(phone=ANA, action="archive"))
        await session.simulate("receive", phone=ANA, messageId="FIRST", text="hi")
        await session.simulate("receive", phone=LID, lid=LID, messageId="LAST", text="hello")
        await session.simulate("identity", lid=LID, phone=ANA)
        await session.finished()
        await modify_chat(context, ModifyChat(phone=ANA, action="read"))

    before, after = router.asked
    assert (before.phone, before.action, before.newest) == (ANA, "archive", None)
    assert (after.phone, len(after.unread)) == (ANA, 2)
    at = int(NOW.timestamp())
    assert after.newest == NewestMessage(id="LAST", sender=LID, from_me=False, sent_at=at)
