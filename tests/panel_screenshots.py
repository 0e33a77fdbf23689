"""Photographs every page of the panel, with the data of a shop.

    python -m tests.panel_screenshots FOLDER [--pages start queue] [--language en] [--role owner]

Starts a gateway of its own with simulated phones, fills it, and writes each page at 390 and 1280
px, light and dark, as PNG. Pages are named by their address; `--pages` takes parts of addresses.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from playwright.async_api import BrowserContext

from gateway.contract.scopes import UserRole
from gateway.users.store import Language
from tests.fixtures.panel import browser_of, people_of
from tests.fixtures.panel_browser import HEIGHT, chromium, context_of, every_look, new_tab
from tests.fixtures.panel_seed import SETTINGS, Seed, seed
from tests.fixtures.panel_walk import walk
from tests.fixtures.postgres import public_folder, running_postgres
from tests.fixtures.service import RunningGateway, running_gateway
from tests.service.panel.conftest import starts_of

_PUBLIC = ("/panel/sign-in", "/panel/nowhere")


def main() -> None:
    options = _options()
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        public_folder() as place,
        running_postgres(place / "pg") as url,
        running_gateway(place, url, **SETTINGS) as host,
    ):
        asyncio.run(_photograph(host, folder, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Photographs every page of the panel.")
    parser.add_argument("folder")
    parser.add_argument("--pages", nargs="*", default=[], help="parts of addresses; all if none")
    parser.add_argument("--language", choices=get_args(Language), default="pt-BR")
    parser.add_argument("--role", choices=[r.value for r in UserRole], default="owner")
    return parser.parse_args()


async def _photograph(host: RunningGateway, folder: Path, options: argparse.Namespace) -> None:
    await host.ready()
    language, role = cast("Language", options.language), UserRole(options.role)
    async with people_of(host) as people:
        found = await seed(host, people, language=language)
        sessions = {each: await people.session_of(found.email_of(each)) for each in UserRole}
    paths = {role: await _paths(host, found, sessions[role])}
    if role is not UserRole.OPERATOR:  # what only operators see
        seen = await _paths(host, found, sessions[UserRole.OPERATOR])
        paths[UserRole.OPERATOR] = [p for p in seen if _name_of(p) not in _names(paths[role])]
    async with chromium() as browser:
        for each, wanted in paths.items():
            context = await context_of(browser, host, session=sessions[each], language=language)
            await _write(context, folder, _chosen(wanted, options.pages))
            await context.close()
        visitor = await context_of(browser, host, language=language)
        await _write(visitor, folder, _chosen((*_PUBLIC, found.shop.link_path), options.pages))


async def _paths(host: RunningGateway, found: Seed, session: str) -> list[str]:
    async with browser_of(host, session=session) as http:
        pages = (await walk(http, starts_of(found))).pages()
    return [shown.path for shown in pages.values() if not shown.route.is_public]


def _chosen(paths: Sequence[str], parts: Sequence[str]) -> list[str]:
    return [p for p in paths if not parts or any(part in _name_of(p) for part in parts)]


def _name_of(path: str) -> str:
    """Returns a file name: the address without ids and query."""
    plain = re.sub(r"/[0-9A-Fa-f]{24,}", "", path.partition("?")[0])
    return plain.removeprefix("/panel").strip("/").replace("/", "-") or "start"


def _names(paths: Sequence[str]) -> set[str]:
    return set(map(_name_of, paths))


async def _write(context: BrowserContext, folder: Path, paths: Sequence[str]) -> None:
    tab = await new_tab(context)
    for path in paths:
        for width, scheme in every_look():
            await tab.page.set_viewport_size({"width": width, "height": HEIGHT})
            await tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await tab.page.goto(path, wait_until="load")
            file = folder / f"{_name_of(path)}-{width}-{scheme}.png"
            await tab.page.screenshot(path=file, full_page=True)
        sys.stdout.write(f"{_name_of(path)}\n")
        sys.stdout.flush()
    for problem in tab.problems:
        sys.stderr.write(f"{problem}\n")


if __name__ == "__main__":
    main()
