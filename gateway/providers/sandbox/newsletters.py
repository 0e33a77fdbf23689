"""Channels: who owns, administers and follows them."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from gateway.contract.handlers import Handlers
from gateway.contract.newsletters import (
    AcceptAdminInvite,
    CreateNewsletter,
    DeleteNewsletter,
    DescribeNewsletter,
    FollowNewsletter,
    FoundNewsletter,
    FoundNewsletters,
    ListNewsletters,
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
    TransferNewsletter,
    Transferred,
    UnfollowNewsletter,
    UnmuteNewsletter,
    ViewMetadata,
)
from gateway.contract.operation import Value
from gateway.errors import Forbidden, NotFound
from gateway.providers.sandbox.entities import Entity
from gateway.providers.sandbox.groups import new_id, new_invite
from gateway.providers.sandbox.numbers import picture_of
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.telling import notification

operations: Handlers[SandboxSession] = Handlers()

Role = Literal["subscriber", "admin", "owner"]
_ROLES = {"subscriber": "SUBSCRIBER", "admin": "ADMIN", "owner": "OWNER"}
_LINK = "https://www.whatsapp.com/channel/"


class Channel(Entity):
    """A channel; `invited` were asked to administer it."""

    kind = "newsletter"

    id: str
    name: str
    description: str = ""
    created_seconds: int
    invite: str
    picture: str | None = None
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

    def give(self, session: SandboxSession, phone: str, role: Role, *, by: str) -> None:
        """Gives a role, and tells the admins."""
        admins = {p for p, held in self.members.items() if held != "subscriber"} | {phone}
        self.members[phone] = role
        promoted = role != "subscriber"
        told = notification(
            "NEWSLETTER_ADMIN_PROMOTE" if promoted else "NEWSLETTER_ADMIN_DEMOTE",
            notification_id=f"3EB0{session.around.random_bytes(9).hex().upper()}",
            chat=self.id,
            by=by,
            parameters=[phone, "ADMIN" if promoted else "SUBSCRIBER"],
        )
        self.tell(sorted(admins), told)


@operations.handles(CreateNewsletter)
async def create(session: SandboxSession, asked: CreateNewsletter) -> NewsletterCreated:
    me = await session.own_phone()
    channel = Channel(
        id=f"{new_id(session)}@newsletter",
        name=asked.name,
        description=asked.description,
        created_seconds=int(session.around.clock.now().timestamp()),
        invite=new_invite(session),
        members={me: "owner"},
    )
    await session.around.entities.add(channel, channel.id, of=session.seat.instance_id)
    return NewsletterCreated(id=channel.id)


@operations.handles(SetNewsletterPicture)
async def set_picture(session: SandboxSession, asked: SetNewsletterPicture) -> Value:
    def alter(channel: Channel) -> None:
        channel.picture = picture_of(asked.picture_url)

    return await _administer(session, asked.id, alter)


@operations.handles(RenameNewsletter)
async def rename(session: SandboxSession, asked: RenameNewsletter) -> Value:
    def alter(channel: Channel) -> None:
        channel.name = asked.name

    return await _administer(session, asked.id, alter)


@operations.handles(DescribeNewsletter)
async def describe(session: SandboxSession, asked: DescribeNewsletter) -> Value:
    def alter(channel: Channel) -> None:
        channel.description = asked.description

    return await _administer(session, asked.id, alter)


@operations.handles(SetNewsletterRules)
async def set_rules(session: SandboxSession, asked: SetNewsletterRules) -> Value:
    def alter(channel: Channel) -> None:
        channel.reactions = asked.reaction_codes

    return await _administer(session, asked.newsletter_id, alter)


async def _administer(session: SandboxSession, id_: str, alter: Callable[[Channel], None]) -> Value:
    me = await session.own_phone()

    def alter_as_admin(channel: Channel) -> Value:
        channel.require_admin(me)
        alter(channel)
        return Value()

    return await session.around.entities.change(Channel, id_, alter_as_admin)


@operations.handles(FollowNewsletter)
async def follow(session: SandboxSession, asked: FollowNewsletter) -> Value:
    me = await session.own_phone()

    def alter(channel: Channel) -> Value:
        channel.members.setdefault(me, "subscriber")
        return Value()

    return await session.around.entities.change(Channel, asked.id, alter)


@operations.handles(UnfollowNewsletter)
async def unfollow(session: SandboxSession, asked: UnfollowNewsletter) -> Value:
    """False for the owner, whom the channel cannot lose."""
    me = await session.own_phone()

    def alter(channel: Channel) -> Value:
        if channel.members.get(me) == "owner":
            return Value(value=False)
        return Value(value=channel.members.pop(me, None) is not None)

    return await session.around.entities.change(Channel, asked.id, alter)


@operations.handles(MuteNewsletter)
async def mute(session: SandboxSession, asked: MuteNewsletter) -> Value:
    return await _set_muted(session, asked.id, muted=True)


@operations.handles(UnmuteNewsletter)
async def unmute(session: SandboxSession, asked: UnmuteNewsletter) -> Value:
    return await _set_muted(session, asked.id, muted=False)


async def _set_muted(session: SandboxSession, id_: str, *, muted: bool) -> Value:
    me = await session.own_phone()

    def alter(channel: Channel) -> Value:
        if me not in channel.members:
            return Value(value=False)
        channel.muted = [phone for phone in channel.muted if phone != me] + [me] * muted
        return Value()

    return await session.around.entities.change(Channel, id_, alter)


@operations.handles(DeleteNewsletter)
async def delete(session: SandboxSession, asked: DeleteNewsletter) -> Value:
    me = await session.own_phone()
    kept = await session.around.entities.find(Channel, asked.id)
    if kept is None:
        raise NotFound("There is no such newsletter")
    kept.thing.require_owner(me)
    await session.around.entities.remove(Channel, kept.instance_id, kept.id)
    return Value()


@operations.handles(ReadNewsletter)
async def read(session: SandboxSession, asked: ReadNewsletter) -> Newsletter:
    me = await session.own_phone()
    kept = await session.around.entities.find(Channel, asked.newsletter_id)
    if kept is None:
        raise NotFound("There is no such newsletter")
    return _shown(kept.thing, me)


@operations.handles(ListNewsletters)
async def list_joined(session: SandboxSession, _asked: ListNewsletters) -> tuple[Newsletter, ...]:
    me = await session.own_phone()
    found = await session.around.entities.joined(Channel, me)
    return tuple(_shown(kept.thing, me) for kept in found)


@operations.handles(SearchNewsletters)
async def search(session: SandboxSession, asked: SearchNewsletters) -> FoundNewsletters:
    """Views and countries change nothing here: the simulated world is small."""
    await session.own_phone()
    found = await session.around.entities.search(Channel, asked.search_text, asked.limit)
    return FoundNewsletters(
        data=tuple(
            FoundNewsletter(
                id=kept.id,
                name=kept.thing.name,
                description=kept.thing.description,
                subscribers_count=str(len(kept.thing.members) - 1),
                picture=kept.thing.picture,
            )
            for kept in found
        )
    )


@operations.handles(AcceptAdminInvite)
async def accept_invite(session: SandboxSession, asked: AcceptAdminInvite) -> Value:
    me = await session.own_phone()

    def alter(channel: Channel) -> Value:
        if me not in channel.invited:
            return Value(value=False)
        channel.invited.remove(me)
        channel.give(session, me, "admin", by=me)
        return Value()

    return await session.around.entities.change(Channel, asked.newsletter_id, alter)


@operations.handles(RevokeAdminInvite)
async def revoke_invite(session: SandboxSession, asked: RevokeAdminInvite) -> Value:
    me = await session.own_phone()

    def alter(channel: Channel) -> Value:
        channel.require_owner(me)
        if asked.phone not in channel.invited:
            return Value(value=False)
        channel.invited.remove(asked.phone)
        return Value()

    return await session.around.entities.change(Channel, asked.newsletter_id, alter)


@operations.handles(RemoveNewsletterAdmin)
async def remove_admin(session: SandboxSession, asked: RemoveNewsletterAdmin) -> Value:
    me = await session.own_phone()

    def alter(channel: Channel) -> Value:
        channel.require_owner(me)
        if channel.members.get(asked.phone) != "admin":
            return Value(value=False)
        channel.give(session, asked.phone, "subscriber", by=me)
        return Value()

    return await session.around.entities.change(Channel, asked.newsletter_id, alter)


@operations.handles(TransferNewsletter)
async def transfer(session: SandboxSession, asked: TransferNewsletter) -> Transferred:
    me = await session.own_phone()

    def alter(channel: Channel) -> Transferred:
        channel.require_owner(me)
        if channel.members.get(asked.phone) != "admin":
            return Transferred(value=False, message="Only an admin can become the owner")
        channel.give(session, asked.phone, "owner", by=me)
        channel.members[me] = "subscriber" if asked.quit_admin else "admin"
        return Transferred()

    return await session.around.entities.change(Channel, asked.newsletter_id, alter)


async def invite_admin(session: SandboxSession, id_: str, phone: str) -> None:
    """What a message that invites somebody to administer a channel brings about."""
    me = await session.own_phone()

    def alter(channel: Channel) -> None:
        channel.require_owner(me)
        if phone not in channel.invited and channel.members.get(phone) != "admin":
            channel.invited.append(phone)

    await session.around.entities.change(Channel, id_, alter)


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
