"""Finds the declared class of a method and path."""

from collections.abc import Mapping
from dataclasses import dataclass
from re import Pattern
from typing import Any

from starlette.routing import compile_path

from gateway.contract.catalogue import Catalogue
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.errors import InvalidRequest, MethodNotAllowed, UnknownRoute

Declared = type[OutgoingMessage] | type[Operation[Any]]


@dataclass(frozen=True, slots=True)
class MatchedRoute:
    """A declared class, its path template, and the values in the path."""

    declared: Declared
    template: str
    parameters: Mapping[str, str]


class RouteTable:
    """Finds fixed paths by one look-up, and tries patterns only if no fixed path fits.

    With *absolute* the table holds the paths of accounts, else those relative to an instance; with
    *by_name* instead the paths of accounts whose fields name the instance.
    """

    def __init__(
        self, catalogue: Catalogue, *, absolute: bool = False, by_name: bool = False
    ) -> None:
        self._fixed: dict[str, dict[str, MatchedRoute]] = {}
        self._patterns: list[tuple[Pattern[str], str, dict[str, Declared]]] = []
        declared: dict[str, dict[str, Declared]] = {}
        absolute = absolute or by_name
        for send in () if absolute else catalogue.sends.values():
            for path in (str(send.path), *send.also):
                declared.setdefault(path, {})["POST"] = send
        for (method, path), operation in catalogue.operations.items():
            if (operation.absolute, operation.by_name) == (absolute, by_name):
                declared.setdefault(path, {})[method] = operation
        self.paths = tuple(declared)
        for path, methods in declared.items():
            if "{" in path:
                pattern, _format, _convertors = compile_path(path)
                self._patterns.append((pattern, path, methods))
            else:
                self._fixed[path] = {
                    m: MatchedRoute(found, path, {}) for m, found in methods.items()
                }

    def find(self, method: str, path: str) -> MatchedRoute:
        """Returns the route of a request; *path* is relative to the instance unless *absolute*.

        Raises:
            UnknownRoute: no declared class has this path.
            MethodNotAllowed: the path exists with other methods.
            InvalidRequest: a deletion whose path ends where a name was to follow.
        """
        self._check_deletion(method, path)
        path = path.rstrip("/") or "/"
        allowed: set[str] = set()
        if fixed := self._fixed.get(path):
            if route := fixed.get(method):
                return route
            allowed |= fixed.keys()
        for pattern, template, methods in self._patterns:
            if match := pattern.match(path):
                if found := methods.get(method):
                    return MatchedRoute(found, template, match.groupdict())
                allowed |= methods.keys()
        if allowed:
            raise MethodNotAllowed(frozenset(allowed))
        raise UnknownRoute

    def _check_deletion(self, method: str, path: str) -> None:
        """Refuses `DELETE /queue/` where `DELETE /queue/{zaap_id}` exists.

        The caller's variable was empty: without its slash the path would delete everything.
        """
        if method != "DELETE" or not path.endswith("/"):
            return
        named = f"{path.rstrip('/')}/name"
        if any("DELETE" in methods and p.match(named) for p, _template, methods in self._patterns):
            raise InvalidRequest(
                "The address ends with a slash: name what to delete after it, or leave it out to "
                "delete everything"
            )
