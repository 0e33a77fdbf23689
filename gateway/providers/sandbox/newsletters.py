"""Channels: their owners, admins and followers."""

from typing import Literal

from pydantic import Field

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.newsletters import (
    AcceptAdminInvite,
    CreateNewsletter,
    DeleteNewsletter,
    DescribeNewsletter,
    FollowNewsletter,
    FoundNewsletter,
    FoundNewsletters,
    ListNewsletters,
    ListSubscribers,
    MuteNewsletter,
    Newsletter,
    NewsletterCreated,
    ReadNewsletter,
    RemoveNewsletterAdmin,
    RenameNewsletter,
    RevokeAdminInvite,
    SearchNewsletters,
    SetNewsletterPicture,
    SetNewsletterRules,
    Subscriber,
    Subscribers,
    TransferNewsletter,
    Transferred,
    UnfollowNewsletter,
    UnmuteNewsletter,
    ViewMetadata,
)
from gateway.errors import Forbidden
from gateway.providers.sandbox.numbers import picture_of
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.shared_chats import (
    Actor,
    ChatChanges,
    SharedChat,
    new_id,
    new_invite,
)

operations: Handlers[SandboxSession] = Handlers()

Role = Literal["subscriber", "admin", "owner"]
_ROLES = {"subscriber": "SUBSCRIBER", "admin": "ADMIN", "owner": "OWNER"}
_LINK = "https://www.whatsapp.com/channel/"


class Channel(SharedChat):
    """A channel; `invited` are the numbers invited to administer it."""

    kind = "newsletter"

    created_seconds: int
    reactions: Literal["basic", "all"] = "all"
    members: dict[str, Role]
    invited: list[str] = Field(default_factory=list)
    muted: list[str] = Field(default_factory=list)

    def require_admin(self, phone: str) -> None:
        if self.members.get(phone, "subscriber") == "subscriber":
            raise Forbidden("Only admins of the channel can do this")

    def require_owner(self, phone: str) -> None:
        if self.members.get(phone) != "owner":
            raise Forbidden("Only the owner of the channel can do this")

    def give(self, phone: str, role: Role, *, by: Actor) -> None:
        """Gives a role and emits the change to the admins."""
        admins = {p for p, current in self.members.items() if current != "subscriber"} | {phone}
        self.members[phone] = role
        promoted = role != "subscriber"
        self.notify(
            "NEWSLETTER_ADMIN_PROMOTE" if promoted else "NEWSLETTER_ADMIN_DEMOTE",
            by=by,
            parameters=[phone, "ADMIN" if promoted else "SUBSCRIBER"],
            to=sorted(admins),
        )


_changes = ChatChanges(operations, Channel)


@operations.handles(CreateNewsletter)
async def create(session: SandboxSession, operation: CreateNewsletter) -> NewsletterCreated:
    me = await session.own_phone()
    channel = Channel(
        id=f"{new_id(session)}@newsletter",
        name=operation.name,
        description=operation.description,
        created_seconds=int(session.context.clock.now().timestamp()),
        invite=new_invite(session),
        members={me: "owner"},
    )
    await session.context.entities.add(channel, channel.id, of=session.spec.instance_id)
    return NewsletterCreated(id=channel.id)


@_changes.handles(SetNewsletterPicture, lambda operation: operation.id)
def set_picture(channel: Channel, operation: SetNewsletterPicture, by: Actor) -> Value:
    channel.require_admin(by.phone)
    channel.picture = picture_of(operation.picture_url)
    return Value()


@_changes.handles(RenameNewsletter, lambda operation: operation.id)
def rename(channel: Channel, operation: RenameNewsletter, by: Actor) -> Value:
    channel.require_admin(by.phone)
    channel.name = operation.name
    return Value()


@_changes.handles(DescribeNewsletter, lambda operation: operation.id)
def describe(channel: Channel, operation: DescribeNewsletter, by: Actor) -> Value:
    channel.require_admin(by.phone)
    channel.description = operation.description
    return Value()


@_changes.handles(SetNewsletterRules, lambda operation: operation.newsletter_id)
def set_rules(channel: Channel, operation: SetNewsletterRules, by: Actor) -> Value:
    channel.require_admin(by.phone)
    channel.reactions = operation.reaction_codes
    return Value()


@_changes.handles(FollowNewsletter, lambda operation: operation.id)
def follow(channel: Channel, _operation: FollowNewsletter, by: Actor) -> Value:
    channel.members.setdefault(by.phone, "subscriber")
    return Value()


@_changes.handles(UnfollowNewsletter, lambda operation: operation.id)
def unfollow(channel: Channel, _operation: UnfollowNewsletter, by: Actor) -> Value:
    """Removes the follower; returns False for the owner, who cannot leave."""
    if channel.members.get(by.phone) == "owner":
        return Value(value=False)
    return Value(value=channel.members.pop(by.phone, None) is not None)


