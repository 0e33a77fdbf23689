"""Keeps the client of one instance alive: opens, links and probes it, and opens it again.

no device --code requested--> linking --linked--+
    ^                                           v
    +-- logged out <------------------------ connected <--> disconnected
                                                |  ^
          replaced, banned, outdated: waits <---+  +-- the child ended: pause, then again

A child that is suspended keeps the state: no disconnect is reported while the database is away, and
callers wait while the client connects again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from gateway.errors import DatabaseUnavailable, NotConnected
from gateway.observability.logging import logger
from gateway.providers.whatsmeow.child.frames import Json, LibraryEvent
from gateway.providers.whatsmeow.client_context import ClientContext
from gateway.providers.whatsmeow.failures import (
    breakage_of,
    end_state_of,
    network_sentence,
    sentence_of,
)
from gateway.providers.whatsmeow.opening import greet, open_client
from gateway.providers.whatsmeow.probing import probe, wait_for, watch_linking
from gateway.providers.whatsmeow.process import Child, Suspended
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import SessionSpec
from gateway.whatsapp_web.connection_loop import ConnectionLoop
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.reported_state import ReportedState
from gateway.whatsapp_web.session import VerbFailed

_RECONNECT_SECONDS = 10.0  # after a suspension, before the session counts as disconnected
_MAX_PAUSE_SECONDS = 60.0
_STABLE_SECONDS = 60.0
_ELSEWHERE = "The keys of this session are in the data directory of another node."

_State = ConnectionState


class SessionSupervisor:
    """Opens the client whenever it may.

    It calls *on_state* with every new state and its reason, *on_event* with every event of the
    library that is not about the connection, and *on_lid* with the lid of the linked phone.
    """

    def __init__(
        self,
        spec: SessionSpec,
        context: ClientContext,
        *,
        on_state: Callable[[ConnectionState, str | None], None],
        on_event: Callable[[LibraryEvent], Awaitable[None]],
        on_lid: Callable[[str], None],
    ) -> None:
        self._spec, self._context = spec, context
        self._state, self._report_event, self._report_lid = (
            ReportedState(on_state),
            on_event,
            on_lid,
        )
        self._child: Child | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._device: str | None = None
        self._wanted = asyncio.Event()
        self._over = asyncio.Event()
        self._connections = ConnectionLoop(spec.instance_id)
        self._suspensions_before = 0
        self.reconnected = asyncio.Event()
        """Is not set while the client connects again after a suspension."""
        self.reconnected.set()

    @property
    def state(self) -> ConnectionState:
        return self._state.value

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
                self._on_failure(error)
                stable = self._context.clock.monotonic_seconds() - began > _STABLE_SECONDS
                pause = self._context.settings.restart_seconds if stable else pause
                await self._context.clock.wait(self._wanted, pause)
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    def close(self) -> None:
        """Refuses a code to all who wait: the next session will show one."""
        self._state.code.close()
        self.reconnected.set()

    def retry_now(self) -> bool:
        """Ends a pause, also that after a replacement or a ban; returns False without a device."""
        self._wanted.set()
        return self._device is not None

    async def execute(self, verb: str, **arguments: Json) -> Json:
        """Runs a verb on the connected client and returns its result.

        Raises:
            NotConnected: the client is not connected, or its process ended before the reply.
            VerbFailed: the verb raised.
        """
        await self._context.clock.wait(self.reconnected, _RECONNECT_SECONDS)
        if self._child is None or self.state is not ConnectionState.CONNECTED:
            raise NotConnected(self.state.sentence)
        try:
            return await self._child.call(self._spec.instance_id, verb, **arguments)
        except Suspended:
            raise NotConnected("The lease of this session lapsed.") from None
        except ChildGone:
            raise NotConnected("The session's process ended.") from None

    async def execute_raw(self, verb: str, **arguments: Json) -> Json:
        """Runs a verb in any state of the client; raises ChildGone if the process ends."""
        if self._child is None:
            raise NotConnected(self.state.sentence)
        return await self._child.call(self._spec.instance_id, verb, **arguments)

    async def code(self) -> str:
        """Returns the text of the QR code; starts linking if that has not begun.

        Raises:
            SessionUnavailable: there is no code; the sentence says why.
        """
        self._wanted.set()
        return await self._state.code.wait()

    async def phone_code(self, phone: str) -> str:
        """Returns the code that the phone's owner types; raises as `code` does."""
        await self.code()  # the library accepts the number once it shows a code
        return str(await self.execute_raw("pair_code", phone=phone))

    async def log_out(self) -> None:
        """Unlinks the device here, and at WhatsApp if the client is connected."""
        if self._device is None:
            return
        with contextlib.suppress(NotConnected, ChildGone, VerbFailed):
            await self.execute("log_out")
        await self._on_end(ConnectionState.LOGGED_OUT)

    async def _may_open(self) -> bool:
        """Returns whether the client may connect; otherwise the state says what is missing."""
        if self.state in {_State.REPLACED, _State.BANNED, _State.OUTDATED}:
            return False
        found = await self._context.store.device(self._spec.instance_id)
        self._device = found[0] if found else None
        if found is None:
            unpaired = self.state is not ConnectionState.LOGGED_OUT
            self._change(ConnectionState.UNPAIRED if unpaired else self.state)
            return False
        if found[1] == "file" and not self._context.key_file(self._spec.instance_id).exists():
            self._change(ConnectionState.DISCONNECTED, _ELSEWHERE)
            return False
        self._change(ConnectionState.CONNECTING)
        return True

    async def _run_client(self) -> None:
        self._over.clear()
        clock = self._context.clock
        if self._device is None:
            async with self._placed(alone=True) as child:
                is_linked = lambda: self._device is not None  # noqa: E731 - read at each step
                await watch_linking(child, self._state.code, is_linked, self._over, clock)
                if not await self._may_move(child):
                    await self._watch(child)
                    return
        async with self._placed(alone=False) as child:
            if not self.reconnected.is_set():
                await self._until_reconnected(child)
            await self._watch(child)

    @contextlib.asynccontextmanager
    async def _placed(self, *, alone: bool) -> AsyncIterator[Child]:
        """Yields a process in which the client is open."""
        context = self._context
        async with contextlib.AsyncExitStack() as stack:
            async with context.children.turn_to_start:
                child = await context.children.place(
                    self._spec.instance_id,
                    self._on_event,
                    alone=alone,
                    own_proxy=self._spec.proxy is not None,
                    deadline=self._spec.may_act_until(),
                )
                stack.push_async_callback(self._leave, child)
                await self._open(child)
            yield child

    async def _may_move(self, child: Child) -> bool:
        """Returns whether the client of a new phone moves on to a process of several instances.

        It was linked in a process of its own, because a client that never links ends with its
        process.
        """
        if self._device is None or not self._context.children.are_shared:
            return False
        while self.state is not _State.CONNECTED:  # the library connects again, as the new device
            self.reconnected.clear()
            await wait_for(self.reconnected, child, self._over, self._context.clock, None)
            if self._over.is_set() or self._is_lost_in(child):
                return False
        self.reconnected.clear()
        return True

    async def _open(self, child: Child) -> None:
        store = await self._context.key_store(self._spec, is_new=self._device is None)
        self._child, self._suspensions_before = child, child.suspensions
        await self._context.tables.make(child, self._spec.instance_id, store)
        await open_client(child, self._spec, self._context.settings, store, self._device)

    async def _leave(self, child: Child) -> None:
        self._child = None
        if self._greeting:
            self._greeting.cancel()
            await asyncio.wait({self._greeting})
        self._state.code.hide()
        linked = self._device is not None
        await self._context.children.leave(child, self._spec.instance_id, linked=linked)
        await self._context.close_key_store(self._spec)

    async def _watch(self, child: Child) -> None:
        """Probes the client until its end; raises VerbFailed if it no longer answers."""
        settings, clock = self._context.settings, self._context.clock
        while True:
            await wait_for(child.suspended, child, self._over, clock, settings.probe_seconds)
            if self._over.is_set():
                return
            if self._is_lost_in(child):
                await self._outlast_suspension(child)
                continue
            await probe(
                child,
                self._spec.instance_id,
                "probe" if self.state is _State.CONNECTED else "ping",
                timeout_seconds=settings.probe_timeout_seconds,
                # A connection that broke during the probe was reported.
                may_fail=lambda: self.state is not _State.CONNECTED or self._is_lost_in(child),
            )

    def _is_lost_in(self, child: Child) -> bool:
        """Whether the child was suspended since the client was opened."""
        return child.suspensions != self._suspensions_before

    async def _outlast_suspension(self, child: Child) -> None:
        """Opens the client again when the child may act; raises ChildGone if it ends instead."""
        clock = self._context.clock
        self.reconnected.clear()
        try:
            await wait_for(child.acting, child, self._over, clock, None)
            if self._over.is_set():
                return
            with contextlib.suppress(Suspended):  # again: the next round waits for its end
                async with self._context.children.turn_to_start:
                    await self._open(child)
                await self._until_reconnected(child)
        finally:
            self.reconnected.set()

    async def _until_reconnected(self, child: Child) -> None:
        """Waits for the connection; without one, the session counts as disconnected."""
        await wait_for(self.reconnected, child, self._over, self._context.clock, _RECONNECT_SECONDS)
        is_away = not (self.reconnected.is_set() or child.suspended.is_set())
        if is_away and not self._over.is_set():
            self._change(_State.DISCONNECTED)

    async def _on_event(self, event: LibraryEvent) -> None:
        child = self._child
        await self._handle(event)
        if child and child is self._child and not child.gone.is_set():  # else it has a successor
            await self._context.note_progress(self._spec.instance_id, event)

    async def _handle(self, event: LibraryEvent) -> None:
        match event.name:
            case "QrShown":
                self._state.show_code(event.body["text"])
            case "Device":
                await self._on_linked(event.body["JID"])
            case "Connected":
                self._on_connected()
            case "Disconnected" | "Unreachable":
                self._on_disconnected(event)
            case "Ended":
                # With an error the client never connected; without one it was stopped from here.
                if event.body["error"] and self._child:
                    self._child.kill(event.body["error"])
            case _:
                if state := end_state_of(event):
                    await self._on_end(state)
                else:
                    await self._report_event(event)

    async def _on_linked(self, jid: dict[str, Any]) -> None:
        device = f"{jid['User']}:{jid['Device']}@{jid['Server']}"
        await self._context.store.add_device(
            self._spec.instance_id, device, self._context.settings.keys
        )
        self._device = device

    def _on_connected(self) -> None:
        if (child := self._child) is None or self._is_lost_in(child):
            return  # the client is being closed, and its last events arrive
        self._connections.note(self._context.clock.monotonic_seconds())
        self._greeting = asyncio.create_task(greet(child, self._spec.instance_id, self._report_lid))
        self._change(ConnectionState.CONNECTED)

    def _on_disconnected(self, event: LibraryEvent) -> None:
        if event.name == "Disconnected":
            self._change(ConnectionState.DISCONNECTED)
        elif self.state is not ConnectionState.CONNECTED:
            self._change(self.state, network_sentence(event.body["error"]))

    async def _on_end(self, state: ConnectionState) -> None:
        if state is ConnectionState.LOGGED_OUT and self._device:
            await self._context.store.delete_device(self._spec.instance_id, self._device)
            self._device = None
        self._change(state)
        self._over.set()

    def _change(self, state: ConnectionState, reason: str | None = None) -> None:
        self.reconnected.set()
        self._state.change(state, reason)

    def _on_failure(self, error: Exception) -> None:
        reason = sentence_of(error)
        self._context.metrics.restarted(breakage_of(error), self._spec.instance_id)
        logger.error(
            "whatsmeow_session_died",
            instance_id=self._spec.instance_id,
            error=type(error).__name__,
            reason=reason,
        )
        self.reconnected.set()
        self._state.fail(is_linked=self._device is not None, reason=reason)
