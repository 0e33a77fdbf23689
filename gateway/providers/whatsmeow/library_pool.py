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


def library_pool_options(settings: WhatsmeowSettings, folder: Path) -> LibraryPoolOptions:
    return LibraryPoolOptions(folder, settings.database_connections, _IDENTITY_KEYS)
