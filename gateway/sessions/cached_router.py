"""Caches the results of operations that say for how long their result may be used again.

A write to an instance through this node clears the cache of that instance, and so does a
notification from WhatsApp about it. Another node may return its cached results until they expire.
"""

from collections import OrderedDict
from typing import Any

from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.instances.store import Instance
from gateway.observability.metrics import Metrics
from gateway.sessions.provider import Event, Notified, PictureChanged, Result
from gateway.sessions.router import SessionRouter

_MAX_INSTANCES, _MAX_RESULTS = 2_000, 500

_Results = dict[Operation[Any], tuple[float, Any]]
"""By operation: when the result expires on the monotonic clock, and the result."""


class CachedSessionRouter:
    """A SessionRouter with a cache, bounded in instances and in results of an instance."""

    awaits_others = True

    def __init__(self, router: SessionRouter, clock: Clock, metrics: Metrics) -> None:
        self._router, self._clock, self._metrics = router, clock, metrics
        self._cached: OrderedDict[str, _Results] = OrderedDict()

    async def execute(self, instance: Instance, operation: Operation[Result]) -> Result:
        """Returns a cached result or the session's; raises what SessionRouter.execute raises."""
        if not operation.cache_ttl_seconds:
            try:
                return await self._router.execute(instance, operation)
            finally:
                if operation.address is not None and operation.address.method != "GET":
                    self.clear(instance.id)
        name = type(operation).__name__
        results = self._results_of(instance.id)
        now = self._clock.monotonic_seconds()
        found = results.get(operation)
        if found and found[0] > now:
            self._metrics.read_session(name, hit=True)
            cached: Result = found[1]
            return cached
        self._metrics.read_session(name, hit=False)
        result = await self._router.execute(instance, operation)
        if len(results) >= _MAX_RESULTS:
            results.clear()
        # `clear` during the call removed this dict from the cache. The result may be older than
        # the change that cleared it, so it must not be stored in a new dict.
        results[operation] = (now + operation.cache_ttl_seconds, result)
        return result

    def clear(self, instance_id: str) -> None:
        """Drops every cached result of an instance."""
        self._cached.pop(instance_id, None)

    def on_event(self, instance: Instance, event: Event) -> None:
        """Clears the cache of an instance if the event may have changed a result."""
        if isinstance(event, Notified | PictureChanged):
            self.clear(instance.id)

    def supports(self, operation: type[Operation[Any]]) -> bool:
        return self._router.supports(operation)

    async def answer(self, instance: Instance, operation: Operation[Any]) -> object:
        return await self.execute(instance, operation)

    def _results_of(self, instance_id: str) -> _Results:
        results = self._cached.setdefault(instance_id, {})
        self._cached.move_to_end(instance_id)
        if len(self._cached) > _MAX_INSTANCES:
            self._cached.popitem(last=False)
        return results
