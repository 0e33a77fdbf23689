"""Builds what keeps phones connected, and answers for them."""

import uuid
from dataclasses import dataclass

from gateway.providers import load_provider
from gateway.runtime.node_context import NodeContext
from gateway.runtime.supervisor import Stage
from gateway.sessions.cached_router import CachedSessionRouter
from gateway.sessions.inbound import Inbound
from gateway.sessions.inbound.files import FileLimits, Files
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Leases
from gateway.sessions.opening import Opener
from gateway.sessions.proxies import opened
from gateway.sessions.relay import Relay, RelayReceiver, relay_client
from gateway.sessions.router import SessionRouter
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.outbox import Outbox

_RENEWALS_PER_LEASE = 3


@dataclass(frozen=True, slots=True)
class Sessions:
    """`asker` asks the session wherever it is, `remembering` not twice within a moment."""

    keeper: Keeper
    router: SessionRouter
    remembering: CachedSessionRouter
    relay_receiver: RelayReceiver


def build_sessions(node: NodeContext, notifier: CallbackNotifier) -> Sessions:
    settings, database, clock = node.settings, node.database, node.clock
    heartbeat = database.single_connection()
    node.start(Stage.DATABASE, heartbeat=heartbeat)
    leases = Leases(
        heartbeat,
        clock,
        node_id=node.node_id,
        lapse_seconds=settings.lease_seconds,
        internal_address=node.internal_address,
    )
    files = Files(node.media.receiver, clock, FileLimits())
    part = database.limited_to(settings.database_pool_size // 2)
    inbound = Inbound(part, Outbox(database, uuid.uuid4, notifier), files, clock)
    opener = Opener(
        leases=leases,
        instances=node.instances,
        inbound=inbound,
        providers={name: load_provider(name) for name in node.engines},
        engines=node.engines,
        proxy_of=lambda instance: opened(instance.sealed_proxy, node.vault),
        clock=clock,
    )
    keeper = Keeper(
        leases=leases,
        instances=node.instances,
        opener=opener,
        clock=clock,
        lock=node.node_lock,
        renew_seconds=settings.lease_seconds / _RENEWALS_PER_LEASE,
        give_seconds=settings.send_timeout_seconds,
    )
    keeper.listen(node.notifications)
    relay_http = relay_client(timeout_seconds=settings.send_timeout_seconds)
    router = SessionRouter(
        keeper,
        Relay(database, relay_http, node_id=node.node_id, secret=node.secrets[0]),
        clock,
    )
    remembering = CachedSessionRouter(router, clock, node.metrics)
    keeper.listeners.append(remembering.hear)
    node.start_if_sending(Stage.DATABASE, **node.engines)
    node.start_if_sending(Stage.SESSIONS, sessions=keeper, inbox=inbound)
    relay_receiver = RelayReceiver(
        node.node_id, node.secrets, keeper.epoch, leases.database_seconds, router.execute_here
    )
    return Sessions(keeper, router, remembering, relay_receiver)
