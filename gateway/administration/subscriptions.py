"""Handlers of an instance's subscription."""

from dataclasses import dataclass

from gateway.contract.handlers import Handlers
from gateway.contract.zapi.partner import AddCalls, CancelSubscription, Subscribe
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
class SubscriptionContext:
    """What the handlers of a subscription need."""

    database: Database
    instance: Instance


handlers = Handlers[SubscriptionContext]()


@handlers.handles(Subscribe)
async def subscribe(context: SubscriptionContext, operation: Subscribe) -> str:
    if not await context.database.execute(
        _SUBSCRIBE, id=context.instance.id, with_calls=operation.with_calls
    ):
        raise UnknownInstance
    return _OK


@handlers.handles(AddCalls)
async def add_calls(context: SubscriptionContext, _operation: AddCalls) -> str:
    if not await context.database.execute(_ADD_CALLS, id=context.instance.id):
        raise InvalidRequest("The instance has no subscription: subscribe it before you add calls")
    return _OK


@handlers.handles(CancelSubscription)
async def cancel_subscription(context: SubscriptionContext, _operation: CancelSubscription) -> str:
    """Cancels the subscription; without one it does nothing, and a trial stays as it is."""
    await context.database.execute(
        _CANCEL_SUBSCRIPTION, id=context.instance.id, seconds=AFTER_CANCELLING.total_seconds()
    )
    return _OK
