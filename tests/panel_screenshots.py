"""Photographs every page of the panel, with the data of a shop.

    python -m tests.panel_screenshots FOLDER [--pages start queue] [--language en] [--role owner]
                                      [--looks 1280-light 390-dark] [--plain]

Starts a gateway of its own with simulated phones, fills it, and writes each page at 390 and 1280
px, light and dark, as PNG. A picture has the name of its route, such as `queue` or
`instances-instance_id-about`; `--pages` takes parts of names. Pages that look different in other
states are photographed in each: a phone that is linked, lost, away, or new.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

from playwright.async_api import BrowserContext, Page

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
_STATES = {"counter", "lost", "new", "emoji"}
_MAX_HEIGHT = 6_000
_LOOKS = {f"{width}-{scheme}": (width, scheme) for width, scheme in every_look()}


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
    parser.add_argument("--looks", nargs="*", choices=list(_LOOKS), default=list(_LOOKS))
    parser.add_argument("--plain", action="store_true", help="no odd names: for readers")
    parser.add_argument("--role", choices=[r.value for r in UserRole], default="owner")
    return parser.parse_args()


async def _photograph(host: RunningGateway, folder: Path, options: argparse.Namespace) -> None:
    await host.ready()
    language, role = cast("Language", options.language), UserRole(options.role)
    async with people_of(host) as people:
        found = await seed(host, people, language=language, is_plain=options.plain)
        sessions = {each: await people.session_of(found.email_of(each)) for each in UserRole}
    pages = {role: await _pages(host, found, sessions[role]) | _states(found)}
    if role is not UserRole.OPERATOR:  # what only operators see
        seen = await _pages(host, found, sessions[UserRole.OPERATOR])
        pages[UserRole.OPERATOR] = {n: path for n, path in seen.items() if n not in pages[role]}
    async with chromium() as browser:
        for each, wanted in pages.items():
            context = await context_of(
                browser, host, session=sessions[each], language=language, locale=language
            )
            await _write(context, folder, _chosen(wanted, options.pages), options.looks)
            await context.close()
        visitor = await context_of(browser, host, language=language, locale=language)
        public = {_name_of(path): path for path in _PUBLIC} | {"link-phone": found.shop.link_path}
        await _write(visitor, folder, _chosen(public, options.pages), options.looks)


async def _pages(host: RunningGateway, found: Seed, session: str) -> dict[str, str]:
    """Returns the address of a page for each route, by the name of its picture."""
    async with browser_of(host, session=session) as http:
        pages = (await walk(http, starts_of(found))).pages()
    return {_name_of(p): shown.path for p, shown in pages.items() if not shown.route.is_public}


def _states(found: Seed) -> dict[str, str]:
    """Returns pages that a walk takes for one: the same route, another state of the number."""
    numbers = found.shop.numbers
    return {
        **{
            f"number-{key}": f"/panel/instances/{numbers[key].id}"
            for key in _STATES & numbers.keys()
        },
        "webhooks-dead": f"/panel/webhooks/given-up?instance={numbers['counter'].id}",
        "queue-idle": f"/panel/queue?instance={numbers['counter'].id}",
        "queue-lost": f"/panel/queue?instance={numbers['lost'].id}",
        "webhooks-none": f"/panel/webhooks?instance={numbers['new'].id}",
        "chats-none": f"/panel/chats?instance={numbers['new'].id}",
    }


def _chosen(pages: Mapping[str, str], parts: Sequence[str]) -> dict[str, str]:
    """Returns the page of each name, and the pages with each part that is no name."""
    exact = pages.keys() & parts
    return {
        name: path
        for name, path in pages.items()
        if not parts or name in exact or any(part in name for part in parts if part not in exact)
    }


def _name_of(path: str) -> str:
    """Returns the name of a picture: the path of the route without braces."""
    plain = re.sub(r"[{}]|:path", "", path.partition("?")[0])
    return plain.removeprefix("/panel").strip("/").replace("/", "-") or "start"


async def _write(
    context: BrowserContext, folder: Path, pages: Mapping[str, str], looks: Sequence[str]
) -> None:
    tab = await new_tab(context)
    for name, path in pages.items():
        for look in looks:
            width, scheme = _LOOKS[look]
            await tab.page.set_viewport_size({"width": width, "height": HEIGHT})
            await tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await tab.page.goto(path, wait_until="load")
            await _grow(tab.page, width)
            await tab.page.screenshot(path=folder / f"{name}-{look}.png")
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
    for problem in tab.problems:
        sys.stderr.write(f"{problem}\n")


async def _grow(page: Page, width: int) -> None:
    """Makes the window as high as the page, so that the bars at its edges are where they belong."""
    height = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": width, "height": min(height, _MAX_HEIGHT)})


if __name__ == "__main__":
    main()
