"""Connects to the server of a URL, at an address that the policy allows."""

import asyncio
import ssl
from dataclasses import dataclass, field

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.outbound.connection import (
    ONE_SLICE,
    AnswerPatience,
    ByteStream,
    HttpConnection,
    Server,
)
from gateway.outbound.failures import NoConnection, why_unreachable
from gateway.outbound.response_parser import ResponseLimits
from gateway.outbound.trust import trusted
from gateway.public_address import AddressPolicy


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections. A name is resolved once, and the connection goes to what was checked."""

    policy: AddressPolicy
    clock: Clock
    limits: ResponseLimits = field(default_factory=ResponseLimits)
    patience: AnswerPatience = field(default_factory=AnswerPatience)
    connect_seconds: float = 10.0
    tls: ssl.SSLContext = field(default_factory=trusted)
    turns: AccountTurns = field(default_factory=lambda: AccountTurns(ONE_SLICE))
    """Of the slices of answers that all its connections read."""

    async def connect(self, server: Server) -> HttpConnection:
        """Opens a connection; TLS verifies the host name.

        Raises:
            AddressRefused: the name has an address that may not be visited.
            NoConnection: the server cannot be reached.
        """
        try:
            async with asyncio.timeout(self.connect_seconds):
                stream = await self._open(server)
        except TimeoutError:
            raise NoConnection(f"did not answer within {self.connect_seconds:g} seconds") from None
        except (OSError, UnicodeError) as error:
            raise NoConnection(why_unreachable(error)) from None
        return HttpConnection(stream, self.clock, self.limits, self.patience, self.turns)

    async def _open(self, server: Server) -> ByteStream:
        address = await self.policy.resolve(server.host, server.port)
        secure = server.scheme == "https"
        _, stream = await asyncio.get_running_loop().create_connection(
            ByteStream,
            address,
            server.port,
            ssl=self.tls if secure else None,
            server_hostname=server.host if secure else None,
        )
        return stream
