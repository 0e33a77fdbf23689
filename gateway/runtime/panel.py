"""Builds what the panel uses, and the link that signs the operator in on this machine."""

from collections.abc import Callable
from functools import partial

from gateway.administration.audit import Caller, Credential
from gateway.administration.partner import ProviderSelection
from gateway.contract.scopes import ALL_SCOPES
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.operations.services import Services
from gateway.panel.live import LiveHub
from gateway.panel.recent_answers import RecentAnswers
from gateway.panel.services import PanelServices, ProviderFacts
from gateway.providers.loading import load_provider
from gateway.runtime.node_context import NodeContext
from gateway.runtime.startup import retry_while_unavailable
from gateway.runtime.supervisor import Stage
from gateway.runtime.users import build_profiles, build_user_admin
from gateway.send_queue.admission import Admission

_STARTER = "start"


def build_panel_services(
    node: NodeContext, services: Services, admission: Admission, selection: ProviderSelection
) -> PanelServices:
    """Returns what pages use, and starts the streams of open tabs."""
    live = LiveHub(node.clock)
    live.listen(node.notifications)
    node.start(Stage.EDGES, panel_live=live)
    return PanelServices(
        services,
        build_profiles(node.database, node.vault, node.clock, services.audit, services.sign_in),
        live,
        admission,
        node.media.stored_files,
        {name: _facts_of(name, node) for name in selection.providers},
        selection.default,
        RecentAnswers(node.clock),
    )


def _facts_of(name: str, node: NodeContext) -> ProviderFacts:
    provider = load_provider(name)
    scan = None
    if provider.simulation:
        store = PostgresProviderStore(node.database, node.notifications, provider=name)
        scan = partial(provider.simulation.scan, store)
    return ProviderFacts(name, provider.uses_proxy, provider.supports, scan)


async def show_sign_in_link(
    node: NodeContext, panel: PanelServices | None, base_url: str, invite: Callable[[str], None]
) -> None:
    """Shows a link that signs the first operator in once; makes one where there is none yet."""
    if panel is None:
        return
    services = panel.gateway
    starter = Caller(Credential.COMMAND_LINE, user=_STARTER, scopes=ALL_SCOPES)
    admin = build_user_admin(node.database, node.vault, node.clock, services.audit, starter)

    async def attempt() -> str:
        operator = await admin.ensure_operator()
        return await services.sign_in.issue_link(operator.id)

    token = await retry_while_unavailable(attempt, node.clock, on_failure=_log_failure)
    invite(
        "Open the panel (this link signs you in once, within ten minutes):\n\n"
        f"  {base_url}/panel/link/{token}\n"
    )


def _log_failure(error: DatabaseUnavailable) -> None:
    logger.warning("database_unavailable", component="sign-in link", error=str(error))
