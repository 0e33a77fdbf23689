"""Inviting somebody to administer a channel."""

from typing import ClassVar

from gateway.contract.documented import Example
from gateway.contract.send import Send
from gateway.contract.wire import Incoming, NewsletterId, Phone
from gateway.contract.zapi.messages.text import Text


class AdminInvite(Incoming):
    """Which channel, and what the invitation says."""

    newsletter_id: NewsletterId
    caption: Text


class SendNewsletterAdminInvite(Send, path="/send-newsletter-admin-invite"):
    """Invites somebody to administer a channel."""

    phone: Phone
    admin_invite_message: AdminInvite

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "adminInviteMessage": {
            "newsletterId": "120363166555745933@newsletter",
            "caption": "Join us as an admin",
        },
    }

    def readable_text(self) -> str | None:
        return self.admin_invite_message.caption
