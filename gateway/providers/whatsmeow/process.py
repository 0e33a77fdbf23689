"""Child processes: started, spoken to, held to the lease, and never left behind."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.providers.whatsmeow.child.frames import (
    Acknowledge,
    Answer,
    Ask,
    Deadline,
    Frame,
    Json,
    Tell,
    packed,
    read_frame,
)
from gateway.providers.whatsmeow.last_words import LastWords, masked

_CLOSING_SECONDS = 3.0
_BREATH_SECONDS = 0.1  # what was on its way through the library is told within
_OURS = ("GATEWAY_", "DATABASE_URL", "PG")  # the library's URL says what libpq reads from PG*
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
Hear = Callable[[Tell], Awaitable[None]]


class ChildGone(Exception):
    """The process ended; what it was asked may have happened.

    `reason` is what it said last, without secrets, where that explains the end.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "")
        self.reason = reason


class VerbFailed(Exception):
    """The library, or WhatsApp, said no."""

    def __init__(self, failure: str, text: str) -> None:
        self.failure, self.text = failure, masked(text)
        super().__init__(self.text or failure)


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
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._hearing: set[asyncio.Task[None]] = set()
        self._deadline = 0.0
        self._last_words, self._told_reason = LastWords(), ""
        self.ears: dict[str, Hear] = {}
        """Who is told what happens to an instance of this process."""
        self.gone = asyncio.Event()
        self._life = asyncio.create_task(self._live(), name=f"whatsmeow child {self.pid}")

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
        """Starts a process that ends by itself at *deadline*, unless it is moved.

        It keeps the *inherited* files open for as long as it lives.

        It works in *folder*, where the library leaves an empty file named after its database.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.providers.whatsmeow.child",
                str(theirs.fileno()),
                str(deadline),
                str(os.getpid()),
                pass_fds=(theirs.fileno(), *inherited),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,  # the library prints what cannot be silenced
                stderr=asyncio.subprocess.PIPE,
                env=_environment(environment),
                cwd=folder,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return cls(process, reader, writer)

    async def call(self, instance_id: str, verb: str, **arguments: Json) -> Json:
        """What the verb answers.

        Raises:
            ChildGone: the process ended before it answered.
            VerbFailed: it could not be done.
        """
        if self.gone.is_set():
            raise ChildGone(self.end_reason)
        number = next(self._numbers)
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._write(Ask(number, instance_id, verb, arguments))
            return await answered
        finally:
            del self._asked[number]

    def hold_to(self, deadline: float) -> None:
        """The process may act until then."""
        if deadline != self._deadline:
            self._deadline = deadline
            self._write(Deadline(deadline))

    async def heard_out(self) -> None:
        """Returns when nothing that was told is still being written down."""
        await asyncio.sleep(_BREATH_SECONDS)
        while self._hearing:
            await asyncio.wait(set(self._hearing))
            await asyncio.sleep(_BREATH_SECONDS)

    async def end(self) -> None:
        """Returns when the process is no more."""
        self.kill()
        await self.gone.wait()

    @property
    def end_reason(self) -> str | None:
        """Why it ended, as far as anything was said."""
        return self._told_reason or self._last_words.reason

    def kill(self, reason: str = "") -> None:
        self._told_reason = self._told_reason or masked(reason)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _write(self, frame: Frame) -> None:
        if not self._writer.is_closing():
            self._writer.write(packed(frame))

    async def _live(self) -> None:
        listening = asyncio.create_task(self._listen())
        try:
            while frame := await read_frame(self._reader):
                self._take(frame)
        except Exception as error:  # noqa: BLE001 - one child must not end the others
            report_error(error, component="whatsmeow child")
        finally:
            self.kill()
            code = await self._process.wait()  # or it would stay as a zombie
            await listening
            self.gone.set()
            self._writer.close()
            for answered in self._asked.values():
                if not answered.done():
                    answered.set_exception(ChildGone(self.end_reason))
            logger.info("whatsmeow_child_ended", pid=self.pid, code=code, reason=self.end_reason)

    def _take(self, frame: Frame) -> None:
        match frame:
            case Answer(number, result, failure, text):
                answered = self._asked.get(number)
                if answered is None or answered.done():
                    return
                if failure is None:
                    answered.set_result(result)
                else:
                    answered.set_exception(VerbFailed(failure, text))
            case Tell():
                task = asyncio.create_task(self._hear(frame))
                self._hearing.add(task)
                task.add_done_callback(self._hearing.discard)
            case _:
                raise ValueError(f"a child does not say {type(frame).__name__}")

    async def _hear(self, told: Tell) -> None:
        """Unacknowledged, the library waits: what nobody hears is told again by WhatsApp."""
        if hear := self.ears.get(told.instance_id):
            try:
                await hear(told)
            except Exception as error:  # noqa: BLE001 - ends the child, and WhatsApp repeats it
                report_error(error, component="whatsmeow", instance_id=told.instance_id)
                self.kill()
            else:
                self._write(Acknowledge(told.number))

    async def _listen(self) -> None:
        """Keeps the last words: a panic of the library says in them what it was."""
        assert self._process.stderr
        while line := await _line_of(self._process.stderr):
            self._last_words.add(line)


async def _line_of(stream: asyncio.StreamReader) -> str:
    try:
        return (await stream.readline()).decode(errors="replace")
    except ValueError:  # longer than the stream's limit
        return "...\n"


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a child needs of ours: no secret, and no tag that marks each message as a robot's."""
    kept = {name: value for name, value in environment.items() if not name.startswith(_OURS)}
    return kept | {"NEONIZE_BOT_TAG": "off"}


