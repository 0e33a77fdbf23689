"""One child process: starts it, talks to it, ends it."""

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

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
from gateway.whatsapp_web.error_output import ErrorOutput, masked
from gateway.whatsapp_web.session import Json, VerbFailed

_MAIN = Path(__file__).parent / "child" / "main.mjs"
_SECRETS = ("GATEWAY_", "DATABASE_URL", "PG")
_OUT_OF_MEMORY = "heap out of memory"


class NodeChildGone(Exception):
    """The process ended. A command that it did not reply to may have had its effect.

    `reason` is the line of its error output that explains the end, without secrets, or None.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "")
        self.reason = reason


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


class NodeChild:
    """A process of Node that runs the library for several instances."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._tasks = asyncio.TaskGroup()
        self._deadline = 0.0
        self._error_output, self._kill_reason = ErrorOutput(), ""
        self._ran_out_of_memory = False
        self.has_crashed = False
        """Whether it ended by itself or hung, before it was to end and its leases lapsed."""
        self._may_end = False
        self.subscribers: dict[str, NodeSubscriber] = {}
        self.has_answered = False
        """Whether it has answered once; before that it loads the library."""
        self.gone = asyncio.Event()
        self.life = asyncio.create_task(self._live(), name=f"baileys child {self.pid}")
        """Ends after the process, when every request that it made is handled."""

    @property
    def pid(self) -> int:
        return self._process.pid

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
        own_end, child_end = socket.socketpair()
        try:
            arguments = (child_end.fileno(), deadline, os.getpid())
            process = await asyncio.create_subprocess_exec(
                *program.command(*map(str, arguments)),
                pass_fds=(child_end.fileno(), *inherited),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(environment),
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
            NodeChildGone: the process ended before it replied.
            VerbFailed: the verb raised.
        """
        if self.gone.is_set():
            raise NodeChildGone(self.end_reason)
        number = next(self._numbers)
        reply = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            self._write(NodeCommand(number, instance_id, verb, arguments))
            return await reply
        finally:
            del self._pending[number]

    def enforce_deadline(self, deadline: float, now: float) -> None:
        """Lets the process act until *deadline*, and kills it then.

        Both times are on the monotonic clock. The process ends itself too: this is for one that
        cannot.
        """
        if deadline != self._deadline:
            self._deadline = deadline
            self._write(NodeDeadline(deadline if isfinite(deadline) else None))
        if now >= deadline:
            self._may_end = True
            self.kill("the leases of its sessions lapsed")

    async def end(self) -> None:
        """Kills the process; returns when it has ended."""
        self._may_end = True
        self.kill()
        await self.gone.wait()

    @property
    def end_reason(self) -> str | None:
        """Why the process ended, if that is known."""
        if self._ran_out_of_memory:
            return "it reached its limit of memory (GATEWAY_BAILEYS_MEMORY_MB)"
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
                report_error(error, component="baileys child")
            finally:
                self.kill()
                code = await self._process.wait()  # otherwise it would stay as a zombie
                await reading
                self._finish(code)

    def _finish(self, code: int) -> None:
        has_lapsed = 0 < self._deadline <= asyncio.get_running_loop().time()  # it ends itself then
        self.has_crashed = not (self._may_end or has_lapsed)
        self.gone.set()
        self._writer.close()
        for reply in self._pending.values():
            if not reply.done():
                reply.set_exception(NodeChildGone(self.end_reason))
        logger.info("baileys_child_ended", pid=self.pid, code=code, reason=self.end_reason)

    def _receive(self, frame: Frame) -> None:
        match frame:
            case NodeReply(number, result, failure, text):
                self.has_answered = True
                reply = self._pending.get(number)
                if reply is None or reply.done():
                    return
                if failure is None:
                    reply.set_result(result)
                else:
                    reply.set_exception(VerbFailed(failure, text))
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
            result = await subscriber.on_request(request)
        except RequestRefused as error:
            self._write(NodeAnswer(request.number, refusal=str(error)))
        except Exception as error:  # noqa: BLE001 - the session ends, and the others go on
            report_error(error, component="baileys", instance_id=request.instance_id)
            self._write(NodeAnswer(request.number, refusal=type(error).__name__))
        else:
            self._write(NodeAnswer(request.number, result))

    async def _read_error_output(self) -> None:
        assert self._process.stderr
        while line := await _line_of(self._process.stderr):
            self._ran_out_of_memory = self._ran_out_of_memory or _OUT_OF_MEMORY in line
            self._error_output.add(line)


async def _line_of(stream: asyncio.StreamReader) -> str:
    try:
        return (await stream.readline()).decode(errors="replace")
    except ValueError:  # longer than the stream's limit
        return "...\n"


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of a child, without secrets."""
    return {name: value for name, value in environment.items() if not name.startswith(_SECRETS)}
