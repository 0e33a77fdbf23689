"""Channels. The library can neither search nor change them, nor manage administrators."""

from typing import Any, Literal

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.zapi.newsletters import (
    CreateNewsletter,
    FollowNewsletter,
    ListNewsletters,
    MuteNewsletter,
    Newsletter,
    NewsletterCreated,
    ReadNewsletter,
    UnfollowNewsletter,
    UnmuteNewsletter,
    ViewMetadata,
)
from gateway.whatsapp_web.jids import text_of
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()

_INVITE = "https://whatsapp.com/channel/"


@operations.handles(CreateNewsletter)
async def create(session: WebSession, operation: CreateNewsletter) -> NewsletterCreated:
    made = await session.call(
        "create_channel", name=operation.name, description=operation.description
    )
    return NewsletterCreated(id=text_of(made["ID"]) or "")


@operations.handles(FollowNewsletter)
async def follow(session: WebSession, operation: FollowNewsletter) -> Value:
    await session.call("follow", jid=operation.id)
    return Value()


@operations.handles(UnfollowNewsletter)
async def unfollow(session: WebSession, operation: UnfollowNewsletter) -> Value:
    await session.call("unfollow", jid=operation.id)
    return Value()


@operations.handles(MuteNewsletter)
async def mute(session: WebSession, operation: MuteNewsletter) -> Value:
    await session.call("mute_channel", jid=operation.id, on=True)
    return Value()


@operations.handles(UnmuteNewsletter)
async def unmute(session: WebSession, operation: UnmuteNewsletter) -> Value:
    await session.call("mute_channel", jid=operation.id, on=False)
    return Value()


@operations.handles(ReadNewsletter)
async def read(session: WebSession, operation: ReadNewsletter) -> Newsletter:
    return _shown(await session.call("channel", jid=operation.newsletter_id))


@operations.handles(ListNewsletters)
async def list_all(session: WebSession, _pending: ListNewsletters) -> tuple[Newsletter, ...]:
    return tuple(_shown(each) for each in await session.call("channels"))


def _shown(found: dict[str, Any]) -> Newsletter:
    about, mine = found.get("ThreadMeta", {}), found.get("ViewerMeta", {})
    active = found.get("State", {}).get("Type", "ACTIVE") == "ACTIVE"
    state: Literal["ACTIVE", "NON_EXISTING"] = "ACTIVE" if active else "NON_EXISTING"
    return Newsletter(
        id=text_of(found["ID"]) or "",
        creation_time=str(about.get("CreationTime", 0)),
        state=state,
        name=about.get("Name", {}).get("Text", ""),
        description=about.get("Description", {}).get("Text", ""),
        subscribers_count=str(about.get("SubscriberCount", 0)),
        invite_link=_INVITE + about.get("InviteCode", ""),
        verification=about.get("VerificationState", "UNVERIFIED"),
        picture=about.get("Picture", {}).get("URL") or None,
        preview=about.get("Preview", {}).get("URL") or None,
        view_metadata=ViewMetadata(mute=mine.get("Mute", "OFF"), role=mine.get("Role", "GUEST")),
    )
