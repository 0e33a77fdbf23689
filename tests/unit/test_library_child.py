"""A child process that runs a library ends, whatever becomes of the task that watches it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from gateway.clock import Clock
from gateway.providers.baileys import children as baileys_children
from gateway.providers.baileys.children import NodeChildren
from gateway.providers.baileys.frames import NodeNotice, NodeRequest
from gateway.providers.baileys.process import NodeProgram
from gateway.whatsapp_web import library_child
from gateway.whatsapp_web.library_child import ChildGone, LibraryChild, start_process
from gateway.whatsapp_web.session import Json
from tests.fixtures.patience import PATIENCE_SECONDS


class SilentChild(LibraryChild):
    """Says nothing."""

    library: ClassVar[str] = "silence"
    end_event: ClassVar[str] = "silent_child_ended"

    async def _receive_frames(self) -> None:
        await self._reader.read()

    async def call(self) -> Json:
        return await self._reply_to(lambda number: b"%d" % number)


class NoSubscriber:
    def on_notice(self, notice: NodeNotice) -> None:
        raise AssertionError(notice)

    async def on_request(self, request: NodeRequest) -> Json:
        raise AssertionError(request)


async def sleeping() -> SilentChild:
    return SilentChild(await start_process(lambda _descriptor: ("sleep", "1000"), {}))


async def cancel_before_it_begins(child: SilentChild) -> None:
    child.life.cancel()


async def cancel_twice(child: SilentChild) -> None:
    """The second time while it waits for the process, which the first one has it kill."""
    await asyncio.sleep(0)
    for _ in range(2):
        child.life.cancel()
        await asyncio.sleep(0)


@pytest.mark.parametrize("cancel", [cancel_before_it_begins, cancel_twice])
async def test_child_whose_life_is_canceled_ends_and_fails_its_callers(
    cancel: Callable[[SilentChild], Awaitable[None]],
) -> None:
    child = await sleeping()
    calling = asyncio.create_task(child.call())
    if cancel is not cancel_before_it_begins:
        await asyncio.sleep(0)
    await cancel(child)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await child.end()
        with pytest.raises(ChildGone):
            await calling
    assert not psutil.pid_exists(child.pid)
    with pytest.raises(ChildGone):
        await child.call()


async def test_end_does_not_wait_for_a_process_that_the_kernel_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = await sleeping()
    with monkeypatch.context() as patched:
        patched.setattr(library_child, "_ENDING_SECONDS", 0.01)
        patched.setattr(child, "kill", lambda: None)
        await child.end()
    assert psutil.pid_exists(child.pid)
    await child.end()
    assert not psutil.pid_exists(child.pid)


async def test_session_leaves_a_child_that_does_not_close_it_also_if_canceled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baileys_children, "_CLOSING_SECONDS", 0.1)
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\nexec sleep 1000\n")
    node.chmod(0o755)
    children = NodeChildren(
        lambda: NodeProgram(str(node), 128, tmp_path),
        {"PATH": "/usr/bin:/bin"},
        Clock(),
        sessions_per_process=2,
        check_seconds=1e9,
        answer_seconds=1e9,
    )
    deadline = Clock().monotonic_seconds() + PATIENCE_SECONDS
    child = await children.place("ana", NoSubscriber(), deadline=deadline)
    leaving = asyncio.create_task(children.leave(child, "ana"))
    for _ in range(2):
        await asyncio.sleep(0)
        leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(PATIENCE_SECONDS):
        await child.gone.wait()
        await children.end()
    assert not psutil.pid_exists(child.pid)
    assert child.end_reason == "a session did not close"
