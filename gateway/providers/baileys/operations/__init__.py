"""Handlers of every operation that this provider supports."""

from gateway.whatsapp_web.operations import operations as shared

operations = shared
