"""Scenes of people: users who sign in, the owner of a phone who links it, a program with a key."""

import os
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

import pyotp
from argon2 import PasswordHasher

from gateway.contract.scopes import UserRole
from gateway.errors import DatabaseUnavailable, GatewayError, SignInFailed
from gateway.instances.accounts import Accounts
from gateway.instances.api_keys import ApiKeys
from gateway.instances.creation import Registry
from gateway.instances.phone_links import PhoneLinks
from gateway.instances.tokens import TokenVault
from gateway.runtime.provider_selection import secret_settings_of
from tests.campaigns.tour import Tour
from tests.fixtures.users import CHEAP, PASSWORD, user_services_on

Answer = TypeVar("Answer")
Given = ParamSpec("Given")
_TRIES = 200
_DEARER = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)


async def insist(
    act: Callable[Given, Awaitable[Answer]], *given: Given.args, **named: Given.kwargs
) -> Answer | None:
    """Repeats what Postgres did not answer, as a person does.

    None where the repetition is refused, because the first one had its effect.
    """
    for number in range(_TRIES):
        try:
            return await act(*given, **named)
        except DatabaseUnavailable:
            continue
        except GatewayError:
            if not number:
                raise
            return None
    raise AssertionError("Postgres does not come back")


async def sign_in(tour: Tour) -> None:
    """A user gets a password by a link, signs in, has a second factor, and signs out everywhere.

    A link or code whose answer was lost is used up, and the user needs another: the scene ends.
    """
    try:
        await _use_session(tour)
    except SignInFailed as error:
        raise AssertionError("a link or a code was used up") from error


async def _use_session(tour: Tour) -> None:
    services, email = (
        user_services_on(tour.database, hasher=CHEAP),
        f"{uuid.uuid4().hex}@example.com",
    )
    admin, sessions = services.admin, services.sign_in.sessions
    services.clock.at = datetime.now(UTC)
    await insist(services.add, email, password=None)
    user = await insist(admin.find, email)
    assert user is not None
    link = await insist(admin.issue_password_link, email)
    assert link is not None
    await insist(services.sign_in.set_password_by_link, link, PASSWORD, address=None)
    first = await insist(services.enter, email)
    local = await insist(services.sign_in.issue_link, user.id)
    assert local is not None
    await insist(services.sign_in.redeem_link, local, is_on_this_machine=True, address="127.0.0.1")
    await tour.operator.execute(
        "update user_sessions set last_seen_at = now() - interval '1 hour' where user_id = %s",
        [user.id],
    )
    if first:
        await insist(sessions.find, first, is_request=True)
    for listed in await insist(sessions.list_of, user.id) or ():
        await insist(sessions.end_of, user.id, listed.token_hash)
    secret = admin.new_second_factor()
    code = pyotp.TOTP(secret).at(services.clock.now())
    await insist(admin.set_second_factor, email, secret, code)
    services.clock.advance(60)
    code = pyotp.TOTP(secret).at(services.clock.now())
    await insist(services.enter, email, PASSWORD, code)
    await insist(admin.remove_second_factor, email)
    later = user_services_on(tour.database, hasher=_DEARER)
    token = await insist(later.enter, email)
    session = await insist(sessions.find, token) if token else None
    if session:
        await insist(services.sign_in.sign_out, session, address=None)
        await insist(services.sign_in.sign_out_everywhere, session, address=None)
    await insist(admin.set_disabled, email, disabled=True)


async def keep_users(tour: Tour) -> None:
    """The operator looks for users, and changes the name, the role and the password of one."""
    services, email = (
        user_services_on(tour.database, hasher=CHEAP),
        f"{uuid.uuid4().hex}@example.com",
    )
    (account,) = await tour.rows(
        "select account_id from instances where id = %s", tour.line.demo.instance_id
    )
    await insist(services.add, email, role=UserRole.VIEWER, account_id=account[0])
    await insist(services.admin.ensure_operator)
    await insist(services.admin.list_all)
    await insist(services.admin.search, email, account_id=account[0])
    await insist(services.admin.set_role, email, UserRole.AGENT)
    await insist(services.admin.set_profile, email, name="Ana", language="es")
    await insist(services.admin.set_password, email, PASSWORD)
    accounts = Accounts(tour.database, ApiKeys(tour.database, services.clock))
    await insist(accounts.find, account[0])


