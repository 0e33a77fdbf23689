"""Finds in the error output of a child process why it ended, without the secrets in it."""

import re
from collections import deque

_MAX_LINES = 40
_MAX_CHARACTERS = 400
_FATAL = ("panic:", "fatal error:", "runtime:", "SIG")
_PYTHON_ERROR = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b")
_ADVICE = "ffmpeg"  # the library warns that it is missing, and works without it
_LOGIN = re.compile(r"(\w+://[^\s:/@?]*):[^\s/]*@")
_PASSWORD = re.compile(r"(password=)('(?:\\.|[^'\\])*'|[^\s&]*)", re.IGNORECASE)


def masked(text: str) -> str:
    """Returns the text as one line of limited length, with `***` for the passwords in it."""
    line = " ".join(text.split())
    line = _PASSWORD.sub(r"\1***", _LOGIN.sub(r"\1:***@", line))
    return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]}..."


class ErrorOutput:
    """The standard error of a process: its first fatal line of Go, and its last lines.

    A panic of Go comes before its stack trace, which has more lines than are stored. The line that
    names an exception of Python comes last.
    """

    def __init__(self) -> None:
        self._fatal: str | None = None
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)

    def add(self, line: str) -> None:
        line = line.strip()
        if self._fatal is None and line.startswith(_FATAL):
            self._fatal = line
        if line and _ADVICE not in line:
            self._lines.append(line)

    @property
    def reason(self) -> str | None:
        """The line that says why the process ended; None if no line does."""
        if self._fatal:
            return masked(self._fatal)
        errors = [line for line in self._lines if _PYTHON_ERROR.match(line) or " ERROR " in line]
        return masked(errors[-1]) if errors else None
