"""What an account or an instance sets otherwise than the service."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from psycopg.types.json import Jsonb

from gateway.contract.extensions.account import (
    AccountSettings,
    ChangeAccountSettings,
    EffectiveSettings,
    OwnSettings,
    ReadAccountSettings,
)
from gateway.contract.handlers import Handlers
from gateway.database.pool import Count, Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest, UnknownInstance
from gateway.instances.accounts import Account
from gateway.instances.feature_settings import FeatureSettings
from gateway.instances.store import Instances

_READ_SETTINGS = query("instances", "read_feature_settings")
_CHANGE_SETTINGS = query("instances", "change_feature_settings")
_OF_ACCOUNT, _DEFAULT = "", "default"


@dataclass(frozen=True, slots=True)
class SettingsContext:
    """What the handlers need; `features` are the settings of the service."""

    database: Database
    instances: Instances
    features: FeatureSettings
    account: Account


@dataclass(frozen=True, slots=True)
class _Own:
    instance_id: str
    settings: Mapping[str, Any]


handlers = Handlers[SettingsContext]()


@handlers.handles(ReadAccountSettings)
async def read_settings(
    context: SettingsContext, operation: ReadAccountSettings
) -> AccountSettings:
    await _require_own(context, operation.instance_id)
    return await _settings(context, operation.instance_id)


@handlers.handles(ChangeAccountSettings)
async def change_settings(
    context: SettingsContext, operation: ChangeAccountSettings
) -> AccountSettings:
    await _require_own(context, operation.instance_id)
    if operation.instance_id is not None and operation.client_token_manages is not None:
        raise InvalidRequest("clientTokenManages: is for the account: leave out instanceId")
    given = operation.model_dump(exclude={"instance_id"}, exclude_none=True)
    await context.database.fetch_one(
        Count,
        _CHANGE_SETTINGS,
        account_id=context.account.id,
        instance_id=operation.instance_id or _OF_ACCOUNT,
        settings=Jsonb({name: value for name, value in given.items() if value != _DEFAULT}),
        removed=[name for name, value in given.items() if value == _DEFAULT],
    )
    return await _settings(context, operation.instance_id)


async def _require_own(context: SettingsContext, instance_id: str | None) -> None:
    if instance_id is None:
        return
    found = await context.instances.find(instance_id)
    if found is None or found.account_id != context.account.id:
        raise UnknownInstance


async def _settings(context: SettingsContext, instance_id: str | None) -> AccountSettings:
    rows = await context.database.fetch_all(
        _Own,
        _READ_SETTINGS,
        account_id=context.account.id,
        instance_id=instance_id or _OF_ACCOUNT,
    )
    by_instance = {row.instance_id: row.settings for row in rows}
    own = by_instance.get(instance_id or _OF_ACCOUNT, {})
    effective = context.features.with_own(by_instance.get(_OF_ACCOUNT, {})).with_own(own)
    return AccountSettings(
        instance_id=instance_id,
        own=OwnSettings.model_validate(own),
        effective=EffectiveSettings(**asdict(effective)),
    )
