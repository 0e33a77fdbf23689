"""Makes a child process trust the fake server's root key: on the PYTHONPATH of tests only.

The wheel is not changed: 32 bytes are, in the memory of that one process, as soon as the process
has loaded the library. It loads it after it obeys its lease, and this module must not do so before.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_WHATSAPPS = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")


_LOADS_THE_LIBRARY = "neonize._binder"


class TrustingFinder:
    """Finds the module that loads the library, and changes the key when it is executed."""

    def __init__(self, root: bytes) -> None:
        self._root = root

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _LOADS_THE_LIBRARY or not (spec := PathFinder.find_spec(name, path, target)):
            return None
        loader = spec.loader
        assert loader
        execute = loader.exec_module

        def execute_and_trust(module: ModuleType) -> None:
            execute(module)
            trust(Path(module.gocode._name).resolve(), self._root)

        loader.exec_module = execute_and_trust  # type: ignore[method-assign]
        return spec


def trust(library: Path, root: bytes) -> None:
    content = library.read_bytes()
    assert content.count(_WHATSAPPS) == 1
    offset = content.index(_WHATSAPPS)
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, start, *_, path = line.split(maxsplit=5) if line.count("/") else [""] * 6
        if path != str(library) or "w" not in rights:
            continue
        first, last = (int(bound, 16) for bound in span.split("-"))
        if int(start, 16) <= offset < int(start, 16) + last - first:
            address = first + offset - int(start, 16)
            assert ctypes.string_at(address, 32) == _WHATSAPPS
            ctypes.memmove(address, root, 32)
            return
    raise RuntimeError("the key is not where it should be")


if "gateway.providers.whatsmeow.child" in sys.orig_argv:
    sys.meta_path.insert(0, TrustingFinder(bytes.fromhex(os.environ["FAKE_WHATSAPP_ROOT"])))
