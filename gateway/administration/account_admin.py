"""Accounts that an operator makes in the panel."""

from dataclasses import dataclass
from typing import Final

from gateway.administration.audit import Audit, Caller, Subject
from gateway.errors import InvalidRequest
from gateway.instances.creation import NewAccount, Registry

_MAX_NAME_LENGTH: Final = 255


@dataclass(frozen=True, slots=True)
class AccountAdmin:
    """Makes accounts; each is in the audit log, as of *caller*."""

    registry: Registry
    audit: Audit
    caller: Caller

    async def create(self, name: str, *, client_token_required: bool) -> NewAccount:
        """Makes an account and returns its tokens, which nothing shows again.

        Raises:
            InvalidRequest: the name is empty, too long, or holds what cannot be printed.
            Conflict: another account has this name in any capitals.
        """
        name = name.strip()
        if not name or len(name) > _MAX_NAME_LENGTH or not name.isprintable():
            raise InvalidRequest(f"name: must have 1 to {_MAX_NAME_LENGTH} printable characters")
        made = await self.registry.add_account(
            name, client_token_required=client_token_required, unique_name=True
        )
        async with self.audit.noting("CreateAccount", self.caller, Subject(made.id)):
            return made
