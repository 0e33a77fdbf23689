"""One child process, which runs the library for one or several instances."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import ClassVar

from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.providers.whatsmeow.child.frames import (
    Acknowledge,
    Command,
    CommandReply,
    Deadline,
    Frame,
    LibraryEvent,
    SuspensionPhase,
    packed,
    read_frame,
)
from gateway.whatsapp_web.library_child import (
    ChildGone,
    LibraryChild,
    StartedProcess,
    start_process,
)
from gateway.whatsapp_web.session import Json

_QUIET_SECONDS = 0.1  # within it, an event that is inside the library reaches the engine
OnEvent = Callable[[LibraryEvent], Awaitable[None]]


class Suspended(ChildGone):
    """The process is suspended until its lease is renewed; as `ChildGone` for a command.

    The clients that were open in it are gone.
    """

    def __init__(self) -> None:
        super().__init__("its lease lapsed")


class Child(LibraryChild):
    """A process that runs the library for one or several instances."""

    library: ClassVar[str] = "whatsmeow"
    end_event: ClassVar[str] = "whatsmeow_child_ended"

    def __init__(self, started: StartedProcess) -> None:
        super().__init__(started)
        self._handling: set[asyncio.Task[None]] = set()
        self._deadline = 0.0
        self.subscribers: dict[str, OnEvent] = {}
        """What handles the events of each instance of this process."""
        self.suspended, self.acting = asyncio.Event(), asyncio.Event()
        """One of the two is set: whether the process suspended itself, or takes commands."""
        self.acting.set()
        self.suspensions = 0
        """How often the process was suspended; each time, the clients in it are lost."""
        self._is_isolated = False

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
        command = (sys.executable, "-m", "gateway.providers.whatsmeow.child")
        return cls(
            await start_process(
                lambda descriptor: (*command, str(descriptor), str(deadline), str(os.getpid())),
                {**environment, "NEONIZE_BOT_TAG": "off"},  # no mark of a robot on each message
                inherited=inherited,
                folder=folder,
            )
        )

    async def call(self, instance_id: str, verb: str, **arguments: Json) -> Json:
        """Runs a verb in the child and returns its result.

        Raises:
            ChildGone: the process ended before it replied.
            Suspended: it was suspended before it replied.
            VerbFailed: the verb raised.
        """
        if self.suspended.is_set() and not self.gone.is_set():
            raise Suspended
        return await self._reply_to(
            lambda number: packed(Command(number, instance_id, verb, arguments))
        )

    def enforce_deadline(self, deadline: float, now: float) -> None:
        """Lets the process act until *deadline*; kills it then, unless it is suspended.

        Both times are on the monotonic clock. The process ends itself too: this is for one that
        cannot.
        """
        if deadline != self._deadline:
            self._deadline = deadline
            self._write(packed(Deadline(deadline if isfinite(deadline) else None)))
        if now >= deadline and not self._is_isolated:
            self.kill()

    async def events_handled(self) -> None:
        """Returns when every event is handled, and no other came for a moment."""
        await asyncio.sleep(_QUIET_SECONDS)
        while self._handling:
            await asyncio.wait(set(self._handling))
            await asyncio.sleep(_QUIET_SECONDS)

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

    async def _receive_frames(self) -> None:
        while frame := await read_frame(self._reader):
            self._receive(frame)

    def _receive(self, frame: Frame) -> None:
        match frame:
            case CommandReply(number, result, failure, text):
                self._take_reply(number, result, failure, text)
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
                self._write(packed(Acknowledge(event.number)))
