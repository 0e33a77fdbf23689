"""Builds the executors of operations on an instance and its messages."""

import os
from collections.abc import Callable, Sequence
from functools import partial

from gateway.account_turns import AccountTurns
from gateway.api.request_limits import RequestLimits
from gateway.contract.handlers import OperationHandlers
from gateway.database.pool import Database
from gateway.directory import chat_messages
from gateway.directory import operations as directory_operations
from gateway.directory.chat_messages import ChatMessagesContext
from gateway.directory.context import DirectoryContext
from gateway.history import operations as history_operations
from gateway.history import search, statuses
from gateway.history.operations import HistoryContext
from gateway.history.statuses import MessagesStatusContext
from gateway.history.store import History
from gateway.instances import operations as instance_operations
from gateway.instances.operations import InstanceContext
from gateway.instances.store import Instance
from gateway.operations.services import OperationExecutor
from gateway.providers.loading import load_provider
from gateway.runtime.callbacks import Callbacks
from gateway.runtime.node_context import NodeContext
from gateway.runtime.queue import Queue
from gateway.runtime.sessions import Sessions
from gateway.send_queue import (
    control,
    failed_messages,
    lanes,
    message_actions,
    queue_head,
    timeline,
)
from gateway.send_queue import operations as queue_operations
from gateway.send_queue.ids import message_id_named
from gateway.send_queue.message_actions import MessageActionContext
from gateway.send_queue.operations import QueueContext
from gateway.sessions import operations as session_operations
from gateway.sessions import proxies
from gateway.sessions.operations import SessionContext
from gateway.sessions.proxies import ProxyContext
from gateway.sessions.proxy_trial import ProxyTrials
from gateway.settings.account_section import AccountLimits
from gateway.token_buckets import Rate
from gateway.webhooks import (
    callback_traces,
    dead_letters,
    further_webhooks,
    replay,
    secret_operations,
    webhook_tests,
)
from gateway.webhooks import operations as webhook_operations
from gateway.webhooks.operations import WebhookContext
from gateway.webhooks.secret_operations import WebhookSecretContext
from gateway.webhooks.secrets import WebhookSecrets


def message_executors(
    node: NodeContext, sessions: Sessions, queue: Queue, turns: AccountTurns
) -> Sequence[OperationExecutor]:
    """Builds the executors of operations on the queue and the history of an instance."""
    database = node.database

    def queue_context(instance: Instance, of: Database = database) -> QueueContext:
        return QueueContext(
            of,
            node.clock,
            node.metrics,
            queue.send_policy,
            queue.claimer,
            instance,
            activity_of=queue.activity_of,
        )

    def message_context(instance: Instance) -> MessageActionContext:
        of = _in_turns(node, turns, instance)
        return MessageActionContext(queue_context(instance, of), History(of), sessions.router)

    return (
        OperationHandlers(queue_operations.handlers, queue_context),
        OperationHandlers(message_actions.handlers, message_context, awaits_others=True),
        OperationHandlers(
            control.handlers
            | failed_messages.handlers
            | lanes.handlers
            | queue_head.handlers
            | timeline.handlers,
            queue_context,
        ),
        OperationHandlers(
            history_operations.handlers | search.handlers,
            partial(HistoryContext, database, message_id_named),
        ),
        OperationHandlers(
            statuses.handlers, lambda instance: MessagesStatusContext(database, instance.id)
        ),
    )


def instance_executors(
    node: NodeContext,
    callbacks: Callbacks,
    sessions: Sessions,
    limits: AccountLimits,
    turns: AccountTurns,
) -> Sequence[OperationExecutor]:
    """Builds the executors of operations on an instance, its webhooks and its session."""
    database, vault = node.database, node.vault
    webhook_context = partial(
        WebhookContext,
        database,
        node.address_policy,
        callbacks.poster,
        vault,
        node.clock,
        callbacks.notifier,
        _test_limit(node, limits),
    )
    with_proxy = frozenset(name for name in node.engines if load_provider(name).uses_proxy)
    trials = ProxyTrials(node.proxy_policy, node.clock, _test_limit(node, limits))

    def proxy_context(instance: Instance) -> ProxyContext:
        of = _in_turns(node, turns, instance)
        return ProxyContext(of, vault, trials, with_proxy, instance)

    def session_context(instance: Instance) -> SessionContext:
        return SessionContext(_in_turns(node, turns, instance), sessions.router, instance)

    def directory_context(instance: Instance) -> DirectoryContext:
        of = _in_turns(node, turns, instance)
        return DirectoryContext(of, sessions.cached_router, os.urandom, instance)

    webhooks = (
        webhook_operations.handlers
        | further_webhooks.handlers
        | dead_letters.handlers
        | replay.handlers
        | callback_traces.handlers
    )
    return (
        OperationHandlers(webhooks, webhook_context),
        OperationHandlers(webhook_tests.handlers, webhook_context, awaits_others=True),
        OperationHandlers(
            secret_operations.handlers,
            partial(WebhookSecretContext, WebhookSecrets(database, vault, os.urandom)),
        ),
        OperationHandlers(instance_operations.handlers, partial(InstanceContext, database, vault)),
        OperationHandlers(session_operations.handlers, session_context, awaits_others=True),
        OperationHandlers(proxies.handlers, proxy_context, awaits_others=True),
        OperationHandlers(directory_operations.handlers, directory_context, awaits_others=True),
        OperationHandlers(
            chat_messages.handlers,
            partial(ChatMessagesContext, database, History(database), node.media.stored_files),
        ),
    )


def _in_turns(node: NodeContext, turns: AccountTurns, instance: Instance) -> Database:
    """Returns the database for an operation that takes no turn: its statements take one each."""
    return node.database.in_turns(partial(turns.turn, instance.account_id))


def _test_limit(node: NodeContext, limits: AccountLimits) -> Callable[[str], None]:
    """Returns a function that counts a test of an account, or raises TooManyRequests."""
    rate = Rate(limits.tests_per_minute / 60, limits.tests_burst)
    counted = RequestLimits(node.clock, account=rate, instance=Rate(0.0, 0))

    def count(account_id: str) -> None:
        counted.count(account_id=account_id)

    return count
