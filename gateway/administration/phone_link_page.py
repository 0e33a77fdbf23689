"""What a person may see and do who has nothing but the address of a link."""

import asyncio
import math
import re
from dataclasses import dataclass, replace
from datetime import datetime

import segno
from pydantic import ValidationError

from gateway.clock import Clock
from gateway.contract.zapi.instances import PhoneCode, QrCode, ReadPhoneCode, ReadQrCode
from gateway.errors import InvalidRequest, NotFound, SessionUnavailable, TooManyRequests
from gateway.identities.numbers import spellings
from gateway.instances.phone_links import LinkStatus, PhoneLink, PhoneLinks
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import hash_of
from gateway.sessions.router import SessionRouter
from gateway.token_buckets import Buckets, Rate

_TOKEN = re.compile("[0-9a-f]{64}", re.ASCII)
_PER_TOKEN = Rate(1.0, 30)
_PER_ADDRESS = Rate(5.0, 100)
_PAIRING_PER_TOKEN = Rate(1 / 20, 3)
_QUIET_MODULES = 4


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link as its page shows it; `code` is the text of a QR code, if there is one now."""

    status: LinkStatus
    expires_at: datetime
    code: str | None = None


@dataclass(frozen=True, slots=True)
class LinkVisitor:
    """Who has the page open: the token of the address, and where from."""

    token: str
    address: str


class PhoneLinkPage:
    """Serves the page of a link: one instance, nothing but its codes.

    A code counts before it is shown, so that a linking with it finds its link. Limits are
    counted on each node: by token, and by address, which bounds guesses of tokens too.
    """

    def __init__(
        self, links: PhoneLinks, instances: Instances, router: SessionRouter, clock: Clock
    ) -> None:
        self._links, self._instances, self._router, self._clock = links, instances, router, clock
        self._by_token, self._by_address = Buckets(_PER_TOKEN), Buckets(_PER_ADDRESS)
        self._pairings = Buckets(_PAIRING_PER_TOKEN)

    async def look(self, visitor: LinkVisitor) -> LinkView:
        """Returns the state of a link, with a code while it waits for a phone.

        Raises:
            NotFound: no link has this token; a newer link may have replaced it.
            TooManyRequests: the visitor asks too often.
        """
        link = await self._find(visitor)
        view = LinkView(link.status, link.expires_at)
        if view.status is not LinkStatus.WAITING:
            return view
        try:
            code = await self._router.execute(await self._instance_of(link), ReadQrCode())
        except SessionUnavailable:  # it is being opened: the page asks again
            return view
        if not isinstance(code, QrCode):  # linked; the event that says so is being stored
            return view
        if not await self._links.count_code(visitor.token, code.value):
            return replace(view, status=await self._status_without_code(visitor))
        return replace(view, code=code.value)

    async def pairing_code(self, visitor: LinkVisitor, phone: str) -> str | None:
        """Returns a code to type on the phone of this number; None if the link is over.

        Raises:
            InvalidRequest: this is no number, or the link is for another one.
            NotFound: no link has this token.
            TooManyRequests: the visitor asks too often.
            SessionUnavailable: WhatsApp cannot be reached now.
        """
        link = await self._find(visitor)
        if link.status is not LinkStatus.WAITING or not link.codes_left:
            return None
        operation = _asking_for(phone)
        if link.phones and not set(spellings(operation.phone)) & set(link.phones):
            raise InvalidRequest("This link is for another number")
        self._count(self._pairings, "link", hash_of(visitor.token).hex())
        code = await self._router.execute(await self._instance_of(link), operation)
        if not isinstance(code, PhoneCode):
            return None
        return code.code if await self._links.count_code(visitor.token, code.code) else None

    async def _find(self, visitor: LinkVisitor) -> PhoneLink:
        self._count(self._by_address, "address", visitor.address)
        if not _TOKEN.fullmatch(visitor.token):
            raise NotFound("This link is not known")
        self._count(self._by_token, "link", hash_of(visitor.token).hex())
        link = await self._links.find_by_token(visitor.token)
        if link is None:
            raise NotFound("This link is not known")
        return link

    async def _status_without_code(self, visitor: LinkVisitor) -> LinkStatus:
        """Returns why a link showed no code: it ended meanwhile, or has none left."""
        link = await self._links.find_by_token(visitor.token)
        if link is None:
            raise NotFound("This link is not known")
        return LinkStatus.USED_UP if link.status is LinkStatus.WAITING else link.status

    async def _instance_of(self, link: PhoneLink) -> Instance:
        instance = await self._instances.find(link.instance_id)
        if instance is None:
            raise NotFound("This link is not known")
        return instance

    def _count(self, buckets: Buckets, scope: str, name: str) -> None:
        if wait := buckets.seconds_until_token(name, self._clock.monotonic_seconds()):
            raise TooManyRequests(scope, retry_after_seconds=math.ceil(wait))
        buckets.take(name)


async def svg_of(code: str) -> str:
    """Returns a QR code as SVG, for a page that shows no file."""
    return await asyncio.to_thread(_draw, code)  # takes long enough to delay other tasks


def _draw(code: str) -> str:
    drawn: str = segno.make_qr(code, error="l").svg_inline(
        border=_QUIET_MODULES, omitsize=True, svgclass=None, lineclass=None
    )
    return drawn


def _asking_for(phone: str) -> ReadPhoneCode:
    try:
        return ReadPhoneCode.model_validate({"phone": phone})
    except ValidationError:
        raise InvalidRequest("This is not a phone number with its country code") from None
