"""Each role and each scope on each route: exactly what docs/rights.md says, and no more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from gateway.account_turns import AccountTurns, Share
from gateway.administration.audit import Caller, Credential
from gateway.administration.sign_in import caller_of_session
from gateway.api.app import build_app
from gateway.api.health import Readiness
from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation
from gateway.contract.scopes import ALL_SCOPES, SCOPES_OF_ROLE, ApiScope, UserRole
from gateway.documents.scopes_table import rights_table
from gateway.documents.surface import Entry, surface
from gateway.errors import Conflict, Forbidden, GatewayError, UnknownInstance
from gateway.instances.accounts import Account, account_of
from gateway.instances.api_keys import ApiKey
from gateway.instances.store import Instance
from gateway.instances.tokens import hash_of
from gateway.observability.metrics import Metrics
from gateway.operations.services import Services
from gateway.parsing.parser import BodyParser
from gateway.send_queue.admission import Admission
from gateway.settings import Settings
from gateway.users.sessions import UserSession

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT, INSTANCE, KEY = "A", "I", "gwk_" + "a" * 64
ENTRIES = surface(catalogue())
SETTINGS = Settings.read({"GATEWAY_ENV": "development", "GATEWAY_NAMED_API": "true"})
REACHED = Conflict("reached")
_CONFLICT = 409


def instance_of(account_id: str) -> Instance:
    empty = dict.fromkeys(Instance.__dataclass_fields__)
    fields = {
        **empty,
        "id": INSTANCE,
        "account_id": account_id,
        "token_hash": hash_of("TOKEN"),
        "client_token_required": True,
        "client_token_hash": hash_of("CLIENT"),
        "allowed_addresses": (),
    }
    return Instance(**cast("Any", fields))


def key_with(*scopes: ApiScope, instance_ids: frozenset[str] = frozenset()) -> ApiKey:
    return ApiKey(
        "K",
        ACCOUNT,
        "CRM",
        hash_of(KEY),
        frozenset(scopes),
        instance_ids,
        (),
        None,
        "Acme",
        (),
        client_token_required=True,
        account_created_at=NOW,
    )


class ReachedExecutor:
    """Supports everything, and says that it was reached."""

    awaits_others = True

    def supports(self, _operation: object) -> bool:
        return True

    async def answer(self, _subject: object, _operation: object) -> object:
        raise REACHED


class SilentAudit:
    """Notes nothing."""

    @asynccontextmanager
    async def noting(self, *_noted: object, **_details: object) -> AsyncIterator[None]:
        yield


def services(**replaced: Any) -> Services:
    fields = {
        **dict.fromkeys(Services.__dataclass_fields__),
        "executors": (ReachedExecutor(),),
        "audit": SilentAudit(),
        "turns": AccountTurns(Share(1_000, 1_000)),
        **replaced,
    }
    return Services(**cast("Any", fields))


def target_of(declared: type[Operation[Any]], account_id: str) -> Instance | Account:
    if not declared.absolute:
        return instance_of(account_id)
    return Account(account_id, "Acme", (), True, NOW, by_partner_token=False)  # noqa: FBT003 - a row


async def outcome(caller: Caller, declared: type[Operation[Any]], account_id: str) -> str:
    operation = declared.model_construct()
    try:
        await services().execute(operation, target_of(declared, account_id), caller=caller)
    except GatewayError as error:
        return type(error).__name__
    return "answered"


def session_of(role: UserRole) -> UserSession:
    account = None if role is UserRole.OPERATOR else ACCOUNT
    return UserSession("U", account, "ana@example.com", "Ana", role, "en", b"")


OPERATIONS = sorted(set(catalogue().operations.values()), key=lambda each: each.__name__)


@pytest.mark.parametrize("role", UserRole)
async def test_role_reaches_exactly_its_operations(role: UserRole) -> None:
    caller = caller_of_session(session_of(role), "203.0.113.7")
    reached = {op for op in OPERATIONS if await outcome(caller, op, ACCOUNT) == "Conflict"}
    refused = {op for op in OPERATIONS if await outcome(caller, op, ACCOUNT) == "Forbidden"}

    assert reached == {op for op in OPERATIONS if op.scope in SCOPES_OF_ROLE[role]}
    assert reached | refused == set(OPERATIONS)


@pytest.mark.parametrize("role", UserRole)
async def test_user_reaches_another_account_only_as_operator(role: UserRole) -> None:
    caller = caller_of_session(session_of(role), None)
    outcomes = {await outcome(caller, op, "another account") for op in OPERATIONS}

    expected = {"Conflict"} if role is UserRole.OPERATOR else {"UnknownInstance", "Forbidden"}
    assert outcomes == expected


async def test_caller_of_some_instances_reaches_no_other_and_no_account() -> None:
    caller = Caller(
        Credential.API_KEY,
        scopes=ALL_SCOPES,
        account_id=ACCOUNT,
        instance_ids=frozenset({"another"}),
    )

    for op in OPERATIONS:
        with pytest.raises(Forbidden if op.absolute else UnknownInstance):
            await services().execute(op.model_construct(), target_of(op, ACCOUNT), caller=caller)


def test_operation_without_a_scope_is_for_nobody() -> None:
    with pytest.raises(Forbidden):
        Caller(Credential.PARTNER_TOKEN, scopes=ALL_SCOPES).require(None)


class OneAccount:
    """Knows one API key, and lets it act."""

    def __init__(self, key: ApiKey) -> None:
        self.key, self.keys = key, self
        self.uses = SimpleNamespace(is_due=lambda _key: True, note=lambda *_used: None)

    async def find(self, token: str) -> ApiKey | None:
        return self.key if token == KEY else None

    async def find_by_token(self, token: str) -> Account | None:
        return account_of(self.key) if token == KEY else None


class OneInstance:
    """Knows one instance."""

    def known_account_of(self, _instance_id: str) -> str:
        return ACCOUNT

    async def find(self, instance_id: str) -> Instance | None:
        return instance_of(ACCOUNT) if instance_id == INSTANCE else None


class Reached:
    """Stands for what a request meets after its rights were checked."""

    def __getattr__(self, _name: str) -> Any:
        raise REACHED


@asynccontextmanager
async def gateway_with(key: ApiKey) -> AsyncIterator[httpx.AsyncClient]:
    found = services(
        accounts=OneAccount(key), instances=OneInstance(), base_urls=Reached(), intake=Reached()
    )
    app = build_app(
        catalogue=catalogue(),
        services=lambda: found,
        readiness=Readiness(dict),
        settings=SETTINGS.http,
        account_limits=SETTINGS.account_limits(),
        admission=Admission(Clock(), trials=False, supports=lambda _provider, _kind: True),
        clock=Clock(),
        random_bytes=lambda count: b"\xab" * count,
        metrics=Metrics(),
        parser=cast("BodyParser", Reached()),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        yield http


def path_of(entry: Entry) -> str:
    path = entry.path
    for name in ("{", "}"):
        path = path.replace(name, "")
    return path if entry.absolute else f"/instances/{INSTANCE}/token/{KEY}{path}"


@pytest.mark.parametrize("scope", ApiScope)
async def test_key_reaches_exactly_the_routes_of_its_scope(scope: ApiScope) -> None:
    """Over HTTP; the rest of a request is not read before its rights are checked."""
    async with gateway_with(key_with(scope)) as http:
        for entry in ENTRIES:
            answer = await http.request(
                entry.method, path_of(entry), headers={"Authorization": f"Bearer {KEY}"}
            )
            expected = _CONFLICT if entry.declared.scope is scope else 403
            assert answer.status_code == expected, f"{entry.method} {entry.path}: {answer.text}"


async def test_key_of_no_scope_that_this_release_knows_reaches_nothing() -> None:
    async with gateway_with(key_with()) as http:
        for entry in ENTRIES:
            answer = await http.request(
                entry.method, path_of(entry), headers={"Authorization": f"Bearer {KEY}"}
            )
            assert answer.status_code == 403


def test_table_has_every_route_once() -> None:
    rows = [row.split("`")[1] for row in rights_table(catalogue()) if row.startswith("| `")]

    assert len(rows) == len(set(rows)) == len(ENTRIES) + 2
