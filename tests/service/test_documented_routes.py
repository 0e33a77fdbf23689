"""Replays the documented request of every route, and compares status and shape of the answer.

`tests/fixtures/documented_routes.json` holds the facts: the full and the smallest request, the
status, and the type of each key of the answer. What differs from them on purpose is in DEVIATIONS.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer import echo

from tests.fixtures.service import Client, RunningGateway, client_of, until

ROUTES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "fixtures" / "documented_routes.json").read_text()
)
ANA, BEN = "5511888888888", "5511777777777"
ENDS_THE_CONNECTION = {"/disconnect", "/restart", "/restore-session"}

# Each with what differs and why.
DEVIATIONS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("GET", "/phone-exists/{phone}"): {
        "$": "an object, as every client reads it, not a list of one"
    },
    ("GET", "/contacts"): {"*": "a key without a value is left out"},
    ("GET", "/contacts/{phone}"): {"*": "a key without a value is left out"},
    ("GET", "/chats"): {"*": "a key without a value is left out"},
    ("GET", "/chats/{phone}"): {"*": "a key without a value is left out"},
    ("GET", "/chat-messages/{phone}"): {"*": "pictures and names are not stored with messages"},
    ("GET", "/newsletter/metadata/{newsletterId}"): {"*": "a new channel has no picture"},
    ("GET", "/newsletter"): {"*": "a new channel has no picture"},
    ("GET", "/group-metadata/{phone}"): {"*": "only people who are saved have names"},
    ("GET", "/light-group-metadata/{phone}"): {"*": "only people who are saved have names"},
    ("GET", "/qr-code"): {"$": "a linked phone has nothing to scan"},
    ("GET", "/qr-code/image"): {"$": "a linked phone has nothing to scan"},
    ("GET", "/phone-code/{phone}"): {"$": "a linked phone has nothing to type"},
    ("GET", "/me"): {"*": "an address that is not set is null"},
    ("GET", "/device"): {"*": "a phone without a picture"},
    ("GET", "/security/email"): {"*": "without an e-mail there is none to show"},
    ("GET", "/catalogs/collection"): {"*": "the last page has no cursor"},
    ("GET", "/business/available-categories"): {"*": "not every category has a label"},
    ("GET", "/business/profile"): {"*": "without opening hours there are none to show"},
}


@pytest.fixture
async def linked(gateway: RunningGateway) -> AsyncIterator[Client]:
    async with client_of(gateway) as client:

        async def status() -> Any:
            return (await client.call("GET", "/status")).json()

        await until(status, lambda seen: seen["connected"])
        yield client


async def test_every_route_answers_as_documented(linked: Client) -> None:
    world = World(linked)
    await world.prepare()
    passed: dict[str, int] = defaultdict(int)
    complaints: list[str] = []
    routes = sorted(ROUTES, key=lambda route: route["path"] in ENDS_THE_CONNECTION)
    for route in routes:
        for size in ("full", "minimal"):
            found = await world.replay(route, minimal=size == "minimal")
            complaints += [f"{route['method']} {route['path']} ({size}): {c}" for c in found]
            passed[route["domain"]] += not found
    width = max(map(len, passed))
    for domain, good in sorted(passed.items()):
        asked = 2 * sum(route["domain"] == domain for route in ROUTES)
        echo(f"{domain:{width}}  {good:3} of {asked:3} as documented")
    for (method, path), differences in DEVIATIONS.items():
        for where, reason in differences.items():
            echo(f"differs on purpose: {method} {path} {where}: {reason}")
    assert not complaints, "\n".join(complaints)


class World:
    """Makes the things that an example names, and puts their ids into the example."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.own_phone = ""

    async def prepare(self) -> None:
        self.own_phone = (await self.client.call("GET", "/device")).json()["phone"]
        await self.client.control("receive", phone=ANA, text="hello", senderName="Ana")
        await self.made("POST", "/contacts/add", [{"firstName": "Ben", "phone": BEN}])

        async def chats() -> Any:
            return (await self.client.call("GET", "/chats")).json()

        await until(chats, bool)
        await self.made("POST", "/business/create-tag", {"name": "First"})

    async def made(self, method: str, path: str, body: object) -> Any:
        answer = await self.client.call(method, path, json=body)
        assert answer.status_code < httpx.codes.BAD_REQUEST, answer.text
        return answer.json()

    async def replay(self, route: Mapping[str, Any], *, minimal: bool) -> list[str]:
        known = await self.substitutes(route)
        path = route["path"]
        for name in route["pathParams"]:
            path = path.replace("{" + name + "}", known.get(name, ANA))
        query = self.filled(route["minimalQuery" if minimal else "query"], known)
        body = self.filled(route["minimal" if minimal else "body"], known)
        if route["path"] == "/business/categories":
            body = {"categories": ["RESTAURANT"]}
        options: dict[str, Any] = {"params": query} if query else {}
        if body is not None:
            options["json"] = body
        answer = await self.client.call(route["method"], path, **options)
        if answer.status_code != route["status"]:
            return [f"status {answer.status_code}, not {route['status']}: {answer.text[:300]}"]
        if route["answer"] is None:
            return []
        allowed = DEVIATIONS.get((route["method"], route["path"]), {})
        if "$" in allowed:
            return []
        return [
            complaint
            for complaint in compare(route["answer"], answer.json(), "")
            if not ("*" in allowed and ("is missing" in complaint or "null" in complaint))
        ]

    def filled(self, given: Any, known: Mapping[str, Any]) -> Any:
        if isinstance(given, dict):
            return {n: known[n] if n in known else self.filled(v, known) for n, v in given.items()}
        return given

    async def substitutes(self, route: Mapping[str, Any]) -> dict[str, Any]:
        """Returns new ids for the names that a route uses."""
        body = route["body"] if isinstance(route["body"], dict) else {}
        names = {*route["pathParams"], *route["query"], *body}
        known: dict[str, Any] = {}
        domain = route["domain"]
        if domain == "group" and names & {"groupId", "phone", "url"}:
            group = await self.made(
                "POST", "/create-group", {"groupName": "Fresh", "phones": [ANA, BEN]}
            )
            known |= {
                "groupId": group["phone"],
                "phone": group["phone"],
                "url": group["invitationLink"],
            }
        if domain == "communities":
            known |= await self.community(linked="unlink" in route["path"])
        if domain == "newsletter" and names & {"id", "newsletterId"}:
            channel = await self.made("POST", "/create-newsletter", {"name": "News"})
            known |= {"id": channel["id"], "newsletterId": channel["id"]}
        if domain == "business":
            known |= await self.shop(names, route["path"])
        return known

    async def community(self, *, linked: bool) -> dict[str, Any]:
        id_ = (await self.made("POST", "/communities", {"name": "Street"}))["id"]
        groups = []
        for _ in range(2):
            body = {"groupName": "House", "phones": [ANA]}
            groups.append((await self.made("POST", "/create-group", body))["phone"])
        if linked:
            await self.made(
                "POST", "/communities/link", {"communityId": id_, "groupsPhones": groups}
            )
        return {"communityId": id_, "groupsPhones": groups[:1]}

    async def shop(self, names: set[str], path: str) -> dict[str, Any]:
        known: dict[str, Any] = {"phone": self.own_phone, "nextCursor": ""}
        if path.startswith("/chats"):
            known["phone"] = ANA
        if names & {"productId", "productIds", "collectionId"} or "catalogs" in path:
            product = await self.made(
                "POST",
                "/products",
                {"name": "Bread", "price": 2, "salePrice": 1, "currency": "BRL", "retailerId": "7"}
                | {"url": "https://example.com"},
            )
            known |= {"productId": product["id"], "productIds": [product["id"]]}
            collection = await self.made(
                "POST",
                "/catalogs/collection",
                {"name": "Food", "productIds": [product["id"]]},
            )
            known["collectionId"] = collection["collectionId"]
        if names & {"tag", "tagId"}:
            tag = await self.made("POST", "/business/create-tag", {"name": "New"})
            known |= {"tag": tag["id"], "tagId": tag["id"]}
        if path == "/business/profile":
            await self.made("POST", "/business/hours", {"timezone": "America/Sao_Paulo"})
        return known


def compare(wanted: Any, seen: Any, where: str) -> list[str]:
    """Yields where an answer differs from the documented shape."""
    if isinstance(wanted, dict):
        if not isinstance(seen, dict):
            return [f"{where or 'the answer'} is no object: {seen}"]
        missing = [f"{where}.{name} is missing" for name in wanted if name not in seen]
        return missing + [
            complaint
            for name, kind in wanted.items()
            if name in seen
            for complaint in compare(kind, seen[name], f"{where}.{name}")
        ]
    if isinstance(wanted, list):
        if not isinstance(seen, list):
            return [f"{where or 'the answer'} is no list: {seen}"]
        return [
            complaint
            for kind in wanted[:1]
            for number, item in enumerate(seen)
            for complaint in compare(kind, item, f"{where}[{number}]")
        ]
    kind = kind_of(seen)
    return [] if wanted in {kind, "null"} else [f"{where} is {kind}, not {wanted}"]


def kind_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case _:
            return type(value).__name__
