"""Builds what keeps phones connected, and answers for them."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from gateway.providers import load_provider
from gateway.runtime.ground import Ground
from gateway.runtime.stages import Floor
from gateway.sessions.ask import Asker
from gateway.sessions.inbound import Inbound
from gateway.sessions.inbound.files import FileLimits, Files
from gateway.sessions.keeper import Keeper
from gateway.sessions.leases import Leases
from gateway.sessions.opening import Opener
from gateway.sessions.proxies import opened
from gateway.sessions.relay import Relay, RelayDesk, relay_client
from gateway.sessions.remembered import RememberingAsker
from gateway.webhooks.outbox import Outbox

_RENEWALS_PER_LEASE = 3


@dataclass(frozen=True, slots=True)
class Sessions:
    """`asker` asks the session wherever it is, `remembering` not twice within a moment."""

    keeper: Keeper
    asker: Asker
    remembering: RememberingAsker
    relay_desk: RelayDesk


def build_sessions(ground: Ground, told: Callable[[], None]) -> Sessions:
    settings, database, clock = ground.settings, ground.database, ground.clock
    heartbeat = database.apart()
    ground.start(Floor.DATABASE, heartbeat=heartbeat)
    leases = Leases(
        heartbeat,
        clock,
        node_id=ground.node_id,
        lapse_seconds=settings.lease_seconds,
        internal_address=ground.internal_address,
    )
    files = Files(ground.media.receiver, clock, FileLimits())
    part = database.at_most(settings.database_pool_size // 2)
    inbound = Inbound(part, Outbox(database, uuid.uuid4, told), files, clock)
    opener = Opener(
        leases=leases,
        instances=ground.instances,
        inbound=inbound,
        providers={name: load_provider(name) for name in ground.engines},
        engines=ground.engines,
        proxy_of=lambda instance: opened(instance.sealed_proxy, ground.vault),
        clock=clock,
    )
    keeper = Keeper(
        leases=leases,
        instances=ground.instances,
        opener=opener,
        clock=clock,
        lock=ground.node_lock,
        renew_seconds=settings.lease_seconds / _RENEWALS_PER_LEASE,
        give_seconds=settings.send_timeout_seconds,
    )
    keeper.listen(ground.notifications)
    relay_http = relay_client(timeout_seconds=settings.send_timeout_seconds)
    asker = Asker(
        keeper,
        Relay(database, relay_http, node_id=ground.node_id, secret=ground.secrets[0]),
        clock,
    )
    remembering = RememberingAsker(asker, clock, ground.metrics)
    keeper.listeners.append(remembering.hear)
    ground.start_if_sending(Floor.DATABASE, **ground.engines)
    ground.start_if_sending(Floor.SESSIONS, sessions=keeper, inbox=inbound)
    relay_desk = RelayDesk(
        ground.node_id, ground.secrets, keeper.epoch, leases.database_seconds, asker.ask_here
    )
    return Sessions(keeper, asker, remembering, relay_desk)
