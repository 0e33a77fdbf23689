"""Handler that gives an instance another token."""

from dataclasses import dataclass

from gateway.contract.handlers import Handlers
from gateway.contract.internal.instance_tokens import InstanceToken, RotateInstanceToken
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.errors import UnknownInstance
from gateway.instances.store import Instance
from gateway.instances.tokens import TokenVault, hash_of, new_id
from gateway.randomness import RandomBytes

_SET_TOKEN = query("instances", "set_token")


@dataclass(frozen=True, slots=True)
class InstanceTokenContext:
    """What the handler needs."""

    database: Database
    vault: TokenVault
    random_bytes: RandomBytes
    instance: Instance


handlers = Handlers[InstanceTokenContext]()


@handlers.handles(RotateInstanceToken)
async def rotate(context: InstanceTokenContext, _operation: RotateInstanceToken) -> InstanceToken:
    token = new_id(context.random_bytes)
    sealed = context.vault.seal(token)

    async def write(_is_repeated: bool) -> int:  # noqa: FBT001 - see until_answered
        return await context.database.execute(
            _SET_TOKEN,
            id=context.instance.id,
            token_hash=hash_of(token),
            token_ciphertext=sealed.ciphertext,
            token_key_id=sealed.key_id,
        )

    if not await until_answered(write):
        raise UnknownInstance
    return InstanceToken(token=token)
