"""What one number is: its id, its token's place, and what its provider can do, in words."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from gateway.contract.operation import Operation
from gateway.contract.wire import Wire
from gateway.contract.zapi.business.catalog import ReadOwnCatalog
from gateway.contract.zapi.calls import SendCall
from gateway.contract.zapi.communities import CreateCommunity
from gateway.contract.zapi.groups.group import CreateGroup
from gateway.contract.zapi.instances import ReadPhoneCode, ReadQrCode, SetProfilePicture
from gateway.contract.zapi.messages.interactive import (
    SendButtonActions,
    SendButtonList,
    SendOptionList,
)
from gateway.contract.zapi.messages.media import (
    SendAudio,
    SendDocument,
    SendImage,
    SendSticker,
    SendVideo,
)
from gateway.contract.zapi.messages.message_actions import PinMessage, Revoke
from gateway.contract.zapi.messages.places_and_people import SendContact, SendLocation
from gateway.contract.zapi.messages.polls_and_events import SendEvent, SendPoll
from gateway.contract.zapi.messages.reactions import SendReaction
from gateway.contract.zapi.messages.text import SendLink, SendText
from gateway.contract.zapi.newsletters import CreateNewsletter
from gateway.contract.zapi.status import SendTextStatus
from gateway.panel.languages import N_
from gateway.panel.one_instance import frame_of, named_in
from gateway.panel.page import Page
from gateway.panel.services import ProviderFacts
from gateway.panel.visit import Visit

page = Page(path="/instances", title=N_("About"))

_Abilities = Mapping[str, Sequence[tuple[str, type[Wire]]]]
_ABILITIES: Final[_Abilities] = {
    N_("Messages"): (
        (N_("Texts"), SendText),
        (N_("Links with a preview"), SendLink),
        (N_("Pictures"), SendImage),
        (N_("Videos"), SendVideo),
        (N_("Voice and audio"), SendAudio),
        (N_("Documents"), SendDocument),
        (N_("Stickers"), SendSticker),
        (N_("Locations"), SendLocation),
        (N_("Contact cards"), SendContact),
        (N_("Reactions"), SendReaction),
        (N_("Polls"), SendPoll),
        (N_("Events"), SendEvent),
        (N_("Buttons"), SendButtonList),
        (N_("Buttons that open a page or call"), SendButtonActions),
        (N_("Lists of options"), SendOptionList),
        (N_("Delete for everyone"), Revoke),
        (N_("Pin"), PinMessage),
    ),
    N_("More of WhatsApp"): (
        (N_("Groups"), CreateGroup),
        (N_("Communities"), CreateCommunity),
        (N_("Channels"), CreateNewsletter),
        (N_("Status"), SendTextStatus),
        (N_("Catalog"), ReadOwnCatalog),
        (N_("Calls"), SendCall),
        (N_("Profile picture and name"), SetProfilePicture),
    ),
    N_("Linking"): (
        (N_("By QR code"), ReadQrCode),
        (N_("By phone number"), ReadPhoneCode),
    ),
}


@page.get("/{instance_id}/about")
async def show(visit: Visit) -> Response:
    instance = await named_in(visit)
    frame = await frame_of(visit, instance, "/about")
    return await visit.render("instance_about.html", **frame, abilities=_shown(frame["facts"]))


def _shown(facts: ProviderFacts | None) -> Mapping[str, Sequence[tuple[str, bool]]]:
    """Returns what the provider can do, by group; nothing where the gateway does not have it."""
    if facts is None:
        return {}
    return {
        group: [(label, facts.supports(_asked_of_provider(kind))) for label, kind in abilities]
        for group, abilities in _ABILITIES.items()
    }


def _asked_of_provider(kind: type[Wire]) -> type[Wire]:
    """Returns what the provider must do where the gateway itself answers an operation."""
    needed = kind.session_operation if issubclass(kind, Operation) else None
    return needed or kind
