"""Writes everything of an account into a folder, for its owner or for another system.

Each kind of data is a file of JSON lines. Rows are read in pages, beside a gateway that works: a
row that changes meanwhile is in the export as it was, or as it became.
"""

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from psycopg.sql import SQL

from gateway.administration.listing import InstanceWithConnection
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.payload_seal import Unopened
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest
from gateway.instances.accounts import ListedAccount
from gateway.media.disk import PRIVATE_FILE, make_private_folder

_EXPORT_ACCOUNT = query("export", "export_account")
_EXPORT_INSTANCE = query("export", "export_instance")
_ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rows of an account or of an instance; `key` is the column in whose order they are read."""

    name: str
    statement: SQL
    key: str


KINDS_OF_ACCOUNT: Final = (
    _Kind("users", query("export", "export_users"), "id"),
    _Kind("api_keys", query("export", "export_api_keys"), "id"),
)
KINDS: Final = (
    _Kind("webhooks", query("export", "export_webhooks"), "id"),
    _Kind("contacts", query("export", "export_contacts"), "phone"),
    _Kind("identities", query("export", "export_identities"), "lid"),
    _Kind("chats", query("export", "export_chats"), "phone"),
    _Kind("tags", query("export", "export_tags"), "id"),
    _Kind("consents", query("export", "export_consents"), "phone"),
    _Kind("messages", query("export", "export_messages"), "message_id"),
    _Kind("receipts", query("export", "export_receipts"), "message_id"),
    _Kind("queue", query("export", "export_queue"), "message_id"),
    _Kind("media", query("export", "export_media"), "id"),
    _Kind("traffic", query("export", "export_traffic"), "at"),
)


class CopiesFiles(Protocol):
    """Copies stored files."""

    async def __call__(self, file_id: str, to: Path) -> bool:
        """Copies the content of a file; returns False if it is no longer stored."""


@dataclass(frozen=True, slots=True)
class Export:
    """Exports accounts.

    Attributes:
        database: opens encrypted content.
        token_of: decrypts the token of an instance.
        copy_file: copies stored files.
    """

    database: Database
    token_of: Callable[[InstanceWithConnection], str]
    copy_file: CopiesFiles

    async def write(
        self,
        account: ListedAccount,
        instances: list[InstanceWithConnection],
        folder: Path,
        *,
        tokens: bool,
        files: bool,
    ) -> dict[str, int]:
        """Returns the number of rows by file.

        Args:
            account: what to export.
            instances: of this account.
            folder: is created; only this user may read it.
            tokens: whether the tokens of instances are in the export.
            files: whether stored files are copied, into `files`.

        Raises:
            InvalidRequest: the folder exists and is not empty.
        """
        _make_empty(folder)
        kinds = (*KINDS_OF_ACCOUNT, *KINDS)
        counts = dict.fromkeys(("instances", *(kind.name for kind in kinds)), 0)
        rows = await self._reading.fetch_dicts(_EXPORT_ACCOUNT, account_id=account.id)
        _write_json(folder / "account.json", {**rows[0], "exported_at": datetime.now(UTC)})
        for kind in KINDS_OF_ACCOUNT:
            async for page in self._pages(kind, account_id=account.id):
                _append(folder / f"{kind.name}.jsonl", page)
                counts[kind.name] += len(page)
        for instance in instances:
            await self._add_instance(folder, instance, tokens=tokens)
            counts["instances"] += 1
            for kind in KINDS:
                async for page in self._pages(kind, instance_id=instance.id):
                    _append(folder / f"{kind.name}.jsonl", page)
                    counts[kind.name] += len(page)
                    if files and kind.name == "media":
                        counts["files"] = counts.get("files", 0) + await self._copy(folder, page)
        return counts

    async def _copy(self, folder: Path, rows: list[dict[str, Any]]) -> int:
        """Copies the files of a page, under their ids; returns how many are still stored."""
        copies = folder / "files"
        make_private_folder(copies)
        return sum([await self.copy_file(row["id"], copies / row["id"]) for row in rows])

    async def _add_instance(
        self, folder: Path, instance: InstanceWithConnection, *, tokens: bool
    ) -> None:
        rows = await self._reading.fetch_dicts(_EXPORT_INSTANCE, instance_id=instance.id)
        token = {"token": self.token_of(instance)} if tokens else {}
        _append(folder / "instances.jsonl", [row | token for row in rows])

    async def _pages(self, kind: _Kind, **owner: str) -> AsyncIterator[list[dict[str, Any]]]:
        after = ""
        while rows := await self._reading.fetch_dicts(
            kind.statement, **owner, after=after, max_count=_ROWS_AT_ONCE
        ):
            yield rows
            after = rows[-1][kind.key]

    @property
    def _reading(self) -> Database:
        return self.database.within(DatabaseDeadline.PRUNING)


def json_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row with the values that JSON has, as in the files of an export."""
    written = orjson.dumps(row, default=_as_json, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    read: dict[str, Any] = orjson.loads(written)
    return read


def _make_empty(folder: Path) -> None:
    try:
        make_private_folder(folder)
    except OSError as error:
        raise InvalidRequest(f"{folder}: {error.strerror}") from None
    if any(folder.iterdir()):
        raise InvalidRequest(f"{folder} is not empty: name a new folder")


def _append(file: Path, rows: list[dict[str, Any]]) -> None:
    file.touch(mode=PRIVATE_FILE)
    with file.open("ab") as out:
        for row in rows:
            out.write(
                orjson.dumps(row, default=_as_json, option=orjson.OPT_PASSTHROUGH_SUBCLASS) + b"\n"
            )


def _write_json(file: Path, row: dict[str, Any]) -> None:
    file.touch(mode=PRIVATE_FILE)
    file.write_bytes(orjson.dumps(row, default=_as_json, option=orjson.OPT_INDENT_2) + b"\n")


def _as_json(value: object) -> object:
    if isinstance(value, Unopened):
        return {"unopened": value.reason}
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    return str(value)
