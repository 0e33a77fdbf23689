"""Requests to join groups, and communities, work for clients of both implementations."""

import pytest

from gateway.contract.zapi.communities import (
    CreateCommunity,
    LinkGroups,
    ListCommunities,
    ReadCommunity,
    UnlinkGroups,
)
from gateway.contract.zapi.groups.group import CreateGroup
from gateway.sessions.provider import Notified
from tests.providers.baileys_client.client import BaileysClient, BaileysError
from tests.providers.whatsmeow_node import Pair


async def test_request_to_join_is_approved_or_rejected(
    pair: Pair, cleo: BaileysClient, dora: BaileysClient
) -> None:
    ana, bob = pair
    group = (await cleo.call("groupCreate", "Closed", []))["id"]
    await cleo.call("groupJoinApprovalMode", group, "on")
    assert (await cleo.call("groupMetadata", group))["joinApprovalMode"] is True
    code = await cleo.call("groupInviteCode", group)
    for person in (ana, bob):
        await person.session.call("join", code=code)
    await dora.call("groupAcceptInvite", code)
    asking = await cleo.call("groupRequestParticipantsList", group)
    people = [f"{phone}@s.whatsapp.net" for phone in (ana.phone, bob.phone, dora.phone)]
    assert [each["jid"] for each in asking] == people
    await cleo.wait_for("group.join-request", lambda e: e["body"]["participant"] == people[0])

    approved = await cleo.call("groupRequestParticipantsUpdate", group, people[:1], "approve")
    rejected = await cleo.call("groupRequestParticipantsUpdate", group, people[1:2], "reject")
    unknown = await cleo.call("groupRequestParticipantsUpdate", group, [cleo.jid], "approve")
    assert [each["status"] for each in (*approved, *rejected, *unknown)] == ["200", "200", "404"]
    members = [each["id"] for each in (await cleo.call("groupMetadata", group))["participants"]]
    assert members == [cleo.jid, people[0]]
    added = await ana.wait_for(Notified)
    assert (added.chat, added.by) == (f"{group.partition('@')[0]}-group", cleo.phone)
    with pytest.raises(BaileysError) as refused:
        await dora.call("groupRequestParticipantsUpdate", group, people[2:], "approve")
    assert refused.value.code == 403


async def test_community_of_whatsmeow_links_groups(pair: Pair, cleo: BaileysClient) -> None:
    ana, _ = pair
    made = await ana.session.execute(CreateCommunity(name="Town", description="All of us"))
    (announcements,) = made.sub_groups
    assert (announcements.name, announcements.is_group_announcement) == ("Town", True)
    group = await ana.session.execute(
        CreateGroup.model_validate({"groupName": "Street", "phones": [cleo.phone]})
    )
    link = {"communityId": made.id, "groupsPhones": [group.phone]}
    assert (await ana.session.execute(LinkGroups.model_validate(link))).success
    found = await ana.session.execute(ReadCommunity(community_id=made.id))
    assert (found.name, found.description) == ("Town", "All of us")
    assert {g.name for g in found.sub_groups} == {"Town", "Street"}
    listed = await ana.session.execute(ListCommunities())
    assert [each.name for each in listed] == ["Town"]

    jid = f"{group.phone.removesuffix('-group')}@g.us"
    assert (await cleo.call("groupMetadata", jid))["linkedParent"] == f"{made.id}@g.us"
    assert (await ana.session.execute(UnlinkGroups.model_validate(link))).success
    assert (await cleo.call("groupMetadata", jid))["linkedParent"] is None


async def test_community_of_baileys_changes_and_ends(cleo: BaileysClient) -> None:
    community = (await cleo.call("communityCreate", "Village", "Small"))["id"]
    group = await cleo.call("communityCreateGroup", "Lane", [], community)
    assert group["linkedParent"] == community
    linked = await cleo.call("communityFetchLinkedGroups", community)
    assert {g["subject"] for g in linked["linkedGroups"]} == {"Village", "Lane"}
    query = {"to": community, "type": "set", "xmlns": "w:g2"}
    await cleo.query(query, {"tag": "not_allow_non_admin_sub_group_creation", "attrs": {}})
    await cleo.query(query, {"tag": "delete_parent", "attrs": {}})
    with pytest.raises(BaileysError) as gone:
        await cleo.call("groupMetadata", community)
    assert gone.value.code == 404
    assert (await cleo.call("groupMetadata", group["id"]))["linkedParent"] is None
