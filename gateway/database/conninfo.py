"""Checks connection strings of Postgres, and says why a connection failed."""

import re

from psycopg import Error, ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from gateway.errors import InvalidSettings

# libpq and psycopg write these before the reason itself.
_PREAMBLE = re.compile(
    r"^connection (failed|is bad): |^connection to server (at|on socket) .*? failed: |^FATAL: +"
)
# As libpq does, this looks for the user and the password before the first slash.
_URL = re.compile(r"postgres(?:ql)?://(?P<authority>[^/]*)(?:/(?P<path>[^?]*).*)?", re.DOTALL)
_DEFAULT_PORT = "5432"

_CONNECT_SECONDS, _CONNECT_SECONDS_OF_SEVERAL = 5, 2
# The kernel finds a host that is gone, also below work whose deadline is long.
_KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def connection_parameters(url: str) -> dict[str, int]:
    """Returns the limits of a connection to *url* that it does not set itself.

    Of several hosts in *url*, a silent one is given up sooner, for the next.
    """
    given = conninfo_to_dict(url)
    hosts = str(given.get("host") or given.get("hostaddr") or "")
    seconds = _CONNECT_SECONDS_OF_SEVERAL if "," in hosts else _CONNECT_SECONDS
    limits = {"connect_timeout": seconds, **_KEEPALIVE}
    return {name: value for name, value in limits.items() if not given.get(name)}


def check_url(variable: str, url: str | None) -> None:
    """Checks that *url* is a connection string.

    Raises:
        InvalidSettings: it is not. The text names the variable and quotes nothing of the URL, which
            may hold a password.
    """
    # libpq would read the rest of the password as another part, and show it in errors.
    unclear = InvalidSettings(
        f"{variable}: its parts are ambiguous: in the user name and the password "
        "@ : / # and ? must be percent-encoded, as %40 %3A %2F %23 and %3F"
    )
    if _is_ambiguous(url or ""):
        raise unclear
    try:
        parts = conninfo_to_dict(url or "")
    except ProgrammingError:
        raise InvalidSettings(f"{variable}: is not a libpq URL") from None
    ports = str(parts.get("port") or "").split(",")
    if "@" in str(parts.get("host") or "") or not all(p.isdecimal() for p in ports if p):
        raise unclear


def _is_ambiguous(url: str) -> bool:
    """Says whether a character that must be percent-encoded may separate the parts of *url*."""
    found = _URL.fullmatch(url)
    if found is None:
        return False
    authority, path = found["authority"], found["path"] or ""
    user_info = authority.rpartition("@")[0]
    return "#" in url or "@" in user_info or "?" in user_info or "@" in path


def database_failure(url: str, error: Error) -> str:
    """Says why a database cannot be used: its host, name and user, and the reason in *error*.

    Args:
        url: a connection string that `check_url` accepts; its password is never shown.
        error: an error from connecting, or another one whose text quotes no value.
    """
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value}
    if error.pgconn:  # it has the values that the environment and libpq's defaults added
        parts |= {
            name: value.decode(errors="replace")
            for name, value in (
                ("host", error.pgconn.host),
                ("port", error.pgconn.port),
                ("user", error.pgconn.user),
                ("dbname", error.pgconn.db),
            )
            if value and name not in parts
        }
    user = parts.get("user", "unknown")
    database = parts.get("dbname", user)
    return (
        f"Postgres at {_place(parts)} cannot be used (database {database}, user {user}): "
        f"{_reason(error)}"
    )


def _place(parts: dict[str, str]) -> str:
    hosts = parts.get("host") or parts.get("hostaddr") or "localhost"
    ports = parts.get("port") or _DEFAULT_PORT
    if "," in hosts or hosts.startswith("/"):
        return f"{hosts} port {ports}"
    return f"{hosts}:{ports}"


def _reason(error: Error) -> str:
    reason = str(error).strip().partition("\n")[0]
    while shorter := _PREAMBLE.match(reason):
        reason = reason[shorter.end() :]
    return reason.rstrip(".") or type(error).__name__
