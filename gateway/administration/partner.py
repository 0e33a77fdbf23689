"""Handlers of the partner routes: make, list and delete the instances of an account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.administration import listing
from gateway.administration.listing import InstanceFilter, InstanceWithConnection
from gateway.administration.removal import Remover
from gateway.clock import Clock
from gateway.contract.extensions.partner import DeletedInstance, DeleteInstance
from gateway.contract.handlers import Handlers
from gateway.contract.zapi.partner import (
    CreatedInstance,
    CreateInstance,
    InstancePage,
    ListedInstance,
    ListInstances,
)
from gateway.database.pool import Database
from gateway.errors import AddressRefused, InvalidRequest, Unavailable
from gateway.instances.accounts import Account
from gateway.instances.creation import InstanceOptions, Registry
from gateway.instances.terms import TRIAL, due_at_ms, due_ms, payment_status
from gateway.public_address import AddressPolicy


@dataclass(frozen=True, slots=True)
class ProviderSelection:
    """The providers that new instances may have.

    Attributes:
        providers: the names of the providers of this gateway.
        default: the provider of an instance whose creator names none.
        trials: whether an instance begins with a trial instead of a subscription.
    """

    providers: Sequence[str]
    default: str | None
    trials: bool

    def choose(self, provider: str | None) -> str:
        """Returns the provider of a new instance.

        Raises:
            InvalidRequest: this gateway does not have the given provider.
            Unavailable: this gateway has no provider.
        """
        if not self.providers:
            raise Unavailable("This gateway has no provider: its operator must configure one")
        chosen = provider or self.default
        if chosen is None or chosen not in self.providers:
            raise InvalidRequest(f"provider: must be one of {', '.join(self.providers)}")
        return chosen


@dataclass(frozen=True, slots=True)
class PartnerContext:
    """What the handlers of the partner routes need."""

    database: Database
    registry: Registry
    remover: Remover
    policy: AddressPolicy
    selection: ProviderSelection
    clock: Clock
    account: Account
    max_instances: int


handlers = Handlers[PartnerContext]()


@handlers.handles(CreateInstance)
async def create_instance(context: PartnerContext, operation: CreateInstance) -> CreatedInstance:
    trial_ends_at = context.clock.now() + TRIAL if context.selection.trials else None
    made = await context.registry.add_instance(
        context.account.id,
        operation.name,
        provider=context.selection.choose(operation.provider),
        provider_settings=operation.provider_settings,
        by_client_token=context.account.is_found_by_client_token,
        max_instances=context.max_instances,
        options=options_of(operation, context.policy, trial_ends_at),
    )
    return CreatedInstance(id=made.id, token=made.token, due=due_at_ms(trial_ends_at))


def options_of(
    wanted: CreateInstance, policy: AddressPolicy, trial_ends_at: datetime | None = None
) -> InstanceOptions:
    """Returns the settings of a new instance; raises InvalidRequest for a refused webhook URL."""

    def address(field: str) -> str | None:
        url: str = getattr(wanted, field)
        if not url:
            return None
        try:
            policy.check_url(url)
        except AddressRefused as error:
            raise InvalidRequest(f"{CreateInstance.model_fields[field].alias}: {error}") from None
        return url

    both = address("received_and_delivery_callback_url")
    received = address("received_callback_url")
    return InstanceOptions(
        session_name=wanted.session_name,
        is_device=wanted.is_device,
        business_device=wanted.business_device,
        received_callback_url=both or received,
        delivery_callback_url=address("delivery_callback_url"),
        message_status_callback_url=address("message_status_callback_url"),
        connected_callback_url=address("connected_callback_url"),
        disconnected_callback_url=address("disconnected_callback_url"),
        presence_chat_callback_url=address("presence_chat_callback_url"),
        notify_sent_by_me=both is not None,
        call_reject_auto=wanted.call_reject_auto,
        call_reject_message=wanted.call_reject_message,
        auto_read_message=wanted.auto_read_message,
        auto_read_status=wanted.auto_read_status,
        disable_enqueue_when_disconnected=wanted.disable_enqueue_when_disconnected,
        trial_ends_at=trial_ends_at,
        subscribed=trial_ends_at is None,
    )


@handlers.handles(ListInstances)
async def list_instances(context: PartnerContext, operation: ListInstances) -> InstancePage:
    where = InstanceFilter(
        account_id=context.account.id,
        mobile=operation.middleware == "mobile" if operation.middleware else None,
        text=operation.query,
        connected=operation.whatsapp_connected,
    )
    total = await listing.count_instances(context.database, where)
    rows = await listing.list_instances(
        context.database,
        where,
        limit=operation.page_size,
        offset=(operation.page - 1) * operation.page_size,
    )
    return InstancePage(
        total=total,
        total_page=-(-total // operation.page_size),
        page_size=operation.page_size,
        page=operation.page,
        content=tuple(_listed(context, row) for row in rows),
    )


@handlers.handles(DeleteInstance)
async def delete_instance(context: PartnerContext, operation: DeleteInstance) -> DeletedInstance:
    await context.remover.remove(operation.instance_id, account_id=context.account.id)
    return DeletedInstance()


def _listed(context: PartnerContext, row: InstanceWithConnection) -> ListedInstance:
    received = row.received_callback_url or ""
    return ListedInstance(
        id=row.id,
        token=context.registry.token_of(row),
        name=row.name,
        tenant=row.account_id,
        created=row.created_at.astimezone(UTC),
        due=due_ms(row),
        payment_status=payment_status(row),
        delivery_callback_url=row.delivery_callback_url or "",
        received_callback_url=received,
        received_and_delivery_callback_url=received if row.notify_sent_by_me else "",
        disconnected_callback_url=row.disconnected_callback_url or "",
        connected_callback_url=row.connected_callback_url or "",
        presence_chat_callback_url=row.presence_chat_callback_url or "",
        message_status_callback_url=row.message_status_callback_url or "",
        received_status_callback_url="",
        phone_connected=row.connected,
        whatsapp_connected=row.connected,
        middleware="mobile" if row.is_device else "web",
    )