def _without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Through a SOCKS proxy of an instance the library would go to that of the environment."""
    return {name: value for name, value in environment.items() if name.lower() not in _PROXIES}


class Children:
    """The processes of this engine, and which of them has room."""

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        *,
        instances_per_process: int,
        starts_at_once: int,
        inherited: tuple[int, ...] = (),
    ) -> None:
        self._inherited = inherited
        self._environment, self._folder, self._max_count = (
            environment,
            folder,
            instances_per_process,
        )
        self._all: dict[Child, set[str]] = {}
        self._shared: dict[Child, bool] = {}
        self._starting = asyncio.Lock()
        self.turn_to_start = asyncio.Semaphore(starts_at_once)
        """Held until a client is open: to load the library is what takes a processor's time."""

    async def place(
        self, instance_id: str, hear: Hear, *, alone: bool, own_proxy: bool, deadline: float
    ) -> Child:
        """A process with room; one of its own for a session that is not linked yet.

        Such a session cannot be ended without ending its process. Those with proxies of their own
        share none with those that follow the environment's.
        """
        async with self._starting:
            child = None if alone else self._with_room(own_proxy=own_proxy)
            if child is None:
                named = self._environment
                environment = _without_proxies(named) if own_proxy else named
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                child = await Child.start(
                    environment, self._folder, deadline=deadline, inherited=self._inherited
                )
                self._all[child] = set()
                if not alone and self._max_count > 1:
                    self._shared[child] = own_proxy
            self._all[child].add(instance_id)
            child.ears[instance_id] = hear
        return child

    async def leave(self, child: Child, instance_id: str, *, linked: bool) -> None:
        """Ends the session, and the process when it was the last.

        It is heard to the end: what the library has decrypted it takes for a repetition when
        WhatsApp tells it again.
        """
        if linked and not child.gone.is_set():
            with contextlib.suppress(ChildGone, VerbFailed, TimeoutError):
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await child.call(instance_id, "close")
                    await child.heard_out()
        child.ears.pop(instance_id, None)
        others = self._all.get(child, set())
        others.discard(instance_id)
        if others and not child.gone.is_set():
            return
        self._all.pop(child, None)
        self._shared.pop(child, None)
        await child.end()

    def hold_to(self, deadline_of: Callable[[str], float], now: float) -> None:
        """Moves the deadline of every process, and kills what is past it."""
        for child, instances in self._all.items():
            if not instances:
                continue
            deadline = min(map(deadline_of, instances))
            child.hold_to(deadline)
            if now >= deadline:
                child.kill()

    async def end(self) -> None:
        for child in list(self._all):
            await child.end()

    def _with_room(self, *, own_proxy: bool) -> Child | None:
        return next(
            (
                child
                for child, has_own_proxies in self._shared.items()
                if has_own_proxies is own_proxy
                and len(self._all[child]) < self._max_count
                and not child.gone.is_set()
            ),
            None,
        )
