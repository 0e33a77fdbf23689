"""The state of a session as it was last reported, and the code that links its phone."""

from collections.abc import Callable

from gateway.sessions.connection import ConnectionState
from gateway.whatsapp_web.linking_code import LinkingCode


class ReportedState:
    """Reports every new state and its reason; the reason of a failure stays until it is over."""

    def __init__(self, report: Callable[[ConnectionState, str | None], None]) -> None:
        self._report, self._has_failed = report, False
        self.value = ConnectionState.CONNECTING
        self.code = LinkingCode()

    def change(self, state: ConnectionState, reason: str | None = None) -> None:
        if state is not self.value or reason:
            self.value, self._has_failed = state, False
            self._report(state, reason)

    def fail(self, *, is_linked: bool, reason: str) -> None:
        """Reports that the client ended, also to callers who wait for a code."""
        self.change(ConnectionState.DISCONNECTED if is_linked else ConnectionState.UNPAIRED, reason)
        self._has_failed = True
        self.code.refuse(reason)

    def show_code(self, text: str) -> None:
        if self._has_failed:  # a code proves that it is over
            self.change(self.value, self.value.sentence)
        self.code.show(text)
