"""Texts, reactions, contacts, places, polls, pins and invitations."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from gateway.contract.callbacks.base import Example
from gateway.contract.callbacks.received import FILE, MessageCallback, ReferencedMessage
from gateway.contract.wire import Wire

_REFERENCED = {
    "messageId": "3EB0796DC6B777C0C7CD",
    "fromMe": True,
    "phone": "5511988888888",
}


class TextContent(Wire):
    """Z-API spells `descritpion` in texts with a link, `description` in those from ads."""

    message: str = Field(min_length=1)
    descritpion: str | None = None
    description: str | None = None
    title: str | None = None
    url: str | None = None
    thumbnail_url: str | None = None


class TextReceived(MessageCallback):
    """A text."""

    text: TextContent

    variants: ClassVar[Mapping[str, Example]] = {
        "text": {
            "text": {
                "message": "Look: https://example.com",
                "descritpion": "An example",
                "title": "Example",
                "url": "https://example.com",
                "thumbnailUrl": "https://example.com/t.jpg",
            }
        },
        "text-from-ad": {
            "messageExpirationSeconds": 0,
            "externalAdReply": {
                "title": "Summer sale",
                "body": "Everything must go",
                "mediaType": 1,
                "thumbnailUrl": FILE,
                "sourceType": "ad",
                "sourceId": "23722824350495506",
                "ctwaClid": "Aff-niaAw7V94N8LGd79Vjr43TlJD4UnoBdpZJQ3LzABitbb",
                "sourceUrl": "https://example.com/ad",
                "containsAutoReply": False,
                "renderLargerThumbnail": True,
                "showAdAttribution": True,
            },
            "text": {
                "message": "I saw your ad",
                "description": "Everything must go",
                "title": "Summer sale",
                "url": "https://example.com/ad",
                "thumbnailUrl": FILE,
            },
        },
        "status-reply": {
            "isStatusReply": True,
            "referenceMessageId": "3EB054C12BAAC70228AAB6",
            "messageExpirationSeconds": 0,
            "text": {"message": "Where is that?"},
            "statusImage": {
                "imageUrl": FILE,
                "thumbnailUrl": FILE,
                "caption": "",
                "mimetype": "image/jpeg",
                "viewOnce": False,
                "width": 1080,
                "height": 1920,
            },
        },
        "broadcast-list": {
            "phone": "1774895799-broadcast",
            "broadcast": True,
            "fromMe": True,
            "messageExpirationSeconds": 0,
            "broadcastRecipients": ["126104585119999", "138955211189999"],
            "text": {"message": "News for everybody"},
        },
    }


class WaitingReceived(MessageCallback):
    """A message that cannot be decrypted yet; later it comes again with the same id."""

    view_once: bool | None = None

    variants: ClassVar[Mapping[str, Example]] = {
        "waiting-message": {"waitingMessage": True, "viewOnce": True}
    }


class ReactionContent(Wire):
    """An empty `value` removes the reaction; `time` in milliseconds."""

    value: str
    time: int | None = None
    reaction_by: str | None = None
    referenced_message: ReferencedMessage | None = None


class ReactionReceived(MessageCallback):
    """A reaction, or its removal."""

    reaction: ReactionContent

    variants: ClassVar[Mapping[str, Example]] = {
        "reaction": {
            "reaction": {
                "value": "\u2764\ufe0f",
                "time": 1769860800000,
                "reactionBy": "5511988888888",
                "referencedMessage": _REFERENCED,
            }
        }
    }


class ContactContent(Wire):
    """A business card; `contacts` where there are several."""

    display_name: str
    v_card: str
    phones: tuple[str, ...] = ()


class ContactReceived(MessageCallback):
    """A contact."""

    contact: ContactContent

    variants: ClassVar[Mapping[str, Example]] = {
        "contact": {
            "contact": {
                "displayName": "Rui",
                "vCard": "BEGIN:VCARD\nVERSION:3.0\nN:;Rui;;;\nFN:Rui\n"
                "TEL;type=CELL;waid=5511977777777:+55 11 97777-7777\nEND:VCARD",
                "phones": ["5511977777777"],
            }
        }
    }


class LocationContent(Wire):
    """Degrees are numbers here, texts in requests."""

    longitude: float
    latitude: float
    name: str | None = None
    address: str | None = None
    url: str | None = None
    thumbnail_url: str | None = None


class LocationReceived(MessageCallback):
    """A place."""

    location: LocationContent

    variants: ClassVar[Mapping[str, Example]] = {
        "location": {
            "location": {
                "longitude": -46.6388,
                "latitude": -23.5489,
                "address": "Praca da Se",
                "url": "",
            }
        }
    }


class ReceivedPollOption(Wire):
    """One answer."""

    name: str


class PollContent(Wire):
    """`pollMaxOptions` 0 sets no limit."""

    question: str
    poll_max_options: int
    options: tuple[ReceivedPollOption, ...]


class PollReceived(MessageCallback):
    """A poll."""

    poll: PollContent

    variants: ClassVar[Mapping[str, Example]] = {
        "poll": {
            "poll": {
                "question": "Which one?",
                "pollMaxOptions": 0,
                "options": [{"name": "Red"}, {"name": "Blue"}],
            }
        }
    }


class PollVoteContent(Wire):
    """All options that the voter chooses; none removes the vote."""

    poll_message_id: str
    options: tuple[ReceivedPollOption, ...]


class PollVoteReceived(MessageCallback):
    """A vote."""

    poll_vote: PollVoteContent

    variants: ClassVar[Mapping[str, Example]] = {
        "poll-vote": {
            "pollVote": {"pollMessageId": "3EB0796DC6B777C0C7CD", "options": [{"name": "Red"}]}
        }
    }


class PinContent(Wire):
    """How long the message stays pinned, in seconds."""

    action: Literal["pin", "unpin"]
    pin_duration_in_secs: int | None = None
    referenced_message: ReferencedMessage | None = None


class PinReceived(MessageCallback):
    """A message was pinned or unpinned."""

    pin_message: PinContent

    variants: ClassVar[Mapping[str, Example]] = {
        "pin-message": {
            "fromMe": True,
            "pinMessage": {
                "action": "pin",
                "pinDurationInSecs": 604_800,
                "referencedMessage": _REFERENCED,
            },
        }
    }


class NewsletterAdminInviteContent(Wire):
    """`inviteExpiration` in seconds."""

    newsletter_id: str
    newsletter_name: str | None = None
    text: str | None = None
    invite_expiration: int | None = None


class NewsletterAdminInviteReceived(MessageCallback):
    """An invitation to administer a channel."""

    newsletter_admin_invite: NewsletterAdminInviteContent

    variants: ClassVar[Mapping[str, Example]] = {
        "newsletter-admin-invite": {
            "newsletterAdminInvite": {
                "newsletterId": "120363166555745933@newsletter",
                "newsletterName": "News",
                "text": "Help us",
                "inviteExpiration": 1769886000,
            }
        }
    }
