"""Whether the content of an account's messages is encrypted in Postgres."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.contract.extensions.account import (
    EncryptionRule,
    PayloadEncryptionState,
    ReadPayloadEncryption,
    SetPayloadEncryption,
)
from gateway.contract.handlers import Handlers
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import Conflict
from gateway.instances.accounts import Account

_SET_RULE = query("payloads", "set_rule")
_FIND_RULE = query("payloads", "find_rule")
_FIND_OLDER_NODES = query("payloads", "find_older_nodes")

_ENCRYPTS: Final[Mapping[EncryptionRule, bool | None]] = {"on": True, "off": False, "default": None}


@dataclass(frozen=True, slots=True)
class _Rule:
    encrypts: bool
    value: EncryptionRule
    finished: bool
    target: str
    key_ids: Sequence[str]
    unopened: int


@dataclass(frozen=True, slots=True)
class _Node:
    id: str


@dataclass(frozen=True, slots=True)
class PayloadEncryption:
    """The rules of accounts.

    *default* is the operator's, for accounts that have none. *on_change* drops what this node has
    cached; the other nodes are notified by Postgres.
    """

    database: Database
    default: bool
    on_change: Callable[[], None] = lambda: None

    async def set_rule(self, account_id: str, rule: EncryptionRule) -> None:
        """Encrypts what is written from now on, or stops; `default` follows the operator's setting.

        A maintenance task then changes the rows that are stored already.

        Raises:
            Conflict: a node runs an earlier release, which could not read what is encrypted.
        """
        if rule == "on":
            older = await self.database.fetch_all(_Node, _FIND_OLDER_NODES)
            if older:
                names = ", ".join(node.id for node in older)
                raise Conflict(
                    f"These nodes run a release that cannot read encrypted content: {names}"
                )
        await self.database.execute(_SET_RULE, account_id=account_id, encrypts=_ENCRYPTS[rule])
        self.on_change()

    async def state_of(self, account_id: str) -> PayloadEncryptionState:
        rule = await self.database.fetch_one(
            _Rule, _FIND_RULE, account_id=account_id, default=self.default
        )
        assert rule is not None, "the account was deleted while it was read"
        return PayloadEncryptionState(
            value=rule.value,
            encrypts=rule.encrypts,
            finished=rule.finished and rule.encrypts == bool(rule.target),
            keys=tuple(rule.key_ids),
            unopened=rule.unopened,
        )


@dataclass(frozen=True, slots=True)
class PayloadEncryptionContext:
    """What the handlers need, for one request of one account."""

    encryption: PayloadEncryption
    account: Account


handlers = Handlers[PayloadEncryptionContext]()


@handlers.handles(ReadPayloadEncryption)
async def read_payload_encryption(
    context: PayloadEncryptionContext, _operation: ReadPayloadEncryption
) -> PayloadEncryptionState:
    return await context.encryption.state_of(context.account.id)


@handlers.handles(SetPayloadEncryption)
async def set_payload_encryption(
    context: PayloadEncryptionContext, operation: SetPayloadEncryption
) -> PayloadEncryptionState:
    await context.encryption.set_rule(context.account.id, operation.value)
    return await context.encryption.state_of(context.account.id)
