"""`gateway users`: people are made, listed, given another password, and disabled."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pyotp

from tests.fixtures.preloaded import start_gateway
from tests.fixtures.service import RunningGateway, until

NAME = "Ana@Example.com"
WORDS = "a long password\n"


async def test_operator_makes_changes_and_disables_users(
    gateway: RunningGateway, command: Any, run_sql: Any
) -> None:
    run = partial(command, gateway, "users")
    made = run("create", NAME, "--role", "owner", "--account", "demo", given=WORDS)
    listed = run("list").stdout
    short = run("password", NAME, given="short\n", fails=True)
    nothing = run("password", NAME, fails=True)
    nobody = run("password", "nobody@example.com", given=WORDS, fails=True)
    no_account = run("create", "b@example.com", "--role", "agent", given=WORDS, fails=True)
    run("disable", NAME.lower())
    disabled = run("list").stdout
    run("disable", NAME, "--undo")
    ((user_id, email, role, password_hash),) = await run_sql(
        "select id, email, role, password_hash from users"
    )
    acts = await run_sql(
        "select act, credential, details -> 'given' ->> 'user' from audit_log"
        " where act ~ 'User' order by id"
    )

    assert made.stdout == f"USER_ID={user_id}\n"
    assert (email, role) == (NAME, "owner")
    assert password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert f"{user_id}  {NAME}  owner, Demo, pt-BR, never seen" in listed
    assert "disabled" in disabled
    assert "at least 12 characters" in short.stderr
    assert "is read from a terminal or standard input" in nothing.stderr
    assert "There is no user" in nobody.stderr
    assert "--account" in no_account.stderr
    assert WORDS.strip() not in gateway.log + made.stdout + made.stderr
    assert acts == [
        (act, "command_line", NAME) for act in ("CreateUser", "DisableUser", "EnableUser")
    ]


async def test_second_factor_is_stored_once_its_code_is_shown(
    gateway: RunningGateway, command: Any, tmp_path: Path
) -> None:
    run = partial(command, gateway, "users")
    run("create", NAME, "--role", "operator", given=WORDS)
    wrong = run("totp", NAME, given="000\n", fails=True)
    before = run("list").stdout
    given, shown = tmp_path / "given", tmp_path / "shown"
    os.mkfifo(given)
    keyboard = os.open(given, os.O_RDWR)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    process = start_gateway(
        ["users", "totp", NAME],
        environment={
            **inherited,
            **gateway.environment,
            "GATEWAY_ENV": "development",
            "GATEWAY_DATA_DIR": str(gateway.data_dir),
        },
        stdin=str(given),
        stdout=shown,
        stderr=tmp_path / "errors",
    )

    async def output() -> str:
        return shown.read_text() if shown.exists() else ""

    lines = (await until(output, lambda text: "TOTP_URL=" in text)).splitlines()
    code = pyotp.TOTP(lines[0].removeprefix("TOTP_SECRET=")).now()
    os.write(keyboard, f"{code}\n".encode())
    ended = process.wait(60)
    os.close(keyboard)
    after = run("list").stdout
    run("totp", NAME, "--remove")

    assert "code is wrong" in wrong.stderr
    assert ended == 0, (tmp_path / "errors").read_text()
    assert lines[1].startswith("TOTP_URL=otpauth://totp/WhatsApp%20gateway:Ana%40Example.com?")
    assert ["second factor" in text for text in (before, after, run("list").stdout)] == [
        False,
        True,
        False,
    ]
