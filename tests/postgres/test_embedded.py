"""The embedded server survives kills, crashes, a second process and unusual folders."""

import asyncio
import importlib.util
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from gateway.embedded_postgres import cluster_site
from gateway.embedded_postgres.cluster_site import find_site, holds_cluster, is_cluster
from gateway.embedded_postgres.postmaster import live_postmaster
from gateway.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresError, EmbeddedStep
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres import public_folder

REPOSITORY = Path(__file__).parents[2]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
root_only = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root lends an account"
)

PARENT = """
import asyncio, sys
from pathlib import Path
import psycopg
from gateway.embedded_postgres.server import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await server.start()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE stored (note text)")
        connection.execute("INSERT INTO stored VALUES ('committed')")
    print("committed", flush=True)
    await server.run_until(asyncio.Event())

asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": False}


@contextmanager
def running(*command: str, uid: int | None = None) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, user=uid
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def parent_that_committed(data_dir: Path) -> Iterator[int]:
    """Runs another process with a server and a stored row; yields its pid, and kills it."""
    with running(sys.executable, "-c", PARENT, str(data_dir)) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "committed\n"
        yield parent.pid


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with public_folder() as folder:
        yield folder / "pg"


def server_at(data_dir: Path, database: str = "gateway") -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, database=database, durable=False)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def postmaster_pid(data_dir: Path) -> int:
    found = live_postmaster(data_dir)
    assert found
    return found.pid


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


@linux_only
@pytest.mark.anyio
async def test_the_server_inherits_no_secret_of_the_gateway(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GATEWAY_SECRET_KEY", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "SENTRY_DSN"):
        monkeypatch.setenv(name, "marked-secret")
    server = server_at(data_dir)
    await server.start()
    try:
        environment = environment_of(postmaster_pid(data_dir))
    finally:
        await server.stop()

    assert b"PATH=" in environment
    assert b"marked-secret" not in environment


def processes_in(folder: Path) -> list[int]:
    """Returns the processes whose current folder this is, as that of every server process is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
        except OSError:
            continue
    return found


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - other processes set no Event
            await asyncio.sleep(0.02)


def answers(url: str) -> bool:
    try:
        return value(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize("use_uvloop", [False, True])
def test_killed_server_is_started_again_with_its_data(data_dir: Path, *, use_uvloop: bool) -> None:
    async def scenario() -> None:
        server, stopping = EmbeddedPostgres(data_dir), asyncio.Event()
        await server.start()
        url = server.url
        execute(url, "CREATE TABLE stored (n int)", "INSERT INTO stored VALUES (7)")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run_until(stopping))
            for _ in range(2):
                killed = postmaster_pid(data_dir)
                os.kill(killed, signal.SIGKILL)
                await eventually(lambda: answers(url))
                assert postmaster_pid(data_dir) != killed
                assert value(url, "SELECT n FROM stored") == 7
            stopping.set()
        assert server.url == url
        assert not live_postmaster(data_dir)

    if use_uvloop:
        uvloop = pytest.importorskip("uvloop")
        uvloop.run(scenario())
    else:
        asyncio.run(scenario())


async def test_start_is_durable_and_answers(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, database="a b")
    await server.start()
    try:
        assert value(server.url, "SELECT current_database()") == "a b"
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert value(server.url, f"SHOW {setting}") == "on"
        assert value(server.url, "SHOW listen_addresses") in {"", "127.0.0.1"}
    finally:
        await server.stop()
    assert not live_postmaster(data_dir)


async def test_second_start_finds_the_data(data_dir: Path) -> None:
    for statement in ("CREATE TABLE stored (n int)", "INSERT INTO stored VALUES (7)"):
        server = server_at(data_dir)
        await server.start()
        execute(server.url, statement)
        await server.stop()
    await server.start()
    assert value(server.url, "SELECT n FROM stored") == 7
    await server.stop()


@linux_only
async def test_killed_parent_leaves_no_server_and_loses_no_row(data_dir: Path) -> None:
    with parent_that_committed(data_dir):
        assert processes_in(data_dir)
    await eventually(lambda: not processes_in(data_dir))

    server = server_at(data_dir)
    await server.start()
    assert value(server.url, "SELECT note FROM stored") == "committed"
    await server.stop()


@linux_only
async def test_all_processes_killed_at_once_lose_no_row(data_dir: Path) -> None:
    with parent_that_committed(data_dir) as parent_pid:
        for process in (parent_pid, *processes_in(data_dir)):
            with suppress(ProcessLookupError):  # they also end with the postmaster
                os.kill(process, signal.SIGKILL)

    server = server_at(data_dir)
    await server.start()
    assert value(server.url, "SELECT note FROM stored") == "committed"
    await server.stop()


async def test_live_server_is_adopted_and_replaced_when_it_ends(
    data_dir: Path,
) -> None:
    owner, guest, stopping = server_at(data_dir), server_at(data_dir), asyncio.Event()
    await owner.start()
    owned = postmaster_pid(data_dir)
    await guest.start()
    assert guest.url == owner.url
    await guest.stop()
    assert postmaster_pid(data_dir) == owned
    assert answers(owner.url)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(guest.run_until(stopping))
        await owner.stop()
        await eventually(lambda: answers(guest.url))
        assert postmaster_pid(data_dir) != owned
        stopping.set()
    assert not live_postmaster(data_dir)


