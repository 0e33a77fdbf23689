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

Beside the phones there is a world that all instances share, a row for each thing in it
(entities.py): groups, communities, channels, profiles, catalogues. What one changes, others see
and are told; what one writes to another's number, or to a group both are in, arrives there. A
group keeps its rules: who may write, who may change it, how many it holds.

It does NOT simulate: whether WhatsApp would take the files of a message or its number (it takes
messages to every number, and to groups it does not know); how late a message can still be edited,
deleted or pinned, and where it is; the sound of calls; WhatsApp's own limits of speed, and bans,
beyond the faults one plans; encryption, several devices, history at linking. A QR code or pairing
code is shown, and scanning needs neither. A scheduled receipt comes even when the chat is one that
sends none. When the connection flaps, a message that came in between is told after the
reconnection.
"""
