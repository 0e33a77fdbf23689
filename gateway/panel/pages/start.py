"""The first page: the account's numbers and their states, and first steps where there is none."""

from starlette.responses import Response

from gateway.contract.zapi.partner import InstancePage, ListInstances
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.visit import PAGE_SIZE, NoAccount, Visit

page = Page(
    path="/", title=N_("Start"), icon="home", section=Section.TODAY, order=10, on_phone=True
)


@page.get()
async def show(visit: Visit) -> Response:
    try:
        account = await visit.account()
    except NoAccount:
        return await visit.render("start.html", listed=None, connected=0)
    listed: InstancePage = await visit.execute(
        ListInstances(page=visit.page_number(), page_size=PAGE_SIZE), account
    )
    connected: InstancePage = await visit.execute(
        ListInstances(page_size=1, whatsapp_connected=True), account
    )
    return await visit.render("start.html", listed=listed, connected=connected.total)
