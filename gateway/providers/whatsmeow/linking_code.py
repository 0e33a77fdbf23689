"""The QR code that links a phone: the library shows it, and callers wait for it."""

import asyncio
from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import SessionUnavailable
from gateway.providers.whatsmeow.failures import SERVER
from gateway.providers.whatsmeow.process import Child, ChildGone
from gateway.sessions.reachability import NetworkFault

_LINKING_SECONDS = 160.0  # six codes; after them the library shows no more and cannot be stopped
_FIRST_CODE_SECONDS = 20.0
_NO_CODE = f"{NetworkFault.SILENT.sentence(*SERVER)}."
_REOPENING = "The session is being opened again; try again in a moment"


class LinkingCode:
    """The text of the QR code that is valid now, if one is shown."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._closed = False
        self._waiting: set[asyncio.Future[str]] = set()

    @property
    def is_shown(self) -> bool:
        return self._text is not None

    async def wait(self) -> str:
        """Returns the text as soon as a code is shown.

        Raises:
            SessionUnavailable: no code will be shown; the sentence says why.
        """
        if self._closed:
            raise SessionUnavailable(_REOPENING)
        if self._text is not None:
            return self._text
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            return await waiting
        finally:
            self._waiting.discard(waiting)

    def show(self, text: str) -> None:
        self._text = text
        for waiting in self._pending():
            waiting.set_result(text)

    def hide(self) -> None:
        self._text = None

    def refuse(self, sentence: str) -> None:
        """Ends the wait of every caller with a sentence why no code is shown."""
        for waiting in self._pending():
            waiting.set_exception(SessionUnavailable(sentence))

    def close(self) -> None:
        """Refuses every caller, now and later: the next session shows the next code."""
        self._closed = True
        self.refuse(_REOPENING)

    def _pending(self) -> list[asyncio.Future[str]]:
        return [waiting for waiting in self._waiting if not waiting.done()]


async def watch_linking(
    child: Child,
    code: LinkingCode,
    is_linked: Callable[[], bool],
    over: asyncio.Event,
    clock: Clock,
) -> None:
    """Returns when a phone is linked, or no further code will be shown, which *over* then says."""
    began = clock.monotonic_seconds()
    while not is_linked() and not over.is_set():
        passed = clock.monotonic_seconds() - began
        left = _LINKING_SECONDS - passed
        if passed > _FIRST_CODE_SECONDS and not code.is_shown:
            code.refuse(_NO_CODE)
        if left <= 0:
            over.set()
        elif child.gone.is_set():
            raise ChildGone(child.end_reason)
        else:
            await clock.wait(over, min(left, 0.5))
