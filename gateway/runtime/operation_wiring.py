"""Builds the executors of operations: a table of handlers per subject, and the session router."""

import os
from collections.abc import Callable, Sequence
from functools import partial

from gateway.account_turns import AccountTurns, Share
from gateway.administration import (
    account_traffic,
    api_keys,
    connections,
    event_tickets,
    feature_settings,
    partner,
    payload_encryption,
    people,
    phone_links,
    queue_counts,
    subscriptions,
    usage,
)
from gateway.administration import audit as audit_operations
from gateway.administration import audit_entries as audit_entry_operations
from gateway.administration.account_traffic import TrafficContext
from gateway.administration.api_keys import ApiKeyContext
from gateway.administration.audit import AccountContext, Audit
from gateway.administration.connections import ConnectionContext
from gateway.administration.erasure import Erasure
from gateway.administration.event_tickets import TicketContext
from gateway.administration.feature_settings import SettingsContext
from gateway.administration.partner import PartnerContext, ProviderSelection
from gateway.administration.payload_encryption import (
    PayloadEncryption,
    PayloadEncryptionContext,
)
from gateway.administration.people import PeopleContext
from gateway.administration.person_search import PersonSearch
from gateway.administration.phone_link_page import PhoneLinkPage
from gateway.administration.phone_links import LinkLimits, PhoneLinkContext
from gateway.administration.provider_data import ProviderData
from gateway.administration.queue_counts import QueueCountContext
from gateway.administration.removal import Remover
from gateway.administration.subscriptions import SubscriptionContext
from gateway.administration.usage import UsageContext
from gateway.administration.wrong_phones import WrongPhones
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
from gateway.instances.accounts import Account, Accounts
from gateway.instances.api_keys import ApiKeys
from gateway.instances.creation import Registry
from gateway.instances.operations import InstanceContext
from gateway.instances.phone_links import PhoneLinks
from gateway.instances.store import Instance
from gateway.operations.services import OperationExecutor, Services
from gateway.providers.loading import load_provider, load_providers
from gateway.runtime.callbacks import Callbacks
from gateway.runtime.node_context import NodeContext
from gateway.runtime.overview import OverviewRules, build_system, overview_executors
from gateway.runtime.provider_selection import secret_settings_of
from gateway.runtime.queue import Queue
from gateway.runtime.sessions import Sessions
from gateway.runtime.supervisor import Stage
from gateway.runtime.users import build_sign_in
from gateway.send_queue import (
    control,
    failed_messages,
    lanes,
    message_actions,
    queue_head,
    timeline,
)
from gateway.send_queue import operations as queue_operations
from gateway.send_queue.broadcasts import Broadcasts
from gateway.send_queue.ids import message_id_named
from gateway.send_queue.message_actions import MessageActionContext
from gateway.send_queue.operations import QueueContext
from gateway.sessions import operations as session_operations
from gateway.sessions import proxies
from gateway.sessions.operations import SessionContext
from gateway.sessions.proxies import ProxyContext
from gateway.sessions.proxy_trial import ProxyTrials
from gateway.settings.account_section import AccountLimits
from gateway.settings.link_section import LinkSection
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


