"""Messages whose content is a file, statuses among them."""

from gateway.contract.extensions.status import SendAudioStatus
from gateway.contract.handlers import Handlers
from gateway.contract.zapi.messages.media import (
    CaptionedMessage,
    SendAudio,
    SendDocument,
    SendGif,
    SendImage,
    SendPtv,
    SendSticker,
    SendVideo,
)
from gateway.contract.zapi.status import (
    ReplyStatusGif,
    ReplyStatusSticker,
    SendImageStatus,
    SendVideoStatus,
)
from gateway.errors import Refused
from gateway.sessions.provider import Receipt
from gateway.whatsapp_web.contents import unwrapped
from gateway.whatsapp_web.messages.parts import (
    base64_of,
    content_of,
    context_of,
    edit_of,
    file_of,
    image_of,
    known,
    present,
    thumbnail_of,
    uploaded,
    video_of,
)
from gateway.whatsapp_web.session import Fields, SendContext

sends: Handlers[SendContext] = Handlers()

_STICKER_PIXELS = 512
_VOICE = "audio/ogg; codecs=opus"


@sends.handles(SendImage)
async def send_image(outgoing: SendContext, message: SendImage) -> Receipt:
    if message.edit_image_message_id:
        return await _recaptioned(outgoing, message, message.edit_image_message_id, "imageMessage")
    image = await image_of(outgoing, message.image or "") | present(
        caption=message.caption, viewOnce=message.view_once or None
    )
    image |= context_of(outgoing.attempt, message.message_id)
    return await outgoing.deliver(message.phone, {"imageMessage": image})


@sends.handles(SendVideo)
async def send_video(outgoing: SendContext, message: SendVideo) -> Receipt:
    if message.edit_video_message_id:
        return await _recaptioned(outgoing, message, message.edit_video_message_id, "videoMessage")
    video = await video_of(outgoing, message.video or "") | present(
        caption=message.caption, viewOnce=message.view_once or None
    )
    video |= context_of(outgoing.attempt, message.message_id)
    return await outgoing.deliver(message.phone, {"videoMessage": video})


@sends.handles(SendGif)
async def send_gif(outgoing: SendContext, message: SendGif) -> Receipt:
    video = await video_of(outgoing, message.gif) | present(
        caption=message.caption, gifPlayback=True
    )
    video |= context_of(outgoing.attempt, message.message_id)
    return await outgoing.deliver(message.phone, {"videoMessage": video})


@sends.handles(SendPtv)
async def send_ptv(outgoing: SendContext, message: SendPtv) -> Receipt:
    video = await video_of(outgoing, message.ptv)
    video |= context_of(outgoing.attempt, message.message_id)
    return await outgoing.deliver(message.phone, {"ptvMessage": video})


@sends.handles(SendSticker)
async def send_sticker(outgoing: SendContext, message: SendSticker) -> Receipt:
    sticker = await _sticker(outgoing, message.sticker)
    sticker |= context_of(outgoing.attempt, message.message_id)
    return await outgoing.deliver(message.phone, {"stickerMessage": sticker})


@sends.handles(SendAudio)
async def send_audio(outgoing: SendContext, message: SendAudio) -> Receipt:
    voice = await _voice(outgoing, message.audio, waves=message.waveform)
    voice |= present(viewOnce=message.view_once or None)
    voice |= context_of(outgoing.attempt, message.message_id)
    return await outgoing.deliver(message.phone, {"audioMessage": voice})


@sends.handles(SendDocument)
async def send_document(outgoing: SendContext, message: SendDocument) -> Receipt:
    if message.edit_document_message_id:
        return await _recaptioned(
            outgoing, message, message.edit_document_message_id, "documentMessage"
        )
    file = file_of(outgoing, message.document or "")
    name = file.file_name or message.document_name() or "document"
    document = await uploaded(outgoing, file, "Document") | present(
        fileName=name, title=name, caption=message.caption, JPEGThumbnail=thumbnail_of(file)
    )
    document |= context_of(outgoing.attempt, message.message_id)
    body: Fields = {"documentMessage": document}
    if message.caption:
        body = {"documentWithCaptionMessage": {"message": body}}
    return await outgoing.deliver(message.phone, body)


@sends.handles(SendImageStatus)
async def send_image_status(outgoing: SendContext, message: SendImageStatus) -> Receipt:
    image = await image_of(outgoing, message.image) | present(caption=message.caption)
    return await outgoing.deliver(message.phone, {"imageMessage": image})


@sends.handles(SendVideoStatus)
async def send_video_status(outgoing: SendContext, message: SendVideoStatus) -> Receipt:
    video = await video_of(outgoing, message.video) | present(caption=message.caption)
    return await outgoing.deliver(message.phone, {"videoMessage": video})


@sends.handles(SendAudioStatus)
async def send_audio_status(outgoing: SendContext, message: SendAudioStatus) -> Receipt:
    voice = await _voice(outgoing, message.audio, waves=message.waveform)
    return await outgoing.deliver(message.phone, {"audioMessage": voice})


@sends.handles(ReplyStatusGif)
async def reply_status_gif(outgoing: SendContext, message: ReplyStatusGif) -> Receipt:
    video = await video_of(outgoing, message.gif) | present(gifPlayback=True)
    video |= context_of(outgoing.attempt, message.status_message_id)
    return await outgoing.deliver(message.phone, {"videoMessage": video})


@sends.handles(ReplyStatusSticker)
async def reply_status_sticker(outgoing: SendContext, message: ReplyStatusSticker) -> Receipt:
    sticker = await _sticker(outgoing, message.sticker)
    sticker |= context_of(outgoing.attempt, message.status_message_id)
    return await outgoing.deliver(message.phone, {"stickerMessage": sticker})


async def _recaptioned(
    outgoing: SendContext, message: CaptionedMessage, edited_id: str, kind: str
) -> Receipt:
    """Replaces the caption of a sent file; the file itself is not sent again."""
    edited = known(outgoing.attempt, edited_id)
    sent = unwrapped(content_of(edited)).get(kind)
    if sent is None or not edited.from_me:
        name = kind.removesuffix("Message")
        raise Refused(f"message {edited_id} is not a {name} that this number sent")
    body: Fields = {kind: {**sent, "caption": message.caption or ""}}
    if kind == "documentMessage":
        body = {"documentWithCaptionMessage": {"message": body}}
    return await outgoing.deliver(message.phone, edit_of(edited, body))


async def _sticker(outgoing: SendContext, text: str) -> Fields:
    file = file_of(outgoing, text)
    return await uploaded(outgoing, file, "Image") | {
        "width": file.width or _STICKER_PIXELS,
        "height": file.height or _STICKER_PIXELS,
    }


async def _voice(outgoing: SendContext, text: str, *, waves: bool) -> Fields:
    file = file_of(outgoing, text)
    return await uploaded(outgoing, file, "Audio") | present(
        mimetype=_VOICE if file.mime_type.startswith("audio/ogg") else file.mime_type,
        PTT=True,
        seconds=round(file.duration_seconds) if file.duration_seconds else None,
        waveform=base64_of(file.waveform) if waves and file.waveform else None,
    )
