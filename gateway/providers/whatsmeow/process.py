"""One child process: starts it, talks to it, ends it."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.providers.whatsmeow.child.frames import (
    Acknowledge,
    Command,
    CommandReply,
    Deadline,
    Frame,
    Json,
    LibraryEvent,
    SuspensionPhase,
    packed,
    read_frame,
)
from gateway.whatsapp_web.error_output import ErrorOutput, masked
from gateway.whatsapp_web.session import VerbFailed

_QUIET_SECONDS = 0.1  # within it, an event that is inside the library reaches the engine
_SECRETS = ("GATEWAY_", "DATABASE_URL", "PG")  # the library gets what it needs of them as a URL
OnEvent = Callable[[LibraryEvent], Awaitable[None]]


class ChildGone(Exception):
    """The process ended. A command that it did not reply to may have had its effect.

    `reason` is the line of its error output that explains the end, without secrets, or None.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "")
        self.reason = reason


class Suspended(ChildGone):
    """The process is suspended until its lease is renewed; as `ChildGone` for a command.

    The clients that were open in it are gone.
    """

    def __init__(self) -> None:
        super().__init__("its lease lapsed")


class Child:
    """A process that runs the library for one or several instances."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._handling: set[asyncio.Task[None]] = set()
        self._tasks = asyncio.TaskGroup()
        self._deadline = 0.0
        self._error_output, self._kill_reason = ErrorOutput(), ""
        self.subscribers: dict[str, OnEvent] = {}
        """What handles the events of each instance of this process."""
        self.gone = asyncio.Event()
        self.suspended, self.acting = asyncio.Event(), asyncio.Event()
        """One of the two is set: whether the process suspended itself, or takes commands."""
        self.acting.set()
        self.suspensions = 0
        """How often the process was suspended; each time, the clients in it are lost."""
        self._is_isolated = False
        self.life = asyncio.create_task(self._live(), name=f"whatsmeow child {self.pid}")
        """Ends after the process, when every event that it reported is handled."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(
        cls,
        environment: Mapping[str, str],
        folder: Path,
        *,
        deadline: float,
        inherited: tuple[int, ...] = (),
    ) -> "Child":
        """Starts a process that ends by itself at *deadline*, unless `enforce_deadline` moves it.

        Args:
            environment: the gateway's; the child gets it without secrets.
            folder: its working directory, in which the library creates an empty file.
            deadline: on the monotonic clock.
            inherited: files that the process keeps open for as long as it lives.
        """
        own_end, child_end = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.providers.whatsmeow.child",
                str(child_end.fileno()),
                str(deadline),
                str(os.getpid()),
                pass_fds=(child_end.fileno(), *inherited),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,  # the library prints to it unconditionally
                stderr=asyncio.subprocess.PIPE,
                env=_environment(environment),
                cwd=folder,
            )
        except BaseException:
            own_end.close()
            raise
        finally:
            child_end.close()
        reader, writer = await asyncio.open_unix_connection(sock=own_end)
        return cls(process, reader, writer)

    async def call(self, instance_id: str, verb: str, **arguments: Json) -> Json:
        """Runs a verb in the child and returns its result.

        Raises:
            ChildGone: the process ended before it replied.
            Suspended: it was suspended before it replied.
            VerbFailed: the verb raised.
        """
        if self.gone.is_set():
            raise ChildGone(self.end_reason)
        if self.suspended.is_set():
            raise Suspended
        number = next(self._numbers)
        reply = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            self._write(Command(number, instance_id, verb, arguments))
            return await reply
        finally:
            del self._pending[number]

    def enforce_deadline(self, deadline: float, now: float) -> None:
        """Lets the process act until *deadline*; kills it then, unless it is suspended.

        Both times are on the monotonic clock. The process ends itself too: this is for one that
        cannot.
        """
        if deadline != self._deadline:
            self._deadline = deadline
            self._write(Deadline(deadline if isfinite(deadline) else None))
        if now >= deadline and not self._is_isolated:
            self.kill()

    async def events_handled(self) -> None:
        """Returns when every event is handled, and no other came for a moment."""
        await asyncio.sleep(_QUIET_SECONDS)
        while self._handling:
            await asyncio.wait(set(self._handling))
            await asyncio.sleep(_QUIET_SECONDS)

    async def end(self) -> None:
        """Kills the process; returns when it has ended."""
        self.kill()
        await self.gone.wait()

    @property
    def end_reason(self) -> str | None:
        """Why the process ended, if that is known."""
        return self._kill_reason or self._error_output.reason

    def kill(self, reason: str = "") -> None:
        self._kill_reason = self._kill_reason or masked(reason)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _write(self, frame: Frame) -> None:
        if not self._writer.is_closing():
            self._writer.write(packed(frame))

    async def _live(self) -> None:
        async with self._tasks:
            reading = self._tasks.create_task(self._read_error_output())
            try:
                while frame := await read_frame(self._reader):
                    self._receive(frame)
            except Exception as error:  # noqa: BLE001 - one child must not end the others
                report_error(error, component="whatsmeow child")
            finally:
                self.kill()
                code = await self._process.wait()  # otherwise it would stay as a zombie
                await reading
                self._finish(code)

    def _finish(self, code: int) -> None:
        self.gone.set()
        self._writer.close()
        self._fail_pending(lambda: ChildGone(self.end_reason))
        logger.info("whatsmeow_child_ended", pid=self.pid, code=code, reason=self.end_reason)

    def _fail_pending(self, error: Callable[[], ChildGone]) -> None:
        for reply in self._pending.values():
            if not reply.done():
                reply.set_exception(error())

    def _follow_suspension(self, phase: str) -> None:
        self._is_isolated = phase == "complete"
        if phase == "begun":
            self.suspensions += 1
            self.acting.clear()
            self.suspended.set()
        elif phase == "complete":
            self._fail_pending(Suspended)
        else:
            self.suspended.clear()
            self.acting.set()
        logger.info("whatsmeow_child_suspension", pid=self.pid, phase=phase)

    def _receive(self, frame: Frame) -> None:
        match frame:
            case CommandReply(number, result, failure, text):
                reply = self._pending.get(number)
                if reply is None or reply.done():
                    return
                if failure is None:
                    reply.set_result(result)
                else:
                    reply.set_exception(VerbFailed(failure, text))
            case LibraryEvent():
                task = self._tasks.create_task(self._handle(frame))
                self._handling.add(task)
                task.add_done_callback(self._handling.discard)
            case SuspensionPhase(phase):
                self._follow_suspension(phase)
            case _:
                raise ValueError(f"a child does not send {type(frame).__name__}")

    async def _handle(self, event: LibraryEvent) -> None:
        """Acknowledges the event once its subscriber has handled it.

        An event without a subscriber is not acknowledged: the library waits until the process is
        killed, and WhatsApp repeats the event to the next one.
        """
        if on_event := self.subscribers.get(event.instance_id):
            try:
                await on_event(event)
            except Exception as error:  # noqa: BLE001 - ends the child, so that WhatsApp repeats it
                report_error(error, component="whatsmeow", instance_id=event.instance_id)
                self.kill()
            else:
                self._write(Acknowledge(event.number))

    async def _read_error_output(self) -> None:
        assert self._process.stderr
        while line := await _line_of(self._process.stderr):
            self._error_output.add(line)


async def _line_of(stream: asyncio.StreamReader) -> str:
    try:
        return (await stream.readline()).decode(errors="replace")
    except ValueError:  # longer than the stream's limit
        return "...\n"


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of a child: no secret, and no mark of a robot on each message."""
    public = {name: value for name, value in environment.items() if not name.startswith(_SECRETS)}
    return public | {"NEONIZE_BOT_TAG": "off"}
