"""Builds what edges use: the executors of operations, and the services beside them."""

import os
from functools import partial

from gateway.account_turns import AccountTurns, Share
from gateway.administration import (
    connections,
    feature_settings,
    phone_links,
)
from gateway.administration.audit import Audit
from gateway.administration.connections import ConnectionContext
from gateway.administration.feature_settings import SettingsContext
from gateway.administration.partner import ProviderSelection
from gateway.administration.phone_link_page import PhoneLinkPage
from gateway.administration.phone_links import LinkLimits, PhoneLinkContext
from gateway.administration.provider_data import ProviderData
from gateway.administration.removal import Remover
from gateway.administration.wrong_phones import WrongPhones
from gateway.contract.handlers import OperationHandlers
from gateway.instances.accounts import Accounts
from gateway.instances.api_keys import ApiKeys
from gateway.instances.phone_links import PhoneLinks
from gateway.operations.services import Services
from gateway.providers.loading import load_providers
from gateway.runtime.account_wiring import account_executors
from gateway.runtime.callbacks import Callbacks
from gateway.runtime.instance_wiring import instance_executors, message_executors
from gateway.runtime.node_context import NodeContext
from gateway.runtime.overview import OverviewRules, build_system, overview_executors
from gateway.runtime.queue import Queue
from gateway.runtime.sessions import Sessions
from gateway.runtime.supervisor import Stage
from gateway.runtime.users import build_sign_in
from gateway.send_queue.broadcasts import Broadcasts
from gateway.settings.account_section import AccountLimits
from gateway.settings.link_section import LinkSection

_MIN_ENQUEUES_ALONE = 64


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
    executors = (
        *account_executors(
            node,
            audit,
            remover,
            provider_data,
            callbacks.stream,
            selection=selection,
            limits=limits,
            max_waiting=overview.max_waiting,
            encrypts=encrypts,
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
            phone_links.handlers,
            partial(PhoneLinkContext, links, node.base_urls, os.urandom, link_limits),
        ),
        *overview_executors(node, overview),
        *message_executors(node, sessions, queue, turns),
        *instance_executors(node, callbacks, sessions, limits, turns),
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
        turns.of_other_kind(_share_of_enqueues(limits)),
        Broadcasts(node.database, queue.enqueuer),
        build_sign_in(node.database, node.vault, node.clock, audit),
        build_system(node, overview, audit, executors),
        PhoneLinkPage(links, node.instances, sessions.router, node.clock),
    )


def _share_of_enqueues(limits: AccountLimits) -> Share:
    """Returns the share of messages that wait to be committed, which are many for one account.

    One statement commits all that wait, and most of what it costs does not grow with their number.
    """
    alone = limits.max_in_work and max(limits.max_in_work, _MIN_ENQUEUES_ALONE)
    return Share(alone, limits.max_in_work_beside_others)


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
