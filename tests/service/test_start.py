"""A start reports its slow steps, and says in one sentence what is wrong."""

import asyncio
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fixtures.postgres import public_folder, running_postgres
from tests.fixtures.service import RunningGateway, free_port, run_command, running_gateway, until

SECRET = "k0123456789abcdef0123456789abcdef"
PATIENCE_SECONDS = 180.0  # for a busy machine
PASSWORD = "a-password-to-hide"
# In a user namespace an ordinary user can mount, too.
WITH_MOUNTS = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "-m"]


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = [*WITH_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def serve_on_small_disk(folder: Path, *, kilobytes: int, filled: bool, **environment: str) -> str:
    """Returns what `gateway serve` prints with its data on a disk of this size."""
    prepare = f"mount -t tmpfs -o size={kilobytes}k,mode=755 tmpfs {folder}"
    fill = f"head -c {kilobytes * 1024} /dev/zero > {folder}/full" if filled else "true"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    ended = subprocess.run(
        [
            *(*WITH_MOUNTS, "sh", "-c"),
            f'{prepare} && {fill}; exec "$0" -m gateway serve',
            sys.executable,
        ],
        env={
            **inherited,
            "GATEWAY_ENV": "development",
            "GATEWAY_DATA_DIR": str(folder / "data"),
            "GATEWAY_PORT": str(free_port()),
            "GATEWAY_INTERNAL_PORT": "0",
            "GATEWAY_LOG_FORMAT": "json",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    return refusal_in(ended.stderr)


def refusal_in(stderr: str) -> str:
    """Returns the last line; every other line must be of the log."""
    *log, sentence = stderr.strip().splitlines()
    assert all(line.startswith("{") for line in log), stderr
    assert sentence.startswith("gateway: ")
    return sentence


def events_in(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount")
def test_serve_full_disk_is_one_sentence(tmp_path: Path) -> None:
    said = serve_on_small_disk(
        tmp_path, kilobytes=64, filled=True, DATABASE_URL="postgresql://127.0.0.1:1/x"
    )

    assert "No space left on device; free some space" in said


@pytest.mark.skipif(
    os.geteuid() != 0 or not can_mount(), reason="needs the right to mount and to lend an account"
)
def test_serve_disk_full_during_setup_is_one_sentence() -> None:
    with public_folder() as folder:
        said = serve_on_small_disk(folder, kilobytes=2_048, filled=False)

    assert said.startswith(f"gateway: The disk of {folder}/data/postgres is full: free some space")


def test_serve_unusable_data_directory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = run_command(
        "serve",
        fails=True,
        GATEWAY_ENV="development",
        GATEWAY_DATA_DIR=str(tmp_path / "file"),
        GATEWAY_PORT=str(free_port()),
        GATEWAY_INTERNAL_PORT="0",
        GATEWAY_LOG_FORMAT="json",
    )

    assert ended.returncode == 2
    assert "set GATEWAY_DATA_DIR to a folder that this user can write to" in refusal_in(
        ended.stderr
    )


def test_production_without_database_refuses(tmp_path: Path) -> None:
    ended = run_command(
        "serve",
        fails=True,
        GATEWAY_ENV="production",
        GATEWAY_SECRET_KEY=SECRET,
        GATEWAY_DATA_DIR=str(tmp_path),
        GATEWAY_PORT=str(free_port()),
        GATEWAY_INTERNAL_PORT="0",
        GATEWAY_LOG_FORMAT="json",
    )

    assert ended.returncode == 2
    said = refusal_in(ended.stderr)
    assert "production needs DATABASE_URL" in said
    assert "GATEWAY_EMBEDDED_POSTGRES=true" in said
    assert list(tmp_path.iterdir()) == []


async def test_serve_secret_that_does_not_decrypt_is_refused(
    gateway: RunningGateway, database_url: str, tmp_path: Path
) -> None:
    def serve(data_dir: Path, **environment: str) -> str:
        ended = run_command(
            "serve",
            fails=True,
            GATEWAY_ENV="development",
            DATABASE_URL=database_url,
            GATEWAY_DATA_DIR=str(data_dir),
            GATEWAY_PORT=str(free_port()),
            GATEWAY_INTERNAL_PORT="0",
            GATEWAY_LOG_FORMAT="json",
            **environment,
        )
        assert ended.returncode == 2
        return refusal_in(ended.stderr)

    gone, other = await asyncio.gather(
        asyncio.to_thread(serve, tmp_path / "gone"),
        asyncio.to_thread(serve, tmp_path / "other", GATEWAY_SECRET_KEY=SECRET),
    )

    assert "secret.key is gone, and with it the key to all tokens: put the file back" in gone
    assert not (tmp_path / "gone" / "secret.key").exists()
    assert "cannot decrypt the tokens of 1 instance: put the secret that made them" in other
    assert "into GATEWAY_SECRET_KEY after a comma, or delete the instances: " in other


@pytest.fixture
def strict_postgres() -> Iterator[tuple[str, Callable[[], int]]]:
    """Yields a server that requires a password of the role `ana`, and counts its refusals."""
    with public_folder() as folder, running_postgres(folder / "pg") as url:
        rules = folder / "pg" / "pg_hba.conf"
        rules.write_text("local all ana scram-sha-256\n" + rules.read_text())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"create role ana login password '{PASSWORD}'".encode())
            connection.execute("select pg_reload_conf()")

        def refused() -> int:
            return (folder / "pg.log").read_text().count("password authentication failed")

        yield url, refused


async def test_serve_waiting_for_database_says_why_once_per_change(
    tmp_path: Path, strict_postgres: tuple[str, Callable[[], int]]
) -> None:
    url, refused = strict_postgres
    as_ana = psycopg.conninfo.make_conninfo(url, user="ana", password="wrong", dbname="wa")

    async def refusals() -> int:
        return refused()

    with running_gateway(tmp_path, as_ana) as gateway:
        await until(refusals, lambda count: count >= 3, seconds=PATIENCE_SECONDS)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("alter role ana password 'wrong'")

            async def missing() -> bool:
                return 'database "wa" does not exist' in gateway.log.replace("\\", "")

            await until(missing, bool, seconds=PATIENCE_SECONDS)
            connection.execute("create database wa owner ana")
        await gateway.ready()
        reported = [
            event["error"]
            for event in events_in(gateway.log)
            if event["event"] == "waiting_for_database"
        ]

    assert len(reported) == 2
    assert reported[0].endswith(
        '(database wa, user ana): password authentication failed for user "ana"'
    )
    assert reported[1].endswith('database "wa" does not exist')
    assert "wrong" not in gateway.log


class NewUser:
    """A user in a new folder who runs `make run` on a terminal and pastes from README."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(sys.prefix)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
        self.environment.pop("DATABASE_URL", None)
        self.process: subprocess.Popen[bytes] | None = None

    async def serve(self) -> str:
        """Returns what the terminal shows, up to the end of the welcome."""
        master, terminal = pty.openpty()
        self.process = subprocess.Popen(  # noqa: ASYNC220 - it runs beside this test
            [sys.executable, "-m", "gateway", "serve"],
            cwd=self.folder,
            env={
                **self.environment,
                "GATEWAY_ENV": "development",
                "GATEWAY_PORT": str(free_port()),
                "GATEWAY_INTERNAL_PORT": "0",
            },
            stdin=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        shown = b""
        while b"/docs\r\n" not in shown:
            shown += await asyncio.to_thread(os.read, master, 4096)
        return shown.decode().replace("\r\n", "\n")

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)

    def paste(self, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


async def test_first_start_says_what_it_does_and_commands_find_it() -> None:
    with public_folder() as folder:
        user = NewUser(folder)
        shown = await user.serve()
        try:
            secret = user.paste(".venv/bin/gateway accounts secret DEMO")
            other_database = user.paste(
                ".venv/bin/gateway accounts list", DATABASE_URL="postgresql://127.0.0.1:1/x"
            )
        finally:
            user.stop()
        doctor = user.paste(".venv/bin/gateway doctor")
        production = user.paste(
            ".venv/bin/gateway accounts list",
            GATEWAY_ENV="production",
            GATEWAY_SECRET_KEY=SECRET,
        )

    steps = [
        "Setting up Postgres for the first time",
        f"Starting Postgres on the data in {folder}/.data/postgres",
        "Bringing the database up to date",
        "The gateway is ready at ",
        "/docs\n",
    ]
    places = [shown.find(step) for step in steps]
    assert -1 not in places, shown
    assert places == sorted(places)
    assert secret.stdout.startswith("WEBHOOK_SECRET="), secret.stderr
    # The development settings do not apply to another database.
    assert "production needs GATEWAY_SECRET_KEY" in other_database.stderr
    assert doctor.returncode == 0, doctor.stdout
    assert f"its data is in {folder}/.data/postgres" in doctor.stdout
    # An existing cluster is used without a new setting.
    assert "Demo" in production.stdout, production.stderr


async def test_start_without_terminal_logs_its_steps() -> None:
    with public_folder() as folder, running_gateway(folder, None) as gateway:
        await gateway.ready()
        reported = events_in(gateway.log)
        names = [event["event"] for event in reported]
        place = next(e["place"] for e in reported if e["event"] == "embedded_postgres_starting")

    assert place == str(folder / "postgres")
    order = ["embedded_postgres_setting_up", "embedded_postgres_starting", "migrations_started"]
    assert [name for name in names if name in order] == order
    assert "migrated" in names
