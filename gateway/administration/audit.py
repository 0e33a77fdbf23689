"""The audit log: who did which administrative act, from where, and what it changed.

An act is noted before it happens, because one that cannot be logged must not happen. How it ended
and the values that differ are added afterwards. No message, phone or secret is stored: of a secret,
a few digits of its hash show that it became another one.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any

from psycopg.types.json import Jsonb

from gateway.contract.extensions.account import SetConsentRule
from gateway.contract.handlers import Handlers
from gateway.contract.operation import AuditedState, Operation, Value
from gateway.contract.scopes import ApiScope
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, Forbidden, UnknownInstance
from gateway.identities.people import names_of
from gateway.instances.accounts import Account
from gateway.observability.logging import logger

_NOTE_ACT = query("audit", "note_act")
_COMPLETE_ACT = query("audit", "complete_act")
_SET_CONSENT_RULE = query("people", "set_consent_rule")
_STATES = {
    AuditedState.INSTANCE: query("audit", "state_of_instance"),
    AuditedState.QUEUE: query("audit", "state_of_queue"),
    AuditedState.ACCOUNT: query("audit", "state_of_account"),
    AuditedState.DEAD_LETTERS: query("audit", "state_of_dead_letters"),
    AuditedState.CONSENT: query("audit", "state_of_consent"),
    AuditedState.WEBHOOKS: query("audit", "state_of_webhooks"),
    AuditedState.API_KEYS: query("audit", "state_of_api_keys"),
}
_SECRET_WORDS = ("code", "pin", "secret", "token", "password")
_ID = re.compile(r"[0-9A-Fa-f]{16,64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A caller may write a text or a phone in the place of an id; the id of an old group has one."""
_DONE = "done"


class Credential(StrEnum):
    """What a caller shows."""

    INSTANCE_TOKEN = "instance_token"  # noqa: S105 - the name of a kind
    CLIENT_TOKEN = "client_token"  # noqa: S105 - the name of a kind
    PARTNER_TOKEN = "partner_token"  # noqa: S105 - the name of a kind
    API_KEY = "api_key"
    SESSION = "session"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    SIGN_IN_LINK = "sign_in_link"
    PASSWORD_LINK = "password_link"  # noqa: S105 - the name of a kind
    PHONE_LINK = "phone_link"
    COMMAND_LINE = "command_line"


