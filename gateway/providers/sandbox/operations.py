"""Every operation the sandbox answers."""

from gateway.providers.sandbox import acting, linking, presence

operations = acting.operations | presence.operations | linking.operations
