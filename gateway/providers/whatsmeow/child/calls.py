"""Verbs that are one call of the library: each maps the command's arguments to the call's."""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message as Protobuf
from neonize._binder import gocode
from neonize.aioze.client import NewAClient
from neonize.proto.Neonize_pb2 import GroupParent, SetPrivacySettingReturnFunction
from neonize.utils.enum import BlocklistAction, ParticipantChange, Presence

from gateway.providers.whatsmeow.child.client import as_dict, jid_of

Arguments = dict[str, Any]
Call = Callable[[NewAClient, Arguments], Awaitable[Any]]


# What WhatsApp Web asks for; the binding refuses a community without it.
_COMMUNITY = GroupParent(IsParent=True, DefaultMembershipApprovalMode="request_required")


def as_json(found: Any) -> Any:  # noqa: ANN401 - the library's answers have many types
    """Returns an answer of the library as JSON can express it."""
    if isinstance(found, Protobuf):
        return as_dict(found)
    if found is None or isinstance(found, str | int | float | bool):
        return found
    return [as_json(each) for each in found]


async def _set_privacy(api: NewAClient, given: Arguments) -> None:
    """Calls Go directly: the wrapper reads every answer as an error, and misspells a value."""
    name, value = given["name"].encode(), given["value"].encode()
    answer = await asyncio.to_thread(gocode.SetPrivacySetting, api.uuid, name, value)
    if failed := SetPrivacySettingReturnFunction.FromString(answer).Error:
        raise RuntimeError(failed)


CALLS: dict[str, Call] = {
    "look_up": lambda api, a: api.is_on_whatsapp(*a["phones"]),
    "lid_of": lambda api, a: api.get_lid_from_pn(jid_of(a["jid"])),
    "user": lambda api, a: api.get_user_info(jid_of(a["jid"])),
    "picture": lambda api, a: api.get_profile_picture(jid_of(a["jid"])),
    "set_own_picture": lambda api, a: api.set_profile_photo(b64decode(a["jpeg"])),
    "set_group_picture": lambda api, a: api.set_group_photo(jid_of(a["jid"]), b64decode(a["jpeg"])),
    "contacts": lambda api, _a: api.contact.get_all_contacts(),
    "block": lambda api, a: api.update_blocklist(jid_of(a["jid"]), BlocklistAction(a["action"])),
    "expire": lambda api, a: api.set_disappearing_timer(jid_of(a["jid"]), a["nanoseconds"]),
    "expire_all": lambda api, a: api.set_default_disappearing_timer(a["nanoseconds"]),
    "joined_groups": lambda api, _a: api.get_joined_groups(),
    "group": lambda api, a: api.get_group_info(jid_of(a["jid"])),
    "group_of_link": lambda api, a: api.get_group_info_from_link(a["code"]),
    "create_group": lambda api, a: api.create_group(
        a["name"],
        [jid_of(each) for each in a["people"]],
        group_parent=_COMMUNITY if a.get("community") else None,
    ),
    "rename_group": lambda api, a: api.set_group_name(jid_of(a["jid"]), a["name"]),
    "describe_group": lambda api, a: api.set_group_topic(jid_of(a["jid"]), "", "", a["text"]),
    "announce": lambda api, a: api.set_group_announce(jid_of(a["jid"]), a["on"]),
    "lock": lambda api, a: api.set_group_locked(jid_of(a["jid"]), a["on"]),
    "change_members": lambda api, a: api.update_group_participants(
        jid_of(a["jid"]), [jid_of(each) for each in a["people"]], ParticipantChange(a["change"])
    ),
    "leave_group": lambda api, a: api.leave_group(jid_of(a["jid"])),
    "group_link": lambda api, a: api.get_group_invite_link(jid_of(a["jid"]), a["renew"]),
    "join": lambda api, a: api.join_group_with_link(a["code"]),
    "sub_groups": lambda api, a: api.get_sub_groups(jid_of(a["jid"])),
    "link_group": lambda api, a: api.link_group(jid_of(a["parent"]), jid_of(a["child"])),
    "unlink_group": lambda api, a: api.unlink_group(jid_of(a["parent"]), jid_of(a["child"])),
    "create_channel": lambda api, a: api.create_newsletter(a["name"], a["description"], b""),
    "follow": lambda api, a: api.follow_newsletter(jid_of(a["jid"])),
    "unfollow": lambda api, a: api.unfollow_newsletter(jid_of(a["jid"])),
    "mute_channel": lambda api, a: api.newsletter_toggle_mute(jid_of(a["jid"]), a["on"]),
    "channel": lambda api, a: api.get_newsletter_info(jid_of(a["jid"])),
    "channels": lambda api, _a: api.get_subscribed_newletters(),
    "privacy": lambda api, _a: api.get_privacy_settings(),
    "set_privacy": _set_privacy,
    "set_name": lambda api, a: api.set_profile_name(a["value"]),
    "set_about": lambda api, a: api.set_status_message(a["value"]),
    "set_presence": lambda api, a: api.send_presence(Presence(a["value"].encode())),
}
