"""API keys of an account: named credentials with a part of its rights."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

from pydantic import AwareDatetime, Field, StringConstraints

from gateway.contract.documented import Example
from gateway.contract.operation import AuditedState, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire
from gateway.contract.zapi.partner import PartnerOperation

_CREATED, _NOT_FOUND, _CONFLICT = 201, 404, 409
_MAX_NAME_LENGTH, _MAX_ID_LENGTH = 100, 64
_MAX_INSTANCES, _MAX_NETWORKS = 100, 50
_ID = "8F14E45FCEEA167A5A36DEDD4BEA2543"

_SHOWN: Final = {
    "id": _ID,
    "name": "CRM",
    "scopes": ["read", "send"],
    "instanceIds": ["3C67AB641C8AA0412F6A2242B4E23AC7"],
    "networks": ["203.0.113.0/24"],
    "expiresAt": "2100-01-01T00:00:00Z",
    "createdBy": "partner token",
    "createdAt": "2026-01-31T12:00:00Z",
    "lastUsedAt": "2026-02-01T08:30:00Z",
    "lastUsedFrom": "203.0.113.7",
}


class ShownApiKey(Wire):
    """A key without its secret; `lastUsedAt` is a minute late at most, null if it was not used."""

    id: str
    name: str
    scopes: tuple[ApiScope, ...]
    instance_ids: tuple[str, ...]
    networks: tuple[str, ...]
    expires_at: datetime | None
    created_by: str
    created_at: datetime
    last_used_at: datetime | None = None
    last_used_from: str | None = None


class ApiKeyList(Wire):
    """The keys of the account, oldest first; a revoked one is left out."""

    keys: tuple[ShownApiKey, ...]


class ListApiKeys(PartnerOperation[ApiKeyList], method="GET", path="/account/keys"):
    """The API keys of the account, and when each was used last. An extension.

    Not with the Client-Token.
    """

    scope = ApiScope.MANAGE
    absolute = True
    answer_example: ClassVar[Any] = {"keys": [_SHOWN]}


class CreatedApiKey(Wire):
    """A new key; `key` is shown only now."""

    id: str
    key: str
    name: str
    scopes: tuple[ApiScope, ...]
    instance_ids: tuple[str, ...]
    networks: tuple[str, ...]
    expires_at: datetime | None


class CreateApiKey(
    PartnerOperation[CreatedApiKey],
    method="POST",
    path="/account/keys",
    answer_status=_CREATED,
):
    """Makes an API key with some of the account's rights; its `key` is shown once. An extension.

    It stands in place of the instance token in the path, or as `Authorization: Bearer` on routes of
    the account. Whatever else a request shows, only the scopes of its key count. A request with a
    key needs no Client-Token. Without the scope `manage` no answer shows a token or the rest of a
    webhook's address. `instanceIds` limits the key to instances, which excludes the routes of the
    account; `networks` to addresses, within those of the account.

    Made with a key, it has no scope, network or end beyond those of that key. Not with the
    Client-Token.
    """

    scope = ApiScope.MANAGE
    absolute = True
    audited_state = AuditedState.API_KEYS
    failures = (*PartnerOperation.failures, _NOT_FOUND, _CONFLICT)
    example: ClassVar[Example] = {
        "name": "CRM",
        "scopes": ["read", "send"],
        "networks": ["203.0.113.0/24"],
        "expiresAt": "2100-01-01T00:00:00Z",
    }
    example_minimal: ClassVar[Example] = {"name": "CRM", "scopes": ["send"]}
    answer_example: ClassVar[Any] = {
        "id": _ID,
        "key": "gwk_c7b0f7a1d8e94c1f8e0d5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d",
        "name": "CRM",
        "scopes": ["read", "send"],
        "instanceIds": [],
        "networks": ["203.0.113.0/24"],
        "expiresAt": "2100-01-01T00:00:00Z",
    }

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=_MAX_NAME_LENGTH),
    ]
    scopes: Annotated[tuple[ApiScope, ...], Field(min_length=1, max_length=len(ApiScope))]
    instance_ids: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=_MAX_ID_LENGTH)], ...],
        Field(max_length=_MAX_INSTANCES, description="only these instances; empty: all"),
    ] = ()
    networks: Annotated[
        tuple[str, ...],
        Field(max_length=_MAX_NETWORKS, description="only from there; empty: everywhere"),
    ] = ()
    expires_at: Annotated[
        AwareDatetime | None, Field(description="the key is unknown from then on")
    ] = None


class RevokeApiKey(PartnerOperation[Value], method="DELETE", path="/account/keys/{key_id}"):
    """Revokes an API key: at once on every node, also for open event streams. An extension.

    Keys that were made with it stay. Not with the Client-Token.
    """

    scope = ApiScope.MANAGE
    absolute = True
    audited_state = AuditedState.API_KEYS
    failures = (*PartnerOperation.failures, _NOT_FOUND)
    example: ClassVar[Example] = {"keyId": _ID}
    answer_example: ClassVar[Any] = {"value": True}

    key_id: str
