"""Channels: creating, following and administering them."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.operation import Operation, Result, Value
from gateway.contract.paging import up_to
from gateway.contract.scopes import ApiScope
from gateway.contract.urls import WRITTEN_URL
from gateway.contract.whatsapp_limits import (
    MAX_GROUP_DESCRIPTION_LENGTH,
    MAX_GROUP_SUBJECT_LENGTH,
)
from gateway.contract.wire import Incoming, NewsletterId, OmitIfNone, Phone, Wire

_CHANNEL = "120363166555745933@newsletter"
_DONE: Example = {"value": True}
_CREATED = 201
_FAILURES = (403, 404, 503)
_MAX_FOUND = 100
_Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_GROUP_SUBJECT_LENGTH)
]
_Description = Annotated[str, StringConstraints(max_length=MAX_GROUP_DESCRIPTION_LENGTH)]


class NewsletterCreated(Wire):
    """The new channel."""

    id: str


class CreateNewsletter(
    Operation[NewsletterCreated],
    method="POST",
    path="/create-newsletter",
    answer_status=_CREATED,
):
    """Creates a channel that this number owns."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"name": "News", "description": "What is new"}
    example_minimal: ClassVar[Example] = {"name": "News"}
    answer_example: ClassVar[Any] = {"id": _CHANNEL}
    failures = (503,)

    name: _Name
    description: _Description = ""


class ChannelOperation(Operation[Result]):
    """About the channel of this id."""

    example: ClassVar[Example] = {"id": _CHANNEL}
    answer_example: ClassVar[Any] = _DONE
    failures = _FAILURES

    id: NewsletterId


class SetNewsletterPicture(
    ChannelOperation[Value],
    method="POST",
    path="/update-newsletter-picture",
    answer_status=_CREATED,
):
    """Changes the picture of a channel: an address, a data URI or base64."""

    scope = ApiScope.SEND
    carries_media = True
    example: ClassVar[Example] = {"id": _CHANNEL, "pictureUrl": "https://example.com/image.png"}

    picture_url: Annotated[str, Field(min_length=1), WRITTEN_URL]


class RenameNewsletter(
    ChannelOperation[Value], method="POST", path="/update-newsletter-name", answer_status=_CREATED
):
    """Changes the name of a channel."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"id": _CHANNEL, "name": "Latest news"}

    name: _Name


class DescribeNewsletter(
    ChannelOperation[Value],
    method="POST",
    path="/update-newsletter-description",
    answer_status=_CREATED,
):
    """Changes the description of a channel."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"id": _CHANNEL, "description": "All that is new"}

    description: _Description


class FollowNewsletter(ChannelOperation[Value], method="PUT", path="/follow-newsletter"):
    """Follows a channel."""

    scope = ApiScope.SEND


class UnfollowNewsletter(ChannelOperation[Value], method="PUT", path="/unfollow-newsletter"):
    """Unfollows a channel."""

    scope = ApiScope.SEND


class MuteNewsletter(ChannelOperation[Value], method="PUT", path="/mute-newsletter"):
    """Mutes the notifications of a channel."""

    scope = ApiScope.SEND


class UnmuteNewsletter(ChannelOperation[Value], method="PUT", path="/unmute-newsletter"):
    """Unmutes the notifications of a channel."""

    scope = ApiScope.SEND


class DeleteNewsletter(ChannelOperation[Value], method="DELETE", path="/delete-newsletter"):
    """Deletes a channel of this number."""

    scope = ApiScope.SEND
    fields_in = "body"


class ViewMetadata(Wire):
    """The relation of this number to a channel."""

    mute: Literal["ON", "OFF"]
    role: Literal["OWNER", "ADMIN", "SUBSCRIBER", "GUEST"]


class Newsletter(Wire):
    """A channel; time in seconds and count are texts."""

    id: str
    creation_time: str
    state: Literal["ACTIVE", "NON_EXISTING"]
    name: str
    description: str
    subscribers_count: str | None = OmitIfNone
    invite_link: str
    verification: Literal["VERIFIED", "UNVERIFIED"] = "UNVERIFIED"
    picture: str | None
    preview: str | None
    view_metadata: ViewMetadata


_SHOWN = {
    "id": _CHANNEL,
    "creationTime": "1767225600",
    "state": "ACTIVE",
    "name": "News",
    "description": "What is new",
    "subscribersCount": "12",
    "inviteLink": "https://www.whatsapp.com/channel/0029Va5Xk71a",
    "verification": "UNVERIFIED",
    "picture": "https://example.com/image.png",
    "preview": None,
    "viewMetadata": {"mute": "OFF", "role": "OWNER"},
}


class NamedChannelOperation(Operation[Result]):
    """About the channel that the path names."""

    example: ClassVar[Example] = {"newsletterId": _CHANNEL}
    answer_example: ClassVar[Any] = _DONE
    failures = _FAILURES

    newsletter_id: NewsletterId


