"""Builds who answers what: a room for each kind of operation, the session for the rest."""

import os
from collections.abc import Sequence
from functools import partial

from gateway.administration import audit as audit_operations
from gateway.administration import partner, people, subscriptions
from gateway.administration.audit import AccountDesk, Audit
from gateway.administration.partner import PartnerDesk
from gateway.administration.people import PeopleDesk
from gateway.administration.removal import Remover
from gateway.administration.subscriptions import SubscriptionDesk
from gateway.api.endpoints import Answers, Services
from gateway.contract.handlers import Room
from gateway.directory import operations as directory_operations
from gateway.directory.desk import DirectoryDesk
from gateway.history import operations as history_operations
from gateway.history import statuses
from gateway.history.operations import HistoryDesk
from gateway.history.statuses import StatusDesk
from gateway.instances import operations as instance_operations
from gateway.instances.accounts import Account, Accounts
from gateway.instances.creation import Registry
from gateway.instances.operations import InstanceDesk
from gateway.instances.store import Instance
from gateway.providers import load_provider
from gateway.runtime.callbacks import Callbacks
from gateway.runtime.ground import Ground
from gateway.runtime.offer import offer_of
from gateway.runtime.queue import Queue
from gateway.runtime.sessions import Sessions
from gateway.runtime.stages import Floor
from gateway.send_queue import acting, steering
from gateway.send_queue import operations as queue_operations
from gateway.send_queue.acting import MessageDesk
from gateway.send_queue.ids import message_id_named
from gateway.send_queue.operations import QueueDesk
from gateway.sessions import operations as session_operations
from gateway.sessions import proxies
from gateway.sessions.operations import SessionDesk
from gateway.sessions.proxies import ProxyDesk
from gateway.sessions.proxy_trial import ProxyTrials
from gateway.webhooks import dead_letters, replay
from gateway.webhooks import operations as webhook_operations
from gateway.webhooks.operations import WebhookDesk


def build_services(
    ground: Ground, callbacks: Callbacks, sessions: Sessions, queue: Queue
) -> Services:
    """What the HTTP edge serves from."""
    audit = Audit(ground.database, ground.settings.audit_days)
    return Services(
        ground.instances,
        Accounts(ground.database),
        queue.enqueuer,
        ground.media.intake,
        queue.followers,
        ground.metrics,
        (
            *_rooms_of_accounts(ground, audit),
            *_rooms_of_messages(ground, sessions, queue),
            *_rooms_of_instances(ground, callbacks, sessions),
            sessions.remembering,
        ),
        audit,
        callbacks.stream,
        ground.base_urls,
    )


def _rooms_of_accounts(ground: Ground, audit: Audit) -> Sequence[Answers]:
    settings, database, clock = ground.settings, ground.database, ground.clock
    remover = Remover(database, clock, lapse_seconds=settings.lease_seconds)
    ground.start(Floor.BATCHES, removal=remover)
    registry, offer = Registry(database, ground.vault, os.urandom), offer_of(settings)

    def partner_desk(account: Account) -> PartnerDesk:
        policy = settings.address_policy()
        return PartnerDesk(database, registry, remover, policy, offer, clock, account)

    return (
        Room(partner.handlers, partner_desk),
        Room(subscriptions.handlers, partial(SubscriptionDesk, database)),
        Room(people.handlers, partial(PeopleDesk, database)),
        Room(audit_operations.handlers, partial(AccountDesk, audit)),
    )


def _rooms_of_messages(ground: Ground, sessions: Sessions, queue: Queue) -> Sequence[Answers]:
    database = ground.database
    queue_desk = partial(
        QueueDesk, database, ground.clock, ground.metrics, queue.tempo, queue.claimer
    )

    def message_desk(instance: Instance) -> MessageDesk:
        return MessageDesk(queue_desk(instance), queue.history, sessions.asker)

    return (
        Room(queue_operations.handlers, queue_desk),
        Room(acting.handlers, message_desk),
        Room(steering.handlers, queue_desk),
        Room(history_operations.handlers, partial(HistoryDesk, database, message_id_named)),
        Room(statuses.handlers, lambda instance: StatusDesk(database, instance.id)),
    )


def _rooms_of_instances(
    ground: Ground, callbacks: Callbacks, sessions: Sessions
) -> Sequence[Answers]:
    database, vault = ground.database, ground.vault
    webhook_desk = partial(
        WebhookDesk,
        database,
        ground.settings.address_policy(),
        callbacks.poster,
        vault,
        ground.clock,
        callbacks.delivery.look_again,
    )
    proxied = frozenset(name for name in ground.engines if load_provider(name).uses_proxy)
    proxy_desk = partial(ProxyDesk, database, vault, ProxyTrials(ground.clock), proxied)
    directory_desk = partial(DirectoryDesk, database, sessions.remembering, os.urandom)
    webhooks = webhook_operations.handlers | dead_letters.handlers | replay.handlers
    return (
        Room(webhooks, webhook_desk),
        Room(instance_operations.handlers, partial(InstanceDesk, database, vault)),
        Room(session_operations.handlers, partial(SessionDesk, database, sessions.asker)),
        Room(proxies.handlers, proxy_desk),
        Room(directory_operations.handlers, directory_desk),
    )
