"""Native flows are read as the messages that they are."""

import pytest

from gateway.contract.documented import Example
from gateway.whatsapp_web.contents import content_of


@pytest.mark.parametrize(
    ("name", "parameters", "kind", "fields"),
    [
        (
            "quick_reply",
            '{"display_text":"Yes","id":"1"}',
            "buttonsResponseMessage",
            {"buttonId": "1", "message": "Yes"},
        ),
        (
            "single_select",
            '{"id":"2","description":"The second one"}',
            "listResponseMessage",
            {"message": "The second one", "title": "Yes", "selectedRowId": "2"},
        ),
        (
            "menu_options",
            '{"id":"2"}',
            "listResponseMessage",
            {"message": "", "title": "Yes", "selectedRowId": "2"},
        ),
        ("unknown", "", "buttonsResponseMessage", {"buttonId": "", "message": "Yes"}),
    ],
)
def test_answer_to_a_native_flow_arrives_as_its_kind(
    name: str, parameters: str, kind: str, fields: Example
) -> None:
    flow = {"name": name, "paramsJSON": parameters, "version": 3}
    answer = {"body": {"text": "Yes"}, "nativeFlowResponseMessage": flow}
    content = content_of({"interactiveResponseMessage": answer})
    assert content
    assert (content.kind, content.fields) == (kind, fields)
