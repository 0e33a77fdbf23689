"""The code that links a phone: shown by the library, waited for by callers."""

import asyncio

from gateway.errors import SessionUnavailable

_REOPENING = "The session is being opened anew; try again"


class LinkingCode:
    """The text of the QR code that is valid now, if there is one."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._closed = False
        self._waiting: set[asyncio.Future[str]] = set()

    @property
    def is_shown(self) -> bool:
        return self._text is not None

    async def wait(self) -> str:
        """The text, as soon as it is shown.

        Raises:
            SessionUnavailable: there will be none; the sentence says why.
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
        """Tells every waiting caller why there is no code."""
        for waiting in self._pending():
            waiting.set_exception(SessionUnavailable(sentence))

    def close(self) -> None:
        """A caller has to ask the next session."""
        self._closed = True
        self.refuse(_REOPENING)

    def _pending(self) -> list[asyncio.Future[str]]:
        return [waiting for waiting in self._waiting if not waiting.done()]
