"""The installation: what needs attention in all accounts, nodes, database, disk, providers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway import __version__
from gateway.administration.account_overview import Totals
from gateway.administration.findings import FoundProblems
from gateway.administration.system import DatabaseState, DiskState, NodeState
from gateway.contract.extensions.overview import Severity
from gateway.panel.finding_words import groups_of
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.system_tabs import SYSTEM_PATH, system_tabs
from gateway.panel.visit import Visit

page = Page(
    path="/system",
    title=N_("System"),
    icon="server",
    section=Section.SYSTEM,
    order=10,
    operators=True,
)


@dataclass(frozen=True, slots=True)
class _System:
    nodes: Sequence[NodeState]
    database: DatabaseState
    disk: DiskState
    totals: Totals
    problems: FoundProblems


@page.get()
async def show(visit: Visit) -> Response:
    return await visit.render("system.html", **_shown(visit, await _read(visit)))


@page.get("/now")
async def show_now(visit: Visit) -> Response:
    """Returns the state again, for a page that is open; open tabs share it for a few seconds."""
    state = await visit.services.recent.get("system", lambda: _read(visit))
    return visit.fragment("system_now.html", **_shown(visit, state))


@page.get("/providers")
async def show_providers(visit: Visit) -> Response:
    return await visit.render(
        "system_providers.html",
        tabs=system_tabs(visit, SYSTEM_PATH + "/providers"),
        providers=await visit.services.gateway.system.providers(visit.caller),
    )


async def _read(visit: Visit) -> _System:
    system, caller = visit.services.gateway.system, visit.caller
    async with asyncio.TaskGroup() as reading:
        nodes = reading.create_task(system.nodes(caller))
        database = reading.create_task(system.database_state(caller))
        disk = reading.create_task(system.disk(caller))
        totals = reading.create_task(system.totals(caller))
        problems = reading.create_task(system.problems_of_all(caller))
    return _System(
        nodes.result(), database.result(), disk.result(), totals.result(), problems.result()
    )


def _shown(visit: Visit, state: _System) -> Mapping[str, Any]:
    groups = groups_of(visit, state.problems.findings, state.problems.counts)
    return {
        "tabs": system_tabs(visit, SYSTEM_PATH),
        "system": state,
        "version": __version__,
        "urgent": [each for each in groups if each.severity is not Severity.INFO],
        "suggestions": [each for each in groups if each.severity is Severity.INFO],
    }