def build_services(
    node: NodeContext,
    callbacks: Callbacks,
    sessions: Sessions,
    queue: Queue,
    *,
    selection: ProviderSelection,
    limits: AccountLimits,
    encrypts: bool,
    lease_seconds: float,
    overview: OverviewRules,
    link_settings: LinkSection,
    has_panel: bool,
) -> Services:
    """Builds what edges use, and starts the removal of instances.

    Args:
        node: what the builders share.
        callbacks: the delivery of callbacks.
        sessions: the sessions of this node, and the routers to all.
        queue: the send queue.
        selection: the providers of new instances.
        limits: what one account may use.
        encrypts: the operator's rule for the content of accounts that have none.
        lease_seconds: after so long a node that does not answer has lost its sessions.
        overview: what the overview knows of the settings.
        link_settings: of the links with which customers link a phone.
        has_panel: whether there are pages, which the links need.
    """
    audit = Audit(node.database, overview.retention.audit_days)
    provider_data = ProviderData(node.database, load_providers)
    remover = Remover(node.database, node.clock, provider_data, lapse_seconds=lease_seconds)
    node.start(Stage.BATCHES, removal=remover)
    links = PhoneLinks(node.database)
    link_limits = LinkLimits(link_settings.minutes, link_settings.max_codes, has_panel)
    _start_wrong_phones(node, sessions, audit)
    turns = AccountTurns(
        Share(limits.max_in_work, limits.max_in_work_beside_others), node.clock.monotonic_seconds
    )
    usage_context = partial(
        UsageContext,
        node.database,
        node.media.allowance,
        callbacks.stream,
        limits,
        overview.max_waiting,
    )
    executors = (
        *_account_executors(
            node, audit, remover, provider_data, selection, max_instances=limits.max_instances
        ),
        OperationHandlers(usage.handlers, usage_context),
        OperationHandlers(queue_counts.handlers, partial(QueueCountContext, node.database)),
        OperationHandlers(
            account_traffic.handlers,
            partial(TrafficContext, node.database, node.instances, node.clock),
        ),
        _payload_encryption_executor(node, encrypts=encrypts),
        OperationHandlers(
            event_tickets.handlers, partial(TicketContext, node.database, os.urandom)
        ),
        OperationHandlers(
            feature_settings.handlers,
            partial(SettingsContext, node.database, node.instances, queue.send_policy.features),
        ),
        OperationHandlers(
            connections.handlers,
            partial(
                ConnectionContext,
                node.database,
                node.vault,
                os.urandom,
                selection,
                overview.receipt_alarm,
            ),
        ),
        OperationHandlers(
            api_keys.handlers, partial(ApiKeyContext, node.database, node.clock, os.urandom)
        ),
        OperationHandlers(
            phone_links.handlers,
            partial(PhoneLinkContext, links, node.base_urls, os.urandom, link_limits),
        ),
        *overview_executors(node, overview),
        *_message_executors(node, sessions, queue, turns),
        *_instance_executors(node, callbacks, sessions, limits, turns),
        sessions.cached_router,
    )
    return Services(
        node.instances,
        Accounts(node.database, _api_keys(node)),
        queue.enqueuer,
        node.media.intake,
        queue.completion_waiters,
        node.metrics,
        executors,
        audit,
        callbacks.stream,
        node.base_urls,
        turns,
        Broadcasts(node.database, queue.enqueuer),
        build_sign_in(node.database, node.vault, node.clock, audit),
        build_system(node, overview, audit, executors),
        PhoneLinkPage(links, node.instances, sessions.router, node.clock),
    )


def _start_wrong_phones(node: NodeContext, sessions: Sessions, audit: Audit) -> None:
    wrong_phones = WrongPhones(
        node.database, node.instances, sessions.router, audit, node.clock, node_id=node.node_id
    )
    wrong_phones.listen(node.notifications)
    sessions.subscribers.subscribe(wrong_phones.on_event)
    node.start_if_sending(Stage.SENDERS, wrong_phones=wrong_phones)


def _api_keys(node: NodeContext) -> ApiKeys:
    keys = ApiKeys(node.database, node.clock)
    keys.listen(node.notifications)
    node.start(Stage.BATCHES, api_key_uses=keys.uses)
    return keys


def _payload_encryption_executor(node: NodeContext, *, encrypts: bool) -> OperationExecutor:
    encryption = PayloadEncryption(node.database, encrypts, node.sealing.rules.drop_all)
    context = partial(PayloadEncryptionContext, encryption)
    return OperationHandlers(payload_encryption.handlers, context)


def _account_executors(
    node: NodeContext,
    audit: Audit,
    remover: Remover,
    provider_data: ProviderData,
    selection: ProviderSelection,
    *,
    max_instances: int,
) -> Sequence[OperationExecutor]:
    database, clock = node.database, node.clock
    registry = Registry(database, node.vault, os.urandom, secret_settings=secret_settings_of)
    erasure = Erasure(database, provider_data)
    search = PersonSearch(database, node.sealing.seal, clock, erasure)

    def partner_context(account: Account) -> PartnerContext:
        policy = node.address_policy
        return PartnerContext(
            database, registry, remover, policy, selection, clock, account, max_instances
        )

    return (
        OperationHandlers(partner.handlers, partner_context),
        OperationHandlers(subscriptions.handlers, partial(SubscriptionContext, database)),
        OperationHandlers(people.handlers, partial(PeopleContext, database, erasure, search)),
        OperationHandlers(
            audit_operations.handlers | audit_entry_operations.handlers,
            partial(AccountContext, audit),
        ),
    )


def _in_turns(node: NodeContext, turns: AccountTurns, instance: Instance) -> Database:
    """Returns the database for an operation that takes no turn: its statements take one each."""
    return node.database.in_turns(partial(turns.turn, instance.account_id))


def _message_executors(
    node: NodeContext, sessions: Sessions, queue: Queue, turns: AccountTurns
) -> Sequence[OperationExecutor]:
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


def _instance_executors(
    node: NodeContext,
    callbacks: Callbacks,
    sessions: Sessions,
    limits: AccountLimits,
    turns: AccountTurns,
) -> Sequence[OperationExecutor]:
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


def _test_limit(node: NodeContext, limits: AccountLimits) -> Callable[[str], None]:
    """Returns a function that counts a test of an account, or raises TooManyRequests."""
    rate = Rate(limits.tests_per_minute / 60, limits.tests_burst)
    counted = RequestLimits(node.clock, account=rate, instance=Rate(0.0, 0))

    def count(account_id: str) -> None:
        counted.count(account_id=account_id)

    return count
