"""Voice notes as a status."""

from typing import ClassVar

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit
from gateway.contract.media import Audio
from gateway.contract.zapi.messages.media import voice_content
from gateway.contract.zapi.status import StatusPost


class SendAudioStatus(StatusPost, path="/send-audio-status"):
    """Posts a voice note as a status."""

    audio: Audio
    waveform: bool = Field(default=True, description="shows the sound waves")

    example_minimal: ClassVar[Example] = {"audio": "https://example.com/audio.mp3"}
    example: ClassVar[Example] = {**example_minimal, "waveform": True}
    limits: ClassVar[tuple[Limit, ...]] = ()

    def echo(self, context: EchoContext) -> Content | None:
        return voice_content(context, self.audio)