@_changes.handles(MuteNewsletter, lambda operation: operation.id)
def mute(channel: Channel, _operation: MuteNewsletter, by: Actor) -> Value:
    if by.phone in channel.members and by.phone not in channel.muted:
        channel.muted.append(by.phone)
    return Value(value=by.phone in channel.members)


@_changes.handles(UnmuteNewsletter, lambda operation: operation.id)
def unmute(channel: Channel, _operation: UnmuteNewsletter, by: Actor) -> Value:
    if by.phone in channel.members and by.phone in channel.muted:
        channel.muted.remove(by.phone)
    return Value(value=by.phone in channel.members)


@operations.handles(DeleteNewsletter)
async def delete(session: SandboxSession, operation: DeleteNewsletter) -> Value:
    me = await session.own_phone()
    stored = await session.context.entities.get(Channel, operation.id)
    stored.entity.require_owner(me)
    await session.context.entities.remove(Channel, stored.instance_id, stored.id)
    return Value()


@operations.handles(ReadNewsletter)
async def read(session: SandboxSession, operation: ReadNewsletter) -> Newsletter:
    me = await session.own_phone()
    stored = await session.context.entities.get(Channel, operation.newsletter_id)
    return _shown(stored.entity, me)


@operations.handles(ListSubscribers)
async def list_subscribers(session: SandboxSession, operation: ListSubscribers) -> Subscribers:
    me = await session.own_phone()
    stored = await session.context.entities.get(Channel, operation.newsletter_id)
    stored.entity.require_admin(me)
    return Subscribers(
        subscribers=tuple(
            Subscriber.model_validate({"phone": phone, "role": _ROLES[role]})
            for phone, role in sorted(stored.entity.members.items())
        )
    )


@operations.handles(ListNewsletters)
async def list_joined(
    session: SandboxSession, _operation: ListNewsletters
) -> tuple[Newsletter, ...]:
    me = await session.own_phone()
    found = await session.context.entities.joined(Channel, me)
    return tuple(_shown(stored.entity, me) for stored in found)


@operations.handles(SearchNewsletters)
async def search(session: SandboxSession, operation: SearchNewsletters) -> FoundNewsletters:
    """Searches by name; views and countries are ignored."""
    await session.own_phone()
    found = await session.context.entities.search(Channel, operation.search_text, operation.limit)
    return FoundNewsletters(
        data=tuple(
            FoundNewsletter(
                id=stored.id,
                name=stored.entity.name,
                description=stored.entity.description,
                subscribers_count=str(len(stored.entity.members) - 1),
                picture=stored.entity.picture,
            )
            for stored in found
        )
    )


@_changes.handles(AcceptAdminInvite, lambda operation: operation.newsletter_id)
def accept_invite(channel: Channel, _operation: AcceptAdminInvite, by: Actor) -> Value:
    if by.phone not in channel.invited:
        return Value(value=False)
    channel.invited.remove(by.phone)
    channel.give(by.phone, "admin", by=by)
    return Value()


@_changes.handles(RevokeAdminInvite, lambda operation: operation.newsletter_id)
def revoke_invite(channel: Channel, operation: RevokeAdminInvite, by: Actor) -> Value:
    channel.require_owner(by.phone)
    if operation.phone not in channel.invited:
        return Value(value=False)
    channel.invited.remove(operation.phone)
    return Value()


@_changes.handles(RemoveNewsletterAdmin, lambda operation: operation.newsletter_id)
def remove_admin(channel: Channel, operation: RemoveNewsletterAdmin, by: Actor) -> Value:
    channel.require_owner(by.phone)
    if channel.members.get(operation.phone) != "admin":
        return Value(value=False)
    channel.give(operation.phone, "subscriber", by=by)
    return Value()


@_changes.handles(TransferNewsletter, lambda operation: operation.newsletter_id)
def transfer(channel: Channel, operation: TransferNewsletter, by: Actor) -> Transferred:
    channel.require_owner(by.phone)
    if channel.members.get(operation.phone) != "admin":
        return Transferred(value=False, message="Only an admin can become the owner")
    channel.give(operation.phone, "owner", by=by)
    channel.members[by.phone] = "subscriber" if operation.quit_admin else "admin"
    return Transferred()


async def invite_admin(session: SandboxSession, id_: str, phone: str) -> None:
    """Adds *phone* to those who are invited to administer the channel."""
    me = await session.own_phone()

    def alter(channel: Channel) -> None:
        channel.require_owner(me)
        if phone not in channel.invited and channel.members.get(phone) != "admin":
            channel.invited.append(phone)

    await session.context.entities.change(Channel, id_, alter)


def _shown(channel: Channel, me: str) -> Newsletter:
    return Newsletter(
        id=channel.id,
        creation_time=str(channel.created_seconds),
        state="ACTIVE",
        name=channel.name,
        description=channel.description,
        subscribers_count=str(len(channel.members) - 1),
        invite_link=_LINK + channel.invite,
        picture=channel.picture,
        preview=channel.picture,
        view_metadata=ViewMetadata(
            mute="ON" if me in channel.muted else "OFF",
            role=_ROLES.get(channel.members.get(me, ""), "GUEST"),
        ),
    )
