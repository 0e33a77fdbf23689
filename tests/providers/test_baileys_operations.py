"""What Baileys does on WhatsApp that the other library cannot."""

import pytest

from gateway.contract.zapi.business.catalog import (
    DeleteProduct,
    ListCollectionProducts,
    ListCollections,
    ReadCatalog,
    ReadOwnCatalog,
    ReadProduct,
    SaveProduct,
)
from gateway.contract.zapi.business.profile import (
    ReadBusinessProfile,
    SetCategories,
    SetCompanyAddress,
    SetCompanyDescription,
    SetCompanyEmail,
    SetCompanySites,
    SetHours,
)
from gateway.contract.zapi.communities import (
    CreateCommunity,
    DeleteCommunity,
    ListCommunities,
    SetCommunityRules,
)
from gateway.contract.zapi.contacts import AddContacts, RemoveContacts, ReportContact
from gateway.contract.zapi.groups.group import CreateGroup, ReadGroupLight, SetGroupRules
from gateway.contract.zapi.groups.invitations import AcceptInvitation
from gateway.contract.zapi.groups.members import ApproveParticipants, RejectParticipants
from gateway.contract.zapi.newsletters import (
    CreateNewsletter,
    DeleteNewsletter,
    DescribeNewsletter,
    FollowNewsletter,
    ListNewsletters,
    MuteNewsletter,
    ReadNewsletter,
    RemoveNewsletterAdmin,
    RenameNewsletter,
    SetNewsletterRules,
    TransferNewsletter,
)
from gateway.contract.zapi.privacy import ListDisallowed, SetLastSeen
from gateway.errors import InvalidRequest, NotFound
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import Pair

PROVIDERS = ("baileys",)


async def test_profile_of_a_business_is_written_and_read(pair: Pair) -> None:
    ana, bob = pair
    execute = ana.session.execute
    await execute(SetCompanyDescription(value="We bake bread."))
    await execute(SetCompanyAddress(value="1 Long Street"))
    await execute(SetCompanyEmail(value="bread@example.com"))
    await execute(SetCompanySites(websites=("https://example.com", "https://example.org")))
    await execute(SetCategories(categories=("629412378414563",)))
    hours = {
        "timezone": "America/Sao_Paulo",
        "days": [{"dayOfWeek": "MONDAY", "openTime": "08:00", "closeTime": "18:30"}],
    }
    await execute(SetHours.model_validate(hours))

    read = await bob.session.execute(ReadBusinessProfile(phone=ana.phone))

    assert (read.description, read.address) == ("We bake bread.", "1 Long Street")
    assert (read.email, read.websites[0]) == ("bread@example.com", "https://example.com")
    assert [each.id for each in read.categories] == ["629412378414563"]
    assert read.business_hours
    (day,) = read.business_hours.days
    assert (day.day_of_week, day.open_time, day.close_time) == ("MONDAY", "08:00", "18:30")
    with pytest.raises(InvalidRequest):
        await execute(SetCategories(categories=("BAKERY",)))


