"""Walks a person's first five minutes: from an empty installation to a dead letter that arrives.

    python -m tests.first_minutes FOLDER

Starts a gateway of its own with simulated phones, writes a picture of the page after each step,
and how long each took into steps.txt. The person clicks and types what the pages show, and types
no address after the one that `make run` prints. The labels are those of the operator's language.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final, Literal

from playwright.async_api import Browser, Locator, Page, expect

from gateway.panel.languages import translations_of
from gateway.users.store import Language
from tests.fixtures.panel_browser import DESKTOP, HEIGHT, chromium, context_of, new_tab
from tests.fixtures.panel_seed import SETTINGS as SHORT_RETRIES
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres import public_folder, running_postgres
from tests.fixtures.service import RunningGateway, run_command, running_gateway, until
from tests.fixtures.webhook_catcher import ACCEPTED, WebhookCatcher

SETTINGS: Final = {
    **SHORT_RETRIES,
    "GATEWAY_LOG_FORMAT": "pretty",  # as on a terminal: the link is printed
    "GATEWAY_SANDBOX_RECEIPTS": "0",
}
"""What the gateway of the person needs: a printed link, and nothing to wait a day for."""

LANGUAGE: Final[Language] = "pt-BR"
"""The language of the operator that the first start makes."""

_FAILED: Final = 500
_ACCOUNT, _NUMBER = "Padaria Aurora", "Pedidos"
_LINK: Final = re.compile(r"http://\S+/panel/link/[0-9a-f]+")
AriaRole = Literal["button", "heading", "img", "link"]
_PATIENCE_MS: Final = PATIENCE_SECONDS * 1_000


@dataclass
class FirstMinutes:
    """One person in front of one page; `steps` holds what was done, and its seconds."""

    page: Page
    receiver: WebhookCatcher
    told: Callable[[str], None]
    folder: Path | None = None
    steps: list[tuple[str, float]] = field(default_factory=list)

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[None]:
        """Times a step, and takes a picture where it ends."""
        begun = perf_counter()
        yield
        self.steps.append((title, perf_counter() - begun))
        self.told(f"{len(self.steps):2}  {self.steps[-1][1]:5.1f} s  {title}")
        if self.folder:
            name = re.sub(r"\W+", "-", title.lower()).strip("-")
            file = self.folder / f"{len(self.steps):02}-{name}.png"
            await self.page.evaluate("window.scrollTo(0, 0)")
            await self.page.screenshot(path=file, full_page=True)

    async def walk(self, link: str) -> None:
        await self._sign_in(link)
        await self._make_number()
        await self._send("Send a test message, and see it delivered")
        await self._set_webhook()
        await self._break_webhook()
        await self._deliver_again()

    async def _sign_in(self, link: str) -> None:
        async with self.step("Sign in by the printed link"):
            await self.page.goto(link)
            await self._press("Sign in")
            await expect(self._named("heading", "No account yet")).to_be_visible()
        async with self.step("Create an account"):
            await self._follow("Create an account")
            await self._type("Name", _ACCOUNT)
            await self._press("Create the account")
            await expect(self._named("heading", "The account is made")).to_be_visible()
        async with self.step("Open the account, with its first steps"):
            await self._press("Open the account")
            await expect(self._named("heading", "First steps")).to_be_visible()

    async def _make_number(self) -> None:
        async with self.step("Create a number, and get its QR code"):
            await self._follow("Create a number")
            await self._type("Name", _NUMBER)
            await self._press("Add and link the phone")
            await expect(self._named("img", "QR code that links the phone")).to_be_visible()
        async with self.step("Scan it with the simulated phone"):
            await self._press("Scan with the simulated phone")
            await expect(self._named("heading", "Connected")).to_be_visible()

    async def _send(self, title: str) -> None:
        """Sends the text that the field shows, and waits until the page says that it arrived."""
        async with self.step(title):
            await self._press("Send test message")
            arrived = self.page.locator("#sent li.is-reached", has_text=self._text("Delivered"))
            await expect(arrived).to_be_visible()

    async def _set_webhook(self) -> None:
        async with self.step("See at the start what is next"):
            await self._open("Start")
            await expect(self._named("link", "Set a webhook").first).to_be_visible()
        async with self.step("Set a webhook"):
            await self._named("link", "Set a webhook").first.click()
            await self.page.get_by_label(self._text("Address"), exact=True).fill(self.receiver.url)
            await self._press("Save for all events")
            await self._read("Saved. Now send a test to see what your server answers.")
        async with self.step("Test it"):
            event = self._text("Received messages")
            await self._press("Test %(event)s", event=event)
            await self._read("Your server took the test")

    async def _break_webhook(self) -> None:
        self.receiver.answer = lambda _number: _FAILED
        await self._open("Numbers")
        await self.page.get_by_role("link", name=_NUMBER).first.click()
        await self._send("Send again, while the receiver answers 500")
        async with self.step("Find out at the start what is wrong"):
            await self._open("Start")
            await self._read("Your system did not take callbacks")
        async with self.step("Open the dead letters"):
            await self._follow("See them")
            await self._until_nothing_waits()
        async with self.step("See why, and what was posted"):
            await self.page.locator(".table .cell-main a").first.click()
            await self._read(f"HTTP {_FAILED}")

    async def _until_nothing_waits(self) -> None:
        """Opens the tab again until no callback waits, so that none is given up later."""
        waiting = self._named("link", "Waiting")

        async def look() -> int:
            async with self.page.expect_navigation():
                await self.page.locator(".tabs [aria-current=page]").click()
            return await waiting.count()

        await until(look, bool)

    async def _deliver_again(self) -> None:
        self.receiver.answer = lambda _number: ACCEPTED
        async with self.step("Mend the receiver, and post one again"):
            await self._press("Post again")
            await self._read("It is posted again, after what already waits in its chat.")
            left = await self.page.locator(".table tbody tr").count() - 1
            await expect(self.page.locator(".reasons strong")).to_have_text(str(left))
        async with self.step("Post all others again"):
            await self.page.locator("#dead-reasons button").click()
            await self._read("Done. Your server took everything.")
        async with self.step("See them delivered"):
            states = self.page.locator(".table .pill")
            others = states.filter(has_not_text=self._text("Delivered"))
            await expect(states.first).to_be_visible()
            await expect(others).to_have_count(0)
        async with self.step("All is well at the start"):
            await self._open("Start")
            await self._read("All is well.")

    def _text(self, text: str, **values: str) -> str:
        return translations_of(LANGUAGE).gettext(text) % values

    def _named(self, role: AriaRole, text: str, **values: str) -> Locator:
        return self.page.get_by_role(role, name=self._text(text, **values), exact=True)

    async def _press(self, text: str, **values: str) -> None:
        await self._named("button", text, **values).click()

    async def _follow(self, text: str) -> None:
        await self._named("link", text).click()

    async def _open(self, text: str) -> None:
        """Follows an entry of the menu."""
        await self.page.locator(".side-nav a", has_text=self._text(text)).click()

    async def _type(self, label: str, text: str) -> None:
        await self.page.get_by_label(self._text(label), exact=True).fill(text)

    async def _read(self, text: str) -> None:
        await expect(self.page.get_by_text(self._text(text)).first).to_be_visible()


async def printed_link(host: RunningGateway) -> str:
    """Returns the link that the gateway printed when it started."""

    async def look() -> str:
        found = _LINK.search(host.log)
        return found[0] if found else ""

    return await until(look, bool)


def empty(host: RunningGateway) -> None:
    """Deletes the demo account, which every start in development makes where there is none."""
    run_command(
        *("accounts", "delete", "Demo", "--yes"),
        fails=False,
        given="",
        GATEWAY_ENV="development",
        GATEWAY_DATA_DIR=str(host.data_dir),
        **host.environment,
    )


async def first_minutes(
    browser: Browser,
    host: RunningGateway,
    told: Callable[[str], None],
    *,
    folder: Path | None = None,
) -> list[str]:
    """Does every step in an empty installation that runs with SETTINGS.

    Returns:
        What the browser complained about: errors, refused scripts, failed requests.
    """
    expect.set_options(timeout=_PATIENCE_MS)
    await asyncio.to_thread(empty, host)
    async with WebhookCatcher().serving() as receiver:
        look = {"width": DESKTOP, "height": HEIGHT}
        context = await context_of(browser, host, locale=LANGUAGE, viewport=look)
        tab = await new_tab(context)
        await FirstMinutes(tab.page, receiver, told, folder).walk(await printed_link(host))
        await context.close()
    return tab.problems


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (
        public_folder() as place,
        running_postgres(place / "pg") as url,
        running_gateway(place, url, **SETTINGS) as host,
    ):
        asyncio.run(_photograph(host, folder))


async def _photograph(host: RunningGateway, folder: Path) -> None:
    await host.ready()
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line + "\n")
        sys.stdout.write(lines[-1])
        sys.stdout.flush()

    async with chromium() as browser:
        problems = await first_minutes(browser, host, tell, folder=folder)
    (folder / "steps.txt").write_text("".join(lines), encoding="utf-8")
    for problem in problems:
        sys.stderr.write(f"{problem}\n")


if __name__ == "__main__":
    main()
