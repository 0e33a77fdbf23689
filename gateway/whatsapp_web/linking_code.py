"""The QR code that links a phone: the library shows it, and callers wait for it."""

import asyncio

from gateway.errors import SessionUnavailable

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
