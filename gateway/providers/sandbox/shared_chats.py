"""Chats with several members: a member changes the chat, and the members get an event."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.contract.callbacks import NotificationCode
from gateway.contract.handlers import Handlers
from gateway.contract.wire import Wire
from gateway.providers.sandbox.entities import Answer, Entity
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.stored_events import notification

AnyOperation = TypeVar("AnyOperation", bound=Wire)
_INVITE_BYTES, _ID_DIGITS = 11, 15


@dataclass(frozen=True, slots=True)
class Actor:
    """The session and number that change a chat."""

    session: SandboxSession
    phone: str

    def now_ms(self) -> int:
        return self.session.context.clock.now_ms()


async def actor_of(session: SandboxSession) -> Actor:
    return Actor(session, await session.own_phone())


class SharedChat(Entity):
    """A chat with members, each in a role; `invite` is the code of its link."""

    id: str
    name: str
    description: str = ""
    picture: str | None = None
    invite: str
    members: Mapping[str, str]

    def notify(
        self,
        code: NotificationCode,
        *,
        by: Actor,
        parameters: Iterable[str] = (),
        to: Iterable[str] | None = None,
    ) -> None:
        """Emits what *by* did to the members, or to some of them."""
        event = notification(
            code,
            notification_id=f"3EB0{by.session.context.random_bytes(9).hex().upper()}",
            chat=self.id,
            by=by.phone,
            parameters=tuple(parameters),
        )
        self.emit(list(self.members if to is None else to), event)


Chat = TypeVar("Chat", bound=SharedChat)
ChatChange = Callable[[Chat, AnyOperation, Actor], Answer]


async def _as_named(_by: Actor, name: str) -> str:
    return name


class ChatChanges(Generic[Chat]):
    """Attaches functions to operations; each changes one chat and may run again."""

    def __init__(
        self,
        operations: Handlers[SandboxSession],
        kind: type[Chat],
        find_id: Callable[[Actor, str], Awaitable[str]] = _as_named,
    ) -> None:
        """Fills *operations*; *find_id* returns the id of the chat that a request names."""
        self._operations, self._kind, self._find_id = operations, kind, find_id

    def handles(
        self, command: type[AnyOperation], name_in: Callable[[AnyOperation], str]
    ) -> Callable[[ChatChange[Chat, AnyOperation, Answer]], ChatChange[Chat, AnyOperation, Answer]]:
        """Attaches the decorated function; *name_in* returns the name of the chat in a request."""

        def attach(
            change: ChatChange[Chat, AnyOperation, Answer],
        ) -> ChatChange[Chat, AnyOperation, Answer]:
            @self._operations.handles(command)
            async def handle(session: SandboxSession, operation: AnyOperation) -> Answer:
                by = await actor_of(session)
                return await session.context.entities.change(
                    self._kind,
                    await self._find_id(by, name_in(operation)),
                    lambda chat: change(chat, operation, by),
                )

            return change

        return attach


def new_id(session: SandboxSession) -> str:
    """Returns digits in the form of WhatsApp's ids of groups and channels."""
    number = int.from_bytes(session.context.random_bytes(8), "big") % 10**_ID_DIGITS
    return f"120{number:0{_ID_DIGITS}d}"


def new_invite(session: SandboxSession) -> str:
    return session.context.random_bytes(_INVITE_BYTES).hex()
