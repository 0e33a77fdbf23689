"""Keeps the client of one instance alive: opens, links and probes it, and opens it again.

no device --code requested--> linking --linked--+
    ^                                           v
    +-- logged out <------------------------ connected <--> disconnected
                                                |  ^
          replaced, banned, outdated: waits <---+  +-- the child ended: pause, then again

While it is disconnected the child connects again by itself.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from gateway.errors import DatabaseUnavailable, NotConnected, SessionUnavailable, StartRefused
from gateway.observability.logging import logger
from gateway.providers.baileys.client_context import BaileysContext
from gateway.providers.baileys.failures import (
    ENDS,
    NO_ANSWER,
    SERVER,
    breakage_of,
    network_sentence,
    sentence_of,
)
from gateway.providers.baileys.frames import NodeNotice, NodeRequest
from gateway.providers.baileys.process import NodeChild
from gateway.providers.baileys.session_requests import SessionRequests
from gateway.providers.baileys.store import CREDS, StoredBody
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import SessionSpec
from gateway.sessions.reachability import NetworkFault
from gateway.wakeups import waking
from gateway.whatsapp_web.connection_loop import ConnectionLoop
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.reported_state import ReportedState
from gateway.whatsapp_web.session import Json, VerbFailed

_LINKING_SECONDS = 180.0
_OPENING_SECONDS = 60.0
_FIRST_CODE_SECONDS = 20.0
_CODE_SECONDS = 30.0
_MAX_PAUSE_SECONDS = 60.0
_STABLE_SECONDS = 60.0
_NO_CODE = f"{NetworkFault.SILENT.sentence(*SERVER)}."
_NO_KEYS = (
    "The keys of the linked phone cannot be read: add the earlier secret to GATEWAY_SECRET_KEY, "
    "or unlink the phone and scan the QR code again."
)

_State = ConnectionState
_WAITING = frozenset({_State.REPLACED, _State.BANNED, _State.OUTDATED})


class BaileysSupervisor:
    """Opens the client whenever it may.

    It calls *on_state* with every new state and its reason, *on_events* with the names and
    bodies of events that were stored, and *on_lid* with the lid of the linked phone.
    """

    def __init__(
        self,
        spec: SessionSpec,
        context: BaileysContext,
        *,
        on_state: Callable[[ConnectionState, str | None], None],
        on_events: Callable[[Sequence[StoredBody]], None],
        on_lid: Callable[[str], None],
    ) -> None:
        self._spec, self._context = spec, context
        self._state, self._report_lid = ReportedState(on_state), on_lid
        self._child: NodeChild | None = None
        self._device: str | None = None
        self._wanted = asyncio.Event()
        self._over = asyncio.Event()
        self._failed = ""
        self._connections = ConnectionLoop(spec.instance_id)
        self._notices: dict[str, Callable[[dict[str, Any]], None]] = {
            "QrShown": self._on_code,
            "Device": self._on_device,
            "Connected": self._on_connected,
            "Disconnected": lambda _body: self._state.change(_State.DISCONNECTED),
            "Unreachable": self._on_unreachable,
            "LinkingEnded": lambda _body: self._over.set(),
            "Failed": self._on_failed,
        }
        self._requests = SessionRequests(spec, context.store, on_events)

    @property
    def state(self) -> ConnectionState:
        return self._state.value

    @property
    def ratchets(self) -> int:
        """How often keys were committed that an encrypted message changes before it leaves."""
        return self._requests.ratchets

    @property
    def phone(self) -> str | None:
        return self._device.partition(":")[0].partition("@")[0] if self._device else None

    async def run(self) -> None:
        pause = self._context.settings.restart_seconds
        while True:
            began = self._context.clock.monotonic_seconds()
            try:
                if not await self._may_open():
                    await self._wanted.wait()
                self._wanted.clear()
                await self._run_client()
            except (ChildGone, VerbFailed, OSError, DatabaseUnavailable, StartRefused) as error:
                self._on_failure(error)
                stable = self._context.clock.monotonic_seconds() - began > _STABLE_SECONDS
                pause = self._context.settings.restart_seconds if stable else pause
                await self._context.clock.wait(self._wanted, pause)
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    def close(self) -> None:
        """Refuses a code to every waiting caller: the next session will show one."""
        self._state.code.close()

    def retry_now(self) -> bool:
        """Ends a pause, also that after a replacement or a ban; returns False without a device."""
        if self.state in _WAITING:
            self._state.value = _State.CONNECTING
        self._wanted.set()
        return self._device is not None

    async def execute(self, verb: str, **arguments: Json) -> Json:
        """Runs a verb on the connected client and returns its result.

        Raises:
            NotConnected: the client is not connected, or its process ended before the reply.
            VerbFailed: the verb raised.
        """
        if self.state is not _State.CONNECTED:
            raise NotConnected(self.state.sentence)
        try:
            return await self.execute_raw(verb, **arguments)
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
        try:
            async with asyncio.timeout(_CODE_SECONDS):
                return str(await self.execute_raw("pair_code", phone=phone))
        except (TimeoutError, ChildGone, VerbFailed) as error:
            raise SessionUnavailable(f"WhatsApp gave no code: {error}") from None

    async def log_out(self) -> None:
        """Unlinks the device here, and at WhatsApp if the client is connected."""
        if self._device is None:
            return
        with contextlib.suppress(NotConnected, ChildGone, VerbFailed):
            await self.execute("log_out")
        await self._context.store.delete_device(self._spec.instance_id)
        self._end(_State.LOGGED_OUT)

    def on_notice(self, notice: NodeNotice) -> None:
        if handle := self._notices.get(notice.name):
            handle(notice.body)
        elif state := ENDS.get(notice.name):
            self._end(state)

    async def on_request(self, request: NodeRequest) -> Json:
        return await self._requests.answer(request)

    async def _may_open(self) -> bool:
        """Returns whether the client may connect; otherwise the state says what is missing."""
        if self.state in _WAITING:
            return False
        self._device = await self._context.store.device(self._spec.instance_id)
        if self._device is None:
            unpaired = self.state is not _State.LOGGED_OUT
            self._state.change(_State.UNPAIRED if unpaired else self.state)
            return False
        self._state.change(_State.CONNECTING)
        return True

    async def _run_client(self) -> None:
        context, instance_id = self._context, self._spec.instance_id
        self._over.clear()
        self._failed = ""
        if not await context.store.raise_fence(instance_id, self._spec.epoch):
            raise StartRefused("Another node runs the session of this instance.")
        linking = self._device is None
        await context.store.reseal_keys(instance_id, self._spec.epoch)
        creds = await self._creds()
        child = await context.children.place(instance_id, self, deadline=self._spec.may_act_until())
        try:
            await self._open(child, creds)
            if linking:
                await self._link(child)
            await self._watch(child)
        finally:
            self._child = None
            self._state.code.hide()
            await context.children.leave(child, instance_id)
            if self.state is _State.LOGGED_OUT:
                # After its last write: the keys of a device that is unlinked are useless.
                await context.store.delete_device(instance_id)
                self._device = None

    async def _creds(self) -> str | None:
        """Returns the device's own keys; None for a new linking, which drops earlier keys."""
        store, instance_id = self._context.store, self._spec.instance_id
        if self._device is None:
            await store.delete_device(instance_id)
            return None
        creds = (await store.keys(instance_id, CREDS, [""])).get("")
        if creds is None:
            raise StartRefused(_NO_KEYS)
        return creds

    async def _open(self, child: NodeChild, creds: str | None) -> None:
        self._child = child
        settings, proxy = self._context.settings, self._spec.proxy
        try:
            async with asyncio.timeout(_OPENING_SECONDS):
                await child.call(
                    self._spec.instance_id,
                    "open",
                    epoch=self._spec.epoch,
                    creds=creds,
                    name=settings.device_name,
                    answer_seconds=settings.answer_seconds,
                    proxy=proxy and proxy.model_dump(),
                )
        except TimeoutError:
            child.kill("it did not open a session in time")
            raise ChildGone(child.end_reason) from None

    async def _link(self, child: NodeChild) -> None:
        """Returns when a phone is linked, or no further code will be shown."""
        clock = self._context.clock
        began = clock.monotonic_seconds()
        while self._device is None and not self._over.is_set():
            passed = clock.monotonic_seconds() - began
            if passed > _FIRST_CODE_SECONDS and not self._state.code.is_shown:
                self._state.code.refuse(_NO_CODE)
            if passed > _LINKING_SECONDS:
                self._over.set()
            elif child.gone.is_set():
                raise ChildGone(child.end_reason)
            else:
                await clock.wait(self._over, 0.5)

    async def _watch(self, child: NodeChild) -> None:
        """Probes the client until its end; raises VerbFailed if it no longer answers."""
        settings = self._context.settings
        while True:
            await self._wait_for_end(child, settings.probe_seconds)
            if self._failed:
                raise VerbFailed("Failed", self._failed)
            if self._over.is_set():
                return
            if self.state is _State.CONNECTED:
                await self._probe(child, settings.probe_timeout_seconds)

    async def _wait_for_end(self, child: NodeChild, seconds: float) -> None:
        wakeup = asyncio.Event()
        async with waking(wakeup, when=child.gone), waking(wakeup, when=self._over):
            await self._context.clock.wait(wakeup, seconds)
        if child.gone.is_set() and not self._over.is_set():
            raise ChildGone(child.end_reason)

    async def _probe(self, child: NodeChild, seconds: float) -> None:
        instance_id = self._spec.instance_id
        try:
            async with asyncio.timeout(seconds):
                await child.call(instance_id, "probe")
        except (TimeoutError, VerbFailed):
            if self.state is not _State.CONNECTED:
                return  # the connection broke during the probe, which was reported
            logger.warning("session_dead", instance_id=instance_id, verb="probe")
            raise VerbFailed(NO_ANSWER, "the session no longer answered") from None

    def _on_device(self, body: dict[str, Any]) -> None:
        self._device = body["jid"]
        self._state.code.hide()

    def _on_connected(self, body: dict[str, Any]) -> None:
        self._connections.note(self._context.clock.monotonic_seconds())
        self._state.change(_State.CONNECTED)
        if lid := body.get("lid"):
            self._report_lid(lid)

    def _on_unreachable(self, body: dict[str, Any]) -> None:
        sentence = network_sentence(body["error"]) or _NO_CODE
        if self.state is not _State.CONNECTED:
            self._state.change(self.state, sentence)
        self._state.code.refuse(sentence)

    def _on_failed(self, body: dict[str, Any]) -> None:
        self._failed = body["error"]
        self._over.set()

    def _end(self, state: ConnectionState) -> None:
        if state is _State.LOGGED_OUT:
            self._device = None
        self._state.change(state)
        self._over.set()

    def _on_code(self, body: dict[str, Any]) -> None:
        if self._device is None:
            self._state.show_code(body["text"])

    def _on_failure(self, error: Exception) -> None:
        reason = sentence_of(error)
        self._context.metrics.restarted(breakage_of(error), self._spec.instance_id)
        logger.error(
            "baileys_session_died",
            instance_id=self._spec.instance_id,
            error=type(error).__name__,
            reason=reason,
        )
        self._state.fail(is_linked=self._device is not None, reason=reason)