class ReadNewsletter(
    NamedChannelOperation[Newsletter], method="GET", path="/newsletter/metadata/{newsletter_id}"
):
    """A channel."""

    scope = ApiScope.READ
    cache_ttl_seconds = 30.0
    answer_example: ClassVar[Any] = _SHOWN


class Subscriber(Wire):
    """A follower of a channel, and what he is in it."""

    phone: str
    role: Literal["OWNER", "ADMIN", "SUBSCRIBER"]


class Subscribers(Wire):
    """The followers of a channel, by their numbers."""

    subscribers: tuple[Subscriber, ...]


class ListSubscribers(
    NamedChannelOperation[Subscribers],
    method="GET",
    path="/newsletter/subscribers/{newsletter_id}",
):
    """The followers of a channel, for its admins."""

    scope = ApiScope.READ
    unconfirmed = ("/newsletter/subscribers/{newsletterId}",)
    answer_example: ClassVar[Any] = {
        "subscribers": [{"phone": "5511888888888", "role": "SUBSCRIBER"}]
    }


class ListNewsletters(Operation[tuple[Newsletter, ...]], method="GET", path="/newsletter"):
    """The channels this number owns, administers or follows."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = [_SHOWN]
    failures = (503,)


class FoundNewsletter(Wire):
    """A public channel."""

    id: str
    name: str
    description: str
    subscribers_count: str
    picture: str | None


class FoundNewsletters(Wire):
    """Public channels; there are no further pages."""

    cursor: None = None
    data: tuple[FoundNewsletter, ...]


class NewsletterFilters(Incoming):
    """Where channels are from."""

    country_codes: Annotated[
        tuple[Annotated[str, Field(max_length=2)], ...], Field(max_length=300)
    ] = ()


class SearchNewsletters(Operation[FoundNewsletters], method="POST", path="/search-newsletter"):
    """Searches the public channels."""

    scope = ApiScope.READ
    audited = False  # reads
    example: ClassVar[Example] = {
        "limit": 50,
        "filters": {"countryCodes": ["BR", "CA"]},
        "view": "TRENDING",
        "searchText": "news",
    }
    example_minimal: ClassVar[Example] = {"limit": 50, "filters": {"countryCodes": ["BR"]}}
    answer_example: ClassVar[Any] = {
        "cursor": None,
        "data": [
            {
                "id": _CHANNEL,
                "name": "News",
                "description": "What is new",
                "subscribersCount": "12",
                "picture": None,
            }
        ],
    }
    failures = (503,)

    limit: Annotated[int, BeforeValidator(up_to(_MAX_FOUND))] = 50
    filters: NewsletterFilters = NewsletterFilters()
    view: Annotated[Literal["RECOMMENDED", "TRENDING", "POPULAR", "NEW"], ANY_CASE] | None = None
    search_text: Annotated[str, Field(max_length=255)] = ""


class SetNewsletterRules(
    NamedChannelOperation[Value],
    method="POST",
    path="/newsletter/settings/{newsletter_id}",
    answer_status=_CREATED,
):
    """With which emoji people may react."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"newsletterId": _CHANNEL, "reactionCodes": "basic"}

    reaction_codes: Annotated[Literal["basic", "all"], ANY_CASE]


class AcceptAdminInvite(
    NamedChannelOperation[Value],
    method="POST",
    path="/newsletter/accept-admin-invite/{newsletter_id}",
    answer_status=_CREATED,
):
    """Becomes an admin of a channel that invited this number; false where none did."""

    scope = ApiScope.SEND


class ChannelPersonOperation(NamedChannelOperation[Value]):
    """About a person's place in a channel; false where that person has none."""

    example: ClassVar[Example] = {"newsletterId": _CHANNEL, "phone": "5511888888888"}

    phone: Phone


class RemoveNewsletterAdmin(
    ChannelPersonOperation,
    method="POST",
    path="/newsletter/remove-admin/{newsletter_id}",
    answer_status=_CREATED,
):
    """Makes an admin an ordinary follower again."""

    scope = ApiScope.SEND


class RevokeAdminInvite(
    ChannelPersonOperation,
    method="POST",
    path="/newsletter/revoke-admin-invite/{newsletter_id}",
    answer_status=_CREATED,
):
    """Revokes an invitation."""

    scope = ApiScope.SEND


class Transferred(Wire):
    """Whether the channel has a new owner, and if not, why."""

    value: bool = True
    message: str | None = OmitIfNone


class TransferNewsletter(
    NamedChannelOperation[Transferred],
    method="POST",
    path="/newsletter/transfer-ownership/{newsletter_id}",
):
    """Transfers a channel to one of its admins."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {
        "newsletterId": _CHANNEL,
        "phone": "5511888888888",
        "quitAdmin": True,
    }
    example_minimal: ClassVar[Example] = {"newsletterId": _CHANNEL, "phone": "5511888888888"}

    phone: Phone
    quit_admin: bool = False
