"""An edge executes an operation through the one executor for it, after the audit log has it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.account_turns import AccountTurns, Share
from gateway.administration.audit import Audit, Caller, Credential, Subject
from gateway.contract.extensions.account import ListActs, SetConsentRule
from gateway.contract.operation import Operation
from gateway.contract.scopes import ALL_SCOPES
from gateway.errors import DatabaseUnavailable
from gateway.instances.accounts import Account
from gateway.operations.services import OperationExecutor, Services

ACCOUNT = cast("Account", SimpleNamespace(id="A"))
CALLER = Caller(Credential.PARTNER_TOKEN, address="203.0.113.7", scopes=ALL_SCOPES)


class RecordedExecutor:
    """Supports one operation, and notes what it executes."""

    awaits_others = False

    def __init__(self, supported: type[Operation[Any]], events: list[str]) -> None:
        self._supported, self._events = supported, events

    def supports(self, operation: type[Operation[Any]]) -> bool:
        return operation is self._supported

    async def answer(self, subject: Account, operation: Operation[Any]) -> str:
        self._events.append(f"execute {type(operation).__name__} of {subject.id}")
        return type(operation).__name__


class RecordedAudit:
    """Notes each act, or cannot reach Postgres."""

    def __init__(self, events: list[str], *, is_away: bool = False) -> None:
        self._events, self._is_away = events, is_away

    @asynccontextmanager
    async def noting(
        self,
        act: str,
        caller: Caller,
        subject: Subject,
        *,
        turn: Callable[[], AbstractAsyncContextManager[None]],
        **_details: object,
    ) -> AsyncIterator[None]:
        if self._is_away:
            raise DatabaseUnavailable("away")
        async with turn():
            self._events.append(f"note {act} {subject.account_id} {caller.address}")
        yield
        async with turn():
            self._events.append("complete")


def services(audit: RecordedAudit, *executors: OperationExecutor) -> Services:
    unused = cast("Any", None)
    return Services(
        instances=unused,
        accounts=unused,
        enqueuer=unused,
        intake=unused,
        completion_waiters=unused,
        metrics=unused,
        executors=executors,
        audit=cast("Audit", audit),
        stream=unused,
        base_urls=unused,
        turns=AccountTurns(Share(1, 1)),
        enqueue_turns=AccountTurns(),
        broadcasts=unused,
        sign_in=unused,
        system=unused,
        phone_link_page=unused,
    )


async def test_execute_uses_the_executor_that_supports_it() -> None:
    events: list[str] = []
    edge = services(
        RecordedAudit(events),
        RecordedExecutor(SetConsentRule, events),
        RecordedExecutor(ListActs, events),
    )

    assert await edge.execute(ListActs(), ACCOUNT, caller=CALLER) == "ListActs"
    assert events == ["execute ListActs of A"]


async def test_execute_audited_operation_is_noted_first() -> None:
    events: list[str] = []
    edge = services(RecordedAudit(events), RecordedExecutor(SetConsentRule, events))

    await edge.execute(SetConsentRule(value=True), ACCOUNT, caller=CALLER)

    assert events == [
        "note SetConsentRule A 203.0.113.7",
        "execute SetConsentRule of A",
        "complete",
    ]


async def test_execute_that_cannot_be_noted_does_nothing() -> None:
    events: list[str] = []
    edge = services(RecordedAudit(events, is_away=True), RecordedExecutor(SetConsentRule, events))

    with pytest.raises(DatabaseUnavailable):
        await edge.execute(SetConsentRule(value=True), ACCOUNT, caller=CALLER)

    assert events == []


class AwaitingExecutor(RecordedExecutor):
    """Waits for another server, which asks the gateway something of the same account meanwhile."""

    awaits_others = True
    turns = AccountTurns(Share(1, 1))

    async def answer(self, subject: Account, operation: Operation[Any]) -> str:
        async with self.turns.turn(subject.id):
            return await super().answer(subject, operation)


async def test_execute_takes_turns_for_the_audit_log_and_none_while_it_awaits_others() -> None:
    events: list[str] = []
    executor = AwaitingExecutor(SetConsentRule, events)
    edge = services(RecordedAudit(events), executor)
    executor.turns = edge.turns

    async with edge.turns.turn(ACCOUNT.id):
        executing = asyncio.create_task(
            edge.execute(SetConsentRule(value=True), ACCOUNT, caller=CALLER)
        )
        await asyncio.wait([executing], timeout=0)
        await asyncio.sleep(0)
        assert events == []
    await executing

    assert [event.split()[0] for event in events] == ["note", "execute", "complete"]
