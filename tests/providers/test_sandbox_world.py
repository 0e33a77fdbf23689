"""Groups, communities and channels of the sandbox keep their rules, also under concurrency."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.contract.operation import Value
from gateway.contract.zapi.communities import (
    CreateCommunity,
    DeleteCommunity,
    LinkGroups,
    ReadCommunity,
    UnlinkGroups,
)
from gateway.contract.zapi.groups.group import CreateGroup, GroupMetadata, ReadGroup
from gateway.contract.zapi.groups.members import (
    AddParticipants,
    DemoteParticipants,
    RemoveParticipants,
)
from gateway.contract.zapi.newsletters import (
    AcceptAdminInvite,
    CreateNewsletter,
    ReadNewsletter,
    TransferNewsletter,
)
from gateway.errors import CallerError, InvalidRequest, NotFound
from gateway.providers.sandbox.groups import MAX_MEMBERS
from gateway.providers.sandbox.newsletters import invite_admin
from gateway.providers.sandbox.session import SandboxSession
from tests.providers.sandbox_node import Node, node_at
from tests.providers.sandbox_session import opened, spec

ANA = "5511988887777"


def numbers(count: int) -> tuple[str, ...]:
    return tuple(f"55119{number:07d}1" for number in range(count))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    async with node_at(database_url, listen=False) as node:
        yield node


@pytest.fixture
async def session(node: Node) -> AsyncIterator[SandboxSession]:
    async with opened(node) as listening:
        yield listening.session


async def group_of(session: SandboxSession, *phones: str) -> str:
    made = await session.execute(CreateGroup(group_name="Desk", phones=phones or (ANA,)))
    return made.phone


async def metadata(session: SandboxSession, group: str) -> GroupMetadata:
    return await session.execute(ReadGroup(phone=group))


async def test_members_added_concurrently_are_all_in_the_group(session: SandboxSession) -> None:
    group, people = await group_of(session), numbers(20)

    await asyncio.gather(
        *(session.execute(AddParticipants(group_id=group, phones=(phone,))) for phone in people)
    )

    members = {each.phone for each in (await metadata(session, group)).participants}
    assert members >= {ANA, *people}


async def test_group_at_its_maximum_refuses_more_members(session: SandboxSession) -> None:
    group = await group_of(session)
    await session.execute(AddParticipants(group_id=group, phones=numbers(MAX_MEMBERS - 2)))

    with pytest.raises(InvalidRequest, match=str(MAX_MEMBERS)):
        await session.execute(AddParticipants(group_id=group, phones=("5511900000002",)))

    assert len((await metadata(session, group)).participants) == MAX_MEMBERS


async def test_number_without_whatsapp_is_not_added(session: SandboxSession) -> None:
    group, unregistered = await group_of(session), "5511988880000"

    assert await session.execute(AddParticipants(group_id=group, phones=(unregistered,))) == Value(
        value=False
    )
    with pytest.raises(InvalidRequest):
        await session.execute(CreateGroup(group_name="Empty", phones=(unregistered,)))


@pytest.mark.parametrize("operation", [RemoveParticipants, DemoteParticipants])
async def test_owner_of_a_group_cannot_be_removed_or_demoted(
    session: SandboxSession, operation: type[Any]
) -> None:
    group = await group_of(session)
    owner = (await metadata(session, group)).owner

    await session.execute(operation(group_id=group, phones=(owner,)))

    (found,) = [
        each for each in (await metadata(session, group)).participants if each.phone == owner
    ]
    assert (found.is_admin, found.is_super_admin) == (True, True)


async def test_group_that_does_not_exist_is_unknown(session: SandboxSession) -> None:
    with pytest.raises(NotFound):
        await metadata(session, "120363019502650977-group")


async def test_community_keeps_one_group_and_leaves_its_groups(
    session: SandboxSession,
) -> None:
    street = (await session.execute(CreateCommunity(name="Street"))).id
    other = (await session.execute(CreateCommunity(name="Other"))).id
    first, second = await group_of(session), await group_of(session)
    both = LinkGroups(community_id=street, groups_phones=(first, second))
    assert (await session.execute(both)).success

    refused = await session.execute(LinkGroups(community_id=other, groups_phones=(first,)))
    unlinked = await session.execute(
        UnlinkGroups(community_id=street, groups_phones=(first, second))
    )

    assert refused.errors == (f"{first}: is in another community",)
    assert unlinked.errors == (f"{second}: one group must remain",)
    shown = await session.execute(ReadCommunity(community_id=street))
    assert [group.phone for group in shown.sub_groups][1:] == [second]
    await session.execute(DeleteCommunity(community_id=street))
    assert (await metadata(session, second)).community_id is None
    with pytest.raises(NotFound):
        await session.execute(ReadCommunity(community_id=street))


async def test_channel_is_transferred_only_to_an_admin(node: Node, session: SandboxSession) -> None:
    async with opened(node, spec("two")) as listening:
        heir = await listening.session.own_phone()
        channel = (await session.execute(CreateNewsletter(name="News"))).id
        give = TransferNewsletter(newsletter_id=channel, phone=heir, quit_admin=True)
        accept = AcceptAdminInvite(newsletter_id=channel)

        assert not (await session.execute(give)).value
        assert await listening.session.execute(accept) == Value(value=False)
        await invite_admin(session, channel, heir)
        assert await listening.session.execute(accept) == Value()
        assert (await session.execute(give)).value

        seen = await listening.session.execute(ReadNewsletter(newsletter_id=channel))
        assert seen.view_metadata.role == "OWNER"
        with pytest.raises(CallerError):
            await session.execute(give)
