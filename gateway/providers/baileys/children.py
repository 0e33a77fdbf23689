"""The child processes of an engine: which instances share one, and when each ends."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from gateway.clock import Clock
from gateway.observability.logging import logger
from gateway.providers.baileys.process import NodeChild, NodeProgram, NodeSubscriber
from gateway.providers.baileys.shares import ProcessShares
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed

_CLOSING_SECONDS = 5.0


class NodeChildren:
    """The child processes of this engine, and the instances in each."""

    def __init__(
        self,
        program: Callable[[], NodeProgram],
        environment: Mapping[str, str],
        clock: Clock,
        *,
        sessions_per_process: int,
        check_seconds: float,
        answer_seconds: float,
        inherited: tuple[int, ...] = (),
    ) -> None:
        """Keeps what children are started with.

        Args:
            program: finds the program; raises StartRefused.
            environment: of the gateway.
            clock: time.
            sessions_per_process: at most so many share a process.
            check_seconds: between two checks whether processes answer.
            answer_seconds: after which a process that does not answer is killed.
            inherited: files that each process keeps open.
        """
        self._program, self._environment, self._clock = program, environment, clock
        self._shares, self._inherited = ProcessShares(sessions_per_process, clock), inherited
        self._check_seconds, self._answer_seconds = check_seconds, answer_seconds
        self._instances: dict[NodeChild, set[str]] = {}
        self._share_of: dict[NodeChild, int] = {}
        self._lives: set[asyncio.Future[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        """Goes on also where the caller is canceled twice."""
        self._starting = asyncio.Lock()

    async def place(
        self, instance_id: str, subscriber: NodeSubscriber, *, deadline: float
    ) -> NodeChild:
        """Returns a process for the instance, and subscribes *subscriber* to it.

        Raises:
            StartRefused: Node or its packages are missing; the text says what to do.
            OSError: the program does not start.
        """
        async with self._starting:
            share = self._shares.of(instance_id)
            child = self._find_free(share) or await self._start(deadline, share)
            self._instances[child].add(instance_id)
            child.subscribers[instance_id] = subscriber
        return child

    async def leave(self, child: NodeChild, instance_id: str) -> None:
        """Does `_leave` to its end, also if the caller is canceled meanwhile.

        A process that went on to count an instance without a lease would be killed for it. It
        takes limited time.
        """
        leaving = asyncio.create_task(self._leave(child, instance_id))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        try:
            await asyncio.shield(leaving)
        except asyncio.CancelledError:
            await asyncio.wait({leaving})
            raise

    async def _leave(self, child: NodeChild, instance_id: str) -> None:
        """Closes the instance's session, and ends the process with its last one.

        It waits until what the session has decrypted is stored. A process whose session does not
        close is killed: nothing of an instance may go on after its lease.
        """
        if child.gone.is_set():
            if child.has_crashed:
                self._shares.note_crash(instance_id)
        else:
            try:
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await child.call(instance_id, "close")
            except (TimeoutError, VerbFailed) as error:
                if not (isinstance(error, VerbFailed) and error.failure == "NoSession"):
                    child.kill("a session did not close")
            except ChildGone:
                pass
        child.subscribers.pop(instance_id, None)
        others = self._instances.get(child, set())
        others.discard(instance_id)
        if others and not child.gone.is_set():
            return
        self._instances.pop(child, None)
        self._share_of.pop(child, None)
        await child.end()

    def enforce_deadlines(self, deadline_of: Callable[[str], float], now: float) -> None:
        """Moves the deadline of every process, and kills those that act past it."""
        for child, instances in self._instances.items():
            if instances:
                child.enforce_deadline(min(map(deadline_of, instances)), now)

    async def watch(self) -> None:
        """Kills each process that does not answer in time; its sessions are opened again."""
        while True:
            await self._clock.sleep(self._check_seconds)
            loaded = [child for child in self._instances if child.has_answered]
            await asyncio.gather(*map(self._check, loaded))

    async def end(self) -> None:
        """Ends every process, and drops requests that still wait for the database."""
        for child in list(self._instances):
            await child.end()
        for life in self._lives:
            life.cancel()
        if self._lives:
            await asyncio.wait(self._lives)

    async def _check(self, child: NodeChild) -> None:
        with contextlib.suppress(ChildGone, VerbFailed):
            try:
                async with asyncio.timeout(self._answer_seconds):
                    await child.call("", "ready")
            except TimeoutError:
                logger.warning("baileys_child_hangs", pid=child.pid)
                child.kill("it did not answer any more")

    async def _start(self, deadline: float, share: int) -> NodeChild:
        program = await asyncio.to_thread(self._program)
        child = await NodeChild.start(
            program, self._environment, deadline=deadline, inherited=self._inherited
        )
        self._instances[child], self._share_of[child] = set(), share
        self._lives.add(child.life)
        child.life.add_done_callback(self._lives.discard)
        return child

    def _find_free(self, share: int) -> NodeChild | None:
        """Returns a process that can take a session, of the same share if there may be more."""
        living = {c: found for c, found in self._instances.items() if not c.gone.is_set()}
        total = sum(map(len, living.values()))
        is_crowded = self._shares.is_crowded(len(living), total)
        for child, instances in living.items():
            own = self._share_of[child]
            if (own == share and len(instances) < share) or (
                is_crowded and len(instances) < self._shares.max_sessions
            ):
                return child
        return None
