"""Groups, profiles, privacy, pictures, calls and typing work between two phones."""

import pytest

from gateway.contract.extensions.privacy import ReadPrivacy
from gateway.contract.internal.presence import RejectCall, ShowTyping
from gateway.contract.internal.profile_picture import LookUpPicture
from gateway.contract.zapi.contacts import LookAtProfile, LookUpNumber, ModifyBlocked
from gateway.contract.zapi.groups.group import (
    CreateGroup,
    ListJoinedGroups,
    ReadGroupLight,
    RenameGroup,
    SetGroupPhoto,
)
from gateway.contract.zapi.groups.members import LeaveGroup
from gateway.contract.zapi.instances import SetProfilePicture
from gateway.contract.zapi.messages.places_and_people import SendContact
from gateway.contract.zapi.messages.text import SendText
from gateway.contract.zapi.privacy import SetLastSeen
from gateway.errors import SessionUnavailable
from gateway.sessions.provider import (
    Attempt,
    CallChanged,
    MessageAcknowledged,
    MessageReceived,
    Notified,
    PictureChanged,
    PresenceChanged,
)
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import Pair

PROVIDERS = ("whatsmeow", "baileys")


async def test_group_is_created_written_to_and_left(pair: Pair) -> None:
    ana, bob = pair
    made = await ana.session.execute(
        CreateGroup.model_validate({"groupName": "Team", "phones": [bob.phone]})
    )
    seen_by_bob = await bob.session.execute(ReadGroupLight(phone=made.phone))
    assert seen_by_bob.subject == "Team"
    assert {p.phone: p.is_admin for p in seen_by_bob.participants} == {
        ana.phone: True,
        bob.phone: False,
    }
    await ana.send(SendText(phone=made.phone, message="All of you"))
    arrived = await bob.wait_for(MessageReceived)
    assert (arrived.chat, arrived.sender) == (made.phone, ana.phone)
    delivered = await ana.wait_for(MessageAcknowledged)
    assert (delivered.by, delivered.provider_message_ids) == (bob.phone, ["OURS"])

    await ana.session.execute(RenameGroup(group_id=made.phone, group_name="Crew"))
    assert [g.subject for g in await bob.session.execute(ListJoinedGroups())] == ["Crew"]
    renamed = await bob.wait_for(Notified, lambda n: n.code == "GROUP_CHANGE_SUBJECT")
    assert (renamed.chat, renamed.parameters, renamed.by) == (made.phone, ("Crew",), ana.phone)
    await bob.session.execute(LeaveGroup(group_id=made.phone))
    assert await bob.session.execute(ListJoinedGroups()) == ()


async def test_numbers_profiles_blocking_and_privacy(pair: Pair) -> None:
    ana, bob = pair
    found = await ana.session.execute(LookUpNumber(phones=(bob.phone, "5511900009999")))
    assert list(found) == [bob.phone]
    assert str(found[bob.phone]).endswith("@lid")
    profile = await ana.session.execute(LookAtProfile(phone=bob.phone))
    assert (profile.about, profile.picture) == ("Hey there!", "https://pps.whatsapp.net/p.jpg")
    assert (await ana.session.execute(ModifyBlocked(phone=bob.phone, action="block"))).value
    assert (await ana.session.execute(SetLastSeen(visualization_type="ALL"))).success
    assert (await ana.session.execute(ShowTyping(phone=bob.phone, seconds=1))).value
    privacy = await ana.session.execute(ReadPrivacy())
    assert (privacy.last_seen, privacy.read_receipts) == ("ALL", "enable")
    assert "messagesDuration" not in privacy.model_dump(by_alias=True)


async def test_number_typed_in_another_spelling_is_found_as_whatsapp_knows_it(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    typed = bob.phone.replace("5511", "5521")
    await whatsapp.control("behave", spellings={typed: bob.phone})

    found = await ana.session.execute(LookUpNumber(phones=(typed, bob.phone)))

    assert list(found) == [bob.phone]
    assert str(found[bob.phone]).endswith("@lid")


async def test_card_names_the_number_that_whatsapp_knows(pair: Pair) -> None:
    ana, bob = pair
    card = SendContact(phone=bob.phone, contact_name="Carl", contact_phone="5531988880001")
    numbers = {"5531988880001": "553188880001"}
    attempt = Attempt("CARD", ana.session.spec.epoch, PATIENCE_SECONDS, numbers=numbers)
    await ana.session.send(card, attempt)
    shown = (await bob.wait_for(MessageReceived)).content["contact"]
    assert "waid=553188880001:+5531988880001" in shown["vCard"]


async def test_picture_is_looked_up_and_its_absence_is_an_answer(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    found = await ana.session.execute(LookUpPicture(phone=bob.phone))
    assert found.url == "https://pps.whatsapp.net/p.jpg"

    for code in ("404", "401"):  # there is none, or the person hides it
        await whatsapp.control("behave", no_pictures={bob.phone: code})
        assert (await ana.session.execute(LookUpPicture(phone=bob.phone))).url is None

    await whatsapp.control("behave", no_pictures={bob.phone: "429"})
    with pytest.raises(SessionUnavailable):
        await ana.session.execute(LookUpPicture(phone=bob.phone))


async def test_new_picture_of_another_person_is_reported(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    for removed in (False, True):
        ana.forget()
        await whatsapp.control("repaint", phone=ana.phone, person=bob.phone, removed=removed)
        assert (await ana.wait_for(PictureChanged)).chat == bob.phone


async def test_pictures_of_a_person_and_a_group(pair: Pair, whatsapp: FakeWhatsApp) -> None:
    ana, _bob = pair
    made = await ana.session.execute(
        CreateGroup.model_validate({"groupName": "Team", "phones": ["5511977776666"]})
    )
    await ana.session.execute(SetProfilePicture(value="my face"))
    photo = SetGroupPhoto.model_validate({"groupId": made.phone, "groupPhoto": "our logo"})
    await ana.session.execute(photo)
    pictures = (await whatsapp.control("state"))["pictures"]
    assert pictures[ana.phone] == "my face"
    assert pictures[made.phone.removesuffix("-group")] == "our logo"


async def test_calls_are_offered_missed_rejected_and_typing_shows(
    pair: Pair, whatsapp: FakeWhatsApp
) -> None:
    ana, bob = pair
    await whatsapp.control("ring", phone=ana.phone, caller=bob.phone, video=True)
    call = await ana.wait_for(CallChanged)
    assert (call.call_id, call.chat, call.status, call.is_video) == (
        "CALL1",
        bob.phone,
        "offered",
        True,
    )
    await ana.session.execute(RejectCall(phone=call.chat, call_id=call.call_id))
    await whatsapp.state_when(lambda state: "reject" in state["calls"])
    await whatsapp.control("ring", phone=ana.phone, caller=bob.phone, reason="timeout")
    missed = await ana.wait_for(CallChanged, lambda c: c.status == "missed")
    assert missed.is_video
    assert abs((missed.at - call.at).total_seconds()) < 60

    await bob.session.execute(ShowTyping(phone=ana.phone, seconds=1))
    shown = await ana.wait_for(PresenceChanged, lambda p: p.status == "composing")
    assert shown.chat == bob.phone
