"""Every operation the sandbox answers."""

from gateway.providers.sandbox import linking, presence

operations = presence.operations | linking.operations