_NAMES = {
    **dict.fromkeys(Credential, "this credential"),
    Credential.API_KEY: "this API key",
    Credential.SESSION: "your role",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts: the credential, who holds it where that is known, the address, and the rights.

    `account_id` limits the caller to one account, `instance_ids` to some of its instances.
    """

    credential: Credential
    user: str | None = None
    address: str | None = None
    scopes: frozenset[ApiScope] = field(kw_only=True)
    account_id: str | None = field(default=None, kw_only=True)
    instance_ids: frozenset[str] = field(default=frozenset(), kw_only=True)

    def require(self, scope: ApiScope | None) -> None:
        """Raises Forbidden where the caller lacks the right; None is refused to everyone."""
        if scope not in self.scopes:
            raise Forbidden(f"This needs the scope {scope}, which {_NAMES[self.credential]} lacks")

    def require_instance(self, account_id: str, instance_id: str) -> None:
        """Raises UnknownInstance where the caller may not know of this instance."""
        if self.account_id not in {None, account_id}:
            raise UnknownInstance
        if self.instance_ids and instance_id not in self.instance_ids:
            raise UnknownInstance

    def require_account(self, account_id: str) -> None:
        """Raises Forbidden where the caller may not act on the account as a whole."""
        if self.account_id not in {None, account_id}:
            raise Forbidden("This belongs to another account")
        if self.instance_ids:
            raise Forbidden("This API key is limited to instances: it cannot act on the account")


@dataclass(frozen=True, slots=True)
class Subject:
    """What an act is about; `phone` only finds the state, it is not stored."""

    account_id: str | None
    instance_id: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class _Noted:
    id: int


@dataclass(frozen=True, slots=True)
class _State:
    state: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Writes the audit log; entries are deleted after *days*."""

    database: Database
    days: int

    @asynccontextmanager
    async def noting(
        self,
        act: str,
        caller: Caller,
        subject: Subject,
        *,
        given: Mapping[str, Any] | None = None,
        compared: AuditedState | None = None,
        turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> AsyncIterator[None]:
        """Writes an entry before the block, and completes it with the outcome and the changes.

        Each of the two takes a *turn*, which the block does not have.

        Raises:
            DatabaseUnavailable: the entry could not be written; the block did not run.
        """
        details = {"given": given} if given else {}
        async with turn():
            before = await self._state(compared, subject)
            noted = await self.database.fetch_one(
                _Noted,
                _NOTE_ACT,
                act=act,
                account_id=subject.account_id,
                instance_id=subject.instance_id,
                address=caller.address,
                credential=caller.credential,
                user_name=caller.user,
                details=Jsonb(details),
                days=self.days,
            )
        assert noted is not None
        outcome = "canceled"
        try:
            yield
            outcome = _DONE
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            async with turn():
                await self._complete(noted.id, outcome, before, compared, subject)

    async def _complete(
        self,
        number: int,
        outcome: str,
        before: Mapping[str, Any],
        compared: AuditedState | None,
        subject: Subject,
    ) -> None:
        """Adds how the act ended; the act is done, so that a failure here is only logged."""
        try:
            after = await self._state(compared, subject) if outcome == _DONE else before
            changed = sorted(
                n for n in before.keys() | after.keys() if before.get(n) != after.get(n)
            )
            details = {
                "before": {name: before.get(name) for name in changed},
                "after": {name: after.get(name) for name in changed},
            }
            await self.database.execute(
                _COMPLETE_ACT, id=number, outcome=outcome, details=Jsonb(details if changed else {})
            )
        except DatabaseUnavailable as error:
            logger.warning("audit_entry_not_completed", number=number, error=str(error))

    async def _state(self, compared: AuditedState | None, subject: Subject) -> Mapping[str, Any]:
        if compared is None:
            return {}
        row = await self.database.fetch_one(
            _State,
            _STATES[compared],
            account_id=subject.account_id,
            instance_id=subject.instance_id,
            names=await self._names(compared, subject),
        )
        state = row.state if row else None
        return {name: _without_query(value) for name, value in (state or {}).items()}

    async def _names(self, compared: AuditedState, subject: Subject) -> list[str]:
        """Returns all names of the person that a consent is about."""
        if compared is not AuditedState.CONSENT or not (subject.phone and subject.instance_id):
            return []
        return (await names_of(self.database, subject.instance_id, subject.phone)).every


def given_of(operation: Operation[Any]) -> dict[str, Any]:
    """Returns the fields of an operation that hold no text, phone or secret."""
    return {
        name: value.value if isinstance(value, Enum) else _plain(value)
        for name, value in operation
        if name in operation.model_fields_set and _is_harmless(name, value)
    }


def _is_harmless(name: str, value: object) -> bool:
    if any(word in name for word in _SECRET_WORDS):
        return False
    return isinstance(value, bool | int | float | datetime | Enum) or (
        isinstance(value, str) and name.endswith("_id") and _ID.fullmatch(value) is not None
    )


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _without_query(value: object) -> object:
    """Cuts the query of a URL, where receivers expect their tokens."""
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return value.partition("?")[0]
    return value


@dataclass(frozen=True, slots=True)
class AccountContext:
    """What the handlers of an account need."""

    audit: Audit
    account: Account


handlers = Handlers[AccountContext]()


@handlers.handles(SetConsentRule)
async def set_consent_rule(context: AccountContext, operation: SetConsentRule) -> Value:
    await context.audit.database.execute(
        _SET_CONSENT_RULE, account_id=context.account.id, refuse=operation.value
    )
    return Value()
