"""A simulated WhatsApp: behaves like a phone on a network and stores every message it accepts.

    send --> session --> messages --> world --> sandbox.sent       the journal
                         (latency)    (one          |
                                    statement)  sandbox.events     receipts, state, messages
    people, over HTTP --> control --> people --------^   |
    (scan, cut, write, plan faults)                      v
                     events() <-- session <-- delivery loop of the engine (engine.py)

All state is in Postgres: the journal survives a kill -9, and control works from any node, with or
without an open session.

The sandbox accepts every message, except one that is beyond WhatsApp's limits (the `limits` of its
class) or that may not change the earlier message it names (changes.py). The `marks` of the journal
show what was done to a message. The simulated reader of a poll, a list, a button or an event
answers it (answers.py).

All instances share one world with a row for each entity (entities.py): groups, communities,
channels, profiles, catalogues. When one instance changes an entity, the others see it and get an
event. A message to the number of another instance, or to a group that both are in, is delivered
to that instance. A group has rules: who may write, who may change it, how many members it has.

A message to a number without WhatsApp is accepted, as WhatsApp does, and never delivered or read.
Which numbers those are is in numbers.py.

It does NOT simulate: whether WhatsApp would accept the files of a message (and the sandbox accepts
messages to unknown groups); until when and where a message can
be edited, deleted or pinned; the sound of calls; WhatsApp's rate limits and bans, beyond the
planned faults; encryption, several devices, history at linking. It shows a QR code or pairing code,
and scanning needs neither. A scheduled receipt comes even in a chat that sends none. When the
connection flaps, a message that came in between is delivered after the reconnection.
"""
