"""Invitations to administer a channel."""

from typing import ClassVar

from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit
from gateway.contract.send import OutgoingMessage
from gateway.contract.wire import Incoming, NewsletterId, Phone
from gateway.contract.zapi.messages.text import MessageText


class AdminInvite(Incoming):
    """The channel and the text of the invitation."""

    newsletter_id: NewsletterId
    caption: MessageText


class SendNewsletterAdminInvite(OutgoingMessage, path="/send-newsletter-admin-invite"):
    """Invites a contact to administer a channel."""

    phone: Phone
    admin_invite_message: AdminInvite

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "adminInviteMessage": {
            "newsletterId": "120363166555745933@newsletter",
            "caption": "Join us as an admin",
        },
    }
    limits: ClassVar[tuple[Limit, ...]] = ()

    def readable_text(self) -> str | None:
        return self.admin_invite_message.caption

    def echo(self, _context: EchoContext) -> Content | None:
        return {
            "newsletterAdminInvite": {
                "newsletterId": self.admin_invite_message.newsletter_id,
                "text": self.admin_invite_message.caption,
            }
        }
