"""Parses JSON that others wrote, within bounds, so that no parse delays the event loop.

json_bounds.py  the limits of a body, and the parse that enforces them
tasks.py        what is parsed: a command, an operation of another node
records.py      and a Kafka record, flat or with an envelope
parser.py       runs small tasks at once, and large ones in the parsing process
process.py      the parsing process
"""
