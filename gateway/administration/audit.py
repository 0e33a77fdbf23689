"""The audit log: the account, act, time and address of administrative acts."""

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.contract.extensions.account import Act, ListActs, SetConsentRule
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.accounts import Account

_NOTE_ACT = query("people", "note_act")
_LIST_ACTS = query("people", "list_acts")
_SET_CONSENT_RULE = query("people", "set_consent_rule")


@dataclass(frozen=True, slots=True)
class Audit:
    """Writes the audit log; entries are deleted after *days*."""

    database: Database
    days: int

    async def note(
        self, act: str, *, account_id: str | None, instance_id: str | None, address: str | None
    ) -> None:
        """Writes an entry. Call it before the act: an act that cannot be logged must not happen.

        Raises:
            DatabaseUnavailable: the entry could not be written.
        """
        await self.database.execute(
            _NOTE_ACT,
            act=act,
            account_id=account_id,
            instance_id=instance_id,
            address=address,
            days=self.days,
        )


@dataclass(frozen=True, slots=True)
class AccountContext:
    """What the handlers of an account need."""

    audit: Audit
    account: Account


@dataclass(frozen=True, slots=True)
class _Act:
    at: datetime
    instance_id: str | None
    act: str
    address: str | None


handlers = Handlers[AccountContext]()


@handlers.handles(ListActs)
async def list_acts(context: AccountContext, operation: ListActs) -> tuple[Act, ...]:
    rows = await context.audit.database.fetch_all(
        _Act,
        _LIST_ACTS,
        account_id=context.account.id,
        days=context.audit.days,
        limit=operation.page_size,
        offset=operation.offset,
    )
    return tuple(
        Act(
            at=row.at.astimezone(UTC), instance_id=row.instance_id, act=row.act, address=row.address
        )
        for row in rows
    )


@handlers.handles(SetConsentRule)
async def set_consent_rule(context: AccountContext, operation: SetConsentRule) -> Value:
    await context.audit.database.execute(
        _SET_CONSENT_RULE, account_id=context.account.id, refuse=operation.value
    )
    return Value()
