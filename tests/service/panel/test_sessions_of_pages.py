"""What a browser may do: cookies, forms, passwords, codes, and what stays out of the log."""

from collections.abc import Iterator

import pyotp
import pytest

from gateway.contract.scopes import UserRole
from gateway.users.sessions import SESSION_COOKIE
from tests.fixtures.panel import PASSWORD, TOKEN, People, browser_of, enter, people_of, submit
from tests.fixtures.service import NewHouse, RunningGateway, until

NEW_PASSWORD = "a longer horse battery"
PROFILE = "/panel/profile"
MARK = "markedzephyr"
OVER_TLS = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "wa.example.com",
    "X-Forwarded-For": "203.0.113.7",
}


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_LOG_LEVEL="DEBUG", GATEWAY_TRUSTED_PROXIES="127.0.0.1/32") as gateway:
        yield gateway


async def signed_in(people: People) -> tuple[str, str]:
    email = await people.add(UserRole.OPERATOR)
    return email, await people.session_of(email)


async def test_cookie_is_secure_over_tls_and_after_a_hint_of_the_browser(
    house: RunningGateway,
) -> None:
    async with people_of(house) as people:
        email = await people.add(UserRole.OPERATOR)
        for headers, is_secure in (
            ({}, False),
            (OVER_TLS, True),
            ({"Host": "wa.example.com", "Sec-Fetch-Site": "same-origin"}, True),
        ):
            async with browser_of(house, **headers) as http:
                page = await http.get("/panel/sign-in")
                found = TOKEN.search(page.text)
                assert found is not None
                visitor = page.headers["set-cookie"].partition(";")[0]
                entered = await http.post(
                    "/panel/sign-in",
                    data={"csrf_token": found[1], "email": email, "password": PASSWORD},
                    headers={"Cookie": visitor},
                )
            (cookie,) = [
                c for c in entered.headers.get_list("set-cookie") if c.startswith(SESSION_COOKIE)
            ]
            parts = set(cookie.split("; "))
            assert {"HttpOnly", "SameSite=lax", "Path=/"} <= parts
            assert ("Secure" in parts) is is_secure


async def test_plain_http_from_elsewhere_shows_how_to_reach_the_panel(
    house: RunningGateway,
) -> None:
    async with people_of(house) as people, browser_of(house, Host="192.0.2.7:8080") as http:
        email = await people.add(UserRole.OPERATOR)
        page = await http.get("/panel/sign-in")
        found = TOKEN.search(page.text)
        assert found is not None
        refused = await http.post(
            "/panel/sign-in",
            data={"csrf_token": found[1], "email": email, "password": PASSWORD},
        )

    assert "ssh -N -L" in page.text
    assert "reverse_proxy" in page.text
    assert 'name="password"' not in page.text
    assert refused.status_code == 403
    assert SESSION_COOKIE not in refused.headers.get("set-cookie", "")


async def test_sign_in_needs_the_form_of_the_same_browser(house: RunningGateway) -> None:
    """Another site could sign a person in as somebody else, and read what he then enters."""
    async with people_of(house) as people:
        email = await people.add(UserRole.OPERATOR)
        fields = {"email": email, "password": PASSWORD}
        async with browser_of(house) as attacker, browser_of(house) as victim:
            found = TOKEN.search((await attacker.get("/panel/sign-in")).text)
            assert found is not None
            await victim.get("/panel/sign-in")
            for sent in (fields, {**fields, "csrf_token": found[1]}):
                answer = await victim.post("/panel/sign-in", data=sent)
                assert answer.status_code == 403
                assert SESSION_COOKIE not in victim.cookies
            other = await victim.post(
                "/panel/sign-in", data=fields, headers={"Origin": "https://evil.example"}
            )
            assert other.status_code == 403


async def test_a_change_after_the_session_ended_changes_nothing(house: RunningGateway) -> None:
    async with people_of(house) as people:
        email, session = await signed_in(people)
        async with browser_of(house, session=session) as http:
            found = TOKEN.search((await http.get(PROFILE)).text)
            assert found is not None
            fields = {"csrf_token": found[1], "name": "Eve", "language": "en"}
            await people.sign_in.sessions.end_all((await people.admin.find(email)).id)
            form = await http.post(PROFILE, data=fields)
            part = await http.post(
                PROFILE,
                data=fields,
                headers={"HX-Request": "true", "HX-Current-URL": f"{house.base_url}{PROFILE}"},
            )

        assert form.headers["location"] == f"/panel/sign-in?next={PROFILE}"
        assert part.headers["hx-redirect"] == f"/panel/sign-in?next={PROFILE}"
        assert (await people.admin.find(email)).name != "Eve"


