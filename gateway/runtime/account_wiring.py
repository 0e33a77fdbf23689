"""Builds the executors of operations on an account."""

import os
from collections.abc import Sequence
from functools import partial

from gateway.administration import (
    account_traffic,
    api_keys,
    event_tickets,
    partner,
    payload_encryption,
    people,
    queue_counts,
    subscriptions,
    usage,
)
from gateway.administration import audit as audit_operations
from gateway.administration import audit_entries as audit_entry_operations
from gateway.administration.account_traffic import TrafficContext
from gateway.administration.api_keys import ApiKeyContext
from gateway.administration.audit import AccountContext, Audit
from gateway.administration.erasure import Erasure
from gateway.administration.event_tickets import TicketContext
from gateway.administration.partner import PartnerContext, ProviderSelection
from gateway.administration.payload_encryption import (
    PayloadEncryption,
    PayloadEncryptionContext,
)
from gateway.administration.people import PeopleContext
from gateway.administration.person_search import PersonSearch
from gateway.administration.provider_data import ProviderData
from gateway.administration.queue_counts import QueueCountContext
from gateway.administration.removal import Remover
from gateway.administration.subscriptions import SubscriptionContext
from gateway.administration.usage import UsageContext
from gateway.contract.handlers import OperationHandlers
from gateway.instances.accounts import Account
from gateway.instances.creation import Registry
from gateway.operations.services import OperationExecutor
from gateway.runtime.node_context import NodeContext
from gateway.runtime.provider_selection import secret_settings_of
from gateway.settings.account_section import AccountLimits
from gateway.webhooks.stream import Stream


def account_executors(
    node: NodeContext,
    audit: Audit,
    remover: Remover,
    provider_data: ProviderData,
    stream: Stream,
    *,
    selection: ProviderSelection,
    limits: AccountLimits,
    max_waiting: int,
    encrypts: bool,
) -> Sequence[OperationExecutor]:
    """Builds the executors of operations on an account.

    Args:
        node: what the builders share.
        audit: the audit log.
        remover: removes instances.
        provider_data: what providers store.
        stream: the events that followers get.
        selection: the providers of new instances.
        limits: what one account may use.
        max_waiting: messages that each queue may hold; 0 sets no limit.
        encrypts: the operator's rule for the content of accounts that have none.
    """
    database, clock = node.database, node.clock
    registry = Registry(database, node.vault, os.urandom, secret_settings=secret_settings_of)
    erasure = Erasure(database, provider_data)
    search = PersonSearch(database, node.sealing.seal, clock, erasure)

    usage_context = partial(
        UsageContext, database, node.media.allowance, stream, limits, max_waiting
    )

    def partner_context(account: Account) -> PartnerContext:
        policy = node.address_policy
        return PartnerContext(
            database, registry, remover, policy, selection, clock, account, limits.max_instances
        )

    return (
        OperationHandlers(partner.handlers, partner_context),
        OperationHandlers(subscriptions.handlers, partial(SubscriptionContext, database)),
        OperationHandlers(people.handlers, partial(PeopleContext, database, erasure, search)),
        OperationHandlers(
            audit_operations.handlers | audit_entry_operations.handlers,
            partial(AccountContext, audit),
        ),
        OperationHandlers(usage.handlers, usage_context),
        OperationHandlers(queue_counts.handlers, partial(QueueCountContext, database)),
        OperationHandlers(
            account_traffic.handlers, partial(TrafficContext, database, node.instances, clock)
        ),
        _payload_encryption_executor(node, encrypts=encrypts),
        OperationHandlers(event_tickets.handlers, partial(TicketContext, database, os.urandom)),
        OperationHandlers(api_keys.handlers, partial(ApiKeyContext, database, clock, os.urandom)),
    )


def _payload_encryption_executor(node: NodeContext, *, encrypts: bool) -> OperationExecutor:
    encryption = PayloadEncryption(node.database, encrypts, node.sealing.rules.drop_all)
    context = partial(PayloadEncryptionContext, encryption)
    return OperationHandlers(payload_encryption.handlers, context)
