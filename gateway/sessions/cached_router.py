"""Gives a session's answer again for a while, where its operation says for how long.

What the instance changes, and what WhatsApp says about a chat by itself, forgets everything
remembered of that instance here; another node may still answer as before for that while.
"""

from collections import OrderedDict
from typing import Any

from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.instances.store import Instance
from gateway.observability.metrics import Metrics
from gateway.sessions.provider import Event, Notified, Result
from gateway.sessions.router import SessionRouter

_MAX_INSTANCES, _MAX_ANSWERS = 2_000, 500

_Answers = dict[Operation[Any], tuple[float, Any]]


class CachedSessionRouter:
    """Asks, or remembers; fits where an Asker does."""

    def __init__(self, router: SessionRouter, clock: Clock, metrics: Metrics) -> None:
        self._router, self._clock, self._metrics = router, clock, metrics
        self._remembered: OrderedDict[str, _Answers] = OrderedDict()

    async def execute(self, instance: Instance, operation: Operation[Result]) -> Result:
        """The session's answer; raises what `Asker.ask` raises."""
        if not operation.cache_ttl_seconds:
            try:
                return await self._router.execute(instance, operation)
            finally:
                if operation.address is not None and operation.address.method != "GET":
                    self.forget(instance.id)
        name = type(operation).__name__
        answers = self._answers_of(instance.id)
        now = self._clock.monotonic_seconds()
        known = answers.get(operation)
        if known and known[0] > now:
            self._metrics.read_session(name, hit=True)
            remembered: Result = known[1]
            return remembered
        self._metrics.read_session(name, hit=False)
        answer = await self._router.execute(instance, operation)
        if len(answers) >= _MAX_ANSWERS:
            answers.clear()
        # Into what was forgotten meanwhile it goes unseen: it may be older than the change.
        answers[operation] = (now + operation.cache_ttl_seconds, answer)
        return answer

    def forget(self, instance_id: str) -> None:
        self._remembered.pop(instance_id, None)

    def hear(self, instance: Instance, event: Event) -> None:
        """Forgets what an event may have changed."""
        if isinstance(event, Notified):
            self.forget(instance.id)

    def supports(self, operation: type[Operation[Any]]) -> bool:
        return self._router.supports(operation)

    async def answer(self, instance: Instance, operation: Operation[Any]) -> object:
        return await self.execute(instance, operation)

    def _answers_of(self, instance_id: str) -> _Answers:
        answers = self._remembered.setdefault(instance_id, {})
        self._remembered.move_to_end(instance_id)
        if len(self._remembered) > _MAX_INSTANCES:
            self._remembered.popitem(last=False)
        return answers
