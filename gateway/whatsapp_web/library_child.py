"""One child process that runs a library of WhatsApp Web: its start, its socket, its end."""

import asyncio
import contextlib
import itertools
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.whatsapp_web.error_output import ErrorOutput, masked
from gateway.whatsapp_web.session import Json, VerbFailed

_SECRETS = ("GATEWAY_", "DATABASE_URL", "PG")  # a library gets what it needs of them by itself
_ENDING_SECONDS = 10.0  # a killed process runs no more code, however long its end takes


class ChildGone(Exception):
    """The process ended. A command that it did not reply to may have had its effect.

    `reason` is the line of its error output that explains the end, without secrets, or None.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class StartedProcess:
    """A process, and the socket that leads to it."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def start_process(
    command: Callable[[int], Sequence[str]],
    environment: Mapping[str, str],
    *,
    inherited: tuple[int, ...] = (),
    folder: Path | None = None,
) -> StartedProcess:
    """Starts a process with one end of a socket.

    Args:
        command: the program and its arguments, of which one is the number of the socket.
        environment: the gateway's; the process gets it without secrets.
        inherited: files that the process keeps open for as long as it lives.
        folder: its working directory; the gateway's without one.

    Raises:
        OSError: the program does not start.
    """
    own_end, child_end = socket.socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            *command(child_end.fileno()),
            pass_fds=(child_end.fileno(), *inherited),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,  # libraries print to it unconditionally
            stderr=asyncio.subprocess.PIPE,
            env=_without_secrets(environment),
            cwd=folder,
        )
        # At the end of its socket a process ends by itself.
        reader, writer = await asyncio.open_unix_connection(sock=own_end)
    except BaseException:
        own_end.close()
        raise
    finally:
        child_end.close()
    return StartedProcess(process, reader, writer)


class LibraryChild(ABC):
    """A process that replies to commands; a subclass knows its frames, and what they mean."""

    library: ClassVar[str]
    """What it is called in logs."""
    end_event: ClassVar[str]
    """The log's name of its end."""

    def __init__(self, started: StartedProcess) -> None:
        self._process, self._reader, self._writer = started.process, started.reader, started.writer
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Json]] = {}
        self._tasks = asyncio.TaskGroup()
        self._error_output, self._kill_reason = ErrorOutput(), ""
        self.gone = asyncio.Event()
        self.life = asyncio.create_task(self._live(), name=f"{self.library} child {self.pid}")
        """Ends after the process, when everything that it sent is handled."""
        self.life.add_done_callback(self._outlive)

    @abstractmethod
    async def _receive_frames(self) -> None:
        """Handles frames of the process; returns when it has closed the socket."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def end_reason(self) -> str | None:
        """Why the process ended, if that is known."""
        return self._kill_reason or self._error_output.reason

    async def end(self) -> None:
        """Kills the process; returns when it has ended, or when the kernel takes long over it."""
        self.kill()
        try:
            async with asyncio.timeout(_ENDING_SECONDS):
                await self.gone.wait()
                await self._process.wait()  # where its life was canceled, that did not
        except TimeoutError:
            logger.warning("child_ends_slowly", library=self.library, pid=self.pid)

    def kill(self, reason: str = "") -> None:
        self._kill_reason = self._kill_reason or masked(reason)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _reply_to(self, command: Callable[[int], bytes]) -> Json:
        """Sends the command, which gets a number, and returns the reply to it.

        Raises:
            ChildGone: the process ended before it replied.
            VerbFailed: the reply is a failure.
        """
        if self.gone.is_set():
            raise ChildGone(self.end_reason)
        number = next(self._numbers)
        reply = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            self._write(command(number))
            return await reply
        finally:
            del self._pending[number]

    def _take_reply(self, number: int, result: Json, failure: str | None, text: str) -> None:
        reply = self._pending.get(number)
        if reply is None or reply.done():
            return
        if failure is None:
            reply.set_result(result)
        else:
            reply.set_exception(VerbFailed(failure, text))

    def _fail_pending(self, error: Callable[[], ChildGone]) -> None:
        for reply in self._pending.values():
            if not reply.done():
                reply.set_exception(error())

    def _write(self, frame: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(frame)

    async def _live(self) -> None:
        async with self._tasks:
            reading = self._tasks.create_task(self._read_error_output())
            try:
                await self._receive_frames()
            except Exception as error:  # noqa: BLE001 - one child must not end the others
                report_error(error, component=f"{self.library} child")
            finally:
                self.kill()
                code = await self._process.wait()  # otherwise it would stay as a zombie
                await reading
                self._finish()
                logger.info(self.end_event, pid=self.pid, code=code, reason=self.end_reason)

    def _outlive(self, _life: "asyncio.Task[None]") -> None:
        """Keeps everybody who waits for the end from waiting for a life that was canceled."""
        if not self.gone.is_set():
            self.kill()
            self._finish()

    def _finish(self) -> None:
        self.gone.set()
        self._writer.close()
        self._fail_pending(lambda: ChildGone(self.end_reason))

    async def _read_error_output(self) -> None:
        assert self._process.stderr
        while line := await _line_of(self._process.stderr):
            self._note_error_line(line)

    def _note_error_line(self, line: str) -> None:
        self._error_output.add(line)


async def _line_of(stream: asyncio.StreamReader) -> str:
    try:
        return (await stream.readline()).decode(errors="replace")
    except ValueError:  # longer than the stream's limit
        return "...\n"


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_SECRETS)}
