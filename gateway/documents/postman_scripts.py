"""The checks after each request of the collection, and the variables that it saves."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.documents.json_schemas import Schemas
from gateway.documents.postman_setups import setup_of
from gateway.documents.surface import Entry

BEFORE_EVERY_REQUEST = (
    "const inOneDay = new Date(Date.now() + 24 * 60 * 60 * 1000);",
    'pm.collectionVariables.set("tomorrow", inOneDay.toISOString());',
)
_CHAI_TYPES = {"integer": "number"}


def event(listen: str, lines: Iterable[str]) -> dict[str, Any]:
    return {
        "listen": listen,
        "script": {"type": "text/javascript", "exec": "\n".join(lines).splitlines()},
    }


def checks(entry: Entry, schemas: Schemas) -> list[str]:
    """The test script of a request."""
    or_else = setup_of(entry.declared).or_else
    if or_else is None:
        return [*status_check(entry.status), *_answer_checks(entry, schemas)]
    return [
        _test(
            f"answers {entry.status}, or {or_else} where there is none",
            [f"pm.expect(pm.response.code).to.be.oneOf([{entry.status}, {or_else}]);"],
        ),
        f"if (pm.response.code === {entry.status}) {{",
        *_answer_checks(entry, schemas),
        "}",
    ]


def status_check(status: int) -> list[str]:
    return [_test(f"answers {status}", [f"pm.response.to.have.status({status});"])]


def _answer_checks(entry: Entry, schemas: Schemas) -> list[str]:
    answer = schemas.answer(entry.declared)
    if not answer:
        return []
    reader = "json" if entry.media_type.endswith("json") else "text"
    lines = [f"const answer = pm.response.{reader}();"]
    lines += _accepted() if entry.is_send else _shape(answer, schemas)
    return lines + [_save(name, place) for name, place in _saves(entry).items()]


def _accepted() -> list[str]:
    return [
        _test(
            "answers zaapId, messageId and id",
            [
                'for (const name of ["zaapId", "messageId", "id"]) {',
                '    pm.expect(answer[name], name).to.be.a("string").that.is.not.empty;',
                "}",
                "pm.expect(answer.id).to.equal(answer.messageId);",
            ],
        )
    ]


def _shape(schema: dict[str, Any], schemas: Schemas) -> list[str]:
    """One check per answer: its type, and the keys that are always there."""
    kinds = [schemas.resolve(kind) for kind in schemas.resolve(schema).get("anyOf", [schema])]
    types = {kind.get("type") for kind in kinds}
    if types == {"object"}:
        return [_object_check([kind.get("required", []) for kind in kinds])]
    if types == {"array"}:
        items = schemas.resolve(kinds[0].get("items", {}))
        return [_array_check(items.get("required", []))]
    if len(types) == 1 and (kind := next(iter(types))) is not None:
        kind = _CHAI_TYPES.get(kind, kind)
        return [_test(f"answers a {kind}", [f'pm.expect(answer).to.be.a("{kind}");'])]
    return []


def _object_check(shapes: list[list[str]]) -> str:
    named = [keys for keys in shapes if keys]
    title = "answers an object" + (" with " + ", or ".join(map(", ".join, named)) if named else "")
    check = ['pm.expect(answer).to.be.an("object");']
    if len(named) == len(shapes) == 1:
        check.append(f"pm.expect(answer).to.include.all.keys({json.dumps(named[0])});")
    elif len(named) == len(shapes):
        check += [
            f"const shapes = {json.dumps(shapes)};",
            "const fits = (keys) => keys.every((key) => key in answer);",
            "pm.expect(shapes.some(fits), JSON.stringify(answer)).to.be.true;",
        ]
    return _test(title, check)


def _array_check(keys: list[str]) -> str:
    check = ['pm.expect(answer).to.be.an("array");']
    if keys:
        check += [
            "for (const item of answer) {",
            f"    pm.expect(item).to.include.all.keys({json.dumps(keys)});",
            "}",
        ]
    return _test("answers an array", check)


def _saves(entry: Entry) -> Mapping[str, str]:
    always = {"zaapId": "zaapId", "messageId": "messageId"} if entry.is_send else {}
    return {**always, **setup_of(entry.declared).saves}


def _save(variable: str, place: str) -> str:
    steps = "".join(
        f"[{part if part.isdigit() else json.dumps(part)}]" for part in place.split(".")
    )
    return f"pm.collectionVariables.set({json.dumps(variable)}, answer{steps});"


def _test(title: str, lines: list[str]) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"pm.test({json.dumps(title)}, () => {{\n{body}\n}});"
