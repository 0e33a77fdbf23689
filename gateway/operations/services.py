"""The services that edges use, and the executors of operations among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from gateway.account_turns import AccountTurns
from gateway.administration.audit import Audit, Caller, Subject, given_of
from gateway.administration.phone_link_page import PhoneLinkPage
from gateway.administration.sign_in import SignIn
from gateway.administration.system import SystemState
from gateway.contract.operation import Operation
from gateway.contract.scopes import ApiScope
from gateway.contract.secret_fields import without_secrets
from gateway.contract.zapi.groups.group import GroupCreated
from gateway.instances.accounts import Account, Accounts
from gateway.instances.base_urls import BaseUrls
from gateway.instances.store import Instance, Instances
from gateway.media.intake import MediaIntake
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.send_queue.broadcasts import Broadcasts
from gateway.send_queue.completion import CompletionWaiters
from gateway.send_queue.enqueue import Enqueuer
from gateway.webhooks.stream import Stream


class OperationExecutor(Protocol):
    """Executes operations: a table of handlers, or the router to the live sessions."""

    awaits_others: bool
    """Whether it mostly waits for a session or another server: that takes no turn of an account."""

    def supports(self, operation: type[Operation[Any]]) -> bool: ...

    async def answer(self, subject: Any, operation: Operation[Any]) -> object:  # noqa: ANN401 - an Instance, or the Account where the path is absolute
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What an edge needs from the rest of the gateway, once it is ready."""

    instances: Instances
    accounts: Accounts
    enqueuer: Enqueuer
    intake: MediaIntake
    completion_waiters: CompletionWaiters
    metrics: Metrics
    executors: Sequence[OperationExecutor]
    audit: Audit
    stream: Stream
    base_urls: BaseUrls
    turns: AccountTurns
    enqueue_turns: AccountTurns
    """Turns of messages that wait to be committed."""
    broadcasts: Broadcasts
    sign_in: SignIn
    system: SystemState
    phone_link_page: PhoneLinkPage

    async def execute(
        self, operation: Operation[Any], target: Instance | Account, *, caller: Caller
    ) -> object:
        """Executes an operation on an instance or an account, and notes it in the audit log.

        The caller needs the operation's scope; without `manage` the answer shows no secret.

        Args:
            operation: what to do.
            target: the instance, or the account where the operation's path names no instance.
            caller: who asks, for the audit log.

        Raises:
            Forbidden: the caller lacks the right.
            UnknownInstance: the instance is none that the caller may know of.
            GatewayError: what the executor raises.
        """
        if isinstance(target, Instance):
            caller.require_instance(target.account_id, target.id)
        else:
            caller.require_account(target.id)
        caller.require(type(operation).scope)
        answer = await self._audited(operation, target, caller)
        return answer if ApiScope.MANAGE in caller.scopes else without_secrets(answer)

    async def _audited(
        self, operation: Operation[Any], target: Instance | Account, caller: Caller
    ) -> object:
        declared = type(operation)
        if not declared.is_audited():
            return await self._execute(operation, target)
        async with self.audit.noting(
            declared.__name__,
            caller,
            _subject_of(operation, target),
            given=given_of(operation),
            compared=declared.audited_state,
            turn=partial(self.turns.turn, _account_of(target)),
        ):
            answer = await self._execute(operation, target)
        _log_group_change(operation, target, answer)
        return answer

    async def _execute(self, operation: Operation[Any], target: Instance | Account) -> object:
        declared = type(operation)
        for executor in self.executors:
            if not executor.supports(declared):
                continue
            if executor.awaits_others:
                return await executor.answer(target, operation)
            async with self.turns.turn(_account_of(target)):
                return await executor.answer(target, operation)
        raise AssertionError(f"{declared.__name__} has no executor")


def _account_of(target: Instance | Account) -> str:
    return target.account_id if isinstance(target, Instance) else target.id


def _log_group_change(
    operation: Operation[Any], target: Instance | Account, answer: object
) -> None:
    created = answer.phone if isinstance(answer, GroupCreated) else None
    group = created or _named(operation, "group_id") or _named(operation, "community_id")
    phones = getattr(operation, "phones", None)
    if group:
        logger.info(
            "group_changed",
            operation=type(operation).__name__,
            instance_id=getattr(target, "id", None),
            group_jid=group,
            participants=None if phones is None else len(phones),
        )


def _named(operation: Operation[Any], field: str) -> str | None:
    value: str | None = getattr(operation, field, None)
    return value


def _subject_of(operation: Operation[Any], target: Instance | Account) -> Subject:
    if isinstance(target, Instance):
        return Subject(target.account_id, target.id, getattr(operation, "phone", None))
    return Subject(target.id)  # the operation's own fields name an instance
