"""A simulated WhatsApp: behaves like a phone on a network, and remembers what it was sent.

    send --> session --> messages --> world --> sandbox.sent       the journal
                         (latency)    (one          |
                                    statement)  sandbox.events     receipts, state, messages
    people, over HTTP --> control --> people --------^   |
    (scan, cut, write, plan faults)                      v
                     events() <-- session <-- pump of the engine (engine.py)

Everything it knows is in Postgres: the journal survives a kill -9, and control works from any
node, with or without an open session.

It takes every message, refuses what WhatsApp refuses for its form (limits.py) or for what it would
do to an earlier message (changes.py), shows what became of that one (`marks` of the journal), and
whoever reads a poll, a list, a button or an event answers it (answers.py).

It does NOT simulate: whether WhatsApp would take the files of a message or its number; groups,
contacts, calls and channels; what others receive (two sandbox phones cannot write to each other);
how late a message can still be edited, deleted or pinned, and where it is; WhatsApp's own
limits of speed, and bans, beyond the faults one plans; encryption, identities (`@lid`), several
devices, history at linking. A QR code or pairing code is shown, and scanning needs neither. A
scheduled receipt comes even when the chat is one that sends none. When the connection flaps, a
message that came in between is told after the reconnection.
"""

from gateway.contract.wire import Wire
from gateway.providers.sandbox.engine import SandboxEngine
from gateway.providers.sandbox.messages import sends
from gateway.providers.sandbox.operations import operations
from gateway.providers.sandbox.settings import SandboxSettings, read_settings
from gateway.sessions.provider import Surroundings


class SandboxProvider:
    """WhatsApp, simulated."""

    name = "sandbox"
    can_repeat_send = True
    settings = SandboxSettings

    def supports(self, command: type[Wire]) -> bool:
        return sends.supports(command) or operations.supports(command)

    def start(self, surroundings: Surroundings) -> SandboxEngine:
        return SandboxEngine(surroundings, read_settings(surroundings.environment))


provider = SandboxProvider()