async def test_two_starts_at_once_share_one_server(data_dir: Path) -> None:
    first, second = server_at(data_dir), server_at(data_dir, database="second")
    await asyncio.gather(first.start(), second.start())
    assert answers(first.url)
    assert answers(second.url)
    assert [bool(server._process) for server in (first, second)].count(True) == 1
    await asyncio.gather(first.stop(), second.stop())


@linux_only
async def test_interrupted_initdb_runs_again(data_dir: Path) -> None:
    server = server_at(data_dir)
    starting = asyncio.create_task(server.start())
    partial = data_dir.with_name("pg.partial")
    await eventually((partial / "PG_VERSION").exists)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not is_cluster(data_dir)
    assert is_cluster(partial)
    await eventually(lambda: not processes_in(partial))

    await server.start()
    assert answers(server.url)
    assert not is_cluster(partial)
    await server.stop()


@linux_only
async def test_cancelled_start_leaves_no_process(data_dir: Path) -> None:
    server = server_at(data_dir)
    starting = asyncio.create_task(server.start())
    await eventually(lambda: processes_in(data_dir))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not processes_in(data_dir)


@linux_only
async def test_stale_lock_of_another_program_does_not_stop_a_start(data_dir: Path) -> None:
    server = server_at(data_dir)
    await server.start()
    lock = data_dir / "postmaster.pid"
    content = lock.read_text()
    await server.stop()

    # The process must have the same user: Postgres knows that another user's is no server.
    user = find_site(data_dir).user
    with running("sleep", "60", uid=user and user.uid) as other_program:
        _, _, rest = content.partition("\n")
        for left in (lock, data_dir / ".s.PGSQL.5432.lock"):
            left.write_text(f"{other_program.pid}\n{rest}")
        await server.start()
        assert answers(server.url)
        await server.stop()
        assert other_program.poll() is None


@pytest.mark.parametrize("name", ["n" * 120, 'comma, "quote" and space'])
async def test_start_works_in_a_folder_of_any_name(data_dir: Path, name: str) -> None:
    server = server_at(data_dir.with_name(name))
    await server.start()
    assert answers(server.url)
    await server.stop()
    if (sockets := server._address and server._address.socket_folder) is not None:
        assert not sockets.exists()


@root_only
async def test_unreachable_data_moves_and_is_logged(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuge, closed = data_dir.with_name("refuge"), data_dir.with_name("closed")
    monkeypatch.setattr(cluster_site, "REFUGE", refuge)
    closed.mkdir(mode=0o700)
    steps: list[tuple[EmbeddedStep, Path]] = []
    assert not holds_cluster(closed / "pg")
    with caplog.at_level(logging.WARNING):
        server = EmbeddedPostgres(
            closed / "pg", durable=False, announce=lambda step, data: steps.append((step, data))
        )
        await server.start()
    await server.stop()
    moved = next(refuge.glob("*/pg"))
    assert str(moved) in caplog.text
    assert steps[-1] == (EmbeddedStep.STARTING, moved)  # the log names the folder to back up
    assert holds_cluster(closed / "pg")

    closed.chmod(0o755)
    assert find_site(closed / "pg").data == moved  # existing data stay where they are


@root_only
async def test_cluster_that_became_unreachable_is_not_replaced(data_dir: Path) -> None:
    home = data_dir.with_name("home")
    home.mkdir()
    server = server_at(home / "pg")
    await server.start()
    await server.stop()
    home.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match=r"chmod o\+x"):
        await server_at(home / "pg").start()


async def test_missing_binaries_are_reported_with_a_cure(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EmbeddedPostgresError, match="set DATABASE_URL"):
        await server_at(data_dir).start()


async def test_folder_with_other_files_is_not_changed(data_dir: Path) -> None:
    diary = data_dir / "diary.txt"
    data_dir.mkdir()  # noqa: ASYNC240 - nothing else runs here
    diary.write_text("mine")
    with pytest.raises(EmbeddedPostgresError, match="Choose a folder"):
        await server_at(data_dir).start()
    assert diary.read_text() == "mine"


async def test_log_of_the_server_quotes_no_row(data_dir: Path) -> None:
    server = server_at(data_dir)
    await server.start()
    try:
        execute(server.url, "create table t (text text check (text <> 'quixotic'))")
        with pytest.raises(psycopg.errors.CheckViolation):
            execute(server.url, "insert into t values ('quixotic')")
    finally:
        await server.stop()

    log = data_dir.with_name(f"{data_dir.name}.log").read_text()
    assert "violates check constraint" in log
    assert "Failing row" not in log


async def test_server_that_cannot_start_is_quoted(data_dir: Path) -> None:
    server = server_at(data_dir)
    await server.start()
    await server.stop()
    (data_dir / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EmbeddedPostgresError, match="not compatible with this version"):
        await server.start()


def test_url_before_start_is_an_error(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="start"):
        _ = server_at(data_dir).url


def test_fixture_gives_each_test_a_new_database(
    postgres_server_url: str, database_url: str
) -> None:
    assert value(database_url, "SELECT current_database()") != value(
        postgres_server_url, "SELECT current_database()"
    )
    execute(database_url, "CREATE TABLE once (n int)")
    psycopg.connect(database_url).close()


def test_fixture_shows_no_rows_of_another_test(database_url: str) -> None:
    execute(database_url, "CREATE TABLE once (n int)")
