"""Sending: one handler for all messages.

refused? (limits, changes) -> latency -> fault? -> journal, change, receipts and answer
"""

from typing import Any

from gateway.contract.handlers import Handlers
from gateway.contract.media import MediaFile
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.messages.media import SendAudio, SendPtv
from gateway.contract.zapi.messages.newsletter_invites import SendNewsletterAdminInvite
from gateway.errors import NotConnected, Refused
from gateway.providers.sandbox.answers import plan_answer
from gateway.providers.sandbox.changes import change_of, chat_of
from gateway.providers.sandbox.faults import apply_fault
from gateway.providers.sandbox.newsletters import invite_admin
from gateway.providers.sandbox.numbers import registered
from gateway.providers.sandbox.remote_messages import remote_message_of
from gateway.providers.sandbox.session import SandboxSend
from gateway.providers.sandbox.settings import SandboxSettings
from gateway.providers.sandbox.world import AcceptResult, Consequences, MessageMarks, PlannedReceipt
from gateway.randomness import Uniform
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import Attempt, Receipt

sends: Handlers[SandboxSend] = Handlers()

_DELIVERED_AFTER_SECONDS = (0.3, 2.0)
_READ_AFTER_SECONDS = (1.5, 6.0)  # counted from the delivery
_SHARE_READ = 0.8
_PLAYED_AFTER_SECONDS = (0.5, 10.0)  # counted from the reading


@sends.handles(OutgoingMessage)
async def send(outgoing: SandboxSend, message: OutgoingMessage) -> Receipt:
    context, attempt = outgoing.session.context, outgoing.attempt
    for message_id in message.referred_ids():
        if message_id not in attempt.referred:
            raise Refused(f"message {message_id} is not known on this instance")
    for violation in message.limit_violations():  # the queue accepted it before the limit existed
        raise Refused(violation)
    change = change_of(message, attempt.referred)
    receipt = Receipt(attempt.message_id)
    if not context.settings.journal:
        return receipt
    await context.clock.sleep(
        context.uniform(context.settings.latency_min_seconds, context.settings.latency_max_seconds)
    )
    result = await _accept(outgoing, message, change, with_faults=True)
    if result.fault:
        await apply_fault(result.fault, context.clock)
        await _accept(outgoing, message, change, with_faults=False)
    if isinstance(message, SendNewsletterAdminInvite):
        newsletter_id = message.admin_invite_message.newsletter_id
        await invite_admin(outgoing.session, newsletter_id, message.phone)
    return receipt


async def _accept(
    outgoing: SandboxSend,
    message: OutgoingMessage,
    change: MessageMarks | None,
    *,
    with_faults: bool,
) -> AcceptResult:
    session, attempt = outgoing.session, outgoing.attempt
    context = session.context
    payload = {
        **message.model_dump(mode="json", by_alias=True, exclude_none=True),
        **shown_files(attempt),
    }
    receipts = []
    if await _arrives(outgoing, message.phone):
        receipts = plan_receipts(
            context.settings, context.uniform, is_audio=isinstance(message, SendAudio | SendPtv)
        )
    answer = plan_answer(outgoing, message, receipts)
    session.require_right_to_act()
    result = await context.world.accept(
        session.spec.instance_id,
        epoch=attempt.epoch,
        message_id=attempt.message_id,
        kind=message.kind(),
        phone=chat_of(message, attempt.referred),
        payload=payload,
        remote_message=remote_message_of(message, payload, attempt.message_id),
        consequences=Consequences(receipts, answer, change),
        with_faults=with_faults,
    )
    if result is None:
        raise NotConnected("This instance has no phone.")
    if result.outdated:
        raise NotConnected("an older lease")
    if result.state is not ConnectionState.CONNECTED:
        raise NotConnected(result.state.sentence)
    if result.refusal:
        raise Refused(result.refusal)
    if result.fault:
        context.wake_within(0)  # a phone that went offline emits an event
    elif receipts:
        context.wake_within(receipts[0].after_seconds)
    return result


async def _arrives(outgoing: SandboxSend, chat: str) -> bool:
    """Returns False for a number without WhatsApp: it is accepted and not delivered."""
    if not chat.isdigit() or registered(chat):
        return True
    return bool(await outgoing.session.context.entities.linked([chat]))


def shown_files(attempt: Attempt) -> dict[str, Any]:
    """Returns what the phone would show of the files and of the link preview."""
    shown: dict[str, Any] = {}
    if attempt.media:
        shown["files"] = [
            {"source": text, **_shown_file(file)} for text, file in attempt.media.items()
        ]
    if preview := attempt.preview:
        shown["preview"] = _present(
            url=preview.url,
            title=preview.title,
            description=preview.description,
            image=preview.image and _shown_file(preview.image),
        )
    return shown


def _shown_file(file: MediaFile) -> dict[str, Any]:
    return _present(
        mimeType=file.mime_type,
        size=file.size_bytes,
        sha256=file.sha256,
        fileName=file.file_name,
        width=file.width,
        height=file.height,
        duration=file.duration_seconds,
        waveform=file.waveform and list(file.waveform),
        thumbnail=file.thumbnail and len(file.thumbnail),
    )


def _present(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def plan_receipts(
    settings: SandboxSettings, uniform: Uniform, *, is_audio: bool = False
) -> list[PlannedReceipt]:
    """Plans when the other side gets, reads and plays a message, the earliest first."""
    if settings.receipts is None:
        return []
    delivered = uniform(*_DELIVERED_AFTER_SECONDS) * settings.receipts
    planned = [PlannedReceipt("delivered", delivered)]
    if uniform(0, 1) < _SHARE_READ:
        read = delivered + uniform(*_READ_AFTER_SECONDS) * settings.receipts
        planned.append(PlannedReceipt("read", read))
        if is_audio:
            played = read + uniform(*_PLAYED_AFTER_SECONDS) * settings.receipts
            planned.append(PlannedReceipt("played", played))
    return planned
