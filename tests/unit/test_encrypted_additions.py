"""Where votes and other additions to a message go: to the address for which they are encrypted."""

from types import SimpleNamespace
from typing import Any, cast

import orjson

from gateway.contract.known import KnownMessage
from gateway.contract.zapi.messages.polls_and_events import SendPollVote
from gateway.sessions.provider import Receipt
from gateway.whatsapp_web.messages.polls_and_events import send_poll_vote
from gateway.whatsapp_web.session import SendContext

PHONE, LID = "5511999998888", "81896604192873@lid"


class _Context:
    """Stores where the handler sends, and the arguments of its call."""

    def __init__(self, poll: KnownMessage) -> None:
        self.attempt = SimpleNamespace(referred={poll.message_id: poll})
        self.session = SimpleNamespace(call=self._call)
        self.delivered: list[str] = []
        self.called: dict[str, Any] = {}

    async def _call(self, _verb: str, **arguments: Any) -> dict[str, Any]:
        self.called = arguments
        return {"pollUpdateMessage": {}}

    async def deliver(self, chat: str, _message: object) -> Receipt:
        self.delivered.append(chat)
        return Receipt("VOTE")


async def test_vote_goes_to_the_address_from_which_the_poll_came() -> None:
    came_from = orjson.dumps({"chat": LID, "sender": LID})
    poll = KnownMessage(
        "POLL", "POLL", PHONE, PHONE, from_me=False, type="poll", provider_data=came_from
    )
    context = _Context(poll)
    vote = {"phone": PHONE, "pollMessageId": "POLL", "pollVote": [{"name": "Now"}]}

    await send_poll_vote(cast("SendContext", context), SendPollVote.model_validate(vote))

    assert context.called["sender"] == LID
    assert context.delivered == [LID]
