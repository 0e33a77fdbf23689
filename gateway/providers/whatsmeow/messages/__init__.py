"""Every message this provider can send: WhatsApp's words for it, a module per family."""

from gateway.providers.whatsmeow.messages import text

sends = text.sends
