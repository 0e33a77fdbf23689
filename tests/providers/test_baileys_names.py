"""Fields have the names of WhatsApp's own schema, whichever library spells them."""

import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import types
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.baileys_packages import installed_packages

NAMES = Path(__file__).parents[2] / "gateway/providers/baileys/child/names.mjs"
FIELD = re.compile(r"^\s*(?:optional|repeated|required)?\s*[\w.]+ (\w+) = \d+", re.MULTILINE)
OTHERWISE = {"faviconMMSMetadata"}
"""Names that the library itself spells in two ways."""


def modules() -> Iterator[Any]:
    loaded = sys.modules.pop("neonize", None)  # of another test, perhaps without a specification
    found = importlib.util.find_spec("neonize")
    assert found
    (folder,) = map(Path, found.submodule_search_locations or ())
    bare = types.ModuleType("neonize")  # the package itself would load the library in Go
    bare.__path__ = [str(folder)]
    sys.modules["neonize"] = loaded or bare
    for file in sorted((folder / "proto").glob("wa*/*_pb2.py")):
        with suppress(NameError):  # a few files of the package do not load
            yield importlib.import_module(f"neonize.proto.{file.parent.name}.{file.stem}")


def schema_names() -> dict[str, set[str]]:
    """Returns the names of WhatsApp's schema by the same names in lower case."""
    names: dict[str, set[str]] = defaultdict(set)

    def collect(descriptor: Any) -> None:
        for field in descriptor.fields:
            names[field.json_name.lower()].add(field.json_name)
        for nested in descriptor.nested_types:
            collect(nested)

    for module in modules():
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            collect(descriptor)
    return names


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_every_field_is_named_as_in_the_schema() -> None:
    schema = installed_packages() / "node_modules/baileys/WAProto/WAProto.proto"
    fields = sorted(set(FIELD.findall(schema.read_text())))
    code = (
        f"import {{ schemaName }} from {json.dumps(NAMES.as_uri())};"
        f"console.log(JSON.stringify({json.dumps(fields)}.map(schemaName)))"
    )
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", code], capture_output=True, check=True, text=True
    )
    known = schema_names()
    assert len(known) > 1000
    wrong = {
        field: named
        for field, named in zip(fields, json.loads(ran.stdout), strict=True)
        if field.lower() in known and named not in known[field.lower()] and field not in OTHERWISE
    }
    assert wrong == {}
