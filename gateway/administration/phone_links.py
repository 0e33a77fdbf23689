"""Handlers of the link of an instance: make, read and revoke it, and confirm a linking."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.contract.extensions.phone_links import (
    ConfirmLinking,
    CreatedPhoneLink,
    CreatePhoneLink,
    PhoneLinkState,
    ReadPhoneLink,
    RevokePhoneLink,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.errors import Conflict, NotFound
from gateway.identities.numbers import spellings
from gateway.instances.base_urls import BaseUrls
from gateway.instances.phone_links import LinkStatus, PhoneLinks
from gateway.instances.store import Instance
from gateway.randomness import RandomBytes

LINK_PATH: Final = "/panel/link-phone/"
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """How long a link lives, in minutes, how many codes it shows, and whether there is its page."""

    minutes: int
    max_codes: int
    has_page: bool


@dataclass(frozen=True, slots=True)
class PhoneLinkContext:
    """What the handlers need."""

    links: PhoneLinks
    base_urls: BaseUrls
    random_bytes: RandomBytes
    limits: LinkLimits
    instance: Instance


handlers = Handlers[PhoneLinkContext]()


@handlers.handles(CreatePhoneLink)
async def create_link(context: PhoneLinkContext, operation: CreatePhoneLink) -> CreatedPhoneLink:
    instance_id, limits = context.instance.id, context.limits
    if not limits.has_page:
        raise Conflict("GATEWAY_PANEL is off, and with it the page of the link")
    token = context.random_bytes(_TOKEN_BYTES).hex()
    base_url = await context.base_urls.find(instance_id)
    expires_at = await context.links.create(
        instance_id,
        token,
        phones=spellings(operation.phone) if operation.phone else (),
        max_codes=limits.max_codes,
        minutes=operation.expires_in_minutes or limits.minutes,
    )
    if expires_at is None:
        raise Conflict("A phone is linked: log it out before another one can be linked")
    return CreatedPhoneLink(
        url=f"{base_url}{LINK_PATH}{token}",
        expires_at=expires_at.astimezone(UTC),
        max_codes=limits.max_codes,
    )


@handlers.handles(ReadPhoneLink)
async def read_link(context: PhoneLinkContext, _operation: ReadPhoneLink) -> PhoneLinkState:
    link = await context.links.find(context.instance.id)
    if link is None:
        raise NotFound("This instance has no link")
    is_used_up = link.status is LinkStatus.WAITING and not link.codes_left
    return PhoneLinkState(
        status=LinkStatus.USED_UP if is_used_up else link.status,
        created_at=link.created_at.astimezone(UTC),
        expires_at=link.expires_at.astimezone(UTC),
        codes_left=link.codes_left,
        linked_at=_utc(link.used_at),
        revoked_at=_utc(link.revoked_at),
        awaiting_confirmation=link.awaits_confirmation,
    )


@handlers.handles(RevokePhoneLink)
async def revoke_link(context: PhoneLinkContext, _operation: RevokePhoneLink) -> Value:
    if not await context.links.revoke(context.instance.id):
        raise NotFound("This instance has no open link")
    return Value()


@handlers.handles(ConfirmLinking)
async def confirm_linking(context: PhoneLinkContext, _operation: ConfirmLinking) -> Value:
    if not await context.links.confirm(context.instance.id):
        raise Conflict("No linking waits to be confirmed")
    return Value()


def _utc(at: datetime | None) -> datetime | None:
    return at and at.astimezone(UTC)
