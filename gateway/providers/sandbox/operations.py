"""Every operation the sandbox answers."""

from gateway.providers.sandbox import linking, presence, received_media

operations = presence.operations | linking.operations | received_media.operations
