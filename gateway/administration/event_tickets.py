"""Issues the tickets with which WebSockets begin."""

from dataclasses import dataclass
from datetime import datetime

from gateway.contract.extensions.account import EventTicket, IssueEventTicket
from gateway.contract.handlers import Handlers
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import Unauthorized
from gateway.instances.accounts import Account
from gateway.instances.tokens import hash_of
from gateway.randomness import RandomBytes

_ISSUE_TICKET = query("instances", "issue_event_ticket")
_TICKET_BYTES = 32
_TICKET_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class TicketContext:
    """What the handler needs."""

    database: Database
    random_bytes: RandomBytes
    account: Account


@dataclass(frozen=True, slots=True)
class _Issued:
    expires_at: datetime


handlers = Handlers[TicketContext]()


@handlers.handles(IssueEventTicket)
async def issue_ticket(context: TicketContext, _operation: IssueEventTicket) -> EventTicket:
    ticket = context.random_bytes(_TICKET_BYTES).hex()
    issued = await context.database.fetch_one(
        _Issued,
        _ISSUE_TICKET,
        ticket_hash=hash_of(ticket),
        account_id=context.account.id,
        token_hash=context.account.token_hash,
        seconds=_TICKET_SECONDS,
    )
    if issued is None:  # the account was deleted meanwhile
        raise Unauthorized
    return EventTicket(ticket=ticket, expires_at=issued.expires_at)
