"""Each command does what its help says, and refuses what it cannot do in one sentence."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import typer

from gateway import __version__
from gateway.cli import cli
from tests.fixtures.service import Client, RunningGateway, free_port, run_command, until

README = Path(__file__).parents[2] / "README.md"
SECRET = {"GATEWAY_ENV": "production", "GATEWAY_SECRET_KEY": "k0123456789abcdef0123456789abcdef"}


def values_of(printed: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in printed.splitlines())


async def test_instances_create_uses_the_given_id_and_token(
    gateway: RunningGateway, client: Client, command: Any
) -> None:
    kept_id, kept_token = "3C0DE00000000000000000000000BEEF", "70CE2000000000000000000000000BEE"
    made = command(
        gateway,
        "instances",
        "create",
        "Kept",
        "--id",
        kept_id,
        "--token",
        kept_token,
    )

    assert values_of(made.stdout) == {"INSTANCE_ID": kept_id, "INSTANCE_TOKEN": kept_token}
    answer = await client.http.get(f"/instances/{kept_id}/token/{kept_token}/status")
    assert answer.status_code == 200
    assert command(gateway, "instances", "token", kept_id).stdout.strip() == kept_token
    assert kept_id in command(gateway, "instances", "list").stdout
    twice = command(gateway, "instances", "create", "Kept", "--id", kept_id, fails=True)
    assert (twice.returncode, twice.stdout) == (2, "")
    assert twice.stderr.startswith("gateway: ")

    command(gateway, "instances", "delete", kept_id, "--yes")

    async def status() -> httpx.Response:
        return await client.http.get(f"/instances/{kept_id}/token/{kept_token}/status")

    await until(status, lambda answer: answer.status_code == 404)


def partner_list(**changes: object) -> bytes:
    """The answer of Z-API to GET /instances."""
    item = {
        "id": "3C0DE00000000000000000000000BEEF",
        "token": "70CE2000000000000000000000000BEE",
        "name": "Front desk",
        "tenant": "T",
        "created": "2024-03-01T12:00:00.000Z",
        "due": 1790000000000,
        "paymentStatus": "PAID",
        "deliveryCallbackUrl": "https://example.com/delivery",
        "receivedCallbackUrl": None,
        "receivedAndDeliveryCallbackUrl": "https://example.com/both",
        "disconnectedCallbackUrl": "",
        "phoneConnected": True,
        "whatsappConnected": True,
        "middleware": "web",
        **changes,
    }
    page = {"total": 1, "totalPage": 1, "pageSize": 20, "page": 1, "content": [item]}
    return json.dumps(page).encode()


async def test_import_creates_ids_tokens_and_webhooks(
    gateway: RunningGateway, client: Client, command: Any, tmp_path: Path
) -> None:
    file = tmp_path / "instances.json"
    file.write_bytes(partner_list())

    first = command(gateway, "import", str(file))
    again = command(gateway, "import", str(file))

    assert first.stdout == "3C0DE00000000000000000000000BEEF  Front desk  made\n"
    assert again.stdout == "3C0DE00000000000000000000000BEEF  Front desk  was there\n"
    path = "/instances/3C0DE00000000000000000000000BEEF/token/70CE2000000000000000000000000BEE/me"
    me = (await client.http.get(path)).json()
    assert me["name"] == "Front desk"
    assert me["deliveryCallbackUrl"] == "https://example.com/delivery"
    assert me["receivedCallbackUrl"] == "https://example.com/both"


def test_import_invalid_list_creates_nothing(
    command_in: Any, database_url: str, tmp_path: Path
) -> None:
    where: dict[str, str] = {"GATEWAY_ENV": "development"}
    command_in(database_url, "accounts", "create", "Mine", **where)
    wrong = {
        b"id;token": "The file is not JSON",
        b"{}": "The file holds no list of instances",
        b"[{}]": "instance 1: must have an id and a token",
        partner_list(token="short"): "token: must be 16 to 256",
        partner_list(deliveryCallbackUrl="ftp://x"): "deliveryCallbackUrl: ",
    }
    file = tmp_path / "instances.json"

    for content, sentence in wrong.items():
        file.write_bytes(content)
        refused = command_in(database_url, "import", str(file), fails=True, **where)
        assert refused.returncode == 2
        assert sentence in refused.stderr

    assert command_in(database_url, "instances", "list", **where).stdout == ""


async def test_import_id_with_another_token_is_refused(
    gateway: RunningGateway, client: Client, command: Any, tmp_path: Path
) -> None:
    file = tmp_path / "instances.json"
    file.write_bytes(partner_list(id=client.demo.instance_id))

    refused = command(gateway, "import", str(file), fails=True)

    assert refused.returncode == 2
    assert "exists already, with another token or account" in refused.stderr


async def test_renew_tokens_ends_the_earlier_tokens(
    gateway: RunningGateway, client: Client, command: Any
) -> None:
    renewed = values_of(command(gateway, "accounts", "renew-tokens", "Demo").stdout)

    async def old() -> httpx.Response:
        return await client.call("GET", "/status")

    refused = await until(old, lambda answer: answer.status_code == 403)
    assert refused.json()["error"] == "Client-Token not allowed"
    new = await client.call("GET", "/status", headers={"Client-Token": renewed["CLIENT_TOKEN"]})
    assert new.status_code == 200


def test_migrate_prints_what_it_applied(command_in: Any, empty_database_url: str) -> None:
    first = command_in(empty_database_url, "migrate", GATEWAY_ENV="development")
    second = command_in(empty_database_url, "migrate", GATEWAY_ENV="development")

    assert first.stdout.splitlines()[0].startswith("0001 ")
    assert "function enqueue_messages_v1" in first.stdout.splitlines()
    assert second.stdout == ""


def test_doctor_healthy_gateway_reports_no_problem(command_in: Any, database_url: str) -> None:
    found = command_in(database_url, "doctor", GATEWAY_ENV="development", GATEWAY_LOG_LEVEL="DEBUG")

    assert found.returncode == 0
    assert found.stderr == ""
    assert all(line.startswith("ok ") for line in found.stdout.splitlines())


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("a database of mine", "!! settings: DATABASE_URL: is not a libpq URL"),
        ("postgresql://127.0.0.1:{port}/x", "Cure: start Postgres, or correct DATABASE_URL."),
        ("postgresql://nowhere.invalid/x", "Cure: start Postgres, or correct DATABASE_URL."),
    ],
)
def test_doctor_names_a_database_out_of_reach(command_in: Any, url: str, sentence: str) -> None:
    url = url.format(port=free_port())
    found = command_in(url, "doctor", fails=True, GATEWAY_ENV="development")

    assert found.returncode == 1
    assert sentence in found.stdout


def test_doctor_names_an_old_schema(command_in: Any, empty_database_url: str) -> None:
    found = command_in(empty_database_url, "doctor", fails=True, GATEWAY_ENV="development")

    assert found.returncode == 1
    assert "!! migrations: 0001, " in found.stdout
    assert "Cure: run `gateway migrate`." in found.stdout


def test_doctor_names_a_missing_function(command_in: Any, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("drop function reported_status_v1")

    found = command_in(database_url, "doctor", fails=True, GATEWAY_ENV="development")

    assert "!! SQL functions: missing: reported_status_v1" in found.stdout
    assert "Cure: run `gateway migrate`." in found.stdout


def test_doctor_names_an_unknown_setting(command_in: Any, database_url: str) -> None:
    found = command_in(database_url, "doctor", fails=True, GATEWAY_PROT="8080")

    assert found.returncode == 1
    assert "!! settings: GATEWAY_PROT is not a setting of this gateway" in found.stdout


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"GATEWAY_ENV": "production"}, "production needs GATEWAY_SECRET_KEY"),
        ({"GATEWAY_ENV": "development", "GATEWAY_HOST": "0.0.0.0"}, "can be reached by others"),
        ({"GATEWAY_ENV": "development", "GATEWAY_PACE_MIN_SECONDS": "x"}, "valid number"),
        ({"GATEWAY_ENV": "development", "GATEWAY_SANDBOX_JOURNEL": "x"}, "is not a setting"),
        ({**SECRET, "GATEWAY_PROVIDER": "sandbox"}, "there is no provider 'sandbox' here"),
    ],
)
def test_serve_unsafe_or_invalid_settings_are_refused(
    command_in: Any, database_url: str, environment: dict[str, str], sentence: str
) -> None:
    free_ports = {"GATEWAY_PORT": "0", "GATEWAY_INTERNAL_PORT": "0"}
    found = command_in(database_url, "serve", fails=True, **free_ports, **environment)

    assert found.returncode == 2
    assert found.stdout == ""
    assert sentence in found.stderr.strip().splitlines()[-1]


async def test_demo_file_belongs_to_this_user_only(gateway: RunningGateway, client: Client) -> None:
    assert client.demo.base_url == gateway.base_url
    assert (gateway.data_dir / "demo.env").stat().st_mode & 0o777 == 0o600


def test_serve_production_creates_no_demo(
    tmp_path: Path, command_in: Any, database_url: str
) -> None:
    listed = command_in(database_url, "accounts", "list", GATEWAY_DATA_DIR=str(tmp_path), **SECRET)

    assert listed.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_account_is_created_once_and_deleted_with_yes(command_in: Any, database_url: str) -> None:
    where = {"GATEWAY_ENV": "development"}

    made = values_of(command_in(database_url, "accounts", "create", "Shop", **where).stdout)
    twice = command_in(database_url, "accounts", "create", "SHOP", fails=True, **where)
    command_in(database_url, "instances", "create", "Desk", "--account", "shop", **where)
    unasked = command_in(database_url, "accounts", "delete", "shop", fails=True, **where)
    deleted = command_in(database_url, "accounts", "delete", "shop", "--yes", **where)
    left = command_in(database_url, "instances", "list", **where)

    assert (twice.returncode, twice.stdout) == (2, "")
    assert f"There is an account Shop already, with the id {made['ACCOUNT_ID']}" in twice.stderr
    assert unasked.returncode == 2
    assert "deletion asks for confirmation, which needs a terminal: add --yes" in unasked.stderr
    assert deleted.stdout == f"{made['ACCOUNT_ID']}  Shop  deleted\n"
    assert left.stdout == ""


@pytest.mark.parametrize("lost", [True, False])
def test_wrong_secret_writes_nothing_and_deletes(
    *, lost: bool, command_in: Any, database_url: str, tmp_path: Path
) -> None:
    right = {
        "GATEWAY_ENV": "development",
        "GATEWAY_SECRET_KEY": "k0123456789abcdef0123456789abcdef",
    }
    data = tmp_path / "lost"
    wrong = {"GATEWAY_ENV": "development", "GATEWAY_DATA_DIR": str(data)}
    if not lost:
        wrong["GATEWAY_SECRET_KEY"] = "w0123456789abcdef0123456789abcdef"
    file = tmp_path / "instances.json"
    file.write_bytes(partner_list())
    command_in(database_url, "accounts", "create", "Shop", **right)
    made = values_of(command_in(database_url, "instances", "create", "Desk", **right).stdout)
    needing = [
        ("accounts", "create", "Other"),
        ("accounts", "renew-tokens", "Shop"),
        ("accounts", "secret", "Shop"),
        ("instances", "create", "Second"),
        ("instances", "token", "Desk"),
        ("import", str(file)),
    ]

    refused = [command_in(database_url, *words, fails=True, **wrong) for words in needing]
    accounts = command_in(database_url, "accounts", "list", **wrong).stdout
    instances = command_in(database_url, "instances", "list", **wrong).stdout
    deleted = command_in(database_url, "instances", "delete", "Desk", "--yes", **wrong).stdout

    cure = f"delete the instances: Desk ({made['INSTANCE_ID']})"
    for each in refused:
        assert (each.returncode, each.stdout) == (2, "")
        assert each.stderr.rstrip().endswith(cure)
    assert len(accounts.splitlines()) == len(instances.splitlines()) == 1
    assert "Shop  1 instance, " in accounts
    assert deleted == f"{made['INSTANCE_ID']}  Desk  deleted\n"
    assert not (data / "secret.key").exists()


def test_delete_on_a_terminal_asks(command_in: Any, database_url: str, tmp_path: Path) -> None:
    where = {"GATEWAY_ENV": "development"}
    command_in(database_url, "accounts", "create", "Shop", **where)

    def answered(answer: str) -> int:
        with on_a_terminal(
            *("accounts", "delete", "Shop"),
            DATABASE_URL=database_url,
            GATEWAY_DATA_DIR=str(tmp_path),
            **where,
        ) as (process, terminal):
            asked = read_until(terminal, "[y/N]")
            assert "Delete account Shop (" in asked
            assert "with its 0 instances" in asked
            # A Ctrl-C between the question and the read of its answer interrupts neither: as a
            # person would, the test presses again.
            for _ in range(36):
                os.write(terminal, answer.encode())
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(5)
            raise AssertionError("the command did not end")

    # The next command finds it only where no and Ctrl-C deleted nothing.
    assert answered("n\n") == 1
    assert answered("\x03") in {1, -signal.SIGINT}  # as it came before or at its end
    assert answered("y\n") == 0
    assert command_in(database_url, "accounts", "list", **where).stdout == ""


@contextmanager
def on_a_terminal(
    *arguments: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Runs a command; its terminal is the other end of the descriptor."""
    terminal, theirs = pty.openpty()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    with subprocess.Popen(
        # In its own session Ctrl-C on the terminal becomes a signal for the command.
        ["setsid", "--ctty", sys.executable, "-m", "gateway", *arguments],
        env={**inherited, **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        try:
            yield process, terminal
        finally:
            process.kill()
            os.close(terminal)


def read_until(terminal: int, end: str) -> str:
    shown = ""
    while end not in shown:
        shown += os.read(terminal, 4096).decode()
    return shown


def test_version_is_printed() -> None:
    assert run_command("--version").stdout == f"gateway {__version__}\n"


def test_shell_completes_commands() -> None:
    asked = {
        "_GATEWAY_COMPLETE": "complete_bash",
        "COMP_WORDS": "gateway accounts re",
        "COMP_CWORD": "2",
    }

    completed = subprocess.run(
        [Path(sys.prefix) / "bin" / "gateway"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert completed.stdout.split() == ["renew-tokens"]


def test_pages_name_only_commands_that_exist() -> None:
    pages = [README, *sorted((README.parent / "docs").rglob("*.md"))]
    lines = [
        line
        for page in pages
        for line in re.findall(r"\.venv/bin/gateway ([^`\n]*)", page.read_text())
        if line != "..."
    ]
    known = typer.main.get_command(cli)

    assert len(lines) > 10
    for line in lines:
        words = shlex.split(line, comments=True)
        command: Any = known
        while words and hasattr(command, "commands"):
            assert words[0].startswith("-") or words[0] in command.commands, line
            command = command.commands.get(words.pop(0), command)


def test_readme_names_shell_completion_that_exists() -> None:
    assert "`.venv/bin/gateway --install-completion`" in README.read_text()
    assert "--install-completion" in run_command("--help").stdout


def test_readme_commands_can_be_pasted() -> None:
    assert re.findall(r"(?:^ +|`)gateway [a-z-]+", README.read_text(), re.MULTILINE) == []
