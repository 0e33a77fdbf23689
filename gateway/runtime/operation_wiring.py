"""Builds who answers what: a room for each kind of operation, the session for the rest."""

import os
from collections.abc import Sequence
from functools import partial

from gateway.administration import audit as audit_operations
from gateway.administration import partner, people, subscriptions
from gateway.administration.audit import AccountContext, Audit
from gateway.administration.partner import PartnerContext
from gateway.administration.people import PeopleContext
from gateway.administration.removal import Remover
from gateway.administration.subscriptions import SubscriptionContext
from gateway.api.endpoints import OperationExecutor, Services
from gateway.contract.handlers import OperationHandlers
from gateway.directory import operations as directory_operations
from gateway.directory.context import DirectoryContext
from gateway.history import operations as history_operations
from gateway.history import statuses
from gateway.history.operations import HistoryContext
from gateway.history.statuses import MessagesStatusContext
from gateway.instances import operations as instance_operations
from gateway.instances.accounts import Account, Accounts
from gateway.instances.creation import Registry
from gateway.instances.operations import InstanceContext
from gateway.instances.store import Instance
from gateway.providers import load_provider
from gateway.runtime.callbacks import Callbacks
from gateway.runtime.node_context import NodeContext
from gateway.runtime.provider_selection import provider_selection_of
from gateway.runtime.queue import Queue
from gateway.runtime.sessions import Sessions
from gateway.runtime.supervisor import Stage
from gateway.send_queue import control, message_actions
from gateway.send_queue import operations as queue_operations
from gateway.send_queue.ids import message_id_named
from gateway.send_queue.message_actions import MessageActionContext
from gateway.send_queue.operations import QueueContext
from gateway.sessions import operations as session_operations
from gateway.sessions import proxies
from gateway.sessions.operations import SessionContext
from gateway.sessions.proxies import ProxyContext
from gateway.sessions.proxy_trial import ProxyTrials
from gateway.webhooks import dead_letters, replay
from gateway.webhooks import operations as webhook_operations
from gateway.webhooks.operations import WebhookContext


def build_services(
    node: NodeContext, callbacks: Callbacks, sessions: Sessions, queue: Queue
) -> Services:
    """What the HTTP edge serves from."""
    audit = Audit(node.database, node.settings.audit_days)
    return Services(
        node.instances,
        Accounts(node.database),
        queue.enqueuer,
        node.media.intake,
        queue.followers,
        node.metrics,
        (
            *_rooms_of_accounts(node, audit),
            *_rooms_of_messages(node, sessions, queue),
            *_rooms_of_instances(node, callbacks, sessions),
            sessions.cached_router,
        ),
        audit,
        callbacks.stream,
        node.base_urls,
    )


def _rooms_of_accounts(node: NodeContext, audit: Audit) -> Sequence[OperationExecutor]:
    settings, database, clock = node.settings, node.database, node.clock
    remover = Remover(database, clock, lapse_seconds=settings.lease_seconds)
    node.start(Stage.BATCHES, removal=remover)
    registry, offer = Registry(database, node.vault, os.urandom), provider_selection_of(settings)

    def partner_context(account: Account) -> PartnerContext:
        policy = settings.address_policy()
        return PartnerContext(database, registry, remover, policy, offer, clock, account)

    return (
        OperationHandlers(partner.handlers, partner_context),
        OperationHandlers(subscriptions.handlers, partial(SubscriptionContext, database)),
        OperationHandlers(people.handlers, partial(PeopleContext, database)),
        OperationHandlers(audit_operations.handlers, partial(AccountContext, audit)),
    )


def _rooms_of_messages(
    node: NodeContext, sessions: Sessions, queue: Queue
) -> Sequence[OperationExecutor]:
    database = node.database
    queue_context = partial(
        QueueContext, database, node.clock, node.metrics, queue.send_policy, queue.claimer
    )

    def message_context(instance: Instance) -> MessageActionContext:
        return MessageActionContext(queue_context(instance), queue.history, sessions.router)

    return (
        OperationHandlers(queue_operations.handlers, queue_context),
        OperationHandlers(message_actions.handlers, message_context),
        OperationHandlers(control.handlers, queue_context),
        OperationHandlers(
            history_operations.handlers, partial(HistoryContext, database, message_id_named)
        ),
        OperationHandlers(
            statuses.handlers, lambda instance: MessagesStatusContext(database, instance.id)
        ),
    )


def _rooms_of_instances(
    node: NodeContext, callbacks: Callbacks, sessions: Sessions
) -> Sequence[OperationExecutor]:
    database, vault = node.database, node.vault
    webhook_context = partial(
        WebhookContext,
        database,
        node.settings.address_policy(),
        callbacks.poster,
        vault,
        node.clock,
        callbacks.notifier,
    )
    proxied = frozenset(name for name in node.engines if load_provider(name).uses_proxy)
    proxy_context = partial(ProxyContext, database, vault, ProxyTrials(node.clock), proxied)
    directory_context = partial(DirectoryContext, database, sessions.cached_router, os.urandom)
    webhooks = webhook_operations.handlers | dead_letters.handlers | replay.handlers
    return (
        OperationHandlers(webhooks, webhook_context),
        OperationHandlers(instance_operations.handlers, partial(InstanceContext, database, vault)),
        OperationHandlers(
            session_operations.handlers, partial(SessionContext, database, sessions.router)
        ),
        OperationHandlers(proxies.handlers, proxy_context),
        OperationHandlers(directory_operations.handlers, directory_context),
    )
