"""Checks connection strings of Postgres, and says why a connection failed."""

import re

from psycopg import Error, ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from gateway.errors import InvalidSettings

# libpq and psycopg write these before the reason itself.
_PREAMBLE = re.compile(
    r"^connection (failed|is bad): |^connection to server (at|on socket) .*? failed: |^FATAL: +"
)
_DEFAULT_PORT = "5432"


def check_url(variable: str, url: str | None) -> None:
    """Checks that *url* is a connection string.

    Raises:
        InvalidSettings: it is not. The text names the variable and quotes nothing of the URL, which
            may hold a password.
    """
    try:
        parts = conninfo_to_dict(url or "")
    except ProgrammingError:
        raise InvalidSettings(f"{variable}: is not a libpq URL") from None
    ports = str(parts.get("port") or "").split(",")
    if "@" in str(parts.get("host") or "") or not all(p.isdecimal() for p in ports if p):
        # libpq would read the rest of the password as the host or the port, and show it in errors.
        raise InvalidSettings(
            f"{variable}: its host or port cannot be read; in the password write @ as %40, "
            "/ as %2F, : as %3A and # as %23"
        )


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
