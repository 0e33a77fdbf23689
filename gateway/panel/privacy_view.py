"""What the pages about privacy have in common."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.instances.store import Instance
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.cookies import Flash
from gateway.panel.visit import Visit

BASE: Final = "/panel/privacy"


def address_of(instance: Instance, path: str = "", **parameters: object) -> str:
    """Returns the address of a page about a number; parameters without a value are left out.

    Each address names the number: another tab may have turned to another one.
    """
    given = {name: value for name, value in parameters.items() if value not in {None, ""}}
    return f"{BASE}{path}?{urlencode({'instance': instance.id, **given})}"


async def show_privacy(
    visit: Visit, template: str, status: int = 200, *, flash: Flash | None = None, **context: object
) -> Response:
    """Returns a page about the number that is shown, which it names `number`."""
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        what = visit.gettext("Contacts and privacy")
        return await visit.render("number_needed.html", what=what)

    def link(path: str = "", **parameters: object) -> str:
        return address_of(instance, path, **parameters)

    return await visit.render(
        template, status=status, flash=flash, number=instance, link=link, **context
    )
