"""The pace of the queue: pauses, the limit of a day, the warm-up, and its order."""

from typing import Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.queue_control import ChangeQueueSettings
from gateway.panel.queue_view import address, read_settings
from gateway.panel.visit import Visit

_PATH: Final = "/panel/queue"
_FIELDS: Final = (
    "paceMinSeconds",
    "paceMaxSeconds",
    "dailyLimit",
    "warmUpDays",
    "order",
    "unknownQuote",
)


async def show(visit: Visit) -> Response:
    instance = await visit.instance()
    return await visit.render(
        "queue_settings.html",
        number=instance,
        settings=await read_settings(visit, instance),
        back=address(_PATH, instance),
    )


async def change(visit: Visit) -> Response:
    instance = await visit.instance_named(visit.form.text("instance"))
    given = {name: value for name in _FIELDS if (value := visit.form.text(name))}
    await visit.execute(build(ChangeQueueSettings, given), instance)
    return visit.redirect(address(_PATH, instance), flash=visit.gettext("Saved."))
