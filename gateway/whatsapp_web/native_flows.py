"""Reads native flows: buttons with a name and JSON parameters, in Z-API's fields."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

Fields = Mapping[str, Any]

SELECT: Final = "single_select"
"""The button that opens a list of options."""
_SELECTED: Final = frozenset({SELECT, "menu_options"})


def parameters(button: Fields) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(button.get("buttonParamsJSON") or "{}")
    return found


def hydrated(index: int, button: Fields) -> dict[str, Any]:
    """Returns a button as Z-API shows those of a template."""
    given = parameters(button)
    label = given.get("display_text", "")
    match button.get("name"):
        case "cta_url":
            shown = {"urlButton": {"displayText": label, "url": given.get("url", "")}}
        case "cta_call":
            shown = {"callButton": {"displayText": label, "phoneNumber": given["phone_number"]}}
        case _:
            shown = {"quickReplyButton": {"displayText": label, "id": given.get("id", "")}}
    return {"index": index, **shown}


def list_of(body: Fields, given: Fields) -> dict[str, Any]:
    """Returns an option list as Z-API shows one; *given* are the parameters of its button."""
    return {
        "title": body.get("header", {}).get("title"),
        "description": body.get("body", {}).get("text"),
        "buttonText": given.get("title"),
        "sections": [
            {
                "title": section.get("title"),
                "options": [
                    {
                        "title": row.get("title"),
                        "description": row.get("description"),
                        "rowId": row.get("id"),
                    }
                    for row in section.get("rows", ())
                ],
            }
            for section in given.get("sections", ())
        ],
    }


def answer(body: Fields) -> tuple[str, dict[str, Any]]:
    """Returns the kind and the fields of the answer to a native flow."""
    response, text = body.get("nativeFlowResponseMessage", {}), body.get("body", {}).get("text", "")
    chosen = orjson.loads(response.get("paramsJSON") or "{}")
    if response.get("name") in _SELECTED:
        shown = {"message": chosen.get("description", ""), "title": text}
        return "listResponseMessage", {**shown, "selectedRowId": chosen.get("id", "")}
    return "buttonsResponseMessage", {"buttonId": chosen.get("id", ""), "message": text}
