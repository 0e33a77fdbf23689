"""Notifications of WhatsApp: the twenty-two codes of Z-API, and incoming video calls."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from gateway.contract.callbacks.base import Example
from gateway.contract.callbacks.received import GROUP, ReceivedCallback
from gateway.contract.wire import Wire

NotificationCode = Literal[
    "MEMBERSHIP_APPROVAL_REQUEST",
    "REVOKED_MEMBERSHIP_REQUESTS",
    "GROUP_PARTICIPANT_ADD",
    "GROUP_PARTICIPANT_REMOVE",
    "GROUP_PARTICIPANT_LEAVE",
    "GROUP_CREATE",
    "GROUP_MEMBER_LINK_PROPERTY_UPDATE",
    "NEWSLETTER_ADMIN_PROMOTE",
    "NEWSLETTER_ADMIN_DEMOTE",
    "CALL_VOICE",
    "CALL_VIDEO",
    "CALL_MISSED_VOICE",
    "CALL_MISSED_VIDEO",
    "PAYMENT_ACTION_REQUEST_DECLINED",
    "PROFILE_NAME_UPDATED",
    "PROFILE_PICTURE_UPDATED",
    "CHAT_LABEL_ASSOCIATION",
    "E2E_ENCRYPTED",
    "CIPHERTEXT",
    "BLUE_MSG_SELF_PREMISE_UNVERIFIED",
    "BLUE_MSG_SELF_PREMISE_VERIFIED",
    "BIZ_MOVE_TO_CONSUMER_APP",
    "REVOKE",
    # WhatsApp's own names for what Z-API's pages do not mention.
    "GROUP_CHANGE_ANNOUNCE",
    "GROUP_CHANGE_DESCRIPTION",
    "GROUP_CHANGE_ICON",
    "GROUP_CHANGE_RESTRICT",
    "GROUP_CHANGE_SUBJECT",
    "GROUP_PARTICIPANT_DEMOTE",
    "GROUP_PARTICIPANT_PROMOTE",
]


class LabelAssociation(Wire):
    """A label was added to a chat or removed from it."""

    phone: str
    label: str
    assigned: bool


_MEMBER = "5511977777777"
_CALL_ID = "F44E0E2011E7C784BB9A4AC11749C436"


def _plain(code: str, *parameters: str, **more: str) -> Example:
    return {"notification": code, "notificationParameters": list(parameters), **more}


def _in_group(code: str, *parameters: str, **more: str) -> Example:
    return {**GROUP, **_plain(code, *parameters, **more)}


def _call(code: str) -> Example:
    return {"messageId": "1769860800-84", "callId": _CALL_ID, **_plain(code)}


def _channel(code: str, role: str) -> Example:
    return {
        "phone": "120363166555745933@newsletter",
        "chatName": "News",
        "participantPhone": _MEMBER,
        **_plain(code, _MEMBER, role),
    }


_OWN: Example = {"fromMe": True, "messageId": None, "chatName": None}


class NotificationReceived(ReceivedCallback):
    """An event that is not a message."""

    notification: NotificationCode
    notification_parameters: tuple[str, ...] | tuple[LabelAssociation, ...] | None = None
    call_id: str | None = None
    request_method: Literal["invite_link", "non_admin_add"] | None = None
    link_mode: Literal["ADMIN_LINK", "ALL_MEMBER_LINK"] | None = None
    profile_name: str | None = None
    updated_photo: str | None = None

    variants: ClassVar[Mapping[str, Example]] = {
        "membership-request-link": _in_group(
            "MEMBERSHIP_APPROVAL_REQUEST", _MEMBER, requestMethod="invite_link"
        ),
        "membership-request-non-admin": _in_group(
            "MEMBERSHIP_APPROVAL_REQUEST", _MEMBER, "5511966666666", requestMethod="non_admin_add"
        ),
        "membership-request-revoked": _in_group("REVOKED_MEMBERSHIP_REQUESTS", _MEMBER),
        "group-participant-add": _in_group("GROUP_PARTICIPANT_ADD", _MEMBER),
        "group-participant-remove": _in_group("GROUP_PARTICIPANT_REMOVE", _MEMBER),
        "group-participant-leave": _in_group("GROUP_PARTICIPANT_LEAVE", _MEMBER),
        "group-create": _in_group("GROUP_CREATE", "Neighbours"),
        "group-change-announce": _in_group("GROUP_CHANGE_ANNOUNCE"),
        "group-change-description": _in_group("GROUP_CHANGE_DESCRIPTION"),
        "group-change-icon": _in_group("GROUP_CHANGE_ICON"),
        "group-change-restrict": _in_group("GROUP_CHANGE_RESTRICT"),
        "group-change-subject": _in_group("GROUP_CHANGE_SUBJECT"),
        "group-participant-demote": _in_group("GROUP_PARTICIPANT_DEMOTE", _MEMBER),
        "group-participant-promote": _in_group("GROUP_PARTICIPANT_PROMOTE", _MEMBER),
        "group-link-admin": _in_group("GROUP_MEMBER_LINK_PROPERTY_UPDATE", linkMode="ADMIN_LINK"),
        "group-link-all": _in_group(
            "GROUP_MEMBER_LINK_PROPERTY_UPDATE", linkMode="ALL_MEMBER_LINK"
        ),
        "newsletter-admin-promote": _channel("NEWSLETTER_ADMIN_PROMOTE", "ADMIN"),
        "newsletter-admin-demote": _channel("NEWSLETTER_ADMIN_DEMOTE", "SUBSCRIBER"),
        "call-voice": _call("CALL_VOICE"),
        "call-video": _call("CALL_VIDEO"),
        "call-missed-voice": _call("CALL_MISSED_VOICE"),
        "call-missed-video": _call("CALL_MISSED_VIDEO"),
        "payment-declined": {
            "fromMe": True,
            **_plain("PAYMENT_ACTION_REQUEST_DECLINED", "5511988888888", "BRL", "1000"),
        },
        "profile-name-updated": {
            **_OWN,
            "notification": "PROFILE_NAME_UPDATED",
            "profileName": "The shop",
        },
        "profile-picture-updated": {
            **_OWN,
            "notification": "PROFILE_PICTURE_UPDATED",
            "updatedPhoto": "https://example.com/file",
        },
        "chat-label-association": {
            **_OWN,
            "notification": "CHAT_LABEL_ASSOCIATION",
            "notificationParameters": [
                {"phone": "5511977777777", "label": "1", "assigned": True},
                {"phone": "5511966666666", "label": "2", "assigned": False},
            ],
        },
        "encrypted": _plain("E2E_ENCRYPTED"),
        "ciphertext": _plain("CIPHERTEXT"),
        "business-unverified": _plain("BLUE_MSG_SELF_PREMISE_UNVERIFIED"),
        "business-verified": _plain("BLUE_MSG_SELF_PREMISE_VERIFIED"),
        "business-became-personal": _plain("BIZ_MOVE_TO_CONSUMER_APP"),
        "revoke": _plain("REVOKE"),
    }
