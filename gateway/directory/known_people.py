"""Handles operations that name people by number: the session gets the numbers that WhatsApp knows.

Only what is stored counts: an operation looks no number up.
"""

from typing import Any

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Operation
from gateway.contract.zapi.chats import SetChatExpiration
from gateway.contract.zapi.contacts import ModifyBlocked, ReportContact
from gateway.contract.zapi.groups.group import CreateGroup
from gateway.contract.zapi.groups.members import MembersOperation, RequestsOperation
from gateway.directory.context import DirectoryContext
from gateway.identities.people import chats_of

handlers = Handlers[DirectoryContext]()


async def execute_about_person(
    context: DirectoryContext, operation: ModifyBlocked | ReportContact | SetChatExpiration
) -> object:
    (phone,) = await _as_known(context, (operation.phone,))
    return await _execute(context, operation.model_copy(update={"phone": phone}))


async def execute_about_people(
    context: DirectoryContext, operation: CreateGroup | MembersOperation | RequestsOperation
) -> object:
    phones = await _as_known(context, operation.phones)
    return await _execute(context, operation.model_copy(update={"phones": phones}))


async def _execute(context: DirectoryContext, operation: Operation[Any]) -> object:
    answer: object = await context.router.execute(context.instance, operation)
    return answer


async def _as_known(context: DirectoryContext, phones: tuple[str, ...]) -> tuple[str, ...]:
    """Returns each number as WhatsApp knows it; a lid stays, because groups name people by it."""
    numbers = [phone for phone in phones if phone.isdigit()]
    chats = await chats_of(context.database, context.instance.id, numbers)
    return tuple(chats.get(phone, phone) for phone in phones)


handlers.handles(ModifyBlocked)(execute_about_person)
handlers.handles(ReportContact)(execute_about_person)
handlers.handles(SetChatExpiration)(execute_about_person)
handlers.handles(CreateGroup)(execute_about_people)
handlers.handles(MembersOperation)(execute_about_people)
handlers.handles(RequestsOperation)(execute_about_people)
