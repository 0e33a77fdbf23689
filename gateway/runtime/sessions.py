"""Builds the sessions of a node, and the routers that execute operations on sessions."""

import os
import uuid
from dataclasses import dataclass

from gateway.contract.extensions.connections import ReceiptAlarm
from gateway.instances.provider_settings import settings_of
from gateway.providers.loading import load_provider
from gateway.runtime.node_context import NodeContext
from gateway.runtime.provider_selection import secret_settings_of
from gateway.runtime.supervisor import Stage
from gateway.sessions.cached_router import CachedSessionRouter
from gateway.sessions.connection_callbacks import ConnectionCallbacks
from gateway.sessions.health_monitor import HealthMonitor
from gateway.sessions.inbound import Inbound
from gateway.sessions.inbound.files import FileLimits, Files
from gateway.sessions.inbound.receipt_batch import ReceiptBatch
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Leases
from gateway.sessions.opening import Opener
from gateway.sessions.proxies import unseal_proxy
from gateway.sessions.relay import EarlierReleases, Relay, RelayReceiver, relay_client
from gateway.sessions.router import SessionRouter
from gateway.sessions.subscribers import EventSubscribers
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.outbox import Outbox

_RENEWALS_PER_LEASE = 3
_RECEIPTS_INTERVAL_SECONDS = 0.1
"""Between two transactions for the receipts of a node."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The keeper of the sessions, and three ways to execute an operation on one.

    `router` finds the session on its node, `cached_router` answers repeated operations from a
    cache, and `relay_receiver` serves the operations that other nodes pass on.
    `subscribers` get every event of this node's sessions. `health` checks their connections.
    """

    keeper: Keeper
    router: SessionRouter
    cached_router: CachedSessionRouter
    subscribers: EventSubscribers
    relay_receiver: RelayReceiver
    health: HealthMonitor


def build_sessions(
    node: NodeContext,
    notifier: CallbackNotifier,
    *,
    lease_seconds: float,
    send_timeout_seconds: float,
    max_inbound_connections: int,
    max_relay_body_bytes: int,
    looks_up_pictures: bool,
    health_seconds: float,
    receipt_alarm: ReceiptAlarm,
) -> Sessions:
    """Builds the sessions, and starts them where this node sends.

    Args:
        node: what the builders share.
        notifier: is notified when callbacks are committed.
        lease_seconds: after so long without renewal other nodes take over a session.
        send_timeout_seconds: how long a session has to answer.
        max_inbound_connections: the connections of the pool that received events may use.
        max_relay_body_bytes: the largest call of another node that this one reads.
        looks_up_pictures: whether sessions look up the pictures of people and groups that write.
        health_seconds: from one check of a connection to the next.
        receipt_alarm: when missing receipts are an alarm, where an instance has no rule.
    """
    database, clock = node.database, node.clock
    # A pool in full use must not delay the renewal of leases.
    heartbeat = database.single_connection()
    node.start(Stage.DATABASE, heartbeat=heartbeat)
    leases = Leases(
        heartbeat,
        clock,
        node_id=node.node_id,
        lapse_seconds=lease_seconds,
        internal_address=node.internal_address,
        role=node.role.value,
    )
    files = Files(node.media.receiver, clock, FileLimits())
    inbound_database = database.planned_once().limited_to(max_inbound_connections)
    outbox = Outbox(database, uuid.uuid4, notifier)
    receipts = ReceiptBatch(inbound_database, outbox, interval_seconds=_RECEIPTS_INTERVAL_SECONDS)
    # Sessions that stop wait for what they gave to it.
    node.start_if_sending(Stage.BATCHES, receipts=receipts)
    inbound = Inbound(
        inbound_database,
        outbox,
        files,
        receipts,
        clock,
        turns=node.turns,
        looks_up_pictures=looks_up_pictures,
        traffic=node.traffic,
    )
    subscribers = EventSubscribers()
    opener = Opener(
        leases=leases,
        instances=node.instances,
        inbound=inbound,
        subscribers=subscribers,
        providers={name: load_provider(name) for name in node.engines},
        engines=node.engines,
        proxy_of=lambda instance: unseal_proxy(instance.sealed_proxy, node.vault),
        settings_of=lambda instance: settings_of(
            instance, secret_settings_of(instance.provider), node.vault
        ),
        clock=clock,
    )
    keeper = Keeper(
        leases=leases,
        instances=node.instances,
        opener=opener,
        clock=clock,
        lock=node.node_lock,
        renew_seconds=lease_seconds / _RENEWALS_PER_LEASE,
        release_seconds=send_timeout_seconds,
    )
    keeper.listen(node.notifications)
    relay_http = relay_client(timeout_seconds=send_timeout_seconds)
    router = SessionRouter(
        keeper,
        Relay(database, relay_http, os.urandom, node_id=node.node_id, secret=node.secrets[0]),
        clock,
    )
    cached_router = CachedSessionRouter(router, clock, node.metrics)
    subscribers.subscribe(cached_router.on_event)
    node.start_if_sending(Stage.DATABASE, **node.engines)
    health = HealthMonitor(
        keeper,
        database,
        clock,
        node.metrics,
        node.uniform,
        callbacks=ConnectionCallbacks(database, outbox, clock),
        health_seconds=health_seconds,
        receipt_alarm=receipt_alarm,
    )
    node.start_if_sending(Stage.SESSIONS, sessions=keeper, inbox=inbound)
    node.start_if_sending(Stage.SENDERS, connection_health=health)
    relay_receiver = RelayReceiver(
        node_id=node.node_id,
        secrets=node.secrets,
        epoch_of=keeper.epoch,
        database_seconds=leases.database_seconds,
        execute=router.execute_here,
        parser=node.parser,
        accepts_earlier_form=EarlierReleases(database, clock).may_call,
        metrics=node.metrics,
        max_body_bytes=max_relay_body_bytes,
    )
    return Sessions(keeper, router, cached_router, subscribers, relay_receiver, health)
