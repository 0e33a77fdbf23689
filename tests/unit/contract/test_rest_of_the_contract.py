"""Quirks of the routes beside the messages: what is read leniently, what is refused."""

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.api.provider_table import provider_table
from gateway.contract.catalogue import catalogue
from gateway.contract.zapi.chats import ModifyChat, SetChatExpiration
from gateway.contract.zapi.contacts import Contact, ContactDetails, ReadContact
from gateway.contract.zapi.groups.group import (
    ListGroups,
    ListJoinedGroups,
    ReadGroup,
    SetGroupPhoto,
    SetGroupRules,
)
from gateway.contract.zapi.groups.invitations import RenewInvitation
from gateway.contract.zapi.groups.members import AddParticipants
from gateway.contract.zapi.newsletters import FollowNewsletter

GROUP = "120363019502650977-group"


@pytest.mark.parametrize("written", ["120363019502650977", "120363019502650977@g.us", GROUP])
def test_group_id_is_read_in_each_spelling(written: str) -> None:
    assert ReadGroup.model_validate({"phone": written}).phone == GROUP


def test_old_group_id_is_unchanged() -> None:
    assert ReadGroup.model_validate({"phone": "5511999999999-1623281429"}).phone == (
        "5511999999999-1623281429"
    )


@pytest.mark.parametrize("written", ["5511999999999", "somebody", ""])
def test_a_person_is_no_group(written: str) -> None:
    with pytest.raises(ValidationError):
        ReadGroup.model_validate({"phone": written})


def test_other_names_of_a_group_field_are_read() -> None:
    photo = SetGroupPhoto.model_validate({"groupID": GROUP, "groupPhoto": "https://e.com/i.png"})
    rules = SetGroupRules.model_validate({"groupId": GROUP, "adminOnlyMessage": "true"})
    assert photo.group_id == rules.phone == GROUP
    assert rules.admin_only_message is True
    assert rules.require_admin_approval is None


@pytest.mark.parametrize("named", [{}, {"groupId": GROUP, "communityId": "120363186053925765"}])
def test_people_are_added_to_a_group_or_community(named: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="groupId or communityId"):
        AddParticipants.model_validate({"phones": ["5511999999999"], **named})


def test_community_link_is_renewed_by_its_bare_id() -> None:
    assert RenewInvitation.model_validate({"groupId": "120363186053925765"}).group_id
    assert RenewInvitation.model_validate({"groupId": GROUP}).group_id == GROUP


def test_words_are_read_in_any_case() -> None:
    expiring = SetChatExpiration.model_validate(
        {"phone": "5511999999999", "chatExpiration": "24_hours"}
    )
    modified = ModifyChat.model_validate({"phone": 5511999999999, "action": "ARCHIVE"})
    assert (expiring.chat_expiration, modified.action) == ("24_HOURS", "archive")
    with pytest.raises(ValidationError):
        ModifyChat.model_validate({"phone": "5511999999999", "action": "explode"})


def test_a_channel_keeps_its_suffix() -> None:
    with pytest.raises(ValidationError):
        FollowNewsletter.model_validate({"id": "120363166555745933"})


def test_answer_leaves_out_keys_without_a_value() -> None:
    assert Contact(phone="1", notify="ana").model_dump(by_alias=True) == {
        "phone": "1",
        "notify": "ana",
    }


def test_gateway_route_needs_what_its_session_must_support() -> None:
    table = provider_table(
        catalogue(),
        {
            "able": lambda asked: asked is ListJoinedGroups,
            "unable": lambda _asked: False,
        },
        lambda operation: operation in {ListGroups, ReadContact},
    )
    supported = {row["operation"]: row["supportedBy"] for row in table["operations"]}

    assert supported["ListGroups"] == ["able"]
    assert supported["ReadContact"] == ["able", "unable"]
    assert supported["ReadGroup"] == []
    assert ContactDetails.model_fields.keys() > Contact.model_fields.keys()


def test_requirement_of_a_route_is_named_and_explained_once() -> None:
    table = provider_table(catalogue(), {}, lambda _operation: False)
    required = Counter(row["requirement"] for row in table["operations"])
    del required[None]
    assert required == {"PRIMARY_PHONE": 14, "ZAPI_TELEPHONY": 3}
    assert table["requirements"].keys() == required.keys()
    needing = {r["path"].split("/")[1] for r in table["operations"] if r["requirement"]}
    assert needing == {"mobile", "security", "call-token", "sip-info", "sip-token"}
