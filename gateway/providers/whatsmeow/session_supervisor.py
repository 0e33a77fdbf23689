"""Keeps the client of one instance alive: opened, linked, probed, and opened again.

no device --asked for a code--> linking --paired--+
    ^                                             v
    +-- logged out <-------------------------- connected <--> disconnected
                                                  |  ^
          replaced, banned, outdated: waits <-----+  +-- the child died: pause, again
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gateway.errors import DatabaseUnavailable, NotConnected
from gateway.observability.logging import logger
from gateway.providers.whatsmeow.child.frames import Json, Tell
from gateway.providers.whatsmeow.failures import (
    NO_ANSWER,
    SERVER,
    breakage_of,
    end_in,
    network_sentence,
    sentence_of,
)
from gateway.providers.whatsmeow.linking_code import LinkingCode
from gateway.providers.whatsmeow.process import Child, ChildGone, VerbFailed
from gateway.providers.whatsmeow.surrounding import ClientContext
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import SessionSpec
from gateway.sessions.reachability import NetworkFault

_LINKING_SECONDS = 160.0  # six codes; then the library shows no more and cannot be stopped
_OPENING_SECONDS = 60.0
_FIRST_CODE_SECONDS = 20.0
_MAX_PAUSE_SECONDS = 60.0
_CALM_SECONDS = 60.0
_LOOP_SECONDS, _LOOP_TIMES = 300.0, 5
_NO_CODE = f"{NetworkFault.SILENT.sentence(*SERVER)}."
_ELSEWHERE = "The keys of this session are in the data directory of another node."

_State = ConnectionState


class SessionSupervisor:
    """`changed` is told every new state, `happened` everything else the library tells."""

    def __init__(
        self,
        spec: SessionSpec,
        context: ClientContext,
        *,
        changed: Callable[[ConnectionState, str | None], None],
        happened: Callable[[Tell], Awaitable[None]],
    ) -> None:
        self._spec, self._context = spec, context
        self._changed, self._happened = changed, happened
        self._child: Child | None = None
        self._device: str | None = None
        self._linking_code = LinkingCode()
        self._wanted = asyncio.Event()
        self._over = asyncio.Event()
        self._connections: deque[float] = deque(maxlen=_LOOP_TIMES)
        self._broken = False
        self.state = ConnectionState.CONNECTING

    @property
    def phone(self) -> str | None:
        return self._device.partition(":")[0].partition("@")[0] if self._device else None

    async def run(self) -> None:
        pause = self._context.settings.restart_seconds
        while True:
            began = self._context.clock.monotonic_seconds()
            if not await self._may_open():
                await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._run_client()
            except (ChildGone, VerbFailed, OSError, DatabaseUnavailable) as error:
                self._report_failure(error)
                calm = self._context.clock.monotonic_seconds() - began > _CALM_SECONDS
                pause = self._context.settings.restart_seconds if calm else pause
                await self._context.clock.wait(self._wanted, pause)
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    def close(self) -> None:
        """Whoever waits for a code has to ask the next session."""
        self._linking_code.close()

    def try_again(self) -> bool:
        """Ends the rest after a replacement or a ban, or a pause; False without a device."""
        self._wanted.set()
        return self._device is not None

    async def execute(self, verb: str, **arguments: Json) -> Json:
        """The answer of the running client.

        Raises:
            NotConnected: there is none, or it ended meanwhile.
            VerbFailed: it could not be done.
        """
        if self._child is None or self.state is not ConnectionState.CONNECTED:
            raise NotConnected(self.state.sentence)
        try:
            return await self._child.call(self._spec.instance_id, verb, **arguments)
        except ChildGone:
            raise NotConnected("The session's process ended.") from None

    async def execute_raw(self, verb: str, **arguments: Json) -> Json:
        """As `ask`, in any state; raises ChildGone where the process ended."""
        if self._child is None:
            raise NotConnected(self.state.sentence)
        return await self._child.call(self._spec.instance_id, verb, **arguments)

    async def code(self) -> str:
        """The text of the QR code that is shown now; starts linking where need be.

        Raises:
            SessionUnavailable: there is none; the sentence says why.
        """
        self._wanted.set()
        return await self._linking_code.wait()

    async def log_out(self) -> None:
        """Unlinks the device, at WhatsApp where that can be reached, and here."""
        if self._device is None:
            return
        with contextlib.suppress(NotConnected, ChildGone, VerbFailed):
            await self.execute("log_out")
        await self._ended(ConnectionState.LOGGED_OUT)

    async def _may_open(self) -> bool:
        """Whether there is a device to connect as; what is missing else is told."""
        if self.state in {_State.REPLACED, _State.BANNED, _State.OUTDATED}:
            return False
        found = await self._context.store.device(self._spec.instance_id)
        self._device = found[0] if found else None
        if found is None:
            unpaired = self.state is not ConnectionState.LOGGED_OUT
            self._change(ConnectionState.UNPAIRED if unpaired else self.state)
            return False
        if found[1] == "file" and not self._file.exists():
            self._change(ConnectionState.DISCONNECTED, _ELSEWHERE)
            return False
        self._change(ConnectionState.CONNECTING)
        return True

    async def _run_client(self) -> None:
        context, instance_id = self._context, self._spec.instance_id
        self._over.clear()
        linking = self._device is None
        async with contextlib.AsyncExitStack() as afterwards:
            async with context.children.turn_to_start:
                child = await context.children.place(
                    instance_id,
                    self._hear,
                    alone=linking,
                    own_proxy=self._spec.proxy is not None,
                    deadline=self._spec.may_act_until(),
                )
                afterwards.push_async_callback(self._leave, child)
                await self._open(child)
            if linking:
                await self._link(child)
            await self._watch(child)

    async def _open(self, child: Child) -> None:
        instance_id = self._spec.instance_id
        store = await self._key_store()
        self._child = child
        async with asyncio.timeout(_OPENING_SECONDS):
            await child.call(
                instance_id,
                "open",
                store=store,
                device=self._device,
                uuid=f"{instance_id}-{secrets.token_hex(4)}",
                name=self._context.settings.device_name,
                proxy=self._spec.proxy and self._spec.proxy.model_dump(),
            )

    async def _leave(self, child: Child) -> None:
        self._child = None
        self._linking_code.hide()
        linked = self._device is not None
        await self._context.children.leave(child, self._spec.instance_id, linked=linked)

    async def _link(self, child: Child) -> None:
        """Until a phone was linked, or the codes are used up."""
        began = self._context.clock.monotonic_seconds()
        while self._device is None and not self._over.is_set():
            passed = self._context.clock.monotonic_seconds() - began
            left = _LINKING_SECONDS - passed
            if passed > _FIRST_CODE_SECONDS and not self._linking_code.is_shown:
                self._linking_code.refuse(_NO_CODE)
            if left <= 0:
                self._over.set()
            elif child.gone.is_set():
                raise ChildGone(child.end_reason)
            else:
                await self._context.clock.wait(self._over, min(left, 0.5))

    async def _watch(self, child: Child) -> None:
        """Until the client has nothing more to do; a dead one is an error."""
        settings = self._context.settings
        while not await self._rest(child):
            verb = "probe" if self.state is ConnectionState.CONNECTED else "ping"
            try:
                async with asyncio.timeout(settings.probe_timeout_seconds):
                    await child.call(self._spec.instance_id, verb)
            except VerbFailed:
                if self.state is not ConnectionState.CONNECTED:
                    continue  # it fell meanwhile, and said so
                raise
            except TimeoutError:
                logger.warning("session_dead", instance_id=self._spec.instance_id, verb=verb)
                raise VerbFailed(NO_ANSWER, "the session no longer answered") from None

    async def _rest(self, child: Child) -> bool:
        """Waits until the next probe is due; says whether it was over before."""
        gone = asyncio.create_task(child.gone.wait())
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait(
                {gone, over},
                timeout=self._context.settings.probe_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            gone.cancel()
            over.cancel()
        if child.gone.is_set() and not self._over.is_set():
            raise ChildGone(child.end_reason)
        return self._over.is_set()

    async def _hear(self, told: Tell) -> None:
        match told.name:
            case "QrShown":
                self._show(told.body["text"])
            case "Device":
                await self._linked(told.body["JID"])
            case "Connected":
                await self._connected()
            case "Disconnected" | "Unreachable":
                self._lose(told)
            case "Ended":
                # With an error it never connected; without one we stopped it.
                if told.body["error"] and self._child:
                    self._child.kill(told.body["error"])
            case _:
                if end := end_in(told):
                    await self._ended(end)
                else:
                    await self._happened(told)

    async def _linked(self, jid: dict[str, Any]) -> None:
        device = f"{jid['User']}:{jid['Device']}@{jid['Server']}"
        await self._context.store.add_device(
            self._spec.instance_id, device, self._context.settings.keys
        )
        self._device = device

    async def _connected(self) -> None:
        if (child := self._child) is None:
            return  # it is being closed, and heard to the end
        self._note_connection()
        self._greeting = asyncio.create_task(self._greet(child))
        self._change(ConnectionState.CONNECTED)

    def _lose(self, told: Tell) -> None:
        if told.name == "Disconnected":
            self._change(ConnectionState.DISCONNECTED)
        elif self.state is not ConnectionState.CONNECTED:
            self._change(self.state, network_sentence(told.body["error"]))

    async def _greet(self, child: Child) -> None:
        with contextlib.suppress(ChildGone, VerbFailed):
            await child.call(self._spec.instance_id, "become_available")

    def _note_connection(self) -> None:
        now = self._context.clock.monotonic_seconds()
        self._connections.append(now)
        if len(self._connections) == _LOOP_TIMES and now - self._connections[0] < _LOOP_SECONDS:
            logger.error(
                "reconnect_loop",
                instance_id=self._spec.instance_id,
                times=_LOOP_TIMES,
                seconds=round(now - self._connections[0]),
            )

    async def _ended(self, state: ConnectionState) -> None:
        if state is ConnectionState.LOGGED_OUT and self._device:
            await self._context.store.forget_device(self._spec.instance_id, self._device)
            self._device = None
        self._end(state)

    def _end(self, state: ConnectionState) -> None:
        self._change(state)
        self._over.set()

    def _show(self, code: str) -> None:
        if self._broken:  # and no longer
            self._change(self.state, self.state.sentence)
        self._linking_code.show(code)

    def _change(self, state: ConnectionState, reason: str | None = None) -> None:
        if state is not self.state or reason:
            self.state, self._broken = state, False
            self._changed(state, reason)

    async def _key_store(self) -> str:
        """The library's database; a file left by an earlier linking is of no more use."""
        if self._context.settings.keys == "postgres":
            return await self._context.key_store()
        if self._device is None:
            for path in self._file.parent.glob(f"{self._file.name}*"):
                path.unlink()
        return str(self._file)

    @property
    def _file(self) -> Path:
        return self._context.folder / f"{self._spec.instance_id}.db"

    def _report_failure(self, error: Exception) -> None:
        reason = sentence_of(error)
        self._context.metrics.restarted(breakage_of(error), self._spec.instance_id)
        logger.error(
            "whatsmeow_session_died",
            instance_id=self._spec.instance_id,
            error=type(error).__name__,
            reason=reason,
        )
        self._change(_State.DISCONNECTED if self._device else _State.UNPAIRED, reason)
        self._broken = True
        self._linking_code.refuse(reason)