async def test_products_are_saved_changed_found_and_deleted(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    bread = {"currency": "BRL", "name": "Rye bread", "price": 20, "retailerId": "002"}
    made = await ana.session.execute(SaveProduct.model_validate(bread))
    again = await ana.session.execute(SaveProduct.model_validate(bread | {"price": 18.5}))
    assert again == made
    hidden = {"currency": "BRL", "name": "Secret", "price": 1, "isHidden": True}
    await ana.session.execute(SaveProduct.model_validate(hidden))

    own = await ana.session.execute(ReadOwnCatalog())
    assert [(each.name, each.price) for each in own.products] == [
        ("Rye bread", "18500"),
        ("Secret", "1000"),
    ]
    seen = await bob.session.execute(ReadCatalog(phone=ana.phone))
    assert [each.id for each in seen.products] == [made.id]
    shown = await ana.session.execute(ReadProduct(product_id=made.id))
    assert (shown.product.retailer_id, shown.product.currency) == ("002", "BRL")

    await whatsapp.control("collect", phone=ana.phone, name="Bread", products=[made.id])
    (listed,) = (await ana.session.execute(ListCollections())).collections
    assert (listed.name, listed.status) == ("Bread", "APPROVED")
    of_bread = ListCollectionProducts(phone=ana.phone, collection_id=listed.id)
    assert [each.id for each in (await bob.session.execute(of_bread)).products] == [made.id]

    await ana.session.execute(DeleteProduct(product_id=made.id))
    with pytest.raises(NotFound):
        await ana.session.execute(ReadProduct(product_id=made.id))
    with pytest.raises(NotFound):
        await ana.session.execute(DeleteProduct(product_id=made.id))


async def test_requests_to_join_are_decided_and_rules_are_set(pair: Pair) -> None:
    ana, bob = pair
    made = await ana.session.execute(
        CreateGroup.model_validate({"groupName": "Closed", "phones": ["5511955554444"]})
    )
    rules = {"phone": made.phone, "requireAdminApproval": True, "adminOnlyAddMember": True}
    await ana.session.execute(SetGroupRules.model_validate(rules))
    await bob.session.execute(AcceptInvitation(url=made.invitation_link))
    asked = {"groupId": made.phone, "phones": [bob.phone]}
    rejected = await ana.session.execute(RejectParticipants.model_validate(asked))
    assert rejected.value
    assert not (await ana.session.execute(RejectParticipants.model_validate(asked))).value
    await bob.session.execute(AcceptInvitation(url=made.invitation_link))
    assert (await ana.session.execute(ApproveParticipants.model_validate(asked))).value
    group = await ana.session.execute(ReadGroupLight.model_validate({"phone": made.phone}))
    assert bob.phone in {each.phone for each in group.participants}


async def test_community_gets_rules_and_ends(pair: Pair) -> None:
    ana, _bob = pair
    made = await ana.session.execute(CreateCommunity(name="Town", description="All of us"))
    rule = {"communityId": made.id, "whoCanAddNewGroups": "all"}
    assert (await ana.session.execute(SetCommunityRules.model_validate(rule))).success
    await ana.session.execute(DeleteCommunity(community_id=made.id))
    listed = await ana.session.execute(ListCommunities())
    assert made.id not in {each.id for each in listed}


async def test_contacts_are_saved_removed_and_reported(pair: Pair, whatsapp: FakeWhatsApp) -> None:
    ana, bob = pair
    person = "5511955550077"
    index = f'["contact", "{person}@s.whatsapp.net"]'
    saved = AddContacts.model_validate(
        {"contacts": [{"firstName": "Eva", "lastName": "Lima", "phone": person}]}
    )
    assert (await ana.session.execute(saved)).success
    state = (await whatsapp.control("state"))["app_state"][ana.phone]
    assert state[index]["contactAction"]["fullName"] == "Eva Lima"
    assert (await ana.session.execute(RemoveContacts(phones=(person,)))).success
    assert index not in (await whatsapp.control("state"))["app_state"][ana.phone]
    await ana.session.execute(ReportContact(phone=bob.phone))
    assert (await whatsapp.control("state"))["reported"][ana.phone] == [bob.phone]


async def test_channel_is_changed_handed_over_and_deleted(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    made = await ana.session.execute(CreateNewsletter(name="News", description="What is new"))
    await bob.session.execute(FollowNewsletter(id=made.id))
    await bob.session.execute(MuteNewsletter(id=made.id))
    assert made.id in {each.id for each in await bob.session.execute(ListNewsletters())}
    await ana.session.execute(RenameNewsletter(id=made.id, name="Latest news"))
    await ana.session.execute(DescribeNewsletter(id=made.id, description="All that is new"))
    await ana.session.execute(
        SetNewsletterRules.model_validate({"newsletterId": made.id, "reactionCodes": "basic"})
    )
    read = await bob.session.execute(ReadNewsletter(newsletter_id=made.id))
    assert (read.name, read.description) == ("Latest news", "All that is new")

    person = {"newsletterId": made.id, "phone": bob.phone}
    refused = await ana.session.execute(TransferNewsletter.model_validate(person))
    assert not refused.value
    assert refused.message
    await whatsapp.control("appoint", channel=made.id, phone=bob.phone)
    await ana.session.execute(RemoveNewsletterAdmin.model_validate(person))
    await whatsapp.control("appoint", channel=made.id, phone=bob.phone)
    assert (await ana.session.execute(TransferNewsletter.model_validate(person))).value
    with pytest.raises(InvalidRequest):
        await ana.session.execute(DeleteNewsletter(id=made.id))
    await bob.session.execute(DeleteNewsletter(id=made.id))


async def test_people_are_excluded_from_a_setting(pair: Pair) -> None:
    ana, bob = pair
    change = {
        "visualizationType": "CONTACT_BLACKLIST",
        "contactsBlacklist": [{"action": "add", "phone": bob.phone}],
    }
    assert (await ana.session.execute(SetLastSeen.model_validate(change))).success
    listed = await ana.session.execute(ListDisallowed(type="lastSeen"))
    assert listed.disallowed_contacts == (bob.phone,)
