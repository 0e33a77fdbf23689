"""Builds what shows an account, and the installation, at a glance."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gateway.administration import account_overview, person_data
from gateway.administration.account_admin import AccountAdmin
from gateway.administration.account_overview import OverviewContext
from gateway.administration.audit import Audit, Caller
from gateway.administration.findings import ProblemFinder
from gateway.administration.person_data import PersonDataContext
from gateway.administration.system import SystemState
from gateway.administration.user_admin import UserAdmin
from gateway.api.provider_table import provider_table
from gateway.contract.catalogue import catalogue
from gateway.contract.extensions.connections import ReceiptAlarm
from gateway.contract.extensions.overview import RetentionRules
from gateway.contract.handlers import OperationHandlers
from gateway.database.deadlines import DatabaseDeadline
from gateway.instances.creation import Registry
from gateway.operations.services import OperationExecutor
from gateway.providers.loading import load_provider
from gateway.runtime.node_context import NodeContext
from gateway.runtime.provider_selection import (
    enabled_providers,
    provider_selection_of,
    secret_settings_of,
)
from gateway.runtime.users import build_user_admin
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class OverviewRules:
    """What the overview knows of the settings.

    Attributes:
        retention: how long things are stored.
        stalled_seconds: how long a queue stands still before that needs attention.
        max_waiting: messages that each queue may hold; 0 sets no limit.
        data_dir: of this node.
        providers: that instances may have.
        default_provider: of new instances; None where each names its own.
        receipt_alarm: of instances that have none of their own.
    """

    retention: RetentionRules
    stalled_seconds: float
    max_waiting: int
    data_dir: Path
    providers: Sequence[str]
    default_provider: str | None
    receipt_alarm: ReceiptAlarm

    @classmethod
    def of(cls, settings: Settings) -> "OverviewRules":
        retention = RetentionRules(
            history_days=settings.queue.history_days,
            failed_message_days=settings.queue.failed_days,
            file_days=settings.media.retention_days,
            callback_days=settings.webhooks.history_days,
            dead_letter_days=settings.webhooks.dead_letter_days,
            audit_days=settings.observability.audit_days,
        )
        return cls(
            retention,
            settings.queue.stalled_seconds,
            settings.queue.max_waiting,
            settings.storage.data_dir,
            enabled_providers(settings),
            provider_selection_of(settings).default,
            ReceiptAlarm(
                missing_receipts=settings.connections.receipt_alarm_missing,
                of_messages=settings.connections.receipt_alarm_of,
                wait_seconds=settings.connections.receipt_alarm_seconds,
            ),
        )


def overview_executors(node: NodeContext, rules: OverviewRules) -> Sequence[OperationExecutor]:
    """Returns what answers the overview of an account, and what is stored of a person."""
    overview = partial(
        OverviewContext,
        node.database,
        _problems(node, rules),
        node.media.allowance,
        rules.retention,
        _registry(node),
    )
    return (
        OperationHandlers(account_overview.handlers, overview),
        OperationHandlers(person_data.handlers, partial(PersonDataContext, node.database)),
    )


def build_system(
    node: NodeContext, rules: OverviewRules, audit: Audit, executors: Sequence[OperationExecutor]
) -> SystemState:
    """Returns what an operator sees of the installation."""

    def users_as(caller: Caller) -> UserAdmin:
        return build_user_admin(node.database, node.vault, node.clock, audit, caller)

    def accounts_as(caller: Caller) -> AccountAdmin:
        return AccountAdmin(_registry(node), audit, caller)

    return SystemState(
        node.database.within(DatabaseDeadline.GAUGES),
        _problems(node, rules),
        rules.data_dir,
        rules.default_provider,
        lambda: supported_table(executors, rules.providers),
        users_as,
        accounts_as,
    )


def supported_table(
    executors: Sequence[OperationExecutor], providers: Sequence[str]
) -> Mapping[str, Any]:
    """Returns what GET /providers answers.

    *executors* are all of a node: the last one passes operations to the sessions.
    """
    *gateway_executors, _sessions = executors
    return provider_table(
        catalogue(),
        {name: load_provider(name).supports for name in providers},
        lambda operation: any(each.supports(operation) for each in gateway_executors),
    )


def _registry(node: NodeContext) -> Registry:
    return Registry(node.database, node.vault, os.urandom, secret_settings=secret_settings_of)


def _problems(node: NodeContext, rules: OverviewRules) -> ProblemFinder:
    database = node.database.within(DatabaseDeadline.GAUGES)
    return ProblemFinder(database, rules.stalled_seconds, rules.max_waiting)
