"""Chats that several numbers share: changed in the name of one of them, and told to the others."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.contract.callbacks import NotificationCode
from gateway.contract.handlers import Handlers
from gateway.contract.wire import Wire
from gateway.providers.sandbox.entities import Answer, Entity
from gateway.providers.sandbox.session import SandboxSession
from gateway.providers.sandbox.telling import notification

Asked = TypeVar("Asked", bound=Wire)
_INVITE_BYTES, _ID_DIGITS = 11, 15


@dataclass(frozen=True, slots=True)
class Actor:
    """The number that does something."""

    session: SandboxSession
    phone: str

    def now_ms(self) -> int:
        return self.session.context.clock.now_ms()


async def actor_of(session: SandboxSession) -> Actor:
    return Actor(session, await session.own_phone())


class SharedChat(Entity):
    """A chat with members, each in a role; whoever holds `invite` finds it."""

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
        """Tells the members, or some of them, what *by* did."""
        told = notification(
            code,
            notification_id=f"3EB0{by.session.context.random_bytes(9).hex().upper()}",
            chat=self.id,
            by=by.phone,
            parameters=tuple(parameters),
        )
        self.tell(list(self.members if to is None else to), told)


Chat = TypeVar("Chat", bound=SharedChat)
Change = Callable[[Chat, Asked, Actor], Answer]


async def _as_named(_by: Actor, name: str) -> str:
    return name


class Changes(Generic[Chat]):
    """Attaches functions that change one chat, and may run again, to operations."""

    def __init__(
        self,
        operations: Handlers[SandboxSession],
        kind: type[Chat],
        find_id: Callable[[Actor, str], Awaitable[str]] = _as_named,
    ) -> None:
        """Takes the table to fill; *find_id* says which chat a request means by a name."""
        self._operations, self._kind, self._find_id = operations, kind, find_id

    def handles(
        self, command: type[Asked], name_in: Callable[[Asked], str]
    ) -> Callable[[Change[Chat, Asked, Answer]], Change[Chat, Asked, Answer]]:
        """Attaches the decorated function; *name_in* says whom a request is about."""

        def attach(change: Change[Chat, Asked, Answer]) -> Change[Chat, Asked, Answer]:
            @self._operations.handles(command)
            async def handle(session: SandboxSession, operation: Asked) -> Answer:
                by = await actor_of(session)
                return await session.context.entities.change(
                    self._kind,
                    await self._find_id(by, name_in(operation)),
                    lambda chat: change(chat, operation, by),
                )

            return change

        return attach


def new_id(session: SandboxSession) -> str:
    """Digits as WhatsApp numbers its groups and channels."""
    number = int.from_bytes(session.context.random_bytes(8), "big") % 10**_ID_DIGITS
    return f"120{number:0{_ID_DIGITS}d}"


def new_invite(session: SandboxSession) -> str:
    return session.context.random_bytes(_INVITE_BYTES).hex()