async def test_a_form_of_an_earlier_session_is_refused_and_htmx_loads_the_page_again(
    house: RunningGateway,
) -> None:
    async with people_of(house) as people:
        email, session = await signed_in(people)
        async with browser_of(house, session=session) as http:
            found = TOKEN.search((await http.get(PROFILE)).text)
        assert found is not None
        async with browser_of(house, session=await people.session_of(email)) as http:
            fields = {"csrf_token": found[1], "name": "Eve", "language": "en"}
            form = await http.post(PROFILE, data=fields)
            part = await http.post(PROFILE, data=fields, headers={"HX-Request": "true"})

        assert (form.status_code, part.status_code) == (403, 403)
        assert "too old" in form.text
        assert part.headers["hx-refresh"] == "true"
        assert (await people.admin.find(email)).name != "Eve"


async def test_a_password_is_changed_and_other_sessions_end(house: RunningGateway) -> None:
    async with people_of(house) as people:
        email, session = await signed_in(people)
        other = await people.session_of(email)
        async with browser_of(house, session=session) as http:
            for fields, text in (
                ({"current": "wrong", "new": NEW_PASSWORD, "repeated": NEW_PASSWORD}, "is wrong"),
                ({"current": PASSWORD, "new": NEW_PASSWORD, "repeated": "other"}, "differ"),
                ({"current": PASSWORD, "new": "short", "repeated": "short"}, "password"),
            ):
                refused = await submit(http, PROFILE, f"{PROFILE}/password", **fields)
                assert refused.status_code == 303
                assert text in (await http.get(PROFILE)).text
            good = {"current": PASSWORD, "new": NEW_PASSWORD, "repeated": NEW_PASSWORD}
            await submit(http, PROFILE, f"{PROFILE}/password", **good)
            assert (await http.get(PROFILE)).status_code == 200
        assert await people.sign_in.sessions.find(other) is None
        async with browser_of(house) as http:
            assert (await enter(http, email)).status_code == 401
            assert (await enter(http, email, password=NEW_PASSWORD)).status_code == 303


async def test_a_second_factor_is_set_up_with_a_code_and_removed_with_the_password(
    house: RunningGateway,
) -> None:
    path = f"{PROFILE}/second-factor"
    async with people_of(house) as people:
        email, session = await signed_in(people)
        async with browser_of(house, session=session) as http:
            secret = pyotp.random_base32()
            wrong = {"secret": secret, "code": "000000", "password": PASSWORD}
            await submit(http, path, path, **wrong)
            assert (await people.admin.find(email)).totp_key_id is None
            good = {**wrong, "code": pyotp.TOTP(secret).now()}
            await submit(http, path, path, **{**good, "password": "wrong"})
            assert (await people.admin.find(email)).totp_key_id is None
            await submit(http, path, path, **good)
            assert (await people.admin.find(email)).totp_key_id is not None

            await submit(http, PROFILE, f"{path}/remove", password="wrong")
            assert (await people.admin.find(email)).totp_key_id is not None
            await submit(http, PROFILE, f"{path}/remove", password=PASSWORD)
            assert (await people.admin.find(email)).totp_key_id is None


async def test_no_mark_of_a_request_is_in_the_log_at_debug(house: RunningGateway) -> None:
    async with people_of(house) as people:
        _email, session = await signed_in(people)
        async with browser_of(house, session=session) as http:
            token = TOKEN.search((await http.get(PROFILE)).text)
            assert token is not None
            for path in (
                f"/panel/?q={MARK}&page={MARK}",
                f"/panel/{MARK}",
                f"/panel/link/{MARK}",
                f"/panel/link-phone/{MARK}",
                f"/panel/link-phone/{MARK}/state",
                f"/panel/live?topics=queue:{MARK}",
                f"/panel/switch/instances?q={MARK}&next=/panel/{MARK}",
                f"/panel/assets/{MARK}/{MARK}",
                f"/panel/?instance={MARK}&account={MARK}",
            ):
                async with http.stream("GET", path):
                    pass
            await submit(http, PROFILE, PROFILE, name=MARK, language=MARK)
            await submit(http, PROFILE, f"{PROFILE}/password", current=MARK, new=MARK)
            await submit(http, PROFILE, f"{PROFILE}/sessions/end", id=MARK)
            await http.post(f"/panel/link-phone/{MARK}", data={"phone": MARK})
            await http.post(PROFILE, content=f"{MARK}=%zz", headers={"Content-Type": MARK})
        async with browser_of(house) as http:
            await submit(http, "/panel/sign-in", "/panel/sign-in", email=MARK, password=MARK)
            await http.get("/panel/", headers={"Cookie": f"{SESSION_COOKIE}={MARK}"})
            await http.get("/panel/", headers={"X-Request-Id": "the-last-one"})

        async def read() -> str:
            return house.log

        log = await until(read, lambda written: "the-last-one" in written)
        lines = [
            line for line in log.splitlines() if any(m in line for m in (MARK, session, token[1]))
        ]
        assert lines == []