async def use_key(tour: Tour) -> None:
    """Makes an API key of one instance, reads with it, and waits until its use is noted."""
    own = {"name": "CRM", "scopes": ["read"], "instanceIds": [tour.line.demo.instance_id]}
    made = (await tour.partner("POST", "/account/keys", json=own)).json()
    path = f"/instances/{tour.line.demo.instance_id}/token/{made['key']}/queue/count"
    await tour.line.insist("GET", path)
    await tour.until(
        lambda: tour.rows("select from api_key_uses where key_id = %s", made["id"]),
        bool,
    )
    await tour.partner("DELETE", f"/account/keys/{made['id']}")


async def link_phone(tour: Tour) -> None:
    """A new instance gets a token again; the owner of its phone gets a link, which is used up."""
    vault = TokenVault(((tour.gateway.data_dir / "secret.key").read_text().strip(),), os.urandom)
    registry = Registry(tour.database, vault, os.urandom, secret_settings=secret_settings_of)
    account = await insist(registry.add_account, "Linked", client_token_required=True)
    assert account is not None
    made = await insist(registry.add_instance, account.id, "New", provider="sandbox")
    assert made is not None
    await insist(registry.rotate_token, made.id, account_id=account.id)
    links = PhoneLinks(tour.database)
    for phones in ([], ["5511987654321"]):
        token = uuid.uuid4().hex * 2
        await insist(links.create, made.id, token, phones=phones, max_codes=2, minutes=30)
        await insist(links.find, made.id)
        await insist(links.find_by_token, token)
        await insist(links.count_code, token, "2@code")
        await insist(links.confirm, made.id)
        await insist(links.revoke, made.id)


async def wait_turn(tour: Tour) -> None:
    """Looks up the place of a message behind one whose pause lasts."""
    first = await tour.line.send_text(tour.text("after a pause"), delayMessage=1)
    later = await tour.line.send_text(tour.text("waits for its turn"))
    await tour.line.call("GET", f"/queue/{later['zaapId']}")
    await tour.arrived(first["messageId"], later["messageId"])


async def watch_queue(tour: Tour) -> None:
    """Looks at lanes, at what is scheduled, and at one message on its line of time."""
    line, person = tour.line, tour.person()
    sent = await tour.send()
    await tour.posted("DeliveryCallback", sent)
    await line.call("POST", "/queue/pause")
    waiting = await line.post("/send-text", {"phone": person, "message": tour.text("waits")})
    at = datetime.now(UTC) + timedelta(days=1)
    later = {"phone": person, "message": tour.text("later"), "scheduledFor": at.isoformat()}
    scheduled = await line.post("/send-text", later)
    span = {"from": datetime.now(UTC).isoformat(), "to": (at + timedelta(days=1)).isoformat()}
    for path, parameters in (
        ("/queue/lanes", {}),
        ("/queue/lanes/normal", {}),
        ("/queue/matching", {"phone": person}),
        ("/queue/scheduled", span),
        ("/queue/scheduled/days", span),
        ("/messages/search", {"status": "waiting"}),
        ("/messages/search", {"status": "sent"}),
        ("/messages/search", {"status": "sent", "phone": person}),
        ("/messages/search", {"phone": person}),
        ("/messages/search", {"id": sent}),
        (f"/messages/{sent}/timeline", {}),
        (f"/messages/{waiting['messageId']}/timeline", {}),
        (f"/messages/{scheduled['messageId']}/timeline", {}),
        ("/webhooks/deliveries", {"success": "false"}),
        ("/webhooks/waiting", {}),
        (f"/webhooks/deliveries/{tour.catcher.delivered[-1].id}", {}),
        (f"/webhooks/deliveries/{uuid.uuid4()}", {}),
    ):
        await line.call("GET", path, params=parameters)
    await line.call("DELETE", "/queue", params={"phone": person})
    await line.call("POST", "/queue/resume")
