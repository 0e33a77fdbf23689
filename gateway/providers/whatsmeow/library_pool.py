"""How the library's clients share connections to Postgres."""

from pathlib import Path
from typing import Final

from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.sessions.library_pool import LibraryPoolOptions

# The library reads and writes the same identity key for each device at each message: for a text to
# one person, four reads and four commits. Only its own client changes the keys of an instance, but
# for the erasure of a person; the key that then stays in memory is the one that the device has.
_IDENTITY_KEYS: Final = {
    "table": "whatsmeow_identity_keys",
    "read": "select identity from whatsmeow_identity_keys where our_jid=$1 and their_id=$2",
    "write": "insert into whatsmeow_identity_keys (our_jid, their_id, identity)"
    " values ($1, $2, $3)"
    " on conflict (our_jid, their_id) do update set identity=excluded.identity",
}

# What the library writes as it decrypts a message, and what makes a second decryption impossible.
_RATCHETS: Final = (
    {
        "table": "whatsmeow_sessions",
        "column": "session",
        "read": "select session from whatsmeow_sessions where our_jid=$1 and their_id=$2",
        "write": "insert into whatsmeow_sessions (our_jid, their_id, session) values ($1, $2, $3)"
        " on conflict (our_jid, their_id) do update set session=excluded.session",
    },
    {
        "table": "whatsmeow_sender_keys",
        "column": "sender_key",
        "read": "select sender_key from whatsmeow_sender_keys"
        " where our_jid=$1 and chat_id=$2 and sender_id=$3",
        "write": "insert into whatsmeow_sender_keys (our_jid, chat_id, sender_id, sender_key)"
        " values ($1, $2, $3, $4)"
        " on conflict (our_jid, chat_id, sender_id) do update set sender_key=excluded.sender_key",
    },
    {"write": "delete from whatsmeow_pre_keys where jid=$1 and key_id=$2"},
)


def library_pool_options(settings: WhatsmeowSettings, folder: Path) -> LibraryPoolOptions:
    return LibraryPoolOptions(folder, settings.database_connections, _IDENTITY_KEYS, _RATCHETS)
