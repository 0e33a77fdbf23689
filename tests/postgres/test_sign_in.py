"""Users sign in; guesses and replays do not, and delay no other address."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pyotp
import pytest
import structlog
from argon2 import PasswordHasher
from psycopg import AsyncConnection

from gateway.contract.scopes import UserRole
from gateway.errors import Conflict, GatewayError, InvalidRequest, SignInFailed, TooManyRequests
from gateway.users.sign_in_delays import FREE_FAILURES, network_of
from gateway.users.store import Users
from tests.fixtures.queue import add_instances
from tests.fixtures.users import ELSEWHERE, HERE, PASSWORD, UserServices, users_of

WRONG = "wrong horse battery"


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[UserServices]:
    async with users_of(database_url) as services:
        yield services


async def refusal(attempt: Awaitable[object]) -> str:
    with pytest.raises(GatewayError) as refused:
        await attempt
    return f"{type(refused.value).__name__}: {refused.value}"


async def acts(operator: AsyncConnection) -> list[tuple[Any, ...]]:
    cursor = await operator.execute(
        "select act, user_name, credential, address, outcome from audit_log order by id"
    )
    return await cursor.fetchall()


async def test_right_password_opens_a_session_in_any_capitals(
    services: UserServices, operator: AsyncConnection
) -> None:
    await services.add()

    session = await services.sign_in.sessions.find(await services.enter(" ANA@example.com "))

    assert session is not None
    assert (session.email, session.role, session.account_id) == (
        "ana@example.com",
        UserRole.OPERATOR,
        None,
    )
    assert await acts(operator) == [
        ("CreateUser", "root", "command_line", None, "done"),
        ("SignIn", "ana@example.com", "password", HERE, "done"),
    ]


async def test_no_answer_says_what_is_wrong(services: UserServices) -> None:
    await services.add()
    await services.add("off@example.com")
    await services.add("link@example.com", password=None)
    await services.admin.set_disabled("off@example.com", disabled=True)
    wrong = [
        ("ana@example.com", WRONG),
        ("ana@example.com", ""),
        ("ana@example.com", "x" * 5_000),
        ("ana@example.com", "\ud800 lone surrogate"),
        ("nobody@example.com", PASSWORD),
        ("off@example.com", PASSWORD),
        ("link@example.com", PASSWORD),
        ("link@example.com", "a password that no user has"),
        ("a\x00b", PASSWORD),
        ("x" * 5_000, PASSWORD),
        ("\u212aelvin@example.com", PASSWORD),
    ]

    answers = {
        await refusal(services.enter(email, password, address=f"203.0.113.{number}"))
        for number, (email, password) in enumerate(wrong)
    }

    assert answers == {"SignInFailed: The e-mail, the password or the code is wrong"}


async def test_unknown_login_costs_a_hash_too(database_url: str) -> None:
    checked: list[bytes] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002 - as its base
            checked.append(bytes(password) if isinstance(password, bytes) else password.encode())
            return super().verify(hash, password)

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    async with users_of(database_url, hasher=hasher) as services:
        await services.add()
        await refusal(services.enter("ana@example.com", WRONG))
        await refusal(services.enter("nobody@example.com", WRONG))

    assert checked == [WRONG.encode()] * 2


async def test_failures_delay_the_login_at_this_address_alone(
    services: UserServices, operator: AsyncConnection
) -> None:
    await services.add()
    failed = [await refusal(services.enter(password=WRONG)) for _ in range(FREE_FAILURES + 1)]
    waiting = await refusal(services.enter())  # also with the right password
    elsewhere = await services.enter(address=ELSEWHERE)
    other = await refusal(services.enter("nobody@example.com"))
    await operator.execute("update sign_in_attempts set retry_at = now()")

    assert {text.partition(":")[0] for text in failed} == {"SignInFailed"}
    assert waiting == "TooManyRequests: Too many sign-ins for this address"
    assert elsewhere
    assert other.startswith("SignInFailed")
    assert await services.enter()  # the delay is over


async def test_delay_doubles_up_to_a_quarter_of_an_hour_and_ends_with_success(
    services: UserServices, operator: AsyncConnection
) -> None:
    await services.add()
    delays = []
    for _ in range(16):
        services.clock.advance(3_600)  # the budget of the node is full again
        await operator.execute("update sign_in_attempts set retry_at = now()")
        await refusal(services.enter(password=WRONG))
        cursor = await operator.execute(
            "select round(extract(epoch from retry_at - attempted_at)) from sign_in_attempts"
        )
        delays += [int(row[0]) for row in await cursor.fetchall()]
    await operator.execute("update sign_in_attempts set retry_at = now()")
    await services.enter()
    after = await refusal(services.enter(password=WRONG))

    assert delays == [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert after.startswith("SignInFailed")
    assert await services.enter()


async def test_guesses_at_once_do_not_pass_together(database_url: str) -> None:
    """On two nodes, whose budgets know nothing of each other."""
    async with users_of(database_url) as one, users_of(database_url) as two:
        await one.add()
        answers = await asyncio.gather(
            *(refusal(node.enter(password=WRONG)) for _ in range(10) for node in (one, two))
        )

    assert sum(text.startswith("SignInFailed") for text in answers) <= FREE_FAILURES + 1


async def test_unknown_logins_use_up_no_budget_of_a_known_user(services: UserServices) -> None:
    await services.add()
    await services.enter()

    async def guess(number: int) -> str:
        return await refusal(
            services.enter(f"user{number}@example.com", WRONG, address=f"198.51.100.{number}")
        )

    answers = [await guess(number) for number in range(40)]

    assert answers[0].startswith("SignInFailed")
    assert answers[-1].startswith("TooManyRequests")
    assert await services.enter()
    stranger = await refusal(services.enter(address=ELSEWHERE))
    assert stranger.startswith("TooManyRequests")
    services.clock.advance(60)
    assert await services.enter(address=ELSEWHERE)


async def test_one_address_uses_up_only_its_own_budget(services: UserServices) -> None:
    await services.add()
    answers = [
        await refusal(services.enter(f"user{n}@example.com", WRONG, address=f"2001:db8::{n}"))
        for n in range(12)
    ]

    assert answers[-1].startswith("TooManyRequests")
    assert await services.enter(address=ELSEWHERE)
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") == "2001:db8::/64"
    assert network_of(None) == network_of("unix") == ""


async def test_second_factor_is_needed_and_each_code_good_once(services: UserServices) -> None:
    await services.add()
    secret = services.admin.new_second_factor()
    totp = pyotp.TOTP(secret)
    await services.admin.set_second_factor("ana@example.com", secret, totp.at(services.clock.now()))
    code = totp.at(services.clock.now())

    without = await refusal(services.enter())
    wrong = await refusal(services.enter(code="000000" if code != "000000" else "111111"))
    other_digits = await refusal(services.enter(code="\u0661" * 6, address="203.0.113.8"))
    entered = await services.enter(code=f"{code[:3]} {code[3:]}", address="203.0.113.9")
    replayed = await refusal(services.enter(code=code, address="203.0.113.9"))
    earlier = totp.at(services.clock.now(), counter_offset=-1)
    older = await refusal(services.enter(code=earlier, address="203.0.113.9"))
    services.clock.advance(31)
    again = await services.enter(code=totp.at(services.clock.now()), address="203.0.113.9")
    await services.admin.remove_second_factor("ana@example.com")

    assert {without, wrong, other_digits, replayed, older} == {
        "SignInFailed: The e-mail, the password or the code is wrong"
    }
    assert entered
    assert again
    assert await services.enter(address="203.0.113.9")


async def test_second_factor_of_a_lost_secret_refuses_like_a_wrong_code(
    services: UserServices, operator: AsyncConnection
) -> None:
    await services.add()
    secret = services.admin.new_second_factor()
    code = pyotp.TOTP(secret).at(services.clock.now())
    await services.admin.set_second_factor("ana@example.com", secret, code)
    await operator.execute("update users set totp_key_id = 'lost'")

    with structlog.testing.capture_logs() as logs:
        refused = await refusal(services.enter(code=code))

    assert refused == f"SignInFailed: {SignInFailed()}"
    assert [line["event"] for line in logs] == ["second_factor_unreadable"]


async def test_same_code_twice_at_once_opens_one_session(services: UserServices) -> None:
    await services.add()
    secret = services.admin.new_second_factor()
    code = pyotp.TOTP(secret).at(services.clock.now())
    await services.admin.set_second_factor("ana@example.com", secret, code)

    results = await asyncio.gather(
        services.enter(code=code, address=HERE),
        services.enter(code=code, address=ELSEWHERE),
        return_exceptions=True,
    )

    assert sorted(type(each).__name__ for each in results) == ["SignInFailed", "str"]


async def test_second_factor_with_a_wrong_code_is_not_stored(services: UserServices) -> None:
    await services.add()
    with pytest.raises(InvalidRequest):
        await services.admin.set_second_factor(
            "ana@example.com", services.admin.new_second_factor(), "12345"
        )

    assert await services.enter()


ENDS: dict[str, Callable[[UserServices, str], Awaitable[object]]] = {
    "disabled": lambda services, _id: services.admin.set_disabled("ana@example.com", disabled=True),
    "password": lambda services, _id: services.admin.set_password(
        "ana@example.com", PASSWORD + "!"
    ),
    "everywhere": lambda services, user_id: services.sign_in.sessions.end_all(user_id),
}


@pytest.mark.parametrize("name", ENDS)
async def test_every_session_of_a_user_ends(services: UserServices, name: str) -> None:
    user_id = await services.add()
    tokens = [await services.enter(), await services.enter(address=ELSEWHERE)]
    await services.add("eva@example.com")
    other = await services.enter("eva@example.com")

    await ENDS[name](services, user_id)

    assert [await services.sign_in.sessions.find(token) for token in tokens] == [None, None]
    assert await services.sign_in.sessions.find(other)


async def test_sign_out_ends_one_session_and_everywhere_all(
    services: UserServices, operator: AsyncConnection
) -> None:
    await services.add()
    find = services.sign_in.sessions.find
    first, second, third = [await services.enter() for _ in range(3)]
    one, two = await find(first), await find(second)
    assert one is not None
    assert two is not None

    await services.sign_in.sign_out(one, address=HERE)
    left = await find(first), await find(second) is not None
    count = await services.sign_in.sign_out_everywhere(two, address=HERE)

    assert left == (None, True)
    assert (count, await find(third)) == (2, None)
    assert [row[:3] for row in await acts(operator)][-2:] == [
        ("SignOut", "ana@example.com", "session"),
        ("SignOutEverywhere", "ana@example.com", "session"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "update user_sessions set expires_at = now()",
        "update user_sessions set last_seen_at = now() - interval '12 hours'",
        "update users set disabled_at = now()",
        "delete from users",
    ],
)
async def test_session_that_is_over_is_not_found(
    services: UserServices, operator: AsyncConnection, change: str
) -> None:
    await services.add()
    token = await services.enter()
    await operator.execute(change.encode())

    found = [
        await services.sign_in.sessions.find(each, is_request=True)
        for each in (token, token.upper(), token[:-1], "", "0" * 64)
    ]

    assert found == [None] * 5


async def test_only_requests_keep_a_session_open(
    services: UserServices, operator: AsyncConnection
) -> None:
    await services.add()
    token = await services.enter()
    await operator.execute("update user_sessions set last_seen_at = now() - interval '11 hours'")
    idle = "select last_seen_at < now() - interval '1 hour' from user_sessions"

    async def is_idle() -> bool:
        row = await (await operator.execute(idle.encode())).fetchone()
        return bool(row and row[0])

    await services.sign_in.sessions.find(token)
    checked = await is_idle()
    await services.sign_in.sessions.find(token, is_request=True)

    assert (checked, await is_idle()) == (True, False)


async def test_link_is_good_once_on_this_machine(
    services: UserServices, operator: AsyncConnection
) -> None:
    user = await services.admin.ensure_operator()
    again = await services.admin.ensure_operator()
    token = await services.sign_in.issue_link(user.id)

    async def redeem(link: str, *, here: bool = True) -> str:
        return await services.sign_in.redeem_link(
            link, is_on_this_machine=here, address="127.0.0.1"
        )

    from_elsewhere = await refusal(redeem(token, here=False))
    results = await asyncio.gather(redeem(token), redeem(token), return_exceptions=True)
    used = await refusal(redeem(token))
    late = await services.sign_in.issue_link(user.id)
    await operator.execute("update sign_in_links set expires_at = now() - interval '1 second'")
    expired = await refusal(redeem(late))
    disabled_later = await services.sign_in.issue_link(user.id)
    await services.admin.set_disabled(user.email, disabled=True)
    disabled = await refusal(redeem(disabled_later))
    await services.admin.set_disabled(user.email, disabled=False)
    enabled_again = await refusal(redeem(disabled_later))

    assert again.id == user.id
    assert sorted(type(each).__name__ for each in results) == ["SignInFailed", "str"]
    assert {from_elsewhere, used, expired, disabled, enabled_again} == {
        f"SignInFailed: {SignInFailed()}"
    }


async def test_password_link_sets_a_password_once_and_opens_no_session(
    services: UserServices, operator: AsyncConnection
) -> None:
    user_id = await services.add()
    session = await services.enter()
    link = await services.admin.issue_password_link("ana@example.com")
    sign_in_link = await services.sign_in.issue_link(user_id)

    async def use(token: str, password: str = "another long password") -> None:
        await services.sign_in.set_password_by_link(token, password, address=ELSEWHERE)

    as_sign_in = await refusal(
        services.sign_in.redeem_link(link, is_on_this_machine=True, address="127.0.0.1")
    )
    as_password = await refusal(use(sign_in_link))
    short = await refusal(use(link, "short"))
    await services.enter()  # the password before is right until the link is used
    results = await asyncio.gather(use(link), use(link), return_exceptions=True)
    again = await refusal(use(link))
    before = await refusal(services.enter())

    assert short.startswith("InvalidRequest")
    assert {as_sign_in, as_password, again, before} == {f"SignInFailed: {SignInFailed()}"}
    assert sorted(type(each).__name__ for each in results) == ["NoneType", "SignInFailed"]
    assert await services.sign_in.sessions.find(session) is None
    assert await services.enter(password="another long password")
    noted = [
        (act, who, kind)
        for act, who, kind, _at, outcome in await acts(operator)
        if outcome == "done"
    ]
    assert ("IssuePasswordLink", "root", "command_line") in noted
    assert ("SetOwnPassword", "ana@example.com", "password_link") in noted
    await operator.execute("update users set disabled_at = now()")
    disabled = await refusal(services.admin.issue_password_link("ana@example.com"))
    assert disabled.startswith("InvalidRequest")


async def test_users_are_searched_in_pages(
    services: UserServices, operator: AsyncConnection
) -> None:
    await add_instances(operator, 1)
    await services.add("ana@example.com")
    await services.add("ben@example.com", role=UserRole.OWNER, account_id="acme")
    await services.add("cleo@example.com", role=UserRole.AGENT, account_id="acme")

    async def found(text: str = "", **asked: Any) -> tuple[list[str], int]:
        users, total = await services.admin.search(text, **asked)
        return [user.email.partition("@")[0] for user in users], total

    assert await found() == (["ana", "ben", "cleo"], 3)
    assert await found(limit=1, offset=1) == (["ben"], 3)
    assert await found("ACME") == (["ben", "cleo"], 2)
    assert await found("cleo@", account_id="acme") == (["cleo"], 1)
    assert await found("ana@", account_id="acme") == ([], 0)


async def test_nothing_secret_is_stored_as_it_is(
    services: UserServices, operator: AsyncConnection
) -> None:
    user_id = await services.add()
    secret = services.admin.new_second_factor()
    code = pyotp.TOTP(secret).at(services.clock.now())
    await services.admin.set_second_factor("ana@example.com", secret, code)
    token = await services.enter(code=code)
    link = await services.sign_in.issue_link(user_id)
    cursor = await operator.execute(
        """select string_agg(t::text, ' ') from (
               select users::text as t from users
               union all select user_sessions::text from user_sessions
               union all select sign_in_links::text from sign_in_links
               union all select sign_in_attempts::text from sign_in_attempts
               union all select audit_log::text from audit_log
           ) everything"""
    )
    row = await cursor.fetchone()
    assert row is not None

    stored = row[0]

    assert "argon2id" in stored
    for text in (PASSWORD, secret, secret.encode().hex(), code, token, link):
        assert text not in stored


async def test_hash_of_an_earlier_release_is_replaced(database_url: str) -> None:
    async with users_of(database_url) as early:
        await early.add()
    costlier = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    async with users_of(database_url, hasher=costlier) as services:
        await services.enter()
        user = await Users(services.database).find_by_email("ana@example.com")
        await services.enter()

    assert user is not None
    assert "m=16,t=2" in str(user.password_hash)


async def test_user_has_a_role_an_account_and_a_password_that_fit(
    services: UserServices, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await services.add("owner@example.com", role=UserRole.OWNER, account_id=instance.account_id)
    wrong: list[dict[str, Any]] = [
        {"role": UserRole.OWNER},
        {"role": UserRole.OPERATOR, "account_id": instance.account_id},
        {"password": "short"},
        {"password": "x" * 2_000},
        {"email": "no e-mail"},
        {"email": "a@b\x00"},
    ]

    for fields in wrong:
        with pytest.raises(InvalidRequest):
            await services.add(**{"email": "new@example.com", **fields})
    with pytest.raises(Conflict):
        await services.add("OWNER@example.com")

    assert [user.email for user in await services.admin.list_all()] == ["owner@example.com"]


async def test_budget_answers_say_how_long_to_wait(services: UserServices) -> None:
    await services.add()
    for _ in range(FREE_FAILURES + 1):
        await refusal(services.enter(password=WRONG))
    with pytest.raises(TooManyRequests) as refused:
        await services.enter()

    assert refused.value.retry_after_seconds == 1
