"""Answers about one instance's subscription."""

from dataclasses import dataclass

from gateway.contract.handlers import Handlers
from gateway.contract.partner import AddCalls, CancelSubscription, Subscribe
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest, UnknownInstance
from gateway.instances.store import Instance
from gateway.instances.terms import AFTER_CANCELLING

_SUBSCRIBE = query("instances", "subscribe")
_ADD_CALLS = query("instances", "add_calls")
_CANCEL_SUBSCRIPTION = query("instances", "cancel_subscription")

_OK = "OK"


@dataclass(frozen=True, slots=True)
class SubscriptionDesk:
    """What the answers are made from."""

    database: Database
    instance: Instance


handlers = Handlers[SubscriptionDesk]()


@handlers.handles(Subscribe)
async def subscribe(desk: SubscriptionDesk, operation: Subscribe) -> str:
    if not await desk.database.execute(
        _SUBSCRIBE, id=desk.instance.id, with_calls=operation.with_calls
    ):
        raise UnknownInstance
    return _OK


@handlers.handles(AddCalls)
async def add_calls(desk: SubscriptionDesk, _operation: AddCalls) -> str:
    if not await desk.database.execute(_ADD_CALLS, id=desk.instance.id):
        raise InvalidRequest("The instance has no subscription to add calls to")
    return _OK


@handlers.handles(CancelSubscription)
async def cancel_subscription(desk: SubscriptionDesk, _operation: CancelSubscription) -> str:
    """Where nothing is subscribed there is nothing to cancel, and a trial is left as it is."""
    await desk.database.execute(
        _CANCEL_SUBSCRIPTION, id=desk.instance.id, seconds=AFTER_CANCELLING.total_seconds()
    )
    return _OK
