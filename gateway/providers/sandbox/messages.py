"""Sending: one handler for every message there is, as the sandbox shows none of them."""

from gateway.contract.handlers import Handlers
from gateway.contract.send import Send
from gateway.errors import NotConnected, Refused
from gateway.providers.sandbox.arrivals import arrival
from gateway.providers.sandbox.faults import suffer
from gateway.providers.sandbox.newsletters import invite_admin
from gateway.providers.sandbox.session import Outgoing
from gateway.providers.sandbox.settings import SandboxSettings
from gateway.providers.sandbox.world import PlannedReceipt, Verdict
from gateway.random import Uniform
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import Receipt

sends: Handlers[Outgoing] = Handlers()

_DELIVERED_AFTER_SECONDS = (0.3, 2.0)
_READ_AFTER_SECONDS = (1.5, 6.0)  # counted from the delivery
_SHARE_READ = 0.8
_ADMIN_INVITE = "send-newsletter-admin-invite"


@sends.handles(Send)
async def send(outgoing: Outgoing, message: Send) -> Receipt:
    around, attempt = outgoing.session.around, outgoing.attempt
    for message_id in message.referred_ids():
        if message_id not in attempt.referred:
            raise Refused(f"message {message_id} is not known on this instance")
    receipt = Receipt(attempt.message_id)
    if not around.settings.journal:
        return receipt
    await around.clock.sleep(
        around.uniform(around.settings.latency_min_seconds, around.settings.latency_max_seconds)
    )
    verdict = await _hand_over(outgoing, message, with_faults=True)
    if verdict.fault:
        await suffer(verdict.fault, around.clock)
        await _hand_over(outgoing, message, with_faults=False)
    if type(message).kind() == _ADMIN_INVITE:
        invited = message.model_dump(by_alias=True)["adminInviteMessage"]
        await invite_admin(outgoing.session, invited["newsletterId"], message.phone)
    return receipt


async def _hand_over(outgoing: Outgoing, message: Send, *, with_faults: bool) -> Verdict:
    session, attempt = outgoing.session, outgoing.attempt
    payload = message.model_dump(mode="json", by_alias=True, exclude_none=True)
    receipts = plan_receipts(session.around.settings, session.around.uniform)
    session.require_right_to_act()
    verdict = await session.around.world.accept(
        session.seat.instance_id,
        epoch=attempt.epoch,
        message_id=attempt.message_id,
        kind=type(message).kind(),
        phone=message.phone,
        payload=payload,
        arrival=arrival(message, payload, attempt.message_id),
        receipts=receipts,
        with_faults=with_faults,
    )
    if verdict is None:
        raise NotConnected("This instance has no phone.")
    if verdict.outdated:
        raise NotConnected("an older lease")
    if verdict.state is not ConnectionState.CONNECTED:
        raise NotConnected(verdict.state.sentence)
    if verdict.refusal:
        raise Refused(verdict.refusal)
    if verdict.fault:
        session.around.look_within(0)  # a phone that went offline tells so
    elif receipts:
        session.around.look_within(receipts[0].after_seconds)
    return verdict


def plan_receipts(settings: SandboxSettings, uniform: Uniform) -> list[PlannedReceipt]:
    """When the other side gets and, perhaps, reads a message, the earliest first."""
    if settings.receipts is None:
        return []
    delivered = uniform(*_DELIVERED_AFTER_SECONDS) * settings.receipts
    planned = [PlannedReceipt("delivered", delivered)]
    if uniform(0, 1) < _SHARE_READ:
        read = delivered + uniform(*_READ_AFTER_SECONDS) * settings.receipts
        planned.append(PlannedReceipt("read", read))
    return planned
