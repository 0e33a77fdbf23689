"""The whole contract. Importing its modules declares their messages and operations."""

import importlib
import pkgutil
from functools import cache
from typing import Any

import gateway.contract
from gateway.contract.operation import Operation, RouteAddress, declared_operations
from gateway.contract.send import OutgoingMessage, declared_sends


class Catalogue:
    """Every declared message and operation, checked for clashes."""

    def __init__(self) -> None:
        for module in pkgutil.walk_packages(gateway.contract.__path__, "gateway.contract."):
            importlib.import_module(module.name)
        self.sends: dict[str, type[OutgoingMessage]] = {}
        for send in declared_sends():
            if any(getattr(family, "path", None) for family in send.__mro__[1:]):
                raise TypeError(f"{send.__name__} must inherit a family, not another type")
            if self.sends.setdefault(send.kind(), send) is not send:
                raise TypeError(f"two message types claim {send.path}")
        self.operations: dict[RouteAddress, type[Operation[Any]]] = {}
        for operation in declared_operations():
            assert operation.address is not None
            for address in (operation.address, *operation.also):
                if self.operations.setdefault(address, operation) is not operation:
                    raise TypeError(f"two operations claim {address}")


@cache
def catalogue() -> Catalogue:
    """The one catalogue of this program."""
    return Catalogue()
