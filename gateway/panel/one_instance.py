"""What the pages of one number have in common: its row of the overview, tabs and provider."""

from typing import Any, Final

from gateway.contract.extensions.overview import (
    ListOverviewInstances,
    OverviewInstance,
    OverviewInstancePage,
)
from gateway.errors import UnknownInstance
from gateway.instances.store import Instance
from gateway.panel.connection_words import words_of
from gateway.panel.languages import N_
from gateway.panel.services import ProviderFacts
from gateway.panel.visit import Visit

INSTANCES: Final = "/panel/instances"


async def named_in(visit: Visit) -> Instance:
    """Returns the instance that the path of the page names.

    Raises:
        UnknownInstance: it is none that the user may know of.
    """
    return await visit.instance_named(visit.request.path_params["instance_id"])


async def overview_of(visit: Visit, instance: Instance) -> OverviewInstance:
    """Returns the state of the instance and its queue; raises UnknownInstance if it is gone."""
    found: OverviewInstancePage = await visit.execute(
        ListOverviewInstances(query=instance.id), await visit.account()
    )
    row = next((each for each in found.instances if each.id == instance.id), None)
    if row is None:
        raise UnknownInstance
    return row


def facts_of(visit: Visit, instance: Instance) -> ProviderFacts | None:
    """Returns what is known of its provider; None if this gateway has it no longer."""
    return visit.services.providers.get(instance.provider)


async def frame_of(visit: Visit, instance: Instance, tab: str) -> dict[str, Any]:
    """Returns what the frame around the pages of the instance shows."""
    path, facts = f"{INSTANCES}/{instance.id}", facts_of(visit, instance)
    tabs = [(N_("Connection"), ""), (N_("Settings"), "/settings")]
    if facts and facts.uses_proxy:
        tabs.append((N_("Proxy"), "/proxy"))
    tabs.append((N_("About"), "/about"))
    return {
        "row": await overview_of(visit, instance),
        "facts": facts,
        "path": path,
        "tabs": [(name, path + end, end == tab) for name, end in tabs],
        "paths": {entry.path for entry in visit.seen_entries()},
        "words_of": words_of,
    }
