"""The demo account and instance that the first start in development creates."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import DatabaseUnavailable
from gateway.instances.creation import Registry
from gateway.observability.logging import logger
from gateway.runtime.data_dir import data_dir_errors_named
from gateway.runtime.node_context import NodeContext
from gateway.runtime.provider_selection import find_simulation, secret_settings_of
from gateway.runtime.secret import write_private
from gateway.runtime.startup import retry_while_unavailable
from gateway.sessions.provider import Simulation
from gateway.settings import Settings

FILE_NAME = "demo.env"


_PANEL = """\
Open the panel in a browser: {url}/panel/
This prints a link that signs you in once: gateway users link --url {url}"""


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything that a first message needs."""

    base_url: str
    instance_id: str
    instance_token: str
    client_token: str
    partner_token: str

    def as_env(self) -> str:
        return "".join(
            f"{name.upper()}={getattr(self, name)}\n" for name in self.__dataclass_fields__
        )

    def as_welcome(self, provider: str, simulation: Simulation, *, docs: bool, panel: bool) -> str:
        """Returns commands to paste into a shell; on demand the URLs of the docs and the panel."""
        instance = f"{self.base_url}/instances/{self.instance_id}/token/{self.instance_token}"
        header = f"-H 'Client-Token: {self.client_token}'"
        sent = f"{self.base_url}/{provider}/{self.instance_id}/{simulation.sent_path}"
        return (
            f"\nThe gateway is ready at {self.base_url}\n\n"
            f"Send a first message through the {provider} (a simulator, no phone gets it):\n\n"
            f"  curl -X POST '{instance}/send-text' \\\n"
            f"    {header} -H 'Content-Type: application/json' \\\n"
            '    -d \'{"phone": "5511999999999", "message": "Hello"}\'\n\n'
            "See it in the queue, and a few seconds later see it sent:\n\n"
            f"  curl '{instance}/queue' {header}\n"
            f"  curl '{sent}' {header}\n"
            + (f"\nTry every route in a browser: {self.base_url}/docs\n" if docs else "")
            + (f"\n{_PANEL.format(url=self.base_url)}\n" if panel else "")
        )


async def ensure_demo(
    registry: Registry, data_dir: Path, base_url: str, *, provider: str, simulation: Simulation
) -> Demo:
    """Returns the demo of this database, creates it at the first start, and writes demo.env.

    The database has only hashes of the account's tokens. Where demo.env is missing or belongs to
    another database, the account gets new tokens.
    """
    file = data_dir / FILE_NAME
    known = _read(file)
    instance = await registry.find_demo()
    if instance is None:
        account = await registry.add_account("Demo", client_token_required=True)
        made = await registry.add_instance(
            account.id,
            "Demo",
            provider=provider,
            provider_settings=simulation.linked_settings,
            demo=True,
        )
        demo = Demo(base_url, made.id, made.token, account.client_token, account.partner_token)
    elif known.get("INSTANCE_ID") == instance.id and {"CLIENT_TOKEN", "PARTNER_TOKEN"} <= set(
        known
    ):
        demo = Demo(
            base_url,
            instance.id,
            registry.token_of(instance),
            known["CLIENT_TOKEN"],
            known["PARTNER_TOKEN"],
        )
    else:
        account = await registry.renew_tokens(instance.account_id)
        demo = Demo(
            base_url,
            instance.id,
            registry.token_of(instance),
            account.client_token,
            account.partner_token,
        )
    write_private(file, demo.as_env())
    return demo


def _read(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


async def show_demo(
    node: NodeContext,
    settings: Settings,
    base_url: str,
    announce: Callable[[str], None],
    *,
    panel: bool,
) -> None:
    """Creates the demo account where a provider simulates WhatsApp, and announces how to use it.

    With *panel* it says how to sign in to the panel, too.
    """
    found = find_simulation()
    if found is None:
        return
    provider, simulation = found
    registry = Registry(node.database, node.vault, os.urandom, secret_settings=secret_settings_of)
    data_dir = settings.storage.data_dir

    async def attempt() -> Demo:
        with data_dir_errors_named(data_dir):
            return await ensure_demo(
                registry, data_dir, base_url, provider=provider.name, simulation=simulation
            )

    demo = await retry_while_unavailable(attempt, node.clock, on_failure=_log_failure)
    announce(demo.as_welcome(provider.name, simulation, docs=settings.listener.docs, panel=panel))


def _log_failure(error: DatabaseUnavailable) -> None:
    logger.warning("database_unavailable", component="demo", error=str(error))
