"""One child process of Node, which runs the library for several instances."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import ClassVar, Protocol

from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.providers.baileys.frames import (
    Frame,
    NodeAnswer,
    NodeCommand,
    NodeDeadline,
    NodeNotice,
    NodeReply,
    NodeRequest,
    packed,
    read_frame,
)
from gateway.whatsapp_web.error_output import masked
from gateway.whatsapp_web.library_child import LibraryChild, StartedProcess, start_process
from gateway.whatsapp_web.session import Json

_MAIN = Path(__file__).parent / "child" / "main.mjs"
_OUT_OF_MEMORY = "heap out of memory"


class RequestRefused(Exception):
    """The engine does not do what a session of the child asks; the text says why."""


class NodeSubscriber(Protocol):
    """What handles the notices and requests of one instance."""

    def on_notice(self, notice: NodeNotice) -> None: ...

    async def on_request(self, request: NodeRequest) -> Json:
        """Returns the answer; raises RequestRefused."""
        ...


@dataclass(frozen=True, slots=True)
class NodeProgram:
    """How a child is started: the program Node, its limit of memory, and the packages."""

    node: str
    memory_mb: int
    packages: Path

    def command(self, *arguments: str) -> Sequence[str]:
        limit = f"--max-old-space-size={self.memory_mb}"
        return (self.node, limit, "--no-deprecation", str(_MAIN), *arguments, str(self.packages))


class NodeChild(LibraryChild):
    """A process of Node that runs the library for several instances."""

    library: ClassVar[str] = "baileys"
    end_event: ClassVar[str] = "baileys_child_ended"

    def __init__(self, started: StartedProcess) -> None:
        super().__init__(started)
        self._deadline = 0.0
        self._ran_out_of_memory = False
        self.has_crashed = False
        """Whether it ended by itself or hung, before it was to end and its leases lapsed."""
        self._may_end = False
        self.subscribers: dict[str, NodeSubscriber] = {}
        self.has_answered = False
        """Whether it has answered once; before that it loads the library."""

    @classmethod
    async def start(
        cls,
        program: NodeProgram,
        environment: Mapping[str, str],
        *,
        deadline: float,
        inherited: tuple[int, ...] = (),
    ) -> "NodeChild":
        """Starts a process that ends by itself at *deadline*, unless `enforce_deadline` moves it.

        Args:
            program: what is started.
            environment: the gateway's; the child gets it without secrets.
            deadline: on the monotonic clock.
            inherited: files that the process keeps open for as long as it lives.

        Raises:
            OSError: the program does not start.
        """
        return cls(
            await start_process(
                lambda descriptor: program.command(
                    *map(str, (descriptor, deadline, os.getpid())),
                ),
                environment,
                inherited=inherited,
            )
        )

    async def call(self, instance_id: str, verb: str, **arguments: Json) -> Json:
        """Runs a verb in the child and returns its result.

        Raises:
            ChildGone: the process ended before it replied.
            VerbFailed: the verb raised.
        """
        return await self._reply_to(
            lambda number: packed(NodeCommand(number, instance_id, verb, arguments))
        )

    def enforce_deadline(self, deadline: float, now: float) -> None:
        """Lets the process act until *deadline*, and kills it then.

        Both times are on the monotonic clock. The process ends itself too: this is for one that
        cannot.
        """
        if deadline != self._deadline:
            self._deadline = deadline
            self._write(packed(NodeDeadline(deadline if isfinite(deadline) else None)))
        if now >= deadline:
            self._may_end = True
            self.kill("the leases of its sessions lapsed")

    async def end(self) -> None:
        self._may_end = True
        await super().end()

    @property
    def end_reason(self) -> str | None:
        if self._ran_out_of_memory:
            return "it reached its limit of memory (GATEWAY_BAILEYS_MEMORY_MB)"
        return super().end_reason

    async def _receive_frames(self) -> None:
        while frame := await read_frame(self._reader):
            self._receive(frame)

    def _finish(self) -> None:
        has_lapsed = 0 < self._deadline <= asyncio.get_running_loop().time()  # it ends itself then
        self.has_crashed = not (self._may_end or has_lapsed)
        super()._finish()

    def _receive(self, frame: Frame) -> None:
        match frame:
            case NodeReply(number, result, failure, text):
                self.has_answered = True
                self._take_reply(number, result, failure, text)
            case NodeNotice("", body=body):
                logger.error("baileys_child_error", pid=self.pid, error=masked(body["text"]))
            case NodeNotice(instance_id):
                if subscriber := self.subscribers.get(instance_id):
                    subscriber.on_notice(frame)
            case NodeRequest():
                self._tasks.create_task(self._answer(frame))
            case _:
                raise ValueError(f"a child does not send {type(frame).__name__}")

    async def _answer(self, request: NodeRequest) -> None:
        """Answers a request; one without a subscriber stays open, and its frames do not leave."""
        subscriber = self.subscribers.get(request.instance_id)
        if subscriber is None:
            return
        try:
            answer = NodeAnswer(request.number, await subscriber.on_request(request))
        except RequestRefused as error:
            answer = NodeAnswer(request.number, refusal=str(error))
        except Exception as error:  # noqa: BLE001 - the session ends, and the others go on
            report_error(error, component="baileys", instance_id=request.instance_id)
            answer = NodeAnswer(request.number, refusal=type(error).__name__)
        self._write(packed(answer))

    def _note_error_line(self, line: str) -> None:
        self._ran_out_of_memory = self._ran_out_of_memory or _OUT_OF_MEMORY in line
        super()._note_error_line(line)
