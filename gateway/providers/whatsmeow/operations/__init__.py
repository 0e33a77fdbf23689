"""Every operation this provider answers, a module per room of the contract."""

from gateway.providers.whatsmeow.operations import linking, presence

operations = linking.operations | presence.operations
