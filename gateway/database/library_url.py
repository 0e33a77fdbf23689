"""Translates the database's URL for an engine library that uses Go's lib/pq instead of libpq.

lib/pq uses `sslmode=require` where a URL names no mode, sends each parameter that it does not know
to the server, which refuses it, and searches no folder for a socket. So libpq connects first, and
the URL for lib/pq spells out the values that libpq used.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import quote, urlencode

from psycopg import AsyncConnection, OperationalError
from psycopg.conninfo import conninfo_to_dict

from gateway.errors import DatabaseUnavailable

_CONNECT_SECONDS = 5
_UNDERSTOOD = frozenset(
    {
        *("host", "hostaddr", "port", "dbname", "user", "password", "options", "connect_timeout"),
        *("target_session_attrs", "load_balance_hosts"),
        *("sslmode", "sslnegotiation", "sslcert", "sslkey", "sslrootcert", "sslsni"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
    }
)
"""The parameters that lib/pq 1.12 reads as libpq does."""

_VERIFYING = frozenset({"verify-ca", "verify-full"})


def library_url_of(conninfo: str, *, schema: str) -> Callable[[], Awaitable[str]]:
    """Returns a function that calls `library_url`: the serving host may change between calls."""
    return partial(library_url, conninfo, schema=schema)


async def library_url(conninfo: str, *, schema: str) -> str:
    """Returns a URL for lib/pq that leads where *conninfo* leads, with tables in *schema*.

    Raises:
        DatabaseUnavailable: Postgres refuses the connection, or does not answer.
    """
    timeout_seconds = conninfo_to_dict(conninfo).get("connect_timeout") or _CONNECT_SECONDS
    try:
        connection = await AsyncConnection.connect(conninfo, connect_timeout=int(timeout_seconds))
    except OperationalError as error:
        sentence = str(error).strip().partition("\n")[0]
        raise DatabaseUnavailable(f"Postgres does not answer: {sentence}") from None
    try:
        return _translated(connection, schema)
    finally:
        await connection.close()


def _translated(connection: AsyncConnection, schema: str) -> str:
    """Returns the URL with every host of the original: lib/pq tries the next when one is gone."""
    server = connection.pgconn
    values = {option.keyword.decode(): option.val.decode() for option in server.info if option.val}
    parameters = {name: value for name, value in values.items() if name in _UNDERSTOOD}
    if "host" not in values and "hostaddr" not in values:
        parameters["host"] = server.host.decode()
    if server.password:  # libpq may have read it from a password file
        parameters["password"] = server.password.decode()
    parameters |= _encryption(values, encrypted=bool(server.ssl_in_use))
    parameters |= {"application_name": f"gateway {schema}", "search_path": schema}
    return f"postgresql:///?{urlencode(parameters, quote_via=quote)}"


def _encryption(values: dict[str, str], *, encrypted: bool) -> dict[str, str]:
    """Returns the modes that libpq agreed on with the server, not those that were requested."""
    if not encrypted:
        return {"sslmode": "disable", "sslnegotiation": "postgres"}
    mode = values.get("sslmode", "prefer")
    return {"sslmode": mode if mode in _VERIFYING else "require"}
